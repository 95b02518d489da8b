//! SEANet: the convolutional encoder and decoder (Tagliasacchi et al., "SEANet: A multi-modal speech
//! enhancement network", 2020; as in Défossez et al., "High Fidelity Neural Audio Compression", 2022).
//!
//! Every ELU is computed where its result is stored: into the window of the convolution that it feeds.
//! Stages work piece by piece, so that the rows of the high-rate ones stay in cache.

use super::conv::{Conv, ConvSlots, Linear};
use crate::kernels::{Activation, Rows, Weights};
use crate::program::{Op, Planner, Section, Slot, Span, whole};

/// Values of a stage's widest rows that its residual blocks work on at once, about a quarter of a
/// second-level cache.
const PIECE_VALUES: usize = 16 * 1024;

/// The same for passes of one frame, which are often those of several streams in one call: their rows share the cache.
const FRAME_PIECE_VALUES: usize = 8 * 1024;

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
    /// For up to `rows` rows of a stage whose widest row has `width` values. Both are multiples of twice the
    /// `stride`, because convolutions in pairs begin at an even output.
    fn new(planner: &Planner, conv: &Conv, width: usize, stride: usize, rows: Span) -> Self {
        let unit = 2 * stride;
        let all = whole(rows.count, unit);
        let (values, most) = match rows.count <= rows.rate {
            true => (FRAME_PIECE_VALUES, 4 * FRAME_PIECE_VALUES),
            false => (PIECE_VALUES, usize::MAX),
        };
        let small = (values * planner.threads / width).max(1).next_multiple_of(unit).min(all);
        let large = whole((conv.weights().min(most) / width).max(1), small).min(all);
        Self { small, large }
    }
}

/// `x + conv1×1(ELU(conv(ELU(x))))`, or with a 1×1 convolution of x for the first x.
pub(crate) struct ResidualBlock {
    pub(crate) dilated: Conv,
    pub(crate) pointwise: Linear,
    pub(crate) shortcut: Option<Linear>,
}

#[derive(Clone, Copy, Debug)]
struct ResidualSlots {
    dilated: ConvSlots,
    /// `[rows, channels / compress]`, after its ELU.
    hidden: Slot,
    /// `[rows, channels]`.
    shortcut: Slot,
}

impl ResidualBlock {
    fn reserve(&self, planner: &mut Planner, rows: usize) -> ResidualSlots {
        ResidualSlots {
            dilated: self.dilated.reserve(planner, rows),
            hidden: planner.scratch(rows, self.dilated.outputs()),
            shortcut: planner.scratch(rows, self.shortcut.as_ref().map_or(0, Linear::outputs)),
        }
    }

    /// From rows at `x` to rows at `y`, which may be the same.
    fn emit(
        &self,
        planner: &mut Planner,
        slots: &ResidualSlots,
        rows: Span,
        x: Rows,
        y: Rows,
        activation: Activation,
    ) {
        let window = self.dilated.input(&slots.dilated).offset;
        planner.name("residual convolution");
        planner.push(rows, Op::Elu { x: x.offset, y: window, width: self.dilated.channels() });
        let hidden = slots.hidden.rows(self.dilated.outputs());
        self.dilated.emit(planner, &slots.dilated, rows, hidden, None, Activation::Elu);
        let mut residual = x;
        if let Some(shortcut) = &self.shortcut {
            planner.name("shortcut");
            residual = slots.shortcut.rows(shortcut.outputs());
            shortcut.emit(planner, rows, x, residual, None, Activation::None);
        }
        planner.name("pointwise convolution");
        self.pointwise.emit(planner, rows, hidden, y, Some(residual), activation);
    }

    fn bytes(&self) -> usize {
        self.dilated.bytes() + self.pointwise.bytes() + self.shortcut.as_ref().map_or(0, Weights::bytes)
    }
}

/// Runs the blocks in place on rows at `x`; the last one's result goes to `y` after an ELU.
fn residual_blocks(
    planner: &mut Planner,
    blocks: &[ResidualBlock],
    slots: &[ResidualSlots],
    rows: Span,
    x: Rows,
    y: Rows,
) {
    for (index, (block, slots)) in blocks.iter().zip(slots).enumerate() {
        match index + 1 == blocks.len() {
            true => block.emit(planner, slots, rows, x, y, Activation::Elu),
            false => block.emit(planner, slots, rows, x, x, Activation::None),
        }
    }
}

/// Residual blocks, then ELU and a strided convolution.
pub(crate) struct EncoderStage {
    pub(crate) blocks: Vec<ResidualBlock>,
    pub(crate) down: Conv,
}

