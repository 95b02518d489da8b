//! The house rules that a compiler does not know: who may use whom, where `unsafe` may stand, and that the
//! library keeps to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of `src` may name of the others. CONTRIBUTING.md draws the same as a picture.
const MAY_USE: [(&str, &[&str]); 23] = [
    ("error", &[]),
    ("hash", &[]),
    ("options", &[]),
    ("kernels", &[]),
    ("config", &["error"]),
    ("tensors", &["config", "options"]),
    ("checkpoint", &["tensors", "config", "options", "error"]),
    ("program", &["kernels", "error"]),
    ("layers", &["program", "kernels", "error"]),
    // a crate of its own, which `resample` uses
    ("fft", &[]),
    ("resample", &["kernels", "error"]),
    (
        "model",
        &["layers", "program", "kernels", "checkpoint", "tensors", "config", "options", "error", "resample"],
    ),
    ("stream", &["model", "layers", "program", "kernels", "conceal", "hash", "options", "error", "resample"]),
    ("encoder", &["stream", "model", "options", "error"]),
    ("decoder", &["stream", "model", "options", "error", "resample"]),
    ("oneshot", &["stream", "encoder", "decoder", "model", "kernels", "options", "error"]),
    ("quantize", &["oneshot", "stream", "model", "layers", "program", "kernels", "options", "error"]),
    (
        "live",
        &[
            "stream", "encoder", "decoder", "program", "model", "kernels", "hash", "options", "error",
            "resample",
        ],
    ),
    ("conceal", &[]),
    ("bitstream", &["model", "options", "error"]),
    // for the tool, beside the streams
    ("probe", &["oneshot", "model", "checkpoint", "program", "kernels", "options", "error"]),
    ("reference", &["checkpoint", "config", "options", "error"]),
    (
        "capi",
        &[
            "model",
            "stream",
            "encoder",
            "decoder",
            "live",
            "bitstream",
            "checkpoint",
            "kernels",
            "options",
            "error",
        ],
    ),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("src")
}

/// A file of the library: its module, its path, and its lines without comments and unit tests.
struct File {
    module: String,
    path: PathBuf,
    lines: Vec<String>,
}

impl File {
    fn read(path: &Path) -> Self {
        let relative = path.strip_prefix(source()).unwrap().with_extension("");
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        // unit tests stand at a file's end or in a file of their own, and may do as they like
        let text = if path.ends_with("tests.rs") { "" } else { &text };
        let lines = text.lines().take_while(|line| *line != "mod tests {");
        let lines = lines.map(|line| match line.find("//") {
            Some(at) => line[..at].to_owned(),
            None => line.to_owned(),
        });
        Self { module, path: relative, lines: lines.collect() }
    }

    /// The lines with `word` as a word of its own, as `path:line: text`.
    fn lines_with(&self, word: &str) -> Vec<String> {
        let found = self.lines.iter().enumerate().filter(|(_, line)| contains_word(line, word));
        found.map(|(at, line)| format!("{}:{}: {}", self.path.display(), at + 1, line.trim())).collect()
    }
}

fn contains_word(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(in_word) && !line[at + word.len()..].starts_with(in_word))
}

/// All of the library.
fn library() -> Vec<File> {
    fn walk(folder: &Path, files: &mut Vec<File>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(File::read(&path));
            }
        }
    }
    let mut files = Vec::new();
    walk(&source(), &mut files);
    assert!(files.len() > 30, "found only {} files", files.len());
    files
}

/// The first names after `start` in `text`: `{a::B, c}` gives a and c, `a::B` gives a.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What `lib.rs` re-exports: `Error` is of module `error`.
fn re_exports(lib: &File) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for statement in lib.lines.concat().split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else { continue };
        let (module, names) = path.split_once("::").unwrap();
        for name in first_names(names) {
            modules.insert(name, module.to_owned());
        }
    }
    modules
}

/// The modules that `file` names.
fn used(file: &File, re_exports: &BTreeMap<String, String>) -> BTreeSet<String> {
    let text = file.lines.join("\n");
    let names = text.match_indices("crate::").flat_map(|(at, path)| first_names(&text[at + path.len()..]));
    let modules = names.map(|name| re_exports.get(&name).cloned().unwrap_or(name));
    modules.filter(|module| *module != file.module).collect()
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let files = library();
    let lib = files.iter().find(|file| file.module == "lib").unwrap();
    let re_exports = re_exports(lib);
    assert_eq!(re_exports.get("Error").map(String::as_str), Some("error"));

    let table = BTreeMap::from(MAY_USE);
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let expected: BTreeSet<&str> = table.keys().copied().chain(["lib"]).collect();
    assert_eq!(modules, expected, "modules in src (left) and in the table (right)");

    let mut unused: BTreeSet<_> =
        MAY_USE.iter().flat_map(|(from, to)| to.iter().map(move |to| (*from, *to))).collect();
    for file in files.iter().filter(|file| file.module != "lib") {
        for module in used(file, &re_exports) {
            let allowed = table[file.module.as_str()].contains(&module.as_str());
            assert!(allowed, "{} uses {module}, and {} may not", file.path.display(), file.module);
            unused.retain(|edge| *edge != (file.module.as_str(), module.as_str()));
        }
    }
    assert!(unused.is_empty(), "in the table but in no file: {unused:?}");
}

#[test]
fn unsafe_stands_in_kernels_and_capi_only() {
    for file in library() {
        if ["kernels", "capi"].contains(&file.module.as_str()) {
            continue;
        }
        assert_eq!(file.lines_with("unsafe"), Vec::<String>::new());
    }
}

#[test]
fn the_library_neither_prints_nor_reads_the_environment_nor_starts_threads_unasked() {
    for file in library() {
        let words =
            ["println", "eprintln", "print", "eprint", "dbg", "todo", "unimplemented", "stdout", "stderr"];
        for word in words {
            assert_eq!(file.lines_with(word), Vec::<String>::new());
        }
        for path in ["std::env", "std::process", "std::net", "env::var"] {
            assert_eq!(file.lines_with(path), Vec::<String>::new());
        }
        // The threads that a one-shot call is asked to use.
        if !file.path.ends_with("kernels/team") {
            assert_eq!(file.lines_with("std::thread"), Vec::<String>::new());
        }
    }
}

#[test]
fn the_tests_of_this_file_see_what_they_forbid() {
    assert!(contains_word("    unsafe { f() }", "unsafe"));
    assert!(!contains_word("#![deny(unsafe_code)]", "unsafe"));
    assert!(contains_word("eprintln!(\"x\")", "eprintln") && !contains_word("eprintln!(\"x\")", "println"));
    assert_eq!(
        first_names("{Error, layers::{Batch, Memory}, kernels::Isa}; use x"),
        ["Error", "layers", "kernels"]
    );
    assert_eq!(first_names("kernels::{Isa, Rows}"), ["kernels"]);
}
