//! The steps of a tile for each format of weights: loading weights and inputs, multiplying, and ending the sums.

use crate::kernels::arena::Element;
use crate::kernels::matrix::Bf16;
use crate::kernels::simd::Simd;

/// A weight in its format in memory.
pub(in crate::kernels) trait Weight<S: Simd>: Element {
    /// An input in its format in memory.
    type Input: Copy;
    /// Weights of `LANES` outputs, or the inputs for them.
    type Factors: Copy;
    /// Sums of `LANES` outputs.
    type Totals: Copy;
    /// Inputs in one multiplication.
    const STEP: usize;

    /// Loads `STEP` weights of each of `LANES` outputs.
    ///
    /// # Safety
    ///
    /// As for [`Simd`]; likewise below.
    unsafe fn load(p: *const Self) -> Self::Factors;
    /// `STEP` inputs, for each of `LANES` outputs.
    unsafe fn splat(p: *const Self::Input) -> Self::Factors;
    /// The totals at the begin of a segment, after the sums of the segments `before`.
    unsafe fn begin(before: S::Vector) -> Self::Totals;
    unsafe fn multiply_add(
        weights: Self::Factors,
        inputs: Self::Factors,
        totals: Self::Totals,
    ) -> Self::Totals;
    /// The sums at the end of a segment, with those of the segments `before`. The scale of the segment's inputs is at
    /// `scale`, if they were rounded.
    unsafe fn end(before: S::Vector, totals: Self::Totals, scale: *const Self::Input) -> S::Vector;
}

/// Weights that are multiplied as f32, one by one. A segment continues the sums of the segments before it.
macro_rules! float {
    ($weight:ty, $load:expr) => {
        impl<S: Simd> Weight<S> for $weight {
            type Input = f32;
            type Factors = S::Vector;
            type Totals = S::Vector;
            const STEP: usize = 1;

            #[inline(always)]
            unsafe fn load(p: *const $weight) -> S::Vector {
                // SAFETY: the caller's.
                unsafe { $load(p.cast()) }
            }
            #[inline(always)]
            unsafe fn splat(p: *const f32) -> S::Vector {
                // SAFETY: the caller's.
                unsafe { S::splat(*p) }
            }
            #[inline(always)]
            unsafe fn begin(before: S::Vector) -> S::Vector {
                before
            }
            #[inline(always)]
            unsafe fn multiply_add(weights: S::Vector, inputs: S::Vector, totals: S::Vector) -> S::Vector {
                // SAFETY: the caller's.
                unsafe { S::mul_add(weights, inputs, totals) }
            }
            #[inline(always)]
            unsafe fn end(_: S::Vector, totals: S::Vector, _: *const f32) -> S::Vector {
                totals
            }
        }
    };
}

float!(f32, S::load);
float!(Bf16, S::load_bf16);

/// Weights that are multiplied as integers, two by two, with inputs that were rounded to integers. The sums of a
/// segment are exact: a segment has few enough inputs. At its end they are scaled, and added to those before it.
/// Multiply and add are not fused, so that all instruction sets give the same bits.
macro_rules! integer {
    ($weight:ty, $load:expr) => {
        impl<S: Simd> Weight<S> for $weight {
            type Input = i16;
            type Factors = S::Pairs;
            type Totals = S::Sums;
            const STEP: usize = 2;

            #[inline(always)]
            unsafe fn load(p: *const $weight) -> S::Pairs {
                // SAFETY: the caller's.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn splat(p: *const i16) -> S::Pairs {
                // SAFETY: the caller's.
                unsafe { S::splat_pair(p) }
            }
            #[inline(always)]
            unsafe fn begin(_: S::Vector) -> S::Sums {
                // SAFETY: the caller's.
                unsafe { S::no_sums() }
            }
            #[inline(always)]
            unsafe fn multiply_add(weights: S::Pairs, inputs: S::Pairs, totals: S::Sums) -> S::Sums {
                // SAFETY: the caller's.
                unsafe { S::add_products(totals, weights, inputs) }
            }
            #[inline(always)]
            unsafe fn end(before: S::Vector, totals: S::Sums, scale: *const i16) -> S::Vector {
                // SAFETY: the caller's; a scale takes the place of two inputs.
                unsafe {
                    let scale = S::splat(scale.cast::<f32>().read_unaligned());
                    S::add(before, S::mul(S::to_f32(totals), scale))
                }
            }
        }
    };
}

integer!(i8, S::load_pairs);
integer!(i16, S::load_wide_pairs);
