//! Mimi in candle tensors: the definition of the network that can be run.
//!
//! Whole recordings, one operation after the other, nothing fused or cached: this is what the
//! streaming engine is held against, for every [`Config`], and the way to candle's other devices
//! (features `cuda` and `metal`). Tensors are `[1, channels, steps]` in the convolutions and
//! `[1, steps, channels]` in the transformers; names are those of transformers' checkpoints.
//!
//! Recordings are minutes long and not hours: attention holds its scores whole, `[heads, steps, steps]` in f32,
//! several times over. With the published network, that is 72 MB for a minute and 7.2 GB for ten, each time.

mod layers;
mod weights;

use crate::error::NO_QUANTIZER;
use crate::{Checkpoint, Config, Error, ErrorKind, HalfConfig, PadMode, StreamOptions, Tail};
use candle_core::{Device, Tensor};
use candle_nn::Linear;
use layers::{
    Conv, ConvTranspose, Layer, Positions, ResidualVectorQuantizer, TransformerLayer, project, seanet,
};
use std::path::Path;
use weights::Weights;

/// A listener to the output of every layer: called with the layer's name and its output.
pub type Trace<'a> = dyn FnMut(&str, &Tensor) + 'a;

/// A loaded model on a candle device, with all codebooks, encoder and decoder.
pub struct Reference {
    config: Config,
    device: Device,
    encoder: Vec<Layer>,
    encoder_transformer: Vec<TransformerLayer>,
    downsample: Conv,
    /// The semantic branch, then the acoustic one.
    quantizer: Option<[ResidualVectorQuantizer; 2]>,
    projection: Option<Linear>,
    upsample: ConvTranspose,
    decoder_transformer: Vec<TransformerLayer>,
    decoder: Vec<Layer>,
}

impl Reference {
    /// Loads a file, a directory or an index of shards.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`] and [`Reference::new`].
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, Error> {
        Self::new(&Checkpoint::open(path.as_ref())?, device)
    }

    /// Copies the tensors of `checkpoint` to `device`.
    ///
    /// # Errors
    /// A tensor that is missing or has not the shape that the config asks for, and
    /// [`ErrorKind::Unsupported`] for what candle cannot do on this device.
    pub fn new(checkpoint: &Checkpoint<'_>, device: &Device) -> Result<Self, Error> {
        let config = checkpoint.config().clone();
        let weights = Weights { checkpoint, device };
        let (encoder, decoder) = (config.encoder_half(), config.decoder_half());
        let (ratios, stride) = (&config.upsampling_ratios, config.latent_stride);
        let downsample_shape = [config.encoder_latents(), encoder.hidden_size, 2 * stride];
        let width = decoder.hidden_size;
        let upsample_shape = [width, width / config.upsample_groups, 2 * stride];
        Ok(Self {
            encoder: weights.seanet_encoder(&encoder, ratios)?,
            encoder_transformer: weights.transformer("encoder_transformer", &encoder)?,
            downsample: Conv {
                weight: weights.get("downsample.conv.weight", &downsample_shape)?,
                bias: None,
                stride,
                dilation: 1,
                pad_mode: PadMode::Replicate,
            },
            quantizer: match config.continuous {
                None => Some(weights.quantizer(&config)?),
                Some(_) => None,
            },
            projection: weights.projection(&config)?,
            upsample: ConvTranspose {
                weight: weights.get("upsample.conv.weight", &upsample_shape)?,
                bias: None,
                stride,
                groups: config.upsample_groups,
            },
            decoder_transformer: weights.transformer("decoder_transformer", &decoder)?,
            decoder: weights.seanet_decoder(&decoder, ratios)?,
            device: device.clone(),
            config,
        })
    }

