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

/// Rows and registers of weights whose products [`integer_multiply_adds`] adds up, in as many sums: as a product of
/// many rows does.
const ROWS: usize = 5;
const WEIGHTS: usize = 2;

/// The same for [`add_products`](Simd::add_products), on inputs and weights from a first-level cache.
///
/// # Safety
///
/// The CPU has `S`.
#[inline(always)]
pub(super) unsafe fn integer_multiply_adds<S: Simd>(rounds: usize) -> usize {
    // of which the sums stay zeros, and enough for 16 lanes
    let (weights, inputs) = ([1i8; WEIGHTS * 2 * 16], [[1i16, -1]; ROWS]);
    // SAFETY: the caller's; the arrays are as long as what is loaded.
    unsafe {
        let mut sums = [[S::no_sums(); WEIGHTS]; ROWS];
        for _ in 0..rounds {
            // Opaque, or the products would be computed once.
            let (weights, inputs) = (std::hint::black_box(&weights), std::hint::black_box(&inputs));
            // loops, because functions of the standard library are not always compiled into this one
            let mut pairs = [S::load_pairs(weights.as_ptr()); WEIGHTS];
            for (i, pairs) in pairs.iter_mut().enumerate() {
                *pairs = S::load_pairs(weights.as_ptr().add(i * 2 * S::LANES));
            }
            for (sums, input) in sums.iter_mut().zip(inputs) {
                let input = S::splat_pair(input.as_ptr());
                for (sum, pairs) in sums.iter_mut().zip(&pairs) {
                    *sum = S::add_products(*sum, *pairs, input);
                }
            }
        }
        for sums in sums.as_flattened() {
            std::hint::black_box(S::sum(S::to_f32(*sums)));
        }
    }
    rounds * ROWS * WEIGHTS * 2 * S::LANES
}

/// Places that [`read`] reads at in turn: memory is fastest for a core that reads at several at once, and on Zen 3
/// four are as fast as more.
const PLACES: usize = 4;

/// Vectors that a step of [`read`] adds, at each place.
const VECTORS: usize = 2;

/// The sum of `len` values, a multiple of [`PLACES`] · [`VECTORS`] · lanes; others at the end are not read.
///
/// # Safety
///
/// As for [`Simd`]: `x` is valid for `len` values.
#[inline(always)]
pub(super) unsafe fn read<S: Simd>(x: *const f32, len: usize) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[S::splat(0.0); VECTORS]; PLACES];
        let steps = len / (PLACES * VECTORS * S::LANES);
        for step in 0..steps {
            for (place, sums) in sums.iter_mut().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let vector = (place * steps + step) * VECTORS + i;
                    *sum = S::add(*sum, S::load(x.add(vector * S::LANES)));
                }
            }
        }
        let mut total = S::splat(0.0);
        for sum in sums.as_flattened() {
            total = S::add(total, *sum);
        }
        S::sum(total)
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::{Isa, Kernels};

    #[test]
    fn all_is_read_and_all_is_counted() {
        // whole numbers, whose sum is exact in any order
        let values: Vec<f32> = (0..1024).map(|i| i as f32).collect();
        for kernels in Isa::available().filter_map(Kernels::new) {
            assert_eq!(kernels.read(&values), 1023.0 * 512.0);
            assert_eq!(kernels.multiply_adds(20), 2 * kernels.multiply_adds(10));
            assert_eq!(kernels.integer_multiply_adds(20), 2 * kernels.integer_multiply_adds(10));
        }
    }
}
