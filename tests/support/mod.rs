//! What the integration tests share.
#![allow(dead_code)] // every test binary has its own copy and uses a part of it

pub(crate) mod configs;
pub(crate) mod golden;
pub(crate) mod synth;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The samples of a mono 16-bit WAV file, full scale 1.
pub(crate) fn wav(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (1, 16), "{}", path.display());
    reader.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32768.0).collect()
}

/// The shape and, in C order, the values of a NumPy array in a file.
pub(crate) fn npy<T: npyz::Deserialize>(path: &Path) -> (Vec<u64>, Vec<T>) {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    array(npyz::NpyFile::new(BufReader::new(file)).unwrap())
}

/// The arrays of an `.npz` archive: name, shape and, in C order, values.
pub(crate) fn npz(path: &Path) -> Vec<(String, Vec<u64>, Vec<f32>)> {
    let mut archive = npyz::npz::NpzArchive::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let read = |name: String| {
        let (shape, values) = array(archive.by_name(&name).unwrap().unwrap());
        (name, shape, values)
    };
    names.into_iter().map(read).collect()
}

fn array<T: npyz::Deserialize, R: std::io::Read>(file: npyz::NpyFile<R>) -> (Vec<u64>, Vec<T>) {
    assert_eq!(file.order(), npyz::Order::C);
    (file.shape().to_vec(), file.into_vec().unwrap())
}
