//! Convolutions in pairs.

use super::*;
use crate::kernels::{Format, InstructionSet, Integers, Kernels, Pool};
use crate::program::{Batch, Length};

const INT16: Format = Format::Int16(Integers::INT16);

/// Numbers in −1..1, from the generator of Numerical Recipes.
fn noise(count: usize, mut seed: u32) -> Vec<f32> {
    let next = |_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// The outputs for `x`, in passes of the given numbers of outputs, and operations of a load.
fn run(kernels: Kernels, conv: &Conv, x: &[f32], passes: &[usize], most_load: u64) -> Vec<f32> {
    // an even number, as in a frame of a convolution in pairs
    let most = passes.iter().max().unwrap().next_multiple_of(2);
    let rows = Span::frames(1, most * conv.stride());
    let mut planner = Planner::writing(rows.count, 1, most_load);
    let slots = conv.reserve(&mut planner, rows.count);
    let y = planner.scratch(most, conv.outputs()).rows(conv.outputs());
    conv.emit(&mut planner, &slots, rows, y, None, Activation::Elu);
    let (program, mut memory) = planner.build().unwrap();
    let (mut rest, mut outputs) = (x, Vec::new());
    for &pass in passes {
        let (now, later) = rest.split_at(pass * conv.stride() * conv.channels());
        rest = later;
        memory.scratch[conv.input(&slots).offset..][..now.len()].copy_from_slice(now);
        let mut batch = Batch::new(kernels, [&mut memory].into_iter(), None);
        program.run(0..program.len(), &mut batch, Length(pass * conv.stride()));
        outputs.extend_from_slice(&memory.scratch[y.offset..][..pass * conv.outputs()]);
    }
    outputs
}

#[test]
fn pairs_are_two_taps_and_their_bits_do_not_depend_on_steps() {
    let (channels, outputs, stride) = (48, 70, 6);
    let count = channels * outputs * 2 * stride;
    assert!(PAIRED_WEIGHTS.contains(&count));
    let (weight, bias) = (noise(count, 1), noise(outputs, 2));
    let kernels = InstructionSet::available().filter_map(Kernels::new);
    for (kernels, format) in kernels.flat_map(|kernels| [Format::F32, INT16].map(|format| (kernels, format)))
    {
        let packing = Packing { kernels, format, pool: &Pool::default() };
        let rounding = if format == INT16 { 3e-2 } else { 2e-4 };
        for transposed in [false, true] {
            let conv = |pairs| match transposed {
                true => {
                    let shape = [channels, outputs, 2 * stride];
                    Conv::transposed(packing, &weight, Some(&bias), shape, stride, 1, pairs)
                }
                false => {
                    let (shape, padding) = ([outputs, channels, 2 * stride], Padding::Zeros);
                    Conv::new(packing, &weight, Some(&bias), shape, stride, 1, padding, pairs)
                }
            };
            let (plain, pairs) = (conv(false).unwrap(), conv(true).unwrap());
            assert!(pairs.bytes() > plain.bytes());
            let x = noise(13 * pairs.stride() * channels, 3);
            let expected = run(kernels, &plain, &x, &[13], u64::MAX);
            let found = run(kernels, &pairs, &x, &[13], u64::MAX);
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() < rounding,
                    "{kernels:?} {format:?}: {found} is not {expected}"
                );
            }
            for passes in [&[2, 2, 2, 2, 2, 2, 1][..], &[4, 6, 3], &[10, 2, 1], &[13]] {
                for most_load in [u64::MAX, 100_000] {
                    let again = run(kernels, &pairs, &x, passes, most_load);
                    assert!(again == found, "{kernels:?} {format:?}, {passes:?}, {most_load}");
                }
            }
        }
    }
}
