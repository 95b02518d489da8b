//! `mimi decode`: codes to audio.

use crate::{
    args::{DecodeArgs, typed},
    audio::{AudioWriter, RawFormat},
    batch::{self, Job, Plan, Settings},
    codec,
    codes::{self, CodeReader},
    failure::{Failure, Outcome},
    model,
    resample::{self, Resampler},
};
use mimi::{Decoder, Model, Parts};
use std::path::Path;

pub(crate) fn run(args: &DecodeArgs) -> Outcome {
    let made = if args.raw { "raw" } else { "wav" };
    match batch::plan(&args.inputs, &args.output, codes::EXTENSIONS, &|_| made)? {
        Plan::One(job) => {
            batch::check_one(&job, &args.batch)?;
            let mut codes = open(&job.input, args)?;
            let model = model::load(&args.model, Parts::Decoder)?;
            codes.show_progress(args.model.quiet);
            write(codes, &model, &job.output, args).map(drop)
        }
        Plan::Many(jobs) => {
            let model = model::load(&args.model, Parts::Decoder)?;
            let work = |(): &mut (), job: &Job| write(open(&job.input, args)?, &model, &job.output, args);
            let (settings, told) = (settings(args, &model), |_: &Path| Ok(Settings::new()));
            batch::run(jobs, &args.batch, args.model.quiet, &settings, told, || Ok(()), work)
        }
    }
}

/// What decides what codes become.
fn settings(args: &DecodeArgs, model: &Model) -> Settings {
    let or = |number: Option<String>, default: &str| number.unwrap_or_else(|| default.to_owned());
    Settings::from([
        ("model", format!("{:016x}", model.id())),
        ("codebooks", or(args.codebooks.map(|n| n.to_string()), "all")),
        ("precision", typed(args.model.precision)),
        ("rate", or(args.rate.map(|hertz| hertz.to_string()), "the original's")),
        ("samples", format!("{:?}", args.samples())),
    ])
}

/// The codes in a file, as many codebooks of them as were asked for.
fn open(input: &Path, args: &DecodeArgs) -> Outcome<CodeReader> {
    let mut codes = CodeReader::open(input)?;
    codes.take_partial(args.partial);
    args.codebooks.map_or(Ok(()), |codebooks| codes.keep(codebooks))?;
    Ok(codes)
}

/// Writes what `codes` sound like to `output`; returns its seconds.
fn write(mut codes: CodeReader, model: &Model, output: &Path, args: &DecodeArgs) -> Outcome<f64> {
    let name = codes.name().to_path_buf();
    check_model(&codes, model)?;
    let options = codec::decoding_options(model, Some(codes.codebooks()));
    let mut decoder = Decoder::new(model, &options).map_err(|error| Failure::at(&name, error))?;
    let original = codes.header().map(|header| header.sample_rate);
    let rate = args.rate.or(original).unwrap_or(model.config().sampling_rate);
    let resampler = Resampler::new(model.config().sampling_rate, rate)?;
    let format = RawFormat { rate, samples: args.samples() };
    let mut audio = AudioWriter::create(output, format, args.raw)?;
    let samples = decode(&mut codes, &mut decoder, resampler, &mut audio)?;
    audio.finish()?;
    Ok(samples as f64 / f64::from(rate))
}

/// Codes mean nothing to a model that they were not made with, if that is known.
fn check_model(codes: &CodeReader, model: &Model) -> Outcome {
    match codes.header() {
        Some(header) if header.model_id != 0 && header.model_id != model.id() => {
            let (theirs, this) = (header.model_id, model.id());
            let found =
                format!("made with another model ({theirs:016x}) than this one ({this:016x}); see --model");
            Err(Failure::at(codes.name(), found))
        }
        Some(header) if header.model_id == model::DEMO_ID => {
            model::is_known_from_codes();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Writes what `codes` sound like, as they come, and no longer than the original if that is known.
/// Returns the samples.
fn decode(
    codes: &mut CodeReader,
    decoder: &mut Decoder,
    mut resampler: Resampler,
    audio: &mut AudioWriter,
) -> Outcome<u64> {
    let (from, to) = (decoder.model().config().sampling_rate, resampler.to());
    let original = codes.header().filter(|header| header.samples > 0);
    let due = original.map(|header| resample::converted_length(header.samples, header.sample_rate, to));
    let (mut room, mut decoded) = (due.unwrap_or(u64::MAX), 0);
    let (mut block, mut resampled, mut written) = (Vec::new(), Vec::new(), 0);
    loop {
        codes.read(&mut block)?;
        resampled.clear();
        let result = codec::decode(&block, decoder, |pcm| {
            decoded += pcm.len() as u64;
            resampler.push(pcm, &mut resampled)
        });
        result.map_err(|failure| Failure::at(codes.name(), failure))?;
        if block.is_empty() {
            let whole_frames = resample::converted_length(decoded, from, to);
            resampler.finish(whole_frames.min(due.unwrap_or(u64::MAX)), &mut resampled)?;
        }
        resampled.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        room -= resampled.len() as u64;
        written += resampled.len() as u64;
        audio.write(&resampled)?;
        audio.flush()?;
        if block.is_empty() {
            return Ok(written);
        }
    }
}
