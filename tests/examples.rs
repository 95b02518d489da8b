//! The examples of latents and of voice prompts, in C and in C++: they compile with their commands' flags, and their
//! sound is that of one call. (The others run against an installed library: tests/packages.)
#![cfg(target_os = "linux")]

mod support;

use mimi::{LoadOptions, Model, StreamOptions};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, io::Write};
use support::{repository, run_into, wav};

/// Compiles an example against the library that was built with this test.
fn compile(source: &str, compiler: &str, flags: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.replace(['/', '.'], "-"));
    let output = Command::new(compiler)
        .args(flags)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude", "-Ibindings/cpp", source])
        .arg(env::current_exe().unwrap().with_file_name("libmimi.a"))
        .args(["-lpthread", "-ldl", "-lm", "-lgcc_s", "-o"])
        .arg(&program)
        .current_dir(repository("."))
        .output()
        .unwrap_or_else(|e| panic!("{compiler}: {e}; install the Debian packages gcc, g++ and clang"));
    assert!(output.status.success(), "{source}\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Both programs of this name.
fn programs(name: &str) -> [PathBuf; 2] {
    [
        compile(&format!("bindings/c/{name}.c"), "gcc", &["-std=c11"]),
        compile(&format!("bindings/cpp/examples/{name}.cpp"), "g++", &["-std=c++17"]),
    ]
}

fn run(program: &Path, arguments: &[&Path], input: Vec<u8>) -> Output {
    run_into(Stdio::piped(), program, arguments, input)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The sound that a program gave without a word.
fn sound(output: &Output) -> Vec<f32> {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    output.stdout.chunks_exact(4).map(|sample| f32::from_le_bytes(sample.try_into().unwrap())).collect()
}

#[test]
fn latents_in_an_audio_callback() {
    let options = StreamOptions::default();
    for (case, dim) in [("pocket-tiny", 8), ("tiny", 32)] {
        let path = repository("tests/data/golden").join(case);
        let model = Model::load(&path, &LoadOptions::default()).unwrap();
        let latents =
            model.encode_latents(&wav(&repository("tests/data/golden/speech.wav")), &options).unwrap();
        let expected = model.decode_latents(&latents, &options).unwrap();
        for program in programs("latents") {
            assert!(sound(&run(&program, &[&path], bytes(&latents))) == expected, "{}", program.display());
            assert!(sound(&run(&program, &[&path], Vec::new())).is_empty());
            // a latent that broke off: what came before is heard
            let output = run(&program, &[&path], bytes(&latents[..3 * dim - 1]));
            assert_eq!(output.status.code(), Some(1));
            assert!(output.stdout == bytes(&expected[..2 * 1920]));
            assert!(String::from_utf8_lossy(&output.stderr).contains("decoding: invalid argument"));
            let output = run(&program, &["no-such-model".as_ref()], Vec::new());
            assert_eq!(output.status.code(), Some(1));
            assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-model"));
        }
    }
}

#[test]
fn a_voice_prompt_that_is_forked() {
    let options = StreamOptions::default();
    let path = repository("tests/data/golden/tiny");
    let model = Model::load(&path, &LoadOptions::default()).unwrap();
    let pcm = wav(&repository("tests/data/golden/speech.wav"));
    let codes = model.encode(&pcm, &options).unwrap();
    let [c, cpp] = programs("prompt");

    // a second of prompt, and two sentences
    let folder = tempfile::tempdir().unwrap();
    let (prompt, rest) = codes.split_at(12 * model.codebooks());
    let (first, second) = rest.split_at(5 * model.codebooks());
    let names = ["prompt", "first", "second"].map(|name| folder.path().join(name));
    for (name, codes) in names.iter().zip([prompt, first, second]) {
        let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
        File::create(name).unwrap().write_all(&bytes).unwrap();
    }
    let after =
        |sentence: &[u32]| model.decode(&[prompt, sentence].concat(), &options).unwrap().split_off(12 * 1920);
    let arguments = [&path, &names[0], &names[1], &names[2]].map(|path| &**path);
    assert!(sound(&run(&c, &arguments, Vec::new())) == [after(first), after(second)].concat());
    let seconds: &Path = "1".as_ref();
    assert!(sound(&run(&cpp, &[&path, seconds], bytes(&pcm))) == [after(rest), after(rest)].concat());

    fs::write(&names[1], [0; 7]).unwrap();
    let output = run(&c, &arguments[..3], Vec::new());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("first: invalid argument"), "{output:?}");
    let none = [&*path, "no-such-prompt".as_ref(), &*names[1]];
    let output = run(&c, &none, Vec::new());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-prompt: cannot be opened"));
}
