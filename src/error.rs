//! What can go wrong, and how it is told.

use std::fmt;

/// The kind of an [`Error`]; each has its number in the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or option has a value that no model accepts.
    InvalidArgument,
    /// A file or callback could not be read.
    Io,
    /// The bytes are not a Mimi checkpoint, or not one we recognise.
    Format,
    /// A checkpoint that is recognised but damaged: truncated, misshapen, non-finite; or a code
    /// out of range.
    Corrupt,
    /// A well-formed request that this library does not run.
    Unsupported,
    /// Memory could not be had.
    OutOfMemory,
    /// A read callback asked to stop.
    Aborted,
}

/// A failure of a call that is not real-time: its kind, and a message that names the file,
/// tensor, option or argument, what was found and what was expected.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message, without the kind.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A failure of a streaming call. Nothing was consumed, nothing was written, the stream is as it
/// was before. Small and without a heap, because streaming calls are real-time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The output buffer is too small.
    BufferTooSmall {
        /// Elements that this call would write.
        needed: usize,
    },
    /// A code that the codebooks do not have.
    CodeOutOfRange {
        /// Where it stands in the input.
        index: usize,
        /// Its value.
        code: u32,
        /// Codes must be below this.
        codebook_size: u32,
    },
    /// The input does not hold whole frames of codes.
    PartialFrame {
        /// Codes given.
        codes: usize,
        /// Codes in a frame.
        codebooks: usize,
    },
    /// A call for many streams whose lists differ in length.
    UnequalCounts {
        /// Streams given.
        streams: usize,
        /// Inputs given.
        inputs: usize,
        /// Outputs given.
        outputs: usize,
    },
    /// A call for many streams that are not all of one model.
    DifferentModels,
    /// A call for many streams whose inputs are not exactly one frame each.
    NotOneFrame {
        /// Elements given for a stream.
        found: usize,
        /// Elements in a frame.
        expected: usize,
    },
    /// A call for many streams with one that converts its sample rate and has not taken its first frame
    /// yet, which it must take alone.
    FirstFrame,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { needed } => write!(f, "output buffer too small: {needed} elements needed"),
            Self::CodeOutOfRange { index, code, codebook_size } => {
                write!(f, "codes[{index}] is {code}; codes are below {codebook_size}")
            }
            Self::PartialFrame { codes, codebooks } => {
                write!(f, "{codes} codes are no whole number of frames of {codebooks} codebooks")
            }
            Self::UnequalCounts { streams, inputs, outputs } => {
                write!(
                    f,
                    "{streams} streams, {inputs} inputs and {outputs} outputs; there must be one for each"
                )
            }
            Self::DifferentModels => f.write_str("the streams are not all of one model"),
            Self::NotOneFrame { found, expected } => {
                write!(f, "{found} elements for a stream; exactly one frame, {expected}, is expected")
            }
            Self::FirstFrame => {
                f.write_str("a stream at another sample rate must take its first frame alone")
            }
        }
    }
}

impl std::error::Error for StreamError {}

/// For `map_err` where memory is taken.
pub(crate) fn out_of_memory(error: std::collections::TryReserveError) -> Error {
    Error::new(ErrorKind::OutOfMemory, format!("out of memory: {error}"))
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::CodeOutOfRange { .. } => ErrorKind::Corrupt,
            _ => ErrorKind::InvalidArgument,
        };
        Error::new(kind, error.to_string())
    }
}
