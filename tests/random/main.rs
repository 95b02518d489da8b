//! Random networks and random calls, as many as there is time for: streams give the bits of the one-shot calls, and
//! networks at the edges of what is accepted run.
//!
//! ```sh
//! MIMI_SECONDS=600 MIMI_SEED=1 cargo test -p libmimi-tests --no-default-features --test random -- --ignored \
//!     --nocapture
//! ```
//!
//! A failure names its seed. With that seed, it is the first trial.

mod edges;
mod latents;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use mimi::{Isa, LoadOptions, Precision};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Random numbers: splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `end` − 1.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// `first` to `last`.
    fn within(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Audio; sometimes with samples that are not finite, huge or denormal.
    fn audio(&mut self, samples: usize) -> Vec<f32> {
        let level = self.one_of(&[1.0, 0.1, 1e-4, 1e3]);
        let odd = self.once_in(4);
        let mut sample = || match self.below(64) {
            0 if odd => self.one_of(&[f32::NAN, f32::INFINITY, -3e38, 1e-42]),
            _ => level * ((self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0),
        };
        (0..samples).map(|_| sample()).collect()
    }

    /// Any precision, on any instruction set of this CPU: those that it lacks are caps that do nothing.
    fn load_options(&mut self) -> LoadOptions {
        LoadOptions {
            precision: self.one_of(&[Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8]),
            isa: self.one_of(isas()),
            ..Default::default()
        }
    }
}

fn isas() -> &'static [Isa] {
    if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
        &[Isa::Baseline, Isa::Avx2, Isa::Avx512]
    } else {
        &[Isa::Auto]
    }
}

/// The number in the environment variable `name`.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text}")))
}

/// Runs trials, one for each seed, until the time is up; prints how many, and how many of each outcome.
fn trials<const N: usize>(what: &str, outcomes: [&str; N], trial: impl Fn(&mut Random) -> [usize; N]) {
    let first = number("MIMI_SEED", 1);
    let (start, time) = (Instant::now(), Duration::from_secs(number("MIMI_SECONDS", 60)));
    let (mut seed, mut counts) = (first, [0; N]);
    while start.elapsed() < time {
        // unrelated seeds for neighbours
        let mut random = Random(Random(seed).next());
        let found = catch_unwind(AssertUnwindSafe(|| trial(&mut random))).unwrap_or_else(|panic| {
            eprintln!("{what}: failed with MIMI_SEED={seed}");
            resume_unwind(panic)
        });
        counts.iter_mut().zip(found).for_each(|(count, more)| *count += more);
        seed += 1;
    }
    let counts: Vec<_> = outcomes.iter().zip(counts).map(|(name, count)| format!("{count} {name}")).collect();
    println!("{what}: {} trials from MIMI_SEED={first} on: {}", seed - first, counts.join(", "));
    assert!(seed > first, "no time for a trial");
}
