//! The little of YAML that Pocket TTS's configs are written in: mappings and lists by indentation, and scalars. What is
//! beyond that is an error, and only the part that is asked for is looked at.

use crate::{Error, ErrorKind};
use serde_json::{Map, Value};
use std::fmt::Display;

/// Mappings inside each other; a config has three.
const DEEPEST: usize = 8;

/// A line with something on it.
#[derive(Clone, Copy)]
struct Line<'t> {
    /// Counted from 1.
    number: usize,
    indent: usize,
    text: &'t str,
}

/// The mapping that stands under `key` at the outermost level, `None` if there is none. The key must not be missed:
/// where it may stand in a way that is not read, that is an error.
pub(super) fn part(text: &str, key: &str) -> Result<Option<Value>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = || text.lines().enumerate().filter_map(|(index, line)| Line::of(index + 1, line));
    let Some(first) = lines().find(|line| !line.begins_document()) else { return Ok(None) };
    if first.text.starts_with('{') {
        return part_of_json(text, key, first);
    }
    // a text may be indented as a whole
    let outermost = |line: &Line| line.indent <= first.indent;
    let mut found = None;
    for line in lines().filter(outermost) {
        match line.behind(key)? {
            Some(_) if found.is_some() => {
                return Err(line.error(format_args!("`{key}` is there twice: expected each key once")));
            }
            Some("") => found = Some(line.number),
            Some(rest) => {
                return Err(
                    line.error(format_args!("{rest:?} is behind `{key}:`: expected a mapping below it"))
                );
            }
            None => {}
        }
    }
    let Some(number) = found else { return Ok(None) };
    let mut inside =
        lines().skip_while(|line| line.number <= number).take_while(|line| !outermost(line)).peekable();
    let Some(first) = inside.peek().copied() else { return Ok(None) };
    let value = block(&mut inside, first, 0)?;
    inside.next().map_or(Ok(Some(value)), |line| Err(line.error("expected as much indentation as before")))
}

/// The same of a text that begins with a brace on the line `first`: YAML can be JSON.
fn part_of_json(text: &str, key: &str, first: Line) -> Result<Option<Value>, Error> {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(mut mapping) => match mapping.remove(key) {
            Some(value) if !value.is_object() => {
                Err(first.error(format_args!("`{key}` is not a mapping: expected one")))
            }
            part => Ok(part),
        },
        Err(error) if text.contains(key) => {
            Err(first.error(format_args!("what begins with {{ is not as in JSON: {error}")))
        }
        Err(_) => Ok(None),
    }
}

impl<'t> Line<'t> {
    /// `None` if there is nothing but a comment.
    fn of(number: usize, line: &'t str) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        let (mut quote, mut before) = (None, ' ');
        let comment = text.char_indices().find(|&(_, now)| {
            match quote {
                None if now == '#' && before.is_whitespace() => return true,
                None if now == '"' || now == '\'' => quote = Some(now),
                Some(open) if now == open => quote = None,
                _ => {}
            }
            before = now;
            false
        });
        let text = text[..comment.map_or(text.len(), |(at, _)| at)].trim_end();
        (!text.is_empty()).then_some(Self { number, indent, text })
    }

    /// Whether the line stands before a document and is none of it: a directive, or a mark.
    fn begins_document(&self) -> bool {
        self.text.starts_with('%') || self.text == "---"
    }

    /// What is behind `key` and its colon, `None` if the line is about something else.
    fn behind(&self, key: &str) -> Result<Option<&'t str>, Error> {
        let quoted = |quote: char| self.text.strip_prefix(quote)?.strip_prefix(key)?.strip_prefix(quote);
        let rest = quoted('"').or_else(|| quoted('\'')).or_else(|| self.text.strip_prefix(key));
        let rest = rest.and_then(|rest| rest.trim_start().strip_prefix(':'));
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            return Ok(Some(rest.trim()));
        }
        match ["? ", "&", "!", "--- "].iter().find(|start| self.text.starts_with(**start)) {
            Some(start) if self.text.contains(key) => {
                let start = start.trim_end();
                Err(self.error(format_args!("`{key}` behind {start} is not read: expected `{key}:` alone")))
            }
            _ => Ok(None),
        }
    }

    /// What follows the dash of a list's item.
    fn item(&self) -> Option<&'t str> {
        self.text.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')).map(str::trim)
    }

    fn error(&self, message: impl Display) -> Error {
        Error::new(ErrorKind::Format, format_args!("YAML, line {}: {message}", self.number))
    }
}

/// The list or mapping that begins with the line `first`, which is the next one.
fn block<'t>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = Line<'t>>>,
    first: Line<'t>,
    depth: usize,
) -> Result<Value, Error> {
    if depth == DEEPEST {
        return Err(first.error(format_args!("expected at most {DEEPEST} mappings inside each other")));
    }
    if first.item().is_some() {
        let mut list = Vec::new();
        while let Some(line) = lines.next_if(|line| line.indent == first.indent && line.item().is_some()) {
            list.push(scalar(line, line.item().unwrap_or_default())?);
        }
        return Ok(Value::Array(list));
    }
    let mut mapping = Map::new();
    while let Some(line) = lines.next_if(|line| line.indent == first.indent && line.item().is_none()) {
        let (key, rest) = line
            .text
            .split_once(':')
            .filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '))
            .ok_or_else(|| line.error("expected `key: value`"))?;
        let value = match (rest.trim(), lines.peek().copied()) {
            // a list may stand as far left as its key
            ("", Some(next))
                if next.indent > line.indent || next.indent == line.indent && next.item().is_some() =>
            {
                block(lines, next, depth + 1)?
            }
            (rest, _) => scalar(line, rest)?,
        };
        let key = key.trim().trim_matches(['"', '\'']);
        if mapping.insert(key.to_owned(), value).is_some() {
            return Err(line.error(format_args!("`{key}` is there twice: expected each key once")));
        }
    }
    Ok(Value::Object(mapping))
}

