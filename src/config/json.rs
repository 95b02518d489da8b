//! Typed access to the fields of a JSON object, and which objects are Mimi configs.

use super::{Config, kyutai, transformers};
use crate::error::headroom_for_tree;
use crate::{Error, ErrorKind};
use serde_json::{Map, Value};

/// Fields under which models that embed Mimi keep its config.
const NESTED: [&str; 2] = ["codec_config", "audio_encoder_config"];

/// Fields that `MimiConfig` has and its relatives (EnCodec, DAC) have not.
const TELL_TALE: [&str; 3] =
    ["num_semantic_quantizers", "vector_quantization_hidden_dimension", "upsample_groups"];

/// The largest config that is read, in bytes, wherever it comes from; real ones have two thousand. A parsed tree takes
/// up to a hundred times as much.
pub(crate) const LARGEST_TEXT: usize = 1 << 20;

pub(super) fn recognise(text: &str) -> Result<Option<Config>, Error> {
    if text.len() > LARGEST_TEXT {
        let message = format_args!("a config of {} bytes: expected at most {LARGEST_TEXT}", text.len());
        return Err(Error::new(ErrorKind::Format, message));
    }
    headroom_for_tree(text.len())?;
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Format, format_args!("not JSON: {error}")))?;
    let Some(object) = value.as_object() else { return Ok(None) };
    if is_transformers(object) {
        return transformers::parse(&Fields::new(object)).map(Some);
    }
    for name in NESTED {
        if let Some(inner) =
            object.get(name).and_then(Value::as_object).filter(|inner| is_transformers(inner))
        {
            return transformers::parse(&Fields { object: Some(inner), path: format!("{name}.") }).map(Some);
        }
    }
    if object.get("seanet").is_some_and(Value::is_object) {
        return kyutai::parse(&Fields::new(object)).map(Some);
    }
    Ok(None)
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

/// The fields of an object; absent and null are the same.
pub(super) struct Fields<'a> {
    /// `None`: no fields at all.
    object: Option<&'a Map<String, Value>>,
    /// What stands before a field's name in messages: `"seanet."`.
    path: String,
}

impl<'a> Fields<'a> {
    fn new(object: &'a Map<String, Value>) -> Self {
        Self { object: Some(object), path: String::new() }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name).filter(|value| !value.is_null())
    }

    /// The field is there, and null.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.object.and_then(|object| object.get(name)).is_some_and(Value::is_null)
    }

    pub(super) fn whole(&self, name: &str) -> Result<Option<usize>, Error> {
        self.typed(name, "a whole number", as_whole)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.typed(name, "a string", Value::as_str)
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<usize>>, Error> {
        self.typed(name, "an array of whole numbers", |value| {
            value.as_array()?.iter().map(as_whole).collect()
        })
    }

    /// The object under `name`, or one without fields.
    pub(super) fn group(&self, name: &str) -> Result<Fields<'a>, Error> {
        let object = self.typed(name, "an object", Value::as_object)?;
        Ok(Fields { object, path: format!("{}{name}.", self.path) })
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| {
            let message = format!("`{}{name}` is {}: expected {expected}", self.path, shown(value));
            Error::new(ErrorKind::Format, message)
        })
    }

    /// Refuses a field that is there and is not one of `supported`.
    pub(super) fn only(&self, name: &str, supported: &[Value]) -> Result<(), Error> {
        match self.get(name) {
            Some(value) if !supported.iter().any(|accepted| same(accepted, value)) => {
                let supported: Vec<_> = supported.iter().map(shown).collect();
                let expected = if supported.is_empty() { "null".to_owned() } else { supported.join(" or ") };
                Err(self.unsupported(name, value.clone(), &expected))
            }
            _ => Ok(()),
        }
    }

    /// The refusal of a field: its name, its value and what is expected.
    pub(super) fn unsupported(&self, name: &str, value: impl Into<Value>, expected: &str) -> Error {
        let found = shown(&value.into());
        let message = format!("unsupported `{}{name}` {found}: expected {expected}", self.path);
        Error::new(ErrorKind::Unsupported, message)
    }
}

/// Equal, where 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// A whole number, also when written 24000.0.
fn as_whole(value: &Value) -> Option<usize> {
    // up to here every whole number is an f64
    const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    match value.as_u64() {
        Some(whole) => whole.try_into().ok(),
        None => {
            let number = value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..EXACT).contains(x))?;
            (number as u64).try_into().ok()
        }
    }
}

/// A value as it is shown in messages: its JSON, cut where it gets long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
