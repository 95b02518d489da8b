//! One stream of codes to audio.

use crate::error::out_of_memory;
use crate::hash::CodesHash;
use crate::kernels::FlushDenormals;
use crate::layers::{Batch, Memory};
use crate::model::DecoderPlan;
use crate::{Error, Model, StreamError, StreamOptions};
use std::sync::Arc;

/// One stream of codes to audio.
///
/// Takes any number of frames at a time; the samples are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush),
/// [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Decoder {
    model: Model,
    plan: Arc<DecoderPlan>,
    memory: Memory,
    codebooks: usize,
    /// Frames in the largest step.
    block: usize,
    frames: u64,
    hash: CodesHash,
    /// The stream was flushed: the next frame begins a new one.
    ended: bool,
}

impl Decoder {
    /// A new stream on `model`, whose weights it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        let weights = model.weights();
        let network = weights.decoder.as_ref().ok_or_else(|| model.lacks("decoder"))?;
        let codebooks = model.stream_codebooks(options)?;
        let context = model.stream_context(options)?;
        let block = model.stream_frames(options)?;
        let sizes = [weights.config.frame_size(), weights.config.hop()];
        let (plan, memory) = network.plan(&weights.quantizer, block, sizes, context, codebooks)?;
        Ok(Self {
            model: model.clone(),
            plan: Arc::new(plan),
            memory,
            codebooks,
            block,
            frames: 0,
            hash: CodesHash::new(),
            ended: false,
        })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self {
            model: self.model.clone(),
            plan: self.plan.clone(),
            memory: self.memory.try_clone().map_err(out_of_memory)?,
            hash: self.hash.clone(),
            ..*self
        })
    }

    /// Samples that [`process`](Self::process) would write for `codes` more codes.
    pub fn samples_for(&self, codes: usize) -> usize {
        (codes / self.codebooks).saturating_mul(self.frame_size())
    }

    /// Takes whole frames of codes, frame-major, writes `frame_size` samples for each (mono, at the
    /// model's rate, full scale ±1, not clipped), and returns how many samples.
    pub fn process(&mut self, codes: &[u32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        if codes.len() % self.codebooks != 0 {
            return Err(StreamError::PartialFrame { codes: codes.len(), codebooks: self.codebooks });
        }
        let codebook_size = self.model.config().codebook_size as u32;
        if let Some(index) = codes.iter().position(|&code| code >= codebook_size) {
            return Err(StreamError::CodeOutOfRange { index, code: codes[index], codebook_size });
        }
        let needed = self.samples_for(codes.len());
        if pcm.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        if codes.is_empty() {
            return Ok(0);
        }
        if self.ended {
            self.begin();
        }
        let blocks = codes.chunks(self.block * self.codebooks);
        let outputs = pcm.chunks_mut(self.block * self.frame_size());
        for (codes, pcm) in blocks.zip(outputs) {
            self.memory.codes[..codes.len()].copy_from_slice(codes);
            self.step(codes.len() / self.codebooks, pcm);
        }
        self.hash.update(codes);
        Ok(needed)
    }

    /// Samples that [`flush`](Self::flush) would write.
    pub fn samples_for_flush(&self) -> usize {
        0
    }

    /// Ends the stream: a decoder owes nothing, each frame's samples came with its codes. The next frame
    /// begins a new stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, _pcm: &mut [f32]) -> Result<usize, StreamError> {
        self.memory.reset();
        self.ended = true;
        Ok(0)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.memory.reset();
        self.begin();
    }

    /// Counts from zero.
    fn begin(&mut self) {
        self.frames = 0;
        self.hash = CodesHash::new();
        self.ended = false;
    }

    /// Decodes frames whose codes are in memory.
    fn step(&mut self, frames: usize, pcm: &mut [f32]) {
        let samples = frames * self.frame_size();
        let weights = self.model.weights();
        let Some(network) = &weights.decoder else { unreachable!("checked in new") };
        let _flush = FlushDenormals::new();
        let mut batch = Batch { kernels: weights.kernels, streams: &mut [&mut self.memory] };
        network.step(&weights.quantizer, &mut batch, &self.plan, frames);
        pcm[..samples].copy_from_slice(&self.memory.scratch[self.plan.samples().first(samples)]);
        self.frames += frames as u64;
    }

    fn frame_size(&self) -> usize {
        self.model.config().frame_size()
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        self.codebooks
    }

    /// Frames taken since the stream began.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A 63-bit hash of the codes taken since the stream began. An encoder that emitted the same codes
    /// in the same order has the same.
    pub fn codes_hash(&self) -> i64 {
        self.hash.digest()
    }

    /// Samples by which an audio host must delay the dry signal: none, a frame's samples come with its
    /// codes.
    pub fn latency_samples(&self) -> usize {
        0
    }

    /// Bytes that this stream keeps, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.memory.bytes()
    }

    /// The model that it runs on.
    pub fn model(&self) -> &Model {
        &self.model
    }
}
