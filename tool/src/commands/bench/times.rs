//! Timed runs: streams frame by frame, whole clips, and passes stage by stage.

use super::work::Side;
use crate::failure::Outcome;
use mimi::{
    Decoder, Encoder, Model, StreamOptions,
    probe::{Probe, Section},
};
use std::time::Instant;
use std::{panic, thread};

/// Runs of a clip; the best counts.
const CLIP_ROUNDS: usize = 3;

/// Passes of a stream, and of a clip, that are timed stage by stage; the median counts.
const STREAM_PASSES: usize = 50;
const CLIP_PASSES: usize = 5;

/// Stages in the order of encoding.
pub(super) const STAGES: [(Section, &str); 4] = [
    (Section::Seanet, "seanet"),
    (Section::Transformer, "transformer"),
    (Section::Resampling, "resampling"),
    (Section::Quantizer, "quantizer"),
];

/// Times in milliseconds, sorted.
pub(super) struct Times(Vec<f64>);

impl Times {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// The value that a share of the times does not exceed.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }
}

fn milliseconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Of audio in a frame.
pub(super) fn frame_milliseconds(model: &Model) -> f64 {
    1e3 * model.spec().frame_size as f64 / f64::from(model.spec().sampling_rate)
}

/// Encodes and decodes `pcm` with `count` streams, a frame for each in a call: milliseconds for a frame
/// of each stream. Before, another clip fills the attention windows.
pub(super) fn streams(
    model: &Model,
    options: &StreamOptions,
    count: usize,
    pcm: &[f32],
) -> Outcome<[Times; 2]> {
    let frame = model.spec().frame_size;
    let mut encoders = (0..count).map(|_| Encoder::new(model, options)).collect::<Result<Vec<_>, _>>()?;
    let mut decoders = (0..count).map(|_| Decoder::new(model, options)).collect::<Result<Vec<_>, _>>()?;
    let mut codes = vec![vec![0; encoders[0].codebooks()]; count];
    let mut samples = vec![vec![0.0; frame]; count];
    let window = model.config().sliding_window.div_ceil(model.config().latent_stride);
    let warm_up = pcm.chunks_exact(frame).cycle().take(window);
    let mut times = [Vec::new(), Vec::new()];
    for (index, pcm) in warm_up.chain(pcm.chunks_exact(frame)).enumerate() {
        let inputs = vec![pcm; count];
        let mut members: Vec<_> = encoders.iter_mut().collect();
        let mut outputs: Vec<_> = codes.iter_mut().map(Vec::as_mut_slice).collect();
        let start = Instant::now();
        Encoder::process_many(&mut members, &inputs, &mut outputs).map_err(mimi::Error::from)?;
        let encoding = milliseconds_since(start);
        let inputs: Vec<_> = codes.iter().map(Vec::as_slice).collect();
        let mut members: Vec<_> = decoders.iter_mut().collect();
        let mut outputs: Vec<_> = samples.iter_mut().map(Vec::as_mut_slice).collect();
        let start = Instant::now();
        Decoder::process_many(&mut members, &inputs, &mut outputs).map_err(mimi::Error::from)?;
        if index >= window {
            times[0].push(encoding / count as f64);
            times[1].push(milliseconds_since(start) / count as f64);
        }
    }
    Ok(times.map(Times::new))
}

/// Conversations that the cores carry together, each encoded and decoded: every core does what [`streams`] does, on one
/// model, at the same time as the others.
pub(super) fn conversations(
    model: &Model,
    options: &StreamOptions,
    count: usize,
    pcm: &[f32],
    cores: usize,
) -> Outcome<f64> {
    let frame = frame_milliseconds(model);
    let carried = |[encode, decode]: [Times; 2]| frame / (encode.quantile(0.5) + decode.quantile(0.5));
    thread::scope(|scope| {
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(|| streams(model, options, count, pcm))).collect();
        cores
            .into_iter()
            .map(|core| core.join().unwrap_or_else(|e| panic::resume_unwind(e)).map(carried))
            .sum()
    })
}

/// Encodes and decodes `pcm` at once: milliseconds for a frame.
pub(super) fn clip(model: &Model, options: &StreamOptions, pcm: &[f32]) -> Outcome<[f64; 2]> {
    let frames = (pcm.len() / model.spec().frame_size) as f64;
    let mut best = [f64::INFINITY; 2];
    for _ in 0..CLIP_ROUNDS {
        let start = Instant::now();
        let codes = model.encode(pcm, options)?;
        best[0] = best[0].min(milliseconds_since(start) / frames);
        let start = Instant::now();
        model.decode(&codes, options)?;
        best[1] = best[1].min(milliseconds_since(start) / frames);
    }
    Ok(best)
}

/// Milliseconds for a frame in each of [`STAGES`], of one stream, or of a clip.
pub(super) fn stages(
    model: &Model,
    options: &StreamOptions,
    side: Side,
    is_clip: bool,
) -> Outcome<[f64; STAGES.len()]> {
    let options = if is_clip { &Probe::one_shot(model, options) } else { options };
    let mut probe = match side {
        Side::Encode => Probe::encoders(model, options, 1)?,
        Side::Decode => Probe::decoders(model, options, 1)?,
    };
    let frames = probe.frames();
    // until the attention window is full
    for _ in 0..model.config().sliding_window.div_ceil(model.config().latent_stride * frames) {
        probe.pass(|_| ());
    }
    let mut times = STAGES.map(|_| Vec::new());
    for _ in 0..if is_clip { CLIP_PASSES } else { STREAM_PASSES } {
        let mut start = Instant::now();
        probe.pass(|passed| {
            let index = STAGES.iter().position(|(stage, _)| *stage == passed).unwrap_or(0);
            times[index].push(milliseconds_since(start) / frames as f64);
            start = Instant::now();
        });
    }
    Ok(times.map(|times| Times::new(times).quantile(0.5)))
}

/// White noise: the engine's speed does not depend on the signal.
pub(super) fn noise(samples: usize) -> Vec<f32> {
    let mut seed = 1u32;
    let mut next = || {
        // the generator of Numerical Recipes
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..samples).map(|_| next()).collect()
}

/// Bytes that a stream of each side keeps.
pub(super) fn stream_bytes(model: &Model, options: &StreamOptions) -> Outcome<[usize; 2]> {
    Ok([Encoder::new(model, options)?.memory_bytes(), Decoder::new(model, options)?.memory_bytes()])
}
