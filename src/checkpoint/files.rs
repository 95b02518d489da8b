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
/// What kyutai's files of Mimi begin with.
const KYUTAI: [&str; 2] = ["tokenizer-", "mimi-pytorch-"];

/// The largest index that is read, in bytes; real ones have thousands.
const LARGEST_INDEX: usize = 16 << 20;

/// Opens what is at `path`; also tells the directory that a config may be in.
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
                "{}: several files of tensors; name one: {}",
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
            "{}: no weights: looked for {INDEX}, {MODEL}, tokenizer-*.safetensors, mimi-pytorch-*.safetensors, or a \
             single .safetensors file",
            directory.display()
        );
        return Err(Error::new(ErrorKind::Io, message));
    }
    let message = format!("{}: no Mimi in any of {}", directory.display(), candidates.join(", "));
    Err(Error::new(ErrorKind::Format, message))
}

/// The names in a directory, sorted; those that are not UTF-8 are none that is looked for.
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
    /// Tensor to the file that it is in.
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
        let message = format_args!("{} is not the plain name of a file beside it", quoted(file));
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
                let message =
                    format!("tensor {} is missing, which {} says is here", quoted(tensor), contents.name);
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

/// The Mimi config in a directory, if there is one.
pub(super) fn config_in(directory: &Path) -> Result<Option<Config>, Error> {
    let path = directory.join("config.json");
    let text = read_if_there(&path)?;
    if let Some(config) = text.as_deref().map(|text| recognise(&path, text)).transpose()?.flatten() {
        return Ok(Some(config));
    }
    // a language model's, which may name its Mimi's
    let named = text.as_deref().map(|text| mimi_config_name(&path, text)).transpose()?.flatten();
    let (path, text) = match named {
        Some(name) => {
            let named = directory.join(&name);
            let text = read_if_there(&named)?.ok_or_else(|| {
                let message = format_args!("not there; {} names it as `mimi_config_name`", path.display());
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

/// The text of a config, `None` if there is nothing of this name. What is there and cannot be read is an error: with
/// other numbers than its own, a checkpoint is another model.
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
    let refuse = |found: &dyn Display| {
        error_at(
            path,
            ErrorKind::Format,
            format_args!("`mimi_config_name`: {found}; expected a plain file name"),
        )
    };
    let model: LanguageModel = serde_json::from_str(text).map_err(|error| refuse(&error))?;
    match model.mimi_config_name {
        Some(name) if !is_plain_file_name(&name) => Err(refuse(&quoted(&name))),
        name => Ok(name),
    }
}

fn open_source(path: &Path) -> Result<Source<'static>, Error> {
    Ok(Source::new(path.display().to_string(), Box::new(open_regular(path)?)))
}

/// Opens a file; refuses pipes and devices, which would block or never end. The file is asked when it is open, since
/// another one may have taken its name meanwhile; so opening must not wait, as it does for a pipe's writer.
fn open_regular(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| match error.kind() {
        NotFound if fs::symlink_metadata(path).is_ok() => {
            error_at(path, ErrorKind::Io, "a link to a file that is not there")
        }
        _ => io_error(path, &error),
    })?;
    let metadata = file.metadata().map_err(|error| io_error(path, &error))?;
    if !metadata.is_file() {
        return Err(error_at(path, ErrorKind::Io, "not a regular file"));
    }
    Ok(file)
}

fn read_text(path: &Path, largest: usize) -> Result<String, Error> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(largest as u64 + 1).read_to_end(&mut bytes).map_err(|error| io_error(path, &error))?;
    if bytes.len() > largest {
        let message = format_args!("JSON of more than {largest} bytes");
        return Err(error_at(path, ErrorKind::Format, message));
    }
    String::from_utf8(bytes)
        .map_err(|error| error_at(path, ErrorKind::Format, format_args!("not UTF-8: {error}")))
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
