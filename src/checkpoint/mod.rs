//! Safetensors bytes to named f32 tensors.

use crate::{Config, Error};
use std::path::Path;

/// Random access to the bytes of a checkpoint: a file, memory, a callback.
pub trait ReadAt: Send + Sync {
    /// Fills `buf` from the bytes at `offset`.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error>;
    /// Total bytes.
    fn size(&self) -> u64;
}

/// An open checkpoint: a config and tensors by name, whatever the layout on disk.
pub struct Checkpoint<'a> {
    config: Config,
    _sources: Vec<Box<dyn ReadAt + 'a>>,
}

impl<'a> Checkpoint<'a> {
    /// Opens a file, a directory or an index of shards.
    pub fn open(_path: &Path) -> Result<Checkpoint<'static>, Error> {
        unimplemented!()
    }

    /// Opens a checkpoint in memory or behind a callback.
    pub fn from_source(_source: Box<dyn ReadAt + 'a>) -> Result<Checkpoint<'a>, Error> {
        unimplemented!()
    }

    /// The network's numbers.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tensor whose name in the transformers layout is `name`, widened to f32.
    pub fn tensor(&self, _name: &str, _shape: &[usize]) -> Result<Vec<f32>, Error> {
        unimplemented!()
    }
}
