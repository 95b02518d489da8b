//! The token format: fixed vectors, properties over all shapes, hostile bytes.

use mimi::ErrorKind;
use mimi::bitstream::*;
use proptest::prelude::*;

const PUBLISHED: Header = Header {
    codebooks: 8,
    code_bits: 11,
    sample_rate: 24_000,
    frame_samples: 1_920,
    samples: 79_610,
    model_id: 0x0123_4567_89ab_cdef,
};

/// Written out by hand from the format's description; the checksum is zlib's.
const PUBLISHED_BYTES: [u8; 40] = [
    0x6d, 0x74, 0x6f, 0x6b, // mtok
    0x01, 0x0b, // version, bits per code
    0x28, 0x00, // bytes of the header
    0x08, 0x00, 0x00, 0x00, // codebooks, flags
    0xc0, 0x5d, 0x00, 0x00, // sample rate
    0x80, 0x07, 0x00, 0x00, // samples per frame
    0xfa, 0x36, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, // samples
    0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, // model
    0x59, 0xf4, 0x86, 0xc3, // CRC-32
];

#[test]
fn header_vector() {
    assert_eq!(PUBLISHED.to_bytes().unwrap(), PUBLISHED_BYTES);
    assert_eq!(Header::from_bytes(&PUBLISHED_BYTES).unwrap(), (PUBLISHED, 40));
    assert_eq!(PUBLISHED.frame_bytes(), 11);
}

#[test]
fn frame_vectors() {
    // (codes, code_bits, bytes): bits written side by side by hand
    let vectors: [(&[u32], u32, &[u8]); 5] = [
        (&[0b101_0110_0111], 11, &[0b1010_1100, 0b1110_0000]),
        (&[1, 2, 3], 2, &[0b0110_1100]),
        (
            &[0x7ff, 0, 0x7ff, 0, 0x7ff, 0, 0x7ff, 0x001],
            11,
            &[0xff, 0xe0, 0x03, 0xff, 0x80, 0x0f, 0xfe, 0x00, 0x3f, 0xf8, 0x01],
        ),
        (&[0xabcd, 0x1234], 16, &[0xab, 0xcd, 0x12, 0x34]),
        (&[1, 0, 1, 1, 0, 0, 0, 0, 1], 1, &[0b1011_0000, 0b1000_0000]),
    ];
    for (codes, code_bits, expected) in vectors {
        let mut bytes = vec![0xaa; expected.len()];
        assert_eq!(pack(codes, codes.len(), code_bits, &mut bytes), Ok(expected.len()));
        assert_eq!(bytes, expected);
        let mut back = vec![9; codes.len()];
        assert_eq!(unpack(&bytes, codes.len(), code_bits, &mut back), Ok(codes.len()));
        assert_eq!(back, codes);
    }
}

/// A frame layout that is plainly the documented one: a list of bits.
fn naive_frame(codes: &[u32], code_bits: u32) -> Vec<u8> {
    let mut bits: Vec<u32> =
        codes.iter().flat_map(|code| (0..code_bits).rev().map(move |bit| code >> bit & 1)).collect();
    bits.resize(bits.len().next_multiple_of(8), 0);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | *bit as u8)).collect()
}

/// Codes that differ from each other, for every shape.
fn some_codes(frames: usize, codebooks: usize, code_bits: u32) -> Vec<u32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> (32 - code_bits)
    };
    (0..frames * codebooks).map(|_| next()).collect()
}

#[test]
fn every_shape_packs_as_documented_and_every_drop_is_a_bit_prefix() {
    for codebooks in 1..=MAX_CODEBOOKS {
        for code_bits in 1..=MAX_CODE_BITS {
            let codes = some_codes(3, codebooks, code_bits);
            let expected: Vec<u8> =
                codes.chunks(codebooks).flat_map(|frame| naive_frame(frame, code_bits)).collect();
            let mut bytes = vec![0xaa; expected.len() + 1];
            assert_eq!(pack(&codes, codebooks, code_bits, &mut bytes), Ok(expected.len()));
            assert_eq!(bytes.pop(), Some(0xaa), "written beyond the end");
            assert_eq!(bytes, expected);
            let mut back = vec![0; codes.len()];
            assert_eq!(unpack(&bytes, codebooks, code_bits, &mut back), Ok(codes.len()));
            assert_eq!(back, codes);
            for keep in 1..=codebooks {
                let mut shorter = bytes.clone();
                let len = drop_codebooks(&mut shorter, codebooks, code_bits, keep).unwrap();
                let kept: Vec<u8> = codes
                    .chunks(codebooks)
                    .flat_map(|frame| naive_frame(&frame[..keep], code_bits))
                    .collect();
                assert_eq!(shorter[..len], kept);
            }
        }
    }
}

#[test]
fn unused_bits_are_ignored() {
    let mut codes = [0; 3];
    assert_eq!(unpack(&[0b0110_1111], 3, 2, &mut codes), Ok(3));
    assert_eq!(codes, [1, 2, 3]);
}

