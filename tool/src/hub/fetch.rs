//! A model from Hugging Face into the cache: of its files, those that Mimi needs.

use super::{
    Cache, Name, cache,
    download::{self, Kind, PATIENCE, Wanted, agent, check},
    server::{Listing, Remote, Server},
};
use crate::{
    failure::{Failure, Outcome},
    output,
};
use mimi::probe::folder::{self, Folder};
use std::{fs::OpenOptions, path::PathBuf};

const ENDPOINT: &str = "https://huggingface.co";
const CONFIG: &str = "config.json";

/// How the names of indexes of shards end.
const INDEX: &str = ".index.json";

/// What Kyutai published: the model, its weights, their SHA-256 and their bytes.
const PUBLISHED: (&str, &str, &str, u64) = (
    "kyutai/mimi",
    "model.safetensors",
    "bac7e85083dcded655d24eaadde7e6eea34c0da1b35fa2d284e641bd2b942a5e",
    384_649_828,
);

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
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let server = Server { agent: agent(PATIENCE), endpoint, token: text("HF_TOKEN") };
    // All files are those of one commit, whatever happens on the server meanwhile.
    let listing = server.list(name)?;
    let mut fetching = Fetching { server, cache, name, listing, files: Vec::new(), quiet };
    let folder = fetching.all(name.folder.clone(), true)?;
    let Fetching { cache, listing, files, .. } = fetching;
    for (file, remote) in &files {
        cache.link(name, &listing.commit, file, &remote.etag)?;
    }
    cache.set_main(name, &listing.commit)?;
    Ok(cache.snapshot(name, &listing.commit, &folder))
}

fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// As `huggingface_hub` reads switches.
fn is_true(variable: &str) -> bool {
    text(variable).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
}

/// A model of which some files are in the cache by now.
struct Fetching<'n> {
    server: Server,
    cache: Cache,
    name: &'n Name,
    listing: Listing,
    /// Files, and what the server tells of them.
    files: Vec<(String, Remote)>,
    quiet: bool,
}

impl Fetching<'_> {
    /// Fetches what Mimi needs of `folder` and returns it. If it `descends`, that may be the folder in it that holds
    /// the codec; a list of folders without end is not followed.
    fn all(&mut self, folder: String, descends: bool) -> Outcome<String> {
        let names = within(&self.listing.names, &folder);
        let config = names.iter().any(|name| name == CONFIG);
        let config = config.then(|| self.text(&join(&folder, CONFIG))).transpose()?;
        let said = Folder::new(&names, config.as_deref());
        let said = said.map_err(|error| self.failure(&folder, error))?;
        if let Some(inside) = said.inside().filter(|_| descends) {
            return self.all(join(&folder, inside), false);
        }
        let candidates = said.weights().map_err(|error| self.failure(&folder, error))?;
        let configs = said.configs().map_err(|error| self.failure(&folder, error))?;
        for file in configs {
            self.get(&join(&folder, &file))?;
        }
        for file in &candidates {
            let is_sure = candidates.len() == 1 && said.holds_config();
            if self.weights(&folder, file, is_sure)? {
                return Ok(folder);
            }
        }
        let looked_at = candidates.join(", ");
        let found = format!("no Mimi found: expected its tensors in one of {looked_at}");
        Err(self.failure(&folder, found))
    }

    /// Fetches weights, if they hold Mimi's: a file, or an index and its files. The config may tell that they do.
    fn weights(&mut self, folder: &str, file: &str, is_sure: bool) -> Outcome<bool> {
        let path = join(folder, file);
        if file.ends_with(INDEX) {
            let index = self.text(&path)?;
            let shards = folder::shards(&index).map_err(|error| self.failure(folder, error))?;
            for shard in &shards {
                let shard = join(folder, shard);
                if !self.listing.names.contains(&shard) {
                    let found = format!("{file} names {shard:?}; expected one of the model's files");
                    return Err(self.failure(folder, found));
                }
                self.get(&shard)?;
            }
            return Ok(!shards.is_empty());
        }
        // Not every `model.safetensors` is worth its gigabytes.
        let is_mimi = is_sure || {
            let tensors = self.server.tensors(self.name, &self.listing.commit, &path)?;
            folder::holds_mimi(tensors.iter().map(String::as_str))
        };
        if is_mimi {
            self.get(&path)?;
        }
        Ok(is_mimi)
    }

    /// The content of a config or an index.
    fn text(&mut self, file: &str) -> Outcome<String> {
        let path = self.get(file)?;
        cache::text(&path).map_err(|error| Failure::io(&path, &error))
    }

    /// The content of `file` in the cache, which is fetched if it is not there or damaged.
    fn get(&mut self, file: &str) -> Outcome<PathBuf> {
        let remote = self.server.ask(self.name, &self.listing.commit, file)?;
        let unlike = |other: &Remote| other.etag == remote.etag && other.size != remote.size;
        if let Some((other, _)) = self.files.iter().find(|(_, other)| unlike(other)) {
            // One would take the other's place.
            let both = format!("{}: the same version as {other}, {}", remote.url, remote.etag);
            return Err(Failure::new(both));
        }
        let digest = self.expected(file, &remote)?;
        let blob = self.cache.blob(self.name, &remote.etag)?;
        let is_text = [".json", ".yaml", ".yml"].iter().any(|end| file.ends_with(end));
        let wanted = Wanted {
            url: &remote.url,
            token: self.server.token.as_deref(),
            size: remote.size,
            kind: if is_text { Kind::Text } else { Kind::Weights },
            digest: digest.as_deref(),
        };
        let there = output::open_plain(OpenOptions::new().read(true), &blob);
        if !there.is_ok_and(|mut there| check(&wanted, &mut there, &blob).is_ok()) {
            download::download(&self.server.agent, &wanted, &blob, self.quiet)?;
        }
        self.files.push((file.to_owned(), remote));
        Ok(blob)
    }

    /// The digest that a file must have: the published one, else what the server says.
    fn expected(&self, file: &str, remote: &Remote) -> Outcome<Option<String>> {
        let offered = remote.digest();
        let (model, weights, sha256, bytes) = PUBLISHED;
        if self.name.repository() != model || file != weights {
            return Ok(offered);
        }
        let is_other = |offered: String| offered.len() == sha256.len() && offered != sha256;
        if remote.size.is_some_and(|size| size != bytes) || offered.is_some_and(is_other) {
            let found = format!(
                "{}: version {} of {} bytes is not the published one, {sha256} of {bytes} bytes",
                remote.url,
                remote.etag,
                remote.size.map_or("unknown".to_owned(), |size| size.to_string()),
            );
            return Err(Failure::new(found));
        }
        Ok(Some(sha256.to_owned()))
    }

    /// What is wrong with the files of `folder`.
    fn failure(&self, folder: &str, message: impl std::fmt::Display) -> Failure {
        let model = join(&self.name.repository(), folder);
        Failure::new(format!("{}/{model}: {message}", self.server.endpoint))
    }
}

/// The names below `folder`, without it.
fn within(names: &[String], folder: &str) -> Vec<String> {
    let below = |name: &String| match folder {
        "" => Some(name.clone()),
        folder => name.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned),
    };
    names.iter().filter_map(below).collect()
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || name.is_empty() { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}
