//! moshi.cpp's `.mimi` files: the magic, codebooks as i32, then one i16 per code, frame-major;
//! little-endian.

use super::Codes;
use crate::failure::{Failure, Outcome};

pub(super) const MAGIC: &[u8] = b"MIMI";

pub(super) fn parse(bytes: &[u8]) -> Outcome<Codes> {
    let Some((codebooks, codes)) = bytes[MAGIC.len()..].split_first_chunk() else {
        return Err(Failure::new("it ends in its header"));
    };
    let codebooks = match i32::from_le_bytes(*codebooks) {
        codebooks @ 1..=1024 => codebooks as usize,
        codebooks => return Err(Failure::new(format!("{codebooks} codebooks; expected 1 to 1024"))),
    };
    let (codes, rest) = codes.as_chunks();
    if !rest.is_empty() || codes.len() % codebooks != 0 {
        return Err(Failure::new("it ends in the middle of a frame"));
    }
    let code = |&bytes: &[u8; 2]| match i16::from_le_bytes(bytes) {
        code @ 0.. => Ok(code as u32),
        code => Err(Failure::new(format!("{code} is no code"))),
    };
    Ok(Codes { codebooks, data: codes.iter().map(code).collect::<Outcome<_>>()?, header: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_by_hand_is_read() {
        let file = b"MIMI\x02\0\0\0\x01\0\x02\0\x03\0\xff\x07";
        assert_eq!(parse(file).unwrap(), Codes { codebooks: 2, data: vec![1, 2, 3, 2047], header: None });
        assert!(parse(&file[..file.len() - 1]).is_err());
        assert!(parse(&file[..file.len() - 2]).is_err());
        assert!(parse(b"MIMI\0\0\0\0").is_err());
        assert!(parse(b"MIMI\x01\0\0\0\xff\xff").is_err());
        assert!(parse(b"MIMI").is_err());
    }
}
