//! Models by name: the cache of Hugging Face's tools, and downloads from a server of this file's own.

use super::*;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A command that sees no cache but `hub` in its folder, and no server but `endpoint`.
pub(super) fn command(folder: &TempDir, endpoint: &str, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimi"));
    let theirs = std::env::vars().map(|(name, _)| name);
    for name in theirs.filter(|name| name.starts_with("HF_") || name.to_lowercase().contains("proxy")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env("HF_HUB_CACHE", folder.path().join("hub")).env("HF_ENDPOINT", endpoint);
    let speech = golden("speech.wav");
    command.args(args.split_whitespace().map(|word| match word {
        "SPEECH" => speech.to_str().unwrap(),
        word => word,
    }));
    command
}

pub(super) fn run(folder: &TempDir, endpoint: &str, args: &str) -> Output {
    command(folder, endpoint, args).stdin(Stdio::null()).output().unwrap()
}

/// Expects status 1, and these words on standard error.
pub(super) fn refused(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    assert!(stderr(output).contains(words), "{}", stderr(output));
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Weights of the golden model `tiny`.
fn tiny_weights() -> Vec<u8> {
    fs::read(golden("tiny/model.safetensors")).unwrap()
}

/// What a server does.
#[derive(Clone)]
pub(super) struct Behaviour {
    /// Of each model but those of `missing` and `gated`; weights are elsewhere, as large files are.
    files: BTreeMap<String, Vec<u8>>,
    /// What it says that the SHA-256 of `model.safetensors` is; else the true one.
    digest: Option<String>,
    /// It ends each connection after so many bytes of the weights.
    most: usize,
    /// Whether it continues where a client wishes it to.
    ranges: bool,
}

impl Behaviour {
    fn good() -> Self {
        Self::with_weights(tiny_weights())
    }

    fn with_weights(weights: Vec<u8>) -> Self {
        let config = fs::read(golden("tiny/config.json")).unwrap();
        Self::with_files(&[("config.json", config), ("model.safetensors", weights)])
    }

    pub(super) fn with_files(files: &[(&str, Vec<u8>)]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
        Self { files: files.collect(), digest: None, most: usize::MAX, ranges: true }
    }

    /// What it calls the version of a file.
    fn version(&self, file: &str) -> String {
        match (file, &self.digest) {
            ("model.safetensors", Some(digest)) => digest.clone(),
            ("config.json", _) => "c0ffee".to_owned(),
            _ => sha256(&self.files[file]),
        }
    }
}

/// A server like Hugging Face's, in small; it ends with the test.
pub(super) struct Server {
    pub(super) endpoint: String,
    /// First lines and ranges of the requests so far.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // a client that was killed is no concern of the server's
                let _ = answer(&stream.unwrap(), &behaviour, &seen);
            }
        });
        Self { endpoint, requests }
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(stream: &TcpStream, behaviour: &Behaviour, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let Some(first) = lines.first() else { return Ok(()) };
    let lower: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let start =
        lower.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let token = lower.iter().any(|line| line == "authorization: bearer secret");
    seen.lock().unwrap().push(format!("{first} {start:?}{}", if token { " secret" } else { "" }));
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut stream = stream;
    let Behaviour { files, most, ranges, .. } = behaviour;
    let head = format!("Connection: close\r\nX-Repo-Commit: {COMMIT}\r\n");
    if let Some(file) = path.strip_prefix("/cdn/") {
        let start = start.filter(|_| *ranges).unwrap_or(0);
        let length = files[file].len();
        let status = match start {
            0 => "200 OK".to_owned(),
            _ => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{length}", length - 1),
        };
        let rest = files[file].get(start..).unwrap_or_default();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
        return stream.write_all(&rest[..rest.len().min(*most)]);
    }
    let is_missing = path.split('/').any(|word| word == "missing");
    if path.starts_with("/api/models/") && path.ends_with("/revision/main") && !is_missing {
        let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let list = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
        return write!(stream, "HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n{list}", list.len());
    }
    let file = path.split_once(&format!("/resolve/{COMMIT}/")).map_or("", |(_, file)| file);
    if path.split('/').any(|word| word == "gated") {
        return write!(stream, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    let Some(bytes) = files.get(file).filter(|_| !is_missing) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    };
    let (etag, length) = (behaviour.version(file), bytes.len());
    if file.ends_with(".json") {
        write!(stream, "HTTP/1.1 200 OK\r\n{head}ETag: \"{etag}\"\r\nContent-Length: {length}\r\n\r\n")?;
        return if method == "GET" { stream.write_all(bytes) } else { Ok(()) };
    }
    let linked = format!("X-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {length}\r\n");
    // to another host, as far as a client can tell
    let location =
        format!("Location: http://{}/cdn/{file}\r\nContent-Length: 0\r\n\r\n", stream.local_addr()?);
    write!(stream, "HTTP/1.1 302 Found\r\n{head}{linked}{location}")
}

/// Names of all files and links below `folder/hub`.
pub(super) fn cached(folder: &TempDir) -> Vec<String> {
    let root = folder.path().join("hub");
    let mut names = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => names.push(entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_checked_and_used_by_its_name() {
    let folder = folder();
    let server = Server::start(Behaviour::good());
    let missing = run(&folder, &server.endpoint, "encode -m test/tiny SPEECH a.npy");
    refused(&missing, "to download it: mimi fetch test/tiny");
    assert!(server.requests().is_empty(), "only fetch uses the network");

    let mut fetch = command(&folder, &server.endpoint, "fetch test/tiny");
    let output = fetch.env("HF_TOKEN", "secret").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).is_empty(), "no bar in a pipe");
    let snapshot = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    assert_eq!(snapshot, folder.path().join("hub/models--test--tiny/snapshots").join(COMMIT));
    let (weights, blob) = (snapshot.join("model.safetensors"), sha256(&tiny_weights()));
    assert_eq!(fs::read(&weights).unwrap(), tiny_weights());
    #[cfg(unix)]
    assert_eq!(fs::read_link(&weights).unwrap(), Path::new("../../blobs").join(&blob));
    let there = ["blobs/", "blobs/c0ffee", "refs/main"].map(|name| format!("models--test--tiny/{name}"));
    let (found, snapshots) = (cached(&folder), format!("models--test--tiny/snapshots/{COMMIT}/"));
    assert_eq!(
        found,
        [
            format!("{}{blob}", there[0]),
            there[1].clone(),
            there[2].clone(),
            format!("{snapshots}config.json"),
            format!("{snapshots}model.safetensors"),
        ]
    );
    // the token goes to the server, and not to where that sends us
    for request in server.requests() {
        assert_eq!(request.ends_with("secret"), !request.contains("/cdn"), "{request}");
    }

    let used = run(&folder, "http://127.0.0.1:1", "encode -q -m test/tiny SPEECH a.npy");
    assert!(used.status.success(), "{}", stderr(&used));
    ok(&folder, "encode -m TINY SPEECH b.npy");
    assert_eq!(npy(&folder.path().join("a.npy")), npy(&folder.path().join("b.npy")));

    // again: what is there is not fetched, unless it was damaged
    let before = server.requests().len();
    assert!(run(&folder, &server.endpoint, "fetch test/tiny").status.success());
    let asked = |request: &String| request.starts_with("HEAD") || request.starts_with("GET /api/");
    assert!(server.requests()[before..].iter().all(asked));
    let mut damaged = tiny_weights();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&weights, damaged).unwrap();
    assert!(run(&folder, &server.endpoint, "fetch test/tiny").status.success());
    assert_eq!(fs::read(&weights).unwrap(), tiny_weights());
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_how_far_a_download_is() {
    let folder = folder();
    let weights = vec![7; 20 << 20];
    let server = Server::start(Behaviour::with_weights(weights));
    let output = command(&folder, &server.endpoint, "fetch test/tiny");
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{} fetch test/tiny", env!("CARGO_BIN_EXE_mimi")), "/dev/null"]);
    for (name, value) in output.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let output = terminal.env("TERM", "xterm").current_dir(&folder).stdin(Stdio::null()).output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && seen.contains("of 20.00 MiB") && seen.contains(COMMIT), "{seen:?}");
}

