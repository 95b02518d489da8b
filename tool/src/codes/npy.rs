//! NumPy arrays.

use super::{Array, Codes, by_codebooks, shape};
use crate::failure::{Failure, Outcome};
use npyz::{NpyFile, Order, TypeChar, WriterBuilder};
use py_literal::Value;
use std::io::{self, Read};

/// Bytes of a header that is read. NumPy writes 128, and reads no more than 10,000. The parser's time grows with the
/// square of a number's digits.
const LONGEST_HEADER: u64 = 1 << 14;

/// Opening brackets in a header. NumPy writes two for integers. Each doubles the parser's time, or worse.
const MOST_BRACKETS: usize = 4;

/// Reads an array of integers, shape `[codebooks, frames]` or `[1, codebooks, frames]`.
pub(super) fn parse(mut source: impl Read) -> Outcome<Array> {
    let header = header(&mut source)?;
    // npyz multiplies the numbers of a shape without asking whether the product fits.
    let shape = shape(&shape_in(&header)?)?;
    let npy = NpyFile::new(header.chain(source)).map_err(failure)?;
    let order = npy.order();
    Array::new(shape, integers(npy).map_err(failure)?, order == Order::Fortran)
}

/// All before the values: the magic, the version, a length, and a dictionary as Python writes it.
fn header(source: &mut impl Read) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut take = |count: u64, bytes: &mut Vec<u8>| -> io::Result<()> {
        match source.take(count).read_to_end(bytes)? as u64 == count {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    take(10, &mut bytes).map_err(failure)?;
    let mut length = u64::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    if bytes[6] > 1 {
        take(2, &mut bytes).map_err(failure)?;
        length |= u64::from(u16::from_le_bytes([bytes[10], bytes[11]])) << 16;
    }
    if length > LONGEST_HEADER {
        let found = format!("a header of {length} bytes; expected {LONGEST_HEADER} at the most");
        return Err(Failure::new(found));
    }
    take(length, &mut bytes).map_err(failure)?;
    let opened = |bytes: &[u8]| bytes.iter().filter(|byte| b"([{".contains(byte)).count();
    if opened(&bytes) > MOST_BRACKETS {
        return Err(Failure::new("not a .npy file of codes: its header has too many brackets"));
    }
    Ok(bytes)
}

fn shape_in(header: &[u8]) -> Outcome<Vec<u64>> {
    let dictionary = &header[if header[6] > 1 { 12 } else { 10 }..];
    let text = String::from_utf8_lossy(dictionary);
    let sizes = match text.trim().parse() {
        Ok(Value::Dict(entries)) => {
            let mut shapes = entries.into_iter().filter_map(|entry| match entry {
                (Value::String(name), sizes) if name == "shape" => Some(sizes),
                _ => None,
            });
            // npyz might take another of several
            match (shapes.next(), shapes.next()) {
                (Some(Value::Tuple(sizes)), None) => Some(sizes),
                _ => None,
            }
        }
        _ => None,
    };
    let size = |size: &Value| match size {
        Value::Integer(size) => u64::try_from(size).ok(),
        _ => None,
    };
    let sizes: Option<Vec<u64>> = sizes.and_then(|sizes| sizes.iter().map(size).collect());
    sizes.ok_or_else(|| Failure::new("not a .npy file of codes: its header tells no shape"))
}

/// The elements of an array of any integer type, in the order of the file.
fn integers(npy: NpyFile<impl Read>) -> io::Result<Vec<u32>> {
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

/// An array of int32, shape `[codebooks, frames]`. Signed, because array libraries other than NumPy
/// have few operations, or none, for unsigned 32-bit integers.
pub(super) fn bytes(codes: &Codes) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    append(&mut bytes, codes).map_err(failure)?;
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, codes: &Codes) -> io::Result<()> {
    let shape = [codes.codebooks as u64, codes.frames() as u64];
    let options = npyz::WriteOptions::<i32>::new().default_dtype().shape(&shape);
    let mut npy = options.writer(bytes).begin_nd()?;
    npy.extend(by_codebooks(codes).map(|code| code as i32))?;
    npy.finish()
}

fn failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::new("a .npy file that is cut off"),
        _ => Failure::new(format!("not a .npy file of codes: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::example, *};

    #[test]
    fn numpy_finds_its_header_and_the_codebooks_one_after_the_other() {
        let bytes = bytes(&example()).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY"));
        let header = String::from_utf8_lossy(&bytes);
        assert!(header.contains("'<i4'") && header.contains("(3, 4"), "{header}");
        let first_row: Vec<u8> = [0i32, 10, 20, 30].into_iter().flat_map(i32::to_le_bytes).collect();
        assert!(bytes[bytes.len() - 48..].starts_with(&first_row));
    }

    fn make<T: npyz::AutoSerialize + Copy>(shape: &[u64], order: Order, data: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape).order(order);
        let mut npy = options.writer(&mut bytes).begin_nd().unwrap();
        npy.extend(data.iter().copied()).unwrap();
        npy.finish().unwrap();
        bytes
    }

    fn array(codebooks: usize, values: &[u32]) -> Array {
        Array { codebooks, frames: values.len() / codebooks, values: values.to_vec(), by_frames: false }
    }

    #[test]
    fn any_integer_type_order_and_a_batch_of_one_are_read() {
        let data: Vec<i16> = example().data.iter().map(|&code| code as i16).collect();
        let fortran = parse(&make(&[1, 3, 4], Order::Fortran, &data)[..]).unwrap();
        let mut codes = Vec::new();
        fortran.append(0..4, &mut codes);
        assert_eq!(codes, example().data);
        let expected = array(2, &[1, 2, 3, 4]);
        assert_eq!(parse(&make(&[2, 2], Order::C, &[1u8, 2, 3, 4])[..]).unwrap(), expected);
        assert_eq!(parse(&make(&[2, 2], Order::C, &[1i64, 2, 3, 4])[..]).unwrap(), expected);
        assert_eq!(parse(&make(&[2, 2], Order::C, &[1u64, 2, 3, 4])[..]).unwrap(), expected);
        codes.clear();
        expected.append(0..2, &mut codes);
        assert_eq!(codes, [1, 3, 2, 4]);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let message = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(message(&make(&[3], Order::C, &[1, 2, 3])).contains("shape [3]"));
        assert!(message(&make(&[2, 1, 2], Order::C, &[1, 2, 3, 4])).contains("shape [2, 1, 2]"));
        assert!(message(&make(&[0, 2], Order::C, &[0i32; 0])).contains("shape [0, 2]"));
        assert!(message(&make(&[1, 2], Order::C, &[5, -1])).contains("-1 is no code"));
        assert!(message(&make(&[1, 2], Order::C, &[5.0, 1.0])).contains("expected integers"));
        let mut long = b"\x93NUMPY\x02\0".to_vec();
        long.extend(3_000_000u32.to_le_bytes());
        long.resize(3_000_012, b' ');
        assert!(message(&long).contains("a header of 3000000 bytes"));
        assert!(message(b"\x93NUMPY\x01\0\x02\0{}").contains("its header tells no shape"));
        // the parser would take hours, and npyz the second of two shapes
        assert!(message(b"\x93NUMPY\x01\0\x10\0{{{{{{{{{{{{{{{{").contains("too many brackets"));
        let mut twice = b"\x93NUMPY\x01\0\x52\0{'descr':'<i4','fortran_order':False,'shape':(1,4),".to_vec();
        twice.extend(b"'shape':(1024,18014398509481984)}\n");
        twice[8] = (twice.len() - 10) as u8;
        assert!(message(&twice).contains("its header tells no shape"));
        let whole = make(&[1, 2], Order::C, &[1, 2]);
        assert!(parse(&whole[..whole.len() - 1]).is_err());
    }
}
