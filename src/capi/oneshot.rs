//! Whole recordings in one call.

use super::buffer::{disjoint, input, output, place, report};
use super::guard::guard;
use super::handle;
use super::model::mimi_model;
use super::options::{mimi_options, stream_options};
use super::status::{Failure, mimi_status};
use crate::{Model, StreamError};
use std::ptr::NonNull;

/// Encodes a whole recording.
///
/// - `model`: a model with an encoder; not NULL. Any number of threads may use it at once.
/// - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
///   MIMI_OPT_SAMPLE_RATE, MIMI_OPT_THREADS; NULL for the defaults.
/// - `pcm`, `n_samples`: mono audio, -1 to 1, at the model's sample rate or MIMI_OPT_SAMPLE_RATE.
///   Not-a-number and infinity count as 0.
/// - `codes`, `codes_cap`: room for the codes, frame after frame: code k of frame f is
///   `codes[f * codebooks + k]`. Must not overlap `pcm`.
/// - `out_codes`: receives the number of codes written, codebooks * ceil(n_samples / frame samples), where
///   a frame is 1920 samples at 24000 Hz, 3528 at 44100, 3840 at 48000; not NULL.
///
/// With `codes` NULL and `codes_cap` 0 it only asks for that number: MIMI_ERR_BUFFER_TOO_SMALL, at
/// once. MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder. Codes are the same as a
/// stream's, bit for bit.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encode(
    model: *const mimi_model,
    options: *const mimi_options,
    pcm: *const f32,
    n_samples: usize,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` keeps the references
    // apart.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        let out = place("out_codes", out_codes)?;
        disjoint(("pcm", pcm, n_samples), ("codes", codes, codes_cap))?;
        let pcm = input("pcm", pcm, n_samples)?;
        let codes = output("codes", codes, codes_cap)?;
        let needed = model.codes_for(pcm.len(), &options)?;
        deliver(out, needed, codes, || Ok(model.encode(pcm, &options)?))
    })
}

/// Decodes a whole recording.
///
/// - `model`: a model with a decoder; not NULL. Any number of threads may use it at once.
/// - `options`: as for mimi_encode(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
/// - `codes`, `n_codes`: whole frames of codes, laid out as mimi_encode() writes them.
/// - `pcm`, `pcm_cap`: room for the audio, mono, nominally -1 to 1 but not clipped. Must not overlap
///   `codes`.
/// - `out_samples`: receives the number of samples written, frame samples for each frame, in line with
///   what was encoded; not NULL.
///
/// With `pcm` NULL and `pcm_cap` 0 it only asks for that number: MIMI_ERR_BUFFER_TOO_SMALL, at once.
/// MIMI_ERR_INVALID_ARGUMENT if the codes are no whole number of frames, MIMI_ERR_CORRUPT if a code is
/// not below the codebook size, MIMI_ERR_UNSUPPORTED if the model was loaded without its decoder.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decode(
    model: *const mimi_model,
    options: *const mimi_options,
    codes: *const u32,
    n_codes: usize,
    pcm: *mut f32,
    pcm_cap: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` keeps the references
    // apart.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        let out = place("out_samples", out_samples)?;
        disjoint(("codes", codes, n_codes), ("pcm", pcm, pcm_cap))?;
        let codes = input("codes", codes, n_codes)?;
        let pcm = output("pcm", pcm, pcm_cap)?;
        let needed = model.samples_for(codes.len(), &options)?;
        deliver(out, needed, pcm, || Ok(model.decode(codes, &options)?))
    })
}

/// Copies what `make` returns to `to` if its `needed` numbers fit, and writes their count to `out`.
///
/// # Safety
/// `out` is valid for a write.
unsafe fn deliver<T: Copy>(
    out: NonNull<usize>,
    needed: usize,
    to: &mut [T],
    make: impl FnOnce() -> Result<Vec<T>, Failure>,
) -> Result<(), Failure> {
    let result = if needed > to.len() {
        Err(StreamError::BufferTooSmall { needed })
    } else {
        let made = make()?;
        to[..made.len()].copy_from_slice(&made);
        Ok(made.len())
    };
    // SAFETY: this function's contract.
    unsafe { report(out, result) }.map_err(Failure::from)
}
