//! Status codes, and the message of a thread's last failure.

use super::guard::guard_value;
use crate::error::Escaped;
use crate::{Error, ErrorKind, StreamError};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char};
use std::fmt::{self, Write};

/// The result of most functions: MIMI_OK, or one of the negative MIMI_ERR_ codes. Later releases
/// may add codes: treat every negative value as an error.
pub type mimi_status = i32;

/// Success.
pub const MIMI_OK: mimi_status = 0;
/// A required pointer is NULL.
pub const MIMI_ERR_NULL_POINTER: mimi_status = -1;
/// An argument or option value that can never be right: out of range, a misaligned pointer, a
/// length beyond the address space, a partial frame of codes or latents, buffers that overlap.
pub const MIMI_ERR_INVALID_ARGUMENT: mimi_status = -2;
/// The output buffer is too small, and the function's last argument received the number of elements
/// needed; or mimi_playback_write() has no room for so many frames.
pub const MIMI_ERR_BUFFER_TOO_SMALL: mimi_status = -3;
/// A file could not be read.
pub const MIMI_ERR_IO: mimi_status = -4;
/// The bytes are not in the format that is expected: not a Mimi checkpoint, or not a token header.
pub const MIMI_ERR_FORMAT: mimi_status = -5;
/// Damaged data: a truncated or misshapen checkpoint, non-finite weights, a code out of range.
pub const MIMI_ERR_CORRUPT: mimi_status = -6;
/// Well-formed, but not something that this library, this model or this CPU does: an unknown key or
/// choice, a network that it cannot run, the half of a model that was not loaded.
pub const MIMI_ERR_UNSUPPORTED: mimi_status = -7;
/// Memory for weights or for a stream could not be had.
pub const MIMI_ERR_OUT_OF_MEMORY: mimi_status = -8;
/// A callback of yours asked to stop.
pub const MIMI_ERR_ABORTED: mimi_status = -9;
/// The handle is of the wrong kind, was freed, or is unusable after MIMI_ERR_PANIC; or another call is in
/// the same side of a capture or a playback. The check for
/// freed handles is a best effort: using one is a bug all the same.
pub const MIMI_ERR_STATE: mimi_status = -10;
/// A bug in libmimi was caught. A stream that it happened to answers MIMI_ERR_STATE until it is
/// reset or freed; everything else is unaffected. Please report it.
pub const MIMI_ERR_PANIC: mimi_status = -11;

/// What a status code means, in English.
///
/// Any number is accepted. The string is static: never free it. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn mimi_status_string(status: mimi_status) -> *const c_char {
    guard_value(c"".as_ptr(), || describe(status).as_ptr())
}

/// What exactly went wrong in this thread's last failed call: the file, tensor, option or argument,
/// what was found and what was expected.
///
/// Ask only after a function that is not real-time has failed. Successful calls and real-time functions
/// leave the message as it is: after them it is of an earlier call, or empty. A message about a file begins
/// with its path. UTF-8, one line, cut at 1023 bytes. The string belongs to the thread, and holds until the
/// thread's next failed call or its end. Never free it. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn mimi_last_error() -> *const c_char {
    guard_value(c"".as_ptr(), || MESSAGE.with(|message| message.get().cast_const().cast()))
}

fn describe(status: mimi_status) -> &'static CStr {
    match status {
        MIMI_OK => c"ok",
        MIMI_ERR_NULL_POINTER => c"a required pointer is NULL",
        MIMI_ERR_INVALID_ARGUMENT => c"invalid argument",
        MIMI_ERR_BUFFER_TOO_SMALL => c"output buffer too small",
        MIMI_ERR_IO => c"read error",
        MIMI_ERR_FORMAT => c"not in the expected format",
        MIMI_ERR_CORRUPT => c"damaged data",
        MIMI_ERR_UNSUPPORTED => c"not supported",
        MIMI_ERR_OUT_OF_MEMORY => c"out of memory",
        MIMI_ERR_ABORTED => c"stopped by the caller's callback",
        MIMI_ERR_STATE => c"wrong, freed or unusable handle",
        MIMI_ERR_PANIC => c"bug in libmimi",
        _ => c"unknown status",
    }
}

