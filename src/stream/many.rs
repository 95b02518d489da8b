//! Calls for several streams, each of which takes one frame.

use super::{Direction, Frames, Input, Output, Stream, Streaming, Value};
use crate::StreamError;
use crate::kernels::{FlushDenormals, MAX_BATCH};
use std::sync::Arc;

/// One frame for each of several streams.
pub(crate) fn process_each<V: Value, C: Streaming<Direction: Frames<V>>>(
    streams: &mut [&mut C],
    inputs: &[&[Input<C, V>]],
    outputs: &mut [&mut [Output<C, V>]],
) -> Result<(), StreamError> {
    if streams.len() != inputs.len() || streams.len() != outputs.len() {
        let (streams, inputs, outputs) = (streams.len(), inputs.len(), outputs.len());
        return Err(StreamError::UnequalCounts { streams, inputs, outputs });
    }
    for index in 0..streams.len() {
        let (first, stream) = (streams[0].stream(), streams[index].stream());
        let checked = stream.check_member(first, inputs[index], outputs[index].len());
        checked.inspect_err(|error| C::Direction::note(streams[index].stream_mut(), error))?;
    }
    run_each(streams, inputs, outputs);
    Ok(())
}

impl<D: Direction> Stream<D> {
    /// Whether this stream can take part in a call for several, of which `first` is the first.
    pub(crate) fn check_member<V>(
        &self,
        first: &Self,
        input: &[D::Input],
        room: usize,
    ) -> Result<(), StreamError>
    where
        D: Frames<V>,
    {
        if !Arc::ptr_eq(&self.half, &first.half) {
            return Err(StreamError::DifferentModels);
        }
        let (inputs, outputs) = (D::frame_inputs(self), D::frame_outputs(self));
        if input.len() != inputs {
            return Err(StreamError::NotOneFrame { found: input.len(), expected: inputs });
        }
        D::check(self, input)?;
        if D::outputs_for(self, inputs) != outputs {
            return Err(StreamError::FirstFrame);
        }
        if room < outputs {
            return Err(StreamError::BufferTooSmall { needed: outputs });
        }
        Ok(())
    }
}

/// One frame for each of several streams that were checked.
pub(crate) fn run_each<V: Value, C: Streaming<Direction: Frames<V>>>(
    streams: &mut [&mut C],
    inputs: &[&[Input<C, V>]],
    outputs: &mut [&mut [Output<C, V>]],
) {
    let _flush = FlushDenormals::new();
    let mut done = 0;
    let shape = |coder: &C| coder.stream().shape;
    for group in
        streams.chunk_by_mut(|a, b| shape(a) == shape(b)).flat_map(|group| group.chunks_mut(MAX_BATCH))
    {
        for (coder, input) in group.iter_mut().zip(&inputs[done..]) {
            let stream = coder.stream_mut();
            stream.begin_anew();
            let mut rest = *input;
            C::Direction::stage(stream, 1, &mut rest);
            C::Direction::keep(stream, rest);
        }
        let [first, others @ ..] = &mut *group else { continue };
        let (first, others) = (first.stream_mut(), others.iter_mut().map(|other| other.stream_mut()));
        first.pass::<V>(others, first.spec.frame_size, None);
        for (coder, output) in group.iter_mut().zip(&mut outputs[done..]) {
            C::Direction::emit(coder.stream_mut(), 1, output);
        }
        done += group.len();
    }
}
