//! Latents in and out: networks without a quantizer, against what kyutai's pocket_tts 4.0.1 makes of them, and the
//! latents of networks that have one.

mod support;

use mimi::{
    Checkpoint, Config, Decoder, Encoder, Error, ErrorKind, HalfConfig, Layout, LoadOptions, Model, NO_CODE,
    Parts, StreamError, StreamOptions, Tail, TensorSpec, bitstream::Header, live,
};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::PathBuf;
use support::golden::{TOLERANCE, assert_close};
use support::{npy, repository, synth, wav};

/// Latents narrower than the network and as wide, halves alike and not.
const POCKET: [&str; 3] = ["pocket-tiny", "pocket-asym", "pocket-wide-latent"];

fn golden(file: &str) -> PathBuf {
    repository("tests/data/golden").join(file)
}

fn load(case: &str) -> Model {
    Model::load(golden(case), &LoadOptions::default()).unwrap()
}

/// 2.2 s; the last frame is a partial one.
fn speech() -> Vec<f32> {
    let mut pcm = wav(&golden("speech.wav"));
    pcm.truncate(52_837);
    pcm
}

fn expected(case: &str) -> (Vec<f32>, Vec<f32>) {
    (npy(&golden(case).join("speech.latents.npy")).1, npy(&golden(case).join("speech.audio.npy")).1)
}

/// Latents of a stream that is given `pcm` in pieces of these lengths in turn.
fn encode_in(model: &Model, options: &StreamOptions, pcm: &[f32], pieces: &[usize]) -> Vec<f32> {
    let mut encoder = Encoder::new(model, options).unwrap();
    let (mut latents, mut rest) = (Vec::new(), pcm);
    for &piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(piece.min(rest.len()));
        let mut new = vec![0.0; encoder.latents_for(piece.len())];
        assert_eq!(encoder.process_latents(piece, &mut new), Ok(new.len()));
        latents.extend(new);
        rest = after;
    }
    let mut last = vec![0.0; encoder.latents_for_flush()];
    assert_eq!(encoder.flush_latents(&mut last), Ok(last.len()));
    latents.extend(last);
    assert_eq!(encoder.frames() as usize * model.spec().latent_dim, latents.len());
    latents
}

/// Audio of a stream that is given so many frames of `latents` in turn.
fn decode_in(model: &Model, options: &StreamOptions, latents: &[f32], pieces: &[usize]) -> Vec<f32> {
    let mut decoder = Decoder::new(model, options).unwrap();
    let (mut pcm, mut rest) = (Vec::new(), latents);
    for &frames in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((frames * model.spec().latent_dim).min(rest.len()));
        let mut new = vec![0.0; decoder.samples_for_latents(piece.len())];
        assert_eq!(decoder.process_latents(piece, &mut new), Ok(new.len()));
        pcm.extend(new);
        rest = after;
    }
    let mut last = vec![0.0; decoder.samples_for_flush()];
    assert_eq!(decoder.flush(&mut last), Ok(last.len()));
    pcm.extend(last);
    assert_eq!(
        (decoder.frames() as usize, decoder.concealed()),
        (latents.len() / model.spec().latent_dim, 0)
    );
    pcm
}

fn latents_and_audio(case: &str, model: &Model, pcm: &[f32]) {
    let options = StreamOptions::default();
    let (expected_latents, expected_audio) = expected(case);
    let latents = model.encode_latents(pcm, &options).unwrap();
    assert_close(&latents, &expected_latents, TOLERANCE, case);
    let audio = model.decode_latents(&expected_latents, &options).unwrap();
    assert_close(&audio, &expected_audio, TOLERANCE, case);

    // streaming gives the same bits
    assert!(encode_in(model, &options, pcm, &[1, 480, 0, 1_000, 5_000, 37, 1_920]) == latents, "{case}");
    assert!(decode_in(model, &options, &expected_latents, &[1, 3, 0, 2]) == audio, "{case}");
    assert!(decode_in(model, &options, &expected_latents, &[1]) == audio, "{case}: frame by frame");
}

#[test]
fn pocket_latents_and_audio() {
    for case in POCKET {
        latents_and_audio(case, &load(case), &speech());
    }
}

#[test]
fn pocket_full_size_latents_and_audio() {
    let model = Model::load(synth::pocket_full_size(), &LoadOptions::default()).unwrap();
    assert_eq!(*model.config(), Config::pocket_tts());
    latents_and_audio("pocket-full", &model, &wav(&golden("speech.wav")));
}

