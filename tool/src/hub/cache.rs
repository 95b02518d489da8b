//! The cache that Hugging Face's tools share:
//!
//! ```text
//! models--kyutai--mimi/
//!     blobs/<etag>                                content, by what the server calls its version
//!     snapshots/<commit>/model.safetensors        a link to the blob
//!     refs/main                                   the commit that is meant by `main`
//! ```

use super::{Name, download::MOST_TEXT};
use crate::{
    failure::{Failure, Outcome},
    output,
};
use mimi::probe::folder::Folder;
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// What the name of a version ends with while it is fetched.
pub(super) const INCOMPLETE: &str = ".incomplete";

/// How the names of weights end.
const WEIGHTS: [&str; 3] = [".safetensors", ".sft", ".sfts"];

/// The folder of all models.
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// Where the environment says that it is, as Python's `huggingface_hub` understands it.
    pub(crate) fn of_environment() -> Outcome<Self> {
        Self::locate(|name| std::env::var_os(name), std::env::home_dir())
            .ok_or_else(|| Failure::new("no Hugging Face cache: neither HF_HUB_CACHE nor HOME is set"))
    }

    fn locate(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<Self> {
        let path = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)?;
            match value.strip_prefix("~") {
                Ok(below) => Some(home.as_ref()?.join(below)),
                Err(_) => Some(value),
            }
        };
        let hub = || {
            let huggingface = || {
                let cache = path("XDG_CACHE_HOME").or_else(|| Some(home.as_ref()?.join(".cache")))?;
                Some(cache.join("huggingface"))
            };
            Some(path("HF_HOME").or_else(huggingface)?.join("hub"))
        };
        path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).or_else(hub).map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of `name`'s files as `main` had them last, or that in it which holds the codec, if there are weights
    /// in it.
    pub(crate) fn find(&self, name: &Name) -> Option<PathBuf> {
        let commit = text(&self.folder(name).join("refs/main")).ok()?;
        let folder = self.snapshot(name, plain(commit.trim())?, &name.folder);
        let names = names(&folder)?;
        let config = text(&folder.join("config.json")).ok();
        let inside = Folder::new(&names, config.as_deref()).ok().and_then(|folder| folder.inside());
        let (folder, names) = match inside {
            None => (folder, names),
            Some(inside) => {
                let folder = folder.join(inside);
                let names = self::names(&folder)?;
                (folder, names)
            }
        };
        let is_weights = |name: &&String| WEIGHTS.iter().any(|end| name.ends_with(end));
        names.iter().filter(is_weights).any(|name| folder.join(name).exists()).then_some(folder)
    }

    /// Where the files of a folder in `commit`, or all if it is empty, are, or are to be.
    pub(super) fn snapshot(&self, name: &Name, commit: &str, folder: &str) -> PathBuf {
        let snapshot = self.folder(name).join("snapshots").join(commit);
        if folder.is_empty() { snapshot } else { snapshot.join(folder) }
    }

    fn folder(&self, name: &Name) -> PathBuf {
        self.0.join(format!("models--{}--{}", name.owner, name.model))
    }

    /// Where the content of version `etag` is to stand.
    pub(super) fn blob(&self, name: &Name, etag: &str) -> Outcome<PathBuf> {
        let folder = self.folder(name).join("blobs");
        fs::create_dir_all(&folder).map_err(|error| Failure::io(&folder, &error))?;
        Ok(folder.join(etag))
    }

    /// Makes `file` of `commit`, which may be in a folder, the content of version `etag`, which is there.
    pub(super) fn link(&self, name: &Name, commit: &str, file: &str, etag: &str) -> Outcome {
        let path = self.snapshot(name, commit, file);
        let blobs = "../".repeat(2 + file.matches('/').count()) + "blobs";
        let make = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            replace(&path, |new| link(new, &Path::new(&blobs).join(etag)))
        };
        make().map_err(|error| Failure::io(&path, &error))
    }

    /// From now on `main` means `commit`.
    pub(super) fn set_main(&self, name: &Name, commit: &str) -> Outcome {
        let folder = self.folder(name).join("refs");
        let path = folder.join("main");
        let write = |new: &Path| {
            OpenOptions::new().write(true).create_new(true).open(new)?.write_all(commit.as_bytes())
        };
        let made = fs::create_dir_all(&folder).and_then(|()| replace(&path, write));
        made.map_err(|error| Failure::io(&path, &error))
    }
}

/// A text in the cache. A link to a file is followed; a pipe or a device, which might never end, is refused.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let file = output::open_plain(OpenOptions::new().read(true), &fs::canonicalize(path)?)?;
    let mut text = String::new();
    match file.take(MOST_TEXT + 1).read_to_string(&mut text)? as u64 {
        ..=MOST_TEXT => Ok(text),
        _ => Err(io::Error::other(format!("more than {MOST_TEXT} bytes"))),
    }
}

