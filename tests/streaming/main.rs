//! A stream's output is the same bits however it is cut, forked, interrupted or interleaved: those
//! of the one-shot call.

mod calls;
mod chunks;
mod levels;
mod micro;
mod prompt;
mod rates;
#[path = "../support/mod.rs"]
mod support;

use mimi::{Decoder, Encoder, LoadOptions, Model, StreamOptions, Tail};
use support::{repository, wav};

/// Small networks, each with its own peculiarities; attention windows of 7 to 20 steps, so that even
/// seconds are long.
const NETWORKS: [&str; 5] = ["tiny", "tiny-dilated", "tiny-replicate", "tiny-theta", "tiny-16khz"];

const TAILS: [Tail; 2] = [Tail::AudioPad, Tail::LayerPad];

fn load(checkpoint: &str) -> Model {
    let path = repository(&format!("tests/data/golden/{checkpoint}"));
    Model::load(path, &LoadOptions::default()).unwrap()
}

/// 3.3 s.
fn speech() -> Vec<f32> {
    wav(&repository("tests/data/golden/speech.wav"))
}

/// Pushes all of `pcm` in chunks of the given lengths, round and round.
fn encode_in(encoder: &mut Encoder, pcm: &[f32], lengths: &[usize]) -> Vec<u32> {
    let mut codes = Vec::new();
    for chunk in cut(pcm, 1, lengths) {
        encode(encoder, chunk, &mut codes);
    }
    codes
}

/// Pushes one chunk; the stream must write what it said it would.
fn encode(encoder: &mut Encoder, pcm: &[f32], codes: &mut Vec<u32>) {
    let (start, told) = (codes.len(), encoder.codes_for(pcm.len()));
    // room for more, which must stay as it is
    codes.resize(start + told + 2, UNWRITTEN);
    assert_eq!(encoder.process(pcm, &mut codes[start..]), Ok(told));
    assert_eq!(codes.split_off(start + told), [UNWRITTEN; 2]);
    let codebook_size = encoder.spec().codebook_size as u32;
    assert!(codes[start..].iter().all(|&code| code < codebook_size));
}

/// Ends the stream.
fn encode_end(encoder: &mut Encoder, codes: &mut Vec<u32>) {
    let (start, told) = (codes.len(), encoder.codes_for_flush());
    codes.resize(start + told + 1, UNWRITTEN);
    assert_eq!(encoder.flush(&mut codes[start..]), Ok(told));
    assert_eq!(codes.pop(), Some(UNWRITTEN));
}

const UNWRITTEN: u32 = u32::MAX;

/// Pushes all of `codes` in groups of so many frames, round and round.
fn decode_in(decoder: &mut Decoder, codes: &[u32], frames: &[usize]) -> Vec<f32> {
    let mut pcm = Vec::new();
    for chunk in cut(codes, decoder.codebooks(), frames) {
        decode(decoder, chunk, &mut pcm);
    }
    pcm
}

/// Pushes some frames; the stream must write what it said it would.
fn decode(decoder: &mut Decoder, codes: &[u32], pcm: &mut Vec<f32>) {
    let (start, told) = (pcm.len(), decoder.samples_for(codes.len()));
    pcm.resize(start + told + 2, f32::NAN);
    assert_eq!(decoder.process(codes, &mut pcm[start..]), Ok(told));
    assert!(pcm.split_off(start + told).iter().all(|sample| sample.is_nan()));
    assert!(pcm[start..].iter().all(|sample| sample.is_finite()));
}

/// `values` in pieces of the given lengths, round and round; lengths count groups of `group` values.
fn cut<'a, T>(values: &'a [T], group: usize, lengths: &[usize]) -> Vec<&'a [T]> {
    assert!(lengths.iter().any(|&length| length > 0));
    let mut pieces = Vec::new();
    let mut rest = values;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((length * group).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// All codebooks.
fn all_codebooks(model: &Model, tail: Tail) -> StreamOptions {
    StreamOptions { codebooks: Some(model.codebooks()), tail, ..Default::default() }
}

/// Equal bits; `==` would take 0 for −0.
#[track_caller]
fn assert_same_audio(found: &[f32], expected: &[f32], what: &str) {
    let bits = |pcm: &[f32]| pcm.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>();
    assert!(bits(found) == bits(expected), "{what}: other bits");
}
