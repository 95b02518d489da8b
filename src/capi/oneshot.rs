//! Whole recordings in one call.

use super::buffer::{apart, disjoint, extent, input, output, place, report};
use super::guard::guard;
use super::handle;
use super::model::mimi_model;
use super::options::{mimi_options, stream_options};
use super::status::{Failure, mimi_status};
use crate::{Error, Model, StreamError, StreamOptions};

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
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let names = ["pcm", "codes", "out_codes"];
        let (from, to) = ((pcm, n_samples), (codes, codes_cap, out_codes));
        convert(names, model, options, from, to, Model::codes_for, Model::encode_into)
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
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let names = ["codes", "pcm", "out_samples"];
        let (from, to) = ((codes, n_codes), (pcm, pcm_cap, out_samples));
        convert(names, model, options, from, to, Model::samples_for, Model::decode_into)
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
    guard(|| unsafe { size(model, options, n_samples, ("out_codes", out_codes), Model::codes_for) })
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
    guard(|| unsafe { size(model, options, n_codes, ("out_samples", out_samples), Model::samples_for) })
}

/// What `size` says of so many elements goes to `out`, whose name is first.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn size(
    model: *const mimi_model,
    options: *const mimi_options,
    count: usize,
    (name, out): (&'static str, *mut usize),
    size: impl FnOnce(&Model, usize, &StreamOptions) -> Result<usize, Error>,
) -> Result<(), Failure> {
    // SAFETY: this function's contract.
    unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        place(name, out)?.write(size(model, count, &options)?);
    }
    Ok(())
}

/// All of an input through a model, if there is room for the output, which has the `size` of so many inputs. Its
/// length, or the room that it needs, goes to the place beside it. `names` are those of input, output and that place.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn convert<A: Copy, B: Copy>(
    [from_name, to_name, out_name]: [&'static str; 3],
    model: *const mimi_model,
    options: *const mimi_options,
    (from, count): (*const A, usize),
    (to, room, out): (*mut B, usize, *mut usize),
    size: impl FnOnce(&Model, usize, &StreamOptions) -> Result<usize, Error>,
    make: impl FnOnce(&Model, &[A], &mut [B], &StreamOptions) -> Result<usize, Error>,
) -> Result<(), Failure> {
    // SAFETY: this function's contract; `disjoint` and `apart` keep the references apart.
    unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        let out = place(out_name, out)?;
        apart((out_name, out), &[extent(from_name, from, count), extent(to_name, to.cast_const(), room)])?;
        disjoint((from_name, from, count), (to_name, to, room))?;
        let from = input(from_name, from, count)?;
        let to = output(to_name, to, room)?;
        let needed = size(model, count, &options)?;
        let result = match to.get_mut(..needed) {
            Some(to) => Ok(make(model, from, to, &options)?),
            None => Err(StreamError::BufferTooSmall { needed }),
        };
        report(out, result).map_err(Failure::from)
    }
}
