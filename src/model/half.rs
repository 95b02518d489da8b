//! The two halves of a network, and the programs of streams on them. Between the halves are latents, and a quantizer
//! may stand there.

use super::Spec;
use super::cost::check_stream;
use crate::error::out_of_memory;
use crate::kernels::{Activation, Kernels, Weights};
use crate::layers::{Conv, Linear, SeanetDecoder, SeanetEncoder, SplitQuantizer, Transformer, Upsampler};
use crate::program::{Cost, Memory, Op, Planner, Program, Section, Slot, Span};
use crate::{Error, StreamOptions};

/// What decides a stream's program: streams of one half with equal shapes have equal programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Frames in the largest pass.
    pub(crate) block: usize,
    /// Attention window in steps.
    pub(crate) context: usize,
    pub(crate) codebooks: usize,
    /// Threads that share a pass's work.
    pub(crate) threads: usize,
}

impl Shape {
    /// How many values in [`Memory::codes`] say whether a frame arrived: its codes, or one where there are none.
    pub(crate) fn marks(self) -> usize {
        self.codebooks.max(1)
    }
}

/// Operations of a frame's program are at most this part of its load, where they can be parted: half of what a callback
/// of 16 samples at 48 kHz does.
const PARTS: u64 = 480;

/// Load below which no operation is parted: some microseconds.
const LEAST_PART: u64 = 1 << 16;

/// Where a pass's input and output are in a stream's scratch memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Border {
    pub(crate) samples: Slot,
    /// `[frames, latent_dim]`.
    pub(crate) latents: Slot,
    /// The first operation between samples and latents, and the end of them; the others are the quantizer's.
    pub(crate) operations: [usize; 2],
}

/// Half of a network.
pub(crate) trait Half {
    /// What messages call it.
    const NAME: &'static str;

    /// Which of [`Spec::contexts`] is its own.
    const SIDE: usize;

    fn kernels(&self) -> Kernels;

    /// The shape of a stream with `options`.
    fn shape(&self, spec: &Spec, options: &StreamOptions) -> Result<Shape, Error> {
        spec.stream_shape(options, spec.contexts[Self::SIDE])
    }

    /// Writes down a pass of `shape.block` frames.
    fn emit(&self, planner: &mut Planner, quantizer: Option<&SplitQuantizer>, shape: Shape) -> Border;

    /// The program of streams of a shape, memory for one, and where its input and output are.
    fn plan(
        &self,
        quantizer: Option<&SplitQuantizer>,
        spec: &Spec,
        shape: Shape,
    ) -> Result<(Program, Memory, Border), Error> {
        let cost = self.cost(quantizer, spec, shape)?;
        check_stream(spec, shape, cost)?;
        // passes of several frames, and of several threads, are never run in parts
        let most_load = match (shape.block, shape.threads) {
            (1, 1) => (cost.load / PARTS).max(LEAST_PART),
            _ => u64::MAX,
        };
        self.plan_in_parts(quantizer, spec, shape, most_load)
    }

    /// The same, with operations of at most `most_load` where they can be parted.
    fn plan_in_parts(
        &self,
        quantizer: Option<&SplitQuantizer>,
        spec: &Spec,
        shape: Shape,
        most_load: u64,
    ) -> Result<(Program, Memory, Border), Error> {
        let mut planner = Planner::writing(spec.frame_size, shape.threads, most_load);
        let border = self.emit(&mut planner, quantizer, shape);
        let (program, memory) = planner.build().map_err(out_of_memory)?;
        Ok((program, memory, border))
    }

    /// What a stream of a shape costs.
    fn cost(&self, quantizer: Option<&SplitQuantizer>, spec: &Spec, shape: Shape) -> Result<Cost, Error> {
        let mut planner = Planner::counting(spec.frame_size, shape.threads);
        self.emit(&mut planner, quantizer, shape);
        planner.cost().map_err(out_of_memory)
    }
}

