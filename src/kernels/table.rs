//! The kernels of each instruction set: one table of functions for each.

use super::attention::loops::{self, Loops};
use super::isa::InstructionSet;
use super::kept::{self, Heads};
use super::matmul::{Job, Segment, Tiles, column, finish, tile};
use super::matrix::Bf16;
use super::rounded::Blocks;
use super::simd::Simd;
use super::{arch, elementwise, limits, norm, rounded};

type Remember = unsafe fn(Heads, [usize; 2], *const f32, *const f32, *mut f32, *mut f32);

/// The kernels of an instruction set. Each may be called on a CPU with that instruction set, under the contract of its
/// body.
pub(super) struct Table {
    pub(super) isa: InstructionSet,
    pub(super) name: &'static str,
    /// Whether this CPU, under this operating system, has the instruction set.
    pub(super) is_available: fn() -> bool,
    /// f32 values in a register.
    pub(super) lanes: usize,
    /// Outputs in a panel of a packed matrix, unless it has a single output in f32.
    pub(super) panel_width: usize,
    /// Tiles by format of the weights.
    pub(super) f32: Tiles,
    pub(super) bf16: Tiles,
    pub(super) int16: Tiles,
    pub(super) int8: Tiles,
    pub(super) column: unsafe fn(&Job, *const f32, *const *const f32, *mut f32),
    pub(super) finish: unsafe fn(&Job, *const f32, [usize; 2], [usize; 2]),
    pub(super) elu: unsafe fn(*const f32, *mut f32, usize),
    pub(super) subtract: unsafe fn(*const f32, *const f32, *mut f32, usize),
    pub(super) layer_norm: unsafe fn(*const f32, *const f32, *const f32, f32, *mut f32, usize),
    pub(super) largest: unsafe fn(*const f32, usize) -> f32,
    pub(super) round_blocks: unsafe fn(&Blocks, usize, *const f32, usize, *mut i16),
    pub(super) multiply: unsafe fn(*const f32, *const f32, *mut f32, usize),
    pub(super) softmax_numerators: unsafe fn(*mut f32, usize) -> f32,
    pub(super) remember: Remember,
    pub(super) remember_rounded: Remember,
    /// Loops of attention by how keys and values are kept.
    pub(super) attention: Loops<f32>,
    pub(super) attention_rounded: Loops<i16>,
    pub(super) multiply_adds: unsafe fn(usize) -> usize,
    pub(super) integer_multiply_adds: unsafe fn(usize) -> usize,
    pub(super) read: unsafe fn(*const f32, usize) -> f32,
}

