//! Which networks this library runs.

use super::Config;
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
    /// | `hidden_size`, `intermediate_size`, `codebook_dim`, `num_filters` | 1 to 65 536 |
    /// | `num_residual_layers` | 1 to 32 |
    /// | `upsampling_ratios` | 1 to 12 of them, each 1 to 1 024, their product at most 65 536 |
    /// | `kernel_size`, `last_kernel_size`, `residual_kernel_size`, `dilation_growth_rate` | 1 to 1 024 |
    /// | `compress` | a divisor of `num_filters` |
    /// | `codebook_size` | 2 to 65 536, not only powers of two |
    /// | `vector_quantization_hidden_dimension` | the same as `codebook_dim` |
    /// | `num_quantizers` | 2 to 1 024 |
    /// | `num_semantic_quantizers` | 1 to `num_quantizers` − 1 |
    /// | `upsample_groups` | a divisor of `hidden_size` |
    /// | `latent_stride` | 2 to 256 (at 1, Mimi has no down-sampler) |
    /// | `num_hidden_layers` | 1 to 256 |
    /// | `num_attention_heads` | 1 to 1 024 |
    /// | `num_key_value_heads` | a divisor of `num_attention_heads` |
    /// | `head_dim` | even, 2 to 4 096 |
    /// | `norm_eps` | above 0, at most 1 |
    /// | `rope_theta` | 1 to 10¹² |
    /// | `sliding_window` | 1 to 1 048 576 |
    ///
    /// Beyond that, each of these may have at most 2²⁸ values: the largest activation of a frame, the history of the
    /// widest convolution, the queries, keys and values of a frame, the keys and values of a transformer's window, and
    /// the weights of an up-sampler with more than one channel in a group. Such an up-sampler is kept with zeros
    /// between its groups, at most 2²⁴ of them.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: the message names the field, its value and the supported values.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_seanet()?;
        self.validate_quantizer()?;
        self.validate_transformer()?;
        self.validate_memory()
    }

    fn validate_seanet(&self) -> Result<(), Error> {
        within("sampling_rate", self.sampling_rate, 1..=1 << 20)?;
        within("hidden_size", self.hidden_size, 1..=1 << 16)?;
        within("num_filters", self.num_filters, 1..=1 << 16)?;
        within("num_residual_layers", self.num_residual_layers, 1..=32)?;
        within("number of upsampling_ratios", self.upsampling_ratios.len(), 1..=12)?;
        for (index, &ratio) in self.upsampling_ratios.iter().enumerate() {
            within(&format!("upsampling_ratios[{index}]"), ratio, 1..=1 << 10)?;
        }
        within("product of upsampling_ratios", product(&self.upsampling_ratios), 1..=1 << 16)?;
        within("kernel_size", self.kernel_size, 1..=1 << 10)?;
        within("last_kernel_size", self.last_kernel_size, 1..=1 << 10)?;
        within("residual_kernel_size", self.residual_kernel_size, 1..=1 << 10)?;
        within("dilation_growth_rate", self.dilation_growth_rate, 1..=1 << 10)?;
        divides("compress", self.compress, "num_filters", self.num_filters)?;
        divides("upsample_groups", self.upsample_groups, "hidden_size", self.hidden_size)?;
        within("latent_stride", self.latent_stride, LATENT_STRIDES)
    }

    fn validate_quantizer(&self) -> Result<(), Error> {
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

    fn validate_transformer(&self) -> Result<(), Error> {
        within("num_hidden_layers", self.num_hidden_layers, 1..=256)?;
        within("intermediate_size", self.intermediate_size, 1..=1 << 16)?;
        within("num_attention_heads", self.num_attention_heads, 1..=1 << 10)?;
        divides(
            "num_key_value_heads",
            self.num_key_value_heads,
            "num_attention_heads",
            self.num_attention_heads,
        )?;
        within("head_dim", self.head_dim, 2..=1 << 12)?;
        if !self.head_dim.is_multiple_of(2) {
            return Err(unsupported("head_dim", self.head_dim, "an even number, for rotary embedding"));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps <= 1.0) {
            return Err(unsupported("norm_eps", self.norm_eps, "a number above 0 and at most 1"));
        }
        within("rope_theta", self.rope_theta, 1.0..=1e12)?;
        within("sliding_window", self.sliding_window, 1..=1 << 20)
    }

    /// Bounds what a stream must hold. Weights need no bound here, because they are at most as large as their file.
    fn validate_memory(&self) -> Result<(), Error> {
        // channels double at each stage of the encoder while the rate falls by the ratio
        let (mut rows, mut channels) = (self.frame_size() as u64, self.num_filters as u64);
        let mut widest = rows * channels;
        for &ratio in self.upsampling_ratios.iter().rev() {
            rows /= ratio as u64;
            channels *= 2;
            widest = widest.max(rows * channels);
        }
        at_most("num_filters", "the activations of a frame", widest, MOST_VALUES)?;
        // the left pad of a convolution is (kernel − 1)·dilation + 1 − stride
        let dilation = (self.dilation_growth_rate as u64).saturating_pow(self.num_residual_layers as u32 - 1);
        let history = dilation.saturating_mul(self.residual_kernel_size as u64 - 1).saturating_mul(channels);
        at_most("dilation_growth_rate", "the history of the widest convolution", history, MOST_VALUES)?;
        let (queries, keys) = (self.num_attention_heads as u64, self.num_key_value_heads as u64);
        let projected = (queries + 2 * keys) * product(&[self.head_dim, self.latent_stride]);
        at_most("head_dim", "the queries, keys and values of a frame", projected, MOST_VALUES)?;
        if self.upsample_groups < self.hidden_size {
            let weights = product(&[2, self.latent_stride, self.hidden_size, self.hidden_size]);
            at_most("hidden_size", "the weights of the up-sampler", weights, MOST_VALUES)?;
            let zeros = weights - weights / self.upsample_groups as u64;
            at_most("upsample_groups", "the zeros between the up-sampler's groups", zeros, MOST_ZEROS)?;
        }
        let keys_and_values =
            [2, self.num_hidden_layers, self.sliding_window, self.num_key_value_heads, self.head_dim];
        let what = "the keys and values of a transformer's window";
        at_most("sliding_window", what, product(&keys_and_values), MOST_VALUES)
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
