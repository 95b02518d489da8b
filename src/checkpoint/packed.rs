//! Checkpoints whose weights are packed already: the bytes that kernels multiply with, to be read into their place.
//!
//! Such a file is a safetensors file. Its metadata says how the weights are packed ([`PackedHeader`]). Tensor
//! `packed.<name>` has the bytes that the tensor of this name was packed to, or that the first of several was that were
//! packed together. Tensor `packed.hashes`, the last, has hashes: that of the header, then those of the tensors in the
//! order in which they lie. A file of both halves has all that a half needs.

use super::Checkpoint;
use super::header::{Header, quoted};
use super::source::{Source, zeros};
use crate::{Error, ErrorKind, Precision};
use safetensors::Dtype;
use std::collections::{BTreeMap, HashMap};
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// The layout of packed weights. It changes whenever the bytes do that packing makes of the same tensors.
const LAYOUT: &str = "2";

/// Names of metadata entries.
const PACKED: &str = "libmimi_packed";
const PRECISION: &str = "precision";
const PANEL_WIDTH: &str = "panel_width";
const ISA: &str = "isa";
const ID: &str = "model_id";

/// What stands before every tensor's name.
const PREFIX: &str = "packed.";
const HASHES: &str = "packed.hashes";

/// The tensors begin at a multiple of this many bytes, so that they are aligned if the file is.
const ALIGNMENT: usize = 64;

/// Bytes that are read and hashed at once, while they are in cache.
const PIECE: usize = 256 << 10;

const PRECISIONS: [(&str, Precision); 4] = [
    ("f32", Precision::F32),
    ("bf16", Precision::Bf16),
    ("int16", Precision::Int16),
    ("int8", Precision::Int8),
];

/// How the weights of a checkpoint are packed.
pub(crate) struct Packed {
    pub(crate) precision: Precision,
    /// Outputs in a panel, which is all that the order of weights depends on.
    pub(crate) panel_width: usize,
    /// The instruction set that the weights were packed for, in words.
    pub(crate) isa: String,
    /// The model's fingerprint.
    pub(crate) id: i64,
    /// XXH64 with seed 0 of each tensor's bytes.
    hashes: BTreeMap<String, u64>,
}

impl Packed {
    /// `None` if the header is not that of packed weights.
    pub(super) fn of(source: &Source, header: &Header) -> Result<Option<Self>, Error> {
        let Some(layout) = header.metadata.get(PACKED) else { return Ok(None) };
        if layout != LAYOUT || cfg!(target_endian = "big") {
            let message = format_args!(
                "the weights are packed in layout {}: expected {LAYOUT}, on a little-endian CPU; pack the model with \
                 this release, or load it from its ordinary file",
                quoted(layout)
            );
            return Err(source.error(ErrorKind::Unsupported, message));
        }
        let mut hashes = hashes(source, header)?;
        if hashes.remove(HASHES) != Some(xxh64(header.text.as_bytes(), 0)) {
            return Err(source
                .error(ErrorKind::Corrupt, "the header of the packed weights has another hash than it had"));
        }
        Ok(Some(Self {
            precision: entry(source, header, PRECISION, |text| {
                PRECISIONS.iter().find(|(name, _)| *name == text).map(|(_, precision)| *precision)
            })?,
            panel_width: entry(source, header, PANEL_WIDTH, |text| text.parse().ok())?,
            isa: entry(source, header, ISA, |text| Some(text.to_owned()))?,
            id: entry(source, header, ID, |text| i64::from_str_radix(text, 16).ok())?,
            hashes,
        }))
    }
}

