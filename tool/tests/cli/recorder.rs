//! Recordings that are made while they are heard, and what their files are called.
#![cfg(target_os = "linux")]

use super::{
    person::{shell, shell_ok},
    *,
};
use std::time::{Duration, Instant};

/// Starts a recording to `out.mtok`, feeds it `samples` samples, and waits for the frames that they make.
fn recording(folder: &TempDir, samples: usize) -> (std::process::Child, std::process::ChildStdin) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mimi"))
        .args(["encode", "-q", "--raw", "--live", "-", "out.mtok"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let speech = fs::read(golden("speech.wav")).unwrap();
    stdin.write_all(&speech[speech.len() - SAMPLES * 2..][..samples * 2]).unwrap();
    let started = Instant::now();
    let length = || fs::metadata(folder.path().join("out.mtok")).map_or(0, |file| file.len());
    while length() < 40 + 9 * (samples / FRAME) as u64 {
        assert!(started.elapsed().as_secs() < 60, "nothing is written under the name that was typed");
        std::thread::sleep(Duration::from_millis(10));
    }
    (child, stdin)
}

#[test]
fn a_live_recording_that_is_interrupted_keeps_what_it_has() {
    let folder = folder();
    ok(&folder, "encode SPEECH whole.mtok");
    let whole = fs::read(folder.path().join("whole.mtok")).unwrap();
    for signal in ["INT", "TERM", "KILL"] {
        let (mut child, _stdin) = recording(&folder, 10 * FRAME + 100);
        shell_ok(&folder, &format!("kill -{signal} {}", child.id()));
        let status = child.wait().unwrap();
        assert_eq!(status.code(), if signal == "KILL" { None } else { Some(130) });
        let kept = fs::read(folder.path().join("out.mtok")).unwrap();
        assert_eq!(kept[40..], whole[40..][..10 * 9], "{signal}");
        ok(&folder, "decode out.mtok out.wav");
        assert_eq!(wav(&folder, "out.wav").1.len(), 10 * FRAME);
        fs::remove_file(folder.path().join("out.mtok")).unwrap();
    }
}

#[test]
fn a_live_recording_on_a_full_disk_keeps_what_it_has() {
    let folder = folder();
    // a limit of one kilobyte, where there is no small disk: 109 frames
    let line = "trap '' XFSZ; ulimit -f 1; for i in {1..6}; do tail -c 159220 SPEECH; done | \
        mimi encode -q --raw --live - out.mtok";
    let output = shell(&folder, line);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("out.mtok: "), "{}", stderr(&output));
    assert_eq!(fs::metadata(folder.path().join("out.mtok")).unwrap().len(), 1024);
    ok(&folder, "decode --partial out.mtok out.wav");
    assert_eq!(wav(&folder, "out.wav").1.len(), (1024 - 40) / 9 * FRAME);
}

/// The length of the samples in bytes, as the header of a WAV file tells it.
fn told(bytes: &[u8]) -> (u32, u32) {
    let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    assert_eq!(&bytes[36..40], b"data");
    (field(4), field(40))
}

#[test]
fn wav_on_standard_output_tells_its_true_length() {
    let folder = folder();
    ok(&folder, "encode SPEECH a.mtok");
    let tokens = fs::read(folder.path().join("a.mtok")).unwrap();
    let length = 2 * SAMPLES as u32;
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    // known before
    for line in [
        "mimi decode -q a.mtok - | cat",
        "mimi roundtrip -q SPEECH - | cat",
        "mimi decode -q - - < a.mtok | cat",
    ] {
        let piped = shell_ok(&folder, line).stdout;
        assert_eq!(told(&piped), (length + 36, length), "{line}");
        assert_eq!(piped.len() as u32, length + 44);
    }
    // known at the end, in a file
    fs::write(folder.path().join("live.mtok"), [&tokens[..20], &[0; 8], &tokens[28..36]].concat()).unwrap();
    shell_ok(&folder, "tail -c 159220 SPEECH | mimi encode -q --raw --live - - > live.mtok");
    shell_ok(&folder, "mimi decode -q live.mtok - > a.wav");
    let frames = 2 * (SAMPLES.div_ceil(FRAME) * FRAME) as u32;
    assert_eq!(told(&read("a.wav")), (frames + 36, frames));
    assert_eq!(wav(&folder, "a.wav").1.len(), frames as usize / 2);
    // unknown in a pipe
    let piped = shell_ok(&folder, "mimi decode -q live.mtok - | cat").stdout;
    assert_eq!(told(&piped).1, u32::MAX);
    // behind something else, and appended, where nothing can be corrected
    shell_ok(&folder, "(echo 123; mimi decode -q live.mtok -) > b.wav");
    assert_eq!(told(&read("b.wav")[4..]), (frames + 36, frames));
    shell_ok(&folder, "echo 123 > c.wav; mimi decode -q live.mtok - >> c.wav");
    assert_eq!((told(&read("c.wav")[4..]).1, read("c.wav").len()), (u32::MAX, frames as usize + 48));
}

