//! One stream of audio to codes or latents: gathers samples to whole frames, and completes the last one.

use crate::error::with_capacity;
use crate::kernels::FlushDenormals;
use crate::model::{EncoderHalf, Half, Shape};
use crate::options::Tail;
use crate::resample::{Rates, Resampler};
use crate::stream::{Coder, Stream, Streaming, Value, copy_finite};
use crate::{Error, Model, Spec, StreamError, StreamOptions};
use std::fmt;

/// One stream of audio to codes, or to the latents that become codes in the quantizer. A model without a quantizer has
/// latents alone.
///
/// Takes any number of samples at a time; the codes are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush), the same for
/// latents, [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Encoder {
    stream: Stream<EncoderHalf>,
    tail: Tail,
    /// Samples that do not complete a frame yet, at the stream's rate.
    pending: Vec<f32>,
    pending_len: usize,
}

impl Encoder {
    /// A new stream on `model`, whose encoder it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        let shape = model.encoder()?.shape(model.spec(), options)?;
        Self::of_shape(model, options, shape)
    }

    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn of_shape(model: &Model, options: &StreamOptions, shape: Shape) -> Result<Self, Error> {
        let stream = Stream::new(model, model.encoder()?, options, shape, Rates::resampler_to_model)?;
        let most = stream.rates.frame() + stream.resampler.as_deref().map_or(0, Resampler::ahead);
        let mut pending = with_capacity(most)?;
        pending.resize(most, 0.0);
        Ok(Self { stream, tail: options.tail, pending, pending_len: 0 })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let mut pending = with_capacity(self.pending.len())?;
        pending.extend_from_slice(&self.pending);
        Ok(Self { stream: self.stream.try_clone()?, pending, ..*self })
    }

    /// Codes that [`process`](Self::process) would write for `samples` more samples.
    pub fn codes_for(&self, samples: usize) -> usize {
        self.frames_of(samples).saturating_mul(self.codebooks())
    }

    /// Values that [`process_latents`](Self::process_latents) would write for `samples` more samples.
    pub fn latents_for(&self, samples: usize) -> usize {
        self.frames_of(samples).saturating_mul(self.stream.spec.latent_dim)
    }

    /// Codes or latents that `samples` more samples give, if the model has such.
    pub(crate) fn values_for<V: Value>(&self, samples: usize) -> Result<usize, StreamError> {
        V::check(&self.stream, &[])?;
        Ok(self.frames_of(samples).saturating_mul(V::in_frame(&self.stream)))
    }

    /// Frames that `samples` more samples complete.
    fn frames_of(&self, samples: usize) -> usize {
        samples.saturating_add(self.pending_len).saturating_sub(self.wait()) / self.frame_samples()
    }

    /// Samples that the next frame needs beyond its own.
    fn wait(&self) -> usize {
        self.stream.resampler.as_deref().map_or(0, Resampler::wait)
    }

    /// Takes all of `pcm` (mono, at the stream's rate, full scale ±1), writes the codes of the frames that
    /// it completes, frame-major, and returns how many codes: a multiple of the codebooks. NaN and
    /// infinity count as 0, and samples are cut to ±1e5.
    pub fn process(&mut self, pcm: &[f32], codes: &mut [u32]) -> Result<usize, StreamError> {
        self.process_with(pcm, codes, None)
    }

    /// As [`process`](Self::process), to latents in place of codes: `[frames, latent_dim]`, as they enter the
    /// quantizer. Frames of latents are not in [`codes_hash`](Self::codes_hash).
    pub fn process_latents(&mut self, pcm: &[f32], latents: &mut [f32]) -> Result<usize, StreamError> {
        self.process_with(pcm, latents, None)
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
        Self::process_each(streams, pcm, codes)
    }

    /// As [`process_many`](Self::process_many), to latents in place of codes.
    pub fn process_many_latents(
        streams: &mut [&mut Encoder],
        pcm: &[&[f32]],
        latents: &mut [&mut [f32]],
    ) -> Result<(), StreamError> {
        Self::process_each(streams, pcm, latents)
    }

    /// Samples that belong to no frame that was emitted.
    fn unframed(&self) -> usize {
        let resampler = self.stream.resampler.as_deref();
        resampler.map_or(0, |resampler| resampler.ahead() - resampler.wait()) + self.pending_len
    }

    /// Frames that the end of the stream completes.
    fn frames_left(&self) -> usize {
        self.unframed().div_ceil(self.frame_samples())
    }

    /// Codes that [`flush`](Self::flush) would write.
    pub fn codes_for_flush(&self) -> usize {
        self.frames_left() * self.codebooks()
    }

    /// Values that [`flush_latents`](Self::flush_latents) would write.
    pub fn latents_for_flush(&self) -> usize {
        self.frames_left() * self.stream.spec.latent_dim
    }

    /// Ends the stream: pads and encodes a last partial frame, and returns how many codes were written: one
    /// frame's or none, at a rate other than the model's also two frames'. The next sample begins a new
    /// stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, codes: &mut [u32]) -> Result<usize, StreamError> {
        self.finish(codes)
    }

    /// As [`flush`](Self::flush), to latents in place of codes.
    pub fn flush_latents(&mut self, latents: &mut [f32]) -> Result<usize, StreamError> {
        self.finish(latents)
    }

    fn finish<V: Value>(&mut self, values: &mut [V]) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        V::check(&self.stream, &[])?;
        let needed = self.frames_left() * V::in_frame(&self.stream);
        if values.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        let mut left = self.unframed();
        let mut written = 0;
        while left > 0 {
            let whole = self.wait() + self.frame_samples();
            self.pending[self.pending_len..whole].fill(0.0);
            self.pending_len = whole;
            Coder::<V>::stage(self, 1, &mut &[][..]);
            let samples = left.min(self.frame_samples());
            left -= samples;
            let encoded = match self.tail {
                Tail::AudioPad => self.stream.spec.frame_size,
                Tail::LayerPad => self.stream.rates.at_model_rate(samples),
            };
            let frames = <Self as Coder<V>>::pass(&mut [self], encoded, None);
            written += self.emit(frames, &mut values[written..]);
        }
        self.forget();
        self.stream.ended = true;
        Ok(written)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.forget();
        self.stream.begin();
    }

    /// Puts a frame at the model's rate in place, whatever is pending.
    pub(crate) fn place(&mut self, frame: &[f32]) {
        let slot = self.stream.border.samples.first(frame.len());
        self.stream.memory.scratch[slot].copy_from_slice(frame);
    }

    fn forget(&mut self) {
        self.stream.forget();
        self.pending_len = 0;
    }

    /// The rate of its audio in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.stream.rates.stream_rate()
    }

    /// Samples of a frame, at the stream's rate.
    pub fn frame_samples(&self) -> usize {
        self.stream.rates.frame()
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        self.stream.shape.codebooks
    }

    /// Frames emitted since the stream began.
    pub fn frames(&self) -> u64 {
        self.stream.frames
    }

    /// A 63-bit hash of the codes emitted since the stream began. A decoder that was given the same
    /// codes in the same order has the same.
    pub fn codes_hash(&self) -> i64 {
        self.stream.hash.digest()
    }

    /// Samples, at the stream's rate, by which an audio host must delay the dry signal: a frame is encoded
    /// when its last sample is there, and at a rate other than the model's a few milliseconds later, when
    /// the resampler has seen what follows.
    pub fn latency_samples(&self) -> usize {
        self.frame_samples() - 1 + self.stream.resampler.as_deref().map_or(0, Resampler::ahead)
    }

    /// Bytes that this stream keeps, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() - size_of_val(&self.stream)
            + self.stream.bytes()
            + size_of_val(self.pending.as_slice())
    }

    /// What there is to know of its model.
    pub fn spec(&self) -> &Spec {
        &self.stream.spec
    }
}

