//! The packed format of [`mimi::bitstream`].

use super::Codes;
use crate::failure::{Failure, Outcome};
use mimi::bitstream::{HEADER_BYTES, Header, pack, unpack};

pub(super) fn parse(bytes: &[u8]) -> Outcome<Codes> {
    let (header, start) = Header::from_bytes(bytes).map_err(failure)?;
    let frames = &bytes[start..];
    // A file that breaks off is good up to there.
    let count = frames.len() / header.frame_bytes();
    let expected = header.samples.div_ceil(u64::from(header.frame_samples));
    if expected > count as u64 {
        eprintln!("mimi: warning: a token file is cut off: {count} of {expected} frames");
    }
    let mut data = vec![0; count * header.codebooks];
    let whole = &frames[..count * header.frame_bytes()];
    unpack(whole, header.codebooks, header.code_bits, &mut data).map_err(failure)?;
    Ok(Codes { codebooks: header.codebooks, data, header: Some(header) })
}

pub(super) fn bytes(codes: &Codes) -> Outcome<Vec<u8>> {
    let header = codes.header.ok_or_else(|| Failure::new("the model of these codes is not known"))?;
    let mut bytes = vec![0; HEADER_BYTES + codes.frames() * header.frame_bytes()];
    let (head, frames) = bytes.split_at_mut(HEADER_BYTES);
    head.copy_from_slice(&header.to_bytes().map_err(failure)?);
    pack(&codes.data, codes.codebooks, header.code_bits, frames).map_err(failure)?;
    Ok(bytes)
}

fn failure(error: impl std::error::Error) -> Failure {
    Failure::new(error.to_string())
}
