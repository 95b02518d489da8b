//! The network's tensors: name, shape and kind of each, in transformers' layout.
//!
//! A network is two halves and a quantizer. Each half has its own numbers ([`Half`]), taken from the config in one
//! place, so that halves may differ. The numbers give the layers, and the layers give their tensors. The loader walks
//! the layers, and [`Config::tensors`] lists the tensors of them all.

mod quantizer;
mod seanet;
mod transformer;

pub(crate) use quantizer::{Branch, Quantizer};
pub(crate) use seanet::{Seanet, Stage};
pub(crate) use transformer::{Norm, Transformer, TransformerLayer};

use crate::{Config, PadMode, Parts};

/// A tensor that a network has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorSpec {
    /// Its name in transformers' layout.
    pub name: String,
    /// Its shape in transformers' layout.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: TensorKind,
    /// The halves of the network that use it. Those of the quantizer belong to both, and the projection from latents to
    /// the decoder's width to the decoder.
    pub parts: Parts,
}

/// What a tensor is, and what its dimensions mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorKind {
    /// Weight of a convolution: `[outputs, inputs, taps]`.
    ConvWeight,
    /// Bias of a convolution: `[outputs]`.
    ConvBias,
    /// Weight of a transposed convolution: `[inputs, outputs / groups, taps]`.
    TransposedWeight {
        /// Groups of channels. Each output sees the inputs of its own group.
        groups: usize,
    },
    /// Bias of a transposed convolution: `[outputs]`.
    TransposedBias,
    /// Weight of a linear layer: `[outputs, inputs]`.
    LinearWeight,
    /// Bias of a linear layer: `[outputs]`.
    LinearBias,
    /// Weight of a layer norm: `[channels]`.
    NormWeight,
    /// Bias of a layer norm: `[channels]`.
    NormBias,
    /// Factors of a residual branch: `[channels]`.
    LayerScale,
    /// The sum of the vectors that each code word stood for in training: `[words, dimensions]`.
    CodeWordSums,
    /// The number of those vectors: `[words]`. A code word is its sum divided by its number.
    ClusterUsage,
    /// Whether training has filled the codebook: `[1]`. This library does not read it, and a file may lack it.
    CodebookFlag,
}

impl Config {
    /// All tensors of the network. `projected` says whether the quantizer, if there is one, has projections. It must
    /// have them if `codebook_dim` and `hidden_size` differ. If these are equal, kyutai's networks have them and others
    /// do not; [`Checkpoint::tensors`] looks into the file.
    ///
    /// [`Checkpoint::tensors`]: crate::Checkpoint::tensors
    ///
    /// # Panics
    /// It may panic if [`validate`](Self::validate) refuses the config.
    pub fn tensors(&self, projected: bool) -> Vec<TensorSpec> {
        let mut tensors = Vec::new();
        Half::new(self, Side::Encoder).list(&mut tensors);
        if self.continuous.is_none() {
            Quantizer::new(self, projected).list(&mut tensors);
        }
        Half::new(self, Side::Decoder).list(&mut tensors);
        tensors
    }
}

/// Encoder or decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Encoder,
    Decoder,
}

impl Side {
    /// The beginning of its modules' names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }

    fn parts(self) -> Parts {
        match self {
            Self::Encoder => Parts::Encoder,
            Self::Decoder => Parts::Decoder,
        }
    }
}

/// The numbers of a half. The other half's may differ.
#[derive(Debug)]
pub(crate) struct Half<'c> {
    pub(crate) seanet: Seanet<'c>,
    pub(crate) transformer: Transformer,
    /// Changes between the SEANet rate and the frame rate.
    pub(crate) resampler: Convolution,
    /// From latents to the decoder's width.
    pub(crate) projection: Option<Linear>,
}

impl Half<'_> {
    /// Samples in a frame.
    pub(crate) fn frame(&self) -> usize {
        self.seanet.stages().map(|stage| stage.resampler.stride).product::<usize>() * self.resampler.stride
    }
}

