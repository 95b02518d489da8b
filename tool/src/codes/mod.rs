//! Files and pipes of codes, and files of latents.

mod described;
mod frames;
mod latents;
mod moshi;
mod npy;
mod reader;
mod tensors;
mod tokens;

pub(crate) use described::Described;
pub(crate) use latents::{LatentReader, Latents};
pub(crate) use reader::{CodeReader, Content};
pub(crate) use tokens::TokenWriter;

use crate::{
    batch::Settings,
    failure::{Failure, Outcome},
    standard::{self, Destination},
};
use mimi::bitstream;
use std::{fs, io::Read, path::Path};

/// Extensions of the files of codes and latents in a folder.
pub(crate) const EXTENSIONS: &[&str] = &[bitstream::EXTENSION, "npy", "safetensors", "mimi"];

/// Codes of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Codes {
    /// Codes per frame.
    pub(crate) codebooks: usize,
    /// Frame-major: `data[frame * codebooks + k]`.
    pub(crate) data: Vec<u32>,
    /// What is known beyond the numbers; its `codebooks` are as above.
    pub(crate) header: Option<Described>,
}

/// A way to store codes; latents have the second and the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Packed, with the model's fingerprint and the exact length: 11 bytes for 8 codes of 11 bits
    Mtok,
    /// NumPy: codes as int32 [codebooks, frames], latents as float32 [frames, values]
    Npy,
    /// Tensor "codes", u32, shape [1, codebooks, frames]; or "latents", f32, [frames, values]
    Safetensors,
    /// moshi.cpp's: 16 bits for each code; for reading only
    #[value(skip)]
    Moshi,
}

impl Format {
    /// The format of latents that `path` asks for by its extension.
    pub(crate) fn of_latents(path: &Path) -> Outcome<Self> {
        if standard::is_standard(path) {
            return Ok(Self::Npy);
        }
        match Self::of(path) {
            Ok(format @ (Self::Npy | Self::Safetensors)) => Ok(format),
            _ => {
                let expected = "expected the extension .npy or .safetensors, or a --format, for latents";
                Err(Failure::usage(format!("{}: {expected}", path.display())))
            }
        }
    }

    /// The format that `path` asks for by its extension.
    pub(crate) fn of(path: &Path) -> Outcome<Self> {
        if standard::is_standard(path) {
            return Ok(Self::Mtok);
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(bitstream::EXTENSION) => Ok(Self::Mtok),
            Some("npy") => Ok(Self::Npy),
            Some("safetensors") => Ok(Self::Safetensors),
            _ => {
                let expected = "expected the extension .mtok, .npy or .safetensors, or a --format";
                Err(Failure::usage(format!("{}: {expected}", path.display())))
            }
        }
    }

    /// The usual extension, without the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Mtok => bitstream::EXTENSION,
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
            Self::Moshi => "mimi",
        }
    }
}

/// The format that `bytes` are in, by what stands at their front.
pub(crate) fn sniff(bytes: &[u8]) -> Option<Format> {
    match bytes {
        _ if bytes.starts_with(&bitstream::MAGIC) => Some(Format::Mtok),
        _ if bytes.starts_with(b"\x93NUMPY") => Some(Format::Npy),
        _ if bytes.starts_with(moshi::MAGIC) => Some(Format::Moshi),
        _ if bytes.get(8) == Some(&b'{') => Some(Format::Safetensors),
        _ => None,
    }
}

impl Codes {
    /// Frames of codes.
    pub(crate) fn frames(&self) -> usize {
        self.data.len() / self.codebooks
    }
}

/// Writes `codes` and puts the file in its place.
pub(crate) fn write(destination: Destination, codes: &Codes, format: Format) -> Outcome {
    let bytes = match format {
        Format::Mtok => return tokens::write(destination, codes),
        Format::Npy => npy::bytes(codes),
        Format::Safetensors => tensors::bytes(codes),
        Format::Moshi => Err(Failure::new("this format is for reading only")),
    };
    let bytes = bytes.map_err(|failure| Failure::at(destination.1.path(), failure))?;
    standard::write(destination, &bytes)
}

/// What is wrong with the file of tokens at `path`, as far as its header and length tell. Other files are not read.
pub(crate) fn fault(path: &Path) -> Outcome<Option<String>> {
    if Format::of(path).ok() != Some(Format::Mtok) {
        return Ok(None);
    }
    let refused = |error| Failure::io(path, &error);
    let length = fs::metadata(path).map_err(refused)?.len();
    let (mut file, mut front) = (standard::open(path)?, Vec::new());
    file.by_ref().take(bitstream::MAGIC.len() as u64).read_to_end(&mut front).map_err(refused)?;
    if front != bitstream::MAGIC {
        return Ok(Some("not a file of codes".to_owned()));
    }
    match tokens::fault(front, file, length) {
        Ok(fault) => Ok(fault),
        Err(failure) => Ok(Some(failure.to_string())),
    }
}

/// What the file of codes or latents at `path` tells of how it was made.
pub(crate) fn told(path: &Path) -> Outcome<Settings> {
    let codes = match Content::open(path)? {
        Content::Latents(_) => return Ok(Settings::from([("values", "latents".to_owned())])),
        Content::Codes(codes) => codes,
    };
    let mut settings =
        Settings::from([("codebooks", codes.codebooks().to_string()), ("values", "codes".to_owned())]);
    if let Some(header) = codes.header().filter(|header| header.model_id != 0) {
        settings.insert("model", format!("{:016x}", header.model_id));
    }
    Ok(settings)
}

