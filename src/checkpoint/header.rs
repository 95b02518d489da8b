//! The header of a safetensors file: eight bytes of length, then JSON.
//!
//! What makes it no safetensors file is [`ErrorKind::Format`]: fewer than nine bytes, a length that
//! cannot be, text that is not UTF-8, not JSON, of the wrong types, or has a key twice. What is one,
//! but damaged, is [`ErrorKind::Corrupt`]: truncated or overlong, or tensors that overlap, leave
//! gaps, or have shapes that do not fit their bytes.

use super::source::{Source, zeros};
use crate::error::headroom_to_parse;
use crate::{Error, ErrorKind};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Where tensor data starts counting from, without the header.
const LENGTH_BYTES: u64 = 8;

/// The longest header, as in the safetensors crate.
const LONGEST: u64 = 100_000_000;

pub(super) struct Header {
    pub(super) tensors: BTreeMap<String, Stored>,
    /// The metadata entry `config`.
    pub(super) config: Option<String>,
}

/// A tensor as it is on disk.
pub(super) struct Stored {
    /// The index of its source among a checkpoint's.
    pub(super) source: usize,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Its first byte, counted from the start of the source.
    pub(super) offset: u64,
}

/// Reads and checks the header of `source`, which is number `index`.
pub(super) fn read(source: &Source, index: usize) -> Result<Header, Error> {
    let text = read_text(source)?;
    let data = LENGTH_BYTES + text.len() as u64;
    headroom_to_parse(text.len())?;
    let raw: RawHeader = serde_json::from_str(&text).map_err(|error| {
        source.error(ErrorKind::Format, format!("not a safetensors file: in its header, {error}"))
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
    let expected = data
        .checked_add(metadata.data_len() as u64)
        .ok_or_else(|| source.error(ErrorKind::Corrupt, "damaged header: more bytes than can be counted"))?;
    if expected != found {
        let what = if found < expected { "truncated" } else { "bytes after its last tensor" };
        let message = format!("{what}: the header tells of {expected} bytes, found {found}");
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
        config: metadata.metadata().as_ref().and_then(|entries| entries.get("config").cloned()),
    })
}

/// The JSON, with its length checked before anything of that length is allocated.
fn read_text(source: &Source) -> Result<String, Error> {
    let no_safetensors =
        |message: String| source.error(ErrorKind::Format, format!("not a safetensors file: {message}"));
    if source.size() <= LENGTH_BYTES {
        return Err(no_safetensors(format!("it has {} bytes", source.size())));
    }
    let mut length = [0; LENGTH_BYTES as usize];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let mut first = [0];
    source.read_at(LENGTH_BYTES, &mut first)?;
    if length > LONGEST || first != *b"{" {
        return Err(no_safetensors(format!("its first bytes are no header (length {length})")));
    }
    if length > source.size() - LENGTH_BYTES {
        let message = format!("truncated in its header of {length} bytes, found {} in all", source.size());
        return Err(source.error(ErrorKind::Corrupt, message));
    }
    let mut text = zeros(length as usize)?;
    source.read_at(LENGTH_BYTES, &mut text)?;
    String::from_utf8(text).map_err(|error| no_safetensors(format!("its header is not UTF-8: {error}")))
}

/// That the shape of a tensor fills its bytes.
fn check_extent(name: &str, info: &TensorInfo) -> Result<(), String> {
    let (start, end) = info.data_offsets;
    let elements = info.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    let bits = elements.and_then(|n| n.checked_mul(info.dtype.bitsize()));
    let room = end.checked_sub(start).and_then(|bytes| bytes.checked_mul(8));
    if bits.is_some() && bits == room {
        return Ok(());
    }
    let (name, shape) = (quoted(name), shown(&info.shape));
    Err(format!(
        "tensor {name} of shape {shape} and type {} does not fill its bytes, {start}..{end}",
        info.dtype
    ))
}

/// A name from a file as it is shown in messages: in quotes, and not too long.
pub(super) fn quoted(name: &str) -> String {
    const LONGEST: usize = 120;
    match name.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("`{}…`", &name[..cut]),
        None => format!("`{name}`"),
    }
}

/// A shape as it is shown in messages.
pub(super) fn shown(shape: &[usize]) -> String {
    const MOST: usize = 8;
    if shape.len() <= MOST { format!("{shape:?}") } else { format!("of {} dimensions", shape.len()) }
}

/// The header's JSON object; the crate's own deserializer lets the last of equal keys win.
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

/// An object of strings, without equal keys.
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
    E::custom(format_args!("{} is there twice", quoted(key)))
}
