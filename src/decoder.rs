//! One stream of codes to audio.

use crate::{Error, Model, StreamError, StreamOptions};

/// One stream of codes to audio.
pub struct Decoder {}

impl Decoder {
    /// A new stream on `model`, which it keeps alive.
    pub fn new(_model: &Model, _options: &StreamOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// A fork of this stream, at the same point, with the same options.
    pub fn try_clone(&self) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Samples that `process` would write for `codes` more codes.
    pub fn samples_for(&self, _codes: usize) -> usize {
        unimplemented!()
    }

    /// Takes whole frames of codes, writes `frame_size` samples for each, and returns how many
    /// samples were written.
    pub fn process(&mut self, _codes: &[u32], _pcm: &mut [f32]) -> Result<usize, StreamError> {
        unimplemented!()
    }

    /// Samples that `flush` would write.
    pub fn samples_for_flush(&self) -> usize {
        unimplemented!()
    }

    /// Ends the stream. The next `process` begins a new one.
    pub fn flush(&mut self, _pcm: &mut [f32]) -> Result<usize, StreamError> {
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

    /// Frames taken since the stream began.
    pub fn frames(&self) -> u64 {
        unimplemented!()
    }

    /// Hash of the codes taken since the stream began.
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
