//! The least that a machine needs for any kernel: multiply-adds in registers, and reading memory. What
//! the benchmark holds the others against.

use super::simd::Simd;

/// Sums that do not wait for each other: more than latency times ports on any CPU, and few enough for
/// the sixteen registers of AVX2.
const CHAINS: usize = 12;

/// `rounds` rounds of multiply-adds in registers; returns how many that were, in single values.
///
/// # Safety
///
/// The CPU has `S`.
#[inline(always)]
pub(super) unsafe fn multiply_adds<S: Simd>(rounds: usize) -> usize {
    // SAFETY: the caller's.
    unsafe {
        // Opaque, or all of it would be computed while compiling; the sums stay finite.
        let (a, b) = (S::splat(std::hint::black_box(0.5)), S::splat(std::hint::black_box(1.0)));
        let mut sums = [a; CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = S::mul_add(*sum, a, b);
            }
        }
        let sum = sums[1..].iter().fold(sums[0], |x, y| S::add(x, *y));
        std::hint::black_box(S::sum(sum));
    }
    rounds * CHAINS * S::LANES
}

/// Vectors that a step of [`read`] adds.
const VECTORS: usize = 8;

/// The sum of `len` values, a multiple of [`VECTORS`] · lanes; others at the end are not read.
///
/// # Safety
///
/// As for [`Simd`]: `x` is valid for `len` values.
#[inline(always)]
pub(super) unsafe fn read<S: Simd>(x: *const f32, len: usize) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [S::splat(0.0); VECTORS];
        for step in 0..len / (VECTORS * S::LANES) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = S::add(*sum, S::load(x.add((step * VECTORS + i) * S::LANES)));
            }
        }
        S::sum(sums[1..].iter().fold(sums[0], |x, y| S::add(x, *y)))
    }
}
