//! Audio blocks → codes or latents → audio blocks, in bounded memory.

use crate::{
    args::EncodingArgs,
    audio::AudioReader,
    codes::{Codes, Described},
    failure::{Failure, Outcome},
    loss::Losses,
    resample::{self, Resampler},
    values::Value,
};
use mimi::{
    Decoder, Encoder, Model, Spec, StreamOptions,
    bitstream::{Header, Original},
};

/// Frames worked on at once, as far as they fit a block: enough for the weights to be read once for many rows.
const BLOCK_FRAMES: usize = 25;

/// Options of an encoder that is fed with blocks of audio.
pub(crate) fn encoding_options(model: &Model, encoding: &EncodingArgs) -> Outcome<StreamOptions> {
    check_codebooks(model, encoding.codebooks)?;
    let options = decoding_options(model, encoding.codebooks);
    Ok(StreamOptions { tail: encoding.tail.into(), ..options })
}

/// Refuses more codebooks than `model` has.
pub(crate) fn check_codebooks(model: &Model, codebooks: Option<usize>) -> Outcome {
    match codebooks {
        Some(_) if model.codebooks() == 0 => {
            Err(Failure::usage("--codebooks goes with codes; this model has no quantizer, and latents alone"))
        }
        Some(typed) if typed > model.codebooks() => {
            let most = model.codebooks();
            Err(Failure::usage(format!("--codebooks is {typed}; this model has 1 to {most}")))
        }
        _ => Ok(()),
    }
}

/// Options of a decoder that is fed with blocks of codes, or of latents if it is `None`.
pub(crate) fn decoding_options(model: &Model, codebooks: Option<usize>) -> StreamOptions {
    let max_block = Some(block_samples(model.spec().frame_size));
    StreamOptions { codebooks, max_block, ..StreamOptions::default() }
}

/// Samples worked on at once, of frames of `frame` samples.
fn block_samples(frame: usize) -> usize {
    frame.saturating_mul(BLOCK_FRAMES).min(StreamOptions::MAX_BLOCK)
}

/// The header of codes with `codebooks` codebooks of a recording of `samples` samples at `rate` Hz (0:
/// unknown). It counts at that rate if a frame is a whole number of samples there, else at the model's, and tells the
/// recording's own beside.
pub(crate) fn header(spec: &Spec, codebooks: usize, samples: u64, rate: u32) -> Outcome<Described> {
    let covered = resample::converted_length(samples, rate, spec.sampling_rate);
    let header = Header::for_model(spec, codebooks, covered)?;
    let scaled = u64::from(header.frame_samples) * u64::from(rate);
    let whole = scaled.is_multiple_of(u64::from(header.sample_rate));
    match u32::try_from(scaled / u64::from(header.sample_rate)) {
        Ok(frame_samples) if whole => {
            Ok(Header { sample_rate: rate, frame_samples, samples, ..header }.into())
        }
        _ => Ok(Described::with_original(header, Original { sample_rate: rate, samples })),
    }
}

/// Sends all of `audio` through `encoder`, whose codes or latents go to `sink` as they come, with the number
/// of samples, at the audio's own rate, that were read so far. Returns how many there were in all.
pub(crate) fn encode<V: Value>(
    audio: &mut AudioReader,
    encoder: &mut Encoder,
    mut sink: impl FnMut(&[V], u64) -> Outcome,
) -> Outcome<u64> {
    let mut resampler = Resampler::new(audio.rate(), encoder.spec().sampling_rate)
        .map_err(|failure| Failure::at(audio.name(), failure))?;
    let (mut block, mut resampled, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut samples = 0;
    loop {
        audio.read(&mut block)?;
        samples += block.len() as u64;
        resampled.clear();
        if block.is_empty() {
            // to the last sample, so that frames are as many as the header's numbers say
            let (from, to) = (audio.rate(), resampler.to());
            resampler.finish(resample::converted_length(samples, from, to), &mut resampled)?;
        } else {
            resampler.push(&block, &mut resampled)?;
        }
        values.resize(V::encoded(encoder, resampled.len()), V::default());
        let written = V::encode(encoder, &resampled, &mut values)?;
        sink(&values[..written], samples)?;
        if block.is_empty() {
            break;
        }
    }
    values.resize(V::left(encoder), V::default());
    let written = V::flush(encoder, &mut values)?;
    sink(&values[..written], samples)?;
    Ok(samples)
}

/// Sends whole frames of codes or latents through `decoder`, but for those that get lost; the audio, at the model's
/// rate, goes to `sink` as it comes.
pub(crate) fn decode<V: Value>(
    values: &[V],
    losses: &mut Losses,
    decoder: &mut Decoder,
    mut sink: impl FnMut(&[f32]) -> Outcome,
) -> Outcome {
    let size = V::in_frame(decoder.spec(), decoder.codebooks());
    let mut pcm = Vec::new();
    for block in values.chunks(BLOCK_FRAMES * size) {
        let mut rest = block;
        let lost: Vec<bool> = block.chunks_exact(size).map(|_| losses.next_is_lost()).collect();
        for run in lost.chunk_by(|a, b| a == b) {
            let (frames, after) = rest.split_at(run.len() * size);
            rest = after;
            pcm.resize(run.len() * decoder.frame_samples(), 0.0);
            let written = match run[0] {
                true => decoder.process_lost(run.len(), &mut pcm)?,
                false => V::decode(decoder, frames, &mut pcm)?,
            };
            sink(&pcm[..written])?;
        }
    }
    Ok(())
}

/// Bits per second with `codebooks` codebooks.
pub(crate) fn bit_rate(model: &Model, codebooks: usize) -> f64 {
    let spec = model.spec();
    let frames = f64::from(spec.sampling_rate) / spec.frame_size as f64;
    frames * codebooks as f64 * f64::from(spec.code_bits())
}

/// Whole recordings at the model's rate, with any number of codebooks.
pub(crate) struct Codec(Model);

impl Codec {
    pub(crate) fn new(model: Model) -> Self {
        Self(model)
    }

    pub(crate) fn model(&self) -> &Model {
        &self.0
    }

    /// Codes of all codebooks.
    pub(crate) fn encode(&self, pcm: &[f32]) -> Outcome<Codes> {
        let codebooks = self.0.codebooks();
        let options = StreamOptions { codebooks: Some(codebooks), ..StreamOptions::default() };
        Ok(Codes { codebooks, data: self.0.encode(pcm, &options)?, header: None })
    }

    /// What the first `codebooks` of `codes` sound like, whole frames.
    pub(crate) fn decode(&self, codes: &Codes, codebooks: usize) -> Outcome<Vec<f32>> {
        let frames = codes.data.chunks_exact(codes.codebooks);
        let kept: Vec<u32> = frames.flat_map(|frame| &frame[..codebooks]).copied().collect();
        let options = StreamOptions { codebooks: Some(codebooks), ..StreamOptions::default() };
        Ok(self.0.decode(&kept, &options)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_long_frames_are_within_the_librarys_bound() {
        assert_eq!([1_920, 17_280, 262_144, 1 << 24].map(block_samples), [48_000, 262_144, 262_144, 262_144]);
    }
}
