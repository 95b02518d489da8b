//! Options: a bag of numbers by key.

use super::buffer::place;
use super::guard::{guard, guard_value};
use super::handle::{self, Kind};
use super::status::{Failure, MIMI_ERR_INVALID_ARGUMENT, MIMI_ERR_UNSUPPORTED, mimi_status};
use crate::live::MAX_BUFFER_FRAMES;
use crate::model::{MAX_BLOCK, MAX_CONTEXT, MAX_THREADS};
use crate::{Isa, LiveOptions, LoadOptions, Parts, Precision, StreamOptions, Tail, Work};
use std::fmt::{self, Write};
use std::ptr;

/// A bag of options. A function that takes one reads the keys that concern it, ignores the others, and
/// keeps nothing: change, re-use or free the bag as soon as the call has returned. NULL stands for all
/// defaults.
pub struct mimi_options;

/// The key of an option. For every key, 0 stands for the default and is what a new bag holds.
pub type mimi_option = i32;

/// Streams and one-shot calls: the number of codebooks, that is, of codes per frame; 1 to as many as
/// the model has. More codebooks sound better. Default: 8, or as many as the model's config calls valid,
/// or all if the model has fewer.
/// Loading: keep only this many codebooks, which takes 2 to 3 MB less for each that is left out.
/// Default: all.
pub const MIMI_OPT_CODEBOOKS: mimi_option = 1;
/// Streams and one-shot calls: the sample rate of your audio in Hz. Default: the model's, 24000 in the
/// published one. Other rates are converted, without a shift between input and output. Possible are
/// 1000 to 768000 Hz at which a frame is an even number of samples: multiples of 25 with the published
/// model (44100: 3528 samples, 48000: 3840). Properties and lengths then count at this rate. It adds a
/// few milliseconds of latency on either side, and a stream's last samples or frame come with the
/// flush. MIMI_OPT_ISA does not apply to the conversion.
pub const MIMI_OPT_SAMPLE_RATE: mimi_option = 2;
/// Streams and one-shot calls: the number of samples worked on at once, at the model's rate, at most
/// 262144; rounded up to whole frames. Longer calls are split, and the results do not depend on it. More
/// is faster for long inputs and takes more memory. Default: one frame for streams; a few for one-shot
/// calls.
pub const MIMI_OPT_MAX_BLOCK: mimi_option = 3;
/// Loading: how weights are kept in memory, a MIMI_PRECISION_ value.
pub const MIMI_OPT_PRECISION: mimi_option = 4;
/// Loading: which half of the model to load, a MIMI_PARTS_ value. Half a model takes half the
/// memory. What needs the other half is then MIMI_ERR_UNSUPPORTED.
pub const MIMI_OPT_PARTS: mimi_option = 5;
/// Streams and one-shot calls: how a last partial frame is completed, a MIMI_TAIL_ value.
pub const MIMI_OPT_TAIL: mimi_option = 6;
/// Streams and one-shot calls: how far attention looks back, in steps of the transformers, at most
/// 65536. The published model has two steps a frame, and looks back 250 steps or 10 seconds. Default:
/// the checkpoint's number. Any other number gives other codes than everybody else's.
pub const MIMI_OPT_CONTEXT: mimi_option = 7;
/// One-shot calls and loading: the number of threads that share the work, at most 64, the caller's among
/// them; loading has work for two, and mimi_load_reader() for one. They are started by the call and gone
/// when it returns, and change no result. More threads than cores make it slower. Streams always stay on
/// their caller's thread. Default: 1. With more, a lack of memory may end the program, and your signal
/// handlers may run on these threads. In WebAssembly without threads, more is MIMI_ERR_UNSUPPORTED.
pub const MIMI_OPT_THREADS: mimi_option = 8;
/// Loading: the instruction set that the kernels use, a MIMI_ISA_ value. Loading with one that this CPU
/// lacks is MIMI_ERR_UNSUPPORTED.
pub const MIMI_OPT_ISA: mimi_option = 9;
/// Captures and playbacks: who does the work of a frame, a MIMI_WORK_ value.
pub const MIMI_OPT_WORK: mimi_option = 10;
/// Captures and playbacks: 1 if audio is not in real time, as when a host renders to a file. The audio
/// thread does all work, whatever MIMI_OPT_WORK says, and nothing is concealed or late: where a playback
/// lacks codes, it gives silence, and goes on where it was when they have come. Default: 0.
pub const MIMI_OPT_OFFLINE: mimi_option = 11;
/// Playbacks: the frames that wait before it starts, 1 to 64. Each adds a frame to the latency, and each
/// but the first lets frames come a frame later than the first did. 1 is enough where the audio callback
/// itself moves the codes. Default: 2.
pub const MIMI_OPT_BUFFER_FRAMES: mimi_option = 12;

