//! moshi.cpp's `.mimi` files: the magic, codebooks as i32, then one i16 per code, frame-major;
//! little-endian.

use super::frames::FrameSource;
use crate::failure::{Failure, Outcome};
use std::io::Read;

pub(super) const MAGIC: &[u8] = b"MIMI";

/// Frames as they come.
pub(super) struct MoshiReader {
    codebooks: usize,
    source: FrameSource,
}

impl MoshiReader {
    /// Reads the header; `source` begins with it.
    pub(super) fn new(mut source: Box<dyn Read + Send>) -> Outcome<Self> {
        let mut header = [0; 8];
        source.read_exact(&mut header).map_err(|_| Failure::new("it ends in its header"))?;
        let [.., a, b, c, d] = header;
        match i32::from_le_bytes([a, b, c, d]) {
            codebooks @ 1..=1024 => {
                let source = FrameSource::new(Vec::new(), source);
                Ok(Self { codebooks: codebooks as usize, source })
            }
            codebooks => Err(Failure::new(format!("{codebooks} codebooks; expected 1 to 1024"))),
        }
    }

    pub(super) fn codebooks(&self) -> usize {
        self.codebooks
    }

    /// Appends the codes of the next whole frames; none: the end.
    pub(super) fn read(&mut self, codes: &mut Vec<u32>) -> Outcome {
        let size = 2 * self.codebooks;
        let used = self.source.fill(size)? * size;
        let (whole, _) = self.source.waiting()[..used].as_chunks();
        for &code in whole {
            match i16::from_le_bytes(code) {
                code @ 0.. => codes.push(code as u32),
                code => return Err(Failure::new(format!("{code} is no code"))),
            }
        }
        self.source.take(used);
        Ok(())
    }

    /// At the end: what is missing, in words.
    pub(super) fn loss(&self) -> Option<String> {
        (!self.source.waiting().is_empty()).then(|| "it ends in the middle of a frame".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &'static [u8]) -> Outcome<(Vec<u32>, bool)> {
        let mut reader = MoshiReader::new(Box::new(bytes))?;
        let mut codes = Vec::new();
        reader.read(&mut codes)?;
        Ok((codes, reader.loss().is_some()))
    }

    #[test]
    fn a_file_written_by_hand_is_read() {
        static FILE: &[u8] = b"MIMI\x02\0\0\0\x01\0\x02\0\x03\0\xff\x07";
        assert_eq!(parse(FILE).unwrap(), (vec![1, 2, 3, 2047], false));
        assert_eq!(parse(&FILE[..FILE.len() - 1]).unwrap(), (vec![1, 2], true));
        assert_eq!(parse(&FILE[..FILE.len() - 2]).unwrap(), (vec![1, 2], true));
        assert!(parse(b"MIMI\0\0\0\0").is_err());
        assert!(parse(b"MIMI\x01\0\0\0\xff\xff").is_err());
        assert!(parse(b"MIMI").is_err());
    }
}
