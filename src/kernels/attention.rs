//! Attention of queries to a window of keys and values in a ring.
//!
//! A head's keys lie in blocks of a register's lanes, `[block][dim][lane]`. So the scores of a block are sums over its
//! dimensions, and no sum across lanes is needed. The values lie `[row][dim]`.
//!
//! Both are kept in f32 or in 16-bit integers. Of integers, each head's part of a row has a scale of its own. The
//! scales lie `[head][row]` after all integers.

use super::norm::softmax_numerators;
use super::rounded::{round, scale_of};
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

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    F32,
    /// Rounded to 16 bits, with a scale for each head of a row.
    Int16,
}

impl Kept {
    /// The f32 values whose place a ring of `capacity` rows takes; the largest number if no address space holds them.
    pub(crate) fn len(self, heads: Heads, capacity: usize) -> usize {
        let values = capacity.saturating_mul(heads.key_width());
        match self {
            Self::F32 => values,
            // whole, because a capacity is whole blocks
            Self::Int16 if values < usize::MAX => values / 2 + capacity * heads.keys,
            Self::Int16 => usize::MAX,
        }
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(self, heads: Heads) -> usize {
        match self {
            Self::F32 => 4 * heads.key_width(),
            Self::Int16 => 2 * heads.key_width() + 4 * heads.keys,
        }
    }
}

/// The largest kept integer.
const LARGEST: f32 = 32767.0;

/// An element of a ring.
pub(super) trait Stored<S: Simd>: Copy {
    /// Whether rows have scales.
    const SCALED: bool;

    /// Widens `LANES` elements.
    ///
    /// # Safety
    ///
    /// As for [`Simd`].
    unsafe fn load(p: *const Self) -> S::Vector;
    fn value(self) -> f32;
}

impl<S: Simd> Stored<S> for f32 {
    const SCALED: bool = false;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { S::load(p) }
    }
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

impl<S: Simd> Stored<S> for i16 {
    const SCALED: bool = true;

    #[inline(always)]
    unsafe fn load(p: *const i16) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { S::load_i16(p) }
    }
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }
}

/// The begin of a head's scales in a ring of integers.
///
/// # Safety
///
/// `ring` holds `capacity` rows; `head` is one of the heads of keys.
#[inline(always)]
unsafe fn scales(heads: Heads, capacity: usize, head: usize, ring: *const f32) -> *const f32 {
    // SAFETY: as `Kept::len` counts.
    unsafe { ring.add(capacity * heads.key_width() / 2 + head * capacity) }
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

/// The same in rings of integers.
///
/// # Safety
///
/// As for [`remember`]; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn remember_rounded<S: Simd>(
    heads: Heads,
    [capacity, row]: [usize; 2],
    key: *const f32,
    value: *const f32,
    keys: *mut f32,
    values: *mut f32,
) {
    let (block, lane, dim) = (row / S::LANES, row % S::LANES, heads.dim);
    // SAFETY: a head's part of a ring begins at head · capacity · dim, and the row is within it; the buffer has room
    // for a register's lanes.
    unsafe {
        for head in 0..heads.keys {
            let (key, value) = (key.add(head * dim), value.add(head * dim));
            let (scale, factor) = scale_of::<S>(key, dim, LARGEST);
            *scales(heads, capacity, head, keys).cast_mut().add(row) = scale;
            let to = keys.cast::<i16>().add((head * capacity + block * S::LANES) * dim + lane);
            for first in (0..dim).step_by(S::LANES) {
                let mut rounded = [0i16; 16];
                let count = S::LANES.min(dim - first);
                round::<S>(key.add(first), factor, rounded.as_mut_ptr(), count);
                for (d, rounded) in rounded[..count].iter().enumerate() {
                    *to.add((first + d) * S::LANES) = *rounded;
                }
            }
            let (scale, factor) = scale_of::<S>(value, dim, LARGEST);
            *scales(heads, capacity, head, values).cast_mut().add(row) = scale;
            round::<S>(value, factor, values.cast::<i16>().add((head * capacity + row) * dim), dim);
        }
    }
}