/// The weights as they are in the checkpoint, as 32-bit floats. The default, which takes packed weights in
/// their precision. (Other implementations round differently: they sum in another order.)
pub const MIMI_PRECISION_F32: i64 = 0;
/// Weights are rounded to bfloat16: half the memory, and faster streams. Codebooks, norms, biases,
/// SEANet's convolutions of up to 131,072 weights and all arithmetic stay in 32-bit floats. A stream's
/// keys and values are rounded to 16 bits, which halves its memory.
pub const MIMI_PRECISION_BF16: i64 = 1;
/// Weights are rounded to 8 bits with a scale for each output: a quarter of the memory, and faster yet.
/// The inputs of their products are rounded to 16 bits, and summed in integers. SEANet's convolutions of
/// up to 524,288 weights and the rest are as with MIMI_PRECISION_INT16.
pub const MIMI_PRECISION_INT8: i64 = 2;
/// Weights, also those of small convolutions, are rounded to integers of 12 to 16 bits with a scale for
/// each output: half the memory, faster than 32-bit floats, and nearer to them than MIMI_PRECISION_BF16.
/// The inputs of their products are rounded to 15 bits, and summed in integers. The rest is as with BF16.
pub const MIMI_PRECISION_INT16: i64 = 3;
/// Load the encoder and the decoder. The default.
pub const MIMI_PARTS_BOTH: i64 = 0;
/// Load the encoder alone.
pub const MIMI_PARTS_ENCODER: i64 = 1;
/// Load the decoder alone.
pub const MIMI_PARTS_DECODER: i64 = 2;
/// The waveform is padded with zeros to whole frames, as kyutai's moshi does. The default.
pub const MIMI_TAIL_AUDIO_PAD: i64 = 0;
/// Each layer pads its own input, as Hugging Face transformers does.
pub const MIMI_TAIL_LAYER_PAD: i64 = 1;
/// The best that this CPU has. The default.
pub const MIMI_ISA_AUTO: i64 = 0;
/// Only what every CPU of this architecture has.
pub const MIMI_ISA_BASELINE: i64 = 1;
/// x86: AVX2 and FMA.
pub const MIMI_ISA_AVX2: i64 = 2;
/// x86: AVX-512 F and BW.
pub const MIMI_ISA_AVX512: i64 = 3;
/// Arm: NEON.
pub const MIMI_ISA_NEON: i64 = 4;
/// WebAssembly: SIMD of 128 bits.
pub const MIMI_ISA_SIMD128: i64 = 5;
/// The audio thread does the work, in equal shares: after m of a frame's n samples, m/n of the work on the
/// frame before is done. The default. Of the published model at 48 kHz, a call with 64 samples takes up
/// to half as much time again as the average, and one with 16 up to three times as much.
pub const MIMI_WORK_SPREAD: i64 = 0;
/// A thread of yours does the work, with mimi_capture_work() and mimi_playback_work(), and the audio
/// thread only copies. Latencies are the same. Blocks must not be longer than a frame: what comes twice in
/// one call leaves that thread no time.
pub const MIMI_WORK_OTHER: i64 = 1;

/// A new bag with all defaults; free it with mimi_options_free(). NULL if there is no memory for it.
#[unsafe(no_mangle)]
pub extern "C" fn mimi_options_new() -> *mut mimi_options {
    guard_value(ptr::null_mut(), || handle::boxed(Options::default()).unwrap_or(ptr::null_mut()))
}

