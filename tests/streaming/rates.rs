//! Streams at another rate than the model's.

use crate::*;
use mimi::StreamError;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::LazyLock;

static MODEL: LazyLock<Model> = LazyLock::new(|| load("tiny"));

/// At 23 975 Hz a block is a whole frame.
const RATES: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 23_975, 44_100, 48_000, 96_000];

/// The samples of a frame of 80 ms.
fn frame(rate: u32) -> usize {
    rate as usize / 25 * 2
}

fn at(rate: u32) -> StreamOptions {
    StreamOptions { sample_rate: Some(rate), ..all_codebooks(&MODEL, Tail::AudioPad) }
}

/// Something to encode: a chirp with silence between its swells.
fn sound(samples: usize) -> Vec<f32> {
    let sample = |i: usize| {
        let t = i as f32 / 10_000.0;
        (40.0 * t * t + 300.0 * t).sin() * (3.0 * t).sin().max(0.0)
    };
    (0..samples).map(sample).collect()
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![
        4 => 0..=4_000usize,
        2 => select(vec![1, 64, 294, 588, 640, 882, 3_527, 3_528, 3_529, 3_840]),
        1 => 4_000..=60_000usize,
    ];
    prop::collection::vec(length, 1..=8).prop_filter("some samples", |all| all.iter().sum::<usize>() >= 100)
}

