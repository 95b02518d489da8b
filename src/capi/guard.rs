//! The one way out of every exported function: no panic crosses into C, and the caller's floating-point mode
//! comes back. Inside, nothing traps, whatever that mode is and whatever the caller's numbers are.
//!
//! A panic that is a bug still runs the process's panic hook first, and the default hook prints to
//! stderr. Replacing the hook would change the behaviour of a Rust host, so it is left alone.

use super::status::{Failure, MIMI_ERR_PANIC, MIMI_OK, mimi_status};
use crate::kernels::FlushDenormals;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// For functions that are not real-time: a failure leaves its message.
pub(super) fn guard(f: impl FnOnce() -> Result<(), Failure>) -> mimi_status {
    let _mode = FlushDenormals::new();
    // Unwind safety: a stream that was being changed is poisoned by `handle::exclusive`, a side of a capture or a
    // playback by `Side::run`. What sides share are counts, and rings that publish a word after it is there.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => MIMI_OK,
        Ok(Err(failure)) => failure.status,
        Err(payload) => {
            let failure =
                Failure::new(MIMI_ERR_PANIC, format_args!("bug in libmimi: {}", text(payload.as_ref())));
            dispose(payload);
            failure.status
        }
    }
}

/// For real-time functions: the status alone, because a message needs thread-local memory.
#[inline]
pub(super) fn guard_rt(f: impl FnOnce() -> Result<(), mimi_status>) -> mimi_status {
    let _mode = FlushDenormals::new();
    // Unwind safety: as in `guard`.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => MIMI_OK,
        Ok(Err(status)) => status,
        Err(payload) => {
            dispose(payload);
            MIMI_ERR_PANIC
        }
    }
}

/// For functions without a status.
pub(super) fn guard_value<T>(fallback: T, f: impl FnOnce() -> T) -> T {
    let _mode = FlushDenormals::new();
    // Unwind safety: as in `guard`.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        dispose(payload);
        fallback
    })
}

/// The text of a panic.
fn text(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<String>(), payload.downcast_ref::<&'static str>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "panic without a message",
    }
}

/// Frees what a panic carried, if that is text. Anything else is leaked: its destructor might panic
/// again.
fn dispose(payload: Box<dyn Any + Send>) {
    if !payload.is::<String>() && !payload.is::<&'static str>() {
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::resume_unwind;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("dropped"));
        }
    }

    #[test]
    fn panics_become_a_status() {
        assert_eq!(guard(|| resume_unwind(Box::new("text"))), MIMI_ERR_PANIC);
        assert_eq!(guard(|| resume_unwind(Box::new(String::from("text")))), MIMI_ERR_PANIC);
        assert_eq!(guard(|| resume_unwind(Box::new(Bomb))), MIMI_ERR_PANIC);
        assert_eq!(guard_rt(|| resume_unwind(Box::new(Bomb))), MIMI_ERR_PANIC);
        assert_eq!(guard_value(7, || resume_unwind(Box::new(Bomb))), 7);
        assert_eq!(guard(|| Ok(())), MIMI_OK);
        assert_eq!(guard_rt(|| Err(-3)), -3);
    }
}
