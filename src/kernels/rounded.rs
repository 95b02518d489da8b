//! Inputs rounded to integers of up to 16 bits, for products with weights that are integers. The sums of these products
//! are of integers, and exact within a segment.
//!
//! Each run of inputs, or each difference of two runs, is a block: it is rounded once, to whole multiples of its own
//! scale, however many rows of a convolution it is part of. The scale is the block's largest magnitude, divided by the
//! largest integer. So what is rounded depends on the block alone, and neither on the rows beside it nor on how a
//! stream is cut.

use super::arena::Arena;
use super::matmul::{Product, Rows};
use super::matrix::Matrix;
use super::simd::{MAX_LANES, Simd};
use std::collections::TryReserveError;

/// The rounded inputs of a product, in the memory of a stream: blocks of values, each with its scale after it.
pub(crate) struct Rounded {
    pub(super) values: Arena<i16>,
}

impl Rounded {
    /// Room for up to `values` values, as [`Blocks::len`] counts them.
    pub(crate) fn new(values: usize) -> Result<Self, TryReserveError> {
        Ok(Self { values: Arena::zeroed(values)? })
    }

    pub(crate) fn try_clone(&self) -> Result<Self, TryReserveError> {
        Ok(Self { values: self.values.try_clone()? })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}

/// How the inputs of a product lie as blocks.
pub(crate) struct Blocks {
    /// Inputs in a block.
    pub(super) values: usize,
    /// The same in whole pairs.
    pub(super) padded: usize,
    /// From one block to the next in the memory of the inputs.
    stride: usize,
    /// Blocks from one row to the next, and from one run of a row to the next.
    pub(super) row: usize,
    pub(super) run: usize,
    /// Runs of a row.
    runs: usize,
    /// The largest rounded magnitude.
    pub(super) largest: f32,
}

impl Blocks {
    /// Of the product with a matrix; `None` if its inputs are not rounded.
    pub(crate) fn of(matrix: &Matrix, product: &Product) -> Option<Self> {
        let largest = matrix.integers?.inputs;
        let (values, runs) = (matrix.run, matrix.inputs / matrix.run);
        let (row_stride, run_stride) = (product.x.stride, product.run_stride);
        let (stride, row, run) = match runs {
            1 => (row_stride, 1, 0),
            _ => {
                let whole = row_stride.is_multiple_of(values) && run_stride.is_multiple_of(values);
                assert!(whole, "runs that overlap in part");
                (values, row_stride / values, run_stride / values)
            }
        };
        let (padded, largest) = (values.next_multiple_of(2), largest as f32);
        Some(Self { values, padded, stride, row, run, runs, largest })
    }

    /// From one block to the next in the memory of rounded inputs: its values, and an f32.
    pub(super) fn pitch(&self) -> usize {
        self.padded + 2
    }

    /// How many blocks `rows` rows have.
    fn count(&self, rows: usize) -> usize {
        let last = |count: usize, step: usize| count.saturating_sub(1).saturating_mul(step);
        last(rows, self.row).saturating_add(last(self.runs, self.run)).saturating_add(1)
    }

    /// Values that `rows` rows take in the memory of rounded inputs; the largest number if no address space holds them.
    pub(crate) fn len(&self, rows: usize) -> usize {
        self.count(rows).saturating_mul(self.pitch())
    }

    /// The places of the blocks of `rows` rows from `offset` on.
    pub(super) fn places(&self, offset: usize, rows: usize) -> (Rows, usize) {
        (Rows { offset, stride: self.stride }, self.count(rows))
    }
}

/// Values that are to be rounded: those at a pointer, or the differences of those at two.
pub(super) trait Values<S: Simd>: Copy {
    /// Two registers of them.
    ///
    /// # Safety
    ///
    /// 2·`LANES` are valid from `index` on; the CPU has `S`.
    unsafe fn registers(self, index: usize) -> [S::Vector; 2];
    /// `count` of them, then zeros.
    ///
    /// # Safety
    ///
    /// `count` is at most 2·`LANES`, and so many are valid from `index` on; the CPU has `S`.
    unsafe fn rest(self, index: usize, count: usize) -> [S::Vector; 2];
}

impl<S: Simd> Values<S> for *const f32 {
    #[inline(always)]
    unsafe fn registers(self, index: usize) -> [S::Vector; 2] {
        // SAFETY: the caller's.
        unsafe { [S::load(self.add(index)), S::load(self.add(index + S::LANES))] }
    }
    #[inline(always)]
    unsafe fn rest(self, index: usize, count: usize) -> [S::Vector; 2] {
        let mut rest = [0.0f32; 2 * MAX_LANES];
        // SAFETY: the caller's; 2·LANES values fit the buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(self.add(index), rest.as_mut_ptr(), count);
            Values::<S>::registers(rest.as_ptr(), 0)
        }
    }
}

