//! What can go wrong, and how it is told.

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::fmt::{self, Write};

/// The kind of an [`Error`]; each has its number in the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or option has a value that no model accepts.
    InvalidArgument,
    /// A file or callback could not be read.
    Io,
    /// The bytes are not in the format that is expected: of a Mimi checkpoint, of a token header.
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
    message: Cow<'static, str>,
}

impl Error {
    /// An error whose message is [`Escaped`], and cut where it gets long.
    pub(crate) fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        let mut text = Text(String::new());
        let message = match write!(text, "{}", Escaped(message)) {
            Ok(()) => Cow::Owned(text.0),
            Err(fmt::Error) if text.0.len() >= LONGEST_MESSAGE => Cow::Owned(text.0),
            Err(fmt::Error) => Cow::Borrowed("no memory for the message"),
        };
        Self { kind, message }
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
    /// Frames for which there is no room now, in a queue that another thread empties.
    NoRoom {
        /// Frames given.
        frames: usize,
        /// Frames that would have been taken.
        room: usize,
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
    /// The input does not hold whole frames of latents.
    PartialLatent {
        /// Values given.
        values: usize,
        /// Values in a frame.
        latent_dim: usize,
    },
    /// Codes, on a model without a quantizer: its streams take and give latents.
    NoQuantizer,
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

/// What there is to say of codes on a model without a quantizer.
pub(crate) const NO_QUANTIZER: &str =
    "the model has no quantizer and so no codes; its streams take and give latents";

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { needed } => write!(f, "output buffer too small: {needed} elements needed"),
            Self::NoRoom { frames, room } => write!(f, "{frames} frames: there is room for {room} now"),
            Self::CodeOutOfRange { index, code, codebook_size } => {
                write!(f, "codes[{index}] is {code}: expected less than {codebook_size}")
            }
            Self::PartialFrame { codes, codebooks } => {
                write!(f, "{codes} codes: expected a multiple of {codebooks}, the codebooks")
            }
            Self::PartialLatent { values, latent_dim } => {
                write!(f, "{values} values: expected a multiple of {latent_dim}, the latent's dimensions")
            }
            Self::NoQuantizer => f.write_str(NO_QUANTIZER),
            Self::UnequalCounts { streams, inputs, outputs } => {
                write!(
                    f,
                    "{streams} streams, {inputs} inputs and {outputs} outputs: expected as many of each"
                )
            }
            Self::DifferentModels => f.write_str("the streams are not all of one model"),
            Self::NotOneFrame { found, expected } => {
                write!(f, "{found} elements for a stream: expected one frame, {expected}")
            }
            Self::FirstFrame => {
                f.write_str("a stream at another sample rate must take its first frame alone")
            }
        }
    }
}

impl std::error::Error for StreamError {}

/// Bytes after which a message is cut: names in files may be as long as the files.
const LONGEST_MESSAGE: usize = 4096;

/// Text that fails to grow where there is no memory, where `String` would end the process, and beyond
/// [`LONGEST_MESSAGE`].
struct Text(String);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut len = text.len().min(LONGEST_MESSAGE.saturating_sub(self.0.len()));
        while !text.is_char_boundary(len) {
            len += 1;
        }
        self.0.try_reserve(len).map_err(|_| fmt::Error)?;
        self.0.push_str(&text[..len]);
        if len == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Text with every character escaped that would act on a terminal or begin a line in a log: control characters, line
/// and paragraph separators, and those that change the direction of text. Every message passes through here.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let acts = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| acts(*c)) {
            write!(self.0, "{}{}", &rest[..at], c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// For `map_err` where memory is taken.
pub(crate) fn out_of_memory(error: TryReserveError) -> Error {
    Error::new(ErrorKind::OutOfMemory, format_args!("out of memory: {error}"))
}

/// Room for `len` values, or an error if memory cannot be had.
pub(crate) fn with_capacity<T>(len: usize) -> Result<Vec<T>, Error> {
    let mut room = Vec::new();
    room.try_reserve_exact(len).map_err(out_of_memory)?;
    Ok(room)
}

/// What names, lists and messages take between one large buffer of a load and the next, in bytes.
const SMALL_THINGS: usize = 32 << 10;

/// The most bytes that a parser makes of a byte of JSON whose types it knows.
const PARSED_BYTES: usize = 32;

/// The most bytes that a tree takes for a byte of JSON: 90 for `{"":0},` over and over.
const TREE_BYTES: usize = 128;

/// Makes sure that there is memory for the small things of a load. The standard collections and the
/// parsers end the process when an allocation fails; so loading asks first, wherever it might have
/// taken the last of it.
pub(crate) fn headroom() -> Result<(), Error> {
    with_capacity::<u8>(SMALL_THINGS).map(drop)
}

/// [`headroom`], and what a parser makes of `bytes` bytes of JSON whose types it knows.
pub(crate) fn headroom_to_parse(bytes: usize) -> Result<(), Error> {
    with_capacity::<u8>(bytes.saturating_mul(PARSED_BYTES).saturating_add(SMALL_THINGS)).map(drop)
}

/// [`headroom`], and what a tree of `bytes` bytes of JSON takes.
pub(crate) fn headroom_for_tree(bytes: usize) -> Result<(), Error> {
    with_capacity::<u8>(bytes.saturating_mul(TREE_BYTES).saturating_add(SMALL_THINGS)).map(drop)
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::CodeOutOfRange { .. } => ErrorKind::Corrupt,
            StreamError::NoQuantizer => ErrorKind::Unsupported,
            _ => ErrorKind::InvalidArgument,
        };
        Error::new(kind, error)
    }
}
