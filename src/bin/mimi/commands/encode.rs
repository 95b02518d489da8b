//! `mimi encode`: audio to codes.

use crate::{
    args::{EncodingArgs, ModelArgs},
    audio::AudioReader,
    codec,
    codes::{self, Codes},
    failure::Outcome,
    model,
};
use mimi::{Encoder, Parts};
use std::path::Path;

pub(crate) fn run(input: &Path, output: &Path, model: &ModelArgs, encoding: &EncodingArgs) -> Outcome {
    let mut audio = AudioReader::open(input)?;
    let model = model::load(model, Parts::Encoder)?;
    let mut encoder = Encoder::new(&model, &codec::encoding_options(&model, encoding))?;
    let mut data = Vec::new();
    codec::encode(&mut audio, &mut encoder, |codes, _| {
        data.extend_from_slice(codes);
        Ok(())
    })?;
    codes::write(output, &Codes { codebooks: encoder.codebooks(), data })
}
