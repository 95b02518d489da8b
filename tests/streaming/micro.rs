//! The network that the fuzz targets run.

use crate::support::{repository, synth};
use mimi::{Config, ErrorKind, LoadOptions, Model, StreamOptions};
use std::collections::BTreeMap;

/// The smallest network that has everything: projections, groups of queries, dilation, both kinds of
/// stride, a window that is soon full.
fn config() -> Config {
    Config {
        hidden_size: 8,
        num_filters: 2,
        num_residual_layers: 2,
        upsampling_ratios: vec![2, 2],
        codebook_size: 11,
        codebook_dim: 5,
        vector_quantization_hidden_dimension: 5,
        num_quantizers: 3,
        upsample_groups: 8,
        num_hidden_layers: 2,
        intermediate_size: 12,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 4,
        sliding_window: 5,
        ..Config::published()
    }
}

#[test]
fn the_fuzz_targets_checkpoint_is_that_of_the_formula() {
    let file = std::fs::read(repository("tests/fuzz/micro.safetensors")).unwrap();
    assert!(contents(&file) == contents(&synth::checkpoint(&config())));
}

/// Tensors and config, whatever their order in the file.
fn contents(file: &[u8]) -> (BTreeMap<String, Vec<u8>>, Config) {
    let (_, header) = safetensors::SafeTensors::read_metadata(file).unwrap();
    let config = &header.metadata().as_ref().unwrap()["config"];
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    let tensors = tensors.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
    (tensors, Config::from_json(config).unwrap())
}

/// A kernel of one tap fits any dilation, even one that no integer holds.
#[test]
fn one_tap_has_no_dilation() {
    let plain = Config { residual_kernel_size: 1, num_residual_layers: 8, ..config() };
    let pcm: Vec<f32> = (0..100).map(|i| (i as f32).sin()).collect();
    let codes_of = |dilation_growth_rate| {
        let config = Config { dilation_growth_rate, ..plain.clone() };
        let model = Model::load_bytes(&synth::checkpoint(&config), &LoadOptions::default()).unwrap();
        model.encode(&pcm, &StreamOptions::default()).unwrap()
    };
    assert_eq!(codes_of(1_024), codes_of(1));
}

/// Configs whose small weights would ask for much memory.
#[test]
fn what_would_take_gigabytes_is_refused() {
    let grouped = Config { hidden_size: 1 << 14, upsample_groups: 1 << 13, ..config() };
    let wide = Config { num_attention_heads: 1_024, head_dim: 4_096, latent_stride: 256, ..config() };
    for (config, field) in [(grouped, "hidden_size"), (wide, "head_dim")] {
        let error = config.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(field), "{error}");
    }
}
