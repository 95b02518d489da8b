//! A `mimi_token_header` of the caller's: of which size it is, and what it says.

use super::buffer::{Refusal, place};
use super::status::{Failure, MIMI_ERR_INVALID_ARGUMENT, MIMI_ERR_UNSUPPORTED};
use super::tokens::mimi_token_header;
use crate::bitstream::{Header, Original};
use std::ptr::{self, NonNull};

/// The size of the struct in its first release; no valid one is shorter.
const FIRST_SIZE: usize = size_of::<mimi_token_header>();

/// No release has a longer one: so long is a size that was not set, and its bytes are somebody else's.
const MOST_SIZE: usize = 4096;

/// The place of a header whose `size` is right.
///
/// # Safety
/// `header` is NULL, misaligned, or valid for as many bytes as its first member says.
pub(super) unsafe fn header_place(
    header: *mut mimi_token_header,
) -> Result<NonNull<mimi_token_header>, Failure> {
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
pub(super) unsafe fn read_header(
    place: NonNull<mimi_token_header>,
) -> Result<(Header, Option<Original>), Failure> {
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
    let header = Header {
        codebooks: small("codebooks", found.codebooks)? as usize,
        code_bits: small("code_bits", found.code_bits)?,
        sample_rate: small("sample_rate", found.sample_rate)?,
        frame_samples: small("frame_samples", found.frame_samples)?,
        // below 0 is beyond what the format takes
        samples: found.n_samples as u64,
        model_id: found.model_id,
    };
    if found.original_rate == 0 && found.original_samples != 0 {
        let message =
            "header->original_samples is not 0, but header->original_rate is; expected both or none";
        return Err(Failure::new(MIMI_ERR_INVALID_ARGUMENT, message));
    }
    let sample_rate = small("original_rate", found.original_rate)?;
    let original = Original { sample_rate, samples: found.original_samples as u64 };
    Ok((header, (sample_rate > 0).then_some(original)))
}

/// # Safety
/// As `header_place` returned it.
pub(super) unsafe fn write_header(
    place: NonNull<mimi_token_header>,
    header: &Header,
    original: Option<Original>,
    header_bytes: usize,
) {
    let (original_rate, original_samples) = original.map_or((0, 0), |o| (o.sample_rate, o.samples));
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
            original_rate: original_rate.into(),
            original_samples: original_samples as i64,
        });
        ptr::write_bytes(place.as_ptr().cast::<u8>().add(FIRST_SIZE), 0, size - FIRST_SIZE);
    }
}
