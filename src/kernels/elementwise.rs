//! Activations. All lanes are computed alike, so a value does not depend on its neighbours.

use super::simd::{MAX_LANES, Simd};
use std::ops::{Mul, Sub};

/// e^v for v in −87..=88, as a factor and a power of two. Their product has a relative error below 2e-7 + |v|·8e-8.
/// With v·log₂e = n + f and |f| ≤ ½ they are 2^f and 2^n. The polynomial for 2^f has its value and slope at 0. Of
/// those of degree 5 it has the smallest relative error, 1.1e-7.
#[inline(always)]
unsafe fn exp_in_parts<S: Simd>(v: S::Vector) -> [S::Vector; 2] {
    const COEFFICIENTS: [f32; 5] =
        [9.669_691e-3, 5.550_558_5e-2, 2.402_228_3e-1, std::f32::consts::LN_2, 1.0];
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let t = S::mul(v, S::splat(std::f32::consts::LOG2_E));
        let n = S::round(t);
        let f = S::sub(t, n);
        let mut p = S::splat(1.330_060_9e-3);
        for c in COEFFICIENTS {
            p = S::mul_add(p, f, S::splat(c));
        }
        [p, S::exp2_of_integer(n)]
    }
}

/// e^v for v in −87..=88.
#[inline(always)]
unsafe fn exp<S: Simd>(v: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let [factor, power] = exp_in_parts::<S>(v);
        S::mul(factor, power)
    }
}

/// ELU with α = 1: v, or e^v − 1 where v ≤ 0. Absolute error below 2e-7. Values below −87 give −1.
#[inline(always)]
unsafe fn elu<S: Simd>(v: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let [factor, power] = exp_in_parts::<S>(S::max(S::min(v, S::splat(0.0)), S::splat(-87.0)));
        // of v ≤ 0, e^v − 1 is at least v; of v > 0, the first is 0
        S::max(S::mul_add(factor, power, S::splat(-1.0)), v)
    }
}

/// erf(v) = v·P(v²)/Q(v²), with a relative error below 4e-7. Beyond ±3.92 erf is ±1 in f32, so v is clamped.
///
/// P and Q are the rational minimax fit of degree 5/5 to erf(√t)/√t on [0, 3.92²], by Lawson's iteration on Chebyshev
/// points in 40 digits. The fit itself is within 1.9e-8.
#[inline(always)]
unsafe fn erf<S: Simd>(v: S::Vector) -> S::Vector {
    const LIMIT: f32 = 3.92;
    const P: [f32; 6] = [
        2.050_233_4e-6,
        2.848_793_7e-4,
        3.765_204e-3,
        5.274_74e-2,
        1.903_961_3e-1,
        std::f32::consts::FRAC_2_SQRT_PI,
    ];
    const Q: [f32; 6] = [3.809_307_7e-5, 1.162_448e-3, 1.496_835_7e-2, 1.141_048_9e-1, 5.020_669e-1, 1.0];
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let v = S::min(S::max(v, S::splat(-LIMIT)), S::splat(LIMIT));
        let t = S::mul(v, v);
        let (mut p, mut q) = (S::splat(P[0]), S::splat(Q[0]));
        for i in 1..6 {
            p = S::mul_add(p, t, S::splat(P[i]));
            q = S::mul_add(q, t, S::splat(Q[i]));
        }
        S::div(S::mul(v, p), q)
    }
}

/// The exact GELU, v/2·(1 + erf(v/√2)).
#[inline(always)]
unsafe fn gelu<S: Simd>(v: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let e = erf::<S>(S::mul(v, S::splat(std::f32::consts::FRAC_1_SQRT_2)));
        let half = S::mul(v, S::splat(0.5));
        S::mul_add(half, e, half)
    }
}

/// GELU by the hyperbolic tangent, v/2·(1 + tanh u) = v/(1 + e^−2u) with u = √(2/π)·(v + 0.044715·v³).
#[inline(always)]
unsafe fn gelu_tanh<S: Simd>(v: S::Vector) -> S::Vector {
    // −2·√(2/π)
    const FACTOR: f32 = -1.595_769;
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let factor = S::mul_add(S::mul(v, v), S::splat(0.044_715 * FACTOR), S::splat(FACTOR));
        let exponent = S::min(S::max(S::mul(v, factor), S::splat(-87.0)), S::splat(87.0));
        S::div(v, S::add(exp::<S>(exponent), S::splat(1.0)))
    }
}

