//! `mimi encode`: audio to codes.

use crate::{
    args::{EncodeArgs, typed},
    audio::{self, AudioReader},
    batch::{self, Job, Plan, Settings},
    codec,
    codes::{self, CodeReader, Codes, Format, TokenWriter},
    failure::{Failure, Outcome},
    model, output,
    standard::{self, Destination},
};
use mimi::{Encoder, Model, Parts};
use std::path::Path;

pub(crate) fn run(args: &EncodeArgs) -> Outcome {
    let made = args.format.unwrap_or(Format::Mtok).extension();
    let plan = batch::plan(&args.inputs, &args.output, audio::EXTENSIONS, &|_| made)?;
    let options = |model| codec::encoding_options(model, &args.encoding);
    match plan {
        Plan::One(job) => {
            batch::check_one(&job, &args.batch)?;
            if args.live && output::refuse_input(&job.input, &job.output).is_err() {
                return Err(Failure::usage("--live writes while it reads, and cannot replace its input"));
            }
            let format = args.format.map_or_else(|| Format::of(&job.output), Ok)?;
            if args.live && format != Format::Mtok {
                return Err(Failure::usage("--live goes with the mtok format alone"));
            }
            let mut audio = open(&job.input, args)?;
            let model = model::load(&args.model, Parts::Encoder)?;
            audio.show_progress(args.model.quiet);
            let mut encoder = Encoder::new(&model, &options(&model)?)?;
            // Before the work, so that it is not in vain.
            match args.live {
                false => {
                    let destination = standard::create(&job.output)?;
                    codes::write(destination, &encode(audio, &mut encoder)?.0, format)
                }
                true => {
                    let destination = standard::create_live(&job.output)?;
                    encode_live(audio, &mut encoder, destination)
                }
            }
        }
        Plan::Many(_) if args.live => Err(Failure::usage("--live goes with one input alone")),
        Plan::Many(jobs) => {
            let model = model::load(&args.model, Parts::Encoder)?;
            let format = args.format.unwrap_or(Format::Mtok);
            let options = options(&model)?;
            let settings = settings(args, &model);
            let worker = || Ok(Encoder::new(&model, &options)?);
            batch::run(
                jobs,
                &args.batch,
                args.model.quiet,
                &settings,
                |job: &Job| told(job, args),
                worker,
                |encoder, job: &Job| {
                    let (codes, seconds) = encode(open(&job.input, args)?, encoder)?;
                    codes::write(standard::create(&job.output)?, &codes, format)?;
                    Ok(seconds)
                },
            )
        }
    }
}

fn open(input: &Path, args: &EncodeArgs) -> Outcome<AudioReader> {
    let mut audio = AudioReader::open(input, args.raw_format())?;
    audio.take_partial(args.damage.partial);
    Ok(audio)
}

/// What decides what a recording becomes.
fn settings(args: &EncodeArgs, model: &Model) -> Settings {
    let codebooks = args.encoding.codebooks.unwrap_or(model.spec().default_codebooks);
    let mut settings = Settings::from([
        ("model", format!("{:016x}", model.id())),
        ("codebooks", codebooks.to_string()),
        ("precision", typed(args.model.precision)),
        ("tail", typed(args.encoding.tail)),
    ]);
    if let Some(raw) = args.raw_format() {
        settings.insert("raw samples", format!("{raw:?}"));
    }
    settings
}

/// What the output of `job` tells of how it was made: of this very recording, if both tell their lengths.
fn told(job: &Job, args: &EncodeArgs) -> Outcome<Settings> {
    let made = CodeReader::open(&job.output)?.header().map_or(0, |header| header.recording_samples());
    let length = match made {
        0 => None,
        // What cannot be read now is no reason to call the output another's.
        _ => AudioReader::open(&job.input, args.raw_format()).ok().and_then(|audio| audio.exact_length()),
    };
    match length.filter(|&length| length != made) {
        None => codes::told(&job.output),
        Some(length) => {
            let found =
                format!("of {made} samples, and its input has {length}; --overwrite to make it again");
            Err(Failure::at(&job.output, found))
        }
    }
}

/// All of `audio` as codes, and its seconds.
fn encode(mut audio: AudioReader, encoder: &mut Encoder) -> Outcome<(Codes, f64)> {
    // It may have been left in the middle of a recording that failed.
    encoder.reset();
    let mut data = Vec::new();
    let samples = codec::encode(&mut audio, encoder, |codes, _| {
        data.extend_from_slice(codes);
        Ok(())
    })?;
    let (spec, codebooks) = (encoder.spec(), encoder.codebooks());
    let header = codec::header(spec, codebooks, samples, audio.rate()).ok();
    Ok((Codes { codebooks, data, header }, samples as f64 / f64::from(audio.rate())))
}

/// Each frame at once. How long the recording is going to be, the header cannot tell.
fn encode_live(mut audio: AudioReader, encoder: &mut Encoder, destination: Destination) -> Outcome {
    let header = codec::header(encoder.spec(), encoder.codebooks(), 0, audio.rate())?;
    let mut writer = TokenWriter::new(destination, header)?;
    codec::encode(&mut audio, encoder, |codes, _| writer.write(codes))?;
    writer.finish()
}
