//! Folders as people have them: those of models that embed Mimi, and which of their files are needed.

use crate::support::*;
use mimi::ErrorKind;
use mimi::probe::folder::{Folder, shards};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
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
    assert_eq!(folder.configs(), names(&[]));
    let index = r#"{"weight_map":{
        "lm_head.weight":"transformers-00001-of-00002.safetensors",
        "codec_model.encoder_transformer.layers.0.mlp.fc1.weight":"transformers-00002-of-00002.safetensors",
        "codec_model.upsample.conv.weight":"transformers-00002-of-00002.safetensors"}}"#;
    assert_eq!(shards(index).unwrap(), ["transformers-00002-of-00002.safetensors"]);
    let language_model = r#"{"weight_map":{"model.layers.0.mlp.up_proj.weight":"a.safetensors"}}"#;
    assert_eq!(shards(language_model).unwrap(), names(&[]));
    assert_error(&refusal(shards("<html>")), ErrorKind::Format, &["not an index of shards"]);

    // without a config, a name that says Mimi comes before one that says nothing
    let listed = names(&["model.safetensors", "tokenizer-e351c8d8-checkpoint125.safetensors", "a.json"]);
    let weights = |config| Folder::new(&listed, config).unwrap().weights().unwrap();
    assert_eq!(weights(None), ["tokenizer-e351c8d8-checkpoint125.safetensors", "model.safetensors"]);
    assert_eq!(weights(Some(csm))[0], "model.safetensors");
    let moshi = r#"{"mimi_name":"model.safetensors","mimi_config_name":"a.json"}"#;
    assert_eq!(weights(Some(moshi)), ["model.safetensors"]);
    assert_eq!(Folder::new(&listed, Some(moshi)).unwrap().configs(), ["a.json"]);

    let listed = names(&["config.json", "model.safetensors", "speech_tokenizer/model.safetensors"]);
    let talker = Folder::new(&listed, Some(r#"{"model_type":"qwen3_tts"}"#)).unwrap();
    assert_error(&refusal(talker.weights()), ErrorKind::Format, &["subfolder speech_tokenizer"]);
}
