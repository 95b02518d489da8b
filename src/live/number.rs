//! What two threads share: numbers that one of them changes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A count that one thread changes and any may read. It wraps.
///
/// Not inlined, for the same reason as the functions of a ring.
#[derive(Default)]
pub(super) struct Number(AtomicU32);

impl Number {
    /// Who reads a number sees what was written before it was stored.
    #[inline(never)]
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    #[inline(never)]
    pub(super) fn set(&self, number: u32) {
        self.0.store(number, Ordering::Release);
    }

    pub(super) fn add(&self, more: u32) {
        self.set(self.get().wrapping_add(more));
    }
}

/// A hash that one thread changes and any may read.
#[derive(Default)]
pub(super) struct Digest(AtomicU64);

impl Digest {
    #[inline(never)]
    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed) as i64
    }

    #[inline(never)]
    pub(super) fn set(&self, hash: i64) {
        self.0.store(hash as u64, Ordering::Relaxed);
    }
}