/// Values less others.
#[derive(Clone, Copy)]
struct Differences(*const f32, *const f32);

impl<S: Simd> Values<S> for Differences {
    #[inline(always)]
    unsafe fn registers(self, index: usize) -> [S::Vector; 2] {
        // SAFETY: the caller's.
        unsafe { subtract::<S>(Values::<S>::registers(self.0, index), Values::<S>::registers(self.1, index)) }
    }
    #[inline(always)]
    unsafe fn rest(self, index: usize, count: usize) -> [S::Vector; 2] {
        // SAFETY: the caller's.
        unsafe {
            subtract::<S>(Values::<S>::rest(self.0, index, count), Values::<S>::rest(self.1, index, count))
        }
    }
}

/// a − b.
///
/// # Safety
///
/// The CPU has `S`.
#[inline(always)]
unsafe fn subtract<S: Simd>(a: [S::Vector; 2], b: [S::Vector; 2]) -> [S::Vector; 2] {
    // SAFETY: the caller's.
    unsafe { [S::sub(a[0], b[0]), S::sub(a[1], b[1])] }
}

/// Rounds the values of `count` blocks, the first of which is at `x`, to whole multiples of a scale, by which a block's
/// largest magnitude is [`Blocks::largest`]. They go to `y`, in whole pairs, and the scale after them. Where `less` is
/// not 0, the value `less` places further is subtracted from each first.
///
/// # Safety
///
/// All values of the blocks are valid at `x`, and `less` further; `y` is valid for as many blocks of rounded ones; the
/// CPU has `S`.
#[inline(always)]
pub(super) unsafe fn round_blocks<S: Simd>(
    blocks: &Blocks,
    count: usize,
    x: *const f32,
    less: usize,
    y: *mut i16,
) {
    for block in 0..count {
        // SAFETY: the caller's.
        unsafe {
            let (x, y) = (x.add(block * blocks.stride), y.add(block * blocks.pitch()));
            match less {
                0 => round_block::<S>(blocks, x, y),
                _ => round_block::<S>(blocks, Differences(x, x.add(less)), y),
            }
        }
    }
}

/// Rounds the values of a block.
///
/// # Safety
///
/// `x` and `y` are valid for the values of a block; the CPU has `S`.
#[inline(always)]
unsafe fn round_block<S: Simd>(blocks: &Blocks, x: impl Values<S>, y: *mut i16) {
    let len = blocks.values;
    // SAFETY: the caller's; a scale takes the place of two values.
    unsafe {
        let (scale, factor) = scale_of(x, len, blocks.largest);
        round(x, factor, y, len);
        if blocks.padded > len {
            *y.add(len) = 0;
        }
        y.add(blocks.padded).cast::<f32>().write_unaligned(scale);
    }
}

/// The scale by which the largest magnitude of `len` values is `largest`, and its inverse; zeros for values next to
/// nothing.
///
/// # Safety
///
/// `x` is valid for `len` values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn scale_of<S: Simd>(x: impl Values<S>, len: usize, largest: f32) -> (f32, f32) {
    // SAFETY: the caller's; every index is below `len`.
    unsafe {
        let whole = len - len % (2 * S::LANES);
        let mut most = [S::splat(0.0); 2];
        for i in (0..whole).step_by(2 * S::LANES) {
            for (most, value) in most.iter_mut().zip(x.registers(i)) {
                *most = S::max(*most, S::magnitude(value));
            }
        }
        if whole < len {
            for (most, value) in most.iter_mut().zip(x.rest(whole, len - whole)) {
                *most = S::max(*most, S::magnitude(value));
            }
        }
        let scale = S::largest(S::max(most[0], most[1])) / largest;
        // the inverse of a smaller scale is infinite
        if scale >= f32::MIN_POSITIVE { (scale, 1.0 / scale) } else { (0.0, 0.0) }
    }
}

