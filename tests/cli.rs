//! The command-line tool, used as a person would use it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// Samples in `speech.wav`.
const SAMPLES: usize = 79_610;
/// Samples in a frame.
const FRAME: usize = 1_920;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(name)
}

/// Runs `mimi` in `folder` with `args`, words separated by spaces; `SPEECH` is the golden recording.
fn mimi(folder: &TempDir, args: &str) -> Output {
    mimi_fed(folder, args, &[])
}

/// The same with `input` as standard input.
fn mimi_fed(folder: &TempDir, args: &str, input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimi"));
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for word in args.split_whitespace() {
        match word {
            "SPEECH" => command.arg(golden("speech.wav")),
            "TINY" => command.arg(golden("tiny")),
            _ => command.arg(word),
        };
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A child that fails early closes its end.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs it and expects success.
fn ok(folder: &TempDir, args: &str) -> Output {
    let output = mimi(folder, args);
    assert!(output.status.success(), "mimi {args}: {}", stderr(&output));
    output
}

/// Runs it and expects failure with status 1 and this last line on standard error.
fn fails(folder: &TempDir, args: &str, message: &str) {
    let output = mimi(folder, args);
    assert_eq!(output.status.code(), Some(1), "mimi {args}: {}", stderr(&output));
    assert_eq!(stderr(&output).lines().last(), Some(message), "mimi {args}");
    assert!(output.stdout.is_empty());
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn wav(folder: &TempDir, name: &str) -> (hound::WavSpec, Vec<i32>) {
    let mut reader = hound::WavReader::open(folder.path().join(name)).unwrap();
    (reader.spec(), reader.samples::<i32>().map(|sample| sample.unwrap()).collect())
}

/// `[codebooks][frames]`, whatever the type of integers.
fn npy(path: &Path) -> Vec<Vec<i64>> {
    let bytes = fs::read(path).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    let frames = file.shape()[1] as usize;
    let values: Vec<i64> = match file.dtype().num_bytes() {
        Some(2) => file.data::<i16>().unwrap().map(|code| i64::from(code.unwrap())).collect(),
        Some(4) => file.data::<i32>().unwrap().map(|code| i64::from(code.unwrap())).collect(),
        other => panic!("{other:?} bytes"),
    };
    values.chunks(frames).map(<[i64]>::to_vec).collect()
}

/// Signal-to-distortion ratio in dB of `b` as a scaled `a`.
fn similarity(a: &[i32], b: &[i32]) -> f64 {
    let dot = |a: &[i32], b: &[i32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let scale = dot(a, b) / dot(a, a);
    let signal = scale * scale * dot(a, a);
    10.0 * (signal / (dot(b, b) - signal)).log10()
}

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
    let reference = npy(&golden("demo/speech.codes.npy"));
    ok(&folder, "encode --tail layer SPEECH layer.npy");
    assert_eq!(npy(&folder.path().join("layer.npy")), reference);
    // the default differs in the last frame, which is partial, alone
    ok(&folder, "encode SPEECH audio.npy");
    let codes = npy(&folder.path().join("audio.npy"));
    assert_eq!((codes.len(), codes[0].len()), (8, SAMPLES.div_ceil(FRAME)));
    for (codes, reference) in codes.iter().zip(&reference) {
        assert_eq!(codes[..codes.len() - 1], reference[..reference.len() - 1]);
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
    assert_eq!(mimi(&folder, "encode -n 9 -q SPEECH d.npy").status.code(), Some(1));
    assert_eq!(mimi(&folder, "encode -n 0 -q SPEECH d.npy").status.code(), Some(1));
    assert!(!folder.path().join("d.npy").exists() && !folder.path().join("d.wav").exists());
}

/// `speech.wav` at 44.1 kHz in two channels of 24 bits: the recording and silence.
fn write_44100(folder: &TempDir) -> usize {
    let mut speech = hound::WavReader::open(golden("speech.wav")).unwrap();
    let speech: Vec<i32> = speech.samples::<i32>().map(|sample| sample.unwrap()).collect();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let count = 70_001;
    let mut wav = hound::WavWriter::create(folder.path().join("in.wav"), spec).unwrap();
    for i in 0..count {
        let at = i as f64 * 24_000.0 / 44_100.0;
        let (before, fraction) = (speech[at as usize], at.fract());
        let value = f64::from(before) * (1.0 - fraction) + f64::from(speech[at as usize + 1]) * fraction;
        wav.write_sample((value * 256.0) as i32).unwrap();
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
    ok(&folder, "encode in.wav codes.mtok");
    // the length at 24 kHz is rounded, 38096.33 to 38096
    ok(&folder, "decode codes.mtok plain.wav");
    assert_eq!(wav(&folder, "plain.wav").1.len(), 38_096);
    ok(&folder, "decode --rate 44100 codes.mtok again.wav");
    let (_, again) = wav(&folder, "again.wav");
    assert!(again.len().abs_diff(count) <= 1);
    let common = again.len().min(count) - 200;
    assert!(similarity(&again[..common], &samples[..common]) > 60.0);
}

#[test]
fn floats_are_written_on_request() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    ok(&folder, "decode codes.mtok ints.wav");
    ok(&folder, "decode --f32 codes.mtok floats.wav");
    let mut reader = hound::WavReader::open(folder.path().join("floats.wav")).unwrap();
    assert_eq!(reader.spec().sample_format, hound::SampleFormat::Float);
    let floats: Vec<i32> =
        reader.samples::<f32>().map(|sample| (sample.unwrap() * 32_768.0).round() as i32).collect();
    assert_eq!(floats, wav(&folder, "ints.wav").1);
}

#[test]
fn pipes_carry_the_same_as_files() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    let tokens = fs::read(folder.path().join("codes.mtok")).unwrap();
    let speech = fs::read(golden("speech.wav")).unwrap();
    let piped = mimi_fed(&folder, "encode - -", &speech);
    assert!(piped.status.success());
    assert_eq!(piped.stdout, tokens);
    // the samples alone
    let raw = &speech[speech.len() - SAMPLES * 2..];
    assert_eq!(mimi_fed(&folder, "encode --raw - -", raw).stdout, tokens);
    let floats: Vec<u8> = raw
        .as_chunks()
        .0
        .iter()
        .flat_map(|&bytes| (f32::from(i16::from_le_bytes(bytes)) / 32_768.0).to_le_bytes())
        .collect();
    assert_eq!(mimi_fed(&folder, "encode --raw --f32 - -", &floats).stdout, tokens);

    ok(&folder, "decode codes.mtok out.wav");
    let (_, expected) = wav(&folder, "out.wav");
    let samples = |bytes: &[u8]| -> Vec<i32> {
        bytes.as_chunks().0.iter().map(|&sample| i32::from(i16::from_le_bytes(sample))).collect()
    };
    let decoded = mimi_fed(&folder, "decode --raw - -", &tokens).stdout;
    assert_eq!(samples(&decoded), expected);
    let roundtrip = mimi_fed(&folder, "roundtrip --raw --rate 24000 - -", raw).stdout;
    assert_eq!(samples(&roundtrip), expected);
    // a WAV file of unknown length can be read again
    let piped = mimi_fed(&folder, "decode - -", &tokens).stdout;
    assert_eq!(&piped[..4], b"RIFF");
    assert_eq!(mimi_fed(&folder, "encode - -", &piped).status.code(), Some(0));
}

#[test]
fn codes_are_stored_as_the_extension_or_the_option_says() {
    let folder = folder();
    for name in ["a.mtok", "a.npy", "a.safetensors"] {
        ok(&folder, &format!("encode SPEECH {name}"));
        ok(&folder, &format!("decode {name} {name}.wav"));
    }
    ok(&folder, "encode --format npy SPEECH codes");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("codes"), read("a.npy"));
    assert_eq!(read("a.npy.wav"), read("a.safetensors.wav"));
    let (_, exact) = wav(&folder, "a.mtok.wav");
    assert_eq!(exact.len(), SAMPLES);
    assert_eq!(wav(&folder, "a.npy.wav").1[..SAMPLES], exact);
    // 40 bytes of header and 8 codes of 9 bits a frame
    assert_eq!(read("a.mtok").len(), 40 + SAMPLES.div_ceil(FRAME) * 9);
    let expected = "mimi: a.txt: expected the extension .mtok, .npy or .safetensors, or a --format";
    fails(&folder, "encode SPEECH a.txt", expected);
}

#[test]
fn files_of_moshi_cpp_are_read() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.npy");
    let codes = npy(&folder.path().join("codes.npy"));
    let mut bytes = b"MIMI\x08\0\0\0".to_vec();
    for frame in 0..codes[0].len() {
        codes.iter().for_each(|codebook| bytes.extend((codebook[frame] as i16).to_le_bytes()));
    }
    fs::write(folder.path().join("codes.mimi"), bytes).unwrap();
    ok(&folder, "decode codes.mimi a.wav");
    ok(&folder, "decode codes.npy b.wav");
    assert_eq!(wav(&folder, "a.wav"), wav(&folder, "b.wav"));
}

#[test]
fn a_token_file_that_breaks_off_is_good_up_to_there() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    ok(&folder, "decode codes.mtok whole.wav");
    let bytes = fs::read(folder.path().join("codes.mtok")).unwrap();
    fs::write(folder.path().join("codes.mtok"), &bytes[..40 + 9 * 10 + 4]).unwrap();
    assert!(stderr(&ok(&folder, "decode codes.mtok part.wav")).contains("10 of 42 frames"));
    assert_eq!(wav(&folder, "part.wav").1, wav(&folder, "whole.wav").1[..10 * FRAME]);
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
fn failures_name_the_file_and_leave_nothing_behind() {
    let folder = folder();
    fs::write(folder.path().join("text.wav"), "To be, or not to be").unwrap();
    let kinds = "not an audio file of a kind that can be read (WAV, AIFF, FLAC, Ogg Vorbis, MP3)";
    fails(&folder, "roundtrip missing.wav out.wav", "mimi: missing.wav: No such file or directory");
    fails(&folder, "roundtrip text.wav out.wav", &format!("mimi: text.wav: {kinds}"));
    fails(&folder, "encode text.wav out.npy", &format!("mimi: text.wav: {kinds}"));
    let codes = "not a file of codes (.mtok, .npy, .safetensors, or moshi.cpp's .mimi)";
    fails(&folder, "decode text.wav out.wav", &format!("mimi: text.wav: {codes}"));
    fails(&folder, "decode missing.npy out.wav", "mimi: missing.npy: No such file or directory");
    fails(&folder, "roundtrip SPEECH no/out.wav", "mimi: no/out.wav: No such file or directory");
    fs::write(folder.path().join("cut.wav"), &fs::read(golden("speech.wav")).unwrap()[..50_000]).unwrap();
    let output = mimi(&folder, "roundtrip cut.wav out.wav");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cut.wav: cut off after 24978 of 79610 samples"), "{}", stderr(&output));
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cut.wav", "text.wav"]);
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

#[test]
fn wrong_usage_is_status_2_and_help_and_version_are_status_0() {
    let folder = folder();
    for args in
        ["", "roundtrip", "encode a.wav", "dance", "encode --codebooks x a b", "encode --rate 8000 a b"]
    {
        let output = mimi(&folder, args);
        assert_eq!(output.status.code(), Some(2), "mimi {args}");
        assert!(stderr(&output).contains("--help"), "mimi {args}");
    }
    let help = String::from_utf8(ok(&folder, "--help").stdout).unwrap();
    assert!(
        help.contains("toy") && help.contains("Examples:") && help.contains("mimi roundtrip in.wav out.wav")
    );
    let version = String::from_utf8(ok(&folder, "--version").stdout).unwrap();
    assert_eq!(version.trim(), concat!("mimi ", env!("CARGO_PKG_VERSION")));
}
