//! Attention of queries to a window of keys and values in a ring.
//!
//! A head's keys lie in blocks of a register's lanes, `[block][dim][lane]`. So the scores of a block are sums over its
//! dimensions, and no sum across lanes is needed. The values lie `[row][dim]`.

use super::norm::softmax_numerators;
use super::simd::Simd;

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

impl Queries {
    /// The rows of the ring that query `index` sees: two runs of first row and length, the older run first.
    fn runs(self, index: usize) -> [(usize, usize); 2] {
        let end = self.position + index as u64 + 1;
        let count = end.min(self.context as u64);
        let oldest = ((end - count) % self.capacity as u64) as usize;
        let until_end = (count as usize).min(self.capacity - oldest);
        [(oldest, until_end), (0, count as usize - until_end)]
    }
}

/// Numbers of heads, and their size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    /// A divisor of `queries`: each key head serves `queries / keys` query heads, in order.
    pub(crate) keys: usize,
    pub(crate) dim: usize,
}

impl Heads {
    /// Values in a row of queries. It saturates for heads beyond the address space, and then fits no memory.
    pub(crate) fn query_width(self) -> usize {
        self.queries.saturating_mul(self.dim)
    }

    /// Values in a row of keys, and in a row of values; likewise.
    pub(crate) fn key_width(self) -> usize {
        self.keys.saturating_mul(self.dim)
    }
}

