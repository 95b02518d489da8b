//! How models are loaded and streams are run.

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
    /// As they are in the checkpoint. Weights that are packed already have the precision that they are packed in.
    #[default]
    F32,
    /// Rounded to bfloat16: half the memory. Code words, norms, biases and the convolutions of SEANet with up to
    /// 2¹⁷ weights stay f32, and so does all arithmetic. A stream's keys and values have 16 bits.
    Bf16,
    /// Rounded to integers in 16 bits, of which 12 to 16 are used, with a scale per output: half the memory. What they
    /// are multiplied with is rounded to 15 bits, with a scale per run of inputs that lie side by side, and summed in
    /// integers: faster than f32, and nearer to it than bf16. A stream's keys and values have 16 bits. Code words,
    /// norms, biases, and convolutions with too few inputs or outputs stay f32.
    Int16,
    /// Rounded to eight bits with a scale per output: a quarter of the memory. What they are multiplied with is rounded
    /// to 16 bits. Convolutions of SEANet with up to 2¹⁹ weights, and the rest, are as with [`Int16`](Self::Int16).
    Int8,
}

/// The instruction set that the kernels use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isa {
    /// The best that this CPU has.
    #[default]
    Auto,
    /// What every CPU of the architecture has.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F and BW.
    Avx512,
    /// NEON.
    Neon,
    /// WebAssembly's SIMD of 128 bits.
    Simd128,
}

/// How a last partial frame is completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tail {
    /// The waveform is zero-padded to whole frames, as kyutai's moshi does.
    #[default]
    AudioPad,
    /// Each layer pads its own input, as transformers does.
    LayerPad,
}

/// Options of [`Model::load`](crate::Model::load).
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Load only this many codebooks; `None`: all.
    pub codebooks: Option<usize>,
    /// Which halves to load.
    pub parts: Parts,
    /// How weights are kept.
    pub precision: Precision,
    /// The instruction set that the kernels use.
    pub isa: Isa,
    /// Threads that share the work of loading, the caller's among them, of which more than two find none; `None`: one.
    /// They are started by the call and end with it. Sources are then read by several threads at once.
    pub threads: Option<usize>,
}

/// Options of streams and of one-shot calls.
#[derive(Clone, Debug, Default)]
pub struct StreamOptions {
    /// Codebooks to emit or to expect; `None`: [`Spec::default_codebooks`](crate::Spec::default_codebooks). A model
    /// without a quantizer has none.
    pub codebooks: Option<usize>,
    /// How a last partial frame is completed.
    pub tail: Tail,
    /// Attention window in steps; `None`: the config's.
    pub context: Option<usize>,
    /// Samples worked on at once, counted at the model's rate and rounded up to whole frames, at most
    /// [`MAX_BLOCK`](Self::MAX_BLOCK); `None`: one frame, and up to sixteen for one-shot calls.
    pub max_block: Option<usize>,
    /// The caller's sample rate in Hz; `None`: the model's. Possible are those at which a frame is an even
    /// number of samples: for the published model, multiples of 25 Hz from 1 kHz to 768 kHz.
    pub sample_rate: Option<u32>,
    /// Threads that share the work of a one-shot call, the caller's among them; `None`: one. They are started by
    /// the call, end with it, and change no bit of the result. Streams are always on their caller's.
    pub threads: Option<usize>,
}

impl StreamOptions {
    /// Samples in the largest [`max_block`](Self::max_block): ten seconds of the published model, whose scratch memory
    /// is then about 170 MB.
    pub const MAX_BLOCK: usize = 1 << 18;
}

/// Who does the work of a frame of live audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// The audio thread, in equal shares: each call does the share of the frame before that its samples are of a frame.
    #[default]
    Spread,
    /// A thread of the caller's that calls `work`; the audio thread only copies.
    Other,
}

/// Options of [`live`](crate::live) audio.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// Codebooks, context and sample rate; what else is in there is for other streams.
    pub stream: StreamOptions,
    /// Who does the work.
    pub work: Work,
    /// Rendering that is not in real time: the audio thread does all work, and a playback waits for codes in place of
    /// concealing that they are missing.
    pub offline: bool,
    /// Frames that wait before a playback starts, 1 to 64; `None`: two. Each adds its length to the latency, and each
    /// but the first lets frames come its length later than the first did. One is enough where the callback itself
    /// moves the codes.
    pub buffer_frames: Option<usize>,
}
