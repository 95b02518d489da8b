//! `mimi reduce`: fewer codebooks, without encoding again.

use crate::{
    args::ReduceArgs,
    batch::{self, Job, Plan, Settings},
    codes::{self, CodeReader, Format},
    failure::Outcome,
    standard,
};
use std::path::Path;

pub(crate) fn run(args: &ReduceArgs) -> Outcome {
    let made = |input: &Path| args.format.unwrap_or_else(|| like(input)).extension();
    match batch::plan(&args.inputs, &args.output, codes::EXTENSIONS, &made)? {
        Plan::One(job) => {
            batch::check_one(&job, &args.batch)?;
            let format = args.format.map_or_else(|| Format::of(&job.output), Ok)?;
            reduce(&job, format, args).map(drop)
        }
        Plan::Many(jobs) => {
            let settings = Settings::from([("codebooks", args.codebooks.to_string())]);
            let told = |job: &Job| codes::told(&job.output);
            let work =
                |(): &mut (), job: &Job| reduce(job, args.format.unwrap_or_else(|| like(&job.input)), args);
            batch::run(jobs, &args.batch, args.quiet, &settings, told, || Ok(()), work)
        }
    }
}

/// The format of `input`, if it can be written, else the one that needs to know least.
fn like(input: &Path) -> Format {
    Format::of(input).unwrap_or(Format::Npy)
}

/// Does `job`; returns the seconds of audio, if they are known.
fn reduce(job: &Job, format: Format, args: &ReduceArgs) -> Outcome<f64> {
    let mut codes = CodeReader::open(&job.input)?;
    codes.take_partial(args.damage.partial);
    codes.keep(args.codebooks)?;
    // Before the work, so that it is not in vain.
    let destination = standard::create(&job.output)?;
    let codes = codes.read_to_end()?;
    codes::write(destination, &codes, format)?;
    let frame = |header: codes::Described| f64::from(header.frame_samples) / f64::from(header.sample_rate);
    Ok(codes.header.map_or(0.0, |header| codes.frames() as f64 * frame(header)))
}
