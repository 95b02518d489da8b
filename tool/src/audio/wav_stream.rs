//! A WAV file to standard output: its length stands in its header if it is known before, or if the output is a file.

use hound::WavSpec;
use std::io;

/// The length of the samples' chunk is the last field before them.
const LENGTH_BYTES: usize = 4;

/// A header that may be corrected at the end.
pub(super) struct WavStream {
    #[cfg(unix)]
    file: Option<(std::fs::File, u64)>,
    header: Vec<u8>,
    data: u64,
}

impl WavStream {
    /// Of audio with `samples` samples of `sample_bytes` bytes, if that is known. Standard output is not written to.
    pub(super) fn new(spec: WavSpec, sample_bytes: u64, samples: Option<u64>) -> Self {
        let header = spec.into_header_for_infinite_file();
        let mut stream = Self {
            #[cfg(unix)]
            file: seekable_output(),
            header,
            data: 0,
        };
        if let Some(data) = samples.and_then(|samples| samples.checked_mul(sample_bytes)) {
            stream.set_lengths(data);
        }
        stream
    }

    /// The bytes before the samples.
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    /// So many bytes of samples were written.
    pub(super) fn count(&mut self, bytes: u64) {
        self.data += bytes;
    }

    /// Corrects the header where that is possible. All must have been written.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some((file, start)) = self.file.take() {
            use std::os::unix::fs::FileExt;
            self.set_lengths(self.data);
            file.write_all_at(&self.header, start)?;
        }
        Ok(())
    }

    /// Lengths of 4 GiB and above do not fit. The header then tells the largest number, as for an unknown length.
    fn set_lengths(&mut self, data: u64) {
        let end = self.header.len();
        let riff = u32::try_from(data + end as u64 - 8);
        let (riff, data) = match (riff, u32::try_from(data)) {
            (Ok(riff), Ok(data)) => (riff, data),
            _ => (u32::MAX, u32::MAX),
        };
        self.header[4..8].copy_from_slice(&riff.to_le_bytes());
        self.header[end - LENGTH_BYTES..].copy_from_slice(&data.to_le_bytes());
    }
}

/// Standard output and where it stands, if it is a file whose front can be written again.
#[cfg(unix)]
fn seekable_output() -> Option<(std::fs::File, u64)> {
    use std::{io::Seek, os::fd::AsFd};
    let mut file = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
    let appends = rustix::fs::fcntl_getfl(&file).ok()?.contains(rustix::fs::OFlags::APPEND);
    let is_file = file.metadata().ok()?.is_file();
    if appends || !is_file {
        return None;
    }
    let start = file.stream_position().ok()?;
    Some((file, start))
}
