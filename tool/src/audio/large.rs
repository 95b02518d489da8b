//! WAV's relatives whose lengths have 64 bits, RF64, BW64 and W64: read as a WAV file without a length.

use crate::failure::{Failure, Outcome};
use std::io::{self, Read};

/// The GUIDs of W64 begin with four letters as chunks do, and end so if they are `riff`, else so.
const W64_RIFF: [u8; 12] = [0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0, 0];
const W64_OTHER: [u8; 12] = [0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a];

/// The most bytes that a `fmt ` or `ds64` chunk may have.
const CHUNK_MAX: u64 = 64 * 1024;

/// Bytes at the front of a file that [`is_large`] needs.
pub(super) const FRONT: usize = 40;

/// The samples of such a file.
pub(super) struct Large<R> {
    /// A WAV file that ends with the samples.
    pub(super) wav: io::Chain<io::Cursor<Vec<u8>>, io::Take<R>>,
    /// Samples in each channel, if that can be told from bytes.
    pub(super) length: Option<u64>,
}

/// Does a file begin like one of them?
pub(super) fn is_large(front: &[u8]) -> bool {
    matches!(front.get(..4), Some(b"RF64" | b"BW64")) || is_w64(front)
}

fn is_w64(front: &[u8]) -> bool {
    front.starts_with(b"riff") && front.get(4..16) == Some(&W64_RIFF)
}

/// The head of a chunk: its name, and the bytes that follow it and those that fill it up.
struct Chunk {
    name: [u8; 4],
    bytes: u64,
    padding: u64,
}

/// Reads `source`, which begins like one of them, up to its samples.
pub(super) fn open<R: Read>(mut source: R) -> Outcome<Large<R>> {
    let mut front = [0; FRONT];
    read(&mut source, &mut front[..12])?;
    let w64 = front.starts_with(b"riff");
    if w64 {
        read(&mut source, &mut front[12..])?;
    }
    let next: fn(&mut R) -> Outcome<Chunk> = if w64 { w64_chunk } else { riff_chunk };
    let (mut format, mut data_bytes) = (Vec::new(), None);
    loop {
        let chunk = next(&mut source)?;
        match &chunk.name {
            b"ds64" => {
                let sizes = contents(&mut source, &chunk)?;
                data_bytes =
                    sizes.get(8..16).map(|size| u64::from_le_bytes(size.try_into().unwrap_or_default()));
            }
            b"fmt " => format = contents(&mut source, &chunk)?,
            b"data" if format.is_empty() => return Err(Failure::new("damaged audio: samples of no format")),
            b"data" => {
                let is_long = !w64 && chunk.bytes == u64::from(u32::MAX);
                let bytes = if is_long { data_bytes.unwrap_or(u64::MAX) } else { chunk.bytes };
                let length = length(&format, bytes);
                return Ok(Large { wav: io::Cursor::new(header(&format)).chain(source.take(bytes)), length });
            }
            _ => skip(&mut source, chunk.bytes.saturating_add(chunk.padding))?,
        }
    }
}

fn riff_chunk(source: &mut impl Read) -> Outcome<Chunk> {
    let mut head = [0; 8];
    read(source, &mut head)?;
    let [n0, n1, n2, n3, size @ ..] = head;
    let bytes = u64::from(u32::from_le_bytes(size));
    Ok(Chunk { name: [n0, n1, n2, n3], bytes, padding: bytes % 2 })
}

fn w64_chunk(source: &mut impl Read) -> Outcome<Chunk> {
    let mut head = [0; 24];
    read(source, &mut head)?;
    let [n0, n1, n2, n3, guid @ ..] = head;
    let size =
        u64::from_le_bytes([head[16], head[17], head[18], head[19], head[20], head[21], head[22], head[23]]);
    // A GUID of somebody else's may begin with the same letters.
    let name = if guid.starts_with(&W64_OTHER) { [n0, n1, n2, n3] } else { [0; 4] };
    let bytes =
        size.checked_sub(24).ok_or_else(|| Failure::new("damaged audio: a chunk shorter than its head"))?;
    Ok(Chunk { name, bytes, padding: bytes.wrapping_neg() % 8 })
}

fn contents(source: &mut impl Read, chunk: &Chunk) -> Outcome<Vec<u8>> {
    if chunk.bytes > CHUNK_MAX {
        return Err(Failure::new("damaged audio: a header of absurd length"));
    }
    let mut bytes = vec![0; chunk.bytes as usize];
    read(source, &mut bytes)?;
    skip(source, chunk.padding)?;
    Ok(bytes)
}

/// Samples in `bytes` of them, if they are not compressed.
fn length(format: &[u8], bytes: u64) -> Option<u64> {
    let field = |at: usize| Some(u16::from_le_bytes([*format.get(at)?, *format.get(at + 1)?]));
    // integers, floats, A-law, µ-law, and the extensible kind of those
    let is_plain = matches!(field(0)?, 1 | 3 | 6 | 7 | 0xfffe);
    let frame = u64::from(field(12)?);
    (is_plain && frame > 0 && bytes < u64::MAX).then(|| bytes / frame)
}

/// The header of a WAV file of unknown length.
fn header(format: &[u8]) -> Vec<u8> {
    let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    bytes.extend((format.len() as u32).to_le_bytes());
    bytes.extend_from_slice(format);
    bytes.extend(std::iter::repeat_n(0, format.len() % 2));
    bytes.extend_from_slice(b"data\xff\xff\xff\xff");
    bytes
}

fn read(source: &mut impl Read, bytes: &mut [u8]) -> Outcome {
    source.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::new("damaged audio: it ends before its samples begin"),
        _ => Failure::system(&error),
    })
}

fn skip(source: &mut impl Read, bytes: u64) -> Outcome {
    let skipped =
        io::copy(&mut source.take(bytes), &mut io::sink()).map_err(|error| Failure::system(&error))?;
    match skipped == bytes {
        true => Ok(()),
        false => Err(Failure::new("damaged audio: it ends before its samples begin")),
    }
}
