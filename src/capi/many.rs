//! Many streams of one model, one pass over its weights.

use super::buffer::{Refusal, disjoint, input, output};
use super::decoder::mimi_decoder;
use super::encoder::mimi_encoder;
use super::guard::guard_rt;
use super::handle::{self, Kind};
use super::status::mimi_status;
use crate::stream::{Frames, Input, Output, Streaming, Value, run_each};
use crate::{Decoder, Encoder};
use std::array;
use std::ptr::NonNull;
use std::slice;

/// Streams that are handed to the engine at once; more are worked off in groups.
const GROUP: usize = 16;

/// Streams in a call. Each buffer is compared with each other one: about 30 ms for so many, whose frames take the
/// published model more than a second.
const MOST: usize = 1024;

fn not_too_many(name: &'static str, n: usize) -> Result<(), Refusal> {
    if n > MOST { Err(Refusal::TooMany(name, MOST)) } else { Ok(()) }
}

/// Encodes exactly one frame for each of several streams of one model. Real-time.
///
/// Faster than a call for each, because the weights are read from memory once for many streams; every
/// stream's codes are the same bits as alone. Streams may come, go, be reset and be called alone
/// between calls, and may stand at different points of a frame. Streams with equal options next to each
/// other are the fastest.
///
/// Streams may have different sample rates. One at a rate other than the model's must take its first
/// frame alone, with mimi_encoder_process(), before it can take part: that frame is encoded only when
/// samples of the second are there.
///
/// - `encoders`, `n`: the streams, all of one model, none of them twice; at most 1024.
/// - `pcm`: for each stream a pointer to one frame of samples, its MIMI_PROP_FRAME_SAMPLES. In C,
///   declare the array as `const float *pcm[]`.
/// - `codes`: for each stream a pointer to room for one frame of codes, MIMI_PROP_CODEBOOKS. Rooms must
///   not overlap each other, and none may overlap any stream's audio or one of the three arrays.
///
/// MIMI_ERR_INVALID_ARGUMENT for streams of different models, for the same stream twice, and for a
/// first frame.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_encoder_process_many(
    encoders: *const *mut mimi_encoder,
    n: usize,
    pcm: *const *const f32,
    codes: *const *mut u32,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { many::<u32, Encoder>(["encoders", "pcm", "codes"], encoders, n, pcm, codes) })
}

/// Decodes exactly one frame for each of several streams of one model, as mimi_encoder_process_many()
/// encodes. Real-time.
///
/// - `decoders`, `n`: the streams, all of one model, none of them twice; at most 1024. One at a rate
///   other than the model's must take its first frame alone, with mimi_decoder_process(): the end of
///   that frame's audio follows with the second.
/// - `codes`: for each stream a pointer to one frame of codes, MIMI_PROP_CODEBOOKS. All codes of a frame
///   that is lost are MIMI_NO_CODE.
/// - `pcm`: for each stream a pointer to room for one frame of samples, its MIMI_PROP_FRAME_SAMPLES. Rooms
///   must not overlap each other, and none may overlap any stream's codes or one of the three arrays.
///
/// Errors are those of mimi_encoder_process_many(), and MIMI_ERR_CORRUPT as in mimi_decoder_process().
/// The stream with the bad code tells it by MIMI_PROP_BAD_CODE_INDEX, and is otherwise as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_decoder_process_many(
    decoders: *const *mut mimi_decoder,
    n: usize,
    codes: *const *const u32,
    pcm: *const *mut f32,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe { many::<u32, Decoder>(["decoders", "codes", "pcm"], decoders, n, codes, pcm) })
}

/// One frame for each of `n` streams; `names` are those of streams, inputs and outputs. Nothing is done unless all of
/// it can be done.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn many<V: Value, C: Streaming<Direction: Frames<V>> + Kind>(
    names: [&'static str; 3],
    streams: *const *mut C::Opaque,
    n: usize,
    inputs: *const *const Input<C, V>,
    outputs: *const *mut Output<C, V>,
) -> Result<(), mimi_status> {
    // SAFETY: this function's contract; `exclusive_many` gives each stream once, and `disjoint` and `apart` keep what
    // is read and what is written apart.
    unsafe {
        not_too_many(names[0], n)?;
        let streams = input(names[0], streams, n)?;
        let (inputs, outputs) = (input(names[1], inputs, n)?, input(names[2], outputs, n)?);
        handle::exclusive_many(
            n,
            |i| streams[i],
            |coder: &dyn Fn(usize) -> NonNull<C>| {
                let inputs_of = |i: usize| C::Direction::frame_inputs(coder(i).as_ref().stream());
                let outputs_of = |i: usize| C::Direction::frame_outputs(coder(i).as_ref().stream());
                for i in 0..n {
                    let (first, this) = (coder(0).as_ref().stream(), coder(i).as_ref().stream());
                    // the lists are read again after outputs were written
                    let room = (names[2], outputs[i].cast_const(), outputs_of(i));
                    disjoint((names[0], streams.as_ptr(), n), room)?;
                    disjoint((names[1], inputs.as_ptr(), n), room)?;
                    disjoint((names[2], outputs.as_ptr(), n), room)?;
                    output(names[2], outputs[i], outputs_of(i))?;
                    let frame = input(names[1], inputs[i], inputs_of(i))?;
                    let checked = this.check_member(first, frame, outputs_of(i));
                    checked.inspect_err(|error| C::Direction::note(coder(i).as_mut().stream_mut(), error))?;
                }
                apart(
                    n,
                    |i| (names[1], inputs[i], inputs_of(i)),
                    |i| (names[2], outputs[i].cast_const(), outputs_of(i)),
                )?;
                for start in (0..n).step_by(GROUP) {
                    let count = GROUP.min(n - start);
                    let mut group = [coder(start); GROUP];
                    let mut frames: [&[Input<C, V>]; GROUP] = [&[]; GROUP];
                    let mut room: [&mut [Output<C, V>]; GROUP] = array::from_fn(|_| Default::default());
                    for i in 0..count {
                        group[i] = coder(start + i);
                        frames[i] = input(names[1], inputs[start + i], inputs_of(start + i))?;
                        room[i] = output(names[2], outputs[start + i], outputs_of(start + i))?;
                    }
                    run_each(exclusive(&mut group[..count]), &frames[..count], &mut room[..count]);
                }
                Ok(())
            },
        )?
    }
}

/// An error if a stream's output overlaps another's or anybody's input.
fn apart<A, B>(
    n: usize,
    input: impl Fn(usize) -> (&'static str, *const A, usize),
    output: impl Fn(usize) -> (&'static str, *const B, usize),
) -> Result<(), Refusal> {
    for i in 0..n {
        for j in 0..n {
            disjoint(input(j), output(i))?;
            if j < i {
                disjoint(output(j), output(i))?;
            }
        }
    }
    Ok(())
}

/// Pointers as references.
///
/// # Safety
/// Each points to a live value, no two to the same, and nobody else uses them meanwhile.
unsafe fn exclusive<T>(pointers: &mut [NonNull<T>]) -> &mut [&mut T] {
    // SAFETY: `NonNull<T>` and `&mut T` have the same layout; the rest is this function's contract.
    unsafe { slice::from_raw_parts_mut(pointers.as_mut_ptr().cast(), pointers.len()) }
}
