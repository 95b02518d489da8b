//! What the functions of encoders and decoders share. Names of arguments come first, for messages.

use super::buffer::{apart, disjoint, extent, input, output, place, report};
use super::handle::{self, Kind};
use super::status::mimi_status;
use crate::StreamError;
use crate::stream::Coder;

/// All of `input` through a stream; the number of outputs goes to `out`.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn process<C: Coder + Kind>(
    [from_name, to_name, out_name]: [&'static str; 3],
    stream: *mut C::Opaque,
    from: *const C::Input,
    count: usize,
    to: *mut C::Output,
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
            report(out, coder.process_with(from, to, None)).map_err(mimi_status::from)
        })?
    }
}

/// What `give` writes of a stream without any input; the number of outputs goes to `out`.
///
/// # Safety
/// The pointers are as the header's introduction asks.
pub(super) unsafe fn without_input<C: Coder + Kind>(
    [to_name, out_name]: [&'static str; 2],
    stream: *mut C::Opaque,
    to: *mut C::Output,
    room: usize,
    out: *mut usize,
    give: impl FnOnce(&mut C, &mut [C::Output]) -> Result<usize, StreamError>,
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
