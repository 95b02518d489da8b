//! One stream of codes to audio.

use crate::conceal::Concealment;
use crate::kernels::FlushDenormals;
use crate::model::{DecoderHalf, Half, Shape};
use crate::resample::{Rates, Resampler};
use crate::stream::{Coder, Stream};
use crate::{Error, Model, NO_CODE, Spec, StreamError, StreamOptions};
use std::fmt;

/// Frames that did not arrive: one of the most codebooks that a model can have, or some.
const LOST: [u32; 1024] = [NO_CODE; 1024];

/// One stream of codes to audio.
///
/// Takes any number of frames at a time; the samples are the same bits however they are cut. One thread
/// at a time; different streams are independent. [`process`](Self::process), [`flush`](Self::flush),
/// [`reset`](Self::reset) and the getters are real-time: no allocation, lock or system call.
pub struct Decoder {
    stream: Stream<DecoderHalf>,
    concealment: Concealment,
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
        Ok(Self { stream, concealment: Concealment::default(), bad_code: None })
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

    /// Samples that `frames` more frames give.
    fn samples_of(&self, frames: usize) -> usize {
        frames.saturating_mul(self.frame_samples()).saturating_sub(self.missing())
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
        self.process_with(codes, pcm, None)
    }

    /// Takes `frames` frames that did not arrive, and writes as many samples as [`process`](Self::process) does for
    /// frames that did: the last sound goes on, falls silent within five frames, and is never louder than the last
    /// frame was. The stream is as far as if they had come, and swells to its own sound within a quarter of the next
    /// frame. Before a stream's first codes there is silence.
    pub fn process_lost(&mut self, frames: usize, pcm: &mut [f32]) -> Result<usize, StreamError> {
        let needed = self.samples_of(frames);
        if pcm.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        let (mut left, mut written) = (frames, 0);
        while left > 0 {
            let frames = left.min(LOST.len() / self.codebooks());
            written += self.process(&LOST[..frames * self.codebooks()], &mut pcm[written..])?;
            left -= frames;
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
        self.forget();
        self.stream.ended = true;
        Ok(needed)
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        self.forget();
        self.stream.begin();
    }

    fn forget(&mut self) {
        self.stream.forget();
        self.concealment = Concealment::default();
        self.bad_code = None;
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
        self.samples_of(self.frames_with(codes))
    }

    fn frames_with(&self, codes: usize) -> usize {
        codes / self.codebooks()
    }

    /// Whether these are whole frames of codes that the codebooks have, or that did not arrive.
    fn check(&self, codes: &[u32]) -> Result<(), StreamError> {
        let codebooks = self.codebooks();
        if !codes.len().is_multiple_of(codebooks) {
            return Err(StreamError::PartialFrame { codes: codes.len(), codebooks });
        }
        let codebook_size = self.stream.spec.codebook_size as u32;
        match codes.iter().position(|&code| code >= codebook_size && code != NO_CODE) {
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
        let codebooks = self.codebooks();
        let (codes, later) = rest.split_at(frames * codebooks);
        let staged = &mut self.stream.memory.codes[..codes.len()];
        staged.copy_from_slice(codes);
        if let Some(quantizer) = &self.stream.quantizer {
            quantizer.drop_after_gaps(staged, codebooks);
        }
        *rest = later;
    }

    fn keep(&mut self, rest: &[u32]) {
        debug_assert!(rest.is_empty(), "only whole frames are taken");
    }

    fn emit(&mut self, frames: usize, pcm: &mut [f32]) -> usize {
        let Stream { memory, resampler, hash, border, spec, shape, frames: counted, concealed, .. } =
            &mut self.stream;
        let samples = &mut memory.scratch[border.samples.first(frames * spec.frame_size)];
        let codes = &memory.codes[..frames * shape.codebooks];
        hash.update(codes);
        *counted += frames as u64;
        for (codes, samples) in
            codes.chunks_exact(shape.codebooks).zip(samples.chunks_exact_mut(spec.frame_size))
        {
            let lost = codes.iter().all(|code| *code == NO_CODE);
            self.concealment.shape(samples, lost);
            *concealed += u64::from(lost);
        }
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
