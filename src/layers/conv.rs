//! Causal convolutions, plain and transposed, and linear layers: all one product.

use crate::Error;
use crate::error::with_capacity;
use crate::kernels::{Activation, Elements, Format, Matrix, Packing, Rows, Weights};
use crate::program::{Multiply, Op, Padding, Planner, Slot, Span, offsets, pack, whole};
use std::ops::RangeInclusive;
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
        let elements = Elements { values: weight, inputs: &columns, outputs: &rows, run: inputs };
        let matrix = pack(packing, elements, |output| bias.map_or(0.0, |bias| bias[output]))?;
        Ok(Self { matrix: Arc::new(matrix) })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.matrix.inputs()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.matrix.outputs()
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

impl Weights for Linear {
    fn arenas(&self, visit: &mut dyn FnMut(&[u8])) {
        self.matrix.arenas(visit);
    }
}

/// A causal convolution over rows `[time, channels]`: an output row is the product of the window of
/// `reach` input rows that ends at the stride's last one. The window's older part is remembered.
pub(crate) struct Conv {
    weights: Matrices,
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
    /// The last `reach − stride` input rows, and after them one value: 0 before the first pass.
    history: Slot,
    /// The history, then the new rows.
    window: Slot,
    /// For pairs whose inputs are not rounded, differences of the rows at hand.
    differences: Slot,
}

/// A convolution's matrices.
enum Matrices {
    One(Arc<Matrix>),
    Pairs(Pairs),
}

impl Matrices {
    /// In pairs if the convolution has two taps, passes begin at an even output (`pairs`), and its size pays for it.
    /// Weights of eight bits or in bf16 are never paired: rounding A + B would cost 2 dB.
    fn new(
        packing: Packing,
        elements: Elements,
        bias: impl Fn(usize) -> f32,
        pairs: bool,
    ) -> Result<Self, Error> {
        let worth_it = PAIRED_WEIGHTS.contains(&(elements.inputs.len() * elements.outputs.len()));
        let precise = matches!(packing.format, Format::F32 | Format::Int16(_));
        match pairs && precise && worth_it {
            true => Ok(Self::Pairs(Pairs::new(packing, elements, bias)?)),
            false => Ok(Self::One(Arc::new(pack(packing, elements, bias)?))),
        }
    }

    /// Inputs of an output, and outputs.
    fn shape(&self) -> [usize; 2] {
        match self {
            Self::One(matrix) => [matrix.inputs(), matrix.outputs()],
            Self::Pairs(Pairs { middle, .. }) => [2 * middle.inputs(), middle.outputs()],
        }
    }
}

/// Matrices of a convolution that is worth pairs. With fewer there is too little to multiply for an output. More, kept
/// one and a half times, would cost a stream in reading what they save it in arithmetic.
const PAIRED_WEIGHTS: RangeInclusive<usize> = 1 << 15..=1 << 21;

/// Two taps A and B, of which two outputs take three products in place of four (S. Winograd, "Arithmetic Complexity of
/// Computations", 1980, where they are F(2, 2)). Of inputs u₀, u₁, u₂ the outputs are
/// u₀A + u₁B = (u₀ − u₁)A + u₁(A + B) and u₁A + u₂B = u₁(A + B) − (u₁ − u₂)B. A stride of rows counts as one input.
struct Pairs {
    /// A, for differences of even inputs.
    even: Arc<Matrix>,
    /// −B, for differences of odd inputs.
    odd: Arc<Matrix>,
    /// A + B and the bias, for odd inputs.
    middle: Arc<Matrix>,
}

impl Pairs {
    /// From the elements of a matrix whose inputs are those of A, then those of B.
    fn new(packing: Packing, elements: Elements, bias: impl Fn(usize) -> f32) -> Result<Self, Error> {
        let width = elements.inputs.len() / 2;
        let (a, b) = elements.inputs.split_at(width);
        let inputs = offsets(0..width)?;
        let outputs = offsets((0..elements.outputs.len()).map(|output| output * width))?;
        let mut values = with_capacity(width * outputs.len())?;
        let mut packed = |of: fn(f32, f32) -> f32, bias: &dyn Fn(usize) -> f32| {
            values.clear();
            // weights that were packed before are not asked for their values
            for output in elements.outputs.iter().filter(|_| !packing.pool.is_packed()) {
                let value = |input: &usize| elements.values[input + output];
                values.extend(a.iter().zip(b).map(|(a, b)| of(value(a), value(b))));
            }
            let elements = Elements { values: &values, inputs: &inputs, outputs: &outputs, run: width };
            pack(packing, elements, bias).map(Arc::new)
        };
        Ok(Self {
            even: packed(|a, _| a, &|_| 0.0)?,
            odd: packed(|_, b| -b, &|_| 0.0)?,
            middle: packed(|a, b| a + b, &bias)?,
        })
    }

