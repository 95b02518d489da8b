//! Arithmetic: slices in, slices out, no allocation, no knowledge of layers.
//!
//! Each body (in [`matmul`], [`attention::loops`], [`kept`], [`elementwise`], [`norm`], [`rounded`]) is written once,
//! generic over the vector operations of [`simd`]. It is compiled once for each instruction set of [`arch`], into a
//! [`table`] of functions. A [`Kernels`] value proves that the CPU has an instruction set. Its methods check lengths
//! and call through the table.
#![allow(unsafe_code)]

mod arch;
mod arena;
mod attention;
mod denormals;
mod elementwise;
mod isa;
mod kept;
mod limits;
mod matmul;
mod matrix;
mod norm;
mod panels;
mod rounded;
mod simd;
mod table;
mod team;
#[cfg(test)]
mod tests;

pub(crate) use arena::{Arena, Pool, Weights, arena_bytes};
pub(crate) use attention::Queries;
pub(crate) use denormals::FlushDenormals;
pub(crate) use isa::InstructionSet;
pub(crate) use kept::{Heads, Kept};
pub(crate) use matmul::{Activation, MAX_BATCH, Product, Rows};
pub(crate) use matrix::{Elements, Format, Integers, Matrix, PackError, Packing};
pub(crate) use rounded::{Blocks, Rounded};
pub(crate) use team::{Team, with_team};

use matmul::Job;
use std::ops::Range;
use table::Table;

/// The memory of a stream for its products: rows of inputs and outputs, and rounded inputs.
pub(crate) trait Scratch {
    fn scratch(&mut self) -> (&mut [f32], &mut Rounded);
}

/// The kernels of an instruction set that this CPU has.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    table: &'static Table,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.table.name)
    }
}

impl Kernels {
    /// The kernels of `isa`, if this CPU has it.
    pub(crate) fn new(isa: InstructionSet) -> Option<Self> {
        let table = isa.table();
        (table.is_available)().then_some(Self { table })
    }

    /// Their instruction set.
    pub(crate) fn isa(self) -> InstructionSet {
        self.table.isa
    }

    /// Outputs in a panel of a packed matrix; a matrix in f32 with a single output has panels of one.
    pub(crate) fn panel_width(self) -> usize {
        self.table.panel_width
    }

    /// Rows times some panels of a matrix, for several streams in one pass over the weights. All panels are
    /// `0..matrix.panels()`. The inputs must have been rounded by [`round_inputs`](Self::round_inputs).
    pub(crate) fn matmul<M: Scratch>(
        self,
        matrix: &Matrix,
        streams: &mut [M],
        product: Product,
        panels: Range<usize>,
        team: Option<&Team>,
    ) {
        assert!(panels.start <= panels.end && panels.end <= matrix.panels(), "no such panels");
        if product.rows == 0 || streams.is_empty() || panels.is_empty() {
            return;
        }
        let job = Job::new(matrix, self.table, streams, product);
        // SAFETY: the job's memory is borrowed by `streams`; parts write apart from each other; `self` proves the
        // instruction set.
        let work = |part, parts| unsafe { job.run(job.part(&panels, part, parts)) };
        match team {
            Some(team) if job.is_worth_sharing(&panels) => team.run(&|part| work(part, team.size())),
            _ => work(0, 1),
        }
    }

    /// Rounds the inputs of a product, if the matrix has weights that are integers; else does nothing. Where `less` is
    /// not 0, the inputs are differences: of each value at the product's inputs and the one `less` values after it.
    pub(crate) fn round_inputs<M: Scratch>(
        self,
        matrix: &Matrix,
        stream: &mut M,
        product: Product,
        less: usize,
    ) {
        let Some(blocks) = Blocks::of(matrix, &product).filter(|_| product.rows > 0) else { return };
        let (scratch, rounded) = stream.scratch();
        let (places, count) = blocks.places(product.x.offset, product.rows);
        let end = places.end(count, blocks.values).and_then(|end| end.checked_add(less));
        assert!(end.is_some_and(|end| end <= scratch.len()), "rows end beyond the memory");
        assert!(blocks.len(product.rows) <= rounded.values.len(), "rounded rows end beyond the memory");
        let (x, y) = (scratch[places.offset..].as_ptr(), rounded.values.as_mut_ptr());
        // SAFETY: all blocks end within the slices, as just checked; `self` proves the instruction set.
        unsafe { (self.table.round_blocks)(&blocks, count, x, less, y) }
    }

    /// y = ELU(x).
    pub(crate) fn elu(self, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { (self.table.elu)(x.as_ptr(), y.as_mut_ptr(), x.len()) }
    }

