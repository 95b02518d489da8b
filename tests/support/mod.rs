//! What the integration tests share.
#![allow(dead_code)] // every test binary has its own copy and uses a part of it

pub(crate) mod configs;
pub(crate) mod golden;
pub(crate) mod synth;

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Runs a program with `input` as its standard input.
pub(crate) fn run_into(stdout: Stdio, program: &Path, arguments: &[&Path], input: Vec<u8>) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // a program that stops early breaks the pipe
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The samples of a mono 16-bit WAV file, full scale 1.
pub(crate) fn wav(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (1, 16), "{}", path.display());
    reader.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32768.0).collect()
}

/// The shape and, in C order, the values of a NumPy array in a file.
pub(crate) fn npy<T: npyz::Deserialize + Clone>(path: &Path) -> (Vec<u64>, Vec<T>) {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let array = npyz::NpyFile::new(BufReader::new(file)).unwrap();
    let (shape, order) = (array.shape().to_vec(), array.order());
    let values: Vec<T> = array.into_vec().unwrap();
    match order {
        npyz::Order::C => (shape, values),
        npyz::Order::Fortran => {
            let [rows, columns] = shape[..] else { panic!("{}: {shape:?}", path.display()) };
            let (rows, columns) = (rows as usize, columns as usize);
            let values =
                (0..rows * columns).map(|i| values[i % columns * rows + i / columns].clone()).collect();
            (shape, values)
        }
    }
}

/// The f32 tensors of a safetensors file: name, shape and, in C order, values.
pub(crate) fn tensors(path: &Path) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let read = |(name, tensor): (&str, safetensors::tensor::TensorView<'_>)| {
        assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
        let values = tensor.data().chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap()));
        (name.to_owned(), tensor.shape().to_vec(), values.collect())
    };
    file.iter().map(read).collect()
}
