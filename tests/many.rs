//! Many streams in one pass give what each gives alone, whatever the mix.

mod support;

use mimi::{Decoder, Encoder, LoadOptions, Model, StreamError, StreamOptions};
use proptest::prelude::*;
use std::sync::LazyLock;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/golden/tiny");
    Model::load(path, &LoadOptions::default()).unwrap()
});

const FRAME: usize = 1920;

/// A voice of its own for each stream.
fn voice(stream: usize, samples: usize) -> Vec<f32> {
    (0..samples).map(|i| (i as f32 * (0.01 + 0.003 * stream as f32)).sin() * 0.3).collect()
}

fn options(stream: usize) -> StreamOptions {
    StreamOptions {
        codebooks: Some([6, 3, 1][stream % 3]),
        context: (stream % 5 == 4).then_some(9),
        max_block: (stream % 7 == 6).then_some(3 * FRAME),
        ..StreamOptions::default()
    }
}

/// What happens to the streams between two frames that all take together.
#[derive(Clone, Debug)]
enum Event {
    Together,
    Alone(usize, usize),
    Reset(usize),
    Flush(usize),
}

fn events(streams: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => Just(Event::Together),
        2 => (0..streams, 1..3 * FRAME).prop_map(|(stream, samples)| Event::Alone(stream, samples)),
        1 => (0..streams).prop_map(Event::Reset),
        1 => (0..streams).prop_map(Event::Flush),
    ];
    prop::collection::vec(event, 1..12)
}

/// A stream and its twin, which never meets another stream.
struct Pair<T> {
    member: T,
    alone: T,
    at: usize,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn encoders_in_company_give_the_codes_of_encoders_alone((count, events) in (1..40usize).prop_flat_map(|n| (Just(n), events(n)))) {
        let voices: Vec<_> = (0..count).map(|i| voice(i, 50 * FRAME)).collect();
        let new = |i: usize| Encoder::new(&MODEL, &options(i)).unwrap();
        let mut pairs: Vec<_> = (0..count).map(|i| Pair { member: new(i), alone: new(i), at: 0 }).collect();
        for event in events {
            match event {
                Event::Together => {
                    let pcm: Vec<_> = pairs.iter().zip(&voices).map(|(p, v)| &v[p.at..p.at + FRAME]).collect();
                    let mut codes = vec![[u32::MAX; 6]; count];
                    let mut members: Vec<_> = pairs.iter_mut().map(|p| &mut p.member).collect();
                    let mut room: Vec<_> = codes.iter_mut().map(|c| &mut c[..]).collect();
                    Encoder::process_many(&mut members, &pcm, &mut room).unwrap();
                    for ((pair, pcm), codes) in pairs.iter_mut().zip(pcm).zip(codes) {
                        let mut expected = [u32::MAX; 6];
                        pair.alone.process(pcm, &mut expected).unwrap();
                        prop_assert_eq!(codes, expected);
                        prop_assert_eq!(pair.member.codes_hash(), pair.alone.codes_hash());
                        pair.at += FRAME;
                    }
                }
                Event::Alone(i, samples) => {
                    let pair = &mut pairs[i];
                    let pcm = &voices[i][pair.at..pair.at + samples];
                    let (mut codes, mut expected) = ([0; 24], [0; 24]);
                    prop_assert_eq!(pair.member.process(pcm, &mut codes), pair.alone.process(pcm, &mut expected));
                    prop_assert_eq!(codes, expected);
                    pair.at += samples;
                }
                Event::Reset(i) => {
                    pairs[i].member.reset();
                    pairs[i].alone.reset();
                }
                Event::Flush(i) => {
                    let (mut codes, mut expected) = ([0; 6], [0; 6]);
                    let written = pairs[i].member.flush(&mut codes);
                    prop_assert_eq!(written, pairs[i].alone.flush(&mut expected));
                    prop_assert_eq!(codes, expected);
                }
            }
        }
    }

