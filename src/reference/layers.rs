//! What the layers do. Padding, masks and orders of operations are written out here; everything else is candle's.

use super::Trace;
use crate::{Activation, Error, HalfConfig, PadMode};
use candle_core::{D, Device, Tensor};
use candle_nn::{Linear, Module, ops, rotary_emb};

/// A causal convolution.
pub(super) struct Conv {
    /// `[out, in, kernel]`
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) pad_mode: PadMode,
}

impl Conv {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let steps = x.dim(2)?;
        let reach = (self.weight.dim(2)? - 1) * self.dilation + 1;
        let left = reach - self.stride;
        // only with layer-pad tails is there an incomplete last stride
        let right = steps.next_multiple_of(self.stride) - steps;
        let x = match self.pad_mode {
            PadMode::Constant => x.pad_with_zeros(2, left, right)?,
            PadMode::Replicate => x.pad_with_same(2, left, right)?,
        };
        add_bias(x.conv1d(&self.weight, 0, self.stride, self.dilation, 1)?, &self.bias)
    }
}

/// A causal transposed convolution, whose kernel is twice its stride.
pub(super) struct ConvTranspose {
    /// `[in, out / groups, kernel]`
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) stride: usize,
    pub(super) groups: usize,
}

impl ConvTranspose {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let y = x.conv_transpose1d(&self.weight, 0, 0, self.stride, 1, self.groups)?;
        // the rest would take part in steps that no input has reached yet
        let y = y.narrow(2, 0, x.dim(2)? * self.stride)?.contiguous()?;
        add_bias(y, &self.bias)
    }
}

fn add_bias(x: Tensor, bias: &Option<Tensor>) -> Result<Tensor, Error> {
    match bias {
        Some(bias) => Ok(x.broadcast_add(&bias.reshape((1, (), 1))?)?),
        None => Ok(x),
    }
}

/// A member of a SEANet encoder or decoder.
pub(super) enum Layer {
    Conv(Conv),
    ConvTranspose(ConvTranspose),
    Elu,
    Residual { wide: Conv, narrow: Conv, shortcut: Option<Conv> },
}

impl Layer {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::ConvTranspose(conv) => conv.forward(x),
            Self::Elu => Ok(x.elu(1.0)?),
            Self::Residual { wide, narrow, shortcut } => {
                let y = narrow.forward(&wide.forward(&x.elu(1.0)?)?.elu(1.0)?)?;
                match shortcut {
                    Some(shortcut) => Ok((shortcut.forward(x)? + y)?),
                    None => Ok((x + y)?),
                }
            }
        }
    }
}

pub(super) fn seanet(
    layers: &[Layer],
    name: &str,
    mut x: Tensor,
    trace: &mut Trace<'_>,
) -> Result<Tensor, Error> {
    for (index, layer) in layers.iter().enumerate() {
        x = layer.forward(&x)?;
        trace(&format!("{name}.layers.{index}"), &x);
    }
    Ok(x)
}

/// What depends on the positions of a recording's steps, the same in every layer.
pub(super) struct Positions {
    /// `[steps, head_dim / 2]`
    pub(super) cos: Tensor,
    pub(super) sin: Tensor,
    /// `[steps, steps]`, added to the scores: 0 where a query (row) sees a key (column), else −∞.
    pub(super) mask: Tensor,
}

impl Positions {
    pub(super) fn new(
        config: &HalfConfig,
        steps: usize,
        context: usize,
        device: &Device,
    ) -> Result<Self, Error> {
        let half = config.head_dim / 2;
        let angle = |index: usize| {
            let (position, pair) = (index / half, index % half);
            position as f64 * config.rope_theta.powf(-(pair as f64) / half as f64)
        };
        let angles: Vec<f64> = (0..steps * half).map(angle).collect();
        let cos: Vec<f32> = angles.iter().map(|a| a.cos() as f32).collect();
        let sin: Vec<f32> = angles.iter().map(|a| a.sin() as f32).collect();
        let sees = |query: usize, key: usize| key <= query && query - key < context;
        let mask: Vec<f32> = (0..steps * steps)
            .map(|i| if sees(i / steps, i % steps) { 0.0 } else { f32::NEG_INFINITY })
            .collect();
        Ok(Self {
            cos: Tensor::from_vec(cos, (steps, half), device)?,
            sin: Tensor::from_vec(sin, (steps, half), device)?,
            mask: Tensor::from_vec(mask, (steps, steps), device)?,
        })
    }
}

pub(super) struct LayerNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

impl LayerNorm {
    pub(super) fn forward(&self, x: &Tensor, eps: f64) -> Result<Tensor, Error> {
        // the slow one subtracts the mean before it squares, which keeps the variance's precision
        Ok(ops::layer_norm_slow(x, &self.weight, &self.bias, eps as f32)?)
    }
}

