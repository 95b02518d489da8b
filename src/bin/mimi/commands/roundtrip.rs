//! `mimi roundtrip`: what the codec makes of a recording.

use crate::{
    args::{EncodingArgs, ModelArgs},
    audio::{AudioReader, AudioWriter},
    codec,
    failure::Outcome,
    model,
    resample::Resampler,
};
use mimi::{Decoder, Encoder, Parts};
use std::path::Path;

pub(crate) fn run(input: &Path, output: &Path, model: &ModelArgs, encoding: &EncodingArgs) -> Outcome {
    let mut audio = AudioReader::open(input)?;
    let rate = audio.rate();
    let model = model::load(model, Parts::Both)?;
    let mut encoder = Encoder::new(&model, &codec::encoding_options(&model, encoding))?;
    let mut decoder = Decoder::new(&model, &codec::decoding_options(&model, Some(encoder.codebooks())))?;
    let mut writer = AudioWriter::create(output, rate)?;
    let mut resampler = Resampler::new(model.config().sampling_rate, rate)?;

    // The last frame lasts longer than the input; what lies beyond the input's end is never written.
    let (mut resampled, mut written) = (Vec::new(), 0);
    let samples = codec::encode(&mut audio, &mut encoder, |codes, samples| {
        codec::decode(codes, &mut decoder, |pcm| resampler.push(pcm, &mut resampled))?;
        let ready = resampled.len().min((samples - written) as usize);
        writer.write(&resampled[..ready])?;
        resampled.drain(..ready);
        written += ready as u64;
        Ok(())
    })?;
    resampler.finish(samples, &mut resampled)?;
    writer.write(&resampled)?;
    writer.finish()
}
