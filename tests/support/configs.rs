//! Random networks: small ones, from everywhere in the space of configs that are run.

use super::synth;
use mimi::{Activation, Config, HalfConfig, PadMode};
use proptest::prelude::*;
use proptest::sample::select;

/// A network's numbers, and what they leave open.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) config: Config,
    /// The file has projections around the quantizer also between equal dimensions.
    projected: bool,
}

impl Network {
    /// Without projections between equal dimensions.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, projected: false }
    }

    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        match self.projected {
            true => synth::projected_checkpoint(&self.config),
            false => synth::checkpoint(&self.config),
        }
    }
}

/// Any network, small enough to run in milliseconds: with halves alike or not, with a quantizer or not.
pub(crate) fn any_network() -> impl Strategy<Value = Network> {
    (any_config(), any::<bool>()).prop_map(|(config, projected)| Network { config, projected })
}

fn any_config() -> impl Strategy<Value = Config> {
    let decoder = prop::option::of((seanet(), transformer(), 8..=24usize));
    let continuous = prop::option::weighted(0.4, 1..=20usize);
    (seanet(), transformer(), quantizer(), resampling(), decoder, continuous).prop_map(
        |(seanet, transformer, quantizer, resampling, decoder, continuous)| {
            let (codebook_dim, codebook_size, num_quantizers, num_semantic_quantizers) = quantizer;
            let (sampling_rate, latent_stride, upsample_groups, channels) = resampling;
            let width = upsample_groups * channels;
            // the groups are those of the decoder's up-sampler
            let hidden_size = decoder.as_ref().map_or(width, |(_, _, encoder_width)| *encoder_width);
            let decoder = decoder.map(|(seanet, transformer, _)| half(&seanet, &transformer, width));
            // the codebooks are as wide as the network: there need be no projections
            let codebook_dim = codebook_dim.unwrap_or(hidden_size);
            let half = half(&seanet, &transformer, hidden_size);
            let config = Config {
                sampling_rate,
                decoder,
                continuous,
                upsample_groups,
                latent_stride,
                upsampling_ratios: seanet.upsampling_ratios,
                codebook_size,
                codebook_dim,
                vector_quantization_hidden_dimension: codebook_dim,
                num_quantizers,
                num_semantic_quantizers,
                ..with_half(half)
            };
            match continuous {
                None => config,
                Some(_) => Config {
                    codebook_size: 0,
                    codebook_dim: 0,
                    vector_quantization_hidden_dimension: 0,
                    num_quantizers: 0,
                    num_semantic_quantizers: 0,
                    ..config
                },
            }
        },
    )
}

/// A half of this SEANet, this transformer and this width.
fn half(seanet: &Config, transformer: &Config, hidden_size: usize) -> HalfConfig {
    HalfConfig {
        hidden_size,
        num_hidden_layers: transformer.num_hidden_layers,
        intermediate_size: transformer.intermediate_size,
        num_attention_heads: transformer.num_attention_heads,
        num_key_value_heads: transformer.num_key_value_heads,
        head_dim: transformer.head_dim,
        hidden_act: transformer.hidden_act,
        norm_eps: transformer.norm_eps,
        rope_theta: transformer.rope_theta,
        sliding_window: transformer.sliding_window,
        attention_bias: transformer.attention_bias,
        ..seanet.encoder_half()
    }
}

/// The published network with another encoder.
fn with_half(half: HalfConfig) -> Config {
    Config {
        hidden_size: half.hidden_size,
        num_filters: half.num_filters,
        num_residual_layers: half.num_residual_layers,
        kernel_size: half.kernel_size,
        last_kernel_size: half.last_kernel_size,
        residual_kernel_size: half.residual_kernel_size,
        dilation_growth_rate: half.dilation_growth_rate,
        pad_mode: half.pad_mode,
        compress: half.compress,
        use_conv_shortcut: half.use_conv_shortcut,
        num_hidden_layers: half.num_hidden_layers,
        intermediate_size: half.intermediate_size,
        num_attention_heads: half.num_attention_heads,
        num_key_value_heads: half.num_key_value_heads,
        head_dim: half.head_dim,
        hidden_act: half.hidden_act,
        norm_eps: half.norm_eps,
        rope_theta: half.rope_theta,
        sliding_window: half.sliding_window,
        attention_bias: half.attention_bias,
        ..Config::published()
    }
}

/// The published network with another SEANet.
fn seanet() -> impl Strategy<Value = Config> {
    let kernels = (1..=8usize, 1..=5usize, 1..=4usize);
    let blocks = (1..=3usize, 1..=3usize, 1..=3usize, 1..=4usize, any::<bool>());
    let pad_mode = select(vec![PadMode::Constant, PadMode::Replicate]);
    let ratios = prop::collection::vec(1..=5usize, 1..=3);
    (kernels, blocks, pad_mode, ratios).prop_map(|(kernels, blocks, pad_mode, upsampling_ratios)| {
        let (kernel_size, last_kernel_size, residual_kernel_size) = kernels;
        let (num_residual_layers, dilation_growth_rate, compress, width, use_conv_shortcut) = blocks;
        Config {
            num_filters: compress * width,
            num_residual_layers,
            upsampling_ratios,
            kernel_size,
            last_kernel_size,
            residual_kernel_size,
            dilation_growth_rate,
            pad_mode,
            compress,
            use_conv_shortcut,
            ..Config::published()
        }
    })
}

/// The published network with other transformers.
fn transformer() -> impl Strategy<Value = Config> {
    let heads = (1..=3usize, 1..=3usize, 1..=4usize, any::<bool>());
    let sizes = (1..=3usize, 1..=40usize, 1..=12usize);
    let hidden_act = select(vec![Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu]);
    let numbers = (select(vec![1e-6, 1e-5, 1e-3]), select(vec![1.0, 100.0, 500.0, 10_000.0, 1e6]));
    (heads, sizes, hidden_act, numbers).prop_map(|(heads, sizes, hidden_act, numbers)| {
        let (num_key_value_heads, queries_per_key, pairs, attention_bias) = heads;
        let (num_hidden_layers, intermediate_size, sliding_window) = sizes;
        let (norm_eps, rope_theta) = numbers;
        Config {
            num_hidden_layers,
            intermediate_size,
            num_attention_heads: num_key_value_heads * queries_per_key,
            num_key_value_heads,
            head_dim: 2 * pairs,
            hidden_act,
            norm_eps,
            rope_theta,
            sliding_window,
            attention_bias,
            ..Config::published()
        }
    })
}

/// Dimensions (`None`: those of the network), entries, codebooks, semantic codebooks.
fn quantizer() -> impl Strategy<Value = (Option<usize>, usize, usize, usize)> {
    let codebooks = (2..=10usize).prop_flat_map(|all| (Just(all), 1..all));
    (prop::option::weighted(0.7, 1..=20usize), 2..=70usize, codebooks)
        .prop_map(|(dim, size, (all, semantic))| (dim, size, all, semantic))
}

/// Sampling rate, latent stride, groups of the up-sampler and channels of a group. At least eight
/// channels in all: the layer norm of two or three turns rounding noise into signal.
fn resampling() -> impl Strategy<Value = (u32, usize, usize, usize)> {
    (
        1_000..=48_000u32,
        2..=5usize,
        select(vec![(1, 8), (1, 13), (2, 6), (3, 4), (4, 4), (8, 1), (16, 1), (24, 1)]),
    )
        .prop_map(|(rate, stride, (groups, channels))| (rate, stride, groups, channels))
}
