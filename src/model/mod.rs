//! The model: immutable weights, shared by any number of streams.

mod build;
mod cost;
mod network;

use crate::decoder::Decoder;
use crate::encoder::Encoder;
use crate::error::{headroom, with_capacity};
use crate::kernels::{FlushDenormals, Kernels, with_team};
use crate::layers::Cost;
use crate::resample::Rates;
use crate::{
    Checkpoint, Config, Error, ErrorKind, Isa, LoadOptions, Parts, Precision, ReadAt, StreamError,
    StreamOptions,
};
pub use build::EXACT_WEIGHTS;
pub use network::Stage;
pub(crate) use network::{DecoderNetwork, DecoderPlan, EncoderNetwork, EncoderPlan, Shape};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Frames that a one-shot call works on at once: enough rows for the layers with the most weights,
/// and little enough memory for a long file.
pub(crate) const ONE_SHOT_FRAMES: usize = 16;

/// A loaded model. Cloning shares the weights; any number of threads may use one.
#[derive(Clone)]
pub struct Model {
    weights: Arc<Weights>,
    precision: Precision,
}

/// What a model holds.
pub(crate) struct Weights {
    pub(crate) config: Config,
    pub(crate) kernels: Kernels,
    pub(crate) encoder: Option<EncoderNetwork>,
    pub(crate) decoder: Option<DecoderNetwork>,
    pub(crate) quantizer: crate::layers::SplitQuantizer,
    id: i64,
}

