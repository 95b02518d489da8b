//! Writes a config as JSON.

use mimi::{Activation, Config, PadMode};
use serde_json::json;

/// `config` as transformers 5 writes it, even if it was read in another spelling.
pub(crate) fn json(config: &Config) -> String {
    let c = config;
    let pad_mode = match c.pad_mode {
        PadMode::Constant => "constant",
        PadMode::Replicate => "replicate",
    };
    let hidden_act = match c.hidden_act {
        Activation::Gelu => "gelu",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    };
    let object = json!({
        "architectures": ["MimiModel"],
        "model_type": "mimi",
        "audio_channels": 1,
        "use_causal_conv": true,
        "trim_right_ratio": 1.0,
        "sampling_rate": c.sampling_rate,
        "frame_rate": f64::from(c.sampling_rate) / c.frame_size() as f64,
        "hidden_size": c.hidden_size,
        "num_filters": c.num_filters,
        "num_residual_layers": c.num_residual_layers,
        "upsampling_ratios": c.upsampling_ratios,
        "kernel_size": c.kernel_size,
        "last_kernel_size": c.last_kernel_size,
        "residual_kernel_size": c.residual_kernel_size,
        "dilation_growth_rate": c.dilation_growth_rate,
        "pad_mode": pad_mode,
        "compress": c.compress,
        "use_conv_shortcut": c.use_conv_shortcut,
        "codebook_size": c.codebook_size,
        "codebook_dim": c.codebook_dim,
        "num_quantizers": c.num_quantizers,
        "num_semantic_quantizers": c.num_semantic_quantizers,
        "vector_quantization_hidden_dimension": c.vector_quantization_hidden_dimension,
        "upsample_groups": c.upsample_groups,
        "num_hidden_layers": c.num_hidden_layers,
        "intermediate_size": c.intermediate_size,
        "num_attention_heads": c.num_attention_heads,
        "num_key_value_heads": c.num_key_value_heads,
        "head_dim": c.head_dim,
        "hidden_act": hidden_act,
        "norm_eps": c.norm_eps,
        // transformers 5 reads the first, 4 the second
        "rope_parameters": { "rope_type": "default", "rope_theta": c.rope_theta },
        "rope_theta": c.rope_theta,
        "sliding_window": c.sliding_window,
        "attention_bias": c.attention_bias,
    });
    format!("{object:#}\n")
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
    }
}
