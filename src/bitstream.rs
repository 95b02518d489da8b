//! Codes as bytes: frames to send, and a header to put before them in a file.
//!
//! # Frames
//!
//! A frame of `codebooks` codes of `code_bits` bits takes [`frame_bytes`] =
//! ceil(codebooks · code_bits / 8) bytes: 11 for the published model with 8 codebooks, 44 with 32.
//! Codes follow each other without gaps, codebook 0 first, the most significant bit first: counted
//! from the most significant bit of byte 0, code k is bits k · code_bits up to
//! (k + 1) · code_bits. Bits left over in the last byte are written as 0 and ignored by readers.
//!
//! Eight codes of eleven bits, `k` being the number of the codebook that a bit belongs to:
//!
//! ```text
//! byte    0        1        2        3        4        5        6        7        8 …
//!         00000000 00011111 11111122 22222222 23333333 33334444 44444445 55555555 55666666 …
//! ```
//!
//! So every frame starts at a byte and can be sent alone, as a packet; frame n of a file is found by
//! a multiplication; a file that breaks off is good up to there; and the first k codebooks of a frame
//! are its first k · code_bits bits, so that [`drop_codebooks`] lowers the bit rate of what is
//! already encoded, down to one codebook.
//!
//! # Files
//!
//! A file is a header and frames up to its end. All numbers are little-endian.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | `mtok`, in ASCII: 6D 74 6F 6B |
//! | 4 | 1 | version of the format: 1; anything else is not for this reader |
//! | 5 | 1 | code_bits, 1 to 16 |
//! | 6 | 2 | bytes of the header, n, at least 40; the first frame begins there |
//! | 8 | 2 | codebooks, 1 to 64 |
//! | 10 | 2 | flags: 0; a reader refuses those that it does not know |
//! | 12 | 4 | sample rate of the audio in Hz, not 0 |
//! | 16 | 4 | samples in a frame at this rate, not 0; the frame rate is the quotient of these two |
//! | 20 | 8 | samples of the recording at this rate, below 2^63, so that the last frame can be cut; 0: unknown |
//! | 28 | 8 | [`Model::id`](crate::Model::id) of the model that the codes belong to, below 2^63; 0: unknown |
//! | 36 | 4 | if n is at least 52: sample rate of the original in Hz, see [`Original`]; 0: as at offset 12 |
//! | 40 | 8 | if n is at least 52: samples of the original at its rate, below 2^63; 0: unknown |
//! | 48 | n − 52 | nothing yet; readers skip it, as they may skip all from offset 36 |
//! | n − 4 | 4 | CRC-32 (that of zlib and PNG) of the n − 4 bytes before |
//!
//! A frame is a whole number of samples at the header's rate. So the rate can be any at which that holds: with the
//! published model, a multiple of 25 Hz. A recording at another rate, such as 11111 Hz, is described at a rate
//! where it holds, usually the model's, and its own rate and length stand at offsets 36 and 40.
//!
//! # Test vectors
//!
//! A file of one frame; more are in `tests/bitstream.rs`.
//!
//! ```
//! use mimi::bitstream::{Header, pack};
//!
//! let header = Header {
//!     codebooks: 8,
//!     code_bits: 11,
//!     sample_rate: 24_000,
//!     frame_samples: 1_920,
//!     samples: 79_610,
//!     model_id: 0x0123_4567_89ab_cdef,
//! };
//! let mut file = header.to_bytes()?.to_vec();
//! file.resize(40 + header.frame_bytes(), 0);
//! pack(&[2047, 0, 2047, 0, 2047, 0, 2047, 1], 8, 11, &mut file[40..])?;
//! assert_eq!(
//!     file,
//!     [
//!         0x6d, 0x74, 0x6f, 0x6b, 0x01, 0x0b, 0x28, 0x00, // mtok, version, bits of a code, header bytes
//!         0x08, 0x00, // codebooks
//!         0x00, 0x00, // flags
//!         0xc0, 0x5d, 0x00, 0x00, // sample rate
//!         0x80, 0x07, 0x00, 0x00, // samples in a frame
//!         0xfa, 0x36, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, // samples of the recording
//!         0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, // model
//!         0x59, 0xf4, 0x86, 0xc3, // CRC-32
//!         0xff, 0xe0, 0x03, 0xff, 0x80, 0x0f, // frame
//!         0xfe, 0x00, 0x3f, 0xf8, 0x01,
//!     ]
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Name
//!
//! The file name extension is `.mtok`, for Mimi tokens. `.mimi` is taken: moshi.cpp uses it, with
//! the magic `MIMI`, for a format of 16-bit codes that knows neither its model nor its length.

mod original;

pub use original::{ORIGINAL_HEADER_BYTES, Original};

