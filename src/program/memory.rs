//! The memory of a stream.

use crate::kernels::{Arena, Rounded, Rows, Scratch};
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

/// Sizes of a stream's memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) state: usize,
    pub(super) scratch: usize,
    /// The most values of a product's rounded inputs.
    pub(super) rounded: usize,
    /// Codes in a pass.
    pub(super) codes: usize,
}

impl Sizes {
    /// Bytes in all; saturates.
    pub(super) fn bytes(self) -> u64 {
        let of = |values: usize, width: u64| (values as u64).saturating_mul(width);
        let all = [of(self.state, 4), of(self.scratch, 4), of(self.rounded, 2), of(self.codes, 4)];
        all.into_iter().fold(0, u64::saturating_add)
    }
}

/// All memory of a stream. A new stream's is zeros, and so is a reset one's state.
pub(crate) struct Memory {
    /// Lasts from pass to pass.
    pub(crate) state: Arena,
    /// Lasts for a pass.
    pub(crate) scratch: Arena,
    /// Rounded inputs of the current product.
    rounded: Rounded,
    /// Codes of the current pass, frame-major; where latents are given, whether each frame arrived: 0 or NO_CODE.
    pub(crate) codes: Vec<u32>,
    /// Transformer steps since the stream began.
    pub(crate) position: u64,
}

impl Memory {
    pub(super) fn new(sizes: Sizes) -> Result<Self, TryReserveError> {
        let mut codes = Vec::new();
        codes.try_reserve_exact(sizes.codes)?;
        codes.resize(sizes.codes, 0);
        Ok(Self {
            state: Arena::zeroed(sizes.state)?,
            scratch: Arena::zeroed(sizes.scratch)?,
            rounded: Rounded::new(sizes.rounded)?,
            codes,
            position: 0,
        })
    }

    /// Forgets the stream.
    pub(crate) fn reset(&mut self) {
        let Self { state, scratch: _, rounded: _, codes: _, position } = self;
        state.fill(0.0);
        *position = 0;
    }

    /// A copy, also in the middle of a pass.
    pub(crate) fn try_clone(&self) -> Result<Self, TryReserveError> {
        let mut codes = Vec::new();
        codes.try_reserve_exact(self.codes.len())?;
        codes.extend_from_slice(&self.codes);
        Ok(Self {
            state: self.state.try_clone()?,
            scratch: self.scratch.try_clone()?,
            rounded: self.rounded.try_clone()?,
            codes,
            position: self.position,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.bytes() + self.scratch.bytes() + self.rounded.bytes() + size_of_val(self.codes.as_slice())
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
