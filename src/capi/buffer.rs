//! Pointers and lengths from C, checked before they become references.

use super::status::{Failure, MIMI_ERR_INVALID_ARGUMENT, MIMI_ERR_NULL_POINTER, MIMI_ERR_STATE, mimi_status};
use crate::StreamError;
use crate::bitstream::PackError;
use std::fmt;
use std::ptr::NonNull;
use std::slice;

/// Why an argument was refused, and the argument's name. Without a heap, for real-time functions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Null(&'static str),
    Misaligned(&'static str),
    TooLong(&'static str),
    Overlap(&'static str, &'static str),
    Repeated(&'static str),
    TooMany(&'static str, usize),
    WrongHandle(&'static str),
    Poisoned(&'static str),
}

impl From<Refusal> for mimi_status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Null(_) => MIMI_ERR_NULL_POINTER,
            Refusal::Misaligned(_)
            | Refusal::TooLong(_)
            | Refusal::Overlap(..)
            | Refusal::Repeated(_)
            | Refusal::TooMany(..) => MIMI_ERR_INVALID_ARGUMENT,
            Refusal::WrongHandle(_) | Refusal::Poisoned(_) => MIMI_ERR_STATE,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(name) => write!(f, "{name} is NULL"),
            Self::Misaligned(name) => write!(f, "{name} is misaligned"),
            Self::TooLong(name) => write!(f, "{name} is longer than the address space"),
            Self::Overlap(a, b) => write!(f, "{a} and {b} overlap"),
            Self::Repeated(name) => write!(f, "the list has the same {name} twice"),
            Self::TooMany(name, most) => write!(f, "more than {most} {name}"),
            Self::WrongHandle(name) => write!(f, "the handle is not a {name}, or was freed"),
            Self::Poisoned(name) => write!(f, "the {name} met a bug in libmimi: reset or free it"),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into(), refusal)
    }
}

/// A pointer to one value: neither NULL nor misaligned.
#[inline]
pub(super) fn place<T>(name: &'static str, pointer: *mut T) -> Result<NonNull<T>, Refusal> {
    let place = NonNull::new(pointer).ok_or(Refusal::Null(name))?;
    if place.is_aligned() { Ok(place) } else { Err(Refusal::Misaligned(name)) }
}

/// The `len` numbers at `pointer`; NULL and 0 make an empty slice.
///
/// # Safety
/// What the checks cannot see: `len` numbers are readable and nobody changes them during `'a`.
#[inline]
pub(super) unsafe fn input<'a, T: Copy>(
    name: &'static str,
    pointer: *const T,
    len: usize,
) -> Result<&'a [T], Refusal> {
    check(name, pointer, len)?;
    // SAFETY: `check` refused NULL, misaligned and over-long; the rest is this function's contract.
    Ok(if len == 0 { &[] } else { unsafe { slice::from_raw_parts(pointer, len) } })
}

/// Room for `cap` numbers at `pointer`; NULL and 0 make an empty slice.
///
/// # Safety
/// What the checks cannot see: `cap` numbers are writable and nobody else uses them during `'a`.
#[inline]
pub(super) unsafe fn output<'a, T: Copy>(
    name: &'static str,
    pointer: *mut T,
    cap: usize,
) -> Result<&'a mut [T], Refusal> {
    check(name, pointer, cap)?;
    // SAFETY: `check` refused NULL, misaligned and over-long; the rest is this function's contract.
    Ok(if cap == 0 { &mut [] } else { unsafe { slice::from_raw_parts_mut(pointer, cap) } })
}

