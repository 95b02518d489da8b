//! Weights, packed once when a model is loaded.
//!
//! Packed weights lie in panels. A panel holds the columns (outputs) of a few registers side by side, for all inputs in
//! order, so that a product reads it front to back. A single output in f32 is a panel of one column.

use super::Kernels;
use super::arena::{Arena, Element, Pool, arena_bytes};
use std::collections::TryReserveError;

/// The format of a matrix's weights in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The checkpoint's values.
    F32,
    /// Rounded to bfloat16.
    Bf16,
    /// Rounded to whole multiples of a scale per output, in 16 bits. Inputs are rounded, too.
    Int16(Integers),
    /// The same in eight bits, −127 to 127.
    Int8,
}

/// How weights and inputs are rounded to integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integers {
    /// The largest magnitude of a weight.
    pub(crate) weights: i32,
    /// The largest magnitude of an input.
    pub(crate) inputs: i32,
    /// The most inputs whose products are summed in 32 bits; even.
    pub(crate) segment: usize,
}

impl Integers {
    /// Weights of eight bits, and inputs of 16.
    pub(super) const INT8: Self = Self { weights: 127, inputs: 32767, segment: 512 };

    /// Weights of up to 16 bits: as many as sums of [`segment`](Self::segment) products leave room for, which is 12 if
    /// their sizes are spread evenly and about 14 in trained networks. Inputs of 15 bits. `tests/README.md` has the
    /// table of what others cost.
    pub(crate) const INT16: Self = Self { weights: 32767, inputs: 16383, segment: 128 };

    /// An output's scale, from its largest weight and the largest sum of magnitudes of a segment's weights: the least
    /// by which neither a weight nor a sum of products is too large.
    fn scale(self, largest: f32, sum: f32) -> f32 {
        // Each of a segment's weights may be rounded up by a half. The sum itself was rounded as f32.
        let room = (i32::MAX / self.inputs) as f32 * 0.9999 - self.segment as f32 / 2.0;
        (largest / self.weights as f32).max(sum / room)
    }
}

impl Format {
    /// How weights that are integers are rounded.
    pub(crate) fn integers(self) -> Option<Integers> {
        match self {
            Self::F32 | Self::Bf16 => None,
            Self::Int16(integers) => Some(integers),
            Self::Int8 => Some(Integers::INT8),
        }
    }
}

/// A number's upper sixteen bits.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Bf16(u16);

// SAFETY: a transparent wrapper of a plain number.
unsafe impl Element for Bf16 {}

impl Bf16 {
    /// To the nearest, ties to even; for finite numbers.
    fn nearest(x: f32) -> Self {
        let bits = x.to_bits();
        Self((bits.saturating_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }
}

/// The reason why a matrix cannot be packed.
#[derive(Debug)]
pub(crate) enum PackError {
    Memory(TryReserveError),
    /// A weight or bias is not finite, or not finite in its format.
    NotFinite,
}

impl From<TryReserveError> for PackError {
    fn from(error: TryReserveError) -> Self {
        Self::Memory(error)
    }
}

/// Packed weights in their format.
pub(super) enum Storage {
    F32(Arena<f32>),
    Bf16(Arena<Bf16>),
    Int16(Arena<i16>),
    Int8(Arena<i8>),
}

/// A packed matrix with its bias: `inputs` × `outputs`.
pub(crate) struct Matrix {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// As in [`Elements`].
    pub(super) run: usize,
    /// Of weights that are integers, whose inputs are rounded.
    pub(super) integers: Option<Integers>,
    /// Outputs in a panel: the kernels' panel width, or 1 for a single output in f32.
    pub(super) width: usize,
    /// `[panel][input][width]`, or `[panel][pair of inputs][width][2]` for integers, whose runs are whole pairs; padded
    /// with zeros.
    pub(super) weights: Storage,
    /// `[panel][width]` for integers; else empty.
    pub(super) scales: Arena<f32>,
    /// By output, padded with zeros to whole panels of the kernels.
    pub(super) bias: Arena<f32>,
}

/// A matrix somewhere in memory: the weight from an input to an output is
/// `values[inputs[input] + outputs[output]]`.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    pub(crate) values: &'a [f32],
    /// All are different.
    pub(crate) inputs: &'a [usize],
    pub(crate) outputs: &'a [usize],
    /// Inputs of a row that lie side by side, and have a scale of their own where they are rounded; the number of
    /// inputs is a multiple.
    pub(crate) run: usize,
}

impl Elements<'_> {
    /// The least of `inputs`, if the weights of an output lie side by side in any order.
    fn side_by_side(&self) -> Option<usize> {
        let first = self.inputs.iter().min()?;
        let last = self.inputs.iter().max()?;
        (last - first < self.inputs.len()).then_some(*first)
    }

