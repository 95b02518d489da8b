//! One file from a server to disk, in as many goes as it takes.

use super::{cache::INCOMPLETE, server::GIT};
use crate::{
    failure::{Failure, Outcome},
    output, progress,
};
use indicatif::ProgressBar;
use safetensors::tensor::Metadata;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::Duration,
};
use ureq::{Agent, Body, http::Response};

/// Connections that bring nothing, one after the other, until it is given up.
const ATTEMPTS: u32 = 4;
/// How long a server may be silent, before its answer or within it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes read at a time.
const BLOCK: usize = 1 << 16;
/// Bytes of a config, an index or a list of files, and of a header of weights, that are taken. Real ones have some
/// thousands.
pub(super) const MOST_TEXT: u64 = 16 << 20;

/// What is fetched, and how it is known that it is that.
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    pub(super) token: Option<&'a str>,
    /// Bytes, if the server told.
    pub(super) size: Option<u64>,
    pub(super) kind: Kind,
    /// Digits of the SHA-256, or of Git's SHA-1, if known.
    pub(super) digest: Option<&'a str>,
}

/// What kind of file is fetched: how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Safetensors, whose header tells its length.
    Weights,
}

impl Wanted<'_> {
    /// Bytes that are taken, as far as it is known from what the server told and what of it is in `file`.
    fn most(&self, file: &mut File) -> Outcome<u64> {
        match (self.kind, self.size) {
            (Kind::Text, Some(size)) if size <= MOST_TEXT => Ok(size),
            (Kind::Text, Some(size)) => {
                Err(self.refused(file, format_args!("{size} bytes; expected {MOST_TEXT} at the most")))
            }
            (Kind::Text, None) => Ok(MOST_TEXT),
            (Kind::Weights, Some(size)) => Ok(size),
            (Kind::Weights, None) => self.most_by_header(file),
        }
    }

    fn most_by_header(&self, file: &mut File) -> Outcome<u64> {
        const LENGTH: u64 = 8;
        let mut bytes = Vec::new();
        let mut read = |end: u64, bytes: &mut Vec<u8>| -> io::Result<()> {
            bytes.clear();
            file.seek(SeekFrom::Start(0))?;
            file.take(end).read_to_end(bytes)?;
            Ok(())
        };
        read(LENGTH, &mut bytes).map_err(|error| Failure::system(&error))?;
        let Ok(length) = <[u8; 8]>::try_from(&bytes[..]).map(u64::from_le_bytes) else { return Ok(LENGTH) };
        if length > MOST_TEXT {
            let found = format_args!("a header of {length} bytes; expected {MOST_TEXT} at the most");
            return Err(self.refused(file, found));
        }
        let start = LENGTH + length;
        read(start, &mut bytes).map_err(|error| Failure::system(&error))?;
        if (bytes.len() as u64) < start {
            return Ok(start);
        }
        match serde_json::from_slice::<Metadata>(&bytes[LENGTH as usize..]) {
            Ok(header) => Ok(start.saturating_add(header.data_len() as u64)),
            Err(error) => Err(self.refused(file, format_args!("no header of safetensors: {error}"))),
        }
    }

    /// What came, which is in `file`, is not what is wanted: the next call is not to go on from it.
    fn refused(&self, file: &File, found: impl std::fmt::Display) -> Failure {
        // what was found stays the news
        let _ = file.set_len(0);
        Failure::new(format!("{}: {found}", self.url))
    }
}

