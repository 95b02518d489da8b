//! `mimi decode`: codes to audio.

use crate::{
    args::ModelArgs,
    audio::AudioWriter,
    codec, codes,
    failure::{Failure, Outcome},
    model,
};
use mimi::{Decoder, Parts};
use std::path::Path;

pub(crate) fn run(input: &Path, output: &Path, model: &ModelArgs, codebooks: Option<usize>) -> Outcome {
    let mut codes = codes::read(input)?;
    if let Some(codebooks) = codebooks {
        if codebooks == 0 || codebooks > codes.codebooks {
            let found = format!("has {} codebooks, {codebooks} asked for", codes.codebooks);
            return Err(Failure::at(input, found));
        }
        codes.truncate(codebooks);
    }
    let model = model::load(model, Parts::Decoder)?;
    let mut decoder = Decoder::new(&model, &codec::decoding_options(&model, Some(codes.codebooks)))
        .map_err(|error| Failure::at(input, error))?;
    let mut audio = AudioWriter::create(output, model.config().sampling_rate)?;
    codec::decode(&codes.data, &mut decoder, |pcm| audio.write(pcm))
        .map_err(|failure| Failure::at(input, failure))?;
    audio.finish()
}
