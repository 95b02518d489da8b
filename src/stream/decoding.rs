//! The direction of decoders: takes whole frames, conceals those that were lost, and gives samples out.

use super::{Direction, Frames, Stream, Value};
use crate::conceal::Concealment;
use crate::kernels::FlushDenormals;
use crate::model::DecoderHalf;
use crate::resample::{Rates, Resampler};
use crate::{Error, Model, NO_CODE, StreamError, StreamOptions};
use std::sync::Arc;

/// What a decoder's stream keeps of its frames.
#[derive(Clone, Copy, Default)]
pub(crate) struct Decoding {
    concealment: Concealment,
    /// Where the last code stood in its call's input that was refused, and its value; `None` if there was none since
    /// the stream was opened, reset or flushed. For callers of the C ABI, whose errors are a number.
    pub(crate) bad_code: Option<(usize, u32)>,
}

impl Direction for Decoding {
    type Half = DecoderHalf;

    fn half(model: &Model) -> Result<&Arc<DecoderHalf>, Error> {
        model.decoder()
    }

    fn resampler(rates: Rates) -> Result<Option<Box<Resampler>>, Error> {
        rates.resampler_from_model()
    }

    fn new(_: &StreamOptions, _: Rates, _: Option<&Resampler>) -> Result<Self, Error> {
        Ok(Self::default())
    }

    fn try_clone(&self) -> Result<Self, Error> {
        Ok(*self)
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl Stream<Decoding> {
    /// Samples that the next frame lacks: the end of a stream's first frame comes with its second, if the
    /// rate is not the model's.
    fn missing(&self) -> usize {
        self.resampler.as_deref().map_or(0, |resampler| resampler.delay() - resampler.owed())
    }

    /// Samples that `frames` more frames give.
    pub(crate) fn samples_of(&self, frames: usize) -> usize {
        frames.saturating_mul(self.rates.frame()).saturating_sub(self.missing())
    }

    /// Samples that were held back.
    pub(crate) fn owed(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::owed)
    }
}

impl<V: Value> Frames<V> for Decoding {
    type Input = V;
    type Output = f32;

    fn frame_inputs(stream: &Stream<Self>) -> usize {
        V::in_frame(stream)
    }

    fn frame_outputs(stream: &Stream<Self>) -> usize {
        stream.rates.frame()
    }

    fn outputs_for(stream: &Stream<Self>, values: usize) -> usize {
        stream.samples_of(<Self as Frames<V>>::frames_with(stream, values))
    }

    fn frames_with(stream: &Stream<Self>, values: usize) -> usize {
        // without a quantizer, there are no codes in a frame
        values.checked_div(V::in_frame(stream)).unwrap_or(0)
    }

    fn check(stream: &Stream<Self>, values: &[V]) -> Result<(), StreamError> {
        V::check(stream, values)
    }

    fn note(stream: &mut Stream<Self>, error: &StreamError) {
        if let StreamError::CodeOutOfRange { index, code, .. } = *error {
            stream.direction.bad_code = Some((index, code));
        }
    }

    fn stage(stream: &mut Stream<Self>, frames: usize, rest: &mut &[V]) {
        let (values, later) = rest.split_at(frames * V::in_frame(stream));
        V::put(stream, values);
        *rest = later;
    }

    fn keep(_: &mut Stream<Self>, rest: &[V]) {
        debug_assert!(rest.is_empty(), "only whole frames are taken");
    }

    fn emit(stream: &mut Stream<Self>, frames: usize, pcm: &mut [f32]) -> usize {
        V::note(stream, frames);
        let Stream { direction, memory, resampler, border, spec, shape, frames: counted, concealed, .. } =
            stream;
        let samples = &mut memory.scratch[border.samples.first(frames * spec.frame_size)];
        let marks = memory.codes[..frames * shape.marks()].chunks_exact(shape.marks());
        *counted += frames as u64;
        for (marks, samples) in marks.zip(samples.chunks_exact_mut(spec.frame_size)) {
            let lost = marks.iter().all(|mark| *mark == NO_CODE);
            direction.concealment.shape(samples, lost);
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

    fn end(stream: &mut Stream<Self>, pcm: &mut [f32]) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        let needed = stream.owed();
        let Some(pcm) = pcm.get_mut(..needed) else {
            return Err(StreamError::BufferTooSmall { needed });
        };
        if let Some(resampler) = &mut stream.resampler {
            resampler.finish(pcm);
        }
        stream.forget();
        stream.ended = true;
        Ok(needed)
    }
}
