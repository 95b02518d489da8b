//! Another Rust static library in the same program, with a run-time of its own.

use std::panic::catch_unwind;

/// The sum of 0 to n - 1, made with the allocator, a thread, and a panic that is caught.
#[unsafe(no_mangle)]
pub extern "C" fn other_sum(n: u64) -> u64 {
    let numbers = std::thread::spawn(move || (0..n).collect::<Vec<_>>()).join().unwrap_or_default();
    let caught = catch_unwind(|| std::panic::resume_unwind(Box::new("caught"))).is_err();
    if caught { numbers.iter().sum() } else { 0 }
}
