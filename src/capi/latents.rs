//! Latents in place of codes.

use super::buffer::place;
use super::decoder::mimi_decoder;
use super::encoder::mimi_encoder;
use super::guard::{guard, guard_rt};
use super::handle;
use super::many::many;
use super::model::mimi_model;
use super::oneshot::{convert, size};
use super::options::mimi_options;
use super::status::mimi_status;
use super::stream;
use crate::{Decoder, Encoder, Model};

/// Encodes a whole recording to latents, as mimi_encode() does to codes.
///
/// - `model`, `options`, `pcm`, `n_samples`: as for mimi_encode().
/// - `latents`, `latents_cap`: room for the latents: MIMI_PROP_LATENT_DIM values for each frame.
///   mimi_latents_for() tells exactly.
/// - `out_values`: receives the number of values written.
///
/// MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder. The latents are a stream's, bit for
/// bit.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encode_latents(
    model: *const mimi_model,
    options: *const mimi_options,
    pcm: *const f32,
    n_samples: usize,
    latents: *mut f32,
    latents_cap: usize,
    out_values: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let names = ["pcm", "latents", "out_values"];
        let (from, to) = ((pcm, n_samples), (latents, latents_cap, out_values));
        convert(names, model, options, from, to, Model::latents_for, Model::encode_into)
    })
}

/// Decodes a whole recording of latents, as mimi_decode() does codes.
///
/// - `model`, `options`: as for mimi_decode().
/// - `latents`, `n_values`: whole frames of latents.
/// - `pcm`, `pcm_cap`, `out_samples`: as for mimi_decode(). mimi_samples_for_latents() tells the room
///   exactly.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_UNSUPPORTED if the model was loaded without its
/// decoder.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decode_latents(
    model: *const mimi_model,
    options: *const mimi_options,
    latents: *const f32,
    n_values: usize,
    pcm: *mut f32,
    pcm_cap: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let names = ["latents", "pcm", "out_samples"];
        let (from, to) = ((latents, n_values), (pcm, pcm_cap, out_samples));
        convert(names, model, options, from, to, Model::samples_for_latents, Model::decode_into)
    })
}

/// Tells how many values mimi_encode_latents() writes, at once and without the audio.
///
/// - `model`, `options`: those of the call to come.
/// - `n_samples`: the samples of the recording.
/// - `out_values`: receives the number of values.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_latents_for(
    model: *const mimi_model,
    options: *const mimi_options,
    n_samples: usize,
    out_values: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe { size(model, options, n_samples, ("out_values", out_values), Model::latents_for) })
}

/// Tells how many samples mimi_decode_latents() writes, at once and without the latents.
///
/// - `model`, `options`: those of the call to come.
/// - `n_values`: the values of the recording, whole frames.
/// - `out_samples`: receives the number of samples.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_samples_for_latents(
    model: *const mimi_model,
    options: *const mimi_options,
    n_values: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        size(model, options, n_values, ("out_samples", out_samples), Model::samples_for_latents)
    })
}

/// Takes any number of samples and writes the latents of the frames that they complete. Real-time.
///
/// - `pcm`, `n_samples`: as for mimi_encoder_process().
/// - `latents`, `latents_cap`: room for the latents of as many frames as the call completes;
///   mimi_encoder_latents_for() tells exactly.
/// - `out_values`: receives the number of values written, a multiple of MIMI_PROP_LATENT_DIM, often 0.
///
/// Latents do not depend on how the audio is cut into calls.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_process_latents(
    encoder: *mut mimi_encoder,
    pcm: *const f32,
    n_samples: usize,
    latents: *mut f32,
    latents_cap: usize,
    out_values: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let names = ["pcm", "latents", "out_values"];
        stream::process::<f32, Encoder>(names, encoder, pcm, n_samples, latents, latents_cap, out_values)
    })
}

/// Ends the stream as mimi_encoder_flush() does, and writes latents. Real-time.
///
/// - `latents`, `latents_cap`: room for MIMI_PROP_FLUSH_LATENTS values.
/// - `out_values`: receives the number of values written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_flush_latents(
    encoder: *mut mimi_encoder,
    latents: *mut f32,
    latents_cap: usize,
    out_values: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let names = ["latents", "out_values"];
        stream::without_input(names, encoder, latents, latents_cap, out_values, Encoder::flush_latents)
    })
}

/// Tells how many values mimi_encoder_process_latents() would write for `n_samples` samples now. Real-time.
///
/// - `n_samples`: the samples of the call to come.
/// - `out_values`: receives the number of values.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_latents_for(
    encoder: *const mimi_encoder,
    n_samples: usize,
    out_values: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let encoder: &Encoder = handle::shared(encoder)?;
        place("out_values", out_values)?.write(encoder.latents_for(n_samples));
        Ok(())
    })
}