    /// Output rows at `y`, of which the first has an even number in the stream, for contiguous inputs at `x`, of which
    /// there is one more.
    fn emit(
        &self,
        planner: &mut Planner,
        rows: Span,
        x: usize,
        differences: usize,
        y: Rows,
        activation: Activation,
    ) {
        let width = self.middle.inputs();
        // differences of inputs that are rounded are made on the way
        let (differences, less) = match self.middle.is_of_integers() {
            true => (x, width),
            false => {
                planner.push(rows, Op::Differences { x, y: differences, width });
                (differences, 0)
            }
        };
        let every_other = |offset: usize, stride: usize| Rows { offset, stride: 2 * stride };
        let (even, odd) = (every_other(y.offset, y.stride), every_other(y.from(1).offset, y.stride));
        let mut multiply = |matrix, rows, x: usize, less, y, residual, activation| {
            let x = every_other(x, width);
            let product = Multiply { matrix, x, run_stride: width, y, residual, activation };
            planner.product_of_differences(rows, &product, less);
        };
        let after = |offset: usize| offset.saturating_add(width);
        // What both outputs of a pair have in common waits in the even one's place. A pass that ends with an even
        // output makes an odd one, too, which nobody reads.
        let (pairs, whole) = (rows.every(2), Span { count: rows.count / 2, ..rows.every(2) });
        multiply(&self.middle, pairs, after(x), 0, even, None, Activation::None);
        multiply(&self.odd, whole, after(differences), less, odd, Some(even), activation);
        multiply(&self.even, pairs, differences, less, even, Some(even), activation);
    }
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

impl Weights for Conv {
    fn arenas(&self, visit: &mut dyn FnMut(&[u8])) {
        match &self.weights {
            Matrices::One(matrix) => matrix.arenas(visit),
            Matrices::Pairs(Pairs { even, odd, middle }) => {
                [even, odd, middle].iter().for_each(|matrix| matrix.arenas(visit));
            }
        }
    }
}

impl Conv {
    /// From torch's layout: weight `[outputs, channels, kernel]`. With `pairs`, all passes begin at an even output.
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
        // An input row that is part of several windows is rounded once, and so are the rows of a stride if windows are
        // whole strides.
        let run = match (dilation, packing.is_of_integers()) {
            (1, false) => kernel * channels,
            (1, true) if kernel.is_multiple_of(stride) => stride * channels,
            _ => channels,
        };
        let elements = Elements { values: weight, inputs: &inputs, outputs: &rows, run };
        let bias = |output: usize| bias.map_or(0.0, |bias| bias[output]);
        let weights = match dilation {
            1 => Matrices::new(packing, elements, bias, pairs && kernel == 2 * stride)?,
            _ => Matrices::One(Arc::new(pack(packing, elements, bias)?)),
        };
        let reach = (kernel - 1) * dilation + 1;
        Ok(Self { weights, channels, reach, stride, dilation, padding })
    }

    /// A transposed convolution from torch's layout: weight `[channels, outputs / groups, kernel]`. An
    /// output block is `stride` rows side by side: `[x[t − m + 1] ‖ … ‖ x[t]]`, m = ⌈kernel / stride⌉,
    /// times a matrix whose column j·outputs + o holds tap j of output o. So the state is inputs, and
    /// there is no overlap to add. `pairs` as above.
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
        let run = if packing.is_of_integers() { channels } else { inputs.len() };
        let elements = Elements { values, inputs: &inputs, outputs: &columns, run };
        let bias = |column: usize| bias.map_or(0.0, |bias| bias[column % outputs]);
        let weights = Matrices::new(packing, elements, bias, pairs && reach == 2)?;
        Ok(Self { weights, channels, reach, stride: 1, dilation: 1, padding: Padding::Zeros })
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
        self.weights.shape()[1]
    }

    /// How many weights it has.
    pub(crate) fn weights(&self) -> usize {
        self.weights.shape().iter().product()
    }

    /// Slots for up to `rows` new rows at a time.
    pub(crate) fn reserve(&self, planner: &mut Planner, rows: usize) -> ConvSlots {
        self.reserve_pieces(planner, rows, rows)
    }

    /// Slots for up to `rows` new rows at a time, of which up to `piece` are multiplied at a time.
    pub(crate) fn reserve_pieces(&self, planner: &mut Planner, rows: usize, piece: usize) -> ConvSlots {
        let window = whole(rows, self.stride).saturating_add(self.reach - self.stride);
        ConvSlots {
            history: planner.state(self.kept().saturating_add(1), 1),
            window: planner.scratch(window, self.channels),
            differences: match &self.weights {
                Matrices::Pairs(Pairs { middle, .. }) if !middle.is_of_integers() => {
                    planner.scratch(whole(piece, self.stride), self.channels)
                }
                _ => planner.scratch(0, 0),
            },
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

    /// The products of some of the new rows, from row `first` on, a multiple of the stride, or of two for pairs.
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
        let matrix = match &self.weights {
            Matrices::One(matrix) => matrix,
            Matrices::Pairs(pairs) => {
                debug_assert!(residual.is_none());
                let rows = rows.every(self.stride);
                return pairs.emit(planner, rows, x.offset, slots.differences.offset, y, activation);
            }
        };
        let product = Multiply {
            matrix,
            x: Rows { stride: self.stride * self.channels, ..x },
            run_stride: self.dilation * matrix.run(),
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

#[cfg(test)]
mod tests;
