//! The quantizer alone, between latents and codes, and many streams of latents in one pass.

mod support;

use mimi::{
    Decoder, Encoder, Error, ErrorKind, LoadOptions, Model, NO_CODE, Parts, Precision, StreamError,
    StreamOptions, Tail,
};
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::fs;
use support::{repository, synth, wav};

/// Networks with branches of one and of several codebooks, with projections and without.
const NETWORKS: [&str; 4] = ["tiny", "tiny-semantic2", "tiny-noproj", "tiny-moshi"];

const FRAME: usize = 1920;

fn load(case: &str, options: &LoadOptions) -> Model {
    Model::load(repository("tests/data/golden").join(case), options).unwrap()
}

/// 2.2 s; the last frame is a partial one.
fn speech() -> Vec<f32> {
    let mut pcm = wav(&repository("tests/data/golden/speech.wav"));
    pcm.truncate(52_837);
    pcm
}

fn with_codebooks(codebooks: usize) -> StreamOptions {
    StreamOptions { codebooks: Some(codebooks), ..Default::default() }
}

#[test]
fn encoding_is_quantizing_latents_and_decoding_is_that_of_dequantized_codes() {
    let pcm = speech();
    for case in NETWORKS {
        for precision in [Precision::F32, Precision::Int8] {
            let model = load(case, &LoadOptions { precision, ..Default::default() });
            for codebooks in 1..=model.codebooks() {
                let options = with_codebooks(codebooks);
                let latents = model.encode_latents(&pcm, &options).unwrap();
                let codes = model.quantize(&latents, &options).unwrap();
                assert_eq!(codes, model.encode(&pcm, &options).unwrap(), "{case}, {codebooks} codebooks");
                let dequantized = model.dequantize(&codes, &options).unwrap();
                let audio = model.decode_latents(&dequantized, &options).unwrap();
                assert!(audio == model.decode(&codes, &options).unwrap(), "{case}, {codebooks} codebooks");
                assert!(dequantized != latents);
            }
        }
    }
}

