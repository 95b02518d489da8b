//! `mimi decode`: codes to audio.

use crate::{
    args::{DecodeArgs, typed},
    audio::{AudioWriter, RawFormat, SoundFormat},
    batch::{self, Job, Plan, Settings},
    codec,
    codes::{self, CodeReader},
    failure::{Failure, Outcome},
    loss::Losses,
    model,
    resample::{self, Resampler},
};
use mimi::{Decoder, Model, Parts};
use std::path::Path;

pub(crate) fn run(args: &DecodeArgs) -> Outcome {
    let made = typed_format(args).unwrap_or(SoundFormat::Wav).extension();
    match batch::plan(&args.inputs, &args.output, codes::EXTENSIONS, &|_| made)? {
        Plan::One(job) => {
            batch::check_one(&job, &args.batch)?;
            format_of(&job.output, args)?;
            let mut codes = open(&job.input, args)?;
            let model = model::load(&args.model, Parts::Decoder)?;
            codes.show_progress(args.model.quiet);
            write(codes, &model, &job.output, args).map(drop)
        }
        Plan::Many(jobs) => {
            let model = model::load(&args.model, Parts::Decoder)?;
            let work = |(): &mut (), job: &Job| write(open(&job.input, args)?, &model, &job.output, args);
            let (settings, told) = (settings(args, &model), |_: &batch::Job| Ok(Settings::new()));
            batch::run(jobs, &args.batch, args.model.quiet, &settings, told, || Ok(()), work)
        }
    }
}

/// How the sound is to be written, if that was typed.
fn typed_format(args: &DecodeArgs) -> Option<SoundFormat> {
    args.format.or(args.raw.then_some(SoundFormat::Raw))
}

/// How the sound is to be written to `output`.
fn format_of(output: &Path, args: &DecodeArgs) -> Outcome<SoundFormat> {
    match SoundFormat::of_extension(output).filter(|&format| format != SoundFormat::Raw) {
        Some(format) if args.raw => {
            let problem = format!("--raw writes no header, and .{} has one", format.extension());
            Err(Failure::usage(format!("{}: {problem}", output.display())))
        }
        _ => SoundFormat::of(output, typed_format(args), args.raw),
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
        (
            "loss",
            or(
                args.loss.loss.map(|percent| format!("{percent} %, {}, {}", args.loss.burst, args.loss.seed)),
                "none",
            ),
        ),
    ])
}

/// The codes in a file, as many codebooks of them as were asked for.
fn open(input: &Path, args: &DecodeArgs) -> Outcome<CodeReader> {
    let mut codes = CodeReader::open(input)?;
    codes.take_partial(args.damage.partial);
    args.codebooks.map_or(Ok(()), |codebooks| codes.keep(codebooks))?;
    Ok(codes)
}

/// Writes what `codes` sound like to `output`; returns its seconds.
fn write(mut codes: CodeReader, model: &Model, output: &Path, args: &DecodeArgs) -> Outcome<f64> {
    let name = codes.name().to_path_buf();
    check_model(&codes, model)?;
    let options = codec::decoding_options(model, Some(codes.codebooks()));
    let mut decoder = Decoder::new(model, &options).map_err(|error| Failure::at(&name, error))?;
    let original = codes.header().map(|header| header.recording_rate());
    let sound = format_of(output, args)?;
    let rate = sound.rate(args.rate.or(original).unwrap_or(model.spec().sampling_rate));
    let resampler = Resampler::new(model.spec().sampling_rate, rate).map_err(|failure| failure.of(&name))?;
    let format = RawFormat { rate, samples: args.samples() };
    let mut audio = AudioWriter::create(output, sound, format, due(&codes, rate))?;
    let samples = decode(&mut codes, Losses::new(&args.loss), &mut decoder, resampler, &mut audio)?;
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

/// Samples of the original, counted at `rate`, if that is known.
fn due(codes: &CodeReader, rate: u32) -> Option<u64> {
    let header = codes.header().filter(|header| header.recording_samples() > 0)?;
    Some(resample::converted_length(header.recording_samples(), header.recording_rate(), rate))
}

/// Writes what `codes` sound like, as they come, and no longer than the original if that is known.
/// Returns the samples.
fn decode(
    codes: &mut CodeReader,
    mut losses: Losses,
    decoder: &mut Decoder,
    mut resampler: Resampler,
    audio: &mut AudioWriter,
) -> Outcome<u64> {
    let (from, to) = (decoder.spec().sampling_rate, resampler.to());
    let due = due(codes, to);
    let (mut room, mut decoded) = (due.unwrap_or(u64::MAX), 0);
    let (mut block, mut resampled, mut written) = (Vec::new(), Vec::new(), 0);
    loop {
        codes.read(&mut block)?;
        losses.strike(&mut block, decoder.codebooks());
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