/// A function for CPUs with these features. The body is inlined into it, because it is `#[inline(always)]`. `$last` is
/// a last argument of the body alone.
macro_rules! enter {
    ([$($feature:tt)*] ($($argument:ident: $type:ty),*) $(-> $output:ty)?, $body:expr $(, $last:expr)?) => {{
        $(#[target_feature(enable = $feature)])*
        unsafe fn enter($($argument: $type),*) $(-> $output)? {
            // SAFETY: the caller's.
            unsafe { $body($($argument,)* $($last)?) }
        }
        enter
    }};
}

/// Makes the table of an instruction set. A panel has `panel` registers. `rows` lists the rows of its tiles, and
/// `integer_rows` those for weights that are integers.
macro_rules! table {
    ($table:ident, $isa:ident, $name:expr, $simd:ty, features: $features:tt, panel: $panel:literal, rows: $rows:tt,
     integer_rows: $integer_rows:tt) => {
        pub(super) const $table: Table = {
            type S = $simd;
            Table {
                isa: InstructionSet::$isa,
                name: $name,
                is_available: available!($features),
                lanes: S::LANES,
                panel_width: $panel * S::LANES,
                f32: tiles!($features f32, $panel, $rows),
                bf16: tiles!($features Bf16, $panel, $rows),
                int16: tiles!($features i16, $panel, $integer_rows),
                int8: tiles!($features i8, $panel, $integer_rows),
                column: enter!($features (job: &Job, weights: *const f32, inputs: *const *const f32, sums: *mut f32),
                    column::column::<S, $panel>),
                finish: enter!($features (job: &Job, sums: *const f32, rows: [usize; 2], panels: [usize; 2]),
                    finish::finish::<S, $panel>),
                elu: enter!($features (x: *const f32, y: *mut f32, len: usize), elementwise::map::<S>, elementwise::Elu),
                subtract: enter!($features (a: *const f32, b: *const f32, y: *mut f32, len: usize),
                    elementwise::subtract::<S>),
                layer_norm: enter!($features
                    (x: *const f32, weight: *const f32, bias: *const f32, eps: f32, y: *mut f32, len: usize),
                    norm::layer_norm::<S>),
                largest: enter!($features (x: *const f32, len: usize) -> f32, norm::largest::<S>),
                round_blocks: enter!($features (blocks: &Blocks, count: usize, x: *const f32, less: usize, y: *mut i16),
                    rounded::round_blocks::<S>),
                multiply: enter!($features (a: *const f32, b: *const f32, y: *mut f32, len: usize),
                    elementwise::multiply::<S>),
                softmax_numerators: enter!($features (x: *mut f32, len: usize) -> f32, norm::softmax_numerators::<S>),
                remember: enter!($features
                    (heads: Heads, place: [usize; 2], key: *const f32, value: *const f32, keys: *mut f32,
                     values: *mut f32),
                    kept::remember::<S>),
                remember_rounded: enter!($features
                    (heads: Heads, place: [usize; 2], key: *const f32, value: *const f32, keys: *mut f32,
                     values: *mut f32),
                    kept::remember_rounded::<S>),
                attention: attention!($features f32),
                attention_rounded: attention!($features i16),
                multiply_adds: enter!($features (rounds: usize) -> usize, limits::multiply_adds::<S>),
                integer_multiply_adds: enter!($features (rounds: usize) -> usize, limits::integer_multiply_adds::<S>),
                read: enter!($features (x: *const f32, len: usize) -> f32, limits::read::<S>),
            }
        };
    };
}

/// Asks the CPU for the features of a table.
macro_rules! available {
    ([$($feature:tt)*]) => { || true $(&& is_x86_feature_detected!($feature))* };
}

/// The tiles for a type of weights. Each is a function of its own, because one function of all tiles takes longer to
/// compile. A call costs little beside a tile's work.
macro_rules! tiles {
    ([$($feature:tt)*] $weight:ty, $panel:literal, [$($rows:literal)*]) => {{
        $(#[target_feature(enable = $feature)])*
        unsafe fn enter<const G: usize, const R: usize>(
            job: &Job, weights: *const u8, segment: Segment, inputs: *const *const u8, sums: *mut f32,
            prefetch: tile::Prefetch,
        ) {
            // SAFETY: the caller's.
            unsafe { tile::tile::<S, $weight, $panel, G, R>(job, weights, segment, inputs, sums, prefetch) }
        }
        Tiles::new::<S, $weight, $panel>([
            &[$(enter::<1, $rows>),*], &[enter::<2, 1>, enter::<2, 2>], &[enter::<3, 1>, enter::<3, 2>],
        ])
    }};
}

/// The loops of attention for a type of keys and values.
macro_rules! attention {
    ([$($feature:tt)*] $element:ty) => {{
        $(#[target_feature(enable = $feature)])*
        unsafe fn scores<const Q: usize, const G: usize>(
            dim: usize, ahead: isize, queries: *const *const f32, keys: *const $element, key_scales: *const f32,
            scores: *const *mut f32,
        ) {
            // SAFETY: the caller's.
            unsafe { loops::scores::<S, $element, Q, G>(dim, ahead, queries, keys, key_scales, scores) }
        }
        $(#[target_feature(enable = $feature)])*
        unsafe fn values<const Q: usize, const G: usize>(
            dim: usize, d: usize, ahead: isize, runs: loops::Runs, weights: *const *const f32, values: *const $element,
            sums: *const *mut f32,
        ) {
            // SAFETY: the caller's.
            unsafe { loops::values::<S, $element, Q, G>(dim, d, ahead, runs, weights, values, sums) }
        }
        Loops {
            scores: [
                &[scores::<1, 1>, scores::<1, 2>, scores::<1, 4>, scores::<1, 8>],
                &[scores::<2, 1>, scores::<2, 2>, scores::<2, 4>],
                &[scores::<4, 1>, scores::<4, 2>],
            ],
            values: [
                &[values::<1, 1>, values::<1, 2>, values::<1, 4>, values::<1, 8>],
                &[values::<2, 1>, values::<2, 2>, values::<2, 4>],
                &[values::<4, 1>, values::<4, 2>],
            ],
        }
    }};
}

// On architectures with kernels of their own, the portable ones are only tested.
#[cfg(any(
    test,
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    ))
))]
table!(PORTABLE, Portable, "portable", arch::portable::Portable, features: [], panel: 2, rows: [1 2 3 4],
    integer_rows: [1 2 3 4]);
#[cfg(target_arch = "x86_64")]
table!(SSE2, Sse2, "sse2", arch::sse2::Sse2, features: [], panel: 2, rows: [1 2 3 4], integer_rows: [1 2 3 4]);
#[cfg(target_arch = "x86_64")]
table!(AVX2, Avx2, "avx2, fma", arch::avx2::Avx2, features: ["avx2" "fma"], panel: 2, rows: [1 2 3 4 5 6],
    integer_rows: [1 2 3 4 5]);
#[cfg(target_arch = "x86_64")]
table!(AVX512, Avx512, "avx512", arch::avx512::Avx512<false>, features: ["avx512f" "avx512bw" "avx2" "fma"], panel: 2,
    rows: [1 2 3 4 5 6 7 8 9 10 11 12], integer_rows: [1 2 3 4 5 6 7 8 9 10 11 12]);

/// AVX-512 with tiles of its own for integers.
#[cfg(target_arch = "x86_64")]
pub(super) const AVX512_VNNI: Table = {
    type S = arch::avx512::Avx512<true>;
    Table {
        isa: InstructionSet::Avx512Vnni,
        name: "avx512, vnni",
        is_available: available!(["avx512f" "avx512bw" "avx512vnni" "avx2" "fma"]),
        int16: tiles!(["avx512f" "avx512bw" "avx512vnni" "avx2" "fma"] i16, 2, [1 2 3 4 5 6 7 8 9 10 11 12]),
        int8: tiles!(["avx512f" "avx512bw" "avx512vnni" "avx2" "fma"] i8, 2, [1 2 3 4 5 6 7 8 9 10 11 12]),
        integer_multiply_adds: enter!(["avx512f" "avx512bw" "avx512vnni" "avx2" "fma"] (rounds: usize) -> usize,
            limits::integer_multiply_adds::<S>),
        ..AVX512
    }
};
#[cfg(target_arch = "aarch64")]
table!(NEON, Neon, "neon", arch::neon::Neon, features: [], panel: 4, rows: [1 2 3 4 5], integer_rows: [1 2 3 4 5]);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
table!(SIMD128, Simd128, if cfg!(target_feature = "relaxed-simd") { "simd128, relaxed" } else { "simd128" },
    arch::simd128::Simd128, features: [], panel: 2, rows: [1 2 3 4], integer_rows: [1 2 3 4]);
