//! The one multiply-accumulate kernel: rows of input times a packed matrix.
//!
//! A convolution over time-major data is such a product whose rows overlap, a transposed convolution
//! one whose rows are the last few inputs, a linear layer the plain case; see [`Rows`].
//!
//! A tile of rows is multiplied with a segment of a panel of the [`Matrix`] at a time, its sums in registers; a
//! matrix with a single output is a [`column`].
//!
//! **Every output is accumulated over its inputs in an order that its matrix alone decides,** whatever the number of
//! rows and wherever they come from: one by one, starting from 0, or as [`column`] and [`weight`] say. That is why any
//! chunking gives the same bits.

use super::Scratch;
use super::matrix::{Matrix, Weights};
use super::simd::Simd;
use super::table::Table;
use std::mem::MaybeUninit;
use std::ops::Range;
use tile::Prefetch;
use weight::Weight;

pub(super) mod column;
pub(super) mod finish;
pub(super) mod tile;
mod weight;

/// Streams that one product can serve.
pub(crate) const MAX_BATCH: usize = 16;

/// Where rows lie in scratch memory: row r begins at `offset + r·stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) offset: usize,
    pub(crate) stride: usize,
}

impl Rows {
    /// The same rows from row `row` on.
    pub(crate) fn from(self, row: usize) -> Self {
        // saturates, because programs are also planned for sizes that no address space holds
        Self { offset: self.offset.saturating_add(row.saturating_mul(self.stride)), ..self }
    }

    /// The first `len` values of the first row.
    pub(crate) fn first(self, len: usize) -> Range<usize> {
        self.offset..self.offset + len
    }

    /// Where `count` rows of `len` values end, or `None` beyond the address space.
    pub(super) fn end(self, count: usize, len: usize) -> Option<usize> {
        count.saturating_sub(1).checked_mul(self.stride)?.checked_add(self.offset)?.checked_add(len)
    }
}

/// What is done to a sum before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    None,
    Elu,
    Gelu,
    GeluTanh,
    Relu,
    Silu,
}

/// The inputs of one product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// First input of each row.
    pub(crate) x: Rows,
    /// From one run of `Matrix::run` inputs to the next within a row; a dilated convolution skips.
    pub(crate) run_stride: usize,
    /// First output of each row. May be the residual's rows, never the input's.
    pub(crate) y: Rows,
    /// Rows in each stream.
    pub(crate) rows: usize,
    /// Added to the sums, if there.
    pub(crate) residual: Option<Rows>,
    pub(crate) activation: Activation,
}

/// A tile for one weight type, one number of panels and one of rows: [`tile::tile`].
type Tile = unsafe fn(&Job, *const u8, Segment, *const *const u8, *mut f32, Prefetch);