    /// The network's numbers.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Audio in, codes out, frame-major: `codes[frame * codebooks + k]`. Samples that are not
    /// finite count as 0. `options.max_block` has no meaning here.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for options that the model does not have, and
    /// [`ErrorKind::Unsupported`] for a model without a quantizer, for another sample rate than the model's, for a
    /// number of threads, and for what candle cannot do on this device.
    pub fn encode(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<u32>, Error> {
        self.encode_with(pcm, options, &mut |_, _| {})
    }

    /// As [`Reference::encode`], and shows every layer's output to `trace`. A codebook
    /// (`quantizer.….layers.N.codebook`) shows the squared distances of what it quantizes to its
    /// entries, `[frames, codebook_size]`.
    ///
    /// # Errors
    /// Those of [`Reference::encode`].
    pub fn encode_with(
        &self,
        pcm: &[f32],
        options: &StreamOptions,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<u32>, Error> {
        let ([semantic, acoustic], codebooks) = self.quantizer(options)?;
        let Some(z) = self.latents(pcm, options, trace)? else { return Ok(Vec::new()) };
        // both branches see the same latents
        let first = codebooks.min(semantic.codebooks.len());
        let mut codes = semantic.encode(&z, first, trace)?;
        codes.extend(acoustic.encode(&z, codebooks - first, trace)?);
        Ok(Tensor::stack(&codes, 1)?.flatten_all()?.to_vec1()?)
    }

    /// Audio in, latents out, `[frames, latent_dim]`: what enters the quantizer, if there is one.
    ///
    /// # Errors
    /// Those of [`Reference::encode`], but a quantizer is not needed.
    pub fn encode_latents(&self, pcm: &[f32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        match self.latents(pcm, options, &mut |_, _| {})? {
            Some(z) => Ok(z.flatten_all()?.to_vec1()?),
            None => Ok(Vec::new()),
        }
    }

    /// `[frames, latent_dim]`; `None` if there are no samples.
    fn latents(
        &self,
        pcm: &[f32],
        options: &StreamOptions,
        trace: &mut Trace<'_>,
    ) -> Result<Option<Tensor>, Error> {
        let half = self.config.encoder_half();
        let context = self.context(options, &half)?;
        if pcm.is_empty() {
            return Ok(None);
        }
        let mut pcm: Vec<f32> = pcm.iter().map(|&x| if x.is_finite() { x } else { 0.0 }).collect();
        if options.tail == Tail::AudioPad {
            pcm.resize(pcm.len().next_multiple_of(self.config.frame_size()), 0.0);
        }
        let samples = pcm.len();
        let x = Tensor::from_vec(pcm, (1, 1, samples), &self.device)?;
        let x = seanet(&self.encoder, "encoder", x, trace)?;
        let name = "encoder_transformer";
        let x = self.transform(&self.encoder_transformer, name, &half, &x, context, trace)?;
        let z = self.downsample.forward(&x)?;
        trace("downsample", &z);
        Ok(Some(z.squeeze(0)?.t()?.contiguous()?))
    }

    /// Codes in, audio out: `frame_size` samples per frame. `options.tail` and
    /// `options.max_block` have no meaning here.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for options that the model does not have and for codes that
    /// are no whole frames, [`ErrorKind::Corrupt`] for a code that the codebooks do not have, and
    /// [`ErrorKind::Unsupported`] for a model without a quantizer, for another sample rate than the model's, for a
    /// number of threads, and for what candle cannot do on this device.
    pub fn decode(&self, codes: &[u32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        self.decode_with(codes, options, &mut |_, _| {})
    }

    /// As [`Reference::decode`], and shows every layer's output to `trace`.
    ///
    /// # Errors
    /// Those of [`Reference::decode`].
    pub fn decode_with(
        &self,
        codes: &[u32],
        options: &StreamOptions,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, Error> {
        let ([semantic, acoustic], codebooks) = self.quantizer(options)?;
        let size = self.config.codebook_size;
        if !codes.len().is_multiple_of(codebooks) {
            let message =
                format!("{} codes are no whole number of frames of {codebooks} codebooks", codes.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if let Some(index) = codes.iter().position(|&code| code as usize >= size) {
            let message = format!("codes[{index}] is {}; codes are below {size}", codes[index]);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        self.context(options, &self.config.decoder_half())?;
        if codes.is_empty() {
            return Ok(Vec::new());
        }
        let codes = Tensor::from_slice(codes, (codes.len() / codebooks, codebooks), &self.device)?;
        let first = codebooks.min(semantic.codebooks.len());
        let mut z = semantic.decode(&codes.narrow(1, 0, first)?)?;
        if codebooks > first {
            z = (z + acoustic.decode(&codes.narrow(1, first, codebooks - first)?)?)?;
        }
        self.audio(&z, options, trace)
    }

    /// Latents in, `[frames, latent_dim]`, as they leave the quantizer, if there is one; audio out. Values that are not
    /// finite count as 0.
    ///
    /// # Errors
    /// Those of [`Reference::decode`], but a quantizer is not needed.
    pub fn decode_latents(&self, latents: &[f32], options: &StreamOptions) -> Result<Vec<f32>, Error> {
        let dim = self.config.latent_dim();
        self.context(options, &self.config.decoder_half())?;
        if !latents.len().is_multiple_of(dim) {
            let message =
                format!("{} values are no whole number of latents of {dim} dimensions", latents.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if latents.is_empty() {
            return Ok(Vec::new());
        }
        let latents: Vec<f32> = latents.iter().map(|&x| if x.is_finite() { x } else { 0.0 }).collect();
        let frames = latents.len() / dim;
        let z = Tensor::from_vec(latents, (frames, dim), &self.device)?;
        self.audio(&z, options, &mut |_, _| {})
    }

    /// From `[frames, latent_dim]` to samples.
    fn audio(&self, z: &Tensor, options: &StreamOptions, trace: &mut Trace<'_>) -> Result<Vec<f32>, Error> {
        let half = self.config.decoder_half();
        let context = self.context(options, &half)?;
        let z = project(&self.projection, z)?;
        let x = self.upsample.forward(&z.t()?.unsqueeze(0)?.contiguous()?)?;
        trace("upsample", &x);
        let name = "decoder_transformer";
        let x = self.transform(&self.decoder_transformer, name, &half, &x, context, trace)?;
        let audio = seanet(&self.decoder, "decoder", x, trace)?;
        Ok(audio.flatten_all()?.to_vec1()?)
    }

    /// The branches of the quantizer, and how many codebooks are asked for.
    fn quantizer(&self, options: &StreamOptions) -> Result<(&[ResidualVectorQuantizer; 2], usize), Error> {
        let Some(quantizer) = &self.quantizer else {
            return Err(Error::new(ErrorKind::Unsupported, NO_QUANTIZER));
        };
        let all = self.config.num_quantizers;
        let codebooks = options.codebooks.unwrap_or(all.min(self.config.default_codebooks.unwrap_or(8)));
        if !(1..=all).contains(&codebooks) {
            let message = format!("codebooks is {codebooks}; the model has 1 to {all}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok((quantizer, codebooks))
    }

    /// The attention window of a half; refuses options that are not for the reference.
    fn context(&self, options: &StreamOptions, half: &HalfConfig) -> Result<usize, Error> {
        let context = options.context.unwrap_or(half.sliding_window);
        if context == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "context is 0; a step attends at least to itself",
            ));
        }
        let own = self.config.sampling_rate;
        if let Some(rate) = options.sample_rate.filter(|&rate| rate != own) {
            let message =
                format!("sample_rate is {rate} Hz; the reference takes {own} Hz, the model's, alone");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if let Some(threads) = options.threads {
            let message = format!(
                "threads is {threads}; the reference works on candle's threads, whose number is no option"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(context)
    }

    /// Transformer layers over convolution layout, `[1, channels, steps]` to the same.
    fn transform(
        &self,
        layers: &[TransformerLayer],
        name: &str,
        half: &HalfConfig,
        x: &Tensor,
        context: usize,
        trace: &mut Trace<'_>,
    ) -> Result<Tensor, Error> {
        let mut x = x.transpose(1, 2)?.contiguous()?;
        let positions = Positions::new(half, x.dim(1)?, context, &self.device)?;
        for (index, layer) in layers.iter().enumerate() {
            x = layer.forward(&x, &positions, half)?;
            trace(&format!("{name}.layers.{index}"), &x);
        }
        Ok(x.transpose(1, 2)?.contiguous()?)
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::new(ErrorKind::Unsupported, format!("candle: {error}"))
    }
}
