//! `mimi encode`: audio to codes.

use crate::{
    args::EncodeArgs,
    audio::AudioReader,
    codec,
    codes::{self, Codes, Format},
    failure::Outcome,
    model,
};
use mimi::{Encoder, Parts, bitstream::Header};

pub(crate) fn run(args: &EncodeArgs) -> Outcome {
    let format = args.format.map_or_else(|| Format::of(&args.output), Ok)?;
    let mut audio = AudioReader::open(&args.input, args.raw_format())?;
    let model = model::load(&args.model, Parts::Encoder)?;
    let mut encoder = Encoder::new(&model, &codec::encoding_options(&model, &args.encoding))?;
    let codes = encode(&mut audio, &mut encoder)?;
    codes::write(&args.output, &codes, format)
}

/// All of `audio` as codes. The encoder is as new afterwards.
fn encode(audio: &mut AudioReader, encoder: &mut Encoder) -> Outcome<Codes> {
    let mut data = Vec::new();
    let samples = codec::encode(audio, encoder, |codes, _| {
        data.extend_from_slice(codes);
        Ok(())
    })?;
    let (model, codebooks) = (encoder.model(), encoder.codebooks());
    let samples = codec::at_model_rate(model, samples, audio.rate());
    let header = Header::for_model(model, codebooks, samples).ok();
    Ok(Codes { codebooks, data, header })
}
