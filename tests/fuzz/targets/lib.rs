//! What the targets share: a network small enough for thousands of runs a second.

pub mod script;

use mimi::{LoadOptions, Model};
use std::sync::OnceLock;

/// Frames of 8 samples, 3 codebooks of 11 words, two of five dimensions each, a window of 5 steps.
/// `tests/streaming` holds it against the formula that made it.
pub static MICRO: &[u8] = include_bytes!("../micro.safetensors");

/// The network, loaded once.
pub fn micro() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::load_bytes(MICRO, &LoadOptions::default()).expect("a valid checkpoint"))
}

/// `count` samples with a sound of their own for each `seed`; some are not finite, some huge.
pub fn samples(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        // xorshift64 (Marsaglia, "Xorshift RNGs", 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let sample = |random: u64| match random % 512 {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => -3e38,
        3 => 1e-42,
        _ => (random >> 40) as f32 / (1u32 << 23) as f32 - 1.0,
    };
    (0..count).map(|_| sample(next())).collect()
}
