//! `include/mimi.h` is what cbindgen makes of `src/capi`; `MIMI_BLESS=1` rewrites it.

use cbindgen::{Builder, Config, ItemType};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The header's groups, in reading order: the files of `src/capi` with exported functions.
const GROUPS: [&str; 12] = [
    "version", "status", "options", "model", "oneshot", "encoder", "decoder", "many", "latents", "capture",
    "playback", "tokens",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
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
    // in the order of the source, which cbindgen keeps within a type of constants alone
    let source = read(source(group));
    let place = |item: &str| {
        let name =
            item.lines().find_map(|line| line.strip_prefix("#define ")).and_then(|d| d.split(' ').next());
        name.map_or(0, |name| source.find(&format!("pub const {name}:")).unwrap())
    };
    let mut items: Vec<String> =
        text.trim().split("\n\n").filter(|item| !item.is_empty()).map(tidy).collect();
    items.sort_by_key(|item| place(item));
    let mut text = String::new();
    for item in items {
        // numbers with a line of comment stand together
        let short = |item: &str| item.lines().count() == 2 && item.contains("\n#define ");
        let together =
            short(&item) && text.rsplit("\n\n").next().is_some_and(|last| last.contains("\n#define "));
        text += if text.is_empty() {
            ""
        } else if together {
            "\n"
        } else {
            "\n\n"
        };
        text += &item;
    }
    text
}

/// An item as people write it: a comment of one paragraph without lines around it, a function in lines of at most
/// 110 characters.
fn tidy(item: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in item.lines() {
        match line.trim() {
            "/**" => comment = vec![line],
            "*/" if comment.contains(&" *") => {
                lines.extend(comment.drain(..).map(str::to_owned));
                lines.push(line.to_owned());
            }
            "*/" => {
                // one paragraph
                let paragraph = comment.drain(..).skip(1).map(str::to_owned);
                let first = lines.len();
                lines.extend(paragraph);
                lines[first] = lines[first].replacen(" *", "/**", 1);
                if let Some(last) = lines.last_mut() {
                    *last += if last.len() <= 107 { " */" } else { "\n */" };
                }
            }
            _ if comment.is_empty() => lines.push(parenthesized(line)),
            _ => comment.push(line),
        }
    }
    if let Some(start) = lines.iter().position(|line| line.starts_with("MIMI_API")) {
        let declaration = lines.split_off(start).join(" ");
        let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut line = String::new();
        for argument in declaration.split_inclusive(", ") {
            if line.len() + argument.trim_end().len() > 110 {
                lines.push(line.trim_end().to_owned());
                line = String::from("    ");
            }
            line += argument;
        }
        lines.push(line);
    }
    lines.join("\n")
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
    let manual = read(root().join("src/capi/manual.h"));
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
        header += &format!("\n/**\n * @defgroup mimi_{group} {title}\n * @{{\n */\n");
        let types = vec![ItemType::Typedefs, ItemType::OpaqueItems, ItemType::Structs];
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

/// A reader finds a function by what it is for.
#[test]
fn the_manual_lists_every_function() {
    let manual = read(root().join("src/capi/manual.h"));
    let list = manual.split("## Functions").nth(1).and_then(|rest| rest.split("## ").next()).unwrap();
    let listed: BTreeSet<&str> = list.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let symbols = read(root().join("tests/abi/symbols.txt"));
    assert_eq!(symbols.lines().find(|name| !listed.contains(name)), None, "not in the list of manual.h");
    let known: BTreeSet<&str> = symbols.lines().collect();
    let unknown = listed.iter().find(|name| name.starts_with("mimi_") && !known.contains(*name));
    assert_eq!(unknown, None, "in the list of manual.h, but not in the library");
}

/// The contract that every function has stands in the manual's introduction, once.
#[test]
fn the_manual_does_not_repeat_itself() {
    let header = read(root().join("include/mimi.h"));
    assert_eq!(header.lines().find(|line| line.contains("not NULL")), None);
    assert!(header.lines().count() < 1400, "{} lines", header.lines().count());
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
        let item = ["#define MIMI_", "typedef", "MIMI_API"].iter().any(|start| line.starts_with(start));
        if item {
            assert!(previous.ends_with("*/"), "no documentation: {line}");
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
            // memory for hosts of WebAssembly is no part of the header
            exported += usize::from(!signature.contains("fn mimi_wasm_"));
        }
        let functions = text.matches("extern \"C\" fn mimi_").count();
        assert_eq!(functions, text.matches("#[unsafe(no_mangle)]").count());
    }
    let header = read(root().join("include/mimi.h"));
    assert_eq!(exported, header.lines().filter(|line| line.starts_with("MIMI_API")).count());
}
