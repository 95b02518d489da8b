//! What is typed and what is told: wrong command lines, help, manual pages, bars.

use super::*;

#[test]
fn every_wrong_command_line_is_status_2() {
    let folder = folder();
    for args in [
        "encode -n 0 SPEECH a.mtok",
        "encode -n 33 SPEECH a.mtok",
        "encode -j 0 SPEECH a.mtok",
        "encode --live SPEECH a.npy",
        "encode --live SPEECH SPEECH out/",
        "encode SPEECH a.txt",
        "encode - SPEECH out/",
        "encode --raw --rate 500 SPEECH a.mtok",
        "encode --report r.jsonl SPEECH a.mtok",
        "decode --rate 500 a.mtok a.wav",
        "roundtrip -n 33 SPEECH a.wav",
        "plot SPEECH p.jpg",
        "plot -n 33 SPEECH p.png",
        "compare SPEECH --plot p.jpg",
        "bench -n 33",
        "bench --live --seconds 5",
        "bench --live --blocks 64,0",
        "bench --live-seconds 0",
        "bench --precision f32,f64",
        "fetch mimi",
        "man nonsense",
        "man --all pages encode",
    ] {
        let output = mimi(&folder, args);
        assert_eq!(output.status.code(), Some(2), "mimi {args}: {}", stderr(&output));
        let text = stderr(&output);
        assert!(!text.contains("non-zero type") && !text.contains("toy"), "mimi {args}: {text}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn what_is_missing_is_what_was_not_typed() {
    let folder = folder();
    let told = |args: &str| stderr(&mimi(&folder, args));
    let one = told("encode in.wav");
    assert!(one.contains("<OUTPUT>\n") && !one.contains("provided:\n  <INPUT>"), "{one}");
    let raw = told("encode --rate 8000 x.wav y.mtok");
    assert!(raw.contains("they go with --raw") && raw.contains("Usage: mimi encode"), "{raw}");
    assert!(told("encode -j 0 x.wav y.mtok").contains("0 is not in 1.."));
}

#[test]
fn a_folder_is_not_made_under_the_name_of_a_file() {
    let folder = folder();
    fs::create_dir(folder.path().join("few")).unwrap();
    fs::copy(golden("speech.wav"), folder.path().join("few/a.wav")).unwrap();
    let output = mimi(&folder, "encode few/ x.npy");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(!folder.path().join("x.npy").exists());
    ok(&folder, "encode -q few/ x.npy/");
    assert!(folder.path().join("x.npy/a.mtok").exists());
}

#[test]
fn an_input_is_not_replaced_unless_that_is_asked_for() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::copy(golden("speech.wav"), at("a.wav")).unwrap();
    fs::copy(golden("tiny-f16/model.safetensors"), at("m.safetensors")).unwrap();
    fs::copy(golden("tiny-f16/config.json"), at("config.json")).unwrap();
    ok(&folder, "encode -q SPEECH c.mtok");
    for (args, name) in [
        ("roundtrip -q a.wav a.wav", "a.wav"),
        ("roundtrip -q a.wav ./a.wav", "./a.wav"),
        ("convert m.safetensors m.safetensors", "m.safetensors"),
        ("reduce -n 1 c.mtok c.mtok", "c.mtok"),
    ] {
        let before = fs::read(at(name)).unwrap();
        fails(&folder, args, &format!("mimi: {name}: this is the input; --overwrite to replace it"));
        assert!(fs::read(at(name)).unwrap() == before);
        ok(&folder, &format!("{args} --overwrite"));
        assert!(fs::read(at(name)).unwrap() != before || name == "m.safetensors", "{args}");
    }
}

#[test]
fn a_model_keeps_its_precision_unless_told_otherwise() {
    let folder = folder();
    let dtypes = |name: &str| -> Vec<safetensors::Dtype> {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut all: Vec<_> = file
            .iter()
            .filter(|(name, _)| !name.contains("codebook"))
            .map(|(_, tensor)| tensor.dtype())
            .collect();
        all.dedup();
        all
    };
    use safetensors::Dtype::{BF16, F16, F32};
    for (model, expected) in [("tiny", F32), ("tiny-f16", F16), ("tiny-bf16", BF16), ("tiny-sharded", F32)] {
        let model = golden(model);
        ok(&folder, &format!("convert {} out.safetensors", model.display()));
        assert_eq!(dtypes("out.safetensors"), [expected], "{}", model.display());
    }
    ok(&folder, "convert --precision bf16 TINY out.safetensors");
    assert_eq!(dtypes("out.safetensors"), [BF16]);
}

#[test]
fn the_built_in_model_is_told_of_once_and_not_beside_an_error() {
    let folder = folder();
    let toys = |output: &Output| stderr(output).matches("toy").count();
    assert_eq!(toys(&ok(&folder, "encode SPEECH a.mtok")), 1);
    // who made the codes was told
    assert_eq!(toys(&ok(&folder, "decode a.mtok a.wav")), 0);
    assert_eq!(toys(&ok(&folder, "bench --seconds 1 --streams 1 --threads 1")), 1);
    assert_eq!(toys(&mimi(&folder, "encode SPEECH no/a.mtok")), 0);
    assert_eq!(toys(&ok(&folder, "encode -q SPEECH a.mtok")), 0);
    // codes of nobody knows what
    ok(&folder, "encode -q SPEECH a.npy");
    assert_eq!(toys(&ok(&folder, "decode a.npy a.wav")), 1);
}

#[test]
fn codes_are_told_with_what_they_can_be_and_whose_they_are() {
    let folder = folder();
    ok(&folder, "encode -q SPEECH a.mtok");
    let told = String::from_utf8(ok(&folder, "info a.mtok").stdout).unwrap();
    assert!(told.contains("9 bits, so 511 at the most"), "{told}");
    assert!(told.contains("720764c604bf5374, the built-in toy"), "{told}");
}

#[test]
fn a_picture_needs_a_frame() {
    let folder = folder();
    fs::write(folder.path().join("one.wav"), &fs::read(golden("speech.wav")).unwrap()[..44]).unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(folder.path().join("one.wav"), spec).unwrap();
    wav.write_sample(7i16).unwrap();
    wav.finalize().unwrap();
    let message = "mimi: one.wav: too short for a picture: 1 of the 1920 samples of a frame";
    fails(&folder, "plot -q one.wav one.png", message);
}

const COMMANDS: [&str; 12] = [
    "roundtrip",
    "encode",
    "decode",
    "reduce",
    "info",
    "compare",
    "plot",
    "bench",
    "fetch",
    "convert",
    "completions",
    "man",
];

#[test]
fn quiet_goes_with_every_command() {
    let folder = folder();
    for command in COMMANDS {
        let help = ok(&folder, &format!("{command} --help")).stdout;
        assert!(String::from_utf8(help).unwrap().contains("-q, --quiet"), "{command}");
    }
    ok(&folder, "info -q SPEECH");
    ok(&folder, "man -q encode");
}

#[test]
fn help_fits_terminals_of_40_80_and_200_columns() {
    let folder = folder();
    let help = |command: &str, flag: &str, columns: usize| {
        let mut mimi = Command::new(env!("CARGO_BIN_EXE_mimi"));
        mimi.args(command.split_whitespace()).arg(flag).env("COLUMNS", columns.to_string());
        String::from_utf8(mimi.current_dir(&folder).output().unwrap().stdout).unwrap()
    };
    for command in COMMANDS.iter().copied().chain([""]) {
        for flag in ["-h", "--help"] {
            let wide = help(command, flag, 200);
            for columns in [40, 80, 200] {
                let text = help(command, flag, columns);
                for line in text.lines() {
                    let words = line.split_whitespace().count();
                    let width = line.chars().count();
                    // what is typed stands in one line
                    assert!(
                        width <= columns || words == 1 || line.starts_with("Usage:"),
                        "{command} {flag}, {columns}: {line:?}"
                    );
                }
                // no word is broken
                assert!(text.split_whitespace().eq(wide.split_whitespace()), "{command}, {columns}: {text}");
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn bars_fit_terminals_of_40_80_and_200_columns() {
    let folder = folder();
    fs::create_dir(folder.path().join("in")).unwrap();
    for name in ["a", "b", "c", "d"] {
        fs::copy(golden("speech.wav"), folder.path().join(format!("in/{name}.wav"))).unwrap();
    }
    for columns in [40, 80, 200] {
        for command in ["encode in out --overwrite", "roundtrip in/a.wav a.wav"] {
            let line = format!("stty rows 24 cols {columns}; {} {command}", env!("CARGO_BIN_EXE_mimi"));
            let output = Command::new("script")
                .args(["-qec", &line, "/dev/null"])
                .env("TERM", "xterm")
                .current_dir(&folder)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let seen = String::from_utf8(output.stdout).unwrap();
            let drawn: Vec<_> =
                seen.split(['\r', '\n', '\x1b']).filter(|part| part.contains(" left")).collect();
            assert!(!drawn.is_empty(), "{command}: {seen:?}");
            for part in drawn {
                let text = part.trim_start_matches(|c: char| c == '[' || c.is_ascii_digit() || c == 'K');
                assert!(text.chars().count() <= columns, "{columns}: {part:?}");
            }
        }
    }
}

#[test]
fn manual_pages_have_examples_to_copy_and_all_are_written_at_once() {
    let folder = folder();
    ok(&folder, "man --all pages");
    let read = |name: &str| fs::read_to_string(folder.path().join("pages").join(name)).unwrap();
    for command in COMMANDS {
        let page = read(&format!("mimi-{command}.1"));
        for section in
            ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"]
        {
            let heading =
                if section.contains(' ') { format!(".SH \"{section}\"") } else { format!(".SH {section}") };
            assert!(page.contains(&heading), "{command}: no {section}\n{page}");
        }
        assert!(page.contains(".nf\n") && page.contains("mimi(1)"), "{command}");
    }
    assert!(read("mimi.1").contains("mimi\\-encode(1)") && read("mimi.1").contains(".TH mimi 1"));
    let encode = read("mimi-encode.1");
    assert!(encode.contains("mimi encode [OPTIONS] <INPUT>... <OUTPUT>"), "{encode}");
    assert_eq!(fs::read_dir(folder.path().join("pages")).unwrap().count(), 1 + COMMANDS.len());
    assert_eq!(ok(&folder, "man encode").stdout, encode.as_bytes());
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_to_standard_output_is_a_failure() {
    let folder = folder();
    let speech = golden("speech.wav");
    for args in ["--help", "--version", "info", "man", &format!("roundtrip -q {} -", speech.display())] {
        let line = format!("{} {args} >&-", env!("CARGO_BIN_EXE_mimi"));
        let output = Command::new("bash").args(["-c", &line]).current_dir(&folder).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(stderr(&output).contains("mimi: standard output is closed"), "{args}: {}", stderr(&output));
        // whoever wants nothing gets nothing
        let line = line.replace(">&-", "> /dev/null");
        assert!(Command::new("bash").args(["-c", &line]).current_dir(&folder).status().unwrap().success());
    }
    for (args, status) in
        [("--help > /dev/full", 1), ("--version > /dev/full", 1), ("encode -h > /dev/full", 1)]
    {
        let line = format!("{} {args}", env!("CARGO_BIN_EXE_mimi"));
        let output = Command::new("bash").args(["-c", &line]).current_dir(&folder).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{args}");
        assert!(stderr(&output).contains("standard output: No space left on device"), "{args}");
    }
}