    /// The largest magnitude among an output's weights, and the largest sum of those of a segment of a run.
    fn magnitudes(&self, output: usize, segment: usize) -> [f32; 2] {
        let [mut largest, mut most] = [0.0f32; 2];
        for segment in self.inputs.chunks(self.run).flat_map(|run| run.chunks(segment)) {
            // of every fourth weight, because additions to one sum wait for each other
            let mut sums = [0.0f32; 4];
            let (four, rest) = segment.as_chunks::<4>();
            for inputs in four {
                for (sum, input) in sums.iter_mut().zip(inputs) {
                    let weight = self.values[input + output].abs();
                    (largest, *sum) = (largest.max(weight), *sum + weight);
                }
            }
            for input in rest {
                let weight = self.values[input + output].abs();
                (largest, sums[0]) = (largest.max(weight), sums[0] + weight);
            }
            most = most.max(sums.iter().sum());
        }
        [largest, most]
    }

    /// Whether all weights are finite in a format.
    fn are_finite(&self, format: Format) -> bool {
        let infinite = match format {
            // values from here on are rounded to infinity
            Format::Bf16 => 0x7f7f_8000,
            Format::F32 | Format::Int16(_) | Format::Int8 => f32::INFINITY.to_bits(),
        };
        self.values.iter().fold(0, larger) < infinite
    }
}

/// The larger of two numbers' bits without their signs. A larger number has larger bits, and NaN has the largest.
/// Integers are compared faster than floats.
fn larger(max: u32, weight: &f32) -> u32 {
    max.max(weight.abs().to_bits())
}

/// The kernels, format and memory that weights are packed for.
#[derive(Clone, Copy)]
pub(crate) struct Packing<'a> {
    /// The kernels that will multiply with the weights.
    pub(crate) kernels: Kernels,
    pub(crate) format: Format,
    pub(crate) pool: &'a Pool,
}

impl Packing<'_> {
    /// Whether the weights are not rounded.
    pub(crate) fn is_exact(&self) -> bool {
        self.format == Format::F32
    }

    /// Whether the weights are integers, whose inputs are rounded.
    pub(crate) fn is_of_integers(&self) -> bool {
        self.format.integers().is_some()
    }

    /// Outputs in a panel of a matrix with `outputs` outputs.
    fn width(&self, outputs: usize) -> usize {
        match (outputs, self.format) {
            (1, Format::F32) => 1,
            _ => self.kernels.panel_width(),
        }
    }

    /// Inputs that lie side by side for each output.
    fn step(&self) -> usize {
        if self.format.integers().is_some() { 2 } else { 1 }
    }

    /// Rows of weights in a panel for a run of `inputs` inputs.
    fn rows(&self, inputs: usize) -> usize {
        inputs.checked_next_multiple_of(self.step()).unwrap_or(usize::MAX)
    }

    /// Bytes of a packed matrix of a single run. Any numbers are allowed, also those of a wrong config.
    pub(crate) fn bytes(&self, [inputs, outputs]: [usize; 2]) -> usize {
        let whole = |width: usize| outputs.div_ceil(width).saturating_mul(width);
        let weights = self.rows(inputs).saturating_mul(whole(self.width(outputs)));
        let padded = whole(self.kernels.panel_width());
        let (weights, scales) = match self.format {
            Format::F32 => (arena_bytes::<f32>(weights), 0),
            Format::Bf16 => (arena_bytes::<Bf16>(weights), 0),
            Format::Int16(_) => (arena_bytes::<i16>(weights), padded),
            Format::Int8 => (arena_bytes::<i8>(weights), padded),
        };
        weights.saturating_add(arena_bytes::<f32>(scales)).saturating_add(arena_bytes::<f32>(padded))
    }
}

