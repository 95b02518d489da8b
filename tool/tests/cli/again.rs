//! What a folder holds from runs before: outputs that are not what they should be, and reports.
#![cfg(unix)]

use super::{corpus::write_wav, *};
use std::time::{Duration, Instant};

/// Two recordings of 9000 samples in `in`, and their tokens in `out`.
fn encoded() -> TempDir {
    let folder = folder();
    for name in ["in/a.wav", "in/b.wav"] {
        write_wav(&folder.path().join(name), 9_000, 3);
    }
    ok(&folder, "encode -q -m TINY in out");
    folder
}

#[test]
fn an_output_that_is_not_whole_is_not_called_done() {
    let folder = encoded();
    let at = |name: &str| folder.path().join(name);
    let whole = fs::read(at("out/a.mtok")).unwrap();
    let mtime = fs::metadata(at("out/a.mtok")).unwrap().modified().unwrap();
    let refused = |reason: &str| {
        let output = mimi(&folder, "encode -m TINY in out");
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{reason}: {text}");
        let line = format!("mimi: out/a.mtok: {reason}; --overwrite to make it again");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        assert!(text.contains("already there: 1") && text.contains("1 of 2 files failed"), "{text}");
    };
    for recorded in [true, false] {
        let write = |bytes: &[u8]| {
            fs::write(at("out/a.mtok"), bytes).unwrap();
            fs::File::options().append(true).open(at("out/a.mtok")).unwrap().set_modified(mtime).unwrap();
        };
        write(&whole[..whole.len() - 1]);
        refused("cut off after 4 of 5 frames");
        write(&[&whole[..], &[0; 3]].concat());
        refused("3 bytes behind the last frame");
        write(&whole[..20]);
        refused("it ends in its header");
        write(&whole);
        assert!(stderr(&ok(&folder, "encode -m TINY in out")).contains("already there: 2"));
        if recorded {
            fs::remove_file(at("out/.mimi-made.jsonl")).unwrap();
        }
    }
    // whole, but of less than its recording has: its record is gone
    write_wav(&at("short.wav"), 4_000, 3);
    ok(&folder, "encode -q -m TINY short.wav out/a.mtok");
    refused("of 4000 samples, and its input has 9000");
    ok(&folder, "encode -q -m TINY --overwrite in out");
    assert_eq!(fs::read(at("out/a.mtok")).unwrap(), whole);
}

#[test]
fn bytes_behind_the_last_frame_are_counted() {
    let folder = encoded();
    let mut bytes = fs::read(folder.path().join("out/a.mtok")).unwrap();
    bytes.extend([0; 43]);
    fs::write(folder.path().join("a.mtok"), &bytes).unwrap();
    let found = "a.mtok: 43 bytes behind the last frame";
    fails(&folder, "decode -m TINY a.mtok b.wav", &format!("mimi: {found}; --partial takes what is there"));
    let output = ok(&folder, "reduce -n 6 --partial a.mtok b.mtok");
    assert_eq!(stderr(&output), format!("mimi: warning: {found}\n"));
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("b.mtok"), read("out/a.mtok"));
}

#[test]
fn a_report_is_of_this_run_alone() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for index in 0..200 {
        write_wav(&at(&format!("in/{index}.wav")), 30_000, index);
    }
    fs::write(at("in/notes.txt"), "").unwrap();
    fs::write(at("in/README"), "").unwrap();
    fs::write(at("report.jsonl"), "of the run before\n{\"status\":\"summary\"}\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mimi"));
    child.args(["encode", "-q", "--jobs", "1", "--report", "report.jsonl", "in", "out"]).current_dir(&folder);
    let mut child = child.spawn().unwrap();
    let begun = Instant::now();
    while !at("out/10.mtok").exists() {
        assert!(begun.elapsed().as_secs() < 60 && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let report = fs::read_to_string(at("report.jsonl")).unwrap();
    assert!(!report.contains("before") && !report.contains("summary"), "{report}");
    assert!(report.contains(r#""status":"made""#), "{report}");
    // what was skipped, and why
    for (name, reason) in [("notes.txt", "its extension is .txt"), ("README", "it has no extension")] {
        let line = report.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains("skipped") && line.contains(reason), "{line}");
    }
}

#[test]
fn inputs_that_collide_are_told_the_way_out() {
    let folder = folder();
    for name in ["in/a.wav", "in/a.aiff"] {
        write_wav(&folder.path().join(name), 100, 3);
    }
    let text = stderr(&mimi(&folder, "encode -q -m TINY in out"));
    let line = "mimi: in/a.wav: it would go to out/a.mtok, and so would in/a.aiff; rename one of them, or move it to \
        another folder";
    assert!(text.lines().any(|found| found == line), "{text}");
}
