//! Memory for weights and streams: aligned to cache lines, zeroed, taken once.

use super::matrix::PackError;
use std::alloc::Layout;
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
unsafe impl Element for u8 {}
// SAFETY: a plain number.
unsafe impl Element for i8 {}
// SAFETY: a plain number.
unsafe impl Element for i16 {}
// SAFETY: plain numbers.
unsafe impl Element for CacheLine {}

/// Bytes that must be left when an arena has been taken. Loading makes lists and names between one arena and the next.
/// Their small allocations end the process when they fail, and with this much left they do not.
const SPARE: usize = 32 << 10;

/// Bytes between places that are written to, so that every page has been: no page is smaller.
const PAGE: usize = 4 << 10;

/// Zeroed cache lines.
struct Lines {
    start: *mut CacheLine,
    memory: *mut u8,
    layout: Layout,
}

// SAFETY: the lines are this value's alone, as a `Vec`'s elements are.
unsafe impl Send for Lines {}
// SAFETY: as above; a shared reference gives no access to the lines.
unsafe impl Sync for Lines {}

impl Lines {
    /// Asks for zeros with the alignment that any allocation has, and aligns them itself: large memory then comes from
    /// the system as it is, which has zeroed it, and costs no page before it is used. Linux is asked for huge pages.
    fn zeroed(count: usize) -> Result<Self, TryReserveError> {
        let padded = count
            .checked_mul(size_of::<CacheLine>())
            .and_then(|len| len.checked_add(align_of::<CacheLine>()));
        let layout = padded.and_then(|len| Layout::from_size_align(len, align_of::<u64>()).ok());
        let layout = layout.ok_or_else(no_memory)?;
        // SAFETY: the size is not zero.
        let memory = unsafe { std::alloc::alloc_zeroed(layout) };
        if memory.is_null() {
            return Err(no_memory());
        }
        let lines = Self {
            start: memory.map_addr(|at| at.next_multiple_of(align_of::<CacheLine>())).cast(),
            memory,
            layout,
        };
        Vec::<u8>::new().try_reserve_exact(SPARE)?;
        advise_huge_pages(lines.start, count);
        Ok(lines)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.memory, self.layout) }
    }
}

/// What an allocator says that refuses: here to more than any has.
fn no_memory() -> TryReserveError {
    let refused = Vec::<u8>::new().try_reserve_exact(isize::MAX as usize + 1);
    refused.expect_err("no allocation is so large")
}

/// A slice of numbers that begins at a cache line. Every page has been written to, so that using it later never
/// faults.
pub(crate) struct Arena<T: Element = f32> {
    start: *mut T,
    len: usize,
    /// The memory itself, only kept; `None` for an arena of a pool.
    _own: Option<Lines>,
    /// The block of the pool, only kept.
    _block: Option<Arc<Lines>>,
}

// SAFETY: an arena is the only way to its lines, as a `Vec` is to its elements.
unsafe impl<T: Element + Send> Send for Arena<T> {}
// SAFETY: as above.
unsafe impl<T: Element + Sync> Sync for Arena<T> {}

impl<T: Element> Arena<T> {
    /// `len` zeros, in memory of their own.
    pub(crate) fn zeroed(len: usize) -> Result<Self, TryReserveError> {
        let arena = Self::unwritten(len)?;
        for at in (0..len).step_by(PAGE / size_of::<T>()) {
            // SAFETY: within the slice. A zero is written over a zero, which a compiler would leave out.
            unsafe { arena.start.add(at).write_volatile(arena.start.add(at).read()) };
        }
        Ok(arena)
    }

    /// The same for a caller who will write to every page.
    fn unwritten(len: usize) -> Result<Self, TryReserveError> {
        let lines = Lines::zeroed(lines_for::<T>(len))?;
        Ok(Self { start: lines.start.cast(), len, _own: Some(lines), _block: None })
    }

    /// A copy, in memory of its own.
    pub(crate) fn try_clone(&self) -> Result<Self, TryReserveError> {
        let mut copy = Self::unwritten(self.len)?;
        copy.copy_from_slice(self);
        Ok(copy)
    }

    /// Bytes taken.
    pub(crate) fn bytes(&self) -> usize {
        arena_bytes::<T>(self.len)
    }
}

/// Weights in memory, for what takes and what writes them.
pub(crate) trait Weights {
    /// Shows the bytes of each arena, in the order in which they were taken from the pool.
    fn arenas(&self, visit: &mut dyn FnMut(&[u8]));

