//! SEANet: the convolutional encoder and decoder (Tagliasacchi et al., "SEANet: A multi-modal speech
//! enhancement network", 2020; as in Défossez et al., "High Fidelity Neural Audio Compression", 2022).
//!
//! Every ELU is computed where its result is stored: into the window of the convolution that it feeds.
//! Stages work piece by piece, so that the rows of the high-rate ones stay in cache.

use super::conv::{Conv, ConvState};
use super::memory::{Batch, Plan, Slot, try_collect, whole};
use crate::kernels::{Activation, Rows};
use std::collections::TryReserveError;

/// Values of a stage's widest rows that its residual blocks work on at once, about a quarter of a
/// second-level cache.
const PIECE_VALUES: usize = 16 * 1024;

/// How many rows of a stage are worked on at once, at the rate of the resampling convolution's input.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    /// By the residual blocks: as many as stay in cache.
    small: usize,
    /// By the resampling convolution, a multiple: as many as its weights have values, so that reading
    /// the weights over and over does not outweigh reading the rows once.
    large: usize,
}

impl Pieces {
    /// For steps of up to `rows` rows of a stage whose widest row has `width` values, when `threads` threads share
    /// them. Both are multiples of twice the `stride`: convolutions in pairs must start at an even output.
    fn new(conv: &Conv, width: usize, stride: usize, rows: usize, threads: usize) -> Self {
        let unit = 2 * stride;
        let all = whole(rows, unit);
        let small = (PIECE_VALUES * threads / width).max(1).next_multiple_of(unit).min(all);
        let large = whole((conv.weights() / width).max(1), small).min(all);
        Self { small, large }
    }
}

/// Cuts `0..rows` into parts of `piece` rows, of which the last may be shorter: where each begins, and its length.
fn pieces(rows: usize, piece: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(piece).map(move |start| (start, piece.min(rows - start)))
}

/// y = ELU(x) for `rows` contiguous rows of `width` values.
fn elu_rows(batch: &mut Batch, x: Rows, y: Rows, rows: usize, width: usize) {
    let (kernels, len) = (batch.kernels, rows * width);
    for stream in batch.streams() {
        let scratch = &mut stream.scratch;
        let (x, y) = match x.offset < y.offset {
            true => {
                let (low, high) = scratch.split_at_mut(y.offset);
                (&low[x.offset..][..len], &mut high[..len])
            }
            false => {
                let (low, high) = scratch.split_at_mut(x.offset);
                (&high[..len], &mut low[y.offset..][..len])
            }
        };
        kernels.elu(x, y);
    }
}

/// `x + conv1×1(ELU(conv(ELU(x))))`, or with a 1×1 convolution of x for the first x.
pub(crate) struct ResidualBlock {
    pub(crate) dilated: Conv,
    pub(crate) pointwise: Conv,
    pub(crate) shortcut: Option<Conv>,
}

#[derive(Debug)]
pub(crate) struct ResidualState {
    dilated: ConvState,
    /// `[rows, channels / compress]`, after its ELU.
    hidden: Slot,
    /// `[rows, channels]`.
    shortcut: Option<Slot>,
}

impl ResidualBlock {
    fn plan(&self, plan: &mut Plan, rows: usize) -> ResidualState {
        self.pointwise.plan_product(plan, rows);
        self.shortcut.iter().for_each(|shortcut| shortcut.plan_product(plan, rows));
        // ELU
        plan.work(rows, self.dilated.channels().saturating_mul(16));
        ResidualState {
            dilated: self.dilated.plan(plan, rows),
            hidden: plan.scratch(rows, self.dilated.outputs()),
            shortcut: self.shortcut.as_ref().map(|s| plan.scratch(rows, s.outputs())),
        }
    }

    /// From `x` to `y`, which may be the same rows.
    fn step(
        &self,
        batch: &mut Batch,
        state: &ResidualState,
        x: Rows,
        rows: usize,
        y: Rows,
        activation: Activation,
    ) {
        let window = self.dilated.input(&state.dilated);
        elu_rows(batch, x, window, rows, self.dilated.channels());
        let hidden = state.hidden.rows(self.dilated.outputs());
        self.dilated.step(batch, &state.dilated, rows, hidden, None, Activation::Elu);
        let mut residual = x;
        if let (Some(shortcut), Some(slot)) = (&self.shortcut, state.shortcut) {
            residual = slot.rows(shortcut.outputs());
            shortcut.linear_step(batch, x, rows, residual, None, Activation::None);
        }
        self.pointwise.linear_step(batch, hidden, rows, y, Some(residual), activation);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.dilated.bytes() + self.pointwise.bytes() + self.shortcut.as_ref().map_or(0, Conv::bytes)
    }
}

