//! Which files of a folder hold Mimi, by what its names, its `config.json` and its indexes of shards say. Nothing is
//! read here, so that a folder on a server can be asked as one on disk is.

use super::header::{UniqueKeys, quoted};
use super::layout;
use crate::error::headroom_to_parse;
use crate::{Config, Error, ErrorKind};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// How the name of an index of shards ends.
const INDEX: &str = ".safetensors.index.json";
pub(super) const USUAL_INDEX: &str = "model.safetensors.index.json";
const MODEL: &str = "model.safetensors";
/// How the names of kyutai's files of Mimi begin.
const KYUTAI: [&str; 2] = ["tokenizer-", "mimi-pytorch-"];
/// What kyutai's files of the published Mimi have in their names.
const PUBLISHED: &str = "e351c8d8";
/// How names of safetensors files end; the second and third in moshi's configs.
const SAFETENSORS: [&str; 3] = [".safetensors", ".sft", ".sfts"];

/// Folders that hold Mimi inside a model that has none itself, and what to say of them.
const INSIDE: [(&str, &str); 4] = [
    ("speech_tokenizer", "its codec is in the subfolder speech_tokenizer: expected the path of that"),
    ("audio_tokenizer", "its codec is in the subfolder audio_tokenizer: expected the path of that"),
    ("languages", "its models are in subfolders: expected the path of one, as languages/english"),
    ("snapshots", "this is a folder of a hub's cache: expected the path of a folder below its snapshots"),
];

/// Those of them that hold the codec of the whole model.
const CODECS: [&str; 2] = ["speech_tokenizer", "audio_tokenizer"];

/// A folder: the names in it, and what its `config.json` says.
pub struct Folder<'n> {
    names: &'n [String],
    about: About,
}

impl<'n> Folder<'n> {
    /// Looks at the names of files in a folder and the text of its `config.json`, if it has one. Names of files in
    /// subfolders have slashes; a subfolder may also be there by its plain name.
    ///
    /// # Errors
    /// Those of [`Config::from_json`], but for a config that is no Mimi's. No message of a `Folder` has the folder's
    /// name.
    pub fn new(names: &'n [String], config: Option<&str>) -> Result<Self, Error> {
        let about = config.map(About::read).transpose().map_err(in_config)?;
        Ok(Self { names, about: about.unwrap_or_default() })
    }

    /// Indexes of shards and safetensors files that may hold the weights, the likeliest first: the first that holds
    /// Mimi is the one.
    ///
    /// # Errors
    /// [`ErrorKind::Format`]: `config.json` names a file in a way that is not followed, or the weights are in a
    /// subfolder. [`ErrorKind::Io`]: there are no weights. [`ErrorKind::InvalidArgument`]: several may be meant.
    pub fn weights(&self) -> Result<Vec<String>, Error> {
        match self.named("mimi_name", self.about.mimi_name.as_deref())? {
            Some(name) => Ok(vec![name]),
            None => candidates(self.names, &self.about),
        }
    }

    /// Files beside `config.json` that may hold Mimi's config; none if that itself does.
    ///
    /// # Errors
    /// [`ErrorKind::Format`]: `config.json` names a file in a way that is not followed. [`ErrorKind::Io`]: or one that
    /// is not there.
    pub fn configs(&self) -> Result<Vec<String>, Error> {
        if self.holds_config() {
            return Ok(Vec::new());
        }
        let those = |wanted: fn(&str) -> bool| {
            self.names.iter().filter(|name| !name.contains('/') && wanted(name)).cloned().collect::<Vec<_>>()
        };
        let usual = || {
            let json = those(|name| name == "mimi_config.json");
            if json.is_empty() { those(is_yaml) } else { json }
        };
        let named = self.named("mimi_config_name", self.about.mimi_config_name.as_deref())?;
        Ok(named.map_or_else(usual, |name| vec![name]))
    }

    /// Whether `config.json` is a Mimi config or holds one.
    pub fn holds_config(&self) -> bool {
        self.about.config.is_some()
    }