#[test]
fn errors_leave_the_output_alone() {
    let mut bytes = [0xaa; 22];
    let codes = [1; 16];
    let mut wrong = codes;
    wrong[15] = 2_048;
    let too_large = PackError::CodeOutOfRange { index: 15, code: 2_048, code_bits: 11 };
    assert_eq!(pack(&wrong, 8, 11, &mut bytes), Err(too_large));
    assert_eq!(pack(&codes[1..], 8, 11, &mut bytes), Err(PackError::PartialFrame { len: 15, frame: 8 }));
    assert_eq!(pack(&codes, 8, 11, &mut bytes[1..]), Err(PackError::BufferTooSmall { needed: 22 }));
    for (codebooks, code_bits) in [(0, 11), (65, 11), (8, 0), (8, 17), (usize::MAX, u32::MAX)] {
        let invalid = PackError::InvalidShape { codebooks, code_bits };
        assert_eq!(pack(&codes, codebooks, code_bits, &mut bytes), Err(invalid));
        assert_eq!(unpack(&[0; 22], codebooks, code_bits, &mut [0; 16]), Err(invalid));
        assert_eq!(drop_codebooks(&mut bytes, codebooks, code_bits, 1), Err(invalid));
    }
    let mut out = [9; 16];
    assert_eq!(unpack(&[0; 21], 8, 11, &mut out), Err(PackError::PartialFrame { len: 21, frame: 11 }));
    assert_eq!(unpack(&[0; 22], 8, 11, &mut out[1..]), Err(PackError::BufferTooSmall { needed: 16 }));
    for keep in [0, 9] {
        let invalid = PackError::InvalidShape { codebooks: keep, code_bits: 11 };
        assert_eq!(drop_codebooks(&mut bytes, 8, 11, keep), Err(invalid));
    }
    let partial = PackError::PartialFrame { len: 21, frame: 11 };
    assert_eq!(drop_codebooks(&mut bytes[1..], 8, 11, 1), Err(partial));
    assert_eq!(bytes, [0xaa; 22]);
    assert_eq!(out, [9; 16]);
}

/// `bytes` with a right checksum at the end.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn longer_headers_are_read_and_their_extra_bytes_skipped() {
    let mut bytes = PUBLISHED_BYTES[..36].to_vec();
    bytes.extend([7; 16]);
    bytes[6] = 52;
    let bytes = sealed(bytes);
    assert_eq!(Header::from_bytes(&bytes).unwrap(), (PUBLISHED, 52));
    assert_eq!(Header::from_bytes(&bytes[..51]), Err(HeaderError::Truncated { needed: 52 }));
}

/// The original's length is a number that C can hold.
#[test]
fn an_original_of_2_to_the_63_samples_is_refused() {
    let most = Original { sample_rate: 11_111, samples: i64::MAX as u64 };
    let bytes = most.header_bytes(&PUBLISHED).unwrap();
    assert_eq!(Original::from_bytes(&bytes), Ok(Some(most)));
    let more = Original { samples: 1 << 63, ..most };
    assert!(matches!(more.header_bytes(&PUBLISHED), Err(HeaderError::Corrupt(_))));
    let mut bytes = bytes[..48].to_vec();
    bytes[40..48].copy_from_slice(&more.samples.to_le_bytes());
    bytes.extend([0; 4]);
    let bytes = sealed(bytes);
    assert_eq!(Header::from_bytes(&bytes), Ok((PUBLISHED, 52)));
    assert!(matches!(Original::from_bytes(&bytes), Err(HeaderError::Corrupt(_))));
}

