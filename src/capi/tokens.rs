//! Tokens as bytes.

use super::buffer::{apart, disjoint, extent, input, output, place, report};
use super::guard::{guard, guard_rt};
use super::handle;
use super::header::{header_place, read_header, write_header};
use super::model::mimi_model;
use super::options::{mimi_options, stream_options};
use super::status::{
    Failure, MIMI_ERR_BUFFER_TOO_SMALL, MIMI_ERR_CORRUPT, MIMI_ERR_FORMAT, MIMI_ERR_INVALID_ARGUMENT,
    MIMI_ERR_UNSUPPORTED, mimi_status,
};
use crate::Model;
use crate::bitstream::{self, HEADER_BYTES, Header, HeaderError, Original, PackError};
use std::ptr::NonNull;

/// What a reader of a token file must know before the first frame.
///
/// Set `size` to sizeof(mimi_token_header) before each call, and the members that you do not mean to 0.
/// A later release may add members at the end: it takes a shorter struct as one whose missing members
/// are 0, and leaves what lies behind it alone. In a struct that is longer than this release knows,
/// members behind its own must be 0 when it is read (MIMI_ERR_UNSUPPORTED), and are set to 0 when it is
/// written.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mimi_token_header {
    /// The bytes of this struct, as your program was compiled.
    pub size: usize,
    /// Samples per second. `n_samples` and `frame_samples` count at this rate. It is the recording's, unless
    /// `original_rate` is another.
    pub sample_rate: i64,
    /// Samples in a frame. The frame rate is `sample_rate / frame_samples`, exactly.
    pub frame_samples: i64,
    /// The length of the recording in samples; the last frame may reach beyond it. 0: unknown.
    pub n_samples: i64,
    /// Codes in a frame, 1 to 64.
    pub codebooks: i64,
    /// Bits of a code, 1 to 16.
    pub code_bits: i64,
    /// MIMI_PROP_MODEL_ID of the model that the codes belong to. 0: unknown.
    pub model_id: i64,
    /// The bytes of the header in the file: the offset of the first frame. Writers ignore it.
    pub header_bytes: i64,
    /// The rate of the original recording, if a frame is not a whole number of samples at that rate: then
    /// `sample_rate` is another. 0: the recording's rate is `sample_rate`.
    pub original_rate: i64,
    /// The length of the recording at `original_rate`. 0: unknown, or `original_rate` is 0.
    pub original_samples: i64,
}

/// Fills in the header of a token file for codes that a model makes with some options.
///
/// - `model`: the model.
/// - `options`: those of the stream or of the call that makes the codes: MIMI_OPT_CODEBOOKS,
///   MIMI_OPT_SAMPLE_RATE; NULL for the defaults.
/// - `header`: receives everything but the length and the original's numbers, which are 0; set `n_samples` if
///   you know it.
///
/// MIMI_ERR_INVALID_ARGUMENT for options that the model does not take.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_model_header(
    model: *const mimi_model,
    options: *const mimi_options,
    header: *mut mimi_token_header,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let model: &Model = handle::shared(model)?;
        let options = stream_options(options)?;
        let to = header_place(header)?;
        write_header(to, &Header::for_options(model.spec(), &options)?, None, HEADER_BYTES);
        Ok(())
    })
}

