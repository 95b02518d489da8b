//! Which files make up a checkpoint.

use super::Contents;
use super::folder::{Folder, Index, USUAL_INDEX, hint, is_yaml};
use super::foreign;
use super::header::{self, quoted};
use super::source::Source;
use crate::config::LARGEST_TEXT;
use crate::{Config, Error, ErrorKind};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::ErrorKind::NotFound;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest index that is read, in bytes; real ones have thousands.
const LARGEST_INDEX: usize = 16 << 20;

const CONFIG: &str = "config.json";

/// Opens the file or directory at `path`. Also returns the directory in which a config may be.
pub(super) fn open(path: &Path) -> Result<(Contents<'static>, PathBuf), Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "path is empty"));
    }
    // such as WebAssembly: there may be files, but no positioned reads
    if cfg!(not(any(unix, windows))) {
        let message = "no files can be read on this platform: expected a model in memory";
        return Err(error_at(path, ErrorKind::Unsupported, message));
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
    match is_index(&path.to_string_lossy()) {
        true => open_shards(path, &read_index(path)?),
        false => Contents::of_one(open_source(path)?),
    }
}

fn is_index(name: &str) -> bool {
    name.ends_with(".index.json")
}

fn open_directory(directory: &Path) -> Result<Contents<'static>, Error> {
    let beside = Beside::read(directory)?;
    let candidates = beside.folder()?.weights().map_err(|error| beside.named(&error))?;
    // an index by another name than the usual need not be the model's, and is passed over if it cannot be read
    let mut passed_over = None;
    for name in &candidates {
        let path = directory.join(name);
        let contents = match is_index(name).then(|| read_index(&path)) {
            None => open_file(&path)?,
            Some(Ok(index)) => open_shards(&path, &index)?,
            Some(Err(error)) if name == USUAL_INDEX || error.kind() == ErrorKind::OutOfMemory => {
                return Err(error);
            }
            Some(Err(error)) => {
                passed_over.get_or_insert(error);
                continue;
            }
        };
        if contents.layout().is_some() {
            return Ok(contents);
        }
    }
    if let Some(error) = passed_over {
        return Err(error);
    }
    let hint = hint(&beside.names).map_or(String::new(), |hint| format!("; {hint}"));
    let message = format!(
        "{}: no Mimi found: expected its tensors in one of {}{hint}",
        directory.display(),
        candidates.join(", ")
    );
    Err(Error::new(ErrorKind::Format, message))
}

/// What is in a folder beside weights.
struct Beside<'p> {
    directory: &'p Path,
    names: Vec<String>,
    /// The text of `config.json`.
    config: Option<String>,
}

impl<'p> Beside<'p> {
    fn read(directory: &'p Path) -> Result<Self, Error> {
        Self::with(directory, file_names(directory)?)
    }

    /// Where the directory may not be listed, as on Android, the usual names are tried.
    fn of_file(directory: &'p Path) -> Result<Self, Error> {
        let usual = || {
            let there = |name: &&str| fs::symlink_metadata(directory.join(name)).is_ok();
            [CONFIG, "mimi_config.json"].into_iter().filter(there).map(str::to_owned).collect()
        };
        Self::with(directory, file_names(directory).unwrap_or_else(|_| usual()))
    }

    fn with(directory: &'p Path, names: Vec<String>) -> Result<Self, Error> {
        let config = names.iter().any(|name| name == CONFIG);
        let config = config.then(|| read_text(&directory.join(CONFIG), LARGEST_TEXT)).transpose()?;
        Ok(Self { directory, names, config })
    }

    fn folder(&self) -> Result<Folder<'_>, Error> {
        Folder::new(&self.names, self.config.as_deref()).map_err(|error| self.named(&error))
    }

    /// An error about the folder, with its name.
    fn named(&self, error: &Error) -> Error {
        error_at(self.directory, error.kind(), error.message())
    }
}

