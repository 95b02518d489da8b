//! Typed access to the fields of a JSON object.

use crate::{Error, ErrorKind};
use serde_json::{Map, Value};

/// The fields of an object. A field that is null counts as absent, except for [`is_null`](Self::is_null).
pub(super) struct Fields<'a> {
    /// `None`: no fields at all.
    object: Option<&'a Map<String, Value>>,
    /// The names of the objects around the fields, for messages.
    path: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Those of `object`. `path` has the names of the objects around them.
    pub(super) fn new(object: &'a Map<String, Value>, path: &[&'a str]) -> Self {
        Self { object: Some(object), path: path.to_vec() }
    }

    /// The name of a field as messages show it: `seanet.ratios`.
    fn shown(&self, name: &str) -> String {
        joined(self.path.iter().copied().chain([name]))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the field is there and null.
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
    pub(super) fn group(&self, name: &'a str) -> Result<Fields<'a>, Error> {
        let object = self.typed(name, "an object", Value::as_object)?;
        Ok(Fields { object, path: self.path.iter().copied().chain([name]).collect() })
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| {
            let message = format!("`{}` is {}: expected {expected}", self.shown(name), shown(value));
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

    /// The error for a field with a value that is not run.
    pub(super) fn unsupported(&self, name: &str, value: impl Into<Value>, expected: &str) -> Error {
        let found = shown(&value.into());
        let message = format!("unsupported `{}` {found}: expected {expected}", self.shown(name));
        Error::new(ErrorKind::Unsupported, message)
    }
}

/// Names of objects inside each other as messages show them: joined by dots, each cut after 40 characters.
pub(super) fn joined<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const LONGEST: usize = 40;
    names.map(|name| name.chars().take(LONGEST).collect::<String>()).collect::<Vec<_>>().join(".")
}

/// Whether two values are equal. The numbers 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// A whole number, also when written 24000.0.
fn as_whole(value: &Value) -> Option<usize> {
    // every whole number below this is an f64
    const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    match value.as_u64() {
        Some(whole) => whole.try_into().ok(),
        None => {
            let number = value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..EXACT).contains(x))?;
            (number as u64).try_into().ok()
        }
    }
}

/// A value as messages show it: its JSON, cut after 80 characters.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
