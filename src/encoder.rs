//! One stream of audio to codes. The only place that knows of partial frames.

use crate::error::out_of_memory;
use crate::hash::CodesHash;
use crate::kernels::{FlushDenormals, MAX_BATCH};
use crate::layers::{Batch, Memory};
use crate::model::{EncoderPlan, Shape};
use crate::options::Tail;
use crate::{Error, Model, StreamError, StreamOptions};
use std::fmt;
use std::sync::Arc;

/// Samples beyond this are cut to it: 100 dB over full scale, and far below where the network's sums
/// would overflow and stay in its memory as NaN.
const SAMPLE_LIMIT: f32 = 1e5;

/// One stream of audio to codes.
///
/// Takes any number of samples at a time; the codes are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush),
/// [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Encoder {
    model: Model,
    plan: Arc<EncoderPlan>,
    memory: Memory,
    tail: Tail,
    shape: Shape,
    /// The samples of a frame that is not yet whole.
    pending: Vec<f32>,
    pending_len: usize,
    frames: u64,
    hash: CodesHash,
    /// The stream was flushed: the next sample begins a new one.
    ended: bool,
}

impl Encoder {
    /// A new stream on `model`, whose weights it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        let weights = model.weights();
        let network = weights.encoder.as_ref().ok_or_else(|| model.lacks("encoder"))?;
        let shape = model.stream_shape(options)?;
        let (plan, memory) = network.plan(weights, shape)?;
        let mut pending = Vec::new();
        pending.try_reserve_exact(weights.config.frame_size()).map_err(out_of_memory)?;
        pending.resize(weights.config.frame_size(), 0.0);
        Ok(Self {
            model: model.clone(),
            plan: Arc::new(plan),
            memory,
            tail: options.tail,
            shape,
            pending,
            pending_len: 0,
            frames: 0,
            hash: CodesHash::new(),
            ended: false,
        })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let mut pending = Vec::new();
        pending.try_reserve_exact(self.pending.len()).map_err(out_of_memory)?;
        pending.extend_from_slice(&self.pending);
        Ok(Self {
            model: self.model.clone(),
            plan: self.plan.clone(),
            memory: self.memory.try_clone().map_err(out_of_memory)?,
            hash: self.hash.clone(),
            pending,
            ..*self
        })
    }

    /// Codes that [`process`](Self::process) would write for `samples` more samples.
    pub fn codes_for(&self, samples: usize) -> usize {
        (samples.saturating_add(self.pending_len) / self.frame_size()).saturating_mul(self.shape.codebooks)
    }

    /// Takes all of `pcm` (mono, at the model's rate, full scale ±1), writes the codes of the frames that
    /// it completes, frame-major, and returns how many codes: a multiple of the codebooks. NaN and
    /// infinity count as 0, and samples are cut to ±1e5.
    pub fn process(&mut self, pcm: &[f32], codes: &mut [u32]) -> Result<usize, StreamError> {
        let needed = self.codes_for(pcm.len());
        if codes.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        if pcm.is_empty() {
            return Ok(0);
        }
        if self.ended {
            self.begin();
        }
        let frame = self.frame_size();
        let mut rest = pcm;
        let mut written = 0;
        while self.pending_len + rest.len() >= frame {
            let frames = ((self.pending_len + rest.len()) / frame).min(self.shape.block);
            let (now, later) = rest.split_at(frames * frame - self.pending_len);
            self.stage(now);
            rest = later;
            Self::step(&mut [self], frames * frame);
            written += self.emit(frames, &mut codes[written..]);
        }
        self.keep(rest);
        Ok(written)
    }

    /// Exactly one frame for each of several streams of one model, in one pass over its weights: takes
    /// `frame_size` samples for each and writes one frame of codes for each. Every stream's codes are
    /// the same bits as alone. Streams with equal options side by side are the fastest.
    pub fn process_many(
        streams: &mut [&mut Encoder],
        pcm: &[&[f32]],
        codes: &mut [&mut [u32]],
    ) -> Result<(), StreamError> {
        let Some(first) = streams.first() else { return Ok(()) };
        let model = first.model.clone();
        if streams.len() != pcm.len() || streams.len() != codes.len() {
            return Err(StreamError::UnequalCounts {
                streams: streams.len(),
                inputs: pcm.len(),
                outputs: codes.len(),
            });
        }
        for ((stream, pcm), codes) in streams.iter().zip(pcm).zip(codes.iter()) {
            stream.check_member(&model, pcm.len(), codes.len())?;
        }
        Self::run_many(streams, pcm, codes);
        Ok(())
    }

    /// Whether this stream can take part in a call of [`process_many`](Self::process_many).
    pub(crate) fn check_member(&self, model: &Model, samples: usize, room: usize) -> Result<(), StreamError> {
        let (frame, codebooks) = (self.frame_size(), self.shape.codebooks);
        if !self.model.shares_weights(model) {
            return Err(StreamError::DifferentModels);
        }
        if samples != frame {
            return Err(StreamError::NotOneFrame { found: samples, expected: frame });
        }
        if room < codebooks {
            return Err(StreamError::BufferTooSmall { needed: codebooks });
        }
        Ok(())
    }

    /// [`process_many`](Self::process_many) for streams that were checked.
    pub(crate) fn run_many(streams: &mut [&mut Encoder], pcm: &[&[f32]], codes: &mut [&mut [u32]]) {
        let mut done = 0;
        for group in
            streams.chunk_by_mut(|a, b| a.shape == b.shape).flat_map(|group| group.chunks_mut(MAX_BATCH))
        {
            for (stream, pcm) in group.iter_mut().zip(&pcm[done..]) {
                if stream.ended {
                    stream.begin();
                }
                let (now, later) = pcm.split_at(pcm.len() - stream.pending_len);
                stream.stage(now);
                stream.keep(later);
            }
            let frame = group[0].frame_size();
            Self::step(group, frame);
            for (stream, codes) in group.iter_mut().zip(&mut codes[done..]) {
                stream.emit(1, codes);
            }
            done += group.len();
        }
    }

    /// Puts what is pending, and `samples` after it, where a step looks for its samples.
    fn stage(&mut self, samples: &[f32]) {
        let slot = self.plan.samples().first(self.pending_len + samples.len());
        let (old, new) = self.memory.scratch[slot].split_at_mut(self.pending_len);
        old.copy_from_slice(&self.pending[..self.pending_len]);
        copy_finite(samples, new);
        self.pending_len = 0;
    }

    /// Keeps samples for a later frame.
    fn keep(&mut self, samples: &[f32]) {
        copy_finite(samples, &mut self.pending[self.pending_len..][..samples.len()]);
        self.pending_len += samples.len();
    }

    /// Codes that [`flush`](Self::flush) would write.
    pub fn codes_for_flush(&self) -> usize {
        if self.pending_len > 0 { self.shape.codebooks } else { 0 }
    }

    /// Ends the stream: pads and encodes a last partial frame, and returns how many codes were written.
    /// The next sample begins a new stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, codes: &mut [u32]) -> Result<usize, StreamError> {
        let needed = self.codes_for_flush();
        if codes.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        let mut written = 0;
        if needed > 0 {
            if self.tail == Tail::AudioPad {
                self.pending[self.pending_len..].fill(0.0);
                self.pending_len = self.frame_size();
            }
            let samples = self.pending_len;
            self.stage(&[]);
            let frames = Self::step(&mut [self], samples);
            written = self.emit(frames, codes);
        }
        self.memory.reset();
        self.pending_len = 0;
        self.ended = true;
        Ok(written)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.memory.reset();
        self.pending_len = 0;
        self.begin();
    }

    /// Counts from zero.
    fn begin(&mut self) {
        self.frames = 0;
        self.hash = CodesHash::new();
        self.ended = false;
    }

    /// Encodes samples that are staged, for streams of one model and one shape; returns how many frames.
    fn step(streams: &mut [&mut Encoder], samples: usize) -> usize {
        let Some(first) = streams.first() else { return 0 };
        let (model, plan) = (first.model.clone(), first.plan.clone());
        let weights = model.weights();
        let Some(network) = &weights.encoder else { unreachable!("checked in new") };
        let _flush = FlushDenormals::new();
        let memories = streams.iter_mut().map(|stream| &mut stream.memory);
        let mut batch = Batch::new(weights.kernels, memories);
        network.step(&weights.quantizer, &mut batch, &plan, samples)
    }

    /// Copies the codes of a step out.
    fn emit(&mut self, frames: usize, codes: &mut [u32]) -> usize {
        let written = frames * self.shape.codebooks;
        codes[..written].copy_from_slice(&self.memory.codes[..written]);
        self.hash.update(&codes[..written]);
        self.frames += frames as u64;
        written
    }

    fn frame_size(&self) -> usize {
        self.pending.len()
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        self.shape.codebooks
    }

    /// Frames emitted since the stream began.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A 63-bit hash of the codes emitted since the stream began. A decoder that was given the same
    /// codes in the same order has the same.
    pub fn codes_hash(&self) -> i64 {
        self.hash.digest()
    }

    /// Samples by which an audio host must delay the dry signal: a frame is encoded when its last
    /// sample is there.
    pub fn latency_samples(&self) -> usize {
        self.frame_size() - 1
    }

    /// Bytes that this stream keeps, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.memory.bytes() + size_of_val(self.pending.as_slice())
    }

    /// The model that it runs on.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("codebooks", &self.codebooks())
            .field("frames", &self.frames())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// Copies samples; NaN and infinity become 0.
fn copy_finite(from: &[f32], to: &mut [f32]) {
    for (from, to) in from.iter().zip(to) {
        *to = if from.is_finite() { from.clamp(-SAMPLE_LIMIT, SAMPLE_LIMIT) } else { 0.0 };
    }
}

#[cfg(test)]
pub(crate) mod tests;