impl Matrix {
    /// Packs a matrix that uses all of `elements.values`.
    pub(crate) fn pack(
        packing: Packing,
        elements: Elements,
        bias: &dyn Fn(usize) -> f32,
    ) -> Result<Self, PackError> {
        let Packing { kernels, format, pool } = packing;
        if !elements.are_finite(format) {
            return Err(PackError::NotFinite);
        }
        let (inputs, outputs, run) = (elements.inputs.len(), elements.outputs.len(), elements.run);
        assert!(inputs.is_multiple_of(run));
        let width = packing.width(outputs);
        let padded = outputs.next_multiple_of(kernels.panel_width());
        let integers = format.integers();
        let mut scales = pool.zeroed(if integers.is_some() { padded } else { 0 })?;
        if let Some(integers) = integers {
            scales.fill(1.0);
            for (scale, &output) in scales.iter_mut().zip(elements.outputs) {
                let [largest, sum] = elements.magnitudes(output, integers.segment);
                let least = integers.scale(largest, sum);
                if !least.is_finite() {
                    return Err(PackError::NotFinite);
                }
                *scale = if least >= f32::MIN_POSITIVE { least } else { 1.0 };
            }
        }
        let weights = match format {
            Format::F32 => {
                Storage::F32(panels::<_, 1>(packing, elements, |_, from, to| to.copy_from_slice(from))?)
            }
            Format::Bf16 => Storage::Bf16(panels::<_, 1>(packing, elements, |_, from, to| {
                to.iter_mut().zip(from).for_each(|(to, weight)| *to = Bf16::nearest(*weight));
            })?),
            Format::Int16(_) => Storage::Int16(panels::<_, 2>(packing, elements, |first, from, to| {
                to.iter_mut()
                    .zip(rounded(from, &scales[first..]))
                    .for_each(|(to, weight)| *to = weight as i16);
            })?),
            Format::Int8 => Storage::Int8(panels::<_, 2>(packing, elements, |first, from, to| {
                to.iter_mut()
                    .zip(rounded(from, &scales[first..]))
                    .for_each(|(to, weight)| *to = weight as i8);
            })?),
        };
        let mut biases = pool.zeroed(padded)?;
        for (output, b) in biases[..outputs].iter_mut().enumerate() {
            *b = bias(output);
        }
        if !biases.iter().all(|bias| bias.is_finite()) {
            return Err(PackError::NotFinite);
        }
        Ok(Self { inputs, outputs, run, integers, width, weights, scales, bias: biases })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Inputs of a row that lie side by side.
    pub(crate) fn run(&self) -> usize {
        self.run
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    /// Outputs in a panel; the last panel may have fewer.
    pub(crate) fn panel_outputs(&self) -> usize {
        self.width
    }

    /// Bytes of the weights in a panel.
    pub(crate) fn panel_bytes(&self) -> usize {
        self.width
            * match self.weights {
                Storage::F32(_) => self.inputs * size_of::<f32>(),
                Storage::Bf16(_) => self.inputs * size_of::<Bf16>(),
                Storage::Int16(_) => self.inputs_in_pairs() * size_of::<i16>(),
                Storage::Int8(_) => self.inputs_in_pairs(),
            }
    }

    /// Inputs, with one more for each run of an odd number.
    fn inputs_in_pairs(&self) -> usize {
        self.inputs / self.run * self.run.next_multiple_of(2)
    }

    /// Whether weights are integers, whose inputs are rounded.
    pub(crate) fn is_of_integers(&self) -> bool {
        self.integers.is_some()
    }

    /// The most inputs in a segment, for integers.
    pub(super) fn segment(&self) -> Option<usize> {
        self.integers.map(|integers| integers.segment)
    }

    /// Whether the matrix has one output, whose weights lie side by side.
    pub(super) fn is_column(&self) -> bool {
        self.width == 1
    }

    /// Scales by output for integers; else empty.
    pub(crate) fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The summand of each output.
    pub(crate) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Bytes of weights, scales and bias.
    pub(crate) fn bytes(&self) -> usize {
        arena_bytes::<i8>(self.panels() * self.panel_bytes()) + self.scales.bytes() + self.bias.bytes()
    }

    /// The weights of one output by input, of a matrix in f32.
    pub(crate) fn column(&self, output: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(output < self.outputs);
        let Storage::F32(weights) = &self.weights else { unreachable!("only codebooks are read back") };
        let (panel, column) = (output / self.width, output % self.width);
        weights[panel * self.inputs * self.width..][..self.inputs * self.width]
            .iter()
            .skip(column)
            .step_by(self.width)
            .copied()
    }
}

/// Weights as multiples of their scales, to the nearest, ties to even.
fn rounded(weights: &[f32], scales: &[f32]) -> impl Iterator<Item = f32> {
    // A sum with it is rounded, because numbers of this size have no fraction. Baseline x86-64 has no instruction for
    // it.
    const NO_FRACTION: f32 = 1.5 * (1 << 23) as f32;
    weights.iter().zip(scales).map(|(weight, scale)| weight / scale + NO_FRACTION - NO_FRACTION)
}

/// Lays out elements in panels, with the weights of `STEP` inputs side by side. `convert(first output, weights,
/// packed)` converts the weights from one input to the outputs of a panel.
fn panels<T: Element, const STEP: usize>(
    packing: Packing,
    elements: Elements,
    convert: impl Fn(usize, &[f32], &mut [T]),
) -> Result<Arena<T>, TryReserveError> {
    let width = packing.width(elements.outputs.len());
    let rows = elements.inputs.len() / elements.run * packing.rows(elements.run);
    let packed = packing.pool.zeroed(elements.outputs.len().next_multiple_of(width).saturating_mul(rows))?;
    debug_assert_eq!(packing.step(), STEP);
    match width {
        1 => panels_of::<T, 1, STEP>(packed, rows, elements, convert),
        8 => panels_of::<T, 8, STEP>(packed, rows, elements, convert),
        16 => panels_of::<T, 16, STEP>(packed, rows, elements, convert),
        32 => panels_of::<T, 32, STEP>(packed, rows, elements, convert),
        _ => unreachable!("no instruction set has panels of {width}"),
    }
}

/// Lays out panels of `rows` rows. Of each output, the weights of `STEP` rows lie side by side.
fn panels_of<T: Element, const WIDTH: usize, const STEP: usize>(
    mut packed: Arena<T>,
    rows: usize,
    elements: Elements,
    convert: impl Fn(usize, &[f32], &mut [T]),
) -> Result<Arena<T>, TryReserveError> {
    let Elements { values, inputs, outputs, run } = elements;
    let place = |panel: usize, weights: &[f32; WIDTH], packed: &mut [[T; WIDTH]], input: usize| {
        if STEP == 1 {
            return convert(panel * WIDTH, weights, &mut packed[input]);
        }
        let row = match run.is_multiple_of(STEP) {
            true => input,
            false => input / run * run.next_multiple_of(STEP) + input % run,
        };
        let mut converted = packed[row];
        convert(panel * WIDTH, weights, &mut converted);
        let side_by_side = packed[row / STEP * STEP..][..STEP].as_flattened_mut();
        side_by_side
            .iter_mut()
            .skip(row % STEP)
            .step_by(STEP)
            .zip(converted)
            .for_each(|(to, weight)| *to = weight);
    };
    let Some(start) = elements.side_by_side() else {
        // A transposed convolution: the weights of an input lie side by side.
        let (packed_rows, _) = packed.as_chunks_mut::<WIDTH>();
        for (row, &input) in inputs.iter().enumerate() {
            for (panel, outputs) in outputs.chunks(WIDTH).enumerate() {
                let mut weights = [0.0; WIDTH];
                weights.iter_mut().zip(outputs).for_each(|(weight, output)| *weight = values[input + output]);
                place(panel, &weights, &mut packed_rows[panel * rows..][..rows], row);
            }
        }
        return Ok(packed);
    };
    // Elements are read in squares of a cache line's length. The weights of different outputs may lie pages apart, and
    // would push each other out of the cache if they were read input by input.
    const SIDE: usize = 16;
    let mut order = Vec::new();
    order.try_reserve_exact(inputs.len())?;
    order.resize(inputs.len(), 0);
    inputs.iter().enumerate().for_each(|(input, offset)| order[offset - start] = input);
    let (packed_rows, _) = packed.as_chunks_mut::<WIDTH>();
    for (panel, outputs) in outputs.chunks(WIDTH).enumerate() {
        let packed_rows = &mut packed_rows[panel * rows..][..rows];
        for (square, inputs) in order.chunks(SIDE).enumerate() {
            let mut weights = [[0.0; WIDTH]; SIDE];
            for (column, output) in outputs.iter().enumerate() {
                let from = &values[output + start + square * SIDE..][..inputs.len()];
                weights.iter_mut().zip(from).for_each(|(row, weight)| row[column] = *weight);
            }
            for (weights, &input) in weights.iter().zip(inputs) {
                place(panel, weights, packed_rows, input);
            }
        }
    }
    Ok(packed)
}
