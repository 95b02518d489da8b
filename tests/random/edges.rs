//! Networks with numbers at the edges of `src/config/limits.rs`.

use super::support::synth;
use super::{Random, latents, trials};
use mimi::{Activation, Config, Decoder, Encoder, ErrorKind, HalfConfig, Model, PadMode, StreamOptions};

#[test]
#[ignore = "runs for MIMI_SECONDS, a minute if not set: `bash .ci/weekly` runs it"]
fn networks_at_the_edges_run() {
    let outcomes =
        ["run", "refused by the config's limits", "refused while loading", "too large for this test"];
    trials("edges", outcomes, |random| {
        let mut config = small();
        for _ in 0..random.within(1, 4) {
            set_to_an_edge(&mut config, random);
        }
        if config.validate().is_err() {
            return [0, 1, 0, 0];
        }
        if synth::values(&config) > MOST_WEIGHTS || work(&config) > MOST_WORK {
            return [0, 0, 0, 1];
        }
        match Model::load_bytes(&synth::checkpoint(&config), &random.load_options()) {
            Ok(model) => run(&model, random),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}: {config:?}");
                return [0, 0, 1, 0];
            }
        }
        [1, 0, 0, 0]
    });
}

/// Bounds of what is tried, so that there are some trials a second: values in the file, and values or
/// multiply-adds of a frame.
const MOST_WEIGHTS: usize = 8 << 20;
const MOST_WORK: usize = 1 << 28;

fn small() -> Config {
    Config {
        num_filters: 2,
        upsampling_ratios: vec![2],
        hidden_size: 8,
        num_hidden_layers: 1,
        intermediate_size: 8,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 4,
        codebook_size: 8,
        codebook_dim: 4,
        vector_quantization_hidden_dimension: 4,
        num_quantizers: 3,
        upsample_groups: 8,
        sliding_window: 5,
        ..Config::published()
    }
}

/// One field, at its least or its most, or at a power of two and its neighbours in between.
fn set_to_an_edge(c: &mut Config, random: &mut Random) {
    let mut edge = |last: usize| match random.below(4) {
        0 => 1,
        1 => last,
        _ => {
            let power = 1usize << random.below(last.ilog2() as usize + 1);
            (power + random.below(3)).saturating_sub(1).clamp(1, last)
        }
    };
    match edge(1 << 30) % 27 {
        0 => c.sampling_rate = edge(1 << 20) as u32,
        1 => {
            c.hidden_size = edge(1 << 16);
            c.upsample_groups = if edge(2) == 1 { c.hidden_size } else { 1 };
        }
        2 => {
            c.num_filters = edge(1 << 16);
            c.compress = if edge(2) == 1 { c.num_filters } else { 1 };
        }
        3 => c.num_residual_layers = edge(32),
        4 => c.upsampling_ratios = vec![edge(1 << 10); edge(2)],
        5 => c.upsampling_ratios = vec![1; edge(12)],
        6 => c.upsampling_ratios = vec![2; edge(12)],
        7 => c.kernel_size = edge(1 << 10),
        8 => c.last_kernel_size = edge(1 << 10),
        9 => c.residual_kernel_size = edge(1 << 10),
        10 => c.dilation_growth_rate = edge(1 << 10),
        11 => c.codebook_size = edge(1 << 16).max(2),
        12 => {
            c.codebook_dim = edge(1 << 16);
            c.vector_quantization_hidden_dimension = c.codebook_dim;
        }
        13 => {
            c.num_quantizers = edge(1 << 10).max(2);
            c.num_semantic_quantizers = edge(c.num_quantizers - 1);
        }
        14 => c.latent_stride = edge(256).max(2),
        15 => c.num_hidden_layers = edge(256),
        16 => {
            c.num_attention_heads = edge(1 << 10);
            c.num_key_value_heads = if edge(2) == 1 { c.num_attention_heads } else { 1 };
        }
        17 => c.head_dim = 2 * edge(1 << 11),
        18 => c.intermediate_size = edge(1 << 16),
        19 => c.norm_eps = if edge(2) == 1 { 1.0 } else { 1e-300 },
        20 => c.rope_theta = if edge(2) == 1 { 1.0 } else { 1e12 },
        21 => c.sliding_window = edge(1 << 20),
        22 => c.attention_bias = true,
        23 => c.use_conv_shortcut = true,
        24 => (c.pad_mode, c.hidden_act) = (PadMode::Replicate, Activation::GeluTanh),
        25 => {
            c.continuous = Some(edge(1 << 16));
            (c.codebook_size, c.codebook_dim, c.vector_quantization_hidden_dimension) = (0, 0, 0);
            (c.num_quantizers, c.num_semantic_quantizers) = (0, 0);
        }
        _ => {
            // the decoder has what the next edges leave the encoder without
            c.decoder = Some(HalfConfig { sliding_window: edge(64), ..c.encoder_half() });
        }
    }
}

