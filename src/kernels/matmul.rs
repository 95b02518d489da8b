//! The one multiply-accumulate kernel: rows of input times a packed matrix.
//!
//! A convolution over time-major data is such a product whose rows overlap, a transposed convolution
//! one whose rows are the last few inputs, a linear layer the plain case; see [`Rows`].
//!
//! A tile of rows is multiplied with a panel of the [`Matrix`] at a time, its sums in registers.
//!
//! **Every output is accumulated over its inputs one by one, in order, starting from 0,** whatever the
//! number of rows and wherever they come from. That is why any chunking gives the same bits.

use super::elementwise::{elu, gelu, relu, silu};
use super::matrix::{Bf16, Matrix, Weight, Weights};
use super::simd::Simd;
use super::{Kernels, Scratch};

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
        Self { offset: self.offset + row * self.stride, ..self }
    }
}

/// What is done to a sum before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    None,
    Elu,
    Gelu,
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

/// A product with its pointers: what the bodies work on.
pub(super) struct Job {
    weights: Weights<*const f32, *const Bf16, *const i8>,
    /// Of each output, for weights of eight bits.
    scales: *const f32,
    bias: *const f32,
    inputs: usize,
    outputs: usize,
    run: usize,
    /// Scratch memory of each stream.
    bases: [*mut f32; MAX_BATCH],
    /// Rows in all streams.
    total: usize,
    product: Product,
}

impl Job {
    /// Checks once that everything a body will touch lies in the streams' memory.
    pub(super) fn new<M: Scratch>(
        matrix: &Matrix,
        kernels: Kernels,
        streams: &mut [M],
        product: Product,
    ) -> Self {
        assert!(streams.len() <= MAX_BATCH);
        assert_eq!(matrix.width, kernels.panel_width());
        let mut bases = [std::ptr::null_mut(); MAX_BATCH];
        let last = product.rows.saturating_sub(1);
        let runs = matrix.inputs / matrix.run;
        let reach = (runs - 1) * product.run_stride + matrix.run;
        let x_end = product.x.offset + last * product.x.stride + reach;
        let y_end = product.y.offset + last * product.y.stride + matrix.outputs;
        let residual_end = product.residual.map_or(0, |r| r.offset + last * r.stride + matrix.outputs);
        assert!(product.x.offset >= y_end || product.y.offset >= x_end, "input and output overlap");
        for (base, stream) in bases.iter_mut().zip(&mut *streams) {
            let memory = stream.scratch();
            assert!(x_end.max(y_end).max(residual_end) <= memory.len());
            *base = memory.as_mut_ptr();
        }
        Self {
            weights: match &matrix.weights {
                Weights::F32(w) => Weights::F32(w.as_ptr()),
                Weights::Bf16(w) => Weights::Bf16(w.as_ptr()),
                Weights::Int8(w) => Weights::Int8(w.as_ptr()),
            },
            scales: matrix.scales.as_ptr(),
            bias: matrix.bias.as_ptr(),
            inputs: matrix.inputs,
            outputs: matrix.outputs,
            run: matrix.run,
            bases,
            total: product.rows * streams.len(),
            product,
        }
    }

    /// Where row `row` of all rows of all streams begins in `rows`.
    #[inline(always)]
    unsafe fn row(&self, rows: Rows, row: usize) -> *mut f32 {
        let (stream, row) = match row < self.product.rows {
            true => (0, row),
            false => (row / self.product.rows, row % self.product.rows),
        };
        // SAFETY: `new` checked that all rows lie within each stream's memory.
        unsafe { self.bases[stream].add(rows.offset + row * rows.stride) }
    }
}

/// Bytes of input rows that are worked on before the weights are gone through again: what stays in a
/// second-level cache beside a panel, and enough rows that the largest matrix is gone through once for
/// sixteen frames.
const ROW_BLOCK_BYTES: usize = 512 * 1024;

