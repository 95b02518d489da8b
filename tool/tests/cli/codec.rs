//! Encoding and decoding.

use super::*;

#[test]
fn a_roundtrip_has_the_length_of_the_input_and_says_that_the_model_is_a_toy() {
    let folder = folder();
    let output = ok(&folder, "roundtrip SPEECH out.wav");
    assert!(stderr(&output).contains("toy") && output.stdout.is_empty());
    let (spec, samples) = wav(&folder, "out.wav");
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 24_000, 16));
    assert_eq!(samples.len(), SAMPLES);
    assert!(samples.iter().any(|sample| sample.abs() > 1_000), "silence");
    assert!(stderr(&ok(&folder, "roundtrip --quiet SPEECH out.wav")).is_empty());
}

#[test]
fn a_roundtrip_is_encode_and_decode() {
    let folder = folder();
    ok(&folder, "roundtrip SPEECH once.wav");
    ok(&folder, "encode SPEECH codes.mtok");
    ok(&folder, "decode codes.mtok twice.wav");
    assert_eq!(wav(&folder, "once.wav"), wav(&folder, "twice.wav"));
}

#[test]
fn codes_are_those_of_the_reference() {
    let folder = folder();
    ok(&folder, "encode --tail layer SPEECH layer.npy");
    let layer = npy(&folder.path().join("layer.npy"));
    assert_golden_codes(&layer);
    // the default differs in the last frame, which is partial, alone
    ok(&folder, "encode SPEECH audio.npy");
    let codes = npy(&folder.path().join("audio.npy"));
    assert_eq!((codes.len(), codes[0].len()), (8, SAMPLES.div_ceil(FRAME)));
    for (codes, layer) in codes.iter().zip(&layer) {
        assert_eq!(codes[..codes.len() - 1], layer[..layer.len() - 1]);
    }
}

#[test]
fn decoding_gives_the_audio_of_the_reference() {
    let folder = folder();
    fs::copy(golden("demo/speech.codes.npy"), folder.path().join("codes.npy")).unwrap();
    ok(&folder, "decode codes.npy out.wav");
    let bytes = fs::read(golden("demo/speech.audio.npy")).unwrap();
    let reference: Vec<f32> = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap();
    let (_, samples) = wav(&folder, "out.wav");
    // no length in a .npy file: whole frames
    assert_eq!(samples.len(), reference.len());
    for (sample, reference) in samples.iter().zip(&reference) {
        assert!((*sample as f32 - reference * 32_768.0).abs() < 2.0);
    }
}

#[test]
fn codebooks_are_chosen_when_encoding_or_when_decoding() {
    let folder = folder();
    ok(&folder, "encode SPEECH all.npy");
    ok(&folder, "encode --codebooks 3 SPEECH three.npy");
    assert_eq!(npy(&folder.path().join("three.npy")), npy(&folder.path().join("all.npy"))[..3]);
    ok(&folder, "decode -n 3 all.npy a.wav");
    ok(&folder, "decode three.npy b.wav");
    assert_eq!(wav(&folder, "a.wav"), wav(&folder, "b.wav"));
    ok(&folder, "encode SPEECH all.mtok");
    ok(&folder, "decode -n 3 all.mtok c.wav");
    assert_eq!(wav(&folder, "c.wav").1, wav(&folder, "b.wav").1[..SAMPLES]);
    fails(&folder, "decode -n 9 all.npy d.wav", "mimi: all.npy: it has 8 codebooks, 9 were asked for");
    assert_eq!(mimi(&folder, "encode -n 9 -q SPEECH d.npy").status.code(), Some(2));
    assert_eq!(mimi(&folder, "encode -n 0 -q SPEECH d.npy").status.code(), Some(2));
    assert!(!folder.path().join("d.npy").exists() && !folder.path().join("d.wav").exists());
}

#[test]
fn lost_frames_are_heard_and_are_the_same_for_the_same_seed() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    for (name, loss) in [
        ("none", ""),
        ("zero", "--loss 0"),
        ("all", "--loss 100"),
        ("some", "--loss 30 --burst 2"),
        ("again", "--loss 30 --burst 2 --seed 1"),
        ("other", "--loss 30 --burst 2 --seed 2"),
    ] {
        ok(&folder, &format!("decode {loss} codes.mtok {name}.wav"));
    }
    let sound = |name: &str| wav(&folder, &format!("{name}.wav")).1;
    assert_eq!(sound("zero"), sound("none"));
    assert_eq!(sound("all"), vec![0; SAMPLES]);
    assert_eq!(sound("again"), sound("some"));
    assert!(
        sound("some") != sound("none") && sound("some") != sound("other") && sound("some") != sound("all")
    );
    for options in ["--loss 101", "--loss -1", "--loss nan", "--burst 2", "--loss 1 --burst 0", "--seed 1"] {
        let output = mimi(&folder, &format!("decode -q {options} codes.mtok out.wav"));
        assert_eq!(output.status.code(), Some(2), "{options}");
    }
    assert!(!folder.path().join("out.wav").exists());
}

