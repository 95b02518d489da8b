//! Audio in a file format that names itself, through symphonia.

use super::{
    damage::{self, Fault},
    large, mp4, names, opus,
};
use crate::failure::{Failure, Outcome};
use std::{
    io::{self, Cursor, Read, Seek},
    path::Path,
    sync::LazyLock,
};
use symphonia::core::{
    audio::GenericAudioBufferRef,
    codecs::{
        audio::{
            AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
            well_known::{CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_MP3, CODEC_ID_OPUS},
        },
        registry::CodecRegistry,
    },
    errors::Error,
    formats::{
        FormatOptions, FormatReader, Track, TrackType,
        probe::Hint,
        well_known::{FORMAT_ID_CAF, FORMAT_ID_FLAC, FORMAT_ID_MP3, FORMAT_ID_OGG},
    },
    io::{MediaSource, MediaSourceStream, ReadOnlySource},
    meta::MetadataOptions,
};

/// Bytes at the front of a file that tell what it is, if it cannot be read.
const FRONT: usize = 4096;

static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<opus::Opus>();
    codecs
});

/// The first audio track of a file.
pub(super) struct Decoded {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    channels: usize,
    interleaved: Vec<f32>,
    /// Samples at the front still to be left out: an encoder's delay.
    skip: u64,
    /// Samples still to be given; what follows fills a last packet.
    room: u64,
    /// Samples, as the header says; and if it can be believed.
    length: Option<u64>,
    is_promise: bool,
    given: u64,
    is_mp4: bool,
    is_ogg: bool,
    fault: Option<Fault>,
    /// Of packets that tell their places, where the next must be, once that is known.
    next: Option<i64>,
}

/// What is known of a file before symphonia reads it.
struct Opened {
    source: Box<dyn MediaSource>,
    front: Vec<u8>,
    /// A pipe's length is often a guess; only that of a file is a promise.
    is_file: bool,
    /// Of those that begin as MP4 does.
    tracks: Vec<mp4::Track>,
    /// Samples, of those with lengths of 64 bits.
    length: Option<u64>,
    fault: Option<Fault>,
}

