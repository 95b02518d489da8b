//! Causal convolutions, plain and transposed, and linear layers: all one product.

use crate::Error;
use crate::error::with_capacity;
use crate::kernels::{Activation, Elements, Matrix, Packing, Rows};
use crate::program::{Multiply, Op, Padding, Planner, Slot, Span, offsets, pack, whole};
use std::sync::Arc;

/// A linear layer, or a convolution with one tap.
pub(crate) struct Linear {
    matrix: Arc<Matrix>,
}

impl Linear {
    /// From torch's layout: weight `[outputs, inputs]`.
    pub(crate) fn new(
        packing: Packing,
        weight: &[f32],
        bias: Option<&[f32]>,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Self, Error> {
        let columns = offsets(0..inputs)?;
        let rows = offsets((0..outputs).map(|output| output * inputs))?;
        let elements = Elements { values: weight, inputs: &columns, outputs: &rows };
        let matrix = pack(packing, elements, |output| bias.map_or(0.0, |bias| bias[output]))?;
        Ok(Self { matrix: Arc::new(matrix) })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.matrix.inputs()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.matrix.outputs()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    /// From rows at `x` to rows at `y`.
    pub(crate) fn emit(
        &self,
        planner: &mut Planner,
        rows: Span,
        x: Rows,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        let product =
            Multiply { matrix: &self.matrix, x, run_stride: self.inputs(), y, residual, activation };
        planner.product(rows, &product);
    }
}

/// A causal convolution over rows `[time, channels]`: an output row is the product of the window of
/// `reach` input rows that ends at the stride's last one. The window's older part is remembered.
pub(crate) struct Conv {
    matrix: Arc<Matrix>,
    /// Input channels.
    channels: usize,
    /// Rows that a window covers: (kernel − 1)·dilation + 1.
    reach: usize,
    stride: usize,
    dilation: usize,
    padding: Padding,
}

/// A convolution's slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvSlots {
    /// The last `reach − stride` input rows, and after them one value: 0 before the first step.
    history: Slot,
    /// The history, then the new rows.
    window: Slot,
}

/// A transposed convolution's weight without groups and with `taps` taps, `[channels, outputs, taps]`: zeros where
/// there was none.
fn full_transposed(
    weight: &[f32],
    [channels, outputs, kernel]: [usize; 3],
    taps: usize,
    groups: usize,
) -> Result<Vec<f32>, Error> {
    let (group_inputs, group_outputs) = (channels / groups, outputs / groups);
    let mut full = with_capacity(channels * outputs * taps)?;
    full.resize(channels * outputs * taps, 0.0);
    for (index, from) in weight.chunks_exact(kernel).enumerate() {
        let (channel, output) = (index / group_outputs, index % group_outputs);
        let output = channel / group_inputs * group_outputs + output;
        full[(channel * outputs + output) * taps..][..kernel].copy_from_slice(from);
    }
    Ok(full)
}

impl Conv {
    /// From torch's layout: weight `[outputs, channels, kernel]`.
    pub(crate) fn new(
        packing: Packing,
        weight: &[f32],
        bias: Option<&[f32]>,
        [outputs, channels, kernel]: [usize; 3],
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Result<Self, Error> {
        let inputs = offsets((0..kernel).flat_map(|tap| (0..channels).map(move |c| c * kernel + tap)))?;
        let rows = offsets((0..outputs).map(|o| o * channels * kernel))?;
        let elements = Elements { values: weight, inputs: &inputs, outputs: &rows };
        let mut matrix = pack(packing, elements, |output| bias.map_or(0.0, |bias| bias[output]))?;
        if dilation > 1 {
            matrix = matrix.with_runs(channels);
        }
        let reach = (kernel - 1) * dilation + 1;
        Ok(Self { matrix: Arc::new(matrix), channels, reach, stride, dilation, padding })
    }

    /// A transposed convolution from torch's layout: weight `[channels, outputs / groups, kernel]`. An
    /// output block is `stride` rows side by side: `[x[t − m + 1] ‖ … ‖ x[t]]`, m = ⌈kernel / stride⌉,
    /// times a matrix whose column j·outputs + o holds tap j of output o. So the state is inputs, and
    /// there is no overlap to add.
    pub(crate) fn transposed(
        packing: Packing,
        weight: &[f32],
        bias: Option<&[f32]>,
        [channels, outputs, kernel]: [usize; 3],
        stride: usize,
        groups: usize,
    ) -> Result<Self, Error> {
        let reach = kernel.div_ceil(stride);
        let taps = reach * stride;
        let full = (groups > 1 || taps > kernel)
            .then(|| full_transposed(weight, [channels, outputs, kernel], taps, groups))
            .transpose()?;
        let values = full.as_deref().unwrap_or(weight);
        let inputs = offsets(
            (0..reach)
                .rev()
                .flat_map(|age| (0..channels).map(move |channel| channel * outputs * taps + age * stride)),
        )?;
        let columns = offsets((0..stride).flat_map(|tap| (0..outputs).map(move |o| o * taps + tap)))?;
        let elements = Elements { values, inputs: &inputs, outputs: &columns };
        let matrix = pack(packing, elements, |column| bias.map_or(0.0, |bias| bias[column % outputs]))?;
        let padding = Padding::Zeros;
        Ok(Self { matrix: Arc::new(matrix), channels, reach, stride: 1, dilation: 1, padding })
    }

    /// Values of history.
    fn kept(&self) -> usize {
        (self.reach - self.stride).saturating_mul(self.channels)
    }

    /// Input channels.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Values in an output row: the channels, or for a transposed convolution stride × channels.
    pub(crate) fn outputs(&self) -> usize {
        self.matrix.outputs()
    }

    /// How many weights it has.
    pub(crate) fn weights(&self) -> usize {
        self.matrix.inputs() * self.matrix.outputs()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    /// Slots for up to `rows` new rows at a time.
    pub(crate) fn reserve(&self, planner: &mut Planner, rows: usize) -> ConvSlots {
        let window = whole(rows, self.stride).saturating_add(self.reach - self.stride);
        ConvSlots {
            history: planner.state(self.kept().saturating_add(1), 1),
            window: planner.scratch(window, self.channels),
        }
    }

    /// Where new rows go.
    pub(crate) fn input(&self, slots: &ConvSlots) -> Rows {
        Rows { offset: slots.window.offset.saturating_add(self.kept()), stride: self.channels }
    }

    /// From new rows, which are in place, to rows at `y`.
    pub(crate) fn emit(
        &self,
        planner: &mut Planner,
        slots: &ConvSlots,
        rows: Span,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        self.begin(planner, slots, rows);
        self.multiply(planner, slots, rows, 0, y, residual, activation);
        self.end(planner, slots, rows);
    }

    /// Before the products of new rows: puts the history in front of them, and fills a last part of a stride.
    pub(crate) fn begin(&self, planner: &mut Planner, slots: &ConvSlots, rows: Span) {
        let (history, window, width, padding) =
            (slots.history, slots.window.offset, self.channels, self.padding);
        if self.kept() > 0 {
            planner.push(rows, Op::HistoryIn { history, window, width, padding });
        }
        if self.stride > 1 {
            let x = self.input(slots).offset;
            planner.push(rows, Op::FillStride { x, stride: self.stride, width, padding });
        }
    }

    /// The products of some of the new rows, from row `first` on, a multiple of the stride.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn multiply(
        &self,
        planner: &mut Planner,
        slots: &ConvSlots,
        rows: Span,
        first: usize,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        let x = slots.window.rows(self.channels).from(first);
        let product = Multiply {
            matrix: &self.matrix,
            x: Rows { stride: self.stride * self.channels, ..x },
            run_stride: self.dilation * self.channels,
            y,
            residual,
            activation,
        };
        planner.product(rows.every(self.stride), &product);
    }

    /// After the products of new rows: keeps the last ones.
    pub(crate) fn end(&self, planner: &mut Planner, slots: &ConvSlots, rows: Span) {
        if self.kept() > 0 {
            let (history, window, width) = (slots.history, slots.window.offset, self.channels);
            planner.push(rows, Op::HistoryOut { history, window, width });
        }
    }
}
