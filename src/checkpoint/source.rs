//! Where the bytes come from.

use crate::{Error, ErrorKind, error};
use std::fs::File;

/// Random access to the bytes of a checkpoint: a file, memory, a callback.
///
/// Implemented for `&[u8]` and for [`File`]. A file is read by positioned reads and not mapped, so that a file which
/// someone truncates meanwhile is an error and not a signal.
pub trait ReadAt: Send + Sync {
    /// Fills the whole of `buf` from the bytes at `offset`.
    ///
    /// # Errors
    /// Any error, usually [`ErrorKind::Io`]. It is passed on with the checkpoint's name.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error>;

    /// Total bytes.
    fn size(&self) -> u64;
}

impl ReadAt for &[u8] {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..)?.get(..buf.len()))
            .ok_or_else(|| Error::new(ErrorKind::Io, past_the_end(offset, buf.len(), self.len() as u64)))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        read_exact_at(self, offset, buf).map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => past_the_end(offset, buf.len(), self.size()),
                _ => format!("cannot read {} bytes at {offset}: {error}", buf.len()),
            };
            Error::new(ErrorKind::Io, message)
        })
    }

    /// The size now, 0 if the file system does not tell it.
    fn size(&self) -> u64 {
        self.metadata().map_or(0, |metadata| metadata.len())
    }
}

fn past_the_end(offset: u64, bytes: usize, size: u64) -> String {
    format!("cannot read {bytes} bytes at {offset}: found only {size} bytes in all")
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buf: &mut [u8]) -> std::io::Result<()> {
    use std::io::ErrorKind::{Interrupted, UnexpectedEof};
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset) {
            Ok(0) => return Err(UnexpectedEof.into()),
            Ok(read) => {
                buf = &mut buf[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_exact_at(_: &File, _: u64, _: &mut [u8]) -> std::io::Result<()> {
    // std has no positioned reads here, so that checkpoints come from memory
    Err(std::io::ErrorKind::Unsupported.into())
}

/// A source and its name in errors.
pub(super) struct Source<'a> {
    name: String,
    reader: Box<dyn ReadAt + 'a>,
    size: u64,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: String, reader: Box<dyn ReadAt + 'a>) -> Self {
        let size = reader.size();
        Self { name, reader, size }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.reader.read_at(offset, buf).map_err(|error| self.error(error.kind(), error.message()))
    }

    /// An error about this source.
    pub(super) fn error(&self, kind: ErrorKind, message: impl std::fmt::Display) -> Error {
        Error::new(kind, format_args!("{}: {message}", self.name))
    }
}

/// `len` zeros, or an error if memory cannot be had.
pub(super) fn zeros(len: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    reserve(&mut buffer, len)?;
    buffer.resize(len, 0);
    Ok(buffer)
}

/// Room for `more` values in a list, and for small things after that, or an error if memory cannot be had.
pub(super) fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), Error> {
    if list.is_empty() && list.capacity() < more {
        // growing would copy the old memory and hold both for a while
        *list = Vec::new();
    }
    let room = list.try_reserve_exact(more).map_err(error::out_of_memory).and_then(|()| error::headroom());
    room.map_err(|_| {
        let bytes = more.saturating_mul(size_of::<T>());
        Error::new(ErrorKind::OutOfMemory, format_args!("out of memory: {bytes} bytes to read a checkpoint"))
    })
}
