//! Buffers that notice what is written beside them, and calls that fill them.

use arbitrary::Arbitrary;
use mimi::capi::status::*;
use std::ffi::CStr;
use std::fmt::Debug;
use std::ptr::null_mut;

/// How much room a call is given.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Room {
    Enough,
    TooLittle(u8),
    None,
}

/// A buffer of `len` numbers between others, which must not change.
pub(super) struct Guarded<T> {
    all: Vec<T>,
    pub(super) len: usize,
    pad: T,
}

impl<T: Copy + PartialEq + Debug> Guarded<T> {
    const PADS: usize = 5;

    pub(super) fn new(len: usize, pad: T) -> Self {
        Self { all: vec![pad; len + 2 * Self::PADS], len, pad }
    }

    /// NULL if it is empty.
    pub(super) fn pointer(&mut self) -> *mut T {
        if self.len == 0 { null_mut() } else { self.all[Self::PADS..].as_mut_ptr() }
    }

    /// The first `written` numbers; those after them are as they were.
    pub(super) fn written(&self, written: usize) -> &[T] {
        let (front, rest) = self.all.split_at(Self::PADS);
        let (content, behind) = rest.split_at(written);
        assert!(written <= self.len && front.iter().chain(behind).all(|x| *x == self.pad));
        content
    }
}

/// `needed`, or less.
pub(super) fn given(room: Room, needed: usize) -> usize {
    match room {
        Room::Enough => needed,
        Room::TooLittle(by) => needed.saturating_sub(usize::from(by) + 1),
        Room::None => 0,
    }
}

/// Calls with room for `given` of `needed` numbers; returns them, or `None` if the room was too little.
pub(super) fn deliver<T: Copy + PartialEq + Debug>(
    room: Room,
    needed: usize,
    pad: T,
    call: impl FnOnce(*mut T, usize, *mut usize) -> mimi_status,
) -> Option<Vec<T>> {
    let mut buffer = Guarded::new(given(room, needed), pad);
    let mut len = 54321;
    let status = call(buffer.pointer(), buffer.len, &mut len);
    assert_eq!(len, needed);
    if buffer.len < needed {
        assert_eq!(status, MIMI_ERR_BUFFER_TOO_SMALL);
        buffer.written(0);
        return None;
    }
    assert_eq!(status, MIMI_OK);
    Some(buffer.written(needed).to_vec())
}

/// A refusal: the status, and a message.
pub(super) fn refused(status: mimi_status, one_of: &[mimi_status]) {
    assert!(one_of.contains(&status), "status {status}");
    // SAFETY: never NULL, zero-terminated.
    assert!(!unsafe { CStr::from_ptr(mimi_last_error()) }.is_empty());
}