#[test]
fn a_connection_that_breaks_is_taken_up_again() {
    for ranges in [true, false] {
        let folder = folder();
        let length = tiny_weights().len();
        // without ranges it must come at once
        let most = if ranges { length / 3 + 1 } else { usize::MAX };
        let server = Server::start(Behaviour { most, ranges, ..Behaviour::good() });
        let blobs = folder.path().join("hub/models--test--tiny/blobs");
        fs::create_dir_all(&blobs).unwrap();
        let incomplete = blobs.join(format!("{}.incomplete", sha256(&tiny_weights())));
        // what a run that was killed has left
        fs::write(&incomplete, &tiny_weights()[..1_000]).unwrap();
        let output = run(&folder, &server.endpoint, "fetch test/tiny");
        assert!(output.status.success(), "{}", stderr(&output));
        let snapshot = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
        assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), tiny_weights());
        assert!(!incomplete.exists());
        let requests = server.requests();
        let parts: Vec<_> = requests.iter().filter(|request| request.contains("/cdn")).collect();
        assert_eq!(parts.len(), if ranges { 3 } else { 1 }, "{requests:?}");
        assert!(parts[0].ends_with("Some(1000)"), "{requests:?}");
    }
}

#[test]
fn a_server_that_gives_nothing_is_given_up_and_what_came_is_kept() {
    let folder = folder();
    let server = Server::start(Behaviour { most: 0, ..Behaviour::good() });
    refused(&run(&folder, &server.endpoint, "fetch test/tiny"), "what is there is kept");
    refused(&run(&folder, &server.endpoint, "encode -m test/tiny SPEECH a.npy"), "mimi fetch test/tiny");
    let server = Server::start(Behaviour::good());
    assert!(run(&folder, &server.endpoint, "fetch test/tiny").status.success());
}

