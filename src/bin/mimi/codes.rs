//! Files of codes.

use crate::{
    failure::{Failure, Outcome},
    output,
};
use npyz::{NpyFile, Order, TypeChar, WriterBuilder};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

/// Codes of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Codes {
    /// Codes per frame.
    pub(crate) codebooks: usize,
    /// Frame-major: `data[frame * codebooks + k]`.
    pub(crate) data: Vec<u32>,
}

impl Codes {
    /// Keeps the first `codebooks` of each frame.
    pub(crate) fn truncate(&mut self, codebooks: usize) {
        let frames = self.data.chunks_exact(self.codebooks);
        self.data = frames.flat_map(|frame| &frame[..codebooks]).copied().collect();
        self.codebooks = codebooks;
    }

    fn frames(&self) -> usize {
        self.data.len() / self.codebooks
    }
}

/// Reads a NumPy array of integers, shape `[codebooks, frames]` or `[1, codebooks, frames]`.
pub(crate) fn read(path: &Path) -> Outcome<Codes> {
    let file = File::open(path).map_err(|error| Failure::io(path, &error))?;
    let npy = NpyFile::new(BufReader::new(file)).map_err(|error| npy_failure(path, &error))?;
    let (codebooks, frames) = match *npy.shape() {
        [codebooks, frames] | [1, codebooks, frames] => (codebooks, frames),
        ref shape => {
            let found = format!("an array of shape {shape:?}; expected [codebooks, frames]");
            return Err(Failure::at(path, found));
        }
    };
    if codebooks == 0 || codebooks > 1024 {
        return Err(Failure::at(path, format!("{codebooks} codebooks; expected 1 to 1024")));
    }
    let (codebooks, order) = (codebooks as usize, npy.order());
    let values = integers(npy).map_err(|error| npy_failure(path, &error))?;
    let frames = frames as usize;
    let data = match order {
        Order::Fortran => values,
        Order::C => transpose(&values, codebooks, frames),
    };
    Ok(Codes { codebooks, data })
}

/// The elements of an array of any integer type, in the order of the file.
fn integers<R: Read>(npy: NpyFile<R>) -> io::Result<Vec<u32>> {
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    macro_rules! convert {
        ($type:ty) => {{
            let elements = npy.data::<$type>().map_err(|error| invalid(error.to_string()))?;
            elements
                .map(|element| {
                    let element = element?;
                    u32::try_from(element).map_err(|_| invalid(format!("{element} is no code")))
                })
                .collect()
        }};
    }
    let dtype = npy.dtype();
    let npyz::DType::Plain(plain) = &dtype else {
        return Err(invalid("an array of records; expected integers".to_string()));
    };
    match (plain.type_char(), plain.size_field()) {
        (TypeChar::Int, 1) => convert!(i8),
        (TypeChar::Int, 2) => convert!(i16),
        (TypeChar::Int, 4) => convert!(i32),
        (TypeChar::Int, 8) => convert!(i64),
        (TypeChar::Uint, 1) => convert!(u8),
        (TypeChar::Uint, 2) => convert!(u16),
        (TypeChar::Uint, 4) => convert!(u32),
        (TypeChar::Uint, 8) => convert!(u64),
        _ => Err(invalid(format!("an array of {}; expected integers", dtype.descr()))),
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(values: &[u32], rows: usize, columns: usize) -> Vec<u32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

fn npy_failure(path: &Path, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(_) => Failure::io(path, error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Failure::at(path, "not a .npy file, or one that is cut off")
        }
        None => Failure::at(path, format!("not a .npy file of codes: {error}")),
    }
}

/// Writes `codes` as a NumPy array of int32, shape `[codebooks, frames]`. Signed, because array
/// libraries other than NumPy have few operations, or none, for unsigned 32-bit integers.
pub(crate) fn write(path: &Path, codes: &Codes) -> Outcome {
    let (file, pending) = output::create(path)?;
    write_npy(BufWriter::new(file), codes).map_err(|error| Failure::io(path, &error))?;
    pending.commit()
}

fn write_npy(mut file: impl Write, codes: &Codes) -> io::Result<()> {
    let shape = [codes.codebooks as u64, codes.frames() as u64];
    let options = npyz::WriteOptions::<i32>::new().default_dtype().shape(&shape);
    let mut npy = options.writer(&mut file).begin_nd()?;
    npy.extend(transpose(&codes.data, codes.frames(), codes.codebooks).into_iter().map(|code| code as i32))?;
    npy.finish()?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Codes {
        Codes { codebooks: 3, data: vec![0, 1, 2, 10, 11, 12, 20, 21, 2047, 30, 31, 32] }
    }

    #[test]
    fn an_array_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.npy");
        for codes in [example(), Codes { codebooks: 8, data: Vec::new() }] {
            write(&path, &codes).unwrap();
            assert_eq!(read(&path).unwrap(), codes);
        }
        // numpy's own header and the order of its elements
        write(&path, &example()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY"));
        let header = String::from_utf8_lossy(&bytes);
        assert!(header.contains("'<i4'") && header.contains("(3, 4"), "{header}");
        let first_row: Vec<u8> = [0i32, 10, 20, 30].into_iter().flat_map(i32::to_le_bytes).collect();
        assert!(bytes[bytes.len() - 48..].starts_with(&first_row));
    }

    #[test]
    fn any_integer_type_order_and_a_batch_of_one_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.npy");
        let data: Vec<i16> = example().data.iter().map(|&code| code as i16).collect();
        let options =
            npyz::WriteOptions::<i16>::new().default_dtype().shape(&[1, 3, 4]).order(Order::Fortran);
        let mut npy = options.writer(File::create(&path).unwrap()).begin_nd().unwrap();
        npy.extend(data).unwrap();
        npy.finish().unwrap();
        assert_eq!(read(&path).unwrap(), example());
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.npy");
        npyz::to_file_1d(&path, [1, 2, 3]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("shape [3]"));
        let options = npyz::WriteOptions::<i32>::new().default_dtype().shape(&[1, 2]);
        let mut npy = options.writer(File::create(&path).unwrap()).begin_nd().unwrap();
        npy.extend([5, -1]).unwrap();
        npy.finish().unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("-1 is no code"));
        let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(&[1, 2]);
        let mut npy = options.writer(File::create(&path).unwrap()).begin_nd().unwrap();
        npy.extend([5.0, 1.0]).unwrap();
        npy.finish().unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("expected integers"));
        std::fs::write(&path, "hello").unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn truncation_keeps_the_first_codebooks() {
        let mut codes = example();
        codes.truncate(2);
        assert_eq!(codes, Codes { codebooks: 2, data: vec![0, 1, 10, 11, 20, 21, 30, 31] });
    }
}
