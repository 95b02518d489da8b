//! What the user is told when a command cannot go on.

use std::{fmt, io, path::Path};

/// One line for the terminal: what it concerns, then what is wrong with it.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What commands return.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message)
    }

    /// What is read ends too early; which file, the caller adds.
    pub(crate) fn cut_off(message: impl Into<String>) -> Self {
        Self::new(message)
    }

    /// Something is wrong with the file at `path`.
    pub(crate) fn at(path: &Path, problem: impl fmt::Display) -> Self {
        Self(format!("{}: {problem}", path.display()))
    }

    /// The system refused the file at `path`.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::at(path, reason(error))
    }

    /// The system refused; which file, the caller adds.
    pub(crate) fn system(error: &io::Error) -> Self {
        Self(reason(error))
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<mimi::Error> for Failure {
    fn from(error: mimi::Error) -> Self {
        Self(error.message().to_string())
    }
}

impl From<mimi::StreamError> for Failure {
    fn from(error: mimi::StreamError) -> Self {
        Self(error.to_string())
    }
}
