//! Whole recordings in one call.

use super::buffer::{apart, disjoint, extent, input, output, place, report};
use super::guard::guard;
use super::handle;
use super::model::mimi_model;
use super::options::{mimi_options, stream_options};
use super::status::{Failure, mimi_status};
use crate::{Model, StreamError};
use std::ptr::NonNull;

/// Encodes a whole recording.
///
/// - `model`: a model with an encoder. Any number of threads may use it at once.
/// - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
///   MIMI_OPT_SAMPLE_RATE, MIMI_OPT_THREADS; NULL for the defaults.
/// - `pcm`, `n_samples`: mono audio, at the model's sample rate or MIMI_OPT_SAMPLE_RATE.
/// - `codes`, `codes_cap`: room for the codes: codebooks * ceil(n_samples / frame samples), where a
///   frame is 1920 samples at 24000 Hz, 3528 at 44100, 3840 at 48000. mimi_codes_for() tells exactly.
/// - `out_codes`: receives the number of codes written.
///
/// MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder. The codes are a stream's, bit for
/// bit.
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
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` and `apart` keep them apart.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        let out = place("out_codes", out_codes)?;
        let buffers = [extent("pcm", pcm, n_samples), extent("codes", codes.cast_const(), codes_cap)];
        apart(("out_codes", out), &buffers)?;
        disjoint(("pcm", pcm, n_samples), ("codes", codes, codes_cap))?;
        let pcm = input("pcm", pcm, n_samples)?;
        let codes = output("codes", codes, codes_cap)?;
        let needed = model.codes_for(pcm.len(), &options)?;
        fill(out, needed, codes, |codes| Ok(model.encode_into(pcm, codes, &options)?))
    })
}

/// Decodes a whole recording.
///
/// - `model`: a model with a decoder. Any number of threads may use it at once.
/// - `options`: as for mimi_encode(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
/// - `codes`, `n_codes`: whole frames of codes, MIMI_NO_CODE in place of those that are lost.
/// - `pcm`, `pcm_cap`: room for the audio, frame samples for each frame. mimi_samples_for() tells exactly.
/// - `out_samples`: receives the number of samples written. They line up with what was encoded;
///   the last frame may reach beyond it.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_CORRUPT if a code is neither below
/// MIMI_PROP_CODEBOOK_SIZE nor MIMI_NO_CODE, MIMI_ERR_UNSUPPORTED if the model was loaded without its
/// decoder.
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
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` and `apart` keep them apart.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        let out = place("out_samples", out_samples)?;
        let buffers = [extent("codes", codes, n_codes), extent("pcm", pcm.cast_const(), pcm_cap)];
        apart(("out_samples", out), &buffers)?;
        disjoint(("codes", codes, n_codes), ("pcm", pcm, pcm_cap))?;
        let codes = input("codes", codes, n_codes)?;
        let pcm = output("pcm", pcm, pcm_cap)?;
        let needed = model.samples_for(codes.len(), &options)?;
        fill(out, needed, pcm, |pcm| Ok(model.decode_into(codes, pcm, &options)?))
    })
}

/// Tells how many codes mimi_encode() writes, at once and without the audio.
///
/// - `model`, `options`: those of the call to come.
/// - `n_samples`: the samples of the recording.
/// - `out_codes`: receives the number of codes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_codes_for(
    model: *const mimi_model,
    options: *const mimi_options,
    n_samples: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        place("out_codes", out_codes)?.write(model.codes_for(n_samples, &options)?);
        Ok(())
    })
}

/// Tells how many samples mimi_decode() writes, at once and without the codes.
///
/// - `model`, `options`: those of the call to come.
/// - `n_codes`: the codes of the recording, whole frames.
/// - `out_samples`: receives the number of samples.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_samples_for(
    model: *const mimi_model,
    options: *const mimi_options,
    n_codes: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        place("out_samples", out_samples)?.write(model.samples_for(n_codes, &options)?);
        Ok(())
    })
}

/// Lets `make` write its `needed` numbers to `to` if they fit, and writes their count to `out`.
///
/// # Safety
/// `out` is valid for a write.
unsafe fn fill<T>(
    out: NonNull<usize>,
    needed: usize,
    to: &mut [T],
    make: impl FnOnce(&mut [T]) -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let result = match to.get_mut(..needed) {
        Some(to) => Ok(make(to)?),
        None => Err(StreamError::BufferTooSmall { needed }),
    };
    // SAFETY: this function's contract.
    unsafe { report(out, result) }.map_err(Failure::from)
}
