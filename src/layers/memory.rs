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

/// Hands out slots while a stream is planned. Layers ask in a fixed order, so that streams with equal
/// options have equal plans.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Threads that will share the work.
    pub(crate) threads: usize,
    state: usize,
    scratch: usize,
    /// The most rows of a product that are rounded, and the most values in them.
    rounded: [usize; 2],
}

impl Plan {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, state: 0, scratch: 0, rounded: [0; 2] }
    }

    /// A slot that lasts from step to step; zeros in a new stream.
    pub(crate) fn state(&mut self, len: usize) -> Slot {
        Self::take(&mut self.state, len)
    }

    /// A slot that lasts for a step.
    pub(crate) fn scratch(&mut self, len: usize) -> Slot {
        Self::take(&mut self.scratch, len)
    }

    /// Room for products of up to `rows` rows with `matrix`.
    pub(crate) fn product(&mut self, matrix: &Matrix, rows: usize) {
        let inputs = matrix.rounded_inputs();
        if inputs > 0 {
            let [most_rows, most_values] = self.rounded;
            self.rounded = [most_rows.max(rows), most_values.max(rows.saturating_mul(inputs))];
        }
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
        self.kernels.matmul(matrix, &mut self.members[..self.count], product, self.team);
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