#[test]
fn hostile_headers_are_refused_for_what_they_are() {
    for (length, _) in PUBLISHED_BYTES.iter().enumerate() {
        let truncated = HeaderError::Truncated { needed: 40 };
        assert_eq!(Header::from_bytes(&PUBLISHED_BYTES[..length]), Err(truncated));
    }
    let with = |offset: usize, value: u8| {
        let mut bytes = PUBLISHED_BYTES.to_vec();
        bytes[offset] = value;
        Header::from_bytes(&sealed(bytes)).unwrap_err()
    };
    for offset in 0..4 {
        assert_eq!(with(offset, b'M'), HeaderError::NotTokens);
    }
    assert_eq!(Header::from_bytes(b"MI"), Err(HeaderError::NotTokens));
    for version in [0, 2, 255] {
        assert_eq!(with(4, version), HeaderError::UnknownVersion(version));
        assert_eq!(with(4, version).kind(), ErrorKind::Unsupported);
    }
    assert_eq!(with(11, 0x80), HeaderError::UnknownFlags(0x8000));
    assert_eq!(with(11, 0x80).kind(), ErrorKind::Unsupported);
    // bits per code, length, codebooks, samples, model
    for (offset, value) in [(5, 0), (5, 17), (6, 39), (6, 0), (8, 0), (8, 65), (9, 1), (27, 0x80), (35, 0x80)]
    {
        assert_eq!(with(offset, value).kind(), ErrorKind::Corrupt, "{value} at {offset}");
        assert!(matches!(with(offset, value), HeaderError::Corrupt(_)));
    }
    for zeroed in [12..16, 16..20] {
        let mut bytes = PUBLISHED_BYTES.to_vec();
        bytes[zeroed].fill(0);
        assert!(matches!(Header::from_bytes(&sealed(bytes)), Err(HeaderError::Corrupt(_))));
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_noticed() {
    for bit in 0..PUBLISHED_BYTES.len() * 8 {
        let mut bytes = PUBLISHED_BYTES;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::from_bytes(&bytes).is_err(), "bit {bit}");
    }
}

/// The last sample at another rate is the last that begins before the recording's end.
#[test]
fn a_length_is_told_at_any_rate() {
    for (rate, samples) in
        [(8_000, 26_537u64), (44_100, 52_837), (24_000, 79_610), (11_111, 1), (1, 5), (48_000, 0)]
    {
        let header = Header { sample_rate: rate, samples, ..PUBLISHED };
        assert_eq!(header.samples_at(rate), Ok(samples));
        for to in [1, 8_000, 24_000, 44_100, 48_000, 768_000, u32::MAX] {
            let there = header.samples_at(to).unwrap();
            let end = u128::from(samples) * u128::from(to);
            let begins = |sample: u64| u128::from(sample) * u128::from(rate) < end;
            assert!(there == 0 || begins(there - 1), "{samples} at {rate} Hz: {there} at {to} Hz");
            assert!(!begins(there), "{samples} at {rate} Hz: {there} at {to} Hz");
        }
    }
    assert!(Header { sample_rate: 0, ..PUBLISHED }.samples_at(8_000).is_err());
    let longest = Header { samples: i64::MAX as u64, sample_rate: 1, ..PUBLISHED };
    assert_eq!(longest.samples_at(u32::MAX), Ok(u64::MAX));
}

#[test]
fn headers_that_the_format_forbids_are_not_written() {
    let forbidden = [
        Header { codebooks: 0, ..PUBLISHED },
        Header { codebooks: 65, ..PUBLISHED },
        Header { codebooks: 65_536 + 8, ..PUBLISHED },
        Header { code_bits: 0, ..PUBLISHED },
        Header { code_bits: 17, ..PUBLISHED },
        Header { code_bits: 256 + 11, ..PUBLISHED },
        Header { sample_rate: 0, ..PUBLISHED },
        Header { frame_samples: 0, ..PUBLISHED },
        Header { samples: 1 << 63, ..PUBLISHED },
        Header { model_id: -1, ..PUBLISHED },
    ];
    for header in forbidden {
        assert!(matches!(header.to_bytes(), Err(HeaderError::Corrupt(_))), "{header:?}");
    }
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written(
        codebooks in 1..=MAX_CODEBOOKS, code_bits in 1..=MAX_CODE_BITS, sample_rate in 1u32.., frame_samples in 1u32..,
        samples in 0..=i64::MAX as u64, model_id in 0i64.., rest in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let header = Header { codebooks, code_bits, sample_rate, frame_samples, samples, model_id };
        let mut bytes = header.to_bytes().unwrap().to_vec();
        bytes.extend(rest);
        prop_assert_eq!(Header::from_bytes(&bytes).unwrap(), (header, HEADER_BYTES));
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), seal: bool) {
        for (byte, magic) in bytes.iter_mut().zip(b"mtok\x01") {
            *byte = *magic;
        }
        if seal && bytes.len() >= 40 {
            bytes[6..8].copy_from_slice(&[40, 0]);
            bytes[10..12].fill(0);
            bytes.truncate(40);
            bytes = sealed(bytes);
        }
        if let Ok((header, length)) = Header::from_bytes(&bytes) {
            prop_assert!(length >= HEADER_BYTES && length <= bytes.len());
            prop_assert!(header.to_bytes().is_ok());
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_good_up_to_there(
        codebooks in 1..=MAX_CODEBOOKS, code_bits in 1..=MAX_CODE_BITS, frames in 0usize..20, cut: prop::sample::Index,
    ) {
        let codes = some_codes(frames, codebooks, code_bits);
        let size = frame_bytes(codebooks, code_bits);
        let mut bytes = vec![0; frames * size];
        pack(&codes, codebooks, code_bits, &mut bytes).unwrap();
        let whole = cut.index(bytes.len() + 1) / size;
        let mut back = vec![0; whole * codebooks];
        prop_assert_eq!(unpack(&bytes[..whole * size], codebooks, code_bits, &mut back), Ok(back.len()));
        prop_assert_eq!(&back[..], &codes[..whole * codebooks]);
    }
}
