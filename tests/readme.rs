//! README.md says what is true: its C program compiles with its command and does what it says. (Its Rust
//! program is a documentation test of the crate.)

mod support;

use mimi::{LoadOptions, Model, StreamOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs, thread};
use support::repository;

const FRAME: usize = 1920;
const DEMO: &str = "tool/demo/model.safetensors";

fn readme() -> String {
    fs::read_to_string(repository("README.md")).unwrap()
}

/// The README's code blocks in `language`.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = readme();
    let blocks = blocks.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// The files that the README links to.
fn links() -> Vec<String> {
    let text = readme();
    let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    targets.filter(|target| !target.starts_with("http") && !target.starts_with('#')).collect()
}

/// Compiles the README's C program with the README's command, against the library built with this test.
#[cfg(target_os = "linux")]
fn example() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("example.c"), folder.join("example"));
    let [text] = &blocks("c")[..] else { panic!("one C program") };
    fs::write(&source, text).unwrap();

    let commands = blocks("sh").concat();
    let command = commands.lines().find(|line| line.starts_with("gcc ")).expect("a gcc command");
    let library = env::current_exe().unwrap().with_file_name("libmimi.a");
    let words = command.split(' ').map(|word| match word {
        "example.c" => source.clone(),
        "target/release/libmimi.a" => library.clone(),
        "example" => program.clone(),
        word => word.into(),
    });
    let words: Vec<PathBuf> = words.collect();
    let mut gcc = Command::new(&words[0]);
    gcc.args(&words[1..]).args(["-Wall", "-Wextra", "-Werror"]).current_dir(repository("."));
    let output = gcc.output().unwrap_or_else(|e| panic!("gcc: {e}; install the Debian package gcc"));
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs `program` with `input` as its standard input.
fn run(program: &Path, argument: &Path, input: Vec<u8>) -> Output {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // a program that stops early breaks the pipe
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[cfg(target_os = "linux")]
#[test]
fn the_c_program_is_a_codec() {
    let program = example();
    let pcm = support::wav(&repository("tests/data/golden/speech.wav"));
    let bytes = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let output = run(&program, &repository(DEMO), bytes);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let audio: Vec<f32> =
        output.stdout.chunks_exact(4).map(|sample| f32::from_le_bytes(sample.try_into().unwrap())).collect();

    let model = Model::load(repository(DEMO), &LoadOptions::default()).unwrap();
    let whole = pcm.len() / FRAME * FRAME;
    let options = StreamOptions::default();
    let expected = model.decode(&model.encode(&pcm[..whole], &options).unwrap(), &options).unwrap();
    assert_eq!(audio, expected);

    let output = run(&program, Path::new("no-such-model"), Vec::new());
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("no-such-model"), "{message}");
}

#[test]
fn links_lead_somewhere() {
    let links = links();
    assert!(links.len() >= 5);
    for link in links {
        assert!(repository(&link).exists(), "README.md links to {link}, which is not there");
    }
}

/// The tests that the README names exist.
#[test]
fn proofs_exist() {
    let text = readme();
    let names = text.split('`').filter(|name| {
        (name.starts_with("tests/") || name.starts_with("src/")) && !name.contains([' ', '\n', '*'])
    });
    let names: Vec<_> = names.collect();
    assert!(names.len() > 10);
    for name in names {
        assert!(repository(name).exists(), "README.md names {name}, which is not there");
    }
}

/// Names of the C ABI in the README are names of the header.
#[test]
fn names_of_the_c_abi_exist() {
    let header = fs::read_to_string(repository("include/mimi.h")).unwrap();
    let text = readme();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split(|c| !is_name(c));
    let names = names.filter(|name| name.starts_with("MIMI_") || name.starts_with("mimi_"));
    let known: Vec<_> = header.split(|c| !is_name(c)).collect();
    // of a config's file name, and tags of the Go package
    let others = ["mimi_config", "mimi_static", "mimi_bundled"];
    for name in names.filter(|name| !others.contains(name)) {
        assert!(known.contains(&name), "README.md names {name}, which is not in mimi.h");
    }
}
