//! How weights are laid out in panels, and converted to their format.

use super::arena::{Arena, Element};
use super::matrix::{Bf16, Elements, Integers, PackError, Packing};

/// A weight in its format in memory.
pub(super) trait Packed: Element {
    /// 0, or NaN if the weight is infinite or not a number in the format.
    #[inline]
    fn nothing_of(weight: f32) -> f32 {
        weight * 0.0
    }

    /// Weights are packed as they are, without a buffer between.
    fn as_they_are<const WIDTH: usize>(_panel: &mut [Self]) -> Option<&mut [[f32; WIDTH]]> {
        None
    }

    /// From a panel's rows of weights, of one input each, which are finite. Weights that are integers get their
    /// `scales`.
    fn convert<const WIDTH: usize>(
        rounding: Rounding,
        rows: &[[f32; WIDTH]],
        scales: &mut [f32],
        panel: &mut [Self],
    ) -> Result<(), PackError>;
}

/// How weights become integers: their bounds, and the inputs that lie side by side.
#[derive(Clone, Copy)]
pub(super) struct Rounding {
    integers: Option<Integers>,
    run: usize,
}

impl Packed for f32 {
    fn as_they_are<const WIDTH: usize>(panel: &mut [f32]) -> Option<&mut [[f32; WIDTH]]> {
        Some(panel.as_chunks_mut().0)
    }

    fn convert<const WIDTH: usize>(
        _: Rounding,
        _: &[[f32; WIDTH]],
        _: &mut [f32],
        _: &mut [f32],
    ) -> Result<(), PackError> {
        Ok(())
    }
}

impl Packed for Bf16 {
    fn nothing_of(weight: f32) -> f32 {
        let rounded = f32::from_bits(u32::from(Bf16::nearest(weight).0) << 16);
        rounded * 0.0 + weight * 0.0
    }

    fn convert<const WIDTH: usize>(
        _: Rounding,
        rows: &[[f32; WIDTH]],
        _: &mut [f32],
        panel: &mut [Bf16],
    ) -> Result<(), PackError> {
        panel.iter_mut().zip(rows.as_flattened()).for_each(|(to, weight)| *to = Bf16::nearest(*weight));
        Ok(())
    }
}

impl Packed for i16 {
    fn convert<const WIDTH: usize>(
        rounding: Rounding,
        rows: &[[f32; WIDTH]],
        scales: &mut [f32],
        panel: &mut [i16],
    ) -> Result<(), PackError> {
        integers(rounding, rows, scales, panel, |number| number as i16)
    }
}

impl Packed for i8 {
    fn convert<const WIDTH: usize>(
        rounding: Rounding,
        rows: &[[f32; WIDTH]],
        scales: &mut [f32],
        panel: &mut [i8],
    ) -> Result<(), PackError> {
        integers(rounding, rows, scales, panel, |number| number as i8)
    }
}

/// Weights as multiples of a scale for each output, to the nearest, ties to even; those of two inputs side by side.
fn integers<T: Element + Default, const WIDTH: usize>(
    Rounding { integers, run }: Rounding,
    rows: &[[f32; WIDTH]],
    scales: &mut [f32],
    panel: &mut [T],
    narrow: impl Fn(i32) -> T,
) -> Result<(), PackError> {
    // A sum with it is rounded, because numbers of this size have no fraction. Its lowest bits are then the integer's.
    // Baseline x86-64 has no instruction for it.
    const NO_FRACTION: f32 = 1.5 * (1 << 23) as f32;
    let (Some(integers), Some(scales)) = (integers, scales.first_chunk_mut::<WIDTH>()) else {
        unreachable!("integers have scales")
    };
    *scales = integers.scales(rows, run).ok_or(PackError::NotFinite)?;
    let round = |weight: f32, scale: f32| {
        narrow((weight / scale + NO_FRACTION).to_bits().wrapping_sub(NO_FRACTION.to_bits()) as i32)
    };
    let (pairs, _) = panel.as_chunks_mut::<2>();
    let (pairs, _) = pairs.as_chunks_mut::<WIDTH>();
    let inputs = rows.chunks(run).flat_map(|run| run.chunks(2));
    for (pairs, inputs) in pairs.iter_mut().zip(inputs) {
        let (first, second) = (&inputs[0], inputs.get(1));
        for column in 0..WIDTH {
            let scale = scales[column];
            let second = second.map_or(T::default(), |second| round(second[column], scale));
            pairs[column] = [round(first[column], scale), second];
        }
    }
    Ok(())
}

