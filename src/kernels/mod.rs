//! Arithmetic: slices in, slices out, no allocation, no knowledge of layers.
//!
//! Each body is written once ([`matmul`], [`attention`], [`elementwise`], [`norm`]), generic over the
//! vector operations of [`simd`], and built once per instruction set of [`arch`]. A [`Kernels`] value
//! is the proof that the CPU has the one it names; its methods are the door, where lengths are checked.
#![allow(unsafe_code)]

mod arch;
mod arena;
mod attention;
mod denormals;
mod elementwise;
mod isa;
mod limits;
mod matmul;
mod matrix;
mod norm;
mod rounded;
mod simd;
mod team;
#[cfg(test)]
mod tests;

pub(crate) use arena::{Arena, Pool, arena_bytes};
pub(crate) use attention::{Heads, Queries};
pub(crate) use denormals::FlushDenormals;
pub(crate) use isa::Isa;
pub(crate) use matmul::{Activation, MAX_BATCH, Product, Rows};
pub(crate) use matrix::{Elements, Format, Matrix, PackError, Packing};
pub(crate) use rounded::Rounded;
pub(crate) use team::{Team, with_team};

use std::ops::Range;

/// The memory of a stream that products work in.
pub(crate) trait Scratch {
    fn scratch(&mut self) -> (&mut [f32], &mut Rounded);
}

/// The kernels of an instruction set that this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kernels {
    isa: Isa,
}

