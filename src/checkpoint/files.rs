//! Which files make up a checkpoint.

use super::Contents;
use super::header::{self, UniqueKeys, quoted};
use super::source::Source;
use crate::config::LARGEST_TEXT;
use crate::error::headroom_to_parse;
use crate::{Config, Error, ErrorKind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::ErrorKind::NotFound;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

const INDEX: &str = "model.safetensors.index.json";
const MODEL: &str = "model.safetensors";
/// How the names of kyutai's files of Mimi begin.
const KYUTAI: [&str; 2] = ["tokenizer-", "mimi-pytorch-"];

/// The largest index that is read, in bytes; real ones have thousands.
const LARGEST_INDEX: usize = 16 << 20;

/// Opens the file or directory at `path`. Also returns the directory in which a config may be.
pub(super) fn open(path: &Path) -> Result<(Contents<'static>, PathBuf), Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "path is empty"));
    }
    let metadata = fs::metadata(path).map_err(|error| io_error(path, &error))?;
    if metadata.is_dir() {
        return Ok((open_directory(path)?, path.to_owned()));
    }
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok((open_file(path)?, directory))
}

/// Opens a file of tensors or an index of such files.
fn open_file(path: &Path) -> Result<Contents<'static>, Error> {
    if path.to_string_lossy().ends_with(".index.json") {
        return open_index(path);
    }
    Contents::of_one(open_source(path)?)
}

fn open_directory(directory: &Path) -> Result<Contents<'static>, Error> {
    let names = file_names(directory)?;
    let has = |name: &str| names.iter().any(|found| found == name);
    let safetensors = || names.iter().map(String::as_str).filter(|name| name.ends_with(".safetensors"));
    let mut candidates: Vec<&str> = [INDEX, MODEL].into_iter().filter(|name| has(name)).collect();
    candidates.extend(safetensors().filter(|name| KYUTAI.iter().any(|start| name.starts_with(start))));
    if candidates.is_empty() {
        candidates.extend(safetensors());
        if candidates.len() > 1 {
            let message = format!(
                "{}: several files may hold the model: found {}: expected the path of one of them",
                directory.display(),
                candidates.join(", ")
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
    }
    for name in &candidates {
        let contents = open_file(&directory.join(name))?;
        if contents.layout().is_some() {
            return Ok(contents);
        }
    }
    if candidates.is_empty() {
        let message = format!(
            "{}: no weights found: expected {INDEX}, {MODEL}, tokenizer-*.safetensors, mimi-pytorch-*.safetensors or \
             a single .safetensors file",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Io, message));
    }
    let message = format!(
        "{}: no Mimi found: expected its tensors in one of {}",
        directory.display(),
        candidates.join(", ")
    );
    Err(Error::new(ErrorKind::Format, message))
}

/// The names in a directory, sorted. Names that are not UTF-8 are left out, because none of them is looked for.
fn file_names(directory: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| io_error(directory, &error))? {
        let entry = entry.map_err(|error| io_error(directory, &error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

#[derive(Deserialize)]
struct Index {
    /// For each tensor the file that it is in.
    weight_map: UniqueKeys,
}

fn open_index(path: &Path) -> Result<Contents<'static>, Error> {
    let text = read_text(path, LARGEST_INDEX)?;
    headroom_to_parse(text.len())?;
    let index: Index = serde_json::from_str(&text).map_err(|error| {
        error_at(path, ErrorKind::Format, format_args!("not an index of shards: {error}"))
    })?;
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, file) in &index.weight_map.0 {
        shards.entry(file).or_default().push(tensor);
    }
    if let Some(file) = shards.keys().find(|file| !is_plain_file_name(file)) {
        let message = format_args!(
            "`weight_map` names {}: expected the plain name of a file beside the index",
            quoted(file)
        );
        return Err(error_at(path, ErrorKind::Format, message));
    }
    let mut contents = Contents {
        name: path.display().to_string(),
        sources: Vec::new(),
        tensors: BTreeMap::new(),
        config: None,
    };
    for (file, tensors) in shards {
        let source = open_source(&path.with_file_name(file))?;
        let mut header = header::read(&source, contents.sources.len())?;
        for tensor in tensors {
            let stored = header.tensors.remove(tensor).ok_or_else(|| {
                let (tensor, index) = (quoted(tensor), &contents.name);
                let message = format!("tensor {tensor} is missing: {index} says that it is in this file");
                source.error(ErrorKind::Corrupt, message)
            })?;
            contents.tensors.insert(tensor.to_owned(), stored);
        }
        contents.config = contents.config.or(header.config);
        contents.sources.push(source);
    }
    Ok(contents)
}

/// Whether joining `name` to a directory stays in it, on every system.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains(['/', '\\', ':', '\0'])
}