    #[test]
    fn decoders_in_company_give_the_samples_of_decoders_alone((count, rounds) in (1..40usize, 1..6usize)) {
        let new = |i: usize| Decoder::new(&MODEL, &options(i)).unwrap();
        let mut pairs: Vec<_> = (0..count).map(|i| Pair { member: new(i), alone: new(i), at: 0 }).collect();
        for round in 0..rounds {
            let codes: Vec<Vec<u32>> = (0..count)
                .map(|i| (0..pairs[i].member.codebooks()).map(|k| ((i * 7 + round * 13 + k * 5) % 64) as u32).collect())
                .collect();
            let frames: Vec<_> = codes.iter().map(|c| &c[..]).collect();
            let mut pcm = vec![vec![f32::NAN; FRAME]; count];
            let mut members: Vec<_> = pairs.iter_mut().map(|p| &mut p.member).collect();
            let mut room: Vec<_> = pcm.iter_mut().map(|p| &mut p[..]).collect();
            Decoder::process_many(&mut members, &frames, &mut room).unwrap();
            for ((pair, codes), pcm) in pairs.iter_mut().zip(&codes).zip(&pcm) {
                let mut expected = vec![0.0; FRAME];
                pair.alone.process(codes, &mut expected).unwrap();
                prop_assert!(pcm == &expected);
                prop_assert_eq!(pair.member.frames(), pair.alone.frames());
            }
            // One leaves the company for a frame of its own, and one begins anew.
            let pair = &mut pairs[round % count];
            let (mut a, mut b) = (vec![0.0; FRAME], vec![0.0; FRAME]);
            pair.member.process(&codes[round % count], &mut a).unwrap();
            pair.alone.process(&codes[round % count], &mut b).unwrap();
            prop_assert!(a == b);
            let pair = &mut pairs[(round + 1) % count];
            pair.member.reset();
            pair.alone.reset();
        }
    }
}

#[test]
fn nothing_happens_to_anybody_on_an_error() {
    let other =
        Model::load_bytes(&support::synth::checkpoint(MODEL.config()), &LoadOptions::default()).unwrap();
    let (mut a, mut b) =
        (Encoder::new(&MODEL, &options(0)).unwrap(), Encoder::new(&MODEL, &options(0)).unwrap());
    let mut stranger = Encoder::new(&other, &options(0)).unwrap();
    let voice = voice(0, FRAME);
    let short = &voice[1..];
    let mut codes = [[9; 6], [9; 6]];
    let [x, y] = &mut codes;
    let mut room: [&mut [u32]; 2] = [x, y];
    let refused = [
        Encoder::process_many(&mut [&mut a, &mut stranger], &[&voice, &voice], &mut room),
        Encoder::process_many(&mut [&mut a, &mut b], &[&voice, short], &mut room),
        Encoder::process_many(&mut [&mut a, &mut b], &[&voice], &mut room),
        Encoder::process_many(&mut [&mut a, &mut b], &[&voice, &voice], &mut [&mut [0; 6], &mut [0; 5]]),
    ];
    assert_eq!(
        refused,
        [
            Err(StreamError::DifferentModels),
            Err(StreamError::NotOneFrame { found: FRAME - 1, expected: FRAME }),
            Err(StreamError::UnequalCounts { streams: 2, inputs: 1, outputs: 2 }),
            Err(StreamError::BufferTooSmall { needed: 6 }),
        ]
    );
    assert_eq!((a.frames(), b.frames()), (0, 0));
    Encoder::process_many(&mut [&mut a, &mut b], &[&voice, &voice], &mut room).unwrap();
    assert_eq!(codes[0], codes[1]);
    let mut decoders =
        [Decoder::new(&MODEL, &options(0)).unwrap(), Decoder::new(&MODEL, &options(0)).unwrap()];
    let [x, y] = &mut decoders;
    let mut pcm = [vec![9.0; FRAME], vec![9.0; FRAME]];
    let [p, q] = &mut pcm;
    let refused = Decoder::process_many(&mut [x, y], &[&codes[0], &[0, 0, 64, 0, 0, 0]], &mut [p, q]);
    assert_eq!(refused, Err(StreamError::CodeOutOfRange { index: 2, code: 64, codebook_size: 64 }));
    assert!(pcm.iter().flatten().all(|&s| s == 9.0));
    assert_eq!(Encoder::process_many(&mut [], &[], &mut []), Ok(()));
}
