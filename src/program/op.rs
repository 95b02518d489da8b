//! The operations, and what each costs.

use super::attention::{Ring, Rotary};
use super::memory::Slot;
use super::planner::whole;
use super::search::Codebook;
use crate::kernels::{Activation, Arena, Heads, Matrix, Rows};
use std::ops::Range;
use std::sync::Arc;

/// In place of a code that did not arrive.
///
/// Codes that [`Decoder::process`](crate::Decoder::process) cannot use count as such too: each code refines those
/// before it in its branch of the quantizer, and means nothing without them.
pub const NO_CODE: u32 = u32::MAX;

/// Padding of a convolution: before the first input of a stream, and after the last one if it does not fill a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Zeros,
    /// The first (or last) row again.
    Replicate,
}

/// A layer norm's weight and bias.
pub(crate) struct Norm {
    pub(crate) weight: Arena,
    pub(crate) bias: Arena,
    pub(crate) eps: f32,
}

/// One operation. Addresses are those of its first row in the scratch memory, unless they are called a history, a ring
/// or a code; rows are contiguous where no stride is given.
#[derive(Clone)]
pub(crate) enum Op {
    /// y = activation(x·matrix + bias + residual), for some panels of the matrix. `y` may be the residual.
    Product {
        matrix: Arc<Matrix>,
        panels: Range<usize>,
        x: Rows,
        /// From one run of inputs to the next in a row; a dilated convolution skips.
        run_stride: usize,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    },
    /// Rounds the inputs of the products that follow, whose matrix has weights that are integers. Where `less` is not
    /// 0, the inputs are differences: of each value at x and the one `less` values after it.
    Round { matrix: Arc<Matrix>, x: Rows, run_stride: usize, less: usize },
    /// y = ELU(x).
    Elu { x: usize, y: usize, width: usize },
    /// y = x less the row after it; there is one more row of x than of y.
    Differences { x: usize, y: usize, width: usize },
    /// y = layer norm of x.
    Norm { norm: Arc<Norm>, x: Rows, y: Rows },
    /// Cosines and sines of the rows' positions, `[rows, 2, dim / 2]`.
    Angles { rotary: Arc<Rotary>, y: usize },
    /// Rotates queries and keys, and puts keys and values into the ring.
    Remember { heads: Heads, qkv: Rows, angles: usize, ring: Ring },
    /// y = softmax(queries·keys)·values, head by head.
    Attend { heads: Heads, qkv: Rows, ring: Ring, scores: Slot, y: Rows },
    /// Puts the history in front of a window's new rows. The value after the history is 0 before the first pass.
    HistoryIn { history: Slot, window: usize, width: usize, padding: Padding },
    /// Keeps the last rows of the window.
    HistoryOut { history: Slot, window: usize, width: usize },
    /// Fills the last stride of rows that end within it.
    FillStride { x: usize, stride: usize, width: usize, padding: Padding },
    /// The nearest code word to each row of x, which is then subtracted from it; `code` of `codes` in a frame.
    Search { codebook: Arc<Codebook>, x: usize, scores: usize, code: usize, codes: usize },
    /// Adds the word of code `code` of `codes` to y, or to zeros if it is the `first`; nothing for [`NO_CODE`].
    AddWord { codebook: Arc<Codebook>, y: usize, code: usize, codes: usize, first: bool },
    /// Keeps the latent of a frame with any of its `codes` codes; one without them gets the last that was kept, smaller
    /// each time.
    Conceal { x: Rows, width: usize, last: Slot, codes: usize },
    /// A transposed convolution of two taps for each channel: y[n·stride + j] = w[j]·x[n] + w[j + stride]·x[n − 1].
    Upsample { taps: Arc<Arena>, history: Slot, x: usize, y: usize, stride: usize },
    /// y = x.
    Copy { x: Rows, y: Rows, width: usize },
    /// y = y + x.
    Add { x: Rows, y: Rows, width: usize },
    /// The stream is so many rows further.
    Advance,
}

/// The rows of a pass that an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Rows in a frame.
    pub(crate) rate: usize,
}

impl Span {
    /// All rows of `frames` frames.
    pub(crate) fn frames(frames: usize, rate: usize) -> Self {
        Self { first: 0, count: frames.saturating_mul(rate), rate }
    }

    /// `count` rows from row `first` of these on.
    pub(crate) fn part(self, first: usize, count: usize) -> Self {
        Self { first: self.first.saturating_add(first), count, ..self }
    }

    /// One row for each `stride` of these.
    pub(crate) fn every(self, stride: usize) -> Self {
        let Self { first, count, rate } = self;
        Self { first: first / stride, count: count.div_ceil(stride), rate: rate / stride }
    }

    /// `stride` rows for each of these.
    pub(crate) fn times(self, stride: usize) -> Self {
        let Self { first, count, rate } = self;
        Self {
            first: first.saturating_mul(stride),
            count: count.saturating_mul(stride),
            rate: rate.saturating_mul(stride),
        }
    }
}

/// A part of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The convolutions at the rates of samples and of SEANet.
    Seanet,
    /// The transformer.
    Transformer,
    /// Between the SEANet rate and the frame rate.
    Resampling,
    /// The quantizer and its projections.
    Quantizer,
}

/// The layer that an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) section: Section,
    /// Which of the section's layers.
    pub(crate) layer: usize,
    pub(crate) name: &'static str,
}

/// Multiply-adds that can be done while a product is prepared.
const CALL: u64 = 512;

/// Multiply-adds that can be done while a byte is read from memory: it takes a core a tenth of a nanosecond or less to
/// read it, and a seventieth to multiply with the widest registers, a twentieth with the narrowest. Fixed, so that a
/// stream's program, and with it the share of each call, is the same on all machines and in all runs.
const READ: u64 = 4;