/// q·key for the keys of `G` blocks.
#[inline(always)]
unsafe fn block_scores<S: Simd, E: Stored<S>, const G: usize>(
    dim: usize,
    q: *const f32,
    keys: *const E,
    key_scales: *const f32,
    scores: *mut f32,
) {
    // SAFETY: the caller vouches for `G` blocks of keys and scores.
    unsafe {
        let mut sums = [S::splat(0.0); G];
        for d in 0..dim {
            let q = S::splat(*q.add(d));
            for (g, sum) in sums.iter_mut().enumerate() {
                *sum = S::mul_add(q, E::load(keys.add((g * dim + d) * S::LANES)), *sum);
            }
        }
        for (g, sum) in sums.iter().enumerate() {
            let sum = match E::SCALED {
                true => S::mul(*sum, S::load(key_scales.add(g * S::LANES))),
                false => *sum,
            };
            S::store(scores.add(g * S::LANES), sum);
        }
    }
}

/// Σ weight·value over the rows of two runs, for `G` registers of each value, times `scale`.
#[inline(always)]
unsafe fn weighted_sum<S: Simd, E: Stored<S>, const G: usize>(
    dim: usize,
    runs: [(usize, usize); 2],
    weights: *const f32,
    values: *const E,
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
                    *sum = S::mul_add(w, E::load(values.add(row * dim + g * S::LANES)), *sum);
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
unsafe fn all_scores<S: Simd, E: Stored<S>>(
    dim: usize,
    [begin, end]: [usize; 2],
    q: *const f32,
    keys: *const E,
    key_scales: *const f32,
    scores: *mut f32,
) {
    let mut block = begin;
    while block < end {
        let blocks = group(end - block);
        // SAFETY: the caller vouches for the blocks; these are among them.
        unsafe {
            let (keys, scores) = (keys.add(block * S::LANES * dim), scores.add(block * S::LANES));
            let key_scales = key_scales.wrapping_add(block * S::LANES);
            match blocks {
                8 => block_scores::<S, E, 8>(dim, q, keys, key_scales, scores),
                4 => block_scores::<S, E, 4>(dim, q, keys, key_scales, scores),
                2 => block_scores::<S, E, 2>(dim, q, keys, key_scales, scores),
                _ => block_scores::<S, E, 1>(dim, q, keys, key_scales, scores),
            }
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

/// Σ weight·value, times `scale`, for a head.
#[inline(always)]
unsafe fn weighted_sums<S: Simd, E: Stored<S>>(
    dim: usize,
    runs: [(usize, usize); 2],
    weights: *const f32,
    values: *const E,
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
                8 => weighted_sum::<S, E, 8>(dim, runs, weights, values, scale, out),
                4 => weighted_sum::<S, E, 4>(dim, runs, weights, values, scale, out),
                2 => weighted_sum::<S, E, 2>(dim, runs, weights, values, scale, out),
                _ => weighted_sum::<S, E, 1>(dim, runs, weights, values, scale, out),
            }
            d += registers * S::LANES;
        }
        // dimensions that fill no register
        for d in d..dim {
            let mut sum = 0.0;
            let mut weight = weights;
            for (first, count) in runs {
                for row in first..first + count {
                    sum += *weight * (*values.add(row * dim + d)).value();
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
/// `q` and `out` hold the rows of queries and outputs; `keys` and `values` hold `capacity` rows of `E`, whole blocks
/// and no fewer than `context`; `scores` holds `capacity + context` values; the CPU has `S`.
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
        let ring = of_keys * queries.capacity * dim;
        let [key_scales, value_scales] = match E::SCALED {
            // SAFETY: the caller's.
            true => [keys, values].map(|ring| unsafe { scales(heads, queries.capacity, of_keys, ring) }),
            false => [std::ptr::null(); 2],
        };
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
                all_scores::<S, E>(dim, blocks, q, keys.cast::<E>().add(ring), key_scales, by_row);
                // By age, so that the sums do not depend on the begin of the ring.
                std::ptr::copy_nonoverlapping(by_row.add(runs[0].0), scores, runs[0].1);
                std::ptr::copy_nonoverlapping(by_row, scores.add(runs[0].1), runs[1].1);
                let scale = softmax_numerators::<S>(scores, seen);
                if E::SCALED {
                    let mut weight = scores;
                    for (first, count) in runs {
                        multiply::<S>(weight, value_scales.add(first), count);
                        weight = weight.add(count);
                    }
                }
                weighted_sums::<S, E>(dim, runs, scores, values.cast::<E>().add(ring), scale, out);
            }
        }
    }
}
