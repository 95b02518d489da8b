//! Files and servers that mean harm, as far as the tool meets them.

use super::{
    fetch::{COMMIT, refused, run},
    *,
};
use std::{
    io::{self, BufRead, BufReader},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// An array of so many values that their number wraps to 0.
fn wrapping_npy() -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\0\x4d\0{'descr': '<i4', 'fortran_order': False, ".to_vec();
    bytes.extend(b"'shape': (1024, 18014398509481984)}\n");
    bytes
}

#[test]
fn an_array_of_more_values_than_can_be_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("a.npy"), wrapping_npy()).unwrap();
    let message = "mimi: a.npy: an array of shape [1024, 18014398509481984]; expected fewer values";
    for args in ["info a.npy", "decode -q a.npy b.wav", "reduce -n 1 a.npy b.npy"] {
        fails(&folder, args, message);
    }
}

#[test]
fn a_long_header_is_not_quoted_whole() {
    let folder = folder();
    let mut header = b"\x93NUMPY\x02\0".to_vec();
    header.extend(3_000_000u32.to_le_bytes());
    header.resize(3_000_000, b'(');
    fs::write(folder.path().join("a.npy"), &header).unwrap();
    let mut short = b"\x93NUMPY\x01\0\x00\xf0".to_vec();
    short.resize(10 + 0xf000, b'(');
    fs::write(folder.path().join("b.npy"), &short).unwrap();
    for name in ["a.npy", "b.npy"] {
        let output = mimi(&folder, &format!("info {name}"));
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.len() < 2_000, "{} bytes", output.stderr.len());
    }
}

#[cfg(unix)]
#[test]
fn names_and_contents_do_not_speak_to_the_terminal() {
    let folder = folder();
    let name = "a\u{1b}]0;owned\u{7}\u{202e}\n.wav";
    let long = format!("{}.npy", "é".repeat(120));
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in").join(name), "no audio").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("in/b\u{9b}31m.wav")).unwrap();
    fs::write(folder.path().join(&long), "no codes").unwrap();
    let kind = r#"{"codes":{"dtype":"\u001b[31mI32\u009b","shape":[1,1],"data_offsets":[0,4]}}"#;
    let tensors = [&(kind.len() as u64).to_le_bytes()[..], kind.as_bytes(), &[0; 4]].concat();
    fs::write(folder.path().join("c.safetensors"), tensors).unwrap();
    for args in ["encode in out", &format!("decode {long} d.wav"), "decode c.safetensors d.wav", "info in"] {
        let output = mimi(&folder, args);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output) + &String::from_utf8(output.stdout).unwrap();
        let is_plain = |c: char| c == '\n' || !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
        assert!(text.chars().all(is_plain), "mimi {args}: {text:?}");
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with("mimi: ")), "{text:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_among_the_outputs_does_not_stop_a_batch() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("out")).unwrap();
    for name in ["a.wav", "b.wav"] {
        fs::copy(golden("speech.wav"), folder.path().join(name)).unwrap();
    }
    for name in ["out/.mimi-x.part", "out/.mimi-made.jsonl"] {
        let _ = fs::remove_file(folder.path().join(name));
        assert!(Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap().success());
        let mut child = Command::new("timeout")
            .args(["60", env!("CARGO_BIN_EXE_mimi"), "encode", "--overwrite", "-q", "a.wav", "b.wav", "out/"])
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let status = child.wait().unwrap();
        assert_ne!(status.code(), Some(124), "it hangs at {name}");
        assert!(folder.path().join("out/a.mtok").exists() && folder.path().join("out/b.mtok").exists());
    }
}

