//! The causal transformers between SEANet and quantizer: pre-norm, rotary positions, layer scale
//! (folded into the weights when the model is built), no final norm.

use super::attention::{Attention, AttentionScratch, Ring};
use super::conv::Conv;
use super::memory::{Batch, Plan, Slot, try_collect};
use crate::Error;
use crate::kernels::{Activation, Arena, Heads, Kernels, Rows};
use std::collections::TryReserveError;

/// A layer norm's weight and bias.
pub(crate) struct Norm {
    pub(crate) weight: Arena,
    pub(crate) bias: Arena,
    pub(crate) eps: f32,
}

impl Norm {
    /// From rows at `x` to contiguous rows at `y`.
    fn step(&self, batch: &mut Batch, x: Rows, rows: usize, y: Slot) {
        let (kernels, width) = (batch.kernels, self.weight.len());
        for stream in batch.streams() {
            for row in 0..rows {
                let (from, to) = (x.offset + row * x.stride, y.offset + row * width);
                let Ok([x, y]) = stream.scratch.get_disjoint_mut([from..from + width, to..to + width]) else {
                    unreachable!("slots of a plan are disjoint")
                };
                kernels.layer_norm(x, &self.weight, &self.bias, self.eps, y);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.bytes()
    }
}

/// `h = x + out(attention(norm(x)))`, `y = h + down(activation(up(norm(h))))`.
pub(crate) struct TransformerLayer {
    pub(crate) attention_norm: Norm,
    /// To queries (times 1/√dim), keys and values, side by side.
    pub(crate) packed: Conv,
    /// Times layer scale.
    pub(crate) out: Conv,
    pub(crate) feed_forward_norm: Norm,
    pub(crate) up: Conv,
    /// Times layer scale.
    pub(crate) down: Conv,
}

impl TransformerLayer {
    fn bytes(&self) -> usize {
        let convs = [&self.packed, &self.out, &self.up, &self.down];
        convs.iter().map(|c| c.bytes()).sum::<usize>()
            + self.attention_norm.bytes()
            + self.feed_forward_norm.bytes()
    }
}

pub(crate) struct Transformer {
    attention: Attention,
    layers: Vec<TransformerLayer>,
    activation: Activation,
}

/// A transformer's slots.
#[derive(Debug)]
pub(crate) struct TransformerState {
    attention: AttentionScratch,
    rings: Vec<Ring>,
    /// `[rows, hidden]`.
    normed: Slot,
    /// `[rows, queries ‖ keys ‖ values]`.
    packed: Slot,
    /// `[rows, heads · dim]`.
    attended: Slot,
    /// `[rows, intermediate]`.
    expanded: Slot,
}

impl Transformer {
    pub(crate) fn new(
        kernels: Kernels,
        heads: Heads,
        theta: f64,
        layers: Vec<TransformerLayer>,
        activation: Activation,
    ) -> Result<Self, Error> {
        Ok(Self { attention: Attention::new(kernels, heads, theta)?, layers, activation })
    }

    /// Slots for steps of up to `rows` rows and a window of `context` keys.
    pub(crate) fn plan(
        &self,
        plan: &mut Plan,
        rows: usize,
        context: usize,
    ) -> Result<TransformerState, TryReserveError> {
        let attention = self.attention.plan(plan, rows, context);
        let (hidden, expanded) =
            self.layers.first().map_or((0, 0), |l| (l.packed.channels(), l.up.outputs()));
        for layer in &self.layers {
            for conv in [&layer.packed, &layer.out, &layer.up, &layer.down] {
                conv.plan_product(plan, rows);
            }
            self.attention.plan_work(plan, &attention, rows);
            // two norms, and an activation
            plan.work(rows, hidden.saturating_mul(8).saturating_add(expanded.saturating_mul(16)));
        }
        Ok(TransformerState {
            attention,
            rings: try_collect(self.layers.iter().map(|_| self.attention.plan_ring(plan, &attention)))?,
            normed: plan.scratch(rows, hidden),
            packed: plan.scratch(rows, self.attention.packed_width()),
            attended: plan.scratch(rows, self.attention.heads.query_width()),
            expanded: plan.scratch(rows, expanded),
        })
    }

    /// `rows` rows at `x`, in place. The streams' positions are those of their first rows, and stay.
    pub(crate) fn step(&self, batch: &mut Batch, state: &TransformerState, x: Rows, rows: usize) {
        self.attention.begin(batch, &state.attention, rows);
        for (layer, ring) in self.layers.iter().zip(&state.rings) {
            let normed = state.normed.rows(layer.packed.channels());
            let packed = state.packed.rows(layer.packed.outputs());
            let attended = state.attended.rows(self.attention.heads.query_width());
            let expanded = state.expanded.rows(layer.up.outputs());
            layer.attention_norm.step(batch, x, rows, state.normed);
            layer.packed.linear_step(batch, normed, rows, packed, None, Activation::None);
            self.attention.step(batch, &state.attention, ring, state.packed, rows, attended);
            layer.out.linear_step(batch, attended, rows, x, Some(x), Activation::None);
            layer.feed_forward_norm.step(batch, x, rows, state.normed);
            layer.up.linear_step(batch, normed, rows, expanded, None, self.activation);
            layer.down.linear_step(batch, expanded, rows, x, Some(x), Activation::None);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.attention.bytes() + self.layers.iter().map(TransformerLayer::bytes).sum::<usize>()
    }
}
