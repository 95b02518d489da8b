//! The two halves as lists of layers, and what a stream plans for each.

use super::Weights;
use super::cost::check_stream;
use crate::Error;
use crate::error::out_of_memory;
use crate::kernels::Activation;
use crate::layers::{
    Batch, Conv, ConvState, Cost, DecoderState, EncoderState, Memory, Plan, QuantizerState, SeanetDecoder,
    SeanetEncoder, Slot, SplitQuantizer, Transformer, TransformerState, Upsampler, UpsamplerState,
};

/// What decides a stream's plan: streams of one model with equal shapes have equal plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Frames in the largest step.
    pub(crate) block: usize,
    /// Attention window in steps.
    pub(crate) context: usize,
    pub(crate) codebooks: usize,
    /// Threads that share a step's work.
    pub(crate) threads: usize,
}

impl Shape {
    /// Codes in the largest step.
    fn codes(self) -> usize {
        self.block.saturating_mul(self.codebooks)
    }
}

/// A part of a step, as [`probe`](crate::probe) tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The convolutions at the rates of samples and of SEANet.
    Seanet,
    /// The transformer.
    Transformer,
    /// Between the SEANet rate and the frame rate.
    Resampling,
    /// The quantizer and its projections.
    Quantizer,
}

/// Samples to latents.
pub(crate) struct EncoderNetwork {
    pub(super) seanet: SeanetEncoder,
    pub(super) transformer: Transformer,
    /// From the SEANet rate to the frame rate.
    pub(super) down: Conv,
    pub(super) hidden: usize,
}

/// An encoder stream's slots.
#[derive(Debug)]
pub(crate) struct EncoderPlan {
    seanet: EncoderState,
    transformer: TransformerState,
    down: ConvState,
    /// `[frames, hidden]`.
    latent: Slot,
    quantizer: QuantizerState,
}

impl EncoderPlan {
    /// Where a step's samples go.
    pub(crate) fn samples(&self) -> Slot {
        self.seanet.samples()
    }
}

impl EncoderNetwork {
    /// A plan for streams of a shape, and memory for one.
    pub(crate) fn plan(&self, weights: &Weights, shape: Shape) -> Result<(EncoderPlan, Memory), Error> {
        let (plan, slots) = self.slots(weights, shape)?;
        check_stream(&weights.config, shape, plan.cost(shape.codes()))?;
        Ok((slots, plan.build(shape.codes()).map_err(out_of_memory)?))
    }

    /// What a stream of a shape costs.
    pub(crate) fn cost(&self, weights: &Weights, shape: Shape) -> Result<Cost, Error> {
        Ok(self.slots(weights, shape)?.0.cost(shape.codes()))
    }

    fn slots(&self, weights: &Weights, shape: Shape) -> Result<(Plan, EncoderPlan), Error> {
        let (quantizer, frames) = (&weights.quantizer, shape.block);
        let mut plan = Plan::new(shape.threads);
        let steps = frames.saturating_mul(weights.config.latent_stride);
        let samples = frames.saturating_mul(weights.config.frame_size());
        let slots = EncoderPlan {
            seanet: self.seanet.plan(&mut plan, samples).map_err(out_of_memory)?,
            transformer: self.transformer.plan(&mut plan, steps, shape.context).map_err(out_of_memory)?,
            down: self.down.plan(&mut plan, steps),
            latent: plan.scratch(frames, self.hidden),
            quantizer: quantizer.plan_encode(&mut plan, frames, shape.codebooks),
        };
        Ok((plan, slots))
    }