impl Integers {
    /// The scales of a panel's outputs; `None` if one is not finite.
    fn scales<const WIDTH: usize>(self, rows: &[[f32; WIDTH]], run: usize) -> Option<[f32; WIDTH]> {
        // the largest magnitude among an output's weights, and the largest sum of those of a segment of a run
        let [mut largest, mut most] = [[0.0f32; WIDTH]; 2];
        for segment in rows.chunks(run).flat_map(|run| run.chunks(self.segment)) {
            // of every fourth weight, as the scales have always been summed
            let mut sums = [[0.0f32; WIDTH]; 4];
            let (four, rest) = segment.as_chunks::<4>();
            let mut add = |sum: &mut [f32; WIDTH], row: &[f32; WIDTH]| {
                for column in 0..WIDTH {
                    let weight = row[column].abs();
                    largest[column] = if weight > largest[column] { weight } else { largest[column] };
                    sum[column] += weight;
                }
            };
            for rows in four {
                sums.iter_mut().zip(rows).for_each(|(sum, row)| add(sum, row));
            }
            rest.iter().for_each(|row| add(&mut sums[0], row));
            for (column, most) in most.iter_mut().enumerate() {
                *most = most.max(sums.iter().map(|sum| sum[column]).sum());
            }
        }
        let mut scales = [1.0; WIDTH];
        for (column, scale) in scales.iter_mut().enumerate() {
            let least = self.scale(largest[column], most[column]);
            if !least.is_finite() {
                return None;
            }
            *scale = if least >= f32::MIN_POSITIVE { least } else { 1.0 };
        }
        Some(scales)
    }
}

impl Packing<'_> {
    /// Lays out elements in panels, and gives each output its scale, if there are scales.
    pub(super) fn panels<T: Packed>(
        &self,
        elements: Elements,
        scales: &mut [f32],
    ) -> Result<Arena<T>, PackError> {
        let width = self.width(elements.outputs.len());
        let rows = elements.inputs.len() / elements.run * self.rows(elements.run);
        let len = elements.outputs.len().next_multiple_of(width).saturating_mul(rows);
        let rounding = Rounding { integers: self.format.integers(), run: elements.run };
        self.pool.filled(len, |packed| {
            let panel_len = rows * width;
            match width {
                1 => fill::<T, 1>(rounding, elements, scales, packed, panel_len),
                8 => fill::<T, 8>(rounding, elements, scales, packed, panel_len),
                16 => fill::<T, 16>(rounding, elements, scales, packed, panel_len),
                32 => fill::<T, 32>(rounding, elements, scales, packed, panel_len),
                _ => unreachable!("no instruction set has panels of {width}"),
            }
        })
    }
}

/// Fills panels of `len` weights each.
fn fill<T: Packed, const WIDTH: usize>(
    rounding: Rounding,
    elements: Elements,
    scales: &mut [f32],
    packed: &mut [T],
    len: usize,
) -> Result<(), PackError> {
    let order = elements.order()?;
    // Panels are laid out one by one, while they are in cache; of a transposed convolution all at once, because there
    // the weights of an input lie side by side.
    let (rows, panels) = (elements.inputs.len(), elements.outputs.len().div_ceil(WIDTH));
    let at_once = if order.is_some() { 1 } else { panels };
    let mut buffer: Vec<[f32; WIDTH]> = Vec::new();
    for (part, packed) in packed.chunks_mut(at_once * len).enumerate() {
        let first = part * at_once;
        let outputs = &elements.outputs[first * WIDTH..elements.outputs.len().min((first + at_once) * WIDTH)];
        let lay_out = |rows: &mut [[f32; WIDTH]]| {
            match &order {
                Some(order) => side_by_side(elements.values, order, outputs, rows),
                None => apart(elements, outputs, rows),
            }
            is_finite::<T, WIDTH>(rows)
        };
        if let Some(rows) = T::as_they_are(packed) {
            lay_out(rows)?;
            continue;
        }
        buffer.try_reserve_exact(at_once * rows)?;
        buffer.resize(at_once * rows, [0.0; WIDTH]);
        lay_out(&mut buffer)?;
        for ((index, packed), rows) in packed.chunks_mut(len).enumerate().zip(buffer.chunks(rows)) {
            let scales = scales.get_mut((first + index) * WIDTH..).unwrap_or_default();
            T::convert(rounding, rows, scales, packed)?;
        }
    }
    Ok(())
}

