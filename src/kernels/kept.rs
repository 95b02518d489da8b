//! How keys and values of attention are kept, in rings of rows.
//!
//! A head's keys lie in blocks of a register's lanes, `[block][dim][lane]`. So the scores of a block are sums over its
//! dimensions, and no sum across lanes is needed. The values lie `[row][dim]`.
//!
//! Both are kept in f32 or in 16-bit integers. Of integers, each head's part of a row has a scale of its own. The
//! scales lie `[head][row]` after all integers.

use super::rounded::{round, scale_of};
use super::simd::{MAX_LANES, Simd};

/// Numbers of heads, and their size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    /// A divisor of `queries`: each key head serves `queries / keys` query heads, in order.
    pub(crate) keys: usize,
    pub(crate) dim: usize,
}

impl Heads {
    /// Values in a row of queries. It saturates for heads beyond the address space, and then fits no memory.
    pub(crate) fn query_width(self) -> usize {
        self.queries.saturating_mul(self.dim)
    }

    /// Values in a row of keys, and in a row of values; likewise.
    pub(crate) fn key_width(self) -> usize {
        self.keys.saturating_mul(self.dim)
    }
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    F32,
    /// Rounded to 16 bits, with a scale for each head of a row.
    Int16,
}

impl Kept {
    /// The f32 values whose place a ring of `capacity` rows takes; the largest number if no address space holds them.
    pub(crate) fn len(self, heads: Heads, capacity: usize) -> usize {
        let values = capacity.saturating_mul(heads.key_width());
        match self {
            Self::F32 => values,
            // whole, because a capacity is whole blocks
            Self::Int16 if values < usize::MAX => values / 2 + capacity * heads.keys,
            Self::Int16 => usize::MAX,
        }
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(self, heads: Heads) -> usize {
        match self {
            Self::F32 => 4 * heads.key_width(),
            Self::Int16 => 2 * heads.key_width() + 4 * heads.keys,
        }
    }
}

/// The largest kept integer.
const LARGEST: f32 = 32767.0;

/// An element of a ring.
pub(super) trait Stored: Copy {
    /// Whether rows have scales.
    const SCALED: bool;

    /// Widens `LANES` elements.
    ///
    /// # Safety
    ///
    /// As for [`Simd`].
    unsafe fn load<S: Simd>(p: *const Self) -> S::Vector;
    fn value(self) -> f32;
}

impl Stored for f32 {
    const SCALED: bool = false;

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const f32) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { S::load(p) }
    }
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

impl Stored for i16 {
    const SCALED: bool = true;

    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const i16) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { S::load_i16(p) }
    }
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }
}

/// The begin of a head's scales in a ring of integers.
///
/// # Safety
///
/// `ring` holds `capacity` rows; `head` is one of the heads of keys.
#[inline(always)]
pub(super) unsafe fn scales(heads: Heads, capacity: usize, head: usize, ring: *const f32) -> *const f32 {
    // SAFETY: as `Kept::len` counts.
    unsafe { ring.add(capacity * heads.key_width() / 2 + head * capacity) }
}

/// Stores a row of keys and a row of values in row `row` of rings of `capacity` rows.
///
/// # Safety
///
/// `key` and `value` hold a row; `keys` and `values` hold `capacity` rows, of which `row` is one.
#[inline(always)]
pub(super) unsafe fn remember<S: Simd>(
    heads: Heads,
    [capacity, row]: [usize; 2],
    key: *const f32,
    value: *const f32,
    keys: *mut f32,
    values: *mut f32,
) {
    let (block, lane) = (row / S::LANES, row % S::LANES);
    // SAFETY: a head's part of a ring begins at head · capacity · dim, and the row is within it.
    unsafe {
        for head in 0..heads.keys {
            let (key, value) = (key.add(head * heads.dim), value.add(head * heads.dim));
            let keys = keys.add((head * capacity + block * S::LANES) * heads.dim + lane);
            for d in 0..heads.dim {
                *keys.add(d * S::LANES) = *key.add(d);
            }
            let values = values.add((head * capacity + row) * heads.dim);
            std::ptr::copy_nonoverlapping(value, values, heads.dim);
        }
    }
}

/// The same in rings of integers.
///
/// # Safety
///
/// As for [`remember`]; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn remember_rounded<S: Simd>(
    heads: Heads,
    [capacity, row]: [usize; 2],
    key: *const f32,
    value: *const f32,
    keys: *mut f32,
    values: *mut f32,
) {
    let (block, lane, dim) = (row / S::LANES, row % S::LANES, heads.dim);
    // SAFETY: a head's part of a ring begins at head · capacity · dim, and the row is within it; the buffer has room
    // for two registers' lanes.
    unsafe {
        for head in 0..heads.keys {
            let (key, value) = (key.add(head * dim), value.add(head * dim));
            let (scale, factor) = scale_of::<S>(key, dim, LARGEST);
            *scales(heads, capacity, head, keys).cast_mut().add(row) = scale;
            let to = keys.cast::<i16>().add((head * capacity + block * S::LANES) * dim + lane);
            for first in (0..dim).step_by(2 * S::LANES) {
                let mut rounded = [0i16; 2 * MAX_LANES];
                let count = (2 * S::LANES).min(dim - first);
                round::<S>(key.add(first), factor, rounded.as_mut_ptr(), count);
                for (d, rounded) in rounded[..count].iter().enumerate() {
                    *to.add((first + d) * S::LANES) = *rounded;
                }
            }
            let (scale, factor) = scale_of::<S>(value, dim, LARGEST);
            *scales(heads, capacity, head, values).cast_mut().add(row) = scale;
            round::<S>(value, factor, values.cast::<i16>().add((head * capacity + row) * dim), dim);
        }
    }
}
