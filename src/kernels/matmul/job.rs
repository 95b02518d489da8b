//! A product with its pointers, and the check that they are valid.

use super::super::Scratch;
use super::super::matrix::{Matrix, Storage};
use super::super::rounded::Blocks;
use super::super::table::Table;
use super::{MAX_BATCH, Product, Rows, Tiles};
use std::ops::Range;

/// The arguments of the bodies of a product.
pub(in crate::kernels) struct Job {
    pub(super) table: &'static Table,
    /// The table's tiles for the format of the weights.
    pub(super) tiles: &'static Tiles,
    pub(super) weights: *const u8,
    /// By output, for weights that are integers; else null.
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
    /// The most inputs in a segment: for one panel at a time, and for several.
    pub(super) segment: [usize; 2],
    /// Scratch memory of each stream.
    bases: [*mut f32; MAX_BATCH],
    /// Rounded inputs of each stream, for weights that are integers.
    rounded: [*const i16; MAX_BATCH],
    /// From one row to the next in these.
    rounded_stride: usize,
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
        let blocks = Blocks::of(matrix, &product);
        let runs = matrix.inputs / matrix.run;
        let reach = Rows { offset: 0, stride: product.run_stride }.end(runs, matrix.run);
        let ends = || {
            let (x, y) = (product.x.end(product.rows, reach?)?, product.y.end(product.rows, matrix.outputs)?);
            let residual = product.residual.map_or(Some(0), |rows| rows.end(product.rows, matrix.outputs))?;
            Some((x, y, residual))
        };
        let Some((x_end, y_end, residual_end)) = ends() else { panic!("rows end beyond the address space") };
        assert!(product.x.offset >= y_end || product.y.offset >= x_end, "input and output overlap");
        for (index, stream) in streams.iter_mut().enumerate() {
            let (memory, integers) = stream.scratch();
            assert!(x_end.max(y_end).max(residual_end) <= memory.len(), "rows end beyond the memory");
            bases[index] = memory.as_mut_ptr();
            if let Some(blocks) = &blocks {
                let len = blocks.len(product.rows);
                assert!(len <= integers.values.len(), "rounded rows end beyond the memory");
                rounded[index] = integers.values.as_ptr();
            }
        }
        let (tiles, weights) = match &matrix.weights {
            Storage::F32(w) => (&table.f32, w.as_ptr().cast()),
            Storage::Bf16(w) => (&table.bf16, w.as_ptr().cast()),
            Storage::Int16(w) => (&table.int16, w.as_ptr().cast()),
            Storage::Int8(w) => (&table.int8, w.as_ptr().cast()),
        };
        let (run, run_stride, rounded_stride) = match &blocks {
            None => (matrix.run, product.run_stride, 0),
            Some(blocks) => (blocks.padded, blocks.run * blocks.pitch(), blocks.row * blocks.pitch()),
        };
        Self {
            table,
            tiles,
            weights,
            scales: if blocks.is_some() { matrix.scales.as_ptr() } else { std::ptr::null() },
            bias: matrix.bias.as_ptr(),
            inputs: runs * run,
            outputs: matrix.outputs,
            width: matrix.width,
            column: matrix.is_column(),
            runs,
            run,
            run_stride,
            segment: matrix.segment().map_or(tiles.segment, |inputs| [inputs; 2]),
            bases,
            rounded,
            rounded_stride,
            total: product.rows * streams.len(),
            product,
        }
    }

    /// Whether the work for `panels` takes longer than telling other threads, which is a few microseconds.
    pub(in crate::kernels) fn is_worth_sharing(&self, panels: &Range<usize>) -> bool {
        let outputs = self.outputs.min(panels.len() * self.width);
        self.inputs.saturating_mul(outputs).saturating_mul(self.total) >= 1 << 18
    }

    /// The places of row `first` of all streams' rows and of those after it: stream, and row within it.
    #[inline(always)]
    pub(super) fn places(&self, first: usize) -> impl Iterator<Item = [usize; 2]> {
        let mut place = [first / self.product.rows, first % self.product.rows];
        std::iter::repeat_with(move || {
            let [stream, row] = place;
            place = if row + 1 < self.product.rows { [stream, row + 1] } else { [stream + 1, 0] };
            [stream, row]
        })
    }

    /// The begin of a row of `rows`.
    ///
    /// # Safety
    ///
    /// The place is that of a row below `total`, and `rows` are the product's; likewise below.
    #[inline(always)]
    pub(super) unsafe fn row(&self, rows: Rows, [stream, row]: [usize; 2]) -> *mut f32 {
        // SAFETY: `new` checked that all rows lie within each stream's memory.
        unsafe { self.bases[stream].add(rows.offset + row * rows.stride) }
    }

    /// The begin of a row of the inputs as tiles read it: rounded, for weights that are integers.
    pub(super) unsafe fn input(&self, place @ [stream, row]: [usize; 2]) -> *const u8 {
        if self.scales.is_null() {
            // SAFETY: the caller's.
            return unsafe { self.row(self.product.x, place).cast_const().cast() };
        }
        // SAFETY: `new` checked that the stream has as many rounded rows.
        unsafe { self.rounded[stream].add(row * self.rounded_stride).cast() }
    }

    /// The segments of a row, each of at most `most` inputs.
    pub(super) fn segments(&self, most: usize) -> impl Iterator<Item = Segment> {
        let (mut index, mut start) = (0, 0);
        std::iter::from_fn(move || {
            let segment = (index < self.runs).then(|| Segment {
                input: index * self.run + start,
                offset: index * self.run_stride + start,
                scale: index * self.run_stride + self.run,
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
    /// From the row's begin to the run's scale, if the inputs are rounded.
    pub(super) scale: usize,
    pub(super) len: usize,
}
