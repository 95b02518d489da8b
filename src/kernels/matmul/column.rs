//! Products with a single output, as the last convolution of a decoder has: a panel would be zeros but for one
//! column.
//!
//! Its weights lie side by side. Within each run of inputs, input i is added in lane i mod lanes, in order, and inputs
//! that do not fill a register to a sum of their own, which is added to the sum of the lanes at the end.

use super::finish::Steps;
use super::{Job, MAX_WIDTH};
use std::ops::Range;

/// Rows whose sums are worked on at once.
const ROWS: usize = 8;

/// The outputs of some rows.
///
/// # Safety
///
/// As for [`dispatch`](super::dispatch), of a job with one output whose weights are `weights`.
#[inline(always)]
pub(super) unsafe fn column<S: Steps, const P: usize>(job: &Job, weights: *const f32, rows: Range<usize>) {
    const { assert!(P * S::LANES <= MAX_WIDTH) };
    // what a panel's sums would be: of each row, the first is used
    let mut outputs = [0.0; ROWS * MAX_WIDTH];
    for first in rows.clone().step_by(ROWS) {
        let count = ROWS.min(rows.end - first);
        let mut rest = [0.0; ROWS];
        // SAFETY: the rows are the job's, with `count` at least 1; the caller vouches for a weight for each input.
        unsafe {
            let mut sums = [S::splat(0.0); ROWS];
            // what is missing in the last rows is computed from the first, and not stored
            let mut inputs = [job.row(job.product.x, first).cast_const(); ROWS];
            for (row, input) in inputs[..count].iter_mut().enumerate() {
                *input = job.row(job.product.x, first + row);
            }
            for segment in job.segments(job.run) {
                let weights = weights.add(segment.input);
                let inputs = inputs.map(|input| input.add(segment.offset));
                let whole = segment.len - segment.len % S::LANES;
                for i in (0..whole).step_by(S::LANES) {
                    let w = S::load(weights.add(i));
                    for r in 0..ROWS {
                        sums[r] = S::mul_add(w, S::load(inputs[r].add(i)), sums[r]);
                    }
                }
                for i in whole..segment.len {
                    for r in 0..ROWS {
                        rest[r] += *weights.add(i) * *inputs[r].add(i);
                    }
                }
            }
            for r in 0..ROWS {
                outputs[r * P * S::LANES] = S::sum(sums[r]) + rest[r];
            }
            S::finish(job, outputs.as_ptr(), [first, count], [0, 1]);
        }
    }
}
