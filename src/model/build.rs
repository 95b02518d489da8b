//! Tensors to layers: the only place that knows the names of the one and the shapes of the other.
//!
//! The largest tensors come first, while little else is resident, so that loading never needs much
//! more memory than the model.

use super::Weights;
use super::network::{DecoderNetwork, EncoderNetwork};
use crate::error::{out_of_memory, with_capacity};
use crate::kernels::{self, Arena, Format, Heads, Kernels};
use crate::layers::{
    Branch, Codebook, Conv, DecoderStage, EncoderStage, Norm, Packing, Padding, ResidualBlock, SeanetDecoder,
    SeanetEncoder, SplitQuantizer, Transformer, TransformerLayer, Upsampler,
};
use crate::{Activation, Checkpoint, Config, Error, ErrorKind, Isa, LoadOptions, PadMode, Parts, Precision};
use std::cell::Cell;
use xxhash_rust::xxh64::Xxh64;

/// Cluster counts below this count as this, in training and so here.
const MIN_CLUSTER_USAGE: f32 = 1e-5;

pub(super) fn weights(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Weights, Error> {
    let kernels = kernels_for(options.isa)?;
    let format = match options.precision {
        Precision::F32 => Format::F32,
        Precision::Bf16 => Format::Bf16,
        Precision::Int8 => Format::Int8,
    };
    let mut config = checkpoint.config().clone();
    let all = config.num_quantizers;
    if let Some(n) = options.codebooks {
        if n < 1 || n > all {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("codebooks is {n}; the checkpoint has 1 to {all}"),
            ));
        }
        config.num_quantizers = n;
    }
    let spare = Cell::default();
    let builder =
        Builder { checkpoint, packing: Packing { kernels, format }, config: &config, spare: &spare };
    let (encodes, decodes) = (options.parts != Parts::Decoder, options.parts != Parts::Encoder);
    let encoder_seanet = encodes.then(|| builder.seanet_encoder()).transpose()?;
    let decoder_seanet = decodes.then(|| builder.seanet_decoder()).transpose()?;
    drop(spare.take());
    let (quantizer, id) = builder.quantizer(encodes, decodes)?;
    let encoder = encoder_seanet.map(|seanet| builder.encoder(seanet)).transpose()?;
    let decoder = decoder_seanet.map(|seanet| builder.decoder(seanet)).transpose()?;
    Ok(Weights { config, kernels, encoder, decoder, quantizer, id })
}