    /// y = a − b.
    pub(crate) fn subtract(self, a: &[f32], b: &[f32], y: &mut [f32]) {
        assert!(a.len() == y.len() && b.len() == y.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { (self.table.subtract)(a.as_ptr(), b.as_ptr(), y.as_mut_ptr(), y.len()) }
    }

    /// y = layer norm of the row x.
    pub(crate) fn layer_norm(self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
        assert!(x.len() == y.len() && x.len() == weight.len() && x.len() == bias.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe {
            (self.table.layer_norm)(x.as_ptr(), weight.as_ptr(), bias.as_ptr(), eps, y.as_mut_ptr(), x.len())
        }
    }

    /// Index of the first largest value; 0 where there is none.
    pub(crate) fn argmax(self, x: &[f32]) -> usize {
        // SAFETY: pointer and length of a slice; `self` proves the instruction set.
        let largest = unsafe { (self.table.largest)(x.as_ptr(), x.len()) };
        x.iter().position(|&v| v == largest).unwrap_or(0)
    }

    /// Rows of the smallest ring for `rows` keys; the largest number if no address space holds it.
    pub(crate) fn ring_rows(self, rows: usize) -> usize {
        rows.checked_next_multiple_of(self.table.lanes).unwrap_or(usize::MAX)
    }

    /// Stores a key and a value in row `row` of rings of `capacity` rows.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn remember(
        self,
        kept: Kept,
        heads: Heads,
        capacity: usize,
        row: usize,
        key: &[f32],
        value: &[f32],
        keys: &mut [f32],
        values: &mut [f32],
    ) {
        let width = heads.key_width();
        assert!(row < capacity && capacity == self.ring_rows(capacity));
        assert!(key.len() == width && value.len() == width);
        let ring = kept.len(heads, capacity);
        assert!(keys.len() >= ring && values.len() >= ring, "rings are too small");
        let (key, value) = (key.as_ptr(), value.as_ptr());
        let (keys, values) = (keys.as_mut_ptr(), values.as_mut_ptr());
        let remember = match kept {
            Kept::F32 => self.table.remember,
            Kept::Int16 => self.table.remember_rounded,
        };
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { remember(heads, [capacity, row], key, value, keys, values) }
    }

    /// Does `rounds` rounds of independent multiply-adds; returns their number.
    pub(crate) fn multiply_adds(self, rounds: usize) -> usize {
        // SAFETY: `self` proves the instruction set.
        unsafe { (self.table.multiply_adds)(rounds) }
    }

    /// The same for inputs and weights of 16 bits.
    pub(crate) fn integer_multiply_adds(self, rounds: usize) -> usize {
        // SAFETY: `self` proves the instruction set.
        unsafe { (self.table.integer_multiply_adds)(rounds) }
    }

    /// Reads `x` as fast as possible: the sum of its values, without up to 127 at the end.
    pub(crate) fn read(self, x: &[f32]) -> f32 {
        // SAFETY: pointer and length of a slice; `self` proves the instruction set.
        unsafe { (self.table.read)(x.as_ptr(), x.len()) }
    }

    /// `out[head] = softmax(q[head]·keys)·values` for each query; `q` includes the factor 1/√dim. `scores` has room
    /// for [`Queries::scores`].
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn attend(
        self,
        kept: Kept,
        heads: Heads,
        queries: Queries,
        q: &[f32],
        keys: &[f32],
        values: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let Queries { count, capacity, context, stride, out_stride, .. } = queries;
        let width = heads.query_width();
        assert!(heads.keys >= 1 && heads.queries.is_multiple_of(heads.keys));
        assert!(count >= 1 && context >= 1 && capacity == self.ring_rows(capacity));
        let fits = context <= capacity && count - 1 <= capacity - context;
        assert!(fits, "the first query's oldest key was overwritten");
        let end = |stride: usize| (count - 1).checked_mul(stride)?.checked_add(width);
        assert!(end(stride).is_some_and(|end| q.len() >= end));
        assert!(end(out_stride).is_some_and(|end| out.len() >= end));
        let ring = kept.len(heads, capacity);
        assert!(keys.len() >= ring && values.len() >= ring, "rings are too small");
        assert!(scores.len() >= Queries::scores(count, capacity, context), "too few scores");
        let (q, keys, values) = (q.as_ptr(), keys.as_ptr(), values.as_ptr());
        let (scores, out, table) = (scores.as_mut_ptr(), out.as_mut_ptr(), self.table);
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe {
            match kept {
                Kept::F32 => {
                    attention::attend(table, &table.attention, heads, queries, q, keys, values, scores, out);
                }
                Kept::Int16 => {
                    attention::attend(
                        table,
                        &table.attention_rounded,
                        heads,
                        queries,
                        q,
                        keys,
                        values,
                        scores,
                        out,
                    );
                }
            }
        }
    }
}
