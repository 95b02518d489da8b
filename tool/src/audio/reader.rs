//! Any source of audio, block by block, in one channel.

use super::{RawFormat, decoded::Decoded, raw::Raw};
use crate::{
    failure::{Failure, Kind, Outcome, PARTIAL, tell},
    progress, standard,
};
use indicatif::ProgressBar;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use symphonia::core::io::{MediaSource, ReadOnlySource};

/// A file or standard input of audio, read block by block, mixed to one channel.
pub(crate) struct AudioReader {
    name: PathBuf,
    source: Source,
    /// Whether what is cut off is taken as far as it goes; `None`: nobody can ask for it.
    partial: Option<bool>,
    progress: ProgressBar,
}

enum Source {
    Decoded(Decoded),
    Raw(Raw),
}

impl AudioReader {
    /// Opens `path`, or standard input if it is `-`; a header tells the format, unless it is `raw`.
    pub(crate) fn open(path: &Path, raw: Option<RawFormat>) -> Outcome<Self> {
        let name = standard::input_name(path);
        let source = match raw {
            Some(format) => Source::Raw(Raw::new(standard::open(path)?, format)),
            None => {
                let source: Box<dyn MediaSource> = if standard::is_standard(path) {
                    standard::refuse_terminal_input()?;
                    Box::new(ReadOnlySource::new(io::stdin()))
                } else {
                    Box::new(open_file(path).map_err(|error| Failure::io(path, &error))?)
                };
                Source::Decoded(Decoded::new(source, path).map_err(|failure| Failure::at(&name, failure))?)
            }
        };
        Ok(Self { name, source, partial: None, progress: progress::none() })
    }

    /// Reads `source`, which `name` is said to be.
    pub(crate) fn of(name: &Path, source: impl Read + Send + Sync + 'static) -> Outcome<Self> {
        let source: Box<dyn MediaSource> = Box::new(ReadOnlySource::new(source));
        let decoded = Decoded::new(source, name).map_err(|failure| Failure::at(name, failure))?;
        let source = Source::Decoded(decoded);
        Ok(Self { name: name.to_path_buf(), source, partial: None, progress: progress::none() })
    }

    /// From now on a recording that is cut off is taken as far as it goes, with a warning, if `partial`.
    pub(crate) fn take_partial(&mut self, partial: bool) {
        self.partial = Some(partial);
    }

    /// Hz.
    pub(crate) fn rate(&self) -> u32 {
        match &self.source {
            Source::Decoded(decoded) => decoded.rate(),
            Source::Raw(raw) => raw.rate(),
        }
    }

    /// Channels before mixing.
    pub(crate) fn channels(&self) -> usize {
        match &self.source {
            Source::Decoded(decoded) => decoded.channels(),
            Source::Raw(_) => 1,
        }
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Samples in all, if the file promises them.
    pub(crate) fn exact_length(&self) -> Option<u64> {
        match &self.source {
            Source::Decoded(decoded) => decoded.exact_length(),
            Source::Raw(_) => None,
        }
    }

    /// From now on a bar shows how far it was read, unless `quiet`.
    pub(crate) fn show_progress(&mut self, quiet: bool) {
        let length = match &self.source {
            Source::Decoded(decoded) => decoded.length(),
            Source::Raw(_) => None,
        };
        self.progress = progress::recording(length, quiet);
    }

    /// Replaces `block` by the next samples, −1…1; empty: the end.
    pub(crate) fn read(&mut self, block: &mut Vec<f32>) -> Outcome {
        block.clear();
        let result = match &mut self.source {
            Source::Decoded(decoded) => decoded.read(block),
            Source::Raw(raw) => raw.read(block),
        };
        self.progress.inc(block.len() as u64);
        let Err(failure) = result else { return Ok(()) };
        let failure = failure.of(&self.name);
        match self.partial.filter(|_| failure.kind() == Kind::CutOff) {
            Some(true) => {
                tell(format_args!("warning: {failure}"));
                Ok(())
            }
            Some(false) => Err(failure.but(PARTIAL)),
            None => Err(failure),
        }
    }

    /// All samples.
    pub(crate) fn read_to_end(&mut self) -> Outcome<Vec<f32>> {
        let (mut all, mut block) = (Vec::new(), Vec::new());
        loop {
            self.read(&mut block)?;
            if block.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&block);
        }
    }
}

/// Opens what is not a folder: reading one fails only later, with a message about the format.
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    match file.metadata()?.is_dir() {
        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        false => Ok(file),
    }
}