/// The kernels under a cap.
fn kernels_for(cap: Isa) -> Result<Kernels, Error> {
    let isa = match cap {
        Isa::Auto => Some(kernels::Isa::best()),
        Isa::Baseline => Some(kernels::Isa::BASELINE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(kernels::Isa::Avx2),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Some(kernels::Isa::Avx512),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Some(kernels::Isa::Neon),
        #[allow(unreachable_patterns)]
        _ => None,
    };
    isa.and_then(Kernels::new).ok_or_else(|| {
        let best = kernels::Isa::best().name();
        Error::new(ErrorKind::Unsupported, format!("isa is {cap:?}, which this CPU lacks; it has {best}"))
    })
}

struct Builder<'a, 'c> {
    checkpoint: &'a Checkpoint<'c>,
    packing: Packing,
    config: &'a Config,
    /// The memory of a large tensor that is packed, for the next one.
    spare: &'a Cell<Vec<f32>>,
}

impl Builder<'_, '_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        self.checkpoint.tensor(name, shape)
    }

    /// A tensor that goes back to `spare` when it is packed.
    fn large(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        self.checkpoint.tensor_in(self.spare.take(), name, shape)
    }

    fn arena(&self, name: &str, len: usize) -> Result<Arena, Error> {
        let mut arena = Arena::zeroed(len).map_err(out_of_memory)?;
        arena.copy_from_slice(&self.tensor(name, &[len])?);
        Ok(arena)
    }

    /// A SEANet convolution; `name` without `.weight`.
    fn conv(&self, name: &str, shape: [usize; 3], stride: usize, dilation: usize) -> Result<Conv, Error> {
        let weight = self.large(&format!("{name}.weight"), &shape)?;
        let bias = self.tensor(&format!("{name}.bias"), &shape[..1])?;
        let padding = match self.config.pad_mode {
            PadMode::Constant => Padding::Zeros,
            PadMode::Replicate => Padding::Replicate,
        };
        let conv = Conv::new(self.packing, &weight, Some(&bias), shape, stride, dilation, padding);
        self.spare.set(weight);
        conv
    }

    fn residual_blocks(
        &self,
        half: &str,
        index: &mut usize,
        channels: usize,
    ) -> Result<Vec<ResidualBlock>, Error> {
        let config = self.config;
        let hidden = channels / config.compress;
        let mut blocks = with_capacity(config.num_residual_layers)?;
        for layer in 0..config.num_residual_layers {
            let name = format!("{half}.layers.{index}");
            let kernel = config.residual_kernel_size;
            // one tap has no dilation, whose powers are then without bounds
            let dilation = if kernel == 1 { 1 } else { config.dilation_growth_rate.pow(layer as u32) };
            let pointwise = self.conv(&format!("{name}.block.3.conv"), [channels, hidden, 1], 1, 1)?;
            let shortcut = config
                .use_conv_shortcut
                .then(|| self.conv(&format!("{name}.shortcut.conv"), [channels, channels, 1], 1, 1))
                .transpose()?;
            blocks.push(ResidualBlock {
                dilated: self.conv(
                    &format!("{name}.block.1.conv"),
                    [hidden, channels, kernel],
                    1,
                    dilation,
                )?,
                pointwise,
                shortcut,
            });
            *index += 1;
        }
        Ok(blocks)
    }

    fn seanet_encoder(&self) -> Result<SeanetEncoder, Error> {
        let config = self.config;
        let mut channels = config.num_filters;
        let first = self.conv("encoder.layers.0.conv", [channels, 1, config.kernel_size], 1, 1)?;
        // Layers are numbered with the ELUs between them.
        let mut index = 1;
        let mut stages = with_capacity(config.upsampling_ratios.len())?;
        for &ratio in config.upsampling_ratios.iter().rev() {
            let blocks = self.residual_blocks("encoder", &mut index, channels)?;
            let name = format!("encoder.layers.{}.conv", index + 1);
            let down = self.conv(&name, [2 * channels, channels, 2 * ratio], ratio, 1)?;
            stages.push(EncoderStage { blocks, down });
            channels *= 2;
            index += 2;
        }
        let name = format!("encoder.layers.{}.conv", index + 1);
        let last = self.conv(&name, [config.hidden_size, channels, config.last_kernel_size], 1, 1)?;
        Ok(SeanetEncoder { first, stages, last })
    }

    fn seanet_decoder(&self) -> Result<SeanetDecoder, Error> {
        let config = self.config;
        let mut channels = config.num_filters << config.upsampling_ratios.len();
        let first =
            self.conv("decoder.layers.0.conv", [channels, config.hidden_size, config.kernel_size], 1, 1)?;
        let mut index = 1;
        let mut stages = with_capacity(config.upsampling_ratios.len())?;
        for &stride in &config.upsampling_ratios {
            let name = format!("decoder.layers.{}.conv", index + 1);
            let shape = [channels, channels / 2, 2 * stride];
            let weight = self.large(&format!("{name}.weight"), &shape)?;
            let bias = self.tensor(&format!("{name}.bias"), &shape[1..2])?;
            let up = Conv::transposed(self.packing, &weight, Some(&bias), shape, stride, 1)?;
            self.spare.set(weight);
            channels /= 2;
            index += 2;
            stages.push(DecoderStage {
                up,
                stride,
                blocks: self.residual_blocks("decoder", &mut index, channels)?,
            });
        }
        let name = format!("decoder.layers.{}.conv", index + 1);
        // One output of a few hundred weights, whose rounding would be most of what is heard of all rounding.
        let exact = Self { packing: Packing { format: Format::F32, ..self.packing }, ..*self };
        let last = exact.conv(&name, [1, channels, config.last_kernel_size], 1, 1)?;
        Ok(SeanetDecoder { first, stages, last })
    }

    fn encoder(&self, seanet: SeanetEncoder) -> Result<EncoderNetwork, Error> {
        let down = self.downsampler()?;
        let transformer = self.transformer("encoder_transformer")?;
        Ok(EncoderNetwork { seanet, transformer, down, hidden: self.config.hidden_size })
    }

    fn decoder(&self, seanet: SeanetDecoder) -> Result<DecoderNetwork, Error> {
        let up = self.upsampler()?;
        let transformer = self.transformer("decoder_transformer")?;
        Ok(DecoderNetwork { up, transformer, seanet })
    }

    fn downsampler(&self) -> Result<Conv, Error> {
        let (hidden, stride) = (self.config.hidden_size, self.config.latent_stride);
        let shape = [hidden, hidden, 2 * stride];
        let weight = self.tensor("downsample.conv.weight", &shape)?;
        Conv::new(self.packing, &weight, None, shape, stride, 1, Padding::Replicate)
    }

    fn upsampler(&self) -> Result<Upsampler, Error> {
        let (hidden, stride, groups) =
            (self.config.hidden_size, self.config.latent_stride, self.config.upsample_groups);
        let weight = self.tensor("upsample.conv.weight", &[hidden, hidden / groups, 2 * stride])?;
        Upsampler::new(self.packing, &weight, hidden, stride, groups)
    }

    fn transformer(&self, half: &str) -> Result<Transformer, Error> {
        let config = self.config;
        let heads = Heads {
            queries: config.num_attention_heads,
            keys: config.num_key_value_heads,
            dim: config.head_dim,
        };
        let mut layers = with_capacity(config.num_hidden_layers)?;
        for i in 0..config.num_hidden_layers {
            layers.push(self.transformer_layer(&format!("{half}.layers.{i}"), heads)?);
        }
        let activation = match config.hidden_act {
            Activation::Gelu => kernels::Activation::Gelu,
            Activation::Relu => kernels::Activation::Relu,
            Activation::Silu => kernels::Activation::Silu,
        };
        Transformer::new(self.packing.kernels, heads, config.rope_theta, layers, activation)
    }

    fn transformer_layer(&self, name: &str, heads: Heads) -> Result<TransformerLayer, Error> {
        let (hidden, expanded) = (self.config.hidden_size, self.config.intermediate_size);
        let attention_scale = self.tensor(&format!("{name}.self_attn_layer_scale.scale"), &[hidden])?;
        let feed_forward_scale = self.tensor(&format!("{name}.mlp_layer_scale.scale"), &[hidden])?;
        let mut out = self.linear(&format!("{name}.self_attn.o_proj"), hidden, heads.query_width())?;
        scale_outputs(&mut out, &attention_scale);
        let mut down =
            (self.tensor(&format!("{name}.mlp.fc2.weight"), &[hidden, expanded])?, None::<Vec<f32>>);
        scale_outputs(&mut down, &feed_forward_scale);
        let up = self.tensor(&format!("{name}.mlp.fc1.weight"), &[expanded, hidden])?;
        Ok(TransformerLayer {
            attention_norm: self.norm(&format!("{name}.input_layernorm"))?,
            packed: self.packed_projections(&format!("{name}.self_attn"), heads)?,
            out: Conv::linear(self.packing, &out.0, out.1.as_deref(), [hidden, heads.query_width()])?,
            feed_forward_norm: self.norm(&format!("{name}.post_attention_layernorm"))?,
            up: Conv::linear(self.packing, &up, None, [expanded, hidden])?,
            down: Conv::linear(self.packing, &down.0, None, [hidden, expanded])?,
        })
    }

    /// An attention projection's weight `[outputs, inputs]` and, if the config has them, bias.
    fn linear(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<(Vec<f32>, Option<Vec<f32>>), Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self
            .config
            .attention_bias
            .then(|| self.tensor(&format!("{name}.bias"), &[outputs]))
            .transpose()?;
        Ok((weight, bias))
    }

    /// Queries, keys and values as one layer, the queries scaled by 1/√dim.
    fn packed_projections(&self, name: &str, heads: Heads) -> Result<Conv, Error> {
        let hidden = self.config.hidden_size;
        let mut packed = self.linear(&format!("{name}.q_proj"), heads.query_width(), hidden)?;
        let mut scales = with_capacity(heads.query_width())?;
        scales.resize(heads.query_width(), 1.0 / (heads.dim as f32).sqrt());
        scale_outputs(&mut packed, &scales);
        for projection in ["k_proj", "v_proj"] {
            let (weight, bias) = self.linear(&format!("{name}.{projection}"), heads.key_width(), hidden)?;
            append(&mut packed.0, weight)?;
            if let (Some(packed), Some(bias)) = (&mut packed.1, bias) {
                append(packed, bias)?;
            }
        }
        let outputs = heads.query_width() + 2 * heads.key_width();
        Conv::linear(self.packing, &packed.0, packed.1.as_deref(), [outputs, hidden])
    }

    fn norm(&self, name: &str) -> Result<Norm, Error> {
        let hidden = self.config.hidden_size;
        Ok(Norm {
            weight: self.arena(&format!("{name}.weight"), hidden)?,
            bias: self.arena(&format!("{name}.bias"), hidden)?,
            eps: self.config.norm_eps as f32,
        })
    }

    /// The quantizer and the model's fingerprint.
    fn quantizer(&self, encodes: bool, decodes: bool) -> Result<(SplitQuantizer, i64), Error> {
        let config = self.config;
        let semantic = config.num_semantic_quantizers.min(config.num_quantizers);
        let mut fingerprint = Xxh64::new(0);
        let numbers =
            [config.sampling_rate as usize, config.frame_size(), config.codebook_size, config.codebook_dim];
        for number in numbers {
            fingerprint.update(&(number as u64).to_le_bytes());
        }
        let branches = [
            self.branch("semantic", semantic, encodes, decodes, Some(&mut fingerprint))?,
            self.branch("acoustic", config.num_quantizers - semantic, encodes, decodes, None)?,
        ];
        let quantizer = SplitQuantizer { branches, dim: config.codebook_dim, size: config.codebook_size };
        Ok((quantizer, (fingerprint.digest() >> 1) as i64))
    }

    fn branch(
        &self,
        kind: &str,
        codebooks: usize,
        encodes: bool,
        decodes: bool,
        mut fingerprint: Option<&mut Xxh64>,
    ) -> Result<Branch, Error> {
        let config = self.config;
        let name = format!("quantizer.{kind}_residual_vector_quantizer");
        let (hidden, dim, size) = (config.hidden_size, config.codebook_dim, config.codebook_size);
        // kyutai's files have projections even between equal dimensions.
        let projected = codebooks > 0
            && (config.vector_quantization_hidden_dimension != hidden
                || self.checkpoint.contains(&format!("{name}.input_proj.weight")));
        let project = |name: String, outputs: usize, inputs: usize| {
            let weight = self.tensor(&name, &[outputs, inputs, 1])?;
            Conv::linear(self.packing, &weight, None, [outputs, inputs])
        };
        let mut words = with_capacity(codebooks)?;
        for index in 0..codebooks {
            let name = format!("{name}.layers.{index}.codebook");
            let mut sums = self.large(&format!("{name}.embed_sum"), &[size, dim])?;
            let usage = self.tensor(&format!("{name}.cluster_usage"), &[size])?;
            for (word, usage) in sums.chunks_exact_mut(dim).zip(usage) {
                word.iter_mut().for_each(|x| *x /= usage.max(MIN_CLUSTER_USAGE));
            }
            if let Some(fingerprint) = fingerprint.take() {
                sums.iter().for_each(|x| fingerprint.update(&x.to_le_bytes()));
            }
            words.push(Codebook::new(self.packing.kernels, &sums, [size, dim], encodes)?);
            self.spare.set(sums);
        }
        Ok(Branch {
            input: (encodes && projected)
                .then(|| project(format!("{name}.input_proj.weight"), dim, hidden))
                .transpose()?,
            codebooks: words,
            output: (decodes && projected)
                .then(|| project(format!("{name}.output_proj.weight"), hidden, dim))
                .transpose()?,
        })
    }
}

/// `values.extend(more)`, or an error if memory cannot be had.
fn append(values: &mut Vec<f32>, more: Vec<f32>) -> Result<(), Error> {
    values.try_reserve_exact(more.len()).map_err(out_of_memory)?;
    values.extend(more);
    Ok(())
}

/// Multiplies each output's weights and bias.
fn scale_outputs(linear: &mut (Vec<f32>, Option<Vec<f32>>), scales: &[f32]) {
    let inputs = linear.0.len() / scales.len();
    for (row, scale) in linear.0.chunks_exact_mut(inputs).zip(scales) {
        row.iter_mut().for_each(|w| *w *= scale);
    }
    if let Some(bias) = &mut linear.1 {
        bias.iter_mut().zip(scales).for_each(|(b, scale)| *b *= scale);
    }
}