pub(super) struct TransformerLayer {
    pub(super) input_layernorm: LayerNorm,
    pub(super) q_proj: Linear,
    pub(super) k_proj: Linear,
    pub(super) v_proj: Linear,
    pub(super) o_proj: Linear,
    pub(super) self_attn_layer_scale: Tensor,
    pub(super) post_attention_layernorm: LayerNorm,
    pub(super) fc1: Linear,
    pub(super) fc2: Linear,
    pub(super) mlp_layer_scale: Tensor,
}

impl TransformerLayer {
    /// `[1, steps, hidden_size]` to the same.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        positions: &Positions,
        config: &HalfConfig,
    ) -> Result<Tensor, Error> {
        let y = self.attention(&self.input_layernorm.forward(x, config.norm_eps)?, positions, config)?;
        let x = (x + y.broadcast_mul(&self.self_attn_layer_scale)?)?;
        let y = self.fc1.forward(&self.post_attention_layernorm.forward(&x, config.norm_eps)?)?;
        let y = match config.hidden_act {
            Activation::Gelu => y.gelu_erf()?,
            // candle's is the one by the hyperbolic tangent
            Activation::GeluTanh => y.gelu()?,
            Activation::Relu => y.relu()?,
            Activation::Silu => y.silu()?,
        };
        Ok((x + self.fc2.forward(&y)?.broadcast_mul(&self.mlp_layer_scale)?)?)
    }

    fn attention(&self, x: &Tensor, positions: &Positions, config: &HalfConfig) -> Result<Tensor, Error> {
        let (heads, kv_heads, head_dim) =
            (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
        let steps = x.dim(1)?;
        let split = |x: Tensor, heads: usize| -> Result<Tensor, Error> {
            Ok(x.reshape((1, steps, heads, head_dim))?.transpose(1, 2)?.contiguous()?)
        };
        // key and value head h serves the query heads h·group .. (h + 1)·group
        let share = |x: Tensor| -> Result<Tensor, Error> {
            let shape = (1, kv_heads, heads / kv_heads, steps, head_dim);
            Ok(x.unsqueeze(2)?.broadcast_as(shape)?.reshape((1, heads, steps, head_dim))?)
        };
        let rotate = |x: Tensor| rotary_emb::rope(&x, &positions.cos, &positions.sin);
        let q = rotate(split(self.q_proj.forward(x)?, heads)?)?;
        let k = share(rotate(split(self.k_proj.forward(x)?, kv_heads)?)?)?;
        let v = share(split(self.v_proj.forward(x)?, kv_heads)?)?;

        let scores = (q.matmul(&k.t()?.contiguous()?)? / (head_dim as f64).sqrt())?;
        let attention = ops::softmax_last_dim(&scores.broadcast_add(&positions.mask)?)?;
        let y = attention.matmul(&v)?.transpose(1, 2)?.reshape((1, steps, heads * head_dim))?;
        Ok(self.o_proj.forward(&y)?)
    }
}

/// One branch of the split quantizer.
pub(super) struct ResidualVectorQuantizer {
    pub(super) name: String,
    pub(super) input_proj: Option<Linear>,
    pub(super) output_proj: Option<Linear>,
    /// `[codebook_size, codebook_dim]` each
    pub(super) codebooks: Vec<Tensor>,
}

impl ResidualVectorQuantizer {
    /// `[frames, hidden_size]` to `[frames]` for each of the first `count` codebooks.
    pub(super) fn encode(
        &self,
        z: &Tensor,
        count: usize,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<Tensor>, Error> {
        let mut residual = project(&self.input_proj, z)?;
        let mut all = Vec::with_capacity(count);
        for (index, codebook) in self.codebooks[..count].iter().enumerate() {
            let products = (residual.matmul(&codebook.t()?)? * 2.0)?;
            let lengths = codebook.sqr()?.sum(1)?.unsqueeze(0)?;
            let distances =
                residual.sqr()?.sum_keepdim(1)?.broadcast_add(&lengths)?.broadcast_sub(&products)?;
            trace(&format!("{}.layers.{index}.codebook", self.name), &distances);
            // of equally near entries the first
            let codes = distances.argmin(D::Minus1)?;
            residual = (residual - codebook.index_select(&codes, 0)?)?;
            all.push(codes);
        }
        Ok(all)
    }

    /// `[frames, count]` to `[frames, hidden_size]`.
    pub(super) fn decode(&self, codes: &Tensor) -> Result<Tensor, Error> {
        let entries = |k: usize| -> Result<Tensor, Error> {
            Ok(self.codebooks[k].index_select(&codes.narrow(1, k, 1)?.flatten_all()?, 0)?)
        };
        let mut sum = entries(0)?;
        for k in 1..codes.dim(1)? {
            sum = (sum + entries(k)?)?;
        }
        project(&self.output_proj, &sum)
    }
}

pub(super) fn project(projection: &Option<Linear>, x: &Tensor) -> Result<Tensor, Error> {
    match projection {
        Some(linear) => Ok(linear.forward(x)?),
        None => Ok(x.clone()),
    }
}
