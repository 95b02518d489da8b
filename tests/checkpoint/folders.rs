//! Folders as people have them: those of models that embed Mimi, and which of their files are needed.

use crate::support::*;
use mimi::probe::folder::{Folder, holds_mimi, shards};
use mimi::{Checkpoint, Encoder, Error, ErrorKind, LoadOptions, Model, Parts, StreamOptions};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const KYUTAI: &str = "tokenizer-e351c8d8-checkpoint125.safetensors";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The tiny network's config, to stand in another one.
fn tiny_config() -> Value {
    serde_json::from_str(&case("tiny").1).unwrap()
}

/// A file with a tensor of another model.
fn other(name: &str) -> Vec<u8> {
    written(&Tensors::from([(name.to_owned(), Tensor::of_f32(&[1], &[f32::NAN]))]), None)
}

fn load(path: &Path, parts: Parts) -> Result<Model, Error> {
    Model::load(path, &LoadOptions { parts, ..Default::default() })
}

/// The tiny network as it is, to compare with.
fn tiny() -> Model {
    load(&golden("tiny"), Parts::Both).unwrap()
}

fn codes(model: &Model, codebooks: Option<usize>) -> Vec<u32> {
    let pcm: Vec<f32> = (0..24_000).map(|i| (i % 97) as f32 / 97.0 - 0.5).collect();
    model.encode(&pcm, &StreamOptions { codebooks, ..Default::default() }).unwrap()
}

/// What `mimi fetch` asks: names and texts alone tell which files are needed.
#[test]
fn files_needed_of_a_folder() {
    let csm = r#"{"model_type":"csm","codec_config":{"model_type":"mimi"}}"#;
    let listed = names(&[
        "ckpt.pt",
        "config.json",
        "model.safetensors",
        "transformers-00001-of-00002.safetensors",
        "transformers.safetensors.index.json",
    ]);
    let folder = Folder::new(&listed, Some(csm)).unwrap();
    assert_eq!(folder.weights().unwrap(), ["transformers.safetensors.index.json", "model.safetensors"]);
    assert_eq!(folder.configs().unwrap(), names(&[]));
    let index = r#"{"weight_map":{
        "lm_head.weight":"transformers-00001-of-00002.safetensors",
        "codec_model.encoder_transformer.layers.0.mlp.fc1.weight":"transformers-00002-of-00002.safetensors",
        "codec_model.upsample.conv.weight":"transformers-00002-of-00002.safetensors"}}"#;
    assert_eq!(shards(index).unwrap(), ["transformers-00002-of-00002.safetensors"]);
    let language_model = r#"{"weight_map":{"model.layers.0.mlp.up_proj.weight":"a.safetensors"}}"#;
    assert_eq!(shards(language_model).unwrap(), names(&[]));
    assert_error(&refusal(shards("<html>")), ErrorKind::Format, &["not an index of shards"]);

    // without a config, a name that says Mimi comes before one that says nothing
    let listed = names(&["a.json", "english.yaml", "model.safetensors", "sub/b.yaml", KYUTAI]);
    let weights = |config| Folder::new(&listed, config).unwrap().weights().unwrap();
    assert_eq!(weights(None), [KYUTAI, "model.safetensors"]);
    assert_eq!(weights(Some(csm)), ["model.safetensors", KYUTAI]);
    let moshi = r#"{"mimi_name":"model.safetensors","mimi_config_name":"a.json"}"#;
    assert_eq!(weights(Some(moshi)), ["model.safetensors"]);
    let configs = |config| Folder::new(&listed, config).unwrap().configs().unwrap();
    assert_eq!((configs(Some(moshi)), configs(None)), (names(&["a.json"]), names(&["english.yaml"])));

    let listed = names(&["config.json", "model.safetensors", "speech_tokenizer/model.safetensors"]);
    let talker = Folder::new(&listed, Some(r#"{"model_type":"qwen3_tts"}"#)).unwrap();
    assert_error(&refusal(talker.weights()), ErrorKind::Format, &["subfolder speech_tokenizer"]);
    assert_eq!((talker.inside(), talker.holds_config()), (Some("speech_tokenizer"), false));
    // where the folder itself has a Mimi, that counts
    let both = Folder::new(&listed, Some(csm)).unwrap();
    assert_eq!((both.inside(), both.holds_config()), (None, true));
    let fronts = ["codec_model.encoder_transformer.layers.0.mlp.fc1.weight", "lm_head.weight"];
    assert!(holds_mimi(fronts.into_iter()) && !holds_mimi(fronts.into_iter().skip(1)));
}

/// `sesame/csm-1b`: an index by another name, the codec in its shards, and a `model.safetensors` without one.
fn csm(tensors: &Tensors) -> TempDir {
    let config = json!({ "model_type": "csm", "architectures": ["CsmForConditionalGeneration"],
        "codec_config": tiny_config() });
    let shard = |n: usize| format!("transformers-0000{n}-of-00002.safetensors");
    let (mut map, mut shards) = (serde_json::Map::new(), [Tensors::new(), Tensors::new()]);
    for (index, (name, tensor)) in
        renamed(tensors, |name| format!("codec_model.{name}")).into_iter().enumerate()
    {
        map.insert(name.clone(), shard(index % 2 + 1).into());
        shards[index % 2].insert(name, tensor);
    }
    map.insert("lm_head.weight".to_owned(), "transformers-00003-of-00003.safetensors".into());
    let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map }).to_string();
    let [one, two] = shards.map(|shard| written(&shard, None));
    directory(&[
        ("config.json", config.to_string().as_bytes()),
        ("generation_config.json", b"{}"),
        ("ckpt.pt", b"PK\x03\x04"),
        ("model.safetensors", &other("backbone.layers.0.attn.q_proj.weight")),
        ("transformers.safetensors.index.json", index.as_bytes()),
        (&shard(1), &one),
        (&shard(2), &two),
    ])
}