/// Writes the header of a token file.
///
/// A token file is this header and then frames as mimi_pack() makes them, each of
/// ceil(codebooks * code_bits / 8) bytes: 11 for the published model with 8 codebooks, so 1.1 kbit/s.
/// Frame f begins at header_bytes + f * frame bytes, and a file that breaks off is good up to there. It is
/// whole if it has ceil(n_samples / frame_samples) frames. Frames have no checksum: changed bytes in them
/// are other codes.
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
/// | 16 | 4 | samples in a frame at this rate; the frame rate is the quotient |
/// | 20 | 8 | samples of the recording at this rate, below 2^63; 0 for unknown |
/// | 28 | 8 | MIMI_PROP_MODEL_ID, 0 for unknown |
/// | 36 | 4 | if n is at least 52: the original's sample rate in Hz, 0 for that above |
/// | 40 | 8 | if n is at least 52: samples of the original at its rate, below 2^63; 0 for unknown |
/// | n - 4 | 4 | CRC-32, that of zlib, of the bytes before |
///
/// Readers may skip what lies between byte 36 and the CRC.
///
/// A frame must be a whole number of samples at the header's rate: with the published model, the rate is a
/// multiple of 25 Hz. Convert a recording at another rate, such as 11111 Hz, before you encode it, usually
/// to the model's rate. The header then tells that rate, and `original_rate` and `original_samples` tell
/// what the recording was.
///
/// A test vector: 8 codes of 11 bits, 24000 Hz, 1920 samples, 79610 samples, model 0x0123456789abcdef.
///
/// `6d 74 6f 6b 01 0b 28 00 08 00 00 00 c0 5d 00 00 80 07 00 00`
/// `fa 36 01 00 00 00 00 00 ef cd ab 89 67 45 23 01 59 f4 86 c3`
///
/// - `header`: the numbers; see mimi_model_header().
/// - `dst`, `dst_cap`: room for the header: 40 bytes, or 52 with an `original_rate`.
/// - `out_len`: receives the number of bytes written.
///
/// MIMI_ERR_INVALID_ARGUMENT for a number that the format cannot hold, and for `original_samples` without
/// `original_rate`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_pack_header(
    header: *const mimi_token_header,
    dst: *mut libc::c_void,
    dst_cap: usize,
    out_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` and `apart` keep them apart.
    guard(|| unsafe {
        let from = header_place(header.cast_mut())?;
        let size = from.as_ptr().cast::<usize>().read();
        let out = place("out_len", out_len)?;
        let dst = dst.cast::<u8>();
        apart(("out_len", out), &[("header", header.addr(), size), ("dst", dst.addr(), dst_cap)])?;
        disjoint(("header", header.cast::<u8>(), size), ("dst", dst, dst_cap))?;
        let dst = output("dst", dst, dst_cap)?;
        let (header, original) = read_header(from)?;
        let refuse = |problem| Failure::new(MIMI_ERR_INVALID_ARGUMENT, problem);
        match original {
            None => write_bytes(&header.to_bytes().map_err(refuse)?, dst, out),
            Some(original) => write_bytes(&original.header_bytes(&header).map_err(refuse)?, dst, out),
        }
    })
}

/// Reads the header of a token file. No model is needed.
///
/// - `src`, `len`: the beginning of the file. Files of this release have headers of 40 or 52 bytes, so that 64
///   bytes are enough; more do no harm. A later release may write longer headers: bytes 6 and 7 of a file
///   say how long its header is, low byte first.
/// - `header`: receives the numbers.
///
/// MIMI_ERR_FORMAT for what is no token file, MIMI_ERR_UNSUPPORTED for one of a later format,
/// MIMI_ERR_CORRUPT for a damaged header, and for one that is longer than `len`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_unpack_header(
    src: *const libc::c_void,
    len: usize,
    header: *mut mimi_token_header,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` keeps them apart.
    guard(|| unsafe {
        let to = header_place(header)?;
        let size = to.as_ptr().cast::<usize>().read();
        let src = src.cast::<u8>();
        disjoint(("src", src, len), ("header", header.cast::<u8>().cast_const(), size))?;
        let src = input("src", src, len)?;
        let (found, length) = Header::from_bytes(src).map_err(Failure::from)?;
        let original = Original::from_bytes(src).map_err(Failure::from)?;
        write_header(to, &found, original, length);
        Ok(())
    })
}

/// Tells the length of a recording at another sample rate, so that a reader whose decoder runs at that
/// rate can cut the last frame. Rounded up: to the samples that begin before the recording's end.
///
/// - `header`: the header of the recording's token file. If it has `original_rate` and `original_samples`, the
///   length is computed from these.
/// - `sample_rate`: the decoder's rate, MIMI_PROP_SAMPLE_RATE; 1 to 2^31 - 1 Hz.
/// - `out_samples`: receives the length, 0 for unknown.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_header_samples(
    header: *const mimi_token_header,
    sample_rate: i64,
    out_samples: *mut i64,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks.
    guard(|| unsafe {
        let from = header_place(header.cast_mut())?;
        let out = place("out_samples", out_samples)?;
        apart(("out_samples", out), &[("header", header.addr(), from.as_ptr().cast::<usize>().read())])?;
        let rate = u32::try_from(sample_rate).ok().filter(|rate| (1..=i32::MAX as u32).contains(rate));
        let rate = rate.ok_or_else(|| {
            let message = format_args!("sample_rate is {sample_rate}; expected 1 to {}", i32::MAX);
            Failure::new(MIMI_ERR_INVALID_ARGUMENT, message)
        })?;
        let (mut header, original) = read_header(from)?;
        if let Some(original) = original.filter(|original| original.samples > 0) {
            (header.sample_rate, header.samples) = (original.sample_rate, original.samples);
        }
        let samples = header.samples_at(rate);
        let samples = samples.map_err(|problem| Failure::new(MIMI_ERR_INVALID_ARGUMENT, problem))?;
        out.write(i64::try_from(samples).unwrap_or(i64::MAX));
        Ok(())
    })
}