    /// `samples` samples, already in their slot, to codes in the streams' memory; returns how many
    /// frames. Anything but whole frames ends the streams: each layer pads its own input. `passed` hears
    /// of each stage's end.
    pub(crate) fn step(
        &self,
        quantizer: &SplitQuantizer,
        batch: &mut Batch,
        plan: &EncoderPlan,
        samples: usize,
        mut passed: impl FnMut(Stage),
    ) -> usize {
        let latent = plan.latent.rows(self.hidden);
        let x = self.down.input(&plan.down);
        let rows = self.seanet.step(batch, &plan.seanet, samples, x);
        passed(Stage::Seanet);
        self.transformer.step(batch, &plan.transformer, x, rows);
        passed(Stage::Transformer);
        self.down.step(batch, &plan.down, rows, latent, None, Activation::None);
        let frames = self.down.output_rows(rows);
        passed(Stage::Resampling);
        quantizer.encode(batch, &plan.quantizer, latent, frames);
        passed(Stage::Quantizer);
        for stream in batch.streams() {
            stream.position += rows as u64;
        }
        frames
    }

    pub(crate) fn bytes(&self) -> usize {
        self.seanet.bytes() + self.transformer.bytes() + self.down.bytes()
    }
}

/// Latents to samples.
pub(crate) struct DecoderNetwork {
    /// From the frame rate to the SEANet rate.
    pub(super) up: Upsampler,
    pub(super) transformer: Transformer,
    pub(super) seanet: SeanetDecoder,
}

/// A decoder stream's slots.
#[derive(Debug)]
pub(crate) struct DecoderPlan {
    quantizer: QuantizerState,
    up: UpsamplerState,
    transformer: TransformerState,
    seanet: DecoderState,
    /// SEANet steps in a frame.
    steps: usize,
}

impl DecoderPlan {
    /// Where a step's samples are.
    pub(crate) fn samples(&self) -> Slot {
        self.seanet.samples()
    }
}

impl DecoderNetwork {
    /// A plan for streams of a shape, and memory for one.
    pub(crate) fn plan(&self, weights: &Weights, shape: Shape) -> Result<(DecoderPlan, Memory), Error> {
        let (plan, slots) = self.slots(weights, shape)?;
        check_stream(&weights.config, shape, plan.cost(shape.codes()))?;
        Ok((slots, plan.build(shape.codes()).map_err(out_of_memory)?))
    }

    /// What a stream of a shape costs.
    pub(crate) fn cost(&self, weights: &Weights, shape: Shape) -> Result<Cost, Error> {
        Ok(self.slots(weights, shape)?.0.cost(shape.codes()))
    }

    fn slots(&self, weights: &Weights, shape: Shape) -> Result<(Plan, DecoderPlan), Error> {
        let (quantizer, frames, steps) = (&weights.quantizer, shape.block, weights.config.latent_stride);
        let mut plan = Plan::new(shape.threads);
        let rows = frames.saturating_mul(steps);
        let slots = DecoderPlan {
            quantizer: quantizer.plan_decode(&mut plan, frames, shape.codebooks),
            up: self.up.plan(&mut plan, frames),
            transformer: self.transformer.plan(&mut plan, rows, shape.context).map_err(out_of_memory)?,
            seanet: self.seanet.plan(&mut plan, rows).map_err(out_of_memory)?,
            steps,
        };
        Ok((plan, slots))
    }

    /// `frames` frames of codes, already in the streams' memory, to samples in their slot. `passed` hears
    /// of each stage's end.
    pub(crate) fn step(
        &self,
        quantizer: &SplitQuantizer,
        batch: &mut Batch,
        plan: &DecoderPlan,
        frames: usize,
        mut passed: impl FnMut(Stage),
    ) {
        let x = self.seanet.input(&plan.seanet);
        let rows = frames * plan.steps;
        quantizer.decode(batch, &plan.quantizer, frames, self.up.input(&plan.up));
        passed(Stage::Quantizer);
        self.up.step(batch, &plan.up, frames, x);
        passed(Stage::Resampling);
        self.transformer.step(batch, &plan.transformer, x, rows);
        passed(Stage::Transformer);
        self.seanet.step(batch, &plan.seanet, rows);
        passed(Stage::Seanet);
        for stream in batch.streams() {
            stream.position += rows as u64;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.up.bytes() + self.transformer.bytes() + self.seanet.bytes()
    }
}
