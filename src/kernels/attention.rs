//! One query against a window of keys and values that lie in a ring.

use super::norm::softmax_numerators;
use super::simd::Simd;

/// The window of keys and values that a query sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyWindow {
    /// Rows in the ring.
    pub(crate) capacity: usize,
    /// Ring row of the oldest key.
    pub(crate) oldest: usize,
    /// Keys, oldest to newest; at most `capacity`.
    pub(crate) count: usize,
}

/// Heads and their size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    /// Divides `queries`: each key head serves `queries / keys` query heads, in order.
    pub(crate) keys: usize,
    pub(crate) dim: usize,
}

impl Heads {
    /// Values in a row of queries.
    pub(crate) fn query_width(self) -> usize {
        self.queries * self.dim
    }

    /// Values in a row of keys, and in one of values.
    pub(crate) fn key_width(self) -> usize {
        self.keys * self.dim
    }
}

/// x·y over `len` values.
#[inline(always)]
unsafe fn dot<S: Simd>(x: *const f32, y: *const f32, len: usize) -> f32 {
    // SAFETY: the caller vouches for `len` values at both.
    unsafe {
        let mut lanes = S::splat(0.0);
        let mut i = 0;
        while i + S::LANES <= len {
            lanes = S::mul_add(S::load(x.add(i)), S::load(y.add(i)), lanes);
            i += S::LANES;
        }
        let mut sum = S::sum(lanes);
        while i < len {
            sum += *x.add(i) * *y.add(i);
            i += 1;
        }
        sum
    }
}

/// y += a·x over `len` values.
#[inline(always)]
unsafe fn add_scaled<S: Simd>(a: f32, x: *const f32, y: *mut f32, len: usize) {
    // SAFETY: the caller vouches for `len` values at both.
    unsafe {
        let lanes = S::splat(a);
        let mut i = 0;
        while i + S::LANES <= len {
            S::store(y.add(i), S::mul_add(lanes, S::load(x.add(i)), S::load(y.add(i))));
            i += S::LANES;
        }
        while i < len {
            *y.add(i) += a * *x.add(i);
            i += 1;
        }
    }
}

/// `out[head] = softmax(q[head]·keys)·values`, oldest key first. The scale is in the queries already.
///
/// # Safety
///
/// `q` and `out` hold a row of queries; `keys` and `values` hold `capacity` rows; `scores` holds `count`
/// values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn attend<S: Simd>(
    heads: Heads,
    window: KeyWindow,
    q: *const f32,
    keys: *const f32,
    values: *const f32,
    scores: *mut f32,
    out: *mut f32,
) {
    let width = heads.key_width();
    // The ring as two runs of rows, older first.
    let until_end = window.count.min(window.capacity - window.oldest);
    let runs = [(window.oldest, until_end), (0, window.count - until_end)];
    // SAFETY: run rows are below `capacity`; heads are within the rows.
    unsafe {
        for head in 0..heads.queries {
            let offset = head / (heads.queries / heads.keys) * heads.dim;
            let q = q.add(head * heads.dim);
            let mut score = scores;
            for (first, count) in runs {
                for row in first..first + count {
                    *score = dot::<S>(q, keys.add(row * width + offset), heads.dim);
                    score = score.add(1);
                }
            }
            let scale = softmax_numerators::<S>(scores, window.count);
            let out = out.add(head * heads.dim);
            std::ptr::write_bytes(out, 0, heads.dim);
            let mut score = scores.cast_const();
            for (first, count) in runs {
                for row in first..first + count {
                    add_scaled::<S>(*score * scale, values.add(row * width + offset), out, heads.dim);
                    score = score.add(1);
                }
            }
        }
    }
}
