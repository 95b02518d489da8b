//! From the frame rate to the SEANet rate: a transposed convolution, in the published model one per
//! channel (`upsample_groups` = channels).

use super::conv::{Conv, ConvState};
use super::memory::{Batch, Plan, Slot};
use crate::Error;
use crate::error::out_of_memory;
use crate::kernels::{Activation, Arena, Packing, Rows};

#[expect(clippy::large_enum_variant, reason = "a model has one")]
pub(crate) enum Upsampler {
    /// `[tap][channel]`, with 2·stride taps.
    PerChannel { taps: Arena, channels: usize, stride: usize },
    /// Channels in groups; what does not belong together has a zero weight.
    Grouped(Conv),
}

#[derive(Debug)]
pub(crate) enum UpsamplerState {
    PerChannel {
        /// The last input row.
        history: Slot,
        /// The step's input rows.
        input: Slot,
    },
    Grouped(ConvState),
}

impl Upsampler {
    /// From torch's layout: weight `[channels, channels / groups, 2·stride]`.
    pub(crate) fn new(
        packing: Packing,
        weight: &[f32],
        channels: usize,
        stride: usize,
        groups: usize,
    ) -> Result<Self, Error> {
        let kernel = 2 * stride;
        if groups < channels {
            return Ok(Self::Grouped(Conv::transposed(
                packing,
                weight,
                None,
                [channels, channels, kernel],
                stride,
                groups,
                false,
            )?));
        }
        let mut taps = packing.pool.zeroed(kernel * channels).map_err(out_of_memory)?;
        for (i, tap) in taps.iter_mut().enumerate() {
            *tap = weight[(i % channels) * kernel + i / channels];
        }
        Ok(Self::PerChannel { taps, channels, stride })
    }

    /// Slots for steps of up to `rows` input rows.
    pub(crate) fn plan(&self, plan: &mut Plan, rows: usize) -> UpsamplerState {
        match self {
            Self::PerChannel { channels, stride, .. } => {
                plan.work(rows, stride.saturating_mul(2).saturating_mul(*channels));
                UpsamplerState::PerChannel {
                    history: plan.state(1, *channels),
                    input: plan.scratch(rows, *channels),
                }
            }
            Self::Grouped(conv) => UpsamplerState::Grouped(conv.plan(plan, rows)),
        }
    }

    /// Where the step's input rows go.
    pub(crate) fn input(&self, state: &UpsamplerState) -> Rows {
        match (self, state) {
            (Self::PerChannel { channels, .. }, UpsamplerState::PerChannel { input, .. }) => {
                input.rows(*channels)
            }
            (Self::Grouped(conv), UpsamplerState::Grouped(state)) => conv.input(state),
            _ => unreachable!("the state was planned by this layer"),
        }
    }

    /// `rows` rows, already at `input`, to `rows · stride` contiguous rows at `y`.
    pub(crate) fn step(&self, batch: &mut Batch, state: &UpsamplerState, rows: usize, y: Rows) {
        match (self, state) {
            (Self::PerChannel { taps, channels, stride }, UpsamplerState::PerChannel { history, input }) => {
                for stream in batch.streams() {
                    let input = input.first(rows * channels);
                    let output = y.offset..y.offset + rows * stride * channels;
                    let Ok([x, y]) = stream.scratch.get_disjoint_mut([input, output]) else {
                        unreachable!("slots of a plan are disjoint")
                    };
                    per_channel(taps, *stride, &mut stream.state[history.range()], x, y);
                }
            }
            (Self::Grouped(conv), UpsamplerState::Grouped(state)) => {
                let blocks = Rows { offset: y.offset, stride: conv.outputs() };
                conv.step(batch, state, rows, blocks, None, Activation::None);
            }
            _ => unreachable!("the state was planned by this layer"),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::PerChannel { taps, .. } => taps.bytes(),
            Self::Grouped(conv) => conv.bytes(),
        }
    }
}

/// y[n·stride + j] = w[j]·x[n] + w[j + stride]·x[n − 1], channel by channel; x[−1] is in `history`.
fn per_channel(taps: &[f32], stride: usize, history: &mut [f32], x: &[f32], y: &mut [f32]) {
    let channels = history.len();
    for (now, block) in x.chunks_exact(channels).zip(y.chunks_exact_mut(stride * channels)) {
        for (tap, row) in block.chunks_exact_mut(channels).enumerate() {
            let newer = &taps[tap * channels..][..channels];
            let older = &taps[(tap + stride) * channels..][..channels];
            for (c, y) in row.iter_mut().enumerate() {
                *y = newer[c] * now[c] + older[c] * history[c];
            }
        }
        history.copy_from_slice(now);
    }
}