fn tails() -> impl Strategy<Value = Tail> {
    select(TAILS.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn samples_may_be_cut_anywhere(
        rate in select(RATES.to_vec()), seconds in 0.0..0.9f32, lengths in lengths(), tail in tails(),
        max_block in prop_oneof![Just(None), (1..=20_000usize).prop_map(Some)], fork: prop::sample::Index,
    ) {
        let options = StreamOptions { tail, max_block, ..at(rate) };
        let pcm = sound((rate as f32 * seconds) as usize);
        let expected = MODEL.encode(&pcm, &StreamOptions { max_block: None, ..options.clone() }).unwrap();
        prop_assert_eq!(expected.len(), pcm.len().div_ceil(frame(rate)) * MODEL.codebooks());
        prop_assert_eq!(expected.len(), MODEL.codes_for(pcm.len(), &options).unwrap());

        let mut encoder = Encoder::new(&MODEL, &options).unwrap();
        let (head, rest) = pcm.split_at(fork.index(pcm.len() + 1));
        let mut codes = encode_in(&mut encoder, head, &lengths);
        let mut forked = encoder.try_clone().unwrap();
        let mut other = codes.clone();
        codes.extend(encode_in(&mut encoder, rest, &lengths));
        encode_end(&mut encoder, &mut codes);
        prop_assert_eq!(&codes, &expected);
        encode(&mut forked, rest, &mut other);
        encode_end(&mut forked, &mut other);
        prop_assert_eq!(&other, &expected);
        prop_assert_eq!(forked.codes_hash(), encoder.codes_hash());

        // the stream begins anew after its end, and after a reset in the middle of anything
        encode(&mut forked, head, &mut other);
        forked.reset();
        for mut stream in [encoder, forked] {
            let mut again = Vec::new();
            encode(&mut stream, &pcm, &mut again);
            encode_end(&mut stream, &mut again);
            prop_assert_eq!(&again, &expected);
        }
    }

    #[test]
    fn frames_may_be_grouped_anyhow(
        rate in select(RATES.to_vec()), frames in 0..12usize, groups in prop::collection::vec(1..5usize, 1..4),
        max_block in prop_oneof![Just(None), (1..=10_000usize).prop_map(Some)], fork: prop::sample::Index,
    ) {
        let options = StreamOptions { max_block, ..at(rate) };
        let codebooks = MODEL.codebooks();
        let codes: Vec<u32> = (0..frames * codebooks).map(|i| (i * i) as u32 % 64).collect();
        let expected = MODEL.decode(&codes, &at(rate)).unwrap();
        prop_assert_eq!(expected.len(), frames * frame(rate));

        let mut decoder = Decoder::new(&MODEL, &options).unwrap();
        let (head, rest) = codes.split_at(fork.index(frames + 1) * codebooks);
        let mut pcm = decode_in(&mut decoder, head, &groups);
        let mut forked = decoder.try_clone().unwrap();
        let mut other = pcm.clone();
        pcm.extend(decode_in(&mut decoder, rest, &groups));
        decode_end(&mut decoder, &mut pcm);
        assert_same_audio(&pcm, &expected, "in groups");
        decode(&mut forked, rest, &mut other);
        decode_end(&mut forked, &mut other);
        assert_same_audio(&other, &expected, "a fork");

        decode(&mut forked, head, &mut other);
        forked.reset();
        for mut stream in [decoder, forked] {
            let mut again = Vec::new();
            decode(&mut stream, &codes, &mut again);
            decode_end(&mut stream, &mut again);
            assert_same_audio(&again, &expected, "anew");
        }
    }
}

/// Ends the stream.
fn decode_end(decoder: &mut Decoder, pcm: &mut Vec<f32>) {
    let (start, told) = (pcm.len(), decoder.samples_for_flush());
    if told > 0 {
        let small = decoder.flush(&mut vec![0.0; told - 1]);
        assert_eq!(small, Err(StreamError::BufferTooSmall { needed: told }));
    }
    pcm.resize(start + told + 1, f32::NAN);
    assert_eq!(decoder.flush(&mut pcm[start..]), Ok(told));
    assert!(pcm.pop().unwrap().is_nan());
    assert_eq!((decoder.samples_for_flush(), decoder.flush(&mut [])), (0, Ok(0)));
}

#[test]
fn latency_is_true_to_the_sample() {
    for rate in RATES {
        let mut encoder = Encoder::new(&MODEL, &at(rate)).unwrap();
        assert_eq!((encoder.sample_rate(), encoder.frame_samples()), (rate, frame(rate)));
        let latency = encoder.latency_samples();
        assert!(latency >= frame(rate) && latency <= frame(rate) + frame(rate) / 2, "{rate} Hz: {latency}");
        let mut codes = [0; 100];
        for sample in 0..3 * frame(rate) {
            let written = encoder.process(&[0.1], &mut codes).unwrap();
            // the first sample of a frame is in the codes that come with the sample `latency` later
            let due = sample >= latency && (sample - latency).is_multiple_of(frame(rate));
            assert_eq!(written, if due { encoder.codebooks() } else { 0 }, "{rate} Hz, sample {sample}");
        }
        let mut decoder = Decoder::new(&MODEL, &at(rate)).unwrap();
        assert_eq!((decoder.sample_rate(), decoder.frame_samples()), (rate, frame(rate)));
        let latency = decoder.latency_samples();
        assert!(latency > 0 && latency <= frame(rate) / 2, "{rate} Hz: {latency}");
        let mut pcm = Vec::new();
        for frames in 1..4 {
            decode(&mut decoder, &codes[..encoder.codebooks()], &mut pcm);
            assert_eq!(pcm.len(), frames * frame(rate) - latency, "{rate} Hz");
        }
    }
}

/// A click in the middle of half a second, within the band of 8 kHz audio, `late` seconds too late.
fn click(rate: u32, late: f64) -> Vec<f32> {
    let samples = frame(rate) * 6;
    let sample = |i: usize| {
        let x = (i as f64 / f64::from(rate) - 0.2 - late) * 6_000.0;
        let sinc = if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        (0.5 * sinc * (-(x / 20.0).powi(2)).exp()) as f32
    };
    (0..samples).map(sample).collect()
}

fn equal(a: &[u32], b: &[u32]) -> usize {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

/// An impulse has the codes that it has at the model's rate; a sample earlier or later it has others.
#[test]
fn codes_know_when_an_impulse_was() {
    let model = load("tiny");
    let options = |rate| StreamOptions { sample_rate: Some(rate), ..all_codebooks(&model, Tail::AudioPad) };
    let here = |late: f64| model.encode(&click(24_000, late), &options(24_000)).unwrap();
    let expected = here(0.0);
    for rate in RATES {
        let found = model.encode(&click(rate, 0.0), &options(rate)).unwrap();
        let same = equal(&found, &expected);
        let beside = [-1.0, 1.0].map(|late| equal(&found, &here(late / 24_000.0)));
        assert!(same * 100 >= expected.len() * 97, "{rate} Hz: {same} of {}", expected.len());
        assert!(beside.into_iter().all(|n| n < same), "{rate} Hz: {same}, beside it {beside:?}");
    }
}

/// What is decoded at another rate lies in time where it lies at the model's.
#[test]
fn decoded_audio_is_aligned() {
    let codes = MODEL.encode(&speech()[..24_000], &all_codebooks(&MODEL, Tail::AudioPad)).unwrap();
    let here = MODEL.decode(&codes, &all_codebooks(&MODEL, Tail::AudioPad)).unwrap();
    for multiple in [2, 4] {
        let there = MODEL.decode(&codes, &at(24_000 * multiple as u32)).unwrap();
        let correlation = |lag: isize| -> f64 {
            let from = here.iter().enumerate().skip(10).take(here.len() - 20);
            from.map(|(i, x)| f64::from(x * there[(i * multiple).checked_add_signed(lag).unwrap()])).sum()
        };
        let (before, now, after) = (correlation(-1), correlation(0), correlation(1));
        assert!(now > before && now > after, "{multiple}: {before} {now} {after}");
        assert!((before - after).abs() < 0.02 * (now - before), "{multiple}: {before} {now} {after}");
    }
}

#[test]
fn not_a_number_counts_as_zero() {
    let clean = sound(10_000);
    let mut dirty = clean.clone();
    let mut zeroed = clean.clone();
    for (i, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().cycle().enumerate().take(50) {
        dirty[i * 190 + 3] = bad;
        zeroed[i * 190 + 3] = 0.0;
    }
    for rate in [16_000, 44_100] {
        let encode = |pcm: &[f32]| MODEL.encode(pcm, &at(rate)).unwrap();
        assert_eq!(encode(&dirty), encode(&zeroed));
        assert!(encode(&[f32::MAX; 9_000]).iter().all(|&code| code < 64));
        let mut encoder = Encoder::new(&MODEL, &at(rate)).unwrap();
        encode_in(&mut encoder, &[f32::MAX; 9_000], &[777]);
        encoder.flush(&mut [0; 100]).unwrap();
        let mut codes = encode_in(&mut encoder, &clean, &[555]);
        encode_end(&mut encoder, &mut codes);
        assert_eq!(codes, encode(&clean), "loud audio stays in the memory");
    }
}

#[test]
fn too_little_room_changes_nothing() {
    let pcm = sound(4 * 3_528);
    let mut encoder = Encoder::new(&MODEL, &at(44_100)).unwrap();
    let mut codes = encode_in(&mut encoder, &pcm[..5_000], &[5_000]);
    let needed = encoder.codes_for(pcm.len() - 5_000);
    let small = encoder.process(&pcm[5_000..], &mut vec![0; needed - 1]);
    assert_eq!(small, Err(StreamError::BufferTooSmall { needed }));
    encode(&mut encoder, &pcm[5_000..], &mut codes);
    let needed = encoder.codes_for_flush();
    assert_eq!(encoder.flush(&mut vec![0; needed - 1]), Err(StreamError::BufferTooSmall { needed }));
    encode_end(&mut encoder, &mut codes);
    assert_eq!(codes, MODEL.encode(&pcm, &at(44_100)).unwrap());

    let mut decoder = Decoder::new(&MODEL, &at(44_100)).unwrap();
    let needed = decoder.samples_for(codes.len());
    assert_eq!(
        decoder.process(&codes, &mut vec![0.0; needed - 1]),
        Err(StreamError::BufferTooSmall { needed })
    );
    let mut pcm = Vec::new();
    decode(&mut decoder, &codes, &mut pcm);
    decode_end(&mut decoder, &mut pcm);
    assert_same_audio(&pcm, &MODEL.decode(&codes, &at(44_100)).unwrap(), "after a failure");
}

#[test]
fn impossible_rates_are_refused_everywhere() {
    for rate in [0, 44_056, 1_000_000] {
        let told = format!("sample_rate is {rate} Hz: expected ");
        let refused = [
            Encoder::new(&MODEL, &at(rate)).err(),
            Decoder::new(&MODEL, &at(rate)).err(),
            MODEL.encode(&[0.0], &at(rate)).err(),
            MODEL.decode(&[], &at(rate)).err(),
            MODEL.codes_for(1, &at(rate)).err(),
            MODEL.samples_for(0, &at(rate)).err(),
        ];
        for error in refused {
            let error = error.expect("an impossible rate");
            assert_eq!(error.kind(), mimi::ErrorKind::InvalidArgument);
            assert!(error.message().starts_with(&told), "{error}");
        }
    }
}

/// In company with others at other rates, once each has taken its first frame.
#[test]
fn company_changes_nothing() {
    let rates = [24_000, 44_100, 48_000, 16_000, 44_100];
    let voices = rates.map(|rate| sound(5 * frame(rate)));
    let mut encoders = rates.map(|rate| Encoder::new(&MODEL, &at(rate)).unwrap());
    let mut decoders = rates.map(|rate| Decoder::new(&MODEL, &at(rate)).unwrap());
    let codebooks = MODEL.codebooks();
    let mut codes: [Vec<u32>; 5] = Default::default();
    let piece = |round: usize| -> Vec<&[f32]> {
        voices.iter().zip(rates).map(|(voice, rate)| &voice[round * frame(rate)..][..frame(rate)]).collect()
    };

    let mut room = vec![vec![7; codebooks]; 5];
    let early = {
        let mut room: Vec<_> = room.iter_mut().map(|codes| &mut codes[..]).collect();
        Encoder::process_many(&mut encoders.each_mut(), &piece(0), &mut room)
    };
    assert_eq!(early, Err(StreamError::FirstFrame));
    assert!(room.iter().flatten().all(|&code| code == 7) && encoders.iter().all(|e| e.frames() == 0));
    for ((encoder, pcm), codes) in encoders.iter_mut().zip(piece(0)).zip(&mut codes) {
        encode(encoder, pcm, codes);
    }
    for round in 1..5 {
        let mut outputs: Vec<_> = room.iter_mut().map(|codes| &mut codes[..]).collect();
        Encoder::process_many(&mut encoders.each_mut(), &piece(round), &mut outputs).unwrap();
        codes.iter_mut().zip(&room).for_each(|(codes, frame)| codes.extend(frame));
    }
    for ((encoder, codes), (voice, rate)) in encoders.iter_mut().zip(&mut codes).zip(voices.iter().zip(rates))
    {
        encode_end(encoder, codes);
        assert_eq!(codes, &MODEL.encode(voice, &at(rate)).unwrap(), "{rate} Hz");
    }

    let mut room: Vec<_> = rates.iter().map(|&rate| vec![9.0; frame(rate)]).collect();
    let mut audio: [Vec<f32>; 5] = Default::default();
    let piece = |round: usize| -> Vec<&[u32]> {
        codes.iter().map(|codes| &codes[round * codebooks..][..codebooks]).collect()
    };
    let early = {
        let mut room: Vec<_> = room.iter_mut().map(|pcm| &mut pcm[..]).collect();
        Decoder::process_many(&mut decoders.each_mut(), &piece(0), &mut room)
    };
    assert_eq!(early, Err(StreamError::FirstFrame));
    assert!(room.iter().flatten().all(|&sample| sample == 9.0));
    for ((decoder, codes), audio) in decoders.iter_mut().zip(piece(0)).zip(&mut audio) {
        decode(decoder, codes, audio);
    }
    for round in 1..5 {
        let mut outputs: Vec<_> = room.iter_mut().map(|pcm| &mut pcm[..]).collect();
        Decoder::process_many(&mut decoders.each_mut(), &piece(round), &mut outputs).unwrap();
        audio.iter_mut().zip(&room).for_each(|(audio, frame)| audio.extend(frame));
    }
    for (((decoder, audio), codes), rate) in decoders.iter_mut().zip(&mut audio).zip(&codes).zip(rates) {
        decode_end(decoder, audio);
        assert_same_audio(audio, &MODEL.decode(&codes[..5 * codebooks], &at(rate)).unwrap(), "in company");
    }
}