/// SiLU, v/(1 + e^−v).
#[inline(always)]
unsafe fn silu<S: Simd>(v: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let minus = S::sub(S::splat(0.0), v);
        let e = exp::<S>(S::min(S::max(minus, S::splat(-87.0)), S::splat(87.0)));
        S::div(v, S::add(e, S::splat(1.0)))
    }
}

/// max(v, 0).
#[inline(always)]
unsafe fn relu<S: Simd>(v: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { S::max(v, S::splat(0.0)) }
}

/// v.
#[inline(always)]
unsafe fn identity<S: Simd>(v: S::Vector) -> S::Vector {
    v
}

/// A function of each value. It is a trait and not a closure, because closures are not always inlined. Only code that
/// is inlined is compiled for the instruction set of its caller.
pub(super) trait Function<S: Simd>: Copy {
    /// # Safety
    ///
    /// The CPU has `S`.
    unsafe fn of(self, v: S::Vector) -> S::Vector;
}

/// Types for functions without parameters.
macro_rules! functions {
    ($($name:ident = $of:expr;)*) => {$(
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl<S: Simd> Function<S> for $name {
            #[inline(always)]
            unsafe fn of(self, v: S::Vector) -> S::Vector {
                // SAFETY: the caller's.
                unsafe { $of(v) }
            }
        }
    )*};
}

functions! {
    Identity = identity::<S>;
    Elu = elu::<S>;
    Gelu = gelu::<S>;
    GeluTanh = gelu_tanh::<S>;
    Relu = relu::<S>;
    Silu = silu::<S>;
}

/// e^(v − max), for values of at most `max`. A difference below −87 counts as −87, which gives about 1e-38.
#[derive(Clone, Copy)]
pub(super) struct ExpBelow {
    pub(super) max: f32,
}

impl<S: Simd> Function<S> for ExpBelow {
    #[inline(always)]
    unsafe fn of(self, v: S::Vector) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { exp::<S>(S::max(S::sub(v, S::splat(self.max)), S::splat(-87.0))) }
    }
}

/// Functions of the pairs of values of two rows.
macro_rules! pairwise {
    ($($(#[$doc:meta])* $name:ident = $of_lanes:expr, $of_values:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// All pointers are valid for `len` values, `y` may be `a`; the CPU has `S`.
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd>(a: *const f32, b: *const f32, y: *mut f32, len: usize) {
            let whole = len - len % S::LANES;
            // SAFETY: the caller's; every index is below `len`.
            unsafe {
                for i in (0..whole).step_by(S::LANES) {
                    S::store(y.add(i), $of_lanes(S::load(a.add(i)), S::load(b.add(i))));
                }
                for i in whole..len {
                    *y.add(i) = $of_values(*a.add(i), *b.add(i));
                }
            }
        }
    )*};
}

pairwise! {
    /// y = a − b.
    subtract = S::sub, f32::sub;
    /// y = a·b.
    multiply = S::mul, f32::mul;
}

/// Applies `f` to `len` values from `x` to `y`, which may be the same. Values at the end that fill no vector go through
/// a buffer, so that they are computed like the others.
///
/// # Safety
///
/// `x` and `y` are valid for `len` values; the CPU has `S`.
#[inline(always)]
pub(super) unsafe fn map<S: Simd>(x: *const f32, y: *mut f32, len: usize, f: impl Function<S>) {
    let mut i = 0;
    // SAFETY: i + LANES ≤ len in the loop; the rest is copied to and from a buffer of at least LANES.
    unsafe {
        while i + S::LANES <= len {
            S::store(y.add(i), f.of(S::load(x.add(i))));
            i += S::LANES;
        }
        if i < len {
            let mut rest = [0.0f32; MAX_LANES];
            std::ptr::copy_nonoverlapping(x.add(i), rest.as_mut_ptr(), len - i);
            S::store(rest.as_mut_ptr(), f.of(S::load(rest.as_ptr())));
            std::ptr::copy_nonoverlapping(rest.as_ptr(), y.add(i), len - i);
        }
    }
}