/// Refuses buffers that share memory, which references must not.
#[inline]
pub(super) fn disjoint<A, B>(
    (a_name, a, a_len): (&'static str, *const A, usize),
    (b_name, b, b_len): (&'static str, *const B, usize),
) -> Result<(), Refusal> {
    // saturating: lengths are checked when they become slices
    let a_end = a.addr().saturating_add(a_len.saturating_mul(size_of::<A>()));
    let b_end = b.addr().saturating_add(b_len.saturating_mul(size_of::<B>()));
    let apart = a_len == 0 || b_len == 0 || a_end <= b.addr() || b_end <= a.addr();
    if apart { Ok(()) } else { Err(Refusal::Overlap(a_name, b_name)) }
}

/// Refuses a place for a result, [`place`] returned it, that lies in one of `buffers`: their names,
/// addresses and bytes.
#[inline]
pub(super) fn apart<T>(
    (name, place): (&'static str, NonNull<T>),
    buffers: &[(&'static str, usize, usize)],
) -> Result<(), Refusal> {
    let start = place.addr().get();
    let end = start.saturating_add(size_of::<T>());
    for &(buffer, address, bytes) in buffers {
        if bytes > 0 && address < end && start < address.saturating_add(bytes) {
            return Err(Refusal::Overlap(name, buffer));
        }
    }
    Ok(())
}

/// The address and the bytes of a buffer, for [`apart`].
#[inline]
pub(super) fn extent<T>(name: &'static str, pointer: *const T, len: usize) -> (&'static str, usize, usize) {
    (name, pointer.addr(), len.saturating_mul(size_of::<T>()))
}

#[inline]
fn check<T>(name: &'static str, pointer: *const T, len: usize) -> Result<(), Refusal> {
    if len == 0 {
        return Ok(());
    }
    place(name, pointer.cast_mut())?;
    let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
    match bytes.and_then(|bytes| pointer.addr().checked_add(bytes)) {
        Some(_) => Ok(()),
        None => Err(Refusal::TooLong(name)),
    }
}

/// An error that may say how much room is needed.
pub(super) trait Needs: Copy {
    fn needed(self) -> Option<usize>;
}

impl Needs for StreamError {
    fn needed(self) -> Option<usize> {
        if let Self::BufferTooSmall { needed } = self { Some(needed) } else { None }
    }
}

impl Needs for PackError {
    fn needed(self) -> Option<usize> {
        if let Self::BufferTooSmall { needed } = self { Some(needed) } else { None }
    }
}

/// Writes the count that a call returned, or the count that it needs, to `*out`.
///
/// # Safety
/// `out` is valid for a write.
#[inline]
pub(super) unsafe fn report<E: Needs>(out: NonNull<usize>, result: Result<usize, E>) -> Result<(), E> {
    if let Some(count) = result.map_or_else(E::needed, Some) {
        // SAFETY: this function's contract.
        unsafe { out.write(count) };
    }
    result.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lengths_and_pointers_are_refused() {
        let numbers = [0u32; 4];
        let p = numbers.as_ptr();
        assert!(check("n", p, 4).is_ok());
        assert!(check("n", std::ptr::null::<u32>(), 0).is_ok());
        assert!(matches!(check("n", std::ptr::null::<u32>(), 1), Err(Refusal::Null("n"))));
        assert!(matches!(check("n", p.wrapping_byte_add(1), 1), Err(Refusal::Misaligned("n"))));
        for len in [usize::MAX, usize::MAX / 2, usize::MAX / 4, usize::MAX / 8 + 1] {
            assert!(matches!(check("n", p, len), Err(Refusal::TooLong("n"))), "{len}");
        }
        let last = std::ptr::without_provenance::<u32>(usize::MAX - 3);
        assert!(matches!(check("n", last, 1), Err(Refusal::TooLong("n"))));
    }

    #[test]
    fn overlap_is_found_on_either_side() {
        let p = [0u32; 8].as_ptr();
        let at = |i: usize| p.wrapping_add(i);
        assert!(disjoint(("a", at(0), 4), ("b", at(4), 4)).is_ok());
        assert!(disjoint(("a", at(4), 4), ("b", at(0), 4)).is_ok());
        assert!(disjoint(("a", at(0), 5), ("b", at(4), 4)).is_err());
        assert!(disjoint(("a", at(4), 4), ("b", at(0), 5)).is_err());
        assert!(disjoint(("a", at(2), 1), ("b", at(0), 8)).is_err());
        assert!(disjoint(("a", at(2), 0), ("b", at(0), 8)).is_ok());
        assert!(disjoint(("a", at(0), usize::MAX), ("b", at(4), 1)).is_err());
    }

    #[test]
    fn a_place_in_a_buffer_is_found() {
        let mut numbers = [0u64; 8];
        let p = numbers.as_mut_ptr();
        let count = place("n", p.wrapping_add(4)).unwrap();
        let buffer = |from: usize, len: usize| [extent("b", p.wrapping_add(from).cast_const(), len)];
        assert!(apart(("n", count), &buffer(0, 4)).is_ok());
        assert!(apart(("n", count), &buffer(5, 3)).is_ok());
        assert!(apart(("n", count), &buffer(4, 0)).is_ok());
        assert!(apart(("n", count), &buffer(0, 5)).is_err());
        assert!(apart(("n", count), &buffer(4, 1)).is_err());
        assert!(apart(("n", count), &buffer(0, usize::MAX)).is_err());
        // a part of it is enough
        let bytes = p.cast::<u8>().wrapping_add(39).cast_const();
        assert!(apart(("n", count), &[extent("b", bytes, 1)]).is_err());
    }
}