#[test]
fn csm_has_an_index_by_another_name() {
    let (tensors, _) = case("tiny");
    let folder = csm(&tensors);
    let model = load(folder.path(), Parts::Both).unwrap();
    assert_eq!((model.id(), model.config()), (tiny().id(), tiny().config()));
    assert_eq!(codes(&model, None), codes(&tiny(), None));
    assert_gives(&Checkpoint::open(folder.path()).unwrap(), &tensors);
    let index = folder.path().join("transformers.safetensors.index.json");
    assert_eq!(load(&index, Parts::Both).unwrap().id(), tiny().id());

    // the usual index comes first only if it holds the codec
    let usual = folder.path().join("model.safetensors.index.json");
    let talks = r#"{"weight_map":{"backbone.layers.0.attn.q_proj.weight":"model.safetensors"}}"#;
    std::fs::write(&usual, talks).unwrap();
    assert_eq!(load(folder.path(), Parts::Both).unwrap().id(), tiny().id());
    std::fs::remove_file(index).unwrap();
    let error = refusal(load(folder.path(), Parts::Both));
    let looked = ["no Mimi found", "model.safetensors.index.json, model.safetensors"];
    assert_error(&error, ErrorKind::Format, &looked);
}

/// A folder of kyutai's language models: Moshi, Hibiki, speech to text and text to speech.
fn moshi(config: &Value, files: &[(&str, &[u8])]) -> TempDir {
    let (config, language_model) = (config.to_string(), other("transformer.layers.0.norm1.alpha"));
    let always = [("config.json", config.as_bytes()), ("model.safetensors", language_model.as_slice())];
    directory(&[&always[..], files].concat())
}

#[test]
fn moshi_names_its_mimi() {
    let kyutai = written(&to_kyutai(&case("tiny").0, 8), None);
    let numbers = std::fs::read(golden("tiny-moshi/mimi_config.json")).unwrap();
    for name in ["mimi-custom.safetensors", "mimi.sft", "m.sfts", KYUTAI] {
        let config = json!({ "model_type": "stt", "mimi_name": name, "moshi_name": "model.safetensors",
            "mimi_config_name": "numbers.json", "n_q": 32 });
        let files = [(name, kyutai.as_slice()), ("numbers.json", &numbers), ("b.safetensors", b"")];
        let model = load(moshi(&config, &files).path(), Parts::Both).unwrap();
        assert_eq!((model.id(), model.config()), (tiny().id(), tiny().config()));
    }
    // without a config by name, the usual one, else the published numbers
    let config = json!({ "model_type": "stt", "mimi_name": "m.sft", "n_q": 32 });
    let files = [("m.sft", kyutai.as_slice()), ("mimi_config.json", &numbers)];
    assert_eq!(load(moshi(&config, &files).path(), Parts::Both).unwrap().id(), tiny().id());
    let published = Checkpoint::open(moshi(&config, &files[..1]).path()).map(|open| open.config().clone());
    assert_eq!(published.unwrap(), mimi::Config::published());
}