/// Samples to rows of `hidden_size` values at the SEANet rate. It has at least one stage, and each at least one
/// residual block.
pub(crate) struct SeanetEncoder {
    pub(crate) first: Conv,
    pub(crate) stages: Vec<EncoderStage>,
    pub(crate) last: Conv,
}

impl SeanetEncoder {
    /// From samples, whose slot is returned, to rows at `y`. What does not fill a stride is padded, layer by layer.
    pub(crate) fn emit(&self, planner: &mut Planner, samples: Span, y: Rows) -> Slot {
        let input = planner.scratch(samples.count, 1);
        let mut rows = samples;
        let mut x = None;
        for (index, stage) in self.stages.iter().enumerate() {
            planner.at(Section::Seanet, index, "");
            let next = rows.every(stage.down.stride());
            // The next stage takes rows as they are, the last convolution after an ELU.
            let is_last = index + 1 == self.stages.len();
            let last = is_last.then(|| self.last.reserve(planner, next.count));
            let (output, activation) = match &last {
                Some(last) => (self.last.input(last), Activation::Elu),
                None => {
                    let width = stage.down.outputs();
                    (planner.scratch(next.count, width).rows(width), Activation::None)
                }
            };
            planner.passage(|planner| self.emit_stage(planner, stage, rows, input, x, output, activation));
            if let Some(last) = &last {
                planner.name("last convolution");
                self.last.emit(planner, last, next, y, None, Activation::None);
            }
            (rows, x) = (next, Some(output));
        }
        input
    }

    /// A stage, from rows at `x` or for the first from samples in `input`, to rows at `output`.
    #[allow(clippy::too_many_arguments)]
    fn emit_stage(
        &self,
        planner: &mut Planner,
        stage: &EncoderStage,
        rows: Span,
        input: Slot,
        x: Option<Rows>,
        output: Rows,
        activation: Activation,
    ) {
        let channels = stage.down.channels();
        let pieces = Pieces::new(planner, &stage.down, channels, stage.down.stride(), rows);
        // The first stage's rows are there for a small piece only, and made from samples.
        let first = x.is_none().then(|| self.first.reserve(planner, pieces.small));
        let x_rows = x.unwrap_or_else(|| planner.scratch(pieces.small, channels).rows(channels));
        let blocks = planner.collect(&stage.blocks, |planner, block| block.reserve(planner, pieces.small));
        let down = stage.down.reserve(planner, pieces.large);
        let window = stage.down.input(&down);
        planner.in_pieces(rows, pieces.large, |planner, large, start| {
            planner.in_pieces(large, pieces.small, |planner, small, at| {
                let x = match &first {
                    Some(slots) => {
                        let samples = input.rows(1).from(start + at);
                        self.emit_first(planner, slots, small, samples, x_rows);
                        x_rows
                    }
                    None => x_rows.from(start + at),
                };
                residual_blocks(planner, &stage.blocks, &blocks, small, x, window.from(at));
            });
            planner.name("strided convolution");
            let y = output.from(start / stage.down.stride());
            stage.down.emit(planner, &down, large, y, None, activation);
        });
    }

