//! Tokens as bytes.

use super::buffer::{Refusal, apart, disjoint, extent, input, output, place, report};
use super::guard::{guard, guard_rt};
use super::handle;
use super::model::mimi_model;
use super::options::{mimi_options, stream_options};
use super::status::{
    Failure, MIMI_ERR_BUFFER_TOO_SMALL, MIMI_ERR_CORRUPT, MIMI_ERR_FORMAT, MIMI_ERR_INVALID_ARGUMENT,
    MIMI_ERR_UNSUPPORTED, mimi_status,
};
use crate::Model;
use crate::bitstream::{self, HEADER_BYTES, Header, HeaderError, PackError};
use std::ptr::{self, NonNull};

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
    /// Samples per second of the recording, of which the header tells. `n_samples` and `frame_samples`
    /// count at this rate.
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
}

/// The size of the struct in its first release; no valid one is shorter.
const FIRST_SIZE: usize = size_of::<mimi_token_header>();

/// No release has a longer one: so long is a size that was not set, and its bytes are somebody else's.
const MOST_SIZE: usize = 4096;

/// Fills in the header of a token file for codes that a model makes with some options.
///
/// - `model`: the model.
/// - `options`: those of the stream or of the call that makes the codes: MIMI_OPT_CODEBOOKS,
///   MIMI_OPT_SAMPLE_RATE; NULL for the defaults.
/// - `header`: receives everything but the length, which is 0; set `n_samples` if you know it.
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
        write_header(to, &Header::for_options(model, &options)?, HEADER_BYTES);
        Ok(())
    })
}

/// Writes the header of a token file.
///
/// A token file is this header and then frames as mimi_pack() makes them, each of
/// ceil(codebooks * code_bits / 8) bytes: 11 for the published model with 8 codebooks, so 1.1 kbit/s.
/// Frame f begins at header_bytes + f * frame bytes, and a file that breaks off is good up to there.
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
/// | 36 | n - 40 | the original's rate and length, where the rate above is another; readers may skip it |
/// | n - 4 | 4 | CRC-32, that of zlib, of the bytes before |
///
/// A frame is a whole number of samples at the header's rate: in the published model's files, a
/// multiple of 25 Hz (or of 12.5). A recording at another rate is described at a rate that is one,
/// usually the model's.
///
/// A test vector: 8 codes of 11 bits, 24000 Hz, 1920 samples, 79610 samples, model 0x0123456789abcdef.
///
/// `6d 74 6f 6b 01 0b 28 00 08 00 00 00 c0 5d 00 00 80 07 00 00`
/// `fa 36 01 00 00 00 00 00 ef cd ab 89 67 45 23 01 59 f4 86 c3`
///
/// - `header`: the numbers; see mimi_model_header().
/// - `dst`, `dst_cap`: room for the header, 40 bytes in this release.
/// - `out_len`: receives the number of bytes written.
///
/// MIMI_ERR_INVALID_ARGUMENT for a number that the format cannot hold.
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
        let bytes = read_header(from)?.to_bytes();
        let bytes = bytes.map_err(|problem| Failure::new(MIMI_ERR_INVALID_ARGUMENT, problem))?;
        let Some(dst) = dst.get_mut(..HEADER_BYTES) else {
            out.write(HEADER_BYTES);
            let message = format_args!("dst_cap is {dst_cap}; the header takes {HEADER_BYTES} bytes");
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
/// - `header`: receives the numbers.
///
/// MIMI_ERR_FORMAT for what is no token file, MIMI_ERR_UNSUPPORTED for one of a later format,
/// MIMI_ERR_CORRUPT for a damaged or cut-off header.
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
        let (found, length) = Header::from_bytes(input("src", src, len)?).map_err(Failure::from)?;
        write_header(to, &found, length);
        Ok(())
    })
}

/// Tells the length of a recording at another sample rate, so that a reader whose decoder runs at that
/// rate can cut the last frame. Rounded up: to the samples that begin before the recording's end.
///
/// - `header`: the header of the recording's token file.
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
        let header = read_header(from)?;
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

/// A small number from C; 0, which no caller takes, for one that does not fit.
fn number(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

/// The place of a header whose `size` is right.
///
/// # Safety
/// `header` is NULL, misaligned, or valid for as many bytes as its first member says.
unsafe fn header_place(header: *mut mimi_token_header) -> Result<NonNull<mimi_token_header>, Failure> {
    let place = place("header", header)?;
    // SAFETY: neither NULL nor misaligned; the first member is there in every release.
    let size = unsafe { (&raw const (*place.as_ptr()).size).read() };
    if !(FIRST_SIZE..=MOST_SIZE).contains(&size) {
        let message = format_args!(
            "header->size is {size}; expected sizeof(mimi_token_header), {FIRST_SIZE} to {MOST_SIZE}"
        );
        return Err(Failure::new(MIMI_ERR_INVALID_ARGUMENT, message));
    }
    if place.addr().get().checked_add(size).is_none() {
        return Err(Refusal::TooLong("header").into());
    }
    Ok(place)
}

/// # Safety
/// As `header_place` returned it.
unsafe fn read_header(place: NonNull<mimi_token_header>) -> Result<Header, Failure> {
    // SAFETY: this function's contract.
    let found = unsafe { place.read() };
    for at in FIRST_SIZE..found.size {
        // SAFETY: within the `size` bytes.
        if unsafe { place.as_ptr().cast::<u8>().add(at).read() } != 0 {
            let message =
                format_args!("byte {at} of header is not 0; this release knows {FIRST_SIZE} bytes of it");
            return Err(Failure::new(MIMI_ERR_UNSUPPORTED, message));
        }
    }
    let refuse = |name: &str, n: i64| {
        let message = format_args!("header->{name} is {n}; expected a number of 32 bits");
        Failure::new(MIMI_ERR_INVALID_ARGUMENT, message)
    };
    let small = |name, n| u32::try_from(n).map_err(|_| refuse(name, n));
    Ok(Header {
        codebooks: small("codebooks", found.codebooks)? as usize,
        code_bits: small("code_bits", found.code_bits)?,
        sample_rate: small("sample_rate", found.sample_rate)?,
        frame_samples: small("frame_samples", found.frame_samples)?,
        // below 0 is beyond what the format takes
        samples: found.n_samples as u64,
        model_id: found.model_id,
    })
}

/// # Safety
/// As `header_place` returned it.
unsafe fn write_header(place: NonNull<mimi_token_header>, header: &Header, header_bytes: usize) {
    // SAFETY: this function's contract: `size` bytes are there, at least as many as the struct has.
    unsafe {
        let size = (&raw const (*place.as_ptr()).size).read();
        place.write(mimi_token_header {
            size,
            sample_rate: header.sample_rate.into(),
            frame_samples: header.frame_samples.into(),
            n_samples: header.samples as i64,
            codebooks: header.codebooks as i64,
            code_bits: header.code_bits.into(),
            model_id: header.model_id,
            header_bytes: header_bytes as i64,
        });
        ptr::write_bytes(place.as_ptr().cast::<u8>().add(FIRST_SIZE), 0, size - FIRST_SIZE);
    }
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
