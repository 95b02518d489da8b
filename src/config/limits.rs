//! Which networks this library runs.

use super::{Config, HalfConfig};
use crate::{Error, ErrorKind};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// The most values that one state or scratch buffer may hold for a frame: 1 GiB of f32.
const MOST_VALUES: u64 = 1 << 28;

/// The most zeros between the groups of an up-sampler: 64 MiB of f32.
const MOST_ZEROS: u64 = 1 << 24;

/// The strides between the SEANet rate and the frame rate that are run. At 1, Mimi has no down-sampler.
pub(super) const LATENT_STRIDES: RangeInclusive<usize> = 2..=256;

impl Config {
    /// Checks that this library runs such a network. The bounds are far above any sensible network; they keep sizes
    /// from overflowing. Loading a model also bounds what its streams cost in all.
    ///
    /// | field | supported |
    /// |---|---|
    /// | `sampling_rate` | 1 to 1 048 576 |
    /// | `hidden_size`, `intermediate_size`, `codebook_dim`, `num_filters`, `continuous` | 1 to 65 536 |
    /// | `encoder_latent_dim` | 1 to 65 536, with `continuous` alone |
    /// | `default_codebooks` | 1 to 1 024 |
    /// | `num_residual_layers` | 1 to 32 |
    /// | `upsampling_ratios` | 1 to 12 of them, each 1 to 1 024, their product at most 65 536 |
    /// | `kernel_size`, `last_kernel_size`, `residual_kernel_size`, `dilation_growth_rate` | 1 to 1 024 |
    /// | `compress` | a divisor of `num_filters` |
    /// | `codebook_size` | 2 to 65 536, not only powers of two |
    /// | `vector_quantization_hidden_dimension` | the same as `codebook_dim` |
    /// | `num_quantizers` | 2 to 1 024 |
    /// | `num_semantic_quantizers` | 1 to `num_quantizers` − 1 |
    /// | these five with `continuous` | 0: there is no quantizer |
    /// | `upsample_groups` | a divisor of the decoder's `hidden_size` |
    /// | `latent_stride` | 2 to 256 (at 1, Mimi has no down-sampler) |
    /// | `num_hidden_layers` | 1 to 256 |
    /// | `num_attention_heads` | 1 to 1 024 |
    /// | `num_key_value_heads` | a divisor of `num_attention_heads` |
    /// | `head_dim` | even, 2 to 4 096 |
    /// | `norm_eps` | above 0, at most 1 |
    /// | `rope_theta` | 1 to 10¹² |
    /// | `sliding_window` | 1 to 1 048 576 |
    /// | `decoder` | each field as the encoder's |
    ///
    /// The halves share `upsampling_ratios` and `latent_stride`, and with them their steps and frames.
    ///
    /// Beyond that, each of these may have at most 2²⁸ values: the largest activation of a frame, the history of the
    /// widest convolution, the queries, keys and values of a frame, the keys and values of a transformer's window, and
    /// the weights of an up-sampler with more than one channel in a group. Such an up-sampler is kept with zeros
    /// between its groups, at most 2²⁴ of them.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: the message names the field, its value and the supported values. Fields of the
    /// decoder's own numbers are called `decoder_config.…`.
    pub fn validate(&self) -> Result<(), Error> {
        within("sampling_rate", self.sampling_rate, 1..=1 << 20)?;
        within("number of upsampling_ratios", self.upsampling_ratios.len(), 1..=12)?;
        for (index, &ratio) in self.upsampling_ratios.iter().enumerate() {
            within(&format!("upsampling_ratios[{index}]"), ratio, 1..=1 << 10)?;
        }
        within("product of upsampling_ratios", product(&self.upsampling_ratios), 1..=1 << 16)?;
        within("latent_stride", self.latent_stride, LATENT_STRIDES)?;
        let own = self.decoder.map(|decoder| ("decoder_config.", decoder));
        for (prefix, half) in [("", self.encoder_half())].into_iter().chain(own) {
            let names = Names(prefix);
            half.validate_seanet(names)?;
            half.validate_transformer(names)?;
            self.validate_memory(names, half)?;
        }
        self.validate_quantizer()?;
        self.validate_upsampler()
    }