/// An agent that waits for an answer, and for each part of it, but not for ever.
pub(super) fn agent(patience: Duration) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .http_status_as_error(false)
        .user_agent(concat!("mimi/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Fetches what is `wanted` to `path`. Until it is whole and checked it stands beside it, as
/// `….incomplete`, and a later call goes on where an earlier one was cut off.
pub(super) fn download(agent: &Agent, wanted: &Wanted, path: &Path, quiet: bool) -> Outcome {
    let mut name = path.as_os_str().to_owned();
    name.push(INCOMPLETE);
    let incomplete = Path::new(&name);
    let failed = |error: io::Error| Failure::io(incomplete, &error);
    // Others may write to a cache, and have put a link or a pipe there.
    let mut options = OpenOptions::new();
    let mut file =
        output::open_plain(options.read(true).append(true).create(true), incomplete).map_err(failed)?;
    if file.try_lock().is_err() {
        return Err(Failure::at(incomplete, "somebody else is fetching it"));
    }
    fill(agent, wanted, &mut file, incomplete, quiet)?;
    file.sync_all().map_err(failed)?;
    let checked = check(wanted, &mut file, incomplete);
    if checked.is_err() {
        // to begin anew the next time; what failed stays the news
        let _ = std::fs::remove_file(incomplete);
    }
    checked?;
    std::fs::rename(incomplete, path).map_err(failed)
}

/// Appends what is missing.
fn fill(agent: &Agent, wanted: &Wanted, file: &mut File, path: &Path, quiet: bool) -> Outcome {
    let length =
        |file: &File| file.metadata().map(|data| data.len()).map_err(|error| Failure::io(path, &error));
    let bar = progress::bytes(wanted.size, quiet);
    // What was there at most: a server that cannot continue begins anew each time.
    let (mut most, mut idle) = (length(file)?, 0);
    while wanted.size != Some(length(file)?) {
        let end = receive(agent, wanted, file, path, &bar)?;
        let now = length(file)?;
        let is_whole = match (wanted.kind, wanted.size) {
            (_, Some(size)) => now >= size,
            (Kind::Text, None) => end.is_none(),
            (Kind::Weights, None) => now >= wanted.most(file)?,
        };
        if is_whole {
            break;
        }
        idle = if now > most { 0 } else { idle + 1 };
        if idle == ATTEMPTS {
            let reason = end.unwrap_or_else(|| "the connection ended".to_owned());
            let more = "what is there is kept, and the same command goes on from it";
            return Err(Failure::new(format!("{}: {reason}; {more}", wanted.url)));
        }
        thread::sleep(Duration::from_millis(500) * idle);
        most = most.max(now);
    }
    Ok(())
}

/// Appends what comes on one connection; returns what broke it, in words.
fn receive(
    agent: &Agent,
    wanted: &Wanted,
    file: &mut File,
    path: &Path,
    bar: &ProgressBar,
) -> Outcome<Option<String>> {
    let failed = |error: io::Error| Failure::io(path, &error);
    let mut present = file.metadata().map_err(failed)?.len();
    let response = match request(agent, wanted, present) {
        Ok(response) => response,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let status = response.status().as_u16();
    if ![200, 206, 416].contains(&status) {
        return Err(refusal(wanted.url, &response));
    }
    let continues = status == 206 && first_byte(&response) == Some(present);
    if !continues {
        // from the beginning, because it does not continue here or what is here is too long
        file.set_len(0).map_err(failed)?;
        present = 0;
    }
    bar.set_position(present);
    if status == 416 {
        return Ok(Some("there is no more than is here".to_owned()));
    }
    if status == 206 && !continues {
        return Ok(Some("another part than was asked for comes".to_owned()));
    }
    let (mut body, mut block) = (response.into_body().into_reader(), vec![0; BLOCK]);
    let mut most = wanted.most(file)?;
    loop {
        if present >= most {
            // By now more of the header may be there.
            most = wanted.most(file)?;
        }
        let is_full = present >= most;
        let room = if is_full { 1 } else { (most - present).min(BLOCK as u64) as usize };
        match body.read(&mut block[..room]) {
            Ok(0) => return Ok(None),
            Ok(_) if is_full => return Err(wanted.refused(file, format_args!("more than {most} bytes come"))),
            Ok(read) => {
                file.write_all(&block[..read]).map_err(failed)?;
                present += read as u64;
                bar.inc(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
}

/// Asks for the bytes from `start` on.
fn request(agent: &Agent, wanted: &Wanted, start: u64) -> Result<Response<Body>, ureq::Error> {
    // Redirections, to where large files are, do not get the token.
    let mut request = agent.get(wanted.url);
    if let Some(token) = wanted.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    if start > 0 {
        request = request.header("Range", format!("bytes={start}-"));
    }
    request.call()
}

/// Where the part of a file begins that comes.
fn first_byte(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// What a server's no means.
pub(super) fn refusal(url: &str, response: &Response<Body>) -> Failure {
    let status = response.status();
    let meaning = match status.as_u16() {
        401 | 403 => {
            "no such model, or not open to all (HF_TOKEN gives access to yours and to those whose terms you accepted)"
        }
        404 => "not found",
        _ => "the server refused",
    };
    Failure::new(format!("{url}: {meaning} (HTTP status {})", status.as_u16()))
}

/// That `file`, at `path`, is what is wanted.
pub(super) fn check(wanted: &Wanted, file: &mut File, path: &Path) -> Outcome {
    let failed = |error: io::Error| Failure::io(path, &error);
    let size = file.metadata().map_err(failed)?.len();
    if let Some(expected) = wanted.size.filter(|&expected| expected != size) {
        return Err(Failure::new(format!("{}: it has {size} bytes; expected {expected}", wanted.url)));
    }
    let Some(expected) = wanted.digest else { return Ok(()) };
    let (kind, found) = match expected.len() {
        GIT => {
            // Git hashes a line of its own before the content, and mirrors that are no Git the content alone.
            let git = digest(Sha1::new_with_prefix(format!("blob {size}\0")), file).map_err(failed)?;
            let plain = digest(Sha1::new(), file).map_err(failed)?;
            ("SHA-1 as Git's blob", if plain == expected { plain } else { git })
        }
        _ => ("SHA-256", digest(Sha256::new(), file).map_err(failed)?),
    };
    if found != expected {
        return Err(Failure::new(format!("{}: its {kind} is {found}; expected {expected}", wanted.url)));
    }
    Ok(())
}

/// The digits of a file's digest.
fn digest(mut hash: impl Digest, file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&block[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn wanted(url: &str) -> Wanted<'_> {
        Wanted { url, token: None, size: None, kind: Kind::Text, digest: None }
    }

    #[test]
    fn a_server_that_falls_silent_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789").unwrap();
            stream
        });
        let mut file = tempfile::tempfile().unwrap();
        let agent = agent(Duration::from_millis(200));
        let (wanted, bar) = (wanted(&url), ProgressBar::hidden());
        let end = receive(&agent, &wanted, &mut file, Path::new("file"), &bar).unwrap();
        assert!(end.as_ref().is_some_and(|end| end.contains("timeout")), "{end:?}");
        assert_eq!(file.metadata().unwrap().len(), 10, "what came is kept");
        drop(server.join().unwrap());
    }

    #[test]
    fn contents_are_known_by_what_git_calls_them() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello\n").unwrap();
        let mut checked =
            |digest| check(&Wanted { digest: Some(digest), ..wanted("u") }, &mut file, Path::new("file"));
        // `git hash-object`, and `sha1sum`
        for digest in ["ce013625030ba8dba906f756967f9e9ca394464a", "f572d396fae9206628714fb2ce00f72e94f2258f"]
        {
            assert!(checked(digest).is_ok(), "{digest}");
        }
        let other = checked("ce013625030ba8dba906f756967f9e9ca394464b").unwrap_err().to_string();
        let found =
            "its SHA-1 as Git's blob is ce013625030ba8dba906f756967f9e9ca394464a; expected ce013625030";
        assert!(other.contains(found), "{other}");
    }
}
