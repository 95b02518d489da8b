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

/// Bytes that must be left when an arena has been taken. Loading makes lists and names between one
/// arena and the next, whose small allocations end the process when they fail: with this much left
/// they do not.
const SPARE: usize = 32 << 10;

/// Memory that arenas are cut from. Never moved, and freed with the last of them.
struct Block {
    /// Only room: its length is 0, and its lines are reached through `start`.
    lines: Vec<CacheLine>,
    start: *mut CacheLine,
}

// SAFETY: a block is an allocation, of no thread. What lies in it is reached through arenas alone, each of
// which has lines of its own and gives them out under Rust's rules of borrowing.
unsafe impl Send for Block {}
// SAFETY: as above; a shared block gives nothing out but its size.
unsafe impl Sync for Block {}

impl Block {
    fn new(lines: usize) -> Result<Self, TryReserveError> {
        let mut block = Vec::new();
        block.try_reserve_exact(lines)?;
        Vec::<u8>::new().try_reserve_exact(SPARE)?;
        let start = block.as_mut_ptr();
        advise_huge_pages(start, lines * size_of::<CacheLine>());
        Ok(Self { lines: block, start })
    }
}

/// What keeps an arena's memory.
#[expect(dead_code, reason = "not looked at, only dropped")]
enum Owner {
    Arena(Block),
    Pool(Arc<Block>),
}

/// A slice of numbers that begins at a cache line. Every page has been written to, so that using it
/// later never faults.
pub(crate) struct Arena<T: Element = f32> {
    start: *mut T,
    len: usize,
    /// Not looked at, only dropped.
    _owner: Owner,
}

// SAFETY: an arena is the only way to its lines, as a `Vec` is to its elements.
unsafe impl<T: Element + Send> Send for Arena<T> {}
// SAFETY: as above.
unsafe impl<T: Element + Sync> Sync for Arena<T> {}

impl<T: Element> Arena<T> {
    /// `len` zeros, in memory of their own.
    pub(crate) fn zeroed(len: usize) -> Result<Self, TryReserveError> {
        let mut room = Room::new(len)?;
        room.zeros(len);
        Ok(room.full())
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

/// An arena to be, which grows: numbers are in the cache when they are written a second time.
pub(super) struct Room<T: Element> {
    /// What is there so far. Its block has room for `len` elements at its start that no other arena has.
    arena: Arena<T>,
    len: usize,
}

impl<T: Element> Room<T> {
    /// Room in memory of its own.
    fn new(len: usize) -> Result<Self, TryReserveError> {
        let block = Block::new(lines::<T>(len))?;
        let start = block.start.cast();
        Ok(Self { arena: Arena { start, len: 0, _owner: Owner::Arena(block) }, len })
    }

    /// Elements that the arena will have.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The next `len` elements, which are zeros.
    pub(super) fn zeros(&mut self, len: usize) -> &mut [T] {
        let first = self.arena.len;
        assert!(len <= self.len - first);
        // SAFETY: the elements lie in the room, after those that are there.
        unsafe { self.arena.start.add(first).write_bytes(0, len) };
        self.arena.len += len;
        &mut self.arena[first..]
    }

    /// The arena, once all of it is there.
    pub(super) fn full(self) -> Arena<T> {
        assert_eq!(self.arena.len, self.len);
        self.arena
    }
}

/// Cache lines that hold `len` elements.
fn lines<T>(len: usize) -> usize {
    len.saturating_mul(size_of::<T>()).div_ceil(size_of::<CacheLine>())
}

/// Bytes that an arena of `len` elements takes.
pub(crate) fn arena_bytes<T: Element>(len: usize) -> usize {
    lines::<T>(len).saturating_mul(size_of::<CacheLine>())
}

/// Where the arenas of a model come from: side by side in a few large blocks, as far as these were asked for,
/// because only large blocks have huge pages. So loading faults less, and a product's way through the weights misses
/// fewer translations. Arenas that find no room there have memory of their own.
#[derive(Default)]
pub(crate) struct Pool {
    current: Cell<Option<Cut>>,
}

/// A block of which some lines are in use.
struct Cut {
    block: Arc<Block>,
    used: usize,
}

impl Pool {
    /// Takes a block for arenas of `bytes` bytes in all, as [`arena_bytes`] counts them. What the last one has left is
    /// given up.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), TryReserveError> {
        let block = Arc::new(Block::new(bytes / size_of::<CacheLine>())?);
        self.current.set(Some(Cut { block, used: 0 }));
        Ok(())
    }

    /// `len` zeros.
    pub(crate) fn zeroed<T: Element>(&self, len: usize) -> Result<Arena<T>, TryReserveError> {
        let mut room = self.room(len)?;
        room.zeros(len);
        Ok(room.full())
    }

    /// Room for `len` elements.
    pub(super) fn room<T: Element>(&self, len: usize) -> Result<Room<T>, TryReserveError> {
        let count = lines::<T>(len);
        let mut cut = match self.current.take() {
            Some(cut) if cut.block.lines.capacity() - cut.used >= count => cut,
            full => {
                self.current.set(full);
                return Room::new(len);
            }
        };
        // SAFETY: `used + count` is at most the block's lines.
        let start = unsafe { cut.block.start.add(cut.used) }.cast();
        let arena = Arena { start, len: 0, _owner: Owner::Pool(Arc::clone(&cut.block)) };
        // the lines from `used` on were nobody's
        cut.used += count;
        self.current.set(Some(cut));
        Ok(Room { arena, len })
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
        // SAFETY: `start` is followed by `len` elements that are initialised (`Room::zeros`), aligned to 64 bytes, in a
        // block that `_owner` keeps, and this arena's alone; `Element` allows any bits.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T: Element> DerefMut for Arena<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}
