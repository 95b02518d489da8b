//! One stream of codes to audio.

use crate::kernels::FlushDenormals;
use crate::model::{DecoderHalf, Half, Shape};
use crate::resample::{Rates, Resampler};
use crate::stream::{Coder, Stream};
use crate::{Error, Model, Spec, StreamError, StreamOptions};
use std::fmt;

/// One stream of codes to audio.
///
/// Takes any number of frames at a time; the samples are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush),
/// [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Decoder {
    stream: Stream<DecoderHalf>,
    /// Where the last code stood that was refused, and its value.
    bad_code: Option<(usize, u32)>,
}

impl Decoder {
    /// A new stream on `model`, whose decoder it keeps alive.
    pub fn new(model: &Model, options: &StreamOptions) -> Result<Self, Error> {
        let shape = model.decoder()?.shape(model.spec(), options)?;
        Self::of_shape(model, options, shape)
    }

    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn of_shape(model: &Model, options: &StreamOptions, shape: Shape) -> Result<Self, Error> {
        let stream = Stream::new(model, model.decoder()?, options, shape, Rates::resampler_from_model)?;
        Ok(Self { stream, bad_code: None })
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self { stream: self.stream.try_clone()?, ..*self })
    }

    /// Samples that [`process`](Self::process) would write for `codes` more codes.
    pub fn samples_for(&self, codes: usize) -> usize {
        self.outputs_for(codes)
    }

    /// Samples that the next frame lacks: the end of a stream's first frame comes with its second, if the
    /// rate is not the model's.
    fn missing(&self) -> usize {
        self.stream.resampler.as_deref().map_or(0, |resampler| resampler.delay() - resampler.owed())
    }

    /// Takes whole frames of codes, frame-major, writes their samples (mono, at the stream's rate, full
    /// scale ±1, not clipped), and returns how many: [`frame_samples`](Self::frame_samples) for each
    /// frame. At a rate other than the model's, the last few milliseconds are held back until
    /// more frames follow or [`flush`](Self::flush) is called.
    pub fn process(&mut self, codes: &[u32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        self.process_with(codes, pcm, None)
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
        Self::process_each(streams, codes, pcm)
    }

    /// Where the last code that was refused stood in its call's input, and its value; `None` if there was none
    /// since the stream was opened or reset. For callers of the C ABI, whose errors are a number.
    pub(crate) fn bad_code(&self) -> Option<(usize, u32)> {
        self.bad_code
    }

    /// Samples that [`flush`](Self::flush) would write.
    pub fn samples_for_flush(&self) -> usize {
        self.stream.resampler.as_deref().map_or(0, Resampler::owed)
    }

    /// Ends the stream: writes what was held back, and returns how many samples: none at the model's rate.
    /// The next frame begins a new stream; until then frames and hash are those of the old one.
    pub fn flush(&mut self, pcm: &mut [f32]) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        let needed = self.samples_for_flush();
        let Some(pcm) = pcm.get_mut(..needed) else {
            return Err(StreamError::BufferTooSmall { needed });
        };
        if let Some(resampler) = &mut self.stream.resampler {
            resampler.finish(pcm);
        }
        self.stream.forget();
        self.bad_code = None;
        self.stream.ended = true;
        Ok(needed)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.stream.forget();
        self.bad_code = None;
        self.stream.begin();
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

    /// Frames taken since the stream began.
    pub fn frames(&self) -> u64 {
        self.stream.frames
    }

    /// A 63-bit hash of the codes taken since the stream began. An encoder that emitted the same codes
    /// in the same order has the same.
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
        size_of::<Self>() - size_of_val(&self.stream) + self.stream.bytes()
    }

    /// What there is to know of its model.
    pub fn spec(&self) -> &Spec {
        &self.stream.spec
    }
}

impl Coder for Decoder {
    type Half = DecoderHalf;
    type Input = u32;
    type Output = f32;

    fn stream(&self) -> &Stream<DecoderHalf> {
        &self.stream
    }

    fn stream_mut(&mut self) -> &mut Stream<DecoderHalf> {
        &mut self.stream
    }

    fn frame_inputs(&self) -> usize {
        self.codebooks()
    }

    fn frame_outputs(&self) -> usize {
        self.frame_samples()
    }

    fn outputs_for(&self, codes: usize) -> usize {
        self.frames_with(codes).saturating_mul(self.frame_samples()).saturating_sub(self.missing())
    }

    fn frames_with(&self, codes: usize) -> usize {
        codes / self.codebooks()
    }

    /// Whether these are whole frames of codes that the codebooks have.
    fn check(&self, codes: &[u32]) -> Result<(), StreamError> {
        let codebooks = self.codebooks();
        if !codes.len().is_multiple_of(codebooks) {
            return Err(StreamError::PartialFrame { codes: codes.len(), codebooks });
        }
        let codebook_size = self.stream.spec.codebook_size as u32;
        match codes.iter().position(|&code| code >= codebook_size) {
            Some(index) => Err(StreamError::CodeOutOfRange { index, code: codes[index], codebook_size }),
            None => Ok(()),
        }
    }

    /// Keeps what [`bad_code`](Self::bad_code) tells.
    fn note(&mut self, error: &StreamError) {
        if let StreamError::CodeOutOfRange { index, code, .. } = *error {
            self.bad_code = Some((index, code));
        }
    }

    fn stage(&mut self, frames: usize, rest: &mut &[u32]) {
        let (codes, later) = rest.split_at(frames * self.codebooks());
        self.stream.memory.codes[..codes.len()].copy_from_slice(codes);
        *rest = later;
    }

    fn keep(&mut self, rest: &[u32]) {
        debug_assert!(rest.is_empty(), "only whole frames are taken");
    }

    fn emit(&mut self, frames: usize, pcm: &mut [f32]) -> usize {
        let Stream { memory, resampler, hash, border, spec, shape, frames: counted, .. } = &mut self.stream;
        let samples = &memory.scratch[border.samples.first(frames * spec.frame_size)];
        hash.update(&memory.codes[..frames * shape.codebooks]);
        *counted += frames as u64;
        match resampler {
            Some(resampler) => resampler.convert(samples, pcm),
            None => {
                pcm[..samples.len()].copy_from_slice(samples);
                samples.len()
            }
        }
    }

    fn end(&mut self, output: &mut [f32]) -> Result<usize, StreamError> {
        self.flush(output)
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
