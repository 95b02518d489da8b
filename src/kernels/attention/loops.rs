//! The innermost loops of attention, for some queries at once. Each is a function of its own, because one function of
//! all takes longer to compile.

use crate::kernels::kept::Stored;
use crate::kernels::simd::{CACHE_LINE, Simd};

/// Rows of a ring: two runs of first row and length, the older run first.
pub(in crate::kernels) type Runs = [(usize, usize); 2];

type Scores<E> = unsafe fn(usize, isize, *const *const f32, *const E, *const f32, *const *mut f32);
type Values<E> = unsafe fn(usize, usize, isize, Runs, *const *const f32, *const E, *const *mut f32);

/// The loops of an instruction set for one type of keys and values.
pub(in crate::kernels) struct Loops<E: 'static> {
    /// [`scores`], `[log₂ of queries][log₂ of blocks]`
    pub(in crate::kernels) scores: [&'static [Scores<E>]; 3],
    /// [`values`], `[log₂ of queries][log₂ of registers]`
    pub(in crate::kernels) values: [&'static [Values<E>]; 3],
}

/// Prefetches the cache line `ahead` bytes past an element that is loaded, which is element `index` of its row or
/// block; nothing if `ahead` is 0, nor for the second and later registers of a line.
#[inline(always)]
unsafe fn prefetch<S: Simd, E>(loaded: *const E, index: usize, ahead: isize) {
    if ahead != 0 && (index * size_of::<E>()).is_multiple_of(CACHE_LINE) {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { S::prefetch(loaded.cast::<u8>().wrapping_offset(ahead)) }
    }
}

/// q·key for `Q` queries and the keys of `G` blocks.
///
/// # Safety
///
/// `queries` are `Q` of `dim` values; `keys` are `G` blocks, and `key_scales` a scale for each of their keys, if they
/// have scales; `scores` has `Q` places for scores of so many keys; the CPU has `S`.
#[inline(always)]
pub(in crate::kernels) unsafe fn scores<S: Simd, E: Stored, const Q: usize, const G: usize>(
    dim: usize,
    ahead: isize,
    queries: *const *const f32,
    keys: *const E,
    key_scales: *const f32,
    scores: *const *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let queries: [*const f32; Q] = *queries.cast();
        let scores: [*mut f32; Q] = *scores.cast();
        let mut sums = [[S::splat(0.0); G]; Q];
        for d in 0..dim {
            let mut q = [S::splat(0.0); Q];
            for (q, query) in q.iter_mut().zip(queries) {
                *q = S::splat(*query.add(d));
            }
            for g in 0..G {
                let key = keys.add((g * dim + d) * S::LANES);
                prefetch::<S, E>(key, d * S::LANES, ahead);
                let key = E::load::<S>(key);
                for (sums, q) in sums.iter_mut().zip(q) {
                    sums[g] = S::mul_add(q, key, sums[g]);
                }
            }
        }
        for (sums, scores) in sums.iter().zip(scores) {
            for (g, sum) in sums.iter().enumerate() {
                let sum = match E::SCALED {
                    true => S::mul(*sum, S::load(key_scales.add(g * S::LANES))),
                    false => *sum,
                };
                S::store(scores.add(g * S::LANES), sum);
            }
        }
    }
}

/// Adds weight·value over the rows of two runs to the sums of `Q` queries, for `G` registers of each value from
/// dimension `d` on.
///
/// # Safety
///
/// `weights` has `Q` places with a weight for each row; `values` are rows of `dim` values, of which `d` and the
/// registers are within, and likewise of `Q` places of `sums`; the CPU has `S`.
#[inline(always)]
pub(in crate::kernels) unsafe fn values<S: Simd, E: Stored, const Q: usize, const G: usize>(
    dim: usize,
    d: usize,
    ahead: isize,
    runs: Runs,
    weights: *const *const f32,
    values: *const E,
    sums: *const *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let weights: [*const f32; Q] = *weights.cast();
        let sums: [*mut f32; Q] = *sums.cast();
        let mut totals = [[S::splat(0.0); G]; Q];
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (g, total) in totals.iter_mut().enumerate() {
                *total = S::load(sums.add(d + g * S::LANES));
            }
        }
        let mut age = 0;
        for (first, count) in runs {
            for row in first..first + count {
                let mut w = [S::splat(0.0); Q];
                for (w, weights) in w.iter_mut().zip(weights) {
                    *w = S::splat(*weights.add(age));
                }
                for g in 0..G {
                    let value = values.add(row * dim + d + g * S::LANES);
                    prefetch::<S, E>(value, g * S::LANES, ahead);
                    let value = E::load::<S>(value);
                    for (totals, w) in totals.iter_mut().zip(w) {
                        totals[g] = S::mul_add(w, value, totals[g]);
                    }
                }
                age += 1;
            }
        }
        for (totals, sums) in totals.iter().zip(sums) {
            for (g, total) in totals.iter().enumerate() {
                S::store(sums.add(d + g * S::LANES), *total);
            }
        }
    }
}
