//! Memory for weights and streams: aligned to cache lines, zeroed, taken once.

use std::cell::Cell;
use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

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
// SAFETY: a plain number.
unsafe impl Element for i16 {}
// SAFETY: plain numbers.
unsafe impl Element for CacheLine {}

/// Bytes that must be left when an arena has been taken. Loading makes lists and names between one arena and the next.
/// Their small allocations end the process when they fail, and with this much left they do not.
const SPARE: usize = 32 << 10;

/// A slice of numbers that begins at a cache line. Every page has been written to, so that using it later never
/// faults.
pub(crate) struct Arena<T: Element = f32> {
    start: *mut T,
    len: usize,
    /// The memory itself, only kept; empty for an arena of a pool.
    _own: Vec<CacheLine>,
    /// The block of the pool, only kept.
    _block: Option<Arc<Vec<CacheLine>>>,
}

// SAFETY: an arena is the only way to its lines, as a `Vec` is to its elements.
unsafe impl<T: Element + Send> Send for Arena<T> {}
// SAFETY: as above.
unsafe impl<T: Element + Sync> Sync for Arena<T> {}

impl<T: Element> Arena<T> {
    /// `len` zeros, in memory of their own.
    pub(crate) fn zeroed(len: usize) -> Result<Self, TryReserveError> {
        let mut lines = Vec::new();
        lines.try_reserve_exact(lines_for::<T>(len))?;
        Vec::<u8>::new().try_reserve_exact(SPARE)?;
        advise_huge_pages(&mut lines);
        lines.resize(lines_for::<T>(len), CacheLine([0; 64]));
        Ok(Self { start: lines.as_mut_ptr().cast(), len, _own: lines, _block: None })
    }

    /// A copy, in memory of its own.
    pub(crate) fn try_clone(&self) -> Result<Self, TryReserveError> {
        let mut copy = Self::zeroed(self.len)?;
        copy.copy_from_slice(self);
        Ok(copy)
    }

    /// Bytes taken.
    pub(crate) fn bytes(&self) -> usize {
        arena_bytes::<T>(self.len)
    }
}

/// Cache lines that hold `len` elements.
fn lines_for<T>(len: usize) -> usize {
    len.saturating_mul(size_of::<T>()).div_ceil(size_of::<CacheLine>())
}

/// Bytes that an arena of `len` elements takes.
pub(crate) fn arena_bytes<T: Element>(len: usize) -> usize {
    lines_for::<T>(len).saturating_mul(size_of::<CacheLine>())
}

/// Where the arenas of a model come from: side by side in a few large blocks, as only large blocks have huge pages.
/// Loading faults less with them, and a product's way through the weights misses fewer translations. An arena for
/// which the current block has no room has memory of its own.
#[derive(Default)]
pub(crate) struct Pool {
    /// What is left of the current block.
    rest: Cell<Option<Arena<CacheLine>>>,
}

impl Pool {
    /// Takes a block for arenas of `bytes` bytes in all, as [`arena_bytes`] counts them. The rest of the last block is
    /// given up.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), TryReserveError> {
        let block = Arena::<CacheLine>::zeroed(bytes / size_of::<CacheLine>())?;
        let (start, len) = (block.start, block.len);
        self.rest.set(Some(Arena { start, len, _own: Vec::new(), _block: Some(Arc::new(block._own)) }));
        Ok(())
    }

    /// `len` zeros.
    pub(crate) fn zeroed<T: Element>(&self, len: usize) -> Result<Arena<T>, TryReserveError> {
        let count = lines_for::<T>(len);
        match self.rest.take() {
            Some(mut rest) if count <= rest.len => {
                let (start, block) = (rest.start.cast(), rest._block.clone());
                // SAFETY: `count` lines are left, which are the new arena's alone from here on.
                rest.start = unsafe { rest.start.add(count) };
                rest.len -= count;
                self.rest.set(Some(rest));
                Ok(Arena { start, len, _own: Vec::new(), _block: block })
            }
            rest => {
                self.rest.set(rest);
                Arena::zeroed(len)
            }
        }
    }
}

/// Asks Linux to back a large allocation with huge pages, which spares most page faults of filling it. The answer does
/// not matter.
#[cfg(target_os = "linux")]
fn advise_huge_pages(lines: &mut Vec<CacheLine>) {
    /// The size of a huge page on x86-64 and most others.
    const HUGE: usize = 2 << 20;
    let start = lines.as_mut_ptr();
    let first = start.addr().next_multiple_of(HUGE);
    let last = (start.addr() + lines.capacity() * size_of::<CacheLine>()) / HUGE * HUGE;
    if first < last {
        // SAFETY: the range lies within memory that has been reserved and holds nothing yet; the advice changes no
        // content.
        unsafe { libc::madvise(start.with_addr(first).cast(), last - first, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_lines: &mut Vec<CacheLine>) {}

impl<T: Element> Deref for Arena<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `start` is followed by `len` elements that are initialised, aligned to 64 bytes, in lines that `_own`
        // or `_block` keeps, and this arena's alone; `Element` allows any bits.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T: Element> DerefMut for Arena<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}
