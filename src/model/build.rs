//! Tensors to layers: the only place that knows the names of the one and the shapes of the other.
//!
//! The largest tensors come first, while little else is resident, so that loading never needs much
//! more memory than the model.

use super::Weights;
use super::network::{DecoderNetwork, EncoderNetwork};
use crate::error::{out_of_memory, with_capacity};
use crate::kernels::{self, Arena, Format, Heads, Kernels, Packing, Pool, arena_bytes};
use crate::layers::{
    Branch, Codebook, Conv, DecoderStage, EncoderStage, Norm, Padding, ResidualBlock, SeanetDecoder,
    SeanetEncoder, SplitQuantizer, Transformer, TransformerLayer, Upsampler,
};
use crate::{Activation, Checkpoint, Config, Error, ErrorKind, Isa, LoadOptions, PadMode, Parts, Precision};
use std::cell::Cell;
use xxhash_rust::xxh64::Xxh64;

/// Cluster counts below this count as this, in training and so here.
const MIN_CLUSTER_USAGE: f32 = 1e-5;

/// SEANet convolutions of up to so many weights stay in f32 at every precision. They work on tens to thousands of
/// rows a frame, so that reading fewer bytes would save nothing, and each would add as much noise as a large one: in
/// the published model, where this keeps 2 MB of 160, leaving them alone is worth 2 dB.
pub const EXACT_WEIGHTS: usize = 1 << 17;

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
                format!("codebooks is {n}: expected 1 to {all}, as the checkpoint has"),
            ));
        }
        config.num_quantizers = n;
    }
    let (pool, spare) = (Pool::default(), Cell::default());
    let packing = Packing { kernels, format, pool: &pool };
    let builder = Builder { checkpoint, packing, config: &config, spare: &spare };
    let (encodes, decodes) = (options.parts != Parts::Decoder, options.parts != Parts::Encoder);
    builder.check_halves(encodes, decodes)?;
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
        Isa::Auto => Some(kernels::InstructionSet::best()),
        Isa::Baseline => Some(kernels::InstructionSet::BASELINE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(kernels::InstructionSet::Avx2),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Some(kernels::InstructionSet::Avx512),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Some(kernels::InstructionSet::Neon),
        #[allow(unreachable_patterns)]
        _ => None,
    };
    isa.and_then(Kernels::new).ok_or_else(|| {
        let best = kernels::InstructionSet::best().name();
        Error::new(ErrorKind::Unsupported, format!("isa is {cap:?}, which this CPU lacks; it has {best}"))
    })
}

struct Builder<'a, 'c> {
    checkpoint: &'a Checkpoint<'c>,
    packing: Packing<'a>,
    config: &'a Config,
    /// The memory of a tensor that is packed, for the next one.
    spare: &'a Cell<Vec<f32>>,
}

impl Builder<'_, '_> {
    /// Refuses a checkpoint that has one half and not the one that is to be loaded.
    fn check_halves(&self, encodes: bool, decodes: bool) -> Result<(), Error> {
        let has = |half: &str| {
            let some = [".layers.0.conv.weight", "_transformer.layers.0.input_layernorm.weight"];
            some.iter().any(|name| self.checkpoint.contains(&format!("{half}{name}")))
        };
        for (half, wanted, other) in [("encoder", encodes, "decoder"), ("decoder", decodes, "encoder")] {
            if wanted && !has(half) && has(other) {
                let option = other.to_uppercase();
                let message = format_args!(
                    "it has the {other} alone: load it with the option parts = {other} (MIMI_OPT_PARTS, \
                     MIMI_PARTS_{option})"
                );
                return Err(self.checkpoint.error(ErrorKind::Unsupported, message));
            }
        }
        Ok(())
    }

