//! Bytes of whole frames, as a source has them.

use crate::failure::{Failure, Outcome};
use std::io::{self, Read};

/// Bytes asked for at a time. What a pipe has is handed on at once, be it less.
const BLOCK_BYTES: usize = 16 * 1024;

/// A source of frames, and the bytes that were read from it and not yet taken.
pub(super) struct FrameSource {
    source: Box<dyn Read + Send>,
    /// Those from `waiting` on are free.
    bytes: Vec<u8>,
    waiting: usize,
}

impl FrameSource {
    /// `front` was read from `source` already.
    pub(super) fn new(mut front: Vec<u8>, source: Box<dyn Read + Send>) -> Self {
        let waiting = front.len();
        front.resize(waiting.max(BLOCK_BYTES), 0);
        Self { source, bytes: front, waiting }
    }

    /// Reads until a frame of `size` bytes is there, and tells how many whole ones there are; 0: the end.
    pub(super) fn fill(&mut self, size: usize) -> Outcome<usize> {
        while self.waiting < size {
            match self.source.read(&mut self.bytes[self.waiting..]) {
                Ok(0) => return Ok(0),
                Ok(read) => self.waiting += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::system(&error)),
            }
        }
        Ok(self.waiting / size)
    }

    /// The bytes that wait to be taken.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[..self.waiting]
    }

    /// Takes the first `count` of them away.
    pub(super) fn take(&mut self, count: usize) {
        self.bytes.copy_within(count..self.waiting, 0);
        self.waiting -= count;
    }

    /// Reads what is left, and tells its length and that of what waited.
    pub(super) fn skip_rest(&mut self) -> Outcome<u64> {
        let read = io::copy(&mut self.source, &mut io::sink()).map_err(|error| Failure::system(&error))?;
        Ok(std::mem::take(&mut self.waiting) as u64 + read)
    }
}