impl<'c> Half<'c> {
    pub(crate) fn new(config: &'c Config, side: Side) -> Self {
        let (half, resampler, projection) = match side {
            Side::Encoder => (config.encoder_half(), downsampler(config), None),
            Side::Decoder => (config.decoder_half(), upsampler(config), projection(config)),
        };
        let seanet = Seanet::new(&half, &config.upsampling_ratios, side);
        Self { seanet, transformer: Transformer::new(&half, side), resampler, projection }
    }

    fn list(&self, tensors: &mut Vec<TensorSpec>) {
        self.seanet.list(tensors);
        self.transformer.list(tensors);
        self.resampler.list(tensors);
        self.projection.iter().for_each(|projection| projection.list(tensors));
    }
}

fn downsampler(config: &Config) -> Convolution {
    let (width, stride) = (config.hidden_size, config.latent_stride);
    Convolution {
        name: "downsample.conv".to_owned(),
        parts: Parts::Encoder,
        shape: [config.encoder_latents(), width, 2 * stride],
        stride,
        dilation: 1,
        pad_mode: PadMode::Replicate,
        transposed: false,
        groups: 1,
        bias: false,
    }
}

fn upsampler(config: &Config) -> Convolution {
    let width = config.decoder_half().hidden_size;
    let (stride, groups) = (config.latent_stride, config.upsample_groups);
    Convolution {
        name: "upsample.conv".to_owned(),
        parts: Parts::Decoder,
        shape: [width, width / groups, 2 * stride],
        stride,
        dilation: 1,
        pad_mode: PadMode::Constant,
        transposed: true,
        groups,
        bias: false,
    }
}

fn projection(config: &Config) -> Option<Linear> {
    config.projects_latents().then(|| Linear {
        name: "quantizer.output_proj".to_owned(),
        parts: Parts::Decoder,
        shape: [config.decoder_half().hidden_size, config.latent_dim()],
        one_tap: true,
        bias: false,
    })
}

/// A convolution, plain or transposed.
#[derive(Debug)]
pub(crate) struct Convolution {
    /// Stands before `.weight` and `.bias`.
    name: String,
    parts: Parts,
    /// The weight's: `[outputs, inputs, taps]`, or `[inputs, outputs / groups, taps]` if transposed.
    pub(crate) shape: [usize; 3],
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// How a plain convolution is padded.
    pub(crate) pad_mode: PadMode,
    pub(crate) transposed: bool,
    /// Groups of channels; one if not transposed.
    pub(crate) groups: usize,
    bias: bool,
}

impl Convolution {
    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        if self.transposed { self.shape[1] * self.groups } else { self.shape[0] }
    }

    pub(crate) fn weight(&self) -> TensorSpec {
        let kind = match self.transposed {
            false => TensorKind::ConvWeight,
            true => TensorKind::TransposedWeight { groups: self.groups },
        };
        tensor(format!("{}.weight", self.name), &self.shape, kind, self.parts)
    }

    pub(crate) fn bias(&self) -> Option<TensorSpec> {
        let kind = if self.transposed { TensorKind::TransposedBias } else { TensorKind::ConvBias };
        self.bias.then(|| tensor(format!("{}.bias", self.name), &[self.outputs()], kind, self.parts))
    }

    fn list(&self, tensors: &mut Vec<TensorSpec>) {
        tensors.push(self.weight());
        tensors.extend(self.bias());
    }
}

/// A linear layer.
#[derive(Debug)]
pub(crate) struct Linear {
    /// Stands before `.weight` and `.bias`.
    name: String,
    parts: Parts,
    /// `[outputs, inputs]`.
    pub(crate) shape: [usize; 2],
    /// The checkpoint has it as a convolution of one tap.
    one_tap: bool,
    bias: bool,
}

impl Linear {
    pub(crate) fn weight(&self) -> TensorSpec {
        let [outputs, inputs] = self.shape;
        let name = format!("{}.weight", self.name);
        match self.one_tap {
            true => tensor(name, &[outputs, inputs, 1], TensorKind::ConvWeight, self.parts),
            false => tensor(name, &self.shape, TensorKind::LinearWeight, self.parts),
        }
    }