/// Sets the option `key`, a MIMI_OPT_ key, to `value`; 0 for the default.
///
/// MIMI_ERR_UNSUPPORTED also for a choice that this release does not know, MIMI_ERR_INVALID_ARGUMENT
/// for a number out of range. Limits that depend on the model, such as its number of codebooks and its
/// sample rates, are checked where the bag is used.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_options_set(
    options: *mut mimi_options,
    key: mimi_option,
    value: i64,
) -> mimi_status {
    // SAFETY: `options` is as the header's introduction asks.
    guard(|| unsafe { handle::exclusive(options, |options: &mut Options| options.set(key, value))? })
}

/// Reads an option: `out_value` receives the value of `key` that was set, or 0 for the default.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_options_get(
    options: *const mimi_options,
    key: mimi_option,
    out_value: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let options: &Options = handle::shared(options)?;
        let out = place("out_value", out_value)?;
        out.write(options.values[find(key)?]);
        Ok(())
    })
}

/// Frees a bag. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_options_free(options: *mut mimi_options) {
    // SAFETY: `options` is as the header's introduction asks.
    guard_value((), || unsafe { handle::free::<Options>(options) });
}

/// Values by key; each is in its key's range, and 0 is the default.
#[derive(Default)]
pub(super) struct Options {
    values: [i64; KEYS.len()],
}

impl Kind for Options {
    type Opaque = mimi_options;
    const NAME: &'static str = "mimi_options";
    const TAG: u32 = u32::from_le_bytes(*b"miop");
}

/// What a key accepts besides 0.
enum Accepts {
    /// 1 to this.
    UpTo(i64),
    /// The choices 0, 1, ..., by name.
    OneOf(&'static [&'static str]),
}

use Accepts::{OneOf, UpTo};

/// The options; key k stands at k - 1.
const KEYS: [(&str, Accepts); 12] = [
    ("MIMI_OPT_CODEBOOKS", UpTo(i32::MAX as i64)),
    ("MIMI_OPT_SAMPLE_RATE", UpTo(i32::MAX as i64)),
    ("MIMI_OPT_MAX_BLOCK", UpTo(MAX_BLOCK as i64)),
    ("MIMI_OPT_PRECISION", OneOf(&["f32", "bf16", "int8", "int16"])),
    ("MIMI_OPT_PARTS", OneOf(&["both", "encoder", "decoder"])),
    ("MIMI_OPT_TAIL", OneOf(&["audio-pad", "layer-pad"])),
    ("MIMI_OPT_CONTEXT", UpTo(MAX_CONTEXT as i64)),
    ("MIMI_OPT_THREADS", UpTo(MAX_THREADS as i64)),
    ("MIMI_OPT_ISA", OneOf(&["auto", "baseline", "avx2", "avx512", "neon", "simd128"])),
    ("MIMI_OPT_WORK", OneOf(&["spread", "other"])),
    ("MIMI_OPT_OFFLINE", OneOf(&["in real time", "offline"])),
    ("MIMI_OPT_BUFFER_FRAMES", UpTo(MAX_BUFFER_FRAMES as i64)),
];

/// Numbers and names of choices, as messages show them.
struct Choices(&'static [&'static str]);

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{index} ({name})")?;
        }
        Ok(())
    }
}

/// An option as messages about models call it: "codebooks" for "MIMI_OPT_CODEBOOKS".
struct Field(&'static str);

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.trim_start_matches("MIMI_OPT_");
        name.chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()))
    }
}

/// Where a key's value stands.
fn find(key: mimi_option) -> Result<usize, Failure> {
    let index = usize::try_from(key).ok().and_then(|key| key.checked_sub(1)).filter(|&i| i < KEYS.len());
    index.ok_or_else(|| Failure::new(MIMI_ERR_UNSUPPORTED, format_args!("option key {key} is unknown")))
}

impl Options {
    fn set(&mut self, key: mimi_option, value: i64) -> Result<(), Failure> {
        let index = find(key)?;
        let (name, accepts) = &KEYS[index];
        let refuse = |status, expected: fmt::Arguments| {
            Err(Failure::new(
                status,
                format_args!("{} ({name}) is {value}: expected {expected}", Field(name)),
            ))
        };
        match accepts {
            _ if value == 0 => {}
            _ if value < 0 => {
                return refuse(MIMI_ERR_INVALID_ARGUMENT, format_args!("0 (the default) or positive"));
            }
            UpTo(max) if value > *max => {
                return refuse(MIMI_ERR_INVALID_ARGUMENT, format_args!("0 (the default) to {max}"));
            }
            OneOf(names) if value >= names.len() as i64 => {
                return refuse(MIMI_ERR_UNSUPPORTED, format_args!("{}", Choices(names)));
            }
            _ => {}
        }
        self.values[index] = value;
        Ok(())
    }