/// The names in a directory, sorted. Names that are not UTF-8 are left out, because none of them is looked for.
fn file_names(directory: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    for entry in fs::read_dir(here).map_err(|error| io_error(directory, &error))? {
        let entry = entry.map_err(|error| io_error(directory, &error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn read_index(path: &Path) -> Result<Index, Error> {
    let text = read_text(path, LARGEST_INDEX)?;
    Index::read(&text).map_err(|error| error_at(path, error.kind(), error.message()))
}

/// Opens the files of the index at `path` that hold Mimi's tensors; the others need not be there.
fn open_shards(path: &Path, index: &Index) -> Result<Contents<'static>, Error> {
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, file) in index.mimi() {
        shards.entry(file).or_default().push(tensor);
    }
    let mut contents = Contents {
        name: path.display().to_string(),
        sources: Vec::new(),
        tensors: BTreeMap::new(),
        config: None,
        packed: None,
    };
    let mut headers = 0;
    for (file, tensors) in shards {
        let source = open_source(&path.with_file_name(file))?;
        let mut header = header::read(&source, contents.sources.len())?;
        headers += header.text.len() as u64;
        if headers > header::LONGEST {
            let message = format_args!(
                "the headers of the shards up to {} have {headers} bytes: expected at most {} in all",
                quoted(file),
                header::LONGEST
            );
            return Err(error_at(path, ErrorKind::Format, message));
        }
        for tensor in tensors {
            let stored = header.tensors.remove(tensor).ok_or_else(|| {
                let (tensor, index) = (quoted(tensor), &contents.name);
                let message = format!("tensor {tensor} is missing: {index} says that it is in this file");
                source.error(ErrorKind::Corrupt, message)
            })?;
            contents.tensors.insert(tensor.to_owned(), stored);
        }
        contents.config = contents.config.or_else(|| header.config().cloned());
        contents.sources.push(source);
    }
    Ok(contents)
}

/// The Mimi config in a directory for the file `weights` there, `None` if the published numbers may be assumed.
pub(super) fn config_in(directory: &Path, weights: &str) -> Result<Option<Config>, Error> {
    let beside = Beside::of_file(directory)?;
    let folder = beside.folder()?;
    let path = directory.join(CONFIG);
    if let Some(config) = folder.config() {
        return Ok(Some(config.clone()));
    }
    let none_in = |path: &Path| {
        let message = "no Mimi config is in it, and the published numbers may be other than those of the weights: \
                       expected one in it, or in mimi_config.json beside it";
        error_at(path, ErrorKind::Format, message)
    };
    let mut found: Option<(PathBuf, Config)> = None;
    // what is wrong with a config.yaml, which may be of another model as config.json may
    let mut passed_over = None;
    for name in folder.configs().map_err(|error| beside.named(&error))? {
        let path = directory.join(&name);
        let (named, is_usual) =
            (folder.names_config(&name), ["config.yaml", "config.yml"].contains(&name.as_str()));
        let text = match read_text(&path, LARGEST_TEXT) {
            // a YAML file is taken for its ending alone, so that it need not be the model's
            Err(error) if is_yaml(&name) && !named && error.kind() != ErrorKind::OutOfMemory => {
                passed_over = passed_over.or(is_usual.then_some(error));
                continue;
            }
            text => text?,
        };
        let config = match is_yaml(&name) {
            true => Config::recognise_yaml(&text),
            false => Config::from_json(&text).map(Some),
        };
        match (config.map_err(|error| error_at(&path, error.kind(), error.message()))?, &found) {
            (Some(config), Some((first, other))) if config != *other => {
                let message = format_args!(
                    "it is a Mimi config with other numbers than {}: expected one, or equal ones",
                    first.display()
                );
                return Err(error_at(&path, ErrorKind::Format, message));
            }
            (Some(config), _) => found = Some((path, config)),
            (None, _) if named => {
                let message = "no Mimi config is in it, and config.json names it as `mimi_config_name`: expected one \
                               in its part `mimi`";
                return Err(error_at(&path, ErrorKind::Format, message));
            }
            (None, _) if is_usual => passed_over = Some(none_in(&path)),
            (None, _) => {}
        }
    }
    if let Some((_, config)) = found {
        return Ok(Some(config));
    }
    let weights = Path::new(weights).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if passed_over.is_none() && folder.allows_published(&weights) {
        return Ok(None);
    }
    Err(passed_over.unwrap_or_else(|| none_in(&path)))
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
        let message = format_args!("the file has more than {largest} bytes: expected at most as many");
        return Err(error_at(path, ErrorKind::Format, message));
    }
    if let Some(what) = foreign::file(&bytes[..bytes.len().min(foreign::FIRST)], bytes.len() as u64) {
        let expected = if is_yaml(&path.to_string_lossy()) { "YAML" } else { "JSON" };
        return Err(error_at(path, ErrorKind::Format, format_args!("not {expected}: {what}")));
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
