//! What MP4 files say of their tracks and symphonia does not hand on: the part that is to be heard, and the names of
//! codecs.

use std::io::{self, Read, Seek, SeekFrom};

/// The most bytes of a description that are read: of a day of audio, it has 50 MB.
const MOVIE_MAX: u64 = 256 * 1024 * 1024;

/// An audio track.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    /// Its codec, as the format has it: `mp4a`, `alac` …
    pub(super) codec: [u8; 4],
    /// Units in a second.
    scale: u32,
    pub(super) cut: Option<Cut>,
    /// Its samples are described in fragments throughout the file, and their number nowhere.
    pub(super) is_fragmented: bool,
    /// The file ends within a fragment.
    pub(super) is_cut_off: bool,
}

/// The part of a track that is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// What the encoder's delay puts before it, in units of the track.
    pub(super) start: u64,
    /// How long it is, in units of the track; `None`: to the end.
    pub(super) length: Option<u64>,
    /// Units in a second.
    pub(super) scale: u32,
}

/// Does a file begin like one?
pub(super) fn is_mp4(front: &[u8]) -> bool {
    front.get(4..8) == Some(b"ftyp")
}

/// The audio tracks of a file; none if there is no description.
pub(super) fn tracks(file: &mut (impl Read + Seek)) -> io::Result<Vec<Track>> {
    let movie = movie(file)?;
    let scale = child(&movie, b"mvhd").and_then(scale).unwrap_or(0);
    let is_fragmented = child(&movie, b"mvex").is_some();
    let is_cut_off = is_fragmented && ends_early(file)?;
    let sound = boxes(&movie).filter(|(name, _)| name == b"trak");
    let sound = sound.filter_map(|(_, trak)| track(trak, scale, is_fragmented));
    let mut tracks: Vec<_> = sound.map(|track| Track { is_cut_off, ..track }).collect();
    if let ([track], Some((start, length))) = (&mut *tracks, gaps(&movie)) {
        track.cut = Some(Cut { start, length: Some(length), scale: track.scale });
    }
    Ok(tracks)
}

/// The contents of the `moov` box.
fn movie(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    file.rewind()?;
    while let Some(head) = next(file)? {
        if head.name == *b"moov" {
            let mut movie = Vec::new();
            file.take(head.body.unwrap_or(MOVIE_MAX).min(MOVIE_MAX)).read_to_end(&mut movie)?;
            return Ok(movie);
        }
        if !head.skip(file)? {
            break;
        }
    }
    Ok(Vec::new())
}

/// Does the last box reach beyond the end of the file?
fn ends_early(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut end = 0;
    while let Some(head) = next(file)? {
        if !head.skip(file)? {
            return Ok(false);
        }
        end = file.stream_position()?;
    }
    Ok(end != length)
}

/// What stands before the contents of a box of the file itself.
struct Head {
    name: [u8; 4],
    /// Bytes of the contents; `None`: up to the end of the file.
    body: Option<u64>,
}

impl Head {
    /// Goes on to the next box, if there can be one: not beyond the end of all numbers.
    fn skip(&self, file: &mut impl Seek) -> io::Result<bool> {
        let here = file.stream_position()?;
        match self.body.and_then(|body| here.checked_add(body)).filter(|&next| i64::try_from(next).is_ok()) {
            Some(next) => file.seek(SeekFrom::Start(next)).map(|_| true),
            None => Ok(false),
        }
    }
}

/// Reads the head of the next box; none: the end of the file.
fn next(file: &mut impl Read) -> io::Result<Option<Head>> {
    let mut head = [0; 16];
    if read_up_to(file, &mut head[..8])? < 8 {
        return Ok(None);
    }
    let name = [head[4], head[5], head[6], head[7]];
    let body = match u64::from(be32(&head, 0)) {
        0 => None,
        1 => {
            file.read_exact(&mut head[8..])?;
            Some((u64::from(be32(&head, 8)) << 32 | u64::from(be32(&head, 12))).saturating_sub(16))
        }
        size => Some(size.saturating_sub(8)),
    };
    Ok(Some(Head { name, body }))
}

