//! What the functions of encoders and decoders share. Names of arguments come first, for messages.

use super::buffer::{apart, disjoint, extent, input, output, place, report};
use super::decoder::mimi_decoder;
use super::handle::{self, Kind};
use super::status::mimi_status;
use crate::stream::{Frames, Input, Output, Streaming, Value};
use crate::{Decoder, StreamError};

/// All of `input` through a stream; the number of outputs goes to `out`.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn process<V: Value, C: Streaming<Direction: Frames<V>> + Kind>(
    [from_name, to_name, out_name]: [&'static str; 3],
    stream: *mut C::Opaque,
    from: *const Input<C, V>,
    count: usize,
    to: *mut Output<C, V>,
    room: usize,
    out: *mut usize,
) -> Result<(), mimi_status> {
    // SAFETY: this function's contract; `apart` and `disjoint` keep the references apart.
    unsafe {
        handle::exclusive(stream, |coder: &mut C| {
            let out = place(out_name, out)?;
            let buffers = [extent(from_name, from, count), extent(to_name, to.cast_const(), room)];
            apart((out_name, out), &buffers)?;
            disjoint((from_name, from, count), (to_name, to, room))?;
            let from = input(from_name, from, count)?;
            let to = output(to_name, to, room)?;
            report(out, coder.stream_mut().process(from, to, None)).map_err(mimi_status::from)
        })?
    }
}

/// What `give` writes of a stream without any input; the number of outputs goes to `out`.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn without_input<C: Kind, T: Copy>(
    [to_name, out_name]: [&'static str; 2],
    stream: *mut C::Opaque,
    to: *mut T,
    room: usize,
    out: *mut usize,
    give: impl FnOnce(&mut C, &mut [T]) -> Result<usize, StreamError>,
) -> Result<(), mimi_status> {
    // SAFETY: this function's contract; `apart` keeps the references apart.
    unsafe {
        handle::exclusive(stream, |coder: &mut C| {
            let out = place(out_name, out)?;
            apart((out_name, out), &[extent(to_name, to.cast_const(), room)])?;
            let to = output(to_name, to, room)?;
            report(out, give(coder, to)).map_err(mimi_status::from)
        })?
    }
}

/// Whole frames of codes or latents through a decoder; NULL stands for frames that did not arrive. `from_name` is the
/// frames' name.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn decode<V: Value>(
    from_name: &'static str,
    decoder: *mut mimi_decoder,
    (from, count): (*const V, usize),
    (pcm, room): (*mut f32, usize),
    out: *mut usize,
) -> Result<(), mimi_status> {
    // SAFETY: this function's contract.
    unsafe {
        if !from.is_null() {
            let names = [from_name, "pcm", "out_samples"];
            return process::<V, Decoder>(names, decoder, from, count, pcm, room, out);
        }
        let lost = |decoder: &mut Decoder, pcm: &mut [f32]| decoder.process_lost_values::<V>(count, pcm);
        without_input(["pcm", "out_samples"], decoder, pcm, room, out, lost)
    }
}

/// Samples that so many codes or latents would give now.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn samples_for<V: Value>(
    decoder: *const mimi_decoder,
    count: usize,
    out: *mut usize,
) -> Result<(), mimi_status> {
    // SAFETY: this function's contract.
    unsafe {
        let decoder: &Decoder = handle::shared(decoder)?;
        place("out_samples", out)?.write(decoder.samples_for_whole::<V>(count)?);
    }
    Ok(())
}
