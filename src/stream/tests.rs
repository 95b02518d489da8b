//! Frames that are run in parts.

use super::*;
use crate::encoder::tests::speech;
use crate::{Decoder, Encoder, Isa, LoadOptions};

/// Numbers below `bound`, from the generator of Numerical Recipes.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % bound
    }
}

/// A coder whose operations are at most `most_load`, where they can be parted.
fn with_parts<C: Coder>(mut coder: C, most_load: u64) -> C {
    let stream = coder.stream_mut();
    let quantizer = stream.quantizer.as_deref();
    let planned = stream.half.plan_in_parts(quantizer, &stream.spec, stream.shape, most_load).unwrap();
    (stream.program, stream.memory, stream.border) = planned;
    coder
}

/// Runs every frame of `input` in parts, cut at each operation in turn. At each cut the coder forks, and another fork
/// is reset and runs a first frame.
fn cut_everywhere<C: Coder<Output: Default + PartialEq + std::fmt::Debug>>(
    mut coder: C,
    input: &[C::Input],
    expected: &[C::Output],
    fork: impl Fn(&C) -> C,
    reset: impl Fn(&mut C),
) {
    let (inputs, outputs) = (coder.frame_inputs(), coder.frame_outputs());
    let mut room = vec![C::Output::default(); outputs];
    let first = (&input[..inputs], &expected[..outputs]);
    for (index, (input, expected)) in
        input.chunks_exact(inputs).zip(expected.chunks_exact(outputs)).enumerate()
    {
        let mut rest = input;
        coder.stage(1, &mut rest);
        for operation in 0..coder.stream().program.len() {
            let load = coder.stream().progress.map_or(0, |progress| progress.load) + 1;
            // forked and reset at every seventh operation; which ones depends on the frame
            if (operation + index) % 7 == 0 {
                let mut other = fork(&coder);
                assert!(other.stream_mut().advance(u64::MAX));
                assert_eq!(other.emit(1, &mut room), outputs);
                assert!(room == expected, "fork at operation {operation} of frame {index}");
                let mut other = fork(&coder);
                reset(&mut other);
                let written = other.process_with(first.0, &mut room, None).unwrap();
                assert!(written == outputs && room == first.1, "reset at {operation} of frame {index}");
            }
            if coder.stream_mut().advance(load) {
                break;
            }
        }
        assert!(coder.stream().progress.is_none());
        assert_eq!(coder.emit(1, &mut room), outputs);
        assert!(room == expected, "frame {index}");
    }
}

#[test]
fn frames_may_be_cut_at_every_operation_and_panel() {
    let model = Model::load(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/tiny"),
        // the narrowest panels
        &LoadOptions { isa: Isa::Baseline, ..Default::default() },
    )
    .unwrap();
    let options = StreamOptions { codebooks: Some(6), ..Default::default() };
    let pcm = &speech()[..1920 * 4];
    let codes = model.encode(pcm, &options).unwrap();
    let audio = model.decode(&codes, &options).unwrap();
    let mut random = Random(1);
    for most_load in [1, u64::MAX].into_iter().chain((0..2).map(|_| 1 << (4 + random.below(12)))) {
        let encoder = with_parts(Encoder::new(&model, &options).unwrap(), most_load);
        let fork = |coder: &Encoder| coder.try_clone().unwrap();
        cut_everywhere(encoder, pcm, &codes, fork, Encoder::reset);
        let decoder = with_parts(Decoder::new(&model, &options).unwrap(), most_load);
        let fork = |coder: &Decoder| coder.try_clone().unwrap();
        cut_everywhere(decoder, &codes, &audio, fork, Decoder::reset);
    }
}
