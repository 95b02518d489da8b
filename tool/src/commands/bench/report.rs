//! What was measured, as tables and as JSON.

use super::live::{self, Live};
use super::machine::Machine;
use super::times::{STAGES, Times};
use super::work::Side;
use crate::args::PrecisionArg;
use mimi::Parts;
use serde_json::{Value, json};

/// Everything.
pub(super) struct Report {
    pub(super) machine: Machine,
    /// That carry conversations at once.
    pub(super) cores: usize,
    pub(super) results: Vec<Results>,
}

/// What was measured with one precision. Of pairs, encoding comes first; times are milliseconds for a
/// frame, and limits what the machine's own would be.
pub(super) struct Results {
    pub(super) precision: PrecisionArg,
    pub(super) loads: [Load; 3],
    pub(super) stream_bytes: [usize; 2],
    /// Of audio in a frame.
    pub(super) frame_milliseconds: f64,
    pub(super) streams: Vec<Streams>,
    pub(super) clips: Vec<Clip>,
    pub(super) stages: Vec<Stages>,
    pub(super) live: Vec<Live>,
}

/// A whole model, or half of one.
pub(super) struct Load {
    pub(super) parts: Parts,
    pub(super) seconds: f64,
    /// Bytes.
    pub(super) weights: usize,
}

/// `count` streams in each call; times are of each stream.
pub(super) struct Streams {
    pub(super) count: usize,
    pub(super) times: [Times; 2],
    pub(super) limits: [f64; 2],
    /// That the report's cores carry at once, with `count` streams in each call of each.
    pub(super) conversations: f64,
}

/// One-shot calls.
pub(super) struct Clip {
    pub(super) threads: usize,
    pub(super) times: [f64; 2],
    pub(super) limits: [f64; 2],
}

/// One stream, or one clip, stage by stage.
pub(super) struct Stages {
    pub(super) is_clip: bool,
    pub(super) side: Side,
    pub(super) times: [f64; STAGES.len()],
    pub(super) limits: [f64; STAGES.len()],
}

impl Stages {
    fn of(&self) -> &'static str {
        if self.is_clip { "clip" } else { "stream" }
    }
}

impl Report {
    pub(super) fn json(&self) -> Value {
        json!({
            "machine": {
                "multiply_adds_per_second": self.machine.multiply_adds_per_second,
                "integer_multiply_adds_per_second": self.machine.integer_multiply_adds_per_second,
                "bytes_per_second": self.machine.bytes_per_second,
                "cores": self.cores,
            },
            "precisions": self.results.iter().map(Results::json).collect::<Vec<_>>(),
        })
    }

    pub(super) fn tables(&self) -> String {
        let mut text = format!(
            "One core: {:.1} billion multiply-adds a second, {:.1} in integers, {:.1} GB a second from memory.\n",
            self.machine.multiply_adds_per_second / 1e9,
            self.machine.integer_multiply_adds_per_second / 1e9,
            self.machine.bytes_per_second / 1e9,
        );
        text += "\nStreams, milliseconds for a frame of each\n";
        text += "                streams      p50     p99     max   of limit\n";
        for results in &self.results {
            results.stream_rows(&mut text);
        }
        text += &format!("\nConversations, encoded and decoded; cores at once: {}\n", self.cores);
        text += "                streams   conversations\n";
        for results in &self.results {
            for Streams { count, conversations, .. } in &results.streams {
                text += &format!("{:6}{count:17}   {conversations:13.1}\n", results.precision.name());
            }
        }
        text += "\nClips, several frames at once\n";
        text += "                threads   ms per frame   times real time   of limit\n";
        for results in &self.results {
            results.clip_rows(&mut text);
        }
        text +=
            "\nStages, milliseconds per frame, and how near the machine's limit\n                        ";
        for (_, name) in STAGES {
            text += &format!("{name:>16}");
        }
        text += "\n";
        for results in &self.results {
            results.stage_rows(&mut text);
        }
        text += live::HEAD;
        for results in &self.results {
            for live in &results.live {
                text += &live.row(results.precision.name());
            }
        }
        text += "\nLoading                 seconds   MB of weights\n";
        for results in &self.results {
            for load in &results.loads {
                let (name, megabytes) = (results.precision.name(), load.weights as f64 / 1e6);
                text += &format!("{name:6}{:10}{:15.2}{megabytes:16.1}\n", load.parts(), load.seconds);
            }
        }
        if let Some(results) = self.results.first() {
            let [encoder, decoder] = results.stream_bytes.map(|bytes| bytes as f64 / 1e6);
            text += &format!("A stream keeps {encoder:.1} MB to encode, {decoder:.1} MB to decode.\n");
        }
        text
    }
}

