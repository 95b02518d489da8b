//! Audio without a header.

use super::{RawFormat, SampleType};
use crate::failure::{Failure, Outcome};
use std::io::Read;

/// Bytes asked for at a time. What a pipe has is handed on at once, be it less.
const BLOCK_BYTES: usize = 64 * 1024;

/// Samples as they come.
pub(super) struct Raw {
    source: Box<dyn Read + Send>,
    format: RawFormat,
    bytes: Vec<u8>,
    /// Of `bytes`, those at the front that begin a sample whose rest has not come yet.
    waiting: usize,
}

impl Raw {
    pub(super) fn new(source: Box<dyn Read + Send>, format: RawFormat) -> Self {
        Self { source, format, bytes: vec![0; BLOCK_BYTES], waiting: 0 }
    }

    /// Hz.
    pub(super) fn rate(&self) -> u32 {
        self.format.rate
    }

    /// Appends the next samples to `block`; none: the end.
    pub(super) fn read(&mut self, block: &mut Vec<f32>) -> Outcome {
        while block.is_empty() {
            let read = match self.source.read(&mut self.bytes[self.waiting..]) {
                Ok(0) if self.waiting > 0 => {
                    return Err(Failure::cut_off("it ends in the middle of a sample"));
                }
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::system(&error)),
            };
            let length = self.waiting + read;
            let used = samples(&self.bytes[..length], self.format.samples, block);
            self.bytes.copy_within(used..length, 0);
            self.waiting = length - used;
        }
        Ok(())
    }
}

/// Appends the whole samples in `bytes` to `block`; returns the bytes that they take.
fn samples(bytes: &[u8], samples: SampleType, block: &mut Vec<f32>) -> usize {
    match samples {
        SampleType::Int16 => {
            let (whole, _) = bytes.as_chunks();
            block.extend(whole.iter().map(|&sample| f32::from(i16::from_le_bytes(sample)) / 32_768.0));
            whole.len() * 2
        }
        SampleType::Float32 => {
            let (whole, _) = bytes.as_chunks();
            block.extend(whole.iter().map(|&sample| f32::from_le_bytes(sample)));
            whole.len() * 4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives three bytes at a time, as a slow pipe might.
    struct Slow(Vec<u8>);

    impl Read for Slow {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(3).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn read_all(bytes: Vec<u8>, samples: SampleType) -> Outcome<Vec<f32>> {
        let mut raw = Raw::new(Box::new(Slow(bytes)), RawFormat { rate: 8_000, samples });
        let (mut all, mut block) = (Vec::new(), Vec::new());
        loop {
            block.clear();
            raw.read(&mut block)?;
            if block.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&block);
        }
    }

    #[test]
    fn samples_that_come_in_pieces_are_put_together() {
        let floats: Vec<f32> = (0..50).map(|i| i as f32 * 0.01 - 0.25).collect();
        let bytes: Vec<u8> = floats.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(read_all(bytes.clone(), SampleType::Float32).unwrap(), floats);
        let ints = vec![0x00, 0x40, 0x00, 0x80, 0xff, 0x7f];
        assert_eq!(read_all(ints, SampleType::Int16).unwrap(), [0.5, -1.0, 32_767.0 / 32_768.0]);
        assert!(read_all(bytes[..7].to_vec(), SampleType::Float32).is_err());
    }
}
