//! Many streams of one model, one pass over its weights.

use super::buffer::{Refusal, disjoint, input, output};
use super::decoder::mimi_decoder;
use super::encoder::mimi_encoder;
use super::guard::guard_rt;
use super::handle;
use super::status::mimi_status;
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
///   not overlap each other.
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
    guard_rt(|| unsafe {
        not_too_many("encoders", n)?;
        let streams = input("encoders", encoders, n)?;
        let (pcm, codes) = (input("pcm", pcm, n)?, input("codes", codes, n)?);
        handle::exclusive_many(
            n,
            |i| streams[i],
            |encoder: &dyn Fn(usize) -> NonNull<Encoder>| {
                for i in 0..n {
                    let (first, this) = (encoder(0).as_ref(), encoder(i).as_ref());
                    input("pcm", pcm[i], this.frame_samples())?;
                    output("codes", codes[i], this.codebooks())?;
                    this.check_member(first.model(), this.frame_samples(), this.codebooks())?;
                }
                apart(
                    n,
                    |i| ("pcm", pcm[i], encoder(i).as_ref().frame_samples()),
                    |i| ("codes", codes[i].cast_const(), encoder(i).as_ref().codebooks()),
                )?;
                for start in (0..n).step_by(GROUP) {
                    let count = GROUP.min(n - start);
                    let mut group = [encoder(start); GROUP];
                    let mut samples: [&[f32]; GROUP] = [&[]; GROUP];
                    let mut room: [&mut [u32]; GROUP] = array::from_fn(|_| Default::default());
                    for i in 0..count {
                        group[i] = encoder(start + i);
                        let this = group[i].as_ref();
                        samples[i] = input("pcm", pcm[start + i], this.frame_samples())?;
                        room[i] = output("codes", codes[start + i], this.codebooks())?;
                    }
                    Encoder::run_many(exclusive(&mut group[..count]), &samples[..count], &mut room[..count]);
                }
                Ok(())
            },
        )?
    })
}

/// Decodes exactly one frame for each of several streams of one model, as mimi_encoder_process_many()
/// encodes. Real-time.
///
/// - `decoders`, `n`: the streams, all of one model, none of them twice; at most 1024. One at a rate
///   other than the model's must take its first frame alone, with mimi_decoder_process(): the end of
///   that frame's audio follows with the second.
/// - `codes`: for each stream a pointer to one frame of codes, MIMI_PROP_CODEBOOKS.
/// - `pcm`: for each stream a pointer to room for one frame of samples, its MIMI_PROP_FRAME_SAMPLES.
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
    guard_rt(|| unsafe {
        not_too_many("decoders", n)?;
        let streams = input("decoders", decoders, n)?;
        let (codes, pcm) = (input("codes", codes, n)?, input("pcm", pcm, n)?);
        handle::exclusive_many(
            n,
            |i| streams[i],
            |decoder: &dyn Fn(usize) -> NonNull<Decoder>| {
                for i in 0..n {
                    let (first, this) = (decoder(0).as_ref(), decoder(i).as_ref());
                    output("pcm", pcm[i], this.frame_samples())?;
                    let codes = input("codes", codes[i], this.codebooks())?;
                    let checked = this.check_member(first.model(), codes, this.frame_samples());
                    checked.inspect_err(|error| decoder(i).as_mut().note(error))?;
                }
                apart(
                    n,
                    |i| ("codes", codes[i], decoder(i).as_ref().codebooks()),
                    |i| ("pcm", pcm[i].cast_const(), decoder(i).as_ref().frame_samples()),
                )?;
                for start in (0..n).step_by(GROUP) {
                    let count = GROUP.min(n - start);
                    let mut group = [decoder(start); GROUP];
                    let mut frames: [&[u32]; GROUP] = [&[]; GROUP];
                    let mut room: [&mut [f32]; GROUP] = array::from_fn(|_| Default::default());
                    for i in 0..count {
                        group[i] = decoder(start + i);
                        let this = group[i].as_ref();
                        frames[i] = input("codes", codes[start + i], this.codebooks())?;
                        room[i] = output("pcm", pcm[start + i], this.frame_samples())?;
                    }
                    Decoder::run_many(exclusive(&mut group[..count]), &frames[..count], &mut room[..count]);
                }
                Ok(())
            },
        )?
    })
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
