//! Models: loading them, and asking for their numbers.

use super::buffer::{input, place};
use super::guard::{guard, guard_value};
use super::handle::{self, Kind};
use super::options::*;
use super::status::{Failure, MIMI_ERR_INVALID_ARGUMENT, MIMI_ERR_UNSUPPORTED, mimi_status};
use crate::{Error, ErrorKind, Isa, LoadOptions, Model, Parts, Precision, ReadAt, Spec};
use std::ffi::{CStr, c_char, c_void};

/// A loaded model: weights that never change, so that any number of streams and threads may use it
/// at once. Streams keep the weights alive: free the model as soon as you will open no more.
pub struct mimi_model;

impl Kind for Model {
    type Opaque = mimi_model;
    const NAME: &'static str = "mimi_model";
    const TAG: u32 = u32::from_le_bytes(*b"mimo");
}

/// A property of a model or of a stream. MIMI_ERR_UNSUPPORTED for a key that does not apply. Those that
/// name neither models nor streams alone apply to both, and a stream answers for its model.
pub type mimi_prop = i32;

/// Model: the codebooks that it has. Stream: its codes per frame.
pub const MIMI_PROP_CODEBOOKS: mimi_prop = 1;
/// Samples per second of the audio; 24000 in the published model. Stream: those of MIMI_OPT_SAMPLE_RATE.
pub const MIMI_PROP_SAMPLE_RATE: mimi_prop = 2;
/// Samples per frame; 1920, or 80 ms, in the published model. Stream: at its sample rate.
pub const MIMI_PROP_FRAME_SAMPLES: mimi_prop = 3;
/// Codes are below this; 2048 in the published model.
pub const MIMI_PROP_CODEBOOK_SIZE: mimi_prop = 4;
/// Streams: the samples, at the stream's rate, by which an audio host must delay the dry signal to line
/// it up. Encoder: a frame's codes come this many samples after its first sample. Decoder: the samples
/// of a frame that are held back. For an encoder and a decoder in a row, add the two.
/// Capture: two frames; at a rate other than the model's, a few milliseconds more. Playback: a frame for
/// each that must wait, and as much more. A capture and a playback in one callback delay audio by the sum
/// of the two, to the sample, if each callback writes the capture, moves the codes over and then reads the
/// playback. In another order, or with another thread that moves the codes, it may be a frame more,
/// and differ from one start to the next.
pub const MIMI_PROP_LATENCY_SAMPLES: mimi_prop = 5;
/// Streams: the frames emitted (encoder), read (capture) or taken (decoder, playback) since the stream
/// began.
pub const MIMI_PROP_FRAMES: mimi_prop = 6;
/// Model: the bytes of its weights in memory. Stream: the bytes of its state, without the model's.
pub const MIMI_PROP_MEMORY_BYTES: mimi_prop = 7;
/// Streams: a hash of the codes of these frames. Both ends agree only if every code arrived, in order. A
/// code that a decoder could not use counts as MIMI_NO_CODE, so that two decoders agree if they lost the
/// same.
pub const MIMI_PROP_CODES_HASH: mimi_prop = 8;
/// A fingerprint of what gives codes their meaning, 0 to 2^63 - 1. A model can decode the codes of
/// another only if their fingerprints are equal.
pub const MIMI_PROP_MODEL_ID: mimi_prop = 9;
/// The bits that one code needs; 11 in the published model.
pub const MIMI_PROP_CODE_BITS: mimi_prop = 10;
/// How the weights are kept, a MIMI_PRECISION_ value.
pub const MIMI_PROP_PRECISION: mimi_prop = 11;
/// The instruction set that the kernels use, a MIMI_ISA_ value other than MIMI_ISA_AUTO.
pub const MIMI_PROP_ISA: mimi_prop = 12;
/// The half of the model that was loaded, a MIMI_PARTS_ value.
pub const MIMI_PROP_PARTS: mimi_prop = 13;
/// Streams: the codes (encoder) or samples (decoder) that a flush would write now.
pub const MIMI_PROP_FLUSH_LEN: mimi_prop = 14;
/// Decoders: where the bad code stood in the input of the last call that answered MIMI_ERR_CORRUPT; in
/// mimi_decoder_process_many(), in this stream's frame. -1 if there was none since the stream was
/// opened, reset or flushed.
pub const MIMI_PROP_BAD_CODE_INDEX: mimi_prop = 15;
/// Decoders: the value of that code, or -1.
pub const MIMI_PROP_BAD_CODE_VALUE: mimi_prop = 16;
/// Decoders: the frames concealed since the stream began. Playbacks: the frames that were not there when
/// their time came, and were concealed.
pub const MIMI_PROP_CONCEALED: mimi_prop = 17;
/// Playbacks: the frames taken that were lost: all their codes are MIMI_NO_CODE.
pub const MIMI_PROP_LOST: mimi_prop = 18;
/// Playbacks: the frames taken that still wait for their time.
pub const MIMI_PROP_WAITING: mimi_prop = 19;
/// Playbacks: the frames taken that came after their time and were thrown away. All of MIMI_PROP_FRAMES
/// that neither wait nor were late have had their time.
pub const MIMI_PROP_LATE: mimi_prop = 20;
/// Playbacks with MIMI_WORK_OTHER: the frames whose audio mimi_playback_work() had not made in time.
/// Silence was heard.
pub const MIMI_PROP_MISSED: mimi_prop = 21;
/// Captures: the frames whose codes nobody will read, because they were not read or encoded in time.
/// Playbacks: the frames that were refused for want of room.
pub const MIMI_PROP_DROPPED: mimi_prop = 22;
/// The values in a frame of latents; 512 in the published model, 32 in that of Pocket TTS.
pub const MIMI_PROP_LATENT_DIM: mimi_prop = 23;
/// Encoders: the values that mimi_encoder_flush_latents() would write now.
pub const MIMI_PROP_FLUSH_LATENTS: mimi_prop = 24;

