//! The two halves as lists of layers, and what a stream plans for each.

use crate::Error;
use crate::error::out_of_memory;
use crate::kernels::{Activation, Rows};
use crate::layers::{
    Batch, Conv, ConvState, DecoderState, EncoderState, Memory, Plan, QuantizerState, SeanetDecoder,
    SeanetEncoder, Slot, SplitQuantizer, Transformer, TransformerState, Upsampler, UpsamplerState,
};

/// Samples to latents.
pub(crate) struct EncoderNetwork {
    pub(super) seanet: SeanetEncoder,
    pub(super) transformer: Transformer,
    /// From the SEANet rate to the frame rate; none where they are equal.
    pub(super) down: Option<Conv>,
    pub(super) hidden: usize,
}

/// An encoder stream's slots.
#[derive(Debug)]
pub(crate) struct EncoderPlan {
    seanet: EncoderState,
    transformer: TransformerState,
    down: Option<ConvState>,
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
    /// A plan for steps of up to `frames` frames, and memory for it.
    pub(crate) fn plan(
        &self,
        quantizer: &SplitQuantizer,
        frames: usize,
        [frame_size, hop]: [usize; 2],
        context: usize,
        codebooks: usize,
    ) -> Result<(EncoderPlan, Memory), Error> {
        let mut plan = Plan::default();
        let steps = frames * frame_size / hop;
        let slots = EncoderPlan {
            seanet: self.seanet.plan(&mut plan, frames * frame_size),
            transformer: self.transformer.plan(&mut plan, steps, context),
            down: self.down.as_ref().map(|down| down.plan(&mut plan, steps)),
            latent: plan.scratch(frames * self.hidden),
            quantizer: quantizer.plan_encode(&mut plan, frames, codebooks),
        };
        let memory = plan.build(frames * codebooks).map_err(out_of_memory)?;
        Ok((slots, memory))
    }

    /// `samples` samples, already in their slot, to codes in the streams' memory; returns how many
    /// frames. Anything but whole frames ends the streams: each layer pads its own input.
    pub(crate) fn step(
        &self,
        quantizer: &SplitQuantizer,
        batch: &mut Batch,
        plan: &EncoderPlan,
        samples: usize,
    ) -> usize {
        let latent = plan.latent.rows(self.hidden);
        let x: Rows = match (&self.down, &plan.down) {
            (Some(down), Some(state)) => down.input(state),
            _ => latent,
        };
        let rows = self.seanet.step(batch, &plan.seanet, samples, x);
        self.transformer.step(batch, &plan.transformer, x, rows);
        let mut frames = rows;
        if let (Some(down), Some(state)) = (&self.down, &plan.down) {
            down.step(batch, state, rows, latent, None, Activation::None);
            frames = down.output_rows(rows);
        }
        quantizer.encode(batch, &plan.quantizer, latent, frames);
        for stream in &mut *batch.streams {
            stream.position += rows as u64;
        }
        frames
    }

    pub(crate) fn bytes(&self) -> usize {
        self.seanet.bytes() + self.transformer.bytes() + self.down.as_ref().map_or(0, Conv::bytes)
    }
}

/// Latents to samples.
pub(crate) struct DecoderNetwork {
    /// From the frame rate to the SEANet rate; none where they are equal.
    pub(super) up: Option<Upsampler>,
    pub(super) transformer: Transformer,
    pub(super) seanet: SeanetDecoder,
    pub(super) hidden: usize,
}

/// A decoder stream's slots.
#[derive(Debug)]
pub(crate) struct DecoderPlan {
    quantizer: QuantizerState,
    up: Option<UpsamplerState>,
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
    /// A plan for steps of up to `frames` frames, and memory for it.
    pub(crate) fn plan(
        &self,
        quantizer: &SplitQuantizer,
        frames: usize,
        [frame_size, hop]: [usize; 2],
        context: usize,
        codebooks: usize,
    ) -> Result<(DecoderPlan, Memory), Error> {
        let mut plan = Plan::default();
        let steps = frame_size / hop;
        let slots = DecoderPlan {
            quantizer: quantizer.plan_decode(&mut plan, frames, codebooks),
            up: self.up.as_ref().map(|up| up.plan(&mut plan, frames)),
            transformer: self.transformer.plan(&mut plan, frames * steps, context),
            seanet: self.seanet.plan(&mut plan, frames * steps),
            steps,
        };
        let memory = plan.build(frames * codebooks).map_err(out_of_memory)?;
        Ok((slots, memory))
    }

    /// `frames` frames of codes, already in the streams' memory, to samples in their slot.
    pub(crate) fn step(
        &self,
        quantizer: &SplitQuantizer,
        batch: &mut Batch,
        plan: &DecoderPlan,
        frames: usize,
    ) {
        let x = self.seanet.input(&plan.seanet);
        let rows = frames * plan.steps;
        match (&self.up, &plan.up) {
            (Some(up), Some(state)) => {
                quantizer.decode(batch, &plan.quantizer, frames, up.input(state));
                up.step(batch, state, frames, x);
            }
            _ => quantizer.decode(batch, &plan.quantizer, frames, x),
        }
        self.transformer.step(batch, &plan.transformer, x, rows);
        self.seanet.step(batch, &plan.seanet, rows);
        for stream in &mut *batch.streams {
            stream.position += rows as u64;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.up.as_ref().map_or(0, Upsampler::bytes) + self.transformer.bytes() + self.seanet.bytes()
    }
}
