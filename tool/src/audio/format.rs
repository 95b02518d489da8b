//! Which format a file of audio is written in.

use crate::{
    failure::{Failure, Outcome},
    standard,
};
use std::path::Path;

/// A way to store audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SoundFormat {
    /// WAV, 16-bit integers, or floats with --f32
    Wav,
    /// FLAC, 16 bits
    Flac,
    /// Ogg Opus, at 48 kHz unless the rate is 8, 12, 16 or 24 kHz
    Opus,
    /// Samples without a header: little-endian, one channel
    Raw,
}

impl SoundFormat {
    /// The format of `path`: as was typed, or as its extension says, or else raw if `raw` was typed.
    pub(crate) fn of(path: &Path, typed: Option<Self>, raw: bool) -> Outcome<Self> {
        let by_extension = Self::of_extension(path);
        match (typed, by_extension) {
            (Some(format), _) | (None, Some(format)) => Ok(format),
            (None, None) if raw => Ok(Self::Raw),
            (None, None) if standard::is_standard(path) || is_device(path) => Ok(Self::Wav),
            (None, None) => {
                let expected = "expected the extension .wav, .flac, .opus or .raw, or a --format";
                Err(Failure::usage(format!("{}: {expected}", path.display())))
            }
        }
    }

    /// The format that an extension names.
    pub(crate) fn of_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        match extension.as_str() {
            "wav" => Some(Self::Wav),
            "flac" => Some(Self::Flac),
            "opus" | "ogg" | "oga" => Some(Self::Opus),
            "raw" | "pcm" | "s16" | "s16le" | "f32" | "f32le" => Some(Self::Raw),
            _ => None,
        }
    }

    /// The usual extension, without the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Opus => "opus",
            Self::Raw => "raw",
        }
    }

    /// The sample rate in Hz at which audio of `rate` Hz is written.
    pub(crate) fn rate(self, rate: u32) -> u32 {
        match (self, rate) {
            (Self::Opus, 8_000 | 12_000 | 16_000 | 24_000 | 48_000) => rate,
            (Self::Opus, _) => 48_000,
            _ => rate,
        }
    }
}

/// Something there that is no file, such as /dev/null.
fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir())
}
