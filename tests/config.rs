//! Configs: every spelling of the same network is the same config; what is not run is refused.

use mimi::{Activation, Config, Error, ErrorKind, HalfConfig, PadMode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

fn golden(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden").join(file);
    std::fs::read_to_string(path).unwrap()
}

fn parse(config: &Value) -> Result<Config, Error> {
    Config::from_json(&config.to_string())
}

/// The published config, as transformers writes it, with one field changed.
fn transformers_with(field: &str, value: Value) -> Value {
    let mut config: Value = serde_json::from_str(&golden("full/config.json")).unwrap();
    config[field] = value;
    config
}

/// kyutai's config of the tiny model, with what is at a JSON pointer changed.
fn kyutai_with(group: &str, field: &str, value: Value) -> Value {
    let mut config: Value = serde_json::from_str(&golden("tiny-moshi/mimi_config.json")).unwrap();
    if group.is_empty() {
        config[field] = value
    } else {
        config[group][field] = value
    }
    config
}

#[track_caller]
fn assert_refused(config: &Value, kind: ErrorKind, parts: &[&str]) {
    let error = parse(config).expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn the_published_config() {
    for file in ["full/config.json", "full/config.transformers-4.57.json"] {
        assert_eq!(Config::from_json(&golden(file)).unwrap(), Config::published());
    }
    assert_eq!(parse(&json!({ "model_type": "mimi" })).unwrap(), Config::published());
    assert_eq!(parse(&json!({ "seanet": {} })).unwrap(), Config::published());
    assert!(Config::published().validate().is_ok());
    assert_eq!((Config::published().hop(), Config::published().frame_size()), (960, 1920));
}

/// Each Mimi config is read, and a text has room for many.
#[test]
fn many_configs_in_one_text_are_refused() {
    let groups = |count: usize| json!({ "a": { "b": vec![json!({ "seanet": {} }); count] } });
    assert_eq!(parse(&groups(64)).unwrap(), Config::published());
    assert_refused(
        &groups(65),
        ErrorKind::Format,
        &["more than 64 Mimi configs", "expected one, or equal ones"],
    );
    // a name as messages show it: each part cut, and those of the groups behind it
    let long = "x".repeat(41);
    let wrong = json!({ long.as_str(): { "codec": { "seanet": { "ratios": 7 } } } });
    let name = format!("`{}.codec.seanet.ratios` is 7", &long[1..]);
    assert_refused(&wrong, ErrorKind::Format, &[&name]);
}

#[test]
fn golden_configs() {
    let config = |case: &str| Config::from_json(&golden(&format!("{case}/config.json"))).unwrap();
    let tiny = Config {
        hidden_size: 32,
        num_filters: 4,
        codebook_size: 64,
        codebook_dim: 16,
        num_quantizers: 6,
        vector_quantization_hidden_dimension: 16,
        upsample_groups: 32,
        num_hidden_layers: 2,
        intermediate_size: 64,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 8,
        sliding_window: 20,
        ..Config::published()
    };
    for case in ["tiny", "tiny-f16", "tiny-bf16", "tiny-sharded"] {
        assert_eq!(config(case), tiny);
    }
    for case in ["tiny-moshi", "tiny-moshi-weightnorm"] {
        assert_eq!(Config::from_json(&golden(&format!("{case}/mimi_config.json"))).unwrap(), tiny);
    }
    let tiny = || tiny.clone();
    let dilated =
        Config { num_residual_layers: 3, dilation_growth_rate: 3, residual_kernel_size: 5, ..tiny() };
    assert_eq!(config("tiny-dilated"), dilated);
    assert_eq!(config("tiny-shortcut"), Config { use_conv_shortcut: true, compress: 4, ..tiny() });
    assert_eq!(config("tiny-gqa-bias"), Config { num_key_value_heads: 2, attention_bias: true, ..tiny() });
    let slow = Config { sampling_rate: 16_000, upsampling_ratios: vec![8, 5, 4, 2], ..tiny() };
    assert_eq!((config("tiny-16khz"), slow.frame_size()), (slow, 640));
    let replicate = config("tiny-replicate");
    assert_eq!((replicate.pad_mode, replicate.kernel_size), (PadMode::Replicate, 5));
    assert_eq!(config("tiny-semantic2"), Config { num_semantic_quantizers: 2, ..tiny() });
    let noproj =
        Config { codebook_dim: 32, vector_quantization_hidden_dimension: 32, upsample_groups: 1, ..tiny() };
    assert_eq!(config("tiny-noproj"), noproj);
    let theta = config("tiny-theta");
    assert_eq!((theta.rope_theta, theta.norm_eps), (500.0, 1e-3));
    assert_eq!((theta.hidden_act, theta.sliding_window), (Activation::Silu, 7));
}

#[test]
fn frame_rates() {
    for field in ["frame_rate", "_frame_rate"] {
        for (rate, stride) in [(json!(12.5), 2), (json!(6.25), 4), (json!(null), 2), (json!(5), 5)] {
            assert_eq!(parse(&transformers_with(field, rate)).unwrap().latent_stride, stride);
        }
        assert_refused(&transformers_with(field, json!(13)), ErrorKind::Unsupported, &["frame_rate", "13"]);
        assert_refused(&transformers_with(field, json!(0)), ErrorKind::Unsupported, &["frame_rate", "0"]);
        assert_refused(
            &transformers_with(field, json!(-12.5)),
            ErrorKind::Unsupported,
            &["frame_rate", "-12.5"],
        );
        // Mimi has no down-sampler then
        let parts = ["frame_rate 25:", "is 1:", "2 to 256"];
        assert_refused(&transformers_with(field, json!(25)), ErrorKind::Unsupported, &parts);
    }
    assert_eq!(parse(&kyutai_with("", "frame_rate", json!(5))).unwrap().latent_stride, 5);
}

#[test]
fn defaults_of_null() {
    let config = json!({
        "model_type": "mimi", "hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": null,
        "codebook_dim": null, "vector_quantization_hidden_dimension": 256, "head_dim": null,
        "upsample_groups": 256, "kernel_size": null, "upsampling_ratios": null, "hidden_act": null,
        "encoder_config": null, "rope_parameters": null, "rope_scaling": null,
    });
    let config = parse(&config).unwrap();
    assert_eq!((config.num_key_value_heads, config.codebook_dim, config.head_dim), (4, 256, 64));
    assert_eq!((config.kernel_size, config.upsampling_ratios), (7, vec![8, 6, 5, 4]));
    for config in
        [transformers_with("sliding_window", json!(null)), kyutai_with("transformer", "context", json!(null))]
    {
        assert_refused(&config, ErrorKind::Unsupported, &[" null", "steps"]);
    }
}

#[test]
fn spellings() {
    for (act, expected) in [
        ("gelu", Activation::Gelu),
        ("gelu_python", Activation::Gelu),
        ("gelu_new", Activation::GeluTanh),
        ("gelu_pytorch_tanh", Activation::GeluTanh),
        ("gelu_fast", Activation::GeluTanh),
        ("relu", Activation::Relu),
        ("silu", Activation::Silu),
        ("swish", Activation::Silu),
    ] {
        assert_eq!(parse(&transformers_with("hidden_act", json!(act))).unwrap().hidden_act, expected);
    }
    let rope = json!({ "rope_type": "default", "rope_theta": 123.0 });
    assert_eq!(parse(&transformers_with("rope_parameters", rope)).unwrap().rope_theta, 123.0);
    let mut old = transformers_with("rope_theta", json!(321));
    old["rope_parameters"] = json!(null);
    assert_eq!(parse(&old).unwrap().rope_theta, 321.0);
    // whole numbers may be written as others, and unknown fields do no harm
    assert_eq!(parse(&transformers_with("sampling_rate", json!(24000.0))).unwrap(), Config::published());
    assert_eq!(parse(&transformers_with("anything", json!([{}]))).unwrap(), Config::published());
}

#[test]
fn kyutai_options() {
    let config = parse(&kyutai_with("transformer", "kv_repeat", json!(2))).unwrap();
    assert_eq!((config.num_attention_heads, config.num_key_value_heads), (4, 2));
    assert!(parse(&kyutai_with("transformer", "bias_attn", json!(true))).unwrap().attention_bias);
    assert!(parse(&kyutai_with("seanet", "true_skip", json!(false))).unwrap().use_conv_shortcut);
    assert_eq!(parse(&kyutai_with("seanet", "norm", json!("weight_norm"))).unwrap().num_filters, 4);
    assert_eq!(
        parse(&kyutai_with("seanet", "pad_mode", json!("replicate"))).unwrap().pad_mode,
        PadMode::Replicate
    );
    assert_eq!(
        parse(&kyutai_with("quantizer", "n_q_semantic", json!(2))).unwrap().num_semantic_quantizers,
        2
    );
    assert_eq!(parse(&kyutai_with("transformer", "max_period", json!(500))).unwrap().rope_theta, 500.0);
}

#[test]
fn what_kyutai_options_are_not_run() {
    for (group, field, value) in [
        ("", "channels", json!(2)),
        ("seanet", "channels", json!(2)),
        ("seanet", "causal", json!(false)),
        ("seanet", "activation", json!("Snake")),
        ("seanet", "final_activation", json!("Tanh")),
        ("seanet", "norm", json!("time_group_norm")),
        ("seanet", "lstm", json!(2)),
        ("seanet", "trim_right_ratio", json!(0.5)),
        ("seanet", "pad_mode", json!("reflect")),
        ("quantizer", "input_dimension", json!(64)),
        ("quantizer", "output_dimension", json!(64)),
        ("transformer", "d_model", json!(64)),
        ("transformer", "input_dimension", json!(64)),
        ("transformer", "output_dimensions", json!([32, 32])),
        ("transformer", "causal", json!(false)),
        ("transformer", "gating", json!("silu")),
        ("transformer", "norm", json!("rms_norm")),
        ("transformer", "norm_first", json!(false)),
        ("transformer", "bias_ff", json!(true)),
        ("transformer", "positional_embedding", json!("sin")),
        ("transformer", "cross_attention", json!(true)),
        ("transformer", "num_heads", json!(5)),
        ("transformer", "num_heads", json!(0)),
        ("transformer", "kv_repeat", json!(3)),
        ("transformer", "kv_repeat", json!(0)),
    ] {
        let config = kyutai_with(group, field, value.clone());
        let path = if group.is_empty() { format!("`{field}`") } else { format!("`{group}.{field}`") };
        assert_refused(
            &config,
            ErrorKind::Unsupported,
            &["unsupported ", &path, &value.to_string(), ": expected "],
        );
    }
    let zero = kyutai_with("seanet", "n_filters", json!(0));
    assert_refused(&zero, ErrorKind::Unsupported, &["num_filters 0", "MimiConfig"]);
}

#[test]
fn what_is_not_run() {
    for (field, value, expected) in [
        ("use_causal_conv", json!(false), "true"),
        ("audio_channels", json!(2), "1"),
        ("trim_right_ratio", json!(0.5), "1"),
        ("pad_mode", json!("reflect"), "replicate"),
        ("hidden_act", json!("gelu_10"), "swish"),
        ("sampling_rate", json!(0), "1 to"),
        ("sampling_rate", json!(1u64 << 33), "1 to 1048576"),
        ("hidden_size", json!(0), "1 to 65536"),
        ("num_filters", json!(0), "1 to 65536"),
        ("num_residual_layers", json!(0), "1 to 32"),
        ("kernel_size", json!(0), "1 to 1024"),
        ("last_kernel_size", json!(0), "1 to 1024"),
        ("residual_kernel_size", json!(1u64 << 40), "1 to 1024"),
        ("dilation_growth_rate", json!(0), "1 to 1024"),
        ("compress", json!(3), "a divisor of num_filters, which is 64"),
        ("compress", json!(0), "a divisor"),
        ("upsample_groups", json!(3), "a divisor of hidden_size, which is 512"),
        ("codebook_size", json!(1), "2 to 65536"),
        ("codebook_size", json!(65537), "2 to 65536"),
        ("vector_quantization_hidden_dimension", json!(128), "codebook_dim, which is 256"),
        ("num_quantizers", json!(1), "2 to 1024"),
        ("num_semantic_quantizers", json!(0), "1 to 31"),
        ("num_semantic_quantizers", json!(32), "1 to 31"),
        ("num_hidden_layers", json!(0), "1 to 256"),
        ("intermediate_size", json!(0), "1 to 65536"),
        ("num_attention_heads", json!(0), "1 to 1024"),
        ("num_key_value_heads", json!(3), "a divisor of num_attention_heads, which is 8"),
        ("head_dim", json!(63), "even"),
        ("norm_eps", json!(0), "above 0"),
        ("norm_eps", json!(-1), "above 0"),
        ("sliding_window", json!(0), "1 to"),
    ] {
        let config = transformers_with(field, value.clone());
        assert_refused(&config, ErrorKind::Unsupported, &[field, &value.to_string(), expected]);
    }
    for (ratios, message) in [
        (json!([]), "number of upsampling_ratios 0: expected 1 to 12"),
        (json!(vec![2; 13]), "number of upsampling_ratios 13: expected 1 to 12"),
        (json!([8, 0]), "unsupported upsampling_ratios[1] 0: expected 1 to 1024"),
        (json!([1024, 1024]), "product of upsampling_ratios 1048576: expected 1 to 65536"),
    ] {
        let config = transformers_with("upsampling_ratios", ratios);
        assert_refused(&config, ErrorKind::Unsupported, &[message]);
    }
    for rope in [json!({ "rope_type": "yarn" }), json!({ "type": "linear" })] {
        let config = transformers_with("rope_parameters", rope);
        assert_refused(&config, ErrorKind::Unsupported, &["rope_parameters.", "default"]);
    }
    let config = transformers_with("rope_parameters", json!({ "rope_theta": 0 }));
    assert_refused(&config, ErrorKind::Unsupported, &["rope_theta 0"]);
}

/// Pocket TTS's config of the golden case, with what is in a group below `mimi` changed.
fn pocket_with(group: &str, field: &str, value: Value) -> Value {
    let mut config: Value = serde_json::from_str(&golden("pocket-asym/config.json")).unwrap();
    match group {
        "" => config["mimi"][field] = value,
        group => config["mimi"][group][field] = value,
    }
    config
}

#[test]
fn networks_without_a_quantizer() {
    let pocket = Config::from_json(&golden("pocket-full/config.json")).unwrap();
    assert_eq!(pocket, Config::pocket_tts());
    assert!(pocket.validate().is_ok());
    assert_eq!((pocket.latent_dim(), pocket.hop(), pocket.frame_size()), (32, 120, 1920));
    // the part alone, and beside a language model's
    let whole: Value = serde_json::from_str(&golden("pocket-full/config.json")).unwrap();
    assert_eq!(parse(&whole["mimi"]).unwrap(), pocket);
    assert_eq!(parse(&json!({ "flow_lm": { "dtype": "float32" }, "mimi": whole["mimi"] })).unwrap(), pocket);
    assert_refused(&json!({ "mimi": { "inner_dim": 32 } }), ErrorKind::Format, &["not a Mimi config"]);

    let asym = parse(&pocket_with("", "outer_dim", json!(24))).unwrap();
    let decoder = asym.decoder.unwrap();
    assert_eq!((asym.continuous, asym.hidden_size, decoder.hidden_size), (Some(8), 32, 24));
    assert_eq!((asym.sliding_window, decoder.sliding_window, asym.decoder_half()), (20, 11, decoder));
    assert_eq!((asym.hidden_act, decoder.hidden_act), (Activation::GeluTanh, Activation::GeluTanh));
    // the encoder's latents need not be those that the decoder takes
    let unlike = parse(&pocket_with("quantizer", "dimension", json!(9))).unwrap();
    assert_eq!(
        (unlike.continuous, unlike.encoder_latent_dim, asym.encoder_latent_dim),
        (Some(9), Some(8), None)
    );
    for (group, field, value) in [
        ("", "outer_dim", json!(32)),
        ("", "channels", json!(2)),
        ("quantizer", "output_dimension", json!(32)),
        ("decoder_seanet", "ratios", json!([5, 6, 4])),
        ("decoder_seanet", "trim_right_ratio", json!(0.5)),
        ("decoder_transformer", "d_model", json!(32)),
        ("decoder_transformer", "num_heads", json!(5)),
        ("decoder_transformer", "gating", json!("silu")),
    ] {
        let path =
            if group.is_empty() { format!("`mimi.{field}`") } else { format!("`mimi.{group}.{field}`") };
        let config = pocket_with(group, field, value.clone());
        assert_refused(&config, ErrorKind::Unsupported, &["unsupported ", &path, &value.to_string()]);
    }
    for (group, field, parts) in [
        ("", "inner_dim", ["encoder_latent_dim 70000", "1 to 65536"]),
        ("quantizer", "dimension", ["continuous_latent_dim 70000", "1 to 65536"]),
        ("decoder_seanet", "n_filters", ["decoder_config.num_filters 70000", "1 to 65536"]),
        ("decoder_transformer", "num_layers", ["decoder_config.num_hidden_layers 70000", "1 to 256"]),
    ] {
        assert_refused(&pocket_with(group, field, json!(70_000)), ErrorKind::Unsupported, &parts);
    }
}

/// What `MimiConfig` has no fields for.
#[test]
fn decoders_of_their_own_and_continuous_latents() {
    let own = json!({
        "hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": null, "hidden_act": "gelu_new",
        "pad_mode": "replicate",
    });
    let with = |fields: &[(&str, Value)]| {
        let mut config = transformers_with("decoder_config", own.clone());
        config["upsample_groups"] = json!(256);
        fields.iter().for_each(|(field, value)| config[field] = value.clone());
        config
    };
    let config = parse(&with(&[])).unwrap();
    let expected = HalfConfig {
        hidden_size: 256,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        hidden_act: Activation::GeluTanh,
        pad_mode: PadMode::Replicate,
        ..Config::published().encoder_half()
    };
    assert_eq!(config.decoder, Some(expected));
    assert_eq!((config.decoder_half().hidden_size, config.hidden_size, config.latent_dim()), (256, 512, 512));
    let refused = |fields: &[(&str, Value)], parts: &[&str]| {
        assert_refused(&with(fields), ErrorKind::Unsupported, parts);
    };
    let groups = "a divisor of decoder_config.hidden_size, which is 256";
    refused(&[("upsample_groups", json!(512))], &["upsample_groups 512", groups]);
    refused(&[("decoder_config", json!({ "norm_eps": 2 }))], &["decoder_config.norm_eps 2", "at most 1"]);
    refused(&[("continuous_latent_dim", json!(9))], &["codebook_size 2048", "0 without a quantizer"]);
    let none = |dimension: Value| {
        [("continuous_latent_dim", dimension), ("codebook_size", json!(0)), ("codebook_dim", json!(0))]
            .into_iter()
            .chain(["num_quantizers", "num_semantic_quantizers"].map(|name| (name, json!(0))))
            .chain([("vector_quantization_hidden_dimension", json!(0))])
            .collect::<Vec<_>>()
    };
    assert_eq!(parse(&with(&none(json!(9)))).unwrap().latent_dim(), 9);
    refused(&none(json!(0)), &["continuous_latent_dim 0", "1 to 65536"]);
    let bare = parse(&json!({ "model_type": "mimi", "continuous_latent_dim": 16 })).unwrap();
    assert_eq!((bare.continuous, bare.num_quantizers, bare.codebook_dim), (Some(16), 0, 0));
}

/// Each number is within its bounds; together they are absurd.
#[test]
fn sizes_that_multiply() {
    let mut config = transformers_with("num_residual_layers", json!(32));
    config["dilation_growth_rate"] = json!(1024);
    let parts = ["dilation_growth_rate", "history", "at most 268435456"];
    assert_refused(&config, ErrorKind::Unsupported, &parts);
    let mut config = transformers_with("upsampling_ratios", json!([16, 16, 16, 16]));
    config["num_filters"] = json!(4096);
    let parts = ["num_filters", "activations", "at most 268435456"];
    assert_refused(&config, ErrorKind::Unsupported, &parts);
    let config = transformers_with("sliding_window", json!(1 << 20));
    let parts = ["sliding_window", "keys and values", "at most 268435456"];
    assert_refused(&config, ErrorKind::Unsupported, &parts);
}

#[test]
fn wrong_types() {
    for (field, value, expected) in [
        ("num_filters", json!("64"), "a whole number"),
        ("num_filters", json!(64.5), "a whole number"),
        ("num_filters", json!(-64), "a whole number"),
        ("num_filters", json!(1e300), "a whole number"),
        ("residual_kernel_size", json!([3]), "a whole number"),
        ("norm_eps", json!("1e-5"), "a number"),
        ("use_conv_shortcut", json!(1), "true or false"),
        ("pad_mode", json!(0), "a string"),
        ("upsampling_ratios", json!([8, "6"]), "an array of whole numbers"),
        ("upsampling_ratios", json!(8), "an array of whole numbers"),
        ("rope_parameters", json!([]), "an object"),
    ] {
        let config = transformers_with(field, value);
        assert_refused(&config, ErrorKind::Format, &[&format!("`{field}` is "), expected]);
    }
    let config = kyutai_with("seanet", "n_filters", json!(true));
    assert_refused(&config, ErrorKind::Format, &["`seanet.n_filters` is true"]);
    let config = kyutai_with("", "transformer", json!(7));
    assert_refused(&config, ErrorKind::Format, &["`transformer` is 7"]);
}

#[test]
fn what_is_a_mimi_config() {
    let tiny: Value = serde_json::from_str(&golden("tiny/config.json")).unwrap();
    let expected = parse(&tiny).unwrap();
    for field in ["codec_config", "audio_encoder_config", "audio_codec_config", "encoder_config", "x"] {
        let parent = json!({ "model_type": "some_speech_model", "hidden_size": 2048, field: tiny });
        assert_eq!(parse(&parent).unwrap(), expected);
        assert_eq!(parse(&json!({ "a": [1, { "b": parent }] })).unwrap(), expected);
    }
    // several are one if they are equal
    let mut other = tiny.clone();
    assert_eq!(parse(&json!({ "a": tiny, "b": { "c": other } })).unwrap(), expected);
    other["sliding_window"] = json!(6);
    let different = json!({ "a": tiny, "b": { "c": other } });
    assert_refused(&different, ErrorKind::Format, &["`a` and `b.c` are Mimi configs with different numbers"]);
    // but a Mimi's own is not looked into
    other["more"] = tiny.clone();
    assert_eq!(parse(&other).unwrap().sliding_window, 6);
    let mut nameless = tiny.clone();
    nameless.as_object_mut().unwrap().remove("model_type");
    assert_eq!(parse(&nameless).unwrap(), expected);

    let mut encodec = tiny.clone();
    encodec["model_type"] = json!("encodec");
    let moshi = json!({ "dim": 4096, "n_q": 16, "num_layers": 32, "transformer": { "d_model": 4096 } });
    for other in
        [encodec, moshi, json!({ "codec_config": { "model_type": "dac" } }), json!([]), json!(1), json!({})]
    {
        assert_refused(&other, ErrorKind::Format, &["not a Mimi config"]);
    }
    // few fields: the others have MimiConfig's defaults
    for sparse in [
        json!({ "audio_codec_config": { "model_type": "mimi", "num_quantizers": 32, "codebook_size": 2048,
            "sampling_rate": 24_000, "frame_rate": 12.5 } }),
        json!({ "codec_config": { "model_type": "mimi", "codebook_size": 2048, "num_quantizers": 32 } }),
        json!({ "codec_config": { "model_type": "mimi", "chunk_in_sec": null, "use_cache": false } }),
    ] {
        assert_eq!(parse(&sparse).unwrap(), Config::published());
    }
    let bad_inside = json!({ "codec_config": { "model_type": "mimi", "num_filters": "x" } });
    assert_refused(&bad_inside, ErrorKind::Format, &["`codec_config.num_filters`"]);
    for text in ["", "{", "nonsense", &"[".repeat(100_000)] {
        assert_eq!(Config::from_json(text).unwrap_err().kind(), ErrorKind::Format);
    }
}

/// Qwen3-TTS's tokenizer: a Mimi encoder, and a decoder of its own with some of Mimi's fields.
#[test]
fn codebooks_that_are_meant_to_be_used() {
    let mut encoder: Value = serde_json::from_str(&golden("tiny/config.json")).unwrap();
    let expected = Config { default_codebooks: Some(3), ..parse(&encoder).unwrap() };
    let decoder = json!({ "codebook_size": 2048, "hidden_size": 512, "num_quantizers": 16,
        "num_semantic_quantizers": 1, "vector_quantization_hidden_dimension": 512, "sliding_window": 72,
        "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "decoder_dim": 1536 });
    let around = |encoder: &Value, valid: Value| {
        json!({ "model_type": "qwen3_tts_tokenizer_12hz", "encoder_valid_num_quantizers": valid,
            "encoder_config": encoder, "decoder_config": decoder })
    };
    assert_eq!(parse(&around(&encoder, json!(3))).unwrap(), expected);
    encoder.as_object_mut().unwrap().remove("model_type");
    assert_eq!(parse(&around(&encoder, json!(3))).unwrap(), expected);
    let sparse = Config { sliding_window: 9, default_codebooks: Some(16), ..Config::published() };
    assert_eq!(parse(&around(&json!({ "sliding_window": 9 }), json!(16))).unwrap(), sparse);
    // also in a Mimi config itself
    encoder["encoder_valid_num_quantizers"] = json!(3);
    assert_eq!(parse(&encoder).unwrap(), expected);
    for (valid, kind, part) in [
        (json!(0), ErrorKind::Unsupported, "encoder_valid_num_quantizers 0"),
        (json!("x"), ErrorKind::Format, "`encoder_valid_num_quantizers` is \"x\""),
    ] {
        assert_refused(&around(&json!({}), valid), kind, &[part]);
    }
}

proptest! {
    /// Whatever the numbers, parsing ends, and what it lets through can be multiplied.
    #[test]
    fn any_numbers(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![0u64..5000, any::<u64>(), Just(1 << 16), Just(1 << 20)]), 1..4
        ),
        ratios in prop::collection::vec(0u64..40, 0..5),
        rate in prop::option::of(any::<f64>()),
        kyutai in any::<bool>(),
    ) {
        let file = if kyutai { "tiny-moshi/mimi_config.json" } else { "tiny/config.json" };
        let mut config: Value = serde_json::from_str(&golden(file)).unwrap();
        for (index, number) in changes {
            let group = if kyutai { ["seanet", "quantizer", "transformer"][index.index(3)] } else { "" };
            let fields = if kyutai { &mut config[group] } else { &mut config };
            let fields = fields.as_object_mut().unwrap();
            let numbers: Vec<_> = fields.keys().filter(|key| fields[*key].is_number()).cloned().collect();
            fields.insert(numbers[index.index(numbers.len())].clone(), json!(number));
        }
        if let Some(rate) = rate {
            config["frame_rate"] = json!(rate);
            if kyutai { config["seanet"]["ratios"] = json!(ratios) } else { config["upsampling_ratios"] = json!(ratios) }
        }
        if let Ok(config) = parse(&config) {
            prop_assert!(config.frame_size() >= 2 * config.hop() && config.hop() >= 1);
            prop_assert!(config.head_dim % 2 == 0 && config.num_filters % config.compress == 0);
        }
    }
}
