//! Where audio goes: a file of some format, a pipe, or raw samples.

use super::{RawFormat, SampleType, SoundFormat, ogg_opus::OggOpus, wav_stream::WavStream};
use crate::{
    failure::{Failure, Outcome},
    output::{self, Pending},
    standard,
};
use flac_codec::encode::{FlacSampleWriter, Options};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// Bytes of samples in a WAV file: its lengths have 32 bits, of which 1 KiB is left to the header.
const WAV_MAX_BYTES: u64 = u32::MAX as u64 - 1024;

/// Hz. Headers of frames cannot tell higher ones.
const FLAC_MAX_RATE: u32 = 655_350;

/// One channel of audio, written block by block.
pub(crate) struct AudioWriter {
    sink: Sink,
    samples: SampleType,
    pending: Pending,
}

type Stream = BufWriter<Box<dyn Write + Send>>;

enum Sink {
    /// With a header, to be corrected at the end, and the bytes that still fit.
    Wav(WavWriter<BufWriter<File>>, u64),
    Flac(Box<FlacSampleWriter<BufWriter<File>>>),
    Opus(Box<OggOpus<Stream>>),
    /// Bytes, one after the other, behind a header or not.
    Stream(Stream, Option<WavStream>),
}

impl AudioWriter {
    /// Begins the file that is to stand at `path`, or standard output if it is `-`. A WAV file that
    /// goes into a pipe claims to have `length` samples, or if that is unknown to be as long as can be.
    pub(crate) fn create(
        path: &Path,
        sound: SoundFormat,
        format: RawFormat,
        length: Option<u64>,
    ) -> Outcome<Self> {
        let RawFormat { rate, samples } = format;
        let is_standard = standard::is_standard(path);
        if samples == SampleType::Float32 && matches!(sound, SoundFormat::Flac | SoundFormat::Opus) {
            return Err(Failure::usage("--f32 goes with WAV and raw samples alone"));
        }
        let (sink, pending) = match sound {
            SoundFormat::Raw => {
                let (stream, pending) = standard::create(path)?;
                (Sink::Stream(stream, None), pending)
            }
            SoundFormat::Wav if is_standard => {
                let (mut stream, pending) = standard::create(path)?;
                let wav = WavStream::new(wav_spec(format), wav_bytes(samples), length);
                stream.write_all(wav.header()).map_err(|error| Failure::io(pending.path(), &error))?;
                (Sink::Stream(stream, Some(wav)), pending)
            }
            SoundFormat::Wav => {
                let (file, pending) = output::create(path)?;
                let wav = WavWriter::new(BufWriter::new(file), wav_spec(format));
                (Sink::Wav(wav.map_err(|error| wav_failure(&pending, error))?, WAV_MAX_BYTES), pending)
            }
            SoundFormat::Flac if rate > FLAC_MAX_RATE => {
                let problem = format_args!("FLAC has rates up to {FLAC_MAX_RATE} Hz; this is {rate} Hz");
                return Err(Failure::at(path, problem));
            }
            SoundFormat::Flac if is_standard => {
                return Err(Failure::usage("FLAC is written to files, not to standard output"));
            }
            SoundFormat::Flac => {
                let (file, pending) = output::create(path)?;
                let flac = FlacSampleWriter::new(BufWriter::new(file), Options::default(), rate, 16, 1, None);
                (Sink::Flac(Box::new(flac.map_err(|error| flac_failure(&pending, error))?)), pending)
            }
            SoundFormat::Opus => {
                let (stream, pending) = standard::create(path)?;
                let opus = OggOpus::new(stream, rate).map_err(|failure| failure.of(pending.path()))?;
                (Sink::Opus(Box::new(opus)), pending)
            }
        };
        Ok(Self { sink, samples, pending })
    }

    /// Appends samples, −1…1. What lies outside is clipped in integers.
    pub(crate) fn write(&mut self, block: &[f32]) -> Outcome {
        let (samples, path) = (self.samples, self.pending.path());
        let bytes = block.len() as u64 * wav_bytes(samples);
        match &mut self.sink {
            Sink::Wav(wav, room) => {
                *room = match room.checked_sub(bytes) {
                    Some(room) => room,
                    None => {
                        return Err(Failure::at(
                            path,
                            "too long for a WAV file (4 GiB); FLAC has no such limit",
                        ));
                    }
                };
                write_wav(wav, samples, block).map_err(|error| wav_failure(&self.pending, error))
            }
            Sink::Flac(flac) => {
                let block: Vec<i32> = block.iter().map(|&sample| i32::from(int16(sample))).collect();
                flac.write(&block).map_err(|error| flac_failure(&self.pending, error))
            }
            Sink::Opus(opus) => opus.write(block).map_err(|failure| failure.of(path)),
            Sink::Stream(stream, wav) => {
                wav.iter_mut().for_each(|wav| wav.count(bytes));
                write_stream(stream, samples, block).map_err(|error| Failure::io(path, &error))
            }
        }
    }

    /// Hands on what is buffered, so that the other end of a pipe hears it now.
    pub(crate) fn flush(&mut self) -> Outcome {
        let flushed = match &mut self.sink {
            Sink::Wav(..) | Sink::Flac(_) => Ok(()),
            Sink::Opus(opus) => opus.inner().flush(),
            Sink::Stream(stream, _) => stream.flush(),
        };
        flushed.map_err(|error| Failure::io(self.pending.path(), &error))
    }

    /// Completes the file and puts it in its place.
    pub(crate) fn finish(mut self) -> Outcome {
        self.flush()?;
        let pending = self.pending;
        match self.sink {
            Sink::Wav(wav, _) => wav.finalize().map_err(|error| wav_failure(&pending, error))?,
            Sink::Flac(flac) => flac.finalize().map_err(|error| flac_failure(&pending, error))?,
            Sink::Opus(opus) => {
                let mut stream = opus.finish().map_err(|failure| failure.of(pending.path()))?;
                stream.flush().map_err(|error| Failure::io(pending.path(), &error))?;
            }
            Sink::Stream(_, wav) => {
                let finished = wav.map_or(Ok(()), |mut wav| wav.finish());
                finished.map_err(|error| Failure::io(pending.path(), &error))?;
            }
        }
        pending.commit()
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

fn wav_failure(pending: &Pending, error: hound::Error) -> Failure {
    match error {
        hound::Error::IoError(error) => Failure::io(pending.path(), &error),
        other => Failure::at(pending.path(), other),
    }
}

fn flac_failure(pending: &Pending, error: flac_codec::Error) -> Failure {
    match error {
        flac_codec::Error::Io(error) => Failure::io(pending.path(), &error),
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
                let sound = if raw { SoundFormat::Raw } else { SoundFormat::Wav };
                let mut writer = AudioWriter::create(&path, sound, format, None).unwrap();
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
