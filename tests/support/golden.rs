//! The golden vectors: what transformers 5.23 and kyutai's moshi 0.2.13 make of given audio and
//! weights, and how near to them a result must be. Last frames: transformers 5.24.

use super::{npy, repository, synth, wav};
use mimi::{StreamOptions, Tail};
use std::ops::Range;
use std::path::PathBuf;

/// Two seconds and a bit: the last frame is a partial one.
const SHORT: usize = 52_837;

/// One checkpoint, one input, and what comes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The checkpoint's directory below `tests/data/golden`, `demo` or `full`.
    pub(crate) checkpoint: &'static str,
    /// The directory of the vectors.
    vectors: &'static str,
    /// What the vectors' file names begin with.
    tag: &'static str,
    /// The input and how many of its samples.
    input: &'static str,
    samples: usize,
    pub(crate) tail: Tail,
    /// Codes of the semantic branch in a frame.
    semantic: usize,
}

const fn tiny(checkpoint: &'static str) -> Case {
    Case {
        checkpoint,
        vectors: checkpoint,
        tag: "speech",
        input: "speech.wav",
        samples: SHORT,
        tail: Tail::LayerPad,
        semantic: 1,
    }
}

const fn all_of(checkpoint: &'static str, tag: &'static str, input: &'static str) -> Case {
    Case { tag, input, samples: usize::MAX, ..tiny(checkpoint) }
}

/// Four whole frames, of which every layer's output is on file.
pub(crate) const FIRST_4_FRAMES: Case = Case { tag: "first4frames", samples: 7_680, ..tiny("tiny") };

/// Small checkpoints, each with its own peculiarities; all codes must match.
pub(crate) const TINY: [Case; 15] = [
    tiny("tiny"),
    FIRST_4_FRAMES,
    tiny("tiny-dilated"),
    tiny("tiny-shortcut"),
    tiny("tiny-gqa-bias"),
    Case { samples: 35_237, ..tiny("tiny-16khz") },
    tiny("tiny-replicate"),
    Case { semantic: 2, ..tiny("tiny-semantic2") },
    tiny("tiny-noproj"),
    tiny("tiny-theta"),
    tiny("tiny-bf16"),
    tiny("tiny-f16"),
    Case { vectors: "tiny", ..tiny("tiny-sharded") },
    Case { tail: Tail::AudioPad, ..tiny("tiny-moshi") },
    Case { tail: Tail::AudioPad, vectors: "tiny-moshi", ..tiny("tiny-moshi-weightnorm") },
];

/// Trained weights.
pub(crate) const DEMO: Case = all_of("demo", "speech", "speech.wav");

/// The published architecture on 3.3 s.
pub(crate) const FULL_SPEECH: Case = all_of("full", "speech", "speech.wav");

/// The published architecture on 13.9 s: longer than the attention window.
pub(crate) const FULL_LONG: Case = all_of("full", "long", "long.wav");

/// Samples of the clips whose codes [`alone`] and [`batched`] list, one clip after the other: the beginnings of
/// `long.wav`.
pub(crate) const CLIPS: [usize; 6] = [1, 700, 1_919, 1_921, 24_000, 72_700];

/// Clips that transformers encodes each by itself.
pub(crate) const fn alone(checkpoint: &'static str) -> Case {
    all_of(checkpoint, "alone", "long.wav")
}

/// The same as the short item of a batch of two, which is padded with zeros, and cut to the frames that the clip has.
pub(crate) const fn batched(checkpoint: &'static str) -> Case {
    Case { tag: "batched", tail: Tail::AudioPad, ..alone(checkpoint) }
}

impl Case {
    /// The checkpoint, as a file or a directory.
    pub(crate) fn path(&self) -> PathBuf {
        match self.checkpoint {
            "demo" => repository("tool/demo/model.safetensors"),
            "full" => synth::full_size(),
            tiny => repository(&format!("tests/data/golden/{tiny}")),
        }
    }

