//! Weights, packed once at load for the products to come.
//!
//! They lie in panels: a panel holds the columns (outputs) of a few registers side by side, for all
//! inputs in order, so that a product reads it front to back.

use super::Kernels;
use super::arena::{Arena, Element};
use super::simd::Simd;
use std::collections::TryReserveError;

/// How the weights of a matrix are kept. Products are computed in f32 whatever the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As they are.
    F32,
    /// Rounded to bfloat16.
    Bf16,
    /// Rounded to whole multiples, −127 to 127, of a scale per output.
    Int8,
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

/// A weight as it is stored.
pub(super) trait Weight<S: Simd>: Element {
    /// Loads and widens `LANES` weights.
    ///
    /// # Safety
    ///
    /// As for [`Simd`].
    unsafe fn load(p: *const Self) -> S::Vector;
}

impl<S: Simd> Weight<S> for f32 {
    #[inline(always)]
    unsafe fn load(p: *const f32) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { S::load(p) }
    }
}

impl<S: Simd> Weight<S> for Bf16 {
    #[inline(always)]
    unsafe fn load(p: *const Bf16) -> S::Vector {
        // SAFETY: the caller's; `Bf16` is a u16.
        unsafe { S::load_bf16(p.cast()) }
    }
}

impl<S: Simd> Weight<S> for i8 {
    #[inline(always)]
    unsafe fn load(p: *const i8) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { S::load_i8(p) }
    }
}

/// One of the storage formats.
#[derive(Clone, Copy)]
pub(super) enum Weights<F, B, I> {
    F32(F),
    Bf16(B),
    Int8(I),
}

/// A packed matrix with its bias: `inputs` × `outputs`.
pub(crate) struct Matrix {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Inputs that lie side by side in a row; `inputs` is a multiple.
    pub(super) run: usize,
    /// Outputs in a panel.
    pub(super) width: usize,
    /// `[panel][input][width]`, the last panel filled up with zeros.
    pub(super) weights: Weights<Arena<f32>, Arena<Bf16>, Arena<i8>>,
    /// `[panel][width]` for eight-bit weights, else empty.
    pub(super) scales: Arena<f32>,
    /// `[panel][width]`.
    pub(super) bias: Arena<f32>,
}

/// A matrix somewhere in memory: the weight from an input to an output is
/// `values[inputs[input] + outputs[output]]`.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) inputs: &'a [usize],
    pub(crate) outputs: &'a [usize],
}

impl Matrix {
    /// Packs a matrix for `kernels`, which must be the ones that later multiply with it.
    pub(crate) fn pack(
        kernels: Kernels,
        format: Format,
        elements: Elements,
        bias: impl Fn(usize) -> f32,
    ) -> Result<Self, TryReserveError> {
        let (inputs, outputs, width) = (elements.inputs.len(), elements.outputs.len(), kernels.panel_width());
        let padded = outputs.div_ceil(width) * width;
        let mut scales = Arena::zeroed(if format == Format::Int8 { padded } else { 0 })?;
        let weights = match format {
            Format::F32 => Weights::F32(panels(elements, width, |_, weight| weight)?),
            Format::Bf16 => Weights::Bf16(panels(elements, width, |_, weight| Bf16::nearest(weight))?),
            Format::Int8 => {
                for (scale, &output) in scales.iter_mut().zip(elements.outputs) {
                    let weights = elements.inputs.iter().map(|input| elements.values[input + output].abs());
                    let largest = weights.fold(0.0, f32::max);
                    *scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
                }
                // To the nearest, ties to even, as numbers of this size have no fraction; baseline x86-64 has no
                // instruction for it.
                const NO_FRACTION: f32 = 1.5 * (1 << 23) as f32;
                let round =
                    |output: usize, weight: f32| (weight / scales[output] + NO_FRACTION - NO_FRACTION) as i8;
                Weights::Int8(panels(elements, width, round)?)
            }
        };
        let mut biases = Arena::zeroed(padded)?;
        for (output, b) in biases[..outputs].iter_mut().enumerate() {
            *b = bias(output);
        }
        Ok(Self { inputs, outputs, run: inputs, width, weights, scales, bias: biases })
    }

    /// The same matrix for rows that consist of runs of `run` inputs.
    pub(crate) fn with_runs(self, run: usize) -> Self {
        assert!(self.inputs.is_multiple_of(run));
        Self { run, ..self }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Scales of eight-bit weights, by output; empty for others.
    pub(crate) fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// What is added to the outputs.
    pub(crate) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Bytes of weights, scales and bias.
    pub(crate) fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::F32(w) => w.bytes(),
            Weights::Bf16(w) => w.bytes(),
            Weights::Int8(w) => w.bytes(),
        };
        weights + self.scales.bytes() + self.bias.bytes()
    }

    /// The weights that lead to one output, in order of inputs, of a matrix in f32.
    pub(crate) fn column(&self, output: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(output < self.outputs);
        let Weights::F32(weights) = &self.weights else { unreachable!("only codebooks are read back") };
        let (panel, column) = (output / self.width, output % self.width);
        weights[panel * self.inputs * self.width..][..self.inputs * self.width]
            .iter()
            .skip(column)
            .step_by(self.width)
            .copied()
    }
}

/// Lays elements out in panels, converted by `convert(output, weight)`.
fn panels<T: Element>(
    Elements { values, inputs, outputs }: Elements,
    width: usize,
    convert: impl Fn(usize, f32) -> T,
) -> Result<Arena<T>, TryReserveError> {
    let panel_len = inputs.len() * width;
    let mut packed = Arena::zeroed(outputs.len().div_ceil(width) * panel_len)?;
    let copy = |to: &mut [T], input: usize, first: usize, outputs: &[usize]| {
        for (column, (to, output)) in to.iter_mut().zip(outputs).enumerate() {
            *to = convert(first + column, values[input + output]);
        }
    };
    // In the order in which the elements lie in memory.
    let by_input = outputs.last() < inputs.last();
    if by_input {
        for (row, &input) in inputs.iter().enumerate() {
            for (panel, outputs) in outputs.chunks(width).enumerate() {
                copy(&mut packed[panel * panel_len + row * width..][..width], input, panel * width, outputs);
            }
        }
        return Ok(packed);
    }
    for (panel, outputs) in outputs.chunks(width).enumerate() {
        let packed = &mut packed[panel * panel_len..][..panel_len];
        for (to, &input) in packed.chunks_exact_mut(width).zip(inputs) {
            copy(to, input, panel * width, outputs);
        }
    }
    Ok(packed)
}