impl Streaming for Encoder {
    type Half = EncoderHalf;

    fn stream(&self) -> &Stream<EncoderHalf> {
        &self.stream
    }

    fn stream_mut(&mut self) -> &mut Stream<EncoderHalf> {
        &mut self.stream
    }
}

impl<V: Value> Coder<V> for Encoder {
    type Input = f32;
    type Output = V;

    fn frame_inputs(&self) -> usize {
        self.frame_samples()
    }

    fn frame_outputs(&self) -> usize {
        V::in_frame(&self.stream)
    }

    fn outputs_for(&self, samples: usize) -> usize {
        self.frames_of(samples).saturating_mul(V::in_frame(&self.stream))
    }

    fn frames_with(&self, samples: usize) -> usize {
        self.frames_of(samples)
    }

    fn check(&self, _pcm: &[f32]) -> Result<(), StreamError> {
        V::check(&self.stream, &[])
    }

    fn stage(&mut self, frames: usize, rest: &mut &[f32]) {
        let Self { stream, pending, pending_len, .. } = self;
        let slot = stream.border.samples.first(frames * stream.spec.frame_size);
        let slot = &mut stream.memory.scratch[slot];
        let Some(resampler) = &mut stream.resampler else {
            let (old, new) = slot.split_at_mut(*pending_len);
            old.copy_from_slice(&pending[..*pending_len]);
            copy_finite(take(rest, new.len()), new);
            *pending_len = 0;
            return;
        };
        let frame = stream.rates.frame();
        for converted in slot.chunks_exact_mut(stream.spec.frame_size) {
            let wait = resampler.wait();
            let new = &mut pending[*pending_len..wait + frame];
            copy_finite(take(rest, new.len()), new);
            *pending_len = 0;
            if wait > 0 {
                resampler.lead_in(&pending[..wait]);
            }
            resampler.convert(&pending[wait..wait + frame], converted);
        }
    }

    fn keep(&mut self, samples: &[f32]) {
        copy_finite(samples, &mut self.pending[self.pending_len..][..samples.len()]);
        self.pending_len += samples.len();
    }

    fn emit(&mut self, frames: usize, values: &mut [V]) -> usize {
        let written = frames * V::in_frame(&self.stream);
        V::get(&self.stream, &mut values[..written]);
        V::note(&mut self.stream, frames);
        self.stream.frames += frames as u64;
        written
    }

    fn end(&mut self, output: &mut [V]) -> Result<usize, StreamError> {
        self.finish(output)
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
            .field("spec", self.spec())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
