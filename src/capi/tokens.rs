//! Tokens as bytes.

use super::buffer::{disjoint, input, output, place, report};
use super::guard::{guard, guard_rt};
use super::handle;
use super::model::mimi_model;
use super::status::{
    Failure, MIMI_ERR_BUFFER_TOO_SMALL, MIMI_ERR_CORRUPT, MIMI_ERR_FORMAT, MIMI_ERR_INVALID_ARGUMENT,
    MIMI_ERR_UNSUPPORTED, mimi_status,
};
use crate::Model;
use crate::bitstream::{self, HEADER_BYTES, Header, HeaderError, PackError};

/// Writes the header of a token file: what a reader must know before the first frame.
///
/// A token file is this header and then frames as mimi_pack() makes them, each of
/// ceil(codebooks * code bits / 8) bytes: 11 for the published model with 8 codebooks, so 1.1 kbit/s.
/// Frame f begins at header length + f * frame bytes, and a file that breaks off is good up to there.
/// Frames may also be sent alone, as packets, without a header.
///
/// The header, byte by byte; all numbers are little-endian:
///
/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 4 | "mtok" in ASCII |
/// | 4 | 1 | version of the format: 1 |
/// | 5 | 1 | bits of a code, 1 to 16 |
/// | 6 | 2 | length n of the header, at least 40 |
/// | 8 | 2 | codes in a frame, 1 to 64 |
/// | 10 | 2 | flags, 0; a reader refuses others |
/// | 12 | 4 | sample rate in Hz |
/// | 16 | 4 | samples in a frame; the frame rate is the quotient |
/// | 20 | 8 | samples of the recording, 0 for unknown |
/// | 28 | 8 | MIMI_PROP_MODEL_ID, 0 for unknown |
/// | 36 | n - 40 | nothing yet; readers skip it |
/// | n - 4 | 4 | CRC-32, that of zlib, of the bytes before |
///
/// A test vector: 8 codes of 11 bits, 24000 Hz, 1920 samples, 79610 samples, model 0x0123456789abcdef.
///
/// `6d 74 6f 6b 01 0b 28 00 08 00 00 00 c0 5d 00 00 80 07 00 00`
/// `fa 36 01 00 00 00 00 00 ef cd ab 89 67 45 23 01 59 f4 86 c3`
///
/// - `model`: the model that the codes belong to; not NULL.
/// - `codebooks`: the number of codes in a frame, 1 to as many as the model has.
/// - `n_samples`: the length of the recording in samples at the model's rate, so that a reader can cut the
///   last frame; 0 for unknown.
/// - `dst`, `dst_cap`: room for the header, 40 bytes in this release.
/// - `out_len`: receives the number of bytes written, or needed with MIMI_ERR_BUFFER_TOO_SMALL; not
///   NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_pack_header(
    model: *const mimi_model,
    codebooks: i32,
    n_samples: u64,
    dst: *mut libc::c_void,
    dst_cap: usize,
    out_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let out = place("out_len", out_len)?;
        let dst = output("dst", dst.cast::<u8>(), dst_cap)?;
        let header = Header::for_model(model, usize::try_from(codebooks).unwrap_or(0), n_samples)?;
        let bytes = header.to_bytes().map_err(Failure::from)?;
        let Some(dst) = dst.get_mut(..HEADER_BYTES) else {
            out.write(HEADER_BYTES);
            let message = format!("dst_cap is {dst_cap}; the header takes {HEADER_BYTES} bytes");
            return Err(Failure::new(MIMI_ERR_BUFFER_TOO_SMALL, message));
        };
        dst.copy_from_slice(&bytes);
        out.write(HEADER_BYTES);
        Ok(())
    })
}

/// Reads the header of a token file. No model is needed.
///
/// - `src`, `len`: the beginning of the file; 40 bytes are enough for files that this release writes,
///   and more do no harm.
/// - `out_codebooks`, `out_code_bits`: receive the codes in a frame and the bits of a code; not NULL.
/// - `out_samples`: receives the length of the recording in samples at the model's rate, 0 for unknown; not
///   NULL.
/// - `out_model_id`: receives the MIMI_PROP_MODEL_ID of the model that the codes belong to, 0 for
///   unknown; not NULL.
/// - `out_header_len`: receives the offset of the first frame; not NULL.
///
/// MIMI_ERR_FORMAT for what is no token file, MIMI_ERR_UNSUPPORTED for one of a later format,
/// MIMI_ERR_CORRUPT for a damaged or cut-off header.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_unpack_header(
    src: *const libc::c_void,
    len: usize,
    out_codebooks: *mut i32,
    out_code_bits: *mut i32,
    out_samples: *mut u64,
    out_model_id: *mut i64,
    out_header_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let codebooks = place("out_codebooks", out_codebooks)?;
        let code_bits = place("out_code_bits", out_code_bits)?;
        let samples = place("out_samples", out_samples)?;
        let model_id = place("out_model_id", out_model_id)?;
        let header_len = place("out_header_len", out_header_len)?;
        let src = input("src", src.cast::<u8>(), len)?;
        let (header, length) = Header::from_bytes(src).map_err(Failure::from)?;
        codebooks.write(header.codebooks as i32);
        code_bits.write(header.code_bits as i32);
        samples.write(header.samples);
        model_id.write(header.model_id);
        header_len.write(length);
        Ok(())
    })
}

