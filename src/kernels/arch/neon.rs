//! NEON on 64-bit Arm: four lanes.

use crate::kernels::simd::Simd;
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

// SAFETY of every block below: NEON is part of 64-bit Arm, and the caller vouches for pointers.
impl Simd for Neon {
    type Vector = float32x4_t;
    /// Four outputs' values for the first input, then their values for the second. NEON multiplies halves of a
    /// register, not neighbours.
    type Pairs = int16x8_t;
    type Sums = int32x4_t;
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: see above.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn magnitude(v: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vabsq_f32(v) }
    }
    #[inline(always)]
    unsafe fn round(v: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vrndnq_f32(v) }
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(v: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(127)))) }
    }
    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe {
            let two = vadd_f32(vget_low_f32(v), vget_high_f32(v));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
    #[inline(always)]
    unsafe fn largest(v: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe { vmaxvq_f32(v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p))) }
    }
    #[inline(always)]
    unsafe fn load_i16(p: *const i16) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(vmovl_s16(vld1_s16(p))) }
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const i8) -> int16x8_t {
        // SAFETY: see above.
        unsafe {
            let pairs = vmovl_s8(vld1_s8(p));
            vuzp1q_s16(pairs, vextq_s16::<1>(pairs, pairs))
        }
    }
    #[inline(always)]
    unsafe fn load_wide_pairs(p: *const i16) -> int16x8_t {
        // SAFETY: see above.
        unsafe {
            let pairs = vld2_s16(p);
            vcombine_s16(pairs.0, pairs.1)
        }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> int16x8_t {
        // SAFETY: see above.
        unsafe { vcombine_s16(vld1_dup_s16(p), vld1_dup_s16(p.add(1))) }
    }
    #[inline(always)]
    unsafe fn no_sums() -> int32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_s32(0) }
    }
    #[inline(always)]
    unsafe fn add_products(sums: int32x4_t, weights: int16x8_t, inputs: int16x8_t) -> int32x4_t {
        // SAFETY: see above.
        unsafe {
            let sums = vmlal_s16(sums, vget_low_s16(weights), vget_low_s16(inputs));
            vmlal_high_s16(sums, weights, inputs)
        }
    }
    #[inline(always)]
    unsafe fn to_f32(sums: int32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(sums) }
    }
    #[inline(always)]
    unsafe fn store_rounded(p: *mut i16, [a, b]: [float32x4_t; 2]) {
        // SAFETY: see above.
        unsafe { vst1q_s16(p, vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(a)), vcvtnq_s32_f32(b))) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        // SAFETY: a prefetch never faults.
        unsafe {
            core::arch::asm!("prfm pldl1keep, [{0}]", in(reg) p, options(nostack, preserves_flags, readonly))
        }
    }
}