#[test]
fn pocket_configs() {
    let config = |case: &str| load(case).config().clone();
    let tiny = Config {
        continuous: Some(8),
        hidden_size: 32,
        num_filters: 4,
        upsample_groups: 32,
        intermediate_size: 64,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 8,
        sliding_window: 20,
        ..Config::pocket_tts()
    };
    assert_eq!(config("pocket-tiny"), tiny);
    assert_eq!(config("pocket-wide-latent"), Config { continuous: Some(32), ..tiny.clone() });
    let decoder = HalfConfig {
        hidden_size: 24,
        num_filters: 3,
        kernel_size: 3,
        compress: 1,
        num_hidden_layers: 3,
        intermediate_size: 40,
        num_attention_heads: 3,
        num_key_value_heads: 3,
        sliding_window: 11,
        ..tiny.encoder_half()
    };
    assert_eq!(config("pocket-asym"), Config { decoder: Some(decoder), upsample_groups: 24, ..tiny });
}

/// A file of the published networks needs no config, but one that is there is not passed over.
#[test]
fn a_pocket_file_alone_is_assumed_to_be_the_published_network() {
    let bytes = std::fs::read(golden("pocket-tiny/model.safetensors")).unwrap();
    let message = |result: Result<Model, Error>, kind| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind);
        error.to_string()
    };
    let alone = Model::load_bytes(&bytes, &LoadOptions::default());
    assert!(message(alone, ErrorKind::Corrupt).contains("expected [64] (no config was found"));
    let checkpoint = Checkpoint::from_source(Box::new(bytes.as_slice())).unwrap();
    assert_eq!(*checkpoint.config(), Config { continuous: Some(8), ..Config::pocket_tts() });

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), &bytes).unwrap();
    std::fs::write(folder.path().join("config.yaml"), "mimi:\n  inner_dim: 8\n").unwrap();
    let yaml = Model::load(folder.path(), &LoadOptions::default());
    assert!(message(yaml, ErrorKind::Format).contains("config.yaml: no Mimi config is in it"));
    std::fs::copy(golden("pocket-tiny/config.json"), folder.path().join("config.json")).unwrap();
    assert_eq!(Model::load(folder.path(), &LoadOptions::default()).unwrap().id(), load("pocket-tiny").id());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// However the input is cut, whatever the rate, the tail and the block.
    #[test]
    fn any_cutting_gives_the_same_bits(
        case in prop::sample::select(vec!["pocket-tiny", "pocket-asym", "tiny"]),
        samples in 0..20_000usize,
        pieces in prop::collection::vec(0..5_000usize, 1..5),
        frames in prop::collection::vec(0..4usize, 1..4),
        layer_pad in any::<bool>(),
        max_block in prop::option::of(1..8_000usize),
        sample_rate in prop::option::of(prop::sample::select(vec![16_000u32, 44_100, 48_000])),
    ) {
        prop_assume!(pieces.iter().any(|&n| n > 0) && frames.iter().any(|&n| n > 0));
        let model = load(case);
        let tail = if layer_pad { Tail::LayerPad } else { Tail::AudioPad };
        let options = StreamOptions { tail, max_block, sample_rate, ..Default::default() };
        let pcm = &speech()[..samples];
        let one_shot = StreamOptions { max_block: None, ..options.clone() };
        let latents = model.encode_latents(pcm, &one_shot).unwrap();
        prop_assert!(encode_in(&model, &options, pcm, &pieces) == latents);
        let audio = model.decode_latents(&latents, &one_shot).unwrap();
        prop_assert!(decode_in(&model, &options, &latents, &frames) == audio);
        let threads = StreamOptions { threads: Some(3), ..one_shot };
        prop_assert!(model.encode_latents(pcm, &threads).unwrap() == latents);
        prop_assert!(model.decode_latents(&latents, &threads).unwrap() == audio);
    }
}