/// Packs codes into frames of bytes, code after code, most significant bit first. Real-time.
///
/// The codes of codebooks 0 to k - 1 are the first k * code_bits bits of a frame, so that codebooks can
/// be dropped from a frame without encoding again: mimi_drop_codebooks(). Bits left over at a frame's end are
/// written as 0 and ignored by readers. A test vector, the frame of the codes 2047, 0, 2047, 0, 2047, 0,
/// 2047 and 1 of 11 bits: `ff e0 03 ff 80 0f fe 00 3f f8 01`.
///
/// - `codes`, `n_codes`: whole frames of codes, as mimi_encode() and streams make them.
/// - `codebooks`: codes in a frame, 1 to 64.
/// - `code_bits`: bits of a code, 1 to 16; MIMI_PROP_CODE_BITS of a model.
/// - `dst`, `dst_cap`: room for frames * ceil(codebooks * code_bits / 8) bytes. Must not overlap `codes`.
/// - `out_len`: receives the number of bytes written, or needed with MIMI_ERR_BUFFER_TOO_SMALL; not
///   NULL.
///
/// MIMI_ERR_CORRUPT for a code that does not fit its bits.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_pack(
    codes: *const u32,
    n_codes: usize,
    codebooks: i32,
    code_bits: i32,
    dst: *mut libc::c_void,
    dst_cap: usize,
    out_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` keeps the references
    // apart.
    guard_rt(|| unsafe {
        let out = place("out_len", out_len)?;
        let dst = dst.cast::<u8>();
        disjoint(("codes", codes, n_codes), ("dst", dst, dst_cap))?;
        let (codes, dst) = (input("codes", codes, n_codes)?, output("dst", dst, dst_cap)?);
        let [codebooks, code_bits] = [codebooks, code_bits].map(|n| u32::try_from(n).unwrap_or(0));
        report(out, bitstream::pack(codes, codebooks as usize, code_bits, dst)).map_err(mimi_status::from)
    })
}

/// Unpacks frames of bytes. Real-time. No model is needed.
///
/// - `src`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes.
/// - `codebooks`, `code_bits`: as for mimi_pack().
/// - `codes`, `codes_cap`: room for the codes. Must not overlap `src`.
/// - `out_codes`: receives the number of codes written, or needed with MIMI_ERR_BUFFER_TOO_SMALL; not
///   NULL.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame. A code may be beyond a codebook whose size is no power
/// of two; the decoder says so.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_unpack(
    src: *const libc::c_void,
    len: usize,
    codebooks: i32,
    code_bits: i32,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` keeps the references
    // apart.
    guard_rt(|| unsafe {
        let out = place("out_codes", out_codes)?;
        let src = src.cast::<u8>();
        disjoint(("src", src, len), ("codes", codes, codes_cap))?;
        let (src, codes) = (input("src", src, len)?, output("codes", codes, codes_cap)?);
        let [codebooks, code_bits] = [codebooks, code_bits].map(|n| u32::try_from(n).unwrap_or(0));
        report(out, bitstream::unpack(src, codebooks as usize, code_bits, codes)).map_err(mimi_status::from)
    })
}

/// Keeps the first codebooks of packed frames, which lowers the bit rate without encoding again: the same
/// bytes as packing fewer codes. Real-time. No model is needed.
///
/// - `frames`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes; the shorter frames are moved
///   together at the front, and what lies behind them is of no use any more.
/// - `codebooks`, `code_bits`: as for mimi_pack().
/// - `keep`: codebooks to keep, 1 to `codebooks`. The header of a file must say this number, too.
/// - `out_len`: receives the number of bytes left; not NULL.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_drop_codebooks(
    frames: *mut libc::c_void,
    len: usize,
    codebooks: i32,
    code_bits: i32,
    keep: i32,
    out_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard_rt(|| unsafe {
        let out = place("out_len", out_len)?;
        let frames = output("frames", frames.cast::<u8>(), len)?;
        let [codebooks, code_bits, keep] =
            [codebooks, code_bits, keep].map(|n| u32::try_from(n).unwrap_or(0));
        let left = bitstream::drop_codebooks(frames, codebooks as usize, code_bits, keep as usize);
        report(out, left).map_err(mimi_status::from)
    })
}

impl From<PackError> for mimi_status {
    fn from(error: PackError) -> Self {
        match error {
            PackError::BufferTooSmall { .. } => MIMI_ERR_BUFFER_TOO_SMALL,
            PackError::CodeOutOfRange { .. } => MIMI_ERR_CORRUPT,
            PackError::InvalidShape { .. } | PackError::PartialFrame { .. } => MIMI_ERR_INVALID_ARGUMENT,
        }
    }
}

impl From<HeaderError> for Failure {
    fn from(error: HeaderError) -> Self {
        let status = match error.kind() {
            crate::ErrorKind::Format => MIMI_ERR_FORMAT,
            crate::ErrorKind::Unsupported => MIMI_ERR_UNSUPPORTED,
            _ => MIMI_ERR_CORRUPT,
        };
        Failure::new(status, error.to_string())
    }
}