/// Samples to latents.
pub(crate) struct EncoderHalf {
    pub(super) kernels: Kernels,
    /// Samples in a frame.
    pub(super) frame: usize,
    pub(super) seanet: SeanetEncoder,
    pub(super) transformer: Transformer,
    /// From the SEANet rate to the frame rate.
    pub(super) down: Conv,
}

impl EncoderHalf {
    pub(super) fn bytes(&self) -> usize {
        self.seanet.bytes() + self.transformer.bytes() + self.down.bytes()
    }
}

impl Half for EncoderHalf {
    const NAME: &'static str = "encoder";
    const SIDE: usize = 0;

    fn kernels(&self) -> Kernels {
        self.kernels
    }

    fn emit(&self, planner: &mut Planner, quantizer: Option<&SplitQuantizer>, shape: Shape) -> Border {
        let frames = Span::frames(shape.block, 1);
        let steps = Span::frames(shape.block, self.down.stride());
        let down = self.down.reserve(planner, steps.count);
        let x = self.down.input(&down);
        let samples = self.seanet.emit(planner, Span::frames(shape.block, self.frame), x);
        self.transformer.emit(planner, steps, shape.context, x);
        planner.at(Section::Resampling, 0, "down-sampling");
        let latents = planner.scratch(frames.count, self.down.outputs());
        let z = latents.rows(self.down.outputs());
        self.down.emit(planner, &down, steps, z, None, Activation::None);
        planner.push(steps, Op::Advance);
        let operations = [0, planner.len()];
        if let Some(quantizer) = quantizer {
            quantizer.emit_search(planner, frames, shape.codebooks, z);
        }
        Border { samples, latents, operations }
    }
}

/// Latents to samples.
pub(crate) struct DecoderHalf {
    pub(super) kernels: Kernels,
    /// From latents to the half's width, where that is another or there is no quantizer.
    pub(super) projection: Option<Linear>,
    /// From the frame rate to the SEANet rate.
    pub(super) up: Upsampler,
    pub(super) transformer: Transformer,
    pub(super) seanet: SeanetDecoder,
}

impl DecoderHalf {
    pub(super) fn bytes(&self) -> usize {
        let projection = self.projection.as_ref().map_or(0, Weights::bytes);
        projection + self.up.bytes() + self.transformer.bytes() + self.seanet.bytes()
    }
}

impl Half for DecoderHalf {
    const NAME: &'static str = "decoder";
    const SIDE: usize = 1;

    fn kernels(&self) -> Kernels {
        self.kernels
    }

    fn emit(&self, planner: &mut Planner, quantizer: Option<&SplitQuantizer>, shape: Shape) -> Border {
        let frames = Span::frames(shape.block, 1);
        let steps = frames.times(self.up.stride());
        let up = self.up.reserve(planner, frames.count);
        let input = self.up.input(&up);
        let z = match &self.projection {
            Some(projection) => planner.scratch(frames.count, projection.inputs()).rows(projection.inputs()),
            None => input,
        };
        let latents = Slot { offset: z.offset, len: frames.count.saturating_mul(z.stride) };
        if let Some(quantizer) = quantizer {
            quantizer.emit_sum(planner, frames, shape.codebooks, z);
        }
        let begin = planner.len();
        planner.at(Section::Quantizer, shape.codebooks, "concealment");
        let (width, marks) = (z.stride, shape.marks());
        planner.codes(frames.count.saturating_mul(marks));
        let last = planner.state(1, width);
        planner.push(frames, Op::Conceal { x: z, width, last, codes: marks });
        if let Some(projection) = &self.projection {
            planner.name("latent projection");
            projection.emit(planner, frames, z, input, None, Activation::None);
        }
        let seanet = self.seanet.reserve(planner, steps.count);
        let x = self.seanet.input(&seanet);
        planner.at(Section::Resampling, 0, "up-sampling");
        self.up.emit(planner, &up, frames, x);
        self.transformer.emit(planner, steps, shape.context, x);
        let samples = self.seanet.emit(planner, &seanet, steps);
        planner.push(steps, Op::Advance);
        Border { samples, latents, operations: [begin, planner.len()] }
    }
}