/// What an array turned out to be.
#[derive(Debug)]
enum Values {
    Codes(Array),
    Latents(Latents),
}

/// `[codebooks, frames]` from the shape of an array that may have a batch dimension of 1.
fn shape(found: &[u64]) -> Outcome<(usize, usize)> {
    let wrong = || Failure::new(format!("an array of shape {found:?}; expected [codebooks, frames]"));
    let (codebooks, frames) = match *found {
        [codebooks @ 1..=1024, frames] | [1, codebooks @ 1..=1024, frames] => (codebooks as usize, frames),
        _ => return Err(wrong()),
    };
    let frames = usize::try_from(frames).map_err(|_| wrong())?;
    codebooks.checked_mul(frames).ok_or_else(wrong)?;
    Ok((codebooks, frames))
}

/// All values of an array, one codebook after the other or one frame after the other.
#[derive(Debug, PartialEq, Eq)]
struct Array {
    codebooks: usize,
    frames: usize,
    /// As many as codebooks times frames.
    values: Vec<u32>,
    by_frames: bool,
}

impl Array {
    /// Refuses another number of values than that of `shape`.
    fn new((codebooks, frames): (usize, usize), values: Vec<u32>, by_frames: bool) -> Outcome<Self> {
        if codebooks.checked_mul(frames) != Some(values.len()) {
            let found = values.len();
            return Err(Failure::new(format!("{found} values; expected {codebooks} times {frames}")));
        }
        Ok(Self { codebooks, frames, values, by_frames })
    }

    /// Appends the codes of `frames`.
    fn append(&self, frames: std::ops::Range<usize>, codes: &mut Vec<u32>) {
        let Self { codebooks, .. } = *self;
        match self.by_frames {
            true => codes.extend_from_slice(&self.values[frames.start * codebooks..frames.end * codebooks]),
            false => codes.extend(frames.flat_map(|frame| {
                (0..codebooks).map(move |codebook| self.values[codebook * self.frames + frame])
            })),
        }
    }
}

/// The codes of each codebook, one after the other.
fn by_codebooks(codes: &Codes) -> impl Iterator<Item = u32> + '_ {
    let (codebooks, frames) = (codes.codebooks, codes.frames());
    (0..codebooks)
        .flat_map(move |codebook| (0..frames).map(move |frame| codes.data[frame * codebooks + codebook]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi::bitstream::Header;

    fn read(path: &Path) -> Outcome<(Codes, Format)> {
        let reader = CodeReader::open(path)?;
        let format = reader.format();
        Ok((reader.read_to_end()?, format))
    }

    pub(super) fn example() -> Codes {
        Codes { codebooks: 3, data: vec![0, 1, 2, 10, 11, 12, 20, 21, 2047, 30, 31, 32], header: None }
    }

    fn header() -> Header {
        Header {
            codebooks: 3,
            code_bits: 11,
            sample_rate: 24_000,
            frame_samples: 1_920,
            samples: 7_000,
            model_id: 99,
        }
    }

    #[test]
    fn every_format_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let full = Codes { header: Some(header().into()), ..example() };
        let empty =
            Codes { data: Vec::new(), header: Some(Header { samples: 0, ..header() }.into()), codebooks: 3 };
        for codes in [full, empty] {
            for format in [Format::Mtok, Format::Npy, Format::Safetensors] {
                // the extension is not asked when reading
                let path = folder.path().join("codes");
                write(standard::create(&path).unwrap(), &codes, format).unwrap();
                let header = codes.header.filter(|_| format == Format::Mtok);
                assert_eq!(read(&path).unwrap(), (Codes { header, ..codes.clone() }, format));
            }
        }
    }

    #[test]
    fn what_is_no_file_of_codes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.npy");
        // an array of so many values that their number wraps to 0
        let mut wraps = b"\x93NUMPY\x01\0\x4d\0{'descr': '<i4', 'fortran_order': False, ".to_vec();
        wraps.extend(b"'shape': (1024, 18014398509481984)}\n");
        let none = [&b"hello"[..], b"", b"mtok", b"MIMI", b"\x93NUMPY", b"\x05\0\0\0\0\0\0\0{}", &wraps];
        for bytes in none {
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("codes.npy: "));
        }
    }

    #[test]
    fn the_first_codebooks_are_kept_on_request() {
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::Mtok, Format::Npy] {
            let path = folder.path().join("codes");
            write(
                standard::create(&path).unwrap(),
                &Codes { header: Some(header().into()), ..example() },
                format,
            )
            .unwrap();
            let mut reader = CodeReader::open(&path).unwrap();
            reader.keep(2).unwrap();
            let codes = reader.read_to_end().unwrap();
            assert_eq!((codes.codebooks, &codes.data[..]), (2, &[0, 1, 10, 11, 20, 21, 30, 31][..]));
            assert_eq!(codes.header.map(|header| header.codebooks), (format == Format::Mtok).then_some(2));
            assert!(CodeReader::open(&path).unwrap().keep(4).is_err());
        }
    }

    #[test]
    fn long_recordings_are_read_in_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes");
        let data: Vec<u32> = (0..3 * 20_000).map(|i| i * 7 % 2048).collect();
        let codes = Codes { codebooks: 3, data, header: Some(Header { samples: 0, ..header() }.into()) };
        for format in [Format::Mtok, Format::Npy] {
            write(standard::create(&path).unwrap(), &codes, format).unwrap();
            assert_eq!(read(&path).unwrap().0.data, codes.data);
        }
    }
}