/// The product, for panels of `P` registers and tiles of up to `TILE` rows.
///
/// # Safety
///
/// `job` came from [`Job::new`] for memory that is still borrowed, for kernels whose panels are `P`
/// registers of `S` wide; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn dispatch<S: Finish, const P: usize, const TILE: usize>(job: &Job) {
    // SAFETY: the caller's.
    unsafe {
        match job.weights {
            Weights::F32(weights) => matmul::<S, f32, P, TILE>(job, weights),
            Weights::Bf16(weights) => matmul::<S, Bf16, P, TILE>(job, weights),
            Weights::Int8(weights) => matmul::<S, i8, P, TILE>(job, weights),
        }
    }
}

#[inline(always)]
unsafe fn matmul<S: Finish, W: Weight<S>, const P: usize, const TILE: usize>(job: &Job, weights: *const W) {
    let block = (ROW_BLOCK_BYTES / (4 * job.product.x.stride)).max(1).next_multiple_of(TILE);
    let mut first = 0;
    while first < job.total {
        let rows = block.min(job.total - first);
        // SAFETY: rows first..first + rows are within the total.
        unsafe { row_block::<S, W, P, TILE>(job, weights, first, rows) };
        first += rows;
    }
}

/// All outputs of `rows` rows from row `first` on.
#[inline(always)]
unsafe fn row_block<S: Finish, W: Weight<S>, const P: usize, const TILE: usize>(
    job: &Job,
    weights: *const W,
    first: usize,
    rows: usize,
) {
    let width = P * S::LANES;
    let panels = job.outputs.div_ceil(width);
    // Tiles as even as can be: a last tile of one row costs nearly as much as a whole one.
    let tiles = rows.div_ceil(TILE);
    let (base, longer) = (rows / tiles, rows % tiles);
    let mut panel = 0;
    // With few rows two panels at a time keep the adders busy.
    if rows <= 2 {
        while panel + 2 <= panels {
            // SAFETY: panels panel and panel + 1 exist; rows are within the total.
            unsafe {
                match rows {
                    1 => tile::<S, W, P, 2, 1>(job, weights, panel, first),
                    _ => tile::<S, W, P, 2, 2>(job, weights, panel, first),
                }
            }
            panel += 2;
        }
    }
    while panel < panels {
        let mut row = first;
        for index in 0..tiles {
            let count = base + usize::from(index < longer);
            // SAFETY: the panel exists; rows are within the total; count ≤ TILE.
            unsafe {
                match count {
                    1 => tile::<S, W, P, 1, 1>(job, weights, panel, row),
                    2 => tile::<S, W, P, 1, 2>(job, weights, panel, row),
                    3 => tile::<S, W, P, 1, 3>(job, weights, panel, row),
                    4 => tile::<S, W, P, 1, 4>(job, weights, panel, row),
                    5 if TILE >= 5 => tile::<S, W, P, 1, 5>(job, weights, panel, row),
                    6 if TILE >= 6 => tile::<S, W, P, 1, 6>(job, weights, panel, row),
                    7 if TILE >= 7 => tile::<S, W, P, 1, 7>(job, weights, panel, row),
                    8 if TILE >= 8 => tile::<S, W, P, 1, 8>(job, weights, panel, row),
                    9 if TILE >= 9 => tile::<S, W, P, 1, 9>(job, weights, panel, row),
                    10 if TILE >= 10 => tile::<S, W, P, 1, 10>(job, weights, panel, row),
                    11 if TILE >= 11 => tile::<S, W, P, 1, 11>(job, weights, panel, row),
                    12 if TILE >= 12 => tile::<S, W, P, 1, 12>(job, weights, panel, row),
                    _ => unreachable!(),
                }
            }
            row += count;
        }
        panel += 1;
    }
}

/// How far ahead of use weights are asked for.
const PREFETCH_BYTES: usize = 2048;

