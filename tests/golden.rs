//! The engine against the golden vectors, one-shot and streamed.

mod support;

use mimi::probe::{Probe, Section, Work, decoder_work, encoder_work};
use mimi::{Decoder, Encoder, LoadOptions, Model, StreamOptions};
use support::golden::{self, Case, assert_close};
use support::synth;

#[test]
fn tiny_codes_and_audio() {
    codes_and_audio(golden::TINY[0]);
}

#[test]
fn variants_codes_and_audio() {
    for case in &golden::TINY[1..] {
        codes_and_audio(*case);
    }
}

#[test]
fn demo_codes_and_audio() {
    codes_and_audio(golden::DEMO);
}

#[test]
fn full_size_codes_and_audio() {
    codes_and_audio(golden::FULL_SPEECH);
}

#[test]
fn full_size_past_the_attention_window() {
    codes_and_audio(golden::FULL_LONG);
}

/// What ends a clip depends on how transformers is given it. Other frames do not.
#[test]
fn the_last_frame_of_a_clip_alone_and_in_a_batch() {
    for checkpoint in ["tiny", "full"] {
        let cases = [golden::alone(checkpoint), golden::batched(checkpoint)];
        let model = Model::load(cases[0].path(), &LoadOptions::default()).unwrap();
        let (pcm, expected) = (cases[0].pcm(), cases.map(|case| case.codes()));
        let mut frame = 0;
        for samples in golden::CLIPS {
            let frames = samples.div_ceil(1920);
            let ends = [0, 1].map(|i| {
                let what = format!("{:?}, {samples} samples", cases[i]);
                let codes = model.encode(&pcm[..samples], &cases[i].options()).unwrap();
                expected[i].of_frames(frame..frame + frames).assert_matched_by(&codes, &what);
                assert!(encode_streamed(&model, &pcm[..samples], &cases[i].options()) == codes, "{what}");
                codes
            });
            let whole = (frames - 1) * expected[0].codebooks;
            assert!(ends[0][..whole] == ends[1][..whole], "{checkpoint}, {samples} samples: whole frames");
            // a sample that is missing is too little to be heard
            let differ = ends[0][whole..] != ends[1][whole..];
            assert!(differ || samples > 1_000, "{checkpoint}, {samples} samples: the last frame");
            frame += frames;
        }
        assert_eq!(frame * expected[0].codebooks, expected[0].codes.len());
    }
}

fn codes_and_audio(case: Case) {
    let what = format!("{case:?}");
    let model = Model::load(case.path(), &LoadOptions::default()).unwrap();
    let (pcm, options, expected) = (case.pcm(), case.options(), case.codes());

    let codes = model.encode(&pcm, &options).unwrap();
    expected.assert_matched_by(&codes, &what);
    assert!(expected.agreement(&codes) > 0.99, "{what}: {}", expected.agreement(&codes));
    let audio = model.decode(&expected.codes, &options).unwrap();
    assert_close(&audio, &case.audio(), golden::TOLERANCE, &what);

    // streaming gives the same bits
    assert!(encode_streamed(&model, &pcm, &options) == codes, "{what}: streamed codes");
    assert!(decode_streamed(&model, &expected.codes, &options) == audio, "{what}: streamed audio");

    // fewer codebooks give a prefix of each frame
    let all = expected.codebooks;
    let fewer = model.encode(&pcm, &StreamOptions { codebooks: Some(all / 2), ..options }).unwrap();
    let prefixes: Vec<u32> = codes.chunks(all).flat_map(|frame| &frame[..all / 2]).copied().collect();
    assert!(fewer == prefixes, "{what}: {} codebooks", all / 2);
}

/// Chunks of less than a frame, of several frames, and of none.
const SAMPLES: [usize; 7] = [1, 480, 0, 1_000, 5_000, 37, 1_920];

/// The program of the published network does what its tensors and the rows of its layers ask for, and comes in parts
/// that are small enough for an audio callback.
#[test]
fn a_frame_at_full_size_is_the_work_counted_by_hand() {
    let model = Model::load(synth::full_size(), &LoadOptions::default()).unwrap();
    let options = StreamOptions::default();
    let (encoder, decoder) =
        (encoder_work(&model, &options).unwrap(), decoder_work(&model, &options).unwrap());
    let of = |layers: &[Work], stage| {
        layers.iter().filter(|layer| layer.section == stage).map(|layer| layer.multiply_adds).sum::<u64>()
    };
    // 8 layers of 2 rows times 512·1536 + 512·512 + 2·512·2048 weights, and 250 keys and values of 512
    let transformer = 8 * 2 * (3_145_728 + 2 * 250 * 512);
    assert_eq!(of(&encoder, Section::Transformer), transformer);
    assert_eq!(of(&decoder, Section::Transformer), transformer);
    assert_eq!(of(&encoder, Section::Quantizer), 8 * 256 * 2048 + 2 * 512 * 256);
    assert_eq!(of(&decoder, Section::Quantizer), 2 * 512 * 256);
    assert_eq!(of(&encoder, Section::Resampling), 512 * 512 * 4);
    assert_eq!(of(&decoder, Section::Resampling), 2 * 2 * 512);
    // the sizes of the weights in tests/data/golden/full/tensors.tsv, times the rows of each layer, less a quarter of
    // those that come in pairs
    let paired = 1_572_864 * 16 + 327_680 * 96 + 65_536 * 480;
    assert_eq!(of(&encoder, Section::Seanet), 161_292_288 - paired / 4);
    assert_eq!(of(&decoder, Section::Seanet), 164_995_072 - paired / 4);

    let probes =
        [Probe::encoders(&model, &options, 1).unwrap(), Probe::decoders(&model, &options, 1).unwrap()];
    for probe in probes {
        let (all, largest) = (probe.operations().sum::<u64>(), probe.operations().max().unwrap());
        println!(
            "{} operations, the largest 1/{:.0} of a frame",
            probe.operations().count(),
            all as f64 / largest as f64
        );
        assert!(largest <= all / 150);
    }
}

fn encode_streamed(model: &Model, pcm: &[f32], options: &StreamOptions) -> Vec<u32> {
    let mut encoder = Encoder::new(model, options).unwrap();
    let mut codes = Vec::new();
    let mut rest = pcm;
    for &samples in SAMPLES.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(samples.min(rest.len()));
        let mut new = vec![0; encoder.codes_for(chunk.len())];
        assert_eq!(encoder.process(chunk, &mut new).unwrap(), new.len());
        codes.extend(new);
        rest = after;
    }
    let mut last = vec![0; encoder.codes_for_flush()];
    assert_eq!(encoder.flush(&mut last).unwrap(), last.len());
    codes.extend(last);
    codes
}

fn decode_streamed(model: &Model, codes: &[u32], options: &StreamOptions) -> Vec<f32> {
    let mut decoder = Decoder::new(model, options).unwrap();
    let mut pcm = Vec::new();
    let mut rest = codes;
    for frames in [1, 3, 0, 2].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((frames * decoder.codebooks()).min(rest.len()));
        let mut new = vec![0.0; decoder.samples_for(chunk.len())];
        assert_eq!(decoder.process(chunk, &mut new).unwrap(), new.len());
        pcm.extend(new);
        rest = after;
    }
    let mut last = vec![0.0; decoder.samples_for_flush()];
    assert_eq!(decoder.flush(&mut last).unwrap(), last.len());
    pcm.extend(last);
    pcm
}
