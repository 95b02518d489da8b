//! Where an Ogg or MP3 file is damaged or cut off. Symphonia goes on with the next page or frame, so that what follows
//! would move forward.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Seek, SeekFrom},
};
use symphonia::core::io::MediaSource;

/// What ends a recording too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    CutOff,
    Damaged,
}

/// The part of `file`, which begins with `front`, before its first fault, and that fault.
pub(super) fn before_fault(
    mut file: Box<dyn MediaSource>,
    front: &[u8],
) -> io::Result<(Box<dyn MediaSource>, Option<Fault>)> {
    let found = match front {
        [b'O', b'g', b'g', b'S', ..] => in_ogg(&mut BufReader::with_capacity(BUFFER, &mut file))?,
        [b'I', b'D', b'3', ..] | [0xff, ..] => in_mp3(&mut BufReader::with_capacity(BUFFER, &mut file))?,
        _ => return Ok((file, None)),
    };
    file.rewind()?;
    Ok(match found {
        Some((length, fault)) => (Box::new(Front { file, at: 0, length }), Some(fault)),
        None => (file, None),
    })
}

/// Bytes read at a time.
const BUFFER: usize = 64 * 1024;

/// Where the good pages end, if all their streams have not.
fn in_ogg(file: &mut (impl Read + Seek)) -> io::Result<Option<(u64, Fault)>> {
    // of each stream, the number of the next page, and whether there is none
    let mut streams: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
    let mut good = 0;
    loop {
        let mut header = [0; 27];
        if !fill(file, &mut header)? {
            break;
        }
        let [flags, serial, number] = [5, 14, 18]
            .map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
        let (is_first, is_last) = (flags & 2 != 0, flags & 4 != 0);
        let have_ended = !streams.is_empty() && streams.values().all(|&(_, ended)| ended);
        if have_ended {
            // another recording, or something else behind this one
            return Ok(None);
        }
        let Ok((mut page, segments)) = ogg::reading::PageParser::new(header) else {
            return Ok(Some((good, Fault::Damaged)));
        };
        let mut table = vec![0; segments];
        if !fill(file, &mut table)? {
            break;
        }
        let mut body = vec![0; page.parse_segments(table)];
        if !fill(file, &mut body)? {
            break;
        }
        let is_next = is_first || streams.get(&serial).is_some_and(|&(next, _)| next == number);
        if !header.starts_with(b"OggS") || page.parse_packet_data(body).is_err() || !is_next {
            return Ok(Some((good, Fault::Damaged)));
        }
        streams.insert(serial, (number.wrapping_add(1), is_last));
        good = file.stream_position()?;
    }
    let has_ended = streams.values().all(|&(_, ended)| ended);
    Ok((!has_ended).then_some((good, Fault::CutOff)))
}

/// The bits of a frame's header that are the same in all frames: sync word, version, layer and rate.
const SAME: u32 = 0xfffe_0c00;

/// Bytes behind a fault in which further frames are looked for.
const WINDOW: u64 = 16 * 1024 * 1024;

/// Where frames that follow each other end, if further ones come later or the last is not whole.
fn in_mp3(file: &mut BufReader<impl Read + Seek>) -> io::Result<Option<(u64, Fault)>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = behind_tags(file)?;
    let Some(first) = header_at(file, at)?.filter(|&word| frame_bytes(word).is_some()) else {
        return Ok(None);
    };
    loop {
        let bytes = header_at(file, at)?.filter(|word| (word ^ first) & SAME == 0).and_then(frame_bytes);
        match bytes {
            Some(bytes) if at + bytes > length => return Ok(Some((at, Fault::CutOff))),
            Some(bytes) => at += bytes,
            None => break,
        }
    }
    file.seek(SeekFrom::Start(at))?;
    let mut rest = Vec::new();
    file.by_ref().take(WINDOW).read_to_end(&mut rest)?;
    let tags: [&[u8]; 4] = [b"TAG", b"APETAGEX", b"LYRICS", b"ID3"];
    if tags.iter().any(|&tag| rest.starts_with(tag)) {
        return Ok(None);
    }
    let frame = |at: usize| {
        let word = u32::from_be_bytes(rest.get(at..at + 4)?.try_into().ok()?);
        frame_bytes(word).filter(|_| (word ^ first) & SAME == 0)
    };
    // Two of them: one may be chance.
    let follow =
        (0..rest.len()).any(|at| frame(at).is_some_and(|bytes| frame(at + bytes as usize).is_some()));
    Ok(follow.then_some((at, Fault::Damaged)))
}

/// Where what follows ID3's tags and their padding begins.
fn behind_tags(file: &mut BufReader<impl Read + Seek>) -> io::Result<u64> {
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 10];
        if !fill(file, &mut head)? || !head.starts_with(b"ID3") {
            break;
        }
        let size = head[6..].iter().fold(0, |size, &byte| size << 7 | u64::from(byte & 0x7f));
        let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
        at += 10 + size + footer;
    }
    if at > 0 {
        file.seek(SeekFrom::Start(at))?;
        at += file.bytes().take_while(|byte| matches!(byte, Ok(0))).count() as u64;
    }
    Ok(at)
}

fn header_at(file: &mut BufReader<impl Read + Seek>, at: u64) -> io::Result<Option<u32>> {
    let here = file.stream_position()?;
    // within what was read already, no system call
    file.seek_relative(at as i64 - here as i64)?;
    let mut word = [0; 4];
    Ok(fill(file, &mut word)?.then(|| u32::from_be_bytes(word)))
}

/// Bytes of a frame of layer III with its header.
fn frame_bytes(word: u32) -> Option<u64> {
    const KBITS: [[u64; 15]; 2] = [
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ];
    let field = |shift: u32, bits: u32| (word >> shift & ((1 << bits) - 1)) as usize;
    if field(21, 11) != 0x7ff || field(17, 2) != 1 {
        return None;
    }
    // versions 2.5, none, 2 and 1
    let (is_one, divisor) = [Some((false, 4)), None, Some((false, 2)), Some((true, 1))][field(19, 2)]?;
    let kbits = *KBITS[usize::from(is_one)].get(field(12, 4)).filter(|&&kbits| kbits > 0)?;
    let rate = [44_100, 48_000, 32_000].get(field(10, 2))? / divisor;
    Some(if is_one { 144_000 } else { 72_000 } * kbits / rate + field(9, 1) as u64)
}

/// Whether there were enough bytes for all of `bytes`.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The front of a file.
struct Front {
    file: Box<dyn MediaSource>,
    at: u64,
    length: u64,
}

impl Read for Front {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = self.length.saturating_sub(self.at);
        let most = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        let read = self.file.read(&mut bytes[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Front {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::End(offset) => {
                let beyond = || io::Error::from(io::ErrorKind::InvalidInput);
                SeekFrom::Start(self.length.checked_add_signed(offset).ok_or_else(beyond)?)
            }
            to => to,
        };
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

impl MediaSource for Front {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
