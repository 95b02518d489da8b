//! Folders of many files: what is bad in them, what is there already, and what is told at the end.
#![cfg(unix)]

use super::*;
use std::{
    collections::BTreeMap,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, Instant},
};

/// A WAV file of `samples` samples that depend on `seed`.
pub(super) fn write_wav(path: &Path, samples: u32, seed: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..samples {
        wav.write_sample((i.wrapping_mul(seed.wrapping_add(7)) % 8_000) as i16).unwrap();
    }
    wav.finalize().unwrap();
}

/// The tool, as a user who may not read everything. Root reads what it may not.
fn as_somebody(folder: &TempDir) -> Command {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = if is_root {
        let tool = folder.path().join("mimi");
        if !tool.exists() {
            // By another program: what this one has open for writing, a child of another test may hold, too, and
            // then it cannot be run.
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_mimi")).arg(&tool).status();
            assert!(copied.unwrap().success());
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(tool);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_mimi"))
    };
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    command.current_dir(folder);
    command
}

/// Statuses, messages and outputs by input; and the summary.
type Report = (BTreeMap<String, (String, String)>, serde_json::Value);

fn report(folder: &TempDir, name: &str) -> Report {
    let text = fs::read_to_string(folder.path().join(name)).unwrap();
    let mut files = BTreeMap::new();
    let mut summary = serde_json::Value::Null;
    for line in text.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        match entry["status"].as_str().unwrap() {
            "summary" => summary = entry["files"].clone(),
            status => {
                let before = files.insert(text("input"), (status.to_owned(), text("message")));
                assert!(before.is_none(), "twice: {line}");
            }
        }
    }
    (files, summary)
}