    fn validate_quantizer(&self) -> Result<(), Error> {
        if let Some(dimension) = self.continuous {
            within("continuous_latent_dim", dimension, 1..=1 << 16)?;
            within("encoder_latent_dim", self.encoder_latents(), 1..=1 << 16)?;
            return [
                ("codebook_size", self.codebook_size),
                ("codebook_dim", self.codebook_dim),
                ("num_quantizers", self.num_quantizers),
                ("num_semantic_quantizers", self.num_semantic_quantizers),
                ("vector_quantization_hidden_dimension", self.vector_quantization_hidden_dimension),
            ]
            .into_iter()
            .find(|(_, found)| *found != 0)
            .map_or(Ok(()), |(field, found)| Err(unsupported(field, found, "0 without a quantizer")));
        }
        if let Some(found) = self.encoder_latent_dim {
            return Err(unsupported("encoder_latent_dim", found, "none with a quantizer"));
        }
        if let Some(found) = self.default_codebooks {
            within("encoder_valid_num_quantizers", found, 1..=1 << 10)?;
        }
        within("codebook_size", self.codebook_size, 2..=1 << 16)?;
        within("codebook_dim", self.codebook_dim, 1..=1 << 16)?;
        if self.vector_quantization_hidden_dimension != self.codebook_dim {
            let expected = format!("codebook_dim, which is {}", self.codebook_dim);
            let found = self.vector_quantization_hidden_dimension;
            return Err(unsupported("vector_quantization_hidden_dimension", found, &expected));
        }
        within("num_quantizers", self.num_quantizers, 2..=1 << 10)?;
        within("num_semantic_quantizers", self.num_semantic_quantizers, 1..=self.num_quantizers - 1)
    }

    /// Bounds what a stream of a half must hold. Weights need no bound here, because they are at most as large as their
    /// file.
    fn validate_memory(&self, names: Names, half: HalfConfig) -> Result<(), Error> {
        // channels double at each stage away from the samples while the rate falls by the ratio
        let (mut rows, mut channels) = (self.frame_size() as u64, half.num_filters as u64);
        let mut widest = rows * channels;
        for &ratio in self.upsampling_ratios.iter().rev() {
            rows /= ratio as u64;
            channels *= 2;
            widest = widest.max(rows * channels);
        }
        at_most(&names.of("num_filters"), "the activations of a frame", widest, MOST_VALUES)?;
        // the left pad of a convolution is (kernel − 1)·dilation + 1 − stride
        let dilation = (half.dilation_growth_rate as u64).saturating_pow(half.num_residual_layers as u32 - 1);
        let history = dilation.saturating_mul(half.residual_kernel_size as u64 - 1).saturating_mul(channels);
        let what = "the history of the widest convolution";
        at_most(&names.of("dilation_growth_rate"), what, history, MOST_VALUES)?;
        let (queries, keys) = (half.num_attention_heads as u64, half.num_key_value_heads as u64);
        let projected = (queries + 2 * keys) * product(&[half.head_dim, self.latent_stride]);
        let what = "the queries, keys and values of a frame";
        at_most(&names.of("head_dim"), what, projected, MOST_VALUES)?;
        let keys_and_values =
            [2, half.num_hidden_layers, half.sliding_window, half.num_key_value_heads, half.head_dim];
        let what = "the keys and values of a transformer's window";
        at_most(&names.of("sliding_window"), what, product(&keys_and_values), MOST_VALUES)
    }

