//! What a stream remembers, and where it works.

use crate::kernels::{Arena, Kernels, MAX_BATCH, Matrix, Product, Rounded, Rows, Scratch, Team};
use std::collections::TryReserveError;
use std::ops::Range;

/// A place in a stream's memory, in f32 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

impl Slot {
    pub(crate) fn range(self) -> Range<usize> {
        self.offset..self.offset + self.len
    }

    /// The first `len` values.
    pub(crate) fn first(self, len: usize) -> Range<usize> {
        debug_assert!(len <= self.len);
        self.offset..self.offset + len
    }

    /// The slot as rows of `width` values.
    pub(crate) fn rows(self, width: usize) -> Rows {
        Rows { offset: self.offset, stride: width }
    }
}

/// Hands out slots while a stream is planned, and counts what a step costs. Layers ask in a fixed order, so that
/// streams with equal options have equal plans.
///
/// Sizes are multiplied and added here, and saturate: what does not fit the address space becomes a request for all of
/// it, which [`build`](Self::build) is refused.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Threads that will share the work.
    pub(crate) threads: usize,
    state: usize,
    scratch: usize,
    /// The most rows of a product that are rounded, and the most values in them.
    rounded: [usize; 2],
    /// See [`Cost`].
    work: u64,
    /// How often in a step that happens which is being planned.
    repeats: u64,
}

/// What a stream costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Of its memory.
    pub(crate) bytes: u64,
    /// Of a largest step: multiply-adds, values that are moved, and as many multiply-adds as a call of a kernel costs.
    pub(crate) work: u64,
}

/// Multiply-adds that can be done while a product is prepared.
const CALL: u64 = 512;

/// Outputs that a product computes at once, where panels are the widest.
const PANEL: usize = 32;

impl Plan {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, state: 0, scratch: 0, rounded: [0; 2], work: 0, repeats: 1 }
    }

    /// A slot for `rows` rows of `width` values that lasts from step to step; zeros in a new stream.
    pub(crate) fn state(&mut self, rows: usize, width: usize) -> Slot {
        Self::take(&mut self.state, rows.saturating_mul(width))
    }

    /// A slot for `rows` rows of `width` values that lasts for a step.
    pub(crate) fn scratch(&mut self, rows: usize, width: usize) -> Slot {
        Self::take(&mut self.scratch, rows.saturating_mul(width))
    }

    /// Room for products of up to `rows` rows with `matrix`.
    pub(crate) fn product(&mut self, matrix: &Matrix, rows: usize) {
        let inputs = matrix.rounded_inputs();
        if inputs > 0 {
            let [most_rows, most_values] = self.rounded;
            self.rounded = [most_rows.max(rows), most_values.max(rows.saturating_mul(inputs))];
        }
    }

    /// Counts a product of `rows` rows, `inputs` × `outputs`.
    pub(crate) fn multiply(&mut self, rows: usize, inputs: usize, outputs: usize) {
        let outputs = if outputs == 1 { 1 } else { whole(outputs, PANEL) };
        self.work(rows, inputs.saturating_add(8).saturating_mul(outputs));
        self.work = self.work.saturating_add(CALL.saturating_mul(self.repeats));
    }

    /// Counts the work of `each` for each of `rows` rows.
    pub(crate) fn work(&mut self, rows: usize, each: usize) {
        let work = (rows as u64).saturating_mul(each as u64).saturating_mul(self.repeats);
        self.work = self.work.saturating_add(work);
    }

    /// Plans what is done to `rows` rows in pieces of up to `piece`.
    pub(crate) fn in_pieces<T>(&mut self, rows: usize, piece: usize, plan: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.repeats;
        self.repeats = before.saturating_mul(rows.div_ceil(piece.max(1)) as u64);
        let planned = plan(self);
        self.repeats = before;
        planned
    }

    /// What has been planned so far, with room for `codes` codes in a step.
    pub(crate) fn cost(&self, codes: usize) -> Cost {
        let [rounded_rows, rounded_values] = self.rounded;
        let of = |values: usize, width: u64| (values as u64).saturating_mul(width);
        let sizes = [
            of(self.state, 4),
            of(self.scratch, 4),
            of(rounded_rows, 4),
            of(rounded_values, 2),
            of(codes, 4),
        ];
        Cost { bytes: sizes.into_iter().fold(0, u64::saturating_add), work: self.work }
    }

    fn take(end: &mut usize, len: usize) -> Slot {
        let slot = Slot { offset: *end, len };
        // The next slot begins at a cache line.
        *end = end.saturating_add(len.saturating_add(15) & !15);
        slot
    }

    /// Memory for a new stream, with room for `codes` codes in a step.
    pub(crate) fn build(&self, codes: usize) -> Result<Memory, TryReserveError> {
        let mut code_slots = Vec::new();
        code_slots.try_reserve_exact(codes)?;
        code_slots.resize(codes, 0);
        let [rounded_rows, rounded_values] = self.rounded;
        Ok(Memory {
            state: Arena::zeroed(self.state)?,
            scratch: Arena::zeroed(self.scratch)?,
            rounded: Rounded::new(rounded_rows, rounded_values)?,
            codes: code_slots,
            position: 0,
        })
    }
}

