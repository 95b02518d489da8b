//! Encoder and decoder: SEANet, transformer and the change to the frame rate.

use super::Builder;
use crate::Error;
use crate::error::with_capacity;
use crate::kernels::{self, Format, Heads, Integers, Kept, Packing, arena_bytes};
use crate::layers::{
    self, Conv, DecoderStage, EncoderStage, ResidualBlock, SeanetDecoder, SeanetEncoder, Transformer,
    TransformerLayer, Upsampler,
};
use crate::model::half::{DecoderHalf, EncoderHalf};
use crate::program::{Norm, Padding, Rotary};
use crate::tensors::{self, Convolution, Half, Linear, Stage};
use crate::{Activation, PadMode, TensorSpec};
use std::sync::Arc;

/// SEANet convolutions of up to so many weights stay in f32 where the others are in bf16. They work on tens to
/// thousands of rows a frame, so that reading fewer bytes would save nothing, and each would add as much noise as a
/// large one. In the published model this keeps 2 MB of 160 in f32 and is worth 2 dB.
const EXACT_WEIGHTS: usize = 1 << 17;

/// SEANet convolutions of up to so many weights are integers of 16 bits where the others have eight. They add less
/// noise, and are worth pairs of outputs. In the published model they are 5 MB.
const WIDE_WEIGHTS: usize = 1 << 19;

/// Inputs of a row and outputs below which a convolution is in f32 even where others are integers: to round so few
/// costs as much as to multiply them.
const FEW_CHANNELS: usize = 8;

impl Builder<'_, '_> {
    pub(super) fn seanet_encoder(&self, half: &Half) -> Result<SeanetEncoder, Error> {
        let seanet = &half.seanet;
        let first = self.seanet_conv(&seanet.first(), 1)?;
        let mut rows = half.frame();
        let mut stages = with_capacity(seanet.stages().len())?;
        for stage in seanet.stages() {
            rows /= stage.resampler.stride;
            let blocks = self.residual_blocks(&stage)?;
            stages.push(EncoderStage { blocks, down: self.seanet_conv(&stage.resampler, rows)? });
        }
        Ok(SeanetEncoder { first, stages, last: self.seanet_conv(&seanet.last(), 1)? })
    }

    pub(super) fn seanet_decoder(&self, half: &Half) -> Result<SeanetDecoder, Error> {
        let seanet = &half.seanet;
        let first = self.seanet_conv(&seanet.first(), 1)?;
        let mut rows = half.resampler.stride;
        let mut stages = with_capacity(seanet.stages().len())?;
        for stage in seanet.stages() {
            let stride = stage.resampler.stride;
            let up = self.seanet_conv(&stage.resampler, rows)?;
            rows *= stride;
            stages.push(DecoderStage { up, stride, blocks: self.residual_blocks(&stage)? });
        }
        Ok(SeanetDecoder { first, stages, last: self.seanet_conv(&seanet.last(), 1)? })
    }

    fn residual_blocks(&self, stage: &Stage) -> Result<Vec<ResidualBlock>, Error> {
        let mut blocks = with_capacity(stage.blocks().len())?;
        for block in stage.blocks() {
            blocks.push(ResidualBlock {
                dilated: self.seanet_conv(&block.dilated, 1)?,
                pointwise: self.pointwise(&block.pointwise)?,
                shortcut: block.shortcut.map(|shortcut| self.pointwise(&shortcut)).transpose()?,
            });
        }
        Ok(blocks)
    }

