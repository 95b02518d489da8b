//! Streams that are days old; see the encoder's.

use super::*;
use crate::encoder::tests::{FORGOTTEN, LATE, speech, tiny};

/// Takes away where a pass reads its codes, so that the next frame panics, or gives it back.
pub(crate) fn set_broken(decoder: &mut Decoder, broken: bool) {
    let shape = decoder.stream.shape;
    let room = if broken { 0 } else { shape.block * shape.codebooks };
    decoder.stream.memory.codes.resize(room, 0);
}

/// Audio of a stream that begins at `position`.
fn decode_at(position: u64, frames: usize, max_block: usize) -> Vec<f32> {
    let options = StreamOptions { codebooks: Some(6), max_block: Some(max_block), ..Default::default() };
    let model = tiny();
    let codes = model.encode(&speech(), &options).unwrap();
    let mut decoder = Decoder::new(&model, &options).unwrap();
    decoder.stream.memory.position = position;
    let mut pcm = vec![0.0; decoder.samples_for(codes.len())];
    for (codes, pcm) in codes.chunks(frames * 6).zip(pcm.chunks_mut(frames * 1_920)) {
        decoder.process(codes, pcm).unwrap();
    }
    pcm
}

#[test]
fn an_old_stream_decodes_as_a_young_one() {
    let young = &decode_at(0, 5, 1)[1_920 * FORGOTTEN..];
    let loudest = young.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    for position in LATE {
        let old = &decode_at(position, 5, 1)[1_920 * FORGOTTEN..];
        let off = old.iter().zip(young).fold(0.0f32, |max, (old, young)| max.max((old - young).abs()));
        assert!(off <= 1e-5 * loudest, "at {position}: off by {off}, loudest {loudest}");
    }
}

#[test]
fn an_old_stream_may_be_cut_anywhere() {
    for position in LATE {
        let whole = decode_at(position, 1_000, 100_000);
        for (frames, max_block) in [(1, 1), (3, 4_000), (20, 20_000)] {
            assert!(
                decode_at(position, frames, max_block) == whole,
                "at {position}, {frames} frames at once"
            );
        }
    }
}