/// Slots for blocks that work on `rows` rows in pieces of up to `piece`.
fn plan_blocks(
    plan: &mut Plan,
    blocks: &[ResidualBlock],
    rows: usize,
    piece: usize,
) -> Result<Vec<ResidualState>, TryReserveError> {
    plan.in_pieces(rows, piece, |plan| try_collect(blocks.iter().map(|block| block.plan(plan, piece))))
}

/// Runs the blocks in place on `x`; the last one's result goes to `y` after an ELU.
fn residual_blocks(
    blocks: &[ResidualBlock],
    batch: &mut Batch,
    states: &[ResidualState],
    x: Rows,
    rows: usize,
    y: Rows,
) {
    for (index, (block, state)) in blocks.iter().zip(states).enumerate() {
        match index + 1 == blocks.len() {
            true => block.step(batch, state, x, rows, y, Activation::Elu),
            false => block.step(batch, state, x, rows, x, Activation::None),
        }
    }
    if blocks.is_empty() {
        elu_rows(batch, x, y, rows, x.stride);
    }
}

/// Residual blocks, then ELU and a strided convolution.
pub(crate) struct EncoderStage {
    pub(crate) blocks: Vec<ResidualBlock>,
    pub(crate) down: Conv,
}

#[derive(Debug)]
struct EncoderStageState {
    pieces: Pieces,
    blocks: Vec<ResidualState>,
    /// For a large piece.
    down: ConvState,
}

/// Samples to rows of `hidden_size` values at the SEANet rate.
pub(crate) struct SeanetEncoder {
    pub(crate) first: Conv,
    pub(crate) stages: Vec<EncoderStage>,
    pub(crate) last: Conv,
}

#[derive(Debug)]
pub(crate) struct EncoderState {
    /// The step's samples.
    samples: Slot,
    first: ConvState,
    /// Each stage's input rows; the first stage's only for a small piece.
    inputs: Vec<Slot>,
    stages: Vec<EncoderStageState>,
    last: ConvState,
}

impl EncoderState {
    /// Where the step's samples go.
    pub(crate) fn samples(&self) -> Slot {
        self.samples
    }
}

impl SeanetEncoder {
    /// Slots for steps of up to `samples` samples.
    pub(crate) fn plan(&self, plan: &mut Plan, samples: usize) -> Result<EncoderState, TryReserveError> {
        let mut rows = samples;
        let (mut inputs, mut stages) = (Vec::new(), Vec::new());
        inputs.try_reserve_exact(self.stages.len())?;
        stages.try_reserve_exact(self.stages.len())?;
        let mut first = None;
        for (index, stage) in self.stages.iter().enumerate() {
            let channels = stage.down.channels();
            let pieces = Pieces::new(&stage.down, channels, stage.down.stride(), rows, plan.threads);
            if index == 0 {
                first = Some(plan.in_pieces(rows, pieces.small, |plan| self.first.plan(plan, pieces.small)));
            }
            inputs.push(plan.scratch(if index == 0 { pieces.small } else { rows }, channels));
            stages.push(EncoderStageState {
                pieces,
                blocks: plan_blocks(plan, &stage.blocks, rows, pieces.small)?,
                down: plan.in_pieces(rows, pieces.large, |plan| stage.down.plan(plan, pieces.large)),
            });
            rows = stage.down.output_rows(rows);
        }
        Ok(EncoderState {
            samples: plan.scratch(samples, 1),
            first: first.unwrap_or_else(|| self.first.plan(plan, samples)),
            inputs,
            stages,
            last: self.last.plan(plan, rows),
        })
    }

    /// `samples` samples, already in their slot, to rows at `y`; returns how many rows. What does not
    /// fill a stride is padded, layer by layer.
    pub(crate) fn step(&self, batch: &mut Batch, state: &EncoderState, samples: usize, y: Rows) -> usize {
        let mut rows = samples;
        for index in 0..self.stages.len() {
            rows = self.stage(batch, state, index, rows);
        }
        self.last.step(batch, &state.last, rows, y, None, Activation::None);
        rows
    }

