//! One stream of codes or latents to audio. [`stream`](crate::stream) does the work.

use crate::model::{Half, Shape};
use crate::resample::Resampler;
use crate::stream::{Decoding, Frames, Lost, Stream, Streaming, Value, process_each};
use crate::{Error, Model, Spec, StreamError, StreamOptions};
use std::fmt;

/// Any number of frames that did not arrive; they take no memory.
const LOST: &[Lost] = &[Lost; usize::MAX];

/// One stream of codes, or of latents, to audio. A model without a quantizer has latents alone.
///
/// Takes any number of frames at a time; the samples are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush), the same for
/// latents, [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Decoder {
    stream: Stream<Decoding>,
}

impl Decoder {
    /// A new stream on `model`, whose decoder it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        let shape = model.decoder()?.shape(model.spec(), options)?;
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

    /// Samples that [`process`](Self::process) would write for `codes` more codes.
    pub fn samples_for(&self, codes: usize) -> usize {
        <Decoding as Frames<u32>>::outputs_for(&self.stream, codes)
    }

    /// Samples that [`process_latents`](Self::process_latents) would write for `values` more values.
    pub fn samples_for_latents(&self, values: usize) -> usize {
        <Decoding as Frames<f32>>::outputs_for(&self.stream, values)
    }

    /// Takes whole frames of codes, frame-major, writes their samples (mono, at the stream's rate, full
    /// scale ±1, not clipped), and returns how many: [`frame_samples`](Self::frame_samples) for each
    /// frame. At a rate other than the model's, the last few milliseconds are held back until
    /// more frames follow or [`flush`](Self::flush) is called.
    ///
    /// [`NO_CODE`](crate::NO_CODE) stands for a code that did not arrive. A frame is decoded with those codes of each
    /// branch of the quantizer, semantic and acoustic, that come before the branch's first gap: the samples are those
    /// of a stream with so many codebooks. A frame without such codes is concealed, as by
    /// [`process_lost`](Self::process_lost).
    pub fn process(&mut self, codes: &[u32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        self.stream.process(codes, pcm, None)
    }

    /// As [`process`](Self::process), of latents in place of codes: `[frames, latent_dim]`, as they leave the
    /// quantizer. NaN and infinity count as 0, and values are cut to ±1e5. Frames of latents are not in
    /// [`codes_hash`](Self::codes_hash).
    pub fn process_latents(&mut self, latents: &[f32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        self.stream.process(latents, pcm, None)
    }

    /// Takes `frames` frames that did not arrive, and writes as many samples as [`process`](Self::process) does for
    /// frames that did: the last sound goes on, falls silent within five frames, and is never louder than the last
    /// frame was. The stream is as far as if they had come, and swells to its own sound within a quarter of the next
    /// frame. Before a stream's first frame there is silence.
    pub fn process_lost(&mut self, frames: usize, pcm: &mut [f32]) -> Result<usize, StreamError> {
        self.stream.process(&LOST[..frames], pcm, None)
    }

    /// [`process_lost`](Self::process_lost) of the frames that so many codes or latents would be.
    pub(crate) fn process_lost_values<V: Value>(
        &mut self,
        values: usize,
        pcm: &mut [f32],
    ) -> Result<usize, StreamError> {
        self.process_lost(V::frames(&self.stream, values)?, pcm)
    }

    /// Samples that so many codes or latents give, if they are whole frames.
    pub(crate) fn samples_for_whole<V: Value>(&self, values: usize) -> Result<usize, StreamError> {
        Ok(self.stream.samples_of(V::frames(&self.stream, values)?))
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
        process_each(streams, codes, pcm)
    }

    /// As [`process_many`](Self::process_many), of latents in place of codes.
    pub fn process_many_latents(
        streams: &mut [&mut Decoder],
        latents: &[&[f32]],
        pcm: &mut [&mut [f32]],
    ) -> Result<(), StreamError> {
        process_each(streams, latents, pcm)
    }

    /// As [`Decoding::bad_code`].
    pub(crate) fn bad_code(&self) -> Option<(usize, u32)> {
        self.stream.direction.bad_code
    }

    /// Samples that [`flush`](Self::flush) would write.
    pub fn samples_for_flush(&self) -> usize {
        self.stream.owed()
    }

    /// Ends the stream: writes what was held back, and returns how many samples: none at the model's rate.
    /// The next frame begins a new stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, pcm: &mut [f32]) -> Result<usize, StreamError> {
        <Decoding as Frames<u32>>::end(&mut self.stream, pcm)
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

    /// Frames taken since the stream began, those among them that did not arrive.
    pub fn frames(&self) -> u64 {
        self.stream.frames
    }

    /// Frames concealed since the stream began: those without a code that could be used.
    pub fn concealed(&self) -> u64 {
        self.stream.concealed
    }

    /// A 63-bit hash of the codes taken since the stream began. An encoder that emitted the same codes
    /// in the same order has the same. A code that did not arrive, or could not be used, counts as
    /// [`NO_CODE`](crate::NO_CODE).
    pub fn codes_hash(&self) -> i64 {
        self.stream.hash.digest()
    }

    /// Samples, at the stream's rate, by which an audio host must delay the dry signal: none at the model's
    /// rate, where a frame's samples come with its codes; else those that are held back.
    pub fn latency_samples(&self) -> usize {
        self.stream.resampler.as_deref().map_or(0, Resampler::delay)
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

impl Streaming for Decoder {
    type Direction = Decoding;

    fn stream(&self) -> &Stream<Decoding> {
        &self.stream
    }

    fn stream_mut(&mut self) -> &mut Stream<Decoding> {
        &mut self.stream
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("codebooks", &self.codebooks())
            .field("frames", &self.frames())
            .field("spec", self.spec())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
