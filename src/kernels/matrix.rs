//! Weights, packed once when a model is loaded.
//!
//! Packed weights lie in panels. A panel holds the columns (outputs) of a few registers side by side, for all inputs in
//! order, so that a product reads it front to back. A single output in f32 is a panel of one column.

use super::Kernels;
use super::arena::{Arena, Element, Pool, Weights, arena_bytes};
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
    pub(super) fn scale(self, largest: f32, sum: f32) -> f32 {
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
pub(super) struct Bf16(pub(super) u16);

// SAFETY: a transparent wrapper of a plain number.
unsafe impl Element for Bf16 {}

impl Bf16 {
    /// To the nearest, ties to even; for numbers that are finite in this format.
    pub(super) fn nearest(x: f32) -> Self {
        let bits = x.to_bits();
        Self((bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }
}

/// The reason why a matrix cannot be packed.
#[derive(Debug)]
pub(crate) enum PackError {
    Memory(TryReserveError),
    /// A weight or bias is not finite, or not finite in its format.
    NotFinite,
    /// Weights that were packed before have other sizes.
    Misfit,
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
    pub(super) fn width(&self, outputs: usize) -> usize {
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
    pub(super) fn rows(&self, inputs: usize) -> usize {
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

impl Weights for Matrix {
    fn arenas(&self, visit: &mut dyn FnMut(&[u8])) {
        self.scales.arenas(visit);
        match &self.weights {
            Storage::F32(weights) => weights.arenas(visit),
            Storage::Bf16(weights) => weights.arenas(visit),
            Storage::Int16(weights) => weights.arenas(visit),
            Storage::Int8(weights) => weights.arenas(visit),
        }
        self.bias.arenas(visit);
    }
}

impl Matrix {
    /// Packs a matrix that uses all of `elements.values`. Of weights that were packed before, neither they nor `bias`
    /// are asked.
    pub(crate) fn pack(
        packing: Packing,
        elements: Elements,
        bias: &dyn Fn(usize) -> f32,
    ) -> Result<Self, PackError> {
        let Packing { kernels, format, pool } = packing;
        let (inputs, outputs, run) = (elements.inputs.len(), elements.outputs.len(), elements.run);
        assert!(inputs.is_multiple_of(run));
        let width = packing.width(outputs);
        let padded = outputs.next_multiple_of(kernels.panel_width());
        let integers = format.integers();
        let mut scales = pool.filled(if integers.is_some() { padded } else { 0 }, |_| Ok(()))?;
        let weights = match format {
            Format::F32 => Storage::F32(packing.panels(elements, &mut scales)?),
            Format::Bf16 => Storage::Bf16(packing.panels(elements, &mut scales)?),
            Format::Int16(_) => Storage::Int16(packing.panels(elements, &mut scales)?),
            Format::Int8 => Storage::Int8(packing.panels(elements, &mut scales)?),
        };
        let bias = pool.filled(padded, |biases| {
            biases[..outputs].iter_mut().enumerate().for_each(|(output, b)| *b = bias(output));
            Ok(())
        })?;
        if !bias.iter().chain(scales.iter()).all(|number| number.is_finite()) {
            return Err(PackError::NotFinite);
        }
        Ok(Self { inputs, outputs, run, integers, width, weights, scales, bias })
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
