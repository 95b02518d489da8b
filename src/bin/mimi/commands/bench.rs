//! `mimi bench`: how fast this machine runs a model, on one core.

use crate::{
    args::{BenchArgs, ModelArgs, PrecisionArg},
    failure::Outcome,
    model, standard,
};
use mimi::{Decoder, Encoder, Model, Parts, StreamOptions};
use serde_json::{Value, json};
use std::time::Instant;

/// Runs of the clip; the best counts.
const ROUNDS: usize = 3;

pub(crate) fn run(args: &BenchArgs) -> Outcome {
    let mut reports = Vec::new();
    for precision in [PrecisionArg::F32, PrecisionArg::Bf16, PrecisionArg::Int8] {
        // The note about the built-in model is read once.
        let quiet = args.quiet || !reports.is_empty();
        let start = Instant::now();
        let model = model::load(&ModelArgs { model: args.model.clone(), quiet, precision }, Parts::Both)?;
        let load = start.elapsed().as_secs_f64();
        reports.push(Report { precision, load, ..measure(&model, args)? });
    }
    let text = match args.json {
        true => format!("{:#}\n", Value::from(reports.iter().map(Report::json).collect::<Vec<_>>())),
        false => table(&reports, args),
    };
    standard::print(text.as_bytes())
}

/// Milliseconds for each frame of each stream.
struct Frames {
    sorted: Vec<f64>,
}

impl Frames {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self { sorted: milliseconds }
    }

    /// The value that a share of the frames does not exceed.
    fn quantile(&self, share: f64) -> f64 {
        self.sorted[((self.sorted.len() - 1) as f64 * share).round() as usize]
    }

    fn json(&self) -> Value {
        json!({ "min": self.quantile(0.0), "p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": self.quantile(1.0) })
    }
}

/// What was measured with one precision; of each pair, encoding comes first.
struct Report {
    precision: PrecisionArg,
    /// Seconds.
    load: f64,
    weights: usize,
    /// Bytes of a stream.
    state: [usize; 2],
    alone: [Frames; 2],
    together: [Frames; 2],
    /// Seconds of audio per second.
    clip: [f64; 2],
}

fn measure(model: &Model, args: &BenchArgs) -> Outcome<Report> {
    let config = model.config();
    let (rate, frame) = (config.sampling_rate as usize, config.frame_size());
    let options = StreamOptions { codebooks: args.codebooks, ..StreamOptions::default() };
    let pcm = noise((usize::from(args.seconds) * rate).next_multiple_of(frame));
    let seconds = pcm.len() as f64 / rate as f64;
    let (alone, _) = streams(model, &options, 1, &pcm)?;
    let (together, state) = streams(model, &options, usize::from(args.streams), &pcm)?;
    let mut clip = [0.0f64; 2];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let codes = model.encode(&pcm, &options)?;
        clip[0] = clip[0].max(seconds / start.elapsed().as_secs_f64());
        let start = Instant::now();
        model.decode(&codes, &options)?;
        clip[1] = clip[1].max(seconds / start.elapsed().as_secs_f64());
    }
    let (precision, load, weights) = (PrecisionArg::F32, 0.0, model.memory_bytes());
    Ok(Report { precision, load, weights, state, alone, together, clip })
}

/// Encodes and decodes with `count` streams, frame by frame; also the bytes of a stream.
fn streams(
    model: &Model,
    options: &StreamOptions,
    count: usize,
    pcm: &[f32],
) -> Outcome<([Frames; 2], [usize; 2])> {
    let frame = model.config().frame_size();
    let mut encoders = (0..count).map(|_| Encoder::new(model, options)).collect::<Result<Vec<_>, _>>()?;
    let mut decoders = (0..count).map(|_| Decoder::new(model, options)).collect::<Result<Vec<_>, _>>()?;
    let mut codes = vec![vec![0; encoders[0].codebooks()]; count];
    let mut samples = vec![vec![0.0; frame]; count];
    let mut times = [Vec::new(), Vec::new()];
    for pcm in pcm.chunks_exact(frame) {
        let inputs = vec![pcm; count];
        let mut members: Vec<_> = encoders.iter_mut().collect();
        let mut outputs: Vec<_> = codes.iter_mut().map(Vec::as_mut_slice).collect();
        let start = Instant::now();
        Encoder::process_many(&mut members, &inputs, &mut outputs).map_err(mimi::Error::from)?;
        times[0].push(start.elapsed().as_secs_f64() * 1e3 / count as f64);
        let inputs: Vec<_> = codes.iter().map(Vec::as_slice).collect();
        let mut members: Vec<_> = decoders.iter_mut().collect();
        let mut outputs: Vec<_> = samples.iter_mut().map(Vec::as_mut_slice).collect();
        let start = Instant::now();
        Decoder::process_many(&mut members, &inputs, &mut outputs).map_err(mimi::Error::from)?;
        times[1].push(start.elapsed().as_secs_f64() * 1e3 / count as f64);
    }
    let state = [encoders[0].memory_bytes(), decoders[0].memory_bytes()];
    Ok((times.map(Frames::new), state))
}

/// White noise: the engine's speed does not depend on the signal.
fn noise(samples: usize) -> Vec<f32> {
    let mut seed = 1u32;
    let mut next = || {
        // the generator of Numerical Recipes
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..samples).map(|_| next()).collect()
}

impl Report {
    fn name(&self) -> &'static str {
        match self.precision {
            PrecisionArg::F32 => "f32",
            PrecisionArg::Bf16 => "bf16",
            PrecisionArg::Int8 => "int8",
        }
    }

    fn json(&self) -> Value {
        json!({
            "precision": self.name(),
            "load_seconds": self.load,
            "weight_bytes": self.weights,
            "stream_bytes": { "encoder": self.state[0], "decoder": self.state[1] },
            "milliseconds_per_frame": {
                "encode": self.alone[0].json(),
                "decode": self.alone[1].json(),
            },
            "milliseconds_per_frame_and_stream_together": {
                "encode": self.together[0].json(),
                "decode": self.together[1].json(),
            },
            "clip_times_real_time": { "encode": self.clip[0], "decode": self.clip[1] },
        })
    }
}

fn table(reports: &[Report], args: &BenchArgs) -> String {
    let mut text = format!(
        "{:6}{:>8}{:>9}  {:26}  {:22}  {}\n{:6}{:>8}{:>9}  {:>8}{:>6}{:>6}{:>6}  {:>22}  {:>18}\n",
        "",
        "load",
        "weights",
        "one stream, ms per frame",
        format!("{} streams, each", args.streams),
        "whole clip",
        "",
        "s",
        "MB",
        "",
        "p50",
        "p99",
        "max",
        "ms per frame, p50",
        "times real time"
    );
    for report in reports {
        for (side, name) in ["encode", "decode"].into_iter().enumerate() {
            let alone = &report.alone[side];
            let lead = match side {
                0 => format!("{:6}{:8.2}{:9.1}", report.name(), report.load, report.weights as f64 / 1e6),
                _ => " ".repeat(23),
            };
            text += &format!(
                "{lead}  {name:8}{:6.2}{:6.2}{:6.2}  {:22.2}  {:18.1}\n",
                alone.quantile(0.5),
                alone.quantile(0.99),
                alone.quantile(1.0),
                report.together[side].quantile(0.5),
                report.clip[side],
            );
        }
    }
    let [encoder, decoder] = reports[0].state.map(|bytes| bytes as f64 / 1e6);
    text += &format!("A stream keeps {encoder:.1} MB to encode, {decoder:.1} MB to decode.\n");
    text
}
