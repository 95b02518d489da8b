//! What the functions of captures and playbacks share: handles that several threads use, each its own side.

use super::buffer::Refusal;
use super::model::*;
use crate::live::{Counts, Facts};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// A part of a handle that one thread uses, while others use the others.
pub(super) struct Side<T> {
    value: UnsafeCell<T>,
    /// A call is in this side, or met a bug there.
    taken: AtomicBool,
}

impl<T: Send> Side<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), taken: AtomicBool::new(false) }
    }

    /// Runs `f` on the value, or refuses if another call is in this side. Should `f` panic, the side stays taken.
    /// `name` is the handle's.
    #[inline]
    pub(super) fn run<R>(&self, name: &'static str, f: impl FnOnce(&mut T) -> R) -> Result<R, Refusal> {
        if self.taken.swap(true, Ordering::Acquire) {
            return Err(Refusal::Poisoned(name));
        }
        // SAFETY: of several calls one has taken the side; `T: Send`, so any thread may.
        let result = f(unsafe { &mut *self.value.get() });
        self.taken.store(false, Ordering::Release);
        Ok(result)
    }

    /// The value, which is sound again when the caller has reset it.
    pub(super) fn recover(&mut self) -> &mut T {
        *self.taken.get_mut() = false;
        self.value.get_mut()
    }
}

/// The properties that captures and playbacks have.
pub(super) fn live_property(facts: &Facts, counts: &Counts, key: mimi_prop) -> Option<i64> {
    match key {
        MIMI_PROP_CODEBOOKS => Some(facts.codebooks as i64),
        MIMI_PROP_SAMPLE_RATE => Some(facts.sample_rate.into()),
        MIMI_PROP_FRAME_SAMPLES => Some(facts.frame_samples as i64),
        MIMI_PROP_LATENCY_SAMPLES => Some(facts.latency_samples as i64),
        MIMI_PROP_MEMORY_BYTES => Some(facts.memory_bytes as i64),
        MIMI_PROP_FRAMES => Some(counts.frames().into()),
        MIMI_PROP_CODES_HASH => Some(counts.codes_hash()),
        MIMI_PROP_DROPPED => Some(counts.dropped().into()),
        _ => common_property(&facts.spec, key),
    }
}
