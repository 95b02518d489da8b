//! Timed callbacks of an audio device: a capture and a playback in blocks of a few sizes.

use super::times;
use crate::failure::Outcome;
use mimi::live::{Capture, LiveOptions, Playback};
use mimi::{Model, StreamOptions, Work};
use serde_json::{Value, json};
use std::time::Instant;

/// Samples per second, where the model can have them.
const RATE: u32 = 48_000;

/// Samples in a callback.
const BLOCKS: [usize; 4] = [16, 64, 256, 1024];

/// Frames that are timed with each: a whole number of blocks.
const FRAMES: usize = 24;

/// Callbacks of one size, in microseconds.
pub(super) struct Live {
    block: usize,
    work: Work,
    average: f64,
    /// Of the call with the most work: its place in a frame decides that, and the median over the frames counts.
    worst: f64,
    /// Of all, with whatever else the machine did meanwhile.
    slowest: f64,
    /// Until the next callback.
    deadline: f64,
}

/// Encodes and decodes in one callback, with the work spread over the callbacks and done elsewhere.
pub(super) fn measure(model: &Model, options: &StreamOptions) -> Outcome<Vec<Live>> {
    let mut all = Vec::new();
    for work in [Work::Spread, Work::Other] {
        let stream = StreamOptions { sample_rate: Some(RATE), ..options.clone() };
        let mut live = LiveOptions { stream, work, ..LiveOptions::default() };
        if Capture::new(model, &live).is_err() {
            live.stream.sample_rate = None;
        }
        let (mut microphone, mut codes, mut encode) = Capture::new(model, &live)?.split();
        let (mut packets, mut speaker, mut decode) = Playback::new(model, &live)?.split();
        let (rate, frame) = (f64::from(microphone.sample_rate()), microphone.frame_samples());
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
        for block in BLOCKS {
            // after so many callbacks, the borders of frames are where they were
            let places = (1..).find(|calls| (calls * block).is_multiple_of(frame)).unwrap_or(1);
            let rounds = (FRAMES * frame).div_ceil(places * block);
            let mut at_place = vec![Vec::with_capacity(rounds); places];
            let mut pcm = noise[..block.min(frame)].to_vec();
            pcm.resize(block, 0.0);
            for _ in 0..rounds {
                for place in &mut at_place {
                    pcm.iter_mut().zip(&noise).for_each(|(to, from)| *to = *from);
                    place.push(callback(&mut pcm)?);
                }
            }
            let every = at_place.iter().flatten();
            all.push(Live {
                block,
                work,
                average: every.clone().sum::<f64>() / (places * rounds) as f64,
                slowest: every.fold(0.0, |most, time| most.max(*time)),
                worst: at_place.iter_mut().map(|times| median(times)).fold(0.0, f64::max),
                deadline: 1e6 * block as f64 / rate,
            });
        }
    }
    Ok(all)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
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