/// y = x·factor, to the nearest integer, ties to even.
///
/// # Safety
///
/// Both pointers are valid for `len` values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn round<S: Simd>(x: impl Values<S>, factor: f32, y: *mut i16, len: usize) {
    // SAFETY: as above; every index is below `len`, and 2·LANES values fit the buffer.
    unsafe {
        let factor = S::splat(factor);
        let whole = len - len % (2 * S::LANES);
        for i in (0..whole).step_by(2 * S::LANES) {
            let [a, b] = x.registers(i);
            S::store_rounded(y.add(i), [S::mul(a, factor), S::mul(b, factor)]);
        }
        if whole < len {
            let ([a, b], mut rounded) = (x.rest(whole, len - whole), [0; 2 * MAX_LANES]);
            S::store_rounded(rounded.as_mut_ptr(), [S::mul(a, factor), S::mul(b, factor)]);
            std::ptr::copy_nonoverlapping(rounded.as_ptr(), y.add(whole), len - whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all_kernels, bounds::panic_of, multiply, noise, pack};
    use super::*;
    use crate::kernels::{Activation, Elements, Format, Integers, Kernels, Scratch};

    const INT16: Format = Format::Int16(Integers::INT16);

    struct Memory(Vec<f32>, Rounded);

    impl Scratch for &mut Memory {
        fn scratch(&mut self) -> (&mut [f32], &mut Rounded) {
            (&mut self.0, &mut self.1)
        }
    }

    /// A row of `x` times a matrix of one output whose weights are `weights`, in runs of `run`, and the blocks as they
    /// were rounded.
    fn product(kernels: Kernels, format: Format, x: &[f32], weights: &[f32], run: usize) -> (f32, Vec<i16>) {
        let inputs = (0..x.len()).collect::<Vec<_>>();
        let elements = Elements { values: weights, inputs: &inputs, outputs: &[0], run };
        let matrix = pack(kernels, format, elements, |_| 0.0);
        let product = Product {
            x: Rows { offset: 0, stride: x.len() },
            run_stride: run,
            y: Rows { offset: x.len(), stride: 1 },
            rows: 1,
            residual: None,
            activation: Activation::None,
        };
        let room = Blocks::of(&matrix, &product).unwrap().len(1);
        let mut memory = Memory([x, &[0.0]].concat(), Rounded::new(room).unwrap());
        multiply(kernels, &matrix, &mut [&mut memory], product, None);
        (memory.0[x.len()], memory.1.values.to_vec())
    }

    /// The values of a block, without its scale.
    fn values(block: &[i16]) -> &[i16] {
        &block[..block.len() - 2]
    }

    #[test]
    fn the_largest_is_32767_and_the_rest_in_proportion() {
        // with 32767 as the largest, values are rounded as they are; 19 fill no whole registers
        let mut x = [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 1.49, -2.51, -32766.4, 7.0, 1e-30, -0.0].to_vec();
        x.extend([32767.0, 3.0, 5.0, 8.0, -9.0, 2.6, -2.6]);
        let expected = [0, 0, 2, 2, 0, -2, 1, -3, -32766, 7, 0, 0, 32767, 3, 5, 8, -9, 3, -3, 0];
        for kernels in all_kernels() {
            for scale in [1.0, -1.0, 2f32.powi(80), 2f32.powi(-60)] {
                let scaled: Vec<f32> = x.iter().map(|x| x * scale).collect();
                let sign = scale.signum() as i16;
                let (_, block) = product(kernels, Format::Int8, &scaled, &[1.0; 19], 19);
                assert_eq!(values(&block), expected.map(|x| x * sign), "{kernels:?} {scale}");
            }
        }
    }

    #[test]
    fn each_run_has_a_scale_of_its_own() {
        for kernels in all_kernels() {
            let x = [1.0, -2.0, 4.0, 1000.0, 400.0, -250.0, 0.0, 0.0, 0.0];
            let (y, blocks) = product(kernels, INT16, &x, &[1.0; 9], 3);
            let found: Vec<_> = blocks.chunks(6).flat_map(values).copied().collect();
            assert_eq!(found, [4096, -8192, 16383, 0, 16383, 6553, -4096, 0, 0, 0, 0, 0], "{kernels:?}");
            assert!((y - 1153.0).abs() < 0.2, "{kernels:?}: {y}");
        }
    }

    /// Of `2 * rows` runs of `len` inputs, every other one less `less` places further, rounded: as in pairs.
    fn rounded_every_other(
        kernels: Kernels,
        values: &[f32],
        len: usize,
        rows: usize,
        less: usize,
    ) -> Vec<i16> {
        let inputs: Vec<_> = (0..len).collect();
        let elements = Elements { values: &vec![1.0; len], inputs: &inputs, outputs: &[0], run: len };
        let matrix = pack(kernels, INT16, elements, |_| 0.0);
        let product = Product::of_inputs(Rows { offset: 0, stride: 2 * len }, len, rows);
        let room = Blocks::of(&matrix, &product).unwrap().len(rows);
        let mut memory = Memory(values.to_vec(), Rounded::new(room).unwrap());
        kernels.round_inputs(&matrix, &mut &mut memory, product, less);
        memory.1.values.to_vec()
    }

    /// Blocks of differences have the bits of those that were subtracted before.
    #[test]
    fn differences_are_rounded_as_if_they_were_there() {
        for kernels in all_kernels() {
            for (len, rows) in [(1, 1), (7, 5), (48, 3), (100, 2)] {
                let mut noise = noise(len as u64);
                let x: Vec<f32> = (0..2 * rows * len).map(|_| noise()).collect();
                let differences: Vec<f32> = x.iter().zip(&x[len..]).map(|(a, b)| a - b).collect();
                let round = |values, less| rounded_every_other(kernels, values, len, rows, less);
                assert_eq!(round(&x, len), round(&differences, 0), "{kernels:?} {len}");
            }
        }
    }

    #[test]
    fn differences_beyond_the_memory_are_refused() {
        for kernels in all_kernels() {
            let said = panic_of(|| _ = rounded_every_other(kernels, &[1.0; 2 * 5 * 7 - 1], 7, 5, 7));
            assert_eq!(said, "rows end beyond the memory", "{kernels:?}");
        }
    }

    #[test]
    fn zeros_and_what_is_next_to_nothing_become_zeros() {
        for kernels in all_kernels() {
            for x in [[0.0; 21], [1e-36; 21], [f32::from_bits(1); 21]] {
                let (y, blocks) = product(kernels, Format::Int8, &x, &[1.0; 21], 21);
                assert_eq!((y, blocks), (0.0, vec![0; 24]), "{kernels:?} {}", x[0]);
            }
        }
    }

    /// The largest sums that there can be: weights of one size, and inputs of one size with their signs. If a sum did
    /// not fit 32 bits, it would be wrong by much.
    #[test]
    fn sums_of_the_largest_do_not_overflow() {
        let int16 = |segment| Format::Int16(Integers { segment, ..Integers::INT16 });
        for (format, rounding) in [(Format::Int8, 1e-5), (INT16, 6e-4), (int16(2), 1e-4), (int16(516), 3e-3)]
        {
            let Integers { segment, .. } = format.integers().unwrap();
            for kernels in all_kernels() {
                for len in [1, segment - 1, segment, segment + 1, 3000] {
                    for sign in [1.0, -1.0] {
                        let mut noise = noise(len as u64);
                        let x: Vec<f32> = (0..len).map(|_| noise().signum()).collect();
                        let weights: Vec<f32> = x.iter().map(|x| sign * x).collect();
                        let (y, _) = product(kernels, format, &x, &weights, len);
                        let error = (y - sign * len as f32).abs() / len as f32;
                        assert!(error < rounding, "{kernels:?} {format:?} {len}: {y}");
                    }
                }
            }
        }
    }

    /// Few large weights among small ones have all bits, and many large ones leave room for their sum.
    #[test]
    fn weights_have_the_bits_that_sums_leave_room_for() {
        let Integers { weights: most, inputs: input, segment } = Integers::INT16;
        let inputs: Vec<_> = (0..3 * segment).collect();
        let largest_of = |values: &[f32]| {
            let elements = Elements { values, inputs: &inputs, outputs: &[0], run: values.len() };
            let kernels = all_kernels().next().unwrap();
            let matrix = pack(kernels, INT16, elements, |_| 0.0);
            (1.0 / matrix.scales()[0]).round() as i32
        };
        let mut one = vec![1e-3; 3 * segment];
        one[segment + 5] = 1.0;
        assert_eq!(largest_of(&one), most);
        let all = largest_of(&vec![1.0; 3 * segment]);
        let whole = i64::from(all) * segment as i64 * i64::from(input);
        assert!(whole < 1 << 31 && whole > (1 << 31) - (1 << 23), "{all}");
    }

    /// Sums of integers are exact, and what follows them is not fused: all instruction sets give the same bits.
    #[test]
    fn products_of_integers_have_the_same_bits_on_all_instruction_sets() {
        for format in [INT16, Format::Int8] {
            for (len, run) in [(1, 1), (37, 37), (129, 43), (1024, 512), (3000, 3000), (3001, 3001)] {
                let mut noise = noise(len as u64);
                let x: Vec<f32> = (0..len).map(|_| 3.0 * noise()).collect();
                let random: Vec<f32> = (0..len).map(|_| noise()).collect();
                // all products with one sign and of the largest size
                let largest: Vec<f32> = x.iter().map(|x| x.signum()).collect();
                for weights in [&random, &largest] {
                    for x in [&x, &largest] {
                        let mut found = all_kernels()
                            .map(|kernels| (kernels, product(kernels, format, x, weights, run)))
                            .map(|(kernels, (y, blocks))| (kernels, y.to_bits(), blocks));
                        let (first, y, blocks) = found.next().unwrap();
                        for (kernels, other_y, other_blocks) in found {
                            let of = format!("{format:?}, {len} inputs, {first:?} and {kernels:?}");
                            assert_eq!(y, other_y, "{of}");
                            assert_eq!(blocks, other_blocks, "{of}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn infinite_inputs_give_no_finite_output() {
        for kernels in all_kernels() {
            for format in [INT16, Format::Int8] {
                let y = product(kernels, format, &[1.0, f32::INFINITY, 2.0], &[1.0; 3], 3).0;
                assert!(!y.is_finite(), "{kernels:?}: {y}");
            }
        }
    }
}
