//! Audio to codes, from an audio thread.

use super::convert::Intake;
use super::ring::Ring;
use super::{Counts, Facts, Spread, stream_options};
use crate::error::{headroom, with_capacity};
use crate::hash::CodesHash;
use crate::kernels::FlushDenormals;
use crate::live::number::Number;
use crate::stream::{Frames, Streaming};
use crate::{Encoder, Error, LiveOptions, Model, StreamError, Work};
use std::sync::Arc;

/// Frames of codes that may wait for a reader.
const CODES: usize = 64;

/// Frames of samples that may wait for a worker.
const SAMPLES: usize = 8;

/// Of [`Counts::dropped`].
const BY_AUDIO: usize = 1;
const BY_WORKER: usize = 2;

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) facts: Facts,
    pub(crate) counts: Counts,
    /// For a worker: the number of a frame, then its samples at the stream's rate.
    samples: Ring,
    /// The border from which on a frame may be read, then its codes.
    codes: Ring,
    /// Borders passed: a frame's last sample has come.
    borders: Number,
}

/// Audio to codes, from an audio thread. See [`live`](crate::live).
pub struct Capture {
    input: CaptureInput,
    output: CaptureOutput,
    worker: CaptureWorker,
}

impl Capture {
    /// A new one on `model`, whose encoder it keeps alive. All memory that it will ever use is taken here.
    pub fn new(model: &Model, options: &LiveOptions) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        let encoder = Encoder::new(model, &stream_options(options))?;
        let spec = *encoder.spec();
        let rates = spec.stream_rates(&options.stream)?;
        let intake = Intake::new(rates, spec.frame_size)?;
        let (frame, codebooks, ahead) =
            (rates.frame(), spec.stream_codebooks(&options.stream)?, intake.ahead());
        let inline = options.offline || options.work == Work::Spread;
        let samples = Ring::new(if inline { 0 } else { SAMPLES * (frame + 1) })?;
        let codes = Ring::new(CODES * (codebooks + 1))?;
        let mut room = with_capacity(codebooks)?;
        room.resize(codebooks, 0);
        let memory_bytes = size_of::<Self>() + size_of::<Shared>() - size_of::<Encoder>()
            + encoder.memory_bytes()
            + intake.bytes()
            + samples.bytes()
            + codes.bytes()
            + size_of_val(room.as_slice());
        let facts = Facts {
            spec,
            sample_rate: rates.stream_rate(),
            frame_samples: frame,
            codebooks,
            latency_samples: 2 * frame + ahead,
            memory_bytes,
        };
        let maker = Maker { spread: Spread::new(encoder, frame), intake, room, in_place: false };
        headroom()?;
        let (counts, borders) = (Counts::default(), Number::default());
        let shared = Arc::new(Shared { facts, counts, samples, codes, borders });
        let (work, maker) = match inline {
            true => (Audio::Makes { maker, borders: 0 }, None),
            false => (Audio::Sends(Sender::new(frame, ahead)), Some(maker)),
        };
        let mut this = Self {
            input: CaptureInput { shared: Arc::clone(&shared), audio: work },
            output: CaptureOutput { shared: Arc::clone(&shared), hash: CodesHash::new() },
            worker: CaptureWorker { shared, maker, number: 0, taken: 0 },
        };
        this.reset();
        Ok(this)
    }

    /// The halves, for their threads: the audio thread's, that of the thread that reads codes, and the worker.
    pub fn split(self) -> (CaptureInput, CaptureOutput, CaptureWorker) {
        (self.input, self.output, self.worker)
    }

    /// What any thread may look at.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.input.shared)
    }

    /// Back to the state of a new one.
    pub fn reset(&mut self) {
        reset(&mut self.input, &mut self.output, &mut self.worker);
    }
}

/// The parts of one capture as new.
pub(crate) fn reset(input: &mut CaptureInput, output: &mut CaptureOutput, worker: &mut CaptureWorker) {
    let CaptureInput { shared, audio } = input;
    let Shared { facts, counts, samples, codes, borders } = &**shared;
    match audio {
        Audio::Makes { maker, borders } => {
            maker.reset();
            *borders = 0;
        }
        Audio::Sends(sender) => *sender = Sender::new(facts.frame_samples, sender.ahead),
    }
    output.hash = CodesHash::new();
    if let Some(maker) = &mut worker.maker {
        maker.reset();
    }
    (worker.number, worker.taken) = (0, 0);
    counts.reset();
    samples.clear();
    codes.clear();
    borders.set(0);
}

