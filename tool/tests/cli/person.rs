//! What happens at a desk: terminals, pipes between programs, long runs that are killed, full disks.
//! On Linux, with `script` of util-linux, sox and ffmpeg.
#![cfg(target_os = "linux")]

use super::*;
use std::{
    os::unix::fs::PermissionsExt,
    process::Child,
    time::{Duration, Instant},
};

const MIMI: &str = env!("CARGO_BIN_EXE_mimi");

/// Runs a line of a shell in `folder`; `mimi` is the tool, `SPEECH` the golden recording, `TINY` a
/// golden model.
pub(super) fn shell(folder: &TempDir, line: &str) -> Output {
    let line = line.replace("SPEECH", golden("speech.wav").to_str().unwrap());
    let line = line.replace("TINY", golden("tiny").to_str().unwrap());
    let path = format!("{}:{}", Path::new(MIMI).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", &line]).current_dir(folder).env("PATH", path);
    command.stdin(Stdio::null()).output().unwrap()
}

pub(super) fn shell_ok(folder: &TempDir, line: &str) -> Output {
    let output = shell(folder, line);
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    output
}

/// What a terminal shows of `line`.
fn terminal(folder: &TempDir, line: &str) -> String {
    let output = shell(folder, &format!("TERM=xterm script -qec '{line}' /dev/null"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder `in` with recordings of `samples` samples, each a different piece of the golden one.
fn recordings(folder: &TempDir, count: usize, samples: usize) {
    let mut reader = hound::WavReader::open(golden("speech.wav")).unwrap();
    let spec = reader.spec();
    let speech: Vec<i16> = reader.samples().map(|sample| sample.unwrap()).collect();
    fs::create_dir(folder.path().join("in")).unwrap();
    for index in 0..count {
        let path = folder.path().join(format!("in/{index:03}.wav"));
        let mut wav = hound::WavWriter::create(path, spec).unwrap();
        let from = index * 331 % (speech.len() - samples);
        speech[from..from + samples].iter().for_each(|&sample| wav.write_sample(sample).unwrap());
        wav.finalize().unwrap();
    }
}

/// Names in a folder, but not the record that the tool keeps there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".mimi-made.jsonl");
    names.sort();
    names
}

#[test]
fn a_terminal_shows_progress_and_a_pipe_does_not() {
    let folder = folder();
    recordings(&folder, 12, 48_000);
    for (line, shown) in [
        ("mimi encode in out", "of 12 files"),
        ("mimi roundtrip SPEECH out.wav", "left"),
        ("mimi encode SPEECH out.mtok", "%"),
        ("mimi compare SPEECH", "%"),
    ] {
        let seen = terminal(&folder, line);
        assert!(seen.contains(shown) && seen.contains('\x1b'), "{line}: {seen:?}");
        fs::remove_dir_all(folder.path().join("out")).ok();
        let piped = shell_ok(&folder, line);
        let seen = stderr(&piped) + &String::from_utf8_lossy(&piped.stdout);
        assert!(!seen.contains('\x1b') && !seen.contains('\r'), "{line}: {seen:?}");
        fs::remove_dir_all(folder.path().join("out")).ok();
        let quiet = terminal(&folder, &format!("{line} --quiet"));
        assert!(!quiet.contains('\x1b') && !quiet.contains("toy"), "{line}: {quiet:?}");
        fs::remove_dir_all(folder.path().join("out")).ok();
    }
}

#[test]
fn a_terminal_is_neither_read_from_nor_filled_with_bytes() {
    let folder = folder();
    for (line, message) in [
        ("mimi encode -q - out.mtok", "standard input is a terminal"),
        ("mimi encode -q SPEECH -", "standard output is a terminal"),
        ("mimi plot -q SPEECH -", "standard output is a terminal"),
    ] {
        let seen = terminal(&folder, &format!("{line}; echo status $?"));
        assert!(seen.contains(message) && seen.contains("status 1"), "{line}: {seen:?}");
    }
}

#[test]
fn sox_and_ffmpeg_understand_the_pipes() {
    let folder = folder();
    shell_ok(&folder, "mimi roundtrip SPEECH direct.wav && mimi encode SPEECH direct.mtok");
    shell_ok(
        &folder,
        "sox SPEECH -t wav - | mimi encode - - | mimi decode - - | sox --ignore-length -t wav - sox.wav",
    );
    assert_eq!(wav(&folder, "sox.wav"), wav(&folder, "direct.wav"));
    let raw = "-t raw -r 24000 -e float -b 32 -c 1";
    shell_ok(
        &folder,
        &format!("sox SPEECH {raw} - | mimi roundtrip --raw --f32 - - | sox -D {raw} - -b 16 raw.wav"),
    );
    let (_, through_floats) = wav(&folder, "raw.wav");
    let (_, direct) = wav(&folder, "direct.wav");
    assert_eq!(through_floats.len(), direct.len());
    assert!(through_floats.iter().zip(&direct).all(|(a, b)| a.abs_diff(*b) <= 1));
    shell_ok(&folder, "ffmpeg -v error -i SPEECH -f wav - | mimi encode - ffmpeg.mtok");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("ffmpeg.mtok"), read("direct.mtok"));
    // and every kind of file that ffmpeg makes and the tool reads, at its own rate
    for name in ["a.flac", "a.ogg", "a.mp3", "a.aiff"] {
        let made = format!("ffmpeg -v error -i SPEECH -ar 44100 {name}");
        shell_ok(&folder, &format!("{made} && mimi roundtrip {name} back.wav"));
        let (spec, samples) = wav(&folder, "back.wav");
        assert_eq!(spec.sample_rate, 44_100, "{name}");
        // lossy formats may end in a block that is not full
        let expected = (SAMPLES * 441).div_ceil(240);
        assert!(samples.len().abs_diff(expected) <= 2_304, "{name}: {} of {expected}", samples.len());
    }
    shell_ok(&folder, "mimi plot -q SPEECH - | ffmpeg -v error -f png_pipe -i - -f null -");
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_a_word() {
    let folder = folder();
    let output =
        shell(&folder, "for i in {1..60}; do cat SPEECH; done | mimi roundtrip -q --raw - - | head -c 10000");
    // what a shell reports of a program that SIGPIPE ended
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(output.stdout.len(), 10_000);
    assert_eq!(stderr(&output), "");
    // nobody reads what is said either
    let output = shell(&folder, "mimi encode -q missing.wav out.mtok 2>&- ; echo $?");
    assert_eq!(output.stdout, b"1\n");
    let output = shell(
        &folder,
        "(sleep 0.3; mimi encode -q missing.wav out.mtok; echo $? >status) 2>&1 | true; sleep 1",
    );
    assert!(output.status.success());
    assert_eq!(fs::read(folder.path().join("status")).unwrap(), b"1\n");
}

/// Starts the encoding of `in` to `out` and waits for half of its `count` files.
fn half_way(folder: &TempDir, count: usize) -> Child {
    let mut child = Command::new(MIMI)
        .args(["encode", "--jobs", "2", "in", "out"])
        .current_dir(folder)
        .stderr(fs::File::create(folder.path().join("said")).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while names(&folder.path().join("out")).iter().filter(|name| name.ends_with(".mtok")).count() < count / 2
    {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(started.elapsed().as_secs() < 300, "it does not get on");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn a_folder_of_200_files_that_is_killed_half_way_goes_on() {
    const COUNT: usize = 200;
    let folder = folder();
    recordings(&folder, COUNT, 6_000);
    shell_ok(&folder, "mimi encode -q in expected");
    let out = folder.path().join("out");
    for signal in ["KILL", "TERM", "INT"] {
        let mut child = half_way(&folder, COUNT);
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let status = child.wait().unwrap();
        assert_eq!(status.code(), if signal == "KILL" { None } else { Some(130) }, "{signal}");
        let said = fs::read_to_string(folder.path().join("said")).unwrap();
        let told = said.starts_with("mimi: interrupted; files made: ") && said.lines().count() == 1;
        assert!(if signal == "KILL" { said.is_empty() } else { told }, "{signal}: {said}");
        let left = names(&out);
        let done: Vec<_> = left.iter().filter(|name| name.ends_with(".mtok")).collect();
        assert!((COUNT / 2..COUNT).contains(&done.len()), "{signal}: {} files", done.len());
        // what is there is whole; what is not whole has another name, and after a mere request to end, none
        for name in &done {
            let expected = fs::read(folder.path().join("expected").join(name)).unwrap();
            assert!(fs::read(out.join(name)).unwrap() == expected, "{signal}: {name}");
        }
        let unfinished: Vec<_> = left.iter().filter(|name| !name.ends_with(".mtok")).collect();
        assert!(
            unfinished.iter().all(|name| name.starts_with(".mimi-") && name.ends_with(".part")),
            "{left:?}"
        );
        assert!(unfinished.len() <= if signal == "KILL" { 2 } else { 0 }, "{signal}: {unfinished:?}");

        let before = fs::metadata(out.join(done[0])).unwrap().modified().unwrap();
        let again = stderr(&shell_ok(&folder, "mimi encode in out"));
        let (made, present) = (COUNT - done.len(), done.len());
        assert!(
            again.contains(&format!("files made: {made}, already there: {present}")),
            "{signal}: {again}"
        );
        assert_eq!(fs::metadata(out.join(done[0])).unwrap().modified().unwrap(), before);
        shell_ok(&folder, "diff -r -x .mimi-made.jsonl expected out && rm -r out");
    }
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_made() {
    let folder = folder();
    recordings(&folder, 9, 10_000);
    let locked = folder.path().join("in/004.wav");
    // root reads what it may not: for root, and for all others, a link that leads nowhere
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        fs::remove_file(&locked).unwrap();
        std::os::unix::fs::symlink("/proc/self/mem", &locked).unwrap();
    }
    let output = shell(&folder, "mimi encode in out");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("mimi: in/004.wav: ") && text.contains("1 of 9 files failed"), "{text}");
    assert_eq!(names(&folder.path().join("out")).len(), 8);
}

#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    let folder = folder();
    shell_ok(&folder, "mimi encode -q SPEECH codes.mtok");
    for line in [
        "mimi roundtrip -q SPEECH - > /dev/full",
        "mimi encode -q SPEECH - > /dev/full",
        "mimi encode -q --live SPEECH - > /dev/full",
        "mimi decode -q codes.mtok - > /dev/full",
        "mimi encode -q SPEECH /dev/full --format npy",
        "mimi plot -q SPEECH - > /dev/full",
        "mimi info > /dev/full",
        "mimi compare -q SPEECH > /dev/full",
        "mimi completions bash > /dev/full",
        "mimi man > /dev/full",
    ] {
        let output = shell(&folder, line);
        assert_eq!(output.status.code(), Some(1), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains("No space left on device"), "{line}: {}", stderr(&output));
    }
    // a limit on the size of files, where there is no small disk
    for line in [
        "mimi roundtrip -q SPEECH out.wav",
        "mimi plot -q SPEECH out.png",
        "mimi convert TINY out.safetensors",
        "mimi encode -q --format npy SPEECH out/",
    ] {
        let output = shell(&folder, &format!("trap '' XFSZ; ulimit -f 1; {line}"));
        assert_eq!(output.status.code(), Some(1), "{line}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panic"), "{}", stderr(&output));
        let left: Vec<_> =
            names(folder.path()).into_iter().filter(|name| name != "codes.mtok" && name != "out").collect();
        assert!(left.is_empty() && names(&folder.path().join("out")).is_empty(), "{line}: {left:?}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let folder = folder();
    let help = String::from_utf8(shell_ok(&folder, "mimi --help").stdout).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty()))
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 11, "{help}");
    for command in commands {
        let help = String::from_utf8(shell_ok(&folder, &format!("mimi {command} --help")).stdout).unwrap();
        assert!(help.contains("Example") && help.contains(&format!("mimi {command}")), "{help}");
    }
}
