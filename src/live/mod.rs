//! Live audio: the codec inside the callback of an audio device, a plug-in or a game.
//!
//! A stream works on whole frames: of thirty calls with 64 samples, one does the work of a frame, and is late. A
//! [`Capture`] and a [`Playback`] run a stream so that no call does much more than the average, or let another thread
//! do the work. Each has a half for the audio thread, a half for the thread that has the codes, and a worker; each of
//! them is a value of its own, to be sent to its thread. Between them are queues on which nobody ever waits.
//!
//! ```
//! # fn main() -> Result<(), mimi::Error> {
//! # let model = mimi::Model::load("tool/demo/model.safetensors", &mimi::LoadOptions::default())?;
//! use mimi::live::{Capture, LiveOptions, Playback};
//!
//! let (mut microphone, mut codes, _) = Capture::new(&model, &LiveOptions::default())?.split();
//! let (mut packets, mut speaker, _) = Playback::new(&model, &LiveOptions::default())?.split();
//!
//! // on the audio thread, with blocks of any size
//! let callback = move |input: &[f32], output: &mut [f32]| {
//!     microphone.write(input);
//!     speaker.read(output);
//! };
//! // on another thread, every now and then
//! let exchange = move || -> Result<(), mimi::StreamError> {
//!     let mut room = [0; 8 * 64];
//!     let read = codes.read(&mut room)?;
//!     packets.write(&room[..read])
//! };
//! # let (mut callback, mut exchange) = (callback, exchange);
//! # callback(&[0.0; 100], &mut [0.0; 100]);
//! # exchange().unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! Both count samples in periods of a frame, and latency is constant, to the sample, whatever the blocks are:
//!
//! ```text
//! capture    │ frame 0 comes │ its work is spread │ its codes can be read
//! playback                                        │ is taken, its work is spread │ frame 0 is heard
//! ```
//!
//! The borders of both fall together if their first samples do, so that a capture and a playback in the same callback
//! delay audio by exactly the sum of their [`latency_samples`](CaptureInput::latency_samples).

mod capture;
mod convert;
mod number;
mod playback;
mod ring;
mod schedule;

pub use crate::options::{LiveOptions, Work};
pub use capture::{Capture, CaptureInput, CaptureOutput, CaptureWorker};
pub(crate) use capture::{Shared as CaptureShared, reset as reset_capture};
pub use playback::{Playback, PlaybackInput, PlaybackOutput, PlaybackWorker};
pub(crate) use playback::{Shared as PlaybackShared, reset as reset_playback};

use crate::NO_CODE;
use crate::hash::CodesHash;
use crate::stream::Streaming;
use crate::{Error, ErrorKind, Spec, StreamOptions};
use number::{Digest, Number};

/// What never changes about a capture or a playback.
pub(crate) struct Facts {
    pub(crate) spec: Spec,
    pub(crate) sample_rate: u32,
    pub(crate) frame_samples: usize,
    pub(crate) codebooks: usize,
    pub(crate) latency_samples: usize,
    pub(crate) memory_bytes: usize,
}

/// What any thread may ask.
#[derive(Default)]
pub(crate) struct Counts {
    /// Frames of codes that were read or written.
    frames: Number,
    hash: Digest,
    /// Frames that the audio thread has given a period to, or thrown away.
    assigned: Number,
    lost: Number,
    concealed: Number,
    late: Number,
    missed: Number,
    /// By the codes' thread, by the audio thread, and by the worker.
    dropped: [Number; 3],
}

impl Counts {
    fn reset(&self) {
        let Self { frames, hash, assigned, lost, concealed, late, missed, dropped } = self;
        hash.set(CodesHash::new().digest());
        for number in [frames, assigned, lost, concealed, late, missed].into_iter().chain(dropped) {
            number.set(0);
        }
    }

    pub(crate) fn frames(&self) -> u32 {
        self.frames.get()
    }

    pub(crate) fn codes_hash(&self) -> i64 {
        self.hash.get()
    }

    pub(crate) fn waiting(&self) -> u32 {
        // what is assigned was written before
        let assigned = self.assigned.get();
        self.frames.get().wrapping_sub(assigned)
    }

    pub(crate) fn lost(&self) -> u32 {
        self.lost.get()
    }

    pub(crate) fn concealed(&self) -> u32 {
        self.concealed.get()
    }

    pub(crate) fn late(&self) -> u32 {
        self.late.get()
    }

    pub(crate) fn missed(&self) -> u32 {
        self.missed.get()
    }

    pub(crate) fn dropped(&self) -> u32 {
        self.dropped.iter().fold(0, |sum, number| sum.wrapping_add(number.get()))
    }
}

/// A stream whose frames' work is spread over periods.
struct Spread<C> {
    coder: C,
    /// Of a frame.
    load: u64,
    /// Samples in a period, and those that have passed.
    period: usize,
    passed: usize,
    /// There is a frame, and some of it is not done.
    busy: bool,
}

impl<C: Streaming> Spread<C> {
    fn new(coder: C, period: usize) -> Self {
        let load = coder.stream().load();
        Self { coder, load, period, passed: 0, busy: false }
    }

    /// A frame was put in place: a period begins.
    fn begin(&mut self) {
        (self.passed, self.busy) = (0, true);
    }

    /// Does the share of the work that `samples` are of the period.
    fn pass(&mut self, samples: usize) {
        self.passed += samples;
        if self.busy {
            let share = (u128::from(self.load) * self.passed as u128).div_ceil(self.period as u128);
            self.busy = !self.coder.stream_mut().advance(share as u64);
        }
    }

    /// Does what is left.
    fn finish(&mut self) {
        if self.busy {
            self.coder.stream_mut().advance(u64::MAX);
            self.busy = false;
        }
    }

    fn reset(&mut self) {
        (self.passed, self.busy) = (0, false);
    }
}

/// Options of a stream at the model's rate that works on one frame at a time.
fn stream_options(options: &LiveOptions) -> StreamOptions {
    StreamOptions { sample_rate: None, max_block: None, threads: None, ..options.stream.clone() }
}

/// Frames of playback that must wait.
fn buffer_frames(options: &LiveOptions) -> Result<usize, Error> {
    match options.buffer_frames {
        None => Ok(BUFFER_FRAMES),
        Some(n) if (1..=MAX_BUFFER_FRAMES).contains(&n) => Ok(n),
        Some(n) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format_args!("buffer_frames is {n}: expected 1 to {MAX_BUFFER_FRAMES}"),
        )),
    }
}

/// Frames that a playback waits for unless told otherwise: codes that another thread brings are never late by less than
/// a frame.
const BUFFER_FRAMES: usize = 2;

/// The most frames that a playback may wait for.
pub(crate) const MAX_BUFFER_FRAMES: usize = 64;
