//! Safetensors bytes to named f32 tensors.
//!
//! `folder` says which files of a folder may be a checkpoint's, `files` opens them, `source` reads their bytes, and
//! `header` checks and lists their tensors. `foreign` names what is no such file. `layout` knows all names that a
//! tensor may have, `published` the networks that are known by their shapes, `values` turns elements into f32, and
//! `packed` reads weights that kernels have packed. This file puts them together.

mod files;
pub mod folder;
mod foreign;
mod header;
mod layout;
mod packed;
mod published;
mod source;
mod values;

pub use layout::Layout;
pub(crate) use packed::{Packed, PackedHeader};
pub use source::ReadAt;

use crate::tensors::{Half, Quantizer, Side, Transformer};
use crate::{Config, Error, ErrorKind, TensorSpec};
use header::{Stored, quoted, shown};
use layout::Projection;
use safetensors::Dtype;
use source::{Source, reserve};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// An open checkpoint: a config, and tensors by name from any layout on disk.
///
/// Opening reads headers and configs only. Each tensor is read when it is asked for, piece by piece
/// into its f32 values, so that memory stays near one tensor. Shapes are checked against the size of the file before
/// memory for them is taken.
///
/// Both transformers' layout and kyutai's are read, with or without a prefix before every name, from
/// F32, F16, BF16 or F64. The config is the first of:
/// 1. the safetensors metadata entry `config`, JSON text or YAML of Pocket TTS;
/// 2. `config.json` beside the weights, if it is a Mimi config or holds one;
/// 3. beside the weights, the file that `config.json` names as `mimi_config_name`, or `mimi_config.json`, or a YAML
///    file with a part `mimi`, as Pocket TTS has it. YAML files that cannot be read, are no UTF-8 or have more than a
///    mebibyte are passed over unless `config.json` names them;
/// 4. [`Config::published`], or the published network without a quantizer that has tensors of these shapes. None is
///    assumed where a `config.json` of another model lies beside the weights, unless that names the weights' file, or
///    the file's own name is that of kyutai's published one.
///
/// A file that `mimi convert --packed` has written is a checkpoint for [`Model`](crate::Model) alone. Its tensors are
/// packed and checked by hash, and none can be read as values.
pub struct Checkpoint<'a> {
    config: Config,
    /// No config was found: `config` has the published model's numbers.
    assumed: bool,
    layout: Layout,
    /// Stands before every name on disk: `""` or, where a model embeds Mimi, `"codec_model."`.
    prefix: String,
    tensors: BTreeMap<String, Stored>,
    sources: Vec<Source<'a>>,
    /// The name of the whole in errors.
    name: String,
    packed: Option<Packed>,
}

/// What was found in the headers of one or several sources.
struct Contents<'a> {
    name: String,
    sources: Vec<Source<'a>>,
    tensors: BTreeMap<String, Stored>,
    /// The metadata entry `config`.
    config: Option<String>,
    packed: Option<Packed>,
}

impl<'a> Contents<'a> {
    fn of_one(source: Source<'a>) -> Result<Self, Error> {
        let header = header::read(&source, 0)?;
        Ok(Self {
            name: source.name().to_owned(),
            packed: Packed::of(&source, &header)?,
            sources: vec![source],
            config: header.config().cloned(),
            tensors: header.tensors,
        })
    }

    fn layout(&self) -> Option<(Layout, String)> {
        layout::detect(self.tensors.keys().map(String::as_str))
    }
}