#[test]
fn one_bad_entry_is_named_and_all_else_is_made() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for (seed, name) in ["in/a.wav", "in/deep/b.wav", "in/locked/c.wav", "in/z.wav"].iter().enumerate() {
        write_wav(&at(name), 2_000, seed as u32);
    }
    symlink("nowhere.wav", at("in/dangling.wav")).unwrap();
    symlink("nowhere.txt", at("in/dangling.txt")).unwrap();
    symlink("..", at("in/deep/loop")).unwrap();
    assert!(Command::new("mkfifo").arg(at("in/pipe.wav")).status().unwrap().success());
    for name in ["in/phone.webm", "in/phone.WMA", "in/other.wma", "in/README"] {
        fs::write(at(name), "").unwrap();
    }
    fs::set_permissions(at("in/locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let output = as_somebody(&folder)
        .args(["encode", "--report", "report.jsonl", "-m"])
        .arg(golden("tiny"))
        .args(["in", "out"])
        .output()
        .unwrap();
    fs::set_permissions(at("in/locked"), fs::Permissions::from_mode(0o755)).unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "mimi: in/dangling.wav: a link that leads nowhere",
        "mimi: in/deep/loop: a link in a circle, back to in",
        "mimi: in/locked: Permission denied",
        "mimi: in/pipe.wav: neither a file nor a folder",
        "mimi: 4 of 7 files failed",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let told = "mimi: files made: 3, already there: 0, skipped: 5 (.wma: 2, .txt: 1, .webm: 1, no extension: 1), \
        failed: 4; 0.2 s of audio in ";
    assert!(text.contains(told) && text.contains(" times real time"), "{text}");
    for name in ["out/a.mtok", "out/deep/b.mtok", "out/z.mtok"] {
        assert!(at(name).exists(), "{name}");
    }
    let (files, summary) = report(&folder, "report.jsonl");
    assert_eq!(files["in/a.wav"], ("made".to_owned(), String::new()));
    assert_eq!(files["in/phone.webm"].0, "skipped");
    assert!(files["in/locked"].1.contains("Permission denied"));
    assert_eq!((summary["made"].as_u64(), summary["failed"].as_u64()), (Some(3), Some(4)));
    assert_eq!(summary["audio_seconds"].as_f64(), Some(0.25));
    assert_eq!(summary["skipped"].as_u64(), Some(5));
}

#[test]
fn what_was_made_in_another_way_is_not_called_done() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for name in ["in/a.wav", "in/b.wav"] {
        write_wav(&at(name), 2_000, 1);
    }
    ok(&folder, "encode in out");
    assert!(stderr(&ok(&folder, "encode in out")).contains("already there: 2"));
    let refused = |args: &str, reason: &str| {
        let output = mimi(&folder, args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args}: {text}");
        let line = format!("mimi: out/a.mtok: {reason}; --overwrite to make it again");
        assert!(text.lines().any(|found| found == line), "{args}: {line}\n{text}");
        assert!(text.contains("already there: 0") && text.contains("2 of 2 files failed"), "{args}: {text}");
    };
    let before = fs::read(at("out/a.mtok")).unwrap();
    for recorded in [true, false] {
        refused("encode -n 2 in out", "made with codebooks 8, not 2");
        let model = "made with model 720764c604bf5374, not ";
        let text = stderr(&mimi(&folder, "encode -n 8 -m TINY in out"));
        assert!(recorded == text.contains(model) || text.contains("--codebooks is 8"), "{text}");
        if recorded {
            // what the file itself does not tell
            refused("encode --precision bf16 in out", "made with precision f32, not bf16");
            refused("encode --tail layer in out", "made with tail audio, not layer");
            fs::remove_file(at("out/.mimi-made.jsonl")).unwrap();
        }
    }
    // made again by itself, which no record tells
    ok(&folder, "encode -q -n 2 in/a.wav out/a.mtok");
    let text = stderr(&mimi(&folder, "encode in out"));
    assert!(text.contains("out/a.mtok: made with codebooks 2, not 8; --overwrite"), "{text}");
    ok(&folder, "encode -q in/a.wav out/a.mtok");
    let later = fs::metadata(at("out/a.mtok")).unwrap().modified().unwrap() + Duration::from_secs(5);
    for name in ["in/a.wav", "in/b.wav"] {
        fs::File::options().append(true).open(at(name)).unwrap().set_modified(later).unwrap();
    }
    refused("encode in out", "older than its input");
    assert_eq!(fs::read(at("out/a.mtok")).unwrap(), before);
    ok(&folder, "encode --overwrite -n 2 in out");
    assert!(fs::read(at("out/a.mtok")).unwrap() != before);
    // a source of another length, however old
    ok(&folder, "encode --overwrite in out");
    let old = fs::metadata(at("out/a.mtok")).unwrap().modified().unwrap() - Duration::from_secs(500);
    for name in ["in/a.wav", "in/b.wav"] {
        write_wav(&at(name), 3_000, 1);
        fs::File::options().append(true).open(at(name)).unwrap().set_modified(old).unwrap();
    }
    refused("encode in out", "its input has another length by now");
}

#[test]
fn folders_of_the_same_names_are_kept_apart_and_all_collisions_are_named() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for name in ["d1/a.wav", "d2/a.wav", "col/a.wav", "col/b.wav", "col/c.wav"] {
        write_wav(&at(name), 100, 1);
    }
    ok(&folder, "encode -q -m TINY d1 d2 out/");
    assert!(at("out/d1/a.mtok").exists() && at("out/d2/a.mtok").exists());
    for name in ["a", "b"] {
        fs::copy(at("col/c.wav"), at(&format!("col/{name}.aiff"))).unwrap();
    }
    let output = mimi(&folder, "encode -q -m TINY col out");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for name in ["a.wav", "a.aiff", "b.wav", "b.aiff"] {
        let line = format!("mimi: col/{name}: it would go to out/{}.mtok, and so would ", &name[..1]);
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(at("out/c.mtok").exists() && text.contains("4 of 5 files failed"), "{text}");
}