    fn validate_upsampler(&self) -> Result<(), Error> {
        let name = Names(if self.decoder.is_some() { "decoder_config." } else { "" }).of("hidden_size");
        let width = self.decoder_half().hidden_size;
        divides("upsample_groups", self.upsample_groups, &name, width)?;
        if self.upsample_groups < width {
            let weights = product(&[2, self.latent_stride, width, width]);
            at_most(&name, "the weights of the up-sampler", weights, MOST_VALUES)?;
            let zeros = weights - weights / self.upsample_groups as u64;
            at_most("upsample_groups", "the zeros between the up-sampler's groups", zeros, MOST_ZEROS)?;
        }
        Ok(())
    }
}

/// The names of a half's fields in messages: what stands before each.
#[derive(Clone, Copy)]
struct Names(&'static str);

impl Names {
    fn of(self, field: &str) -> String {
        format!("{}{field}", self.0)
    }
}

impl HalfConfig {
    fn validate_seanet(&self, names: Names) -> Result<(), Error> {
        within(&names.of("hidden_size"), self.hidden_size, 1..=1 << 16)?;
        within(&names.of("num_filters"), self.num_filters, 1..=1 << 16)?;
        within(&names.of("num_residual_layers"), self.num_residual_layers, 1..=32)?;
        within(&names.of("kernel_size"), self.kernel_size, 1..=1 << 10)?;
        within(&names.of("last_kernel_size"), self.last_kernel_size, 1..=1 << 10)?;
        within(&names.of("residual_kernel_size"), self.residual_kernel_size, 1..=1 << 10)?;
        within(&names.of("dilation_growth_rate"), self.dilation_growth_rate, 1..=1 << 10)?;
        divides(&names.of("compress"), self.compress, &names.of("num_filters"), self.num_filters)
    }

    fn validate_transformer(&self, names: Names) -> Result<(), Error> {
        within(&names.of("num_hidden_layers"), self.num_hidden_layers, 1..=256)?;
        within(&names.of("intermediate_size"), self.intermediate_size, 1..=1 << 16)?;
        let heads = names.of("num_attention_heads");
        within(&heads, self.num_attention_heads, 1..=1 << 10)?;
        let keys = names.of("num_key_value_heads");
        divides(&keys, self.num_key_value_heads, &heads, self.num_attention_heads)?;
        let head_dim = names.of("head_dim");
        within(&head_dim, self.head_dim, 2..=1 << 12)?;
        if !self.head_dim.is_multiple_of(2) {
            return Err(unsupported(&head_dim, self.head_dim, "an even number, for rotary embedding"));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps <= 1.0) {
            let norm_eps = names.of("norm_eps");
            return Err(unsupported(&norm_eps, self.norm_eps, "a number above 0 and at most 1"));
        }
        within(&names.of("rope_theta"), self.rope_theta, 1.0..=1e12)?;
        within(&names.of("sliding_window"), self.sliding_window, 1..=1 << 20)
    }
}

/// The product, or the largest u64 if it is larger.
fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(factor as u64))
}

fn within<T: PartialOrd + Display>(field: &str, found: T, bounds: RangeInclusive<T>) -> Result<(), Error> {
    if bounds.contains(&found) {
        return Ok(());
    }
    Err(unsupported(field, found, &format!("{} to {}", bounds.start(), bounds.end())))
}

/// Refuses `field` if something that depends on it has too many values.
fn at_most(field: &str, what: &str, values: u64, most: u64) -> Result<(), Error> {
    if values <= most {
        return Ok(());
    }
    let message = format!("unsupported {field}: {what} would be {values} values: expected at most {most}");
    Err(Error::new(ErrorKind::Unsupported, message))
}

fn divides(field: &str, found: usize, of: &str, whole: usize) -> Result<(), Error> {
    if found != 0 && whole.is_multiple_of(found) {
        return Ok(());
    }
    Err(unsupported(field, found, &format!("a divisor of {of}, which is {whole}")))
}

fn unsupported(field: &str, found: impl Display, expected: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("unsupported {field} {found}: expected {expected}"))
}
