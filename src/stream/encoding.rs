//! The direction of encoders: gathers samples to whole frames, and completes the last one.

use super::{Direction, Frames, Stream, Value, copy_finite};
use crate::error::with_capacity;
use crate::kernels::FlushDenormals;
use crate::model::EncoderHalf;
use crate::options::Tail;
use crate::resample::{Rates, Resampler};
use crate::{Error, Model, StreamError, StreamOptions};
use std::iter;
use std::sync::Arc;

/// What an encoder's stream keeps of its input.
pub(crate) struct Encoding {
    tail: Tail,
    /// Samples that do not complete a frame yet, at the stream's rate.
    pending: Vec<f32>,
    pending_len: usize,
}

impl Direction for Encoding {
    type Half = EncoderHalf;

    fn half(model: &Model) -> Result<&Arc<EncoderHalf>, Error> {
        model.encoder()
    }

    fn resampler(rates: Rates) -> Result<Option<Box<Resampler>>, Error> {
        rates.resampler_to_model()
    }

    fn new(options: &StreamOptions, rates: Rates, resampler: Option<&Resampler>) -> Result<Self, Error> {
        let most = rates.frame() + resampler.map_or(0, Resampler::ahead);
        let mut pending = with_capacity(most)?;
        pending.resize(most, 0.0);
        Ok(Self { tail: options.tail, pending, pending_len: 0 })
    }

    fn try_clone(&self) -> Result<Self, Error> {
        let mut pending = with_capacity(self.pending.len())?;
        pending.extend_from_slice(&self.pending);
        Ok(Self { pending, ..*self })
    }

    fn forget(&mut self) {
        self.pending_len = 0;
    }

    fn bytes(&self) -> usize {
        size_of_val(self.pending.as_slice())
    }
}

impl Stream<Encoding> {
    /// Samples after a frame that must be there before it is encoded.
    pub(crate) fn ahead(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::ahead)
    }

    /// Samples that the next frame needs beyond its own.
    fn wait(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::wait)
    }

    /// Samples that belong to no frame that was emitted.
    fn unframed(&self) -> usize {
        let resampler = self.resampler.as_deref();
        resampler.map_or(0, |resampler| resampler.ahead() - resampler.wait()) + self.direction.pending_len
    }

    /// Frames that the end of the stream completes.
    pub(crate) fn frames_left(&self) -> usize {
        self.unframed().div_ceil(self.rates.frame())
    }

    /// Puts a frame at the model's rate in place, whatever is pending.
    pub(crate) fn place(&mut self, frame: &[f32]) {
        let slot = self.border.samples.first(frame.len());
        self.memory.scratch[slot].copy_from_slice(frame);
    }
}

impl<V: Value> Frames<V> for Encoding {
    type Input = f32;
    type Output = V;

    fn frame_inputs(stream: &Stream<Self>) -> usize {
        stream.rates.frame()
    }

    fn frame_outputs(stream: &Stream<Self>) -> usize {
        V::in_frame(stream)
    }

    fn outputs_for(stream: &Stream<Self>, samples: usize) -> usize {
        <Self as Frames<V>>::frames_with(stream, samples).saturating_mul(V::in_frame(stream))
    }

    fn frames_with(stream: &Stream<Self>, samples: usize) -> usize {
        samples.saturating_add(stream.direction.pending_len).saturating_sub(stream.wait())
            / stream.rates.frame()
    }

    fn check(stream: &Stream<Self>, _pcm: &[f32]) -> Result<(), StreamError> {
        V::check(stream, &[])
    }

    fn stage(stream: &mut Stream<Self>, frames: usize, rest: &mut &[f32]) {
        let Stream {
            direction: Self { pending, pending_len, .. },
            memory,
            resampler,
            border,
            spec,
            rates,
            ..
        } = stream;
        let slot = &mut memory.scratch[border.samples.first(frames * spec.frame_size)];
        let Some(resampler) = resampler else {
            let (old, new) = slot.split_at_mut(*pending_len);
            old.copy_from_slice(&pending[..*pending_len]);
            copy_finite(take(rest, new.len()), new);
            *pending_len = 0;
            return;
        };
        let frame = rates.frame();
        for converted in slot.chunks_exact_mut(spec.frame_size) {
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

    fn keep(stream: &mut Stream<Self>, samples: &[f32]) {
        let Self { pending, pending_len, .. } = &mut stream.direction;
        copy_finite(samples, &mut pending[*pending_len..][..samples.len()]);
        *pending_len += samples.len();
    }

    fn emit(stream: &mut Stream<Self>, frames: usize, values: &mut [V]) -> usize {
        let written = frames * V::in_frame(stream);
        V::get(stream, &mut values[..written]);
        V::note(stream, frames);
        stream.frames += frames as u64;
        written
    }

    fn end(stream: &mut Stream<Self>, values: &mut [V]) -> Result<usize, StreamError> {
        let _flush = FlushDenormals::new();
        V::check(stream, &[])?;
        let needed = stream.frames_left() * V::in_frame(stream);
        if values.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        let mut left = stream.unframed();
        let mut written = 0;
        while left > 0 {
            let whole = stream.wait() + stream.rates.frame();
            let Self { tail, pending, pending_len } = &mut stream.direction;
            let tail = *tail;
            pending[*pending_len..whole].fill(0.0);
            *pending_len = whole;
            <Self as Frames<V>>::stage(stream, 1, &mut &[][..]);
            let samples = left.min(stream.rates.frame());
            left -= samples;
            let encoded = match tail {
                Tail::AudioPad => stream.spec.frame_size,
                Tail::LayerPad => stream.rates.at_model_rate(samples),
            };
            let frames = stream.pass::<V>(iter::empty(), encoded, None);
            written += Self::emit(stream, frames, &mut values[written..]);
        }
        stream.forget();
        stream.ended = true;
        Ok(written)
    }
}

/// Takes the first `len` samples off `rest`.
fn take<'a>(rest: &mut &'a [f32], len: usize) -> &'a [f32] {
    let (first, later) = rest.split_at(len);
    *rest = later;
    first
}