/// Multiply-adds of a frame, or the values that a stream keeps if they are more, in the larger half.
fn work(c: &Config) -> usize {
    let quantizer = c.num_quantizers * c.codebook_size * c.codebook_dim;
    half_work(c, c.encoder_half()).max(half_work(c, c.decoder_half())) + quantizer
}

fn half_work(c: &Config, half: HalfConfig) -> usize {
    let mut rows = c.frame_size();
    let mut channels = half.num_filters;
    let mut sum = rows * channels * half.kernel_size;
    for &ratio in c.upsampling_ratios.iter().rev() {
        let hidden = channels / half.compress;
        let block = channels * hidden * (half.residual_kernel_size + 1) + channels * channels;
        sum += half.num_residual_layers * rows * block;
        rows /= ratio;
        sum += rows * channels * 2 * channels * 2 * ratio;
        channels *= 2;
    }
    sum += rows * channels * half.hidden_size * half.last_kernel_size;
    let width = half.num_attention_heads * half.head_dim;
    let layer = half.hidden_size * (4 * width + 2 * half.intermediate_size) + 2 * width * half.sliding_window;
    sum += half.num_hidden_layers * c.latent_stride * layer;
    sum += half.hidden_size * half.hidden_size.max(c.latent_dim()) * 2 * c.latent_stride;
    let dilation = half.dilation_growth_rate.saturating_pow(half.num_residual_layers as u32 - 1);
    let history = dilation.saturating_mul(half.residual_kernel_size - 1).saturating_mul(channels);
    let window = 2 * half.num_hidden_layers * half.sliding_window * half.num_key_value_heads * half.head_dim;
    sum.max(history).max(window)
}

/// Two frames and a part of one, at once and piece by piece.
fn run(model: &Model, random: &mut Random) {
    let config = model.config();
    let frame = config.frame_size();
    let options = StreamOptions {
        codebooks: (config.num_quantizers > 0).then(|| random.within(1, config.num_quantizers)),
        tail: random.one_of(&[mimi::Tail::AudioPad, mimi::Tail::LayerPad]),
        ..Default::default()
    };
    let samples = random.within(1, 3 * frame);
    let pcm: Vec<f32> = synth::units("pcm", samples).collect();
    latents::cut(model, &options, &pcm, random);
    if config.continuous.is_some() {
        return;
    }
    let expected = model.encode(&pcm, &options).unwrap();
    assert!(expected.iter().all(|&code| (code as usize) < config.codebook_size), "{config:?}");
    let mut encoder = Encoder::new(model, &options).unwrap();
    let mut codes = Vec::new();
    let first = random.below(samples + 1);
    for piece in [&pcm[..first], &pcm[first..]] {
        let mut new = vec![0; encoder.codes_for(piece.len())];
        assert_eq!(encoder.process(piece, &mut new), Ok(new.len()));
        codes.extend(new);
    }
    let mut last = vec![0; encoder.codes_for_flush()];
    assert_eq!(encoder.flush(&mut last), Ok(last.len()));
    codes.extend(last);
    assert!(codes == expected, "{config:?}");

    let expected = model.decode(&codes, &options).unwrap();
    let mut decoder = Decoder::new(model, &options).unwrap();
    let mut audio = Vec::new();
    for codes in codes.chunks(decoder.codebooks()) {
        let mut new = vec![0.0; decoder.samples_for(codes.len())];
        assert_eq!(decoder.process(codes, &mut new), Ok(new.len()));
        audio.extend(new);
    }
    let same = audio.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same && audio.len() == expected.len(), "{config:?}");
}
