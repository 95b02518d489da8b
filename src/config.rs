//! The numbers that define a Mimi network.

/// How a causal convolution is padded on the left (and, for layer-pad tails, on the right).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// Zeros (`"constant"`).
    Constant,
    /// The first (last) row again (`"replicate"`).
    Replicate,
}

/// The activation of the transformers' feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The exact, erf-based GELU.
    Gelu,
    /// max(0, x).
    Relu,
    /// x·sigmoid(x).
    Silu,
}

/// A Mimi network in numbers; the names are those of transformers' `MimiConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Hz.
    pub sampling_rate: u32,
    /// Channels between SEANet, transformers and quantizer.
    pub hidden_size: usize,
    /// Channels of the first encoder convolution.
    pub num_filters: usize,
    /// Residual blocks per SEANet stage.
    pub num_residual_layers: usize,
    /// Strides of the decoder stages; the encoder uses them in reverse.
    pub upsampling_ratios: Vec<usize>,
    /// Kernel of the first convolution of encoder and decoder.
    pub kernel_size: usize,
    /// Kernel of the last convolution of encoder and decoder.
    pub last_kernel_size: usize,
    /// Kernel of the first convolution in a residual block.
    pub residual_kernel_size: usize,
    /// Residual block j of a stage has dilation `dilation_growth_rate.pow(j)`.
    pub dilation_growth_rate: usize,
    /// Padding of the SEANet convolutions.
    pub pad_mode: PadMode,
    /// A residual block has `channels / compress` hidden channels.
    pub compress: usize,
    /// Residual blocks have a 1×1 convolution on the skip path.
    pub use_conv_shortcut: bool,
    /// Entries of a codebook.
    pub codebook_size: usize,
    /// Dimensions of a codebook entry.
    pub codebook_dim: usize,
    /// All codebooks, semantic and acoustic.
    pub num_quantizers: usize,
    /// Codebooks of the semantic branch.
    pub num_semantic_quantizers: usize,
    /// Dimensions that the quantizer projections lead to; no projections if equal to
    /// `hidden_size` (and the checkpoint has none).
    pub vector_quantization_hidden_dimension: usize,
    /// Groups of the up-sampling transposed convolution.
    pub upsample_groups: usize,
    /// Steps of the SEANet rate per frame: stride of the down- and up-sampler.
    pub latent_stride: usize,
    /// Layers of each transformer.
    pub num_hidden_layers: usize,
    /// Hidden channels of the feed-forward layers.
    pub intermediate_size: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Dimensions of a head.
    pub head_dim: usize,
    /// Activation of the feed-forward layers.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Attention window in steps: a query sees itself and the `sliding_window − 1` keys before.
    pub sliding_window: usize,
    /// The attention projections have biases.
    pub attention_bias: bool,
}

impl Config {
    /// The published architecture, `kyutai/mimi`.
    pub fn published() -> Self {
        Self {
            sampling_rate: 24_000,
            hidden_size: 512,
            num_filters: 64,
            num_residual_layers: 1,
            upsampling_ratios: vec![8, 6, 5, 4],
            kernel_size: 7,
            last_kernel_size: 3,
            residual_kernel_size: 3,
            dilation_growth_rate: 2,
            pad_mode: PadMode::Constant,
            compress: 2,
            use_conv_shortcut: false,
            codebook_size: 2048,
            codebook_dim: 256,
            num_quantizers: 32,
            num_semantic_quantizers: 1,
            vector_quantization_hidden_dimension: 256,
            upsample_groups: 512,
            latent_stride: 2,
            num_hidden_layers: 8,
            intermediate_size: 2048,
            num_attention_heads: 8,
            num_key_value_heads: 8,
            head_dim: 64,
            hidden_act: Activation::Gelu,
            norm_eps: 1e-5,
            rope_theta: 10_000.0,
            sliding_window: 250,
            attention_bias: false,
        }
    }

    /// Samples per step of the SEANet rate: the product of the ratios.
    pub fn hop(&self) -> usize {
        self.upsampling_ratios.iter().product()
    }

    /// Samples per frame.
    pub fn frame_size(&self) -> usize {
        self.hop() * self.latent_stride
    }
}
