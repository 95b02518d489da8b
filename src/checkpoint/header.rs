//! The header of a safetensors file: eight bytes of length, then JSON.
//!
//! A file that is no safetensors file is [`ErrorKind::Format`]: it has fewer than nine bytes, a length that cannot be,
//! or a header that is not UTF-8, not JSON, of the wrong types, or has a key twice. A safetensors file that is damaged
//! is [`ErrorKind::Corrupt`]: it is truncated or too long, or its tensors overlap, leave gaps, or have shapes that do
//! not fit their bytes.

use super::foreign;
use super::source::{Source, zeros};
use crate::error::headroom_to_parse;
use crate::{Error, ErrorKind};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Bytes of the header's length, which stand before it.
const LENGTH_BYTES: u64 = 8;

/// The longest header, as in the safetensors crate.
pub(super) const LONGEST: u64 = 100_000_000;

pub(super) struct Header {
    pub(super) tensors: BTreeMap<String, Stored>,
    pub(super) metadata: HashMap<String, String>,
    /// Its JSON.
    pub(super) text: String,
}

impl Header {
    /// The metadata entry `config`.
    pub(super) fn config(&self) -> Option<&String> {
        self.metadata.get("config")
    }
}

/// A tensor on disk.
pub(super) struct Stored {
    /// The index of its source among a checkpoint's.
    pub(super) source: usize,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Its first byte, counted from the start of the source.
    pub(super) offset: u64,
}

/// Reads and checks the header of `source`, which has the index `index` among a checkpoint's.
pub(super) fn read(source: &Source, index: usize) -> Result<Header, Error> {
    let text = read_text(source)?;
    let data = LENGTH_BYTES + text.len() as u64;
    headroom_to_parse(text.len())?;
    let raw: RawHeader = serde_json::from_str(&text).map_err(|error| {
        source.error(ErrorKind::Format, format!("not a safetensors file: error in its header: {error}"))
    })?;
    for (name, info) in &raw.tensors {
        check_extent(name, info).map_err(|message| source.error(ErrorKind::Corrupt, message))?;
    }
    // the crate proves that the tensors, in order, cover the data without gap or overlap
    let mut tensors = raw.tensors;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let metadata = Metadata::new(raw.metadata, tensors)
        .map_err(|error| source.error(ErrorKind::Corrupt, format!("damaged header: {error}")))?;
    let found = source.size();
    let expected = data.checked_add(metadata.data_len() as u64).ok_or_else(|| {
        source.error(ErrorKind::Corrupt, "damaged header: its tensors have more bytes than can be counted")
    })?;
    if expected != found {
        let what = if found < expected { "truncated" } else { "bytes after its last tensor" };
        let message = format!("{what}: found {found} bytes: expected {expected}, as its header says");
        return Err(source.error(ErrorKind::Corrupt, message));
    }
    let stored = |info: &TensorInfo| Stored {
        source: index,
        dtype: info.dtype,
        shape: info.shape.clone(),
        // no sum beyond `expected`, which is the size
        offset: data + info.data_offsets.0 as u64,
    };
    Ok(Header {
        tensors: metadata.tensors().into_iter().map(|(name, info)| (name, stored(info))).collect(),
        metadata: metadata.metadata().clone().unwrap_or_default(),
        text,
    })
}

/// The JSON. Its length is checked before as many bytes are allocated.
fn read_text(source: &Source) -> Result<String, Error> {
    let no_safetensors = |message: String| {
        let known = first_bytes(source).ok().and_then(|first| foreign::file(&first, source.size()));
        let message = known.unwrap_or(message);
        source.error(ErrorKind::Format, format!("not a safetensors file: {message}"))
    };
    if source.size() <= LENGTH_BYTES {
        return Err(no_safetensors(format!(
            "found {} bytes: expected more than {LENGTH_BYTES}",
            source.size()
        )));
    }
    let mut length = [0; LENGTH_BYTES as usize];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let mut first = [0];
    source.read_at(LENGTH_BYTES, &mut first)?;
    if length > LONGEST || first != *b"{" {
        return Err(no_safetensors(format!(
            "found a header of {length} bytes: expected at most {LONGEST}, beginning with `{{`"
        )));
    }
    if length > source.size() - LENGTH_BYTES {
        let message =
            format!("truncated in its header: found {} bytes: expected a header of {length}", source.size());
        return Err(source.error(ErrorKind::Corrupt, message));
    }
    let mut text = zeros(length as usize)?;
    source.read_at(LENGTH_BYTES, &mut text)?;
    String::from_utf8(text).map_err(|error| no_safetensors(format!("its header is not UTF-8: {error}")))
}

/// What tells formats apart.
fn first_bytes(source: &Source) -> Result<Vec<u8>, Error> {
    let mut first = zeros(source.size().min(foreign::FIRST as u64) as usize)?;
    source.read_at(0, &mut first)?;
    Ok(first)
}

/// Checks that a tensor has as many bytes as its shape and type take.
fn check_extent(name: &str, info: &TensorInfo) -> Result<(), String> {
    let (start, end) = info.data_offsets;
    let elements = info.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    let bits = elements.and_then(|n| n.checked_mul(info.dtype.bitsize()));
    let room = end.checked_sub(start).and_then(|bytes| bytes.checked_mul(8));
    if bits.is_some() && bits == room {
        return Ok(());
    }
    let (name, shape, dtype) = (quoted(name), shown(&info.shape), info.dtype);
    Err(format!(
        "tensor {name} has bytes {start} to {end}: expected as many as shape {shape} of type {dtype} takes"
    ))
}

/// A name from a file as messages show it: in quotes, cut after 120 characters.
pub(super) fn quoted(name: &str) -> String {
    const LONGEST: usize = 120;
    match name.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("`{}…`", &name[..cut]),
        None => format!("`{name}`"),
    }
}

/// A shape as messages show it: the number of dimensions if there are more than eight.
pub(super) fn shown(shape: &[usize]) -> String {
    const MOST: usize = 8;
    if shape.len() <= MOST { format!("{shape:?}") } else { format!("of {} dimensions", shape.len()) }
}

/// The header's JSON object. The safetensors crate would silently take the last of equal keys.
struct RawHeader {
    metadata: Option<HashMap<String, String>>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut metadata = None;
                let mut tensors = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let twice = if name == "__metadata__" {
                        metadata.replace(map.next_value::<UniqueKeys>()?.0).is_some()
                    } else {
                        let info: TensorInfo = map.next_value().map_err(|error| {
                            A::Error::custom(format_args!("tensor {}: {error}", quoted(&name)))
                        })?;
                        tensors.insert(name.clone(), info).is_some()
                    };
                    if twice {
                        return Err(duplicate(&name));
                    }
                }
                Ok(RawHeader { metadata, tensors: tensors.into_iter().collect() })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// An object of strings. Equal keys are an error.
pub(super) struct UniqueKeys(pub(super) HashMap<String, String>);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = UniqueKeys;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
                let mut entries = HashMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if entries.contains_key(&key) {
                        return Err(duplicate(&key));
                    }
                    entries.insert(key, map.next_value()?);
                }
                Ok(UniqueKeys(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn duplicate<E: serde::de::Error>(key: &str) -> E {
    E::custom(format_args!("{} is there twice: expected each key once", quoted(key)))
}