/// A value on one line: a number, a word, a text in quotes, or a list or mapping as JSON has it.
fn scalar(line: Line, text: &str) -> Result<Value, Error> {
    match (text, text.as_bytes().first()) {
        ("" | "~" | "null" | "Null" | "NULL", _) => Ok(Value::Null),
        ("true" | "True" | "TRUE", _) => Ok(Value::Bool(true)),
        ("false" | "False" | "FALSE", _) => Ok(Value::Bool(false)),
        (_, Some(b'[' | b'{' | b'"')) => serde_json::from_str(text).map_err(|error| {
            line.error(format_args!("what begins with {} is not as in JSON: {error}", &text[..1]))
        }),
        (_, Some(b'\'')) => match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            Some(inner) => Ok(inner.replace("''", "'").into()),
            None => Err(line.error("expected a quote at the end")),
        },
        (_, Some(b'|' | b'>' | b'&' | b'*' | b'!' | b'%' | b'@' | b'`' | b'?')) => {
            Err(line.error(format_args!("{} is not read: expected a plain value", &text[..1])))
        }
        _ => Ok(serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| text.into(), Value::Number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_configs_are_written_in() {
        let text = "# a comment\nflow_lm: &a\n  x: |\n    any #thing\nmimi:\n  a: 12.5 # Hz\n\n  'b':\n  - 6\n  - 5\n  c:\n    \
                    d: [1, 2]\n    e: 'it''s'\n    f:\n      - x\n  g: 1e-05\n  h:\n  i: \"#\"\n  # mimi:\nnext: {\n";
        let expected = json!({
            "a": 12.5, "b": [6, 5], "c": { "d": [1, 2], "e": "it's", "f": ["x"] }, "g": 1e-5, "h": null, "i": "#"
        });
        assert_eq!(part(text, "mimi").unwrap(), Some(expected));
        let nested = "x:\n  mimi:\n    a: 1\n";
        for none in [
            "",
            "---",
            "mimi",
            nested,
            "mimi:\n",
            "mimi:1\n",
            "mimic: 1\n",
            "- mimi: 1\n",
            "{a: 1}",
            "{\"a\": 1}",
        ] {
            assert_eq!(part(none, "mimi").unwrap(), None, "{none}");
        }
    }

    #[test]
    fn the_part_is_found_however_it_is_written() {
        for text in [
            "\u{feff}mimi:\n  a: 1\n",
            "\"mimi\":\n  a: 1\n",
            "'mimi' : # a comment\n  a: 1\n",
            "x: 1\nmimi :\t\n  a: 1\n",
            "%YAML 1.2\n---\nmimi:\n  a: 1\n",
            "---\n  x: 1\n  mimi:\n    a: 1\n  y: 2\n",
            "\u{feff}{\"x\": 1,\n \"mimi\": {\"a\": 1}}\n",
        ] {
            assert_eq!(part(text, "mimi").unwrap(), Some(json!({ "a": 1 })), "{text}");
        }
    }

    /// Where it may be there and is not read, nothing else may be taken in its place.
    #[test]
    fn a_part_that_is_not_read_is_an_error() {
        for (text, message) in [
            ("x: 1\nmimi: &m\n  a: 1\n", "line 2: \"&m\" is behind `mimi:`: expected a mapping below it"),
            ("mimi: !!map\n  a: 1\n", "line 1: \"!!map\" is behind"),
            ("'mimi': {a: 1}\n", "line 1: \"{a: 1}\" is behind"),
            ("mimi: 1\n", "line 1: \"1\" is behind"),
            ("mimi:\nx: 1\nmimi:\n  a: 1\n", "line 3: `mimi` is there twice"),
            ("mimi:\n  a: 1\n\"mimi\":\n  a: 2\n", "line 3: `mimi` is there twice"),
            ("mimi:\n  a: 1\n---\nmimi:\n  a: 2\n", "line 4: `mimi` is there twice"),
            ("? mimi\n: a: 1\n", "line 1: `mimi` behind ? is not read"),
            ("&m mimi:\n  a: 1\n", "line 1: `mimi` behind & is not read"),
            ("!!str mimi:\n  a: 1\n", "line 1: `mimi` behind ! is not read"),
            ("--- {mimi: {a: 1}}\n", "line 1: `mimi` behind --- is not read"),
            ("{\"mimi\": \"a\"}\n", "line 1: `mimi` is not a mapping"),
            ("# x\n{mimi: {a: 1}}\n", "line 2: what begins with { is not as in JSON"),
        ] {
            let error = part(text, "mimi").unwrap_err();
            assert!(
                error.kind() == ErrorKind::Format && error.message().contains(message),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_is_beyond_that_is_an_error() {
        let deep: String = (1..=40).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        for (text, message) in [
            (" a: 1\n a: 2\n", "line 3: `a` is there twice"),
            (" a: 1\n  b: 2\n", "line 3: expected as much indentation"),
            ("  a:\n    b: 1\n c: 2\n", "line 4: expected as much indentation"),
            (" a: *x\n", "* is not read"),
            (" a: [1,\n", "not as in JSON"),
            (" a: 'b\n", "expected a quote"),
            (" just text\n", "expected `key: value`"),
            (deep.as_str(), "at most 8"),
        ] {
            let error = part(&format!("mimi:\n{text}"), "mimi").unwrap_err();
            assert!(
                error.kind() == ErrorKind::Format && error.message().contains(message),
                "{text}: {error}"
            );
        }
    }
}
