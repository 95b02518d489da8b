//! Attention of queries to a window of keys and values in a ring.
//!
//! `kept.rs` says how keys and values lie in it.

use super::kept::{Heads, Stored, scales};
use super::norm::softmax_numerators;
use super::simd::{CACHE_LINE, Simd};
use std::ops::Range;

/// Rows of queries at successive positions, and the rings of their keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queries {
    /// Position of the first query. The key at position p is in row p mod `capacity`.
    pub(crate) position: u64,
    pub(crate) count: usize,
    /// Rows in a ring: whole blocks, and at least context + count − 1. In a smaller ring the last query's key would
    /// overwrite the first query's oldest key.
    pub(crate) capacity: usize,
    /// The most keys that a query sees: its own and those before it.
    pub(crate) context: usize,
    /// From one row of queries to the next.
    pub(crate) stride: usize,
    /// From one row of outputs to the next.
    pub(crate) out_stride: usize,
}

/// The most queries that are worked on at once, and so read keys and values once.
const TOGETHER: usize = 4;

impl Queries {
    /// The positions that query `index` sees.
    fn seen(self, index: usize) -> Range<u64> {
        let end = self.position + index as u64 + 1;
        end.saturating_sub(self.context as u64)..end
    }

    /// The rows of positions in the ring: two runs of first row and length, the older run first.
    fn runs(self, positions: Range<u64>) -> [(usize, usize); 2] {
        let count = positions.end.saturating_sub(positions.start) as usize;
        let oldest = (positions.start % self.capacity as u64) as usize;
        let until_end = count.min(self.capacity - oldest);
        [(oldest, until_end), (0, count - until_end)]
    }

    /// The number of queries from query `index` on to work on at once: 4, 2 or 1 that see a key in common.
    fn together(self, index: usize) -> usize {
        let in_common = |count: &usize| {
            index + count <= self.count && self.seen(index + count - 1).start < self.seen(index).end
        };
        [TOGETHER, 2].into_iter().find(in_common).unwrap_or(1)
    }

    /// Values that [`attend`] needs for scores; the largest number if no address space holds them.
    pub(crate) fn scores(count: usize, capacity: usize, context: usize) -> usize {
        capacity.saturating_add(context).saturating_mul(count.min(TOGETHER))
    }
}

/// The number of blocks of keys, or registers of values, to work on at once for `Q` queries if `left` are left. Eight
/// sums keep the adders busy.
fn group<const Q: usize>(left: usize) -> usize {
    let most = (8 / Q).min(left);
    1 << most.ilog2()
}

/// Calls a function for `Q` queries and a group of blocks or registers.
macro_rules! for_group {
    ($q:ident, $size:expr, $function:ident::<$s:ty, $e:ty> $arguments:tt) => {
        match ($q, $size) {
            (1, 8) => $function::<$s, $e, $q, 8> $arguments,
            (1 | 2, 4) => $function::<$s, $e, $q, 4> $arguments,
            (_, 2) => $function::<$s, $e, $q, 2> $arguments,
            _ => $function::<$s, $e, $q, 1> $arguments,
        }
    };
}

/// Prefetches the cache line `ahead` bytes past an element that is loaded, which is element `index` of its row or
/// block; nothing if `ahead` is 0, nor for the second and later registers of a line.
#[inline(always)]
unsafe fn prefetch<S: Simd, E: Stored<S>>(loaded: *const E, index: usize, ahead: isize) {
    if ahead != 0 && (index * size_of::<E>()).is_multiple_of(CACHE_LINE) {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { S::prefetch(loaded.cast::<u8>().wrapping_offset(ahead)) }
    }
}