/// Sparse files: what is told of them does not need them in memory.
#[cfg(target_os = "linux")]
#[test]
fn a_long_file_of_codes_is_read_in_little_memory() {
    let folder = folder();
    let path = folder.path().join("a.mimi");
    fs::write(&path, b"MIMI\x20\0\0\0").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(8 + (256 << 20)).unwrap();
    // 128 MB of address space beside the file's 256 MB
    let line = format!("ulimit -v 384000; {} info a.mimi", env!("CARGO_BIN_EXE_mimi"));
    let output = Command::new("bash").args(["-c", &line]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(number(&output.stdout, "frames"), (128 << 20) as f64 / 32.0);
}

/// What a server that tells no lengths has: the config, the weights, what it calls their versions, and
/// whether it goes on after them for ever.
#[derive(Clone)]
struct Files {
    config: Vec<u8>,
    weights: Vec<u8>,
    etags: [&'static str; 2],
    endless: [bool; 2],
}

impl Files {
    fn good() -> Self {
        let read = |name: &str| fs::read(golden("tiny").join(name)).unwrap();
        let [config, weights] = ["config.json", "model.safetensors"].map(read);
        Self { config, weights, etags: ["c", "w"], endless: [false, false] }
    }

    /// Returns where it is, and a count of the bytes that it could send.
    fn serve(self) -> (String, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // a client that has enough hangs up
                let _ = self.answer(&stream.unwrap(), &count);
            }
        });
        (endpoint, sent)
    }

    fn answer(&self, mut stream: &TcpStream, sent: &AtomicU64) -> io::Result<()> {
        let lines: Vec<String> = BufReader::new(stream)
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let Some(first) = lines.first() else { return Ok(()) };
        if first.contains("/api/models/") {
            let siblings = r#"[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]"#;
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{\"sha\":\"{COMMIT}\",\"siblings\":{siblings}}}"
            );
        }
        let index = usize::from(first.contains("model.safetensors"));
        let (etag, body) = (self.etags[index], [&self.config, &self.weights][index]);
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"{etag}\"");
        write!(stream, "{head}\r\n\r\n")?;
        if first.starts_with("HEAD") {
            return Ok(());
        }
        stream.write_all(body)?;
        if self.endless[index] {
            loop {
                stream.write_all(&[b' '; 1 << 16])?;
                sent.fetch_add(1 << 16, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[test]
fn a_server_that_tells_no_length_is_not_listened_to_for_ever() {
    let good = folder();
    let (endpoint, _) = Files::good().serve();
    let output = run(&good, &endpoint, "fetch test/tiny");
    assert!(output.status.success(), "{}", stderr(&output));
    for (endless, message) in [
        ([true, false], "more than 16777216 bytes come".to_owned()),
        ([false, true], format!("more than {} bytes come", Files::good().weights.len())),
    ] {
        let folder = folder();
        let (endpoint, sent) = Files { endless, ..Files::good() }.serve();
        refused(&run(&folder, &endpoint, "fetch test/tiny"), &message);
        // and what was on its way
        assert!(sent.load(Ordering::Relaxed) < 64 << 20);
    }
    // what ends before its own end is not whole
    let folder = folder();
    let mut cut = Files::good();
    cut.weights.pop();
    let (endpoint, _) = cut.serve();
    assert_eq!(run(&folder, &endpoint, "fetch test/tiny").status.code(), Some(1));
}

#[test]
fn versions_of_two_files_are_not_one_file() {
    let folder = folder();
    let (endpoint, _) = Files { etags: ["w.incomplete", "w"], ..Files::good() }.serve();
    refused(&run(&folder, &endpoint, "fetch test/tiny"), "the answer tells no version");
}

#[cfg(unix)]
#[test]
fn links_that_others_put_into_a_cache_are_not_followed() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let blobs = folder.path().join("hub/models--test--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, blobs.join("c.incomplete")).unwrap();
    let (endpoint, _) = Files::good().serve();
    refused(&run(&folder, &endpoint, "fetch test/tiny"), "blobs/c.incomplete: ");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    fs::remove_file(blobs.join("c.incomplete")).unwrap();
    // and a pipe does not keep it waiting
    assert!(Command::new("mkfifo").arg(blobs.join("c")).status().unwrap().success());
    let output = run(&folder, &endpoint, "fetch test/tiny");
    assert!(output.status.success(), "{}", stderr(&output));
}
