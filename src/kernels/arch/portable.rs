//! Plain Rust on four lanes, for processors without kernels of their own.

use crate::kernels::simd::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn map(a: [f32; 4], f: impl Fn(f32) -> f32) -> [f32; 4] {
    [f(a[0]), f(a[1]), f(a[2]), f(a[3])]
}

#[inline(always)]
fn zip(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Portable {
    type Vector = [f32; 4];
    type Pairs = [i16; 8];
    type Sums = [i32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: the caller vouches for four elements.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller vouches for four elements.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Not f32::mul_add, because that calls libm on processors without an instruction for it.
        zip(zip(a, b, |a, b| a * b), c, |ab, c| ab + c)
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn magnitude(v: [f32; 4]) -> [f32; 4] {
        map(v, f32::abs)
    }
    #[inline(always)]
    unsafe fn round(v: [f32; 4]) -> [f32; 4] {
        // A sum with 1.5·2^23 has no bits for a fraction.
        map(v, |x| (x + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    unsafe fn exp2_of_integer(v: [f32; 4]) -> [f32; 4] {
        map(v, |x| f32::from_bits(((x as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    unsafe fn largest(v: [f32; 4]) -> f32 {
        v[0].max(v[2]).max(v[1].max(v[3]))
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> [f32; 4] {
        // SAFETY: the caller vouches for four elements.
        let v = unsafe { p.cast::<[u16; 4]>().read_unaligned() };
        v.map(|x| f32::from_bits(u32::from(x) << 16))
    }
    #[inline(always)]
    unsafe fn load_i16(p: *const i16) -> [f32; 4] {
        // SAFETY: the caller vouches for four elements.
        unsafe { p.cast::<[i16; 4]>().read_unaligned() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const i8) -> [i16; 8] {
        // SAFETY: the caller vouches for eight elements.
        let v = unsafe { p.cast::<[i8; 8]>().read_unaligned() };
        v.map(i16::from)
    }
    #[inline(always)]
    unsafe fn load_wide_pairs(p: *const i16) -> [i16; 8] {
        // SAFETY: the caller vouches for eight elements.
        unsafe { p.cast::<[i16; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn splat_pair(p: *const i16) -> [i16; 8] {
        // SAFETY: the caller vouches for two elements.
        let [a, b] = unsafe { p.cast::<[i16; 2]>().read_unaligned() };
        [a, b, a, b, a, b, a, b]
    }
    #[inline(always)]
    unsafe fn no_sums() -> [i32; 4] {
        [0; 4]
    }
    #[inline(always)]
    unsafe fn add_products(sums: [i32; 4], weights: [i16; 8], inputs: [i16; 8]) -> [i32; 4] {
        let product = |i: usize| i32::from(weights[i]) * i32::from(inputs[i]);
        // as vectors do: what is not a number was rounded to a number that may be too large
        let add = |i: usize| sums[i].wrapping_add(product(2 * i)).wrapping_add(product(2 * i + 1));
        [add(0), add(1), add(2), add(3)]
    }
    #[inline(always)]
    unsafe fn to_f32(sums: [i32; 4]) -> [f32; 4] {
        sums.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn store_rounded(p: *mut i16, v: [[f32; 4]; 2]) {
        // SAFETY: the caller vouches for eight elements.
        unsafe { p.cast::<[[i16; 4]; 2]>().write_unaligned(v.map(|v| Self::round(v).map(|x| x as i16))) }
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}
