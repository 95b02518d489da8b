//! NumPy arrays.

use super::{Array, Codes, Latents, Values, by_codebooks, latents, shape};
use crate::failure::{Failure, Outcome};
use npyz::{NpyFile, Order, TypeChar, WriterBuilder};
use py_literal::Value;
use std::io::{self, Read};

/// Bytes of a header that is read. NumPy writes 128, and reads no more than 10,000. The parser's time grows with the
/// square of a number's digits.
const LONGEST_HEADER: u64 = 1 << 14;

/// Opening brackets in a header. NumPy writes two for integers. Each doubles the parser's time, or worse.
const MOST_BRACKETS: usize = 4;

/// Reads an array of integers, shape `[codebooks, frames]`, or of floats, `[frames, values of a frame]`; either may
/// have a batch dimension of 1.
pub(super) fn parse(mut source: impl Read) -> Outcome<Values> {
    let header = header(&mut source)?;
    let sizes = shape_in(&header)?;
    // npyz multiplies the numbers of a shape without asking whether the product fits.
    if sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size)).is_none() {
        return Err(Failure::new(format!("an array of shape {sizes:?}; expected fewer values")));
    }
    let npy = NpyFile::new(header.chain(source)).map_err(failure)?;
    let by_columns = npy.order() == Order::Fortran;
    if is_float(&npy) {
        let values: io::Result<Vec<f32>> = npy.data().map_err(unlike).and_then(Iterator::collect);
        let values = values.map_err(failure)?;
        return Ok(Values::Latents(Latents::new(latents::shape(&sizes)?, values, by_columns)?));
    }
    let shape = shape(&sizes)?;
    Ok(Values::Codes(Array::new(shape, integers(npy).map_err(failure)?, by_columns)?))
}

/// Whether the elements are floats of 32 bits.
fn is_float(npy: &NpyFile<impl Read>) -> bool {
    match npy.dtype() {
        npyz::DType::Plain(plain) => (plain.type_char(), plain.size_field()) == (TypeChar::Float, 4),
        _ => false,
    }
}

fn unlike(error: npyz::DTypeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
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
        return Err(Failure::new("not a .npy file of codes or latents: its header has too many brackets"));
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
    sizes.ok_or_else(|| Failure::new("not a .npy file of codes or latents: its header tells no shape"))
}

/// The elements of an array of any integer type, in the order of the file.
fn integers(npy: NpyFile<impl Read>) -> io::Result<Vec<u32>> {
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    macro_rules! convert {
        ($type:ty) => {{
            let elements = npy.data::<$type>().map_err(unlike)?;
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
        return Err(invalid(
            "an array of records; expected integers (codes) or float32 (latents)".to_string(),
        ));
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
        _ => {
            let found = dtype.descr();
            Err(invalid(format!("an array of {found}; expected integers (codes) or float32 (latents)")))
        }
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

/// An array of float32, shape `[frames, values of a frame]`.
pub(super) fn latents_bytes(latents: &Latents) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    append_latents(&mut bytes, latents).map_err(failure)?;
    Ok(bytes)
}

fn append_latents(bytes: &mut Vec<u8>, latents: &Latents) -> io::Result<()> {
    let shape = [latents.frames() as u64, latents.width as u64];
    let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(&shape);
    let mut npy = options.writer(bytes).begin_nd()?;
    npy.extend(latents.data.iter().copied())?;
    npy.finish()
}

fn failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::new("a .npy file that is cut off"),
        _ => Failure::new(format!("not a .npy file of codes or latents: {error}")),
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

    fn codes(bytes: &[u8]) -> Array {
        match parse(bytes).unwrap() {
            Values::Codes(codes) => codes,
            Values::Latents(latents) => panic!("{latents:?}"),
        }
    }

    fn array(codebooks: usize, values: &[u32]) -> Array {
        Array { codebooks, frames: values.len() / codebooks, values: values.to_vec(), by_frames: false }
    }

    #[test]
    fn any_integer_type_order_and_a_batch_of_one_are_read() {
        let data: Vec<i16> = example().data.iter().map(|&code| code as i16).collect();
        let fortran = codes(&make(&[1, 3, 4], Order::Fortran, &data));
        let mut read = Vec::new();
        fortran.append(0..4, &mut read);
        assert_eq!(read, example().data);
        let expected = array(2, &[1, 2, 3, 4]);
        assert_eq!(codes(&make(&[2, 2], Order::C, &[1u8, 2, 3, 4])), expected);
        assert_eq!(codes(&make(&[2, 2], Order::C, &[1i64, 2, 3, 4])), expected);
        assert_eq!(codes(&make(&[2, 2], Order::C, &[1u64, 2, 3, 4])), expected);
        read.clear();
        expected.append(0..2, &mut read);
        assert_eq!(read, [1, 3, 2, 4]);
    }

    #[test]
    fn latents_are_read_in_either_order_and_as_they_were_written() {
        let expected = Latents { width: 3, data: vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0] };
        let floats = |bytes: &[u8]| match parse(bytes).unwrap() {
            Values::Latents(latents) => latents,
            Values::Codes(codes) => panic!("{codes:?}"),
        };
        assert_eq!(floats(&latents_bytes(&expected).unwrap()), expected);
        assert_eq!(floats(&make(&[1, 2, 3], Order::C, &expected.data)), expected);
        let by_columns: [f32; 6] = [0.0, 10.0, 1.0, 11.0, 2.0, 12.0];
        assert_eq!(floats(&make(&[2, 3], Order::Fortran, &by_columns)), expected);
        assert_eq!(floats(&make(&[0, 3], Order::C, &[0f32; 0])), Latents { width: 3, data: Vec::new() });
    }

    #[test]
    fn what_is_no_latent_is_refused() {
        let message = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        for shape in [&[6][..], &[2, 1, 3], &[6, 0]] {
            let values = vec![1f32; shape.iter().product::<u64>() as usize];
            let expected =
                format!("floats of shape {shape:?}; expected latents, [frames, values of a frame]");
            assert!(message(&make(shape, Order::C, &values)).contains(&expected));
        }
        let message_of = |value: f32| message(&make(&[2, 3], Order::C, &[0.0, 0.0, 0.0, 0.0, value, 0.0]));
        assert_eq!(message_of(f32::NAN), "value 1 of frame 1 is NaN; expected finite latents");
        assert_eq!(message_of(f32::INFINITY), "value 1 of frame 1 is inf; expected finite latents");
        assert!(
            message(&make(&[2, 1], Order::C, &[1f64; 2]))
                .contains("an array of '<f8'; expected integers (codes) or float32 (latents)")
        );
        let whole = make(&[2, 3], Order::C, &[0f32; 6]);
        assert_eq!(message(&whole[..whole.len() - 1]), "a .npy file that is cut off");
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