/// The tiles of an instruction set for weights of a type.
pub(super) struct Tiles {
    /// `[panels - 1][rows - 1]`
    functions: [&'static [Tile]; 3],
    /// Bytes of a panel's weights for an input.
    line: usize,
    /// The most inputs in a segment for one panel at a time, and for several.
    segment: [usize; 2],
}

impl Tiles {
    pub(super) const fn new<S: Simd, W: Weight<S>, const P: usize>(functions: [&'static [Tile]; 3]) -> Self {
        assert!(
            MAX_ROWS.is_multiple_of(functions[0].len()) && functions[1].len() == 2 && functions[2].len() == 2
        );
        let width = P * S::LANES;
        assert!(width <= MAX_WIDTH);
        let segment = match W::SEGMENT {
            Some(inputs) => [inputs; 2],
            None => [SEGMENT_WEIGHTS / width, usize::MAX],
        };
        Self { functions, line: width * size_of::<W>(), segment }
    }

    /// Rows of the largest tile of one panel.
    fn rows(&self) -> usize {
        self.functions[0].len()
    }
}

/// A product with its pointers: what the bodies work on.
pub(super) struct Job {
    table: &'static Table,
    /// Those for the weights.
    tiles: &'static Tiles,
    /// The matrix's.
    weights: *const u8,
    /// Of each output, for weights of eight bits, else null.
    scales: *const f32,
    bias: *const f32,
    inputs: usize,
    outputs: usize,
    /// Outputs in a panel.
    width: usize,
    /// One output, whose weights lie side by side.
    column: bool,
    runs: usize,
    run: usize,
    /// From one run to the next within a row.
    run_stride: usize,
    /// Scratch memory of each stream.
    bases: [*mut f32; MAX_BATCH],
    /// For weights of eight bits, rounded inputs of each stream, and the rows' scales.
    rounded: [*const i16; MAX_BATCH],
    rounded_scales: [*const f32; MAX_BATCH],
    /// Rows in all streams.
    total: usize,
    product: Product,
}

// SAFETY: threads that share a job read the same inputs and write outputs of their own, see `run`.
unsafe impl Sync for Job {}

impl Job {
    /// Checks once that everything a body will touch lies in the streams' memory.
    pub(super) fn new<M: Scratch>(
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
            Weights::F32(w) => (&table.f32, w.as_ptr().cast()),
            Weights::Bf16(w) => (&table.bf16, w.as_ptr().cast()),
            Weights::Int8(w) => (&table.int8, w.as_ptr().cast()),
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

    /// Whether there is more to do for `panels` than telling other threads takes: a few microseconds of one.
    pub(super) fn is_worth_sharing(&self, panels: &Range<usize>) -> bool {
        let outputs = self.outputs.min(panels.len() * self.width);
        self.inputs.saturating_mul(outputs).saturating_mul(self.total) >= 1 << 18
    }

    /// Which stream row `row` of all rows of all streams belongs to, and which of its rows it is.
    #[inline(always)]
    fn stream(&self, row: usize) -> (usize, usize) {
        match row < self.product.rows {
            true => (0, row),
            false => (row / self.product.rows, row % self.product.rows),
        }
    }

    /// Where row `row` begins in `rows`.
    #[inline(always)]
    unsafe fn row(&self, rows: Rows, row: usize) -> *mut f32 {
        let (stream, row) = self.stream(row);
        // SAFETY: `new` checked that all rows lie within each stream's memory.
        unsafe { self.bases[stream].add(rows.offset + row * rows.stride) }
    }

    /// Where row `row` of the inputs begins, as its tiles read it: rounded, if weights are of eight bits.
    unsafe fn input(&self, row: usize) -> *const u8 {
        if self.scales.is_null() {
            // SAFETY: the caller's.
            return unsafe { self.row(self.product.x, row).cast_const().cast() };
        }
        let (stream, row) = self.stream(row);
        // SAFETY: `new` checked that there are as many rows.
        unsafe { self.rounded[stream].add(row * self.inputs).cast() }
    }

    /// What row `row` of the rounded inputs is in multiples of.
    #[inline(always)]
    unsafe fn rounded_scale(&self, row: usize) -> f32 {
        let (stream, row) = self.stream(row);
        // SAFETY: `new` checked that there are as many rows, if weights are of eight bits.
        unsafe { *self.rounded_scales[stream].add(row) }
    }
}

/// Inputs of a row that lie side by side, worked on one segment at a time.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// Which of the row's inputs is the first.
    input: usize,
    /// From the row's begin to it.
    offset: usize,
    len: usize,
}

impl Job {
    /// The segments of a row, of at most `most` inputs each.
    fn segments(&self, most: usize) -> impl Iterator<Item = Segment> {
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

/// Bytes of input rows that are worked on before the weights are gone through again: what mostly stays in
/// a second-level cache, and enough rows for the largest matrix.
const ROW_BLOCK_BYTES: usize = 512 * 1024;

/// Rows that are worked on before the weights are gone through again, at most: their sums for a panel
/// stay in a first-level cache beside a segment of the weights. A multiple of every tile's rows.
const MAX_ROWS: usize = 120;

/// Values in the widest panel.
const MAX_WIDTH: usize = 32;

/// Weights of a panel that all rows of a block are multiplied with in turn: half a first-level cache.
const SEGMENT_WEIGHTS: usize = 4 * 1024;

/// Some of a product's rows and panels.
#[derive(Clone)]
pub(super) struct Part {
    rows: Range<usize>,
    panels: Range<usize>,
}

impl Job {
    /// Part `part` of `parts` of the work for `panels`: some of the rows or, where there are few, some of the panels.
    pub(super) fn part(&self, panels: &Range<usize>, part: usize, parts: usize) -> Part {
        let tile = self.tiles.rows();
        if panels.len() == 1 || self.total >= parts * 8 * tile {
            return Part { rows: share(self.total, tile, part, parts), panels: panels.clone() };
        }
        let share = share(panels.len(), 1, part, parts);
        Part { rows: 0..self.total, panels: panels.start + share.start..panels.start + share.end }
    }
}

/// Part `part` of `parts` of `0..count`, cut at multiples of `unit`.
fn share(count: usize, unit: usize, part: usize, parts: usize) -> Range<usize> {
    let cut = |part: usize| (count.div_ceil(unit) * part / parts * unit).min(count);
    cut(part)..cut(part + 1)
}

/// Sums of a block of rows for the panels at hand, `[row][panel][column]`.
#[repr(align(64))]
struct Sums([MaybeUninit<f32>; MAX_ROWS * MAX_WIDTH]);

impl Job {
    /// Computes a part of the product.
    ///
    /// # Safety
    ///
    /// The memory that [`Job::new`] was given is still borrowed; `part` is of this job, and nobody else works on it;
    /// the CPU has the table's instruction set.
    pub(super) unsafe fn run(&self, Part { rows, panels }: Part) {
        if self.column {
            // SAFETY: the caller's; a column has one panel.
            return unsafe { self.run_column(rows) };
        }
        let tile = self.tiles.rows();
        let most = (ROW_BLOCK_BYTES / (4 * self.product.x.stride)).clamp(tile, MAX_ROWS);
        let blocks = rows.len().div_ceil(most).max(1);
        let block = rows.len().div_ceil(blocks).next_multiple_of(tile).max(1);
        for first in rows.clone().step_by(block) {
            // SAFETY: these are some of the rows, and at most MAX_ROWS, a multiple of `tile`.
            unsafe { self.run_block(first, block.min(rows.end - first), panels.clone()) };
        }
    }

    /// The outputs of some panels for `rows` rows from row `first` on.
    unsafe fn run_block(&self, first: usize, rows: usize, panels: Range<usize>) {
        let panel_bytes = self.inputs * self.tiles.line;
        let mut sums = Sums([MaybeUninit::uninit(); MAX_ROWS * MAX_WIDTH]);
        let sums = sums.0.as_mut_ptr().cast::<f32>();
        let mut inputs = [std::ptr::null(); MAX_ROWS];
        // SAFETY: rows are within the total and at most MAX_ROWS; a panel has inputs·width weights.
        unsafe {
            for (row, input) in inputs[..rows].iter_mut().enumerate() {
                *input = self.input(first + row);
            }
            let mut panel = panels.start;
            while panel < panels.end {
                let weights = self.weights.add(panel * panel_bytes);
                // With few rows three panels at a time, or two so that none is left alone: memory is faster for a core
                // that reads at several places, and the adders do not wait for one another.
                let together = match panels.end - panel {
                    _ if rows > 2 => 1,
                    left @ (1 | 2) => left,
                    4 => 2,
                    _ => 3,
                };
                if together > 1 {
                    let tile = self.tiles.functions[together - 1][rows - 1];
                    for segment in self.segments(self.tiles.segment[1]) {
                        let next = Prefetch::of_panels(self, segment, together);
                        tile(self, weights, segment, inputs.as_ptr(), sums, next);
                    }
                } else {
                    self.run_panel(weights, &inputs[..rows], sums);
                }
                (self.table.finish)(self, sums, [first, rows], [panel, together]);
                panel += together;
            }
        }
    }

    /// A panel's sums for rows that begin at `inputs`.
    unsafe fn run_panel(&self, weights: *const u8, inputs: &[*const u8], sums: *mut f32) {
        // Tiles as even as can be: a last tile of one row costs nearly as much as a whole one.
        let tiles = inputs.len().div_ceil(self.tiles.rows());
        let (base, longer) = (inputs.len() / tiles, inputs.len() % tiles);
        let step = self.tiles.line / tiles;
        for segment in self.segments(self.tiles.segment[0]) {
            let mut row = 0;
            for index in 0..tiles {
                let count = base + usize::from(index < longer);
                let tile = self.tiles.functions[0][count - 1];
                let next = Prefetch::of_segment(self, segment, index, step);
                // SAFETY: rows row..row + count are among the inputs.
                unsafe {
                    tile(self, weights, segment, inputs.as_ptr().add(row), sums.add(row * self.width), next);
                }
                row += count;
            }
        }
    }

    /// The only output of some rows.
    unsafe fn run_column(&self, rows: Range<usize>) {
        // of each row a panel's sums, of which the first is used
        let mut sums = [0.0; column::ROWS * MAX_WIDTH];
        for first in rows.clone().step_by(column::ROWS) {
            let count = column::ROWS.min(rows.end - first);
            // SAFETY: the rows are the job's, with `count` at least 1, and it has a weight for each input.
            unsafe {
                // what is missing in the last rows is computed from the first, and not stored
                let mut inputs = [self.row(self.product.x, first).cast_const(); column::ROWS];
                for (row, input) in inputs[..count].iter_mut().enumerate() {
                    *input = self.row(self.product.x, first + row);
                }
                (self.table.column)(self, self.weights.cast(), inputs.as_ptr(), sums.as_mut_ptr());
                (self.table.finish)(self, sums.as_ptr(), [first, count], [0, 1]);
            }
        }
    }
}