#[test]
fn folders_are_reduced_and_told_of() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for name in ["in/a.wav", "in/deep/b.wav"] {
        write_wav(&at(name), 5_000, 1);
    }
    ok(&folder, "encode -q in tok");
    ok(&folder, "encode -q -n 3 in expected");
    ok(&folder, "encode -q in/a.wav tok/c.npy");
    ok(&folder, "reduce -q -n 3 tok small");
    for name in ["a.mtok", "deep/b.mtok"] {
        let read = |folder: &str| fs::read(at(folder).join(name)).unwrap();
        assert!(read("small") == read("expected"), "{name}");
    }
    assert_eq!(npy(&at("small/c.npy")).len(), 3);
    let output = mimi(&folder, "reduce -n 2 tok small");
    assert!(stderr(&output).contains("small/a.mtok: made with codebooks 3, not 2; --overwrite"));
    // in place, if that is asked for
    assert_eq!(mimi(&folder, "reduce -q -n 2 small small").status.code(), Some(1));
    ok(&folder, "reduce -q -n 2 --overwrite small small");

    let told = String::from_utf8(ok(&folder, "info tok in/a.wav").stdout).unwrap();
    let names: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("file ")).map(str::trim).collect();
    assert_eq!(names, ["tok/a.mtok", "tok/c.npy", "tok/deep/b.mtok", "in/a.wav"]);
    fs::write(at("tok/bad.mtok"), "no codes").unwrap();
    let output = mimi(&folder, "info -q tok");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("mimi: tok/bad.mtok: "), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap().matches("file ").count(), 3);
    for name in ["tok/a.mtok", "in/a.wav", "tok/c.npy"] {
        let piped = mimi_fed(&folder, "info -", &fs::read(at(name)).unwrap());
        assert_eq!(piped.stdout, ok(&folder, &format!("info {name}")).stdout, "{name}");
    }
}

#[test]
fn a_recording_that_is_cut_off_is_taken_as_far_as_it_goes_if_that_is_asked_for() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    write_wav(&at("whole.wav"), 9_000, 3);
    fs::write(at("in.wav"), &fs::read(at("whole.wav")).unwrap()[..44 + 2 * 6_000]).unwrap();
    let cut = "in.wav: cut off after 6000 of 9000 samples";
    for command in ["encode -m TINY in.wav out.mtok", "roundtrip -m TINY in.wav out.wav"] {
        fails(&folder, command, &format!("mimi: {cut}; --partial takes what is there"));
        let text = stderr(&ok(&folder, &format!("{command} --partial")));
        assert_eq!(text, format!("mimi: warning: {cut}\n"), "{command}");
    }
    assert_eq!(wav(&folder, "out.wav").1.len(), 6_000);
    assert!(String::from_utf8(ok(&folder, "info out.mtok").stdout).unwrap().contains("6000, 0.250 s"));
    let tokens = fs::read(at("out.mtok")).unwrap();
    fs::write(at("out.mtok"), &tokens[..tokens.len() - 1]).unwrap();
    let cut = "out.mtok: cut off after 3 of 4 frames";
    for command in ["decode -m TINY out.mtok back.wav", "reduce -n 2 out.mtok two.mtok"] {
        fails(&folder, command, &format!("mimi: {cut}; --partial takes what is there"));
        assert_eq!(stderr(&ok(&folder, &format!("{command} --partial"))), format!("mimi: warning: {cut}\n"));
    }
}

