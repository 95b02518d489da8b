//! `mimi decode`: codes to audio.

use crate::{
    args::DecodeArgs,
    audio::{AudioWriter, RawFormat},
    batch::{self, Job, Plan},
    codec,
    codes::{self, Codes},
    failure::{Failure, Outcome},
    model,
    resample::{self, Resampler},
    standard,
};
use mimi::{Decoder, Model, Parts};
use std::path::Path;

pub(crate) fn run(args: &DecodeArgs) -> Outcome {
    let made = if args.raw { "raw" } else { "wav" };
    match batch::plan(&args.inputs, &args.output, codes::EXTENSIONS, made)? {
        Plan::One(job) => {
            let codes = read(&job.input, args)?;
            let model = model::load(&args.model, Parts::Decoder)?;
            write(&codes, &model, &job, args)
        }
        Plan::Many(jobs) => {
            let model = model::load(&args.model, Parts::Decoder)?;
            batch::run(
                jobs,
                &args.batch,
                args.model.quiet,
                || Ok(()),
                |(), job: &Job| write(&read(&job.input, args)?, &model, job, args),
            )
        }
    }
}

/// The codes in a file, as many codebooks of them as were asked for.
fn read(input: &Path, args: &DecodeArgs) -> Outcome<Codes> {
    let (mut codes, _) = codes::read(input)?;
    if let Some(codebooks) = args.codebooks {
        if codebooks == 0 || codebooks > codes.codebooks {
            let found = format!("it has {} codebooks, {codebooks} were asked for", codes.codebooks);
            return Err(Failure::at(&standard::input_name(input), found));
        }
        codes.truncate(codebooks);
    }
    Ok(codes)
}

/// Writes what `codes`, which come from the job's input, sound like to its output.
fn write(codes: &Codes, model: &Model, job: &Job, args: &DecodeArgs) -> Outcome {
    let name = standard::input_name(&job.input);
    check_model(codes, model).map_err(|failure| Failure::at(&name, failure))?;
    let options = codec::decoding_options(model, Some(codes.codebooks));
    let mut decoder = Decoder::new(model, &options).map_err(|error| Failure::at(&name, error))?;
    let rate = args.rate.unwrap_or(model.config().sampling_rate);
    let resampler = Resampler::new(model.config().sampling_rate, rate)?;
    let format = RawFormat { rate, samples: args.samples() };
    let mut audio = AudioWriter::create(&job.output, format, args.raw)?;
    decode(codes, &mut decoder, resampler, &mut audio).map_err(|failure| Failure::at(&name, failure))?;
    audio.finish()
}

/// Codes mean nothing to a model that they were not made with, if that is known.
fn check_model(codes: &Codes, model: &Model) -> Outcome {
    match codes.header {
        Some(header) if header.model_id != 0 && header.model_id != model.id() => Err(Failure::new(format!(
            "made with another model ({:016x}) than this one ({:016x}); see --model",
            header.model_id,
            model.id()
        ))),
        _ => Ok(()),
    }
}

/// Writes what `codes` sound like, as long as the original if that is known.
fn decode(
    codes: &Codes,
    decoder: &mut Decoder,
    mut resampler: Resampler,
    audio: &mut AudioWriter,
) -> Outcome {
    let config = decoder.model().config();
    let (rate, frame) = (config.sampling_rate, config.frame_size() as u64);
    let all = codes.frames() as u64 * frame;
    let samples = codes.header.map_or(0, |header| header.samples);
    let samples = if samples == 0 { all } else { samples.min(all) };
    let total = resample::converted_length(samples, rate, resampler.to());
    let (mut resampled, mut room) = (Vec::new(), total);
    codec::decode(&codes.data, decoder, |pcm| {
        resampled.clear();
        resampler.push(pcm, &mut resampled)?;
        resampled.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        room -= resampled.len() as u64;
        audio.write(&resampled)
    })?;
    resampled.clear();
    resampler.finish(total, &mut resampled)?;
    audio.write(&resampled)
}