/// A stream may give codes for one frame and latents for the next: neither changes the other.
#[test]
fn codes_and_latents_in_turn() {
    let model = load("tiny");
    let (pcm, options) = (&speech()[..12 * 1920], StreamOptions::default());
    let (all_codes, all_latents) =
        (model.encode(pcm, &options).unwrap(), model.encode_latents(pcm, &options).unwrap());
    let mut encoder = Encoder::new(&model, &options).unwrap();
    let (mut codes, mut latents) = ([0; 6], [0.0; 32]);
    for (index, frame) in pcm.chunks(1920).enumerate() {
        if index % 3 == 1 {
            assert_eq!(encoder.process_latents(frame, &mut latents), Ok(32));
            assert!(latents[..] == all_latents[index * 32..][..32]);
        } else {
            assert_eq!(encoder.process(frame, &mut codes), Ok(6));
            assert!(codes[..] == all_codes[index * 6..][..6]);
        }
    }
    assert_eq!(encoder.frames(), 12);

    // a frame of codes that is lost has the last latent, smaller, also where that was given as one
    let smaller = latents.map(|value| 0.5 * value);
    let audio = model.decode_latents(&[latents, smaller].concat(), &options).unwrap();
    let mut decoder = Decoder::new(&model, &options).unwrap();
    let mut pcm = vec![0.0; 1920];
    decoder.process_latents(&latents, &mut pcm).unwrap();
    assert!(pcm == audio[..1920]);
    decoder.process(&[NO_CODE; 6], &mut pcm).unwrap();
    // in the first lost frame the gain is 1, and peaks of the last frame are not passed
    let peak = audio[..1920].iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
    for (i, (found, sounding)) in pcm.iter().zip(&audio[1920..]).enumerate() {
        assert!((found - sounding.clamp(-peak, peak)).abs() <= 1e-6 * peak, "sample {i}");
    }
    assert_eq!((decoder.frames(), decoder.concealed()), (2, 1));
}

/// What is not a number, or huge, does not stay in a stream.
#[test]
fn latents_that_are_no_numbers_count_as_zeros() {
    for case in POCKET.into_iter().chain(["tiny"]) {
        let (model, options) = (load(case), StreamOptions::default());
        let dim = model.spec().latent_dim;
        let good: Vec<f32> = synth::units("latents", 20 * dim).collect();
        let with = |odd: f32| {
            let mut latents = good.clone();
            (0..3 * dim).step_by(3).for_each(|i| latents[2 * dim + i] = odd);
            model.decode_latents(&latents, &options).unwrap()
        };
        let zeros = with(0.0);
        assert!(zeros.iter().all(|x| x.is_finite()));
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(with(odd) == zeros, "{case}: {odd}");
        }
        let loud = with(f32::MAX);
        assert!(loud == with(1e5) && loud.iter().all(|x| x.is_finite()), "{case}");
    }
}

#[test]
fn lost_frames_of_latents_fall_silent_and_come_back() {
    let (model, options) = (load("pocket-tiny"), StreamOptions::default());
    let latents = expected("pocket-tiny").0;
    let mut decoder = Decoder::new(&model, &options).unwrap();
    let mut pcm = vec![0.0; 7 * 1920];
    assert_eq!(decoder.process_lost(2, &mut pcm), Ok(2 * 1920));
    assert!(pcm[..2 * 1920].iter().all(|x| *x == 0.0), "silence before the first frame");
    decoder.process_latents(&latents[..8], &mut pcm).unwrap();
    let peak = pcm[..1920].iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
    assert_eq!(decoder.process_lost(7, &mut pcm), Ok(7 * 1920));
    assert!(pcm.iter().all(|x| x.abs() <= peak) && pcm[..1920].iter().any(|x| x.abs() > 0.1 * peak));
    assert!(pcm[5 * 1920..].iter().all(|x| *x == 0.0));
    decoder.process_latents(&latents[8..16], &mut pcm).unwrap();
    assert!(pcm[0] == 0.0 && pcm[1919] != 0.0);
    assert_eq!((decoder.frames(), decoder.concealed()), (11, 9));
    assert_eq!(
        decoder.process_lost(usize::MAX, &mut pcm),
        Err(StreamError::BufferTooSmall { needed: usize::MAX })
    );
}

