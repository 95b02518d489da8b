//! Attention of queries to a window of keys and values in a ring.
//!
//! `kept.rs` says how keys and values lie in it.

use super::kept::{Heads, Stored, scales};
use super::table::Table;
use std::ops::Range;

pub(super) mod loops;

use loops::{Loops, Runs};

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

    /// The rows of positions in the ring.
    fn runs(self, positions: Range<u64>) -> Runs {
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

/// The logarithm to base 2 of the number of blocks of keys, or registers of values, to work on at once for so many
/// queries if `left` are left. Eight sums keep the adders busy.
fn group(queries: usize, left: usize) -> usize {
    (8 / queries).min(left).ilog2() as usize
}

/// Some queries of a head that see a key in common, and where their outputs go. Places of the arrays from `count` on
/// repeat the last one.
struct Together {
    index: usize,
    count: usize,
    q: [*const f32; TOGETHER],
    out: [*mut f32; TOGETHER],
}

/// A head's part of keys or of values, and its scales if they are integers.
type HeadRing<E> = (*const E, *const f32);

/// What all heads and queries of a call have in common.
struct Call<'a, E: 'static> {
    table: &'a Table,
    loops: &'a Loops<E>,
    dim: usize,
    queries: Queries,
    scores: *mut f32,
}

impl<E: Stored> Call<'_, E> {
    /// The scores of all keys of the blocks `block..end`, by row of the ring.
    ///
    /// # Safety
    ///
    /// As for [`attend`]; the blocks are the ring's, and `by_row` has room for a ring's scores of each query.
    unsafe fn scores(
        &self,
        together: &Together,
        ahead: isize,
        [mut block, end]: [usize; 2],
        (keys, key_scales): HeadRing<E>,
        by_row: [*mut f32; TOGETHER],
    ) {
        let lanes = self.table.lanes;
        let loops = self.loops.scores[together.count.ilog2() as usize];
        while block < end {
            let blocks = group(together.count, end - block);
            let row = block * lanes;
            // SAFETY: the caller vouches for the blocks; these are among them.
            unsafe {
                let scores = by_row.map(|scores| scores.add(row));
                let keys = keys.add(row * self.dim);
                let key_scales = key_scales.wrapping_add(row);
                loops[blocks](self.dim, ahead, together.q.as_ptr(), keys, key_scales, scores.as_ptr());
            }
            block += 1 << blocks;
        }
    }

    /// Adds weight·value over the rows of two runs to the sums of some queries.
    ///
    /// # Safety
    ///
    /// As for [`attend`]; the rows are the ring's. Each query has a weight for each row, and `dim` sums.
    unsafe fn add_values(
        &self,
        ahead: isize,
        runs: Runs,
        values: *const E,
        weights: &[*const f32],
        sums: &[*mut f32],
    ) {
        let lanes = self.table.lanes;
        let loops = self.loops.values[sums.len().ilog2() as usize];
        let mut d = 0;
        // SAFETY: the caller's; `d` and the registers after it are within `dim`.
        unsafe {
            while d + lanes <= self.dim {
                let registers = group(sums.len(), (self.dim - d) / lanes);
                loops[registers](self.dim, d, ahead, runs, weights.as_ptr(), values, sums.as_ptr());
                d += lanes << registers;
            }
            // dimensions that fill no register
            for d in d..self.dim {
                for (&sums, &weights) in sums.iter().zip(weights) {
                    let mut weight = weights;
                    for (first, count) in runs {
                        for row in first..first + count {
                            *sums.add(d) += *weight * (*values.add(row * self.dim + d)).value();
                            weight = weight.add(1);
                        }
                    }
                }
            }
        }
    }

    /// `out = softmax(q·keys)·values` for some queries, oldest key first. `ahead` is what the [`loops`] prefetch
    /// while they read keys, and while they read values.
    ///
    /// # Safety
    ///
    /// As for [`attend`]; keys and values are a head's.
    unsafe fn attend(&self, together: &Together, keys: HeadRing<E>, values: HeadRing<E>, ahead: [isize; 2]) {
        let &Together { index, count, out, .. } = together;
        let queries = self.queries;
        let (first, last) = (queries.seen(index), queries.seen(index + count - 1));
        let blocks = match queries.runs(first.start..last.end) {
            [(oldest, count), (_, 0)] => {
                [oldest / self.table.lanes, (oldest + count).div_ceil(self.table.lanes)]
            }
            _ => [0, queries.capacity / self.table.lanes],
        };
        // SAFETY: blocks and rows are below `capacity`; a query sees at most `context` rows, and has room for scores of
        // so many and of a ring.
        unsafe {
            let room = queries.capacity + queries.context;
            let weights: [*mut f32; TOGETHER] =
                std::array::from_fn(|q| self.scores.add(q.min(count - 1) * room));
            let by_row = weights.map(|weights| weights.add(queries.context));
            self.scores(together, ahead[0], blocks, keys, by_row);
            let mut scales = [0.0; TOGETHER];
            for q in 0..count {
                // By age, so that the sums do not depend on the begin of the ring.
                let (weights, by_row) = (weights[q], by_row[q]);
                let runs = queries.runs(queries.seen(index + q));
                std::ptr::copy_nonoverlapping(by_row.add(runs[0].0), weights, runs[0].1);
                std::ptr::copy_nonoverlapping(by_row, weights.add(runs[0].1), runs[1].1);
                scales[q] = (self.table.softmax_numerators)(weights, runs[0].1 + runs[1].1);
                if E::SCALED {
                    (self.table.multiply)(weights, values.1.add(runs[0].0), weights, runs[0].1);
                    let newer = weights.add(runs[0].1);
                    (self.table.multiply)(newer, values.1, newer, runs[1].1);
                }
                std::ptr::write_bytes(out[q], 0, self.dim);
            }
            // The rows that not all of the queries see come before and after those that all see.
            let by_all = last.start..first.end;
            let mut next = weights.map(|weights| weights.cast_const());
            for q in 0..count - 1 {
                let runs = queries.runs(queries.seen(index + q).start..by_all.start);
                self.add_values(0, runs, values.0, &[next[q]], &[out[q]]);
                next[q] = next[q].add(runs[0].1 + runs[1].1);
            }
            let runs = queries.runs(by_all.clone());
            self.add_values(ahead[1], runs, values.0, &next[..count], &out[..count]);
            for q in 1..count {
                let next = next[q].add(runs[0].1 + runs[1].1);
                let runs = queries.runs(by_all.end..queries.seen(index + q).end);
                self.add_values(0, runs, values.0, &[next], &[out[q]]);
            }
            for (out, scale) in out[..count].iter().zip(scales) {
                for d in 0..self.dim {
                    *out.add(d) *= scale;
                }
            }
        }
    }
}

/// `out[head] = softmax(q[head]·keys)·values` for each query. The queries include the scale. `loops` are the table's
/// for the kind of ring.
///
/// # Safety
///
/// `q` and `out` hold the rows of queries and outputs; `keys` and `values` hold `capacity` rows of `E`, whole blocks
/// and no fewer than `context`; `scores` holds [`Queries::scores`] values; the CPU has the table's instruction set.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn attend<E: Stored>(
    table: &Table,
    loops: &Loops<E>,
    heads: Heads,
    queries: Queries,
    q: *const f32,
    keys: *const f32,
    values: *const f32,
    scores: *mut f32,
    out: *mut f32,
) {
    let dim = heads.dim;
    let call = Call { table, loops, dim, queries, scores };
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
            let count = queries.together(index);
            let at = |i: usize, stride: usize| (index + i.min(count - 1)) * stride + head * dim;
            // SAFETY: heads are within the rows, and these are some of the queries.
            unsafe {
                let q = std::array::from_fn(|i| q.add(at(i, queries.stride)));
                let out = std::array::from_fn(|i| out.add(at(i, queries.out_stride)));
                call.attend(&Together { index, count, q, out }, keys, values, ahead);
            }
            index += count;
            ahead = [0; 2];
        }
    }
}