/// The encoder, and the frame that it works on.
struct Maker {
    spread: Spread<Encoder>,
    intake: Intake,
    /// Room for a frame of codes.
    room: Vec<u32>,
    /// There is a frame whose codes were not sent yet.
    in_place: bool,
}

impl Maker {
    fn reset(&mut self) {
        self.spread.reset();
        self.spread.coder.reset();
        self.intake.reset();
        self.in_place = false;
    }

    /// Puts the frame in place that the last samples have completed, if they have.
    fn place(&mut self) -> bool {
        let Some(frame) = self.intake.frame() else { return false };
        self.spread.coder.stream_mut().place(frame);
        self.spread.begin();
        self.in_place = true;
        true
    }

    /// Completes the frame that is in place, if there is one, to be read from border `due` on.
    fn send(&mut self, shared: &Shared, due: u32, dropped: &Number) {
        if !std::mem::take(&mut self.in_place) {
            return;
        }
        self.spread.finish();
        Frames::emit(self.spread.coder.stream_mut(), 1, &mut self.room);
        let words = Word { due, codes: &self.room, next: 0 };
        if !shared.codes.push(words) {
            dropped.add(1);
        }
    }
}

/// A frame in the ring of codes.
struct Word<'a> {
    due: u32,
    codes: &'a [u32],
    next: usize,
}

impl Iterator for Word<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let word = match self.next {
            0 => Some(self.due),
            n => self.codes.get(n - 1).copied(),
        };
        self.next += 1;
        word
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.codes.len() + 1).saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Word<'_> {}

/// What the audio thread does with samples.
#[expect(clippy::large_enum_variant, reason = "a capture has one")]
enum Audio {
    Makes {
        maker: Maker,
        /// Frames completed.
        borders: u32,
    },
    Sends(Sender),
}

/// Cuts samples to frames for the worker.
struct Sender {
    /// Samples of a frame that were sent.
    at: usize,
    number: u32,
    /// The worker is so late that this frame does not fit.
    dropping: bool,
    /// Samples that the worker needs beyond a frame's own.
    ahead: usize,
    until_border: usize,
    borders: u32,
}

impl Sender {
    fn new(frame: usize, ahead: usize) -> Self {
        Self { at: 0, number: 0, dropping: false, ahead, until_border: frame + ahead, borders: 0 }
    }

    fn send(&mut self, pcm: &[f32], shared: &Shared) {
        let Shared { facts, counts, samples, borders, .. } = shared;
        let mut rest = pcm;
        while !rest.is_empty() {
            if self.at == 0 {
                self.dropping = samples.room() <= facts.frame_samples;
                match self.dropping {
                    true => counts.dropped[BY_AUDIO].add(1),
                    false => _ = samples.push([self.number].into_iter()),
                }
            }
            let (now, later) = rest.split_at(rest.len().min(facts.frame_samples - self.at));
            if !self.dropping {
                samples.push(now.iter().map(|sample| sample.to_bits()));
            }
            rest = later;
            self.at += now.len();
            if self.at == facts.frame_samples {
                self.at = 0;
                self.number = self.number.wrapping_add(1);
            }
        }
        let mut left = pcm.len();
        while left >= self.until_border {
            left -= self.until_border;
            self.until_border = facts.frame_samples;
            self.borders = self.borders.wrapping_add(1);
        }
        self.until_border -= left;
        borders.set(self.borders);
    }
}

/// The audio thread's half of a capture.
pub struct CaptureInput {
    shared: Arc<Shared>,
    audio: Audio,
}

