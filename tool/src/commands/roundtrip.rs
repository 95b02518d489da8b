//! `mimi roundtrip`: what the codec makes of a recording.

use crate::{
    args::RoundtripArgs,
    audio::{AudioReader, AudioWriter, RawFormat, SoundFormat},
    codec,
    failure::Outcome,
    loss::Losses,
    model, output,
    resample::{self, Resampler},
    values::Value,
};
use mimi::{Decoder, Encoder, Model, Parts};

pub(crate) fn run(args: &RoundtripArgs) -> Outcome {
    if !args.overwrite {
        output::refuse_input(&args.input, &args.output)?;
    }
    let sound = SoundFormat::of(&args.output, args.format, args.raw)?;
    let mut audio = AudioReader::open(&args.input, args.raw_format())?;
    audio.take_partial(args.damage.partial);
    let model = model::load(&args.model, Parts::Both)?;
    audio.show_progress(args.model.quiet);
    match model.codebooks() {
        0 => convert::<f32>(audio, &model, sound, args),
        _ => convert::<u32>(audio, &model, sound, args),
    }
}

/// To codes or latents and back.
fn convert<V: Value>(
    mut audio: AudioReader,
    model: &Model,
    sound: SoundFormat,
    args: &RoundtripArgs,
) -> Outcome {
    let (original, rate) = (audio.rate(), sound.rate(audio.rate()));
    let mut encoder = Encoder::new(model, &codec::encoding_options(model, &args.encoding)?)?;
    let mut decoder = Decoder::new(model, &codec::decoding_options(model, Some(encoder.codebooks())))?;
    let mut resampler = Resampler::new(model.spec().sampling_rate, rate)?;
    let format = RawFormat { rate, samples: args.samples() };
    let converted = |samples| resample::converted_length(samples, original, rate);
    let length = audio.exact_length().map(converted);
    let mut writer = AudioWriter::create(&args.output, sound, format, length)?;

    // The last frame lasts longer than the input; what lies beyond the input's end is never written.
    let (mut resampled, mut written) = (Vec::new(), 0);
    let mut losses = Losses::default();
    let samples = codec::encode::<V>(&mut audio, &mut encoder, |values, samples| {
        codec::decode(values, &mut losses, &mut decoder, |pcm| resampler.push(pcm, &mut resampled))?;
        let ready = resampled.len().min((converted(samples) - written) as usize);
        writer.write(&resampled[..ready])?;
        writer.flush()?;
        resampled.drain(..ready);
        written += ready as u64;
        Ok(())
    })?;
    resampler.finish(converted(samples), &mut resampled)?;
    writer.write(&resampled)?;
    writer.finish()
}
