//! Every kernel beside its naive twin, on every instruction set that this CPU has.

mod attention;
pub(super) mod bounds;
mod panels;

use super::*;
use proptest::prelude::*;

struct Pad(Arena, Rounded);

impl Pad {
    fn new(len: usize) -> Self {
        // room for the rounded rows of any product here
        Self(Arena::zeroed(len).unwrap(), Rounded::new(64 * len).unwrap())
    }

    fn copy(&self) -> Self {
        let mut copy = Self::new(self.0.len());
        copy.0.copy_from_slice(&self.0);
        copy
    }
}

impl Scratch for &mut Pad {
    fn scratch(&mut self) -> (&mut [f32], &mut Rounded) {
        (&mut self.0, &mut self.1)
    }
}

/// Numbers in −1..1 that look random.
pub(super) fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn pads(count: usize, len: usize) -> Vec<Pad> {
    let mut noise = noise(count as u64 + 17);
    let pad = |_| {
        let mut pad = Pad::new(len);
        pad.0.iter_mut().for_each(|x| *x = noise());
        pad
    };
    (0..count).map(pad).collect()
}

pub(super) fn pack(
    kernels: Kernels,
    format: Format,
    elements: Elements,
    bias: impl Fn(usize) -> f32,
) -> Matrix {
    Matrix::pack(Packing { kernels, format, pool: &Pool::default() }, elements, &bias).unwrap()
}

/// Rounds the rows and multiplies them with all panels.
pub(super) fn multiply<M: Scratch>(
    kernels: Kernels,
    matrix: &Matrix,
    streams: &mut [M],
    product: Product,
    team: Option<&Team>,
) {
    streams.iter_mut().for_each(|stream| kernels.round_inputs(matrix, stream, product, 0));
    kernels.matmul(matrix, streams, product, 0..matrix.panels(), team);
}

pub(super) fn all_kernels() -> impl Iterator<Item = Kernels> {
    InstructionSet::available().filter_map(Kernels::new)
}

