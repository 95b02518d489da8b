//! Inputs rounded to 16-bit integers, for products with weights of eight bits. The sums of these products are of
//! integers, and exact within a segment.
//!
//! Each row is rounded to whole multiples of its own scale: a 32767th of its largest magnitude. The error lies at least
//! 96 dB below the row's largest value. The error of weights rounded to eight bits lies only 40 dB below.

use super::arena::Arena;
use super::simd::Simd;
use std::collections::TryReserveError;

/// The largest rounded magnitude.
const LARGEST: f32 = 32767.0;

/// The rounded rows of a product, in the memory of a stream.
pub(crate) struct Rounded {
    /// `[row][input]`, as many inputs as [`Matrix::rounded_inputs`] says.
    pub(super) values: Arena<i16>,
    /// By row.
    pub(super) scales: Arena,
}

impl Rounded {
    /// Room for up to `rows` rows, with up to `values` values in all of them.
    pub(crate) fn new(rows: usize, values: usize) -> Result<Self, TryReserveError> {
        Ok(Self { values: Arena::zeroed(values)?, scales: Arena::zeroed(rows)? })
    }

    pub(crate) fn try_clone(&self) -> Result<Self, TryReserveError> {
        Ok(Self { values: self.values.try_clone()?, scales: self.scales.try_clone()? })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes() + self.scales.bytes()
    }

    /// Rows of `width` values, each with its scale.
    pub(super) fn rows(&mut self, width: usize) -> impl Iterator<Item = (&mut [i16], &mut f32)> {
        self.values.chunks_exact_mut(width).zip(self.scales.iter_mut())
    }
}

/// Rounds a row to whole multiples of the scale that is returned. The row has `runs` runs of `len` values, `stride`
/// from one run to the next.
///
/// # Safety
///
/// The runs are valid, and there is room for their values at `y`; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn round_row<S: Simd>(
    x: *const f32,
    [runs, len]: [usize; 2],
    stride: usize,
    y: *mut i16,
) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let mut largest = 0.0f32;
        for run in 0..runs {
            largest = largest.max(largest_magnitude::<S>(x.add(run * stride), len));
        }
        let scale = largest / LARGEST;
        // the inverse of a smaller scale is infinite
        let scale = if scale >= f32::MIN_POSITIVE { scale } else { 0.0 };
        let factor = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        for run in 0..runs {
            round::<S>(x.add(run * stride), factor, y.add(run * len), len);
        }
        scale
    }
}

/// The largest magnitude among `len` values; 0 for none.
///
/// # Safety
///
/// `x` is valid for `len` values; the CPU has `S`.
#[inline(always)]
unsafe fn largest_magnitude<S: Simd>(x: *const f32, len: usize) -> f32 {
    // SAFETY: as above; every index is below `len`.
    unsafe {
        let whole = len - len % S::LANES;
        let mut lanes = S::splat(0.0);
        for i in (0..whole).step_by(S::LANES) {
            let v = S::load(x.add(i));
            lanes = S::max(lanes, S::max(v, S::sub(S::splat(0.0), v)));
        }
        (whole..len).fold(S::largest(lanes), |max, i| max.max((*x.add(i)).abs()))
    }
}

/// y = x·factor, to the nearest integer, ties to even.
///
/// # Safety
///
/// Both pointers are valid for `len` values; the CPU has `S`.
#[inline(always)]
unsafe fn round<S: Simd>(x: *const f32, factor: f32, y: *mut i16, len: usize) {
    // SAFETY: as above; every index is below `len`, and LANES ≤ 16 fit the buffer.
    unsafe {
        let whole = len - len % S::LANES;
        for i in (0..whole).step_by(S::LANES) {
            S::store_rounded(y.add(i), S::mul(S::load(x.add(i)), S::splat(factor)));
        }
        for i in whole..len {
            let mut rounded = [0; 16];
            S::store_rounded(rounded.as_mut_ptr(), S::mul(S::splat(*x.add(i)), S::splat(factor)));
            *y.add(i) = rounded[0];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all_kernels, multiply, pack};
    use super::*;
    use crate::kernels::{Activation, Elements, Format, Kernels, Product, Rows, Scratch};

    struct Memory(Vec<f32>, Rounded);

    impl Scratch for &mut Memory {
        fn scratch(&mut self) -> (&mut [f32], &mut Rounded) {
            (&mut self.0, &mut self.1)
        }
    }

    /// A row of `x` times a matrix of one output whose weights are all `weight`, and the row as it was rounded.
    fn product(kernels: Kernels, x: &[f32], weight: f32) -> (f32, Vec<i16>) {
        let (values, inputs) = (vec![weight; x.len()], (0..x.len()).collect::<Vec<_>>());
        let elements = Elements { values: &values, inputs: &inputs, outputs: &[0] };
        let matrix = pack(kernels, Format::Int8, elements, |_| 0.0);
        let mut memory = Memory([x, &[0.0]].concat(), Rounded::new(1, x.len() + 1).unwrap());
        let product = Product {
            x: Rows { offset: 0, stride: x.len() },
            run_stride: x.len(),
            y: Rows { offset: x.len(), stride: 1 },
            rows: 1,
            residual: None,
            activation: Activation::None,
        };
        multiply(kernels, &matrix, &mut [&mut memory], product, None);
        (memory.0[x.len()], memory.1.values.to_vec())
    }

    #[test]
    fn the_largest_is_32767_and_the_rest_in_proportion() {
        // with 32767 as the largest, values are rounded as they are; 19 fill no register
        let mut x = [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 1.49, -2.51, -32766.4, 7.0, 1e-30, -0.0].to_vec();
        x.extend([32767.0, 3.0, 5.0, 8.0, -9.0, 2.6, -2.6]);
        let expected = [0, 0, 2, 2, 0, -2, 1, -3, -32766, 7, 0, 0, 32767, 3, 5, 8, -9, 3, -3, 0];
        for kernels in all_kernels() {
            for scale in [1.0, -1.0, 2f32.powi(80), 2f32.powi(-60)] {
                let scaled: Vec<f32> = x.iter().map(|x| x * scale).collect();
                let sign = scale.signum() as i16;
                assert_eq!(
                    product(kernels, &scaled, 1.0).1,
                    expected.map(|x| x * sign),
                    "{kernels:?} {scale}"
                );
            }
        }
    }

    #[test]
    fn zeros_and_what_is_next_to_nothing_become_zeros() {
        for kernels in all_kernels() {
            for x in [[0.0; 21], [1e-36; 21], [f32::from_bits(1); 21]] {
                assert_eq!(product(kernels, &x, 1.0), (0.0, vec![0; 22]), "{kernels:?} {}", x[0]);
            }
        }
    }

    /// The largest sums that there can be, in rows of up to some segments.
    #[test]
    fn sums_of_the_largest_do_not_overflow() {
        for kernels in all_kernels() {
            for len in [1, 511, 512, 513, 3000] {
                for (x, weight) in [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                    let (y, _) = product(kernels, &vec![x; len], weight);
                    let expected = x * weight * len as f32;
                    assert!((y - expected).abs() < 1e-6 * expected.abs(), "{kernels:?} {len}: {y}");
                }
            }
        }
    }

    #[test]
    fn infinite_inputs_give_no_finite_output() {
        for kernels in all_kernels() {
            let y = product(kernels, &[1.0, f32::INFINITY, 2.0], 1.0).0;
            assert!(!y.is_finite(), "{kernels:?}: {y}");
        }
    }
}