    pub(crate) fn bias(&self) -> Option<TensorSpec> {
        let name = || format!("{}.bias", self.name);
        self.bias.then(|| tensor(name(), &self.shape[..1], TensorKind::LinearBias, self.parts))
    }

    fn list(&self, tensors: &mut Vec<TensorSpec>) {
        tensors.push(self.weight());
        tensors.extend(self.bias());
    }
}

fn tensor(name: String, shape: &[usize], kind: TensorKind, parts: Parts) -> TensorSpec {
    TensorSpec { name, shape: shape.to_vec(), kind, parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HalfConfig;

    /// `tests/data/golden/full/tensors.tsv` has name, shape and digest of each, as transformers has them.
    #[test]
    fn the_published_network_has_the_tensors_that_transformers_has() {
        let listing = include_str!("../../tests/data/golden/full/tensors.tsv");
        let mut expected: Vec<(String, String)> = listing
            .lines()
            .skip(1)
            .map(|line| line.split('\t').map(str::to_owned))
            .map(|mut fields| (fields.next().unwrap(), fields.next().unwrap()))
            .collect();
        let shown = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut found: Vec<_> = Config::published()
            .tensors(true)
            .into_iter()
            .map(|tensor| (tensor.name, shown(&tensor.shape)))
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    /// `tests/data/golden/pocket-full/tensors.tsv` has name, shape and digest of each, in the layout of its files.
    #[test]
    fn pocket_tts_has_as_many_values_as_its_files() {
        let listing = include_str!("../../tests/data/golden/pocket-full/tensors.tsv");
        let shapes = listing.lines().filter(|line| line.starts_with("mimi.")).map(|line| {
            let shape = line.split('\t').nth(1).unwrap().trim_matches(['[', ']']);
            shape.split(", ").map(|n| n.parse::<usize>().unwrap()).product::<usize>()
        });
        let tensors = Config::pocket_tts().tensors(false);
        let found = tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>());
        assert_eq!(found.sum::<usize>(), shapes.sum::<usize>());
    }

    #[test]
    fn halves_have_their_own_numbers() {
        let config = Config::published();
        let half =
            HalfConfig { hidden_size: 256, num_hidden_layers: 1, num_filters: 32, ..config.encoder_half() };
        let config = Config { decoder: Some(half), upsample_groups: 256, ..config };
        let tensors = config.tensors(true);
        let shape =
            |name: &str| tensors.iter().find(|tensor| tensor.name == name).map(|t| t.shape.as_slice());
        assert_eq!(shape("downsample.conv.weight"), Some(&[512, 512, 4][..]));
        assert_eq!(shape("quantizer.output_proj.weight"), Some(&[256, 512, 1][..]));
        assert_eq!(shape("upsample.conv.weight"), Some(&[256, 1, 4][..]));
        assert_eq!(shape("encoder.layers.0.conv.weight"), Some(&[64, 1, 7][..]));
        assert_eq!(shape("decoder.layers.0.conv.weight"), Some(&[512, 256, 7][..]));
        assert_eq!(shape("encoder_transformer.layers.7.mlp.fc1.weight"), Some(&[2048, 512][..]));
        assert_eq!(shape("decoder_transformer.layers.0.mlp.fc1.weight"), Some(&[2048, 256][..]));
        assert_eq!(shape("decoder_transformer.layers.1.mlp.fc1.weight"), None);
    }

    #[test]
    fn a_tensor_belongs_to_the_half_that_its_name_says() {
        let of_encoder = ["encoder.", "encoder_transformer.", "downsample."];
        let of_decoder = ["decoder.", "decoder_transformer.", "upsample."];
        for TensorSpec { name, parts, .. } in Config::published().tensors(true) {
            let starts = |modules: [&str; 3]| modules.iter().any(|module| name.starts_with(module));
            let expected = match (starts(of_encoder), starts(of_decoder)) {
                (true, false) => Parts::Encoder,
                (false, true) => Parts::Decoder,
                _ => Parts::Both,
            };
            assert_eq!(parts, expected, "{name}");
            assert_eq!(parts == Parts::Both, name.starts_with("quantizer."), "{name}");
        }
    }
}
