//! Where the layers' weights are: the names and shapes of a checkpoint's tensors.

use super::layers::{Conv, ConvTranspose, Layer, LayerNorm, ResidualVectorQuantizer, TransformerLayer};
use crate::{Checkpoint, Config, Error, HalfConfig, PadMode};
use candle_core::{Device, Tensor};
use candle_nn::Linear;

/// Builds layers from a checkpoint's tensors.
pub(super) struct Weights<'a> {
    pub(super) checkpoint: &'a Checkpoint<'a>,
    pub(super) device: &'a Device,
}

impl Weights<'_> {
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, Error> {
        Ok(Tensor::from_vec(self.checkpoint.tensor(name, shape)?, shape, self.device)?)
    }

    /// A convolution of stride and dilation 1 with bias; `shape` is `[out, in, kernel]`.
    fn conv(&self, name: &str, shape: [usize; 3], pad_mode: PadMode) -> Result<Conv, Error> {
        let weight = self.get(&format!("{name}.conv.weight"), &shape)?;
        let bias = Some(self.get(&format!("{name}.conv.bias"), &shape[..1])?);
        Ok(Conv { weight, bias, stride: 1, dilation: 1, pad_mode })
    }

    fn conv_transpose(&self, name: &str, shape: [usize; 3], stride: usize) -> Result<ConvTranspose, Error> {
        let weight = self.get(&format!("{name}.conv.weight"), &shape)?;
        let bias = Some(self.get(&format!("{name}.conv.bias"), &shape[1..2])?);
        Ok(ConvTranspose { weight, bias, stride, groups: 1 })
    }

    fn residual(&self, name: &str, index: usize, channels: usize, c: &HalfConfig) -> Result<Layer, Error> {
        let hidden = channels / c.compress;
        let wide = [hidden, channels, c.residual_kernel_size];
        let wide = self.conv(&format!("{name}.block.1"), wide, c.pad_mode)?;
        let narrow = self.conv(&format!("{name}.block.3"), [channels, hidden, 1], c.pad_mode)?;
        let shortcut = match c.use_conv_shortcut {
            true => Some(self.conv(&format!("{name}.shortcut"), [channels, channels, 1], c.pad_mode)?),
            false => None,
        };
        // one tap has no dilation, whose powers are then without bounds
        let dilation = if c.residual_kernel_size == 1 { 1 } else { c.dilation_growth_rate.pow(index as u32) };
        Ok(Layer::Residual { wide: Conv { dilation, ..wide }, narrow, shortcut })
    }

    pub(super) fn seanet_encoder(&self, c: &HalfConfig, ratios: &[usize]) -> Result<Vec<Layer>, Error> {
        let name = |layers: &[Layer]| format!("encoder.layers.{}", layers.len());
        let mut channels = c.num_filters;
        let mut layers = Vec::new();
        layers.push(Layer::Conv(self.conv(&name(&layers), [channels, 1, c.kernel_size], c.pad_mode)?));
        for &stride in ratios.iter().rev() {
            for index in 0..c.num_residual_layers {
                layers.push(self.residual(&name(&layers), index, channels, c)?);
            }
            layers.push(Layer::Elu);
            let conv = self.conv(&name(&layers), [2 * channels, channels, 2 * stride], c.pad_mode)?;
            layers.push(Layer::Conv(Conv { stride, ..conv }));
            channels *= 2;
        }
        layers.push(Layer::Elu);
        let last = [c.hidden_size, channels, c.last_kernel_size];
        layers.push(Layer::Conv(self.conv(&name(&layers), last, c.pad_mode)?));
        Ok(layers)
    }

    pub(super) fn seanet_decoder(&self, c: &HalfConfig, ratios: &[usize]) -> Result<Vec<Layer>, Error> {
        let name = |layers: &[Layer]| format!("decoder.layers.{}", layers.len());
        let mut channels = c.num_filters << ratios.len();
        let mut layers = Vec::new();
        let first = [channels, c.hidden_size, c.kernel_size];
        layers.push(Layer::Conv(self.conv(&name(&layers), first, c.pad_mode)?));
        for &stride in ratios {
            layers.push(Layer::Elu);
            let shape = [channels, channels / 2, 2 * stride];
            layers.push(Layer::ConvTranspose(self.conv_transpose(&name(&layers), shape, stride)?));
            channels /= 2;
            for index in 0..c.num_residual_layers {
                layers.push(self.residual(&name(&layers), index, channels, c)?);
            }
        }
        layers.push(Layer::Elu);
        layers.push(Layer::Conv(self.conv(&name(&layers), [1, channels, c.last_kernel_size], c.pad_mode)?));
        Ok(layers)
    }

    pub(super) fn transformer(&self, name: &str, c: &HalfConfig) -> Result<Vec<TransformerLayer>, Error> {
        let layer = |index| self.transformer_layer(&format!("{name}.layers.{index}"), c);
        (0..c.num_hidden_layers).map(layer).collect()
    }

    fn transformer_layer(&self, name: &str, c: &HalfConfig) -> Result<TransformerLayer, Error> {
        let (hidden, inner) = (c.hidden_size, c.intermediate_size);
        let (queries, keys) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        let vector = |part: &str| self.get(&format!("{name}.{part}"), &[hidden]);
        let norm = |part: &str| -> Result<LayerNorm, Error> {
            Ok(LayerNorm {
                weight: vector(&format!("{part}.weight"))?,
                bias: vector(&format!("{part}.bias"))?,
            })
        };
        let linear = |part: &str, inputs: usize, outputs: usize, bias: bool| -> Result<Linear, Error> {
            let weight = self.get(&format!("{name}.{part}.weight"), &[outputs, inputs])?;
            let bias = bias.then(|| self.get(&format!("{name}.{part}.bias"), &[outputs])).transpose()?;
            Ok(Linear::new(weight, bias))
        };
        Ok(TransformerLayer {
            input_layernorm: norm("input_layernorm")?,
            q_proj: linear("self_attn.q_proj", hidden, queries, c.attention_bias)?,
            k_proj: linear("self_attn.k_proj", hidden, keys, c.attention_bias)?,
            v_proj: linear("self_attn.v_proj", hidden, keys, c.attention_bias)?,
            o_proj: linear("self_attn.o_proj", queries, hidden, c.attention_bias)?,
            self_attn_layer_scale: vector("self_attn_layer_scale.scale")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            fc1: linear("mlp.fc1", hidden, inner, false)?,
            fc2: linear("mlp.fc2", inner, hidden, false)?,
            mlp_layer_scale: vector("mlp_layer_scale.scale")?,
        })
    }

    /// The semantic branch, then the acoustic one.
    pub(super) fn quantizer(&self, c: &Config) -> Result<[ResidualVectorQuantizer; 2], Error> {
        let semantic = c.num_semantic_quantizers;
        let branch =
            |kind: &str, count: usize| self.branch(&format!("{kind}_residual_vector_quantizer"), count, c);
        Ok([branch("semantic", semantic)?, branch("acoustic", c.num_quantizers - semantic)?])
    }

    /// From latents to the decoder's width, where that is another or there is no quantizer.
    pub(super) fn projection(&self, c: &Config) -> Result<Option<Linear>, Error> {
        let (latent, width) = (c.latent_dim(), c.decoder_half().hidden_size);
        if c.continuous.is_none() && width == latent {
            return Ok(None);
        }
        // a convolution with kernel 1
        let weight = self.get("quantizer.output_proj.weight", &[width, latent, 1])?;
        Ok(Some(Linear::new(weight.squeeze(2)?, None)))
    }

    fn branch(&self, branch: &str, count: usize, c: &Config) -> Result<ResidualVectorQuantizer, Error> {
        let name = format!("quantizer.{branch}");
        let (hidden, inner) = (c.hidden_size, c.vector_quantization_hidden_dimension);
        // between equal dimensions, kyutai's files have projections and transformers' have none
        let projected = inner != hidden || self.checkpoint.contains(&format!("{name}.input_proj.weight"));
        let projection = |part: &str, inputs: usize, outputs: usize| -> Result<Option<Linear>, Error> {
            if !projected {
                return Ok(None);
            }
            // a convolution with kernel 1
            let weight = self.get(&format!("{name}.{part}.weight"), &[outputs, inputs, 1])?;
            Ok(Some(Linear::new(weight.squeeze(2)?, None)))
        };
        let codebook = |index: usize| -> Result<Tensor, Error> {
            let part = format!("{name}.layers.{index}.codebook");
            let sum = self.get(&format!("{part}.embed_sum"), &[c.codebook_size, c.codebook_dim])?;
            let usage = self.get(&format!("{part}.cluster_usage"), &[c.codebook_size])?;
            // 1e-5 is the floor with which the codebooks were trained
            Ok(sum.broadcast_div(&usage.maximum(1e-5)?.unsqueeze(1)?)?)
        };
        Ok(ResidualVectorQuantizer {
            input_proj: projection("input_proj", hidden, inner)?,
            output_proj: projection("output_proj", inner, hidden)?,
            codebooks: (0..count).map(codebook).collect::<Result<_, Error>>()?,
            name,
        })
    }
}
