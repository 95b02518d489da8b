//! The packed format of [`mimi::bitstream`], frame by frame.

use super::{Codes, Described, frames::FrameSource};
use crate::{
    failure::{Failure, Outcome},
    output::Pending,
    standard::Destination,
};
use mimi::bitstream::{HeaderError, frame_bytes, pack, unpack};
use std::io::{BufWriter, Read, Write};

/// Frames as they come.
pub(super) struct TokenReader {
    header: Described,
    source: FrameSource,
    frames: u64,
    /// Bytes behind the last frame that the header promises.
    surplus: u64,
}

impl TokenReader {
    /// Reads the header, of which `front` was read from `source` already, and no frame.
    pub(super) fn new(mut front: Vec<u8>, mut source: Box<dyn Read + Send>) -> Outcome<Self> {
        let (header, start) = loop {
            match Described::from_bytes(&front) {
                Err(HeaderError::Truncated { needed }) => {
                    let missing = (needed - front.len()) as u64;
                    let read = source.by_ref().take(missing).read_to_end(&mut front);
                    if read.map_err(|error| Failure::system(&error))? == 0 {
                        return Err(Failure::new("it ends in its header"));
                    }
                }
                found => break found.map_err(failure)?,
            }
        };
        front.drain(..start);
        Ok(Self { header, source: FrameSource::new(front, source), frames: 0, surplus: 0 })
    }

    pub(super) fn header(&self) -> &Described {
        &self.header
    }

    /// Appends the codes of the next whole frames; none: the end.
    pub(super) fn read(&mut self, codes: &mut Vec<u32>) -> Outcome {
        let size = self.header.frame_bytes();
        let left = match self.expected() {
            0 => u64::MAX,
            expected => expected - self.frames,
        };
        if left == 0 {
            self.surplus += self.source.skip_rest()?;
            return Ok(());
        }
        let frames = self.source.fill(size)?.min(usize::try_from(left).unwrap_or(usize::MAX));
        let used = frames * size;
        codes.resize(frames * self.header.codebooks, 0);
        unpack(&self.source.waiting()[..used], self.header.codebooks, self.header.code_bits, codes)
            .map_err(failure)?;
        self.source.take(used);
        self.frames += frames as u64;
        Ok(())
    }

    /// Frames of the whole recording; 0: unknown.
    pub(super) fn expected(&self) -> u64 {
        self.header.samples.div_ceil(u64::from(self.header.frame_samples))
    }

    /// At the end: what is missing, in words. A file that breaks off is good up to there.
    pub(super) fn loss(&self) -> Option<String> {
        loss(self.expected(), self.frames, self.source.waiting().len(), self.surplus)
    }
}

/// What is wrong with the length of a file of `frames` frames and `part` bytes of another, of which its header promises
/// `expected` (0: any number), and which has `surplus` bytes behind those.
fn loss(expected: u64, frames: u64, part: usize, surplus: u64) -> Option<String> {
    match part {
        _ if expected > frames => Some(format!("cut off after {frames} of {expected} frames")),
        _ if surplus > 0 => Some(format!("{surplus} bytes behind the last frame")),
        0 => None,
        _ => Some(format!("cut off in frame {}", frames + 1)),
    }
}

/// What is wrong with the file of `length` bytes that begins with `front` and goes on with `source`, as far as its
/// header and length tell.
pub(super) fn fault(front: Vec<u8>, source: Box<dyn Read + Send>, length: u64) -> Outcome<Option<String>> {
    let reader = TokenReader::new(front, source)?;
    let size = reader.header.frame_bytes() as u64;
    let bytes = length.saturating_sub(reader.header.to_bytes().map_err(failure)?.len() as u64);
    let expected = reader.expected();
    let frames = if expected == 0 { bytes / size } else { expected.min(bytes / size) };
    let rest = bytes - frames * size;
    let surplus = if expected > 0 && frames == expected { rest } else { 0 };
    Ok(loss(expected, frames, (rest % size) as usize, surplus))
}

/// Frames as they come, to a file or standard output.
pub(crate) struct TokenWriter {
    header: Described,
    sink: BufWriter<Box<dyn Write + Send>>,
    pending: Pending,
    bytes: Vec<u8>,
}

impl TokenWriter {
    /// Writes the header.
    pub(crate) fn new((mut sink, pending): Destination, header: Described) -> Outcome<Self> {
        let head = header.to_bytes().map_err(failure)?;
        let written = sink.write_all(&head).and_then(|()| sink.flush());
        written.map_err(|error| Failure::io(pending.path(), &error))?;
        Ok(Self { header, sink, pending, bytes: Vec::new() })
    }

    /// Writes whole frames, so that the other end of a pipe has them now.
    pub(crate) fn write(&mut self, codes: &[u32]) -> Outcome {
        let (codebooks, code_bits) = (self.header.codebooks, self.header.code_bits);
        self.bytes.resize(codes.len() / codebooks * frame_bytes(codebooks, code_bits), 0);
        pack(codes, codebooks, code_bits, &mut self.bytes).map_err(failure)?;
        let written = self.sink.write_all(&self.bytes).and_then(|()| self.sink.flush());
        written.map_err(|error| Failure::io(self.pending.path(), &error))
    }

    /// Puts the file in its place.
    pub(crate) fn finish(self) -> Outcome {
        self.pending.commit()
    }
}

/// Writes `codes` and puts the file in its place.
pub(super) fn write(destination: Destination, codes: &Codes) -> Outcome {
    let header =
        codes.header.ok_or_else(|| Failure::new("codes of this shape do not fit the mtok format"))?;
    let mut writer = TokenWriter::new(destination, header)?;
    writer.write(&codes.data)?;
    writer.finish()
}

fn failure(error: impl std::error::Error) -> Failure {
    Failure::new(error.to_string())
}
