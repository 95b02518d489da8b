//! What the functions of captures and playbacks share: handles that several threads use, each its own side.

use super::buffer::Refusal;
use super::model::*;
use crate::live::{Counts, Facts};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// A part of a handle that one thread uses, while others use the others.
pub(super) struct Side<T> {
    value: UnsafeCell<T>,
    /// A call of this side met a bug. Atomic, because a reset may come from another thread.
    poisoned: AtomicBool,
}

impl<T> Side<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), poisoned: AtomicBool::new(false) }
    }

    /// Runs `f` on the value. Should `f` panic, the side is poisoned. `name` is the handle's.
    ///
    /// # Safety
    /// Nobody else uses this side meanwhile.
    #[inline]
    pub(super) unsafe fn run<R>(
        &self,
        name: &'static str,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Refusal> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Refusal::Poisoned(name));
        }
        self.poisoned.store(true, Ordering::Relaxed);
        // SAFETY: this function's contract.
        let result = f(unsafe { &mut *self.value.get() });
        self.poisoned.store(false, Ordering::Relaxed);
        Ok(result)
    }

    /// The value, which is sound again when the caller has reset it.
    pub(super) fn recover(&mut self) -> &mut T {
        *self.poisoned.get_mut() = false;
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
