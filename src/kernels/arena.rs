//! Memory for weights and streams: aligned to cache lines, zeroed, taken once.

use std::collections::TryReserveError;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

/// The element types of an [`Arena`].
///
/// # Safety
///
/// Implementors are valid for every bit pattern, have no padding, and are at most 64 bytes wide.
pub(crate) unsafe trait Element: Copy {}

// SAFETY: a plain number.
unsafe impl Element for f32 {}
// SAFETY: a plain number.
unsafe impl Element for i8 {}

/// Bytes that must be left when an arena has been taken. Loading makes lists and names between one
/// arena and the next, whose small allocations end the process when they fail: with this much left
/// they do not.
const SPARE: usize = 32 << 10;

/// A slice of numbers that begins at a cache line. Every page has been written to, so that using it
/// later never faults.
pub(crate) struct Arena<T: Element = f32> {
    lines: Vec<CacheLine>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Arena<T> {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Result<Self, TryReserveError> {
        let count = len.saturating_mul(size_of::<T>()).div_ceil(64);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count)?;
        Vec::<u8>::new().try_reserve_exact(SPARE)?;
        advise_huge_pages(lines.as_mut_ptr(), count * size_of::<CacheLine>());
        lines.resize(count, CacheLine([0; 64]));
        Ok(Self { lines, len, element: PhantomData })
    }

    /// Bytes taken.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }
}

/// Asks Linux to back a large allocation with huge pages, which spares most of the page faults of filling it. Only a
/// wish: its answer does not matter.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: *mut CacheLine, len: usize) {
    /// The size of a huge page on x86-64 and most others.
    const HUGE: usize = 2 << 20;
    let first = start.addr().next_multiple_of(HUGE);
    let last = (start.addr() + len) / HUGE * HUGE;
    if first < last {
        // SAFETY: the range lies within memory that the caller has just reserved and that holds nothing yet;
        // the advice changes no content.
        unsafe { libc::madvise(start.with_addr(first).cast(), last - first, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_start: *mut CacheLine, _len: usize) {}

impl<T: Element> Deref for Arena<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `lines` holds at least `len` initialised elements (`zeroed`), aligned to 64 bytes,
        // and `Element` allows any bits.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Arena<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
