//! The transformer of a half.

use super::{Linear, Side, TensorKind, TensorSpec, tensor};
use crate::{Activation, HalfConfig, Parts};

/// The numbers of a transformer, and which half it is in.
#[derive(Debug)]
pub(crate) struct Transformer {
    /// Stands before `.layers`.
    name: String,
    parts: Parts,
    width: usize,
    layers: usize,
    /// Query heads.
    pub(crate) queries: usize,
    /// Heads of keys, and of values.
    pub(crate) keys: usize,
    /// Dimensions of a head.
    pub(crate) head_dim: usize,
    /// Hidden channels of the feed-forward layers.
    expanded: usize,
    attention_bias: bool,
    pub(crate) activation: Activation,
    pub(crate) norm_eps: f64,
    pub(crate) rope_theta: f64,
}

/// A layer norm.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) weight: TensorSpec,
    pub(crate) bias: TensorSpec,
}

#[derive(Debug)]
pub(crate) struct TransformerLayer {
    pub(crate) attention_norm: Norm,
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) out: Linear,
    pub(crate) attention_scale: TensorSpec,
    pub(crate) feed_forward_norm: Norm,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
    pub(crate) feed_forward_scale: TensorSpec,
}

impl Transformer {
    pub(super) fn new(half: &HalfConfig, side: Side) -> Self {
        Self {
            name: format!("{}_transformer", side.name()),
            parts: side.parts(),
            width: half.hidden_size,
            layers: half.num_hidden_layers,
            queries: half.num_attention_heads,
            keys: half.num_key_value_heads,
            head_dim: half.head_dim,
            expanded: half.intermediate_size,
            attention_bias: half.attention_bias,
            activation: half.hidden_act,
            norm_eps: half.norm_eps,
            rope_theta: half.rope_theta,
        }
    }

    pub(crate) fn layers(&self) -> impl ExactSizeIterator<Item = TransformerLayer> {
        (0..self.layers).map(|index| self.layer(index))
    }

    pub(crate) fn layer(&self, index: usize) -> TransformerLayer {
        let name = format!("{}.layers.{index}", self.name);
        let vector = |field: &str, kind| tensor(format!("{name}.{field}"), &[self.width], kind, self.parts);
        let norm = |module: &str| Norm {
            weight: vector(&format!("{module}.weight"), TensorKind::NormWeight),
            bias: vector(&format!("{module}.bias"), TensorKind::NormBias),
        };
        let linear = |module: &str, shape, bias| Linear {
            name: format!("{name}.{module}"),
            parts: self.parts,
            shape,
            one_tap: false,
            bias,
        };
        let projection =
            |letter, shape| linear(&format!("self_attn.{letter}_proj"), shape, self.attention_bias);
        let (queries, keys) = (self.queries * self.head_dim, self.keys * self.head_dim);
        TransformerLayer {
            attention_norm: norm("input_layernorm"),
            query: projection('q', [queries, self.width]),
            key: projection('k', [keys, self.width]),
            value: projection('v', [keys, self.width]),
            out: projection('o', [self.width, queries]),
            attention_scale: vector("self_attn_layer_scale.scale", TensorKind::LayerScale),
            feed_forward_norm: norm("post_attention_layernorm"),
            up: linear("mlp.fc1", [self.expanded, self.width], false),
            down: linear("mlp.fc2", [self.width, self.expanded], false),
            feed_forward_scale: vector("mlp_layer_scale.scale", TensorKind::LayerScale),
        }
    }

    pub(super) fn list(&self, tensors: &mut Vec<TensorSpec>) {
        for layer in self.layers() {
            for norm in [layer.attention_norm, layer.feed_forward_norm] {
                tensors.extend([norm.weight, norm.bias]);
            }
            for linear in [layer.query, layer.key, layer.value, layer.out, layer.up, layer.down] {
                linear.list(tensors);
            }
            tensors.extend([layer.attention_scale, layer.feed_forward_scale]);
        }
    }
}