    /// How a SEANet convolution is packed.
    fn seanet_packing(&self, conv: &Convolution) -> Packing<'_> {
        let weights = conv.shape.iter().product::<usize>();
        let few = conv.shape[..2].iter().any(|channels| *channels < FEW_CHANNELS);
        let format = match self.packing.format {
            Format::Bf16 if weights <= EXACT_WEIGHTS => Format::F32,
            Format::Int16(_) | Format::Int8 if few => Format::F32,
            Format::Int8 if weights <= WIDE_WEIGHTS => Format::Int16(Integers::INT16),
            format => format,
        };
        Packing { format, ..self.packing }
    }

    /// A SEANet convolution with `rows` rows a frame. If that is even, each pass begins at an even row.
    fn seanet_conv(&self, conv: &Convolution, rows: usize) -> Result<Conv, Error> {
        self.conv(conv, self.seanet_packing(conv), rows.is_multiple_of(2))
    }

    /// A SEANet convolution with one tap.
    fn pointwise(&self, conv: &Convolution) -> Result<layers::Linear, Error> {
        let [outputs, inputs, _] = conv.shape;
        let bias = conv.bias().map(|bias| self.tensor(&bias)).transpose()?;
        self.packed(&conv.weight(), |weight| {
            layers::Linear::new(self.seanet_packing(conv), weight, bias.as_deref(), [outputs, inputs])
        })
    }

    /// A convolution. With `pairs`, all passes begin at an even row.
    fn conv(&self, conv: &Convolution, packing: Packing, pairs: bool) -> Result<Conv, Error> {
        let &Convolution { shape, stride, dilation, .. } = conv;
        let padding = match conv.pad_mode {
            PadMode::Constant => Padding::Zeros,
            PadMode::Replicate => Padding::Replicate,
        };
        let bias = conv.bias().map(|bias| self.tensor(&bias)).transpose()?;
        let bias = bias.as_deref();
        self.packed(&conv.weight(), |weight| match conv.transposed {
            false => Conv::new(packing, weight, bias, shape, stride, dilation, padding, pairs),
            true => {
                let shape = [shape[0], conv.outputs(), shape[2]];
                Conv::transposed(packing, weight, bias, shape, stride, conv.groups, pairs)
            }
        })
    }

    pub(super) fn encoder(&self, half: &Half, seanet: SeanetEncoder) -> Result<EncoderHalf, Error> {
        let down = self.conv(&half.resampler, self.packing, false)?;
        let transformer = self.transformer(&half.transformer)?;
        let frame = half.frame();
        Ok(EncoderHalf { kernels: self.packing.kernels, frame, seanet, transformer, down })
    }

    pub(super) fn decoder(&self, half: &Half, seanet: SeanetDecoder) -> Result<DecoderHalf, Error> {
        let projection =
            half.projection.as_ref().map(|linear| self.linear(&[(linear, &|_| 1.0)])).transpose()?;
        let up = self.upsampler(&half.resampler)?;
        let transformer = self.transformer(&half.transformer)?;
        Ok(DecoderHalf { kernels: self.packing.kernels, projection, up, transformer, seanet })
    }

    fn upsampler(&self, conv: &Convolution) -> Result<Upsampler, Error> {
        self.packed(&conv.weight(), |weight| {
            Upsampler::new(self.packing, weight, conv.shape[0], conv.stride, conv.groups)
        })
    }

    fn transformer(&self, transformer: &tensors::Transformer) -> Result<Transformer, Error> {
        let heads = Heads { queries: transformer.queries, keys: transformer.keys, dim: transformer.head_dim };
        let layers = transformer.layers();
        self.reserve(self.layer_bytes(&transformer.layer(0)).saturating_mul(layers.len()))?;
        let mut built = with_capacity(layers.len())?;
        for layer in layers {
            built.push(self.transformer_layer(&layer, transformer)?);
        }
        let activation = match transformer.activation {
            Activation::Gelu => kernels::Activation::Gelu,
            Activation::GeluTanh => kernels::Activation::GeluTanh,
            Activation::Relu => kernels::Activation::Relu,
            Activation::Silu => kernels::Activation::Silu,
        };
        let rotary = Arc::new(Rotary::new(heads.dim, transformer.rope_theta)?);
        let kept = if self.packing.is_exact() { Kept::F32 } else { Kept::Int16 };
        Ok(Transformer { kernels: self.packing.kernels, heads, kept, rotary, layers: built, activation })
    }

    /// Bytes of a layer's weights.
    fn layer_bytes(&self, layer: &tensors::TransformerLayer) -> usize {
        let matrix = |linears: &[&Linear]| {
            let outputs = linears.iter().map(|linear| linear.shape[0]).sum();
            self.packing.bytes([linears[0].shape[1], outputs])
        };
        let matrices = [
            matrix(&[&layer.query, &layer.key, &layer.value]),
            matrix(&[&layer.out]),
            matrix(&[&layer.up]),
            matrix(&[&layer.down]),
        ];
        let norms = arena_bytes::<f32>(layer.out.shape[0]).saturating_mul(4);
        matrices.into_iter().fold(norms, usize::saturating_add)
    }

    fn transformer_layer(
        &self,
        layer: &tensors::TransformerLayer,
        of: &tensors::Transformer,
    ) -> Result<TransformerLayer, Error> {
        let as_it_is = |_| 1.0;
        let of_queries = |_| 1.0 / (of.head_dim as f32).sqrt();
        let attention_scale = self.tensor(&layer.attention_scale)?;
        let feed_forward_scale = self.tensor(&layer.feed_forward_scale)?;
        Ok(TransformerLayer {
            attention_norm: self.norm(&layer.attention_norm, of)?,
            qkv: self.linear(&[
                (&layer.query, &of_queries),
                (&layer.key, &as_it_is),
                (&layer.value, &as_it_is),
            ])?,
            out: self.linear(&[(&layer.out, &|output| attention_scale[output])])?,
            feed_forward_norm: self.norm(&layer.feed_forward_norm, of)?,
            up: self.linear(&[(&layer.up, &as_it_is)])?,
            down: self.linear(&[(&layer.down, &|output| feed_forward_scale[output])])?,
        })
    }

    fn norm(&self, norm: &tensors::Norm, of: &tensors::Transformer) -> Result<Arc<Norm>, Error> {
        let arena = |tensor: &TensorSpec| self.packed(tensor, |values| self.arena(values, tensor.shape[0]));
        let (weight, bias) = (arena(&norm.weight)?, arena(&norm.bias)?);
        Ok(Arc::new(Norm { weight, bias, eps: of.norm_eps as f32 }))
    }
}