/// Packs codes into frames of bytes, code after code, most significant bit first. Real-time.
///
/// The codes of codebooks 0 to k - 1 are the first k * code_bits bits of a frame, so that codebooks can
/// be dropped from a frame without encoding again: mimi_drop_codebooks(). Bits left over at a frame's
/// end are written as 0 and ignored by readers. A test vector, the frame of the codes 2047, 0, 2047, 0,
/// 2047, 0, 2047 and 1 of 11 bits: `ff e0 03 ff 80 0f fe 00 3f f8 01`.
///
/// - `codes`, `n_codes`: whole frames of codes, as mimi_encode() and streams make them.
/// - `codebooks`: codes in a frame, 1 to 64.
/// - `code_bits`: bits of a code, 1 to 16; MIMI_PROP_CODE_BITS of a model.
/// - `dst`, `dst_cap`: room for frames * ceil(codebooks * code_bits / 8) bytes.
/// - `out_len`: receives the number of bytes written.
///
/// MIMI_ERR_CORRUPT for a code that does not fit its bits.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_pack(
    codes: *const u32,
    n_codes: usize,
    codebooks: i64,
    code_bits: i64,
    dst: *mut libc::c_void,
    dst_cap: usize,
    out_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` and `apart` keep them apart.
    guard_rt(|| unsafe {
        let out = place("out_len", out_len)?;
        let dst = dst.cast::<u8>();
        let buffers = [extent("codes", codes, n_codes), extent("dst", dst.cast_const(), dst_cap)];
        apart(("out_len", out), &buffers)?;
        disjoint(("codes", codes, n_codes), ("dst", dst, dst_cap))?;
        let (codes, dst) = (input("codes", codes, n_codes)?, output("dst", dst, dst_cap)?);
        let (codebooks, code_bits) = (number(codebooks), number(code_bits));
        report(out, bitstream::pack(codes, codebooks as usize, code_bits, dst)).map_err(mimi_status::from)
    })
}

/// Unpacks frames of bytes. Real-time. No model is needed.
///
/// - `src`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes.
/// - `codebooks`, `code_bits`: as for mimi_pack().
/// - `codes`, `codes_cap`: room for the codes.
/// - `out_codes`: receives the number of codes written.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame. Where a codebook's size is no power of two, a damaged
/// file can hold codes beyond it: the decoder answers MIMI_ERR_CORRUPT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_unpack(
    src: *const libc::c_void,
    len: usize,
    codebooks: i64,
    code_bits: i64,
    codes: *mut u32,
    codes_cap: usize,
    out_codes: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `disjoint` and `apart` keep them apart.
    guard_rt(|| unsafe {
        let out = place("out_codes", out_codes)?;
        let src = src.cast::<u8>();
        let buffers = [extent("src", src, len), extent("codes", codes.cast_const(), codes_cap)];
        apart(("out_codes", out), &buffers)?;
        disjoint(("src", src, len), ("codes", codes, codes_cap))?;
        let (src, codes) = (input("src", src, len)?, output("codes", codes, codes_cap)?);
        let (codebooks, code_bits) = (number(codebooks), number(code_bits));
        report(out, bitstream::unpack(src, codebooks as usize, code_bits, codes)).map_err(mimi_status::from)
    })
}

/// Keeps the first codebooks of packed frames, which lowers the bit rate without encoding again: the
/// same bytes as packing fewer codes. Real-time. No model is needed.
///
/// - `frames`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes. The shorter frames are
///   moved together at the front; the bytes behind them are left over.
/// - `codebooks`, `code_bits`: as for mimi_pack().
/// - `keep`: codebooks to keep, 1 to `codebooks`. The header of a file must say this number, too.
/// - `out_len`: receives the number of bytes left.
///
/// MIMI_ERR_INVALID_ARGUMENT for a partial frame.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn mimi_drop_codebooks(
    frames: *mut libc::c_void,
    len: usize,
    codebooks: i64,
    code_bits: i64,
    keep: i64,
    out_len: *mut usize,
) -> mimi_status {
    // SAFETY: the pointers are as the header's introduction asks; `apart` keeps them apart.
    guard_rt(|| unsafe {
        let out = place("out_len", out_len)?;
        apart(("out_len", out), &[("frames", frames.addr(), len)])?;
        let frames = output("frames", frames.cast::<u8>(), len)?;
        let (codebooks, code_bits, keep) = (number(codebooks), number(code_bits), number(keep));
        let left = bitstream::drop_codebooks(frames, codebooks as usize, code_bits, keep as usize);
        report(out, left).map_err(mimi_status::from)
    })
}

/// Writes a whole header, or says how many bytes it takes.
///
/// # Safety
/// `out` may be written, and lies apart from `dst`.
unsafe fn write_bytes(bytes: &[u8], dst: &mut [u8], out: NonNull<usize>) -> Result<(), Failure> {
    let (needed, room) = (bytes.len(), dst.len());
    // SAFETY: this function's contract.
    unsafe { out.write(needed) };
    let Some(dst) = dst.get_mut(..needed) else {
        let message = format_args!("dst_cap is {room}; the header takes {needed} bytes");
        return Err(Failure::new(MIMI_ERR_BUFFER_TOO_SMALL, message));
    };
    dst.copy_from_slice(bytes);
    Ok(())
}

/// A small number from C; 0, which no caller takes, for one that does not fit.
fn number(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(0)
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
        Failure::new(status, error)
    }
}