/// The next multiple of `unit`, or the largest number.
pub(super) fn whole(count: usize, unit: usize) -> usize {
    count.checked_next_multiple_of(unit).unwrap_or(usize::MAX)
}

/// A list of as many slots as `slots` has, or an error if memory cannot be had.
pub(super) fn try_collect<T>(slots: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>, TryReserveError> {
    let mut list = Vec::new();
    list.try_reserve_exact(slots.len())?;
    list.extend(slots);
    Ok(list)
}

/// All memory of a stream. A new stream is zeros, and nothing else: so is a reset one.
pub(crate) struct Memory {
    /// What the layers remember.
    pub(crate) state: Arena,
    /// Where they work; its content means nothing between steps.
    pub(crate) scratch: Arena,
    /// Where products round their inputs; likewise.
    rounded: Rounded,
    /// Codes of the current step, frame-major.
    pub(crate) codes: Vec<u32>,
    /// Transformer steps since the stream began.
    pub(crate) position: u64,
}

impl Memory {
    pub(crate) fn reset(&mut self) {
        let Self { state, scratch: _, rounded: _, codes: _, position } = self;
        state.fill(0.0);
        *position = 0;
    }

    /// Remembers what `other`, of an equal plan, does.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let Self { state, scratch: _, rounded: _, codes: _, position } = self;
        state.copy_from_slice(&other.state);
        *position = other.position;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.bytes() + self.scratch.bytes() + self.rounded.bytes() + size_of_val(self.codes.as_slice())
    }
}

/// The streams that a step serves, all with the same plan and the same number of rows.
pub(crate) struct Batch<'m> {
    pub(crate) kernels: Kernels,
    team: Option<&'m Team<'m>>,
    members: [Option<&'m mut Memory>; MAX_BATCH],
    count: usize,
}

impl<'m> Batch<'m> {
    /// At most [`MAX_BATCH`] streams, whose work a team may share.
    pub(crate) fn new(
        kernels: Kernels,
        streams: impl Iterator<Item = &'m mut Memory>,
        team: Option<&'m Team<'m>>,
    ) -> Self {
        let mut members = [const { None }; MAX_BATCH];
        let mut count = 0;
        for (member, stream) in members.iter_mut().zip(streams) {
            *member = Some(stream);
            count += 1;
        }
        Self { kernels, team, members, count }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn streams(&mut self) -> impl Iterator<Item = &mut Memory> {
        self.members[..self.count].iter_mut().flatten().map(|stream| &mut **stream)
    }

    /// Rows times a matrix, in all streams at once.
    pub(crate) fn matmul(&mut self, matrix: &Matrix, product: Product) {
        let kernels = self.kernels;
        self.streams().for_each(|stream| kernels.round_inputs(matrix, stream, product));
        kernels.matmul(matrix, &mut self.members[..self.count], product, 0..matrix.panels(), self.team);
    }
}

impl Scratch for Memory {
    fn scratch(&mut self) -> (&mut [f32], &mut Rounded) {
        (&mut self.scratch, &mut self.rounded)
    }
}

impl Scratch for Option<&mut Memory> {
    fn scratch(&mut self) -> (&mut [f32], &mut Rounded) {
        let Some(memory) = self else { unreachable!("members up to the count are there") };
        memory.scratch()
    }
}
