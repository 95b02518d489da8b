//! Latents of one recording, as arrays have them.

use super::Format;
use crate::{
    failure::{Failure, Outcome},
    progress,
    standard::{self, Destination},
};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};

/// Frames handed on at a time.
const BLOCK_FRAMES: usize = 256;

/// Latents of one recording.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Latents {
    /// Values in a frame.
    pub(crate) width: usize,
    /// One frame after the other.
    pub(crate) data: Vec<f32>,
}

impl Latents {
    /// The values of an array of `shape`, frame after frame or, `by_width`, value after value. Refuses what a stream
    /// would take for silence.
    pub(super) fn new(shape: (usize, usize), values: Vec<f32>, by_width: bool) -> Outcome<Self> {
        let (frames, width) = shape;
        if frames.checked_mul(width) != Some(values.len()) {
            let found = values.len();
            return Err(Failure::new(format!("{found} values; expected {frames} times {width}")));
        }
        let data = match by_width {
            false => values,
            true => (0..values.len()).map(|i| values[i % width * frames + i / width]).collect(),
        };
        match data.iter().position(|value| !value.is_finite()) {
            None => Ok(Self { width, data }),
            Some(at) => {
                let (value, frame) = (at % width, at / width);
                let found = data[at];
                Err(Failure::new(format!(
                    "value {value} of frame {frame} is {found}; expected finite latents"
                )))
            }
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.data.len() / self.width
    }

    /// Writes them and puts the file in its place.
    pub(crate) fn write(&self, destination: Destination, format: Format) -> Outcome {
        let bytes = match format {
            Format::Npy => super::npy::latents_bytes(self),
            Format::Safetensors => super::tensors::latents_bytes(self),
            Format::Mtok | Format::Moshi => Err(Failure::new("this format has codes alone, and no latents")),
        };
        let bytes = bytes.map_err(|failure| Failure::at(destination.1.path(), failure))?;
        standard::write(destination, &bytes)
    }
}

/// `[frames, values of a frame]` from the shape of an array that may have a batch dimension of 1.
pub(super) fn shape(found: &[u64]) -> Outcome<(usize, usize)> {
    let wrong = || {
        Failure::new(format!(
            "an array of floats of shape {found:?}; expected latents, [frames, values of a frame]"
        ))
    };
    let (frames, width) = match *found {
        [frames, width] | [1, frames, width] if width > 0 => {
            (usize::try_from(frames), usize::try_from(width))
        }
        _ => return Err(wrong()),
    };
    match (frames, width) {
        (Ok(frames), Ok(width)) if frames.checked_mul(width).is_some() => Ok((frames, width)),
        _ => Err(wrong()),
    }
}

/// A file of latents, block by block.
pub(crate) struct LatentReader {
    name: PathBuf,
    format: Format,
    latents: Latents,
    /// Frames that were handed on.
    at: usize,
    progress: ProgressBar,
}

impl LatentReader {
    pub(super) fn new(name: PathBuf, format: Format, latents: Latents) -> Self {
        Self { name, format, latents, at: 0, progress: progress::none() }
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn latents(&self) -> &Latents {
        &self.latents
    }

    /// From now on a bar shows how far it was read, unless `quiet`.
    pub(crate) fn show_progress(&mut self, quiet: bool) {
        self.progress = progress::recording(Some(self.latents.frames() as u64), quiet);
    }

    /// Replaces `values` by those of the next frames; empty: the end.
    pub(crate) fn read(&mut self, values: &mut Vec<f32>) {
        let Latents { width, data } = &self.latents;
        let end = self.latents.frames().min(self.at + BLOCK_FRAMES);
        values.clear();
        values.extend_from_slice(&data[self.at * width..end * width]);
        self.progress.inc((end - self.at) as u64);
        self.at = end;
    }
}
