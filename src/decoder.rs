//! One stream of codes to audio.

use crate::hash::CodesHash;
use crate::kernels::{FlushDenormals, MAX_BATCH, Team};
use crate::layers::{Batch, Memory};
use crate::model::{DecoderPlan, Shape};
use crate::resample::{Rates, Resampler};
use crate::{Error, Model, StreamError, StreamOptions};
use std::{fmt, iter};

/// One stream of codes to audio.
///
/// Takes any number of frames at a time; the samples are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush),
/// [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Decoder {
    model: Model,
    plan: DecoderPlan,
    memory: Memory,
    shape: Shape,
    rates: Rates,
    /// From the model's rate to the stream's, if they differ.
    resampler: Option<Box<Resampler>>,
    frames: u64,
    hash: CodesHash,
    /// Where the last code stood that was refused, and its value.
    bad_code: Option<(usize, u32)>,
    /// The stream was flushed: the next frame begins a new one.
    ended: bool,
}

impl Decoder {
    /// A new stream on `model`, whose weights it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        Self::of_shape(model, options, model.stream_shape(options)?)
    }

    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn of_shape(model: &Model, options: &StreamOptions, shape: Shape) -> Result<Self, Error> {
        let weights = model.weights();
        let network = weights.decoder.as_ref().ok_or_else(|| model.lacks("decoder"))?;
        let (plan, memory) = network.plan(weights, shape)?;
        let rates = model.stream_rates(options)?;
        Ok(Self {
            model: model.clone(),
            plan,
            memory,
            shape,
            rates,
            resampler: rates.resampler_from_model()?,
            frames: 0,
            hash: CodesHash::new(),
            bad_code: None,
            ended: false,
        })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let weights = self.model.weights();
        let Some(network) = &weights.decoder else { unreachable!("checked in new") };
        let (plan, mut memory) = network.plan(weights, self.shape)?;
        memory.copy_from(&self.memory);
        let resampler = self.resampler.as_deref().map(Resampler::try_clone).transpose()?;
        Ok(Self { model: self.model.clone(), plan, memory, hash: self.hash.clone(), resampler, ..*self })
    }

    /// Samples that [`process`](Self::process) would write for `codes` more codes.
    pub fn samples_for(&self, codes: usize) -> usize {
        let samples = (codes / self.shape.codebooks).saturating_mul(self.rates.frame());
        samples.saturating_sub(self.missing())
    }

    /// Samples that the next frame lacks: the end of a stream's first frame comes with its second, if the
    /// rate is not the model's.
    fn missing(&self) -> usize {
        self.resampler.as_deref().map_or(0, |resampler| resampler.delay() - resampler.owed())
    }

    /// Takes whole frames of codes, frame-major, writes their samples (mono, at the stream's rate, full
    /// scale ±1, not clipped), and returns how many: [`frame_samples`](Self::frame_samples) for each
    /// frame. At a rate other than the model's, the last few milliseconds are held back until
    /// more frames follow or [`flush`](Self::flush) is called.
    pub fn process(&mut self, codes: &[u32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        self.process_with(codes, pcm, None)
    }

    /// [`process`](Self::process), with a team that shares the work.
    pub(crate) fn process_with(
        &mut self,
        codes: &[u32],
        pcm: &mut [f32],
        team: Option<&Team>,
    ) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        self.check(codes).inspect_err(|error| self.note(error))?;
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
        let mut written = 0;
        for codes in codes.chunks(self.shape.block * self.shape.codebooks) {
            let frames = codes.len() / self.shape.codebooks;
            self.memory.codes[..codes.len()].copy_from_slice(codes);
            Self::step(&mut [self], frames, team);
            written += self.emit(frames, &mut pcm[written..]);
        }
        Ok(written)
    }

    /// Exactly one frame for each of several streams of one model, in one pass over its weights: takes
    /// one frame of codes for each and writes [`frame_samples`](Self::frame_samples) samples for each. Every
    /// stream's samples are the same bits as alone. Streams with equal options side by side are the fastest.
    ///
    /// A stream at a rate other than the model's gives less for its first frame: it must have taken its
    /// first frame alone, with [`process`](Self::process).
    pub fn process_many(
        streams: &mut [&mut Decoder],
        codes: &[&[u32]],
        pcm: &mut [&mut [f32]],
    ) -> Result<(), StreamError> {
        let Some(first) = streams.first() else { return Ok(()) };
        let model = first.model.clone();
        if streams.len() != codes.len() || streams.len() != pcm.len() {
            return Err(StreamError::UnequalCounts {
                streams: streams.len(),
                inputs: codes.len(),
                outputs: pcm.len(),
            });
        }
        for ((stream, codes), pcm) in streams.iter().zip(codes).zip(pcm.iter()) {
            stream.check_member(&model, codes, pcm.len())?;
        }
        Self::run_many(streams, codes, pcm);
        Ok(())
    }

    /// Whether this stream can take part in a call of [`process_many`](Self::process_many).
    pub(crate) fn check_member(&self, model: &Model, codes: &[u32], room: usize) -> Result<(), StreamError> {
        let (frame, codebooks) = (self.rates.frame(), self.shape.codebooks);
        if !self.model.shares_weights(model) {
            return Err(StreamError::DifferentModels);
        }
        if codes.len() != codebooks {
            return Err(StreamError::NotOneFrame { found: codes.len(), expected: codebooks });
        }
        self.check(codes)?;
        if self.missing() != 0 {
            return Err(StreamError::FirstFrame);
        }
        if room < frame {
            return Err(StreamError::BufferTooSmall { needed: frame });
        }
        Ok(())
    }

    /// [`process_many`](Self::process_many) for streams that were checked.
    pub(crate) fn run_many(streams: &mut [&mut Decoder], codes: &[&[u32]], pcm: &mut [&mut [f32]]) {
        let _flush = FlushDenormals::new();
        let mut done = 0;
        for group in
            streams.chunk_by_mut(|a, b| a.shape == b.shape).flat_map(|group| group.chunks_mut(MAX_BATCH))
        {
            for (stream, codes) in group.iter_mut().zip(&codes[done..]) {
                if stream.ended {
                    stream.begin();
                }
                stream.memory.codes[..codes.len()].copy_from_slice(codes);
            }
            Self::step(group, 1, None);
            for (stream, pcm) in group.iter_mut().zip(&mut pcm[done..]) {
                stream.emit(1, pcm);
            }
            done += group.len();
        }
    }

    /// Whether these are whole frames of codes that the codebooks have.
    fn check(&self, codes: &[u32]) -> Result<(), StreamError> {
        if !codes.len().is_multiple_of(self.shape.codebooks) {
            return Err(StreamError::PartialFrame { codes: codes.len(), codebooks: self.shape.codebooks });
        }
        let codebook_size = self.model.config().codebook_size as u32;
        match codes.iter().position(|&code| code >= codebook_size) {
            Some(index) => Err(StreamError::CodeOutOfRange { index, code: codes[index], codebook_size }),
            None => Ok(()),
        }
    }

    /// Keeps what [`bad_code`](Self::bad_code) tells.
    pub(crate) fn note(&mut self, error: &StreamError) {
        if let StreamError::CodeOutOfRange { index, code, .. } = *error {
            self.bad_code = Some((index, code));
        }
    }

    /// Where the last code that was refused stood in its call's input, and its value; `None` if there was none
    /// since the stream was opened or reset. For callers of the C ABI, whose errors are a number.
    pub(crate) fn bad_code(&self) -> Option<(usize, u32)> {
        self.bad_code
    }

    /// Samples that [`flush`](Self::flush) would write.
    pub fn samples_for_flush(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::owed)
    }

    /// Ends the stream: writes what was held back, and returns how many samples: none at the model's rate.
    /// The next frame begins a new stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, pcm: &mut [f32]) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        let needed = self.samples_for_flush();
        let Some(pcm) = pcm.get_mut(..needed) else {
            return Err(StreamError::BufferTooSmall { needed });
        };
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(pcm);
        }
        self.memory.reset();
        self.bad_code = None;
        self.ended = true;
        Ok(needed)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.memory.reset();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        self.bad_code = None;
        self.begin();
    }

    /// Counts from zero.
    fn begin(&mut self) {
        self.frames = 0;
        self.hash = CodesHash::new();
        self.ended = false;
    }

    /// Decodes frames whose codes are in memory, for streams of one model and one shape.
    fn step(streams: &mut [&mut Decoder], frames: usize, team: Option<&Team>) {
        let [first, others @ ..] = streams else { return };
        let Decoder { model, plan, memory, .. } = &mut **first;
        let weights = model.weights();
        let Some(network) = &weights.decoder else { unreachable!("checked in new") };
        let memories = iter::once(memory).chain(others.iter_mut().map(|stream| &mut stream.memory));
        let mut batch = Batch::new(weights.kernels, memories, team);
        network.step(&weights.quantizer, &mut batch, plan, frames, |_| ());
    }

    /// Copies the samples of a step out, and counts its frames. Returns how many samples.
    fn emit(&mut self, frames: usize, pcm: &mut [f32]) -> usize {
        let samples = self.plan.samples().first(frames * self.model.config().frame_size());
        let samples = &self.memory.scratch[samples];
        self.hash.update(&self.memory.codes[..frames * self.shape.codebooks]);
        self.frames += frames as u64;
        match &mut self.resampler {
            Some(resampler) => resampler.convert(samples, pcm),
            None => {
                pcm[..samples.len()].copy_from_slice(samples);
                samples.len()
            }
        }
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

    /// Frames taken since the stream began.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A 63-bit hash of the codes taken since the stream began. An encoder that emitted the same codes
    /// in the same order has the same.
    pub fn codes_hash(&self) -> i64 {
        self.hash.digest()
    }

    /// Samples, at the stream's rate, by which an audio host must delay the dry signal: none at the model's
    /// rate, where a frame's samples come with its codes; else those that are held back.
    pub fn latency_samples(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::delay)
    }

    /// Bytes that this stream keeps, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.memory.bytes() + self.resampler.as_deref().map_or(0, Resampler::bytes)
    }

    /// The model that it runs on.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("codebooks", &self.codebooks())
            .field("frames", &self.frames())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
