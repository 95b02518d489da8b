//! Models whose weights are packed before they are loaded.

use super::Model;
use crate::checkpoint::PackedHeader;
use crate::kernels::Weights;
use crate::{Checkpoint, Error, ErrorKind, LoadOptions, Precision};
use std::cell::RefCell;
use xxhash_rust::xxh64::Xxh64;

/// The precision to load with: of packed weights theirs, which the default stands for, too.
pub(super) fn precision(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Precision, Error> {
    match (checkpoint.packed(), options.precision) {
        (None, asked) => Ok(asked),
        (Some(packed), asked) if [Precision::F32, packed.precision].contains(&asked) => Ok(packed.precision),
        (Some(packed), asked) => {
            let message = format_args!(
                "precision is {asked:?}: expected {:?}, in which the weights are packed, or the default",
                packed.precision
            );
            Err(checkpoint.error(ErrorKind::Unsupported, message))
        }
    }
}

/// Writes a checkpoint with its weights packed as `options` say, and `config`, JSON, in its metadata: see
/// `checkpoint/packed.rs`. The weights are packed twice, because sizes stand before them, so that memory stays near one
/// model.
///
/// # Errors
/// Those of [`Model::from_checkpoint`] and of `write`.
pub fn write_packed<E: From<Error>>(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    config: &str,
    write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    // tensors are written in the order of one thread
    let options = &LoadOptions { threads: None, ..options.clone() };
    let tensors = RefCell::new(Vec::new());
    let model = Model::observed(
        checkpoint,
        options,
        Some(&|name, weights| {
            tensors.borrow_mut().push((name.to_owned(), weights.bytes()));
            Ok(())
        }),
    )?;
    let tensors = tensors.into_inner();
    let kernels = model.kernels();
    let header = PackedHeader {
        precision: model.precision(),
        panel_width: kernels.panel_width(),
        isa: kernels.isa().name(),
        id: model.id(),
        config,
        tensors: &tensors,
    };
    let (header, hash) = header.bytes();
    drop(model);
    let writer = RefCell::new(Writer { write, hashes: vec![hash], failure: None });
    writer.borrow_mut().write(&header);
    let changed = || {
        checkpoint
            .error(ErrorKind::Io, "the checkpoint was changed while it was packed: expected the same twice")
    };
    let sink = |name: &str, weights: &dyn Weights| {
        let mut writer = writer.borrow_mut();
        let index = writer.hashes.len() - 1;
        let expected = tensors.get(index).is_some_and(|(n, bytes)| n == name && *bytes == weights.bytes());
        if !expected {
            return Err(changed());
        }
        let mut hash = Xxh64::new(0);
        weights.arenas(&mut |bytes| {
            hash.update(bytes);
            writer.write(bytes);
        });
        writer.hashes.push(hash.digest());
        // any error ends the second packing, and `write`'s own is told
        if writer.failure.is_some() { Err(changed()) } else { Ok(()) }
    };
    let packed = Model::observed(checkpoint, options, Some(&sink));
    let mut writer = writer.into_inner();
    if writer.failure.is_none() {
        packed?;
        let hashes = std::mem::take(&mut writer.hashes);
        hashes.iter().for_each(|hash| writer.write(&hash.to_le_bytes()));
    }
    writer.failure.map_or(Ok(()), Err)
}

/// What writes the bytes of a file, until that fails, and the hashes of its parts.
struct Writer<W, E> {
    write: W,
    hashes: Vec<u64>,
    failure: Option<E>,
}

impl<E, W: FnMut(&[u8]) -> Result<(), E>> Writer<W, E> {
    fn write(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = (self.write)(bytes).err();
        }
    }
}