use crate::{Error, ErrorKind, Spec, StreamOptions};
use std::fmt;

/// The extension of files in this format, without the dot.
pub const EXTENSION: &str = "mtok";

/// The first bytes of a file.
pub const MAGIC: [u8; 4] = *b"mtok";

/// Bytes of the header that [`Header::to_bytes`] writes. Other writers may write longer ones.
pub const HEADER_BYTES: usize = 40;

/// The most codebooks that a frame may have.
pub const MAX_CODEBOOKS: usize = 64;

/// The most bits that a code may have.
pub const MAX_CODE_BITS: u32 = 16;

const VERSION: u8 = 1;

/// Bytes of one frame: ceil(codebooks · code_bits / 8).
pub const fn frame_bytes(codebooks: usize, code_bits: u32) -> usize {
    (codebooks * code_bits as usize).div_ceil(8)
}

/// What stands before the frames of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Codes per frame, 1 to [`MAX_CODEBOOKS`].
    pub codebooks: usize,
    /// Bits per code, 1 to [`MAX_CODE_BITS`].
    pub code_bits: u32,
    /// Sample rate of the audio in Hz.
    pub sample_rate: u32,
    /// Samples per frame; frames per second are `sample_rate / frame_samples`.
    pub frame_samples: u32,
    /// Samples of the recording at `sample_rate`; the last frame may reach beyond. 0: unknown.
    pub samples: u64,
    /// [`Model::id`](crate::Model::id) of the model that the codes belong to; 0: unknown.
    pub model_id: i64,
}

impl Header {
    /// The header of codes that a model makes with `codebooks` codebooks, of a recording of
    /// `samples` samples (0: unknown).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the model has not so many codebooks,
    /// [`ErrorKind::Unsupported`] if its numbers are beyond this format.
    pub fn for_model(spec: &Spec, codebooks: usize, samples: u64) -> Result<Self, Error> {
        let options = StreamOptions { codebooks: Some(codebooks), ..StreamOptions::default() };
        Ok(Self { samples, ..Self::for_options(spec, &options)? })
    }

    /// The header of codes that a model makes with `options`, at their sample rate, of a recording whose length is
    /// unknown.
    ///
    /// # Errors
    ///
    /// As for [`for_model`](Self::for_model), and [`ErrorKind::InvalidArgument`] for a sample rate that streams
    /// cannot have.
    pub fn for_options(spec: &Spec, options: &StreamOptions) -> Result<Self, Error> {
        let rates = spec.stream_rates(options)?;
        let header = Self {
            codebooks: spec.stream_codebooks(options)?,
            code_bits: spec.code_bits(),
            sample_rate: rates.stream_rate(),
            frame_samples: u32::try_from(rates.frame()).unwrap_or(0),
            samples: 0,
            model_id: spec.id,
        };
        match header.check() {
            Ok(()) => Ok(header),
            Err(problem) => Err(Error::new(ErrorKind::Unsupported, problem)),
        }
    }

    /// The header as bytes.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Corrupt`] if a field has a value that the format does not allow.
    pub fn to_bytes(&self) -> Result<[u8; HEADER_BYTES], HeaderError> {
        self.check()?;
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.code_bits as u8;
        bytes[6..8].copy_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        bytes[8..10].copy_from_slice(&(self.codebooks as u16).to_le_bytes());
        bytes[12..16].copy_from_slice(&self.sample_rate.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.frame_samples.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.samples.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.model_id.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// Reads the header at the start of `bytes`, which may go on after it. Returns it with its length:
    /// the offset of the first frame.
    ///
    /// # Errors
    ///
    /// See [`HeaderError`]. After [`HeaderError::Truncated`], try again with more bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(HeaderError::NotTokens);
        }
        if bytes.len() < 8 {
            return Err(HeaderError::Truncated { needed: HEADER_BYTES });
        }
        if bytes[4] != VERSION {
            return Err(HeaderError::UnknownVersion(bytes[4]));
        }
        let length = usize::from(u16::from_le_bytes(array(bytes, 6)));
        if length < HEADER_BYTES {
            return Err(HeaderError::Corrupt("header too short"));
        }
        if bytes.len() < length {
            return Err(HeaderError::Truncated { needed: length });
        }
        if crc32fast::hash(&bytes[..length - 4]) != u32::from_le_bytes(array(bytes, length - 4)) {
            return Err(HeaderError::Corrupt("wrong checksum"));
        }
        let flags = u16::from_le_bytes(array(bytes, 10));
        if flags != 0 {
            return Err(HeaderError::UnknownFlags(flags));
        }
        let header = Self {
            codebooks: usize::from(u16::from_le_bytes(array(bytes, 8))),
            code_bits: u32::from(bytes[5]),
            sample_rate: u32::from_le_bytes(array(bytes, 12)),
            frame_samples: u32::from_le_bytes(array(bytes, 16)),
            samples: u64::from_le_bytes(array(bytes, 20)),
            model_id: i64::from_le_bytes(array(bytes, 28)),
        };
        header.check()?;
        Ok((header, length))
    }

