//! Rotary positions and the ring of keys and values.

use super::memory::{Batch, Plan, Slot};
use crate::Error;
use crate::error::out_of_memory;
use crate::kernels::{Arena, Heads, Kernels, Queries, Rows};

/// Causal self-attention with a window: a query at position p sees keys p − context + 1 … p.
pub(super) struct Attention {
    kernels: Kernels,
    pub(super) heads: Heads,
    /// Radians per position of each pair of dimensions, θ^(−2i/dim), rounded to f32 as in the
    /// references; the angle itself is computed in f64, so that streams may be of any length.
    frequencies: Arena,
}

/// An attention layer's rings of `capacity` rows of key heads · dim values each, laid out by the kernels. The key
/// at position p is in row p mod capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    keys: Slot,
    values: Slot,
}

/// Slots that all layers of a transformer share.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionScratch {
    context: usize,
    /// Rows in each ring, whole blocks: a step's first query must still find its oldest key after the
    /// step's last key has been written.
    capacity: usize,
    /// `[rows, 2, dim / 2]`: cosines, then sines.
    angles: Slot,
    scores: Slot,
}

impl Attention {
    pub(super) fn new(kernels: Kernels, heads: Heads, theta: f64) -> Result<Self, Error> {
        let mut frequencies = Arena::zeroed(heads.dim / 2).map_err(out_of_memory)?;
        for (i, f) in frequencies.iter_mut().enumerate() {
            *f = theta.powf(-2.0 * i as f64 / heads.dim as f64) as f32;
        }
        Ok(Self { kernels, heads, frequencies })
    }

    /// Values in a row of queries, keys and values side by side.
    pub(super) fn packed_width(&self) -> usize {
        self.heads.query_width() + 2 * self.heads.key_width()
    }

    pub(super) fn plan(&self, plan: &mut Plan, rows: usize, context: usize) -> AttentionScratch {
        let capacity = self.kernels.ring_rows(context.saturating_add(rows.saturating_sub(1)));
        // a sine or cosine is as much work as some dozens of multiply-adds
        plan.work(rows, self.heads.dim.saturating_mul(32));
        AttentionScratch {
            context,
            capacity,
            angles: plan.scratch(rows, self.heads.dim),
            scores: plan.scratch(capacity.saturating_add(context), 1),
        }
    }

    pub(super) fn plan_ring(&self, plan: &mut Plan, scratch: &AttentionScratch) -> Ring {
        let (rows, width) = (scratch.capacity, self.heads.key_width());
        Ring { keys: plan.state(rows, width), values: plan.state(rows, width) }
    }

    /// Counts what `rows` rows of queries are looked up in: a ring of scores, a window of values.
    pub(super) fn plan_work(&self, plan: &mut Plan, scratch: &AttentionScratch, rows: usize) {
        let lanes_and_exponential = 16;
        let keys = scratch.capacity.saturating_add(scratch.context);
        let each = self.heads.dim.saturating_add(lanes_and_exponential).saturating_mul(keys);
        plan.work(rows, self.heads.queries.saturating_mul(each));
        plan.work(rows, self.packed_width().saturating_mul(4));
    }

    /// The angles of the step's positions, once for all layers.
    pub(super) fn begin(&self, batch: &mut Batch, slots: &AttentionScratch, rows: usize) {
        let half = self.heads.dim / 2;
        for stream in batch.streams() {
            let angles = &mut stream.scratch[slots.angles.range()];
            for (row, angles) in angles.chunks_exact_mut(2 * half).take(rows).enumerate() {
                let position = (stream.position + row as u64) as f64;
                let (cosines, sines) = angles.split_at_mut(half);
                for ((c, s), f) in cosines.iter_mut().zip(sines).zip(self.frequencies.iter()) {
                    let (sin, cos) = (position * f64::from(*f)).sin_cos();
                    (*c, *s) = (cos as f32, sin as f32);
                }
            }
        }
    }

    /// From packed rows of queries, keys and values at `packed`, at least one, to rows of heads at `y`.
    pub(super) fn step(
        &self,
        batch: &mut Batch,
        slots: &AttentionScratch,
        ring: &Ring,
        packed: Slot,
        rows: usize,
        y: Rows,
    ) {
        let (query_width, key_width) = (self.heads.query_width(), self.heads.key_width());
        let width = self.packed_width();
        let kernels = self.kernels;
        for stream in batch.streams() {
            for row in 0..rows {
                let at = packed.offset + row * width;
                self.rotate(&mut stream.scratch, slots.angles.offset + row * self.heads.dim, at);
                let (key, value) = stream.scratch[at + query_width..at + width].split_at(key_width);
                let Ok([keys, values]) =
                    stream.state.get_disjoint_mut([ring.keys.range(), ring.values.range()])
                else {
                    unreachable!("slots of a plan are disjoint")
                };
                let position = stream.position + row as u64;
                let slot = (position % slots.capacity as u64) as usize;
                kernels.remember(self.heads, slots.capacity, slot, key, value, keys, values);
            }
            let queries = Queries {
                position: stream.position,
                count: rows,
                capacity: slots.capacity,
                context: slots.context,
                stride: width,
                out_stride: y.stride,
            };
            // Packed rows, scores and outputs are different slots.
            let out = y.offset..y.offset + (rows - 1) * y.stride + query_width;
            let Ok([q, scores, out]) =
                stream.scratch.get_disjoint_mut([packed.range(), slots.scores.range(), out])
            else {
                unreachable!("slots of a plan are disjoint")
            };
            let keys = &stream.state[ring.keys.range()];
            let values = &stream.state[ring.values.range()];
            kernels.attend(self.heads, queries, q, keys, values, scores, out);
        }
    }

    /// Rotates the queries and keys of the packed row at `at`: dimension i of a head pairs with
    /// i + dim/2 (Su et al., "RoFormer", 2021, in the half-split layout of transformers).
    fn rotate(&self, scratch: &mut [f32], angles: usize, at: usize) {
        let half = self.heads.dim / 2;
        let rotated = self.heads.query_width() + self.heads.key_width();
        let Ok([angles, row]) = scratch.get_disjoint_mut([angles..angles + 2 * half, at..at + rotated])
        else {
            unreachable!("slots of a plan are disjoint")
        };
        let (cosines, sines) = angles.split_at(half);
        for head in row.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            for i in 0..half {
                let (a, b) = (low[i], high[i]);
                low[i] = a * cosines[i] - b * sines[i];
                high[i] = b * cosines[i] + a * sines[i];
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.frequencies.bytes()
    }
}
