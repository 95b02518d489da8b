//! Streams of audio to codes.

use super::buffer::place;
use super::guard::{guard, guard_rt, guard_value};
use super::handle::{self, Kind};
use super::model::*;
use super::options::{mimi_options, stream_options};
use super::status::{Failure, MIMI_ERR_UNSUPPORTED, mimi_status};
use super::stream;
use crate::{Encoder, Model};

/// A stream of audio to codes. One thread at a time; it may move between threads.
pub struct mimi_encoder;

impl Kind for Encoder {
    type Opaque = mimi_encoder;
    const NAME: &'static str = "mimi_encoder";
    const TAG: u32 = u32::from_le_bytes(*b"mien");
}

/// Opens a stream. All the memory that it will ever use is allocated here.
///
/// - `model`: a model with an encoder. The stream keeps its weights alive.
/// - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
///   MIMI_OPT_SAMPLE_RATE; NULL for the defaults.
/// - `out`: receives the stream; free it with mimi_encoder_free().
///
/// MIMI_ERR_INVALID_ARGUMENT for more codebooks than the model has or an impossible sample rate,
/// MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_new(
    model: *const mimi_model,
    options: *const mimi_options,
    out: *mut *mut mimi_encoder,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let model: &Model = handle::shared(model)?;
            Ok::<_, Failure>(Encoder::new(model, &stream_options(options)?)?)
        })
    })
}

/// Takes any number of samples and writes the codes of the frames that they complete. Real-time.
///
/// - `pcm`, `n_samples`: mono audio at the stream's rate. All of it is taken.
/// - `codes`, `codes_cap`: room for the codes of as many frames as the call completes, at most
///   ceil(n_samples / frame samples); mimi_encoder_codes_for() tells exactly.
/// - `out_codes`: receives the number of codes written, a multiple of the codebooks, often 0.
///
/// Codes do not depend on how the audio is cut into calls.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_process(
    encoder: *mut mimi_encoder,
    pcm: *const f32,
    n_samples: usize,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let names = ["pcm", "codes", "out_codes"];
        stream::process::<u32, Encoder>(names, encoder, pcm, n_samples, codes, codes_cap, out_codes)
    })
}

/// Ends the stream: completes a last partial frame by MIMI_OPT_TAIL and writes its codes. Real-time. The
/// decoded audio is whole frames, up to a frame longer than the recording: cut it to the samples that went in.
///
/// - `encoder`: the stream. Afterwards it is as after mimi_encoder_reset(), except that it keeps
///   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next audio.
/// - `codes`, `codes_cap`: room for MIMI_PROP_FLUSH_LEN codes: none if no audio is pending, else one
///   frame. At a rate other than the model's, up to two frames.
/// - `out_codes`: receives the number of codes written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_flush(
    encoder: *mut mimi_encoder,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let names = ["codes", "out_codes"];
        stream::without_input(names, encoder, codes, codes_cap, out_codes, Encoder::flush)
    })
}

/// Tells how many codes mimi_encoder_process() would write for `n_samples` samples now. Real-time.
///
/// - `n_samples`: the samples of the call to come.
/// - `out_codes`: receives the number of codes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_codes_for(
    encoder: *const mimi_encoder,
    n_samples: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let encoder: &Encoder = handle::shared(encoder)?;
        place("out_codes", out_codes)?.write(encoder.values_for::<u32>(n_samples)?);
        Ok(())
    })
}

/// Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_encoder_reset(encoder: *mut mimi_encoder) -> mimi_status {
    // SAFETY: `encoder` is as the header's introduction asks.
    guard_rt(|| unsafe { handle::recover(encoder, Encoder::reset).map_err(mimi_status::from) })
}

/// Reads a property of a stream: `out_value` receives that of `key`, a MIMI_PROP_ key. Real-time.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_get(
    encoder: *const mimi_encoder,
    key: mimi_prop,
    out_value: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let encoder: &Encoder = handle::shared(encoder)?;
        let out = place("out_value", out_value)?;
        let value = match key {
            MIMI_PROP_CODEBOOKS => Some(encoder.codebooks() as i64),
            MIMI_PROP_SAMPLE_RATE => Some(encoder.sample_rate().into()),
            MIMI_PROP_FRAME_SAMPLES => Some(encoder.frame_samples() as i64),
            MIMI_PROP_LATENCY_SAMPLES => Some(encoder.latency_samples() as i64),
            MIMI_PROP_FRAMES => Some(encoder.frames() as i64),
            MIMI_PROP_MEMORY_BYTES => Some(encoder.memory_bytes() as i64),
            MIMI_PROP_CODES_HASH => Some(encoder.codes_hash()),
            MIMI_PROP_FLUSH_LEN => Some(encoder.codes_for_flush() as i64),
            MIMI_PROP_FLUSH_LATENTS => Some(encoder.latents_for_flush() as i64),
            _ => common_property(encoder.spec(), key),
        };
        out.write(value.ok_or(MIMI_ERR_UNSUPPORTED)?);
        Ok(())
    })
}

/// Forks a stream: the copy stands at the same point, has the same options and goes its own way.
/// `out` receives the copy; free it with mimi_encoder_free().
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_clone(
    encoder: *const mimi_encoder,
    out: *mut *mut mimi_encoder,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let encoder: &Encoder = handle::shared(encoder)?;
            Ok::<_, Failure>(encoder.try_clone()?)
        })
    })
}

/// Frees a stream. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_encoder_free(encoder: *mut mimi_encoder) {
    // SAFETY: `encoder` is as the header's introduction asks.
    guard_value((), || unsafe { handle::free::<Encoder>(encoder) });
}
