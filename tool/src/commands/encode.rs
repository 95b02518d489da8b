//! `mimi encode`: audio to codes.

use crate::{
    args::EncodeArgs,
    audio::{self, AudioReader},
    batch::{self, Job, Plan},
    codec,
    codes::{self, Codes, Format, TokenWriter},
    failure::{Failure, Outcome},
    model,
    standard::{self, Destination},
};
use mimi::{Encoder, Parts};

pub(crate) fn run(args: &EncodeArgs) -> Outcome {
    let made = args.format.unwrap_or(Format::Mtok).extension();
    let plan = batch::plan(&args.inputs, &args.output, audio::EXTENSIONS, made)?;
    let options = |model| codec::encoding_options(model, &args.encoding);
    match plan {
        Plan::One(job) => {
            let format = args.format.map_or_else(|| Format::of(&job.output), Ok)?;
            let mut audio = AudioReader::open(&job.input, args.raw_format())?;
            let model = model::load(&args.model, Parts::Encoder)?;
            audio.show_progress(args.model.quiet);
            let mut encoder = Encoder::new(&model, &options(&model))?;
            // Before the work, so that it is not in vain.
            match (args.live, format) {
                // A destination before the work, so that it is not in vain.
                (false, _) => {
                    let destination = standard::create(&job.output)?;
                    codes::write(destination, &encode(audio, &mut encoder)?, format)
                }
                (true, Format::Mtok) => {
                    let destination = standard::create_live(&job.output)?;
                    encode_live(audio, &mut encoder, destination)
                }
                (true, _) => Err(Failure::at(&job.output, "--live goes with the mtok format alone")),
            }
        }
        Plan::Many(_) if args.live => Err(Failure::new("--live goes with one input alone")),
        Plan::Many(jobs) => {
            let model = model::load(&args.model, Parts::Encoder)?;
            let format = args.format.unwrap_or(Format::Mtok);
            let worker = || Ok(Encoder::new(&model, &options(&model))?);
            batch::run(jobs, &args.batch, args.model.quiet, worker, |encoder, job: &Job| {
                let audio = AudioReader::open(&job.input, args.raw_format())?;
                codes::write(standard::create(&job.output)?, &encode(audio, encoder)?, format)
            })
        }
    }
}

/// All of `audio` as codes.
fn encode(mut audio: AudioReader, encoder: &mut Encoder) -> Outcome<Codes> {
    // It may have been left in the middle of a recording that failed.
    encoder.reset();
    let mut data = Vec::new();
    let samples = codec::encode(&mut audio, encoder, |codes, _| {
        data.extend_from_slice(codes);
        Ok(())
    })?;
    let (model, codebooks) = (encoder.model(), encoder.codebooks());
    let header = codec::header(model, codebooks, samples, audio.rate()).ok();
    Ok(Codes { codebooks, data, header })
}

/// Each frame at once. How long the recording is going to be, the header cannot tell.
fn encode_live(mut audio: AudioReader, encoder: &mut Encoder, destination: Destination) -> Outcome {
    let header = codec::header(encoder.model(), encoder.codebooks(), 0, audio.rate())?;
    let mut writer = TokenWriter::new(destination, header)?;
    codec::encode(&mut audio, encoder, |codes, _| writer.write(codes))?;
    writer.finish()
}
