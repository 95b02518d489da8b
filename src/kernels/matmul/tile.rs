//! The innermost loops: a few rows times a segment of a few panels, sums in registers.

use super::weight::Weight;
use super::{Job, Segment};
use crate::kernels::simd::{CACHE_LINE, Simd};
use std::mem::MaybeUninit;

/// Prefetch distance: `offset` bytes past the tile's first weight, `step` bytes more for each input, and another `jump`
/// bytes from input `turn` on.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Prefetch {
    offset: usize,
    step: usize,
    turn: usize,
    jump: usize,
}

/// Prefetch distance in each panel for weights that are used once or twice. It is the best of 128 to 8192 on Zen 3:
/// about as far as a core gets during one read from memory. A longer distance is as slow as no prefetch.
const PREFETCH_BYTES: usize = 384;

/// Prefetches that so many bytes take.
pub(super) const fn lines(bytes: usize) -> usize {
    bytes.div_ceil(CACHE_LINE)
}

impl Prefetch {
    /// The next inputs of `together` panels and, at the panels' end, the begin of as many panels after them.
    pub(super) fn of_panels(job: &Job, segment: Segment, together: usize) -> Self {
        let step = job.tiles.line;
        Self {
            offset: PREFETCH_BYTES,
            step,
            turn: (job.inputs - segment.input).saturating_sub(PREFETCH_BYTES / step),
            jump: (together - 1) * job.inputs * step,
        }
    }

    /// Share `index` of the next segment: `step` bytes for each input of this segment. Both are taken to be as long.
    pub(super) fn of_segment(job: &Job, segment: Segment, index: usize, step: usize) -> Self {
        Self { offset: segment.len * (job.tiles.line + index * step), step, turn: segment.len, jump: 0 }
    }
}

/// `R` rows times `G` panels of `P` registers, over a segment: starts the sums, or adds to them.
///
/// # Safety
///
/// `inputs` are `R` of the job's rows, `weights` the first of `G` of its panels, `segment` one of its segments; `sums`
/// has room for `R` rows of `G` panels, with sums in it unless the segment is the first; the CPU has `S`.
#[inline(always)]
pub(in crate::kernels) unsafe fn tile<
    S: Simd,
    W: Weight<S>,
    const P: usize,
    const G: usize,
    const R: usize,
>(
    job: &Job,
    weights: *const u8,
    segment: Segment,
    inputs: *const *const u8,
    sums: *mut f32,
    prefetch: Prefetch,
) {
    let width = P * S::LANES;
    // SAFETY: the caller's.
    unsafe {
        let mut x = [std::ptr::null::<W::Input>(); R];
        for (r, x) in x.iter_mut().enumerate() {
            *x = (*inputs.add(r)).cast::<W::Input>().add(segment.offset);
        }
        let at = |r: usize, g: usize, p: usize| sums.add((r * G + g) * width + p * S::LANES);
        let before = |r: usize, g: usize, p: usize| match segment.input {
            0 => S::splat(0.0),
            _ => S::load(at(r, g, p)),
        };
        let mut totals = [[[W::begin(S::splat(0.0)); P]; G]; R];
        if segment.input > 0 {
            for (r, totals) in totals.iter_mut().enumerate() {
                for (g, totals) in totals.iter_mut().enumerate() {
                    for (p, total) in totals.iter_mut().enumerate() {
                        *total = W::begin(before(r, g, p));
                    }
                }
            }
        }
        let mut weights = weights.cast::<W>().add(segment.input * width);
        let mut ahead = weights.cast::<u8>().wrapping_add(prefetch.offset);
        let panel = job.inputs * width;
        for k in 0..segment.len / W::STEP {
            if G > 1 && k * W::STEP == prefetch.turn {
                ahead = ahead.wrapping_add(prefetch.jump);
            }
            for g in 0..G {
                let ahead = ahead.wrapping_add(g * panel * size_of::<W>());
                // of one panel, other tiles prefetch the other lines
                for line in 0..if G > 1 { lines(width * W::STEP * size_of::<W>()) } else { 1 } {
                    S::prefetch(ahead.wrapping_add(line * CACHE_LINE));
                }
            }
            ahead = ahead.wrapping_add(prefetch.step * W::STEP);
            // Registers must suffice for all totals. So the fewer ones, weights or inputs, are loaded first and kept.
            if R < G * P {
                let mut input = [MaybeUninit::uninit(); R];
                for (input, x) in input.iter_mut().zip(x) {
                    input.write(W::splat(x.add(k * W::STEP)));
                }
                for g in 0..G {
                    for p in 0..P {
                        let w = W::load(weights.add(g * panel + p * S::LANES * W::STEP));
                        for (totals, input) in totals.iter_mut().zip(input) {
                            totals[g][p] = W::multiply_add(w, input.assume_init(), totals[g][p]);
                        }
                    }
                }
            } else {
                let mut w = [[MaybeUninit::uninit(); P]; G];
                for (g, w) in w.iter_mut().enumerate() {
                    for (p, w) in w.iter_mut().enumerate() {
                        w.write(W::load(weights.add(g * panel + p * S::LANES * W::STEP)));
                    }
                }
                for r in 0..R {
                    let input = W::splat(x[r].add(k * W::STEP));
                    for g in 0..G {
                        for p in 0..P {
                            totals[r][g][p] = W::multiply_add(w[g][p].assume_init(), input, totals[r][g][p]);
                        }
                    }
                }
            }
            weights = weights.add(width * W::STEP);
        }
        for (r, totals) in totals.iter().enumerate() {
            let scale = (*inputs.add(r)).cast::<W::Input>().wrapping_add(segment.scale);
            for (g, totals) in totals.iter().enumerate() {
                for (p, total) in totals.iter().enumerate() {
                    S::store(at(r, g, p), W::end(before(r, g, p), *total, scale));
                }
            }
        }
    }
}