#[test]
fn other_models_are_loaded_and_their_codes_kept_apart() {
    let folder = folder();
    let output = ok(&folder, "encode --model TINY SPEECH tiny.mtok");
    assert!(stderr(&output).is_empty());
    ok(&folder, "decode --model TINY tiny.mtok out.wav");
    assert_eq!(wav(&folder, "out.wav").1.len(), SAMPLES);
    let output = mimi(&folder, "decode tiny.mtok demo.wav");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("tiny.mtok: made with another model"));
    assert!(!folder.path().join("demo.wav").exists());
    fails(&folder, "encode -m nothing SPEECH a.npy", "mimi: nothing: No such file or directory");
    fs::write(folder.path().join("text.safetensors"), "no weights at all").unwrap();
    let output = mimi(&folder, "encode -m text.safetensors SPEECH a.npy");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("mimi: ") && stderr(&output).contains("text.safetensors"));
}

#[test]
fn an_empty_recording_is_no_failure() {
    let folder = folder();
    let output = mimi_fed(&folder, "roundtrip --raw - out.raw", &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(folder.path().join("out.raw")).unwrap().is_empty());
    assert!(mimi_fed(&folder, "encode --raw - none.mtok", &[]).status.success());
    ok(&folder, "decode none.mtok none.wav");
    assert!(wav(&folder, "none.wav").1.is_empty());
}

/// The first `count` samples of a sound at 24 kHz, at 44.1 kHz.
fn at_44100(sound: &[i32], count: usize) -> Vec<i32> {
    let sample = |i: usize| {
        let at = i as f64 * 24_000.0 / 44_100.0;
        let (before, fraction) = (sound[at as usize], at.fract());
        (f64::from(before) * (1.0 - fraction) + f64::from(sound[at as usize + 1]) * fraction) as i32
    };
    (0..count).map(sample).collect()
}

/// `speech.wav` at 44.1 kHz in two channels of 24 bits: the recording and silence.
fn write_44100(folder: &TempDir) -> usize {
    let mut speech = hound::WavReader::open(golden("speech.wav")).unwrap();
    let speech: Vec<i32> = speech.samples::<i32>().map(|sample| sample.unwrap() * 256).collect();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let count = 70_001;
    let mut wav = hound::WavWriter::create(folder.path().join("in.wav"), spec).unwrap();
    for sample in at_44100(&speech, count) {
        wav.write_sample(sample).unwrap();
        wav.write_sample(0).unwrap();
    }
    wav.finalize().unwrap();
    count
}

#[test]
fn other_rates_channels_and_widths_are_converted_and_aligned() {
    let folder = folder();
    let count = write_44100(&folder);
    ok(&folder, "roundtrip in.wav out.wav");
    let (spec, samples) = wav(&folder, "out.wav");
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 44_100, 16));
    assert_eq!(samples.len(), count);
    // the file tells rate and length
    ok(&folder, "encode in.wav codes.mtok");
    ok(&folder, "decode codes.mtok again.wav");
    let (spec, again) = wav(&folder, "again.wav");
    assert_eq!((spec.sample_rate, again.len()), (44_100, count));
    assert!(similarity(&again, &samples) > 60.0);
    // 38096.33 at 24 kHz
    ok(&folder, "decode --rate 24000 codes.mtok plain.wav");
    assert_eq!(wav(&folder, "plain.wav").1.len(), 38_096);

    // The toy's own waveform strays. So the reference is what it makes of the same sound at its own
    // rate; at 44.1 kHz it must come at the same time.
    ok(&folder, "roundtrip SPEECH plain.wav");
    let plain = at_44100(&wav(&folder, "plain.wav").1, count);
    let lagged = |lag: usize| similarity(&plain[10..count - 10], &again[lag..count - 20 + lag]);
    let best = (0..=20).max_by(|&a, &b| lagged(a).total_cmp(&lagged(b))).unwrap();
    assert_eq!(best, 10, "{:?}", (0..=20).map(lagged).collect::<Vec<_>>());
}

#[test]
fn rates_at_which_a_frame_is_no_whole_number_and_lengths_just_above_one_are_kept() {
    let folder = folder();
    // 7680 samples are a frame at 96 kHz; 11011 Hz has no whole frames
    for (rate, samples) in [(96_000, 7_680), (96_000, 7_681), (11_011, 9_000), (8_000, 641), (44_100, 1)] {
        let raw = vec![0; samples * 2];
        let encoded = mimi_fed(&folder, &format!("encode -q --raw --rate {rate} - a.mtok"), &raw);
        assert!(encoded.status.success(), "{}", stderr(&encoded));
        let output = ok(&folder, "decode -q a.mtok a.wav");
        assert!(stderr(&output).is_empty(), "{rate}, {samples}: {}", stderr(&output));
        let (spec, decoded) = wav(&folder, "a.wav");
        assert_eq!((spec.sample_rate, decoded.len()), (rate, samples));
    }
}

#[test]
fn weights_in_half_the_memory_give_nearly_the_same_sound() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    ok(&folder, "decode codes.mtok exact.wav");
    ok(&folder, "decode --precision bf16 codes.mtok rounded.wav");
    let (exact, rounded) = (wav(&folder, "exact.wav").1, wav(&folder, "rounded.wav").1);
    assert_ne!(exact, rounded);
    assert!(similarity(&exact, &rounded) > 20.0, "{} dB", similarity(&exact, &rounded));
}
