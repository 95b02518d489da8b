//! What one core of this machine can do at most.

use mimi::{Model, probe::Limits};
use std::time::{Duration, Instant};

/// Values that are read to find out how fast memory is: 256 MB, more than any cache that one core has.
const VALUES: usize = 64 << 20;

/// Values that are timed at once. Short runs find the moments in which nothing else runs.
const PIECE: usize = 2 << 20;

/// Runs of multiply-adds, and times that all values are read; the best counts.
const RUNS: usize = 50;
const PASSES: usize = 3;

/// The limits of a core.
pub(super) struct Machine {
    /// In single precision, one after the other in registers.
    pub(super) multiply_adds_per_second: f64,
    /// The same of integers of 16 bits.
    pub(super) integer_multiply_adds_per_second: f64,
    /// Of memory, read at several places in turn.
    pub(super) bytes_per_second: f64,
}

impl Machine {
    /// Measures with the instruction set that `model` runs on.
    pub(super) fn measure(model: &Model) -> Self {
        let limits = Limits::of(model);
        let values = vec![1.0f32; VALUES];
        let mut bytes_per_second = 0.0f64;
        for _ in 0..PASSES {
            for piece in values.chunks_exact(PIECE) {
                let ((), time) = timed(|| limits.read(piece));
                bytes_per_second = bytes_per_second.max(size_of_val(piece) as f64 / time.as_secs_f64());
            }
        }
        Self {
            multiply_adds_per_second: best_rate(|rounds| limits.multiply_adds(rounds)),
            integer_multiply_adds_per_second: best_rate(|rounds| limits.integer_multiply_adds(rounds)),
            bytes_per_second,
        }
    }
}

/// What `work`, which takes a number of rounds and says what it has done, does in a second at best.
fn best_rate(work: impl Fn(usize) -> usize) -> f64 {
    // doubled until a run is long enough to be timed
    let mut rounds = 1 << 12;
    while timed(|| work(rounds)).1 < Duration::from_millis(2) {
        rounds *= 2;
    }
    let runs = (0..RUNS).map(|_| timed(|| work(rounds)));
    runs.map(|(count, time)| count as f64 / time.as_secs_f64()).fold(0.0, f64::max)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