/// q·key for `Q` queries and the keys of `G` blocks.
#[inline(always)]
unsafe fn block_scores<S: Simd, E: Stored<S>, const Q: usize, const G: usize>(
    dim: usize,
    ahead: isize,
    queries: [*const f32; Q],
    keys: *const E,
    key_scales: *const f32,
    scores: [*mut f32; Q],
) {
    // SAFETY: the caller vouches for the queries, and for `G` blocks of keys and of each query's scores.
    unsafe {
        let mut sums = [[S::splat(0.0); G]; Q];
        for d in 0..dim {
            let mut q = [S::splat(0.0); Q];
            for (q, query) in q.iter_mut().zip(queries) {
                *q = S::splat(*query.add(d));
            }
            for g in 0..G {
                let key = keys.add((g * dim + d) * S::LANES);
                prefetch::<S, E>(key, d * S::LANES, ahead);
                let key = E::load(key);
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

/// The sums of `Q` queries, with weight·value over the rows of two runs added to them, for `G` registers of each
/// value.
#[inline(always)]
unsafe fn add_values<S: Simd, E: Stored<S>, const Q: usize, const G: usize>(
    dim: usize,
    ahead: isize,
    runs: [(usize, usize); 2],
    weights: [*const f32; Q],
    values: *const E,
    mut sums: [[S::Vector; G]; Q],
) -> [[S::Vector; G]; Q] {
    // SAFETY: the caller vouches for the rows of the runs, a weight for each and each query, and `G` registers in each
    // row.
    unsafe {
        let mut age = 0;
        for (first, count) in runs {
            for row in first..first + count {
                let mut w = [S::splat(0.0); Q];
                for (w, weights) in w.iter_mut().zip(weights) {
                    *w = S::splat(*weights.add(age));
                }
                for g in 0..G {
                    let value = values.add(row * dim + g * S::LANES);
                    prefetch::<S, E>(value, g * S::LANES, ahead);
                    let value = E::load(value);
                    for (sums, w) in sums.iter_mut().zip(w) {
                        sums[g] = S::mul_add(w, value, sums[g]);
                    }
                }
                age += 1;
            }
        }
    }
    sums
}

/// What some queries see: the runs of rows that all see and, of each query, those of the older rows, those of the newer
/// ones, and the place of its weights.
struct Seen<const Q: usize> {
    by_all: [(usize, usize); 2],
    older: [[(usize, usize); 2]; Q],
    newer: [[(usize, usize); 2]; Q],
    weights: [*const f32; Q],
    /// Of each query's result.
    scales: [f32; Q],
    /// What to prefetch while values are read: see [`prefetch`].
    ahead: isize,
}

/// Σ weight·value over the rows that each of `Q` queries sees, oldest first, for `G` registers of each value. Each sum
/// is multiplied by its query's scale.
#[inline(always)]
unsafe fn weighted_sum<S: Simd, E: Stored<S>, const Q: usize, const G: usize>(
    dim: usize,
    seen: &Seen<Q>,
    values: *const E,
    out: [*mut f32; Q],
) {
    let count = |runs: [(usize, usize); 2]| runs[0].1 + runs[1].1;
    // SAFETY: the caller vouches for the rows of the runs, a weight for each, and `G` registers in each row.
    unsafe {
        let mut sums = [[S::splat(0.0); G]; Q];
        let mut weights = seen.weights;
        for (q, older) in seen.older.into_iter().enumerate() {
            [sums[q]] = add_values::<S, E, 1, G>(dim, 0, older, [weights[q]], values, [sums[q]]);
            weights[q] = weights[q].add(count(older));
        }
        sums = add_values::<S, E, Q, G>(dim, seen.ahead, seen.by_all, weights, values, sums);
        for (q, newer) in seen.newer.into_iter().enumerate() {
            let weights = weights[q].add(count(seen.by_all));
            [sums[q]] = add_values::<S, E, 1, G>(dim, 0, newer, [weights], values, [sums[q]]);
        }
        for ((sums, scale), out) in sums.iter().zip(seen.scales).zip(out) {
            for (g, sum) in sums.iter().enumerate() {
                S::store(out.add(g * S::LANES), S::mul(*sum, S::splat(scale)));
            }
        }
    }
}

/// The scores of all keys of the blocks `begin..end`, by row of the ring.
#[inline(always)]
unsafe fn all_scores<S: Simd, E: Stored<S>, const Q: usize>(
    dim: usize,
    ahead: isize,
    [begin, end]: [usize; 2],
    queries: [*const f32; Q],
    keys: *const E,
    key_scales: *const f32,
    scores: [*mut f32; Q],
) {
    let mut block = begin;
    while block < end {
        let blocks = group::<Q>(end - block);
        // SAFETY: the caller vouches for the blocks; these are among them.
        unsafe {
            let (keys, scores) =
                (keys.add(block * S::LANES * dim), scores.map(|scores| scores.add(block * S::LANES)));
            let key_scales = key_scales.wrapping_add(block * S::LANES);
            for_group!(Q, blocks, block_scores::<S, E>(dim, ahead, queries, keys, key_scales, scores));
        }
        block += blocks;
    }
}

/// x = x·y.
///
/// # Safety
///
/// Both are valid for `len` values; the CPU has `S`.
#[inline(always)]
unsafe fn multiply<S: Simd>(x: *mut f32, y: *const f32, len: usize) {
    let whole = len - len % S::LANES;
    // SAFETY: every index is below `len`.
    unsafe {
        for i in (0..whole).step_by(S::LANES) {
            S::store(x.add(i), S::mul(S::load(x.add(i)), S::load(y.add(i))));
        }
        for i in whole..len {
            *x.add(i) *= *y.add(i);
        }
    }
}

/// Σ weight·value, times the scale, for a head and `Q` queries.
#[inline(always)]
unsafe fn weighted_sums<S: Simd, E: Stored<S>, const Q: usize>(
    dim: usize,
    seen: &Seen<Q>,
    values: *const E,
    out: [*mut f32; Q],
) {
    let mut d = 0;
    // SAFETY: the caller vouches for rows of `dim` values; `d` and the registers after it are within.
    unsafe {
        while d + S::LANES <= dim {
            let registers = group::<Q>((dim - d) / S::LANES);
            let (values, out) = (values.add(d), out.map(|out| out.add(d)));
            for_group!(Q, registers, weighted_sum::<S, E>(dim, seen, values, out));
            d += registers * S::LANES;
        }
        // dimensions that fill no register
        for d in d..dim {
            for (q, out) in out.into_iter().enumerate() {
                let (mut sum, mut weight) = (0.0, seen.weights[q]);
                for (first, count) in [seen.older[q], seen.by_all, seen.newer[q]].into_iter().flatten() {
                    for row in first..first + count {
                        sum += *weight * (*values.add(row * dim + d)).value();
                        weight = weight.add(1);
                    }
                }
                *out.add(d) = sum * seen.scales[q];
            }
        }
    }
}

/// A head's part of keys or of values, and its scales if they are integers.
type HeadRing<E> = (*const E, *const f32);

/// `out = softmax(q·keys)·values` for a head and `Q` queries from query `index` on, oldest key first.
///
/// # Safety
///
/// As for [`attend`]; all of the queries see a key in common.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn attend_together<S: Simd, E: Stored<S>, const Q: usize>(
    dim: usize,
    queries: Queries,
    index: usize,
    q: [*const f32; Q],
    (keys, key_scales): HeadRing<E>,
    (values, value_scales): HeadRing<E>,
    ahead: [isize; 2],
    scores: *mut f32,
    out: [*mut f32; Q],
) {
    let (first, last) = (queries.seen(index), queries.seen(index + Q - 1));
    let blocks = match queries.runs(first.start..last.end) {
        [(oldest, count), (_, 0)] => [oldest / S::LANES, (oldest + count).div_ceil(S::LANES)],
        _ => [0, queries.capacity / S::LANES],
    };
    // SAFETY: blocks and rows are below `capacity`; a query sees at most `context` rows, and has room for scores of so
    // many and of a ring.
    unsafe {
        let room = queries.capacity + queries.context;
        let weights: [*mut f32; Q] = std::array::from_fn(|q| scores.add(q * room));
        let by_row = weights.map(|weights| weights.add(queries.context));
        all_scores::<S, E, Q>(dim, ahead[0], blocks, q, keys, key_scales, by_row);
        let mut seen = Seen {
            by_all: queries.runs(last.start..first.end),
            older: [[(0, 0); 2]; Q],
            newer: [[(0, 0); 2]; Q],
            weights: weights.map(|weights| weights.cast_const()),
            scales: [0.0; Q],
            ahead: ahead[1],
        };
        for (q, (weights, by_row)) in weights.into_iter().zip(by_row).enumerate() {
            let positions = queries.seen(index + q);
            seen.older[q] = queries.runs(positions.start..last.start);
            seen.newer[q] = queries.runs(first.end..positions.end);
            // By age, so that the sums do not depend on the begin of the ring.
            let runs = queries.runs(positions);
            std::ptr::copy_nonoverlapping(by_row.add(runs[0].0), weights, runs[0].1);
            std::ptr::copy_nonoverlapping(by_row, weights.add(runs[0].1), runs[1].1);
            seen.scales[q] = softmax_numerators::<S>(weights, runs[0].1 + runs[1].1);
            if E::SCALED {
                multiply::<S>(weights, value_scales.add(runs[0].0), runs[0].1);
                multiply::<S>(weights.add(runs[0].1), value_scales, runs[1].1);
            }
        }
        weighted_sums::<S, E, Q>(dim, &seen, values, out);
    }
}

/// `out[head] = softmax(q[head]·keys)·values` for each query. The queries include the scale.
///
/// # Safety
///
/// `q` and `out` hold the rows of queries and outputs; `keys` and `values` hold `capacity` rows of `E`, whole blocks
/// and no fewer than `context`; `scores` holds [`Queries::scores`] values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn attend<S: Simd, E: Stored<S>>(
    heads: Heads,
    queries: Queries,
    q: *const f32,
    keys: *const f32,
    values: *const f32,
    scores: *mut f32,
    out: *mut f32,
) {
    let dim = heads.dim;
    // Head by head, because a head's keys and values stay in a second-level cache for all queries.
    for head in 0..heads.queries {
        let of_keys = head / (heads.queries / heads.keys);
        // SAFETY: the caller's; `of_keys` is a head of keys.
        let [keys, values] = [keys, values].map(|ring| unsafe {
            let scales = match E::SCALED {
                true => scales(heads, queries.capacity, of_keys, ring),
                false => std::ptr::null(),
            };
            (ring.cast::<E>().add(of_keys * queries.capacity * dim), scales)
        });
        // The first queries read keys and values from memory. While they read a head's keys, its values are fetched,
        // and while they read these, the next head's keys.
        let between = values.0.addr().wrapping_sub(keys.0.addr()) as isize;
        let head_bytes = (queries.capacity * dim * size_of::<E>()) as isize;
        let mut ahead = [between, head_bytes - between];
        let mut index = 0;
        while index < queries.count {
            // SAFETY: heads are within the rows, and these are some of the queries.
            unsafe {
                let together = queries.together(index);
                let at = |i: usize, stride: usize| (index + i) * stride + head * dim;
                macro_rules! some {
                    ($count:literal) => {
                        attend_together::<S, E, $count>(
                            dim,
                            queries,
                            index,
                            std::array::from_fn(|i| q.add(at(i, queries.stride))),
                            keys,
                            values,
                            ahead,
                            scores,
                            std::array::from_fn(|i| out.add(at(i, queries.out_stride))),
                        )
                    };
                }
                match together {
                    TOGETHER => some!(4),
                    2 => some!(2),
                    _ => some!(1),
                }
                index += together;
            }
            ahead = [0; 2];
        }
    }
}
