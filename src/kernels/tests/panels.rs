//! Products of some panels.

use super::*;
use crate::kernels::matrix::Storage;

/// A matrix of `outputs` outputs and rows that are worked on in some segments, as products of eight-bit weights need.
fn case(outputs: usize, rows: usize, streams: usize, format: Format) -> Case {
    Case { runs: 3, run: 301, outputs, rows, streams, residual: true, activation: Activation::Elu, format }
}

const FORMATS: [Format; 4] = [Format::F32, Format::Bf16, INT16, Format::Int8];

#[test]
fn any_split_of_panels_gives_the_bits_of_the_whole() {
    for kernels in all_kernels() {
        for (outputs, format) in [1, 7, 64, 161].into_iter().flat_map(|n| FORMATS.map(|format| (n, format))) {
            let matrix = case(outputs, 1, 1, format).matrix(kernels);
            let panels = matrix.panels();
            assert_eq!(panels, outputs.div_ceil(matrix.panel_outputs()));
            for (rows, streams) in [1, 2, 3, 17].into_iter().flat_map(|rows| [(rows, 1), (rows, 3)]) {
                let case = case(outputs, rows, streams, format);
                let before = case.pads();
                let product = |parts: &[usize], team: Option<&Team>| {
                    let mut pads: Vec<_> = before.iter().map(Pad::copy).collect();
                    let mut pads_of: Vec<_> = pads.iter_mut().collect();
                    pads_of.iter_mut().for_each(|pad| kernels.round_inputs(&matrix, pad, case.product(), 0));
                    // the last part first
                    for part in parts.windows(2).rev() {
                        kernels.matmul(&matrix, &mut pads_of, case.product(), part[0]..part[1], team);
                    }
                    let bits = |pad: &Pad| pad.0.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    pads.iter().map(bits).collect::<Vec<_>>()
                };
                let whole = product(&[0, panels], None);
                let each: Vec<_> = (0..=panels).collect();
                assert!(product(&each, None) == whole, "{kernels:?} {case:?}");
                for cut in 0..=panels {
                    assert!(product(&[0, cut, panels], None) == whole, "{kernels:?} {case:?} at {cut}");
                }
                with_team(3, |team| {
                    let cuts = [0, panels / 3, panels];
                    assert!(product(&cuts, team) == whole, "{kernels:?} {case:?} in a team");
                });
            }
        }
    }
}

#[test]
fn a_panel_writes_its_outputs_alone() {
    for kernels in all_kernels() {
        for format in FORMATS {
            let case = case(161, 2, 1, format);
            let matrix = case.matrix(kernels);
            let mut pads = case.pads();
            let before = case.outputs(&pads[0]);
            let mut streams: Vec<_> = pads.iter_mut().collect();
            kernels.round_inputs(&matrix, &mut streams[0], case.product(), 0);
            kernels.matmul(&matrix, &mut streams, case.product(), 2..2, None);
            kernels.matmul(&matrix, &mut streams, case.product(), 2..4, None);
            let width = matrix.panel_outputs();
            for (i, (now, before)) in case.outputs(&pads[0]).iter().zip(&before).enumerate() {
                let inside = (2 * width..4 * width).contains(&(i % case.outputs));
                assert_eq!(now != before, inside, "{kernels:?} {format:?} {i}");
            }
        }
    }
}

#[test]
fn panels_that_are_not_there_are_refused() {
    for kernels in all_kernels() {
        let case = case(161, 1, 1, Format::F32);
        let matrix = case.matrix(kernels);
        for panels in [0..matrix.panels() + 1, matrix.panels() + 1..matrix.panels() + 1] {
            let mut pads = case.pads();
            let mut streams: Vec<_> = pads.iter_mut().collect();
            let call = || kernels.matmul(&matrix, &mut streams, case.product(), panels, None);
            assert_eq!(bounds::panic_of(call), "no such panels");
        }
    }
}