    /// Bytes taken.
    fn bytes(&self) -> usize {
        let mut bytes = 0;
        self.arenas(&mut |arena| bytes += arena.len());
        bytes
    }
}

impl<T: Element> Weights for Arena<T> {
    fn arenas(&self, visit: &mut dyn FnMut(&[u8])) {
        // SAFETY: whole cache lines that are initialised, without padding in them: see `Element`.
        visit(unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes()) });
    }
}

impl<W: Weights> Weights for Arc<W> {
    fn arenas(&self, visit: &mut dyn FnMut(&[u8])) {
        (**self).arenas(visit);
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
///
/// Weights that were packed before are the same arenas side by side. A pool that was given them hands them out in place
/// of zeros.
#[derive(Default)]
pub(crate) struct Pool {
    /// What is left of the current block.
    rest: Cell<Option<Arena<CacheLine>>>,
    /// What is left of packed weights.
    packed: Cell<Option<Arena<CacheLine>>>,
}

impl Pool {
    /// Takes a block for arenas of `bytes` bytes in all, as [`arena_bytes`] counts them. The rest of the last block is
    /// given up.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), TryReserveError> {
        let lines = Lines::zeroed(bytes / size_of::<CacheLine>())?;
        let (start, len) = (lines.start, bytes / size_of::<CacheLine>());
        self.rest.set(Some(Arena { start, len, _own: None, _block: Some(Arc::new(lines)) }));
        Ok(())
    }

    /// `len` elements: what `fill` makes of zeros, or the next of the packed weights. `fill` writes to every page.
    pub(crate) fn filled<T: Element>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [T]) -> Result<(), PackError>,
    ) -> Result<Arena<T>, PackError> {
        if self.is_packed() {
            return split(&self.packed, len).ok_or(PackError::Misfit);
        }
        let mut arena = self.unwritten(len)?;
        fill(&mut arena)?;
        Ok(arena)
    }

    /// Zeros for a caller who will write to every page.
    pub(crate) fn unwritten<T: Element>(&self, len: usize) -> Result<Arena<T>, TryReserveError> {
        split(&self.rest, len).map_or_else(|| Arena::unwritten(len), Ok)
    }

    /// From here on, arenas are parts of packed weights.
    pub(crate) fn begin_packed(&self, weights: Arena<u8>) {
        let (start, len) = (weights.start.cast(), lines_for::<u8>(weights.len));
        let block = weights._block.or_else(|| weights._own.map(Arc::new));
        self.packed.set(Some(Arena { start, len, _own: None, _block: block }));
    }

    /// From here on, they are not. Nothing must be left of the packed weights.
    pub(crate) fn end_packed(&self) -> Result<(), PackError> {
        self.packed.take().is_none_or(|rest| rest.is_empty()).then_some(()).ok_or(PackError::Misfit)
    }

    /// Whether arenas have their contents already.
    pub(crate) fn is_packed(&self) -> bool {
        let packed = self.packed.take();
        let is_packed = packed.is_some();
        self.packed.set(packed);
        is_packed
    }
}

/// Takes the first `len` elements off the rest of a block; `None` if it has fewer.
fn split<T: Element>(rest: &Cell<Option<Arena<CacheLine>>>, len: usize) -> Option<Arena<T>> {
    let count = lines_for::<T>(len);
    let mut left = rest.take()?;
    let found = (count <= left.len).then(|| {
        let (start, block) = (left.start.cast(), left._block.clone());
        // SAFETY: `count` lines are left, which are the new arena's alone from here on.
        left.start = unsafe { left.start.add(count) };
        left.len -= count;
        Arena { start, len, _own: None, _block: block }
    });
    rest.set(Some(left));
    found
}

/// Asks Linux to back a large allocation with huge pages, which spares most page faults of filling it. The answer does
/// not matter.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: *mut CacheLine, count: usize) {
    /// The size of a huge page on x86-64 and most others.
    const HUGE: usize = 2 << 20;
    let first = start.addr().next_multiple_of(HUGE);
    let last = (start.addr() + count * size_of::<CacheLine>()) / HUGE * HUGE;
    if first < last {
        // SAFETY: the range lies within memory that is ours alone; the advice changes no content.
        unsafe { libc::madvise(start.with_addr(first).cast(), last - first, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_start: *mut CacheLine, _count: usize) {}

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
