//! A product with its pointers, and the check that they are valid.

use super::super::Scratch;
use super::super::matrix::{Matrix, Storage};
use super::super::table::Table;
use super::{MAX_BATCH, Product, Rows, Tiles};
use std::ops::Range;

/// The arguments of the bodies of a product.
pub(in crate::kernels) struct Job {
    pub(super) table: &'static Table,
    /// The table's tiles for the format of the weights.
    pub(super) tiles: &'static Tiles,
    pub(super) weights: *const u8,
    /// By output, for weights of eight bits; else null.
    pub(super) scales: *const f32,
    pub(super) bias: *const f32,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Outputs in a panel.
    pub(super) width: usize,
    /// Whether the matrix has one output, whose weights lie side by side.
    pub(super) column: bool,
    /// Runs of inputs in a row.
    runs: usize,
    /// Inputs in a run.
    run: usize,
    /// From one run to the next within a row.
    run_stride: usize,
    /// Scratch memory of each stream.
    bases: [*mut f32; MAX_BATCH],
    /// Rounded inputs of each stream, for weights of eight bits.
    rounded: [*const i16; MAX_BATCH],
    /// The scales of these rows.
    rounded_scales: [*const f32; MAX_BATCH],
    /// Rows in all streams.
    pub(super) total: usize,
    pub(super) product: Product,
}

// SAFETY: threads that share a job read the same inputs, and each writes outputs of its own: see `Job::run`.
unsafe impl Sync for Job {}

impl Job {
    /// Checks that all memory of the product lies within the streams' memory; panics if not.
    pub(in crate::kernels) fn new<M: Scratch>(
        matrix: &Matrix,
        table: &'static Table,
        streams: &mut [M],
        product: Product,
    ) -> Self {
        assert!(streams.len() <= MAX_BATCH);
        let width = table.panel_width;
        assert!(matrix.width == width || matrix.is_column() && matrix.bias.len() == width);
        let mut bases = [std::ptr::null_mut(); MAX_BATCH];
        let mut rounded = [std::ptr::null(); MAX_BATCH];
        let mut rounded_scales = [std::ptr::null(); MAX_BATCH];
        let rounded_inputs = matrix.rounded_inputs();
        let runs = matrix.inputs / matrix.run;
        let reach = Rows { offset: 0, stride: product.run_stride }.end(runs, matrix.run);
        let ends = || {
            let (x, y) = (product.x.end(product.rows, reach?)?, product.y.end(product.rows, matrix.outputs)?);
            let residual = product.residual.map_or(Some(0), |rows| rows.end(product.rows, matrix.outputs))?;
            Some((x, y, residual, product.rows.checked_mul(rounded_inputs)?))
        };
        let Some((x_end, y_end, residual_end, rounded_end)) = ends() else {
            panic!("rows end beyond the address space")
        };
        assert!(product.x.offset >= y_end || product.y.offset >= x_end, "input and output overlap");
        for (index, stream) in streams.iter_mut().enumerate() {
            let (memory, integers) = stream.scratch();
            assert!(x_end.max(y_end).max(residual_end) <= memory.len(), "rows end beyond the memory");
            bases[index] = memory.as_mut_ptr();
            if rounded_inputs > 0 {
                assert!(rounded_end <= integers.values.len() && product.rows <= integers.scales.len());
                rounded[index] = integers.values.as_ptr();
                rounded_scales[index] = integers.scales.as_ptr();
            }
        }
        let (inputs, runs, run, run_stride) = match rounded_inputs {
            0 => (matrix.inputs, runs, matrix.run, product.run_stride),
            inputs => (inputs, 1, inputs, 0),
        };
        let (tiles, weights) = match &matrix.weights {
            Storage::F32(w) => (&table.f32, w.as_ptr().cast()),
            Storage::Bf16(w) => (&table.bf16, w.as_ptr().cast()),
            Storage::Int8(w) => (&table.int8, w.as_ptr().cast()),
        };
        Self {
            table,
            tiles,
            weights,
            scales: if rounded_inputs > 0 { matrix.scales.as_ptr() } else { std::ptr::null() },
            bias: matrix.bias.as_ptr(),
            inputs,
            outputs: matrix.outputs,
            width: matrix.width,
            column: matrix.is_column(),
            runs,
            run,
            run_stride,
            bases,
            rounded,
            rounded_scales,
            total: product.rows * streams.len(),
            product,
        }
    }

    /// Whether the work for `panels` takes longer than telling other threads, which is a few microseconds.
    pub(in crate::kernels) fn is_worth_sharing(&self, panels: &Range<usize>) -> bool {
        let outputs = self.outputs.min(panels.len() * self.width);
        self.inputs.saturating_mul(outputs).saturating_mul(self.total) >= 1 << 18
    }

    /// The stream of row `row` of all streams' rows, and the row's number in that stream.
    #[inline(always)]
    fn stream(&self, row: usize) -> (usize, usize) {
        match row < self.product.rows {
            true => (0, row),
            false => (row / self.product.rows, row % self.product.rows),
        }
    }

    /// The begin of row `row` of `rows`.
    ///
    /// # Safety
    ///
    /// `row` is below `total`, and `rows` are the product's; likewise below.
    #[inline(always)]
    pub(super) unsafe fn row(&self, rows: Rows, row: usize) -> *mut f32 {
        let (stream, row) = self.stream(row);
        // SAFETY: `new` checked that all rows lie within each stream's memory.
        unsafe { self.bases[stream].add(rows.offset + row * rows.stride) }
    }

    /// The begin of row `row` of the inputs as tiles read it: rounded, for weights of eight bits.
    pub(super) unsafe fn input(&self, row: usize) -> *const u8 {
        if self.scales.is_null() {
            // SAFETY: the caller's.
            return unsafe { self.row(self.product.x, row).cast_const().cast() };
        }
        let (stream, row) = self.stream(row);
        // SAFETY: `new` checked that the stream has as many rounded rows.
        unsafe { self.rounded[stream].add(row * self.inputs).cast() }
    }

    /// The scale of row `row` of the rounded inputs.
    #[inline(always)]
    pub(super) unsafe fn rounded_scale(&self, row: usize) -> f32 {
        let (stream, row) = self.stream(row);
        // SAFETY: as above, and the caller asks for weights of eight bits alone.
        unsafe { *self.rounded_scales[stream].add(row) }
    }

    /// The segments of a row, each of at most `most` inputs.
    pub(super) fn segments(&self, most: usize) -> impl Iterator<Item = Segment> {
        let (mut index, mut start) = (0, 0);
        std::iter::from_fn(move || {
            let segment = (index < self.runs).then(|| Segment {
                input: index * self.run + start,
                offset: index * self.run_stride + start,
                len: most.min(self.run - start),
            })?;
            start += segment.len;
            if start == self.run {
                (index, start) = (index + 1, 0);
            }
            Some(segment)
        })
    }
}

/// Some inputs of a row that lie side by side in memory.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Segment {
    /// The number of the first one within the row.
    pub(super) input: usize,
    /// From the row's begin to it.
    pub(super) offset: usize,
    pub(super) len: usize,
}
