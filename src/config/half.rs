//! The numbers of half a network.

use super::{Activation, Config, PadMode};

/// The numbers of a half, encoder or decoder; see [`Config`] for what each means. Rates are none of them: the halves
/// share the strides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfConfig {
    /// Channels of SEANet's steps and of the transformer.
    pub hidden_size: usize,
    /// Channels of the SEANet convolution next to the samples.
    pub num_filters: usize,
    /// Residual blocks per SEANet stage.
    pub num_residual_layers: usize,
    /// Kernel of SEANet's first convolution.
    pub kernel_size: usize,
    /// Kernel of SEANet's last convolution.
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
    /// Layers of the transformer.
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
    /// Attention window in steps.
    pub sliding_window: usize,
    /// The attention projections have biases.
    pub attention_bias: bool,
}

impl Config {
    /// The encoder's numbers.
    pub fn encoder_half(&self) -> HalfConfig {
        HalfConfig {
            hidden_size: self.hidden_size,
            num_filters: self.num_filters,
            num_residual_layers: self.num_residual_layers,
            kernel_size: self.kernel_size,
            last_kernel_size: self.last_kernel_size,
            residual_kernel_size: self.residual_kernel_size,
            dilation_growth_rate: self.dilation_growth_rate,
            pad_mode: self.pad_mode,
            compress: self.compress,
            use_conv_shortcut: self.use_conv_shortcut,
            num_hidden_layers: self.num_hidden_layers,
            intermediate_size: self.intermediate_size,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            hidden_act: self.hidden_act,
            norm_eps: self.norm_eps,
            rope_theta: self.rope_theta,
            sliding_window: self.sliding_window,
            attention_bias: self.attention_bias,
        }
    }

    /// The decoder's numbers, its own or the encoder's.
    pub fn decoder_half(&self) -> HalfConfig {
        self.decoder.unwrap_or_else(|| self.encoder_half())
    }

    /// With other numbers of the encoder.
    pub(super) fn with_encoder_half(self, half: HalfConfig) -> Self {
        Self {
            hidden_size: half.hidden_size,
            num_filters: half.num_filters,
            num_residual_layers: half.num_residual_layers,
            kernel_size: half.kernel_size,
            last_kernel_size: half.last_kernel_size,
            residual_kernel_size: half.residual_kernel_size,
            dilation_growth_rate: half.dilation_growth_rate,
            pad_mode: half.pad_mode,
            compress: half.compress,
            use_conv_shortcut: half.use_conv_shortcut,
            num_hidden_layers: half.num_hidden_layers,
            intermediate_size: half.intermediate_size,
            num_attention_heads: half.num_attention_heads,
            num_key_value_heads: half.num_key_value_heads,
            head_dim: half.head_dim,
            hidden_act: half.hidden_act,
            norm_eps: half.norm_eps,
            rope_theta: half.rope_theta,
            sliding_window: half.sliding_window,
            attention_bias: half.attention_bias,
            ..self
        }
    }
}
