//! Frames that lost codes: those with some of them are those of a stream with fewer codebooks, and those with none are
//! concealed.

mod concealed;
mod cuts;
mod fewer;
mod language_models;
#[path = "../support/mod.rs"]
mod support;
mod table;

use mimi::{Decoder, LoadOptions, Model, NO_CODE, StreamOptions};
use support::{repository, wav};

/// Trained weights.
const DEMO: &str = "tool/demo/model.safetensors";

/// Untrained ones, and their peculiarities: two semantic codebooks, no projections.
const TINY: [&str; 3] =
    ["tests/data/golden/tiny", "tests/data/golden/tiny-semantic2", "tests/data/golden/tiny-noproj"];

/// Samples in a frame of 80 ms.
const FRAME: usize = 1920;

fn load(path: &str) -> Model {
    Model::load(repository(path), &LoadOptions::default()).unwrap()
}

fn with_codebooks(codebooks: usize) -> StreamOptions {
    StreamOptions { codebooks: Some(codebooks), ..StreamOptions::default() }
}

/// All codebooks.
fn all_of(model: &Model) -> StreamOptions {
    with_codebooks(model.codebooks())
}

fn recording(name: &str) -> Vec<f32> {
    wav(&repository(&format!("tests/data/golden/{name}.wav")))
}

/// Codes of 3.3 s of speech: 42 frames.
fn speech(model: &Model) -> Vec<u32> {
    model.encode(&recording("speech"), &all_of(model)).unwrap()
}

/// The codes without those of frames that `is_lost`.
fn without(codes: &[u32], codebooks: usize, mut is_lost: impl FnMut(usize) -> bool) -> Vec<u32> {
    let mut codes = codes.to_vec();
    for (frame, codes) in codes.chunks_exact_mut(codebooks).enumerate() {
        if is_lost(frame) {
            codes.fill(NO_CODE);
        }
    }
    codes
}

/// A new decoder, and its audio of some codes.
fn decode(model: &Model, options: &StreamOptions, codes: &[u32]) -> (Decoder, Vec<f32>) {
    let mut decoder = Decoder::new(model, options).unwrap();
    let mut pcm = vec![f32::NAN; decoder.samples_for(codes.len())];
    assert_eq!(decoder.process(codes, &mut pcm), Ok(pcm.len()));
    (decoder, pcm)
}

fn loudest(pcm: &[f32]) -> f32 {
    pcm.iter().fold(0.0, |peak, x| peak.max(x.abs()))
}

/// The largest difference of neighbours.
fn steepest(pcm: &[f32]) -> f32 {
    pcm.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
}

/// Numbers below 1, from the generator of Numerical Recipes.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 24)
    }
}