/// erf by its series, to f64 precision for |x| < 4.
fn naive_erf(x: f64) -> f64 {
    if x.abs() >= 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

fn naive_activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::Gelu => x / 2.0 * (1.0 + naive_erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x / 2.0 * (1.0 + u.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::None,
    Activation::Elu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
];

/// Runs a product of `rows` rows in each of `streams` streams on kernels, and returns every stream's
/// outputs; inputs `runs`·`run`, rows overlapping.
#[derive(Clone, Copy, Debug)]
struct Case {
    runs: usize,
    run: usize,
    outputs: usize,
    rows: usize,
    streams: usize,
    residual: bool,
    activation: Activation,
    format: Format,
}

impl Case {
    fn product(&self) -> Product {
        let x = Rows { offset: 16, stride: self.run };
        // runs of rounded inputs are whole blocks
        let run_stride = if self.format.integers().is_some() { 2 * self.run } else { self.run + 3 };
        let y = Rows { offset: x.from(self.rows).offset + self.runs * run_stride, stride: self.outputs + 1 };
        let residual = Rows { offset: y.from(self.rows).offset, stride: self.outputs };
        let residual = self.residual.then_some(residual);
        Product { x, run_stride, y, rows: self.rows, residual, activation: self.activation }
    }

    /// Memory that is enough, and a little more.
    fn pads(&self) -> Vec<Pad> {
        pads(self.streams, self.product().y.from(2 * self.rows).offset + 16)
    }

    fn weight(&self) -> Vec<f32> {
        let mut noise = noise(3);
        (0..self.runs * self.run * self.outputs).map(|_| noise()).collect()
    }

    /// The weights after rounding, by its definition. The scales are those of the matrix, because a weight halfway
    /// between two integers may go to either for a scale that differs in its last bit.
    fn rounded(&self, matrix: &Matrix) -> Vec<f32> {
        let mut weight = self.weight();
        match self.format {
            Format::F32 => {}
            // eight significant bits
            Format::Bf16 => weight.iter_mut().filter(|weight| **weight != 0.0).for_each(|weight| {
                let step = weight.abs().log2().floor().exp2() / 128.0;
                *weight = (*weight / step).round_ties_even() * step;
            }),
            Format::Int16(_) | Format::Int8 => {
                let Integers { weights, inputs, segment } = self.format.integers().unwrap();
                let room = 2f64.powi(31) / f64::from(inputs) * 0.9999 - segment as f64 / 2.0;
                for output in 0..self.outputs {
                    let column = || (output..self.runs * self.run * self.outputs).step_by(self.outputs);
                    let of_output: Vec<_> = column().map(|i| f64::from(weight[i].abs())).collect();
                    let largest = of_output.iter().copied().fold(0.0, f64::max);
                    let segments = of_output.chunks(self.run).flat_map(|run| run.chunks(segment));
                    let sum = segments.map(|segment| segment.iter().sum()).fold(0.0, f64::max);
                    let expected = (largest / f64::from(weights)).max(sum / room);
                    let scale = matrix.scales()[output];
                    assert!((f64::from(scale) / expected - 1.0).abs() < 1e-5, "{scale} is not {expected}");
                    column().for_each(|i| weight[i] = (weight[i] / scale).round_ties_even() * scale);
                }
            }
        }
        weight
    }

    fn matrix(&self, kernels: Kernels) -> Matrix {
        let weight = self.weight();
        let inputs: Vec<_> = (0..self.runs * self.run).map(|i| i * self.outputs).collect();
        let outputs: Vec<_> = (0..self.outputs).collect();
        let elements = Elements { values: &weight, inputs: &inputs, outputs: &outputs, run: self.run };
        pack(kernels, self.format, elements, |o| o as f32 * 0.01)
    }

    fn naive(&self, weight: &[f32], memory: &[f32], row: usize, output: usize) -> f64 {
        let product = self.product();
        let mut sum = f64::from(output as f32 * 0.01);
        let start = product.x.offset + row * product.x.stride;
        let runs = (0..self.runs).map(|run| &memory[start + run * product.run_stride..][..self.run]);
        let x: Vec<f32> = match self.format.integers() {
            None => runs.flatten().copied().collect(),
            Some(integers) => runs.flat_map(|run| rounded_run(run, integers.inputs)).collect(),
        };
        for (i, x) in x.iter().enumerate() {
            sum += f64::from(*x) * f64::from(weight[i * self.outputs + output]);
        }
        if let Some(residual) = product.residual {
            sum += f64::from(memory[residual.offset + row * residual.stride + output]);
        }
        naive_activation(self.activation, sum)
    }

    fn outputs(&self, pad: &Pad) -> Vec<f32> {
        let y = self.product().y;
        (0..self.rows).flat_map(|row| pad.0[y.offset + row * y.stride..][..self.outputs].to_vec()).collect()
    }
}

/// A run of inputs after rounding to integers of up to `most`, by its definition.
fn rounded_run(run: &[f32], most: i32) -> Vec<f32> {
    let largest = run.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let scale = largest / most as f32;
    run.iter().map(|x| (*x * (1.0 / scale)).round_ties_even() * scale).collect()
}

/// 16-bit weights as models have them, and shorter segments.
const INT16: Format = Format::Int16(Integers::INT16);
const INT16_SHORT: Format = Format::Int16(Integers { weights: 4095, inputs: 8191, segment: 34 });

/// Small shapes, some with a single output, and some that are worked on in several segments and blocks of rows.
fn case() -> impl Strategy<Value = Case> {
    let small = (1..4usize, 1..60usize, 1..90usize, 1..40usize, 1..6usize);
    let column = (1..4usize, 1..200usize, Just(1), 1..40usize, 1..6usize);
    let shared_column = (1..3usize, 500..1200usize, Just(1), 300..600usize, 1..3usize);
    let large = (1..3usize, 500..1200usize, 1..40usize, 1..200usize, 1..3usize);
    let format = prop::sample::select(&[Format::F32, Format::Bf16, INT16, INT16_SHORT, Format::Int8][..]);
    let activation = prop::sample::select(&ACTIVATIONS[..]);
    (prop_oneof![3 => small, 1 => column, 1 => shared_column, 1 => large], any::<bool>(), activation, format)
        .prop_map(|((runs, run, outputs, rows, streams), residual, activation, format)| Case {
            runs,
            run,
            outputs,
            rows,
            streams,
            residual,
            activation,
            format,
        })
}

proptest! {
    // fewer where PROPTEST_CASES says so
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(48), ..ProptestConfig::default() })]

    #[test]
    fn matmul_is_the_triple_loop(case in case()) {
        for kernels in all_kernels() {
            let mut pads = case.pads();
            let before: Vec<Vec<f32>> = pads.iter().map(|p| p.0.to_vec()).collect();
            let matrix = case.matrix(kernels);
            let weight = case.rounded(&matrix);
            multiply(kernels, &matrix, &mut pads.iter_mut().collect::<Vec<_>>(), case.product(), None);
            for (pad, before) in pads.iter().zip(&before) {
                let found = case.outputs(pad);
                for (i, &y) in found.iter().enumerate() {
                    let expected = case.naive(&weight, before, i / case.outputs, i % case.outputs);
                    let tolerance = 1e-5 * (1.0 + expected.abs()) + 5e-8 * (case.runs * case.run) as f64;
                    prop_assert!((f64::from(y) - expected).abs() < tolerance, "{:?}: {} is not {}", kernels, y, expected);
                }
                // Nothing else was touched.
                let y = case.product().y;
                for (i, (now, before)) in pad.0.iter().zip(before).enumerate() {
                    let inside = i >= y.offset && i < y.offset + case.rows * y.stride
                        && (i - y.offset) % y.stride < case.outputs;
                    prop_assert!(inside || now.to_bits() == before.to_bits());
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_and_in_any_company(case in case(), threads in 1..4usize) {
        for kernels in all_kernels() {
            let mut pads = case.pads();
            let mut alone = pads.iter().map(Pad::copy).collect::<Vec<_>>();
            let matrix = case.matrix(kernels);
            with_team(threads, |team| {
                multiply(kernels, &matrix, &mut pads.iter_mut().collect::<Vec<_>>(), case.product(), team);
            });
            for (pad, alone) in pads.iter().zip(&mut alone) {
                let product = case.product();
                for row in 0..case.rows {
                    let one = Product {
                        x: product.x.from(row),
                        y: product.y.from(row),
                        residual: product.residual.map(|r| r.from(row)),
                        rows: 1,
                        ..product
                    };
                    multiply(kernels, &matrix, &mut [&mut *alone], one, None);
                }
                prop_assert!(case.outputs(pad) == case.outputs(alone));
            }
        }
    }
}

#[test]
fn a_column_is_the_weights_of_an_output() {
    let case = Case {
        runs: 1,
        run: 37,
        outputs: 70,
        rows: 1,
        streams: 1,
        residual: false,
        activation: Activation::None,
        format: Format::F32,
    };
    for kernels in all_kernels() {
        let matrix = case.matrix(kernels);
        for output in [0, 1, 15, 16, 33, 69] {
            let expected: Vec<f32> = (0..37).map(|i| case.weight()[i * 70 + output]).collect();
            assert_eq!(matrix.column(output).collect::<Vec<_>>(), expected);
        }
    }
}

/// Weights that lie side by side for an output are packed in squares, others one by one: the same comes of both.
#[test]
fn packing_does_not_depend_on_how_weights_lie() {
    let (channels, taps) = (37, 3);
    let len = channels * taps;
    for (outputs, format) in
        [(1, Format::F32), (70, Format::F32), (70, Format::Bf16), (70, INT16), (33, Format::Int8)]
    {
        let mut noise = noise(5);
        // [outputs, channels, taps], as convolutions have them, and inputs tap by tap
        let weight: Vec<f32> = (0..outputs * len).map(|_| noise()).collect();
        let inputs: Vec<_> =
            (0..taps).flat_map(|tap| (0..channels).map(move |channel| channel * taps + tap)).collect();
        let rows: Vec<_> = (0..outputs).map(|output| output * len).collect();
        let by_output = Elements { values: &weight, inputs: &inputs, outputs: &rows, run: channels };
        // [inputs, outputs], with room between the inputs
        let stride = outputs + 1;
        let mut transposed = vec![0.0; len * stride];
        for (row, input) in inputs.iter().enumerate() {
            (0..outputs).for_each(|output| transposed[row * stride + output] = weight[output * len + input]);
        }
        let inputs: Vec<_> = (0..len).map(|row| row * stride).collect();
        let columns: Vec<_> = (0..outputs).collect();
        let by_input = Elements { values: &transposed, inputs: &inputs, outputs: &columns, run: channels };
        for kernels in all_kernels() {
            let [a, b] = [by_output, by_input].map(|elements| pack(kernels, format, elements, |_| 0.0));
            let mut x = pads(1, len + 16 + 2 * (outputs + 16));
            let mut product = |matrix: &Matrix| {
                let product = Product {
                    x: Rows { offset: 0, stride: len },
                    run_stride: channels,
                    y: Rows { offset: len + 16, stride: outputs },
                    rows: 1,
                    residual: None,
                    activation: Activation::None,
                };
                multiply(kernels, matrix, &mut x.iter_mut().collect::<Vec<_>>(), product, None);
                x[0].0[len + 16..][..outputs].to_vec()
            };
            assert_eq!(product(&a), product(&b), "{kernels:?}, {format:?}");
            assert_eq!(a.scales(), b.scales());
            if format == Format::F32 {
                let expected: Vec<f32> = inputs.iter().map(|input| transposed[*input]).collect();
                assert_eq!(a.column(0).collect::<Vec<_>>(), expected);
            }
        }
    }
}

#[test]
fn arenas_of_a_pool_do_not_meet_and_outlive_it() {
    let pool = Pool::default();
    // a block for the second to the fourth; the others do not find room in it
    let lens = [5, 0, 17, 16, 100, 0];
    let mut arenas: Vec<Arena> = Vec::new();
    for (index, &len) in lens.iter().enumerate() {
        if index == 1 {
            pool.reserve(arena_bytes::<f32>(17) + arena_bytes::<f32>(16)).unwrap();
        }
        let mut arena = pool.unwritten::<f32>(len).unwrap();
        assert_eq!(arena.to_vec(), vec![0.0; len]);
        assert!(arena.as_ptr().cast::<u8>().addr().is_multiple_of(64));
        arena.fill(index as f32 + 1.0);
        arenas.push(arena);
    }
    // 17 values take two cache lines
    assert_eq!(arenas[3].as_ptr().addr() - arenas[2].as_ptr().addr(), 128);
    drop(pool);
    let arenas = std::thread::spawn(move || arenas).join().unwrap();
    for (index, &len) in lens.iter().enumerate() {
        assert_eq!(arenas[index].to_vec(), vec![index as f32 + 1.0; len]);
        assert_eq!(arenas[index].bytes(), len.div_ceil(16) * 64);
    }
}

/// Applies an activation to `x` through a product with the identity.
fn activate(kernels: Kernels, activation: Activation, x: &[f32]) -> Vec<f32> {
    let one = Elements { values: &[1.0], inputs: &[0], outputs: &[0], run: 1 };
    let identity = pack(kernels, Format::F32, one, |_| 0.0);
    let mut memory = Pad::new(2 * x.len());
    memory.0[..x.len()].copy_from_slice(x);
    let product = Product {
        x: Rows { offset: 0, stride: 1 },
        run_stride: 1,
        y: Rows { offset: x.len(), stride: 1 },
        rows: x.len(),
        residual: None,
        activation,
    };
    multiply(kernels, &identity, &mut [&mut memory], product, None);
    memory.0[x.len()..].to_vec()
}

/// From −20 to 20 in steps of 1/1024, and some beyond.
fn dense_range() -> Vec<f32> {
    (-20 * 1024..=20 * 1024)
        .map(|i| i as f32 / 1024.0)
        .chain([-1e4, -200.0, -88.0, 88.0, 1e4, -0.0])
        .collect()
}

#[test]
fn activations_are_within_their_bounds() {
    let x = dense_range();
    for kernels in all_kernels() {
        for activation in ACTIVATIONS {
            for (&x, y) in x.iter().zip(activate(kernels, activation, &x)) {
                let expected = naive_activation(activation, f64::from(x));
                let bound = match activation {
                    Activation::Elu => 2e-7_f64.max(expected.abs() * 1e-7),
                    _ => 3e-7 * (1.0 + f64::from(x).abs()),
                };
                let error = (f64::from(y) - expected).abs();
                assert!(error <= bound, "{kernels:?} {activation:?}({x}) is {y}, not {expected}");
            }
        }
    }
}

#[test]
fn elu_of_any_length_is_the_elu_of_each() {
    let x = dense_range();
    for kernels in all_kernels() {
        let whole = activate(kernels, Activation::Elu, &x);
        for len in [0, 1, 3, 15, 16, 17, 100] {
            let mut y = vec![0.0; len];
            kernels.elu(&x[7..7 + len], &mut y);
            assert_eq!(y, whole[7..7 + len]);
        }
    }
}

#[test]
fn layer_norm_is_its_formula() {
    for kernels in all_kernels() {
        for len in [1, 5, 16, 32, 100, 512] {
            let mut noise = noise(len as u64);
            let mut values = || (0..len).map(|_| 3.0 * noise() + 0.5).collect::<Vec<f32>>();
            let (x, weight, bias) = (values(), values(), values());
            let mut y = vec![0.0; len];
            kernels.layer_norm(&x, &weight, &bias, 1e-5, &mut y);
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / len as f64;
            let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / len as f64;
            for i in 0..len {
                let normal = (f64::from(x[i]) - mean) / (variance + 1e-5).sqrt();
                let expected = normal * f64::from(weight[i]) + f64::from(bias[i]);
                assert!(
                    (f64::from(y[i]) - expected).abs() < 1e-5,
                    "{kernels:?} {len}: {} is not {expected}",
                    y[i]
                );
            }
        }
    }
}

#[test]
fn argmax_is_the_first_largest() {
    for kernels in all_kernels() {
        assert_eq!(kernels.argmax(&[]), 0);
        for len in [1, 4, 31, 64, 2048] {
            let mut noise = noise(len as u64);
            let mut x: Vec<f32> = (0..len).map(|_| noise()).collect();
            for at in [0, len / 2, len - 1] {
                x[at] += 10.0;
                assert_eq!(kernels.argmax(&x), at);
                x[len - 1] = x[at];
                assert_eq!(kernels.argmax(&x), at, "the first of two");
                x[at] -= 10.0;
                x[len - 1] = 0.0;
            }
        }
    }
}