/// `R` rows times `G` panels of `P` registers.
#[inline(always)]
unsafe fn tile<S: Finish, W: Weight<S>, const P: usize, const G: usize, const R: usize>(
    job: &Job,
    weights: *const W,
    panel: usize,
    row: usize,
) {
    let width = P * S::LANES;
    // SAFETY: `Job::new` checked the rows; the weights of a panel are inputs·width long.
    unsafe {
        let mut x = [std::ptr::null::<f32>(); R];
        for (r, x) in x.iter_mut().enumerate() {
            *x = job.row(job.product.x, row + r);
        }
        let mut sums = [[[S::splat(0.0); P]; G]; R];
        let mut weights = weights.add(panel * job.inputs * width);
        for _ in 0..job.inputs / job.run {
            for k in 0..job.run {
                let mut w = [[S::splat(0.0); P]; G];
                for (g, w) in w.iter_mut().enumerate() {
                    let w0 = weights.add(g * job.inputs * width);
                    for (p, w) in w.iter_mut().enumerate() {
                        *w = W::load(w0.add(p * S::LANES));
                    }
                    S::prefetch(w0.cast::<u8>().wrapping_add(PREFETCH_BYTES));
                }
                for r in 0..R {
                    let input = S::splat(*x[r].add(k));
                    for g in 0..G {
                        for p in 0..P {
                            sums[r][g][p] = S::mul_add(w[g][p], input, sums[r][g][p]);
                        }
                    }
                }
                weights = weights.add(width);
            }
            for x in &mut x {
                *x = x.wrapping_add(job.product.run_stride);
            }
        }
        // A copy, [row][panel][register]: the sums themselves have no address and stay in registers.
        let sums = sums;
        S::finish(job, sums.as_ptr().cast(), [row, R], [panel, G]);
    }
}

/// The second half of a tile, apart from the first so that it is compiled once per instruction set and
/// not once per tile shape.
pub(super) trait Finish: Simd {
    /// Adds bias and residual to a tile's sums, activates, stores: `sums` is
    /// `[rows][panels · panel width]`, for rows `row.0..row.0 + row.1` and likewise for panels.
    ///
    /// # Safety
    ///
    /// As for [`dispatch`]; rows and panels are those of a tile.
    unsafe fn finish(job: &Job, sums: *const f32, rows: [usize; 2], panels: [usize; 2]);
}

/// The body of [`Finish::finish`].
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, const P: usize>(
    job: &Job,
    sums: *const f32,
    [row, rows]: [usize; 2],
    [panel, panels]: [usize; 2],
) {
    let width = P * S::LANES;
    let mut sums = sums;
    for row in row..row + rows {
        for panel in panel..panel + panels {
            // SAFETY: the caller's; `sums` has `width` values for each row and panel.
            unsafe {
                finish_row::<S, P>(job, sums, row, panel * width);
                sums = sums.add(width);
            }
        }
    }
}

/// One row's outputs from `column` on, a panel wide.
#[inline(always)]
unsafe fn finish_row<S: Simd, const P: usize>(job: &Job, sums: *const f32, row: usize, column: usize) {
    let width = P * S::LANES;
    // SAFETY: the bias is whole panels long; outputs beyond the last column go to a local buffer of
    // P·LANES ≤ 64 values.
    unsafe {
        let y = job.row(job.product.y, row).add(column);
        let residual = job.product.residual.map(|rows| job.row(rows, row).add(column).cast_const());
        let columns = width.min(job.outputs - column);
        let mut buffer = [0.0f32; 64];
        let whole = columns == width;
        if let (Some(residual), false) = (residual, whole) {
            std::ptr::copy_nonoverlapping(residual, buffer.as_mut_ptr(), columns);
        }
        for p in 0..P {
            let at = p * S::LANES;
            let sum = S::load(sums.add(at));
            let bias = S::load(job.bias.add(column + at));
            let mut v = match job.weights {
                Weights::Int8(_) => S::mul_add(sum, S::load(job.scales.add(column + at)), bias),
                _ => S::add(sum, bias),
            };
            if let Some(residual) = residual {
                v = S::add(v, S::load(if whole { residual.add(at) } else { buffer.as_ptr().add(at) }));
            }
            let v = match job.product.activation {
                Activation::None => v,
                Activation::Elu => elu::<S>(v),
                Activation::Gelu => gelu::<S>(v),
                Activation::Relu => relu::<S>(v),
                Activation::Silu => silu::<S>(v),
            };
            S::store(if whole { y.add(at) } else { buffer.as_mut_ptr().add(at) }, v);
        }
        if !whole {
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), y, columns);
        }
    }
}
