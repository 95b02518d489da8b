//! Formats, pipes and failures.

use super::*;

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

/// Runs it, writes `input`, and expects `output` bytes while the input goes on.
fn answers_before_the_end(folder: &TempDir, args: &[&str], input: &[u8], output: usize) -> Vec<u8> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mimi"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(input).unwrap();
    // A tool that waits for the end of its input hangs here.
    let mut answer = vec![0; output];
    stdout.read_exact(&mut answer).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    answer
}

#[test]
fn live_pipes_carry_each_frame_at_once() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    ok(&folder, "decode --raw codes.mtok out.raw");
    let (tokens, raw) = (
        fs::read(folder.path().join("codes.mtok")).unwrap(),
        fs::read(folder.path().join("out.raw")).unwrap(),
    );
    let speech = fs::read(golden("speech.wav")).unwrap();
    let samples = &speech[speech.len() - SAMPLES * 2..];
    // three frames and a bit
    let live = ["encode", "-q", "--raw", "--live", "-", "-"];
    let frames = answers_before_the_end(&folder, &live, &samples[..3 * FRAME * 2 + 100], 40 + 3 * 9);
    assert_eq!(frames[40..], tokens[40..][..3 * 9]);
    let sound = answers_before_the_end(&folder, &["decode", "-q", "--raw", "-", "-"], &frames, 3 * FRAME * 2);
    assert_eq!(sound, raw[..3 * FRAME * 2]);
    assert_eq!(mimi(&folder, "encode -q --live SPEECH codes.npy").status.code(), Some(2));
}

#[test]
fn a_live_recording_does_not_replace_what_it_is_read_from() {
    let folder = folder();
    fs::write(folder.path().join("a.mtok"), fs::read(golden("speech.wav")).unwrap()).unwrap();
    let output = mimi(&folder, "encode -q --live --overwrite a.mtok a.mtok");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot replace its input"), "{}", stderr(&output));
    assert_eq!(fs::read(folder.path().join("a.mtok")).unwrap(), fs::read(golden("speech.wav")).unwrap());
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
    wrong(&folder, "encode SPEECH a.txt", expected);
}

/// `[frame][codebook]` of a file of `[codebook][frame]`.
fn frame_by_frame(path: &Path) -> Vec<u32> {
    let codes = npy(path);
    (0..codes[0].len()).flat_map(|frame| codes.iter().map(move |book| book[frame] as u32)).collect()
}

#[test]
fn golden_codes_come_out_in_every_format() {
    let folder = folder();
    for name in ["codes.mtok", "codes.npy", "codes.safetensors"] {
        ok(&folder, &format!("encode --tail layer SPEECH {name}"));
    }
    assert_golden_codes(&npy(&folder.path().join("codes.npy")));
    let expected = frame_by_frame(&folder.path().join("codes.npy"));
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let bytes = read("codes.mtok");
    let (header, start) = mimi::bitstream::Header::from_bytes(&bytes).unwrap();
    assert_eq!((header.codebooks, header.code_bits, header.sample_rate), (8, 9, 24_000));
    assert_eq!((header.frame_samples as usize, header.samples as usize), (FRAME, SAMPLES));
    let mut codes = vec![0; expected.len()];
    mimi::bitstream::unpack(&bytes[start..], 8, 9, &mut codes).unwrap();
    assert_eq!(codes, expected);
    let bytes = read("codes.safetensors");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("codes").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (safetensors::Dtype::U32, &[1, 8, 42][..]));
    let (codes, _) = tensor.data().as_chunks();
    let transposed = |index: usize| expected[index % 42 * 8 + index / 42];
    assert!(codes.iter().enumerate().all(|(index, code)| u32::from_le_bytes(*code) == transposed(index)));
}

#[test]
fn golden_codes_go_in_in_every_format() {
    let folder = folder();
    let codes = frame_by_frame(&golden("demo/speech.codes.npy"));
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("a.npy", &fs::read(golden("demo/speech.codes.npy")).unwrap());
    let header = mimi::bitstream::Header {
        codebooks: 8,
        code_bits: 9,
        sample_rate: 24_000,
        frame_samples: FRAME as u32,
        samples: 0,
        model_id: 0,
    };
    let mut packed = vec![0; 42 * 9];
    mimi::bitstream::pack(&codes, 8, 9, &mut packed).unwrap();
    write("a.mtok", &[&header.to_bytes().unwrap()[..], &packed].concat());
    // int64 [1, K, T], as transformers has them
    let transposed = (0..8 * 42).map(|index| i64::from(codes[index % 42 * 8 + index / 42]));
    let bytes: Vec<u8> = transposed.flat_map(i64::to_le_bytes).collect();
    let tensor =
        safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![1, 8, 42], &bytes).unwrap();
    write("a.safetensors", &safetensors::serialize([("codes", tensor)], None).unwrap());
    let shorts = codes.iter().flat_map(|&code| (code as i16).to_le_bytes());
    write("a.mimi", &b"MIMI\x08\0\0\0".iter().copied().chain(shorts).collect::<Vec<u8>>());

    let bytes = fs::read(golden("demo/speech.audio.npy")).unwrap();
    let reference: Vec<f32> = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap();
    for name in ["a.npy", "a.mtok", "a.safetensors", "a.mimi"] {
        ok(&folder, &format!("decode --raw --f32 {name} out.f32"));
        let bytes = fs::read(folder.path().join("out.f32")).unwrap();
        let (samples, _) = bytes.as_chunks();
        assert_eq!(samples.len(), reference.len(), "{name}");
        let near =
            |(sample, expected): (&[u8; 4], &f32)| (f32::from_le_bytes(*sample) - expected).abs() < 5e-5;
        assert!(samples.iter().zip(&reference).all(near), "{name}");
    }
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
fn a_token_file_that_breaks_off_is_good_up_to_there_if_that_is_asked_for() {
    let folder = folder();
    ok(&folder, "encode SPEECH codes.mtok");
    ok(&folder, "decode codes.mtok whole.wav");
    let bytes = fs::read(folder.path().join("codes.mtok")).unwrap();
    fs::write(folder.path().join("codes.mtok"), &bytes[..40 + 9 * 10 + 4]).unwrap();
    let cut = "codes.mtok: cut off after 10 of 42 frames";
    fails(&folder, "decode codes.mtok part.wav", &format!("mimi: {cut}; --partial takes what is there"));
    assert!(!folder.path().join("part.wav").exists());
    assert!(
        stderr(&ok(&folder, "decode --partial codes.mtok part.wav")).contains(&format!("warning: {cut}"))
    );
    assert_eq!(wav(&folder, "part.wav").1, wav(&folder, "whole.wav").1[..10 * FRAME]);
}

