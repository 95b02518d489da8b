//! Rotary positions, and the ring of keys and values.

use super::memory::{Memory, Slot};
use super::op::qkv_width;
use crate::Error;
use crate::error::out_of_memory;
use crate::kernels::{Arena, Heads, Kept, Kernels, Queries, Rows};

/// Radians per position of each pair of dimensions, θ^(−2i/dim), rounded to f32 as in the references. The angle itself
/// is computed in f64, so that streams may be of any length.
pub(crate) struct Rotary {
    frequencies: Arena,
}

impl Rotary {
    pub(crate) fn new(dim: usize, theta: f64) -> Result<Self, Error> {
        let mut frequencies = Arena::zeroed(dim / 2).map_err(out_of_memory)?;
        for (i, f) in frequencies.iter_mut().enumerate() {
            *f = theta.powf(-2.0 * i as f64 / dim as f64) as f32;
        }
        Ok(Self { frequencies })
    }

    /// Dimensions of a head.
    pub(crate) fn dim(&self) -> usize {
        2 * self.frequencies.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.frequencies.bytes()
    }

    /// Cosines, then sines, of each position from `position` on.
    pub(super) fn angles(&self, position: u64, rows: &mut [f32]) {
        for (row, angles) in rows.chunks_exact_mut(self.dim()).enumerate() {
            let position = (position + row as u64) as f64;
            let (cosines, sines) = angles.split_at_mut(self.frequencies.len());
            for ((c, s), f) in cosines.iter_mut().zip(sines).zip(self.frequencies.iter()) {
                let (sin, cos) = (position * f64::from(*f)).sin_cos();
                (*c, *s) = (cos as f32, sin as f32);
            }
        }
    }
}

/// A transformer layer's rings of `capacity` rows of keys and of values, laid out by the kernels. The key at position
/// p is in row p mod capacity. A query at position p sees the keys p − context + 1 … p.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) kept: Kept,
    pub(crate) keys: Slot,
    pub(crate) values: Slot,
    /// Whole blocks: a pass's first query must still find its oldest key after the pass's last key has been written.
    pub(crate) capacity: usize,
    pub(crate) context: usize,
}

/// Rotates the queries and keys of rows `[queries ‖ keys ‖ values]`, and puts keys and values into the ring.
pub(super) fn remember(
    kernels: Kernels,
    stream: &mut Memory,
    heads: Heads,
    qkv: Rows,
    angles: usize,
    ring: Ring,
    [first, rows]: [usize; 2],
) {
    let (rotated, key_width) = (heads.query_width() + heads.key_width(), heads.key_width());
    for row in 0..rows {
        let at = angles + row * heads.dim;
        let places = [at..at + heads.dim, qkv.from(row).first(qkv_width(heads))];
        let Ok([angles, row_of_qkv]) = stream.scratch.get_disjoint_mut(places) else {
            unreachable!("slots of a program are disjoint")
        };
        rotate(heads.dim, angles, &mut row_of_qkv[..rotated]);
        let (key, value) = row_of_qkv[heads.query_width()..].split_at(key_width);
        let Ok([keys, values]) = stream.state.get_disjoint_mut([ring.keys.range(), ring.values.range()])
        else {
            unreachable!("slots of a program are disjoint")
        };
        let position = stream.position + (first + row) as u64;
        let slot = (position % ring.capacity as u64) as usize;
        kernels.remember(ring.kept, heads, ring.capacity, slot, key, value, keys, values);
    }
}

/// Rotates heads: dimension i pairs with i + dim/2 (Su et al., "RoFormer", 2021, in the half-split layout of
/// transformers).
fn rotate(dim: usize, angles: &[f32], heads: &mut [f32]) {
    let half = dim / 2;
    let (cosines, sines) = angles.split_at(half);
    for head in heads.chunks_exact_mut(dim) {
        let (low, high) = head.split_at_mut(half);
        for i in 0..half {
            let (a, b) = (low[i], high[i]);
            low[i] = a * cosines[i] - b * sines[i];
            high[i] = b * cosines[i] + a * sines[i];
        }
    }
}

/// Attention of `rows` rows of queries.
#[allow(clippy::too_many_arguments)]
pub(super) fn attend(
    kernels: Kernels,
    stream: &mut Memory,
    heads: Heads,
    qkv: Rows,
    ring: Ring,
    scores: Slot,
    y: Rows,
    [first, rows]: [usize; 2],
) {
    let queries = Queries {
        position: stream.position + first as u64,
        count: rows,
        capacity: ring.capacity,
        context: ring.context,
        stride: qkv.stride,
        out_stride: y.stride,
    };
    let width = heads.query_width();
    let all = |at: Rows| at.offset..at.offset + (rows - 1) * at.stride + width;
    let Ok([q, scores, out]) = stream.scratch.get_disjoint_mut([all(qkv), scores.range(), all(y)]) else {
        unreachable!("slots of a program are disjoint")
    };
    let (keys, values) = (&stream.state[ring.keys.range()], &stream.state[ring.values.range()]);
    kernels.attend(ring.kept, heads, queries, q, keys, values, scores, out);
}
