//! One file from a server to disk, in as many goes as it takes.

use crate::{
    failure::{Failure, Outcome},
    progress,
};
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};
use ureq::{Agent, Body, http::Response};

/// Connections that bring nothing, one after the other, until it is given up.
const ATTEMPTS: u32 = 4;
/// Bytes read at a time.
const BLOCK: usize = 1 << 16;

/// What is fetched, and how it is known that it is that.
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    pub(super) token: Option<&'a str>,
    /// Bytes, if the server told.
    pub(super) size: Option<u64>,
    /// Digits of the SHA-256, if known.
    pub(super) sha256: Option<&'a str>,
}

/// An agent that waits for an answer, but not for ever.
pub(super) fn agent() -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .user_agent(concat!("mimi/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Fetches what is `wanted` to `path`. Until it is whole and checked it stands beside it, as
/// `….incomplete`, and a later call goes on where an earlier one was cut off.
pub(super) fn download(agent: &Agent, wanted: &Wanted, path: &Path, quiet: bool) -> Outcome {
    let mut name = path.as_os_str().to_owned();
    name.push(".incomplete");
    let incomplete = Path::new(&name);
    let failed = |error: io::Error| Failure::io(incomplete, &error);
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(incomplete).map_err(failed)?;
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
    let (mut present, mut idle) = (length(file)?, 0);
    while wanted.size != Some(present) {
        let end = receive(agent, wanted, file, path, &bar)?;
        let now = length(file)?;
        if wanted.size.map_or(end.is_none(), |size| now >= size) {
            break;
        }
        idle = if now > present { 0 } else { idle + 1 };
        if idle == ATTEMPTS {
            let reason = end.unwrap_or_else(|| "the connection ended".to_owned());
            let more = "what is there is kept, and the same command goes on from it";
            return Err(Failure::new(format!("{}: {reason}; {more}", wanted.url)));
        }
        thread::sleep(Duration::from_millis(500) * idle);
        present = now;
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
    if status != 206 {
        // from the beginning, because it does not continue or what is here is too long
        file.set_len(0).map_err(failed)?;
        present = 0;
    }
    bar.set_position(present);
    if status == 416 {
        return Ok(Some("there is no more than is here".to_owned()));
    }
    // never much more than was announced
    let most = wanted.size.map_or(u64::MAX, |size| size.saturating_sub(present) + 1);
    let (mut body, mut block) = (response.into_body().into_reader().take(most), vec![0; BLOCK]);
    loop {
        match body.read(&mut block) {
            Ok(0) => return Ok(None),
            Ok(read) => {
                file.write_all(&block[..read]).map_err(failed)?;
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

/// What a server's no means.
pub(super) fn refusal(url: &str, response: &Response<Body>) -> Failure {
    let status = response.status();
    let meaning = match status.as_u16() {
        401 | 403 => "no such model, or not a public one (HF_TOKEN gives access to yours)",
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
    let Some(expected) = wanted.sha256 else { return Ok(()) };
    file.rewind().map_err(failed)?;
    let (mut hash, mut block) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block).map_err(failed)? {
            0 => break,
            read => hash.update(&block[..read]),
        }
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != expected {
        return Err(Failure::new(format!("{}: its SHA-256 is {found}; expected {expected}", wanted.url)));
    }
    Ok(())
}