#[test]
fn failures_name_the_file_and_leave_nothing_behind() {
    let folder = folder();
    fs::write(folder.path().join("text.wav"), "To be, or not to be").unwrap();
    let kinds = "not an audio file of a kind that can be read; expected WAV, RF64, W64, AIFF, CAF, FLAC, MP3, AAC, M4A, \
        Ogg Vorbis or Ogg Opus";
    fails(&folder, "roundtrip missing.wav out.wav", "mimi: missing.wav: No such file or directory");
    fails(&folder, "roundtrip text.wav out.wav", &format!("mimi: text.wav: {kinds}"));
    fails(&folder, "encode text.wav out.npy", &format!("mimi: text.wav: {kinds}"));
    let codes = "not a file of codes or latents (.mtok, .npy, .safetensors, or moshi.cpp's .mimi)";
    fails(&folder, "decode text.wav out.wav", &format!("mimi: text.wav: {codes}"));
    fails(&folder, "decode missing.npy out.wav", "mimi: missing.npy: No such file or directory");
    for args in ["roundtrip SPEECH no/out.wav", "encode SPEECH no/out.wav --format npy"] {
        fails(&folder, args, "mimi: no/out.wav: the folder no does not exist");
    }
    fs::write(folder.path().join("cut.wav"), &fs::read(golden("speech.wav")).unwrap()[..50_000]).unwrap();
    let output = mimi(&folder, "roundtrip cut.wav out.wav");
    assert_eq!(output.status.code(), Some(1));
    let cut = "cut.wav: cut off after 24978 of 79610 samples";
    assert!(stderr(&output).contains(&format!("{cut}; --partial takes")), "{}", stderr(&output));
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cut.wav", "text.wav"]);
}

/// The recording of `tests/data/audio` as its README defines it, as a WAV file.
fn write_sweep(folder: &TempDir) {
    let rate = 22_050;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(folder.path().join("sweep.wav"), spec).unwrap();
    for i in 0..11_025 {
        let (t, left) = (f64::from(i) / f64::from(rate), f64::from(11_024 - i) / f64::from(rate));
        let ramp = (t / 0.05).min(left / 0.05).min(1.0);
        let turn = std::f64::consts::TAU;
        let value = 0.3 * (turn * (300.0 * t + 400.0 * t * t)).sin() + 0.1 * (turn * 1000.0 * t).sin();
        wav.write_sample((value * ramp * 32_768.0).round() as i16).unwrap();
    }
    wav.finalize().unwrap();
}

#[test]
fn compressed_audio_is_read_aligned_and_at_its_exact_length() {
    let folder = folder();
    write_sweep(&folder);
    for (name, quality, channels) in [("sweep.flac", 80.0, 2), ("sweep.ogg", 30.0, 2), ("sweep.mp3", 30.0, 1)]
    {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/audio");
        fs::copy(data.join(name), folder.path().join(name)).unwrap();
        let info = ok(&folder, &format!("info {name}")).stdout;
        assert_eq!(number(&info, "samples"), 11_025.0, "{name}");
        assert!(
            String::from_utf8_lossy(&info).contains(&format!("22050 Hz, channels: {channels}")),
            "{name}"
        );
        let similarity = number(&ok(&folder, &format!("compare sweep.wav {name}")).stdout, "SI-SDR");
        assert!(similarity > quality, "{name}: {similarity} dB");
    }
    ok(&folder, "encode sweep.wav wav.npy");
    ok(&folder, "encode sweep.flac flac.npy");
    assert_eq!(npy(&folder.path().join("flac.npy")), npy(&folder.path().join("wav.npy")));
}

#[cfg(unix)]
#[test]
fn a_run_that_is_interrupted_leaves_nothing_behind() {
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mimi"))
        .args(["roundtrip", "--raw", "-q", "-", "out.raw"])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // The sound does not end before the test does; the file is begun before the first sample.
    let _stdin = child.stdin.take();
    let entries = || fs::read_dir(&folder).unwrap().count();
    let started = std::time::Instant::now();
    while entries() == 0 {
        assert!(started.elapsed().as_secs() < 60, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(entries(), 0);
}