    fn value(&self, key: mimi_option) -> i64 {
        self.values[key as usize - 1]
    }

    /// A number, unless it is the default.
    fn number(&self, key: mimi_option) -> Option<usize> {
        usize::try_from(self.value(key)).ok().filter(|&n| n != 0)
    }

    /// The bag behind a pointer, or the defaults behind NULL.
    ///
    /// # Safety
    /// As for [`handle::shared`].
    unsafe fn or_default<'a>(options: *const mimi_options) -> Result<&'a Self, Failure> {
        const DEFAULTS: &Options = &Options { values: [0; KEYS.len()] };
        // SAFETY: this function's contract.
        Ok(if options.is_null() { DEFAULTS } else { unsafe { handle::shared(options)? } })
    }
}

/// What loading reads from a bag.
///
/// # Safety
/// As for [`handle::shared`].
pub(super) unsafe fn load_options(options: *const mimi_options) -> Result<LoadOptions, Failure> {
    // SAFETY: this function's contract.
    let options = unsafe { Options::or_default(options)? };
    Ok(LoadOptions {
        codebooks: options.number(MIMI_OPT_CODEBOOKS),
        parts: match options.value(MIMI_OPT_PARTS) {
            MIMI_PARTS_ENCODER => Parts::Encoder,
            MIMI_PARTS_DECODER => Parts::Decoder,
            _ => Parts::Both,
        },
        precision: match options.value(MIMI_OPT_PRECISION) {
            MIMI_PRECISION_BF16 => Precision::Bf16,
            MIMI_PRECISION_INT8 => Precision::Int8,
            MIMI_PRECISION_INT16 => Precision::Int16,
            _ => Precision::F32,
        },
        isa: match options.value(MIMI_OPT_ISA) {
            MIMI_ISA_BASELINE => Isa::Baseline,
            MIMI_ISA_AVX2 => Isa::Avx2,
            MIMI_ISA_AVX512 => Isa::Avx512,
            MIMI_ISA_NEON => Isa::Neon,
            MIMI_ISA_SIMD128 => Isa::Simd128,
            _ => Isa::Auto,
        },
        threads: options.number(MIMI_OPT_THREADS),
    })
}

/// What streams and one-shot calls read from a bag.
///
/// # Safety
/// As for [`handle::shared`].
pub(super) unsafe fn stream_options(options: *const mimi_options) -> Result<StreamOptions, Failure> {
    // SAFETY: this function's contract.
    let options = unsafe { Options::or_default(options)? };
    Ok(StreamOptions {
        codebooks: options.number(MIMI_OPT_CODEBOOKS),
        tail: match options.value(MIMI_OPT_TAIL) {
            MIMI_TAIL_LAYER_PAD => Tail::LayerPad,
            _ => Tail::AudioPad,
        },
        context: options.number(MIMI_OPT_CONTEXT),
        max_block: options.number(MIMI_OPT_MAX_BLOCK),
        sample_rate: options.number(MIMI_OPT_SAMPLE_RATE).and_then(|rate| u32::try_from(rate).ok()),
        threads: options.number(MIMI_OPT_THREADS),
    })
}

/// What captures and playbacks read from a bag.
///
/// # Safety
/// As for [`handle::shared`].
pub(super) unsafe fn live_options(options: *const mimi_options) -> Result<LiveOptions, Failure> {
    // SAFETY: this function's contract.
    let (stream, options) = unsafe { (stream_options(options)?, Options::or_default(options)?) };
    Ok(LiveOptions {
        stream,
        work: match options.value(MIMI_OPT_WORK) {
            MIMI_WORK_OTHER => Work::Other,
            _ => Work::Spread,
        },
        offline: options.value(MIMI_OPT_OFFLINE) != 0,
        buffer_frames: options.number(MIMI_OPT_BUFFER_FRAMES),
    })
}
