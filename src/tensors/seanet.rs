//! SEANet: convolutions and residual blocks between samples and the SEANet rate.

use super::{Convolution, Side, TensorSpec};
use crate::{HalfConfig, PadMode};

/// The numbers of a SEANet, and which half it is in.
#[derive(Debug)]
pub(crate) struct Seanet<'c> {
    side: Side,
    /// Channels at the SEANet rate.
    width: usize,
    /// Channels at the rate of samples; they double at each stage from there.
    filters: usize,
    /// Strides of the stages. The last belongs to the stage next to the samples.
    ratios: &'c [usize],
    kernel: usize,
    last_kernel: usize,
    residual_layers: usize,
    residual_kernel: usize,
    dilation_growth: usize,
    compress: usize,
    shortcut: bool,
    pad_mode: PadMode,
}

/// A convolution that changes the rate, and residual blocks. In an encoder the blocks come first, in a decoder last.
#[derive(Debug)]
pub(crate) struct Stage<'s> {
    seanet: &'s Seanet<'s>,
    pub(crate) resampler: Convolution,
    /// The number of the first block's layer.
    first_block: usize,
    /// Channels of the blocks.
    channels: usize,
}

/// Two convolutions, and one on the skip path if the network has shortcuts.
#[derive(Debug)]
pub(crate) struct ResidualBlock {
    pub(crate) dilated: Convolution,
    pub(crate) pointwise: Convolution,
    pub(crate) shortcut: Option<Convolution>,
}

impl<'c> Seanet<'c> {
    pub(super) fn new(half: &HalfConfig, ratios: &'c [usize], side: Side) -> Self {
        Self {
            side,
            width: half.hidden_size,
            filters: half.num_filters,
            ratios,
            kernel: half.kernel_size,
            last_kernel: half.last_kernel_size,
            residual_layers: half.num_residual_layers,
            residual_kernel: half.residual_kernel_size,
            dilation_growth: half.dilation_growth_rate,
            compress: half.compress,
            shortcut: half.use_conv_shortcut,
            pad_mode: half.pad_mode,
        }
    }

    pub(crate) fn first(&self) -> Convolution {
        let (inputs, outputs) = match self.side {
            Side::Encoder => (1, self.filters),
            Side::Decoder => (self.width, self.filters << self.ratios.len()),
        };
        self.conv("0.conv".to_owned(), [outputs, inputs, self.kernel])
    }

    /// The stages in the order in which the half runs them.
    pub(crate) fn stages(&self) -> impl ExactSizeIterator<Item = Stage<'_>> {
        (0..self.ratios.len()).map(|index| self.stage(index))
    }

    fn stage(&self, index: usize) -> Stage<'_> {
        // stages between this one and the samples
        let outer = match self.side {
            Side::Encoder => index,
            Side::Decoder => self.ratios.len() - 1 - index,
        };
        let ratio = self.ratios[self.ratios.len() - 1 - outer];
        let (narrow, wide) = (self.filters << outer, self.filters << (outer + 1));
        let start = self.start_of(index);
        let (layer, first_block) = match self.side {
            Side::Encoder => (start + self.residual_layers + 1, start),
            Side::Decoder => (start + 1, start + 2),
        };
        let transposed = self.side == Side::Decoder;
        let conv = self.conv(format!("{layer}.conv"), [wide, narrow, 2 * ratio]);
        let resampler = Convolution { stride: ratio, transposed, ..conv };
        Stage { seanet: self, resampler, first_block, channels: narrow }
    }

    pub(crate) fn last(&self) -> Convolution {
        let (inputs, outputs) = match self.side {
            Side::Encoder => (self.filters << self.ratios.len(), self.width),
            Side::Decoder => (self.filters, 1),
        };
        let layer = self.start_of(self.ratios.len()) + 1;
        self.conv(format!("{layer}.conv"), [outputs, inputs, self.last_kernel])
    }

    /// The number of a stage's first layer. Layer 0 is the first convolution. A stage has its blocks, an activation and
    /// a convolution, and each of these has a number.
    fn start_of(&self, stage: usize) -> usize {
        1 + stage * (self.residual_layers + 2)
    }

    fn conv(&self, name: String, shape: [usize; 3]) -> Convolution {
        Convolution {
            name: format!("{}.layers.{name}", self.side.name()),
            parts: self.side.parts(),
            shape,
            stride: 1,
            dilation: 1,
            pad_mode: self.pad_mode,
            transposed: false,
            groups: 1,
            bias: true,
        }
    }

    pub(super) fn list(&self, tensors: &mut Vec<TensorSpec>) {
        self.first().list(tensors);
        for stage in self.stages() {
            stage.resampler.list(tensors);
            for block in stage.blocks() {
                block.dilated.list(tensors);
                block.pointwise.list(tensors);
                block.shortcut.iter().for_each(|shortcut| shortcut.list(tensors));
            }
        }
        self.last().list(tensors);
    }
}

impl Stage<'_> {
    pub(crate) fn blocks(&self) -> impl ExactSizeIterator<Item = ResidualBlock> {
        (0..self.seanet.residual_layers).map(|index| self.block(index))
    }

    fn block(&self, index: usize) -> ResidualBlock {
        let (seanet, channels) = (self.seanet, self.channels);
        let hidden = channels / seanet.compress;
        let name = |module: &str| format!("{}.{module}.conv", self.first_block + index);
        // for one tap dilation means nothing, and its powers are not bounded
        let dilation = if seanet.residual_kernel == 1 { 1 } else { seanet.dilation_growth.pow(index as u32) };
        let dilated = seanet.conv(name("block.1"), [hidden, channels, seanet.residual_kernel]);
        ResidualBlock {
            dilated: Convolution { dilation, ..dilated },
            pointwise: seanet.conv(name("block.3"), [channels, hidden, 1]),
            shortcut: seanet.shortcut.then(|| seanet.conv(name("shortcut"), [channels, channels, 1])),
        }
    }
}
