//! Servers and caches that are not as they should be, and what `mimi fetch` makes of them.

use super::{
    fetch::{COMMIT, command, refused, run},
    *,
};
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

/// A request: its method, its path, and the first byte that is asked for.
type Request = (String, String, usize);

/// A server that answers with what `answer` returns and closes each connection. Returns where it is, and its requests
/// so far. It ends with the test.
fn serve(
    mut answer: impl FnMut(&str, &str, usize) -> Vec<u8> + Send + 'static,
) -> (String, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = |line: &String| {
                line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok()
            };
            let start = lines.iter().find_map(range).unwrap_or(0);
            let mut words = lines.first().map_or("", String::as_str).split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            seen.lock().unwrap().push((method.to_owned(), path.to_owned(), start));
            let mut bytes = answer(method, path, start);
            if method == "HEAD" {
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
                bytes.truncate(end + 4);
            }
            // a client that has enough hangs up
            let _ = stream.write_all(&bytes);
        }
    });
    (endpoint, requests)
}

/// An answer that tells `length` and brings `body`.
fn response(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn list(names: &[&str]) -> Vec<u8> {
    let siblings: Vec<_> = names.iter().map(|name| serde_json::json!({ "rfilename": name })).collect();
    let list = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
    response("200 OK", list.len(), list.as_bytes())
}

fn tiny(file: &str) -> Vec<u8> {
    fs::read(golden("tiny").join(file)).unwrap()
}

/// Answers for the golden model `tiny`, whose versions are no digests.
fn answer_tiny(path: &str) -> Vec<u8> {
    if path.contains("/api/") {
        return list(&["config.json", "model.safetensors"]);
    }
    let file = path.rsplit('/').next().unwrap();
    let bytes = tiny(file);
    response(&format!("200 OK\r\nETag: \"version-of-{file}\""), bytes.len(), &bytes)
}

/// The same command with so many kilobytes of memory and 20 seconds of time.
#[cfg(target_os = "linux")]
fn limited(folder: &TempDir, endpoint: &str, args: &str, kilobytes: u32) -> Output {
    let line = format!("ulimit -v {kilobytes}; timeout 20 {} {args}", env!("CARGO_BIN_EXE_mimi"));
    let mut limited = Command::new("bash");
    limited.args(["-c", &line]).current_dir(folder);
    for (name, value) in command(folder, endpoint, args).get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.output().unwrap()
}

fn assert_config(folder: &TempDir, endpoint: &str) {
    let output = run(folder, endpoint, "fetch test/tiny");
    assert!(output.status.success(), "{}", stderr(&output));
    let snapshot = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    assert_eq!(fs::read(snapshot.join("config.json")).unwrap(), tiny("config.json"));
}

#[test]
fn another_part_than_was_asked_for_is_not_taken() {
    for range in ["", "\r\nContent-Range: bytes 0-399/400", "\r\nContent-Range: bytes */400"] {
        let folder = folder();
        let config = tiny("config.json");
        let mut is_cut = true;
        let (endpoint, requests) = serve(move |method, path, start| {
            if !path.ends_with("config.json") {
                return answer_tiny(path);
            }
            if start > 0 {
                return response(&format!("206 Partial Content{range}"), 400, &[b'X'; 400]);
            }
            let most = if std::mem::replace(&mut is_cut, method == "HEAD") { 10 } else { config.len() };
            response("200 OK\r\nETag: \"version\"", config.len(), &config[..most])
        });
        assert_config(&folder, &endpoint);
        let requests = requests.lock().unwrap();
        let starts =
            requests.iter().filter(|(method, path, _)| method == "GET" && path.ends_with("config.json"));
        assert_eq!(starts.map(|(_, _, start)| *start).collect::<Vec<_>>(), [0, 10, 0], "{range:?}");
    }
}

#[test]
fn what_is_longer_than_was_told_is_not_kept() {
    let folder = folder();
    let serve_config = |more: usize| {
        let config = tiny("config.json");
        serve(move |method, path, _| match path.ends_with("config.json") {
            true => {
                let body = [&config[..], &vec![b'X'; more]].concat();
                let length = if method == "HEAD" { config.len() } else { body.len() };
                response("200 OK\r\nETag: \"version\"", length, &body)
            }
            false => answer_tiny(path),
        })
    };
    let incomplete = folder.path().join("hub/models--test--tiny/blobs/version.incomplete");
    let message = format!("more than {} bytes come", tiny("config.json").len());
    refused(&run(&folder, &serve_config(9).0, "fetch test/tiny"), &message);
    assert_eq!(fs::metadata(&incomplete).unwrap().len(), 0);
    assert_config(&folder, &serve_config(0).0);
}

/// It breaks off after some bytes and after one more in turn, always from the beginning.
#[test]
fn a_server_that_gets_no_further_is_given_up() {
    let folder = folder();
    let mut round = 0;
    let (endpoint, requests) = serve(move |method, path, _| {
        let mut bytes = answer_tiny(path);
        if method == "GET" && path.ends_with("model.safetensors") {
            round += 1;
            bytes.truncate(2_000 + round % 2);
        }
        bytes
    });
    refused(&run(&folder, &endpoint, "fetch test/tiny"), "what is there is kept");
    assert!(requests.lock().unwrap().len() < 16);
}

#[test]
fn a_list_of_folders_within_folders_is_not_followed_for_ever() {
    let long = "speech_tokenizer/".repeat(20_000) + "x";
    for (name, message) in [
        (long.as_str(), "no weights found"),
        ("speech_tokenizer/speech_tokenizer/x", "its codec is in the subfolder speech_tokenizer"),
    ] {
        let folder = folder();
        let answer = list(&[name]);
        let (endpoint, _) = serve(move |_, _, _| answer.clone());
        refused(&run(&folder, &endpoint, "fetch test/tiny"), message);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_list_of_nothing_is_read_in_little_memory() {
    let folder = folder();
    let siblings = vec![r#"{"":0}"#; 1 << 20].join(",");
    let list = format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{siblings}]}}");
    let answer = response("200 OK", list.len(), list.as_bytes());
    let (endpoint, _) = serve(move |_, _, _| answer.clone());
    // values of serde_json would take 700 MB
    refused(&limited(&folder, &endpoint, "fetch test/tiny", 384_000), "no weights found");
}

#[test]
fn an_answer_that_is_no_list_is_refused() {
    for (text, found) in [
        ("<html>", "expected value"),
        ("{}", "missing field `sha`"),
        (r#"{"sha":"c0"}"#, "missing field `siblings`"),
        (r#"{"sha":"../c0","siblings":[]}"#, "it tells no commit"),
    ] {
        let folder = folder();
        let (endpoint, _) = serve(move |_, _, _| response("200 OK", text.len(), text.as_bytes()));
        let message = format!("the answer is no list of files: {found}");
        refused(&run(&folder, &endpoint, "fetch test/tiny"), &message);
    }
}

#[test]
fn shards_that_are_not_in_the_list_are_not_asked_for() {
    let weights = tiny("model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    for shard in ["x#y.safetensors", ".hid.safetensors", "other.safetensors"] {
        let folder = folder();
        let map: serde_json::Map<_, _> =
            tensors.names().into_iter().map(|name| (name.to_owned(), shard.into())).collect();
        let index = serde_json::json!({ "weight_map": map }).to_string();
        let (endpoint, requests) = serve(move |_, path, _| {
            let (etag, body) = match path.rsplit('/').next() {
                Some("config.json") => ("c", tiny("config.json")),
                Some("m.safetensors.index.json") => ("i", index.clone().into_bytes()),
                Some("main") => return list(&["config.json", "m.safetensors.index.json", "x#y.safetensors"]),
                _ => ("w", tiny("model.safetensors")),
            };
            response(&format!("200 OK\r\nETag: \"{etag}\""), body.len(), &body)
        });
        let message = format!("m.safetensors.index.json names {shard:?}; expected one of the model's files");
        refused(&run(&folder, &endpoint, "fetch test/tiny"), &message);
        let (_, last, _) = requests.lock().unwrap().last().cloned().unwrap();
        assert!(last.ends_with("m.safetensors.index.json"), "{last}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_and_devices_in_a_cache_keep_nobody_waiting() {
    for (file, link, message) in [
        ("refs/main", None, "to download it: mimi fetch test/tiny"),
        ("snapshots/c0/config.json", None, "config.json: not a regular file"),
        ("snapshots/c0/config.json", Some("/dev/zero"), "config.json: not a regular file"),
    ] {
        let folder = folder();
        let model = folder.path().join("hub/models--test--tiny");
        let snapshot = model.join("snapshots/c0");
        fs::create_dir_all(model.join("refs")).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(model.join("refs/main"), "c0").unwrap();
        fs::write(snapshot.join("model.safetensors"), tiny("model.safetensors")).unwrap();
        let file = model.join(file);
        let _ = fs::remove_file(&file);
        match link {
            Some(target) => std::os::unix::fs::symlink(target, &file).unwrap(),
            None => assert!(Command::new("mkfifo").arg(&file).status().unwrap().success()),
        }
        // a device without end would fill the memory first
        refused(&limited(&folder, "http://127.0.0.1:1", "info test/tiny", 2_000_000), message);
    }
}