impl<'a> Checkpoint<'a> {
    /// Opens a `.safetensors` file, the `.index.json` of shards, or a directory: the file that its `config.json` names
    /// as `mimi_name`, or the first with Mimi's tensors of these: an index of shards by any name, `model.safetensors`
    /// if `config.json` is a Mimi's or holds one, kyutai's `tokenizer-*.safetensors` or `mimi-pytorch-*.safetensors`,
    /// `model.safetensors`; or else the only `.safetensors` file. Of shards, only those with Mimi's tensors are opened.
    /// An index by another name than `model.safetensors.index.json` that cannot be read is passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]: a file cannot be read, or a directory has no weights.
    /// [`ErrorKind::Format`]: a file is not safetensors, or there is no Mimi in it, or the config is not one of Mimi.
    /// The message says what the file is, or which subfolder holds the codec, if that can be known.
    /// [`ErrorKind::Corrupt`]: a safetensors file is damaged, or a shard lacks a tensor.
    /// [`ErrorKind::Unsupported`]: this library does not run such a network.
    /// [`ErrorKind::InvalidArgument`]: a directory has several files that may be meant.
    pub fn open(path: &Path) -> Result<Checkpoint<'static>, Error> {
        let (contents, directory) = files::open(path)?;
        Checkpoint::new(contents, Some(&directory))
    }

    /// Opens a checkpoint in memory or behind a callback: one safetensors file, with its config in
    /// the metadata or the published one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and those of the source.
    pub fn from_source(source: Box<dyn ReadAt + 'a>) -> Result<Checkpoint<'a>, Error> {
        Checkpoint::new(Contents::of_one(Source::new("checkpoint".to_owned(), source))?, None)
    }

    fn new(contents: Contents<'a>, directory: Option<&Path>) -> Result<Self, Error> {
        let Some((layout, prefix)) = contents.layout() else {
            let message =
                format!("{}: no Mimi found: expected tensors with the names of Mimi's", contents.name);
            return Err(Error::new(ErrorKind::Format, message));
        };
        let config = match &contents.config {
            Some(text) => Some(inside(text).map_err(|error| {
                let message = format!("{}: metadata entry `config`: {}", contents.name, error.message());
                Error::new(error.kind(), message)
            })?),
            None => directory.map(|beside| files::config_in(beside, &contents.name)).transpose()?.flatten(),
        };
        let mut checkpoint = Self {
            assumed: config.is_none(),
            config: config.unwrap_or_else(Config::published),
            layout,
            prefix,
            tensors: contents.tensors,
            sources: contents.sources,
            name: contents.name,
            packed: contents.packed,
        };
        let projection = format!("{}{}", checkpoint.prefix, layout::IN_PLACE_OF_QUANTIZER);
        if let Some(projection) = checkpoint.tensors.get(&projection).filter(|_| checkpoint.assumed) {
            checkpoint.config = checkpoint.known(&projection.shape);
        }
        Ok(checkpoint)
    }

    /// The network's numbers.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The layout, which says how the tensors are named on disk.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The files that have its tensors, as messages call them.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(Source::name)
    }

    /// The type of the elements of a tensor on disk, by its name in the transformers layout; of one with weight norm,
    /// that of its direction.
    pub(crate) fn stored_type(&self, name: &str) -> Option<Dtype> {
        self.find(name).map(|found| found.tensor().1.dtype)
    }

    /// Bytes of all files of tensors.
    pub(crate) fn bytes(&self) -> u64 {
        self.sources.iter().map(Source::size).fold(0, u64::saturating_add)
    }

    /// All tensors of the network: the names and shapes with which to call [`tensor`](Self::tensor). A file of one half
    /// lacks some of them, and a damaged file may.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        self.config.tensors(self.projected())
    }

    /// Whether the quantizer has projections. Unequal dimensions need them. Between equal dimensions kyutai's networks
    /// have them and others do not, so the file decides.
    pub(crate) fn projected(&self) -> bool {
        let quantizer = Quantizer::new(&self.config, true);
        let branches = quantizer.branches();
        let mut projections = branches.iter().flat_map(|branch| [&branch.input, &branch.output]).flatten();
        self.config.codebook_dim != self.config.latent_dim()
            || projections.any(|projection| self.contains(&projection.weight().name))
    }

    /// Whether there is a tensor whose name in the transformers layout is `name`, in any spelling
    /// that [`tensor`](Self::tensor) reads.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The values of a tensor in f32 and in row-major order. `name` is its name in the transformers layout, and the
    /// values follow the conventions of transformers: query and key rows are in half-split rotary order, and weight
    /// norm is multiplied out. A shape on disk may have other ones at its ends than `shape`: `[a, b, 1]`
    /// for `[a, b]`, `[1, 1, d]` for `[d]`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`]: the tensor is missing, has another shape, or has a value that is not finite.
    /// [`ErrorKind::Unsupported`]: it has a type that is not read, or is packed.
    /// [`ErrorKind::OutOfMemory`], [`ErrorKind::Io`] and other errors of the source.
    /// The message names the tensor, what was found and what was expected.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let mut values = Vec::new();
        self.append(&mut values, name, shape)?;
        Ok(values)
    }

    /// Appends the values of [`tensor`](Self::tensor) to a list. A list that is used again has its memory already,
    /// which saves asking the system for it. After an error the list may have some of the values.
    pub(crate) fn append(&self, values: &mut Vec<f32>, name: &str, shape: &[usize]) -> Result<(), Error> {
        if self.packed.is_some() {
            let message = "the weights are packed for kernels, and not there by themselves: expected the checkpoint that \
                           they were packed from";
            return Err(self.error(ErrorKind::Unsupported, message));
        }
        match self.find(name) {
            Some(Found::Plain(stored)) => self.plain(values, stored, shape),
            Some(Found::Packed(stored, projection)) => {
                let side = if name.starts_with("encoder") { Side::Encoder } else { Side::Decoder };
                let heads = Half::new(&self.config, side).transformer;
                self.unpacked(values, stored, projection, &heads, shape)
            }
            Some(Found::WeightNorm { gain, direction }) => self.weight_normed(values, gain, direction, shape),
            None => Err(self.missing(name)),
        }
    }

    /// An error about the checkpoint as a whole.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl std::fmt::Display) -> Error {
        Error::new(kind, format_args!("{}: {message}", self.name))
    }

    /// An error about tensors that make up one matrix, by their names in the transformers layout.
    pub(crate) fn tensor_error(
        &self,
        names: &[&str],
        kind: ErrorKind,
        message: impl std::fmt::Display,
    ) -> Error {
        let mut stored: Vec<_> = names.iter().filter_map(|name| self.find(name)).map(Found::tensor).collect();
        stored.dedup_by_key(|(name, _)| *name);
        let quoted: Vec<_> = stored.iter().map(|(name, _)| quoted(name)).collect();
        let message = format_args!("tensor {}: {message}", quoted.join(" or "));
        match stored.first() {
            Some(tensor) => self.source_of(*tensor).error(kind, message),
            None => self.error(kind, message),
        }
    }

    fn find(&self, name: &str) -> Option<Found<'_>> {
        let get = |spelling: &str| {
            let found = self.tensors.get_key_value(&format!("{}{spelling}", self.prefix));
            found.map(|(name, stored)| (name.as_str(), stored))
        };
        let spellings = self.layout.spellings(name);
        if let Some(found) = spellings.iter().find_map(|spelling| get(spelling)) {
            let projection = Projection::of(name).filter(|_| self.layout == Layout::Kyutai);
            return Some(match projection {
                Some(projection) => Found::Packed(found, projection),
                None => Found::Plain(found),
            });
        }
        spellings.iter().flat_map(|spelling| layout::weight_norm_spellings(spelling)).find_map(
            |[gain, direction]| Some(Found::WeightNorm { gain: get(&gain)?, direction: get(&direction)? }),
        )
    }

    fn missing(&self, name: &str) -> Error {
        let layout = self.layout;
        let spellings: Vec<_> = layout
            .spellings(name)
            .iter()
            .map(|spelling| quoted(&format!("{}{spelling}", self.prefix)))
            .collect();
        let expected = match spellings.is_empty() {
            true => format!("a name that Mimi's tensors have in the {layout} layout"),
            false => format!("{} in the {layout} layout", spellings.join(" or ")),
        };
        let (name, assumption) = (quoted(name), self.assumption());
        let message = format_args!("tensor {name} is missing: expected {expected}{assumption}");
        self.error(ErrorKind::Corrupt, message)
    }

    fn plain(&self, values: &mut Vec<f32>, tensor: Named, shape: &[usize]) -> Result<(), Error> {
        let len = self.check_shape(tensor, shape)?;
        reserve(values, len)?;
        self.read(tensor, 0..len, values)
    }

    /// One of query, key and value out of kyutai's packed projection, which has all query rows, then all key
    /// rows, then all value rows. The rotary embedding turns pairs of rows of a query's or key's head: kyutai's the
    /// rows 2j and 2j + 1, transformers' the rows j and j + head_dim / 2.
    fn unpacked(
        &self,
        values: &mut Vec<f32>,
        tensor: Named,
        part: Projection,
        &Transformer { queries, keys, head_dim, .. }: &Transformer,
        shape: &[usize],
    ) -> Result<(), Error> {
        let (first_head, heads) = match part {
            Projection::Query => (0, queries),
            Projection::Key => (queries, keys),
            Projection::Value => (queries + keys, keys),
        };
        let all_heads = queries + 2 * keys;
        let columns = shape.get(1).copied().unwrap_or(1);
        let packed = match shape {
            [rows] if *rows == heads * head_dim => vec![all_heads * head_dim],
            [rows, _] if *rows == heads * head_dim && columns > 0 => vec![all_heads * head_dim, columns],
            _ => return Err(self.misshapen(tensor, shape)),
        };
        self.check_shape(tensor, &packed)?;

        let head_len = head_dim * columns;
        reserve(values, heads * head_len)?;
        if part == Projection::Value {
            return self.read(tensor, first_head * head_len..(first_head + heads) * head_len, values);
        }
        let mut head = Vec::new();
        reserve(&mut head, head_len)?;
        for index in first_head..first_head + heads {
            head.clear();
            self.read(tensor, index * head_len..(index + 1) * head_len, &mut head)?;
            for half in 0..2 {
                for pair in head.chunks_exact(2 * columns) {
                    values.extend_from_slice(&pair[half * columns..][..columns]);
                }
            }
        }
        Ok(())
    }

    /// `direction · gain / ‖direction‖`. The norm is that of a row: of an output channel of a convolution, of an input
    /// channel of a transposed one.
    fn weight_normed(
        &self,
        values: &mut Vec<f32>,
        gain: Named,
        direction: Named,
        shape: &[usize],
    ) -> Result<(), Error> {
        let (mut gains, before) = (Vec::new(), values.len());
        self.plain(values, direction, shape)?;
        self.plain(&mut gains, gain, shape.get(..1).unwrap_or_default())?;
        let directions = &mut values[before..];
        let row_len = directions.len() / gains.len().max(1);
        for (row, (&gain, direction_row)) in
            gains.iter().zip(directions.chunks_exact_mut(row_len.max(1))).enumerate()
        {
            let squares: f64 = direction_row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let scale = f64::from(gain) / squares.sqrt();
            if !scale.is_finite() {
                let (name, norm) = (quoted(direction.0), squares.sqrt());
                let message = format!("tensor {name}: row {row} has norm {norm}: expected more than 0");
                return Err(self.source_of(direction).error(ErrorKind::Corrupt, message));
            }
            direction_row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
        Ok(())
    }

    /// Checks that the shape of `tensor` is `shape`, and returns the number of its elements.
    fn check_shape(&self, tensor: Named, shape: &[usize]) -> Result<usize, Error> {
        if without_outer_ones(&tensor.1.shape) != without_outer_ones(shape) {
            return Err(self.misshapen(tensor, shape));
        }
        // the header's check has shown that this many elements fit the file
        Ok(shape.iter().product())
    }

    fn misshapen(&self, tensor: Named, expected: &[usize]) -> Error {
        let source = self.source_of(tensor);
        if let Some(what) = foreign::tensor(&self.tensors, tensor, expected) {
            let message = format_args!("tensor {} {what}", quoted(tensor.0));
            return source.error(ErrorKind::Unsupported, message);
        }
        if !values::are_read(tensor.1.dtype) {
            return values::of_other_type(source, tensor);
        }
        let (name, found, expected) = (quoted(tensor.0), shown(&tensor.1.shape), shown(expected));
        let assumption = self.assumption();
        let message = format_args!("tensor {name} has shape {found}: expected {expected}{assumption}");
        source.error(ErrorKind::Corrupt, message)
    }

    /// What to say of a tensor that is not as the config wants it: the config may be a guess.
    fn assumption(&self) -> &'static str {
        match self.assumed {
            true => " (no config was found, so the published model's numbers were assumed)",
            false => "",
        }
    }

    fn read(&self, tensor: Named, range: Range<usize>, values: &mut Vec<f32>) -> Result<(), Error> {
        values::read(self.source_of(tensor), tensor, range, values)
    }

    fn source_of(&self, tensor: Named) -> &Source<'a> {
        &self.sources[tensor.1.source]
    }
}

