//! Recordings that are cut off or damaged in every format that can be: nothing is silently shorter.
#![cfg(target_os = "linux")]

use super::{person::shell_ok, *};

/// Files, and what makes them of `SPEECH`.
const MADE: &[(&str, &str)] = &[
    ("a.ogg", "ffmpeg -v error -i SPEECH -c:a libvorbis -q:a 8"),
    ("a.opus", "ffmpeg -v error -i SPEECH -c:a libopus -b:a 96k -page_duration 300000"),
    ("a.mp3", "ffmpeg -v error -i SPEECH -c:a libmp3lame -b:a 128k"),
    ("a.flac", "ffmpeg -v error -i SPEECH"),
    ("b.mp3", "ffmpeg -v error -i SPEECH -c:a libmp3lame -b:a 128k -write_xing 0"),
];

/// The bytes of a file that `made_by` makes.
fn made(folder: &TempDir, name: &str, made_by: &str) -> Vec<u8> {
    let made_by = made_by.replace("ffmpeg", "ffmpeg -y");
    shell_ok(folder, &format!("{made_by} {name}"));
    fs::read(folder.path().join(name)).unwrap()
}

/// Encoding `name` fails with a line that contains `found` and says what to do about it.
fn refused(folder: &TempDir, name: &str, found: &str) {
    let output = mimi(folder, &format!("encode -q {name} refused.mtok"));
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{name}: {message}");
    assert!(message.starts_with(&format!("mimi: {name}: {found}")), "{found}: {message}");
    assert!(message.ends_with(" samples; --partial takes what is there\n"), "{message}");
    assert!(!folder.path().join("refused.mtok").exists());
}

/// The samples that `--partial` takes of `name`, for what is `found`.
fn partial(folder: &TempDir, name: &str, found: &str) -> Vec<i32> {
    let message = stderr(&ok(folder, &format!("roundtrip --partial {name} part.wav")));
    let warned = message.lines().any(|line| line.starts_with(&format!("mimi: warning: {name}: {found}")));
    assert!(warned, "{found}: {message}");
    wav(folder, "part.wav").1
}

#[test]
fn a_compressed_recording_that_is_cut_off_is_not_taken_for_whole() {
    let folder = folder();
    for &(name, made_by) in MADE {
        let bytes = made(&folder, name, made_by);
        assert!(stderr(&ok(&folder, &format!("roundtrip {name} whole.wav"))).lines().count() < 2);
        let samples = wav(&folder, "whole.wav").1.len();
        // a flac file's last bytes are its last frame
        for length in [bytes.len() / 2, bytes.len() * 9 / 10, bytes.len() - 1] {
            fs::write(folder.path().join(name), &bytes[..length]).unwrap();
            refused(&folder, name, "cut off after ");
            let taken = partial(&folder, name, "cut off after ").len();
            assert!((samples / 4..samples).contains(&taken), "{name}: {taken} of {samples}");
        }
    }
    // whole, but with something behind it
    for &(name, made_by) in MADE.iter().filter(|(name, _)| *name != "a.flac") {
        let mut bytes = made(&folder, name, made_by);
        bytes.extend(b"TAG");
        bytes.extend([0; 125]);
        fs::write(folder.path().join(name), &bytes).unwrap();
        ok(&folder, &format!("encode -q {name} a.mtok"));
    }
}

#[test]
fn a_compressed_stream_that_breaks_off_is_told_of() {
    let folder = folder();
    for &(name, made_by) in &MADE[..4] {
        let bytes = made(&folder, name, made_by);
        let whole = mimi_fed(&folder, "encode -q - -", &bytes);
        assert!(whole.status.success(), "{name}: {}", stderr(&whole));
        let output = mimi_fed(&folder, "encode -q - -", &bytes[..bytes.len() * 2 / 3]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let message = stderr(&output);
        assert!(message.starts_with("mimi: standard input: cut off after "), "{name}: {message}");
        let output = mimi_fed(&folder, "encode -q --partial - -", &bytes[..bytes.len() * 2 / 3]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{name}");
        assert!(stderr(&output).contains("cut off after "), "{name}");
    }
    // bytes that are missing in the middle
    for &(name, made_by) in &MADE[1..2] {
        let mut bytes = made(&folder, name, made_by);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 3_000].fill(0);
        let message = stderr(&mimi_fed(&folder, "encode -q - -", &bytes));
        assert!(message.starts_with("mimi: standard input: damaged after "), "{name}: {message}");
    }
}

#[test]
fn damage_in_the_middle_ends_a_recording_there() {
    let folder = folder();
    for &(name, made_by) in MADE {
        let mut bytes = made(&folder, name, made_by);
        ok(&folder, &format!("roundtrip -q {name} whole.wav"));
        let whole = wav(&folder, "whole.wav").1;
        let samples = whole.len();
        let middle = bytes.len() / 2;
        match name {
            "a.flac" => bytes[middle..middle + 4].iter_mut().for_each(|byte| *byte ^= 0x55),
            _ => bytes[middle..middle + 3_000].fill(0),
        }
        fs::write(folder.path().join(name), bytes).unwrap();
        refused(&folder, name, "damaged after ");
        let taken = partial(&folder, name, "damaged after ");
        assert!((samples / 4..samples * 3 / 4).contains(&taken.len()), "{name}: {}", taken.len());
        // nothing behind the damage has moved forward; the codec looks a frame or two ahead
        let sure = taken.len() - 4 * FRAME * samples / SAMPLES;
        assert!(taken[..sure] == whole[..sure], "{name}");
    }
}

#[test]
fn what_has_no_sound_before_its_end_is_not_offered() {
    let folder = folder();
    let nothing = "nothing of it can be taken, even with --partial";
    for (name, made_by, length, found) in [
        ("a.aiff", "ffmpeg -v error -i SPEECH", 100_000, "a damaged AIFF file, or one that is cut off"),
        (
            "a.caf",
            "ffmpeg -v error -i SPEECH -c:a pcm_s16le",
            100_000,
            "a damaged CAF file, or one that is cut off",
        ),
        (
            "a.opus",
            "ffmpeg -v error -i SPEECH -c:a libopus",
            60,
            "a damaged Ogg file, or one that is cut off",
        ),
        (
            "a.ogg",
            "ffmpeg -v error -i SPEECH -c:a libvorbis",
            200,
            "a damaged Ogg file, or one that is cut off",
        ),
        ("a.wav", "sox SPEECH", 44, "cut off after 0 of 79610 samples"),
    ] {
        let bytes = made(&folder, name, made_by);
        fs::write(folder.path().join(name), &bytes[..length]).unwrap();
        for options in ["", "--partial "] {
            fails(
                &folder,
                &format!("encode -q {options}{name} b.mtok"),
                &format!("mimi: {name}: {found}; {nothing}"),
            );
        }
    }
    let bytes = made(&folder, "a.m4a", "ffmpeg -v error -i SPEECH -c:a aac -movflags +faststart");
    let data = bytes.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    fs::write(folder.path().join("a.m4a"), &bytes[..data + 10]).unwrap();
    fails(
        &folder,
        "encode -q --partial a.m4a b.mtok",
        &format!("mimi: a.m4a: cut off after 0 of 79610 samples; {nothing}"),
    );
    assert!(!folder.path().join("b.mtok").exists());
}
