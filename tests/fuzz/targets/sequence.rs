//! Any sequence of calls of the C ABI.
#![no_main]

use libfuzzer_sys::fuzz_target;
use libmimi_fuzz::script::{self, Call};

fuzz_target!(|input: (u64, Vec<Call>)| script::run(input.0, &input.1[..input.1.len().min(100)]));
