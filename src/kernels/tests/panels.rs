//! Products of some panels.

use super::*;

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
                    pads_of.iter_mut().for_each(|pad| kernels.round_inputs(&matrix, pad, case.product()));
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
            kernels.round_inputs(&matrix, &mut streams[0], case.product());
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
