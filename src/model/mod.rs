//! The model: immutable weights, shared by any number of streams.

mod build;
mod cost;
mod half;
mod packed;
mod spec;

use crate::error::headroom;
use crate::kernels::{FlushDenormals, Format, Integers, Kernels};
use crate::layers::SplitQuantizer;
use crate::{Checkpoint, Config, Error, ErrorKind, Isa, LoadOptions, Parts, Precision, ReadAt};
use build::Sink;
pub(crate) use cost::MOST_STREAM_BYTES;
pub(crate) use half::{Border, DecoderHalf, EncoderHalf, Half, Shape};
pub use packed::write_packed;
pub use spec::Spec;
pub(crate) use spec::{MAX_BLOCK, MAX_CONTEXT, MAX_THREADS, threads};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A loaded model. Cloning shares the weights; any number of threads may use one.
#[derive(Clone)]
pub struct Model {
    network: Arc<Network>,
}

/// What a model holds. A stream keeps one half and the quantizer, whatever happens to the model.
pub(crate) struct Network {
    pub(crate) config: Config,
    pub(crate) spec: Spec,
    pub(crate) encoder: Option<Arc<EncoderHalf>>,
    pub(crate) decoder: Option<Arc<DecoderHalf>>,
    pub(crate) quantizer: Option<Arc<SplitQuantizer>>,
}

impl Model {
    /// Loads a checkpoint in the transformers or the kyutai layout: a safetensors file, a directory,
    /// or an index of shards.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`] and [`Checkpoint::tensor`]. [`ErrorKind::Corrupt`]: also weights that are finite
    /// in the file and not as they are kept. [`ErrorKind::Unsupported`]: also a checkpoint that lacks the half to be
    /// loaded, an instruction set that this CPU lacks, and a network that costs too much: a stream with default options
    /// takes at most 512 MiB, a frame 2^35 multiply-adds, a second of audio 2^39; and packed weights of another layout
    /// or precision, or for other CPUs. [`ErrorKind::InvalidArgument`]: more codebooks than there are.
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
        Self::observed(checkpoint, options, None)
    }

    /// The same, and shows what each tensor is packed to.
    fn observed(checkpoint: &Checkpoint, options: &LoadOptions, sink: Option<&Sink>) -> Result<Self, Error> {
        let options = LoadOptions { precision: packed::precision(checkpoint, options)?, ..options.clone() };
        Self::in_format(checkpoint, &options, build::format_of(options.precision), sink)
    }

    /// With other integers than [`Precision::Int16`] has.
    pub(crate) fn in_integers(checkpoint: &Checkpoint, integers: Integers) -> Result<Self, Error> {
        let options = LoadOptions { precision: Precision::Int16, ..LoadOptions::default() };
        Self::in_format(checkpoint, &options, Format::Int16(integers), None)
    }

    fn in_format(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        format: Format,
        sink: Option<&Sink>,
    ) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        let network = build::network(checkpoint, options, format, sink)?;
        cost::check_model(&network, checkpoint)?;
        Ok(Self { network: Arc::new(network) })
    }

    /// What streams and token files need to know.
    pub fn spec(&self) -> &Spec {
        &self.network.spec
    }

    pub(crate) fn quantizer(&self) -> Option<&Arc<SplitQuantizer>> {
        self.network.quantizer.as_ref()
    }

    /// The half that encodes.
    pub(crate) fn encoder(&self) -> Result<&Arc<EncoderHalf>, Error> {
        self.network.encoder.as_ref().ok_or_else(|| lacks(EncoderHalf::NAME))
    }

    /// The half that decodes.
    pub(crate) fn decoder(&self) -> Result<&Arc<DecoderHalf>, Error> {
        self.network.decoder.as_ref().ok_or_else(|| lacks(DecoderHalf::NAME))
    }

    /// The kernels that it runs on.
    pub(crate) fn kernels(&self) -> Kernels {
        match (&self.network.encoder, &self.network.decoder) {
            (Some(half), _) => half.kernels(),
            (None, Some(half)) => half.kernels(),
            (None, None) => unreachable!("a model has a half"),
        }
    }

    /// The network's numbers, with the codebooks that were loaded as `num_quantizers`.
    pub fn config(&self) -> &Config {
        &self.network.config
    }

    /// Codebooks loaded; 0 for a model without a quantizer.
    pub fn codebooks(&self) -> usize {
        self.spec().codebooks
    }

    /// Halves loaded.
    pub fn parts(&self) -> Parts {
        self.spec().parts
    }

    /// How the weights are kept.
    pub fn precision(&self) -> Precision {
        self.spec().precision
    }

    /// The instruction set that the kernels use: never [`Isa::Auto`].
    pub fn isa(&self) -> Isa {
        self.spec().isa
    }

    /// Bits that a code needs.
    pub fn code_bits(&self) -> u32 {
        self.spec().code_bits()
    }

    /// Bytes of weights kept.
    pub fn memory_bytes(&self) -> usize {
        let Network { encoder, decoder, quantizer, .. } = &*self.network;
        encoder.as_ref().map_or(0, |half| half.bytes())
            + decoder.as_ref().map_or(0, |half| half.bytes())
            + quantizer.as_ref().map_or(0, |quantizer| quantizer.bytes())
    }

    /// A 63-bit fingerprint of what gives codes their meaning: the first codebook and the shape of the
    /// quantizer. The same for both layouts, for half a model, and for other storage of the weights.
    ///
    /// Of a model without a quantizer, it is a fingerprint of what gives latents their meaning: of the shapes of the
    /// whole network, and of the weights of the projection that reads latents. A file of the encoder alone lacks that
    /// projection, and its first convolution takes its place: such a file has another fingerprint than the whole one.
    pub fn id(&self) -> i64 {
        self.spec().id
    }
}

/// The error for a half that was not loaded.
fn lacks(half: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format_args!("the model was loaded without its {half}; load it with parts: both or {half}"),
    )
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
