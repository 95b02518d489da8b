//! Writing a program down: slots of memory, and operations on them.

use super::memory::{Memory, Sizes, Slot};
use super::op::{Op, Place, Section, Span};
use super::run::{Entry, Program};
use crate::kernels::{Activation, Blocks, Matrix, Product, Rows};
use std::collections::TryReserveError;
use std::sync::Arc;

/// Rows that a part of a product has at least, when its rows are parted: enough to read the weights for.
const LEAST_ROWS: usize = 48;

/// Hands out slots and collects operations. Layers ask in a fixed order, so that streams of one model with equal
/// options have equal programs.
///
/// Sizes are multiplied and added here, and saturate: a size beyond the address space becomes a request for all of it,
/// which [`build`](Self::build) is refused.
pub(crate) struct Planner {
    /// Threads that will share the work.
    pub(crate) threads: usize,
    sizes: Sizes,
    /// The begin of the scratch memory that no slot takes.
    free: usize,
    /// `None`: operations are only counted.
    entries: Option<Vec<Entry>>,
    /// The first request for memory of operations that failed.
    failed: Option<TryReserveError>,
    /// The most load of an operation, where it can be parted.
    most_load: u64,
    /// Samples in a frame.
    frame: usize,
    place: Place,
    /// Operations so far, their work and their load.
    count: u64,
    work: u64,
    load: u64,
    /// How often what is planned happens in a pass, while operations are only counted.
    repeats: u64,
}

/// Cost of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Of its memory and its program.
    pub(crate) bytes: u64,
    /// Of a largest pass, as [`Op::work`] counts it.
    pub(crate) work: u64,
    /// Of a largest pass, as [`Op::load`] counts it.
    pub(crate) load: u64,
}

impl Planner {
    /// For frames of `frame` samples. Counts operations and keeps none.
    pub(crate) fn counting(frame: usize, threads: usize) -> Self {
        Self {
            threads,
            sizes: Sizes::default(),
            free: 0,
            entries: None,
            failed: None,
            most_load: u64::MAX,
            frame,
            place: Place { section: Section::Seanet, layer: 0, name: "" },
            count: 0,
            work: 0,
            load: 0,
            repeats: 1,
        }
    }

    /// Keeps operations, each of at most `most_load` where it can be parted.
    pub(crate) fn writing(frame: usize, threads: usize, most_load: u64) -> Self {
        Self { entries: Some(Vec::new()), most_load, ..Self::counting(frame, threads) }
    }

    /// A slot for `rows` rows of `width` values that lasts from pass to pass; zeros in a new stream.
    pub(crate) fn state(&mut self, rows: usize, width: usize) -> Slot {
        take(&mut self.sizes.state, rows.saturating_mul(width))
    }

    /// A slot for `rows` rows of `width` values that lasts for a pass, or for the [`passage`](Self::passage) that asks.
    pub(crate) fn scratch(&mut self, rows: usize, width: usize) -> Slot {
        let slot = take(&mut self.free, rows.saturating_mul(width));
        self.sizes.scratch = self.sizes.scratch.max(self.free);
        slot
    }

    /// Plans operations whose slots of scratch memory serve others afterwards.
    pub(crate) fn passage<R>(&mut self, plan: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.free;
        let result = plan(self);
        self.free = before;
        result
    }

    /// Room for `codes` codes in a pass.
    pub(crate) fn codes(&mut self, codes: usize) {
        self.sizes.codes = self.sizes.codes.max(codes);
    }

    /// Room for the rounded inputs of a product, if the matrix needs them.
    pub(crate) fn rounded(&mut self, matrix: &Matrix, product: Product) {
        if let Some(blocks) = Blocks::of(matrix, &product) {
            self.sizes.rounded = self.sizes.rounded.max(blocks.len(product.rows));
        }
    }

    /// The layer that the next operations belong to.
    pub(crate) fn at(&mut self, section: Section, layer: usize, name: &'static str) {
        self.place = Place { section, layer, name };
    }

    /// The part of the layer that the next operations belong to.
    pub(crate) fn name(&mut self, name: &'static str) {
        self.place.name = name;
    }

    /// What `plan` makes of each item; nothing if memory for the list cannot be had, which [`build`](Self::build)
    /// tells.
    pub(crate) fn collect<T, R>(&mut self, items: &[T], mut plan: impl FnMut(&mut Self, &T) -> R) -> Vec<R> {
        let mut list = Vec::new();
        match list.try_reserve_exact(items.len()) {
            Ok(()) => list.extend(items.iter().map(|item| plan(self, item))),
            Err(error) => self.failed = Some(error),
        }
        list
    }

