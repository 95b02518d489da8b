//! Any source of codes or latents, block by block.

use super::{
    Array, Codes, Described, Format, LatentReader, Values, moshi::MoshiReader, npy, sniff, tensors,
    tokens::TokenReader,
};
use crate::{
    failure::{Failure, Outcome, PARTIAL, tell},
    progress, standard,
};
use indicatif::ProgressBar;
use mimi::bitstream;
use std::{
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

/// Frames handed on at a time.
const BLOCK_FRAMES: usize = 256;

/// A file or standard input of codes. Those that have one frame after the other are read as they come;
/// arrays need to be there as a whole.
pub(crate) struct CodeReader {
    name: PathBuf,
    format: Format,
    source: Source,
    /// Codes per frame in the source, and how many of them are handed on.
    stored: usize,
    codebooks: usize,
    /// Whether what is cut off is taken as far as it goes; `None`: nobody can ask for it.
    partial: Option<bool>,
    progress: ProgressBar,
}

enum Source {
    Tokens(TokenReader),
    Moshi(MoshiReader),
    /// An array, and how many frames of it were handed on.
    Whole(Array, usize),
}

/// What a file or standard input has.
pub(crate) enum Content {
    Codes(CodeReader),
    Latents(LatentReader),
}

impl Content {
    /// Opens `path`, or standard input if it is `-`, in whatever format it is.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        Self::of(standard::input_name(path), standard::open(path)?)
    }

    /// Reads `file`, which `name` is said to be.
    pub(crate) fn of(name: PathBuf, file: Box<dyn Read + Send>) -> Outcome<Self> {
        let mut file = file;
        let mut front = Vec::new();
        let read = file.by_ref().take(bitstream::HEADER_BYTES as u64).read_to_end(&mut front);
        read.map_err(|error| Failure::io(&name, &error))?;
        let kinds = "not a file of codes or latents (.mtok, .npy, .safetensors, or moshi.cpp's .mimi)";
        let format = sniff(&front).ok_or_else(|| Failure::at(&name, kinds))?;
        Self::in_format(&name, format, front, file).map_err(|failure| failure.of(&name))
    }

    /// A file in `format` that begins with `front` and goes on with `file`.
    fn in_format(name: &Path, format: Format, front: Vec<u8>, file: Box<dyn Read + Send>) -> Outcome<Self> {
        let codes = |source| Ok(Self::Codes(CodeReader::new(name.to_path_buf(), format, source)));
        let values = match format {
            Format::Mtok => return codes(Source::Tokens(TokenReader::new(front, file)?)),
            Format::Moshi => {
                let whole = Box::new(io::Cursor::new(front).chain(file));
                return codes(Source::Moshi(MoshiReader::new(whole)?));
            }
            Format::Npy => npy::parse(BufReader::new(io::Cursor::new(front).chain(file)))?,
            Format::Safetensors => {
                let (mut bytes, mut file) = (front, file);
                file.read_to_end(&mut bytes).map_err(|error| Failure::system(&error))?;
                tensors::parse(&bytes)?
            }
        };
        match values {
            Values::Codes(array) => codes(Source::Whole(array, 0)),
            Values::Latents(latents) => {
                Ok(Self::Latents(LatentReader::new(name.to_path_buf(), format, latents)))
            }
        }
    }
}

impl CodeReader {
    /// Opens `path`, or standard input if it is `-`, in whatever format of codes it is.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        match Content::open(path)? {
            Content::Codes(codes) => Ok(codes),
            Content::Latents(latents) => Err(Failure::at(latents.name(), "it has latents; expected codes")),
        }
    }

    fn new(name: PathBuf, format: Format, source: Source) -> Self {
        let codebooks = match &source {
            Source::Tokens(tokens) => tokens.header().codebooks,
            Source::Moshi(moshi) => moshi.codebooks(),
            Source::Whole(array, _) => array.codebooks,
        };
        let progress = progress::none();
        Self { name, format, source, stored: codebooks, codebooks, partial: None, progress }
    }

    /// From now on a file that is cut off is taken as far as it goes, with a warning, if `partial`.
    pub(crate) fn take_partial(&mut self, partial: bool) {
        self.partial = Some(partial);
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Codes per frame that are handed on.
    pub(crate) fn codebooks(&self) -> usize {
        self.codebooks
    }

    /// What is known beyond the numbers.
    pub(crate) fn header(&self) -> Option<Described> {
        match &self.source {
            Source::Tokens(tokens) => Some(tokens.header().with_codebooks(self.codebooks)),
            Source::Moshi(_) | Source::Whole(..) => None,
        }
    }

    /// From now on a bar shows how far it was read, unless `quiet`.
    pub(crate) fn show_progress(&mut self, quiet: bool) {
        let frames = match &self.source {
            Source::Tokens(tokens) => Some(tokens.expected()).filter(|&frames| frames > 0),
            Source::Moshi(_) => None,
            Source::Whole(array, _) => Some(array.frames as u64),
        };
        self.progress = progress::recording(frames, quiet);
    }

    /// From now on hands on the first `codebooks` of each frame.
    pub(crate) fn keep(&mut self, codebooks: usize) -> Outcome {
        if codebooks == 0 || codebooks > self.stored {
            let found = format!("it has {} codebooks, {codebooks} were asked for", self.stored);
            return Err(Failure::at(&self.name, found));
        }
        self.codebooks = codebooks;
        Ok(())
    }

    /// Replaces `codes` by those of the next whole frames; empty: the end.
    pub(crate) fn read(&mut self, codes: &mut Vec<u32>) -> Outcome {
        codes.clear();
        let read = match &mut self.source {
            Source::Tokens(tokens) => tokens.read(codes),
            Source::Moshi(moshi) => moshi.read(codes),
            Source::Whole(array, at) => {
                let end = array.frames.min(*at + BLOCK_FRAMES);
                array.append(*at..end, codes);
                *at = end;
                Ok(())
            }
        };
        read.map_err(|failure| failure.of(&self.name))?;
        if codes.is_empty() {
            self.check_end()?;
        }
        self.progress.inc((codes.len() / self.stored) as u64);
        if self.codebooks < self.stored {
            let mut index = 0;
            codes.retain(|_| {
                index += 1;
                (index - 1) % self.stored < self.codebooks
            });
        }
        Ok(())
    }

    /// Is this the end of the file, or was it cut off?
    fn check_end(&self) -> Outcome {
        let loss = match &self.source {
            Source::Tokens(tokens) => tokens.loss(),
            Source::Moshi(moshi) => moshi.loss(),
            Source::Whole(..) => None,
        };
        let Some(loss) = loss else { return Ok(()) };
        let failure = Failure::cut_off(loss).of(&self.name);
        match self.partial {
            Some(true) => {
                tell(format_args!("warning: {failure}"));
                Ok(())
            }
            Some(false) => Err(failure.but(PARTIAL)),
            None => Err(failure),
        }
    }

    /// All codes.
    pub(crate) fn read_to_end(mut self) -> Outcome<Codes> {
        let (mut data, mut block) = (Vec::new(), Vec::new());
        loop {
            self.read(&mut block)?;
            if block.is_empty() {
                return Ok(Codes { codebooks: self.codebooks, data, header: self.header() });
            }
            data.extend_from_slice(&block);
        }
    }
}
