//! The one multiply-accumulate kernel: rows of input times a packed matrix.
//!
//! ```text
//!                    outputs
//!                    panel 0     panel 1     panel 2
//!                  +-----------+-----------+-----------+
//!                  |           |           |           |   segment 0 of the inputs
//!   weights        +-----------+-----------+-----------+
//!                  |           |###########|           |   segment 1
//!                  +-----------+-----------+-----------+
//!                  |           |           |           |   segment 2
//!                  +-----------+-----------+-----------+
//!   inputs           outputs
//! +---+---+---+    +-----------+-----------+-----------+
//! |   |   |   |    |           |           |           |   rows of tile 0
//! +---+---+---+    +-----------+-----------+-----------+
//! |   |###|   |    |           |###########|           |   rows of tile 1
//! +---+---+---+    +-----------+-----------+-----------+
//! |   |   |   |    |           |           |           |   rows of tile 2
//! +---+---+---+    +-----------+-----------+-----------+
//! ```
//!
//! - A row is the inputs of one output frame, in the memory of a stream. Rows of several streams follow one another.
//! - A panel is the weights of a few registers' outputs, for all inputs in order: see [`matrix`](super::matrix).
//! - A segment is some inputs of a row, few enough that a panel's weights for them stay in a first-level cache. One or
//!   two rows use each weight once, so their segments are whole runs.
//! - A tile, marked above, is the work of one function call: a few rows times a segment of a panel, with the sums in
//!   registers. One or two rows are multiplied with two or three panels at a time.
//!
//! The order is: for each block of rows, for each panel, for each segment, for each tile. The sums of a block and panel
//! wait in memory between segments. After the last segment [`finish`] adds the bias and stores the outputs.
//!
//! A convolution over time-major data is a product whose rows overlap. The rows of a transposed convolution are its
//! last few inputs. A linear layer is the plain case. A matrix with a single output has a kernel of its own,
//! [`column`].
//!
//! **The matrix alone decides the order in which an output's inputs are summed:** one by one from 0, or as [`column`]
//! and [`weight`] say. Rounded inputs have a scale for each run: see [`rounded`](super::rounded). The number of rows
//! and their places change nothing, so any chunking gives the same bits.

use super::simd::Simd;
use std::mem::MaybeUninit;
use std::ops::Range;
use tile::Prefetch;
use weight::Weight;

pub(super) mod column;
pub(super) mod finish;
mod job;
pub(super) mod tile;
mod weight;

pub(super) use job::{Job, Segment};

/// Streams that one product can serve.
pub(crate) const MAX_BATCH: usize = 16;

/// The places of rows in scratch memory: row r begins at `offset + r·stride`.
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

    /// The end of `count` rows of `len` values, or `None` beyond the address space.
    pub(super) fn end(self, count: usize, len: usize) -> Option<usize> {
        count.saturating_sub(1).checked_mul(self.stride)?.checked_add(self.offset)?.checked_add(len)
    }
}

/// A function of each output, applied before it is stored.
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
    /// From one run of `Matrix::run` inputs to the next within a row. It is longer than a run in a dilated
    /// convolution.
    pub(crate) run_stride: usize,
    /// First output of each row. These may be the residual's rows, but not the input's.
    pub(crate) y: Rows,
    /// Rows in each stream.
    pub(crate) rows: usize,
    /// Rows to add to the sums.
    pub(crate) residual: Option<Rows>,
    pub(crate) activation: Activation,
}

impl Product {
    /// The inputs of a product; its rest has no say in them.
    pub(crate) fn of_inputs(x: Rows, run_stride: usize, rows: usize) -> Self {
        Self { x, run_stride, y: x, rows, residual: None, activation: Activation::None }
    }
}

/// [`tile::tile`] for a type of weights, a number of panels and a number of rows.
type Tile = unsafe fn(&Job, *const u8, Segment, *const *const u8, *mut f32, Prefetch);