    /// The Mimi config in `config.json`.
    pub(super) fn config(&self) -> Option<&Config> {
        self.about.config.as_ref()
    }

    /// Whether `config.json` names the file `name` as the one with Mimi's config.
    pub(super) fn names_config(&self, name: &str) -> bool {
        self.about.mimi_config_name.as_deref() == Some(name)
    }

    /// The subfolder that holds the codec of a model whose own folder has no weights of Mimi's.
    pub fn inside(&self) -> Option<&'static str> {
        let is_elsewhere = self.about.mimi_name.is_none() && candidates(self.names, &self.about).is_err();
        CODECS.into_iter().find(|folder| is_elsewhere && has_folder(self.names, folder))
    }

    /// The file beside `config.json` that it names by `key`, if it does.
    fn named(&self, key: &str, name: Option<&str>) -> Result<Option<String>, Error> {
        let Some(name) = name else { return Ok(None) };
        if let Some(what) = not_followed(name, key == "mimi_name") {
            let message = format_args!("`{key}` is {}: {what}", quoted(name));
            return Err(in_config(Error::new(ErrorKind::Format, message)));
        }
        if !self.names.iter().any(|found| found == name) {
            let message = format_args!("{name}: the file does not exist: config.json names it as `{key}`");
            return Err(Error::new(ErrorKind::Io, message));
        }
        Ok(Some(name.to_owned()))
    }

    /// Whether the published numbers may be assumed for the file `weights` if no config is found. A `config.json` of
    /// something else forbids it: the file may have other numbers.
    pub(super) fn allows_published(&self, weights: &str) -> bool {
        !self.about.foreign || is_kyutai(weights) && weights.contains(PUBLISHED)
    }
}

/// Files that may hold the weights, the likeliest first. Indexes come first because they tell what is in their files,
/// and then kyutai's, because their names do; but where the config is Mimi's own, `model.safetensors` goes with it.
fn candidates(names: &[String], about: &About) -> Result<Vec<String>, Error> {
    let mut files: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains('/')).collect();
    files.sort_unstable();
    let rank = |name: &str| match name {
        USUAL_INDEX => Some(0),
        MODEL => Some(if about.config.is_some() { 2 } else { 4 }),
        name if name.ends_with(INDEX) => Some(1),
        name if is_kyutai(name) => Some(3),
        _ => None,
    };
    let mut known: Vec<&str> = files.iter().copied().filter(|name| rank(name).is_some()).collect();
    known.sort_by_key(|name| rank(name));
    let hint = hint(names);
    if let Some(hint) = hint
        && about.foreign
        && !known.iter().any(|name| is_kyutai(name))
    {
        return Err(Error::new(ErrorKind::Format, format_args!("no Mimi in config.json: {hint}")));
    }
    if known.is_empty() {
        known = files.into_iter().filter(|name| is_safetensors(name)).collect();
    }
    match known.as_slice() {
        [] => {
            let hint = hint.unwrap_or(
                "expected model.safetensors.index.json, model.safetensors, tokenizer-*.safetensors, \
                 mimi-pytorch-*.safetensors or a single .safetensors file",
            );
            Err(Error::new(ErrorKind::Io, format_args!("no weights found: {hint}")))
        }
        [_, _, ..] if rank(known[0]).is_none() => {
            let found = known.join(", ");
            let message =
                format!("several files may hold the model: found {found}: expected the path of one of them");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
        known => Ok(known.iter().map(|name| (*name).to_owned()).collect()),
    }
}

/// Where else Mimi may be, if a folder does not hold it itself.
pub(super) fn hint(names: &[String]) -> Option<&'static str> {
    INSIDE.iter().find(|(folder, _)| has_folder(names, folder)).map(|(_, hint)| *hint)
}

