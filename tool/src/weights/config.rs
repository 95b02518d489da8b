//! Writes a config as JSON.

use mimi::{Activation, Config, HalfConfig, PadMode};
use serde_json::{Value, json};

/// `config` as transformers 5 writes it, even if it was read in another spelling. What `MimiConfig` has no fields for
/// is in those that [`Config::from_json`] reads beside them.
pub(crate) fn json(config: &Config) -> String {
    let c = config;
    let mut object = json!({
        "architectures": ["MimiModel"],
        "model_type": "mimi",
        "audio_channels": 1,
        "use_causal_conv": true,
        "trim_right_ratio": 1.0,
        "sampling_rate": c.sampling_rate,
        "frame_rate": f64::from(c.sampling_rate) / c.frame_size() as f64,
        "upsampling_ratios": c.upsampling_ratios,
        "codebook_size": c.codebook_size,
        "codebook_dim": c.codebook_dim,
        "num_quantizers": c.num_quantizers,
        "num_semantic_quantizers": c.num_semantic_quantizers,
        "vector_quantization_hidden_dimension": c.vector_quantization_hidden_dimension,
        "upsample_groups": c.upsample_groups,
        // transformers 5 reads `rope_parameters`, 4 this
        "rope_theta": c.rope_theta,
    });
    if let Value::Object(fields) = half(&c.encoder_half()) {
        fields.into_iter().for_each(|(name, value)| object[name] = value);
    }
    if let Some(dimension) = c.continuous {
        object["continuous_latent_dim"] = dimension.into();
    }
    if let Some(dimension) = c.encoder_latent_dim {
        object["encoder_latent_dim"] = dimension.into();
    }
    if let Some(codebooks) = c.default_codebooks {
        object["encoder_valid_num_quantizers"] = codebooks.into();
    }
    if let Some(decoder) = &c.decoder {
        object["decoder_config"] = half(decoder);
    }
    format!("{object:#}\n")
}

fn half(half: &HalfConfig) -> Value {
    let pad_mode = match half.pad_mode {
        PadMode::Constant => "constant",
        PadMode::Replicate => "replicate",
    };
    let hidden_act = match half.hidden_act {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    };
    json!({
        "hidden_size": half.hidden_size,
        "num_filters": half.num_filters,
        "num_residual_layers": half.num_residual_layers,
        "kernel_size": half.kernel_size,
        "last_kernel_size": half.last_kernel_size,
        "residual_kernel_size": half.residual_kernel_size,
        "dilation_growth_rate": half.dilation_growth_rate,
        "pad_mode": pad_mode,
        "compress": half.compress,
        "use_conv_shortcut": half.use_conv_shortcut,
        "num_hidden_layers": half.num_hidden_layers,
        "intermediate_size": half.intermediate_size,
        "num_attention_heads": half.num_attention_heads,
        "num_key_value_heads": half.num_key_value_heads,
        "head_dim": half.head_dim,
        "hidden_act": hidden_act,
        "norm_eps": half.norm_eps,
        "rope_parameters": { "rope_type": "default", "rope_theta": half.rope_theta },
        "sliding_window": half.sliding_window,
        "attention_bias": half.attention_bias,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        let published = Config::published();
        assert_eq!(Config::from_json(&json(&published)).unwrap(), published);
        // each number differs from the published network's
        let other = Config {
            sampling_rate: 16_000,
            decoder: None,
            continuous: None,
            encoder_latent_dim: None,
            hidden_size: 96,
            num_filters: 6,
            num_residual_layers: 2,
            upsampling_ratios: vec![5, 4, 2],
            kernel_size: 5,
            last_kernel_size: 5,
            residual_kernel_size: 5,
            dilation_growth_rate: 3,
            pad_mode: PadMode::Replicate,
            compress: 3,
            use_conv_shortcut: true,
            codebook_size: 100,
            codebook_dim: 24,
            num_quantizers: 5,
            default_codebooks: Some(3),
            num_semantic_quantizers: 2,
            vector_quantization_hidden_dimension: 24,
            upsample_groups: 48,
            latent_stride: 4,
            num_hidden_layers: 3,
            intermediate_size: 70,
            num_attention_heads: 6,
            num_key_value_heads: 2,
            head_dim: 10,
            hidden_act: Activation::Silu,
            norm_eps: 1e-3,
            rope_theta: 777.0,
            sliding_window: 33,
            attention_bias: true,
        };
        assert_eq!(Config::from_json(&json(&other)).unwrap(), other);
        let unlike = Config {
            decoder: Some(other.encoder_half()),
            encoder_latent_dim: Some(7),
            upsample_groups: 96,
            ..Config::pocket_tts()
        };
        assert_eq!(Config::from_json(&json(&unlike)).unwrap(), unlike);
    }
}
