//! `include/mimi.h` is what cbindgen makes of `src/capi`; `MIMI_BLESS=1` rewrites it.

use cbindgen::{Builder, Config, ItemType};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The header's groups, in reading order: the files of `src/capi` with exported functions.
const GROUPS: [&str; 9] =
    ["version", "status", "options", "model", "oneshot", "encoder", "decoder", "many", "tokens"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(group: &str) -> PathBuf {
    root().join("src/capi").join(group).with_extension("rs")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// One kind of items of one file. cbindgen orders a header by kind; the manual goes by group.
fn items(config: &Config, group: &str, kinds: Vec<ItemType>) -> String {
    let mut config = config.clone();
    config.export.item_types = kinds;
    let mut text = Vec::new();
    Builder::new().with_config(config).with_src(source(group)).generate().unwrap().write(&mut text);
    let text = String::from_utf8(text).unwrap();
    text.trim().lines().map(parenthesized).collect::<Vec<_>>().join("\n")
}

/// A macro that is a negative number has parentheses, so that no operator before it can join its sign.
fn parenthesized(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((start, number)) if start.starts_with("#define") && number.starts_with('-') => {
            format!("{start} ({number})")
        }
        _ => line.to_owned(),
    }
}

fn generate() -> String {
    let mut config = Config::from_file(root().join("cbindgen.toml")).unwrap();
    let manual = config.header.take().unwrap();
    let macros = config.after_includes.take().unwrap();
    let mut header = format!(
        "{}\n\n#ifndef MIMI_H\n#define MIMI_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n{}\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n",
        manual.trim(),
        macros.trim()
    );
    for group in GROUPS {
        let text = read(source(group));
        let title = text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap();
        let title = title.trim_end_matches('.');
        header += &format!("\n\n/**\n * @defgroup mimi_{group} {title}\n * @{{\n */\n");
        let types = vec![ItemType::Typedefs, ItemType::OpaqueItems];
        for kinds in [types, vec![ItemType::Constants], vec![ItemType::Functions]] {
            let items = items(&config, group, kinds);
            if !items.is_empty() {
                header += &format!("\n{items}\n");
            }
        }
        header += "\n/** @} */\n";
    }
    header += "\n#ifdef __cplusplus\n} /* extern \"C\" */\n#endif\n\n#endif /* MIMI_H */\n";
    header
}

#[test]
fn the_header_is_fresh() {
    let path = root().join("include/mimi.h");
    let generated = generate();
    if env::var_os("MIMI_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &generated).unwrap();
    }
    if let Some((at, (old, new))) =
        read(&path).lines().zip(generated.lines()).enumerate().find(|(_, (old, new))| old != new)
    {
        panic!("include/mimi.h is stale at line {}:\n- {old}\n+ {new}\nMIMI_BLESS=1 rewrites it", at + 1);
    }
    assert_eq!(read(&path).len(), generated.len(), "include/mimi.h is stale; MIMI_BLESS=1 rewrites it");
}

#[test]
fn the_manuals_example_is_the_compiled_one() {
    let header = read(root().join("include/mimi.h"));
    let manual = header.split("*/").next().unwrap();
    let example: Vec<_> = manual.lines().filter_map(|line| line.strip_prefix(" *     ")).collect();
    assert!(example.len() >= 10, "the manual begins with an example");
    let program = read(root().join("tests/c/example.c"));
    let wanted: String = example.iter().map(|line| format!("    {line}\n")).collect();
    assert!(program.contains(&wanted), "tests/c/example.c must contain the manual's example:\n{wanted}");
}

#[test]
fn the_manual_is_written_for_c() {
    let header = read(root().join("include/mimi.h"));
    for word in ["[`", "`]", "Safety", "unsafe", "Rust", "usize", "slice", "Option<", "Result", "::", "u32 "]
    {
        for (at, line) in header.lines().enumerate() {
            assert!(!line.contains(word), "line {}: {word:?} means nothing in C: {line}", at + 1);
        }
    }
    for (at, line) in header.lines().enumerate() {
        assert!(line.len() <= 110, "line {} is longer than 110 characters", at + 1);
    }
}

#[test]
fn everything_in_the_header_is_documented() {
    let header = read(root().join("include/mimi.h"));
    let body = &header[header.find("extern \"C\"").unwrap()..];
    let mut previous = "";
    for line in body.lines() {
        let item = line.starts_with("#define MIMI_") || line.starts_with("typedef") || line == "MIMI_API";
        let function = line.starts_with("MIMI_API") || line.starts_with("MIMI_NODISCARD");
        if item || (function && !previous.starts_with("MIMI_")) {
            assert_eq!(previous, " */", "no documentation: {line}");
        }
        previous = line;
    }
}

#[test]
fn every_exported_function_is_guarded() {
    let mut exported = 0;
    for file in fs::read_dir(root().join("src/capi")).unwrap() {
        let text = read(file.unwrap().path());
        for function in text.split("#[unsafe(no_mangle)]").skip(1) {
            let body = &function[..function.find("\n}\n").unwrap()];
            let signature = &body[..body.find('{').unwrap()];
            let body = &body[signature.len()..];
            assert!(signature.contains("extern \"C\" fn mimi_"), "{signature}");
            // the guard is the whole body, so that nothing is left outside
            let statement =
                body[1..].lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("//"));
            let statement = statement.unwrap();
            assert!(
                ["guard(|| ", "guard_rt(|| ", "guard_value("]
                    .iter()
                    .any(|guard| statement.starts_with(guard)),
                "not guarded: {signature}"
            );
            exported += 1;
        }
        let functions = text.matches("extern \"C\" fn mimi_").count();
        assert_eq!(functions, text.matches("#[unsafe(no_mangle)]").count());
    }
    let header = read(root().join("include/mimi.h"));
    assert_eq!(exported, header.lines().filter(|line| line.starts_with("MIMI_API")).count());
}