/// Builds the bodies for an instruction set: the functions of a module named after it.
macro_rules! instantiate {
    ($(#[$target:meta])* $module:ident, $simd:ty, panel: $panel:literal, tile: $tile:literal, integer_tile: $integer_tile:literal,
     $(#[$feature:meta])*) => {
        $(#[$target])*
        mod $module {
            use super::attention::{self, Heads, Queries};
            use super::matmul::tile::Prefetch;
            use super::matmul::weight::Weight;
            use super::simd::Simd;
            use super::{elementwise, limits, matmul, norm, rounded};

            pub(super) const PANEL_WIDTH: usize = $panel * LANES;
            pub(super) const LANES: usize = <$simd as Simd>::LANES;
            pub(super) const TILE: usize = $tile;

            $(#[$feature])*
            pub(super) unsafe fn matmul(job: &matmul::Job, part: matmul::Part) {
                // SAFETY: the caller's.
                unsafe { matmul::dispatch::<$simd, $panel, TILE, $integer_tile>(job, part) }
            }

            $(#[$feature])*
            #[inline(never)]
            unsafe fn tile<W: Weight<$simd>, const G: usize, const R: usize>(
                job: &matmul::Job, weights: *const W, segment: matmul::Segment, inputs: *const *const W::Input,
                sums: *mut f32, prefetch: Prefetch,
            ) {
                // SAFETY: the caller's.
                unsafe {
                    matmul::tile::tile::<$simd, W, $panel, G, R>(job, weights, segment, inputs, sums, prefetch)
                }
            }

            $(#[$feature])*
            #[inline(never)]
            unsafe fn finish(job: &matmul::Job, sums: *const f32, rows: [usize; 2], panels: [usize; 2]) {
                // SAFETY: the caller's.
                unsafe { matmul::finish::finish::<$simd, $panel>(job, sums, rows, panels) }
            }

            impl matmul::finish::Steps for $simd {
                #[inline(always)]
                unsafe fn tile<W: Weight<$simd>, const G: usize, const R: usize>(
                    job: &matmul::Job, weights: *const W, segment: matmul::Segment, inputs: *const *const W::Input,
                    sums: *mut f32, prefetch: Prefetch,
                ) {
                    // SAFETY: the caller's.
                    unsafe { tile::<W, G, R>(job, weights, segment, inputs, sums, prefetch) }
                }

                #[inline(always)]
                unsafe fn finish(job: &matmul::Job, sums: *const f32, rows: [usize; 2], panels: [usize; 2]) {
                    // SAFETY: the caller's.
                    unsafe { finish(job, sums, rows, panels) }
                }
            }

            $(#[$feature])*
            pub(super) unsafe fn elu(x: *const f32, y: *mut f32, len: usize) {
                // SAFETY: the caller's.
                unsafe { elementwise::map::<$simd>(x, y, len, elementwise::Elu) }
            }

            $(#[$feature])*
            pub(super) unsafe fn subtract(a: *const f32, b: *const f32, y: *mut f32, len: usize) {
                // SAFETY: the caller's.
                unsafe { elementwise::subtract::<$simd>(a, b, y, len) }
            }

            $(#[$feature])*
            pub(super) unsafe fn layer_norm(
                x: *const f32, weight: *const f32, bias: *const f32, eps: f32, y: *mut f32, len: usize,
            ) {
                // SAFETY: the caller's.
                unsafe { norm::layer_norm::<$simd>(x, weight, bias, eps, y, len) }
            }

            $(#[$feature])*
            pub(super) unsafe fn largest(x: *const f32, len: usize) -> f32 {
                // SAFETY: the caller's.
                unsafe { norm::largest::<$simd>(x, len) }
            }

            $(#[$feature])*
            pub(super) unsafe fn largest_magnitude(x: *const f32, len: usize) -> f32 {
                // SAFETY: the caller's.
                unsafe { rounded::largest_magnitude::<$simd>(x, len) }
            }

            $(#[$feature])*
            pub(super) unsafe fn round(x: *const f32, factor: f32, y: *mut i16, len: usize) {
                // SAFETY: the caller's.
                unsafe { rounded::round::<$simd>(x, factor, y, len) }
            }

            $(#[$feature])*
            pub(super) unsafe fn remember(
                heads: Heads, place: [usize; 2], key: *const f32, value: *const f32, keys: *mut f32, values: *mut f32,
            ) {
                // SAFETY: the caller's.
                unsafe { attention::remember::<$simd>(heads, place, key, value, keys, values) }
            }

            $(#[$feature])*
            pub(super) unsafe fn multiply_adds(rounds: usize) -> usize {
                // SAFETY: the caller's.
                unsafe { limits::multiply_adds::<$simd>(rounds) }
            }

            $(#[$feature])*
            pub(super) unsafe fn integer_multiply_adds(rounds: usize) -> usize {
                // SAFETY: the caller's.
                unsafe { limits::integer_multiply_adds::<$simd>(rounds) }
            }

            $(#[$feature])*
            pub(super) unsafe fn read(x: *const f32, len: usize) -> f32 {
                // SAFETY: the caller's.
                unsafe { limits::read::<$simd>(x, len) }
            }

            $(#[$feature])*
            pub(super) unsafe fn attend(
                heads: Heads, queries: Queries, q: *const f32, keys: *const f32, values: *const f32,
                scores: *mut f32, out: *mut f32,
            ) {
                // SAFETY: the caller's.
                unsafe { attention::attend::<$simd>(heads, queries, q, keys, values, scores, out) }
            }
        }
    };
}

// Where every CPU has kernels of its own, the portable ones are there for the tests alone.
instantiate!(
    #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    portable, super::arch::portable::Portable, panel: 2, tile: 4, integer_tile: 4,
);
instantiate!(#[cfg(target_arch = "x86_64")] sse2, super::arch::sse2::Sse2, panel: 2, tile: 4, integer_tile: 4,);
instantiate!(
    #[cfg(target_arch = "x86_64")] avx2, super::arch::avx2::Avx2, panel: 2, tile: 6, integer_tile: 5,
    #[target_feature(enable = "avx2,fma")]
);
instantiate!(
    #[cfg(target_arch = "x86_64")] avx512, super::arch::avx512::Avx512, panel: 2, tile: 12, integer_tile: 12,
    #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
);
instantiate!(#[cfg(target_arch = "aarch64")] neon, super::arch::neon::Neon, panel: 4, tile: 5, integer_tile: 5,);

/// Calls a function of the module that belongs to the instruction set.
macro_rules! dispatch {
    ($kernels:expr, $($call:tt)*) => {
        match $kernels.isa {
            #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
            Isa::Portable => portable::$($call)*,
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => sse2::$($call)*,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::$($call)*,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::$($call)*,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::$($call)*,
        }
    };
}

impl Kernels {
    /// The kernels of `isa`, if this CPU has it.
    pub(crate) fn new(isa: Isa) -> Option<Self> {
        isa.is_available().then_some(Self { isa })
    }

    /// Their instruction set.
    pub(crate) fn isa(self) -> Isa {
        self.isa
    }

    /// Outputs side by side in a packed matrix, unless it has but one.
    pub(crate) fn panel_width(self) -> usize {
        dispatch!(self, PANEL_WIDTH)
    }

    /// Rows times some panels of a matrix, for several streams in one pass over the weights. The matrix has the panels
    /// `0..matrix.panels()`. The rows must be rounded before, see [`round_inputs`](Self::round_inputs).
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
        let job = matmul::Job::new(matrix, self, streams, product);
        let work = |part, parts| {
            let part = job.part(&panels, part, parts, dispatch!(self, TILE));
            // SAFETY: the job's memory is borrowed by `streams`; parts write apart from each other; `self` proves
            // the instruction set.
            unsafe { dispatch!(self, matmul(&job, part)) }
        };
        match team {
            Some(team) if job.is_worth_sharing(&panels) => team.run(&|part| work(part, team.size())),
            _ => work(0, 1),
        }
    }

    /// Rounds the rows of a product to 16 bits, if the matrix has weights of eight bits: its products read them so.
    pub(crate) fn round_inputs<M: Scratch>(self, matrix: &Matrix, stream: &mut M, product: Product) {
        if matrix.rounded_inputs() > 0 {
            let (scratch, rounded) = stream.scratch();
            rounded.fill(self, matrix, scratch, product);
        }
    }

    /// The largest magnitude; 0 for none.
    fn largest_magnitude(self, x: &[f32]) -> f32 {
        // SAFETY: pointer and length of a slice; `self` proves the instruction set.
        unsafe { dispatch!(self, largest_magnitude(x.as_ptr(), x.len())) }
    }

    /// y = x·factor, to the nearest integer.
    fn round(self, x: &[f32], factor: f32, y: &mut [i16]) {
        assert_eq!(x.len(), y.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { dispatch!(self, round(x.as_ptr(), factor, y.as_mut_ptr(), x.len())) }
    }

    /// y = ELU(x).
    pub(crate) fn elu(self, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { dispatch!(self, elu(x.as_ptr(), y.as_mut_ptr(), x.len())) }
    }

    /// y = a − b.
    pub(crate) fn subtract(self, a: &[f32], b: &[f32], y: &mut [f32]) {
        assert!(a.len() == y.len() && b.len() == y.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { dispatch!(self, subtract(a.as_ptr(), b.as_ptr(), y.as_mut_ptr(), y.len())) }
    }

    /// y = layer norm of the row x.
    pub(crate) fn layer_norm(self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
        assert!(x.len() == y.len() && x.len() == weight.len() && x.len() == bias.len());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe {
            dispatch!(
                self,
                layer_norm(x.as_ptr(), weight.as_ptr(), bias.as_ptr(), eps, y.as_mut_ptr(), x.len())
            )
        }
    }

    /// Index of the first largest value; 0 where there is none.
    pub(crate) fn argmax(self, x: &[f32]) -> usize {
        // SAFETY: pointer and length of a slice; `self` proves the instruction set.
        let largest = unsafe { dispatch!(self, largest(x.as_ptr(), x.len())) };
        x.iter().position(|&v| v == largest).unwrap_or(0)
    }

    /// The rows of a ring that holds at least `rows` keys; the largest number if there is no such ring.
    pub(crate) fn ring_rows(self, rows: usize) -> usize {
        rows.checked_next_multiple_of(dispatch!(self, LANES)).unwrap_or(usize::MAX)
    }

    /// Puts a key and a value into row `row` of rings of `capacity` rows.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn remember(
        self,
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
        let ring = capacity.checked_mul(width);
        assert!(ring.is_some_and(|len| keys.len() >= len && values.len() >= len), "rings are too small");
        let (key, value) = (key.as_ptr(), value.as_ptr());
        let (keys, values) = (keys.as_mut_ptr(), values.as_mut_ptr());
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe { dispatch!(self, remember(heads, [capacity, row], key, value, keys, values)) }
    }

    /// `rounds` rounds of multiply-adds that wait for nothing; returns how many that were.
    pub(crate) fn multiply_adds(self, rounds: usize) -> usize {
        // SAFETY: `self` proves the instruction set.
        unsafe { dispatch!(self, multiply_adds(rounds)) }
    }

    /// The same of 16-bit inputs and 8-bit weights.
    pub(crate) fn integer_multiply_adds(self, rounds: usize) -> usize {
        // SAFETY: `self` proves the instruction set.
        unsafe { dispatch!(self, integer_multiply_adds(rounds)) }
    }

    /// Reads `x` as fast as can be: the sum of its values, but for up to 127 at the end.
    pub(crate) fn read(self, x: &[f32]) -> f32 {
        // SAFETY: pointer and length of a slice; `self` proves the instruction set.
        unsafe { dispatch!(self, read(x.as_ptr(), x.len())) }
    }

    /// `out[head] = softmax(q[head]·keys)·values` for each query; the 1/√dim is in `q` already. `scores` has room
    /// for the ring's rows and the keys that a query sees.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn attend(
        self,
        heads: Heads,
        queries: Queries,
        q: &[f32],
        keys: &[f32],
        values: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let Queries { count, capacity, context, stride, out_stride, .. } = queries;
        let (width, key_width) = (heads.query_width(), heads.key_width());
        assert!(heads.keys >= 1 && heads.queries.is_multiple_of(heads.keys));
        assert!(count >= 1 && context >= 1 && capacity == self.ring_rows(capacity));
        let fits = context <= capacity && count - 1 <= capacity - context;
        assert!(fits, "the first query's oldest key was overwritten");
        let end = |stride: usize| (count - 1).checked_mul(stride)?.checked_add(width);
        assert!(end(stride).is_some_and(|end| q.len() >= end));
        assert!(end(out_stride).is_some_and(|end| out.len() >= end));
        let ring = capacity.checked_mul(key_width);
        assert!(ring.is_some_and(|len| keys.len() >= len && values.len() >= len), "rings are too small");
        assert!(capacity.checked_add(context).is_some_and(|len| scores.len() >= len), "too few scores");
        // SAFETY: lengths just checked; `self` proves the instruction set.
        unsafe {
            dispatch!(
                self,
                attend(
                    heads,
                    queries,
                    q.as_ptr(),
                    keys.as_ptr(),
                    values.as_ptr(),
                    scores.as_mut_ptr(),
                    out.as_mut_ptr()
                )
            )
        }
    }
}
