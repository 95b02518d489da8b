//! Any bytes as a token header: an error or a header, and a header comes back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mimi::bitstream::{HEADER_BYTES, Header, HeaderError, frame_bytes};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // the same with a checksum that fits, or next to nothing would get past it
    let mut bytes = bytes.to_vec();
    if let Some(&[low, high]) = bytes.get(6..8) {
        let length = usize::from(u16::from_le_bytes([low, high]));
        if (HEADER_BYTES..=bytes.len()).contains(&length) {
            let checksum = crc32fast::hash(&bytes[..length - 4]);
            bytes[length - 4..length].copy_from_slice(&checksum.to_le_bytes());
            check(&bytes);
        }
    }
});

fn check(bytes: &[u8]) {
    match Header::from_bytes(bytes) {
        Ok((header, length)) => {
            assert!((HEADER_BYTES..=bytes.len()).contains(&length));
            assert_eq!(header.frame_bytes(), frame_bytes(header.codebooks, header.code_bits));
            let written = header.to_bytes().expect("what was read can be written");
            assert_eq!(Header::from_bytes(&written), Ok((header, HEADER_BYTES)));
        }
        Err(HeaderError::Truncated { needed }) => {
            assert!(needed > bytes.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
