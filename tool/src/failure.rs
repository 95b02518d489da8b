//! What the user is told when a command cannot go on.

use std::{
    fmt,
    io::{self, Write},
    path::Path,
};

/// Characters of a message that are shown. Names of files and numbers fit; a header that a library
/// quotes whole does not.
const LONGEST: usize = 1_000;

/// One line for the terminal: what it concerns, then what is wrong with it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    kind: Kind,
}

/// What a failure means to the program that ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something went wrong.
    Failed,
    /// The command line asks for what cannot be.
    Usage,
    /// A recording or a file of codes ends before its own end, or is damaged from some place on.
    CutOff,
    /// Whoever was to read the output has gone.
    NoReader,
}

/// What commands return.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Failed }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::new(message) }
    }

    /// What is read ends or is damaged too early; which file, the caller adds with [`Failure::of`].
    pub(crate) fn cut_off(message: impl Into<String>) -> Self {
        Self { kind: Kind::CutOff, ..Self::new(message) }
    }

    /// Something is wrong with the file at `path`.
    pub(crate) fn at(path: &Path, problem: impl fmt::Display) -> Self {
        Self::new(format!("{}: {problem}", path.display()))
    }

    /// The system refused the file at `path`.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::system(error).of(path)
    }

    /// The system refused; which file, the caller adds.
    pub(crate) fn system(error: &io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::NoReader } else { Kind::Failed };
        Self { kind, ..Self::new(reason(error)) }
    }

    /// The same, of the file at `path`.
    pub(crate) fn of(self, path: &Path) -> Self {
        Self { kind: self.kind, ..Self::at(path, &self) }
    }

    /// The same, and what to do about it.
    pub(crate) fn but(self, advice: &str) -> Self {
        Self { message: format!("{}; {advice}", self.message), ..self }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

/// The system's words, without the error number that `io::Error` appends and the name of the
/// temporary file that `tempfile` appends to that.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

impl fmt::Display for Failure {
    /// The message, [`plain`] and of bounded length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = plain(&self.message);
        match text.char_indices().nth(LONGEST) {
            None => f.write_str(&text),
            Some((end, _)) => write!(f, "{}…", &text[..end]),
        }
    }
}

/// `text` without power over a terminal or a log: control characters, and those that turn the
/// direction of writing, as `\u{1b}`.
pub(crate) fn plain(text: &str) -> String {
    let is_plain = |c: char| {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        // U+2028 and U+2029 are ends of lines, too
        !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_plain(c) => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// What to do about an input that is cut off.
pub(crate) const PARTIAL: &str = "--partial takes what is there";

/// Tells the user on standard error. Where that is closed, there is nobody to tell.
pub(crate) fn tell(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "mimi: {}", plain(&message.to_string()));
}

impl From<mimi::Error> for Failure {
    fn from(error: mimi::Error) -> Self {
        Self::new(error.message())
    }
}

impl From<mimi::StreamError> for Failure {
    fn from(error: mimi::StreamError) -> Self {
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_text_is_shown() {
        let hostile = "a\u{1b}]0;b\u{7}c\nd\u{9b}31m\u{202e}e\u{2066}f\u{7f}\u{2028}ä日\\";
        let shown = Failure::at(Path::new("x\u{1b}[2J"), Failure::new(hostile)).to_string();
        let expected =
            "x\\u{1b}[2J: a\\u{1b}]0;b\\u{7}c\\nd\\u{9b}31m\\u{202e}e\\u{2066}f\\u{7f}\\u{2028}ä日\\";
        assert_eq!(shown, expected);
    }

    #[test]
    fn messages_end() {
        let shown = Failure::at(Path::new("x"), "ä".repeat(1_000_000)).to_string();
        assert!(shown.starts_with("x: ä") && shown.ends_with("ä…"));
        assert_eq!(shown.chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_file_is_named_without_changing_what_a_failure_means() {
        assert_eq!(Failure::cut_off("short").of(Path::new("x")).kind(), Kind::CutOff);
        let gone = Failure::io(Path::new("x"), &io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone.kind(), Kind::NoReader);
    }
}
