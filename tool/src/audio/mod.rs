//! Files and pipes of samples.

mod damage;
mod decoded;
mod format;
mod large;
mod mp4;
mod names;
mod ogg_opus;
mod opus;
mod raw;
mod reader;
mod wav_stream;
mod writer;

pub(crate) use format::SoundFormat;
pub(crate) use reader::AudioReader;
pub(crate) use writer::AudioWriter;

use std::path::Path;

/// Extensions of the files of audio in a folder.
pub(crate) const EXTENSIONS: &[&str] = &[
    "wav", "bwf", "rf64", "w64", "aif", "aiff", "aifc", "caf", "flac", "mp3", "aac", "m4a", "m4b", "mp4",
    "ogg", "oga", "opus",
];

/// Does a file's extension say that it is audio in a format that names itself?
pub(crate) fn has_known_extension(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// How a sample is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SampleType {
    /// 16-bit integers; 32768 is full scale.
    #[default]
    Int16,
    /// 32-bit floats; 1 is full scale.
    Float32,
}

/// Audio without a header: little-endian, one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawFormat {
    /// Hz.
    pub(crate) rate: u32,
    pub(crate) samples: SampleType,
}
