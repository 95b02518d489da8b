//! Tensors to layers. Names and shapes come from `tensors`, values from the checkpoint.
//!
//! The largest tensors are loaded first, while little else is in memory, so that loading never needs much
//! more memory than the model.

mod halves;
mod quantizer;

use super::{Network, Spec};
use crate::error::{NO_QUANTIZER, out_of_memory};
use crate::kernels::{self, Arena, Format, Integers, Kernels, Packing, Pool};
use crate::layers;
use crate::tensors::{Half, Linear, Side};
use crate::{Checkpoint, Config, Error, ErrorKind, Isa, LoadOptions, Parts, Precision, TensorSpec};
pub use halves::EXACT_WEIGHTS;
use std::cell::Cell;
use std::sync::Arc;

/// Codebooks of streams, if neither their options nor the config tell.
const DEFAULT_CODEBOOKS: usize = 8;

/// How the matrices of a precision are packed.
pub(super) fn format_of(precision: Precision) -> Format {
    match precision {
        Precision::F32 => Format::F32,
        Precision::Bf16 => Format::Bf16,
        Precision::Int16 => Format::Int16(Integers::INT16),
        Precision::Int8 => Format::Int8,
    }
}

/// The network of a checkpoint, with matrices in `format`.
pub(super) fn network(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    format: Format,
) -> Result<Network, Error> {
    let kernels = kernels_for(options.isa)?;
    let mut config = checkpoint.config().clone();
    let all = config.num_quantizers;
    if let Some(n) = options.codebooks {
        if config.continuous.is_some() {
            let message = format_args!("codebooks is {n}: {NO_QUANTIZER}");
            return Err(checkpoint.error(ErrorKind::Unsupported, message));
        }
        if n < 1 || n > all {
            let message =
                format_args!("codebooks is {n}: expected 1 to {all}, the codebooks of the checkpoint");
            return Err(checkpoint.error(ErrorKind::InvalidArgument, message));
        }
        config.num_quantizers = n;
    }
    // halves with latents of their own are two models
    if let Some(made) = config.encoder_latent_dim {
        match options.parts {
            Parts::Encoder => config.continuous = Some(made),
            Parts::Decoder => config.encoder_latent_dim = None,
            Parts::Both => {
                let taken = config.latent_dim();
                let message = format_args!(
                    "the encoder makes latents of {made} values and the decoder takes {taken}: expected the option \
                     parts = encoder or parts = decoder (MIMI_OPT_PARTS)"
                );
                return Err(checkpoint.error(ErrorKind::Unsupported, message));
            }
        }
    }
    let (pool, spare) = (Pool::default(), Cell::default());
    let packing = Packing { kernels, format, pool: &pool };
    let builder = Builder { checkpoint, packing, spare: &spare };
    let encoder = (options.parts != Parts::Decoder).then(|| Half::new(&config, Side::Encoder));
    let decoder = (options.parts != Parts::Encoder).then(|| Half::new(&config, Side::Decoder));
    builder.check_halves(&config, options.parts)?;
    let encoder_seanet = encoder.as_ref().map(|half| builder.seanet_encoder(half)).transpose()?;
    let decoder_seanet = decoder.as_ref().map(|half| builder.seanet_decoder(half)).transpose()?;
    drop(spare.take());
    let (quantizer, id) = match config.continuous {
        None => {
            let (quantizer, id) = builder.quantizer(&config, options.parts)?;
            (Some(Arc::new(quantizer)), id)
        }
        Some(_) => (None, builder.continuous_id(&config)?),
    };
    let encoder =
        encoder.zip(encoder_seanet).map(|(half, seanet)| builder.encoder(&half, seanet)).transpose()?;
    let decoder =
        decoder.zip(decoder_seanet).map(|(half, seanet)| builder.decoder(&half, seanet)).transpose()?;
    let spec = Spec {
        sampling_rate: config.sampling_rate,
        frame_size: config.frame_size(),
        latent_dim: config.latent_dim(),
        codebooks: config.num_quantizers,
        default_codebooks: config.num_quantizers.min(config.default_codebooks.unwrap_or(DEFAULT_CODEBOOKS)),
        codebook_size: config.codebook_size,
        contexts: [config.encoder_half(), config.decoder_half()].map(|half| half.sliding_window),
        id,
        parts: options.parts,
        precision: options.precision,
        isa: public_isa(kernels),
    };
    let (encoder, decoder) = (encoder.map(Arc::new), decoder.map(Arc::new));
    Ok(Network { config, spec, encoder, decoder, quantizer })
}

/// The instruction set of kernels, as users know it.
fn public_isa(kernels: Kernels) -> Isa {
    match kernels.isa() {
        #[cfg(target_arch = "x86_64")]
        kernels::InstructionSet::Avx2 => Isa::Avx2,
        #[cfg(target_arch = "x86_64")]
        kernels::InstructionSet::Avx512 | kernels::InstructionSet::Avx512Vnni => Isa::Avx512,
        #[cfg(target_arch = "aarch64")]
        kernels::InstructionSet::Neon => Isa::Neon,
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        kernels::InstructionSet::Simd128 => Isa::Simd128,
        // the tests of these two have portable kernels, too
        #[cfg(any(
            test,
            not(any(target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))
        ))]
        _ => Isa::Baseline,
    }
}

