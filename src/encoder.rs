//! One stream of audio to codes or latents. [`stream`](crate::stream) does the work.

use crate::model::{Half, Shape};
use crate::stream::{Encoding, Frames, Stream, Streaming, Value, process_each};
use crate::{Error, Model, Spec, StreamError, StreamOptions};
use std::fmt;

/// One stream of audio to codes, or to the latents that become codes in the quantizer. A model without a quantizer has
/// latents alone.
///
/// Takes any number of samples at a time; the codes are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush), the same for
/// latents, [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Encoder {
    stream: Stream<Encoding>,
}

impl Encoder {
    /// A new stream on `model`, whose encoder it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        let shape = model.encoder()?.shape(model.spec(), options)?;
        Self::of_shape(model, options, shape)
    }

    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn of_shape(model: &Model, options: &StreamOptions, shape: Shape) -> Result<Self, Error> {
        Ok(Self { stream: Stream::new(model, options, shape)? })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self { stream: self.stream.try_clone()? })
    }

    /// Codes that [`process`](Self::process) would write for `samples` more samples.
    pub fn codes_for(&self, samples: usize) -> usize {
        <Encoding as Frames<u32>>::outputs_for(&self.stream, samples)
    }

    /// Values that [`process_latents`](Self::process_latents) would write for `samples` more samples.
    pub fn latents_for(&self, samples: usize) -> usize {
        <Encoding as Frames<f32>>::outputs_for(&self.stream, samples)
    }

    /// Codes or latents that `samples` more samples give, if the model has such.
    pub(crate) fn values_for<V: Value>(&self, samples: usize) -> Result<usize, StreamError> {
        V::check(&self.stream, &[])?;
        Ok(<Encoding as Frames<V>>::outputs_for(&self.stream, samples))
    }

    /// Takes all of `pcm` (mono, at the stream's rate, full scale ±1), writes the codes of the frames that
    /// it completes, frame-major, and returns how many codes: a multiple of the codebooks. NaN and
    /// infinity count as 0, and samples are cut to ±1e5.
    pub fn process(&mut self, pcm: &[f32], codes: &mut [u32]) -> Result<usize, StreamError> {
        self.stream.process(pcm, codes, None)
    }

    /// As [`process`](Self::process), to latents in place of codes: `[frames, latent_dim]`, as they enter the
    /// quantizer. Frames of latents are not in [`codes_hash`](Self::codes_hash).
    pub fn process_latents(&mut self, pcm: &[f32], latents: &mut [f32]) -> Result<usize, StreamError> {
        self.stream.process(pcm, latents, None)
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
        process_each(streams, pcm, codes)
    }

    /// As [`process_many`](Self::process_many), to latents in place of codes.
    pub fn process_many_latents(
        streams: &mut [&mut Encoder],
        pcm: &[&[f32]],
        latents: &mut [&mut [f32]],
    ) -> Result<(), StreamError> {
        process_each(streams, pcm, latents)
    }

    /// Codes that [`flush`](Self::flush) would write.
    pub fn codes_for_flush(&self) -> usize {
        self.stream.frames_left() * self.codebooks()
    }

    /// Values that [`flush_latents`](Self::flush_latents) would write.
    pub fn latents_for_flush(&self) -> usize {
        self.stream.frames_left() * self.stream.spec.latent_dim
    }

    /// Ends the stream: pads and encodes a last partial frame, and returns how many codes were written: one
    /// frame's or none, at a rate other than the model's also two frames'. The next sample begins a new
    /// stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, codes: &mut [u32]) -> Result<usize, StreamError> {
        Frames::end(&mut self.stream, codes)
    }

    /// As [`flush`](Self::flush), to latents in place of codes.
    pub fn flush_latents(&mut self, latents: &mut [f32]) -> Result<usize, StreamError> {
        Frames::end(&mut self.stream, latents)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.stream.reset();
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
        self.frame_samples() - 1 + self.stream.ahead()
    }

    /// Bytes that this stream keeps, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        self.stream.bytes()
    }

    /// What there is to know of its model.
    pub fn spec(&self) -> &Spec {
        &self.stream.spec
    }
}

impl Streaming for Encoder {
    type Direction = Encoding;

    fn stream(&self) -> &Stream<Encoding> {
        &self.stream
    }

    fn stream_mut(&mut self) -> &mut Stream<Encoding> {
        &mut self.stream
    }
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
