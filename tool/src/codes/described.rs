//! What a token file says of its recording.

use mimi::bitstream::{Header, HeaderError, Original};
use std::ops::Deref;

/// The header of a token file, and the recording's own rate and length if the header has others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    header: Header,
    original: Option<Original>,
}

impl Described {
    /// `header` of a recording whose rate it cannot have.
    pub(crate) fn with_original(header: Header, original: Original) -> Self {
        Self { header, original: Some(original) }
    }

    /// Reads it from the front of a file, and returns its length.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let (header, length) = Header::from_bytes(bytes)?;
        Ok((Self { header, original: Original::from_bytes(bytes)? }, length))
    }

    pub(super) fn to_bytes(self) -> Result<Vec<u8>, HeaderError> {
        match self.original {
            Some(original) => Ok(original.header_bytes(&self.header)?.to_vec()),
            None => Ok(self.header.to_bytes()?.to_vec()),
        }
    }

    /// The same with fewer codebooks.
    pub(super) fn with_codebooks(self, codebooks: usize) -> Self {
        Self { header: Header { codebooks, ..self.header }, ..self }
    }

    /// The recording's rate in Hz.
    pub(crate) fn recording_rate(&self) -> u32 {
        self.original.map_or(self.header.sample_rate, |original| original.sample_rate)
    }

    /// The recording's samples at that rate; 0: unknown.
    pub(crate) fn recording_samples(&self) -> u64 {
        self.original.map_or(self.header.samples, |original| original.samples)
    }
}

impl From<Header> for Described {
    fn from(header: Header) -> Self {
        Self { header, original: None }
    }
}

impl Deref for Described {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}
