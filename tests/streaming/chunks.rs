//! Cuts: samples in any chunks, frames in any groups.

use crate::support::golden::{self, Case};
use crate::*;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::OnceLock;

/// Lengths of chunks in samples, from one to all: most often near a frame or below.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![
        3 => 0..=2_000usize,
        2 => select(vec![1, 2, 80, 128, 480, 959, 960, 961, 1_919, 1_920, 1_921, 3_840]),
        1 => 2_000..=100_000usize,
    ];
    prop::collection::vec(length, 1..=12).prop_filter("some samples", |all| all.iter().sum::<usize>() >= 40)
}

/// Lengths of groups in frames.
fn groups() -> impl Strategy<Value = Vec<usize>> {
    let frames = prop_oneof![4 => 0..=4usize, 1 => 5..=60usize];
    prop::collection::vec(frames, 1..=8).prop_filter("some frames", |all| all.iter().any(|&n| n > 0))
}

fn max_block() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), (1..=40_000usize).prop_map(Some)]
}

/// A stretch of a recording on a small network.
#[derive(Clone, Debug)]
struct Stretch {
    network: usize,
    samples: std::ops::Range<usize>,
    options: StreamOptions,
}

impl Stretch {
    fn model(&self) -> &'static Model {
        static MODELS: OnceLock<Vec<Model>> = OnceLock::new();
        &MODELS.get_or_init(|| NETWORKS.map(load).to_vec())[self.network]
    }

    fn pcm(&self) -> Vec<f32> {
        speech()[self.samples.clone()].to_vec()
    }
}

fn stretches() -> impl Strategy<Value = Stretch> {
    let context = prop_oneof![3 => Just(None), 1 => (1..=40usize).prop_map(Some)];
    let samples = (0..30_000usize, 1..=49_000usize);
    (0..NETWORKS.len(), samples, 1..=6usize, select(TAILS.to_vec()), context).prop_map(
        |(network, (start, count), codebooks, tail, context)| {
            let options = StreamOptions {
                codebooks: Some(codebooks),
                tail,
                context,
                max_block: None,
                ..Default::default()
            };
            Stretch { network, samples: start..start + count, options }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_chunks_give_the_codes_of_one_push(
        stretch in stretches(), lengths in lengths(), max_block in max_block(),
    ) {
        let (model, pcm, options) = (stretch.model(), stretch.pcm(), stretch.options);
        let offline = model.encode(&pcm, &options).unwrap();
        prop_assert_eq!(offline.len(), model.codes_for(pcm.len(), &options).unwrap());
        let mut encoder = Encoder::new(model, &StreamOptions { max_block, ..options }).unwrap();
        let mut codes = encode_in(&mut encoder, &pcm, &lengths);
        encode_end(&mut encoder, &mut codes);
        prop_assert!(codes == offline);
        prop_assert_eq!(encoder.frames() as usize * encoder.codebooks(), codes.len());
    }

    #[test]
    fn any_groups_give_the_audio_of_one_push(
        stretch in stretches(), groups in groups(), max_block in max_block(),
    ) {
        let (model, pcm, options) = (stretch.model(), stretch.pcm(), stretch.options);
        let codes = model.encode(&pcm, &options).unwrap();
        let offline = model.decode(&codes, &options).unwrap();
        prop_assert_eq!(offline.len(), model.samples_for(codes.len(), &options).unwrap());
        let mut decoder = Decoder::new(model, &StreamOptions { max_block, ..options }).unwrap();
        let audio = decode_in(&mut decoder, &codes, &groups);
        assert_same_audio(&audio, &offline, "audio");
        prop_assert_eq!(decoder.samples_for_flush(), 0);
        prop_assert_eq!(decoder.flush(&mut []), Ok(0));
        prop_assert_eq!(decoder.frames() as usize * decoder.codebooks(), codes.len());
    }
}

/// Encodes and decodes in the given chunks, and holds the result against one push.
fn assert_as_one_push(model: &Model, pcm: &[f32], options: &StreamOptions, chunks: &[usize]) {
    let offline = model.encode(pcm, options).unwrap();
    let mut encoder = Encoder::new(model, options).unwrap();
    let mut codes = encode_in(&mut encoder, pcm, chunks);
    encode_end(&mut encoder, &mut codes);
    assert!(codes == offline, "codes in {chunks:?}");

    let mut decoder = Decoder::new(model, options).unwrap();
    let audio = decode_in(&mut decoder, &codes, &[1, 3, 1, 0, 2]);
    assert_same_audio(&audio, &model.decode(&codes, options).unwrap(), "audio");
    assert_eq!(encoder.codes_hash(), decoder.codes_hash());
    assert_eq!(encoder.frames(), decoder.frames());
}

#[test]
fn one_sample_at_a_time() {
    for network in NETWORKS {
        let model = load(network);
        for tail in TAILS {
            assert_as_one_push(&model, &speech()[..20_000], &all_codebooks(&model, tail), &[1]);
        }
    }
}

#[test]
fn six_minutes() {
    let speech = speech();
    let pcm: Vec<f32> = speech.iter().cycle().copied().take(6 * 60 * 24_000 + 7).collect();
    let model = load("tiny");
    assert_as_one_push(
        &model,
        &pcm,
        &all_codebooks(&model, Tail::LayerPad),
        &[480, 1_000, 1_920, 37, 12_345],
    );
}

/// The published architecture, past its ten seconds of attention.
#[test]
fn full_size() {
    let case: Case = golden::FULL_LONG;
    let model = Model::load(case.path(), &LoadOptions::default()).unwrap();
    let pcm = case.pcm();
    let options = StreamOptions { max_block: Some(8 * 1_920), ..case.options() };
    assert_as_one_push(&model, &pcm[..11 * 24_000], &options, &[15_000, 1_920, 480, 30_001, 1]);
}