impl Model {
    /// Loads a checkpoint in the transformers or the kyutai layout: a safetensors file, a directory,
    /// or an index of shards.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`] and [`Checkpoint::tensor`]. [`ErrorKind::Corrupt`]: also weights that are finite
    /// in the file and not as they are kept. [`ErrorKind::Unsupported`]: also a checkpoint that lacks the half to be
    /// loaded, an instruction set that this CPU lacks, and a network that costs too much: a stream with default options
    /// takes at most 512 MiB, a frame 2^35 multiply-adds, a second of audio 2^39. [`ErrorKind::InvalidArgument`]:
    /// more codebooks than there are.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        headroom()?;
        Self::from_checkpoint(&Checkpoint::open(path.as_ref())?, options)
    }

    /// Loads a safetensors file from memory; nothing of it is kept.
    pub fn load_bytes(bytes: &[u8], options: &LoadOptions) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        headroom()?;
        Self::from_checkpoint(&Checkpoint::from_source(Box::new(bytes))?, options)
    }

    /// Loads a safetensors file through random access reads.
    pub fn load_from<'a>(source: impl ReadAt + 'a, options: &LoadOptions) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        headroom()?;
        Self::from_checkpoint(&Checkpoint::from_source(Box::new(source))?, options)
    }

    /// Loads from a checkpoint that is open.
    pub fn from_checkpoint(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        let weights = build::weights(checkpoint, options)?;
        cost::check_model(&weights, checkpoint)?;
        Ok(Self { weights: Arc::new(weights), precision: options.precision })
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    pub(crate) fn shares_weights(&self, other: &Model) -> bool {
        Arc::ptr_eq(&self.weights, &other.weights)
    }

    /// The shape of a stream with `options`.
    pub(crate) fn stream_shape(&self, options: &StreamOptions) -> Result<Shape, Error> {
        Ok(Shape {
            block: self.stream_frames(options)?,
            context: self.stream_context(options)?,
            codebooks: self.stream_codebooks(options)?,
            threads: 1,
        })
    }

    /// The network's numbers, with the codebooks that were loaded as `num_quantizers`.
    pub fn config(&self) -> &Config {
        &self.weights.config
    }

    /// Codebooks loaded.
    pub fn codebooks(&self) -> usize {
        self.weights.quantizer.codebooks()
    }

    /// Halves loaded.
    pub fn parts(&self) -> Parts {
        match (&self.weights.encoder, &self.weights.decoder) {
            (Some(_), None) => Parts::Encoder,
            (None, Some(_)) => Parts::Decoder,
            _ => Parts::Both,
        }
    }

    /// How the weights are kept.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The instruction set that the kernels use: never [`Isa::Auto`].
    pub fn isa(&self) -> Isa {
        match self.weights.kernels.isa() {
            #[cfg(target_arch = "x86_64")]
            crate::kernels::InstructionSet::Avx2 => Isa::Avx2,
            #[cfg(target_arch = "x86_64")]
            crate::kernels::InstructionSet::Avx512 => Isa::Avx512,
            #[cfg(target_arch = "aarch64")]
            crate::kernels::InstructionSet::Neon => Isa::Neon,
            // the tests of Arm have portable kernels, too
            #[cfg(any(test, not(target_arch = "aarch64")))]
            _ => Isa::Baseline,
        }
    }

    /// Bits that a code needs.
    pub fn code_bits(&self) -> u32 {
        self.weights.config.code_bits()
    }

    /// Bytes of weights kept.
    pub fn memory_bytes(&self) -> usize {
        let weights = &self.weights;
        weights.encoder.as_ref().map_or(0, EncoderNetwork::bytes)
            + weights.decoder.as_ref().map_or(0, DecoderNetwork::bytes)
            + weights.quantizer.bytes()
    }

    /// A 63-bit fingerprint of what gives codes their meaning: the first codebook and the shape of the
    /// quantizer. The same for both layouts, for half a model, and for other storage of the weights.
    pub fn id(&self) -> i64 {
        self.weights.id
    }

    /// Codes that [`encode`](Self::encode) returns for `samples` samples.
    pub fn codes_for(&self, samples: usize, options: &StreamOptions) -> Result<usize, Error> {
        if self.weights.encoder.is_none() {
            return Err(self.lacks("encoder"));
        }
        let codebooks = self.stream_codebooks(options)?;
        Ok(samples.div_ceil(self.stream_rates(options)?.frame()).saturating_mul(codebooks))
    }

    /// Samples that [`decode`](Self::decode) returns for `codes` codes.
    pub fn samples_for(&self, codes: usize, options: &StreamOptions) -> Result<usize, Error> {
        if self.weights.decoder.is_none() {
            return Err(self.lacks("decoder"));
        }
        let codebooks = self.stream_codebooks(options)?;
        if !codes.is_multiple_of(codebooks) {
            return Err(StreamError::PartialFrame { codes, codebooks }.into());
        }
        Ok((codes / codebooks).saturating_mul(self.stream_rates(options)?.frame()))
    }

    /// Samples (any number, at the rate of `options`, mono) to codes, frame-major:
    /// `codes[frame * codebooks + k]`. A last partial frame is padded as `options.tail` says; no
    /// samples are no frames.
    pub fn encode(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<u32>, Error> {
        let mut codes = zeros(self.codes_for(pcm.len(), options)?)?;
        let written = self.encode_into(pcm, &mut codes, options)?;
        codes.truncate(written);
        Ok(codes)
    }

    /// [`encode`](Self::encode) to `codes`, of [`codes_for`](Self::codes_for) or more; returns how many were written.
    pub(crate) fn encode_into(
        &self,
        pcm: &[f32],
        codes: &mut [u32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let _flush = FlushDenormals::new();
        let weights = self.weights();
        let network = weights.encoder.as_ref().ok_or_else(|| self.lacks("encoder"))?;
        let frames = pcm.len().div_ceil(self.stream_rates(options)?.frame());
        let shape = self.one_shot_shape(options, frames, |shape| network.cost(weights, shape))?;
        let mut encoder = Encoder::of_shape(self, options, shape)?;
        let written = with_team(shape.threads, |team| encoder.process_with(pcm, codes, team))?;
        Ok(written + encoder.flush(&mut codes[written..])?)
    }

    /// Whole frames of codes to a frame of samples each, at the rate of `options`.
    pub fn decode(&self, codes: &[u32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        let mut pcm = zeros(self.samples_for(codes.len(), options)?)?;
        let written = self.decode_into(codes, &mut pcm, options)?;
        pcm.truncate(written);
        Ok(pcm)
    }

    /// [`decode`](Self::decode) to `pcm`, of [`samples_for`](Self::samples_for) or more; returns how many were written.
    pub(crate) fn decode_into(
        &self,
        codes: &[u32],
        pcm: &mut [f32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let _flush = FlushDenormals::new();
        let weights = self.weights();
        let network = weights.decoder.as_ref().ok_or_else(|| self.lacks("decoder"))?;
        let frames = codes.len() / self.stream_codebooks(options)?;
        let shape = self.one_shot_shape(options, frames, |shape| network.cost(weights, shape))?;
        let mut decoder = Decoder::of_shape(self, options, shape)?;
        let written = with_team(shape.threads, |team| decoder.process_with(codes, pcm, team))?;
        Ok(written + decoder.flush(&mut pcm[written..])?)
    }

    /// The shape of a stream that is pushed `frames` frames at once. Without `max_block`, as many of them at a time as
    /// keep its memory within that of a stream.
    fn one_shot_shape(
        &self,
        options: &StreamOptions,
        frames: usize,
        cost: impl Fn(Shape) -> Result<Cost, Error>,
    ) -> Result<Shape, Error> {
        let mut shape = Shape { threads: self.threads(options)?, ..self.stream_shape(options)? };
        if options.max_block.is_none() {
            shape.block = frames.clamp(1, ONE_SHOT_FRAMES);
            while shape.block > 1 && cost(shape)?.bytes > cost::MOST_STREAM_BYTES {
                shape.block /= 2;
            }
        }
        Ok(shape)
    }

    /// The codebooks that a stream with `options` uses.
    pub(crate) fn stream_codebooks(&self, options: &StreamOptions) -> Result<usize, Error> {
        let all = self.codebooks();
        match options.codebooks {
            None => Ok(all.min(8)),
            Some(n) if (1..=all).contains(&n) => Ok(n),
            Some(n) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format_args!("codebooks is {n}: expected 1 to {all}, as the loaded model has"),
            )),
        }
    }

    /// The attention window of a stream with `options`.
    fn stream_context(&self, options: &StreamOptions) -> Result<usize, Error> {
        match options.context {
            None => Ok(self.config().sliding_window),
            Some(n) if (1..=MAX_CONTEXT).contains(&n) => Ok(n),
            Some(n) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format_args!("context is {n} steps: expected 1 to {MAX_CONTEXT}"),
            )),
        }
    }

    /// The threads of a one-shot call with `options`.
    fn threads(&self, options: &StreamOptions) -> Result<usize, Error> {
        match options.threads {
            None => Ok(1),
            Some(n) if (1..=MAX_THREADS).contains(&n) => Ok(n),
            Some(n) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format_args!("threads is {n}: expected 1 to {MAX_THREADS}"),
            )),
        }
    }

    /// The sample rates of a stream with `options`.
    pub(crate) fn stream_rates(&self, options: &StreamOptions) -> Result<Rates, Error> {
        Rates::new(options.sample_rate, self.config().sampling_rate, self.config().frame_size())
    }

    /// The frames that a stream with `options` works on at once.
    fn stream_frames(&self, options: &StreamOptions) -> Result<usize, Error> {
        let frame = self.config().frame_size();
        match options.max_block {
            None => Ok(1),
            Some(n) if (1..=MAX_BLOCK).contains(&n) => Ok(n.div_ceil(frame)),
            Some(n) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format_args!("max_block is {n} samples: expected 1 to {MAX_BLOCK}"),
            )),
        }
    }

    /// The error for a half that was not loaded.
    pub(crate) fn lacks(&self, half: &str) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format_args!("the model was loaded without its {half}; load it with parts: both or {half}"),
        )
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("id", &self.id())
            .field("parts", &self.parts())
            .field("codebooks", &self.codebooks())
            .finish_non_exhaustive()
    }
}

/// Steps in the longest attention window; its keys and values take 2 GB in the published model.
pub(crate) const MAX_CONTEXT: usize = 1 << 16;

/// Samples in the largest block.
pub(crate) const MAX_BLOCK: usize = StreamOptions::MAX_BLOCK;

/// Threads in the largest team: beyond these, what is not shared takes most of the time.
pub(crate) const MAX_THREADS: usize = 64;

fn zeros<T: Clone + Default>(len: usize) -> Result<Vec<T>, Error> {
    let mut values = with_capacity(len)?;
    values.resize(len, T::default());
    Ok(values)
}
