//! A safetensors file with a tensor `codes`.

use super::{Array, Codes, by_codebooks, shape};
use crate::failure::{Failure, Outcome};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const NAME: &str = "codes";

pub(super) fn parse(bytes: &[u8]) -> Outcome<Array> {
    let file = SafeTensors::deserialize(bytes).map_err(failure)?;
    let tensor = file.tensor(NAME).map_err(failure)?;
    let found: Vec<u64> = tensor.shape().iter().map(|&size| size as u64).collect();
    Array::new(shape(&found)?, integers(&tensor)?, false)
}

fn integers(tensor: &TensorView<'_>) -> Outcome<Vec<u32>> {
    macro_rules! convert {
        ($type:ty) => {{
            let (elements, _) = tensor.data().as_chunks();
            elements.iter().map(|&bytes| code(<$type>::from_le_bytes(bytes))).collect()
        }};
    }
    match tensor.dtype() {
        Dtype::I16 => convert!(i16),
        Dtype::U16 => convert!(u16),
        Dtype::I32 => convert!(i32),
        Dtype::U32 => convert!(u32),
        Dtype::I64 => convert!(i64),
        Dtype::U64 => convert!(u64),
        other => Err(Failure::new(format!("codes of type {other:?}; expected integers of 16 to 64 bits"))),
    }
}

fn code<T: Copy + TryInto<u32> + std::fmt::Display>(value: T) -> Outcome<u32> {
    value.try_into().map_err(|_| Failure::new(format!("{value} is no code")))
}

pub(super) fn bytes(codes: &Codes) -> Outcome<Vec<u8>> {
    let bytes: Vec<u8> = by_codebooks(codes).flat_map(u32::to_le_bytes).collect();
    let shape = vec![1, codes.codebooks, codes.frames()];
    let tensor = TensorView::new(Dtype::U32, shape, &bytes).map_err(failure)?;
    safetensors::serialize([(NAME, tensor)], None).map_err(failure)
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_integer_type_is_read_and_other_tensors_are_refused() {
        let make = |dtype, shape: &[usize], bytes: &[u8], name: &str| {
            let tensor = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
            safetensors::serialize([(name, tensor)], None).unwrap()
        };
        let expected = Array { codebooks: 2, frames: 2, values: vec![1, 2, 3, 4], by_frames: false };
        let wide: Vec<u8> = [1i64, 2, 3, 4].into_iter().flat_map(i64::to_le_bytes).collect();
        assert_eq!(parse(&make(Dtype::I64, &[2, 2], &wide, "codes")).unwrap(), expected);
        let narrow: Vec<u8> = [1i16, 2, 3, 4].into_iter().flat_map(i16::to_le_bytes).collect();
        assert_eq!(parse(&make(Dtype::I16, &[1, 2, 2], &narrow, "codes")).unwrap(), expected);
        let floats = make(Dtype::F32, &[2, 2], &narrow.repeat(2), "codes");
        assert!(parse(&floats).unwrap_err().to_string().contains("F32"));
        assert!(parse(&make(Dtype::I16, &[1, 2, 2], &narrow, "weights")).is_err());
        assert!(parse(&make(Dtype::I16, &[2, 1, 2], &narrow, "codes")).is_err());
        let negative: Vec<u8> = [-1i16, 2].into_iter().flat_map(i16::to_le_bytes).collect();
        assert!(parse(&make(Dtype::I16, &[1, 2], &negative, "codes")).is_err());
    }
}
