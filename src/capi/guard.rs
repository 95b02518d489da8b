//! The one way out of every exported function: no panic crosses into C.
//!
//! A panic that is a bug still runs the process's panic hook first, and the default hook prints to
//! stderr. Replacing the hook would change the behaviour of a Rust host, so it is left alone.

use super::status::{Failure, MIMI_ERR_PANIC, MIMI_OK, mimi_status, set_message};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// For functions that are not real-time: a failure leaves its message.
pub(super) fn guard(f: impl FnOnce() -> Result<(), Failure>) -> mimi_status {
    // Unwind safety: a stream that was being changed is poisoned by `handle::exclusive`; nothing
    // else that a function can reach is mutable.
    let failure = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => return MIMI_OK,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::new(MIMI_ERR_PANIC, format!("bug in libmimi: {}", text(payload))),
    };
    set_message(&failure.message);
    failure.status
}

/// For real-time functions: the status alone, because a message needs thread-local memory.
#[inline]
pub(super) fn guard_rt(f: impl FnOnce() -> Result<(), mimi_status>) -> mimi_status {
    // Unwind safety: as in `guard`.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => MIMI_OK,
        Ok(Err(status)) => status,
        Err(payload) => {
            text(payload);
            MIMI_ERR_PANIC
        }
    }
}

/// For functions without a status.
pub(super) fn guard_value<T>(fallback: T, f: impl FnOnce() -> T) -> T {
    // Unwind safety: as in `guard`.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        text(payload);
        fallback
    })
}

/// The text of a panic. A payload that is not text is leaked: its destructor might panic again.
fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>().map(|text| *text) {
        Ok(text) => text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => text.to_string(),
            Err(payload) => {
                std::mem::forget(payload);
                "panic without a message".into()
            }
        },
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