    fn stage(&self, batch: &mut Batch, state: &EncoderState, index: usize, rows: usize) -> usize {
        let (stage, slots) = (&self.stages[index], &state.stages[index]);
        let input = state.inputs[index].rows(stage.down.channels());
        // The next stage takes rows as they are, the last convolution after an ELU.
        let (output, activation) = match state.inputs.get(index + 1) {
            Some(next) => (next.rows(stage.down.outputs()), Activation::None),
            None => (self.last.input(&state.last), Activation::Elu),
        };
        let window = stage.down.input(&slots.down);
        for (start, count) in pieces(rows, slots.pieces.large) {
            for (at, piece) in pieces(count, slots.pieces.small) {
                let x = match index {
                    0 => {
                        self.first_piece(batch, state, start + at, piece);
                        input
                    }
                    _ => input.from(start + at),
                };
                residual_blocks(&stage.blocks, batch, &slots.blocks, x, piece, window.from(at));
            }
            let y = output.from(start / stage.down.stride());
            stage.down.step(batch, &slots.down, count, y, None, activation);
        }
        stage.down.output_rows(rows)
    }

    /// The first convolution, for samples `start..start + count`.
    fn first_piece(&self, batch: &mut Batch, state: &EncoderState, start: usize, count: usize) {
        let from = state.samples.offset + start;
        let window = self.first.input(&state.first).offset;
        for stream in batch.streams() {
            stream.scratch.copy_within(from..from + count, window);
        }
        let x = state.inputs[0].rows(self.first.outputs());
        self.first.step(batch, &state.first, count, x, None, Activation::None);
    }

    pub(crate) fn bytes(&self) -> usize {
        let stages = self
            .stages
            .iter()
            .map(|s| s.blocks.iter().map(ResidualBlock::bytes).sum::<usize>() + s.down.bytes());
        self.first.bytes() + self.last.bytes() + stages.sum::<usize>()
    }
}

/// ELU and a transposed convolution, then residual blocks.
pub(crate) struct DecoderStage {
    pub(crate) up: Conv,
    pub(crate) stride: usize,
    pub(crate) blocks: Vec<ResidualBlock>,
}

#[derive(Debug)]
struct DecoderStageState {
    pieces: Pieces,
    up: ConvState,
    /// A large piece of the transposed convolution's output.
    x: Slot,
    blocks: Vec<ResidualState>,
}

/// Rows of `hidden_size` values at the SEANet rate to samples.
pub(crate) struct SeanetDecoder {
    pub(crate) first: Conv,
    pub(crate) stages: Vec<DecoderStage>,
    pub(crate) last: Conv,
}

#[derive(Debug)]
pub(crate) struct DecoderState {
    first: ConvState,
    stages: Vec<DecoderStageState>,
    /// For a piece of the last stage's output.
    last: ConvState,
    /// The step's samples.
    samples: Slot,
}

impl DecoderState {
    /// Where the step's samples are.
    pub(crate) fn samples(&self) -> Slot {
        self.samples
    }
}

impl SeanetDecoder {
    /// Slots for steps of up to `rows` rows.
    pub(crate) fn plan(&self, plan: &mut Plan, rows: usize) -> Result<DecoderState, TryReserveError> {
        let first = self.first.plan(plan, rows);
        let mut rows = rows;
        let mut last_piece = rows;
        let mut stages = Vec::new();
        stages.try_reserve_exact(self.stages.len())?;
        for stage in &self.stages {
            let pieces = Pieces::new(&stage.up, stage.up.outputs(), 1, rows, plan.threads);
            let up = stage.up.plan_in_pieces(plan, rows, pieces.large);
            last_piece = pieces.small.saturating_mul(stage.stride);
            rows = rows.saturating_mul(stage.stride);
            stages.push(DecoderStageState {
                pieces,
                up,
                x: plan.scratch(pieces.large, stage.up.outputs()),
                blocks: plan_blocks(plan, &stage.blocks, rows, last_piece)?,
            });
        }
        let last = plan.in_pieces(rows, last_piece, |plan| self.last.plan(plan, last_piece));
        Ok(DecoderState { first, stages, last, samples: plan.scratch(rows, 1) })
    }

