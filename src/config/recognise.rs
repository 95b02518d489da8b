//! Which JSON texts are Mimi configs, and in which spelling.

use super::fields::Fields;
use super::{Config, kyutai, transformers};
use crate::error::headroom_for_tree;
use crate::{Error, ErrorKind};
use serde_json::{Map, Value};

/// Fields under which models that embed Mimi keep its config.
const NESTED: [&str; 2] = ["codec_config", "audio_encoder_config"];

/// The field under which Pocket TTS keeps its Mimi's config.
const PART: &str = "mimi";

/// Fields that `MimiConfig` has and its relatives (EnCodec, DAC) lack.
const TELL_TALE: [&str; 3] =
    ["num_semantic_quantizers", "vector_quantization_hidden_dimension", "upsample_groups"];

/// The largest config that is read, in bytes, wherever it comes from. Real ones have two thousand; a parsed tree takes
/// up to a hundred times as much.
pub(crate) const LARGEST_TEXT: usize = 1 << 20;

/// The config in a JSON text, `None` if the JSON is well-formed and no Mimi config.
pub(super) fn recognise(text: &str) -> Result<Option<Config>, Error> {
    if text.len() > LARGEST_TEXT {
        let message = format_args!("the config has {} bytes: expected at most {LARGEST_TEXT}", text.len());
        return Err(Error::new(ErrorKind::Format, message));
    }
    headroom_for_tree(text.len())?;
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Format, format_args!("the config is not JSON: {error}")))?;
    let Some(object) = value.as_object() else { return Ok(None) };
    if is_transformers(object) {
        return transformers::parse(&Fields::new(object, String::new())).map(Some);
    }
    for name in NESTED {
        let inner = object.get(name).and_then(Value::as_object);
        if let Some(inner) = inner.filter(|inner| is_transformers(inner)) {
            return transformers::parse(&Fields::new(inner, format!("{name}."))).map(Some);
        }
    }
    if is_kyutai(object) {
        return kyutai::parse(&Fields::new(object, String::new())).map(Some);
    }
    let part = object.get(PART).and_then(Value::as_object);
    if let Some(part) = part.filter(|part| is_kyutai(part)) {
        return kyutai::parse(&Fields::new(part, format!("{PART}."))).map(Some);
    }
    Ok(None)
}

fn is_kyutai(object: &Map<String, Value>) -> bool {
    object.get("seanet").is_some_and(Value::is_object)
}

fn is_transformers(object: &Map<String, Value>) -> bool {
    match object.get("model_type").and_then(Value::as_str) {
        Some(model_type) => ["mimi", "mimi_encoder", "mimi_decoder"].contains(&model_type),
        None => {
            object.contains_key("upsampling_ratios")
                && TELL_TALE.iter().any(|name| object.contains_key(*name))
        }
    }
}
