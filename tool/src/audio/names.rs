//! What cannot be read, by name.

use super::mp4;
use crate::failure::Failure;
use symphonia::core::codecs::audio::{AudioCodecParameters, well_known::*};

/// The kinds of files that can be read.
const KINDS: &str = "WAV, RF64, W64, AIFF, CAF, FLAC, MP3, AAC, M4A, Ogg Vorbis or Ogg Opus";

/// What to say of a file that has no sound before its fault.
pub(super) const NOTHING: &str = "nothing of it can be taken, even with --partial";

fn codec(name: impl std::fmt::Display) -> Failure {
    let codecs = "PCM, ADPCM, FLAC, ALAC, MP3, AAC-LC, Vorbis or Opus";
    Failure::new(format!("its audio is {name}, which cannot be read; expected {codecs}"))
}

fn container(name: &str) -> Failure {
    Failure::new(format!("{name} cannot be read; expected {KINDS}"))
}

fn broken(format: &str) -> Failure {
    Failure::new(format!("a damaged {format} file, or one that is cut off; {NOTHING}"))
}

/// The failure to read what looks like nothing known.
pub(super) fn unknown() -> Failure {
    Failure::new(format!("not an audio file of a kind that can be read; expected {KINDS}"))
}

/// The failure to decode a track that symphonia finds.
pub(super) fn of_parameters(parameters: &AudioCodecParameters, channels: usize) -> Option<Failure> {
    Some(match parameters.codec {
        CODEC_ID_AAC => codec(aac(parameters.extra_data.as_deref().unwrap_or_default(), channels)),
        CODEC_ID_AC3 => codec("AC-3"),
        CODEC_ID_EAC3 => codec("E-AC-3"),
        CODEC_ID_AC4 => codec("AC-4"),
        CODEC_ID_DCA => codec("DTS"),
        CODEC_ID_MP1 => codec("MP1"),
        CODEC_ID_MP2 => codec("MP2"),
        CODEC_ID_ADPCM_IMA_QT => codec("QuickTime's IMA ADPCM"),
        CODEC_ID_OPUS => codec(format_args!("Opus of {channels} channels in an unknown order")),
        _ => return None,
    })
}

/// A kind of AAC, by the first bits of its AudioSpecificConfig.
fn aac(config: &[u8], channels: usize) -> String {
    match config.first().map_or(2, |byte| byte >> 3) {
        2 => format!("AAC-LC of {channels} channels"),
        5 => "HE-AAC".into(),
        29 => "HE-AAC v2".into(),
        23 => "AAC-LD".into(),
        39 => "AAC-ELD".into(),
        42 => "xHE-AAC".into(),
        kind => format!("AAC of type {kind}"),
    }
}

/// The failure to read a file that begins with `front`, and has these `tracks` if it is MP4.
pub(super) fn in_file(front: &[u8], tracks: &[mp4::Track]) -> Option<Failure> {
    if let Some(track) = tracks.first() {
        return of_mp4(&track.codec).map(codec);
    }
    if let Some(tag) = wav_tag(front) {
        return of_wav(tag).map(codec);
    }
    Some(match front {
        [b'O', b'g', b'g', b'S', ..] => of_ogg(front).map_or_else(|| broken("Ogg"), codec),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => broken("AIFF"),
        [0x0b, 0x77, ..] => codec("AC-3"),
        [0x7f, 0xfe, 0x80, 0x01, ..] => codec("DTS"),
        [0x30, 0x26, 0xb2, 0x75, ..] => codec("Windows Media"),
        [b'#', b'!', b'A', b'M', b'R', b'-', b'W', b'B', ..] => codec("AMR-WB"),
        [b'#', b'!', b'A', b'M', b'R', ..] => codec("AMR-NB"),
        [b'w', b'v', b'p', b'k', ..] => codec("WavPack"),
        [b'M', b'A', b'C', b' ', ..] => codec("Monkey's Audio"),
        [b'M', b'P', b'C', b'K', ..] | [b'M', b'P', b'+', ..] => codec("Musepack"),
        [b'T', b'T', b'A', b'1' | b'2', ..] => codec("True Audio"),
        [b'D', b'S', b'D', b' ', ..] | [b'F', b'R', b'M', b'8', ..] => codec("DSD"),
        [b'.', b'R', b'M', b'F', ..] => codec("RealAudio"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => container("a Matroska or WebM file"),
        [b'.', b's', b'n', b'd', ..] => container("an AU file"),
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => container("a NIST SPHERE file"),
        [b'M', b'T', b'h', b'd', ..] => container("a MIDI file"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => container("an AVI file"),
        [b'F', b'L', b'V', ..] => container("an FLV file"),
        [b'c', b'a', b'f', b'f', ..] => broken("CAF"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => broken("MP4"),
        [b'f', b'L', b'a', b'C', ..] => broken("FLAC"),
        _ => return None,
    })
}

/// The format tag of a WAV file.
fn wav_tag(front: &[u8]) -> Option<u16> {
    if !matches!(front.get(..4)?, b"RIFF" | b"RF64" | b"BW64") || front.get(8..12)? != b"WAVE" {
        return None;
    }
    let at = 8 + front.windows(4).position(|window| window == b"fmt ")?;
    let tag = |at: usize| Some(u16::from_le_bytes([*front.get(at)?, *front.get(at + 1)?]));
    match tag(at)? {
        // the first field of the GUID
        0xfffe => tag(at + 24),
        found => Some(found),
    }
}

fn of_wav(tag: u16) -> Option<String> {
    let name = match tag {
        0x0001 | 0x0003 | 0x0006 | 0x0007 => return None,
        0x0031 => "GSM 6.10",
        0x0050 => "MP2",
        0x0055 => "MP3 in a WAV file",
        0x0064 => "G.726",
        0x0065 => "G.722",
        0x0160..=0x0163 => "Windows Media",
        0x00ff | 0x1600 | 0x1610 => "AAC in a WAV file",
        0x2000 => "AC-3",
        0x2001 => "DTS",
        _ => return Some(format!("WAV's format {tag:#06x}")),
    };
    Some(name.to_string())
}

fn of_ogg(front: &[u8]) -> Option<&'static str> {
    // the first page's table of segments stands before the first packet
    let packet = front.get(27 + usize::from(*front.get(26)?)..)?;
    // families of mappings from 2 on
    if packet.starts_with(b"OpusHead") && *packet.get(18)? > 1 {
        return Some("Opus of channels in an unknown order");
    }
    let known: [(&[u8], &str); 3] =
        [(b"Speex   ", "Speex"), (b"\x80theora", "beside Theora"), (b"PCM     ", "PCM in an Ogg file")];
    known.iter().find(|(magic, _)| packet.starts_with(magic)).map(|&(_, name)| name)
}

fn of_mp4(codec: &[u8; 4]) -> Option<String> {
    let name = match codec {
        b"mp4a" | b"alac" | b"Opus" | b"fLaC" | b".mp3" | b"sowt" | b"twos" | b"lpcm" | b"alaw" | b"ulaw" => {
            return None;
        }
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        b"ac-4" => "AC-4",
        b"samr" => "AMR-NB",
        b"sawb" => "AMR-WB",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => "DTS",
        b"mlpa" => "TrueHD",
        b"mha1" | b"mhm1" => "MPEG-H",
        b"drms" | b"enca" => "encrypted",
        b"ima4" => "QuickTime's IMA ADPCM",
        b"QDM2" | b"QDMC" => "QDesign Music",
        _ => return Some(format!("in the codec {}", codec.escape_ascii())),
    };
    Some(name.to_string())
}
