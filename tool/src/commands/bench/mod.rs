//! `mimi bench`: how fast this machine runs a model, and how fast one core of it could.

mod live;
mod machine;
mod report;
mod times;
mod work;

use crate::{
    args::{BenchArgs, ModelArgs, PrecisionArg},
    codec,
    failure::{Failure, Outcome},
    model, standard,
};
use live::Live;
use machine::Machine;
use mimi::{Model, Parts, StreamOptions};
use report::{Clip, Load, Report, Results, Stages, Streams};
use std::thread;
use std::time::Instant;
use work::{Layers, Side};

pub(crate) fn run(args: &BenchArgs) -> Outcome {
    let text = match (args.live, args.json) {
        (true, true) => format!("{:#}\n", live::json(&live_alone(args)?)),
        (true, false) => live::table(&live_alone(args)?),
        (false, true) => format!("{:#}\n", everything(args)?.json()),
        (false, false) => everything(args)?.tables(),
    };
    standard::print(text.as_bytes())
}

/// The model, as `args` say. The note about the built-in one is read once.
fn load(args: &BenchArgs, precision: PrecisionArg, parts: Parts, first: bool) -> Outcome<Model> {
    let quiet = args.quiet || !first;
    let model = model::load(&ModelArgs { model: args.model.clone(), quiet, precision }, parts)?;
    match model.precision() {
        found if found == precision.into() => Ok(model),
        // f32 is also the default, which packed weights take for theirs
        found => {
            let found = format!("{found:?}").to_lowercase();
            Err(Failure::new(format!("the weights are packed in {found}: expected --precision {found}")))
        }
    }
}

fn live_alone(args: &BenchArgs) -> Outcome<Vec<(PrecisionArg, Vec<Live>)>> {
    let mut results = Vec::new();
    for &precision in &args.precision {
        let model = load(args, precision, Parts::Both, results.is_empty())?;
        codec::check_codebooks(&model, args.codebooks)?;
        results.push((precision, live::measure(&model, args)?));
    }
    Ok(results)
}

fn everything(args: &BenchArgs) -> Outcome<Report> {
    let mut results = Vec::new();
    let mut machine = None;
    let all_cores = || thread::available_parallelism().map_or(1, usize::from);
    let cores = args.cores.map_or_else(all_cores, usize::from);
    for &precision in &args.precision {
        if results.is_empty() {
            // brings the file to the page cache
            load(args, precision, Parts::Both, true)?;
        }
        let timed = |parts| -> Outcome<_> {
            let start = Instant::now();
            let model = load(args, precision, parts, false)?;
            let seconds = start.elapsed().as_secs_f64();
            let weights = model.memory_bytes();
            Ok((model, Load { parts, seconds, weights }))
        };
        let (_, encoder) = timed(Parts::Encoder)?;
        let (_, decoder) = timed(Parts::Decoder)?;
        let (model, both) = timed(Parts::Both)?;
        let machine = machine.get_or_insert_with(|| Machine::measure(&model));
        results.push(measure(&model, precision, machine, cores, args, [both, encoder, decoder])?);
    }
    let Some(machine) = machine else { unreachable!("measured with the first precision") };
    Ok(Report { machine, cores, results })
}

fn measure(
    model: &Model,
    precision: PrecisionArg,
    machine: &Machine,
    cores: usize,
    args: &BenchArgs,
    loads: [Load; 3],
) -> Outcome<Results> {
    codec::check_codebooks(model, args.codebooks)?;
    let spec = model.spec();
    let options = StreamOptions { codebooks: args.codebooks, ..StreamOptions::default() };
    let work = [Layers::new(model, &options, Side::Encode)?, Layers::new(model, &options, Side::Decode)?];
    let samples = usize::from(args.seconds) * spec.sampling_rate as usize;
    let pcm = times::noise(samples.next_multiple_of(spec.frame_size));

    let mut streams = Vec::new();
    for &count in &args.streams {
        let count = usize::from(count);
        let times = times::streams(model, &options, count, &pcm)?;
        let limits = [0, 1].map(|side| work[side].stream_limit(machine, count, None) / count as f64);
        let conversations = times::conversations(model, &options, count, &pcm, cores)?;
        streams.push(Streams { count, times, limits, conversations });
    }
    let clip_limits = [0, 1].map(|side| work[side].clip_limit(machine, None));
    let mut clips = Vec::new();
    for &threads in &args.threads {
        let threads = usize::from(threads);
        let options = StreamOptions { threads: Some(threads), ..options.clone() };
        clips.push(Clip { threads, times: times::clip(model, &options, &pcm)?, limits: clip_limits });
    }
    let mut stages = Vec::new();
    for is_clip in [false, true] {
        for side in Side::BOTH {
            let work = &work[side as usize];
            let limit = |stage| match is_clip {
                true => work.clip_limit(machine, Some(stage)),
                false => work.stream_limit(machine, 1, Some(stage)),
            };
            stages.push(Stages {
                is_clip,
                side,
                times: times::stages(model, &options, side, is_clip)?,
                limits: times::STAGES.map(|(stage, _)| limit(stage)),
            });
        }
    }
    let frame_milliseconds = times::frame_milliseconds(model);
    let stream_bytes = times::stream_bytes(model, &options)?;
    let live = live::measure(model, args)?;
    Ok(Results { precision, loads, stream_bytes, frame_milliseconds, streams, clips, stages, live })
}