#[test]
fn what_cannot_be_written_is_refused_by_its_extension() {
    let folder = folder();
    ok(&folder, "encode -q SPEECH a.mtok");
    let expected = "expected the extension .wav, .flac, .opus or .raw, or a --format";
    for line in [
        "decode -q a.mtok x.mp3",
        "roundtrip -q SPEECH x.mp3",
        "decode -q a.mtok x",
        "roundtrip -q SPEECH x.m4a",
    ] {
        let output = mimi(&folder, line);
        assert!(!output.status.success(), "{line}");
        let name = line.rsplit(' ').next().unwrap();
        assert!(stderr(&output).contains(&format!("{name}: {expected}")), "{line}: {}", stderr(&output));
        assert!(!folder.path().join(name).exists());
    }
    let output = mimi(&folder, "decode -q --raw a.mtok x.wav");
    assert!(
        stderr(&output).contains("x.wav: --raw writes no header, and .wav has one"),
        "{}",
        stderr(&output)
    );
    ok(&folder, "decode --format wav a.mtok x");
    assert_eq!(wav(&folder, "x").1.len(), SAMPLES);
    ok(&folder, "decode a.mtok /dev/null");
}

#[test]
fn raw_samples_and_wav_mix_as_extension_and_options_say() {
    let folder = folder();
    let speech = fs::read(golden("speech.wav")).unwrap();
    let samples = &speech[speech.len() - SAMPLES * 2..];
    fs::write(folder.path().join("in.raw"), samples).unwrap();
    ok(&folder, "roundtrip SPEECH expected.wav");
    let expected = wav(&folder, "expected.wav");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let bytes: Vec<u8> = expected.1.iter().flat_map(|&sample| (sample as i16).to_le_bytes()).collect();
    // raw in, WAV out
    assert!(mimi_fed(&folder, "roundtrip --raw - a.wav", samples).status.success());
    assert_eq!(wav(&folder, "a.wav"), expected);
    ok(&folder, "roundtrip --raw in.raw b.wav");
    assert_eq!(wav(&folder, "b.wav"), expected);
    // WAV in, raw out
    for line in
        ["roundtrip SPEECH a.raw", "roundtrip --raw SPEECH a.raw", "roundtrip --format raw SPEECH a.raw"]
    {
        ok(&folder, line);
        assert_eq!(read("a.raw"), bytes, "{line}");
    }
    assert_eq!(ok(&folder, "roundtrip --raw SPEECH -").stdout, bytes);
    // both in pipes
    let piped = mimi_fed(&folder, "roundtrip --raw --format wav - -", samples).stdout;
    assert_eq!((&piped[..4], &piped[44..]), (&b"RIFF"[..], &bytes[..]));
    assert_eq!(mimi_fed(&folder, "roundtrip --format raw - -", &speech).stdout, bytes);
}

#[test]
fn recordings_are_compared_only_if_they_are_alike() {
    let folder = folder();
    shell_ok(
        &folder,
        "sox SPEECH SPEECH long.wav && sox SPEECH -r 44100 fast.wav && sox SPEECH pad.wav pad 0 100s",
    );
    let output = mimi(&folder, "compare SPEECH long.wav");
    assert_eq!(output.status.code(), Some(1));
    let expected = "long.wav: it has 6.634 s, and ";
    assert!(stderr(&output).contains(expected) && output.stdout.is_empty(), "{}", stderr(&output));
    let text = String::from_utf8(ok(&folder, "compare SPEECH fast.wav").stdout).unwrap();
    assert!(text.contains("3.317 s at 24000 Hz; rates 24000 and 44100 Hz"), "{text}");
    let other = String::from_utf8(ok(&folder, "compare fast.wav SPEECH").stdout).unwrap();
    assert!(other.contains("3.317 s at 24000 Hz; rates 44100 and 24000 Hz"), "{other}");
    let text = String::from_utf8(ok(&folder, "compare SPEECH pad.wav").stdout).unwrap();
    assert!(text.contains("left out          the last 0.004 s of the longer one"), "{text}");
    // what is the same differs by nothing
    let same = String::from_utf8(ok(&folder, "compare SPEECH SPEECH").stdout).unwrap();
    assert!(same.contains("SI-SDR            inf dB"), "{same}");
}

#[test]
fn the_example_for_sox_keeps_pitch_and_length() {
    let folder = folder();
    let help = String::from_utf8(ok(&folder, "decode --help").stdout).unwrap();
    let from = help.find("mimi decode --raw --f32").unwrap();
    let lines: Vec<_> = help[from..].lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let example = lines.join(" ");
    shell_ok(&folder, "sox SPEECH -r 44100 fast.wav && mimi encode fast.wav in.mtok");
    shell_ok(&folder, &example);
    let seconds = String::from_utf8(shell_ok(&folder, "soxi -D out.ogg").stdout).unwrap();
    assert!((seconds.trim().parse::<f64>().unwrap() - SAMPLES as f64 / 24e3).abs() < 0.01, "{seconds}");
}
