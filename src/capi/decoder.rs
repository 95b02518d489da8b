//! Streams of codes to audio.

use super::buffer::place;
use super::guard::{guard, guard_rt, guard_value};
use super::handle::{self, Kind};
use super::model::*;
use super::options::{mimi_options, stream_options};
use super::status::{Failure, MIMI_ERR_UNSUPPORTED, mimi_status};
use super::stream;
use crate::{Decoder, Model};

/// A code that did not arrive, in the input of decoders and playbacks; see "Lost frames".
pub const MIMI_NO_CODE: u32 = u32::MAX;

/// A stream of codes to audio. One thread at a time; it may move between threads.
pub struct mimi_decoder;

impl Kind for Decoder {
    type Opaque = mimi_decoder;
    const NAME: &'static str = "mimi_decoder";
    const TAG: u32 = u32::from_le_bytes(*b"mide");
}

/// Opens a stream, as mimi_encoder_new() does.
///
/// - `model`: a model with a decoder.
/// - `options`: those of mimi_encoder_new(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
/// - `out`: receives the stream; free it with mimi_decoder_free().
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
/// - `codes`, `n_codes`: any number of whole frames. All are taken. MIMI_NO_CODE stands for a code that
///   did not arrive, and NULL with a positive length for whole frames that did not: see "Lost frames".
/// - `pcm`, `pcm_cap`: room for the audio; mimi_decoder_samples_for() tells exactly.
/// - `out_samples`: receives the number of samples written: the frames' samples. At a rate other than
///   the model's, a stream's first call writes MIMI_PROP_LATENCY_SAMPLES fewer, which follow with the
///   flush.
///
/// The audio does not depend on how the frames are cut into calls. MIMI_ERR_INVALID_ARGUMENT for a
/// partial frame. MIMI_ERR_CORRUPT if a code is neither below MIMI_PROP_CODEBOOK_SIZE nor MIMI_NO_CODE:
/// MIMI_PROP_BAD_CODE_INDEX and MIMI_PROP_BAD_CODE_VALUE tell which.
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
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { stream::decode("codes", decoder, (codes, n_codes), (pcm, pcm_cap), out_samples) })
}

/// Ends the stream and writes what audio is still due. Real-time.
///
/// - `decoder`: the stream. Afterwards it is as after mimi_decoder_reset(), except that it keeps
///   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next codes.
/// - `pcm`, `pcm_cap`: room for MIMI_PROP_FLUSH_LEN samples: none at the model's rate or if no codes
///   were taken, else MIMI_PROP_LATENCY_SAMPLES.
/// - `out_samples`: receives the number of samples written.
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
        let names = ["pcm", "out_samples"];
        stream::without_input(names, decoder, pcm, pcm_cap, out_samples, Decoder::flush)
    })
}

/// Tells how many samples mimi_decoder_process() would write for `n_codes` codes now. Real-time.
///
/// - `n_codes`: the codes of the call to come, whole frames.
/// - `out_samples`: receives the number of samples.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_samples_for(
    decoder: *const mimi_decoder,
    n_codes: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { stream::samples_for::<u32>(decoder, n_codes, out_samples) })
}

/// Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_decoder_reset(decoder: *mut mimi_decoder) -> mimi_status {
    // SAFETY: `decoder` is as the header's introduction asks.
    guard_rt(|| unsafe { handle::recover(decoder, Decoder::reset).map_err(mimi_status::from) })
}

/// Reads a property of a stream: `out_value` receives that of `key`, a MIMI_PROP_ key. Real-time.
#[unsafe(no_mangle)]
#[must_use]
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
            MIMI_PROP_FLUSH_LEN => Some(decoder.samples_for_flush() as i64),
            MIMI_PROP_BAD_CODE_INDEX => Some(decoder.bad_code().map_or(-1, |(index, _)| index as i64)),
            MIMI_PROP_BAD_CODE_VALUE => Some(decoder.bad_code().map_or(-1, |(_, code)| code.into())),
            MIMI_PROP_CONCEALED => Some(decoder.concealed() as i64),
            _ => common_property(decoder.spec(), key),
        };
        out.write(value.ok_or(MIMI_ERR_UNSUPPORTED)?);
        Ok(())
    })
}

/// Forks a stream: the copy stands at the same point, has the same options and goes its own way.
/// `out` receives the copy; free it with mimi_decoder_free().
#[unsafe(no_mangle)]
#[must_use]
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
