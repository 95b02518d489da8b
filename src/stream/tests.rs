//! Frames that are run in parts.

use super::*;
use crate::encoder::tests::speech;
use crate::{Isa, LoadOptions};

/// Numbers below `bound`, from the generator of Numerical Recipes.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % bound
    }
}

/// A stream whose operations are at most `most_load`, where they can be parted.
fn with_parts<D: Direction>(model: &Model, options: &StreamOptions, most_load: u64) -> Stream<D> {
    let shape = D::half(model).unwrap().shape(model.spec(), options).unwrap();
    let mut stream = Stream::<D>::new(model, options, shape).unwrap();
    let quantizer = stream.quantizer.as_deref();
    let planned = stream.half.plan_in_parts(quantizer, &stream.spec, stream.shape, most_load).unwrap();
    (stream.program, stream.memory, stream.border) = planned;
    stream
}

/// Runs every frame of `input` in parts, cut at each operation in turn. At each cut the stream forks, and another fork
/// is reset and runs a first frame.
fn cut_everywhere<D: Frames<u32, Output: Default + PartialEq + std::fmt::Debug>>(
    mut stream: Stream<D>,
    input: &[D::Input],
    expected: &[D::Output],
) {
    let (inputs, outputs) = (D::frame_inputs(&stream), D::frame_outputs(&stream));
    let mut room = vec![D::Output::default(); outputs];
    let first = (&input[..inputs], &expected[..outputs]);
    for (index, (input, expected)) in
        input.chunks_exact(inputs).zip(expected.chunks_exact(outputs)).enumerate()
    {
        let mut rest = input;
        D::stage(&mut stream, 1, &mut rest);
        for operation in 0..stream.program.len() {
            let load = stream.progress.map_or(0, |progress| progress.load) + 1;
            // forked and reset at every seventh operation; which ones depends on the frame
            if (operation + index) % 7 == 0 {
                let mut other = stream.try_clone().unwrap();
                assert!(other.advance(u64::MAX));
                assert_eq!(D::emit(&mut other, 1, &mut room), outputs);
                assert!(room == expected, "fork at operation {operation} of frame {index}");
                let mut other = stream.try_clone().unwrap();
                other.reset();
                let written = other.process(first.0, &mut room, None).unwrap();
                assert!(written == outputs && room == first.1, "reset at {operation} of frame {index}");
            }
            if stream.advance(load) {
                break;
            }
        }
        assert!(stream.progress.is_none());
        assert_eq!(D::emit(&mut stream, 1, &mut room), outputs);
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
        cut_everywhere(with_parts::<Encoding>(&model, &options, most_load), pcm, &codes);
        cut_everywhere(with_parts::<Decoding>(&model, &options, most_load), &codes, &audio);
    }
}
