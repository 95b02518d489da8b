//! Layer norm and softmax: reductions over one row. Their order depends on the row's length alone.

use super::elementwise::{ExpBelow, map};
use super::simd::Simd;

/// Σ x[i], lane by lane, then across lanes, then the rest one by one.
#[inline(always)]
unsafe fn sum<S: Simd>(x: *const f32, len: usize) -> f32 {
    // SAFETY: the caller vouches for `len` values at `x` and for the instruction set.
    unsafe {
        let mut lanes = S::splat(0.0);
        let mut i = 0;
        while i + S::LANES <= len {
            lanes = S::add(S::load(x.add(i)), lanes);
            i += S::LANES;
        }
        let mut sum = S::sum(lanes);
        while i < len {
            sum += *x.add(i);
            i += 1;
        }
        sum
    }
}

/// Σ (x[i] − mean)², in the order of [`sum`].
#[inline(always)]
unsafe fn sum_of_squares<S: Simd>(x: *const f32, len: usize, mean: f32) -> f32 {
    // SAFETY: the caller vouches for `len` values at `x` and for the instruction set.
    unsafe {
        let mut lanes = S::splat(0.0);
        let mut i = 0;
        while i + S::LANES <= len {
            let d = S::sub(S::load(x.add(i)), S::splat(mean));
            lanes = S::mul_add(d, d, lanes);
            i += S::LANES;
        }
        let mut sum = S::sum(lanes);
        while i < len {
            sum += (*x.add(i) - mean) * (*x.add(i) - mean);
            i += 1;
        }
        sum
    }
}

/// y = (x − mean)/√(variance + eps)·weight + bias, with the biased variance.
///
/// # Safety
///
/// All pointers are valid for `len` values, `y` may be `x`; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn layer_norm<S: Simd>(
    x: *const f32,
    weight: *const f32,
    bias: *const f32,
    eps: f32,
    y: *mut f32,
    len: usize,
) {
    // SAFETY: as above; every index is below `len`.
    unsafe {
        let mean = sum::<S>(x, len) / len as f32;
        let variance = sum_of_squares::<S>(x, len, mean) / len as f32;
        let scale = 1.0 / (variance + eps).sqrt();
        let (mean_lanes, scale_lanes) = (S::splat(mean), S::splat(scale));
        let mut i = 0;
        while i + S::LANES <= len {
            let normal = S::mul(S::sub(S::load(x.add(i)), mean_lanes), scale_lanes);
            S::store(y.add(i), S::mul_add(normal, S::load(weight.add(i)), S::load(bias.add(i))));
            i += S::LANES;
        }
        while i < len {
            *y.add(i) = (*x.add(i) - mean) * scale * *weight.add(i) + *bias.add(i);
            i += 1;
        }
    }
}

/// The largest value; −∞ for none.
///
/// # Safety
///
/// `x` is valid for `len` values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn largest<S: Simd>(x: *const f32, len: usize) -> f32 {
    // SAFETY: as above; every index is below `len`.
    unsafe {
        let mut max = f32::NEG_INFINITY;
        let mut i = 0;
        if len >= S::LANES {
            let mut lanes = S::load(x);
            i = S::LANES;
            while i + S::LANES <= len {
                lanes = S::max(lanes, S::load(x.add(i)));
                i += S::LANES;
            }
            max = S::largest(lanes);
        }
        while i < len {
            max = max.max(*x.add(i));
            i += 1;
        }
        max
    }
}

/// x[i] = e^(x[i] − max) in place; returns 1/Σ of them.
///
/// # Safety
///
/// `x` is valid for `len` ≥ 1 values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn softmax_numerators<S: Simd>(x: *mut f32, len: usize) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let max = largest::<S>(x, len);
        map::<S>(x, x, len, ExpBelow { max });
        1.0 / sum::<S>(x, len)
    }
}