/// Takes whole frames of latents and writes their audio. Real-time.
///
/// - `latents`, `n_values`: any number of whole frames. All are taken. NULL with a positive length stands
///   for whole frames that did not arrive: see "Lost frames".
/// - `pcm`, `pcm_cap`: room for the audio; mimi_decoder_samples_for_latents() tells exactly.
/// - `out_samples`: receives the number of samples written, as with mimi_decoder_process().
///
/// The audio does not depend on how the frames are cut into calls. MIMI_ERR_INVALID_ARGUMENT for a
/// partial frame. mimi_decoder_flush() ends the stream.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_process_latents(
    decoder: *mut mimi_decoder,
    latents: *const f32,
    n_values: usize,
    pcm: *mut f32,
    pcm_cap: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        stream::decode("latents", decoder, (latents, n_values), (pcm, pcm_cap), out_samples)
    })
}

/// Tells how many samples mimi_decoder_process_latents() would write for `n_values` values now. Real-time.
///
/// - `n_values`: the values of the call to come, whole frames.
/// - `out_samples`: receives the number of samples.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_samples_for_latents(
    decoder: *const mimi_decoder,
    n_values: usize,
    out_samples: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { stream::samples_for::<f32>(decoder, n_values, out_samples) })
}

/// Encodes exactly one frame for each of several streams of one model, as mimi_encoder_process_many()
/// does, to latents. Real-time.
///
/// - `encoders`, `n`, `pcm`: as for mimi_encoder_process_many().
/// - `latents`: for each stream a pointer to room for one frame of latents, MIMI_PROP_LATENT_DIM. Rooms
///   must not overlap each other, and none may overlap any stream's audio or one of the three arrays.
///
/// Errors are those of mimi_encoder_process_many().
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_process_many_latents(
    encoders: *const *mut mimi_encoder,
    n: usize,
    pcm: *const *const f32,
    latents: *const *mut f32,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { many::<f32, Encoder>(["encoders", "pcm", "latents"], encoders, n, pcm, latents) })
}

/// Decodes exactly one frame for each of several streams of one model, as mimi_decoder_process_many()
/// does, of latents. Real-time.
///
/// - `decoders`, `n`, `pcm`: as for mimi_decoder_process_many().
/// - `latents`: for each stream a pointer to one frame of latents, MIMI_PROP_LATENT_DIM.
///
/// Errors are those of mimi_encoder_process_many().
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_process_many_latents(
    decoders: *const *mut mimi_decoder,
    n: usize,
    latents: *const *const f32,
    pcm: *const *mut f32,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { many::<f32, Decoder>(["decoders", "latents", "pcm"], decoders, n, latents, pcm) })
}

/// Turns latents into codes, with the quantizer alone. Of the latents that mimi_encode_latents() writes, they
/// are the codes of mimi_encode(), bit for bit, if no latent is beyond +-100000.
///
/// - `model`: a model with an encoder. Any number of threads may use it at once.
/// - `options`: MIMI_OPT_CODEBOOKS; NULL for the defaults.
/// - `latents`, `n_values`: whole frames of latents. A frame's codes do not depend on other frames.
/// - `codes`, `codes_cap`: room for the codes: codebooks * n_values / MIMI_PROP_LATENT_DIM.
/// - `out_codes`: receives the number of codes written.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_UNSUPPORTED if the model has no quantizer or was
/// loaded without its encoder.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_quantize(
    model: *const mimi_model,
    options: *const mimi_options,
    latents: *const f32,
    n_values: usize,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let names = ["latents", "codes", "out_codes"];
        let (from, to) = ((latents, n_values), (codes, codes_cap, out_codes));
        convert(names, model, options, from, to, Model::codes_for_latents, Model::quantize_into)
    })
}

/// Turns codes into latents, with the quantizer alone. mimi_decode_latents() makes of them the audio that
/// mimi_decode() makes of the codes, bit for bit, if no latent is beyond +-100000.
///
/// - `model`: a model with a decoder. Any number of threads may use it at once.
/// - `options`: MIMI_OPT_CODEBOOKS, which says how many codes make a frame; NULL for the defaults.
/// - `codes`, `n_codes`: whole frames of codes. MIMI_NO_CODE counts as in a decoder, but nothing is
///   concealed: a frame without a code that can be used is zeros.
/// - `latents`, `latents_cap`: room for the latents: MIMI_PROP_LATENT_DIM values for each frame.
/// - `out_values`: receives the number of values written.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_CORRUPT for a code as in mimi_decode(),
/// MIMI_ERR_UNSUPPORTED if the model has no quantizer or was loaded without its decoder.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_dequantize(
    model: *const mimi_model,
    options: *const mimi_options,
    codes: *const u32,
    n_codes: usize,
    latents: *mut f32,
    latents_cap: usize,
    out_values: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let names = ["codes", "latents", "out_values"];
        let (from, to) = ((codes, n_codes), (latents, latents_cap, out_values));
        convert(names, model, options, from, to, Model::latents_for_codes, Model::dequantize_into)
    })
}
