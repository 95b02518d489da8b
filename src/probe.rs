//! What `mimi bench` measures with: the machine's limits, and a network's step stage by stage. No part
//! of the API: it may change with every release.

pub use crate::layers::PAIRED_WEIGHTS;
pub use crate::model::{EXACT_WEIGHTS, Stage};

use crate::kernels::{FlushDenormals, Kernels, MAX_BATCH};
use crate::layers::{Batch, Memory};
use crate::model::{DecoderPlan, EncoderPlan, MAX_BLOCK, ONE_SHOT_FRAMES, Shape};
use crate::{Error, ErrorKind, Model, StreamOptions};

/// The kernels that a model runs on, to find the limits of the machine with.
#[derive(Clone, Copy)]
pub struct Limits(Kernels);

impl Limits {
    /// For the instruction set of `model`.
    pub fn of(model: &Model) -> Self {
        Self(model.weights().kernels)
    }

    /// Does multiply-adds in registers and nothing else; returns how many, in single values.
    pub fn multiply_adds(self, rounds: usize) -> usize {
        self.0.multiply_adds(rounds)
    }

    /// The same with weights of eight bits.
    pub fn integer_multiply_adds(self, rounds: usize) -> usize {
        self.0.integer_multiply_adds(rounds)
    }

    /// Reads `values`, at several places in turn.
    pub fn read(self, values: &[f32]) {
        std::hint::black_box(self.0.read(values));
    }
}

/// What a stream of one frame at a time costs.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Bytes of its memory.
    pub bytes: u64,
    /// Multiply-adds of a frame, or what costs as much.
    pub work: u64,
}

impl Costs {
    /// Of an encoder with all codebooks, if the model has one.
    pub fn of_encoder(model: &Model) -> Result<Option<Self>, Error> {
        let (weights, shape) = (model.weights(), Self::shape(model)?);
        let cost = weights.encoder.as_ref().map(|encoder| encoder.cost(weights, shape)).transpose()?;
        Ok(cost.map(|cost| Self { bytes: cost.bytes, work: cost.work }))
    }

    /// Of a decoder, likewise.
    pub fn of_decoder(model: &Model) -> Result<Option<Self>, Error> {
        let (weights, shape) = (model.weights(), Self::shape(model)?);
        let cost = weights.decoder.as_ref().map(|decoder| decoder.cost(weights, shape)).transpose()?;
        Ok(cost.map(|cost| Self { bytes: cost.bytes, work: cost.work }))
    }

    fn shape(model: &Model) -> Result<Shape, Error> {
        model.stream_shape(&StreamOptions { codebooks: Some(model.codebooks()), ..StreamOptions::default() })
    }
}

/// Streams on one half of a model, for steps whose stages can be timed.
pub struct Probe {
    model: Model,
    plan: HalfPlan,
    shape: Shape,
    memories: Vec<Memory>,
}

enum HalfPlan {
    Encoder(EncoderPlan),
    Decoder(DecoderPlan),
}

impl Probe {
    /// `streams` encoders, at most 16.
    pub fn encoders(model: &Model, options: &StreamOptions, streams: usize) -> Result<Self, Error> {
        let weights = model.weights();
        let network = weights.encoder.as_ref().ok_or_else(|| model.lacks("encoder"))?;
        let shape = model.stream_shape(options)?;
        let plans = (0..streams).map(|_| network.plan(weights, shape)).collect::<Result<Vec<_>, _>>()?;
        Self::new(model, shape, plans, HalfPlan::Encoder)
    }

    /// `streams` decoders, at most 16.
    pub fn decoders(model: &Model, options: &StreamOptions, streams: usize) -> Result<Self, Error> {
        let weights = model.weights();
        let network = weights.decoder.as_ref().ok_or_else(|| model.lacks("decoder"))?;
        let shape = model.stream_shape(options)?;
        let plans = (0..streams).map(|_| network.plan(weights, shape)).collect::<Result<Vec<_>, _>>()?;
        Self::new(model, shape, plans, HalfPlan::Decoder)
    }

    fn new<P>(
        model: &Model,
        shape: Shape,
        plans: Vec<(P, Memory)>,
        half: fn(P) -> HalfPlan,
    ) -> Result<Self, Error> {
        let (slots, memories): (Vec<P>, Vec<Memory>) = plans.into_iter().unzip();
        if !(1..=MAX_BATCH).contains(&memories.len()) {
            let message = format_args!("{} streams; expected 1 to {MAX_BATCH}", memories.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let Some(plan) = slots.into_iter().next().map(half) else { unreachable!("counted above") };
        Ok(Self { model: model.clone(), plan, shape, memories })
    }

    /// Options for steps of as many frames as those of one-shot calls.
    pub fn one_shot(model: &Model, options: &StreamOptions) -> StreamOptions {
        let block = (ONE_SHOT_FRAMES * model.config().frame_size()).min(MAX_BLOCK);
        StreamOptions { max_block: options.max_block.or(Some(block)), ..options.clone() }
    }

    /// Frames in a step.
    pub fn frames(&self) -> usize {
        self.shape.block
    }

    /// A step of all streams, for samples of a low hum or for a pattern of codes; `passed` is called
    /// at each stage's end.
    pub fn step(&mut self, passed: impl FnMut(Stage)) {
        let (weights, frames) = (self.model.weights(), self.shape.block);
        let _flush = FlushDenormals::new();
        let samples = frames * weights.config.frame_size();
        for memory in &mut self.memories {
            match &self.plan {
                HalfPlan::Encoder(plan) => {
                    let hum = (0..samples).map(|i| (i % 240) as f32 / 240.0 - 0.5);
                    memory.scratch[plan.samples().first(samples)]
                        .iter_mut()
                        .zip(hum)
                        .for_each(|(x, y)| *x = y);
                }
                HalfPlan::Decoder(_) => {
                    let size = weights.config.codebook_size;
                    memory.codes.iter_mut().enumerate().for_each(|(i, code)| *code = (i * 7 % size) as u32);
                }
            }
        }
        let mut batch = Batch::new(weights.kernels, self.memories.iter_mut(), None);
        match (&self.plan, &weights.encoder, &weights.decoder) {
            (HalfPlan::Encoder(plan), Some(network), _) => {
                network.step(&weights.quantizer, &mut batch, plan, samples, passed);
            }
            (HalfPlan::Decoder(plan), _, Some(network)) => {
                network.step(&weights.quantizer, &mut batch, plan, frames, passed);
            }
            _ => unreachable!("the half was there when the plan was made"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_one_to_sixteen() {
        let micro = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/micro.safetensors"));
        let model = Model::load_bytes(micro, &Default::default()).unwrap();
        let options = StreamOptions::default();
        for streams in [0, 17] {
            for probe in
                [Probe::encoders(&model, &options, streams), Probe::decoders(&model, &options, streams)]
            {
                assert_eq!(probe.err().map(|error| error.kind()), Some(ErrorKind::InvalidArgument));
            }
        }
        assert!(
            Probe::encoders(&model, &options, 16).is_ok() && Probe::decoders(&model, &options, 1).is_ok()
        );
    }
}
