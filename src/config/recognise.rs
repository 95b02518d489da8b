//! Which JSON texts are Mimi configs, and in which spelling.

use super::fields::{Fields, joined};
use super::{Config, kyutai, transformers, yaml};
use crate::error::headroom_for_tree;
use crate::{Error, ErrorKind};
use serde_json::{Map, Value};

/// The part of Pocket TTS's config that is its Mimi's.
const PART: &str = "mimi";

/// Fields that `MimiConfig` has and its relatives (EnCodec, DAC) lack.
const TELL_TALE: [&str; 3] =
    ["num_semantic_quantizers", "vector_quantization_hidden_dimension", "upsample_groups"];

/// A field that Mimi lacks and the decoder of Qwen3-TTS has, which has some of the others, too.
const OF_ANOTHER: &str = "upsample_rates";

/// The field by which a model that embeds Mimi says how many of its codebooks are meant to be used.
pub(super) const VALID: &str = "encoder_valid_num_quantizers";

/// The model whose `encoder_config` is a Mimi's by its class, whatever stands in it.
const QWEN: (&str, &str) = ("qwen3_tts_tokenizer_12hz", "encoder_config");

/// The largest config that is read, in bytes, wherever it comes from. Real ones have two thousand; a parsed tree takes
/// up to a hundred times as much.
pub(crate) const LARGEST_TEXT: usize = 1 << 20;

/// The most Mimi configs in a text: each is read, and all must be equal. Real texts have one.
const MOST: usize = 64;

/// The config in a JSON text, `None` if the JSON is well-formed and no Mimi config.
pub(super) fn json(text: &str) -> Result<Option<Config>, Error> {
    check_length(text)?;
    let value = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Format, format_args!("the config is not JSON: {error}")))?;
    recognise(&value)
}

/// The config in a YAML text of Pocket TTS, `None` if it has no part `mimi`.
pub(super) fn yaml(text: &str) -> Result<Option<Config>, Error> {
    check_length(text)?;
    match yaml::part(text, PART)? {
        Some(part) => recognise(&Value::Object(Map::from_iter([(PART.to_owned(), part)]))),
        None => Ok(None),
    }
}

fn check_length(text: &str) -> Result<(), Error> {
    if text.len() > LARGEST_TEXT {
        let message = format_args!("the config has {} bytes: expected at most {LARGEST_TEXT}", text.len());
        return Err(Error::new(ErrorKind::Format, message));
    }
    headroom_for_tree(text.len())
}

fn recognise(value: &Value) -> Result<Option<Config>, Error> {
    let mut found: Option<(Vec<&str>, Config)> = None;
    let mut count = 0;
    each_mimi(value, None, &mut Vec::new(), &mut |path, config| {
        count += 1;
        if count > MOST {
            let message =
                format_args!("more than {MOST} Mimi configs are in it: expected one, or equal ones");
            return Err(Error::new(ErrorKind::Format, message));
        }
        match &found {
            Some((first, other)) if *other != config => {
                let [first, path] = [first, path].map(|path| joined(path.iter().copied()));
                let message = format_args!(
                    "`{first}` and `{path}` are Mimi configs with different numbers: expected one, or equal ones"
                );
                Err(Error::new(ErrorKind::Format, message))
            }
            Some(_) => Ok(()),
            None => {
                found = Some((path.to_vec(), config));
                Ok(())
            }
        }
    })?;
    Ok(found.map(|(_, config)| config))
}

type Object = Map<String, Value>;

/// Calls `take` for each Mimi config in `value`, with the names of the objects around it. `path` has those around
/// `value`, and `parent` is the last of these objects. Inside a Mimi config none is looked for.
fn each_mimi<'v>(
    value: &'v Value,
    parent: Option<&'v Object>,
    path: &mut Vec<&'v str>,
    take: &mut impl FnMut(&[&'v str], Config) -> Result<(), Error>,
) -> Result<(), Error> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(values) => {
            return values.iter().try_for_each(|value| each_mimi(value, None, path, take));
        }
        _ => return Ok(()),
    };
    let kyutai = is_kyutai(object);
    let of_qwen = || path.last() == Some(&QWEN.1) && parent.is_some_and(|parent| names_model(parent, QWEN.0));
    if kyutai || is_transformers(object) || of_qwen() {
        let fields = Fields::new(object, path);
        let config = if kyutai { kyutai::parse(&fields) } else { transformers::parse(&fields) }?;
        let beside = parent.map(|parent| Fields::new(parent, &path[..path.len() - 1]));
        let valid = beside.map(|fields| fields.whole(VALID)).transpose()?.flatten();
        let default_codebooks = config.default_codebooks.or(valid);
        let config = Config { default_codebooks, ..config };
        config.validate()?;
        return take(path, config);
    }
    for (name, value) in object {
        path.push(name);
        each_mimi(value, Some(object), path, take)?;
        path.pop();
    }
    Ok(())
}

fn names_model(object: &Object, name: &str) -> bool {
    object.get("model_type").and_then(Value::as_str) == Some(name)
}

fn is_kyutai(object: &Object) -> bool {
    object.get("seanet").is_some_and(Value::is_object)
}

fn is_transformers(object: &Object) -> bool {
    match object.get("model_type").and_then(Value::as_str) {
        Some(model_type) => ["mimi", "mimi_encoder", "mimi_decoder"].contains(&model_type),
        None => {
            object.contains_key("upsampling_ratios")
                && TELL_TALE.iter().any(|name| object.contains_key(*name))
                && !object.contains_key(OF_ANOTHER)
        }
    }
}