    /// Where the step's input rows go.
    pub(crate) fn input(&self, state: &DecoderState) -> Rows {
        self.first.input(&state.first)
    }

    /// `rows` rows, already at `input`, to samples in their slot.
    pub(crate) fn step(&self, batch: &mut Batch, state: &DecoderState, rows: usize) {
        let next = match (self.stages.first(), state.stages.first()) {
            (Some(stage), Some(slots)) => stage.up.input(&slots.up),
            _ => self.last.input(&state.last),
        };
        self.first.step(batch, &state.first, rows, next, None, Activation::Elu);
        let mut rows = rows;
        for index in 0..self.stages.len() {
            self.stage(batch, state, index, rows);
            rows *= self.stages[index].stride;
        }
        if self.stages.is_empty() {
            self.last.step(batch, &state.last, rows, state.samples.rows(1), None, Activation::None);
        }
    }

    fn stage(&self, batch: &mut Batch, state: &DecoderState, index: usize, rows: usize) {
        let (stage, slots) = (&self.stages[index], &state.stages[index]);
        let channels = stage.up.outputs() / stage.stride;
        let x = slots.x.rows(channels);
        let next = self.stages.get(index + 1).map(|s| s.up.input(&state.stages[index + 1].up));
        stage.up.begin(batch, &slots.up, rows);
        for (start, count) in pieces(rows, slots.pieces.large) {
            let block = slots.x.rows(stage.up.outputs());
            stage.up.apply(batch, &slots.up, [start, count], block, None, Activation::None);
            for (at, piece) in pieces(count, slots.pieces.small) {
                let (first, count) = ((start + at) * stage.stride, piece * stage.stride);
                let x = x.from(at * stage.stride);
                if let Some(next) = next {
                    residual_blocks(&stage.blocks, batch, &slots.blocks, x, count, next.from(first));
                    continue;
                }
                let window = self.last.input(&state.last);
                residual_blocks(&stage.blocks, batch, &slots.blocks, x, count, window);
                let y = state.samples.rows(1).from(first);
                self.last.step(batch, &state.last, count, y, None, Activation::None);
            }
        }
        stage.up.end(batch, &slots.up, rows);
    }

    pub(crate) fn bytes(&self) -> usize {
        let stages = self
            .stages
            .iter()
            .map(|s| s.blocks.iter().map(ResidualBlock::bytes).sum::<usize>() + s.up.bytes());
        self.first.bytes() + self.last.bytes() + stages.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::Padding;
    use super::*;
    use crate::kernels::{Format, InstructionSet, Kernels, Packing, Pool};

    /// Each of a block's products has room to round its inputs, whichever of them have weights of eight bits.
    #[test]
    fn every_product_of_a_block_is_planned() {
        let (channels, rows, pool) = (24, 8, Pool::default());
        let weight: Vec<f32> = (0..channels * channels).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect();
        let kernels = Kernels::new(InstructionSet::best()).unwrap();
        let step = |formats: [Format; 3]| {
            let [dilated, pointwise, shortcut] = formats.map(|format| {
                let shape = [channels, channels, 1];
                let packing = Packing { kernels, format, pool: &pool };
                Conv::new(packing, &weight, None, shape, 1, 1, Padding::Zeros, false).unwrap()
            });
            let block = ResidualBlock { dilated, pointwise, shortcut: Some(shortcut) };
            let mut plan = Plan::new(1);
            let state = block.plan(&mut plan, rows);
            let [x, y] = [(); 2].map(|()| plan.scratch(rows, channels).rows(channels));
            let mut memory = plan.build(0).unwrap();
            (0..rows * channels).for_each(|i| memory.scratch[x.offset + i] = (i % 11) as f32 / 11.0 - 0.5);
            let mut batch = Batch::new(kernels, [&mut memory].into_iter(), None);
            block.step(&mut batch, &state, x, rows, y, Activation::None);
            memory.scratch[y.offset..][..rows * channels].to_vec()
        };
        let exact = step([Format::F32; 3]);
        for rounded in 0..3 {
            let mut formats = [Format::F32; 3];
            formats[rounded] = Format::Int8;
            for (found, expected) in step(formats).iter().zip(&exact) {
                assert!((found - expected).abs() < 0.05, "{rounded}: {found} is not {expected}");
            }
        }
    }
}
