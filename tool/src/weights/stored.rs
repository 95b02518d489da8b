//! How a checkpoint stores its weights.

use super::Values;
use crate::failure::{Failure, Outcome};
use safetensors::tensor::{Dtype, Metadata};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// The values that keep each weight of the checkpoint at `path` exactly: a type of 16 bits if all tensors but codebooks
/// have it, otherwise 32 bits. `path` is a file or a folder.
pub(crate) fn stored_values(path: &Path) -> Outcome<Values> {
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| Failure::io(path, &error))?;
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
    }
    let mut found: Option<Values> = None;
    for file in files {
        let header = header(&file).map_err(|error| Failure::io(&file, &error))?;
        for (name, tensor) in header.tensors() {
            if name.contains("codebook.") {
                continue;
            }
            let values = match tensor.dtype {
                Dtype::F16 => Values::F16,
                Dtype::BF16 => Values::Bf16,
                _ => Values::F32,
            };
            found = Some(if found.is_none_or(|others| others == values) { values } else { Values::F32 });
        }
    }
    Ok(found.unwrap_or(Values::F32))
}

/// The header of a checkpoint that has been opened before, so that its length is bounded.
fn header(path: &Path) -> io::Result<Metadata> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut text = Vec::new();
    file.take(u64::from_le_bytes(length).min(1 << 27)).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}
