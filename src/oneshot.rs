//! Whole recordings: streams that are given everything at once.

use crate::error::with_capacity;
use crate::kernels::{FlushDenormals, with_team};
use crate::model::{Half, MOST_STREAM_BYTES, Shape, threads};
use crate::stream::{Frames, Input, Output, Streaming, Value};
use crate::{Decoder, Encoder, Error, Model, Spec, StreamOptions};

/// Frames that a one-shot call works on at once: enough rows for the layers with the most weights,
/// and little enough memory for a long file.
pub(crate) const FRAMES: usize = 16;

/// A value that calls for whole recordings take and give.
pub(crate) trait Whole: Value + Default {
    /// How many are in a frame.
    fn width(spec: &Spec, options: &StreamOptions) -> Result<usize, Error>;
}

impl Whole for u32 {
    fn width(spec: &Spec, options: &StreamOptions) -> Result<usize, Error> {
        spec.stream_codebooks(options)
    }
}

impl Whole for f32 {
    fn width(spec: &Spec, _: &StreamOptions) -> Result<usize, Error> {
        Ok(spec.latent_dim)
    }
}

impl Model {
    /// Codes that [`encode`](Self::encode) returns for `samples` samples.
    pub fn codes_for(&self, samples: usize, options: &StreamOptions) -> Result<usize, Error> {
        self.values_for::<u32>(samples, options)
    }

    /// Values that [`encode_latents`](Self::encode_latents) returns for `samples` samples.
    pub fn latents_for(&self, samples: usize, options: &StreamOptions) -> Result<usize, Error> {
        self.values_for::<f32>(samples, options)
    }

    fn values_for<V: Whole>(&self, samples: usize, options: &StreamOptions) -> Result<usize, Error> {
        let encoder = &**self.encoder()?;
        let width = V::width(self.spec(), options)?;
        let frames = samples.div_ceil(self.spec().stream_rates(options)?.frame());
        options_of_one_shot(encoder, self.spec(), options)?;
        Ok(frames.saturating_mul(width))
    }

    /// Samples that [`decode`](Self::decode) returns for `codes` codes.
    pub fn samples_for(&self, codes: usize, options: &StreamOptions) -> Result<usize, Error> {
        self.samples_of::<u32>(codes, options)
    }

    /// Samples that [`decode_latents`](Self::decode_latents) returns for `values` values.
    pub fn samples_for_latents(&self, values: usize, options: &StreamOptions) -> Result<usize, Error> {
        self.samples_of::<f32>(values, options)
    }

    fn samples_of<V: Whole>(&self, values: usize, options: &StreamOptions) -> Result<usize, Error> {
        let decoder = &**self.decoder()?;
        let frames = self.whole_frames::<V>(values, options)?;
        let samples = frames.saturating_mul(self.spec().stream_rates(options)?.frame());
        options_of_one_shot(decoder, self.spec(), options)?;
        Ok(samples)
    }

    /// How many frames so many values are.
    pub(crate) fn whole_frames<V: Whole>(
        &self,
        values: usize,
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        Ok(V::whole_frames(values, V::width(self.spec(), options)?)?)
    }

    /// Samples (any number, at the rate of `options`, mono) to codes, frame-major:
    /// `codes[frame * codebooks + k]`. A last partial frame is padded as `options.tail` says; no
    /// samples are no frames.
    pub fn encode(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<u32>, Error> {
        filled(self.codes_for(pcm.len(), options)?, |codes| self.encode_into(pcm, codes, options))
    }

    /// Samples to latents, `[frames, latent_dim]`: what enters the quantizer, if there is one. The rest as for
    /// [`encode`](Self::encode).
    pub fn encode_latents(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        filled(self.latents_for(pcm.len(), options)?, |latents| self.encode_into(pcm, latents, options))
    }

    /// Encodes to codes or latents, of which there is room for all; returns how many were written.
    pub(crate) fn encode_into<V: Whole>(
        &self,
        pcm: &[f32],
        values: &mut [V],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let frames = pcm.len().div_ceil(self.spec().stream_rates(options)?.frame());
        let shape = self.one_shot_shape(&**self.encoder()?, frames, options)?;
        run::<V, _>(Encoder::of_shape(self, options, shape)?, pcm, values)
    }

    /// Whole frames of codes to a frame of samples each, at the rate of `options`.
    pub fn decode(&self, codes: &[u32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        filled(self.samples_for(codes.len(), options)?, |pcm| self.decode_into(codes, pcm, options))
    }

    /// Whole frames of latents, `[frames, latent_dim]`, to a frame of samples each, at the rate of `options`: latents
    /// as they leave the quantizer, if there is one. NaN and infinity count as 0, and values are cut to ±1e5.
    pub fn decode_latents(&self, latents: &[f32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        filled(self.samples_for_latents(latents.len(), options)?, |pcm| {
            self.decode_into(latents, pcm, options)
        })
    }

    /// Decodes codes or latents to `pcm`, where there is room for all; returns how many samples were written.
    pub(crate) fn decode_into<V: Whole>(
        &self,
        values: &[V],
        pcm: &mut [f32],
        options: &StreamOptions,
    ) -> Result<usize, Error> {
        let frames = self.whole_frames::<V>(values.len(), options)?;
        let shape = self.one_shot_shape(&**self.decoder()?, frames, options)?;
        run::<V, _>(Decoder::of_shape(self, options, shape)?, values, pcm)
    }

    /// The shape of a stream that is pushed `frames` frames at once. Without `max_block`, as many of them at a time as
    /// keep its memory within that of a stream.
    fn one_shot_shape(
        &self,
        half: &impl Half,
        frames: usize,
        options: &StreamOptions,
    ) -> Result<Shape, Error> {
        let mut shape = options_of_one_shot(half, self.spec(), options)?;
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

/// The shape that options ask for, of a stream whose work threads may share.
fn options_of_one_shot(half: &impl Half, spec: &Spec, options: &StreamOptions) -> Result<Shape, Error> {
    Ok(Shape { threads: threads(options.threads)?, ..half.shape(spec, options)? })
}

/// All of `input` through a new stream, and its end.
fn run<V: Value, C: Streaming<Direction: Frames<V>>>(
    mut coder: C,
    input: &[Input<C, V>],
    output: &mut [Output<C, V>],
) -> Result<usize, Error> {
    let _flush = FlushDenormals::new();
    let stream = coder.stream_mut();
    let written = with_team(stream.shape.threads, |team| stream.process(input, output, team))?;
    Ok(written + Frames::end(stream, &mut output[written..])?)
}

/// A list of `len` values, of which `fill` tells how many it wrote.
pub(crate) fn filled<T: Clone + Default>(
    len: usize,
    fill: impl FnOnce(&mut [T]) -> Result<usize, Error>,
) -> Result<Vec<T>, Error> {
    let mut values = with_capacity(len)?;
    values.resize(len, T::default());
    let written = fill(&mut values)?;
    values.truncate(written);
    Ok(values)
}
