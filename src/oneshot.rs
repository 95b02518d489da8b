//! Whole recordings: streams that are given everything at once.

use crate::error::with_capacity;
use crate::kernels::{FlushDenormals, with_team};
use crate::model::{Half, MOST_STREAM_BYTES, Shape, threads};
use crate::stream::{Coder, Value};
use crate::{Decoder, Encoder, Error, Model, StreamError, StreamOptions};

/// Frames that a one-shot call works on at once: enough rows for the layers with the most weights,
/// and little enough memory for a long file.
pub(crate) const FRAMES: usize = 16;

impl Model {
    /// Codes that [`encode`](Self::encode) returns for `samples` samples.
    pub fn codes_for(&self, samples: usize, options: &StreamOptions) -> Result<usize, Error> {
        self.encoder()?;
        let codebooks = self.spec().stream_codebooks(options)?;
        Ok(samples.div_ceil(self.spec().stream_rates(options)?.frame()).saturating_mul(codebooks))
    }

    /// Samples that [`decode`](Self::decode) returns for `codes` codes.
    pub fn samples_for(&self, codes: usize, options: &StreamOptions) -> Result<usize, Error> {
        self.decoder()?;
        let codebooks = self.spec().stream_codebooks(options)?;
        if !codes.is_multiple_of(codebooks) {
            return Err(StreamError::PartialFrame { codes, codebooks }.into());
        }
        Ok((codes / codebooks).saturating_mul(self.spec().stream_rates(options)?.frame()))
    }

    /// Samples (any number, at the rate of `options`, mono) to codes, frame-major:
    /// `codes[frame * codebooks + k]`. A last partial frame is padded as `options.tail` says; no
    /// samples are no frames.
    pub fn encode(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<u32>, Error> {
        let mut codes = zeros(self.codes_for(pcm.len(), options)?)?;
        let written = self.encode_into(pcm, &mut codes, options)?;
        codes.truncate(written);
        Ok(codes)
    }

    /// [`encode`](Self::encode) to `codes`, of [`codes_for`](Self::codes_for) or more; returns how many were written.
    pub(crate) fn encode_into(
        &self,
        pcm: &[f32],
        codes: &mut [u32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let frames = pcm.len().div_ceil(self.spec().stream_rates(options)?.frame());
        let shape = self.one_shot_shape(&**self.encoder()?, frames, options)?;
        run::<u32, _>(Encoder::of_shape(self, options, shape)?, pcm, codes)
    }

    /// Whole frames of codes to a frame of samples each, at the rate of `options`.
    pub fn decode(&self, codes: &[u32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        let mut pcm = zeros(self.samples_for(codes.len(), options)?)?;
        let written = self.decode_into(codes, &mut pcm, options)?;
        pcm.truncate(written);
        Ok(pcm)
    }

    /// [`decode`](Self::decode) to `pcm`, of [`samples_for`](Self::samples_for) or more; returns how many were written.
    pub(crate) fn decode_into(
        &self,
        codes: &[u32],
        pcm: &mut [f32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let frames = codes.len() / self.spec().stream_codebooks(options)?;
        let shape = self.one_shot_shape(&**self.decoder()?, frames, options)?;
        run::<u32, _>(Decoder::of_shape(self, options, shape)?, codes, pcm)
    }

    /// Samples to latents, `[frames, latent_dim]`: what enters the quantizer, if there is one. The rest as for
    /// [`encode`](Self::encode).
    pub fn encode_latents(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        let frames = pcm.len().div_ceil(self.spec().stream_rates(options)?.frame());
        let shape = self.one_shot_shape(&**self.encoder()?, frames, options)?;
        let mut latents = zeros(frames.saturating_mul(self.spec().latent_dim))?;
        let written = run::<f32, _>(Encoder::of_shape(self, options, shape)?, pcm, &mut latents)?;
        latents.truncate(written);
        Ok(latents)
    }

    /// Whole frames of latents, `[frames, latent_dim]`, to a frame of samples each, at the rate of `options`: latents
    /// as they leave the quantizer, if there is one. NaN and infinity count as 0, and values are cut to ±1e5.
    pub fn decode_latents(&self, latents: &[f32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        let frames = latents.len() / self.spec().latent_dim;
        let shape = self.one_shot_shape(&**self.decoder()?, frames, options)?;
        let mut pcm = zeros(frames.saturating_mul(self.spec().stream_rates(options)?.frame()))?;
        let written = run::<f32, _>(Decoder::of_shape(self, options, shape)?, latents, &mut pcm)?;
        pcm.truncate(written);
        Ok(pcm)
    }

    /// The shape of a stream that is pushed `frames` frames at once. Without `max_block`, as many of them at a time as
    /// keep its memory within that of a stream.
    fn one_shot_shape(
        &self,
        half: &impl Half,
        frames: usize,
        options: &StreamOptions,
    ) -> Result<Shape, Error> {
        let mut shape = Shape { threads: threads(options)?, ..half.shape(self.spec(), options)? };
        if options.max_block.is_none() {
            let quantizer = self.quantizer().map(|quantizer| &**quantizer);
            shape.block = frames.clamp(1, FRAMES);
            while shape.block > 1 && half.cost(quantizer, self.spec(), shape)?.bytes > MOST_STREAM_BYTES {
                shape.block /= 2;
            }
        }
        Ok(shape)
    }
}

/// All of `input` through a new stream, and its end.
fn run<V: Value, C: Coder<V>>(
    mut coder: C,
    input: &[C::Input],
    output: &mut [C::Output],
) -> Result<usize, Error> {
    let _flush = FlushDenormals::new();
    let threads = coder.stream().shape.threads;
    let written = with_team(threads, |team| coder.process_with(input, output, team))?;
    Ok(written + coder.end(&mut output[written..])?)
}

fn zeros<T: Clone + Default>(len: usize) -> Result<Vec<T>, Error> {
    let mut values = with_capacity(len)?;
    values.resize(len, T::default());
    Ok(values)
}