/// The same for one value of a cache line whose others are not needed.
const LINE: u64 = 512;

/// Outputs that a product computes at once, where panels are the widest.
const PANEL: usize = 32;

impl Op {
    /// Cost for `rows` rows: multiply-adds, values that are moved, and as many multiply-adds as a call costs.
    pub(crate) fn work(&self, rows: usize) -> u64 {
        let each = match self {
            Self::Product { matrix, panels, .. } => {
                // the same for all instruction sets, unless it is a part of a product
                let outputs = match outputs_of(matrix, panels) {
                    1 => 1,
                    all if all == matrix.outputs() => whole(all, PANEL),
                    some => some,
                };
                return times(rows, matrix.inputs().saturating_add(8).saturating_mul(outputs)) + CALL;
            }
            Self::Search { codebook, .. } => {
                let [size, dim] = codebook.shape();
                let outputs = whole(size, PANEL);
                return times(rows, dim.saturating_mul(2).saturating_add(16).saturating_mul(outputs)) + CALL;
            }
            Self::HistoryIn { history, .. } | Self::HistoryOut { history, .. } => {
                return history.len as u64;
            }
            Self::FillStride { stride, width, .. } => return times(*stride, *width),
            Self::Round { matrix, .. } => matrix.inputs(),
            Self::Elu { width, .. } => width.saturating_mul(16),
            Self::Norm { norm, .. } => norm.weight.len().saturating_mul(4),
            // a sine or cosine is as much work as some dozens of multiply-adds
            Self::Angles { rotary, .. } => rotary.dim().saturating_mul(32),
            Self::Remember { heads, .. } => qkv_width(*heads).saturating_mul(4),
            Self::Attend { heads, ring, .. } => {
                let lanes_and_exponential = 16;
                let keys = ring.capacity.saturating_add(ring.context);
                let each = heads.dim.saturating_add(lanes_and_exponential).saturating_mul(keys);
                heads.queries.saturating_mul(each)
            }
            Self::AddWord { codebook, .. } => codebook.shape()[1].saturating_mul(8),
            Self::Upsample { taps, .. } => taps.len(),
            Self::Copy { width, .. } | Self::Add { width, .. } => *width,
            Self::Conceal { width, .. } | Self::Differences { width, .. } => *width,
            Self::Advance => 0,
        };
        times(rows, each)
    }

    /// Time for `rows` rows, in multiply-adds: that of its work and that of its memory. Even where a core does both at
    /// once, neither is free: a call of an audio thread that does its share of this sum is never much too long.
    pub(crate) fn load(&self, rows: usize) -> u64 {
        let each = match self {
            Self::Round { matrix, less: 0, .. } => times(matrix.inputs(), 4).saturating_mul(READ),
            Self::Round { matrix, .. } => times(matrix.inputs(), 8).saturating_mul(READ),
            Self::Differences { width, .. } => times(*width, 4).saturating_mul(READ),
            Self::Remember { heads, .. } => (heads.key_width() as u64).saturating_mul(LINE),
            Self::AddWord { codebook, .. } => (codebook.shape()[1] as u64).saturating_mul(LINE),
            _ => 0,
        };
        let memory = self.bytes().saturating_mul(READ).saturating_add(each.saturating_mul(rows as u64));
        self.work(rows).saturating_add(memory)
    }

    /// Multiply-adds of weights, or of keys and values, for `rows` rows.
    pub(crate) fn multiply_adds(&self, rows: usize) -> u64 {
        let each = match self {
            Self::Product { matrix, panels, .. } => matrix.inputs() * outputs_of(matrix, panels),
            Self::Search { codebook, .. } => codebook.shape().iter().product(),
            Self::Attend { heads, ring, .. } => 2 * heads.query_width() * ring.context,
            Self::Upsample { taps, .. } => taps.len(),
            _ => 0,
        };
        times(rows, each)
    }

    /// The matrix of a product.
    pub(crate) fn matrix(&self) -> Option<&Arc<Matrix>> {
        match self {
            Self::Product { matrix, .. } => Some(matrix),
            _ => None,
        }
    }

    /// Inputs and outputs of a row that is multiplied with weights.
    pub(crate) fn shape(&self) -> Option<[usize; 2]> {
        match self {
            Self::Product { matrix, .. } => Some([matrix.inputs(), matrix.outputs()]),
            Self::Search { codebook, .. } => {
                let [size, dim] = codebook.shape();
                Some([dim, size])
            }
            Self::Upsample { history, stride, .. } => Some([history.len, history.len * stride]),
            _ => None,
        }
    }

    /// Whether it multiplies integers.
    pub(crate) fn in_integers(&self) -> bool {
        matches!(self, Self::Product { matrix, .. } if matrix.is_of_integers())
    }

    /// Bytes of weights, or of keys and values, that are read.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Product { matrix, panels, .. } => panels.len() * matrix.panel_bytes(),
            Self::Search { codebook, .. } => codebook.searched_bytes(),
            Self::Attend { heads, ring, .. } => 2 * ring.kept.row_bytes(*heads) * ring.context,
            Self::Upsample { taps, .. } => taps.bytes(),
            _ => 0,
        };
        bytes as u64
    }
}

/// Values in a row of queries, keys and values side by side.
pub(crate) fn qkv_width(heads: Heads) -> usize {
    heads.query_width().saturating_add(heads.key_width().saturating_mul(2))
}

/// Outputs of some panels.
fn outputs_of(matrix: &Matrix, panels: &Range<usize>) -> usize {
    let width = matrix.panel_outputs();
    (panels.end * width).min(matrix.outputs()) - panels.start * width
}

fn times(rows: usize, each: usize) -> u64 {
    (rows as u64).saturating_mul(each as u64)
}