/// Your function that reads a checkpoint for mimi_load_reader().
///
/// - `user`: the pointer that you gave to mimi_load_reader().
/// - `offset`, `len`: copy these bytes of the checkpoint; offset + len is at most its size.
/// - `dst`: where to; room for len bytes.
///
/// Return 0 when all len bytes are in place. Return anything else to stop: the load is then
/// MIMI_ERR_ABORTED. It is called during mimi_load_reader(), on the same thread and in the library's
/// floating-point mode, with offsets in any order. It must not throw a C++ exception, longjmp or end
/// its thread.
pub type mimi_read_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, offset: u64, dst: *mut c_void, len: usize) -> i32>;

/// Loads a model from the file system.
///
/// - `path`: a file `model.safetensors`, a directory that holds one with its `config.json`, or the index of
///   a checkpoint in parts; in the layout of Hugging Face transformers or of kyutai's moshi. UTF-8 on every
///   system. It is not the name of a model on a hub: `mimi fetch` brings one, and prints its folder.
/// - `options`: MIMI_OPT_ PARTS, PRECISION, CODEBOOKS, ISA and THREADS; NULL for the defaults.
/// - `out`: receives the model; free it with mimi_free().
///
/// Folders of models that embed Mimi are taken as they are: its weights are found by their names, in an
/// index of any name, in `model.safetensors`, or in the file that `config.json` names as `mimi_name`.
/// Examples are Moshi, Hibiki, CSM, Pocket TTS, and Qwen3-TTS-Tokenizer-12Hz, which has the encoder alone.
/// If the codec is in a subfolder, the message of MIMI_ERR_FORMAT names that.
///
/// The network's numbers are the first that are found: in the metadata entry `config` of the file; in
/// `config.json` beside it, if it holds them; in the file that `config.json` names as `mimi_config_name`,
/// else in `mimi_config.json`, else in the part `mimi` of a YAML file. If none is there, they are those of a
/// published model, unless a `config.json` of something else is: MIMI_ERR_FORMAT.
///
/// `mimi convert --packed` writes a file for libmimi alone, whose weights are only read and checked by hash.
/// MIMI_ERR_UNSUPPORTED if another release packed it, or for another kind of CPU or another precision.
///
/// MIMI_ERR_IO if a file cannot be read, MIMI_ERR_FORMAT if it is not a Mimi checkpoint, MIMI_ERR_CORRUPT
/// if it is damaged, MIMI_ERR_UNSUPPORTED for a network that this library cannot run (and on WebAssembly,
/// which has no files), MIMI_ERR_INVALID_ARGUMENT for more codebooks than it has. A hostile file is an error
/// like any other.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_load(
    path: *const c_char,
    options: *const mimi_options,
    out: *mut *mut mimi_model,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let options = load_options(options)?;
            let path = CStr::from_ptr(place("path", path.cast_mut())?.as_ptr());
            let path = path.to_str().map_err(|e| {
                Failure::new(MIMI_ERR_INVALID_ARGUMENT, format_args!("path is not UTF-8: {e}"))
            })?;
            Ok::<_, Failure>(Model::load(path, &options)?)
        })
    })
}

/// Loads a model from memory.
///
/// - `data`, `len`: the bytes of one `model.safetensors`. What is needed of them is copied: free them
///   when the call has returned.
/// - `options`, `out`: as for mimi_load().
///
/// The network's numbers come from the checkpoint's own metadata, or are those of a published model.
/// Errors are those of mimi_load(), without MIMI_ERR_IO.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_load_memory(
    data: *const c_void,
    len: usize,
    options: *const mimi_options,
    out: *mut *mut mimi_model,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            let options = load_options(options)?;
            let bytes = input("data", data.cast::<u8>(), len)?;
            Ok::<_, Failure>(Model::load_bytes(bytes, &options)?)
        })
    })
}