    /// The length of the recording at another sample rate, not 0: the samples that begin before its end. 0: unknown.
    ///
    /// # Errors
    ///
    /// As for [`to_bytes`](Self::to_bytes).
    pub fn samples_at(&self, rate: u32) -> Result<u64, HeaderError> {
        self.check()?;
        let product = u128::from(self.samples) * u128::from(rate);
        Ok(u64::try_from(product.div_ceil(self.sample_rate.into())).unwrap_or(u64::MAX))
    }

    /// Bytes of one frame.
    pub fn frame_bytes(&self) -> usize {
        frame_bytes(self.codebooks, self.code_bits)
    }

    fn check(&self) -> Result<(), HeaderError> {
        let problem = if !(1..=MAX_CODEBOOKS).contains(&self.codebooks) {
            "codebooks not in 1..=64"
        } else if !(1..=MAX_CODE_BITS).contains(&self.code_bits) {
            "bits per code not in 1..=16"
        } else if self.sample_rate == 0 {
            "sample rate 0"
        } else if self.frame_samples == 0 {
            "frames of 0 samples"
        } else if i64::try_from(self.samples).is_err() {
            "length not below 2^63"
        } else if self.model_id < 0 {
            "model id not below 2^63"
        } else {
            return Ok(());
        };
        Err(HeaderError::Corrupt(problem))
    }
}

/// `bytes[at..at + N]`; callers have checked the length.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

/// Packs whole frames of codes, `codes[frame * codebooks + k]`, into `dst` and returns how many bytes
/// were written. Real-time: allocates nothing. On an error, nothing was written.
///
/// # Errors
///
/// See [`PackError`].
pub fn pack(codes: &[u32], codebooks: usize, code_bits: u32, dst: &mut [u8]) -> Result<usize, PackError> {
    check_shape(codebooks, code_bits)?;
    let size = frame_bytes(codebooks, code_bits);
    let needed = whole_frames(codes.len(), codebooks)? * size;
    if let Some(index) = codes.iter().position(|code| code >> code_bits != 0) {
        return Err(PackError::CodeOutOfRange { index, code: codes[index], code_bits });
    }
    let dst = dst.get_mut(..needed).ok_or(PackError::BufferTooSmall { needed })?;
    for (frame, bytes) in codes.chunks_exact(codebooks).zip(dst.chunks_exact_mut(size)) {
        pack_frame(frame, code_bits, bytes);
    }
    Ok(needed)
}

fn pack_frame(codes: &[u32], code_bits: u32, bytes: &mut [u8]) {
    // The low `waiting` bits of `queue` are not written yet: at most 7 before, 23 after a code.
    let (mut queue, mut waiting, mut at) = (0u32, 0, 0);
    for code in codes {
        queue = queue << code_bits | code;
        waiting += code_bits;
        while waiting >= 8 {
            waiting -= 8;
            bytes[at] = (queue >> waiting) as u8;
            at += 1;
        }
    }
    if waiting > 0 {
        bytes[at] = (queue << (8 - waiting)) as u8;
    }
}

/// Unpacks whole frames into `codes[frame * codebooks + k]` and returns how many codes were written.
/// Real-time: allocates nothing. On an error, nothing was written.
///
/// # Errors
///
/// See [`PackError`].
pub fn unpack(src: &[u8], codebooks: usize, code_bits: u32, codes: &mut [u32]) -> Result<usize, PackError> {
    check_shape(codebooks, code_bits)?;
    let size = frame_bytes(codebooks, code_bits);
    let needed = whole_frames(src.len(), size)?.saturating_mul(codebooks);
    let codes = codes.get_mut(..needed).ok_or(PackError::BufferTooSmall { needed })?;
    for (bytes, frame) in src.chunks_exact(size).zip(codes.chunks_exact_mut(codebooks)) {
        unpack_frame(bytes, code_bits, frame);
    }
    Ok(needed)
}

fn unpack_frame(bytes: &[u8], code_bits: u32, codes: &mut [u32]) {
    // The low `waiting` bits of `queue` are not handed out yet: at most 23.
    let (mut queue, mut waiting) = (0u32, 0);
    let mut bytes = bytes.iter();
    for code in codes {
        while waiting < code_bits {
            queue = queue << 8 | u32::from(*bytes.next().unwrap_or(&0));
            waiting += 8;
        }
        waiting -= code_bits;
        *code = queue >> waiting & ((1 << code_bits) - 1);
    }
}

