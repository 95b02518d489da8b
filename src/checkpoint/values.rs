//! Bytes on disk to f32 values, piece by piece.

use super::header::{Stored, quoted};
use super::source::{Source, zeros};
use crate::{Error, ErrorKind};
use safetensors::tensor::Dtype;
use std::ops::Range;

/// Bytes read at once; a multiple of every element's size.
const PIECE: usize = 64 << 10;

/// Appends the values of tensor `name` with flat indices `range` to `out`, which has room for them. The
/// caller has checked that the tensor has them.
pub(super) fn read(
    source: &Source,
    (name, stored): (&str, &Stored),
    range: Range<usize>,
    out: &mut Vec<f32>,
) -> Result<(), Error> {
    let (width, widen): (usize, Widen) = match stored.dtype {
        Dtype::F32 => (4, |bytes, out| extend(bytes, out, f32::from_le_bytes)),
        Dtype::F16 => (2, |bytes, out| extend(bytes, out, |b| f16_to_f32(u16::from_le_bytes(b)))),
        Dtype::BF16 => (2, |bytes, out| extend(bytes, out, |b| bf16_to_f32(u16::from_le_bytes(b)))),
        Dtype::F64 => (8, |bytes, out| extend(bytes, out, |b| f64::from_le_bytes(b) as f32)),
        _ => return Err(of_other_type(source, (name, stored))),
    };
    let mut piece = zeros(PIECE.min(range.len() * width))?;
    let mut next = range.start;
    while next < range.end {
        let elements = (range.end - next).min(PIECE / width);
        let bytes = &mut piece[..elements * width];
        source.read_at(stored.offset + (next * width) as u64, bytes)?;
        let start = out.len();
        widen(bytes, out);
        if let Some(bad) = first_not_finite(&out[start..]) {
            let (name, index, value) = (quoted(name), next + bad, out[start + bad]);
            let message = format!("tensor {name}: value {index} is {value}: expected a finite number");
            return Err(source.error(ErrorKind::Corrupt, message));
        }
        next += elements;
    }
    Ok(())
}

/// Whether values of this type are read.
pub(super) fn are_read(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64)
}

/// The error for a tensor of a type that is not read.
pub(super) fn of_other_type(source: &Source, (name, stored): (&str, &Stored)) -> Error {
    let (name, dtype) = (quoted(name), stored.dtype);
    let message = format!("tensor {name} has type {dtype}: expected F32, F16, BF16 or F64");
    source.error(ErrorKind::Unsupported, message)
}

/// The index of the first infinity or NaN. Nearly always there is none, and the largest magnitude shows that.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    const INFINITY: i32 = 0x7f80_0000;
    let largest = values.iter().fold(0, |max, value| max.max(value.to_bits() as i32 & i32::MAX));
    if largest < INFINITY { None } else { values.iter().position(|value| !value.is_finite()) }
}

/// Appends the values of elements' bytes.
type Widen = fn(&[u8], &mut Vec<f32>);

fn extend<const WIDTH: usize>(bytes: &[u8], out: &mut Vec<f32>, widen: impl Fn([u8; WIDTH]) -> f32) {
    let (elements, _) = bytes.as_chunks();
    out.extend(elements.iter().map(|&element| widen(element)));
}

fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Exact. Uses no arithmetic on denormals, because the host may have told the CPU to flush them.
fn f16_to_f32(bits: u16) -> f32 {
    // 2⁻²⁴, the smallest positive f16
    const STEP: f32 = 1.0 / (1 << 24) as f32;
    // f32's exponents start at −127, f16's at −15
    const REBIAS: u32 = 127 - 15;
    let (exponent, mantissa) = (u32::from(bits >> 10) & 0x1f, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa as f32 * STEP,
        0x1f => f32::from_bits(0xff << 23 | mantissa << 13),
        _ => f32::from_bits((exponent + REBIAS) << 23 | mantissa << 13),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition of binary16, for all values.
    #[test]
    fn f16_is_exact() {
        for bits in 0..=u16::MAX {
            let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let magnitude = match exponent {
                0 => mantissa * 2f64.powi(-24),
                0x1f if mantissa == 0.0 => f64::INFINITY,
                0x1f => f64::NAN,
                _ => (1.0 + mantissa / 1024.0) * 2f64.powi(exponent - 15),
            };
            let (expected, found) = (sign * magnitude, f64::from(f16_to_f32(bits)));
            assert!(expected == found || expected.is_nan() && found.is_nan(), "{bits:#06x}: {found}");
            assert!(
                expected.is_nan() || expected.is_sign_negative() == found.is_sign_negative(),
                "{bits:#06x}"
            );
        }
    }
}