/// The kernels for the instruction set that `cap` allows: the best of those that users know by this name.
fn kernels_for(cap: Isa) -> Result<Kernels, Error> {
    let best = kernels::InstructionSet::best();
    let kernels = match cap {
        Isa::Auto => Kernels::new(best),
        Isa::Baseline => Kernels::new(kernels::InstructionSet::BASELINE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Kernels::new(kernels::InstructionSet::Avx2),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Kernels::new(kernels::InstructionSet::Avx512Vnni)
            .or_else(|| Kernels::new(kernels::InstructionSet::Avx512)),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Kernels::new(kernels::InstructionSet::Neon),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Isa::Simd128 => Kernels::new(kernels::InstructionSet::Simd128),
        #[allow(unreachable_patterns)]
        _ => None,
    };
    kernels.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("isa is {cap:?}: expected one that this CPU has, the best of which is {}", best.name()),
        )
    })
}

struct Builder<'a, 'c> {
    checkpoint: &'a Checkpoint<'c>,
    packing: Packing<'a>,
    /// The memory in which the last tensor was read, for the next one.
    spare: &'a Cell<Vec<f32>>,
}

impl Builder<'_, '_> {
    /// Refuses a checkpoint that lacks a half to be loaded and has the other.
    fn check_halves(&self, config: &Config, parts: Parts) -> Result<(), Error> {
        let encoder = self.has(&Half::new(config, Side::Encoder));
        let decoder = self.has(&Half::new(config, Side::Decoder));
        let only = match (encoder, decoder) {
            (true, false) if parts != Parts::Encoder => "encoder",
            (false, true) if parts != Parts::Decoder => "decoder",
            _ => return Ok(()),
        };
        let message = format_args!(
            "the checkpoint has the {only} alone: expected both halves, or the option parts = {only} \
             (MIMI_OPT_PARTS, MIMI_PARTS_{})",
            only.to_uppercase()
        );
        Err(self.checkpoint.error(ErrorKind::Unsupported, message))
    }

    /// Whether the checkpoint has the beginning of the SEANet or of the transformer.
    fn has(&self, half: &Half) -> bool {
        let first = [half.seanet.first().weight(), half.transformer.layer(0).attention_norm.weight];
        first.iter().any(|tensor| self.checkpoint.contains(&tensor.name))
    }

    fn tensor(&self, tensor: &TensorSpec) -> Result<Vec<f32>, Error> {
        self.checkpoint.tensor(&tensor.name, &tensor.shape)
    }

    /// A tensor's values for layers to keep as they are.
    fn arena(&self, tensor: &TensorSpec) -> Result<Arena, Error> {
        let values = self.tensor(tensor)?;
        let mut arena = self.packing.pool.zeroed(values.len()).map_err(out_of_memory)?;
        arena.copy_from_slice(&values);
        Ok(arena)
    }

    /// Reads a tensor into the spare memory and returns what `pack` makes of it. Errors of `pack` get its name, so that
    /// `pack` must not read other tensors.
    fn packed<T>(
        &self,
        tensor: &TensorSpec,
        pack: impl FnOnce(&mut [f32]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut values = self.spare.take();
        values.clear();
        self.checkpoint.append(&mut values, &tensor.name, &tensor.shape)?;
        let packed = pack(&mut values).map_err(|error| self.named(error, [tensor.name.clone()]));
        self.spare.set(values);
        packed
    }

    /// Linear layers with the same inputs, packed as one. `scale` gives the factor of each output.
    fn linear(&self, parts: &[(&Linear, &dyn Fn(usize) -> f32)]) -> Result<layers::Linear, Error> {
        let (mut weight, mut bias) = (self.spare.take(), Vec::new());
        weight.clear();
        let (mut outputs, mut inputs) = (0, 0);
        for (linear, scale) in parts {
            let (weights_before, biases_before) = (weight.len(), bias.len());
            let tensor = linear.weight();
            self.checkpoint.append(&mut weight, &tensor.name, &tensor.shape)?;
            if let Some(tensor) = linear.bias() {
                self.checkpoint.append(&mut bias, &tensor.name, &tensor.shape)?;
            }
            outputs += linear.shape[0];
            inputs = linear.shape[1];
            scale_rows(&mut weight[weights_before..], inputs, scale);
            scale_rows(&mut bias[biases_before..], 1, scale);
        }
        let of_bias = (!bias.is_empty()).then_some(bias.as_slice());
        let linear = layers::Linear::new(self.packing, &weight, of_bias, [outputs, inputs])
            .map_err(|error| self.named(error, parts.iter().map(|(linear, _)| linear.weight().name)));
        self.spare.set(weight);
        linear
    }

    /// Adds to an error of packing the names of the tensors whose values were packed.
    fn named(&self, error: Error, names: impl IntoIterator<Item = String>) -> Error {
        match error.kind() {
            ErrorKind::Corrupt => {
                self.checkpoint.tensor_error(&Vec::from_iter(names), ErrorKind::Corrupt, error)
            }
            _ => error,
        }
    }

    /// Reserves `bytes` bytes of weights. Does nothing if the file is too small to hold them: the config is wrong then,
    /// and a later error names the tensor that is missing or misshapen.
    fn reserve(&self, bytes: usize) -> Result<(), Error> {
        // 16-bit weights may become 32-bit ones
        if bytes as u64 > self.checkpoint.bytes().saturating_mul(2) {
            return Ok(());
        }
        self.packing.pool.reserve(bytes).map_err(out_of_memory)
    }
}

/// Multiplies each row of `width` values by its factor.
fn scale_rows(values: &mut [f32], width: usize, scale: impl Fn(usize) -> f32) {
    for (row, values) in values.chunks_exact_mut(width).enumerate() {
        let scale = scale(row);
        if scale != 1.0 {
            values.iter_mut().for_each(|value| *value *= scale);
        }
    }
}