/// Keeps the first `keep` codebooks of whole frames: the bytes of the shorter frames are moved to the
/// front of `frames`, and their number is returned. Real-time. On an error, nothing was changed.
///
/// ```
/// use mimi::bitstream::{drop_codebooks, pack, unpack};
///
/// let mut bytes = [0; 22];
/// pack(&[1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18], 8, 11, &mut bytes)?;
/// let len = drop_codebooks(&mut bytes, 8, 11, 3)?;
/// let mut codes = [0; 6];
/// unpack(&bytes[..len], 3, 11, &mut codes)?;
/// assert_eq!(codes, [1, 2, 3, 11, 12, 13]);
/// # Ok::<(), mimi::bitstream::PackError>(())
/// ```
///
/// # Errors
///
/// See [`PackError`]; `keep` must be 1 to `codebooks`.
pub fn drop_codebooks(
    frames: &mut [u8],
    codebooks: usize,
    code_bits: u32,
    keep: usize,
) -> Result<usize, PackError> {
    check_shape(codebooks, code_bits)?;
    if keep == 0 || keep > codebooks {
        return Err(PackError::InvalidShape { codebooks: keep, code_bits });
    }
    let (long, short) = (frame_bytes(codebooks, code_bits), frame_bytes(keep, code_bits));
    let count = whole_frames(frames.len(), long)?;
    let unused_bits = short * 8 - keep * code_bits as usize;
    for frame in 0..count {
        frames.copy_within(frame * long..frame * long + short, frame * short);
        frames[(frame + 1) * short - 1] &= 0xff << unused_bits;
    }
    Ok(count * short)
}

fn check_shape(codebooks: usize, code_bits: u32) -> Result<(), PackError> {
    match (1..=MAX_CODEBOOKS).contains(&codebooks) && (1..=MAX_CODE_BITS).contains(&code_bits) {
        true => Ok(()),
        false => Err(PackError::InvalidShape { codebooks, code_bits }),
    }
}

fn whole_frames(len: usize, frame: usize) -> Result<usize, PackError> {
    match len % frame {
        0 => Ok(len / frame),
        _ => Err(PackError::PartialFrame { len, frame }),
    }
}

/// Why codes were not packed, unpacked or dropped. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackError {
    /// Codebooks not in 1..=64 (or more kept than there are), or bits per code not in 1..=16.
    InvalidShape {
        /// Codebooks asked for.
        codebooks: usize,
        /// Bits per code asked for.
        code_bits: u32,
    },
    /// A code that needs more bits.
    CodeOutOfRange {
        /// Where it stands in the input.
        index: usize,
        /// Its value.
        code: u32,
        /// Bits that it may have.
        code_bits: u32,
    },
    /// The input does not hold whole frames.
    PartialFrame {
        /// Codes or bytes given.
        len: usize,
        /// Codes or bytes in a frame.
        frame: usize,
    },
    /// The output buffer is too small.
    BufferTooSmall {
        /// Bytes or codes that this call would write.
        needed: usize,
    },
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidShape { codebooks, code_bits } => {
                write!(f, "frames of {codebooks} codes of {code_bits} bits; expected 1 to 64 of 1 to 16")
            }
            Self::CodeOutOfRange { index, code, code_bits } => {
                write!(f, "codes[{index}] is {code}, more than {code_bits} bits")
            }
            Self::PartialFrame { len, frame } => write!(f, "a length of {len} is no multiple of {frame}"),
            Self::BufferTooSmall { needed } => write!(f, "output buffer too small: {needed} elements needed"),
        }
    }
}

impl std::error::Error for PackError {}

/// Why bytes are no header, or a header cannot be bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// They do not begin with [`MAGIC`].
    NotTokens,
    /// The header goes on.
    Truncated {
        /// Bytes needed; more if they turn out to begin a longer header.
        needed: usize,
    },
    /// A version of the format that came later.
    UnknownVersion(u8),
    /// Flags whose meaning came later.
    UnknownFlags(u16),
    /// A wrong checksum, or a field with a value that the format does not allow.
    Corrupt(&'static str),
}

impl HeaderError {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotTokens => ErrorKind::Format,
            Self::Truncated { .. } | Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::UnknownVersion(_) | Self::UnknownFlags(_) => ErrorKind::Unsupported,
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTokens => write!(f, "no Mimi token file: it does not begin with \"mtok\""),
            Self::Truncated { needed } => write!(f, "token header cut off: {needed} bytes needed"),
            Self::UnknownVersion(version) => {
                write!(f, "token file of version {version}; this reader knows version {VERSION}")
            }
            Self::UnknownFlags(flags) => write!(f, "token file with unknown flags {flags:#06x}"),
            Self::Corrupt(problem) => write!(f, "token header: {problem}"),
        }
    }
}

impl std::error::Error for HeaderError {}
