//! Any source of codes, block by block.

use super::{Codes, Described, Format, moshi, npy, sniff, tensors, tokens::TokenReader};
use crate::{
    failure::{Failure, Outcome},
    progress, standard,
};
use indicatif::ProgressBar;
use mimi::bitstream;
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// Frames handed on at a time.
const BLOCK_FRAMES: usize = 256;

/// A file or standard input of codes. Token files are read as they come; the others are small, and
/// in an order that needs them whole.
pub(crate) struct CodeReader {
    name: PathBuf,
    format: Format,
    source: Source,
    /// Codes per frame in the source, and how many of them are handed on.
    stored: usize,
    codebooks: usize,
    progress: ProgressBar,
}

enum Source {
    Tokens(TokenReader),
    /// Codes and how many of them were handed on.
    Whole(Vec<u32>, usize),
}

impl CodeReader {
    /// Opens `path`, or standard input if it is `-`, in whatever format it is.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let name = standard::input_name(path);
        let mut file = standard::open(path)?;
        let mut front = Vec::new();
        let read = file.by_ref().take(bitstream::HEADER_BYTES as u64).read_to_end(&mut front);
        read.map_err(|error| Failure::io(&name, &error))?;
        let kinds = "not a file of codes (.mtok, .npy, .safetensors, or moshi.cpp's .mimi)";
        let format = sniff(&front).ok_or_else(|| Failure::at(&name, kinds))?;
        if format == Format::Mtok {
            let tokens = TokenReader::new(front, file).map_err(|failure| Failure::at(&name, failure))?;
            let codebooks = tokens.header().codebooks;
            return Ok(Self::new(name, format, Source::Tokens(tokens), codebooks));
        }
        file.read_to_end(&mut front).map_err(|error| Failure::io(&name, &error))?;
        let codes = match format {
            Format::Npy => npy::parse(&front),
            Format::Safetensors => tensors::parse(&front),
            _ => moshi::parse(&front),
        };
        let Codes { codebooks, data, .. } = codes.map_err(|failure| Failure::at(&name, failure))?;
        Ok(Self::new(name, format, Source::Whole(data, 0), codebooks))
    }

    fn new(name: PathBuf, format: Format, source: Source, codebooks: usize) -> Self {
        Self { name, format, source, stored: codebooks, codebooks, progress: progress::none() }
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
            Source::Whole(..) => None,
        }
    }

    /// From now on a bar shows how far it was read, unless `quiet`.
    pub(crate) fn show_progress(&mut self, quiet: bool) {
        let frames = match &self.source {
            Source::Tokens(tokens) => Some(tokens.expected()).filter(|&frames| frames > 0),
            Source::Whole(data, _) => Some((data.len() / self.stored) as u64),
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
        match &mut self.source {
            Source::Tokens(tokens) => {
                tokens.read(codes).map_err(|failure| Failure::at(&self.name, failure))?;
                if let (true, Some(loss)) = (codes.is_empty(), tokens.loss()) {
                    eprintln!("mimi: warning: {}: {loss}", self.name.display());
                }
            }
            Source::Whole(data, at) => {
                let end = data.len().min(*at + BLOCK_FRAMES * self.stored);
                codes.extend_from_slice(&data[*at..end]);
                *at = end;
            }
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
