//! The quantizer alone: latents to codes, and codes to latents.

use crate::error::{NO_QUANTIZER, out_of_memory};
use crate::kernels::{FlushDenormals, Kernels, Rows};
use crate::layers::SplitQuantizer;
use crate::model::{Half, MOST_STREAM_BYTES};
use crate::oneshot::{FRAMES, Whole, filled};
use crate::program::{Batch, Length, Memory, Planner, Program, Slot, Span};
use crate::stream::{check_codes, copy_finite};
use crate::{Error, ErrorKind, Model, StreamOptions};
use std::iter;

impl Model {
    /// Whole frames of latents, `[frames, latent_dim]`, to codes, as many in a frame as `options.codebooks` says. Of
    /// the latents that [`encode_latents`](Self::encode_latents) gives, they are the codes of
    /// [`encode`](Self::encode), bit for bit, if none is beyond ±1e5: values are cut to that, and NaN and infinity
    /// count as 0. Frames do not depend on each other. The model must have its encoder.
    pub fn quantize(&self, latents: &[f32], options: &StreamOptions) -> Result<Vec<u32>, Error> {
        filled(self.codes_for_latents(latents.len(), options)?, |codes| {
            self.quantize_into(latents, codes, options)
        })
    }

    /// Whole frames of codes to latents, `[frames, latent_dim]`: those that [`decode_latents`](Self::decode_latents)
    /// makes the audio of [`decode`](Self::decode) of, bit for bit, if none is beyond ±1e5, to which it cuts them.
    /// [`NO_CODE`](crate::NO_CODE) counts as in a decoder, but nothing is concealed: a frame without a code that can
    /// be used is zeros. The model must have its decoder.
    pub fn dequantize(&self, codes: &[u32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        filled(self.latents_for_codes(codes.len(), options)?, |latents| {
            self.dequantize_into(codes, latents, options)
        })
    }

    /// Codes that [`quantize`](Self::quantize) returns for `values` values.
    pub(crate) fn codes_for_latents(&self, values: usize, options: &StreamOptions) -> Result<usize, Error> {
        let codebooks = u32::width(self.spec(), options)?;
        self.encoder()?;
        Ok(self.whole_frames::<f32>(values, options)?.saturating_mul(codebooks))
    }

    /// Values that [`dequantize`](Self::dequantize) returns for `codes` codes.
    pub(crate) fn latents_for_codes(&self, codes: usize, options: &StreamOptions) -> Result<usize, Error> {
        let frames = self.whole_frames::<u32>(codes, options)?;
        self.decoder()?;
        Ok(frames.saturating_mul(self.spec().latent_dim))
    }

    /// [`quantize`](Self::quantize) to `codes`, where there is room for all; returns how many were written.
    pub(crate) fn quantize_into(
        &self,
        latents: &[f32],
        codes: &mut [u32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let _flush = FlushDenormals::new();
        let needed = self.codes_for_latents(latents.len(), options)?;
        let kernels = self.encoder()?.kernels();
        let mut alone = self.alone(kernels, latents.len(), options, SplitQuantizer::emit_search)?;
        let steps = codes[..needed].chunks_mut(alone.frames * alone.codebooks);
        for (latents, codes) in latents.chunks(alone.frames * alone.width).zip(steps) {
            let slot = alone.latents.first(latents.len());
            copy_finite(latents, &mut alone.memory.scratch[slot]);
            alone.run(codes.len() / alone.codebooks);
            codes.copy_from_slice(&alone.memory.codes[..codes.len()]);
        }
        Ok(needed)
    }

    /// [`dequantize`](Self::dequantize) to `latents`, where there is room for all; returns how many were written.
    pub(crate) fn dequantize_into(
        &self,
        codes: &[u32],
        latents: &mut [f32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let _flush = FlushDenormals::new();
        let needed = self.latents_for_codes(codes.len(), options)?;
        let kernels = self.decoder()?.kernels();
        let mut alone = self.alone(kernels, needed, options, SplitQuantizer::emit_sum)?;
        check_codes(codes, alone.codebooks, self.spec().codebook_size)?;
        let steps = latents[..needed].chunks_mut(alone.frames * alone.width);
        for (codes, latents) in codes.chunks(alone.frames * alone.codebooks).zip(steps) {
            let staged = &mut alone.memory.codes[..codes.len()];
            staged.copy_from_slice(codes);
            alone.quantizer.drop_after_gaps(staged, alone.codebooks);
            alone.run(codes.len() / alone.codebooks);
            latents.copy_from_slice(&alone.memory.scratch[alone.latents.first(latents.len())]);
        }
        Ok(needed)
    }

    /// The quantizer for so many values of latents. Steps are as long as those of other one-shot calls, and take no
    /// more memory.
    fn alone(
        &self,
        kernels: Kernels,
        values: usize,
        options: &StreamOptions,
        emit: fn(&SplitQuantizer, &mut Planner, Span, usize, Rows),
    ) -> Result<Alone<'_>, Error> {
        let Some(quantizer) = self.quantizer() else {
            return Err(Error::new(ErrorKind::Unsupported, NO_QUANTIZER));
        };
        let (width, codebooks) = (self.spec().latent_dim, u32::width(self.spec(), options)?);
        let plan = |planner: &mut Planner, frames: usize| {
            let latents = planner.scratch(frames, width);
            emit(quantizer, planner, Span::frames(frames, 1), codebooks, latents.rows(width));
            latents
        };
        let bytes = |frames| {
            let mut planner = Planner::counting(1, 1);
            plan(&mut planner, frames);
            planner.cost().map(|cost| cost.bytes)
        };
        let mut frames = (values / width).clamp(1, FRAMES);
        while frames > 1 && bytes(frames).map_err(out_of_memory)? > MOST_STREAM_BYTES {
            frames /= 2;
        }
        let mut planner = Planner::writing(1, 1, u64::MAX);
        let latents = plan(&mut planner, frames);
        let (program, memory) = planner.build().map_err(out_of_memory)?;
        Ok(Alone { quantizer, kernels, program, memory, latents, frames, width, codebooks })
    }
}

/// The program of a quantizer without a half of the network.
struct Alone<'m> {
    quantizer: &'m SplitQuantizer,
    kernels: Kernels,
    program: Program,
    memory: Memory,
    /// Where latents are in the memory.
    latents: Slot,
    /// Frames in the largest step.
    frames: usize,
    /// Values in a frame of latents.
    width: usize,
    codebooks: usize,
}

impl Alone<'_> {
    /// Runs a step of `frames` frames, whose input is in place.
    fn run(&mut self, frames: usize) {
        let mut batch = Batch::new(self.kernels, iter::once(&mut self.memory), None);
        self.program.run(0..self.program.len(), &mut batch, Length(frames));
    }
}
