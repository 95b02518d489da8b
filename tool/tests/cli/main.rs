//! The command-line tool, used as a person would use it.

mod again;
mod codec;
mod convert;
mod corpus;
mod damage;
mod embedded;
mod fetch;
mod files;
mod formats;
mod hostile;
mod latents;
mod person;
mod recorder;
mod reduce;
mod servers;
mod tools;
mod usage;

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// Samples in `speech.wav`.
const SAMPLES: usize = 79_610;
/// Samples in a frame.
const FRAME: usize = 1_920;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/golden").join(name)
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
    ends(folder, args, 1, message);
}

/// The same for a wrong command line.
fn wrong(folder: &TempDir, args: &str, message: &str) {
    ends(folder, args, 2, message);
}

fn ends(folder: &TempDir, args: &str, status: i32, message: &str) {
    let output = mimi(folder, args);
    assert_eq!(output.status.code(), Some(status), "mimi {args}: {}", stderr(&output));
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

/// That codes of the demo model, `[codebooks][frames]`, are those of transformers: all that are certain. A code whose
/// nearest and second-nearest words differ by less than rounding may be another, and those of its frame that quantize
/// what it leaves: the first codebook is a branch of its own, the others are the second branch.
fn assert_golden_codes(found: &[Vec<i64>]) {
    let expected = npy(&golden("demo/speech.codes.npy"));
    assert_eq!(found.len(), expected.len());
    let bytes = fs::read(golden("demo/speech.margin.npy")).unwrap();
    let margins: Vec<f32> = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap();
    let frames = expected[0].len();
    let mut certain = vec![true; frames];
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.len(), frames);
        if index == 1 {
            certain.fill(true);
        }
        for frame in 0..frames {
            certain[frame] &= margins[index * frames + frame] >= 1e-4;
            assert!(!certain[frame] || found[frame] == expected[frame], "codebook {index}, frame {frame}");
        }
    }
}

/// Signal-to-distortion ratio in dB of `b` as a scaled `a`.
fn similarity(a: &[i32], b: &[i32]) -> f64 {
    let dot = |a: &[i32], b: &[i32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let scale = dot(a, b) / dot(a, a);
    let signal = scale * scale * dot(a, a);
    10.0 * (signal / (dot(b, b) - signal)).log10()
}

/// The number after the first word of the line that starts with `name`.
fn number(text: &[u8], name: &str) -> f64 {
    let text = std::str::from_utf8(text).unwrap();
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line[name.len()..].split_whitespace().next().unwrap().trim_end_matches(',').parse().unwrap()
}