/// Bytes of a message, with its final zero.
const MESSAGE_BYTES: usize = 1024;

thread_local! {
    // Constant and without Drop: no hook at a thread's end is registered, so that dlclose works. (The handles of
    // the threads of MIMI_OPT_THREADS do register one.) Real-time functions do not use it: the first use of a
    // loaded library's thread-local memory allocates.
    static MESSAGE: UnsafeCell<[u8; MESSAGE_BYTES]> = const { UnsafeCell::new([0; MESSAGE_BYTES]) };
}

/// Where a message is written: cut to whole characters.
struct Message {
    bytes: [u8; MESSAGE_BYTES],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..MESSAGE_BYTES - 1];
        let mut len = text.len().min(room.len());
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        // what was cut is not followed by anything
        if len == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Keeps `message` for [`mimi_last_error`], escaped and so without zero bytes.
pub(super) fn set_message(message: impl fmt::Display) {
    // beside the thread's place, because `message` may be made of what is there
    let mut text = Message { bytes: [0; MESSAGE_BYTES], len: 0 };
    // an error only says that it was cut
    let _ = write!(text, "{}", Escaped(message));
    MESSAGE.with(|place| {
        // SAFETY: the cell is this thread's alone, and no reference into it outlives this statement:
        // `mimi_last_error` hands out a raw pointer, which its caller reads between calls.
        unsafe { *place.get() = text.bytes }
    });
}

/// A failure on its way out of a function that is not real-time. Its message is with the thread
/// already: a failure needs no memory, which may be what failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: mimi_status,
}

impl Failure {
    pub(super) fn new(status: mimi_status, message: impl fmt::Display) -> Self {
        set_message(message);
        Self { status }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidArgument => MIMI_ERR_INVALID_ARGUMENT,
            ErrorKind::Io => MIMI_ERR_IO,
            ErrorKind::Format => MIMI_ERR_FORMAT,
            ErrorKind::Corrupt => MIMI_ERR_CORRUPT,
            ErrorKind::Unsupported => MIMI_ERR_UNSUPPORTED,
            ErrorKind::OutOfMemory => MIMI_ERR_OUT_OF_MEMORY,
            ErrorKind::Aborted => MIMI_ERR_ABORTED,
        };
        Self::new(status, error.message())
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::new(error.into(), error)
    }
}

impl From<StreamError> for mimi_status {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::BufferTooSmall { .. } | StreamError::NoRoom { .. } => MIMI_ERR_BUFFER_TOO_SMALL,
            StreamError::CodeOutOfRange { .. } => MIMI_ERR_CORRUPT,
            StreamError::NoQuantizer => MIMI_ERR_UNSUPPORTED,
            _ => MIMI_ERR_INVALID_ARGUMENT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_error() -> String {
        // SAFETY: never NULL, zero-terminated, this thread's own.
        unsafe { CStr::from_ptr(mimi_last_error()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn messages_are_cut_between_characters() {
        for lead in 0..4 {
            let message = "x".repeat(MESSAGE_BYTES - 1 - lead) + "€€";
            set_message(&message);
            let kept = last_error();
            assert!(message.starts_with(&kept) && kept.len() < MESSAGE_BYTES, "{lead}");
            assert!(kept.len() >= MESSAGE_BYTES - 3, "{lead}: {} bytes kept", kept.len());
        }
        set_message("short");
        assert_eq!(last_error(), "short");
        set_message("a\0b\n\u{1b}\u{202e}");
        assert_eq!(last_error(), "a\\u{0}b\\n\\u{1b}\\u{202e}");
    }

    #[test]
    fn each_thread_has_its_own_message() {
        set_message("mine");
        std::thread::spawn(|| assert_eq!(last_error(), "")).join().unwrap();
        assert_eq!(last_error(), "mine");
    }
}
