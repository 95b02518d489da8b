//! The numbers that define a Mimi network.
//!
//! `recognise` finds a Mimi config in JSON text, or in YAML, of which `yaml` reads a little. `transformers` and
//! `kyutai` read the two spellings, with `fields` for access to single fields. `limits` says which networks are run.

mod fields;
mod half;
mod kyutai;
mod limits;
mod recognise;
mod transformers;
mod yaml;

use crate::{Error, ErrorKind};
pub use half::HalfConfig;
use limits::LATENT_STRIDES;
pub(crate) use recognise::LARGEST_TEXT;

/// How a causal convolution is padded: on the left, and in a layer-pad tail also on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// Zeros (`"constant"`).
    Constant,
    /// The first row again, or on the right the last (`"replicate"`).
    Replicate,
}

/// The activation of the transformers' feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The exact, erf-based GELU.
    Gelu,
    /// GELU by the hyperbolic tangent: x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    GeluTanh,
    /// max(0, x).
    Relu,
    /// x·sigmoid(x).
    Silu,
}

/// A Mimi network in numbers; the names are those of transformers' `MimiConfig`.
///
/// The numbers of SEANet and of the transformer are those of both halves, encoder and decoder, unless
/// [`decoder`](Self::decoder) has others.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Hz.
    pub sampling_rate: u32,
    /// The decoder's own numbers; `None`: it has the encoder's.
    pub decoder: Option<HalfConfig>,
    /// Dimensions of a frame's latent in a network without a quantizer. The numbers of the quantizer are 0 then.
    /// `None`: there is a quantizer, and a latent has `hidden_size` dimensions.
    pub continuous: Option<usize>,
    /// Dimensions of the latents that the encoder makes, where the decoder takes others: those of [`continuous`]. Such
    /// halves are loaded one at a time. `None`: both are the same.
    ///
    /// [`continuous`]: Self::continuous
    pub encoder_latent_dim: Option<usize>,
    /// Channels of SEANet's steps and of the transformer.
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
    /// Codebooks of a stream whose options do not tell them, if there are as many. `None`: 8.
    pub default_codebooks: Option<usize>,
    /// Codebooks of the semantic branch.
    pub num_semantic_quantizers: usize,
    /// Dimensions that the quantizer's projections lead to. Where they equal `hidden_size`, a checkpoint may lack the
    /// projections.
    pub vector_quantization_hidden_dimension: usize,
    /// Groups of the up-sampling transposed convolution, which has the decoder's `hidden_size` channels.
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
            decoder: None,
            continuous: None,
            encoder_latent_dim: None,
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
            default_codebooks: None,
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

    /// The Mimi of kyutai's Pocket TTS as published, which has no quantizer.
    pub fn pocket_tts() -> Self {
        Self {
            continuous: Some(32),
            hidden_act: Activation::GeluTanh,
            upsampling_ratios: vec![6, 5, 4],
            latent_stride: 16,
            num_hidden_layers: 2,
            ..Self::published().without_quantizer()
        }
    }

    /// With zeros for the numbers of the quantizer.
    fn without_quantizer(self) -> Self {
        Self {
            codebook_size: 0,
            codebook_dim: 0,
            num_quantizers: 0,
            num_semantic_quantizers: 0,
            vector_quantization_hidden_dimension: 0,
            ..self
        }
    }

    /// Reads a config from JSON text: transformers' `MimiConfig` (of 4.x or 5.x), kyutai's `mimi_config.json`, or the
    /// config of a model that embeds Mimi and holds one of these, wherever it stands, such as `codec_config` or Pocket
    /// TTS's part `mimi`. If it holds several, they must be equal.
    ///
    /// A field that is absent or null has the published value. As in transformers, `head_dim`, `codebook_dim` and
    /// `num_key_value_heads` are derived from others if they are null. Unknown fields are ignored.
    ///
    /// Some fields that `MimiConfig` lacks are read beside its own: `continuous_latent_dim`, which is
    /// [`continuous`](Self::continuous), [`encoder_latent_dim`](Self::encoder_latent_dim), and `decoder_config`, an
    /// object with fields of [`HalfConfig`], of which those that are absent have the encoder's values.
    /// `encoder_valid_num_quantizers`, which may also stand beside the config, is
    /// [`default_codebooks`](Self::default_codebooks).
    ///
    /// # Errors
    /// [`ErrorKind::Format`]: not JSON, more than a mebibyte of it, no Mimi config in it, two that differ, or a field
    /// of the wrong type.
    /// [`ErrorKind::Unsupported`]: a network that this library does not run; see
    /// [`validate`](Self::validate).
    pub fn from_json(text: &str) -> Result<Self, Error> {
        Self::recognise(text)?.ok_or_else(|| {
            let message = "not a Mimi config, and none is in it: expected a `model_type` of \"mimi\" or a `seanet` \
                           group, in it or in a part of it";
            Error::new(ErrorKind::Format, message)
        })
    }

    /// [`from_json`](Self::from_json), but `None` for well-formed JSON that is no Mimi config.
    pub(crate) fn recognise(text: &str) -> Result<Option<Self>, Error> {
        recognise::json(text)
    }

    /// The same of a YAML text of Pocket TTS, whose part `mimi` alone is read.
    pub(crate) fn recognise_yaml(text: &str) -> Result<Option<Self>, Error> {
        recognise::yaml(text)
    }

    /// Sets `latent_stride` so that there are `frame_rate` frames a second.
    fn set_frame_rate(&mut self, frame_rate: f64) -> Result<(), Error> {
        let stride = f64::from(self.sampling_rate) / self.hop() as f64 / frame_rate;
        let whole = stride.round() as usize;
        // 12.5 and its like are exact in binary; the tolerance is for rates such as 16.6667
        let is_whole = (stride - stride.round()).abs() <= 1e-4 * stride;
        if !(is_whole && LATENT_STRIDES.contains(&whole)) {
            let (least, most) = LATENT_STRIDES.into_inner();
            let message = format!(
                "unsupported frame_rate {frame_rate}: sampling_rate / product of upsampling_ratios / frame_rate is \
                 {stride}: expected a whole number, {least} to {most}"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.latent_stride = whole;
        Ok(())
    }

    /// Samples per step of the SEANet rate: the product of the ratios.
    pub fn hop(&self) -> usize {
        self.upsampling_ratios.iter().product()
    }

    /// Dimensions of a frame's latent.
    pub fn latent_dim(&self) -> usize {
        self.continuous.unwrap_or(self.hidden_size)
    }

    /// Dimensions of the latents that the encoder makes.
    pub(crate) fn encoder_latents(&self) -> usize {
        self.encoder_latent_dim.unwrap_or_else(|| self.latent_dim())
    }

    /// Whether latents are projected to the decoder's width: where the widths differ, and always without a quantizer.
    pub(crate) fn projects_latents(&self) -> bool {
        self.continuous.is_some() || self.decoder_half().hidden_size != self.hidden_size
    }

    /// Bits that a code needs: 11 for a codebook of 2048.
    pub fn code_bits(&self) -> u32 {
        (usize::BITS - self.codebook_size.saturating_sub(1).leading_zeros()).max(1)
    }

    /// Samples per frame.
    pub fn frame_size(&self) -> usize {
        self.hop() * self.latent_stride
    }
}