#[test]
fn names_in_a_config_that_are_not_followed() {
    let kyutai = written(&to_kyutai(&case("tiny").0, 8), None);
    for (key, name, parts) in [
        ("mimi_name", "../x.safetensors", ["a path out of the folder is not followed", "plain name"]),
        ("mimi_name", "/etc/passwd", ["a path out of the folder is not followed", "plain name"]),
        (
            "mimi_name",
            "file:///tmp/x.safetensors",
            ["a path out of the folder is not followed", "plain name"],
        ),
        ("mimi_name", "hf://kyutai/x/y.safetensors", ["a file on a hub, which is not fetched", "plain name"]),
        ("mimi_name", "mimi.bin", ["a pickle", ".safetensors, .sft or .sfts"]),
        ("mimi_name", "mimi.pt", ["a pickle", ".safetensors, .sft or .sfts"]),
        ("mimi_config_name", "hf://kyutai/x/y.json", ["a file on a hub, which is not fetched", "plain name"]),
        ("mimi_config_name", "a/b.json", ["a path out of the folder is not followed", "plain name"]),
    ] {
        let mut config = json!({ "mimi_name": KYUTAI });
        config[key] = name.into();
        let folder = moshi(&config, &[(KYUTAI, &kyutai), ("mimi.bin", b"x"), ("mimi.pt", b"x")]);
        let error = refusal(load(folder.path(), Parts::Both));
        assert_error(&error, ErrorKind::Format, &["config.json", &format!("`{key}` is `{name}`")]);
        assert_error(&error, ErrorKind::Format, &parts);
        // whoever names the file itself does not need the config's word for it
        if key == "mimi_name" {
            let found = Checkpoint::open(&folder.path().join(KYUTAI)).map(|open| open.config().clone());
            assert_eq!(found.unwrap(), mimi::Config::published());
        }
    }
    let config = json!({ "mimi_name": "absent.safetensors" });
    let error = refusal(load(moshi(&config, &[(KYUTAI, &kyutai)]).path(), Parts::Both));
    let parts = ["absent.safetensors: the file does not exist", "config.json names it as `mimi_name`"];
    assert_error(&error, ErrorKind::Io, &parts);
    let config = json!({ "mimi_name": "model.safetensors" });
    let error = refusal(load(moshi(&config, &[(KYUTAI, &kyutai)]).path(), Parts::Both));
    assert_error(&error, ErrorKind::Format, &["no Mimi found", "model.safetensors"]);
}

/// `Qwen/Qwen3-TTS-Tokenizer-12Hz`: a Mimi encoder below `encoder.`, and another decoder.
fn qwen(config: &Value) -> TempDir {
    let mut tensors = Tensors::new();
    for (name, tensor) in case("tiny").0 {
        let decodes = ["decoder.", "decoder_transformer.", "upsample."].iter().any(|m| name.starts_with(m));
        if !decodes {
            tensors.insert(format!("encoder.{name}"), tensor);
        }
    }
    for name in [
        "decoder.quantizer.rvq_first.vq.layers.0._codebook.embedding_sum",
        "decoder.quantizer.rvq_first.vq.layers.0._codebook.cluster_usage",
        "decoder.quantizer.rvq_rest.vq.layers.0._codebook.cluster_usage",
        "decoder.pre_conv.conv.weight",
        "decoder.pre_transformer.layers.0.input_layernorm.weight",
        "decoder.upsample.0.0.conv.weight",
        "decoder.decoder.0.conv.weight",
    ] {
        tensors.insert(name.to_owned(), Tensor::of_f32(&[1], &[f32::NAN]));
    }
    directory(&[
        ("config.json", config.to_string().as_bytes()),
        ("model.safetensors", &written(&tensors, None)),
    ])
}

