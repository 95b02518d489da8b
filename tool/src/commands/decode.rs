//! `mimi decode`: codes or latents to audio.

use crate::{
    args::{DecodeArgs, typed},
    audio::{AudioWriter, RawFormat, SoundFormat},
    batch::{self, Job, Plan, Settings},
    codec,
    codes::{self, CodeReader, Content, LatentReader},
    failure::{Failure, Outcome},
    loss::Losses,
    model,
    resample::{self, Resampler},
    values::Value,
};
use mimi::{Decoder, Model, Parts};
use std::path::Path;

pub(crate) fn run(args: &DecodeArgs) -> Outcome {
    let made = typed_format(args).unwrap_or(SoundFormat::Wav).extension();
    match batch::plan(&args.inputs, &args.output, codes::EXTENSIONS, &|_| made)? {
        Plan::One(job) => {
            batch::check_one(&job, &args.batch)?;
            format_of(&job.output, args)?;
            let mut content = open(&job.input, args)?;
            let model = model::load(&args.model, Parts::Decoder)?;
            match &mut content {
                Content::Codes(codes) => codes.show_progress(args.model.quiet),
                Content::Latents(latents) => latents.show_progress(args.model.quiet),
            }
            write(content, &model, &job.output, args).map(drop)
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

/// The latents in a file, or its codes, as many codebooks of them as were asked for.
fn open(input: &Path, args: &DecodeArgs) -> Outcome<Content> {
    let mut content = Content::open(input)?;
    match &mut content {
        Content::Codes(codes) => {
            codes.take_partial(args.damage.partial);
            args.codebooks.map_or(Ok(()), |codebooks| codes.keep(codebooks))?;
        }
        Content::Latents(latents) if args.codebooks.is_some() => {
            let found = "it has latents, and --codebooks goes with codes";
            return Err(Failure::at(latents.name(), found));
        }
        Content::Latents(_) => {}
    }
    Ok(content)
}

/// Writes what codes or latents sound like to `output`; returns its seconds.
fn write(content: Content, model: &Model, output: &Path, args: &DecodeArgs) -> Outcome<f64> {
    match content {
        Content::Codes(mut codes) => {
            check_model(&codes, model)?;
            let (name, header) = (codes.name().to_path_buf(), codes.header());
            let options = codec::decoding_options(model, Some(codes.codebooks()));
            let decoder = Decoder::new(model, &options).map_err(|error| Failure::at(&name, error))?;
            let original = header.map(|header| (header.recording_samples(), header.recording_rate()));
            decode(&name, |block: &mut Vec<u32>| codes.read(block), decoder, original, output, args)
        }
        Content::Latents(mut latents) => {
            check_width(&latents, model)?;
            let name = latents.name().to_path_buf();
            let decoder = Decoder::new(model, &codec::decoding_options(model, None))?;
            let next = |block: &mut Vec<f32>| {
                latents.read(block);
                Ok(())
            };
            decode(&name, next, decoder, None, output, args)
        }
    }
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

/// Latents of another width are another model's.
fn check_width(latents: &LatentReader, model: &Model) -> Outcome {
    let (found, expected) = (latents.latents().width, model.spec().latent_dim);
    match found == expected {
        true => Ok(()),
        false => Err(Failure::at(
            latents.name(),
            format!(
                "latents of {found} values; expected {expected} in a frame, as this model has; see --model"
            ),
        )),
    }
}

/// Writes what frames sound like, as `next` gives blocks of them, and no longer than the original if it is known: its
/// samples, 0 if they are not, and its rate. Returns the seconds.
fn decode<V: Value>(
    name: &Path,
    mut next: impl FnMut(&mut Vec<V>) -> Outcome,
    mut decoder: Decoder,
    original: Option<(u64, u32)>,
    output: &Path,
    args: &DecodeArgs,
) -> Outcome<f64> {
    let (sound, from) = (format_of(output, args)?, decoder.spec().sampling_rate);
    let rate = sound.rate(args.rate.or(original.map(|(_, rate)| rate)).unwrap_or(from));
    let mut resampler = Resampler::new(from, rate).map_err(|failure| failure.of(name))?;
    let known = original.filter(|&(samples, _)| samples > 0);
    let due = known.map(|(samples, original)| resample::converted_length(samples, original, rate));
    let format = RawFormat { rate, samples: args.samples() };
    let mut audio = AudioWriter::create(output, sound, format, due)?;

    let mut losses = Losses::new(&args.loss);
    let (mut room, mut decoded) = (due.unwrap_or(u64::MAX), 0);
    let (mut block, mut resampled, mut written) = (Vec::new(), Vec::new(), 0);
    loop {
        next(&mut block)?;
        resampled.clear();
        let result = codec::decode(&block, &mut losses, &mut decoder, |pcm| {
            decoded += pcm.len() as u64;
            resampler.push(pcm, &mut resampled)
        });
        result.map_err(|failure| Failure::at(name, failure))?;
        if block.is_empty() {
            let whole_frames = resample::converted_length(decoded, from, rate);
            resampler.finish(whole_frames.min(due.unwrap_or(u64::MAX)), &mut resampled)?;
        }
        resampled.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        room -= resampled.len() as u64;
        written += resampled.len() as u64;
        audio.write(&resampled)?;
        audio.flush()?;
        if block.is_empty() {
            break;
        }
    }
    audio.finish()?;
    Ok(written as f64 / f64::from(rate))
}
