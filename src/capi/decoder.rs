//! Streams of codes to audio.

use super::buffer::{disjoint, input, output, place, report};
use super::guard::{guard, guard_rt, guard_value};
use super::handle::{self, Kind};
use super::model::*;
use super::options::{mimi_options, stream_options};
use super::status::{Failure, MIMI_ERR_UNSUPPORTED, mimi_status};
use crate::{Decoder, Model};

/// A stream of codes to audio. One thread at a time; it may move between threads.
pub struct mimi_decoder;

impl Kind for Decoder {
    type Opaque = mimi_decoder;
    const NAME: &'static str = "mimi_decoder";
    const TAG: u32 = u32::from_le_bytes(*b"mide");
}

/// Opens a stream.
///
/// - `model`: a model with a decoder; not NULL. The stream keeps its weights alive.
/// - `options`: as for mimi_encoder_new(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
/// - `out`: receives the stream, to be freed with mimi_decoder_free(), or NULL on any error; not NULL.
///
/// All the memory that the stream will ever use is allocated here. MIMI_ERR_INVALID_ARGUMENT for more
/// codebooks than the model has or an impossible sample rate, MIMI_ERR_UNSUPPORTED if the model was loaded without its decoder,
/// MIMI_ERR_OUT_OF_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_new(
    model: *const mimi_model,
    options: *const mimi_options,
    out: *mut *mut mimi_decoder,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let model: &Model = handle::shared(model)?;
            Ok::<_, Failure>(Decoder::new(model, &stream_options(options)?)?)
        })
    })
}

/// Takes whole frames of codes and writes their audio. Real-time.
///
/// - `decoder`: the stream; not NULL.
/// - `codes`, `n_codes`: any number of whole frames: code k of frame f is
///   `codes[f * codebooks + k]`. All are taken. NULL with a positive length is reserved for lost
///   frames and MIMI_ERR_UNSUPPORTED in this release.
/// - `pcm`, `pcm_cap`: room for the audio, mono, nominally -1 to 1 but not clipped. Must not overlap
///   `codes`.
/// - `out_samples`: receives the number of samples written, frame samples for each frame; not NULL. At a
///   rate other than the model's, the last MIMI_PROP_LATENCY_SAMPLES of a call are held back until the next
///   one or the flush, so that a stream's first call writes so much less.
///
/// The audio does not depend on how the frames are cut into calls. With `pcm` NULL and `pcm_cap` 0 it
/// only asks for the number of samples: MIMI_ERR_BUFFER_TOO_SMALL, and nothing is taken.
/// MIMI_ERR_INVALID_ARGUMENT if the codes are no whole number of frames, MIMI_ERR_CORRUPT if a code is
/// not below the codebook size.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_process(
    decoder: *mut mimi_decoder,
    codes: *const u32,
    n_codes: usize,
    pcm: *mut f32,
    pcm_cap: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` keeps the references
    // apart.
    guard_rt(|| unsafe {
        handle::exclusive(decoder, |decoder: &mut Decoder| {
            let out = place("out_samples", out_samples)?;
            if codes.is_null() && n_codes > 0 {
                return Err(MIMI_ERR_UNSUPPORTED);
            }
            disjoint(("codes", codes, n_codes), ("pcm", pcm, pcm_cap))?;
            let codes = input("codes", codes, n_codes)?;
            let pcm = output("pcm", pcm, pcm_cap)?;
            report(out, decoder.process(codes, pcm)).map_err(mimi_status::from)
        })?
    })
}

/// Ends the stream and writes what audio is still due. Real-time.
///
/// - `decoder`: the stream; not NULL. Afterwards it is as after mimi_decoder_reset(), but keeps
///   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next codes.
/// - `pcm`, `pcm_cap`: room for the audio: MIMI_PROP_LATENCY_SAMPLES, which is none at the model's rate, or
///   none if no codes were taken.
/// - `out_samples`: receives the number of samples written; not NULL.
///
/// With too little room, MIMI_ERR_BUFFER_TOO_SMALL, and the stream has not ended.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_flush(
    decoder: *mut mimi_decoder,
    pcm: *mut f32,
    pcm_cap: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        handle::exclusive(decoder, |decoder: &mut Decoder| {
            let out = place("out_samples", out_samples)?;
            let pcm = output("pcm", pcm, pcm_cap)?;
            report(out, decoder.flush(pcm)).map_err(mimi_status::from)
        })?
    })
}

/// Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time.
///
/// - `decoder`: the stream; not NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_decoder_reset(decoder: *mut mimi_decoder) -> mimi_status {
    // SAFETY: `decoder` is as the header's introduction asks.
    guard_rt(|| unsafe { handle::recover(decoder, Decoder::reset).map_err(mimi_status::from) })
}

/// Reads a property of a stream. Real-time.
///
/// - `decoder`: the stream; not NULL.
/// - `key`: a MIMI_PROP_ key; MIMI_ERR_UNSUPPORTED if this release does not know it.
/// - `out_value`: receives the value; not NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_decoder_get(
    decoder: *const mimi_decoder,
    key: mimi_prop,
    out_value: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let decoder: &Decoder = handle::shared(decoder)?;
        let out = place("out_value", out_value)?;
        let value = match key {
            MIMI_PROP_CODEBOOKS => Some(decoder.codebooks() as i64),
            MIMI_PROP_SAMPLE_RATE => Some(decoder.sample_rate().into()),
            MIMI_PROP_FRAME_SAMPLES => Some(decoder.frame_samples() as i64),
            MIMI_PROP_LATENCY_SAMPLES => Some(decoder.latency_samples() as i64),
            MIMI_PROP_FRAMES => Some(decoder.frames() as i64),
            MIMI_PROP_MEMORY_BYTES => Some(decoder.memory_bytes() as i64),
            MIMI_PROP_CODES_HASH => Some(decoder.codes_hash()),
            _ => common_property(decoder.model(), key),
        };
        out.write(value.ok_or(MIMI_ERR_UNSUPPORTED)?);
        Ok(())
    })
}

/// Forks a stream: the copy stands at the same point, has the same options and goes its own way.
///
/// - `decoder`: the stream; not NULL.
/// - `out`: receives the copy, to be freed with mimi_decoder_free(), or NULL on any error; not NULL.
///
/// MIMI_ERR_OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_decoder_clone(
    decoder: *const mimi_decoder,
    out: *mut *mut mimi_decoder,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let decoder: &Decoder = handle::shared(decoder)?;
            Ok::<_, Failure>(decoder.try_clone()?)
        })
    })
}

/// Frees a stream. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_decoder_free(decoder: *mut mimi_decoder) {
    // SAFETY: `decoder` is as the header's introduction asks.
    guard_value((), || unsafe { handle::free::<Decoder>(decoder) });
}
