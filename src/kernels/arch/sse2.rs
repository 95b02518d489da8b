//! SSE2, which every x86-64 has: four lanes, no fused multiply-add.

use crate::kernels::simd::Simd;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Sse2;

// SAFETY of every block below: SSE2 is part of x86-64, and the caller vouches for pointers.
impl Simd for Sse2 {
    type Vector = __m128;
    type Pairs = __m128i;
    type Sums = __m128i;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m128) {
        // SAFETY: see above.
        unsafe { _mm_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m128, b: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m128, b: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m128, b: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m128, b: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m128, b: __m128, c: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_add_ps(_mm_mul_ps(a, b), c) }
    }
    #[inline(always)]
    unsafe fn max(a: __m128, b: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m128, b: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn magnitude(v: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_andnot_ps(_mm_set1_ps(-0.0), v) }
    }
    #[inline(always)]
    unsafe fn round(v: __m128) -> __m128 {
        // A sum with 1.5·2^23 has no bits for a fraction.
        // SAFETY: see above.
        unsafe { _mm_sub_ps(_mm_add_ps(v, _mm_set1_ps(12_582_912.0)), _mm_set1_ps(12_582_912.0)) }
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(v: __m128) -> __m128 {
        // SAFETY: see above.
        unsafe {
            _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(v), _mm_set1_epi32(127)), 23))
        }
    }
    #[inline(always)]
    unsafe fn sum(v: __m128) -> f32 {
        // SAFETY: see above.
        unsafe {
            let pairs = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)))
        }
    }
    #[inline(always)]
    unsafe fn largest(v: __m128) -> f32 {
        // SAFETY: see above.
        unsafe {
            let pairs = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_i16(p: *const i16) -> __m128 {
        // SAFETY: see above.
        unsafe {
            _mm_cvtepi32_ps(_mm_srai_epi32(
                _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(p.cast())),
                16,
            ))
        }
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const i8) -> __m128i {
        // SAFETY: see above.
        unsafe { _mm_srai_epi16(_mm_unpacklo_epi8(_mm_setzero_si128(), _mm_loadl_epi64(p.cast())), 8) }
    }
    #[inline(always)]
    unsafe fn load_wide_pairs(p: *const i16) -> __m128i {
        // SAFETY: see above.
        unsafe { _mm_loadu_si128(p.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> __m128i {
        // SAFETY: see above.
        unsafe { _mm_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn no_sums() -> __m128i {
        // SAFETY: see above.
        unsafe { _mm_setzero_si128() }
    }
    #[inline(always)]
    unsafe fn add_products(sums: __m128i, weights: __m128i, inputs: __m128i) -> __m128i {
        // SAFETY: see above.
        unsafe { _mm_add_epi32(sums, _mm_madd_epi16(weights, inputs)) }
    }
    #[inline(always)]
    unsafe fn to_f32(sums: __m128i) -> __m128 {
        // SAFETY: see above.
        unsafe { _mm_cvtepi32_ps(sums) }
    }
    #[inline(always)]
    unsafe fn store_rounded(p: *mut i16, [a, b]: [__m128; 2]) {
        // SAFETY: see above.
        unsafe { _mm_storeu_si128(p.cast(), _mm_packs_epi32(_mm_cvtps_epi32(a), _mm_cvtps_epi32(b))) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch(p.cast(), _MM_HINT_T0) }
    }
}
