//! The transformers between SEANet and the quantizer: pre-norm layers with layer scale, causal attention in a window.

use super::conv::Linear;
use crate::kernels::{Activation, Heads, Kept, Kernels, Queries, Rows, Weights};
use crate::program::{Norm, Op, Planner, Ring, Rotary, Section, Span, qkv_width};
use std::sync::Arc;

/// `h = x + out(attention(norm(x)))`, `y = h + down(activation(up(norm(h))))`.
pub(crate) struct TransformerLayer {
    pub(crate) attention_norm: Arc<Norm>,
    /// To queries (times 1/√dim), keys and values, side by side.
    pub(crate) qkv: Linear,
    /// Times layer scale.
    pub(crate) out: Linear,
    pub(crate) feed_forward_norm: Arc<Norm>,
    pub(crate) up: Linear,
    /// Times layer scale.
    pub(crate) down: Linear,
}

impl TransformerLayer {
    fn bytes(&self) -> usize {
        let linears = [&self.qkv, &self.out, &self.up, &self.down];
        let norms = [&self.attention_norm, &self.feed_forward_norm];
        linears.iter().map(|linear| linear.bytes()).sum::<usize>()
            + norms.iter().map(|norm| norm.weight.bytes() + norm.bias.bytes()).sum::<usize>()
    }
}

pub(crate) struct Transformer {
    pub(crate) kernels: Kernels,
    pub(crate) heads: Heads,
    /// How streams keep keys and values.
    pub(crate) kept: Kept,
    pub(crate) rotary: Arc<Rotary>,
    pub(crate) layers: Vec<TransformerLayer>,
    pub(crate) activation: Activation,
}

impl Transformer {
    /// Rows at `x`, in place, for a window of `context` keys.
    pub(crate) fn emit(&self, planner: &mut Planner, rows: Span, context: usize, x: Rows) {
        let Self { heads, kept, .. } = *self;
        let Some(first) = self.layers.first() else { return };
        // Each slot serves all layers in turn.
        let mut slot = |width| planner.scratch(rows.count, width).rows(width);
        let (normed, expanded) = (slot(first.qkv.inputs()), slot(first.up.outputs()));
        let (qkv, attended) = (slot(qkv_width(heads)), slot(heads.query_width()));
        let angles = slot(heads.dim).offset;
        // A pass's first query must still find its oldest key after the pass's last key has been written.
        let capacity = self.kernels.ring_rows(context.saturating_add(rows.count.saturating_sub(1)));
        let scores = planner.scratch(Queries::scores(rows.count, capacity, context), 1);
        planner.at(Section::Transformer, 0, "angles");
        planner.push(rows, Op::Angles { rotary: Arc::clone(&self.rotary), y: angles });
        for (index, layer) in self.layers.iter().enumerate() {
            let [keys, values] = [(); 2].map(|()| planner.state(kept.len(heads, capacity), 1));
            let ring = Ring { kept, keys, values, capacity, context };
            planner.at(Section::Transformer, index, "norm");
            planner.push(rows, Op::Norm { norm: Arc::clone(&layer.attention_norm), x, y: normed });
            planner.at(Section::Transformer, index, "queries, keys, values");
            layer.qkv.emit(planner, rows, normed, qkv, None, Activation::None);
            planner.at(Section::Transformer, index, "attention");
            planner.push(rows, Op::Remember { heads, qkv, angles, ring });
            planner.push_rows(rows, |row| {
                let (qkv, y) = (qkv.from(row), attended.from(row));
                Op::Attend { heads, qkv, ring, scores, y }
            });
            planner.at(Section::Transformer, index, "output projection");
            layer.out.emit(planner, rows, attended, x, Some(x), Activation::None);
            planner.at(Section::Transformer, index, "feed-forward norm");
            planner.push(rows, Op::Norm { norm: Arc::clone(&layer.feed_forward_norm), x, y: normed });
            planner.at(Section::Transformer, index, "feed-forward, up");
            layer.up.emit(planner, rows, normed, expanded, None, self.activation);
            planner.at(Section::Transformer, index, "feed-forward, down");
            layer.down.emit(planner, rows, expanded, x, Some(x), Activation::None);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rotary.bytes() + self.layers.iter().map(TransformerLayer::bytes).sum::<usize>()
    }
}
