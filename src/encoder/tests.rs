//! Streams that are days old. Position enters through rotary angles and ring rows alone, so a stream
//! is made old by its position, not by days of audio.

use super::*;
use crate::LoadOptions;

/// Positions (25 a second in the published model) of a day, odd ones too, of a year, and where f32
/// and u32 have ended by the time that the stream does.
pub(crate) const LATE: [u64; 6] = [DAY, DAY + 1, DAY + 13, 365 * DAY, (1 << 24) - 31, (1 << 32) - 31];
const DAY: u64 = 25 * 86_400;

/// Frames after which an old stream has forgotten that nothing lies in its ring: two windows of 20
/// steps, and the convolutions' few rows.
pub(crate) const FORGOTTEN: usize = 24;

pub(crate) fn tiny() -> Model {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/tiny");
    Model::load(path, &LoadOptions::default()).unwrap()
}

/// 6.6 s.
pub(crate) fn speech() -> Vec<f32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/speech.wav");
    let mut wav = hound::WavReader::open(path).unwrap();
    let samples: Vec<f32> = wav.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32_768.0).collect();
    samples.repeat(2)
}

/// Takes away where a pass writes its codes, so that the next frame panics, or gives it back.
pub(crate) fn set_broken(encoder: &mut Encoder, broken: bool) {
    let shape = encoder.stream.shape;
    let room = if broken { 0 } else { shape.block * shape.codebooks };
    encoder.stream.memory.codes.resize(room, 0);
}

/// Codes of a stream that begins at `position`.
fn encode_at(position: u64, chunk: usize, max_block: usize) -> Vec<u32> {
    let options = StreamOptions { codebooks: Some(6), max_block: Some(max_block), ..Default::default() };
    let mut encoder = Encoder::new(&tiny(), &options).unwrap();
    encoder.stream.memory.position = position;
    let mut codes = Vec::new();
    for chunk in speech().chunks(chunk) {
        let start = codes.len();
        codes.resize(start + encoder.codes_for(chunk.len()), 0);
        encoder.process(chunk, &mut codes[start..]).unwrap();
    }
    assert_eq!(encoder.stream.memory.position, position + 2 * encoder.frames());
    codes
}

#[test]
fn an_old_stream_encodes_as_a_young_one() {
    let young = &encode_at(0, 10_000, 1)[6 * FORGOTTEN..];
    for position in LATE {
        let old = &encode_at(position, 10_000, 1)[6 * FORGOTTEN..];
        let same = old.iter().zip(young).filter(|(old, young)| old == young).count();
        // angles differ by their rounding to f32, and so may a code that was as near to another one
        assert!(same * 100 >= young.len() * 99, "at {position}: {same} of {} codes", young.len());
    }
}

#[test]
fn an_old_stream_may_be_cut_anywhere() {
    for position in LATE {
        let whole = encode_at(position, usize::MAX, 100_000);
        for (chunk, max_block) in [(480, 1), (1_920, 1), (7_001, 6_000), (30_000, 20_000)] {
            assert!(encode_at(position, chunk, max_block) == whole, "at {position}, {chunk} samples at once");
        }
    }
}