    /// The samples to encode.
    pub(crate) fn pcm(&self) -> Vec<f32> {
        let mut pcm = wav(&repository(&format!("tests/data/golden/{}", self.input)));
        pcm.truncate(self.samples);
        pcm
    }

    /// All codebooks, the case's tail.
    pub(crate) fn options(&self) -> StreamOptions {
        StreamOptions { codebooks: Some(self.codes().codebooks), tail: self.tail, ..Default::default() }
    }

    /// The codes that must come out.
    pub(crate) fn codes(&self) -> Codes {
        let (shape, codes) = npy::<i16>(&self.file("codes.npy"));
        let codes: Vec<u32> = codes.into_iter().map(|code| code as u32).collect();
        let margins = if self.checkpoint.starts_with("tiny") {
            vec![f32::INFINITY; codes.len()]
        } else {
            npy(&self.file("margin.npy")).1
        };
        let codebooks = shape[0] as usize;
        Codes {
            codebooks,
            semantic: self.semantic,
            codes: frame_major(&codes, codebooks),
            margins: frame_major(&margins, codebooks),
            least_margin: 1e-4,
        }
    }

    /// The audio that those codes must give.
    pub(crate) fn audio(&self) -> Vec<f32> {
        npy(&self.file("audio.npy")).1
    }

    /// A file of the case's vectors.
    pub(crate) fn file(&self, kind: &str) -> PathBuf {
        repository(&format!("tests/data/golden/{}/{}.{kind}", self.vectors, self.tag))
    }
}

/// `[codebooks, frames]` to `[frames, codebooks]`.
fn frame_major<T: Copy>(values: &[T], codebooks: usize) -> Vec<T> {
    let frames = values.len() / codebooks;
    (0..values.len()).map(|i| values[i % codebooks * frames + i / codebooks]).collect()
}

/// Codes, frame-major, and how certain each is.
pub(crate) struct Codes {
    pub(crate) codebooks: usize,
    pub(crate) semantic: usize,
    pub(crate) codes: Vec<u32>,
    /// By how much, relatively, the second-nearest entry is farther than the nearest.
    pub(crate) margins: Vec<f32>,
    /// Below this a different code is rounding noise, and so is what follows it in its branch of
    /// its frame.
    pub(crate) least_margin: f32,
}

impl Codes {
    /// Panics unless `found` has every code that is certain; returns how many those are.
    #[track_caller]
    pub(crate) fn assert_matched_by(&self, found: &[u32], what: &str) -> usize {
        assert_eq!(found.len(), self.codes.len(), "{what}: number of codes");
        let mut certain_codes = 0;
        let mut certain = true;
        for (index, (&found, &expected)) in found.iter().zip(&self.codes).enumerate() {
            let (frame, k) = (index / self.codebooks, index % self.codebooks);
            if k == 0 || k == self.semantic {
                certain = true;
            }
            certain &= self.margins[index] >= self.least_margin;
            certain_codes += usize::from(certain);
            assert!(
                !certain || found == expected,
                "{what}: frame {frame}, codebook {k}: {found}, not {expected}"
            );
        }
        certain_codes
    }

    /// The codes of these frames.
    pub(crate) fn of_frames(&self, frames: Range<usize>) -> Self {
        let range = frames.start * self.codebooks..frames.end * self.codebooks;
        let (codes, margins) = (self.codes[range.clone()].to_vec(), self.margins[range].to_vec());
        Self { codes, margins, ..*self }
    }

    /// The part of the codes that `found` has, certain or not.
    pub(crate) fn agreement(&self, found: &[u32]) -> f64 {
        let same = found.iter().zip(&self.codes).filter(|(a, b)| a == b).count();
        same as f64 / self.codes.len() as f64
    }
}

/// The largest difference allowed, relative to the largest sample: ten times what the references
/// differ among themselves.
pub(crate) const TOLERANCE: f32 = 5e-5;

/// Panics unless every value is within `tolerance · max |expected|` of the expected one.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let largest = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let close = (found - expected).abs() <= tolerance * largest;
        assert!(close, "{what}: value {index} is {found}, not {expected} (largest {largest})");
    }
}
