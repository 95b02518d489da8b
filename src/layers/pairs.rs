//! Convolutions of two taps, two outputs at a time with three products in place of four (S. Winograd, "Arithmetic
//! Complexity of Computations", 1980, where they are F(2, 2)).
//!
//! Of inputs u₀, u₁, u₂ and taps A, B the outputs are u₀A + u₁B = (u₀ − u₁)A + u₁(A + B) and
//! u₁A + u₂B = u₁(A + B) + (u₂ − u₁)B. A resampling convolution whose kernel is two strides has two taps: a stride of
//! rows, or what a row becomes, counts as one.

use super::memory::{Batch, Slot};
use crate::Error;
use crate::error::with_capacity;
use crate::kernels::{Activation, Elements, Matrix, Packing, Product, Rows};

/// Weights of a convolution that is worth it. With fewer there is too little to multiply for an output, and more, kept
/// one and a half times, would cost a stream in reading what they save it in arithmetic.
pub const PAIRED_WEIGHTS: std::ops::RangeInclusive<usize> = 1 << 15..=1 << 21;

/// The matrices of two taps.
pub(super) struct Pairs {
    /// A, for differences of even rows.
    even: Matrix,
    /// −B, for differences of odd rows.
    odd: Matrix,
    /// A + B and the bias, for the odd rows themselves.
    middle: Matrix,
}

impl Pairs {
    /// From the elements of a matrix whose inputs are those of A, then those of B.
    pub(super) fn new(
        packing: Packing,
        elements: Elements,
        bias: impl Fn(usize) -> f32,
    ) -> Result<Self, Error> {
        let width = elements.inputs.len() / 2;
        let (a, b) = elements.inputs.split_at(width);
        let inputs = super::conv::offsets(0..width)?;
        let outputs = super::conv::offsets((0..elements.outputs.len()).map(|output| output * width))?;
        let mut values = with_capacity(width * outputs.len())?;
        let mut pack = |of: fn(f32, f32) -> f32, bias: &dyn Fn(usize) -> f32| {
            values.clear();
            for output in elements.outputs {
                let value = |input: &usize| elements.values[input + output];
                values.extend(a.iter().zip(b).map(|(a, b)| of(value(a), value(b))));
            }
            let elements = Elements { values: &values, inputs: &inputs, outputs: &outputs };
            Matrix::pack(packing, elements, bias).map_err(super::conv::pack_error)
        };
        Ok(Self {
            even: pack(|a, _| a, &|_| 0.0)?,
            odd: pack(|_, b| -b, &|_| 0.0)?,
            middle: pack(|a, b| a + b, &bias)?,
        })
    }

    pub(super) fn outputs(&self) -> usize {
        self.middle.outputs()
    }

    /// Inputs of both taps.
    pub(super) fn inputs(&self) -> usize {
        2 * self.middle.inputs()
    }

    pub(super) fn bytes(&self) -> usize {
        self.even.bytes() + self.odd.bytes() + self.middle.bytes()
    }

    /// `rows` outputs at `y` for the contiguous inputs at `x`, of which there is one more; the first output's number in
    /// the stream is even. `differences` has room for `rows` inputs.
    pub(super) fn apply(
        &self,
        batch: &mut Batch,
        x: usize,
        differences: Slot,
        rows: usize,
        y: Rows,
        activation: Activation,
    ) {
        let width = self.middle.inputs();
        let kernels = batch.kernels;
        for stream in batch.streams() {
            let x = x..x + (rows + 1) * width;
            let Ok([x, y]) = stream.scratch.get_disjoint_mut([x, differences.first(rows * width)]) else {
                unreachable!("slots of a plan are disjoint")
            };
            kernels.subtract(&x[..rows * width], &x[width..], y);
        }
        let every_other = |offset: usize, stride: usize| Rows { offset, stride: 2 * stride };
        let (even_y, odd_y) = (every_other(y.offset, y.stride), every_other(y.offset + y.stride, y.stride));
        let mut product = |matrix, x: usize, rows, y, residual, activation| {
            let x = every_other(x, width);
            batch.matmul(matrix, Product { x, run_stride: width, y, rows, residual, activation });
        };
        // what both outputs of a pair have in common waits in the even one's place
        product(&self.middle, x + width, rows.div_ceil(2), even_y, None, Activation::None);
        product(&self.odd, differences.offset + width, rows / 2, odd_y, Some(even_y), activation);
        product(&self.even, differences.offset, rows.div_ceil(2), even_y, Some(even_y), activation);
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::{Conv, Padding};
    use super::super::memory::Plan;
    use super::*;
    use crate::kernels::{Format, InstructionSet, Kernels, Pool};

    /// Numbers in −1..1, from the generator of Numerical Recipes.
    fn noise(count: usize, mut seed: u32) -> Vec<f32> {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(next).collect()
    }

    /// The outputs for `x`, in steps of the given numbers of outputs.
    fn run(kernels: Kernels, conv: &Conv, x: &[f32], steps: &[usize]) -> Vec<f32> {
        let most = *steps.iter().max().unwrap();
        let mut plan = Plan::new(1);
        let state = conv.plan(&mut plan, most * conv.stride());
        let y = plan.scratch(most, conv.outputs()).rows(conv.outputs());
        let mut memory = plan.build(0).unwrap();
        let (mut rest, mut outputs) = (x, Vec::new());
        for &step in steps {
            let (now, later) = rest.split_at(step * conv.stride() * conv.channels());
            rest = later;
            memory.scratch[conv.input(&state).offset..][..now.len()].copy_from_slice(now);
            let mut batch = Batch::new(kernels, [&mut memory].into_iter(), None);
            conv.step(&mut batch, &state, step * conv.stride(), y, None, Activation::Elu);
            outputs.extend_from_slice(&memory.scratch[y.offset..][..step * conv.outputs()]);
        }
        outputs
    }

    #[test]
    fn pairs_are_two_taps_and_their_bits_do_not_depend_on_steps() {
        let (channels, outputs, stride) = (48, 70, 6);
        let count = channels * outputs * 2 * stride;
        assert!(PAIRED_WEIGHTS.contains(&count));
        let (weight, bias) = (noise(count, 1), noise(outputs, 2));
        for kernels in InstructionSet::available().filter_map(Kernels::new) {
            let packing = Packing { kernels, format: Format::F32, pool: &Pool::default() };
            for transposed in [false, true] {
                let conv = |pairs| match transposed {
                    true => {
                        let shape = [channels, outputs, 2 * stride];
                        Conv::transposed(packing, &weight, Some(&bias), shape, stride, 1, pairs)
                    }
                    false => {
                        let (shape, padding) = ([outputs, channels, 2 * stride], Padding::Zeros);
                        Conv::new(packing, &weight, Some(&bias), shape, stride, 1, padding, pairs)
                    }
                };
                let (plain, pairs) = (conv(false).unwrap(), conv(true).unwrap());
                assert!(pairs.bytes() > plain.bytes());
                let x = noise(13 * pairs.stride() * channels, 3);
                let expected = run(kernels, &plain, &x, &[13]);
                let found = run(kernels, &pairs, &x, &[13]);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 2e-4, "{kernels:?}: {found} is not {expected}");
                }
                for steps in [&[2, 2, 2, 2, 2, 2, 1][..], &[4, 6, 3], &[10, 2, 1]] {
                    assert!(run(kernels, &pairs, &x, steps) == found, "{kernels:?}, {steps:?}");
                }
            }
        }
    }
}
