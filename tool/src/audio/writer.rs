//! Where audio goes: a WAV file, a pipe, or raw samples.

use super::{RawFormat, SampleType};
use crate::{
    failure::{Failure, Outcome},
    output::{self, Pending},
    standard,
};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// Bytes of samples in a WAV file: its lengths have 32 bits, of which 1 KiB is left to the header.
const WAV_MAX_BYTES: u64 = u32::MAX as u64 - 1024;

/// One channel of audio, written block by block.
pub(crate) struct AudioWriter {
    sink: Sink,
    samples: SampleType,
    pending: Pending,
}

enum Sink {
    /// With a header, to be corrected at the end, and the bytes that still fit.
    Wav(WavWriter<BufWriter<File>>, u64),
    /// Bytes, one after the other.
    Stream(BufWriter<Box<dyn Write + Send>>),
}

impl AudioWriter {
    /// Begins the file that is to stand at `path`, or standard output if it is `-`. A WAV file that
    /// goes to standard output claims to be as long as can be.
    pub(crate) fn create(path: &Path, format: RawFormat, raw: bool) -> Outcome<Self> {
        let RawFormat { rate, samples } = format;
        if raw || standard::is_standard(path) {
            let (mut stream, pending) = standard::create(path)?;
            if !raw {
                let header = wav_spec(format).into_header_for_infinite_file();
                stream.write_all(&header).map_err(|error| Failure::io(pending.path(), &error))?;
            }
            return Ok(Self { sink: Sink::Stream(stream), samples, pending });
        }
        let (file, pending) = output::create(path)?;
        let spec = wav_spec(RawFormat { rate, samples });
        let wav = WavWriter::new(BufWriter::new(file), spec).map_err(|error| failure(&pending, error))?;
        Ok(Self { sink: Sink::Wav(wav, WAV_MAX_BYTES), samples, pending })
    }

    /// Appends samples, −1…1. What lies outside is clipped in integers.
    pub(crate) fn write(&mut self, block: &[f32]) -> Outcome {
        match &mut self.sink {
            Sink::Wav(wav, room) => {
                let bytes = block.len() as u64 * wav_bytes(self.samples);
                *room = match room.checked_sub(bytes) {
                    Some(room) => room,
                    None => return Err(Failure::at(self.pending.path(), "too long for a WAV file (4 GiB)")),
                };
                write_wav(wav, self.samples, block).map_err(|error| failure(&self.pending, error))
            }
            Sink::Stream(stream) => write_stream(stream, self.samples, block)
                .map_err(|error| Failure::io(self.pending.path(), &error)),
        }
    }

    /// Hands on what is buffered, so that the other end of a pipe hears it now.
    pub(crate) fn flush(&mut self) -> Outcome {
        match &mut self.sink {
            Sink::Wav(..) => Ok(()),
            Sink::Stream(stream) => stream.flush().map_err(|error| Failure::io(self.pending.path(), &error)),
        }
    }

    /// Completes the file and puts it in its place.
    pub(crate) fn finish(mut self) -> Outcome {
        self.flush()?;
        if let Sink::Wav(wav, _) = self.sink {
            wav.finalize().map_err(|error| failure(&self.pending, error))?;
        }
        self.pending.commit()
    }
}

fn wav_bytes(samples: SampleType) -> u64 {
    match samples {
        SampleType::Int16 => 2,
        SampleType::Float32 => 4,
    }
}

fn wav_spec(RawFormat { rate, samples }: RawFormat) -> WavSpec {
    let (bits_per_sample, sample_format) = match samples {
        SampleType::Int16 => (16, SampleFormat::Int),
        SampleType::Float32 => (32, SampleFormat::Float),
    };
    WavSpec { channels: 1, sample_rate: rate, bits_per_sample, sample_format }
}

/// Full scale is 32768; the cast saturates.
fn int16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

fn write_wav(wav: &mut WavWriter<BufWriter<File>>, samples: SampleType, block: &[f32]) -> hound::Result<()> {
    block.iter().try_for_each(|&sample| match samples {
        SampleType::Int16 => wav.write_sample(int16(sample)),
        SampleType::Float32 => wav.write_sample(sample),
    })
}

fn write_stream(stream: &mut impl Write, samples: SampleType, block: &[f32]) -> std::io::Result<()> {
    block.iter().try_for_each(|&sample| match samples {
        SampleType::Int16 => stream.write_all(&int16(sample).to_le_bytes()),
        SampleType::Float32 => stream.write_all(&sample.to_le_bytes()),
    })
}

fn failure(pending: &Pending, error: hound::Error) -> Failure {
    match error {
        hound::Error::IoError(error) => Failure::io(pending.path(), &error),
        other => Failure::at(pending.path(), other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::AudioReader;

    #[test]
    fn integers_clip_floats_do_not_and_nothing_stands_there_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        for (samples, loud) in [(SampleType::Int16, 32_767.0 / 32_768.0), (SampleType::Float32, 1.5)] {
            let format = RawFormat { rate: 24_000, samples };
            for raw in [false, true] {
                let mut writer = AudioWriter::create(&path, format, raw).unwrap();
                writer.write(&[0.5, -0.25]).unwrap();
                assert!(!path.exists());
                writer.write(&[1.5, 0.0]).unwrap();
                writer.finish().unwrap();
                let mut reader = AudioReader::open(&path, raw.then_some(format)).unwrap();
                assert_eq!(reader.rate(), 24_000);
                assert_eq!(reader.read_to_end().unwrap(), [0.5, -0.25, loud, 0.0]);
                std::fs::remove_file(&path).unwrap();
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