    /// For `map_err` where a tensor's matrix is packed: adds the name.
    fn in_tensor(&self, name: &str) -> impl Fn(Error) -> Error {
        move |error| match error.kind() {
            ErrorKind::Corrupt => self.checkpoint.tensor_error(name, ErrorKind::Corrupt, error),
            _ => error,
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        self.checkpoint.tensor(name, shape)
    }

    /// What `pack` makes of a tensor, which is in the memory of the one before it.
    fn packed<T>(
        &self,
        name: &str,
        shape: &[usize],
        pack: impl FnOnce(&mut [f32]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut values = self.spare.take();
        values.clear();
        self.checkpoint.append(&mut values, name, shape)?;
        let packed = pack(&mut values);
        self.spare.set(values);
        packed
    }

    /// Reserves `bytes` bytes of weights. Does nothing if the file is too small to hold them: the config is wrong, and
    /// the tensor that is missing or misshapen will be named.
    fn reserve(&self, bytes: usize) -> Result<(), Error> {
        // 16-bit weights may become 32-bit ones
        if bytes as u64 > self.checkpoint.bytes().saturating_mul(2) {
            return Ok(());
        }
        self.packing.pool.reserve(bytes).map_err(out_of_memory)
    }

    fn arena(&self, name: &str, len: usize) -> Result<Arena, Error> {
        let mut arena = self.packing.pool.zeroed(len).map_err(out_of_memory)?;
        arena.copy_from_slice(&self.tensor(name, &[len])?);
        Ok(arena)
    }

    /// A SEANet convolution; `name` without `.weight`.
    fn conv(&self, name: &str, shape: [usize; 3], stride: usize, dilation: usize) -> Result<Conv, Error> {
        self.conv_of_rows(name, shape, stride, dilation, 1)
    }

    /// A SEANet convolution that gives `rows` rows a frame. Where that is even, so is where each step begins.
    fn conv_of_rows(
        &self,
        name: &str,
        shape: [usize; 3],
        stride: usize,
        dilation: usize,
        rows: usize,
    ) -> Result<Conv, Error> {
        let padding = match self.config.pad_mode {
            PadMode::Constant => Padding::Zeros,
            PadMode::Replicate => Padding::Replicate,
        };
        let name_of_weight = format!("{name}.weight");
        self.packed(&name_of_weight, &shape, |weight| {
            let bias = self.tensor(&format!("{name}.bias"), &shape[..1])?;
            let packing = self.seanet_packing(weight.len());
            Conv::new(packing, weight, Some(&bias), shape, stride, dilation, padding, rows.is_multiple_of(2))
                .map_err(self.in_tensor(&name_of_weight))
        })
    }

    /// How a SEANet convolution of so many weights is packed.
    fn seanet_packing(&self, weights: usize) -> Packing<'_> {
        let format = if weights <= EXACT_WEIGHTS { Format::F32 } else { self.packing.format };
        Packing { format, ..self.packing }
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
        let mut rows = config.frame_size();
        let mut stages = with_capacity(config.upsampling_ratios.len())?;
        for &ratio in config.upsampling_ratios.iter().rev() {
            rows /= ratio;
            let blocks = self.residual_blocks("encoder", &mut index, channels)?;
            let name = format!("encoder.layers.{}.conv", index + 1);
            let shape = [2 * channels, channels, 2 * ratio];
            let down = self.conv_of_rows(&name, shape, ratio, 1, rows)?;
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
        let mut rows = config.latent_stride;
        let mut stages = with_capacity(config.upsampling_ratios.len())?;
        for &stride in &config.upsampling_ratios {
            let name = format!("decoder.layers.{}.conv", index + 1);
            let shape = [channels, channels / 2, 2 * stride];
            let name_of_weight = format!("{name}.weight");
            let up = self.packed(&name_of_weight, &shape, |weight| {
                let bias = self.tensor(&format!("{name}.bias"), &shape[1..2])?;
                let packing = self.seanet_packing(weight.len());
                Conv::transposed(packing, weight, Some(&bias), shape, stride, 1, rows.is_multiple_of(2))
                    .map_err(self.in_tensor(&name_of_weight))
            })?;
            channels /= 2;
            rows *= stride;
            index += 2;
            stages.push(DecoderStage {
                up,
                stride,
                blocks: self.residual_blocks("decoder", &mut index, channels)?,
            });
        }
        let name = format!("decoder.layers.{}.conv", index + 1);
        let last = self.conv(&name, [1, channels, config.last_kernel_size], 1, 1)?;
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
        let name = "downsample.conv.weight";
        self.packed(name, &shape, |weight| {
            Conv::new(self.packing, weight, None, shape, stride, 1, Padding::Replicate, false)
                .map_err(self.in_tensor(name))
        })
    }

    fn upsampler(&self) -> Result<Upsampler, Error> {
        let (hidden, stride, groups) =
            (self.config.hidden_size, self.config.latent_stride, self.config.upsample_groups);
        let name = "upsample.conv.weight";
        let weight = self.tensor(name, &[hidden, hidden / groups, 2 * stride])?;
        Upsampler::new(self.packing, &weight, hidden, stride, groups).map_err(self.in_tensor(name))
    }

    fn transformer(&self, half: &str) -> Result<Transformer, Error> {
        let config = self.config;
        let heads = Heads {
            queries: config.num_attention_heads,
            keys: config.num_key_value_heads,
            dim: config.head_dim,
        };
        let (hidden, queries) = (config.hidden_size, heads.query_width());
        let feed_forward = config.intermediate_size;
        let matrices = [
            [hidden, queries + 2 * heads.key_width()],
            [queries, hidden],
            [hidden, feed_forward],
            [feed_forward, hidden],
        ];
        let norms = arena_bytes::<f32>(hidden).saturating_mul(4);
        let layer =
            matrices.map(|shape| self.packing.bytes(shape)).into_iter().fold(norms, usize::saturating_add);
        self.reserve(layer.saturating_mul(config.num_hidden_layers))?;
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
        let attention = format!("{name}.self_attn");
        let attention_scale = self.tensor(&format!("{attention}_layer_scale.scale"), &[hidden])?;
        let feed_forward_scale = self.tensor(&format!("{name}.mlp_layer_scale.scale"), &[hidden])?;
        let (up, down) = (format!("{name}.mlp.fc1.weight"), format!("{name}.mlp.fc2.weight"));
        Ok(TransformerLayer {
            attention_norm: self.norm(&format!("{name}.input_layernorm"))?,
            packed: self.packed_projections(&attention, heads)?,
            out: self.linear(
                &format!("{attention}.o_proj.weight"),
                [hidden, heads.query_width()],
                |linear| {
                    self.projection(linear, &format!("{attention}.o_proj"), [hidden, heads.query_width()])?;
                    linear.scale(|output| attention_scale[output]);
                    Ok(())
                },
            )?,
            feed_forward_norm: self.norm(&format!("{name}.post_attention_layernorm"))?,
            up: self.linear(&up, [expanded, hidden], |linear| {
                self.checkpoint.append(&mut linear.weight, &up, &[expanded, hidden])
            })?,
            down: self.linear(&down, [hidden, expanded], |linear| {
                self.checkpoint.append(&mut linear.weight, &down, &[hidden, expanded])?;
                linear.scale(|output| feed_forward_scale[output]);
                Ok(())
            })?,
        })
    }

    /// Queries, keys and values as one layer, the queries scaled by 1/√dim.
    fn packed_projections(&self, name: &str, heads: Heads) -> Result<Conv, Error> {
        let hidden = self.config.hidden_size;
        let outputs = heads.query_width() + 2 * heads.key_width();
        self.linear(&format!("{name}.q_proj, k_proj or v_proj"), [outputs, hidden], |linear| {
            self.projection(linear, &format!("{name}.q_proj"), [heads.query_width(), hidden])?;
            linear.scale(|_| 1.0 / (heads.dim as f32).sqrt());
            self.projection(linear, &format!("{name}.k_proj"), [heads.key_width(), hidden])?;
            self.projection(linear, &format!("{name}.v_proj"), [heads.key_width(), hidden])
        })
    }

    /// A linear layer `[outputs, inputs]` that `fill` puts together; `name` says of what.
    fn linear(
        &self,
        name: &str,
        shape: [usize; 2],
        fill: impl FnOnce(&mut Linear) -> Result<(), Error>,
    ) -> Result<Conv, Error> {
        let mut linear = Linear { inputs: shape[1], weight: self.spare.take(), bias: Vec::new() };
        linear.weight.clear();
        fill(&mut linear)?;
        let bias = (!linear.bias.is_empty()).then_some(linear.bias.as_slice());
        let conv = Conv::linear(self.packing, &linear.weight, bias, shape).map_err(self.in_tensor(name));
        self.spare.set(linear.weight);
        conv
    }

    /// Appends an attention projection's weight and, if the config has them, bias.
    fn projection(
        &self,
        linear: &mut Linear,
        name: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<(), Error> {
        self.checkpoint.append(&mut linear.weight, &format!("{name}.weight"), &[outputs, inputs])?;
        if self.config.attention_bias {
            self.checkpoint.append(&mut linear.bias, &format!("{name}.bias"), &[outputs])?;
        }
        Ok(())
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
            self.linear(&name, [outputs, inputs], |linear| {
                self.checkpoint.append(&mut linear.weight, &name, &[outputs, inputs, 1])
            })
        };
        let formats = [Format::F32, Format::Int8];
        let [exact, coarse] = formats.map(|format| Packing { format, ..self.packing }.bytes([dim, size]));
        let word_bytes = exact.saturating_add(if encodes { coarse } else { 0 });
        self.reserve(word_bytes.saturating_mul(codebooks))?;
        let mut words = with_capacity(codebooks)?;
        for index in 0..codebooks {
            let name = format!("{name}.layers.{index}.codebook");
            let name_of_sums = format!("{name}.embed_sum");
            words.push(self.packed(&name_of_sums, &[size, dim], |sums| {
                let usage = self.tensor(&format!("{name}.cluster_usage"), &[size])?;
                for (word, usage) in sums.chunks_exact_mut(dim).zip(usage) {
                    word.iter_mut().for_each(|x| *x /= usage.max(MIN_CLUSTER_USAGE));
                }
                if let Some(fingerprint) = fingerprint.take() {
                    sums.iter().for_each(|x| fingerprint.update(&x.to_le_bytes()));
                }
                Codebook::new(self.packing, sums, [size, dim], encodes).map_err(self.in_tensor(&name_of_sums))
            })?);
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

/// A linear layer to be.
struct Linear {
    inputs: usize,
    /// `[outputs, inputs]`, as far as it is there.
    weight: Vec<f32>,
    /// `[outputs]`, or empty.
    bias: Vec<f32>,
}

impl Linear {
    /// Multiplies the weights and biases of each output that is there.
    fn scale(&mut self, scale: impl Fn(usize) -> f32) {
        for (output, weights) in self.weight.chunks_exact_mut(self.inputs).enumerate() {
            weights.iter_mut().for_each(|weight| *weight *= scale(output));
        }
        self.bias.iter_mut().enumerate().for_each(|(output, bias)| *bias *= scale(output));
    }
}
