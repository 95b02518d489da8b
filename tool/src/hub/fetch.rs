//! A model from Hugging Face into the cache.

use super::{
    Cache, Name,
    cache::{plain, version},
    download::{self, Kind, Wanted, agent, check, refusal},
};
use crate::{
    failure::{Failure, Outcome},
    output,
};
use mimi::Config;
use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};
use ureq::{Agent, Body, http::Response};

const ENDPOINT: &str = "https://huggingface.co";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// What Kyutai published: the model, its weights' SHA-256 and their bytes.
const PUBLISHED: (&str, &str, u64) =
    ("kyutai/mimi", "bac7e85083dcded655d24eaadde7e6eea34c0da1b35fa2d284e641bd2b942a5e", 384_649_828);

/// Redirections that stay on the server: a model that was renamed.
const MOST_REDIRECTIONS: usize = 5;

/// Downloads what is not there yet, checks all of it, and returns the folder of the model.
pub(crate) fn fetch(name: &Name, quiet: bool) -> Outcome<PathBuf> {
    let cache = Cache::of_environment()?;
    if is_true("HF_HUB_OFFLINE") {
        return cache.find(name).ok_or_else(|| {
            let cache = cache.path().display();
            Failure::new(format!("{name} is not in {cache}, and HF_HUB_OFFLINE forbids to fetch it"))
        });
    }
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    let server = Server {
        agent: agent(),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        token: text("HF_TOKEN"),
    };
    let main = server.ask(name, "main", CONFIG)?;
    let config = server.get(&cache, name, &main, CONFIG, None, quiet)?;
    check_config(&main.url, &config)?;
    // All files are those of one commit, whatever happens on the server meanwhile.
    let weights = server.ask(name, &main.commit, WEIGHTS)?;
    if weights.etag == main.etag {
        // One would take the other's place.
        let both = format!("{}: the same version as its config, {}", weights.url, main.etag);
        return Err(Failure::new(both));
    }
    let sha256 = expected(name, &weights)?;
    server.get(&cache, name, &weights, WEIGHTS, sha256.as_deref(), quiet)?;
    cache.link(name, &main.commit, CONFIG, &main.etag)?;
    let folder = cache.link(name, &main.commit, WEIGHTS, &weights.etag)?;
    cache.set_main(name, &main.commit)?;
    Ok(folder)
}

fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// As `huggingface_hub` reads switches.
fn is_true(variable: &str) -> bool {
    text(variable).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
}

/// A file on the server.
struct Remote {
    url: String,
    commit: String,
    etag: String,
    size: Option<u64>,
}

impl Remote {
    /// The server calls versions of large files by their SHA-256, and small ones otherwise.
    fn sha256(&self) -> Option<&str> {
        let is_digest = self.etag.len() == 64 && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then_some(self.etag.as_str())
    }
}

/// The digest that the weights must have: the published one, else what the server says.
fn expected(name: &Name, weights: &Remote) -> Outcome<Option<String>> {
    let offered = weights.sha256().map(str::to_owned);
    let (published, sha256, bytes) = PUBLISHED;
    if name.to_string() != published {
        return Ok(offered);
    }
    if weights.size.is_some_and(|size| size != bytes) || offered.is_some_and(|offered| offered != sha256) {
        let found = format!(
            "{}: version {} of {} bytes is not the published one, {sha256} of {bytes} bytes",
            weights.url,
            weights.etag,
            weights.size.map_or("unknown".to_owned(), |size| size.to_string()),
        );
        return Err(Failure::new(found));
    }
    Ok(Some(sha256.to_owned()))
}

/// Not every `model.safetensors` is worth its gigabytes.
fn check_config(url: &str, path: &Path) -> Outcome {
    let text = fs::read_to_string(path).map_err(|error| Failure::io(path, &error))?;
    match Config::from_json(&text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!("{url}: {}", error.message()))),
    }
}

struct Server {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

impl Server {
    /// What `file` is at `revision`.
    fn ask(&self, name: &Name, revision: &str, file: &str) -> Outcome<Remote> {
        let mut url = format!("{}/{name}/resolve/{revision}/{file}", self.endpoint);
        for _ in 0..MOST_REDIRECTIONS {
            let response = self.head(&url)?;
            let status = response.status();
            let location = header(&response, "location");
            match location {
                // elsewhere is where the bytes are; what they are is told here
                Some(path) if status.is_redirection() && path.starts_with('/') && !path.starts_with("//") => {
                    url = format!("{}{path}", self.endpoint);
                }
                _ if status.is_success() || status.is_redirection() => return remote(url, &response),
                _ => return Err(refusal(&url, &response)),
            }
        }
        Err(Failure::new(format!("{url}: redirected in a circle")))
    }

    fn head(&self, url: &str) -> Outcome<Response<Body>> {
        let mut request =
            self.agent.head(url).config().max_redirects(0).max_redirects_will_error(false).build();
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| Failure::new(format!("{url}: {error}")))
    }

    /// The content of `remote` in the cache, which is fetched if it is not there or damaged.
    fn get(
        &self,
        cache: &Cache,
        name: &Name,
        remote: &Remote,
        file: &str,
        sha256: Option<&str>,
        quiet: bool,
    ) -> Outcome<PathBuf> {
        let blob = cache.blob(name, &remote.etag)?;
        let url = format!("{}/{name}/resolve/{}/{file}", self.endpoint, remote.commit);
        let kind = if file == CONFIG { Kind::Config } else { Kind::Weights };
        let wanted = Wanted { url: &url, token: self.token.as_deref(), size: remote.size, kind, sha256 };
        if let Ok(mut file) = output::open_plain(OpenOptions::new().read(true), &blob)
            && check(&wanted, &mut file, &blob).is_ok()
        {
            return Ok(blob);
        }
        download::download(&self.agent, &wanted, &blob, quiet)?;
        Ok(blob)
    }
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn remote(url: String, response: &Response<Body>) -> Outcome<Remote> {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| header(response, name));
    let missing =
        |what: &str| Failure::new(format!("{url}: the answer tells no {what}: not a Hugging Face server?"));
    let commit = header(response, "x-repo-commit").and_then(plain).ok_or_else(|| missing("commit"))?;
    let etag = first(["x-linked-etag", "etag"]).map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    let etag = etag.and_then(version).ok_or_else(|| missing("version"))?;
    // a redirection's own length is not the file's
    let length = if response.status().is_redirection() { "x-linked-size" } else { "content-length" };
    let size = first(["x-linked-size", length]).and_then(|size| size.parse().ok());
    let (commit, etag) = (commit.to_owned(), etag.to_owned());
    Ok(Remote { url, commit, etag, size })
}
