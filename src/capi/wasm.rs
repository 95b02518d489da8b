//! Memory for a host of a WebAssembly module, whose own memory the module cannot see. C has `malloc`; this is all that
//! the module exports beside the C ABI. `bindings/js` uses it.

use super::guard::guard_value;
use std::alloc::{Layout, alloc, dealloc};
use std::ptr;

/// More than any element of a buffer needs.
const ALIGN: usize = 16;

fn layout(len: usize) -> Option<Layout> {
    Layout::from_size_align(len.max(1), ALIGN).ok()
}

/// `len` bytes at a multiple of 16, or NULL if they cannot be had. Their content is undefined.
#[unsafe(no_mangle)]
pub extern "C" fn mimi_wasm_alloc(len: usize) -> *mut u8 {
    // SAFETY: the layout has at least one byte.
    guard_value(ptr::null_mut(), || layout(len).map_or(ptr::null_mut(), |layout| unsafe { alloc(layout) }))
}

/// Frees memory of [`mimi_wasm_alloc`], with the same `len`. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mimi_wasm_free(memory: *mut u8, len: usize) {
    guard_value((), || {
        if let (false, Some(layout)) = (memory.is_null(), layout(len)) {
            // SAFETY: the caller's: `mimi_wasm_alloc` made it with this layout.
            unsafe { dealloc(memory, layout) };
        }
    });
}
