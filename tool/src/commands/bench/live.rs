//! Timed callbacks of an audio device: a capture and a playback in blocks of a few sizes.

use super::times;
use crate::args::{BenchArgs, PrecisionArg};
use crate::failure::Outcome;
use mimi::live::{Capture, LiveOptions, Playback};
use mimi::{Model, StreamOptions, Work};
use serde_json::{Value, json};
use std::time::Instant;

/// Samples per second, where the model can have them.
const RATE: u32 = 48_000;

/// Callbacks of one size, in microseconds.
pub(super) struct Live {
    block: usize,
    work: Work,
    average: f64,
    /// Of the call with the most work: its place in a frame decides that, and the median of the calls there counts.
    worst: f64,
    /// Of all, with whatever else the machine did meanwhile.
    slowest: f64,
    /// Until the next callback.
    deadline: f64,
}

/// Encodes and decodes in one callback, with the work spread over the callbacks and done elsewhere.
pub(super) fn measure(model: &Model, args: &BenchArgs) -> Outcome<Vec<Live>> {
    let mut all = Vec::new();
    for work in [Work::Spread, Work::Other] {
        let stream =
            StreamOptions { sample_rate: Some(RATE), codebooks: args.codebooks, ..StreamOptions::default() };
        let mut live = LiveOptions { stream, work, ..LiveOptions::default() };
        if Capture::new(model, &live).is_err() {
            live.stream.sample_rate = None;
        }
        let (mut microphone, mut codes, mut encode) = Capture::new(model, &live)?.split();
        let (mut packets, mut speaker, mut decode) = Playback::new(model, &live)?.split();
        let (rate, frame) = (microphone.sample_rate(), microphone.frame_samples());
        let mut room = vec![0; 64 * codes.codebooks()];
        let mut callback = |pcm: &mut [f32]| -> Outcome<f64> {
            let start = Instant::now();
            microphone.write(pcm);
            speaker.read(pcm);
            let seconds = start.elapsed().as_secs_f64();
            encode.work();
            let read = codes.read(&mut room).map_err(mimi::Error::from)?;
            packets.write(&room[..read]).map_err(mimi::Error::from)?;
            decode.work();
            Ok(1e6 * seconds)
        };
        let noise = times::noise(frame);
        // until the attention windows are full
        let window = model.config().sliding_window.div_ceil(model.config().latent_stride);
        for _ in 0..window.next_multiple_of(4) {
            callback(&mut noise.clone())?;
        }
        for &block in &args.blocks {
            let block = usize::from(block);
            let calls = (usize::from(args.live_seconds) * rate as usize).div_ceil(block);
            // after so many callbacks, the borders of frames are where they were
            let places = (1..calls).find(|calls| (calls * block).is_multiple_of(frame)).unwrap_or(calls);
            let mut at_place = vec![Vec::with_capacity(calls.div_ceil(places)); places];
            let mut pcm = vec![0.0; block];
            for call in 0..calls {
                pcm.iter_mut().zip(noise.iter().cycle()).for_each(|(to, from)| *to = *from);
                at_place[call % places].push(callback(&mut pcm)?);
            }
            let every = at_place.iter().flatten();
            all.push(Live {
                block,
                work,
                average: every.clone().sum::<f64>() / calls as f64,
                slowest: every.fold(0.0, |most, time| most.max(*time)),
                worst: at_place.iter_mut().map(|times| median(times)).fold(0.0, f64::max),
                deadline: 1e6 * block as f64 / f64::from(rate),
            });
        }
    }
    Ok(all)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What was measured with each precision, as a table.
pub(super) fn table(results: &[(PrecisionArg, Vec<Live>)]) -> String {
    let mut text = HEAD.trim_start().to_owned();
    for (precision, live) in results {
        text.extend(live.iter().map(|live| live.row(precision.name())));
    }
    text
}

/// The same for programs, as in the report of everything.
pub(super) fn json(results: &[(PrecisionArg, Vec<Live>)]) -> Value {
    let of = |(precision, live): &(PrecisionArg, Vec<Live>)| json!({ "precision": precision.name(), "live": live.iter().map(Live::json).collect::<Vec<_>>() });
    json!({ "precisions": results.iter().map(of).collect::<Vec<_>>() })
}

pub(super) const HEAD: &str =
    "\nCallbacks of live audio, microseconds of the audio thread for a capture and a playback
                block   average    worst  slowest   worst of average   of deadline\n";

impl Live {
    fn work(&self) -> &'static str {
        match self.work {
            Work::Spread => "spread",
            Work::Other => "other",
        }
    }

    pub(super) fn row(&self, precision: &str) -> String {
        format!(
            "{precision:6}{:10}{:5}  {:8.1} {:8.1} {:8.1}   {:>16}   {:>11}\n",
            self.work(),
            self.block,
            self.average,
            self.worst,
            self.slowest,
            format!("{:.1} x", self.worst / self.average),
            format!("{:.1} %", 100.0 * self.worst / self.deadline),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "block": self.block,
            "work": self.work(),
            "average_microseconds": self.average,
            "worst_microseconds": self.worst,
            "slowest_microseconds": self.slowest,
            "deadline_microseconds": self.deadline,
        })
    }
}