/// The limit over the time.
fn percent(limit: f64, time: f64) -> String {
    format!("{:.0} %", 100.0 * limit / time)
}

impl Results {
    fn stream_rows(&self, text: &mut String) {
        for streams in &self.streams {
            for side in Side::BOTH {
                let times = &streams.times[side as usize];
                *text += &format!(
                    "{:6}{:10}{:7}  {:7.2} {:7.2} {:7.2}   {:>8}\n",
                    self.precision.name(),
                    side.name(),
                    streams.count,
                    times.quantile(0.5),
                    times.quantile(0.99),
                    times.quantile(1.0),
                    percent(streams.limits[side as usize], times.quantile(0.5)),
                );
            }
        }
    }

    fn clip_rows(&self, text: &mut String) {
        for clip in &self.clips {
            for side in Side::BOTH {
                let time = clip.times[side as usize];
                *text += &format!(
                    "{:6}{:10}{:7}   {time:12.2}   {:15.1}   {:>8}\n",
                    self.precision.name(),
                    side.name(),
                    clip.threads,
                    self.frame_milliseconds / time,
                    percent(clip.limits[side as usize] / clip.threads as f64, time),
                );
            }
        }
    }

    fn stage_rows(&self, text: &mut String) {
        for stages in &self.stages {
            *text += &format!("{:6}{:10}{:8}", self.precision.name(), stages.side.name(), stages.of());
            for (time, limit) in stages.times.iter().zip(&stages.limits) {
                *text += &format!("{:>16}", format!("{time:.2} ({})", percent(*limit, *time)));
            }
            *text += "\n";
        }
    }

    fn json(&self) -> Value {
        json!({
            "precision": self.precision.name(),
            "loads": self.loads.iter().map(Load::json).collect::<Vec<_>>(),
            "stream_bytes": { "encode": self.stream_bytes[0], "decode": self.stream_bytes[1] },
            "streams": self.streams.iter().map(Streams::json).collect::<Vec<_>>(),
            "clips": self.clips.iter().map(|clip| clip.json(self.frame_milliseconds)).collect::<Vec<_>>(),
            "stages": self.stages.iter().map(Stages::json).collect::<Vec<_>>(),
            "live": self.live.iter().map(Live::json).collect::<Vec<_>>(),
        })
    }
}

impl Load {
    fn parts(&self) -> &'static str {
        match self.parts {
            Parts::Both => "both",
            Parts::Encoder => "encoder",
            Parts::Decoder => "decoder",
        }
    }

    fn json(&self) -> Value {
        json!({ "parts": self.parts(), "seconds": self.seconds, "weight_bytes": self.weights })
    }
}

impl Streams {
    fn json(&self) -> Value {
        let side = |side: Side| {
            let times = &self.times[side as usize];
            json!({
                "min": times.quantile(0.0),
                "p50": times.quantile(0.5),
                "p99": times.quantile(0.99),
                "max": times.quantile(1.0),
                "limit": self.limits[side as usize],
            })
        };
        json!({
            "streams": self.count,
            "encode": side(Side::Encode),
            "decode": side(Side::Decode),
            "conversations": self.conversations,
        })
    }
}

impl Clip {
    fn json(&self, frame_milliseconds: f64) -> Value {
        let side = |side: Side| {
            let (time, limit) = (self.times[side as usize], self.limits[side as usize]);
            json!({
                "milliseconds_per_frame": time,
                "times_real_time": frame_milliseconds / time,
                "limit": limit / self.threads as f64,
            })
        };
        json!({ "threads": self.threads, "encode": side(Side::Encode), "decode": side(Side::Decode) })
    }
}

impl Stages {
    fn json(&self) -> Value {
        let stage = |i: usize| json!({ "milliseconds_per_frame": self.times[i], "limit": self.limits[i] });
        let stages = STAGES.iter().enumerate().map(|(i, (_, name))| ((*name).to_owned(), stage(i)));
        json!({ "of": self.of(), "side": self.side.name(), "stages": stages.collect::<serde_json::Map<_, _>>() })
    }
}
