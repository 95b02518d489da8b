//! Streams of latents, cut in any way.

use super::Random;
use mimi::{Decoder, Encoder, Model, StreamOptions};

/// A stream each way, cut, forked and reset, against the one-shot calls. Returns how many frames.
pub(crate) fn cut(model: &Model, options: &StreamOptions, pcm: &[f32], random: &mut Random) -> usize {
    let one_shot = StreamOptions { max_block: None, threads: Some(random.within(1, 3)), ..options.clone() };
    let dim = model.spec().latent_dim;
    let expected = model.encode_latents(pcm, &one_shot).unwrap();
    let mut encoder = Encoder::new(model, options).unwrap();
    let (mut latents, mut rest) = (Vec::new(), pcm);
    if random.once_in(2) {
        let before = random.below(2 * encoder.frame_samples());
        let before = random.audio(before);
        process(&mut encoder, &before);
        encoder.reset();
    }
    while !rest.is_empty() {
        if random.once_in(6) {
            encoder = encoder.try_clone().unwrap();
        }
        let (piece, after) = rest.split_at(random.within(0, 2 * encoder.frame_samples()).min(rest.len()));
        latents.extend(process(&mut encoder, piece));
        rest = after;
    }
    let mut last = vec![0.0; encoder.latents_for_flush()];
    assert_eq!(encoder.flush_latents(&mut last), Ok(last.len()));
    latents.extend(last);
    assert!(bits(&latents) == bits(&expected), "{options:?}");

    let expected = model.decode_latents(&latents, &one_shot).unwrap();
    let mut decoder = Decoder::new(model, options).unwrap();
    let (mut audio, mut rest) = (Vec::new(), latents.as_slice());
    if random.once_in(2) {
        let mut lost = vec![0.0; 3 * decoder.frame_samples()];
        decoder.process_lost(random.below(4), &mut lost).unwrap();
        decoder.reset();
    }
    while !rest.is_empty() {
        if random.once_in(6) {
            decoder = decoder.try_clone().unwrap();
        }
        let (piece, after) = rest.split_at((dim * random.below(4)).min(rest.len()));
        let mut new = vec![0.0; decoder.samples_for_latents(piece.len())];
        assert_eq!(decoder.process_latents(piece, &mut new), Ok(new.len()));
        audio.extend(new);
        rest = after;
    }
    let mut last = vec![0.0; decoder.samples_for_flush()];
    assert_eq!(decoder.flush(&mut last), Ok(last.len()));
    audio.extend(last);
    assert!(bits(&audio) == bits(&expected), "{options:?}");
    latents.len() / dim
}

fn process(encoder: &mut Encoder, pcm: &[f32]) -> Vec<f32> {
    let mut latents = vec![0.0; encoder.latents_for(pcm.len())];
    assert_eq!(encoder.process_latents(pcm, &mut latents), Ok(latents.len()));
    latents
}

/// For comparisons: a network may make what is not a number out of huge weights.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
