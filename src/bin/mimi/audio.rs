//! Files of samples.

use crate::{
    failure::{Failure, Outcome},
    output::{self, Pending},
};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::{
    fs::File,
    io::{BufReader, BufWriter},
    path::{Path, PathBuf},
};

/// Samples (per channel) read at a time.
const BLOCK: usize = 16 * 1024;

/// 16-bit samples in a WAV file: its lengths have 32 bits, of which 1 KiB is left to the header.
const WAV_MAX_SAMPLES: u64 = (u32::MAX as u64 - 1024) / 2;

/// A file of audio, read block by block, mixed to one channel.
pub(crate) struct AudioReader {
    path: PathBuf,
    wav: WavReader<BufReader<File>>,
}

impl AudioReader {
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let file = File::open(path).map_err(|error| Failure::io(path, &error))?;
        let wav = WavReader::new(BufReader::new(file)).map_err(|error| wav_failure(path, error))?;
        Ok(Self { path: path.to_path_buf(), wav })
    }

    /// Hz.
    pub(crate) fn rate(&self) -> u32 {
        self.wav.spec().sample_rate
    }

    /// The path that it was opened with.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces `block` by the next samples, −1…1; empty: the end.
    pub(crate) fn read(&mut self, block: &mut Vec<f32>) -> Outcome {
        let WavSpec { channels, bits_per_sample, sample_format, .. } = self.wav.spec();
        let channels = usize::from(channels);
        let wanted = BLOCK * channels;
        block.clear();
        let result = match sample_format {
            SampleFormat::Float => mix(self.wav.samples::<f32>().take(wanted), channels, 1.0, block),
            SampleFormat::Int => {
                let scale = 1.0 / (1u64 << (bits_per_sample - 1)) as f32;
                let samples = self.wav.samples::<i32>().take(wanted);
                mix(samples.map(|sample| sample.map(|value| value as f32)), channels, scale, block)
            }
        };
        result.map_err(|error| wav_failure(&self.path, error))
    }
}

/// Appends the mean of each `channels` samples, times `scale`, to `block`.
fn mix(
    samples: impl Iterator<Item = hound::Result<f32>>,
    channels: usize,
    scale: f32,
    block: &mut Vec<f32>,
) -> hound::Result<()> {
    let scale = scale / channels as f32;
    let (mut sum, mut summed) = (0.0, 0);
    for sample in samples {
        sum += sample?;
        summed += 1;
        if summed == channels {
            block.push(sum * scale);
            (sum, summed) = (0.0, 0);
        }
    }
    Ok(())
}

fn wav_failure(path: &Path, error: hound::Error) -> Failure {
    match error {
        hound::Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Failure::at(path, "not a WAV file, or one that is cut off")
        }
        // hound ends a short read with `Other`.
        hound::Error::IoError(error) if error.raw_os_error().is_none() => {
            Failure::at(path, "not a WAV file, or one that is cut off")
        }
        hound::Error::IoError(error) => Failure::io(path, &error),
        hound::Error::FormatError(problem) => Failure::at(path, format!("not a WAV file: {problem}")),
        hound::Error::Unsupported => Failure::at(path, "a kind of WAV file that is not supported"),
        other => Failure::at(path, other),
    }
}

/// A WAV file of 16 bits and one channel, written block by block.
pub(crate) struct AudioWriter {
    wav: WavWriter<BufWriter<File>>,
    pending: Pending,
    room: u64,
}

impl AudioWriter {
    /// Begins the file that is to stand at `path`, at `rate` Hz.
    pub(crate) fn create(path: &Path, rate: u32) -> Outcome<Self> {
        let (file, pending) = output::create(path)?;
        let spec =
            WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let wav = WavWriter::new(BufWriter::new(file), spec).map_err(|error| wav_failure(path, error))?;
        Ok(Self { wav, pending, room: WAV_MAX_SAMPLES })
    }

    /// Appends samples, −1…1; what lies outside is clipped.
    pub(crate) fn write(&mut self, block: &[f32]) -> Outcome {
        self.room = match self.room.checked_sub(block.len() as u64) {
            Some(room) => room,
            None => return Err(Failure::at(self.pending.path(), "too long for a WAV file (4 GiB)")),
        };
        for &sample in block {
            // The cast saturates.
            let value = (sample * 32768.0).round() as i16;
            self.wav.write_sample(value).map_err(|error| wav_failure(self.pending.path(), error))?;
        }
        Ok(())
    }

    /// Completes the file and puts it in its place.
    pub(crate) fn finish(self) -> Outcome {
        let Self { wav, pending, .. } = self;
        wav.finalize().map_err(|error| wav_failure(pending.path(), error))?;
        pending.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(path: &Path) -> Outcome<Vec<f32>> {
        let mut audio = AudioReader::open(path)?;
        let (mut all, mut block) = (Vec::new(), Vec::new());
        loop {
            audio.read(&mut block)?;
            if block.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&block);
        }
    }

    fn write_ints(path: &Path, channels: u16, bits_per_sample: u16, samples: &[i32]) {
        let spec =
            WavSpec { channels, sample_rate: 8_000, bits_per_sample, sample_format: SampleFormat::Int };
        let mut wav = WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|&sample| wav.write_sample(sample).unwrap());
        wav.finalize().unwrap();
    }

    #[test]
    fn every_width_has_the_same_full_scale() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        for bits in [8, 16, 24, 32] {
            let full = 1i64 << (bits - 1);
            write_ints(&path, 1, bits, &[-full as i32, -(full / 2) as i32, 0, (full / 4) as i32]);
            assert_eq!(read_all(&path).unwrap(), [-1.0, -0.5, 0.0, 0.25], "{bits} bits");
        }
    }

    #[test]
    fn channels_are_averaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let samples: Vec<i32> =
            (0..3 * 40_000).map(|i| [16_384, 0, -8_192][i % 3] + (i / 3 % 64) as i32 * 3).collect();
        write_ints(&path, 3, 16, &samples);
        let mixed = read_all(&path).unwrap();
        assert_eq!(mixed.len(), 40_000);
        let expected = |i: usize| (8_192.0 / 3.0 + (i % 64) as f32 * 3.0) / 32_768.0;
        assert!(mixed.iter().enumerate().all(|(i, &sample)| (sample - expected(i)).abs() < 1e-6));
    }

    #[test]
    fn writing_clips_and_reading_it_gives_the_same_samples() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut writer = AudioWriter::create(&path, 24_000).unwrap();
        writer.write(&[0.5, -0.25]).unwrap();
        assert!(!path.exists());
        writer.write(&[1.5, -1.5, f32::NAN]).unwrap();
        writer.finish().unwrap();
        assert_eq!(read_all(&path).unwrap(), [0.5, -0.25, 32_767.0 / 32_768.0, -1.0, 0.0]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_ints(&path, 1, 16, &[1; 1000]);
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() - 1 {
            if length > 60 && length % 97 != 0 {
                continue;
            }
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(read_all(&path).is_err(), "{length} bytes of it were accepted");
        }
    }
}
