//! The reference implementation against the golden vectors, and the engine against the reference.
#![cfg(feature = "candle")]

mod support;

use candle_core::{Device, Tensor};
use mimi::reference::Reference;
use mimi::{Checkpoint, Config, LoadOptions, Model, StreamOptions, Tail};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use std::cell::Cell;
use std::collections::HashMap;
use support::configs::Network;
use support::golden::{self, Case, Codes, assert_close};
use support::{configs, npy, repository, synth, tensors, wav};

#[test]
fn tiny_codes_and_audio() {
    for case in golden::TINY {
        codes_and_audio(case);
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
#[ignore = "takes a minute: `bash .ci/weekly` runs it"]
fn full_size_past_the_attention_window() {
    codes_and_audio(golden::FULL_LONG);
}

fn codes_and_audio(case: Case) {
    let what = format!("{case:?}");
    let reference = Reference::load(case.path(), &Device::Cpu).unwrap();
    let (options, expected) = (case.options(), case.codes());
    let codes = reference.encode(&case.pcm(), &options).unwrap();
    expected.assert_matched_by(&codes, &what);
    assert!(expected.agreement(&codes) > 0.99, "{what}: {}", expected.agreement(&codes));
    let audio = reference.decode(&expected.codes, &options).unwrap();
    assert_close(&audio, &case.audio(), golden::TOLERANCE, &what);
}

#[test]
fn pocket_latents_and_audio() {
    let vectors = |case: &str, kind: &str| {
        npy::<f32>(&repository(&format!("tests/data/golden/{case}/speech.{kind}.npy"))).1
    };
    let mut pcm = wav(&repository("tests/data/golden/speech.wav"));
    pcm.truncate(52_837);
    for case in ["pocket-tiny", "pocket-asym", "pocket-wide-latent"] {
        let path = repository(&format!("tests/data/golden/{case}"));
        let reference = Reference::load(path, &Device::Cpu).unwrap();
        let (options, expected) = (StreamOptions::default(), vectors(case, "latents"));
        let latents = reference.encode_latents(&pcm, &options).unwrap();
        assert_close(&latents, &expected, golden::TOLERANCE, case);
        let audio = reference.decode_latents(&expected, &options).unwrap();
        assert_close(&audio, &vectors(case, "audio"), golden::TOLERANCE, case);
    }
}

#[test]
fn every_layer_of_tiny() {
    let case = golden::FIRST_4_FRAMES;
    let reference = Reference::load(case.path(), &Device::Cpu).unwrap();
    let mut outputs = HashMap::new();
    let mut trace = |name: &str, output: &Tensor| {
        outputs.insert(
            name.to_owned(),
            (output.dims().to_vec(), output.flatten_all().unwrap().to_vec1().unwrap()),
        );
    };
    reference.encode_with(&case.pcm(), &case.options(), &mut trace).unwrap();
    reference.decode_with(&case.codes().codes, &case.options(), &mut trace).unwrap();

    let layers = tensors(&case.file("layers.safetensors"));
    assert_eq!(layers.len(), 2 * (15 + 2 + 1), "encoder and decoder: SEANet, transformer, resampling");
    for (name, shape, expected) in layers {
        let (dims, output): &(Vec<usize>, Vec<f32>) = outputs.get(&name).expect(&name);
        assert_eq!(*dims, shape, "{name}");
        assert_close(output, &expected, 1e-5, &name);
    }
}

/// A random network and what to do with it.
#[derive(Clone, Debug)]
struct Trial {
    network: Network,
    /// Samples, up to six frames and a part of one.
    samples: usize,
    options: StreamOptions,
}

fn any_trial() -> impl Strategy<Value = Trial> {
    let tail = prop_oneof![Just(Tail::AudioPad), Just(Tail::LayerPad)];
    let context = prop::option::weighted(0.2, 1..=20usize);
    (configs::any_network(), 1..=7 * 1000usize, any::<prop::sample::Index>(), tail, context).prop_map(
        |(network, thousandths, codebooks, tail, context)| Trial {
            samples: (network.config.frame_size() * thousandths).div_ceil(1000),
            options: StreamOptions {
                codebooks: match network.config.num_quantizers {
                    0 => None,
                    all => Some(1 + codebooks.index(all)),
                },
                tail,
                context,
                max_block: None,
                ..Default::default()
            },
            network,
        },
    )
}

/// Runs `property` on random networks, always the same ones.
fn on_random_networks(cases: u32, property: impl Fn(Trial) -> TestCaseResult) {
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng).run(&any_trial(), property).unwrap_or_else(|e| panic!("{e}"));
}

impl Trial {
    fn pcm(&self) -> Vec<f32> {
        synth::units("pcm", self.samples).collect()
    }

    fn reference(&self, checkpoint: &[u8]) -> Reference {
        let checkpoint = Checkpoint::from_source(Box::new(checkpoint)).unwrap();
        assert_eq!(*checkpoint.config(), self.network.config);
        Reference::new(&checkpoint, &Device::Cpu).unwrap()
    }

    /// Engine and reference do the same. Returns how many codes are certain, and all.
    fn agree(&self, checkpoint: &[u8]) -> (usize, usize) {
        let (reference, pcm) = (self.reference(checkpoint), self.pcm());
        let model = Model::load_bytes(checkpoint, &LoadOptions::default()).unwrap();

        let latents = reference.encode_latents(&pcm, &self.options).unwrap();
        let found = model.encode_latents(&pcm, &self.options).unwrap();
        assert_close(&found, &latents, golden::TOLERANCE, "encode to latents");
        let expected = reference.decode_latents(&latents, &self.options).unwrap();
        let audio = model.decode_latents(&latents, &self.options).unwrap();
        assert_close(&audio, &expected, golden::TOLERANCE, "decode latents");
        if self.network.config.continuous.is_some() {
            return (0, 0);
        }

        let expected = codes_and_margins(&reference, &pcm, &self.options);
        let codes = model.encode(&pcm, &self.options).unwrap();
        let certain = expected.assert_matched_by(&codes, "encode");

        let audio = model.decode(&expected.codes, &self.options).unwrap();
        let expected = reference.decode(&expected.codes, &self.options).unwrap();
        assert_close(&audio, &expected, golden::TOLERANCE, "decode");
        (certain, codes.len())
    }
}

/// The reference's codes with their margins: by how much the squared distance to the second-nearest
/// entry is larger, relative to the mean of all. (The golden vectors' margins are relative to the
/// nearest distance, which has no meaning where a small codebook hits exactly.)
fn codes_and_margins(reference: &Reference, pcm: &[f32], options: &StreamOptions) -> Codes {
    let mut columns: Vec<Vec<f32>> = Vec::new();
    let mut trace = |name: &str, output: &Tensor| {
        if name.ends_with(".codebook") {
            columns.push(output.to_vec2().unwrap().iter().map(|row| margin(row)).collect());
        }
    };
    let codes = reference.encode_with(pcm, options, &mut trace).unwrap();
    let codebooks = options.codebooks.unwrap();
    let frames = codes.len() / codebooks;
    Codes {
        codebooks,
        semantic: reference.config().num_semantic_quantizers,
        codes,
        margins: (0..frames).flat_map(|frame| columns.iter().map(move |column| column[frame])).collect(),
        least_margin: 1e-3,
    }
}

fn margin(distances: &[f32]) -> f32 {
    let mean = distances.iter().sum::<f32>() / distances.len() as f32;
    let mut sorted = distances.to_vec();
    sorted.sort_by(f32::total_cmp);
    (sorted[1] - sorted[0]) / mean
}

#[test]
fn reference_and_engine_agree_on_random_configs() {
    let (all, certain) = (Cell::new(0), Cell::new(0));
    let kinds = [const { Cell::new(0) }; 3];
    on_random_networks(200, |trial| {
        let Config { decoder, continuous, hidden_size, .. } = trial.network.config;
        let unlike = decoder.is_some_and(|decoder| decoder.hidden_size != hidden_size);
        let of = [unlike && continuous.is_none(), unlike && continuous.is_some(), continuous.is_some()];
        kinds.iter().zip(of).for_each(|(count, more)| count.set(count.get() + usize::from(more)));
        let (sure, codes) = trial.agree(&trial.network.checkpoint());
        certain.set(certain.get() + sure);
        all.set(all.get() + codes);
        Ok(())
    });
    assert!(certain.get() * 10 > all.get() * 9, "only {} of {} codes are certain", certain.get(), all.get());
    // unlike halves with a quantizer, unlike halves without one, and all without one
    let kinds = kinds.map(|count| count.get());
    println!("{kinds:?} of 200; {} of {} codes certain", certain.get(), all.get());
    assert!(kinds.iter().all(|count| *count >= 20), "{kinds:?}");
}

/// Of one tap, the dilation has no meaning and no bounds: the last block's is 1024⁷ here.
#[test]
fn one_tap_needs_no_dilation() {
    let config = Config {
        num_filters: 2,
        num_residual_layers: 8,
        residual_kernel_size: 1,
        dilation_growth_rate: 1 << 10,
        upsampling_ratios: vec![2],
        hidden_size: 16,
        num_hidden_layers: 1,
        intermediate_size: 16,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 8,
        codebook_size: 16,
        codebook_dim: 8,
        vector_quantization_hidden_dimension: 8,
        num_quantizers: 2,
        upsample_groups: 16,
        ..Config::published()
    };
    let options = StreamOptions { codebooks: Some(2), ..Default::default() };
    let trial = Trial { samples: 5 * config.frame_size(), options, network: Network::new(config) };
    let (certain, all) = trial.agree(&trial.network.checkpoint());
    assert!(certain * 10 > all * 9, "only {certain} of {all} codes are certain");
}

/// The frames of a whole number of frames are a prefix of the frames of anything longer, and so is
/// their audio: nothing looks ahead, and both tails touch the last frame alone.
#[test]
fn reference_does_not_look_ahead() {
    on_random_networks(40, |trial| {
        if trial.network.config.continuous.is_some() {
            return Ok(());
        }
        let reference = trial.reference(&trial.network.checkpoint());
        let (pcm, frame_size, options) = (trial.pcm(), trial.network.config.frame_size(), &trial.options);
        let whole = codes_and_margins(&reference, &pcm[..pcm.len() / frame_size * frame_size], options);
        let all = reference.encode(&pcm, options).unwrap();
        let codebooks = options.codebooks.unwrap();
        assert_eq!(all.len(), pcm.len().div_ceil(frame_size) * codebooks);
        whole.assert_matched_by(&all[..whole.codes.len()], "encode");
        let audio = reference.decode(&all, options).unwrap();
        let of_whole = reference.decode(&all[..whole.codes.len()], options).unwrap();
        assert_eq!(of_whole.len(), whole.codes.len() / codebooks * frame_size);
        let largest = audio.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        for (a, b) in audio.iter().zip(&of_whole) {
            assert!((a - b).abs() <= golden::TOLERANCE * largest, "{a}, {b}");
        }
        Ok(())
    });
}

#[test]
fn reference_refuses_what_is_not_there() {
    let reference = Reference::load(golden::DEMO.path(), &Device::Cpu).unwrap();
    let with_codebooks = |n| StreamOptions { codebooks: Some(n), ..Default::default() };
    let message = |result: Result<Vec<u32>, mimi::Error>| result.unwrap_err().to_string();
    assert_eq!(message(reference.encode(&[0.0], &with_codebooks(9))), "codebooks is 9; the model has 1 to 8");
    assert_eq!(message(reference.encode(&[0.0], &with_codebooks(0))), "codebooks is 0; the model has 1 to 8");
    let no_context = StreamOptions { context: Some(0), ..Default::default() };
    assert!(message(reference.encode(&[0.0], &no_context)).starts_with("context is 0"));
    let at_rate = |rate| StreamOptions { sample_rate: Some(rate), ..Default::default() };
    let rate = "sample_rate is 48000 Hz; the reference takes 24000 Hz, the model's, alone";
    assert_eq!(message(reference.encode(&[0.0], &at_rate(48_000))), rate);
    assert_eq!(reference.decode(&[0; 8], &at_rate(48_000)).unwrap_err().to_string(), rate);
    let same_rate = reference.encode(&[0.0], &at_rate(24_000)).unwrap();
    assert_eq!(same_rate, reference.encode(&[0.0], &StreamOptions::default()).unwrap());
    let threads = StreamOptions { threads: Some(2), ..Default::default() };
    let refused = "threads is 2; the reference works on candle's threads, whose number is no option";
    assert_eq!(message(reference.encode(&[0.0], &threads)), refused);
    assert_eq!(reference.decode(&[0; 8], &threads).unwrap_err().to_string(), refused);

    let message = |codes: &[u32]| reference.decode(codes, &with_codebooks(2)).unwrap_err().to_string();
    assert_eq!(message(&[1, 2, 3]), "3 codes are no whole number of frames of 2 codebooks");
    assert_eq!(message(&[1, 2, 3, 512]), "codes[3] is 512; codes are below 512");

    let default = StreamOptions::default();
    let message = |latents: &[f32]| reference.decode_latents(latents, &default).unwrap_err().to_string();
    assert_eq!(message(&[0.0; 129]), "129 values are no whole number of latents of 128 dimensions");
    assert!(reference.encode_latents(&[], &default).unwrap().is_empty());
    assert!(reference.decode_latents(&[], &default).unwrap().is_empty());
    let path = repository("tests/data/golden/pocket-tiny");
    let continuous = Reference::load(path, &Device::Cpu).unwrap();
    let refused = [continuous.encode(&[0.0], &default).err(), continuous.decode(&[1], &default).err()];
    assert!(refused.into_iter().all(|error| error.unwrap().to_string().contains("no quantizer")));
    assert!(reference.encode(&[], &default).unwrap().is_empty());
    assert!(reference.decode(&[], &default).unwrap().is_empty());
    let silence = reference.encode(&[0.0; 3], &default).unwrap();
    assert_eq!(reference.encode(&[f32::NAN, 0.0, f32::INFINITY], &default).unwrap(), silence);
}
