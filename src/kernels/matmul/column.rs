//! Products with a single output, such as the last convolution of a decoder: all but one column of a panel would be
//! zeros.
//!
//! The weights lie side by side. Within each run of inputs, input i is added in lane i mod lanes, in order. Inputs that
//! do not fill a register are added to a sum of their own. That sum is added to the sum of the lanes at the end.

use super::Job;
use crate::kernels::simd::Simd;

/// Rows that are summed at once.
pub(super) const ROWS: usize = 8;

/// The sums of [`ROWS`] rows, a panel's width from one to the next.
///
/// # Safety
///
/// `inputs` are [`ROWS`] of the job's rows, `weights` the weights of its only output; `sums` has room for a panel's
/// width for each row; the CPU has `S`.
#[inline(always)]
pub(in crate::kernels) unsafe fn column<S: Simd, const P: usize>(
    job: &Job,
    weights: *const f32,
    inputs: *const *const f32,
    outputs: *mut f32,
) {
    let mut rest = [0.0; ROWS];
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [S::splat(0.0); ROWS];
        for segment in job.segments(usize::MAX) {
            let weights = weights.add(segment.input);
            let mut x = [std::ptr::null::<f32>(); ROWS];
            for (r, x) in x.iter_mut().enumerate() {
                *x = (*inputs.add(r)).add(segment.offset);
            }
            let whole = segment.len - segment.len % S::LANES;
            for i in (0..whole).step_by(S::LANES) {
                let w = S::load(weights.add(i));
                for r in 0..ROWS {
                    sums[r] = S::mul_add(w, S::load(x[r].add(i)), sums[r]);
                }
            }
            for i in whole..segment.len {
                for r in 0..ROWS {
                    rest[r] += *weights.add(i) * *x[r].add(i);
                }
            }
        }
        for r in 0..ROWS {
            *outputs.add(r * P * S::LANES) = S::sum(sums[r]) + rest[r];
        }
    }
}
