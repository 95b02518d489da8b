//! A safetensors file with a tensor `codes` or `latents`.

use super::{Array, Codes, Latents, Values, by_codebooks, latents, shape};
use crate::failure::{Failure, Outcome};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const CODES: &str = "codes";
const LATENTS: &str = "latents";

/// Names of tensors that a message quotes.
const MOST_NAMES: usize = 3;

pub(super) fn parse(bytes: &[u8]) -> Outcome<Values> {
    let file = SafeTensors::deserialize(bytes).map_err(failure)?;
    let sizes =
        |tensor: &TensorView| -> Vec<u64> { tensor.shape().iter().map(|&size| size as u64).collect() };
    match (file.tensor(CODES), file.tensor(LATENTS)) {
        (Ok(tensor), Err(_)) => {
            Ok(Values::Codes(Array::new(shape(&sizes(&tensor))?, integers(&tensor)?, false)?))
        }
        (Err(_), Ok(tensor)) => {
            let values = floats(&tensor)?;
            Ok(Values::Latents(Latents::new(latents::shape(&sizes(&tensor))?, values, false)?))
        }
        _ => {
            let mut names: Vec<_> = file.names().into_iter().map(|name| format!("`{name}`")).collect();
            names.sort();
            let more = if names.len() > MOST_NAMES { ", …" } else { "" };
            names.truncate(MOST_NAMES);
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") + more };
            Err(Failure::new(format!("its tensors are {found}; expected `{CODES}` or `{LATENTS}`")))
        }
    }
}

fn floats(tensor: &TensorView<'_>) -> Outcome<Vec<f32>> {
    match tensor.dtype() {
        Dtype::F32 => {
            let (elements, _) = tensor.data().as_chunks();
            Ok(elements.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
        }
        other => Err(Failure::new(format!("latents of type {other:?}; expected F32"))),
    }
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
    safetensors::serialize([(CODES, tensor)], None).map_err(failure)
}

pub(super) fn latents_bytes(latents: &Latents) -> Outcome<Vec<u8>> {
    let bytes: Vec<u8> = latents.data.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![latents.frames(), latents.width];
    let tensor = TensorView::new(Dtype::F32, shape, &bytes).map_err(failure)?;
    safetensors::serialize([(LATENTS, tensor)], None).map_err(failure)
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
        let codes = |bytes: &[u8]| match parse(bytes).unwrap() {
            Values::Codes(codes) => codes,
            Values::Latents(latents) => panic!("{latents:?}"),
        };
        assert_eq!(codes(&make(Dtype::I64, &[2, 2], &wide, "codes")), expected);
        let narrow: Vec<u8> = [1i16, 2, 3, 4].into_iter().flat_map(i16::to_le_bytes).collect();
        assert_eq!(codes(&make(Dtype::I16, &[1, 2, 2], &narrow, "codes")), expected);
        let floats = make(Dtype::F32, &[2, 2], &narrow.repeat(2), "codes");
        assert!(parse(&floats).unwrap_err().to_string().contains("F32"));
        let message = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        let weights = make(Dtype::I16, &[1, 2, 2], &narrow, "weights");
        assert_eq!(message(&weights), "its tensors are `weights`; expected `codes` or `latents`");
        assert!(parse(&make(Dtype::I16, &[2, 1, 2], &narrow, "codes")).is_err());
        let negative: Vec<u8> = [-1i16, 2].into_iter().flat_map(i16::to_le_bytes).collect();
        assert!(parse(&make(Dtype::I16, &[1, 2], &negative, "codes")).is_err());
    }

    #[test]
    fn latents_are_read_as_they_were_written_and_others_are_refused() {
        let expected = Latents { width: 2, data: vec![1.0, -2.0, 3.0, 0.5, 0.25, -0.125] };
        match parse(&latents_bytes(&expected).unwrap()).unwrap() {
            Values::Latents(found) => assert_eq!(found, expected),
            Values::Codes(codes) => panic!("{codes:?}"),
        }
        let message = |dtype, shape: &[usize], bytes: &[u8]| {
            let tensor = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
            parse(&safetensors::serialize([("latents", tensor)], None).unwrap()).unwrap_err().to_string()
        };
        assert_eq!(message(Dtype::F16, &[1, 2], &[0; 4]), "latents of type F16; expected F32");
        assert!(message(Dtype::F32, &[2], &[0; 8]).contains("floats of shape [2]; expected latents"));
        assert_eq!(
            message(Dtype::F32, &[1, 2], &[0, 0, 0, 0, 0, 0, 0xc0, 0xff]),
            "value 1 of frame 0 is NaN; expected finite latents"
        );
    }
}