/// The Mimi config in a directory, `None` if there is none.
pub(super) fn config_in(directory: &Path) -> Result<Option<Config>, Error> {
    let path = directory.join("config.json");
    let text = read_if_there(&path)?;
    if let Some(config) = text.as_deref().map(|text| recognise(&path, text)).transpose()?.flatten() {
        return Ok(Some(config));
    }
    // a language model's config may name the file of its Mimi's
    let named = text.as_deref().map(|text| mimi_config_name(&path, text)).transpose()?.flatten();
    let (path, text) = match named {
        Some(name) => {
            let named = directory.join(&name);
            let text = read_if_there(&named)?.ok_or_else(|| {
                let message = format_args!(
                    "the file does not exist: {} names it as `mimi_config_name`",
                    path.display()
                );
                error_at(&named, ErrorKind::Io, message)
            })?;
            (named, text)
        }
        None => {
            let path = directory.join("mimi_config.json");
            let Some(text) = read_if_there(&path)? else { return Ok(None) };
            (path, text)
        }
    };
    Config::from_json(&text).map(Some).map_err(|error| error_at(&path, error.kind(), error.message()))
}

/// Refuses a folder whose config is there as YAML alone: the published numbers in its place could make another model.
pub(super) fn refuse_yaml(directory: &Path) -> Result<(), Error> {
    let path = directory.join("config.yaml");
    match fs::symlink_metadata(&path) {
        Ok(_) => {
            let message = "YAML is not read: expected the same as JSON, in config.json";
            Err(error_at(&path, ErrorKind::Unsupported, message))
        }
        Err(_) => Ok(()),
    }
}

/// The text of a config, `None` if no file has this name. A file that cannot be read is an error, because the published
/// numbers in its place would make another model.
fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => read_text(path, LARGEST_TEXT).map(Some),
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(error) => Err(io_error(path, &error)),
    }
}

fn recognise(path: &Path, text: &str) -> Result<Option<Config>, Error> {
    Config::recognise(text).map_err(|error| error_at(path, error.kind(), error.message()))
}

/// The plain file name that a language model's config gives as `mimi_config_name`, if it gives one.
fn mimi_config_name(path: &Path, text: &str) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct LanguageModel {
        mimi_config_name: Option<String>,
    }
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let model: LanguageModel = serde_json::from_str(text).map_err(|error| {
        error_at(path, ErrorKind::Format, format_args!("`mimi_config_name` cannot be read: {error}"))
    })?;
    match model.mimi_config_name {
        Some(name) if !is_plain_file_name(&name) => {
            let message = format_args!(
                "`mimi_config_name` is {}: expected the plain name of a file beside it",
                quoted(&name)
            );
            Err(error_at(path, ErrorKind::Format, message))
        }
        name => Ok(name),
    }
}

fn open_source(path: &Path) -> Result<Source<'static>, Error> {
    Ok(Source::new(path.display().to_string(), Box::new(open_regular(path)?)))
}

/// Opens a file. Refuses pipes and devices, which would block or never end. Its type is asked when it is open, because
/// another file may take its name before. Opening a pipe must not wait for its writer, hence `O_NONBLOCK`.
fn open_regular(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| match error.kind() {
        NotFound if fs::symlink_metadata(path).is_ok() => {
            error_at(path, ErrorKind::Io, "the link leads to a file that does not exist")
        }
        _ => io_error(path, &error),
    })?;
    let metadata = file.metadata().map_err(|error| io_error(path, &error))?;
    if !metadata.is_file() {
        return Err(error_at(path, ErrorKind::Io, "not a regular file: expected a file or a folder"));
    }
    Ok(file)
}

fn read_text(path: &Path, largest: usize) -> Result<String, Error> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(largest as u64 + 1).read_to_end(&mut bytes).map_err(|error| io_error(path, &error))?;
    if bytes.len() > largest {
        let message =
            format_args!("the file has more than {largest} bytes: expected JSON of at most as many");
        return Err(error_at(path, ErrorKind::Format, message));
    }
    String::from_utf8(bytes)
        .map_err(|error| error_at(path, ErrorKind::Format, format_args!("the text is not UTF-8: {error}")))
}

fn io_error(path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
        _ => ErrorKind::Io,
    };
    error_at(path, kind, error)
}

fn error_at(path: &Path, kind: ErrorKind, message: impl Display) -> Error {
    Error::new(kind, format!("{}: {message}", path.display()))
}
