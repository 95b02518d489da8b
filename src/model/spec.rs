//! What streams and token files know of a model.

use crate::{Isa, Parts, Precision};

/// What there is to know of a model without its network: what streams and token files need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spec {
    /// Hz.
    pub sampling_rate: u32,
    /// Samples in a frame, at the model's rate.
    pub frame_size: usize,
    /// Values in a frame of latents: what enters the quantizer and leaves it.
    pub latent_dim: usize,
    /// Codebooks loaded; 0 for a model without a quantizer.
    pub codebooks: usize,
    /// Code words in a codebook; codes are below it.
    pub codebook_size: usize,
    /// See [`Model::id`](crate::Model::id).
    pub id: i64,
    /// Halves loaded.
    pub parts: Parts,
    /// How the weights are kept.
    pub precision: Precision,
    /// The instruction set that the kernels use: never [`Isa::Auto`].
    pub isa: Isa,
}

impl Spec {
    /// Bits that a code needs: 11 for a codebook of 2048.
    pub fn code_bits(&self) -> u32 {
        (usize::BITS - self.codebook_size.saturating_sub(1).leading_zeros()).max(1)
    }
}
