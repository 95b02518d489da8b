//! One stream of audio to codes.

use crate::{Error, Model, StreamError, StreamOptions};

/// One stream of audio to codes.
pub struct Encoder {}

impl Encoder {
    /// A new stream on `model`, which it keeps alive.
    pub fn new(_model: &Model, _options: &StreamOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Codes that `process` would write for `samples` more samples.
    pub fn codes_for(&self, _samples: usize) -> usize {
        unimplemented!()
    }

    /// Takes all of `pcm`, writes the codes of the frames that it completes, and returns how many
    /// codes were written: a multiple of [`Encoder::codebooks`].
    pub fn process(&mut self, _pcm: &[f32], _codes: &mut [u32]) -> Result<usize, StreamError> {
        unimplemented!()
    }

    /// Codes that `flush` would write.
    pub fn codes_for_flush(&self) -> usize {
        unimplemented!()
    }

    /// Ends the stream: pads and encodes a last partial frame. The next `process` begins a new one.
    pub fn flush(&mut self, _codes: &mut [u32]) -> Result<usize, StreamError> {
        unimplemented!()
    }

    /// Back to the state of a new stream.
    pub fn reset(&mut self) {
        unimplemented!()
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        unimplemented!()
    }

    /// Frames emitted since the stream began.
    pub fn frames(&self) -> u64 {
        unimplemented!()
    }

    /// Hash of the codes emitted since the stream began.
    pub fn codes_hash(&self) -> i64 {
        unimplemented!()
    }

    /// Samples by which an audio host must delay the dry signal.
    pub fn latency_samples(&self) -> usize {
        unimplemented!()
    }

    /// Bytes that this stream keeps.
    pub fn memory_bytes(&self) -> usize {
        unimplemented!()
    }

    /// The model that it runs on.
    pub fn model(&self) -> &Model {
        unimplemented!()
    }
}
