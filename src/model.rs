//! The model: immutable weights, shared by any number of streams.

use crate::{Config, Error, ReadAt};
use std::path::Path;

/// Which halves of a checkpoint are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// Encoder and decoder.
    #[default]
    Both,
    /// The encoder alone.
    Encoder,
    /// The decoder alone.
    Decoder,
}

/// How weights are kept in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As loaded: exact.
    #[default]
    F32,
}

/// A cap on the instruction sets used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isa {
    /// The best that this CPU has.
    #[default]
    Auto,
    /// What every CPU of the architecture has.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F.
    Avx512,
    /// NEON.
    Neon,
}

/// What becomes of a last partial frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tail {
    /// The waveform is zero-padded to whole frames, as kyutai's moshi does.
    #[default]
    AudioPad,
    /// Each layer pads its own input, as transformers does.
    LayerPad,
}

/// Options of [`Model::load`].
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Load only this many codebooks; `None`: all.
    pub codebooks: Option<usize>,
    /// Which halves to load.
    pub parts: Parts,
    /// How weights are kept.
    pub precision: Precision,
    /// Cap on the kernels.
    pub isa: Isa,
}

/// Options of streams and of one-shot calls.
#[derive(Clone, Debug, Default)]
pub struct StreamOptions {
    /// Codebooks to emit or to expect; `None`: min(8, all).
    pub codebooks: Option<usize>,
    /// What becomes of a last partial frame.
    pub tail: Tail,
    /// Attention window in steps; `None`: the config's.
    pub context: Option<usize>,
    /// Samples worked on at once, rounded up to whole frames; `None`: one frame.
    pub max_block: Option<usize>,
}

/// A loaded model. Cloning shares the weights.
#[derive(Clone)]
pub struct Model {}

impl Model {
    /// Loads a file, a directory or an index of shards.
    pub fn load(_path: impl AsRef<Path>, _options: &LoadOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Loads from memory.
    pub fn load_bytes(_bytes: &[u8], _options: &LoadOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Loads through random access reads.
    pub fn load_from<'a>(_source: impl ReadAt + 'a, _options: &LoadOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// The network's numbers.
    pub fn config(&self) -> &Config {
        unimplemented!()
    }

    /// Codebooks loaded.
    pub fn codebooks(&self) -> usize {
        unimplemented!()
    }

    /// Halves loaded.
    pub fn parts(&self) -> Parts {
        unimplemented!()
    }

    /// Bytes of weights kept.
    pub fn memory_bytes(&self) -> usize {
        unimplemented!()
    }

    /// A 63-bit fingerprint of the first codebook and the numbers that give codes their meaning.
    pub fn id(&self) -> i64 {
        unimplemented!()
    }

    /// Codes that [`Model::encode`] returns for `samples` samples.
    pub fn codes_for(&self, _samples: usize, _options: &StreamOptions) -> Result<usize, Error> {
        unimplemented!()
    }

    /// Samples that [`Model::decode`] returns for `codes` codes.
    pub fn samples_for(&self, _codes: usize, _options: &StreamOptions) -> Result<usize, Error> {
        unimplemented!()
    }

    /// Audio in, codes out, frame-major: `codes[frame * codebooks + k]`.
    pub fn encode(&self, _pcm: &[f32], _options: &StreamOptions) -> Result<Vec<u32>, Error> {
        unimplemented!()
    }

    /// Codes in, audio out: `frame_size` samples per frame.
    pub fn decode(&self, _codes: &[u32], _options: &StreamOptions) -> Result<Vec<f32>, Error> {
        unimplemented!()
    }
}
