//! README.md and the pages that it links to say what is true: links lead somewhere, named files and functions exist,
//! and the C program compiles with its command and does what it says. (The Rust program is a documentation test.)

mod support;

use mimi::{LoadOptions, Model, StreamOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};
use support::{repository, run_into};

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

/// The README, and the pages that it links to.
const PAGES: [&str; 15] = [
    "README.md",
    "CONTRIBUTING.md",
    "bindings/c/README.md",
    "bindings/cpp/README.md",
    "bindings/go/README.md",
    "bindings/go/examples/voice/README.md",
    "bindings/js/README.md",
    "bindings/python/CORPUS.md",
    "bindings/python/README.md",
    "src/from_transformers.md",
    "tests/README.md",
    "tests/published/README.md",
    "tool/README.md",
    "tool/demo/README.md",
    "tool/demo/train/README.md",
];

fn pages() -> impl Iterator<Item = (PathBuf, String)> {
    let page = |page| {
        let path = repository(page);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{page}: {e}"));
        (path, text)
    };
    PAGES.into_iter().map(page)
}

/// The targets of the links in `text` that are not on the web.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    targets.filter(|target| !target.starts_with("http")).collect()
}

/// The anchors that headings of `text` get where it is shown.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let mut anchors: Vec<String> = Vec::new();
    for heading in headings {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        let plain: String = words.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect();
        let earlier = anchors.iter().filter(|anchor| **anchor == plain).count();
        anchors.push(if earlier == 0 { plain } else { format!("{plain}-{earlier}") });
    }
    anchors
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
    run_into(Stdio::piped(), program, &[argument], input)
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
    let options = StreamOptions::default();
    let expected = model.decode(&model.encode(&pcm, &options).unwrap(), &options).unwrap();
    assert_eq!(expected.len(), pcm.len().next_multiple_of(FRAME));
    assert_eq!(audio, expected);

    // what cannot be written is not lost without a word, be it only a last frame
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = run_into(full.into(), &program, &[&repository(DEMO)], vec![0; 4]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stdout"));

    let output = run(&program, Path::new("no-such-model"), Vec::new());
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("no-such-model"), "{message}");
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for (page, text) in pages() {
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{} links to {link}, which does not exist", page.display());
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(target).unwrap());
                assert!(anchors.iter().any(|a| a == anchor), "{} links to {link}", page.display());
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count} links");
}

/// A link that leads nowhere is seen, and so is a heading that stands twice.
#[test]
fn links_and_anchors_are_found() {
    assert_eq!(links("[a](b/c.md#d) and [e](https://f)"), ["b/c.md#d"]);
    assert_eq!(anchors("# From C\n## From C++\n"), ["from-c", "from-c-1"]);
}

#[test]
fn the_readme_is_short() {
    let lines = readme().lines().count();
    assert!(lines < 300, "README.md has {lines} lines: expected fewer than 300");
}

/// The tests that the pages name exist.
#[test]
fn proofs_exist() {
    let mut count = 0;
    for (page, text) in pages() {
        let names = text.split('`').filter(|name| {
            (name.starts_with("tests/") || name.starts_with("src/") || name.starts_with("tool/"))
                && !name.contains([' ', '\n', '*', '<'])
        });
        for name in names {
            assert!(repository(name).exists(), "{} names {name}, which does not exist", page.display());
            count += 1;
        }
    }
    assert!(count > 30, "{count} names");
}

/// Names of the C ABI in the pages are names of the header.
#[test]
fn names_of_the_c_abi_exist() {
    let header = fs::read_to_string(repository("include/mimi.h")).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let known: Vec<_> = header.split(|c| !is_name(c)).collect();
    // a config's file name, tags of the Go package, and variables of CMake and of tests
    let others = [
        "mimi_config",
        "mimi_config_name",
        "mimi_static",
        "mimi_bundled",
        "mimi_wasm_alloc",
        "mimi_wasm_free",
        "MIMI_SIMD",
        "MIMI_TOOL",
        "MIMI_BLESS",
        "MIMI_ISA_",
        "MIMI_NIGHTLY",
        "MIMI_SECONDS",
        "MIMI_SEED",
        "MIMI_LIBRARY",
        "MIMI_CARGO_DIR",
    ];
    for (page, text) in pages() {
        let names = text.split(|c| !is_name(c));
        let names = names.filter(|name| name.starts_with("MIMI_") || name.starts_with("mimi_"));
        for name in names.filter(|name| !others.contains(name)) {
            assert!(known.contains(&name), "{} names {name}, which is not in mimi.h", page.display());
        }
    }
}