/// Refuses weights that are infinite or not numbers in their format: any such one makes the sum of nothings NaN.
fn is_finite<T: Packed, const WIDTH: usize>(rows: &[[f32; WIDTH]]) -> Result<(), PackError> {
    let mut nothing = [0.0; WIDTH];
    for row in rows {
        nothing.iter_mut().zip(row).for_each(|(nothing, weight)| *nothing += T::nothing_of(*weight));
    }
    // one comparison: LLVM 22 cannot compile one of a vector for WebAssembly
    if nothing.iter().sum::<f32>() == 0.0 { Ok(()) } else { Err(PackError::NotFinite) }
}

/// The inputs of an output whose weights lie side by side, in the order of the weights, and where the first is.
struct Order {
    start: usize,
    inputs: Vec<usize>,
}

impl Elements<'_> {
    /// `None` if the weights of an output do not lie side by side.
    fn order(&self) -> Result<Option<Order>, PackError> {
        let (Some(&start), Some(last)) = (self.inputs.iter().min(), self.inputs.iter().max()) else {
            return Ok(None);
        };
        if last - start >= self.inputs.len() {
            return Ok(None);
        }
        let mut inputs = Vec::new();
        inputs.try_reserve_exact(self.inputs.len())?;
        inputs.resize(self.inputs.len(), 0);
        self.inputs.iter().enumerate().for_each(|(input, offset)| inputs[offset - start] = input);
        Ok(Some(Order { start, inputs }))
    }
}

/// Fills a panel from the weights of outputs that lie side by side each. They are read in squares of a cache line's
/// length. The weights of different outputs may lie pages apart, and would push each other out of the cache if they
/// were read input by input.
fn side_by_side<const WIDTH: usize>(
    values: &[f32],
    order: &Order,
    outputs: &[usize],
    rows: &mut [[f32; WIDTH]],
) {
    const SIDE: usize = 16;
    for (square, inputs) in order.inputs.chunks(SIDE).enumerate() {
        let from = |output: usize| &values[output + order.start + square * SIDE..][..inputs.len()];
        let mut weights = [[0.0; WIDTH]; SIDE];
        let (mut columns, mut rest) = (0, outputs);
        // four by four
        while let ([a, b, c, d, more @ ..], true) = (rest, inputs.len() == SIDE) {
            let (a, b, c, d) = (from(*a), from(*b), from(*c), from(*d));
            for (row, weights) in weights.iter_mut().enumerate() {
                weights[columns..][..4].copy_from_slice(&[a[row], b[row], c[row], d[row]]);
            }
            (columns, rest) = (columns + 4, more);
        }
        for (column, output) in (columns..).zip(rest) {
            weights.iter_mut().zip(from(*output)).for_each(|(row, weight)| row[column] = *weight);
        }
        inputs.iter().zip(&weights).for_each(|(input, weights)| rows[*input] = *weights);
    }
}

/// Fills panels from the weights of inputs that lie side by side each.
fn apart<const WIDTH: usize>(elements: Elements, outputs: &[usize], rows: &mut [[f32; WIDTH]]) {
    let inputs = elements.inputs;
    for (row, input) in inputs.iter().enumerate() {
        for (panel, outputs) in outputs.chunks(WIDTH).enumerate() {
            let weights = &mut rows[panel * inputs.len() + row];
            weights
                .iter_mut()
                .zip(outputs)
                .for_each(|(weight, output)| *weight = elements.values[input + output]);
        }
    }
}