#[test]
fn all_panels_are_all_of_the_weights() {
    for kernels in all_kernels() {
        // each of the three runs has a pair that is not full
        for (format, inputs, size) in
            [(Format::F32, 903, 4), (Format::Bf16, 903, 2), (INT16, 906, 2), (Format::Int8, 906, 1)]
        {
            let matrix = case(161, 1, 1, format).matrix(kernels);
            let weights = inputs * matrix.panel_outputs() * size;
            assert_eq!(matrix.panel_bytes(), weights);
            assert_eq!(
                matrix.bytes(),
                (matrix.panels() * weights).next_multiple_of(64)
                    + matrix.bias.bytes()
                    + matrix.scales.bytes()
            );
        }
    }
}

/// A weight by its place in a packed matrix, as a number.
fn stored(matrix: &Matrix, input: usize, output: usize) -> f64 {
    let (panel, column) = (output / matrix.width, output % matrix.width);
    let rows = matrix.inputs / matrix.run * matrix.run.next_multiple_of(2);
    let row = input / matrix.run * matrix.run.next_multiple_of(2) + input % matrix.run;
    let single = (panel * matrix.inputs + input) * matrix.width + column;
    let paired = ((panel * rows / 2 + row / 2) * matrix.width + column) * 2 + row % 2;
    match &matrix.weights {
        Storage::F32(weights) => weights[single].into(),
        Storage::Bf16(weights) => f32::from_bits(u32::from(weights[single].0) << 16).into(),
        Storage::Int16(weights) => weights[paired].into(),
        Storage::Int8(weights) => weights[paired].into(),
    }
}

/// The value of bfloat16 that is nearest to a number, the even one of two.
fn naive_bf16(x: f32) -> f64 {
    let low = x.to_bits() >> 16;
    let value = |bits: u32| f64::from(f32::from_bits(bits << 16));
    let (below, above) = (f64::from(x) - value(low), value(low + 1) - f64::from(x));
    match below.abs().total_cmp(&above.abs()) {
        std::cmp::Ordering::Less => value(low),
        std::cmp::Ordering::Greater => value(low + 1),
        std::cmp::Ordering::Equal => value(low + low % 2),
    }
}

/// Linear layers, convolutions whose inputs lie in another order than their weights, and transposed ones, of sizes that
/// fill no register.
#[test]
fn weights_are_packed_as_they_are_defined() {
    for (inputs, run, outputs) in
        [(1, 1, 1), (35, 35, 1), (64, 32, 70), (39, 13, 33), (350, 350, 9), (130, 5, 64)]
    {
        let mut noise = noise((inputs * outputs) as u64);
        let values: Vec<f32> = (0..inputs * outputs).map(|_| noise().powi(3)).collect();
        // 5 taps of a convolution, if it has as many inputs
        let taps = if inputs % 5 == 0 { 5 } else { 1 };
        let tap_by_tap: Vec<_> =
            (0..inputs).map(|i| i % (inputs / taps) * taps + i / (inputs / taps)).collect();
        let every = |step: usize, count: usize| (0..count).map(|i| i * step).collect::<Vec<_>>();
        let shapes = [
            (every(1, inputs), every(inputs, outputs)),
            (tap_by_tap, every(inputs, outputs)),
            (every(outputs, inputs), every(1, outputs)),
        ];
        for ((of_inputs, of_outputs), kernels) in
            shapes.iter().flat_map(|s| all_kernels().map(move |k| (s, k)))
        {
            let elements = Elements { values: &values, inputs: of_inputs, outputs: of_outputs, run };
            for format in FORMATS {
                let matrix = pack(kernels, format, elements, |output| output as f32);
                let what = format!("{kernels:?} {format:?} {inputs} {run} {outputs}");
                let bias: Vec<_> = (0..outputs).map(|output| output as f32).collect();
                assert_eq!(matrix.bias()[..outputs], bias, "{what}");
                assert!(matrix.bias()[outputs..].iter().all(|bias| *bias == 0.0), "{what}");
                for output in 0..outputs {
                    let weight = |input: usize| values[of_inputs[input] + of_outputs[output]];
                    let all: Vec<_> = (0..inputs).map(weight).collect();
                    let Some(integers) = format.integers() else {
                        for (input, weight) in all.iter().enumerate() {
                            let expected =
                                if format == Format::F32 { f64::from(*weight) } else { naive_bf16(*weight) };
                            assert_eq!(stored(&matrix, input, output), expected, "{what}");
                        }
                        continue;
                    };
                    let scale = f64::from(matrix.scales()[output]);
                    let magnitude = |weight: &f32| f64::from(weight.abs());
                    let largest = all.iter().map(magnitude).fold(0.0, f64::max);
                    let segments = all.chunks(run).flat_map(|run| run.chunks(integers.segment));
                    let sum = segments.map(|segment| segment.iter().map(magnitude).sum()).fold(0.0, f64::max);
                    let room = f64::from(i32::MAX / integers.inputs) - integers.segment as f64 / 2.0;
                    let least = (largest / f64::from(integers.weights)).max(sum / room);
                    assert!(scale >= least * 0.999_999 && scale <= least * 1.001, "{what}: {scale}, {least}");
                    for (input, weight) in all.iter().enumerate() {
                        let expected = f64::from(weight / scale as f32).round_ties_even();
                        assert_eq!(stored(&matrix, input, output), expected, "{what}");
                    }
                }
                for output in outputs..matrix.panels() * matrix.width {
                    assert!((0..inputs).all(|input| stored(&matrix, input, output) == 0.0), "{what}");
                }
            }
        }
    }
}

