//! `mimi encode`: audio to codes or latents.

use crate::{
    args::{EncodeArgs, typed},
    audio::{self, AudioReader},
    batch::{self, Job, Plan, Settings},
    codec,
    codes::{self, Codes, Content, Format, Latents, TokenWriter},
    failure::{Failure, Outcome},
    model, output,
    standard::{self, Destination},
    values::Value,
};
use mimi::{Encoder, Model, Parts};
use std::path::Path;

pub(crate) fn run(args: &EncodeArgs) -> Outcome {
    let kind = Kind::of(args)?;
    let made = args.format.unwrap_or(kind.usual()).extension();
    let plan = batch::plan(&args.inputs, &args.output, audio::EXTENSIONS, &|_| made)?;
    let options = |model| codec::encoding_options(model, &args.encoding);
    match plan {
        Plan::One(job) => {
            batch::check_one(&job, &args.batch)?;
            if args.live && output::refuse_input(&job.input, &job.output).is_err() {
                return Err(Failure::usage("--live writes while it reads, and cannot replace its input"));
            }
            let format = args.format.map_or_else(|| kind.format(&job.output), Ok)?;
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
                    kind.encode(audio, &mut encoder)?.0.write(destination, format)
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
            let format = args.format.unwrap_or(kind.usual());
            let options = options(&model)?;
            let settings = settings(args, &model, kind);
            let worker = || Ok(Encoder::new(&model, &options)?);
            batch::run(
                jobs,
                &args.batch,
                args.model.quiet,
                &settings,
                |job: &Job| told(job, args),
                worker,
                |encoder, job: &Job| {
                    let (made, seconds) = kind.encode(open(&job.input, args)?, encoder)?;
                    made.write(standard::create(&job.output)?, format)?;
                    Ok(seconds)
                },
            )
        }
    }
}

/// What is made of audio.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Codes,
    Latents,
}

/// What was made of a recording.
enum Made {
    Codes(Codes),
    Latents(Latents),
}

impl Kind {
    /// What was asked for, or all that the model has.
    fn of(args: &EncodeArgs) -> Outcome<Self> {
        let has_codes = args.latents || model::has_codes(&args.model)?;
        let kind = if args.latents || !has_codes { Self::Latents } else { Self::Codes };
        let reason = if has_codes { "" } else { "this model has no quantizer, and latents alone; " };
        if kind == Self::Latents && args.format == Some(Format::Mtok) {
            let formats = "the mtok format has codes; latents go to npy or safetensors";
            return Err(Failure::usage(format!("{reason}{formats}")));
        }
        if kind == Self::Latents && args.live {
            return Err(Failure::usage(format!("{reason}--live goes with codes")));
        }
        Ok(kind)
    }

    /// The format where no file's name tells another.
    fn usual(self) -> Format {
        match self {
            Self::Codes => Format::Mtok,
            Self::Latents => Format::Npy,
        }
    }

    /// The format that `path` asks for by its extension.
    fn format(self, path: &Path) -> Outcome<Format> {
        match self {
            Self::Codes => Format::of(path),
            Self::Latents => Format::of_latents(path),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Codes => "codes",
            Self::Latents => "latents",
        }
    }

    /// All of `audio`, encoded, and its seconds.
    fn encode(self, mut audio: AudioReader, encoder: &mut Encoder) -> Outcome<(Made, f64)> {
        let (made, samples) = match self {
            Self::Codes => {
                let (data, samples) = encode(&mut audio, encoder)?;
                let (spec, codebooks) = (encoder.spec(), encoder.codebooks());
                let header = codec::header(spec, codebooks, samples, audio.rate()).ok();
                (Made::Codes(Codes { codebooks, data, header }), samples)
            }
            Self::Latents => {
                let (data, samples) = encode(&mut audio, encoder)?;
                (Made::Latents(Latents { width: encoder.spec().latent_dim, data }), samples)
            }
        };
        Ok((made, samples as f64 / f64::from(audio.rate())))
    }
}

impl Made {
    /// Writes it and puts the file in its place.
    fn write(&self, destination: Destination, format: Format) -> Outcome {
        match self {
            Self::Codes(codes) => codes::write(destination, codes, format),
            Self::Latents(latents) => latents.write(destination, format),
        }
    }
}

fn open(input: &Path, args: &EncodeArgs) -> Outcome<AudioReader> {
    let mut audio = AudioReader::open(input, args.raw_format())?;
    audio.take_partial(args.damage.partial);
    Ok(audio)
}

/// What decides what a recording becomes.
fn settings(args: &EncodeArgs, model: &Model, kind: Kind) -> Settings {
    let mut settings = Settings::from([
        ("values", kind.name().to_owned()),
        ("model", format!("{:016x}", model.id())),
        ("precision", typed(args.model.precision)),
        ("tail", typed(args.encoding.tail)),
    ]);
    if kind == Kind::Codes {
        let codebooks = args.encoding.codebooks.unwrap_or(model.spec().default_codebooks);
        settings.insert("codebooks", codebooks.to_string());
    }
    if let Some(raw) = args.raw_format() {
        settings.insert("raw samples", format!("{raw:?}"));
    }
    settings
}

/// What the output of `job` tells of how it was made: of this very recording, if both tell their lengths.
fn told(job: &Job, args: &EncodeArgs) -> Outcome<Settings> {
    let made = match Content::open(&job.output)? {
        Content::Codes(codes) => codes.header().map_or(0, |header| header.recording_samples()),
        Content::Latents(_) => 0,
    };
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

/// The codes or latents of all of `audio`, and its samples.
fn encode<V: Value>(audio: &mut AudioReader, encoder: &mut Encoder) -> Outcome<(Vec<V>, u64)> {
    // It may have been left in the middle of a recording that failed.
    encoder.reset();
    let mut data = Vec::new();
    let samples = codec::encode(audio, encoder, |values, _| {
        data.extend_from_slice(values);
        Ok(())
    })?;
    Ok((data, samples))
}

/// Each frame at once. How long the recording is going to be, the header cannot tell.
fn encode_live(mut audio: AudioReader, encoder: &mut Encoder, destination: Destination) -> Outcome {
    let header = codec::header(encoder.spec(), encoder.codebooks(), 0, audio.rate())?;
    let mut writer = TokenWriter::new(destination, header)?;
    codec::encode(&mut audio, encoder, |codes, _| writer.write(codes))?;
    writer.finish()
}