#[test]
fn at_full_size_too() {
    let model = Model::load(synth::full_size(), &LoadOptions::default()).unwrap();
    let pcm = &speech()[..20_000];
    for codebooks in [8, 32] {
        let options = with_codebooks(codebooks);
        let latents = model.encode_latents(pcm, &options).unwrap();
        assert_eq!(latents.len(), 11 * 512);
        let codes = model.quantize(&latents, &options).unwrap();
        assert_eq!(codes, model.encode(pcm, &options).unwrap());
        let dequantized = model.dequantize(&codes, &options).unwrap();
        let audio = model.decode_latents(&dequantized, &options).unwrap();
        assert!(audio == model.decode(&codes, &options).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Streams of latents, however the audio and the latents are cut.
    #[test]
    fn streamed_latents_are_quantized_to_the_codes_of_the_recording(
        case in prop::sample::select(NETWORKS.to_vec()),
        samples in 0..52_837usize,
        piece in 1..5_000usize,
        frames in 1..20usize,
        layer_pad in any::<bool>(),
        sample_rate in prop::option::of(prop::sample::select(vec![44_100u32, 48_000])),
    ) {
        let model = load(case, &LoadOptions::default());
        let tail = if layer_pad { Tail::LayerPad } else { Tail::AudioPad };
        let options = StreamOptions { tail, sample_rate, ..Default::default() };
        let pcm = &speech()[..samples];
        let (dim, codebooks) = (model.spec().latent_dim, model.codebooks());
        let mut encoder = Encoder::new(&model, &options).unwrap();
        let mut latents = Vec::new();
        for piece in pcm.chunks(piece) {
            let mut new = vec![0.0; encoder.latents_for(piece.len())];
            encoder.process_latents(piece, &mut new).unwrap();
            latents.extend(new);
        }
        let mut last = vec![0.0; encoder.latents_for_flush()];
        encoder.flush_latents(&mut last).unwrap();
        latents.extend(last);
        let quantize = |latents: &[f32]| model.quantize(latents, &options).unwrap();
        let codes: Vec<u32> = latents.chunks(frames * dim).flat_map(quantize).collect();
        prop_assert_eq!(&codes, &model.encode(pcm, &options).unwrap());

        let mut decoder = Decoder::new(&model, &options).unwrap();
        let mut audio = Vec::new();
        for codes in codes.chunks(frames * codebooks) {
            let latents = model.dequantize(codes, &options).unwrap();
            let mut new = vec![0.0; decoder.samples_for_latents(latents.len())];
            decoder.process_latents(&latents, &mut new).unwrap();
            audio.extend(new);
        }
        let mut last = vec![0.0; decoder.samples_for_flush()];
        decoder.flush(&mut last).unwrap();
        audio.extend(last);
        prop_assert!(audio == model.decode(&codes, &options).unwrap());
    }
}

/// A frame's codes are its own: what is no number in one of them changes no other.
#[test]
fn latents_that_are_no_numbers_count_as_zeros() {
    let model = load("tiny", &LoadOptions::default());
    let options = StreamOptions::default();
    let dim = model.spec().latent_dim;
    let good = model.encode_latents(&speech(), &options).unwrap();
    let codes = model.quantize(&good, &options).unwrap();
    let with = |odd: f32| {
        let mut latents = good.clone();
        (0..dim).step_by(3).for_each(|i| latents[20 * dim + i] = odd);
        model.quantize(&latents, &options).unwrap()
    };
    let (zeros, k) = (with(0.0), model.codebooks());
    assert_ne!(zeros, codes);
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(with(odd), zeros, "{odd}");
    }
    assert_eq!(with(f32::MAX), with(1e5));
    for odd in [zeros, with(f32::MAX)] {
        assert_eq!((&odd[..20 * k], &odd[21 * k..]), (&codes[..20 * k], &codes[21 * k..]));
    }
}

/// The codes of a branch before its first gap; zeros where there are none.
#[test]
fn codes_that_did_not_arrive() {
    let model = load("tiny", &LoadOptions::default());
    let (all, k) = (with_codebooks(model.codebooks()), model.codebooks());
    let codes = model.encode(&speech(), &all).unwrap();
    let dim = model.spec().latent_dim;
    assert_eq!(model.dequantize(&vec![NO_CODE; 3 * k], &all).unwrap(), vec![0.0; 3 * dim]);
    for kept in 1..k {
        let few = with_codebooks(kept);
        let fewer: Vec<u32> = codes.chunks(k).flat_map(|frame| &frame[..kept]).copied().collect();
        let mut gaps = codes.clone();
        gaps.chunks_mut(k).for_each(|frame| frame[kept] = NO_CODE);
        let expected = model.dequantize(&fewer, &few).unwrap();
        assert!(model.dequantize(&gaps, &all).unwrap() == expected, "{kept} codebooks");
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let says = |result: Result<(), Error>, kind, words: &str| {
        let error = result.unwrap_err();
        assert!(error.kind() == kind && error.message().contains(words), "{error}");
    };
    let (options, none) = (StreamOptions::default(), "the model has no quantizer and so no codes");
    let pocket = load("pocket-tiny", &LoadOptions::default());
    for latents in [&[0.0; 8][..], &[]] {
        says(pocket.quantize(latents, &options).map(drop), ErrorKind::Unsupported, none);
        says(pocket.dequantize(&vec![1; latents.len()], &options).map(drop), ErrorKind::Unsupported, none);
    }

    let model = load("tiny", &LoadOptions::default());
    let invalid = ErrorKind::InvalidArgument;
    says(model.quantize(&[0.0; 33], &options).map(drop), invalid, "33 values: expected a multiple of 32");
    says(model.dequantize(&[1; 7], &options).map(drop), invalid, "7 codes: expected a multiple of 6");
    let words = "codes[7] is 64: expected less than 64";
    let codes = [1, 1, 1, 1, 1, 1, 1, 64, 1, 1, 1, 1];
    says(model.dequantize(&codes, &options).map(drop), ErrorKind::Corrupt, words);
    let seven = with_codebooks(7);
    says(model.quantize(&[0.0; 32], &seven).map(drop), invalid, "codebooks is 7: expected 1 to 6");
    says(model.dequantize(&[1; 7], &seven).map(drop), invalid, "codebooks is 7: expected 1 to 6");
    assert!(model.quantize(&[], &options).unwrap().is_empty());
    assert!(model.dequantize(&[], &options).unwrap().is_empty());
    assert_eq!(model.latents_for(1921, &options).unwrap(), 64);
    assert_eq!(model.samples_for_latents(64, &options).unwrap(), 2 * FRAME);
    says(model.samples_for_latents(65, &options).map(drop), invalid, "65 values: expected a multiple of 32");
    says(model.decode_latents(&[0.0; 65], &options).map(drop), invalid, "65 values");

    let half = |parts| load("tiny", &LoadOptions { parts, ..Default::default() });
    let (encoder, decoder) = (half(Parts::Encoder), half(Parts::Decoder));
    let latents = model.encode_latents(&speech(), &options).unwrap();
    let codes = model.quantize(&latents, &options).unwrap();
    assert_eq!(encoder.quantize(&latents, &options).unwrap(), codes);
    assert!(decoder.dequantize(&codes, &options).unwrap() == model.dequantize(&codes, &options).unwrap());
    let lacks = ["the model was loaded without its encoder", "the model was loaded without its decoder"];
    says(decoder.quantize(&latents, &options).map(drop), ErrorKind::Unsupported, lacks[0]);
    says(decoder.latents_for(1, &options).map(drop), ErrorKind::Unsupported, lacks[0]);
    says(encoder.dequantize(&codes, &options).map(drop), ErrorKind::Unsupported, lacks[1]);
    says(encoder.samples_for_latents(64, &options).map(drop), ErrorKind::Unsupported, lacks[1]);
}

/// A size is refused in the words of the call that it is for.
#[test]
fn sizes_need_the_options_of_their_calls() {
    let tiny = load("tiny", &LoadOptions::default());
    let unfit = |options: StreamOptions, words: &str| {
        let latents = vec![0.0; tiny.spec().latent_dim];
        let calls = [
            tiny.encode(&[0.0], &options).map(drop),
            tiny.codes_for(1, &options).map(drop),
            tiny.encode_latents(&[0.0], &options).map(drop),
            tiny.latents_for(1, &options).map(drop),
            tiny.decode(&[0; 6], &options).map(drop),
            tiny.samples_for(6, &options).map(drop),
            tiny.decode_latents(&latents, &options).map(drop),
            tiny.samples_for_latents(latents.len(), &options).map(drop),
        ];
        for (i, result) in calls.into_iter().enumerate() {
            let error = result.expect_err(words);
            let same = error.kind() == ErrorKind::InvalidArgument && error.message().contains(words);
            assert!(same, "call {i}: {error}");
        }
    };
    let options = || StreamOptions { codebooks: Some(6), ..Default::default() };
    unfit(with_codebooks(7), "codebooks is 7: expected 1 to 6");
    unfit(StreamOptions { max_block: Some(0), ..options() }, "max_block is 0: expected 1 to");
    unfit(StreamOptions { context: Some(65_537), ..options() }, "context is 65537: expected 1 to 65536");
    unfit(StreamOptions { threads: Some(65), ..options() }, "threads is 65: expected 1 to 64");
    unfit(StreamOptions { sample_rate: Some(1), ..options() }, "sample_rate is 1 Hz");
}

/// Latents of the network's own that are beyond what is taken of a caller: a stream's codes are of the latents as they
/// are, the quantizer's of the latents as they were cut.
#[test]
fn latents_beyond_the_limit_are_cut() {
    let bytes = fs::read(repository("tests/data/golden/tiny/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let louder = |(name, tensor): (&str, TensorView)| {
        let values = tensor.data().chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap()));
        let gain = if name == "downsample.conv.weight" { 4e4 } else { 1.0 };
        values.flat_map(|value| (gain * value).to_le_bytes()).collect::<Vec<u8>>()
    };
    let tensors: Vec<_> = file.iter().map(|(name, tensor)| (name, louder((name, tensor)))).collect();
    assert!(tensors.iter().any(|(name, _)| *name == "downsample.conv.weight"));
    let views = tensors.iter().map(|(name, data)| {
        let tensor = file.tensor(name).unwrap();
        (*name, TensorView::new(tensor.dtype(), tensor.shape().to_vec(), data).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    fs::copy(repository("tests/data/golden/tiny/config.json"), folder.path().join("config.json")).unwrap();
    let model = Model::load(folder.path(), &LoadOptions::default()).unwrap();

    let (options, pcm) = (StreamOptions::default(), speech());
    let (dim, codebooks) = (model.spec().latent_dim, model.codebooks());
    let latents = model.encode_latents(&pcm, &options).unwrap();
    let (codes, quantized) =
        (model.encode(&pcm, &options).unwrap(), model.quantize(&latents, &options).unwrap());
    let cut: Vec<f32> = latents.iter().map(|value| value.clamp(-1e5, 1e5)).collect();
    assert_eq!(quantized, model.quantize(&cut, &options).unwrap());
    assert_ne!(quantized, codes);
    let mut within = 0;
    for (frame, latents) in latents.chunks(dim).enumerate() {
        if latents.iter().all(|value| value.abs() <= 1e5) {
            let of_frame = frame * codebooks..(frame + 1) * codebooks;
            assert_eq!(quantized[of_frame.clone()], codes[of_frame], "frame {frame}");
            within += 1;
        }
    }
    assert!(within > 0 && within < latents.len() / dim, "{within} frames are within the limit");
}

/// Some of the streams are a frame ahead, and some have other options.
#[test]
fn many_streams_of_latents_give_what_each_gives_alone() {
    for case in ["tiny", "pocket-tiny", "pocket-asym"] {
        let model = load(case, &LoadOptions::default());
        let (dim, pcm) = (model.spec().latent_dim, speech());
        let options = |i: usize| StreamOptions { context: (i % 3 == 2).then_some(9), ..Default::default() };
        let mut encoders: Vec<_> = (0..5).map(|i| Encoder::new(&model, &options(i)).unwrap()).collect();
        let mut decoders: Vec<_> = (0..5).map(|i| Decoder::new(&model, &options(i)).unwrap()).collect();
        encoders[1].process_latents(&pcm[..FRAME], &mut vec![0.0; dim]).unwrap();
        let mut alone: Vec<_> = encoders.iter().map(|s| s.try_clone().unwrap()).collect();
        let mut apart: Vec<_> = decoders.iter().map(|s| s.try_clone().unwrap()).collect();
        for round in 0..6 {
            let frames: Vec<_> = (0..5).map(|i| &pcm[(2 * i + round) * FRAME..][..FRAME]).collect();
            let mut latents = vec![vec![0.0; dim]; 5];
            let mut room: Vec<_> = latents.iter_mut().map(|room| &mut room[..]).collect();
            Encoder::process_many_latents(&mut encoders.iter_mut().collect::<Vec<_>>(), &frames, &mut room)
                .unwrap();
            let mut sound = vec![vec![0.0; FRAME]; 5];
            let mut room: Vec<_> = sound.iter_mut().map(|room| &mut room[..]).collect();
            let inputs: Vec<_> = latents.iter().map(|latents| &latents[..]).collect();
            Decoder::process_many_latents(&mut decoders.iter_mut().collect::<Vec<_>>(), &inputs, &mut room)
                .unwrap();
            for i in 0..5 {
                let (mut latent, mut audio) = (vec![0.0; dim], vec![0.0; FRAME]);
                alone[i].process_latents(frames[i], &mut latent).unwrap();
                apart[i].process_latents(&latent, &mut audio).unwrap();
                assert!(latent == latents[i] && audio == sound[i], "{case}, stream {i}, round {round}");
            }
        }
        let mut room = vec![0.0; dim - 1];
        let refused =
            Encoder::process_many_latents(&mut [&mut encoders[0]], &[&pcm[..FRAME]], &mut [&mut room[..]]);
        assert_eq!(refused, Err(StreamError::BufferTooSmall { needed: dim }));
        let refused =
            Decoder::process_many_latents(&mut [&mut decoders[0]], &[&room], &mut [&mut [0.0; FRAME]]);
        assert_eq!(refused, Err(StreamError::NotOneFrame { found: dim - 1, expected: dim }));
        assert_eq!((encoders[0].frames(), decoders[0].frames()), (6, 6));
    }
}
