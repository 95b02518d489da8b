//! What stands between the halves of a network, and how streams take and give it: codes, latents, or nothing where a
//! frame was lost.

use super::{Direction, Stream};
use crate::{NO_CODE, StreamError};
use std::ops::Range;

/// Samples and latents beyond this are cut to it: as samples 100 dB over full scale, and far below where the network's
/// sums would overflow and stay in its memory as NaN.
const LIMIT: f32 = 1e5;

/// A value of a frame at the border between the halves.
pub(crate) trait Value: Copy {
    /// How many are in a frame.
    fn in_frame<D: Direction>(stream: &Stream<D>) -> usize;

    /// How many frames so many values are, with `in_frame` in each.
    fn whole_frames(values: usize, in_frame: usize) -> Result<usize, StreamError>;

    /// How many frames of a stream so many values are.
    fn frames<D: Direction>(stream: &Stream<D>, values: usize) -> Result<usize, StreamError> {
        Self::whole_frames(values, Self::in_frame(stream))
    }

    /// The operations between samples and these.
    fn operations<D: Direction>(stream: &Stream<D>) -> Range<usize>;

    /// Whether a stream has such values, and can take these.
    fn check<D: Direction>(stream: &Stream<D>, values: &[Self]) -> Result<(), StreamError>;

    /// Puts values of whole frames where a pass looks for them.
    fn put<D: Direction>(stream: &mut Stream<D>, values: &[Self]);

    /// Copies those that a pass has made out.
    fn get<D: Direction>(stream: &Stream<D>, values: &mut [Self]);

    /// Puts the codes of `frames` frames into the stream's hash.
    fn note<D: Direction>(stream: &mut Stream<D>, frames: usize);
}

/// Codes.
impl Value for u32 {
    fn in_frame<D: Direction>(stream: &Stream<D>) -> usize {
        stream.shape.codebooks
    }

    fn whole_frames(codes: usize, codebooks: usize) -> Result<usize, StreamError> {
        match codebooks {
            0 => Err(StreamError::NoQuantizer),
            codebooks if codes.is_multiple_of(codebooks) => Ok(codes / codebooks),
            codebooks => Err(StreamError::PartialFrame { codes, codebooks }),
        }
    }

    fn operations<D: Direction>(stream: &Stream<D>) -> Range<usize> {
        0..stream.program.len()
    }

    fn check<D: Direction>(stream: &Stream<D>, codes: &[u32]) -> Result<(), StreamError> {
        check_codes(codes, stream.shape.codebooks, stream.spec.codebook_size)
    }

    fn put<D: Direction>(stream: &mut Stream<D>, codes: &[u32]) {
        let staged = &mut stream.memory.codes[..codes.len()];
        staged.copy_from_slice(codes);
        if let Some(quantizer) = &stream.quantizer {
            quantizer.drop_after_gaps(staged, stream.shape.codebooks);
        }
    }

    fn get<D: Direction>(stream: &Stream<D>, codes: &mut [u32]) {
        codes.copy_from_slice(&stream.memory.codes[..codes.len()]);
    }

    fn note<D: Direction>(stream: &mut Stream<D>, frames: usize) {
        let Stream { memory, hash, shape, .. } = stream;
        hash.update(&memory.codes[..frames * shape.codebooks]);
    }
}

/// Whether these are whole frames of codes that the codebooks have, or that did not arrive.
pub(crate) fn check_codes(codes: &[u32], codebooks: usize, codebook_size: usize) -> Result<(), StreamError> {
    u32::whole_frames(codes.len(), codebooks)?;
    let codebook_size = codebook_size as u32;
    match codes.iter().position(|&code| code >= codebook_size && code != NO_CODE) {
        Some(index) => Err(StreamError::CodeOutOfRange { index, code: codes[index], codebook_size }),
        None => Ok(()),
    }
}

/// Latents.
impl Value for f32 {
    fn in_frame<D: Direction>(stream: &Stream<D>) -> usize {
        stream.spec.latent_dim
    }

    fn whole_frames(values: usize, latent_dim: usize) -> Result<usize, StreamError> {
        match values.is_multiple_of(latent_dim) {
            true => Ok(values / latent_dim),
            false => Err(StreamError::PartialLatent { values, latent_dim }),
        }
    }

    fn operations<D: Direction>(stream: &Stream<D>) -> Range<usize> {
        let [begin, end] = stream.border.operations;
        begin..end
    }

    fn check<D: Direction>(stream: &Stream<D>, latents: &[f32]) -> Result<(), StreamError> {
        Self::frames(stream, latents.len()).map(drop)
    }

    fn put<D: Direction>(stream: &mut Stream<D>, latents: &[f32]) {
        let slot = stream.border.latents.first(latents.len());
        copy_finite(latents, &mut stream.memory.scratch[slot]);
        // any code says that the frame arrived
        let marks = latents.len() / stream.spec.latent_dim * stream.shape.marks();
        stream.memory.codes[..marks].fill(0);
    }

    fn get<D: Direction>(stream: &Stream<D>, latents: &mut [f32]) {
        let slot = stream.border.latents.first(latents.len());
        latents.copy_from_slice(&stream.memory.scratch[slot]);
    }

    fn note<D: Direction>(_: &mut Stream<D>, _: usize) {}
}

/// In place of a frame that did not arrive.
#[derive(Clone, Copy)]
pub(crate) struct Lost;

impl Value for Lost {
    fn in_frame<D: Direction>(_: &Stream<D>) -> usize {
        1
    }

    fn whole_frames(lost: usize, _: usize) -> Result<usize, StreamError> {
        Ok(lost)
    }

    fn operations<D: Direction>(stream: &Stream<D>) -> Range<usize> {
        f32::operations(stream)
    }

    fn check<D: Direction>(_: &Stream<D>, _: &[Lost]) -> Result<(), StreamError> {
        Ok(())
    }

    fn put<D: Direction>(stream: &mut Stream<D>, lost: &[Lost]) {
        let marks = lost.len() * stream.shape.marks();
        stream.memory.codes[..marks].fill(NO_CODE);
    }

    fn get<D: Direction>(_: &Stream<D>, _: &mut [Lost]) {}

    fn note<D: Direction>(stream: &mut Stream<D>, frames: usize) {
        u32::note(stream, frames);
    }
}

/// Copies samples or latents; NaN and infinity become 0.
pub(crate) fn copy_finite(from: &[f32], to: &mut [f32]) {
    for (from, to) in from.iter().zip(to) {
        *to = if from.is_finite() { from.clamp(-LIMIT, LIMIT) } else { 0.0 };
    }
}
