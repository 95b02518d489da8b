//! The machine's limits: multiply-adds in registers, and reads of memory. The benchmark compares the kernels with them.

use super::simd::Simd;

/// Independent sums: more than latency times ports on any CPU, and few enough for the sixteen registers of AVX2.
const CHAINS: usize = 12;

/// Does `rounds` rounds of multiply-adds in registers; returns their number, in single values.
///
/// # Safety
///
/// The CPU has `S`.
#[inline(always)]
pub(super) unsafe fn multiply_adds<S: Simd>(rounds: usize) -> usize {
    // SAFETY: the caller's.
    unsafe {
        // Opaque, or the compiler would compute the result. The sums stay finite.
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

/// Rows, and registers of weights, in a round of [`integer_multiply_adds`]: as in a product of many rows.
const ROWS: usize = 5;
const WEIGHTS: usize = 2;

/// The same for [`add_products`](Simd::add_products), with inputs and weights of 16 bits from a first-level cache.
///
/// # Safety
///
/// The CPU has `S`.
#[inline(always)]
pub(super) unsafe fn integer_multiply_adds<S: Simd>(rounds: usize) -> usize {
    // enough for 16 lanes; the sums stay zeros
    let (weights, inputs) = ([1i16; WEIGHTS * 2 * 16], [[1i16, -1]; ROWS]);
    // SAFETY: the caller's; the arrays are as long as the loads.
    unsafe {
        let mut sums = [[S::no_sums(); WEIGHTS]; ROWS];
        for _ in 0..rounds {
            // Opaque, or the compiler would compute the products once.
            let (weights, inputs) = (std::hint::black_box(&weights), std::hint::black_box(&inputs));
            // loops, because functions of the standard library are not always inlined into this one
            let mut pairs = [S::load_wide_pairs(weights.as_ptr()); WEIGHTS];
            for (i, pairs) in pairs.iter_mut().enumerate() {
                *pairs = S::load_wide_pairs(weights.as_ptr().add(i * 2 * S::LANES));
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

/// Places that [`read`] reads in turn. Memory is fastest for a core that reads several places at once. On Zen 3 four
/// are as fast as more.
const PLACES: usize = 4;

/// Vectors in a step of [`read`] at each place.
const VECTORS: usize = 2;

/// The sum of `len` values, without those at the end that fill no step of [`PLACES`] · [`VECTORS`] · lanes.
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
    use crate::kernels::{InstructionSet, Kernels};

    #[test]
    fn all_is_read_and_all_is_counted() {
        // whole numbers, whose sum is exact in any order
        let values: Vec<f32> = (0..1024).map(|i| i as f32).collect();
        for kernels in InstructionSet::available().filter_map(Kernels::new) {
            assert_eq!(kernels.read(&values), 1023.0 * 512.0);
            assert_eq!(kernels.multiply_adds(20), 2 * kernels.multiply_adds(10));
            assert_eq!(kernels.integer_multiply_adds(20), 2 * kernels.integer_multiply_adds(10));
        }
    }
}
