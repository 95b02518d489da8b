//! The last steps of a product on its sums: scale, bias, residual, activation, store.

use super::{Activation, Job, MAX_WIDTH};
use crate::kernels::elementwise::{Elu, Function, Gelu, GeluTanh, Identity, Relu, Silu};
use crate::kernels::simd::Simd;

/// Adds bias and residual to sums, activates, stores: `sums` is `[rows][panels · panel width]`, for rows
/// `rows.0..rows.0 + rows.1` and likewise for panels.
///
/// # Safety
///
/// As for [`Job::run`]; rows and panels are the job's; the CPU has `S`.
#[inline(always)]
pub(in crate::kernels) unsafe fn finish<S: Simd, const P: usize>(
    job: &Job,
    sums: *const f32,
    rows: [usize; 2],
    panels: [usize; 2],
) {
    // SAFETY: the caller's.
    unsafe {
        match job.product.activation {
            Activation::None => finish_with::<S, P>(job, sums, rows, panels, Identity),
            Activation::Elu => finish_with::<S, P>(job, sums, rows, panels, Elu),
            Activation::Gelu => finish_with::<S, P>(job, sums, rows, panels, Gelu),
            Activation::GeluTanh => finish_with::<S, P>(job, sums, rows, panels, GeluTanh),
            Activation::Relu => finish_with::<S, P>(job, sums, rows, panels, Relu),
            Activation::Silu => finish_with::<S, P>(job, sums, rows, panels, Silu),
        }
    }
}

#[inline(always)]
unsafe fn finish_with<S: Simd, const P: usize>(
    job: &Job,
    sums: *const f32,
    [first, rows]: [usize; 2],
    [panel, panels]: [usize; 2],
    activation: impl Function<S>,
) {
    let width = P * S::LANES;
    for index in 0..panels {
        let column = (panel + index) * width;
        let columns = width.min(job.outputs - column);
        // SAFETY: the caller's; bias and scales are whole panels long; outputs of a last panel that is not full go
        // through buffers of MAX_WIDTH values.
        unsafe {
            let mut bias = [S::splat(0.0); P];
            let mut scale = [S::splat(1.0); P];
            for p in 0..P {
                bias[p] = S::load(job.bias.add(column + p * S::LANES));
                if !job.scales.is_null() {
                    scale[p] = S::load(job.scales.add(column + p * S::LANES));
                }
            }
            for (row, place) in (0..rows).zip(job.places(first)) {
                let sums = sums.add((row * panels + index) * width);
                let y = job.row(job.product.y, place).add(column);
                let residual = job.product.residual.map(|rows| job.row(rows, place).add(column).cast_const());
                if columns == width {
                    finish_row::<S, P>(sums, &scale, &bias, residual, y, activation);
                } else {
                    let (mut from, mut to) = ([0.0f32; MAX_WIDTH], [0.0f32; MAX_WIDTH]);
                    if let Some(residual) = residual {
                        std::ptr::copy_nonoverlapping(residual, from.as_mut_ptr(), columns);
                    }
                    let residual = residual.map(|_| from.as_ptr());
                    finish_row::<S, P>(sums, &scale, &bias, residual, to.as_mut_ptr(), activation);
                    std::ptr::copy_nonoverlapping(to.as_ptr(), y, columns);
                }
            }
        }
    }
}

/// One row's outputs of a panel.
#[inline(always)]
unsafe fn finish_row<S: Simd, const P: usize>(
    sums: *const f32,
    scale: &[S::Vector; P],
    bias: &[S::Vector; P],
    residual: Option<*const f32>,
    y: *mut f32,
    activation: impl Function<S>,
) {
    // SAFETY: the caller vouches for a panel's width of values at each pointer.
    unsafe {
        for p in 0..P {
            let at = p * S::LANES;
            // Not fused, so that sums of integers give the same bits on all instruction sets; with a scale of 1 this is
            // sum + bias to the bit.
            let mut v = S::add(S::mul(S::load(sums.add(at)), scale[p]), bias[p]);
            if let Some(residual) = residual {
                v = S::add(v, S::load(residual.add(at)));
            }
            S::store(y.add(at), activation.of(v));
        }
    }
}