fn qwen_config(encoder: &Value, valid: usize) -> Value {
    json!({ "model_type": "qwen3_tts_tokenizer_12hz", "architectures": ["Qwen3TTSTokenizerV2Model"],
        "encoder_valid_num_quantizers": valid, "input_sample_rate": 24_000, "output_sample_rate": 24_000,
        "decode_upsample_rate": 1920, "encode_downsample_rate": 1920, "encoder_config": encoder,
        "decoder_config": { "codebook_size": 2048, "num_semantic_quantizers": 1, "hidden_size": 512,
            "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "sliding_window": 72 } })
}

#[test]
fn qwen_has_an_encoder_alone() {
    let mut nameless = tiny_config();
    nameless.as_object_mut().unwrap().remove("model_type");
    for encoder in [tiny_config(), nameless] {
        let folder = qwen(&qwen_config(&encoder, 3));
        let model = load(folder.path(), Parts::Encoder).unwrap();
        assert_eq!((model.id(), model.config().sliding_window), (tiny().id(), 20));
        // three of six codebooks are the default, and all may be had
        assert_eq!((model.codebooks(), model.spec().default_codebooks), (6, 3));
        assert_eq!(codes(&model, None), codes(&tiny(), Some(3)));
        assert_eq!(codes(&model, Some(6)), codes(&tiny(), Some(6)));
        assert_eq!(model.codes_for(1, &StreamOptions::default()).unwrap(), 3);
        assert_eq!(Encoder::new(&model, &StreamOptions::default()).unwrap().codebooks(), 3);
        let few = LoadOptions { parts: Parts::Encoder, codebooks: Some(2), ..Default::default() };
        assert_eq!(Model::load(folder.path(), &few).unwrap().spec().default_codebooks, 2);

        for parts in [Parts::Both, Parts::Decoder] {
            let error = refusal(load(folder.path(), parts));
            let said = ["has the encoder alone", "parts = encoder (MIMI_OPT_PARTS, MIMI_PARTS_ENCODER)"];
            assert_error(&error, ErrorKind::Unsupported, &said);
        }
    }
    // more than there are: all
    let model = load(qwen(&qwen_config(&tiny_config(), 16)).path(), Parts::Encoder).unwrap();
    assert_eq!(model.spec().default_codebooks, 6);
}

#[test]
fn the_talker_of_qwen_names_the_folder_of_its_codec() {
    let codec = qwen(&qwen_config(&tiny_config(), 3));
    for (inside, config) in [("speech_tokenizer", Some("{}")), ("audio_tokenizer", None)] {
        let talker =
            directory(&[("model.safetensors", &other("talker.model.layers.0.self_attn.q_proj.weight"))]);
        if let Some(config) = config {
            std::fs::write(talker.path().join("config.json"), config).unwrap();
        }
        let folder = talker.path().join(inside);
        std::fs::create_dir(&folder).unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(codec.path().join(file), folder.join(file)).unwrap();
        }
        let error = refusal(load(talker.path(), Parts::Encoder));
        let said = format!("its codec is in the subfolder {inside}: expected the path of that");
        assert_error(&error, ErrorKind::Format, &["no Mimi", &said]);
        assert_eq!(load(&folder, Parts::Encoder).unwrap().id(), tiny().id());
    }
}

/// Where shapes agree, another window would give other codes and no error.
#[test]
fn a_config_counts_wherever_it_stands() {
    let mut config = tiny_config();
    config["sliding_window"] = json!(6);
    let weights = written(&case("tiny").0, None);
    let folder = |config: &Value| {
        directory(&[("config.json", config.to_string().as_bytes()), ("model.safetensors", &weights)])
    };
    let expected = codes(&load(folder(&config).path(), Parts::Both).unwrap(), None);
    assert_ne!(expected, codes(&tiny(), None));
    for around in [
        json!({ "audio_codec_config": config }),
        json!({ "encoder_config": config }),
        json!({ "model_type": "x", "audio": { "codecs": [{ "mimi_config": config }] } }),
    ] {
        assert_eq!(codes(&load(folder(&around).path(), Parts::Both).unwrap(), None), expected, "{around}");
    }
    let two = json!({ "a_config": config, "b_config": tiny_config() });
    let error = refusal(load(folder(&two).path(), Parts::Both));
    let said = ["config.json", "`a_config` and `b_config` are Mimi configs with different numbers"];
    assert_error(&error, ErrorKind::Format, &said);
}

#[test]
fn no_numbers_are_assumed_beside_a_config_that_is_not_understood() {
    let weights = written(&case("tiny").0, None);
    for config in ["{}", r#"{"model_type":"mimi2"}"#, r#"{"codec_config":{"model_type":"dac"}}"#, "[1]"] {
        let folder = directory(&[("config.json", config.as_bytes()), ("a.safetensors", &weights)]);
        for path in [folder.path(), &folder.path().join("a.safetensors")] {
            let error = refusal(Checkpoint::open(path));
            let said = ["config.json", "no Mimi config is in it", "in mimi_config.json beside it"];
            assert_error(&error, ErrorKind::Format, &said);
        }
        // kyutai's file says by its name what it is
        let folder = directory(&[("config.json", config.as_bytes()), (KYUTAI, &weights)]);
        assert_eq!(*Checkpoint::open(folder.path()).unwrap().config(), mimi::Config::published());
    }
}