fn has_folder(names: &[String], folder: &str) -> bool {
    names
        .iter()
        .any(|name| name.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether there is a Mimi among tensors of these names.
pub fn holds_mimi<'n>(tensors: impl Iterator<Item = &'n str> + Clone) -> bool {
    layout::detect(tensors).is_some()
}

fn is_kyutai(name: &str) -> bool {
    KYUTAI.iter().any(|start| name.starts_with(start)) && is_safetensors(name)
}

pub(super) fn is_yaml(name: &str) -> bool {
    [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

fn is_safetensors(name: &str) -> bool {
    SAFETENSORS.iter().any(|end| name.ends_with(end))
}

/// What `config.json` says.
#[derive(Default)]
struct About {
    /// The Mimi config that it is or holds.
    config: Option<Config>,
    /// It is there and says nothing of Mimi.
    foreign: bool,
    mimi_name: Option<String>,
    mimi_config_name: Option<String>,
}

impl About {
    fn read(config: &str) -> Result<Self, Error> {
        #[derive(Default, Deserialize)]
        struct LanguageModel {
            mimi_name: Option<String>,
            mimi_config_name: Option<String>,
        }
        let mimi = Config::recognise(config)?;
        let model: LanguageModel = match config.trim_start().starts_with('{') {
            true => serde_json::from_str(config).map_err(|error| {
                let message = format_args!("`mimi_name` or `mimi_config_name` cannot be read: {error}");
                Error::new(ErrorKind::Format, message)
            })?,
            false => LanguageModel::default(),
        };
        let LanguageModel { mimi_name, mimi_config_name } = model;
        let foreign = mimi.is_none() && mimi_name.is_none() && mimi_config_name.is_none();
        Ok(Self { config: mimi, foreign, mimi_name, mimi_config_name })
    }
}

fn in_config(error: Error) -> Error {
    Error::new(error.kind(), format_args!("config.json: {}", error.message()))
}

/// Why a name in a config is not followed; `None`: it is that of a file beside it.
fn not_followed(name: &str, weights: bool) -> Option<&'static str> {
    if name.starts_with("hf://") {
        return Some(
            "a file on a hub, which is not fetched: expected the plain name of a file beside it, and the \
             file there",
        );
    }
    if name.starts_with("file://") || !is_plain_file_name(name) {
        return Some("a path out of the folder is not followed: expected the plain name of a file beside it");
    }
    if weights && !is_safetensors(name) {
        return Some(
            "a pickle, or another file that is not safetensors by its name, is not read: expected a name that ends \
             in .safetensors, .sft or .sfts",
        );
    }
    None
}

/// Whether joining `name` to a directory stays in it, on every system.
pub(super) fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains(['/', '\\', ':', '\0'])
}

/// The files that an index of shards says hold tensors of Mimi, sorted; none if it says that of none.
///
/// # Errors
/// [`ErrorKind::Format`]: the text is not an index, or it leads out of its folder.
pub fn shards(index: &str) -> Result<Vec<String>, Error> {
    Ok(Index::read(index)?
        .mimi()
        .map(|(_, file)| file.to_owned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect())
}

/// An index of shards.
#[derive(Deserialize)]
pub(super) struct Index {
    /// For each tensor the file that it is in.
    weight_map: UniqueKeys,
}

impl Index {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        headroom_to_parse(text.len())?;
        let index: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Format, format_args!("not an index of shards: {error}"))
        })?;
        match index.weight_map.0.values().filter(|file| !is_plain_file_name(file)).min() {
            None => Ok(index),
            Some(file) => {
                let message = format!(
                    "`weight_map` names {}: expected the plain name of a file beside the index",
                    quoted(file)
                );
                Err(Error::new(ErrorKind::Format, message))
            }
        }
    }

    /// Mimi's tensors, and the file of each.
    pub(super) fn mimi(&self) -> impl Iterator<Item = (&str, &str)> {
        let tensors = || self.weight_map.0.iter().map(|(tensor, file)| (tensor.as_str(), file.as_str()));
        let found = layout::detect(tensors().map(|(tensor, _)| tensor));
        let prefix = found.map(|(_, prefix)| prefix);
        tensors().filter(move |(tensor, _)| {
            let rest = prefix.as_deref().and_then(|prefix| tensor.strip_prefix(prefix));
            rest.is_some_and(layout::is_of_mimi)
        })
    }
}