/// The number of blocks of keys, or registers of values, to work on at once if `left` are left. Eight sums keep the
/// adders busy.
fn group(left: usize) -> usize {
    match left {
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Stores a row of keys and a row of values in row `row` of rings of `capacity` rows.
///
/// # Safety
///
/// `key` and `value` hold a row; `keys` and `values` hold `capacity` rows, of which `row` is one.
#[inline(always)]
pub(super) unsafe fn remember<S: Simd>(
    heads: Heads,
    [capacity, row]: [usize; 2],
    key: *const f32,
    value: *const f32,
    keys: *mut f32,
    values: *mut f32,
) {
    let (block, lane) = (row / S::LANES, row % S::LANES);
    // SAFETY: a head's part of a ring begins at head · capacity · dim, and the row is within it.
    unsafe {
        for head in 0..heads.keys {
            let (key, value) = (key.add(head * heads.dim), value.add(head * heads.dim));
            let keys = keys.add((head * capacity + block * S::LANES) * heads.dim + lane);
            for d in 0..heads.dim {
                *keys.add(d * S::LANES) = *key.add(d);
            }
            let values = values.add((head * capacity + row) * heads.dim);
            std::ptr::copy_nonoverlapping(value, values, heads.dim);
        }
    }
}

/// q·key for the keys of `G` blocks.
#[inline(always)]
unsafe fn block_scores<S: Simd, const G: usize>(
    dim: usize,
    q: *const f32,
    keys: *const f32,
    scores: *mut f32,
) {
    // SAFETY: the caller vouches for `G` blocks of keys and scores.
    unsafe {
        let mut sums = [S::splat(0.0); G];
        for d in 0..dim {
            let q = S::splat(*q.add(d));
            for (g, sum) in sums.iter_mut().enumerate() {
                *sum = S::mul_add(q, S::load(keys.add((g * dim + d) * S::LANES)), *sum);
            }
        }
        for (g, sum) in sums.iter().enumerate() {
            S::store(scores.add(g * S::LANES), *sum);
        }
    }
}

/// Σ weight·value over the rows of two runs, for `G` registers of each value, times `scale`.
#[inline(always)]
unsafe fn weighted_sum<S: Simd, const G: usize>(
    dim: usize,
    runs: [(usize, usize); 2],
    weights: *const f32,
    values: *const f32,
    scale: f32,
    out: *mut f32,
) {
    // SAFETY: the caller vouches for the rows of the runs, a weight for each, and `G` registers in each row.
    unsafe {
        let mut sums = [S::splat(0.0); G];
        let mut weight = weights;
        for (first, count) in runs {
            for row in first..first + count {
                let w = S::splat(*weight);
                for (g, sum) in sums.iter_mut().enumerate() {
                    *sum = S::mul_add(w, S::load(values.add(row * dim + g * S::LANES)), *sum);
                }
                weight = weight.add(1);
            }
        }
        for (g, sum) in sums.iter().enumerate() {
            S::store(out.add(g * S::LANES), S::mul(*sum, S::splat(scale)));
        }
    }
}

/// The scores of all keys of the blocks `begin..end`, by row of the ring.
#[inline(always)]
unsafe fn all_scores<S: Simd>(
    dim: usize,
    [begin, end]: [usize; 2],
    q: *const f32,
    keys: *const f32,
    scores: *mut f32,
) {
    let mut block = begin;
    while block < end {
        let blocks = group(end - block);
        // SAFETY: the caller vouches for the blocks; these are among them.
        unsafe {
            let (keys, scores) = (keys.add(block * S::LANES * dim), scores.add(block * S::LANES));
            match blocks {
                8 => block_scores::<S, 8>(dim, q, keys, scores),
                4 => block_scores::<S, 4>(dim, q, keys, scores),
                2 => block_scores::<S, 2>(dim, q, keys, scores),
                _ => block_scores::<S, 1>(dim, q, keys, scores),
            }
        }
        block += blocks;
    }
}

/// Σ weight·value, times `scale`, for a head.
#[inline(always)]
unsafe fn weighted_sums<S: Simd>(
    dim: usize,
    runs: [(usize, usize); 2],
    weights: *const f32,
    values: *const f32,
    scale: f32,
    out: *mut f32,
) {
    let mut d = 0;
    // SAFETY: the caller vouches for rows of `dim` values; `d` and the registers after it are within.
    unsafe {
        while d + S::LANES <= dim {
            let registers = group((dim - d) / S::LANES);
            let (values, out) = (values.add(d), out.add(d));
            match registers {
                8 => weighted_sum::<S, 8>(dim, runs, weights, values, scale, out),
                4 => weighted_sum::<S, 4>(dim, runs, weights, values, scale, out),
                2 => weighted_sum::<S, 2>(dim, runs, weights, values, scale, out),
                _ => weighted_sum::<S, 1>(dim, runs, weights, values, scale, out),
            }
            d += registers * S::LANES;
        }
        // dimensions that fill no register
        for d in d..dim {
            let mut sum = 0.0;
            let mut weight = weights;
            for (first, count) in runs {
                for row in first..first + count {
                    sum += *weight * *values.add(row * dim + d);
                    weight = weight.add(1);
                }
            }
            *out.add(d) = sum * scale;
        }
    }
}

/// `out[head] = softmax(q[head]·keys)·values` for each query, oldest key first. The queries include the scale.
///
/// # Safety
///
/// `q` and `out` hold the rows of queries and outputs; `keys` and `values` hold `capacity` rows, whole blocks and
/// no fewer than `context`; `scores` holds `capacity + context` values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn attend<S: Simd>(
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
        let ring = head / (heads.queries / heads.keys) * queries.capacity * dim;
        for index in 0..queries.count {
            let runs = queries.runs(index);
            let seen = runs[0].1 + runs[1].1;
            let blocks = match runs[1].1 {
                0 => [runs[0].0 / S::LANES, (runs[0].0 + seen).div_ceil(S::LANES)],
                _ => [0, queries.capacity / S::LANES],
            };
            // SAFETY: blocks and rows are below `capacity`, heads within the rows; `seen` is at most the context.
            unsafe {
                let (q, out) = (
                    q.add(index * queries.stride + head * dim),
                    out.add(index * queries.out_stride + head * dim),
                );
                let by_row = scores.add(seen);
                all_scores::<S>(dim, blocks, q, keys.add(ring), by_row);
                // By age, so that the sums do not depend on the begin of the ring.
                std::ptr::copy_nonoverlapping(by_row.add(runs[0].0), scores, runs[0].1);
                std::ptr::copy_nonoverlapping(by_row, scores.add(runs[0].1), runs[1].1);
                let scale = softmax_numerators::<S>(scores, seen);
                weighted_sums::<S>(dim, runs, scores, values.add(ring), scale, out);
            }
        }
    }
}
