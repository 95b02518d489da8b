//! Which library this is.

use super::guard::guard_value;
use crate::kernels::InstructionSet;
use std::ffi::c_char;
use std::io::Write;
use std::sync::OnceLock;

/// The version of this header. A change of MINOR may change the ABI while MAJOR is 0; within one
/// MINOR, functions, keys and status codes are only ever added.
pub const MIMI_VERSION_MAJOR: u32 = 0;
/// See MIMI_VERSION_MAJOR.
pub const MIMI_VERSION_MINOR: u32 = 1;
/// See MIMI_VERSION_MAJOR.
pub const MIMI_VERSION_PATCH: u32 = 0;
/// The version of this header as one number; compare it with mimi_version_number().
pub const MIMI_VERSION_NUMBER: u32 =
    MIMI_VERSION_MAJOR * 10000 + MIMI_VERSION_MINOR * 100 + MIMI_VERSION_PATCH;

const _: () = assert!(MIMI_VERSION_MAJOR == number(env!("CARGO_PKG_VERSION_MAJOR")));
const _: () = assert!(MIMI_VERSION_MINOR == number(env!("CARGO_PKG_VERSION_MINOR")));
const _: () = assert!(MIMI_VERSION_PATCH == number(env!("CARGO_PKG_VERSION_PATCH")));

const fn number(digits: &str) -> u32 {
    match u32::from_str_radix(digits, 10) {
        Ok(n) => n,
        Err(_) => panic!("the version's parts are decimal numbers"),
    }
}

/// The version of the library that was loaded: MAJOR * 10000 + MINOR * 100 + PATCH.
///
/// Differs from MIMI_VERSION_NUMBER when the program was compiled with the header of another
/// release. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn mimi_version_number() -> u32 {
    guard_value(MIMI_VERSION_NUMBER, || MIMI_VERSION_NUMBER)
}

/// The version of the library that was loaded, and the best kernels that this CPU can run, for example
/// "0.1.0 (avx2, fma)".
///
/// For logs and bug reports; do not parse it. The string is static: never free it. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn mimi_version_string() -> *const c_char {
    guard_value(c"".as_ptr(), || {
        // without the heap, because there is no status for want of memory
        static TEXT: OnceLock<[u8; 64]> = OnceLock::new();
        let text = TEXT.get_or_init(|| {
            let mut text = [0; 64];
            // what does not fit is left out, and the last byte stays 0
            let _ =
                write!(&mut text[..63], "{} ({})", env!("CARGO_PKG_VERSION"), InstructionSet::best().name());
            text
        });
        text.as_ptr().cast()
    })
}
