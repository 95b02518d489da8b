//! What a server like Hugging Face's tells of a model's files.

use super::{
    Name,
    cache::{plain, version},
    download::{MOST_TEXT, refusal},
};
use crate::failure::{Failure, Outcome};
use safetensors::tensor::Metadata;
use serde::Deserialize;
use std::io::{self, Read};
use ureq::{Agent, Body, http::Response};

/// Redirections that stay on the server: a model that was renamed.
const MOST_REDIRECTIONS: usize = 5;

/// Bytes of a file's name with its folders. Systems take no longer ones, and models have much shorter ones.
const LONGEST_PATH: usize = 1_024;

/// Hexadecimal digits of the SHA-1 by which Git calls the content of a small file.
pub(super) const GIT: usize = 40;

/// Those of a SHA-256.
const SHA256: usize = 64;

/// The server, and who asks it.
pub(super) struct Server {
    pub(super) agent: Agent,
    pub(super) endpoint: String,
    pub(super) token: Option<String>,
}

/// All files of a model.
pub(super) struct Listing {
    pub(super) commit: String,
    /// Their names, with slashes; those left out that have other characters than files of models.
    pub(super) names: Vec<String>,
}

/// The server's answer to the question for a model's files, as far as it is of use. Lists that are all but empty take
/// little memory so.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: Option<String>,
}

/// A file on the server.
pub(super) struct Remote {
    pub(super) url: String,
    pub(super) etag: String,
    pub(super) size: Option<u64>,
}

impl Remote {
    /// The server calls versions of large files by their SHA-256, and small ones as Git does. Others are not known.
    pub(super) fn digest(&self) -> Option<String> {
        let is_digest = [GIT, SHA256].contains(&self.etag.len());
        (is_digest && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then(|| self.etag.to_ascii_lowercase())
    }
}

impl Server {
    /// The files of the model's `main`.
    pub(super) fn list(&self, name: &Name) -> Outcome<Listing> {
        let url = format!("{}/api/models/{}/revision/main", self.endpoint, name.repository());
        let response = self.open(&url)?;
        let mut text = Vec::new();
        let read = response.into_body().into_reader().take(MOST_TEXT + 1).read_to_end(&mut text);
        read.map_err(|error| Failure::new(format!("{url}: {error}")))?;
        let unlike = |what: &dyn std::fmt::Display| {
            Failure::new(format!("{url}: the answer is no list of files: {what}: not a Hugging Face server?"))
        };
        let answer: Answer = serde_json::from_slice(&text).map_err(|error| unlike(&error))?;
        let commit = plain(&answer.sha).ok_or_else(|| unlike(&"it tells no commit"))?;
        let names = answer.siblings.into_iter().filter_map(|file| file.rfilename);
        Ok(Listing { commit: commit.to_owned(), names: names.filter(|name| is_path(name)).collect() })
    }

    /// What `file` is at `commit`.
    pub(super) fn ask(&self, name: &Name, commit: &str, file: &str) -> Outcome<Remote> {
        let url = self.url(name, commit, file);
        let mut asked = url.clone();
        for _ in 0..MOST_REDIRECTIONS {
            let response = self.head(&asked)?;
            let status = response.status();
            let location = header(&response, "location");
            match location {
                // elsewhere is where the bytes are; what they are is told here
                Some(path) if status.is_redirection() && path.starts_with('/') && !path.starts_with("//") => {
                    asked = format!("{}{path}", self.endpoint);
                }
                _ if status.is_success() || status.is_redirection() => return remote(url, &response),
                _ => return Err(refusal(&asked, &response)),
            }
        }
        Err(Failure::new(format!("{asked}: redirected in a circle")))
    }

    /// The names of the tensors in `file`, of which its front alone is fetched.
    pub(super) fn tensors(&self, name: &Name, commit: &str, file: &str) -> Outcome<Vec<String>> {
        let url = self.url(name, commit, file);
        let mut body = self.open(&url)?.into_body().into_reader();
        let failed = |error: io::Error| Failure::new(format!("{url}: {error}"));
        let mut length = [0; 8];
        body.read_exact(&mut length).map_err(failed)?;
        let length = u64::from_le_bytes(length);
        if length > MOST_TEXT {
            let found = format!("a header of {length} bytes; expected {MOST_TEXT} at the most");
            return Err(Failure::new(format!("{url}: no safetensors: {found}")));
        }
        let mut text = Vec::new();
        body.take(length).read_to_end(&mut text).map_err(failed)?;
        let header: Metadata = serde_json::from_slice(&text)
            .map_err(|error| Failure::new(format!("{url}: no header of safetensors: {error}")))?;
        Ok(header.tensors().into_keys().collect())
    }

    pub(super) fn url(&self, name: &Name, commit: &str, file: &str) -> String {
        format!("{}/{}/resolve/{commit}/{file}", self.endpoint, name.repository())
    }

    /// An answer whose body can be read. Redirections, to where large files are, do not get the token.
    fn open(&self, url: &str) -> Outcome<Response<Body>> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| Failure::new(format!("{url}: {error}")))?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refusal(url, &response)),
        }
    }

    fn head(&self, url: &str) -> Outcome<Response<Body>> {
        let mut request =
            self.agent.head(url).config().max_redirects(0).max_redirects_will_error(false).build();
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| Failure::new(format!("{url}: {error}")))
    }
}

/// Whether it is the name of a file that leads nowhere else, in a cache, in a URL or on a command line.
fn is_path(name: &str) -> bool {
    let is_word = |word: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@+=".contains(c);
        !word.is_empty() && !word.starts_with(['.', '-']) && word.chars().all(allowed)
    };
    name.len() <= LONGEST_PATH && name.split('/').all(is_word)
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn remote(url: String, response: &Response<Body>) -> Outcome<Remote> {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| header(response, name));
    let etag = first(["x-linked-etag", "etag"]).map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    let etag = etag.and_then(version).ok_or_else(|| {
        Failure::new(format!("{url}: the answer tells no version: not a Hugging Face server?"))
    })?;
    // a redirection's own length is not the file's
    let length = if response.status().is_redirection() { "x-linked-size" } else { "content-length" };
    let size = first(["x-linked-size", length]).and_then(|size| size.parse().ok());
    let etag = etag.to_owned();
    Ok(Remote { url, etag, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_lead_nowhere_else() {
        for name in
            ["config.json", "speech_tokenizer/model.safetensors", "mimi-pytorch-e351c8d8@125.safetensors"]
        {
            assert!(is_path(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            ".gitattributes",
            "-rf",
            "a\\b",
            "a?b",
            "a#b",
            "a b",
        ] {
            assert!(!is_path(name), "{name}");
        }
        assert!(!is_path(&("speech_tokenizer/".repeat(20_000) + "x")));
    }
}