fn read_up_to(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn track(trak: &[u8], movie_scale: u32, is_fragmented: bool) -> Option<Track> {
    let media = child(trak, b"mdia")?;
    if child(media, b"hdlr")?.get(8..12)? != b"soun" {
        return None;
    }
    let tkhd = child(trak, b"tkhd")?;
    let id = be32_at(tkhd, if tkhd.first()? == &1 { 20 } else { 12 })?;
    let table = child(child(media, b"minf")?, b"stbl")?;
    let entries = child(table, b"stsd").unwrap_or_default();
    let codec = entries.get(12..16).and_then(|name| name.try_into().ok()).unwrap_or_default();
    let scale = scale(child(media, b"mdhd")?)?;
    let total = if is_fragmented { u64::MAX } else { child(table, b"stts").and_then(total)? };
    let edits = child(trak, b"edts").and_then(|edts| child(edts, b"elst"));
    let cut = edits.and_then(|list| cut(list, movie_scale, scale, total));
    Some(Track { id, codec, scale, cut, is_fragmented, is_cut_off: false })
}

/// The one part that an edit list takes from a track. Lists of several parts are no encoder's.
fn cut(list: &[u8], movie_scale: u32, scale: u32, total: u64) -> Option<Cut> {
    let (wide, count) = (list.first()? == &1, be32_at(list, 4)? as usize);
    let size = if wide { 20 } else { 12 };
    let mut parts = list.get(8..)?.chunks_exact(size).take(count).filter_map(|entry| match wide {
        true => {
            let (duration, start) = (be64_at(entry, 0)?, be64_at(entry, 8)? as i64);
            Some((duration, start))
        }
        false => Some((u64::from(be32_at(entry, 0)?), i64::from(be32_at(entry, 4)? as i32))),
    });
    // A pause before the track has the start -1.
    let (duration, start) = parts.find(|&(_, start)| start >= 0)?;
    let start = u64::try_from(start).ok()?;
    let alone = parts.next().is_none();
    Some(Cut {
        start,
        length: length(duration, movie_scale, scale, total.checked_sub(start)?).filter(|_| alone),
        scale,
    })
}

/// How much of the `rest` of a track is heard, in its units. The edit counts in the movie's, which are often
/// milliseconds: within one of them, all of the rest is meant.
fn length(duration: u64, movie_scale: u32, scale: u32, rest: u64) -> Option<u64> {
    if duration == 0 || movie_scale == 0 {
        return None;
    }
    let (movie_scale, scale) = (u128::from(movie_scale), u128::from(scale));
    let heard = u128::from(duration) * scale;
    let is_rest = heard.abs_diff(u128::from(rest) * movie_scale) <= scale;
    let length = if is_rest { rest } else { u64::try_from(heard / movie_scale).ok()?.min(rest) };
    Some(length)
}

/// Units in all samples of a track.
fn total(stts: &[u8]) -> Option<u64> {
    let entries = stts.get(8..)?.as_chunks::<8>().0;
    entries.iter().try_fold(0u64, |sum, entry| {
        sum.checked_add(u64::from(be32(entry, 0)).checked_mul(u64::from(be32(entry, 4)))?)
    })
}

/// Units in a second, of an `mvhd` or `mdhd` box.
fn scale(header: &[u8]) -> Option<u32> {
    be32_at(header, if header.first()? == &1 { 20 } else { 12 }).filter(|&scale| scale > 0)
}

/// What iTunes notes of AAC: the samples before the sound, and those of the sound.
fn gaps(movie: &[u8]) -> Option<(u64, u64)> {
    const NAME: &[u8] = b"iTunSMPB";
    let name = movie.windows(NAME.len()).position(|window| window == NAME)?;
    // a type and a language stand before the text
    let text = child(&movie[name + NAME.len()..], b"data")?.get(8..)?;
    let mut words =
        str::from_utf8(text).ok()?.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok());
    let (start, length) = (words.nth(1)??, words.nth(1)??);
    (length > 0).then_some((start, length))
}

