//! From the frame rate to the SEANet rate: a transposed convolution, in the published model one per
//! channel (`upsample_groups` = channels).

use super::conv::{Conv, ConvSlots};
use crate::Error;
use crate::kernels::{Activation, Arena, Packing, Rows, Weights};
use crate::program::{Op, Planner, Slot, Span, not_packed};
use std::sync::Arc;

pub(crate) enum Upsampler {
    /// `[tap][channel]`, with 2·stride taps.
    PerChannel { taps: Arc<Arena>, channels: usize, stride: usize },
    /// Channels in groups; zeros between them.
    Grouped { conv: Conv, stride: usize },
}

/// An up-sampler's slots.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UpsamplerSlots {
    /// The last input row, and the pass's.
    PerChannel {
        history: Slot,
        input: Slot,
    },
    Grouped(ConvSlots),
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
            let conv =
                Conv::transposed(packing, weight, None, [channels, channels, kernel], stride, groups, false)?;
            return Ok(Self::Grouped { conv, stride });
        }
        let taps = packing.pool.filled(kernel * channels, |taps| {
            for (i, tap) in taps.iter_mut().enumerate() {
                *tap = weight[(i % channels) * kernel + i / channels];
            }
            Ok(())
        });
        let taps = taps.map_err(not_packed)?;
        Ok(Self::PerChannel { taps: Arc::new(taps), channels, stride })
    }

    /// SEANet steps in a frame.
    pub(crate) fn stride(&self) -> usize {
        match self {
            Self::PerChannel { stride, .. } | Self::Grouped { stride, .. } => *stride,
        }
    }

    /// Slots for up to `rows` input rows.
    pub(crate) fn reserve(&self, planner: &mut Planner, rows: usize) -> UpsamplerSlots {
        match self {
            Self::PerChannel { channels, .. } => UpsamplerSlots::PerChannel {
                history: planner.state(1, *channels),
                input: planner.scratch(rows, *channels),
            },
            Self::Grouped { conv, .. } => UpsamplerSlots::Grouped(conv.reserve(planner, rows)),
        }
    }

    /// Where input rows go.
    pub(crate) fn input(&self, slots: &UpsamplerSlots) -> Rows {
        match (self, slots) {
            (Self::PerChannel { channels, .. }, UpsamplerSlots::PerChannel { input, .. }) => {
                input.rows(*channels)
            }
            (Self::Grouped { conv, .. }, UpsamplerSlots::Grouped(slots)) => conv.input(slots),
            _ => unreachable!("the slots were reserved by this layer"),
        }
    }

    /// From rows that are in place to `stride` times as many contiguous rows at `y`.
    pub(crate) fn emit(&self, planner: &mut Planner, slots: &UpsamplerSlots, rows: Span, y: Rows) {
        match (self, *slots) {
            (Self::PerChannel { taps, stride, .. }, UpsamplerSlots::PerChannel { history, input }) => {
                let (taps, stride) = (Arc::clone(taps), *stride);
                planner.push(rows, Op::Upsample { taps, history, x: input.offset, y: y.offset, stride });
            }
            (Self::Grouped { conv, .. }, UpsamplerSlots::Grouped(slots)) => {
                let blocks = Rows { offset: y.offset, stride: conv.outputs() };
                conv.emit(planner, &slots, rows, blocks, None, Activation::None);
            }
            _ => unreachable!("the slots were reserved by this layer"),
        }
    }
}

impl Weights for Upsampler {
    fn arenas(&self, visit: &mut dyn FnMut(&[u8])) {
        match self {
            Self::PerChannel { taps, .. } => taps.arenas(visit),
            Self::Grouped { conv, .. } => conv.arenas(visit),
        }
    }
}