/// A name that leads nowhere else.
pub(super) fn plain(name: &str) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)).then_some(name)
}

/// What the server calls a version: a name that leads nowhere else, and not to another's unfinished file.
pub(super) fn version(name: &str) -> Option<&str> {
    plain(name).filter(|name| !name.to_lowercase().ends_with(INCOMPLETE))
}

/// Makes something new beside `path` and puts it there in one step.
fn replace(path: &Path, make: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let made = make(&new).or_else(|error| match error.kind() {
        // Left by another run, or put there by others: it is not written through, but removed.
        io::ErrorKind::AlreadyExists => fs::remove_file(&new).and_then(|()| make(&new)),
        _ => Err(error),
    });
    made.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// The names in a folder.
fn names(folder: &Path) -> Option<Vec<String>> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    Some(files.filter_map(|file| file.file_name().into_string().ok()).collect())
}

/// Makes `path` lead to `blob`, which is told from its folder.
#[cfg(unix)]
fn link(path: &Path, blob: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(blob, path)
}

/// Symbolic links need a privilege elsewhere; a second name does as well.
#[cfg(not(unix))]
fn link(path: &Path, blob: &Path) -> io::Result<()> {
    fs::hard_link(path.parent().unwrap_or(Path::new("")).join(blob), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Cache::locate(variable, Some(PathBuf::from("/home/a"))).map(|cache| cache.0)
    }

    #[test]
    fn the_environment_is_asked_in_the_documented_order() {
        let all = [
            ("HF_HUB_CACHE", "/1", "/1"),
            ("HUGGINGFACE_HUB_CACHE", "/2", "/2"),
            ("HF_HOME", "/3", "/3/hub"),
            ("XDG_CACHE_HOME", "/4", "/4/huggingface/hub"),
        ];
        for first in 0..all.len() {
            let variables: Vec<_> = all[first..].iter().map(|&(name, value, _)| (name, value)).collect();
            assert_eq!(located(&variables), Some(PathBuf::from(all[first].2)));
        }
        assert_eq!(located(&[]), Some(PathBuf::from("/home/a/.cache/huggingface/hub")));
        assert_eq!(located(&[("HF_HUB_CACHE", ""), ("HF_HOME", "/3")]), Some(PathBuf::from("/3/hub")));
        assert_eq!(located(&[("HF_HOME", "~/hf")]), Some(PathBuf::from("/home/a/hf/hub")));
        assert!(Cache::locate(|_| None, None).is_none());
    }

    #[test]
    fn what_is_linked_is_found_and_a_hostile_reference_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache(folder.path().join("hub"));
        let name = Name::parse(Path::new("a/b")).unwrap();
        assert_eq!(cache.find(&name), None);
        fs::write(cache.blob(&name, "etag").unwrap(), "weights").unwrap();
        cache.link(&name, "c0", "model.safetensors", "etag").unwrap();
        let snapshot = cache.snapshot(&name, "c0", "");
        assert_eq!(cache.find(&name), None, "no reference yet");
        cache.set_main(&name, "c0").unwrap();
        assert_eq!(cache.find(&name), Some(snapshot.clone()));
        assert_eq!(fs::read_to_string(snapshot.join("model.safetensors")).unwrap(), "weights");
        // again, over what is there, and in a folder
        cache.link(&name, "c0", "model.safetensors", "etag").unwrap();
        cache.link(&name, "c0", "deep/er/model.safetensors", "etag").unwrap();
        let deeper = Name::parse(Path::new("a/b/deep/er")).unwrap();
        assert_eq!(cache.find(&deeper), Some(snapshot.join("deep/er")));
        assert_eq!(fs::read_to_string(snapshot.join("deep/er/model.safetensors")).unwrap(), "weights");
        cache.set_main(&name, "../snapshots/c0").unwrap();
        assert_eq!(cache.find(&name), None);
    }

    #[test]
    fn versions_are_no_names_of_other_files() {
        assert_eq!(version("c0ffee"), Some("c0ffee"));
        for name in ["", "..", "a/b", ".lock", "c0ffee.incomplete", "c0ffee.INCOMPLETE"] {
            assert_eq!(version(name), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache(folder.path().join("hub"));
        let name = Name::parse(Path::new("a/b")).unwrap();
        cache.set_main(&name, "c0").unwrap();
        let (refs, victim) = (cache.folder(&name).join("refs"), folder.path().join("victim"));
        fs::write(&victim, "mine").unwrap();
        let planted = refs.join(format!("main.{}.new", std::process::id()));
        std::os::unix::fs::symlink(&victim, &planted).unwrap();
        cache.set_main(&name, "c1").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(fs::read_to_string(refs.join("main")).unwrap(), "c1");
        assert!(!refs.join("main").is_symlink() && !planted.exists());
    }
}
