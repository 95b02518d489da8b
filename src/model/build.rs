//! Tensors to layers. Names and shapes come from `tensors`, values from the checkpoint.
//!
//! The largest tensors are loaded first, while little else is in memory, so that loading never needs much
//! more memory than the model.

mod halves;
mod quantizer;

use super::{Network, Spec, threads};
use crate::checkpoint::Packed;
use crate::error::{NO_QUANTIZER, out_of_memory};
use crate::kernels::{self, Arena, Format, Integers, Kernels, Packing, Pool, Team, Weights, with_team};
use crate::layers;
use crate::program::not_packed;
use crate::tensors::{Half, Linear, Side};
use crate::{Checkpoint, Config, Error, ErrorKind, Isa, LoadOptions, Parts, Precision, TensorSpec};
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

/// Is told the name of each tensor that is packed alone or first of several, and what they were packed to.
pub(super) type Sink<'a> = dyn Fn(&str, &dyn Weights) -> Result<(), Error> + 'a;

/// The network of a checkpoint, with matrices in `format`.
pub(super) fn network(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    format: Format,
    sink: Option<&Sink>,
) -> Result<Network, Error> {
    let kernels = match checkpoint.packed() {
        Some(packed) => kernels_of_width(options.isa, packed.panel_width).ok_or_else(|| {
            let Packed { isa, panel_width, .. } = packed;
            let best = kernels::InstructionSet::best();
            let message = format_args!(
                "the weights are packed for {isa}, in panels of {panel_width}: expected panels as this CPU's {} or the \
                 option isa has them; pack the model on this CPU, or load it from its ordinary file",
                best.name()
            );
            checkpoint.error(ErrorKind::Unsupported, message)
        })?,
        None => kernels_for(options.isa)?,
    };
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
    let builder = Builder { checkpoint, packing, spare: &spare, sink };
    let encoder = (options.parts != Parts::Decoder).then(|| Half::new(&config, Side::Encoder));
    let decoder = (options.parts != Parts::Encoder).then(|| Half::new(&config, Side::Decoder));
    builder.check_halves(&config, options.parts)?;
    let (encoder, decoder, quantizer, id) = with_team(threads(options.threads)?.min(2), |team| {
        let seanets = both(
            team,
            &builder,
            |builder| encoder.as_ref().map(|half| builder.seanet_encoder(half)).transpose(),
            |builder| decoder.as_ref().map(|half| builder.seanet_decoder(half)).transpose(),
        )?;
        drop(spare.take());
        let (quantizer, id) = match config.continuous {
            None => {
                let (quantizer, id) = builder.quantizer(&config, options.parts)?;
                (Some(Arc::new(quantizer)), id)
            }
            Some(_) => (None, builder.continuous_id(&config)?),
        };
        let (encoder, decoder) = (encoder.as_ref().zip(seanets.0), decoder.as_ref().zip(seanets.1));
        let (encoder, decoder) = both(
            team,
            &builder,
            |builder| encoder.map(|(half, seanet)| builder.encoder(half, seanet)).transpose(),
            |builder| decoder.map(|(half, seanet)| builder.decoder(half, seanet)).transpose(),
        )?;
        Ok::<_, Error>((encoder, decoder, quantizer, id))
    })?;
    let spec = Spec {
        sampling_rate: config.sampling_rate,
        frame_size: config.frame_size(),
        latent_dim: config.latent_dim(),
        codebooks: config.num_quantizers,
        default_codebooks: config.num_quantizers.min(config.default_codebooks.unwrap_or(DEFAULT_CODEBOOKS)),
        codebook_size: config.codebook_size,
        contexts: [config.encoder_half(), config.decoder_half()].map(|half| half.sliding_window),
        id: checkpoint.packed().map_or(id, |packed| packed.id),
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

/// The same for panels of `width` outputs. Every CPU has several instruction sets, and one that is not the best may
/// have panels of this width.
fn kernels_of_width(cap: Isa, width: usize) -> Option<Kernels> {
    match cap {
        Isa::Auto => kernels::InstructionSet::with_panels(width).and_then(Kernels::new),
        _ => kernels_for(cap).ok().filter(|kernels| kernels.panel_width() == width),
    }
}

/// Builds two parts of a network; if there is a team, side by side and each in memory of its own.
fn both<A: Send + Sync, B: Send + Sync>(
    team: Option<&Team>,
    builder: &Builder,
    a: impl FnOnce(&Builder) -> Result<A, Error> + Send,
    b: impl FnOnce(&Builder) -> Result<B, Error> + Send,
) -> Result<(A, B), Error> {
    let Some(team) = team else { return Ok((a(builder)?, b(builder)?)) };
    let (checkpoint, Packing { kernels, format, .. }) = (builder.checkpoint, builder.packing);
    let (a, b) =
        team.both(|| alone(checkpoint, kernels, format, a), || alone(checkpoint, kernels, format, b));
    Ok((a?, b?))
}

/// Builds a part of a network in memory of its own.
fn alone<T>(
    checkpoint: &Checkpoint,
    kernels: Kernels,
    format: Format,
    build: impl FnOnce(&Builder) -> Result<T, Error>,
) -> Result<T, Error> {
    let (pool, spare) = (Pool::default(), Cell::default());
    build(&Builder {
        checkpoint,
        packing: Packing { kernels, format, pool: &pool },
        spare: &spare,
        sink: None,
    })
}

struct Builder<'a, 'c> {
    checkpoint: &'a Checkpoint<'c>,
    packing: Packing<'a>,
    /// The memory in which the last tensor was read, for the next one.
    spare: &'a Cell<Vec<f32>>,
    sink: Option<&'a Sink<'a>>,
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

    /// A tensor's values: none where weights are packed before, because nothing asks for them then.
    fn tensor(&self, tensor: &TensorSpec) -> Result<Vec<f32>, Error> {
        let mut values = Vec::new();
        self.append(&mut values, tensor)?;
        Ok(values)
    }

    fn append(&self, values: &mut Vec<f32>, tensor: &TensorSpec) -> Result<(), Error> {
        match self.checkpoint.packed() {
            Some(_) => Ok(()),
            None => self.checkpoint.append(values, &tensor.name, &tensor.shape),
        }
    }

    /// Values for layers to keep as they are.
    fn arena(&self, values: &[f32], len: usize) -> Result<Arena, Error> {
        let arena = self.packing.pool.filled(len, |arena| {
            arena.copy_from_slice(values);
            Ok(())
        });
        arena.map_err(not_packed)
    }

    /// Reads a tensor into the spare memory and returns what `pack` makes of it. Errors of `pack` get its name, so that
    /// `pack` must not read other tensors.
    fn packed<T: Weights>(
        &self,
        tensor: &TensorSpec,
        pack: impl FnOnce(&mut [f32]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut values = self.spare.take();
        values.clear();
        self.append(&mut values, tensor)?;
        self.spare.set(values);
        self.packed_again(&[&tensor.name], pack)
    }

    /// The same from what is in the spare memory already. Packed weights have the first of `names`.
    fn packed_again<T: Weights>(
        &self,
        names: &[&str],
        pack: impl FnOnce(&mut [f32]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (pool, name) = (self.packing.pool, names[0]);
        if self.checkpoint.packed().is_some() {
            let mut weights = pool.unwritten(self.checkpoint.packed_bytes(name)?).map_err(out_of_memory)?;
            self.checkpoint.read_packed(name, &mut weights)?;
            pool.begin_packed(weights);
        }
        let mut values = self.spare.take();
        let packed =
            pack(&mut values).and_then(|packed| pool.end_packed().map_err(not_packed).map(|()| packed));
        let packed = packed.map_err(|error| self.named(error, names))?;
        self.spare.set(values);
        self.sink.map_or(Ok(()), |sink| sink(name, &packed))?;
        Ok(packed)
    }

    /// Linear layers with the same inputs, packed as one. `scale` gives the factor of each output.
    fn linear(&self, parts: &[(&Linear, &dyn Fn(usize) -> f32)]) -> Result<layers::Linear, Error> {
        let (mut weight, mut bias) = (self.spare.take(), Vec::new());
        weight.clear();
        let (mut outputs, mut inputs) = (0, 0);
        for (linear, scale) in parts {
            let (weights_before, biases_before) = (weight.len(), bias.len());
            let tensor = linear.weight();
            self.append(&mut weight, &tensor)?;
            if let Some(tensor) = linear.bias() {
                self.append(&mut bias, &tensor)?;
            }
            outputs += linear.shape[0];
            inputs = linear.shape[1];
            scale_rows(&mut weight[weights_before..], inputs, scale);
            scale_rows(&mut bias[biases_before..], 1, scale);
        }
        self.spare.set(weight);
        let of_bias = (!bias.is_empty()).then_some(bias.as_slice());
        let names = Vec::from_iter(parts.iter().map(|(linear, _)| linear.weight().name));
        let names = Vec::from_iter(names.iter().map(String::as_str));
        self.packed_again(&names, |weight| {
            layers::Linear::new(self.packing, weight, of_bias, [outputs, inputs])
        })
    }

    /// Adds to an error of packing the names of the tensors whose values were packed.
    fn named(&self, error: Error, names: &[&str]) -> Error {
        match error.kind() {
            ErrorKind::Corrupt => self.checkpoint.tensor_error(names, ErrorKind::Corrupt, error),
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