#[test]
fn codes_of_a_model_without_a_quantizer_are_refused() {
    let (model, options) = (load("pocket-tiny"), StreamOptions::default());
    let spec = model.spec();
    assert_eq!((spec.latent_dim, spec.codebooks, model.codebooks()), (8, 0, 0));
    let says = |error: Error| {
        let said = error.message().contains("the model has no quantizer and so no codes");
        assert!(error.kind() == ErrorKind::Unsupported && said, "{error}");
    };
    says(model.encode(&[0.0; 5_000], &options).unwrap_err());
    says(model.encode(&[], &options).unwrap_err());
    says(model.decode(&[1, 2, 3], &options).unwrap_err());
    says(model.codes_for(1, &options).unwrap_err());
    says(model.samples_for(1, &options).unwrap_err());
    says(Header::for_model(spec, 8, 0).unwrap_err());
    says(live::Capture::new(&model, &Default::default()).err().unwrap());
    says(live::Playback::new(&model, &Default::default()).err().unwrap());
    let eight = StreamOptions { codebooks: Some(8), ..Default::default() };
    says(model.encode_latents(&[0.0], &eight).unwrap_err());
    let load_options = LoadOptions { codebooks: Some(8), ..Default::default() };
    says(Model::load(golden("pocket-tiny"), &load_options).unwrap_err());

    let mut encoder = Encoder::new(&model, &options).unwrap();
    assert_eq!((encoder.codebooks(), encoder.codes_for(50_000), encoder.codes_for_flush()), (0, 0, 0));
    for pcm in [&[0.0; 5_000][..], &[]] {
        assert_eq!(encoder.process(pcm, &mut []), Err(StreamError::NoQuantizer));
    }
    assert_eq!(encoder.flush(&mut []), Err(StreamError::NoQuantizer));
    let refused = Encoder::process_many(&mut [&mut encoder], &[&[0.0; 1920]], &mut [&mut []]);
    assert_eq!(refused, Err(StreamError::NoQuantizer));
    let mut decoder = Decoder::new(&model, &options).unwrap();
    assert_eq!((decoder.codebooks(), decoder.samples_for(50_000)), (0, 0));
    for codes in [&[1, 2, 3][..], &[NO_CODE], &[]] {
        assert_eq!(decoder.process(codes, &mut [0.0; 9_000]), Err(StreamError::NoQuantizer));
    }
    let refused = Decoder::process_many(&mut [&mut decoder], &[&[]], &mut [&mut [0.0; 1920]]);
    assert_eq!(refused, Err(StreamError::NoQuantizer));
    says(StreamError::NoQuantizer.into());

    // latents are taken all the same, in whole frames, where there is room
    assert_eq!(
        decoder.process_latents(&[0.0; 9], &mut [0.0; 9_000]),
        Err(StreamError::PartialLatent { values: 9, latent_dim: 8 })
    );
    assert_eq!(
        decoder.process_latents(&[0.0; 16], &mut [0.0; 1920]),
        Err(StreamError::BufferTooSmall { needed: 2 * 1920 })
    );
    assert_eq!(decoder.process_latents(&[0.0; 16], &mut [0.0; 2 * 1920]), Ok(2 * 1920));
    assert_eq!(
        encoder.process_latents(&[0.0; 2 * 1920], &mut [0.0; 15]),
        Err(StreamError::BufferTooSmall { needed: 16 })
    );
    assert_eq!(encoder.frames() + decoder.frames(), 2);
}

/// Half a model has the id of the whole, unless its file is half a file.
#[test]
fn ids_tell_continuous_models_apart() {
    let with = |case: &str, parts| {
        Model::load(golden(case), &LoadOptions { parts, ..Default::default() }).unwrap().id()
    };
    let ids = POCKET.map(|case| with(case, Parts::Both));
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[0] && ids.iter().all(|id| *id > 0));
    for parts in [Parts::Encoder, Parts::Decoder] {
        assert_eq!(with("pocket-asym", parts), ids[1]);
    }
    // of the same numbers and other weights
    let config = load("pocket-tiny").config().clone();
    let other = Model::load_bytes(&synth::checkpoint(&config), &LoadOptions::default()).unwrap();
    assert_eq!(*other.config(), config);
    assert_ne!(other.id(), ids[0]);
}

/// The same network in transformers' layout: tensors by the names and shapes of the list, and the config in its fields.
#[test]
fn the_layout_makes_no_difference() {
    let (pcm, options) = (&speech()[..10_000], StreamOptions::default());
    for case in POCKET {
        let checkpoint = Checkpoint::open(&golden(case)).unwrap();
        assert_eq!(checkpoint.layout(), Layout::Kyutai);
        let values = |tensor: &TensorSpec| -> Vec<u8> {
            let values = checkpoint.tensor(&tensor.name, &tensor.shape).unwrap();
            values.into_iter().flat_map(f32::to_le_bytes).collect()
        };
        let tensors = checkpoint.tensors();
        let bytes: Vec<_> = tensors.iter().map(values).collect();
        let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap();
            (tensor.name.as_str(), view)
        });
        let config = HashMap::from([("config".to_owned(), synth::config_json(checkpoint.config()))]);
        let file = safetensors::serialize(views, Some(config)).unwrap();
        let (kyutai, other) = (load(case), Model::load_bytes(&file, &LoadOptions::default()).unwrap());
        assert_eq!((kyutai.id(), kyutai.config()), (other.id(), other.config()));
        let latents = kyutai.encode_latents(pcm, &options).unwrap();
        assert!(other.encode_latents(pcm, &options).unwrap() == latents);
        let audio = [kyutai, other].map(|model| model.decode_latents(&latents, &options).unwrap());
        assert!(audio[0] == audio[1], "{case}");
    }
}