/// The boxes in a box: names and contents.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let name = bytes.get(4..8)?.try_into().ok()?;
        let (head, size) = match be32_at(bytes, 0)? {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(be64_at(bytes, 8)?).ok()?),
            size => (8, size as usize),
        };
        let contents = bytes.get(head..size)?;
        bytes = &bytes[size..];
        Some((name, contents))
    })
}

fn child<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| found == name).map(|(_, contents)| contents)
}

/// `bytes[at..at + 4]`, big-endian; callers know that they are there.
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn be32_at(bytes: &[u8], at: usize) -> Option<u32> {
    (bytes.len() >= at + 4).then(|| be32(bytes, at))
}

fn be64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(be32_at(bytes, at)?) << 32 | u64::from(be32_at(bytes, at + 4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(duration: u32, start: i32) -> Vec<u8> {
        [duration.to_be_bytes(), start.to_be_bytes(), [0, 1, 0, 0]].concat()
    }

    fn list(entries: &[Vec<u8>]) -> Vec<u8> {
        [&[0; 4], &(entries.len() as u32).to_be_bytes()[..], &entries.concat()].concat()
    }

    #[test]
    fn an_edit_in_milliseconds_means_all_of_the_rest_if_it_is_as_near_as_it_can_be() {
        // 79610 samples at 24 kHz behind a delay of 1024 are 3317.1 ms
        let exact = Cut { start: 1_024, length: Some(79_610), scale: 24_000 };
        for milliseconds in [3_317, 3_318] {
            assert_eq!(cut(&list(&[entry(milliseconds, 1_024)]), 1_000, 24_000, 80_634), Some(exact));
        }
        // a second is really cut
        let found = cut(&list(&[entry(1_000, 1_024)]), 1_000, 24_000, 80_634);
        assert_eq!(found, Some(Cut { length: Some(24_000), ..exact }));
        // a pause before it is not heard, and of two parts no length is known
        let found = cut(&list(&[entry(500, -1), entry(3_317, 1_024)]), 1_000, 24_000, 80_634);
        assert_eq!(found, Some(exact));
        let found = cut(&list(&[entry(10, 1_024), entry(10, 9_000)]), 1_000, 24_000, 80_634);
        assert_eq!(found, Some(Cut { length: None, ..exact }));
        assert_eq!(cut(&list(&[entry(10, 90_000)]), 1_000, 24_000, 80_634), None);
    }

    #[test]
    fn a_box_as_long_as_can_be_is_the_last() {
        for body in [i64::MAX as u64, u64::MAX] {
            let mut bytes = b"\0\0\0\x08ftyp\0\0\0\x01free".to_vec();
            bytes.extend(body.to_be_bytes());
            assert!(tracks(&mut io::Cursor::new(bytes.clone())).unwrap().is_empty());
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, &bytes).unwrap();
            assert!(tracks(&mut file).unwrap().is_empty());
        }
    }

    #[test]
    fn the_note_of_itunes_is_read() {
        let text = b" 00000000 00000840 000001CA 00000000000136FA 00000000 00000000";
        let data =
            [&(16 + text.len() as u32).to_be_bytes()[..], b"data", &[0, 0, 0, 1, 0, 0, 0, 0], text].concat();
        let movie = [&b"....mean....com.apple.iTunes....nameiTunSMPB"[..], &data].concat();
        assert_eq!(gaps(&movie), Some((0x840, 79_610)));
        assert_eq!(gaps(&movie[..movie.len() - 1]), None);
        assert_eq!(gaps(b"iTunSMPB"), None);
    }
}