#[test]
fn two_thousand_files_a_twentieth_of_each_kind_of_trouble_and_three_kills() {
    const EACH: u32 = 100;
    const GOOD: u32 = 900;
    let folder = folder();
    let at = |name: String| folder.path().join(name);
    let mut bad = BTreeMap::new();
    for index in 0..GOOD {
        write_wav(&at(format!("in/{}/good{index}.wav", index % 10)), 1_000 + index, index);
    }
    let mut locked = Vec::new();
    for index in 0..EACH {
        let mut trouble = |name: String, message: &'static str| {
            bad.insert(name.clone(), message);
            at(name)
        };
        let path = trouble(format!("in/dangling{index}.wav"), "a link that leads nowhere");
        symlink("nowhere", path).unwrap();
        symlink(".", trouble(format!("in/loop{index}"), "a link in a circle")).unwrap();
        fs::write(trouble(format!("in/text{index}.wav"), "not an audio file"), "To be, or not to be")
            .unwrap();
        fs::write(trouble(format!("in/empty{index}.wav"), "not an audio file"), "").unwrap();
        let cut = trouble(format!("in/cut{index}.wav"), "cut off after 300 of 1000 samples");
        write_wav(&cut, 1_000, index);
        fs::File::options().write(true).open(cut).unwrap().set_len(44 + 600).unwrap();
        let path = trouble(format!("in/closed{index}.wav"), "Permission denied");
        write_wav(&path, 1_000, index);
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        let path = trouble(format!("in/locked{index}"), "Permission denied");
        write_wav(&path.join("unseen.wav"), 1_000, index);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        locked.push(path);
        for extension in ["wav", "aiff"] {
            if index % 2 == 0 {
                let path = trouble(format!("in/same{index}.{extension}"), "it would go to");
                write_wav(&path, 1_000, index);
            }
        }
        write_wav(&trouble(format!("in/old/{index}.wav"), "made with codebooks 1, not 6"), 1_000, index);
        fs::write(at(format!("in/other{index}.wma")), "").unwrap();
        let path = trouble(format!("in/pipe{index}.wav"), "neither a file nor a folder");
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let encode = |folder: &TempDir, args: &[&str]| {
        let mut command = as_somebody(folder);
        command.args(["encode", "-q", "--jobs", "2", "-m"]).arg(golden("tiny")).args(args);
        command.stderr(Stdio::null());
        command
    };
    let old = encode(&folder, &["-n", "1", "in/old", "out/old"]).stderr(Stdio::piped()).output().unwrap();
    assert!(old.status.success(), "{}: {}", old.status, stderr(&old));

    let made = || -> BTreeMap<PathBuf, std::time::SystemTime> {
        let folders = (0..10).filter_map(|index| fs::read_dir(at(format!("out/{index}"))).ok());
        let paths = folders.flatten().map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "mtok"))
            .map(|path| (path.clone(), fs::metadata(path).unwrap().modified().unwrap()))
            .collect()
    };
    let mut there = BTreeMap::new();
    for part in 1..=3 {
        let mut child = encode(&folder, &["--report", "report.jsonl", "in", "out"]).spawn().unwrap();
        let started = Instant::now();
        while made().len() < (GOOD * part / 5) as usize {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
            assert!(started.elapsed().as_secs() < 120, "it does not get on");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = made();
        // what was there was not made again
        assert!(there.iter().all(|(path, time)| now.get(path) == Some(time)), "part {part}");
        there = now;
    }
    let status = encode(&folder, &["--report", "report.jsonl", "in", "out"]).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let now = made();
    assert_eq!(now.len() as u32, GOOD);
    assert!(there.iter().all(|(path, time)| now.get(path) == Some(time)));
    for index in 0..GOOD {
        let bytes = fs::read(at(format!("out/{}/good{index}.mtok", index % 10))).unwrap();
        let (header, start) = mimi::bitstream::Header::from_bytes(&bytes).unwrap();
        assert_eq!(header.samples, u64::from(1_000 + index));
        assert_eq!(bytes.len(), start + header.frame_bytes());
    }

    let (files, summary) = report(&folder, "report.jsonl");
    let mut counts = BTreeMap::new();
    for (name, (status, message)) in &files {
        *counts.entry(status.as_str()).or_insert(0) += 1;
        if status == "failed" {
            let expected = bad.get(name).unwrap_or_else(|| panic!("{name}: {message}"));
            assert!(message.contains(expected), "{name}: {message}");
        }
    }
    assert_eq!(counts["made"] + counts["present"], GOOD);
    assert_eq!(counts["failed"], bad.len() as u32);
    assert_eq!(counts["skipped"], EACH);
    assert_eq!(summary["failed"].as_u64(), Some(bad.len() as u64));
    for path in locked {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // the killed runs' leftovers are gone
    let find = Command::new("find").arg(at("out".into())).args(["-name", ".mimi-*.part"]).output().unwrap();
    assert_eq!(String::from_utf8(find.stdout).unwrap(), "");
}