    /// Plans the rows of a span in pieces of up to `piece`.
    pub(crate) fn in_pieces(
        &mut self,
        rows: Span,
        piece: usize,
        mut plan: impl FnMut(&mut Self, Span, usize),
    ) {
        if self.entries.is_none() {
            let before = self.repeats;
            self.repeats = before.saturating_mul(rows.count.div_ceil(piece.max(1)) as u64);
            plan(self, rows.part(0, piece.min(rows.count)), 0);
            self.repeats = before;
            return;
        }
        for first in (0..rows.count).step_by(piece.max(1)) {
            plan(self, rows.part(first, piece.min(rows.count - first)), first);
        }
    }

    /// Appends an operation on the rows of a span.
    pub(crate) fn push(&mut self, rows: Span, op: Op) {
        let (work, load) = (op.work(rows.count), op.load(rows.count));
        self.count = self.count.saturating_add(self.repeats);
        self.work = self.work.saturating_add(work.saturating_mul(self.repeats));
        self.load = self.load.saturating_add(load.saturating_mul(self.repeats));
        if let Some(entries) = &mut self.entries
            && self.failed.is_none()
        {
            match entries.try_reserve(1) {
                Ok(()) => entries.push(Entry { op, rows, place: self.place, load }),
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Appends an operation whose rows do not depend on each other, in parts if it is much work: each part reads the
    /// same memory. `op` gets the first row of each part.
    pub(crate) fn push_rows(&mut self, rows: Span, op: impl Fn(usize) -> Op) {
        let parts = op(0).work(rows.count).div_ceil(self.most_load);
        let part = rows.count.div_ceil(parts.max(1) as usize).max(1);
        for first in (0..rows.count.max(1)).step_by(part) {
            self.push(rows.part(first, part.min(rows.count - first)), op(first));
        }
    }

    /// Appends the product of rows at `x` and a matrix, in parts if it is a large load.
    pub(crate) fn product(&mut self, rows: Span, product: &Multiply) {
        self.product_of_differences(rows, product, 0);
    }

    /// As [`product`](Self::product). If `less` is not 0, the weights are integers, and the inputs are differences, as
    /// [`Op::Round`] says.
    pub(crate) fn product_of_differences(&mut self, rows: Span, product: &Multiply, less: usize) {
        let Multiply { matrix, .. } = product;
        let parts =
            product.op(0, 0..matrix.panels()).load(rows.count).div_ceil(self.most_load).max(1) as usize;
        // parts of some rows read all weights again
        let by_rows = parts.min(rows.count / LEAST_ROWS).max(1);
        let part = rows.count.div_ceil(by_rows).max(1);
        let panels = matrix.panels().div_ceil(parts.div_ceil(by_rows)).max(1);
        for first in (0..rows.count.max(1)).step_by(part) {
            let rows = rows.part(first, part.min(rows.count - first));
            if matrix.is_of_integers() {
                let x = product.x.from(first);
                let (matrix, run_stride) = (Arc::clone(matrix), product.run_stride);
                self.rounded(&matrix, Product::of_inputs(x, run_stride, rows.count));
                self.push(rows, Op::Round { matrix, x, run_stride, less });
            }
            for panel in (0..matrix.panels()).step_by(panels) {
                self.push(rows, product.op(first, panel..matrix.panels().min(panel + panels)));
            }
        }
    }

    /// Operations so far.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Vec::len)
    }

    /// Cost of all that was planned.
    pub(crate) fn cost(self) -> Result<Cost, TryReserveError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let program = self.count.saturating_mul(size_of::<Entry>() as u64);
        Ok(Cost { bytes: self.sizes.bytes().saturating_add(program), work: self.work, load: self.load })
    }

    /// The program, and memory for a new stream.
    pub(crate) fn build(self) -> Result<(Program, Memory), TryReserveError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let memory = Memory::new(self.sizes)?;
        Ok((Program::new(self.entries.unwrap_or_default(), self.frame), memory))
    }
}

/// A product to be appended. Addresses are those of the first row.
pub(crate) struct Multiply<'m> {
    pub(crate) matrix: &'m Arc<Matrix>,
    pub(crate) x: Rows,
    pub(crate) run_stride: usize,
    pub(crate) y: Rows,
    pub(crate) residual: Option<Rows>,
    pub(crate) activation: Activation,
}

impl Multiply<'_> {
    fn op(&self, first: usize, panels: std::ops::Range<usize>) -> Op {
        Op::Product {
            matrix: Arc::clone(self.matrix),
            panels,
            x: self.x.from(first),
            run_stride: self.run_stride,
            y: self.y.from(first),
            residual: self.residual.map(|rows| rows.from(first)),
            activation: self.activation,
        }
    }
}

fn take(end: &mut usize, len: usize) -> Slot {
    let slot = Slot { offset: *end, len };
    // The next slot begins at a cache line.
    *end = end.saturating_add(len.saturating_add(15) & !15);
    slot
}

/// The next multiple of `unit`, or the largest number.
pub(crate) fn whole(count: usize, unit: usize) -> usize {
    count.checked_next_multiple_of(unit).unwrap_or(usize::MAX)
}
