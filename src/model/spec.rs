//! What streams and token files know of a model.

use super::Shape;
use crate::error::NO_QUANTIZER;
use crate::resample::Rates;
use crate::{Error, ErrorKind, Isa, Parts, Precision, StreamOptions};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// What there is to know of a model without its network: what streams and token files need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spec {
    /// Hz.
    pub sampling_rate: u32,
    /// Samples in a frame, at the model's rate.
    pub frame_size: usize,
    /// Values in a frame of latents: what enters the quantizer and leaves it, if there is one.
    pub latent_dim: usize,
    /// Codebooks loaded; 0 for a model without a quantizer.
    pub codebooks: usize,
    /// Codebooks of a stream whose options do not tell them: 8, or as many as the config says, or all if those are
    /// fewer.
    pub default_codebooks: usize,
    /// Code words in a codebook; codes are below it. 0 for a model without a quantizer.
    pub codebook_size: usize,
    /// Attention windows in steps, of encoder and decoder, where options do not say otherwise.
    pub(crate) contexts: [usize; 2],
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

    /// The codebooks of a stream with `options`.
    pub(crate) fn stream_codebooks(&self, options: &StreamOptions) -> Result<usize, Error> {
        let all = self.codebooks;
        if all == 0 {
            return Err(Error::new(ErrorKind::Unsupported, NO_QUANTIZER));
        }
        let most = format_args!("{all}, as the loaded model has");
        within("codebooks", options.codebooks, 1..=all, most)
            .map(|found| found.unwrap_or(self.default_codebooks))
    }

    /// The sample rates of a stream with `options`.
    pub(crate) fn stream_rates(&self, options: &StreamOptions) -> Result<Rates, Error> {
        Rates::new(options.sample_rate, self.sampling_rate, self.frame_size)
    }

    /// The shape of a stream with `options`, on a half whose attention window is `context` unless they say otherwise.
    pub(crate) fn stream_shape(&self, options: &StreamOptions, context: usize) -> Result<Shape, Error> {
        let block = within("max_block", options.max_block, 1..=MAX_BLOCK, MAX_BLOCK)?;
        Ok(Shape {
            block: block.map_or(1, |samples| samples.div_ceil(self.frame_size)),
            context: within("context", options.context, 1..=MAX_CONTEXT, MAX_CONTEXT)?.unwrap_or(context),
            codebooks: match (self.codebooks, options.codebooks) {
                (0, None | Some(0)) => 0,
                _ => self.stream_codebooks(options)?,
            },
            threads: 1,
        })
    }
}

/// Threads of a call with this option.
pub(crate) fn threads(found: Option<usize>) -> Result<usize, Error> {
    let threads = within("threads", found, 1..=MAX_THREADS, MAX_THREADS)?.unwrap_or(1);
    if cfg!(all(target_family = "wasm", not(target_feature = "atomics"))) && threads > 1 {
        let message =
            format_args!("threads is {threads}: expected 1, because this WebAssembly has no threads");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(threads)
}

/// Steps in the longest attention window; its keys and values take 2 GB in the published model.
pub(crate) const MAX_CONTEXT: usize = 1 << 16;

/// Samples in the largest block.
pub(crate) const MAX_BLOCK: usize = StreamOptions::MAX_BLOCK;

/// Threads in the largest team: beyond these, what is not shared takes most of the time.
pub(crate) const MAX_THREADS: usize = 64;

/// An option's value, if it is within bounds.
fn within(
    name: &str,
    found: Option<usize>,
    bounds: RangeInclusive<usize>,
    most: impl Display,
) -> Result<Option<usize>, Error> {
    match found {
        Some(n) if !bounds.contains(&n) => {
            let message = format_args!("{name} is {n}: expected {} to {most}", bounds.start());
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
        found => Ok(found),
    }
}