    /// The first convolution, for a piece of the samples.
    fn emit_first(&self, planner: &mut Planner, slots: &ConvSlots, rows: Span, samples: Rows, y: Rows) {
        planner.name("first convolution");
        let window = self.first.input(slots);
        planner.push(rows, Op::Copy { x: samples, y: window, width: 1 });
        self.first.emit(planner, slots, rows, y, None, Activation::None);
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

impl DecoderStage {
    /// Slots of the transposed convolution for `rows` input rows, and the pieces in which they are worked on.
    fn reserve(&self, planner: &mut Planner, rows: Span) -> (ConvSlots, Pieces) {
        let pieces = Pieces::new(planner, &self.up, self.up.outputs(), 1, rows);
        (self.up.reserve_pieces(planner, rows.count, pieces.large), pieces)
    }
}

/// Rows of `hidden_size` values at the SEANet rate to samples. It has at least one stage, and each at least one
/// residual block.
pub(crate) struct SeanetDecoder {
    pub(crate) first: Conv,
    pub(crate) stages: Vec<DecoderStage>,
    pub(crate) last: Conv,
}

/// A decoder's slots for its input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeanetInput(ConvSlots);

impl SeanetDecoder {
    /// Room for up to `rows` input rows.
    pub(crate) fn reserve(&self, planner: &mut Planner, rows: usize) -> SeanetInput {
        SeanetInput(self.first.reserve(planner, rows))
    }

    /// Where input rows go.
    pub(crate) fn input(&self, slots: &SeanetInput) -> Rows {
        self.first.input(&slots.0)
    }

    /// From rows that are in place to samples, whose slot is returned.
    pub(crate) fn emit(&self, planner: &mut Planner, slots: &SeanetInput, rows: Span) -> Slot {
        let mut rows = rows;
        let mut input = None;
        let mut samples = Slot { offset: 0, len: 0 };
        for (index, stage) in self.stages.iter().enumerate() {
            planner.at(Section::Seanet, index, "first convolution");
            let (up, pieces) = input.take().unwrap_or_else(|| {
                let (up, pieces) = stage.reserve(planner, rows);
                let y = stage.up.input(&up);
                self.first.emit(planner, &slots.0, rows, y, None, Activation::Elu);
                (up, pieces)
            });
            let piece = pieces.small.saturating_mul(stage.stride);
            let outputs = rows.times(stage.stride);
            let (window, last) = match self.stages.get(index + 1) {
                Some(next) => {
                    let (slots, pieces) = next.reserve(planner, outputs);
                    input = Some((slots, pieces));
                    (next.up.input(&slots), None)
                }
                None => {
                    samples = planner.scratch(outputs.count, 1);
                    let slots = self.last.reserve(planner, piece);
                    (self.last.input(&slots), Some(slots))
                }
            };
            planner.passage(|planner| {
                let x = planner.scratch(pieces.large, stage.up.outputs());
                let x_rows = x.rows(stage.up.outputs() / stage.stride);
                let blocks = planner.collect(&stage.blocks, |planner, block| block.reserve(planner, piece));
                stage.up.begin(planner, &up, rows);
                planner.in_pieces(rows, pieces.large, |planner, large, start| {
                    planner.name("transposed convolution");
                    let y = x.rows(stage.up.outputs());
                    stage.up.multiply(planner, &up, large, start, y, None, Activation::None);
                    planner.in_pieces(large, pieces.small, |planner, small, at| {
                        let rows = small.times(stage.stride);
                        let x = x_rows.from(at * stage.stride);
                        let first = (start + at).saturating_mul(stage.stride);
                        // the last convolution takes a piece at a time
                        let y = if last.is_some() { window } else { window.from(first) };
                        residual_blocks(planner, &stage.blocks, &blocks, rows, x, y);
                        if let Some(last) = &last {
                            planner.name("last convolution");
                            let y = samples.rows(1).from(first);
                            self.last.emit(planner, last, rows, y, None, Activation::None);
                        }
                    });
                });
                planner.name("transposed convolution");
                stage.up.end(planner, &up, rows);
            });
            rows = outputs;
        }
        samples
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
    use super::*;
    use crate::kernels::{Format, InstructionSet, Kernels, Packing, Pool};
    use crate::program::{Batch, Length, Padding};

    /// Each of a block's products has room to round its inputs, whichever of them have weights that are integers.
    #[test]
    fn every_product_of_a_block_is_planned() {
        let (channels, rows, pool) = (24, 8, Pool::default());
        let weight: Vec<f32> = (0..channels * channels).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect();
        let kernels = Kernels::new(InstructionSet::best()).unwrap();
        let step = |formats: [Format; 3]| {
            let packing = |format| Packing { kernels, format, pool: &pool };
            let linear = |format| Linear::new(packing(format), &weight, None, [channels, channels]).unwrap();
            let shape = [channels, channels, 1];
            let dilated =
                Conv::new(packing(formats[0]), &weight, None, shape, 1, 1, Padding::Zeros, false).unwrap();
            let block =
                ResidualBlock { dilated, pointwise: linear(formats[1]), shortcut: Some(linear(formats[2])) };
            let mut planner = Planner::writing(1, 1, u64::MAX);
            let slots = block.reserve(&mut planner, rows);
            let [x, y] = [(); 2].map(|()| planner.scratch(rows, channels).rows(channels));
            let span = Span { first: 0, count: rows, rate: rows };
            block.emit(&mut planner, &slots, span, x, y, Activation::None);
            let (program, mut memory) = planner.build().unwrap();
            (0..rows * channels).for_each(|i| memory.scratch[x.offset + i] = (i % 11) as f32 / 11.0 - 0.5);
            let mut batch = Batch::new(kernels, [&mut memory].into_iter(), None);
            program.run(0..program.len(), &mut batch, Length(1));
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