impl Decoded {
    /// Finds out the format of `source`; the extension of `path` is a hint and no more.
    pub(super) fn new(source: Box<dyn MediaSource>, path: &Path) -> Outcome<Self> {
        let Opened { source, front, is_file, tracks, length, fault } = open(source)?;
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(source, Default::default());
        let (options, metadata) = (FormatOptions::default(), MetadataOptions::default());
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, options, metadata)
            .map_err(|error| unrecognized(error, &front, &tracks))?;
        let no_audio = || names::in_file(&front, &tracks).unwrap_or_else(|| Failure::new("no audio in it"));
        let track = format.default_track(TrackType::Audio).ok_or_else(no_audio)?;
        let parameters =
            track.codec_params.as_ref().and_then(|parameters| parameters.audio()).ok_or_else(no_audio)?;
        let rate = parameters.sample_rate.filter(|&rate| rate > 0);
        let rate = rate.ok_or_else(|| Failure::new("audio of unknown sample rate"))?;
        let (skip, length) = extent(&*format, track, parameters, rate, &tracks, length);
        let is_exact = parameters.bits_per_sample.is_some() || parameters.sample_format.is_some();
        // A CAF file's count of compressed samples may reach to the end of its last packet.
        let is_caf = format.format_info().format == FORMAT_ID_CAF;
        let counts_packets =
            is_caf && matches!(parameters.codec, CODEC_ID_AAC | CODEC_ID_ALAC | CODEC_ID_OPUS | CODEC_ID_MP3);
        let kind = format.format_info().format;
        // Without an encoder's note, which tells its delay, the length of an MP3 file is an estimate. A FLAC file
        // that was written to a pipe tells none.
        let is_noted = kind == FORMAT_ID_MP3 && track.delay.is_some() || kind == FORMAT_ID_FLAC;
        let is_promise = is_noted || is_file && !counts_packets && (is_exact || !tracks.is_empty());
        let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count());
        let decoder = CODECS
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|_| names::of_parameters(parameters, channels).unwrap_or_else(no_audio))?;
        // The ends of Ogg's packets are cut by its own reader.
        let has_end = is_caf && skip > 0 || !tracks.is_empty();
        Ok(Self {
            track: track.id,
            format,
            decoder,
            rate,
            channels,
            interleaved: Vec::new(),
            skip,
            room: length.filter(|_| has_end).unwrap_or(u64::MAX),
            length,
            is_promise,
            given: 0,
            is_mp4: !tracks.is_empty(),
            is_ogg: kind == FORMAT_ID_OGG,
            fault: fault.or_else(|| tracks.iter().any(|track| track.is_cut_off).then_some(Fault::CutOff)),
            next: (kind == FORMAT_ID_FLAC).then_some(0),
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

    /// Samples in all, if the file promises them.
    pub(super) fn exact_length(&self) -> Option<u64> {
        self.length.filter(|_| self.is_promise)
    }

    /// Appends the next samples to `block`; none: the end.
    pub(super) fn read(&mut self, block: &mut Vec<f32>) -> Outcome {
        while block.is_empty() && self.room > 0 {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.check_end(),
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    // Ogg's last page says that it is the last.
                    if self.is_ogg {
                        self.fault.get_or_insert(Fault::CutOff);
                    }
                    return self.check_end();
                }
                Err(error) => {
                    // All of an MP4 file is described at one place; what is not where it should be was cut off.
                    if self.is_mp4 {
                        self.check_end()?;
                    }
                    return Err(damaged(error, self.given));
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            if let Some(next) = self.next.or(self.is_ogg.then_some(packet.pts.get())) {
                if packet.pts.get() > next {
                    self.fault = Some(Fault::Damaged);
                    return self.check_end();
                }
                let whole = [packet.dur, packet.trim_start, packet.trim_end].map(|part| part.get());
                self.next =
                    Some(whole.iter().fold(packet.pts.get(), |at, &part| at.saturating_add_unsigned(part)));
            }
            let audio = match self.decoder.decode(&packet) {
                Ok(audio) => audio,
                Err(error) => return Err(damaged(error, self.given)),
            };
            if audio.spec().rate() != self.rate {
                return Err(Failure::new("the sample rate changes within the file"));
            }
            mix(&audio, &mut self.interleaved, block);
            let skipped = self.skip.min(block.len() as u64);
            block.drain(..skipped as usize);
            self.skip -= skipped;
            block.truncate(usize::try_from(self.room).unwrap_or(usize::MAX));
            self.room -= block.len() as u64;
        }
        self.given += block.len() as u64;
        Ok(())
    }

    /// Is this where the header said that the end would be?
    fn check_end(&self) -> Outcome {
        let given = self.given;
        let length = self.length.filter(|&length| self.is_promise && length > given);
        if length.is_none() && self.fault.is_none() {
            return Ok(());
        }
        let what = if self.fault == Some(Fault::Damaged) { "damaged" } else { "cut off" };
        let of = length.map_or(String::new(), |length| format!(" of {length}"));
        let found = format!("{what} after {given}{of} samples");
        Err(match given {
            0 => Failure::new(format!("{found}; {}", names::NOTHING)),
            _ => Failure::cut_off(found),
        })
    }
}

/// Looks at the front of `source`.
fn open(mut source: Box<dyn MediaSource>) -> Outcome<Opened> {
    let system = |error: io::Error| Failure::system(&error);
    let is_file = source.is_seekable();
    let mut front = Vec::new();
    source
        .by_ref()
        .take(if is_file { FRONT } else { large::FRONT } as u64)
        .read_to_end(&mut front)
        .map_err(system)?;
    if is_file {
        source.rewind().map_err(system)?;
    } else {
        source = Box::new(ReadOnlySource::new(Cursor::new(front.clone()).chain(source)));
    }
    let (mut tracks, mut length) = (Vec::new(), None);
    if large::is_large(&front) {
        let large = large::open(source)?;
        length = large.length;
        source = Box::new(ReadOnlySource::new(large.wav));
    } else if mp4::is_mp4(&front) {
        if !is_file {
            // What describes it may stand at its end.
            let mut bytes = Vec::new();
            source.read_to_end(&mut bytes).map_err(system)?;
            source = Box::new(Cursor::new(bytes));
        }
        tracks = mp4::tracks(&mut source).map_err(system)?;
        source.rewind().map_err(system)?;
    }
    let mut fault = None;
    if is_file {
        (source, fault) = damage::before_fault(source, &front).map_err(system)?;
    }
    Ok(Opened { source, front, is_file, tracks, length, fault })
}

/// How many samples of `track` are to be left out at its front, and how many then follow, if that is known.
fn extent(
    format: &dyn FormatReader,
    track: &Track,
    parameters: &AudioCodecParameters,
    rate: u32,
    tracks: &[mp4::Track],
    length: Option<u64>,
) -> (u64, Option<u64>) {
    let described = tracks.iter().find(|found| found.id == track.id);
    let counted = track.num_frames.filter(|_| described.is_none_or(|found| !found.is_fragmented));
    let frames = length.or(counted);
    let delay = u64::from(track.delay.unwrap_or(0));
    if let Some(cut) = described.and_then(|found| found.cut) {
        let samples = |units: u64| (u128::from(units) * u128::from(rate) / u128::from(cut.scale)) as u64;
        let rest = frames.map(|frames| frames.saturating_sub(samples(cut.start)));
        return (samples(cut.start), cut.length.map(samples).or(rest));
    }
    if format.format_info().format == FORMAT_ID_CAF {
        return (delay, frames);
    }
    // The decoders of Vorbis and MP3 leave out their own.
    if parameters.codec == CODEC_ID_OPUS {
        (delay, frames.map(|frames| frames.saturating_sub(delay)))
    } else {
        (0, frames)
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

fn unrecognized(error: Error, front: &[u8], tracks: &[mp4::Track]) -> Failure {
    match error {
        Error::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => Failure::system(&error),
        _ => names::in_file(front, tracks).unwrap_or_else(names::unknown),
    }
}

/// The failure to go on after `given` samples.
fn damaged(error: Error, given: u64) -> Failure {
    match error {
        Error::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => Failure::system(&error),
        Error::ResetRequired => Failure::new("several recordings in one file"),
        error if given == 0 => Failure::new(format!("damaged audio: {error}")),
        error => Failure::cut_off(format!("damaged after {given} samples ({error})")),
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
    fn audio_of_no_rate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_ints(&path, 1, 16, &[1; 10]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[24..28].fill(0);
        fs::write(&path, bytes).unwrap();
        assert!(read_all(&path).unwrap_err().to_string().contains("unknown sample rate"));
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