/// Loads a model through a function of yours: from an archive, an asset, a network.
///
/// - `read`: the function. It can also show progress, and stop the load.
/// - `user`: handed to it; may be NULL.
/// - `size`: the bytes of the checkpoint, one `model.safetensors`.
/// - `options`, `out`: as for mimi_load().
///
/// Errors are those of mimi_load_memory(), and MIMI_ERR_ABORTED if `read` returned other than 0.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_load_reader(
    read: mimi_read_fn,
    user: *mut c_void,
    size: u64,
    options: *const mimi_options,
    out: *mut *mut mimi_model,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        handle::create(out, || {
            // the function is called on this thread alone
            let options = LoadOptions { threads: None, ..load_options(options)? };
            let read = read.ok_or(super::buffer::Refusal::Null("read"))?;
            Ok::<_, Failure>(Model::load_from(Callback { read, user, size }, &options)?)
        })
    })
}

/// Reads a property of a model: `out_value` receives that of `key`, a MIMI_PROP_ key.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_model_get(
    model: *const mimi_model,
    key: mimi_prop,
    out_value: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let out = place("out_value", out_value)?;
        let value = match key {
            MIMI_PROP_CODEBOOKS => Some(model.codebooks() as i64),
            MIMI_PROP_MEMORY_BYTES => Some(model.memory_bytes() as i64),
            _ => common_property(model.spec(), key),
        };
        let unknown = || Failure::new(MIMI_ERR_UNSUPPORTED, format_args!("a model has no property {key}"));
        out.write(value.ok_or_else(unknown)?);
        Ok(())
    })
}

/// Frees a model; streams on it live on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_free(model: *mut mimi_model) {
    // SAFETY: `model` is as the header's introduction asks.
    guard_value((), || unsafe { handle::free::<Model>(model) });
}

/// The properties that a model shares with its streams.
pub(super) fn common_property(spec: &Spec, key: mimi_prop) -> Option<i64> {
    match key {
        MIMI_PROP_SAMPLE_RATE => Some(spec.sampling_rate.into()),
        MIMI_PROP_FRAME_SAMPLES => Some(spec.frame_size as i64),
        MIMI_PROP_CODEBOOK_SIZE => Some(spec.codebook_size as i64),
        MIMI_PROP_LATENT_DIM => Some(spec.latent_dim as i64),
        MIMI_PROP_MODEL_ID => Some(spec.id),
        MIMI_PROP_CODE_BITS => Some(spec.code_bits().into()),
        MIMI_PROP_PRECISION => Some(match spec.precision {
            Precision::F32 => MIMI_PRECISION_F32,
            Precision::Bf16 => MIMI_PRECISION_BF16,
            Precision::Int8 => MIMI_PRECISION_INT8,
            Precision::Int16 => MIMI_PRECISION_INT16,
        }),
        MIMI_PROP_ISA => Some(match spec.isa {
            Isa::Auto | Isa::Baseline => MIMI_ISA_BASELINE,
            Isa::Avx2 => MIMI_ISA_AVX2,
            Isa::Avx512 => MIMI_ISA_AVX512,
            Isa::Neon => MIMI_ISA_NEON,
            Isa::Simd128 => MIMI_ISA_SIMD128,
        }),
        MIMI_PROP_PARTS => Some(match spec.parts {
            Parts::Both => MIMI_PARTS_BOTH,
            Parts::Encoder => MIMI_PARTS_ENCODER,
            Parts::Decoder => MIMI_PARTS_DECODER,
        }),
        _ => None,
    }
}

/// A checkpoint behind a [`mimi_read_fn`].
struct Callback {
    read: unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> i32,
    user: *mut c_void,
    size: u64,
}

// SAFETY: loading reads on the calling thread alone; `ReadAt` asks for the marker because files and
// memory can be shared.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl ReadAt for Callback {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let len = buf.len();
        if offset.checked_add(len as u64).is_none_or(|end| end > self.size) {
            let message = format_args!("the checkpoint ends at byte {}, before {offset} + {len}", self.size);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        // SAFETY: the caller of `mimi_load_reader` vouches for the function; `buf` has `len` bytes.
        match unsafe { (self.read)(self.user, offset, buf.as_mut_ptr().cast(), len) } {
            0 => Ok(()),
            code => {
                let message = format_args!("the read callback returned {code} for {len} bytes at {offset}");
                Err(Error::new(ErrorKind::Aborted, message))
            }
        }
    }

    fn size(&self) -> u64 {
        self.size
    }
}
