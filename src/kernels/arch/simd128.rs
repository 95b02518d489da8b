//! SIMD of WebAssembly: four lanes. Relaxed SIMD fuses multiply-adds where the machine below does.

use crate::kernels::simd::Simd;
use std::arch::wasm32::*;

#[derive(Clone, Copy)]
pub(crate) struct Simd128;

/// 1.5·2²³: a sum with it has no bits for a fraction, and its lowest bits are those of the rounded integer.
const MAGIC: f32 = 12_582_912.0;

// SAFETY of every block below: the module is compiled for SIMD, and the caller vouches for pointers. Loads and stores
// need no alignment.
impl Simd for Simd128 {
    type Vector = v128;
    type Pairs = v128;
    type Sums = v128;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> v128 {
        // SAFETY: see above.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: v128) {
        // SAFETY: see above.
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    unsafe fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    unsafe fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_relaxed_madd(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: v128, b: v128) -> v128 {
        // one instruction on x86, where f32x4_max is several; b if a is no number
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    unsafe fn min(a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    unsafe fn magnitude(v: v128) -> v128 {
        f32x4_abs(v)
    }
    #[inline(always)]
    unsafe fn round(v: v128) -> v128 {
        f32x4_nearest(v)
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(v: v128) -> v128 {
        // the shift leaves the integer's bits of the sum, without those of MAGIC
        i32x4_shl(i32x4_add(f32x4_add(v, f32x4_splat(MAGIC)), i32x4_splat(127)), 23)
    }
    #[inline(always)]
    unsafe fn sum(v: v128) -> f32 {
        let pairs = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
        f32x4_extract_lane::<0>(pairs) + f32x4_extract_lane::<1>(pairs)
    }
    #[inline(always)]
    unsafe fn largest(v: v128) -> f32 {
        // SAFETY: see above.
        unsafe {
            let pairs = Self::max(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
            f32x4_extract_lane::<0>(Self::max(pairs, i32x4_shuffle::<1, 0, 3, 2>(pairs, pairs)))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> v128 {
        // SAFETY: see above.
        unsafe { i32x4_shl(u32x4_load_extend_u16x4(p), 16) }
    }
    #[inline(always)]
    unsafe fn load_i16(p: *const i16) -> v128 {
        // SAFETY: see above.
        unsafe { f32x4_convert_i32x4(i32x4_load_extend_i16x4(p)) }
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const i8) -> v128 {
        // SAFETY: see above.
        unsafe { i16x8_load_extend_i8x8(p) }
    }
    #[inline(always)]
    unsafe fn load_wide_pairs(p: *const i16) -> v128 {
        // SAFETY: see above.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> v128 {
        // SAFETY: see above.
        unsafe { v128_load32_splat(p.cast()) }
    }
    #[inline(always)]
    unsafe fn no_sums() -> v128 {
        i32x4_splat(0)
    }
    #[inline(always)]
    unsafe fn add_products(sums: v128, weights: v128, inputs: v128) -> v128 {
        i32x4_add(sums, i32x4_dot_i16x8(weights, inputs))
    }
    #[inline(always)]
    unsafe fn to_f32(sums: v128) -> v128 {
        f32x4_convert_i32x4(sums)
    }
    #[inline(always)]
    unsafe fn store_rounded(p: *mut i16, v: [v128; 2]) {
        let [a, b] = v.map(|v| f32x4_add(v, f32x4_splat(MAGIC)));
        // SAFETY: see above.
        unsafe { v128_store(p.cast(), i16x8_shuffle::<0, 2, 4, 6, 8, 10, 12, 14>(a, b)) }
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}
