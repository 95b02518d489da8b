//! Causal convolutions, plain and transposed, and linear layers: all one product over a window.

use super::memory::{Batch, Plan, Slot, whole};
use super::pairs::{PAIRED_WEIGHTS, Pairs};
use crate::error::{out_of_memory, with_capacity};
use crate::kernels::{Activation, Elements, Matrix, PackError, Packing, Product, Rows};
use crate::{Error, ErrorKind};

/// What stands before the first input of a stream, and after the last one if it does not fill a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Zeros,
    /// The first (or last) row again.
    Replicate,
}

/// A causal convolution over rows `[time, channels]`: an output row is the product of the window of
/// `reach` input rows that ends at the stride's last one. The window's older part is remembered.
pub(crate) struct Conv {
    weights: Weights,
    /// Input channels.
    channels: usize,
    /// Rows that a window covers: (kernel − 1)·dilation + 1.
    reach: usize,
    stride: usize,
    dilation: usize,
    padding: Padding,
}

/// How outputs are computed.
#[expect(clippy::large_enum_variant, reason = "a model has a few dozen")]
enum Weights {
    One(Matrix),
    /// Two taps, in f32.
    Pairs(Pairs),
}

impl Weights {
    /// In pairs, if all steps begin at an even output (`pairs`) and the size pays for it.
    fn new(
        packing: Packing,
        elements: Elements,
        bias: impl Fn(usize) -> f32,
        pairs: bool,
    ) -> Result<Self, Error> {
        let worth_it = PAIRED_WEIGHTS.contains(&(elements.inputs.len() * elements.outputs.len()));
        match pairs && packing.is_exact() && worth_it {
            true => Ok(Self::Pairs(Pairs::new(packing, elements, bias)?)),
            false => Ok(Self::One(Matrix::pack(packing, elements, bias).map_err(pack_error)?)),
        }
    }
}

/// A convolution's slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvState {
    /// The last `reach − stride` input rows, and after them one value: 0 before the first step.
    history: Slot,
    /// The history, then the rows of the step.
    window: Slot,
    /// For pairs, of the inputs of a piece's products.
    differences: Slot,
}

/// For `map_err` where matrices are packed. Who knows the tensor's name adds it.
pub(super) fn pack_error(error: PackError) -> Error {
    match error {
        PackError::Memory(error) => out_of_memory(error),
        PackError::NotFinite => {
            let message = "a weight or bias is not finite as it is kept: scaled, summed or rounded";
            Error::new(ErrorKind::Corrupt, message)
        }
    }
}