/// The tile functions of an instruction set for one type of weights.
pub(super) struct Tiles {
    /// `[panels - 1][rows - 1]`
    functions: [&'static [Tile]; 3],
    /// Bytes of a panel's weights for one input.
    line: usize,
    /// Cache lines of a panel's weights for one multiplication.
    lines: usize,
    /// The most inputs in a segment, unless the weights are integers: for one panel at a time, and for several.
    segment: [usize; 2],
}

impl Tiles {
    pub(super) const fn new<S: Simd, W: Weight<S>, const P: usize>(functions: [&'static [Tile]; 3]) -> Self {
        assert!(
            MAX_ROWS.is_multiple_of(functions[0].len()) && functions[1].len() == 2 && functions[2].len() == 2
        );
        let width = P * S::LANES;
        assert!(width <= MAX_WIDTH);
        let line = width * size_of::<W>();
        let lines = tile::lines(line * W::STEP);
        Self { functions, line, lines, segment: [SEGMENT_WEIGHTS / width, usize::MAX] }
    }

    /// Rows of the largest tile of one panel.
    fn rows(&self) -> usize {
        self.functions[0].len()
    }
}

/// Bytes of input rows in a block. They mostly stay in a second-level cache, and are enough rows for the largest
/// matrix.
const ROW_BLOCK_BYTES: usize = 512 * 1024;

/// The most rows in a block: their sums for a panel fit a first-level cache beside a segment of the weights. A multiple
/// of the rows of each instruction set's largest tile.
const MAX_ROWS: usize = 120;

/// Values in the widest panel.
const MAX_WIDTH: usize = 32;

/// Weights of a panel in a segment: half a first-level cache.
const SEGMENT_WEIGHTS: usize = 4 * 1024;

/// Some of a product's rows and panels.
#[derive(Clone)]
pub(super) struct Part {
    rows: Range<usize>,
    panels: Range<usize>,
}

impl Job {
    /// Part `part` of `parts` of the work for `panels`: some of the rows if there are many, else some of the panels.
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

/// Sums of a block of rows for some panels, `[row][panel][column]`.
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
            for (input, place) in inputs[..rows].iter_mut().zip(self.places(first)) {
                *input = self.input(place);
            }
            let mut panel = panels.start;
            while panel < panels.end {
                let weights = self.weights.add(panel * panel_bytes);
                // One or two rows take three panels at a time, or two so that no panel is left alone. Memory is faster
                // for a core that reads at several places, and the adders do not wait for one another.
                let together = match panels.end - panel {
                    _ if rows > 2 => 1,
                    left @ (1 | 2) => left,
                    4 => 2,
                    _ => 3,
                };
                if together > 1 {
                    let tile = self.tiles.functions[together - 1][rows - 1];
                    for segment in self.segments(self.segment[1]) {
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
        // The tiles are as even as possible, because a tile of one row costs nearly as much as a full one. Each
        // prefetches one cache line for each multiplication: with fewer tiles than lines, weights would come late.
        let tiles = inputs.len().div_ceil(self.tiles.rows()).max(self.tiles.lines).min(inputs.len());
        let (base, longer) = (inputs.len() / tiles, inputs.len() % tiles);
        let step = self.tiles.line / tiles;
        for segment in self.segments(self.segment[0]) {
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
        // a panel's width for each row, of which the first sum is used
        let mut sums = [0.0; column::ROWS * MAX_WIDTH];
        for first in rows.clone().step_by(column::ROWS) {
            let count = column::ROWS.min(rows.end - first);
            // SAFETY: the rows are the job's, with `count` at least 1, and it has a weight for each input.
            unsafe {
                // rows that are missing at the end are computed from the first, and not stored
                let mut inputs = [std::ptr::null::<f32>(); column::ROWS];
                for (input, place) in inputs[..count].iter_mut().zip(self.places(first)) {
                    *input = self.row(self.product.x, place);
                }
                let [input, ..] = inputs;
                inputs[count..].fill(input);
                (self.table.column)(self, self.weights.cast(), inputs.as_ptr(), sums.as_mut_ptr());
                (self.table.finish)(self, sums.as_ptr(), [first, count], [0, 1]);
            }
        }
    }
}