#[test]
fn what_has_another_digest_is_refused_and_not_kept() {
    let folder = folder();
    let digest = sha256(b"something else");
    let server = Server::start(Behaviour { digest: Some(digest.clone()), ..Behaviour::good() });
    refused(&run(&folder, &server.endpoint, "fetch test/tiny"), &format!("expected {digest}"));
    assert_eq!(cached(&folder), ["models--test--tiny/blobs/c0ffee"], "the config alone");
    refused(&run(&folder, &server.endpoint, "info test/tiny"), "mimi fetch test/tiny");
}

#[test]
fn digests_may_be_in_capitals() {
    let folder = folder();
    let digest = sha256(&tiny_weights()).to_uppercase();
    let server = Server::start(Behaviour { digest: Some(digest), ..Behaviour::good() });
    let output = run(&folder, &server.endpoint, "fetch test/tiny");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The versions of a model's files are names in one folder.
#[test]
fn weights_of_the_same_version_as_the_config_are_refused() {
    let folder = folder();
    let server = Server::start(Behaviour { digest: Some("c0ffee".to_owned()), ..Behaviour::good() });
    refused(&run(&folder, &server.endpoint, "fetch test/tiny"), "the same version as config.json, c0ffee");
    assert_eq!(cached(&folder), ["models--test--tiny/blobs/c0ffee"]);
}

#[test]
fn kyutai_mimi_is_what_was_published_or_nothing() {
    let published = "bac7e85083dcded655d24eaadde7e6eea34c0da1b35fa2d284e641bd2b942a5e";
    let folder = folder();
    // another version, said openly
    let server = Server::start(Behaviour::good());
    refused(&run(&folder, &server.endpoint, "fetch"), &format!("not the published one, {published}"));
    // another version under the published name: its size tells, before a byte of it comes
    let server = Server::start(Behaviour { digest: Some(published.to_owned()), ..Behaviour::good() });
    refused(
        &run(&folder, &server.endpoint, "fetch kyutai/mimi"),
        &format!("not the published one, {published}"),
    );
    assert!(!server.requests().iter().any(|request| request.contains("/cdn")));
    assert_eq!(cached(&folder), ["models--kyutai--mimi/blobs/c0ffee"]);
}

#[test]
fn no_server_no_model_and_no_permission_are_told_apart() {
    let folder = folder();
    let server = Server::start(Behaviour::good());
    refused(&run(&folder, &server.endpoint, "fetch missing/model"), "not found (HTTP status 404)");
    let gated = "/config.json: no such model, or not open to all (HF_TOKEN gives access to yours and to those whose \
                 terms you accepted) (HTTP status 403)";
    refused(&run(&folder, &server.endpoint, "fetch gated/model"), gated);
    refused(
        &run(&folder, "http://127.0.0.1:1", "fetch test/tiny"),
        "http://127.0.0.1:1/api/models/test/tiny/revision/main",
    );
    let output = run(&folder, &server.endpoint, "fetch mimi");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("mimi: mimi: not a name"));
    let before = server.requests().len();
    let mut offline = command(&folder, &server.endpoint, "fetch test/tiny");
    refused(&offline.env("HF_HUB_OFFLINE", "1").output().unwrap(), "HF_HUB_OFFLINE forbids");
    assert_eq!(server.requests().len(), before);
    assert!(run(&folder, &server.endpoint, "fetch test/tiny").status.success());
    let mut offline = command(&folder, &server.endpoint, "fetch test/tiny");
    assert!(offline.env("HF_HUB_OFFLINE", "1").output().unwrap().status.success());
}

/// A cache as Python's `huggingface_hub` leaves it.
#[test]
fn models_are_found_wherever_the_environment_says() {
    let folder = folder();
    let places: [(&str, &str, &str); 4] = [
        ("HF_HUB_CACHE", "a", "a"),
        ("HF_HOME", "b", "b/hub"),
        ("XDG_CACHE_HOME", "c", "c/huggingface/hub"),
        ("HOME", "d", "d/.cache/huggingface/hub"),
    ];
    for (variable, value, hub) in places {
        let model = folder.path().join(hub).join("models--test--tiny");
        let snapshot = model.join("snapshots").join(COMMIT);
        for part in [&snapshot, &model.join("refs")] {
            fs::create_dir_all(part).unwrap();
        }
        fs::write(model.join("refs/main"), COMMIT).unwrap();
        for name in ["model.safetensors", "config.json"] {
            fs::copy(golden("tiny").join(name), snapshot.join(name)).unwrap();
        }
        let mut info = command(&folder, "http://127.0.0.1:1", "info test/tiny");
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"] {
            info.env_remove(name);
        }
        let output = info.env(variable, folder.path().join(value)).output().unwrap();
        assert!(output.status.success(), "{variable}: {}", stderr(&output));
        assert!(String::from_utf8(output.stdout).unwrap().contains("64 values, 6 bits"), "{variable}");
    }
    // a path that is there wins
    fs::create_dir_all(folder.path().join("test/tiny")).unwrap();
    let mut info = command(&folder, "http://127.0.0.1:1", "info test/tiny");
    refused(
        &info.env("HF_HUB_CACHE", folder.path().join("a")).output().unwrap(),
        "test/tiny: no model in it",
    );
}
