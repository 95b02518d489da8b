//! Audio in a file format that names itself, through symphonia.

use crate::failure::{Failure, Outcome};
use std::{io, path::Path};
use symphonia::core::{
    audio::GenericAudioBufferRef,
    codecs::audio::{AudioDecoder, AudioDecoderOptions},
    errors::Error,
    formats::{FormatOptions, FormatReader, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream},
    meta::MetadataOptions,
};

/// The first audio track of a file.
pub(super) struct Decoded {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    channels: usize,
    interleaved: Vec<f32>,
    /// Samples, as the header says; and if it can be believed.
    length: Option<u64>,
    is_promise: bool,
    given: u64,
}

impl Decoded {
    /// Finds out the format of `source`; the extension of `path` is a hint and no more.
    pub(super) fn new(source: Box<dyn MediaSource>, path: &Path) -> Outcome<Self> {
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        // A pipe's length is often a guess; only that of a file is a promise.
        let is_file = source.is_seekable();
        let stream = MediaSourceStream::new(source, Default::default());
        let (options, metadata) = (FormatOptions::default(), MetadataOptions::default());
        let format =
            symphonia::default::get_probe().probe(&hint, stream, options, metadata).map_err(unrecognized)?;
        let track = format.default_track(TrackType::Audio).ok_or_else(no_audio)?;
        let (id, frames) = (track.id, track.num_frames);
        let parameters =
            track.codec_params.as_ref().and_then(|parameters| parameters.audio()).ok_or_else(no_audio)?;
        let lossless = parameters.bits_per_sample.is_some() || parameters.sample_format.is_some();
        let rate = parameters.sample_rate.ok_or_else(|| Failure::new("audio of unknown sample rate"))?;
        let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count());
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|_| Failure::new("audio in a codec that cannot be read"))?;
        let is_promise = is_file && lossless;
        Ok(Self {
            format,
            decoder,
            track: id,
            rate,
            channels,
            interleaved: Vec::new(),
            length: frames,
            is_promise,
            given: 0,
        })
    }

    /// Hz.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels before mixing.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Samples in all, about.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Appends the next samples to `block`; none: the end.
    pub(super) fn read(&mut self, block: &mut Vec<f32>) -> Outcome {
        while block.is_empty() {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.check_end(),
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.check_end();
                }
                Err(error) => return Err(damaged(error)),
            };
            if packet.track_id != self.track {
                continue;
            }
            let audio = self.decoder.decode(&packet).map_err(damaged)?;
            if audio.spec().rate() != self.rate {
                return Err(Failure::new("the sample rate changes within the file"));
            }
            mix(&audio, &mut self.interleaved, block);
        }
        self.given += block.len() as u64;
        Ok(())
    }

    /// Is this where the header said that the end would be?
    fn check_end(&self) -> Outcome {
        match self.length {
            Some(length) if self.is_promise && length > self.given => {
                let given = self.given;
                Err(Failure::cut_off(format!("cut off after {given} of {length} samples")))
            }
            _ => Ok(()),
        }
    }
}

/// Appends the mean of the channels to `block`.
fn mix(audio: &GenericAudioBufferRef<'_>, interleaved: &mut Vec<f32>, block: &mut Vec<f32>) {
    let channels = audio.num_planes().max(1);
    interleaved.resize(audio.samples_interleaved(), 0.0);
    audio.copy_to_slice_interleaved(&mut *interleaved);
    let scale = 1.0 / channels as f32;
    block.extend(interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * scale));
}

fn no_audio() -> Failure {
    Failure::new("no audio in it")
}

fn unrecognized(error: Error) -> Failure {
    match error {
        Error::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => Failure::system(&error),
        _ => Failure::new("not an audio file of a kind that can be read (WAV, AIFF, FLAC, Ogg Vorbis, MP3)"),
    }
}

fn damaged(error: Error) -> Failure {
    match error {
        Error::IoError(error) => Failure::system(&error),
        Error::ResetRequired => Failure::new("several recordings in one file"),
        error => Failure::new(format!("damaged audio: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::{audio::AudioReader, failure::Outcome};
    use hound::{SampleFormat, WavSpec, WavWriter};
    use std::{fs, path::Path};

    fn read_all(path: &Path) -> Outcome<Vec<f32>> {
        AudioReader::open(path, None)?.read_to_end()
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
    fn a_file_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_ints(&path, 1, 16, &[1; 1000]);
        let bytes = fs::read(&path).unwrap();
        let lengths = (0..60).chain((60..bytes.len()).step_by(97)).chain([bytes.len() - 1]);
        for length in lengths {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(read_all(&path).is_err(), "{length} bytes of it were accepted");
        }
    }

    #[test]
    fn a_wav_file_of_unknown_length_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let spec = WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = spec.into_header_for_infinite_file();
        bytes.extend([0, 0x40].repeat(700));
        fs::write(&path, bytes).unwrap();
        assert_eq!(read_all(&path).unwrap(), vec![0.5; 700]);
    }

    #[test]
    fn chunks_of_odd_length_before_the_samples_are_skipped_with_their_padding() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_ints(&path, 1, 16, &[0x4000; 10]);
        let mut bytes = fs::read(&path).unwrap();
        bytes.splice(12..12, *b"junk\x03\0\0\0abc\0");
        let length = bytes.len() as u32 - 8;
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        assert_eq!(read_all(&path).unwrap(), vec![0.5; 10]);
    }

    #[test]
    fn what_is_not_audio_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        for text in ["", "hello", &"Once upon a time. ".repeat(10_000)] {
            fs::write(&path, text).unwrap();
            let message = read_all(&path).unwrap_err().to_string();
            assert!(message.contains("a.wav: not an audio file"), "{message}");
        }
        assert!(read_all(folder.path()).unwrap_err().to_string().contains("irectory"));
    }
}