/// A metadata entry of packed weights.
fn entry<T>(
    source: &Source,
    header: &Header,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, Error> {
    let found = header.metadata.get(key);
    found.and_then(|text| read(text)).ok_or_else(|| {
        let found = found.map_or("nothing".to_owned(), |text| quoted(text));
        let message =
            format_args!("metadata entry `{key}` of packed weights is {found}: expected what libmimi writes");
        source.error(ErrorKind::Format, message)
    })
}

/// The hashes by tensor, and that of the header by the name of their own tensor.
fn hashes(source: &Source, header: &Header) -> Result<BTreeMap<String, u64>, Error> {
    let mut tensors: Vec<_> = header.tensors.iter().filter(|(name, _)| *name != HASHES).collect();
    tensors.sort_by_key(|(_, stored)| stored.offset);
    let stored = header.tensors.get(HASHES);
    let stored = stored.filter(|stored| stored.dtype == Dtype::U64 && stored.shape == [tensors.len() + 1]);
    let stored = stored.ok_or_else(|| {
        let message =
            format_args!("tensor `{HASHES}` is not there with {} values of type U64", tensors.len() + 1);
        source.error(ErrorKind::Corrupt, message)
    })?;
    let mut bytes = zeros((tensors.len() + 1) * size_of::<u64>())?;
    source.read_at(stored.offset, &mut bytes)?;
    let names = [HASHES].into_iter().chain(tensors.iter().map(|(name, _)| name.as_str()));
    let (hashes, _) = bytes.as_chunks();
    Ok(names.map(str::to_owned).zip(hashes.iter().map(|hash| u64::from_le_bytes(*hash))).collect())
}

impl Checkpoint<'_> {
    /// How the weights are packed, if they are.
    pub(crate) fn packed(&self) -> Option<&Packed> {
        self.packed.as_ref()
    }

    /// Bytes of what a tensor is packed to, which the file has.
    pub(crate) fn packed_bytes(&self, name: &str) -> Result<usize, Error> {
        let (_, stored) = self.find(name).ok_or_else(|| self.missing(name))?.tensor();
        // the header's check has shown that this many bytes are there
        if stored.dtype == Dtype::U8 { Ok(stored.shape.iter().product()) } else { Err(self.missing(name)) }
    }

    /// Reads what a tensor is packed to, all of its bytes, and checks their hash.
    pub(crate) fn read_packed(&self, name: &str, bytes: &mut [u8]) -> Result<(), Error> {
        let (stored_name, stored) = self.find(name).ok_or_else(|| self.missing(name))?.tensor();
        let mut hash = Xxh64::new(0);
        let mut offset = stored.offset;
        for piece in bytes.chunks_mut(PIECE) {
            self.sources[stored.source].read_at(offset, piece)?;
            hash.update(piece);
            offset += piece.len() as u64;
        }
        let expected = self.packed.as_ref().and_then(|packed| packed.hashes.get(stored_name));
        if expected != Some(&hash.digest()) {
            let message = "the packed weights have another hash than they had when they were packed";
            return Err(self.tensor_error(&[name], ErrorKind::Corrupt, message));
        }
        Ok(())
    }
}

/// What a file of packed weights begins with.
pub(crate) struct PackedHeader<'a> {
    pub(crate) precision: Precision,
    pub(crate) panel_width: usize,
    pub(crate) isa: &'a str,
    pub(crate) id: i64,
    /// JSON.
    pub(crate) config: &'a str,
    /// Names of tensors and the bytes that they are packed to, in order.
    pub(crate) tensors: &'a [(String, usize)],
}

impl PackedHeader<'_> {
    /// Its bytes, and the hash by which readers know it. Behind them come the tensors, and then the hashes.
    pub(crate) fn bytes(&self) -> (Vec<u8>, u64) {
        let precision = PRECISIONS.iter().find(|(_, precision)| *precision == self.precision);
        let metadata = HashMap::from([
            (PACKED, LAYOUT.to_owned()),
            (PRECISION, precision.map_or(String::new(), |(name, _)| (*name).to_owned())),
            (PANEL_WIDTH, self.panel_width.to_string()),
            (ISA, self.isa.to_owned()),
            (ID, format!("{:016x}", self.id)),
            ("config", self.config.to_owned()),
        ]);
        let mut header = serde_json::Map::new();
        header.insert("__metadata__".to_owned(), serde_json::json!(metadata));
        let mut end = 0;
        let mut insert = |name: String, dtype, count: usize, bytes: usize| {
            let info =
                serde_json::json!({ "dtype": dtype, "shape": [count], "data_offsets": [end, end + bytes] });
            header.insert(name, info);
            end += bytes;
        };
        for (name, bytes) in self.tensors {
            insert(format!("{PREFIX}{name}"), "U8", *bytes, *bytes);
        }
        let hashes = self.tensors.len() + 1;
        insert(HASHES.to_owned(), "U64", hashes, hashes * size_of::<u64>());
        let mut text = serde_json::Value::Object(header).to_string();
        let padded = (text.len() + size_of::<u64>()).next_multiple_of(ALIGNMENT) - size_of::<u64>();
        text.extend(std::iter::repeat_n(' ', padded - text.len()));
        let hash = xxh64(text.as_bytes(), 0);
        ([&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat(), hash)
    }
}
