//! What stands between encoder and decoder: codes, or the latents that become codes in the quantizer.

use mimi::{Decoder, Encoder, Spec, StreamError};

/// Codes are `u32`, latents `f32`.
pub(crate) trait Value: Copy + Default {
    /// How many are in a frame, of streams with so many codebooks.
    fn in_frame(spec: &Spec, codebooks: usize) -> usize;

    /// How many `samples` more samples give.
    fn encoded(encoder: &Encoder, samples: usize) -> usize;

    fn encode(encoder: &mut Encoder, pcm: &[f32], values: &mut [Self]) -> Result<usize, StreamError>;

    /// How many the end of a stream gives.
    fn left(encoder: &Encoder) -> usize;

    fn flush(encoder: &mut Encoder, values: &mut [Self]) -> Result<usize, StreamError>;

    fn decode(decoder: &mut Decoder, values: &[Self], pcm: &mut [f32]) -> Result<usize, StreamError>;
}

impl Value for u32 {
    fn in_frame(_: &Spec, codebooks: usize) -> usize {
        codebooks
    }

    fn encoded(encoder: &Encoder, samples: usize) -> usize {
        encoder.codes_for(samples)
    }

    fn encode(encoder: &mut Encoder, pcm: &[f32], codes: &mut [u32]) -> Result<usize, StreamError> {
        encoder.process(pcm, codes)
    }

    fn left(encoder: &Encoder) -> usize {
        encoder.codes_for_flush()
    }

    fn flush(encoder: &mut Encoder, codes: &mut [u32]) -> Result<usize, StreamError> {
        encoder.flush(codes)
    }

    fn decode(decoder: &mut Decoder, codes: &[u32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        decoder.process(codes, pcm)
    }
}

impl Value for f32 {
    fn in_frame(spec: &Spec, _: usize) -> usize {
        spec.latent_dim
    }

    fn encoded(encoder: &Encoder, samples: usize) -> usize {
        encoder.latents_for(samples)
    }

    fn encode(encoder: &mut Encoder, pcm: &[f32], latents: &mut [f32]) -> Result<usize, StreamError> {
        encoder.process_latents(pcm, latents)
    }

    fn left(encoder: &Encoder) -> usize {
        encoder.latents_for_flush()
    }

    fn flush(encoder: &mut Encoder, latents: &mut [f32]) -> Result<usize, StreamError> {
        encoder.flush_latents(latents)
    }

    fn decode(decoder: &mut Decoder, latents: &[f32], pcm: &mut [f32]) -> Result<usize, StreamError> {
        decoder.process_latents(latents, pcm)
    }
}