/// A list of offsets.
pub(super) fn offsets(all: impl Iterator<Item = usize> + Clone) -> Result<Vec<usize>, Error> {
    let mut list = with_capacity(all.clone().count())?;
    list.extend(all);
    Ok(list)
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
    /// From torch's layout: weight `[outputs, channels, kernel]`. With `pairs`, all steps begin at an even output, so
    /// that outputs may be computed in pairs, for a kernel of two strides.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        packing: Packing,
        weight: &[f32],
        bias: Option<&[f32]>,
        [outputs, channels, kernel]: [usize; 3],
        stride: usize,
        dilation: usize,
        padding: Padding,
        pairs: bool,
    ) -> Result<Self, Error> {
        let inputs = offsets((0..kernel).flat_map(|tap| (0..channels).map(move |c| c * kernel + tap)))?;
        let rows = offsets((0..outputs).map(|o| o * channels * kernel))?;
        let elements = Elements { values: weight, inputs: &inputs, outputs: &rows };
        let bias = |o: usize| bias.map_or(0.0, |b| b[o]);
        let pairs = pairs && kernel == 2 * stride && dilation == 1;
        let weights = match Weights::new(packing, elements, bias, pairs)? {
            Weights::One(matrix) if dilation > 1 => Weights::One(matrix.with_runs(channels)),
            weights => weights,
        };
        Ok(Self { weights, channels, reach: (kernel - 1) * dilation + 1, stride, dilation, padding })
    }

    /// A transposed convolution from torch's layout: weight `[channels, outputs / groups, kernel]`. An
    /// output block is `stride` rows side by side: `[x[t − m + 1] ‖ … ‖ x[t]]`, m = ⌈kernel / stride⌉,
    /// times a matrix whose column j·outputs + o holds tap j of output o. So the state is inputs, and
    /// there is no overlap to add. `pairs` as above.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn transposed(
        packing: Packing,
        weight: &[f32],
        bias: Option<&[f32]>,
        [channels, outputs, kernel]: [usize; 3],
        stride: usize,
        groups: usize,
        pairs: bool,
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
        let bias = |column: usize| bias.map_or(0.0, |b| b[column % outputs]);
        let weights = Weights::new(packing, elements, bias, pairs && reach == 2)?;
        Ok(Self { weights, channels, reach, stride: 1, dilation: 1, padding: Padding::Zeros })
    }

    /// A linear layer from torch's layout: weight `[outputs, inputs]`.
    pub(crate) fn linear(
        packing: Packing,
        weight: &[f32],
        bias: Option<&[f32]>,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Self, Error> {
        Self::new(packing, weight, bias, [outputs, inputs, 1], 1, 1, Padding::Zeros, false)
    }

    /// Rows of history.
    fn kept(&self) -> usize {
        self.reach - self.stride
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
        match &self.weights {
            Weights::One(matrix) => matrix.outputs(),
            Weights::Pairs(pairs) => pairs.outputs(),
        }
    }

    /// Values of the window in an output.
    fn inputs(&self) -> usize {
        match &self.weights {
            Weights::One(matrix) => matrix.inputs(),
            Weights::Pairs(pairs) => pairs.inputs(),
        }
    }

    /// How many weights it has.
    pub(crate) fn weights(&self) -> usize {
        self.inputs() * self.outputs()
    }

    /// Output rows for `rows` input rows; a last part of a stride counts as one.
    pub(crate) fn output_rows(&self, rows: usize) -> usize {
        rows.div_ceil(self.stride)
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::One(matrix) => matrix.bytes(),
            Weights::Pairs(pairs) => pairs.bytes(),
        }
    }

    /// Slots for steps of up to `rows` rows.
    pub(crate) fn plan(&self, plan: &mut Plan, rows: usize) -> ConvState {
        self.plan_in_pieces(plan, rows, rows)
    }

    /// Slots for steps of up to `rows` rows whose products are applied to up to `piece` rows at a time.
    pub(super) fn plan_in_pieces(&self, plan: &mut Plan, rows: usize, piece: usize) -> ConvState {
        let window = self.kept().saturating_add(whole(rows, self.stride));
        plan.in_pieces(rows, piece, |plan| self.plan_product(plan, piece));
        // into the window, and back
        plan.work(self.kept().saturating_mul(2).saturating_add(rows), self.channels);
        let differences = match self.weights {
            Weights::One(_) => 0,
            Weights::Pairs(_) => whole(piece, self.stride),
        };
        ConvState {
            history: plan.state(self.kept().saturating_mul(self.channels).saturating_add(1), 1),
            window: plan.scratch(window, self.channels),
            differences: plan.scratch(differences, self.channels),
        }
    }

    /// For a layer without history, whose slots are others': room for steps of up to `rows` rows.
    pub(crate) fn plan_product(&self, plan: &mut Plan, rows: usize) {
        plan.multiply(self.output_rows(rows), self.inputs(), self.outputs());
        if let Weights::One(matrix) = &self.weights {
            plan.product(matrix, self.output_rows(rows));
        }
    }

    /// Where the step's input rows go.
    pub(crate) fn input(&self, state: &ConvState) -> Rows {
        state.window.rows(self.channels).from(self.kept())
    }

    /// Before the products of a step, whose input is in place: puts the history in front of it, and
    /// fills a last part of a stride.
    pub(crate) fn begin(&self, batch: &mut Batch, state: &ConvState, rows: usize) {
        let kept = self.kept() * self.channels;
        let input = state.window.offset + kept;
        let end = input + rows * self.channels;
        let filled = input + rows.next_multiple_of(self.stride) * self.channels;
        for stream in batch.streams() {
            let (memory, scratch) = (&mut stream.state, &mut stream.scratch);
            let history = &memory[state.history.range()];
            if history[kept] == 0.0 && self.padding == Padding::Replicate {
                for row in (state.window.offset..input).step_by(self.channels) {
                    scratch.copy_within(input..input + self.channels, row);
                }
            } else {
                scratch[state.window.first(kept)].copy_from_slice(&history[..kept]);
            }
            match self.padding {
                Padding::Zeros => scratch[end..filled].fill(0.0),
                Padding::Replicate => {
                    for row in (end..filled).step_by(self.channels) {
                        scratch.copy_within(end - self.channels..end, row);
                    }
                }
            }
        }
    }

    /// The products for input rows `first..first + rows` of the step; writes `output_rows(rows)` rows.
    /// `first` is a multiple of the stride, or of two for pairs.
    pub(crate) fn apply(
        &self,
        batch: &mut Batch,
        state: &ConvState,
        [first, rows]: [usize; 2],
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        let window = state.window.rows(self.channels).from(first);
        if let Weights::Pairs(pairs) = &self.weights {
            debug_assert!(residual.is_none() && first.is_multiple_of(2 * self.stride));
            return pairs.apply(
                batch,
                window.offset,
                state.differences,
                self.output_rows(rows),
                y,
                activation,
            );
        }
        self.product(
            batch,
            Rows { stride: self.stride * self.channels, ..window },
            rows,
            y,
            residual,
            activation,
        );
    }

    /// After the products of a step: keeps its last rows.
    pub(crate) fn end(&self, batch: &mut Batch, state: &ConvState, rows: usize) {
        let kept = self.kept() * self.channels;
        let from = state.window.offset + rows * self.channels;
        for stream in batch.streams() {
            let history = &mut stream.state[state.history.range()];
            history[..kept].copy_from_slice(&stream.scratch[from..from + kept]);
            history[kept] = 1.0;
        }
    }

    /// A whole step.
    pub(crate) fn step(
        &self,
        batch: &mut Batch,
        state: &ConvState,
        rows: usize,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        self.begin(batch, state, rows);
        self.apply(batch, state, [0, rows], y, residual, activation);
        self.end(batch, state, rows);
    }

    /// The product alone, for a layer without history whose input lies anywhere.
    pub(crate) fn linear_step(
        &self,
        batch: &mut Batch,
        x: Rows,
        rows: usize,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        debug_assert_eq!(self.reach, 1);
        self.product(batch, x, rows, y, residual, activation);
    }

    fn product(
        &self,
        batch: &mut Batch,
        x: Rows,
        rows: usize,
        y: Rows,
        residual: Option<Rows>,
        activation: Activation,
    ) {
        let Weights::One(matrix) = &self.weights else { unreachable!("pairs have products of their own") };
        let product = Product {
            x,
            run_stride: self.dilation * self.channels,
            y,
            rows: self.output_rows(rows),
            residual,
            activation,
        };
        batch.matmul(matrix, product);
    }
}