/// The config in a metadata entry: JSON, or YAML of Pocket TTS.
fn inside(text: &str) -> Result<Config, Error> {
    let yaml = if text.trim_start().starts_with('{') { None } else { Config::recognise_yaml(text)? };
    yaml.map_or_else(|| Config::from_json(text), Ok)
}

/// A tensor on disk with its name there.
type Named<'c> = (&'c str, &'c Stored);

/// How the values of a tensor are stored.
enum Found<'c> {
    Plain(Named<'c>),
    /// In a part of kyutai's packed attention projection.
    Packed(Named<'c>, Projection),
    WeightNorm {
        gain: Named<'c>,
        direction: Named<'c>,
    },
}

impl<'c> Found<'c> {
    /// The tensor on disk that has most of the values.
    fn tensor(self) -> Named<'c> {
        match self {
            Self::Plain(tensor) | Self::Packed(tensor, _) | Self::WeightNorm { direction: tensor, .. } => {
                tensor
            }
        }
    }
}

/// A shape without ones at its ends, which do not change the order of elements.
fn without_outer_ones(shape: &[usize]) -> &[usize] {
    let start = shape.iter().position(|&n| n != 1).unwrap_or(shape.len());
    let end = shape.iter().rposition(|&n| n != 1).map_or(start, |last| last + 1);
    &shape[start..end]
}