impl CaptureInput {
    /// Takes samples, mono, at the capture's rate, full scale ±1, any number of them. Real-time. NaN and infinity count
    /// as 0, and samples are cut to ±1e5.
    pub fn write(&mut self, pcm: &[f32]) {
        let _flush = FlushDenormals::new();
        let Self { shared, audio } = self;
        match audio {
            Audio::Sends(sender) => sender.send(pcm, shared),
            Audio::Makes { maker, borders } => {
                let mut rest = pcm;
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(rest.len().min(maker.intake.missing()));
                    rest = later;
                    maker.intake.take(now);
                    maker.spread.pass(now.len());
                    if maker.intake.missing() == 0 {
                        *borders = borders.wrapping_add(1);
                        maker.send(shared, *borders, &shared.counts.dropped[BY_AUDIO]);
                        shared.borders.set(*borders);
                        maker.place();
                    }
                }
            }
        }
    }

    /// The rate of its audio in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.shared.facts.sample_rate
    }

    /// Samples of a frame, at its rate.
    pub fn frame_samples(&self) -> usize {
        self.shared.facts.frame_samples
    }

    /// Samples, at its rate, that have come since a frame began when its codes can be read: two frames, and what a
    /// resampler looks ahead.
    pub fn latency_samples(&self) -> usize {
        self.shared.facts.latency_samples
    }

    /// Bytes that all halves keep, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        self.shared.facts.memory_bytes
    }
}

/// The half of a capture for the thread that reads codes.
pub struct CaptureOutput {
    shared: Arc<Shared>,
    hash: CodesHash,
}

impl CaptureOutput {
    /// Writes the codes of the frames that are ready, frame-major, as many whole ones as there is room for, and returns
    /// how many codes: often 0. Real-time. An error if there is a frame and no room for one.
    pub fn read(&mut self, codes: &mut [u32]) -> Result<usize, StreamError> {
        let Self { shared, hash } = self;
        let codebooks = shared.facts.codebooks;
        let mut written = 0;
        while let Some(due) = shared.codes.first()
            && (shared.borders.get().wrapping_sub(due) as i32) >= 0
        {
            let Some(room) = codes.get_mut(written..written + codebooks) else {
                if written == 0 {
                    return Err(StreamError::BufferTooSmall { needed: codebooks });
                }
                break;
            };
            shared.codes.take(codebooks + 1, |index, word| {
                if index > 0 {
                    room[index - 1] = word;
                }
            });
            hash.update(room);
            shared.counts.frames.add(1);
            written += codebooks;
        }
        if written > 0 {
            shared.counts.hash.set(hash.digest());
        }
        Ok(written)
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        self.shared.facts.codebooks
    }

    /// Frames read.
    pub fn frames(&self) -> u32 {
        self.shared.counts.frames()
    }

    /// A 63-bit hash of the codes read. A stream that was given the same codes in the same order has the same.
    pub fn codes_hash(&self) -> i64 {
        self.shared.counts.codes_hash()
    }

    /// Frames that are not among those read, because reader or worker was too late and there was no room for them.
    pub fn dropped(&self) -> u32 {
        self.shared.counts.dropped()
    }
}

/// What does a capture's work, with [`Work::Other`].
pub struct CaptureWorker {
    shared: Arc<Shared>,
    maker: Option<Maker>,
    /// The number of the frame whose samples are taken, and how many were.
    number: u32,
    taken: usize,
}

impl CaptureWorker {
    /// Encodes all frames that are complete; does nothing with [`Work::Spread`] and offline.
    pub fn work(&mut self) {
        let _flush = FlushDenormals::new();
        let Self { shared, maker, number, taken } = self;
        let (Some(maker), Shared { facts, counts, samples, .. }) = (maker, &**shared) else { return };
        loop {
            if *taken == 0 {
                // its number, and at least one sample, which follows at once
                if samples.len() < 2 {
                    return;
                }
                samples.take(1, |_, word| *number = word);
            }
            let mut piece = [0.0; 512];
            let most = (facts.frame_samples - *taken).min(maker.intake.missing()).min(piece.len());
            let count = samples.len().min(most);
            if count == 0 {
                return;
            }
            samples.take(count, |index, word| piece[index] = f32::from_bits(word));
            maker.intake.take(&piece[..count]);
            *taken += count;
            if maker.place() {
                // the border that it completes, and one more
                let completes = number.wrapping_add(u32::from(*taken == facts.frame_samples));
                maker.send(shared, completes.wrapping_add(1), &counts.dropped[BY_WORKER]);
            }
            *taken %= facts.frame_samples;
        }
    }
}
