//! The vector operations of the kernels.
//!
//! Every kernel body is written once, generic over [`Simd`] and marked `#[inline(always)]`. A function that enables the
//! instruction set calls it: see [`table`](super::table).

/// Bytes that a prefetch fetches.
pub(super) const CACHE_LINE: usize = 64;

/// The most f32 values in a register of any instruction set.
pub(super) const MAX_LANES: usize = 16;

/// A vector of `LANES` f32 values.
///
/// # Safety
///
/// Every method may be called only on a CPU with the implementor's instruction set. Pointers must be valid for as many
/// elements as a method says, or else `LANES`. No alignment is assumed.
pub(crate) trait Simd: Copy {
    /// The register.
    type Vector: Copy;
    /// 2·`LANES` 16-bit integers.
    type Pairs: Copy;
    /// `LANES` 32-bit integers.
    type Sums: Copy;
    /// f32 values in a register; at most [`MAX_LANES`].
    const LANES: usize;

    unsafe fn splat(x: f32) -> Self::Vector;
    unsafe fn load(p: *const f32) -> Self::Vector;
    unsafe fn store(p: *mut f32, v: Self::Vector);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn div(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, fused where the instruction set fuses.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// |v|.
    unsafe fn magnitude(v: Self::Vector) -> Self::Vector;
    /// To the nearest integer, ties to even, for |v| < 2^22.
    unsafe fn round(v: Self::Vector) -> Self::Vector;
    /// 2^v for whole v in −126..=127.
    unsafe fn exp2_of_integer(v: Self::Vector) -> Self::Vector;
    /// Sum of the lanes, halves first: (0+4)+(2+6) … in a fixed order.
    unsafe fn sum(v: Self::Vector) -> f32;
    /// Largest lane.
    unsafe fn largest(v: Self::Vector) -> f32;
    /// Widens `LANES` bfloat16 values.
    unsafe fn load_bf16(p: *const u16) -> Self::Vector;

    /// Widens `LANES` integers of 16 bits.
    unsafe fn load_i16(p: *const i16) -> Self::Vector;

    /// Widens 2·`LANES` bytes: the weights of two inputs, side by side, for each of `LANES` outputs.
    unsafe fn load_pairs(p: *const i8) -> Self::Pairs;
    /// The same weights, of 16 bits already.
    unsafe fn load_wide_pairs(p: *const i16) -> Self::Pairs;
    /// Two inputs, for each of `LANES` outputs.
    unsafe fn splat_pair(p: *const i16) -> Self::Pairs;
    /// Zeros.
    unsafe fn no_sums() -> Self::Sums;
    /// Adds the products of an output's two weights and two inputs to its sum. Nothing is rounded. Sums must fit 32
    /// bits.
    unsafe fn add_products(sums: Self::Sums, weights: Self::Pairs, inputs: Self::Pairs) -> Self::Sums;
    /// To the nearest f32.
    unsafe fn to_f32(sums: Self::Sums) -> Self::Vector;
    /// Stores 2·`LANES` values, rounded to the nearest integers, ties to even; for |v| < 32767.5.
    unsafe fn store_rounded(p: *mut i16, v: [Self::Vector; 2]);

    /// Prefetches the cache line at `p`, which need not be valid.
    unsafe fn prefetch(p: *const u8);
}
