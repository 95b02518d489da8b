//! What a loss costs: how far audio that lost frames is from audio that lost none. Prints the table of tests/README.md:
//!
//! ```sh
//! cargo test -p libmimi-tests --no-default-features --test loss -- --ignored --nocapture table
//! ```

#[path = "../../tool/src/measure.rs"]
#[allow(dead_code, unreachable_pub)]
mod measure;

use crate::*;

/// Which of `frames` frames are lost: `share` of them on average, in bursts of `burst`.
fn losses(frames: usize, share: f64, burst: usize, random: &mut Random) -> Vec<bool> {
    // from the end of one burst to the start of the next, on average
    let gap = burst as f64 * (1.0 - share) / share;
    let mut lost = Vec::new();
    while lost.len() < frames {
        let (count, is_lost) = if random.next() < 1.0 / (1.0 + gap) { (burst, true) } else { (1, false) };
        lost.resize(lost.len() + count, is_lost);
    }
    lost.truncate(frames);
    lost
}

/// Frames that are lost are not decoded, and silence takes their place.
fn silence(model: &Model, codes: &[u32], lost: &[bool]) -> Vec<f32> {
    let mut decoder = Decoder::new(model, &all_of(model)).unwrap();
    let mut pcm = vec![0.0; lost.len() * FRAME];
    for ((codes, pcm), lost) in codes.chunks(model.codebooks()).zip(pcm.chunks_mut(FRAME)).zip(lost) {
        if !lost {
            decoder.process(codes, pcm).unwrap();
        }
    }
    pcm
}

/// The codes that came last are decoded again.
fn repetition(model: &Model, codes: &[u32], lost: &[bool]) -> Vec<f32> {
    let all = model.codebooks();
    let mut last = &codes[..all];
    let repeated: Vec<u32> = codes
        .chunks(all)
        .zip(lost)
        .flat_map(|(codes, lost)| {
            last = if *lost { last } else { codes };
            last
        })
        .copied()
        .collect();
    decode(model, &all_of(model), &repeated).1
}

fn concealment(model: &Model, codes: &[u32], lost: &[bool]) -> Vec<f32> {
    decode(model, &all_of(model), &without(codes, model.codebooks(), |frame| lost[frame])).1
}

/// Ways to go on without a frame.
type Way = fn(&Model, &[u32], &[bool]) -> Vec<f32>;

const WAYS: [Way; 3] = [silence, repetition, concealment];

/// Patterns of losses for each recording.
const ROUNDS: u32 = 20;

#[test]
#[ignore = "minutes; prints a table"]
fn table() {
    let model = load(DEMO);
    let codes = ["speech", "long"].map(|name| model.encode(&recording(name), &all_of(&model)).unwrap());
    println!("| lost, % | in bursts of | silence | the last codes again | libmimi |");
    println!("|---|---|---|---|---|");
    for burst in [1, 3, 10] {
        for percent in [1, 5, 10, 20] {
            let (mut distances, mut frames) = ([0.0; WAYS.len()], 0.0);
            for (codes, round) in codes.iter().flat_map(|codes| (1..=ROUNDS).map(move |round| (codes, round)))
            {
                let (_, whole) = decode(&model, &all_of(&model), codes);
                let count = codes.len() / model.codebooks();
                let mut random = Random(round);
                let mut lost = losses(count, f64::from(percent) / 100.0, burst, &mut random);
                lost[0] = false;
                for (distance, way) in distances.iter_mut().zip(WAYS) {
                    let hurt = way(&model, codes, &lost);
                    *distance += measure::log_mel_distance(&whole, &hurt, 24_000) * count as f64;
                }
                frames += count as f64;
            }
            let [silence, repetition, ours] = distances.map(|distance| distance / frames);
            println!("| {percent} | {burst} | {silence:.2} | {repetition:.2} | {ours:.2} |");
        }
    }
}
