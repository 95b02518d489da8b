//! Encoder and decoder: SEANet, transformer and the change to the frame rate.

use super::Builder;
use crate::Error;
use crate::error::with_capacity;
use crate::kernels::{self, Format, Heads, Packing, arena_bytes};
use crate::layers::{
    Conv, DecoderStage, EncoderStage, Norm, Padding, ResidualBlock, SeanetDecoder, SeanetEncoder,
    Transformer, TransformerLayer, Upsampler,
};
use crate::model::network::{DecoderNetwork, EncoderNetwork};
use crate::tensors::{self, Convolution, Half, Linear, Stage};
use crate::{Activation, PadMode};

/// SEANet convolutions of up to so many weights stay in f32 at every precision. They work on tens to thousands of
/// rows a frame, so that reading fewer bytes would save nothing, and each would add as much noise as a large one. In
/// the published model this keeps 2 MB of 160 in f32 and is worth 2 dB.
pub const EXACT_WEIGHTS: usize = 1 << 17;

impl Builder<'_, '_> {
    pub(super) fn seanet_encoder(&self, half: &Half) -> Result<SeanetEncoder, Error> {
        let seanet = &half.seanet;
        let first = self.seanet_conv(&seanet.first(), 1)?;
        let strides = seanet.stages().map(|stage| stage.resampler.stride);
        let mut rows = strides.product::<usize>() * half.resampler.stride;
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
                pointwise: self.seanet_conv(&block.pointwise, 1)?,
                shortcut: block.shortcut.map(|shortcut| self.seanet_conv(&shortcut, 1)).transpose()?,
            });
        }
        Ok(blocks)
    }

    /// A SEANet convolution that gives `rows` rows a frame. If that is even, each step begins at an even row.
    fn seanet_conv(&self, conv: &Convolution, rows: usize) -> Result<Conv, Error> {
        let exact = conv.shape.iter().product::<usize>() <= EXACT_WEIGHTS;
        let format = if exact { Format::F32 } else { self.packing.format };
        self.conv(conv, Packing { format, ..self.packing }, rows.is_multiple_of(2))
    }

    /// A convolution. With `pairs`, all steps begin at an even row.
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

    pub(super) fn encoder(&self, half: &Half, seanet: SeanetEncoder) -> Result<EncoderNetwork, Error> {
        let down = self.conv(&half.resampler, self.packing, false)?;
        let transformer = self.transformer(&half.transformer)?;
        Ok(EncoderNetwork { seanet, transformer, down, hidden: half.seanet.width() })
    }

    pub(super) fn decoder(&self, half: &Half, seanet: SeanetDecoder) -> Result<DecoderNetwork, Error> {
        let up = self.upsampler(&half.resampler)?;
        let transformer = self.transformer(&half.transformer)?;
        Ok(DecoderNetwork { up, transformer, seanet })
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
            Activation::Relu => kernels::Activation::Relu,
            Activation::Silu => kernels::Activation::Silu,
        };
        Transformer::new(self.packing.kernels, heads, transformer.rope_theta, built, activation)
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
            packed: self.linear(&[
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

    fn norm(&self, norm: &tensors::Norm, of: &tensors::Transformer) -> Result<Norm, Error> {
        let (weight, bias) = (self.arena(&norm.weight)?, self.arena(&norm.bias)?);
        Ok(Norm { weight, bias, eps: of.norm_eps as f32 })
    }
}
