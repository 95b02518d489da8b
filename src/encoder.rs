//! One stream of audio to codes: gathers samples to whole frames, and completes the last one.

use crate::error::with_capacity;
use crate::hash::CodesHash;
use crate::kernels::{FlushDenormals, MAX_BATCH, Team};
use crate::layers::{Batch, Memory};
use crate::model::{EncoderPlan, Shape};
use crate::options::Tail;
use crate::resample::{Rates, Resampler};
use crate::{Error, Model, StreamError, StreamOptions};
use std::{fmt, iter};

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
    plan: EncoderPlan,
    memory: Memory,
    tail: Tail,
    shape: Shape,
    rates: Rates,
    /// From the stream's rate to the model's, if they differ.
    resampler: Option<Box<Resampler>>,
    /// Samples that do not complete a frame yet, at the stream's rate.
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
        Self::of_shape(model, options, model.stream_shape(options)?)
    }

    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn of_shape(model: &Model, options: &StreamOptions, shape: Shape) -> Result<Self, Error> {
        let weights = model.weights();
        let network = weights.encoder.as_ref().ok_or_else(|| model.lacks("encoder"))?;
        let (plan, memory) = network.plan(weights, shape)?;
        let rates = model.stream_rates(options)?;
        let resampler = rates.resampler_to_model()?;
        let most = rates.frame() + resampler.as_deref().map_or(0, Resampler::ahead);
        let mut pending = with_capacity(most)?;
        pending.resize(most, 0.0);
        Ok(Self {
            model: model.clone(),
            plan,
            memory,
            tail: options.tail,
            shape,
            rates,
            resampler,
            pending,
            pending_len: 0,
            frames: 0,
            hash: CodesHash::new(),
            ended: false,
        })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let weights = self.model.weights();
        let Some(network) = &weights.encoder else { unreachable!("checked in new") };
        let (plan, mut memory) = network.plan(weights, self.shape)?;
        memory.copy_from(&self.memory);
        let mut pending = with_capacity(self.pending.len())?;
        pending.extend_from_slice(&self.pending);
        Ok(Self {
            model: self.model.clone(),
            plan,
            memory,
            hash: self.hash.clone(),
            resampler: self.resampler.as_deref().map(Resampler::try_clone).transpose()?,
            pending,
            ..*self
        })
    }

    /// Codes that [`process`](Self::process) would write for `samples` more samples.
    pub fn codes_for(&self, samples: usize) -> usize {
        self.frames_with(samples).saturating_mul(self.shape.codebooks)
    }

    /// Frames that `samples` more samples complete.
    fn frames_with(&self, samples: usize) -> usize {
        samples.saturating_add(self.pending_len).saturating_sub(self.wait()) / self.rates.frame()
    }

    /// Samples that the next frame needs beyond its own.
    fn wait(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::wait)
    }

    /// Takes all of `pcm` (mono, at the stream's rate, full scale ±1), writes the codes of the frames that
    /// it completes, frame-major, and returns how many codes: a multiple of the codebooks. NaN and
    /// infinity count as 0, and samples are cut to ±1e5.
    pub fn process(&mut self, pcm: &[f32], codes: &mut [u32]) -> Result<usize, StreamError> {
        self.process_with(pcm, codes, None)
    }

    /// [`process`](Self::process), with a team that shares the work.
    pub(crate) fn process_with(
        &mut self,
        pcm: &[f32],
        codes: &mut [u32],
        team: Option<&Team>,
    ) -> Result<usize, StreamError> {
        // before any sample is looked at: it may be one that traps in the caller's mode
        let _flush = FlushDenormals::new();
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
        let model_frame = self.model_frame();
        let mut rest = pcm;
        let mut written = 0;
        loop {
            let frames = self.frames_with(rest.len()).min(self.shape.block);
            if frames == 0 {
                break;
            }
            self.stage(frames, &mut rest);
            Self::step(&mut [self], frames * model_frame, team);
            written += self.emit(frames, &mut codes[written..]);
        }
        self.keep(rest);
        Ok(written)
    }

    /// Exactly one frame for each of several streams of one model, in one pass over its weights: takes
    /// [`frame_samples`](Self::frame_samples) samples for each and writes one frame of codes for each. Every
    /// stream's codes are the same bits as alone. Streams with equal options side by side are the fastest.
    ///
    /// A stream at a rate other than the model's encodes its first frame only with samples of the second:
    /// it must have taken its first frame alone, with [`process`](Self::process).
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
        let (frame, codebooks) = (self.rates.frame(), self.shape.codebooks);
        if !self.model.shares_weights(model) {
            return Err(StreamError::DifferentModels);
        }
        if samples != frame {
            return Err(StreamError::NotOneFrame { found: samples, expected: frame });
        }
        if self.frames_with(samples) != 1 {
            return Err(StreamError::FirstFrame);
        }
        if room < codebooks {
            return Err(StreamError::BufferTooSmall { needed: codebooks });
        }
        Ok(())
    }

    /// [`process_many`](Self::process_many) for streams that were checked.
    pub(crate) fn run_many(streams: &mut [&mut Encoder], pcm: &[&[f32]], codes: &mut [&mut [u32]]) {
        let _flush = FlushDenormals::new();
        let mut done = 0;
        for group in
            streams.chunk_by_mut(|a, b| a.shape == b.shape).flat_map(|group| group.chunks_mut(MAX_BATCH))
        {
            for (stream, pcm) in group.iter_mut().zip(&pcm[done..]) {
                if stream.ended {
                    stream.begin();
                }
                let mut rest = *pcm;
                stream.stage(1, &mut rest);
                stream.keep(rest);
            }
            let frame = group[0].model_frame();
            Self::step(group, frame, None);
            for (stream, codes) in group.iter_mut().zip(&mut codes[done..]) {
                stream.emit(1, codes);
            }
            done += group.len();
        }
    }

    /// Puts frames that are whole with `rest` where a step looks for them, and takes them off it.
    fn stage(&mut self, frames: usize, rest: &mut &[f32]) {
        let slot = self.plan.samples().first(frames * self.model_frame());
        let slot = &mut self.memory.scratch[slot];
        let Some(resampler) = &mut self.resampler else {
            let (old, new) = slot.split_at_mut(self.pending_len);
            old.copy_from_slice(&self.pending[..self.pending_len]);
            copy_finite(take(rest, new.len()), new);
            self.pending_len = 0;
            return;
        };
        let frame = self.rates.frame();
        for converted in slot.chunks_exact_mut(slot.len() / frames) {
            let wait = resampler.wait();
            let new = &mut self.pending[self.pending_len..wait + frame];
            copy_finite(take(rest, new.len()), new);
            self.pending_len = 0;
            if wait > 0 {
                resampler.lead_in(&self.pending[..wait]);
            }
            resampler.convert(&self.pending[wait..wait + frame], converted);
        }
    }

    /// Keeps samples for a later frame.
    fn keep(&mut self, samples: &[f32]) {
        copy_finite(samples, &mut self.pending[self.pending_len..][..samples.len()]);
        self.pending_len += samples.len();
    }

    /// Samples that belong to no frame that was emitted.
    fn unframed(&self) -> usize {
        let ahead = self.resampler.as_deref().map_or(0, |resampler| resampler.ahead() - resampler.wait());
        ahead + self.pending_len
    }

    /// Codes that [`flush`](Self::flush) would write.
    pub fn codes_for_flush(&self) -> usize {
        self.unframed().div_ceil(self.rates.frame()) * self.shape.codebooks
    }

    /// Ends the stream: pads and encodes a last partial frame, and returns how many codes were written: one
    /// frame's or none, at a rate other than the model's also two frames'. The next sample begins a new
    /// stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, codes: &mut [u32]) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        let needed = self.codes_for_flush();
        if codes.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        let mut left = self.unframed();
        let mut written = 0;
        while left > 0 {
            let whole = self.wait() + self.rates.frame();
            self.pending[self.pending_len..whole].fill(0.0);
            self.pending_len = whole;
            self.stage(1, &mut &[][..]);
            let samples = left.min(self.rates.frame());
            left -= samples;
            let encoded = match self.tail {
                Tail::AudioPad => self.model_frame(),
                Tail::LayerPad => self.rates.at_model_rate(samples),
            };
            let frames = Self::step(&mut [self], encoded, None);
            written += self.emit(frames, &mut codes[written..]);
        }
        self.forget();
        self.ended = true;
        Ok(written)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.forget();
        self.begin();
    }

    /// Nothing is left of what went in.
    fn forget(&mut self) {
        self.memory.reset();
        self.pending_len = 0;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Counts from zero.
    fn begin(&mut self) {
        self.frames = 0;
        self.hash = CodesHash::new();
        self.ended = false;
    }

    /// Encodes samples that are staged, for streams of one model and one shape; returns how many frames.
    fn step(streams: &mut [&mut Encoder], samples: usize, team: Option<&Team>) -> usize {
        let [first, others @ ..] = streams else { return 0 };
        let Encoder { model, plan, memory, .. } = &mut **first;
        let weights = model.weights();
        let Some(network) = &weights.encoder else { unreachable!("checked in new") };
        let memories = iter::once(memory).chain(others.iter_mut().map(|stream| &mut stream.memory));
        let mut batch = Batch::new(weights.kernels, memories, team);
        network.step(&weights.quantizer, &mut batch, plan, samples, |_| ())
    }

    /// Copies the codes of a step out.
    fn emit(&mut self, frames: usize, codes: &mut [u32]) -> usize {
        let written = frames * self.shape.codebooks;
        codes[..written].copy_from_slice(&self.memory.codes[..written]);
        self.hash.update(&codes[..written]);
        self.frames += frames as u64;
        written
    }

    fn model_frame(&self) -> usize {
        self.model.config().frame_size()
    }

    /// The rate of its audio in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.rates.stream_rate()
    }

    /// Samples of a frame, at the stream's rate.
    pub fn frame_samples(&self) -> usize {
        self.rates.frame()
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

    /// Samples, at the stream's rate, by which an audio host must delay the dry signal: a frame is encoded
    /// when its last sample is there, and at a rate other than the model's a few milliseconds later, when
    /// the resampler has seen what follows.
    pub fn latency_samples(&self) -> usize {
        self.rates.frame() - 1 + self.resampler.as_deref().map_or(0, Resampler::ahead)
    }

    /// Bytes that this stream keeps, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        let resampler = self.resampler.as_deref().map_or(0, Resampler::bytes);
        size_of::<Self>() + self.memory.bytes() + size_of_val(self.pending.as_slice()) + resampler
    }

    /// The model that it runs on.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// Takes the first `len` samples off `rest`.
fn take<'a>(rest: &mut &'a [f32], len: usize) -> &'a [f32] {
    let (first, later) = rest.split_at(len);
    *rest = later;
    first
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