/// Finite numbers, the largest, and what is none; NaN with any payload.
#[test]
fn weights_that_are_not_finite_in_their_format_are_refused() {
    let pool = Pool::default();
    for kernels in all_kernels() {
        for (format, position) in
            FORMATS.into_iter().flat_map(|f| [0, 7, 40, 64].map(|position| (f, position)))
        {
            let is_packed = |bits: u32| {
                let mut values = [0.5; 65];
                values[position] = f32::from_bits(bits);
                let inputs: Vec<_> = (0..65).collect();
                let elements = Elements { values: &values, inputs: &inputs, outputs: &[0], run: 65 };
                Matrix::pack(Packing { kernels, format, pool: &pool }, elements, &|_| 0.0).is_ok()
            };
            for bits in [0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7fff_ffff, 0xffff_ffff, 0x7f80_0001] {
                assert!(!is_packed(bits), "{kernels:?} {format:?} {bits:#x}");
            }
            assert!(is_packed(0x7f00_0000) && is_packed(0x0000_0001), "{kernels:?} {format:?}");
            // from here on, a number is rounded to infinity
            assert_eq!(is_packed(0x7f7f_8000), format != Format::Bf16, "{kernels:?} {format:?}");
            assert!(is_packed(0x7f7f_7fff), "{kernels:?} {format:?}");
        }
    }
}

/// A pool that has packed weights gives them out and packs nothing.
#[test]
fn packed_weights_are_taken_as_they_are() {
    let (values, inputs) = ([0.25; 60], (0..20).collect::<Vec<_>>());
    let elements = Elements { values: &values, inputs: &inputs, outputs: &[0, 20, 40], run: 10 };
    for (kernels, format) in all_kernels().flat_map(|kernels| FORMATS.map(|format| (kernels, format))) {
        let bytes_of = |matrix: &Matrix| {
            let mut bytes = Vec::new();
            matrix.arenas(&mut |arena| bytes.extend_from_slice(arena));
            bytes
        };
        let bytes = bytes_of(&pack(kernels, format, elements, |_| 3.0));
        // a cache line less and one more, from a block and without
        for (len, fits) in [(bytes.len(), true), (bytes.len() - 64, false), (bytes.len() + 64, false)] {
            for reserved in [0, 4 * bytes.len()] {
                let pool = Pool::default();
                pool.reserve(reserved).unwrap();
                let mut weights = pool.unwritten::<u8>(len).unwrap();
                weights.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
                pool.begin_packed(weights);
                let unasked = Elements { values: &[], ..elements };
                let packing = Packing { kernels, format, pool: &pool };
                let matrix = Matrix::pack(packing, unasked, &|_| unreachable!("the bias is there"));
                let ended = pool.end_packed();
                assert_eq!(matrix.is_ok() && ended.is_ok(), fits, "{kernels:?} {format:?} {len}");
                assert!(!fits || bytes_of(&matrix.unwrap()) == bytes);
                assert!(!pool.is_packed());
            }
        }
    }
}
