//! Codes to audio, for an audio thread.

use super::convert::Outlet;
use super::ring::Ring;
use super::schedule::{Decision, Order, Schedule};
use super::{Counts, Facts, NO_CODE, Spread, buffer_frames, stream_options};
use crate::error::{headroom, with_capacity};
use crate::hash::CodesHash;
use crate::kernels::FlushDenormals;
use crate::stream::{Decoding, Frames, Streaming, check_codes};
use crate::{Decoder, Error, LiveOptions, Model, StreamError, Work};
use std::iter;
use std::sync::Arc;

/// Frames of codes that may wait beyond those that must.
const MORE: usize = 16;

/// Frames that a worker may be behind.
const ORDERS: usize = 8;

/// Frames of samples that a worker may have made: one is heard, one waits, and one may be late.
const SAMPLES: usize = 3;

/// Of [`Counts::dropped`].
const BY_WRITER: usize = 0;

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) facts: Facts,
    pub(crate) counts: Counts,
    /// Frames of codes.
    codes: Ring,
    /// For a worker: what to do with the next frames. See [`pack`].
    orders: Ring,
    /// From a worker: frames of samples at the stream's rate.
    samples: Ring,
}

/// Codes to audio, for an audio thread. See [`live`](crate::live).
pub struct Playback {
    input: PlaybackInput,
    output: PlaybackOutput,
    worker: PlaybackWorker,
}

impl Playback {
    /// A new one on `model`, whose decoder it keeps alive. All memory that it will ever use is taken here.
    pub fn new(model: &Model, options: &LiveOptions) -> Result<Self, Error> {
        let _flush = FlushDenormals::new();
        let buffer = buffer_frames(options)?;
        let decoder = Decoder::new(model, &stream_options(options))?;
        let spec = *decoder.spec();
        let rates = spec.stream_rates(&options.stream)?;
        let outlet = Outlet::new(rates, spec.frame_size)?;
        let (frame, codebooks, delay) =
            (rates.frame(), spec.stream_codebooks(&options.stream)?, outlet.delay());
        let Some(quantizer) = &Streaming::stream(&decoder).quantizer else {
            return Err(StreamError::NoQuantizer.into());
        };
        let semantic = quantizer.semantic(codebooks);
        let inline = options.offline || options.work == Work::Spread;
        let codes = Ring::new((buffer + MORE) * codebooks)?;
        let orders = Ring::new(if inline { 0 } else { ORDERS })?;
        let samples = Ring::new(if inline { 0 } else { SAMPLES * frame })?;
        let mut room = with_capacity(codebooks)?;
        room.resize(codebooks, 0);
        let memory_bytes = size_of::<Self>() + size_of::<Shared>() - size_of::<Decoder>()
            + decoder.memory_bytes()
            + outlet.bytes()
            + codes.bytes()
            + orders.bytes()
            + samples.bytes()
            + size_of_val(room.as_slice());
        let facts = Facts {
            spec,
            sample_rate: rates.stream_rate(),
            frame_samples: frame,
            codebooks,
            latency_samples: buffer * frame + delay,
            memory_bytes,
        };
        let maker = Maker { spread: Spread::new(decoder, frame), outlet, room };
        headroom()?;
        let shared = Arc::new(Shared { facts, counts: Counts::default(), codes, orders, samples });
        let (source, maker) = match inline {
            true => (Source::Maker { maker, offline: options.offline, in_place: false }, None),
            false => (Source::Worker(Receiver::default()), Some(maker)),
        };
        let output = PlaybackOutput {
            shared: Arc::clone(&shared),
            schedule: Schedule::new(buffer as u32),
            source,
            sounding: false,
            until_border: 0,
            buffer: buffer as u32,
            delay,
        };
        let input = PlaybackInput { shared: Arc::clone(&shared), hash: CodesHash::new(), semantic };
        let mut this = Self { input, output, worker: PlaybackWorker { shared, maker } };
        this.reset();
        Ok(this)
    }

    /// The halves, for their threads: that of the thread that writes codes, the audio thread's, and the worker.
    pub fn split(self) -> (PlaybackInput, PlaybackOutput, PlaybackWorker) {
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

/// The parts of one playback as new.
pub(crate) fn reset(input: &mut PlaybackInput, output: &mut PlaybackOutput, worker: &mut PlaybackWorker) {
    let PlaybackOutput { shared, schedule, source, sounding, until_border, buffer, delay } = output;
    *schedule = Schedule::new(*buffer);
    match source {
        Source::Maker { maker, offline: _, in_place } => {
            maker.reset();
            *in_place = false;
        }
        Source::Worker(receiver) => *receiver = Receiver::default(),
    }
    // the first border is where that of a capture is
    (*sounding, *until_border) = (false, *delay);
    if let Some(maker) = &mut worker.maker {
        maker.reset();
    }
    input.hash = CodesHash::new();
    let Shared { facts: _, counts, codes, orders, samples } = &**shared;
    counts.reset();
    codes.clear();
    orders.clear();
    samples.clear();
}

/// The decoder, and the frame that it works on.
struct Maker {
    spread: Spread<Decoder>,
    outlet: Outlet,
    /// Room for a frame of codes.
    room: Vec<u32>,
}

impl Maker {
    fn reset(&mut self) {
        self.spread.reset();
        self.spread.coder.reset();
        self.outlet.reset();
    }

    /// Throws frames away, and puts one in place if that is the order. Tells whether there is one.
    fn obey(&mut self, decision: Decision, codes: &Ring) -> bool {
        let Decision { late, order } = decision;
        codes.skip(late as usize * self.room.len());
        match order {
            Order::Nothing => return false,
            Order::Take => _ = codes.take(self.room.len(), |index, code| self.room[index] = code),
            Order::Conceal => self.room.fill(NO_CODE),
        }
        Frames::stage(self.spread.coder.stream_mut(), 1, &mut &self.room[..]);
        self.spread.begin();
        true
    }

    /// Completes the frame that is in place, to be heard next.
    fn finish(&mut self) {
        self.spread.finish();
        <Decoding as Frames<u32>>::emit(self.spread.coder.stream_mut(), 1, self.outlet.frame());
    }
}

/// A decision as a word: what is to do in the lowest bits, and how many are late.
fn pack(Decision { late, order }: Decision) -> u32 {
    let order = match order {
        Order::Nothing => 0,
        Order::Take => 1,
        Order::Conceal => 2,
    };
    late << 2 | order
}

fn unpack(word: u32) -> Decision {
    let order = match word & 3 {
        1 => Order::Take,
        2 => Order::Conceal,
        _ => Order::Nothing,
    };
    Decision { late: word >> 2, order }
}

/// The half of a playback for the thread that writes codes.
pub struct PlaybackInput {
    shared: Arc<Shared>,
    hash: CodesHash,
    /// Codes of a frame's first branch.
    semantic: usize,
}

impl PlaybackInput {
    /// Takes whole frames of codes, frame-major, in the order in which they are to be heard: all of them, or none.
    /// Real-time. [`NO_CODE`] stands for a code that did not arrive.
    ///
    /// Frames for which there is no room are refused, and counted as dropped.
    pub fn write(&mut self, codes: &[u32]) -> Result<(), StreamError> {
        let Facts { spec, codebooks, .. } = self.shared.facts;
        check_codes(codes, codebooks, spec.codebook_size)?;
        // as a decoder does: what comes after a gap in its branch cannot be used
        let (semantic, mut gap) = (self.semantic, false);
        let usable = codes.iter().enumerate().map(move |(index, &code)| {
            let place = index % codebooks;
            gap = code == NO_CODE || gap && place != 0 && place != semantic;
            if gap { NO_CODE } else { code }
        });
        let lost = codes
            .chunks_exact(codebooks)
            .filter(|frame| frame[0] == NO_CODE && frame.get(semantic).is_none_or(|&code| code == NO_CODE));
        self.push(usable)?;
        self.shared.counts.lost.add(lost.count() as u32);
        Ok(())
    }

    /// [`write`](Self::write) of `frames` frames that did not arrive.
    pub fn write_lost(&mut self, frames: usize) -> Result<(), StreamError> {
        // more than there can be room for, in place of a number that wraps
        let codes = frames.saturating_mul(self.shared.facts.codebooks);
        self.push(iter::repeat_n(NO_CODE, codes))?;
        self.shared.counts.lost.add(frames as u32);
        Ok(())
    }

    fn push(&mut self, codes: impl ExactSizeIterator<Item = u32> + Clone) -> Result<(), StreamError> {
        let Self { shared, hash, .. } = self;
        let Shared { facts, counts, codes: ring, .. } = &**shared;
        let frames = codes.len() / facts.codebooks;
        if !ring.push(codes.clone()) {
            counts.dropped[BY_WRITER].add(frames as u32);
            return Err(StreamError::NoRoom { frames, room: ring.room() / facts.codebooks });
        }
        for code in codes {
            hash.update(&[code]);
        }
        counts.hash.set(hash.digest());
        counts.frames.add(frames as u32);
        Ok(())
    }

    /// Codes per frame.
    pub fn codebooks(&self) -> usize {
        self.shared.facts.codebooks
    }

    /// Frames taken. Of these, [`waiting`](Self::waiting) wait, [`late`](Self::late) were thrown away, and the others
    /// have been given their time.
    pub fn frames(&self) -> u32 {
        self.shared.counts.frames()
    }

    /// A 63-bit hash of the codes taken. A stream that emitted the same codes in the same order has the same.
    pub fn codes_hash(&self) -> i64 {
        self.shared.counts.codes_hash()
    }

    /// Frames that wait for their time.
    pub fn waiting(&self) -> u32 {
        self.shared.counts.waiting()
    }

    /// Frames taken that were marked as lost: all their codes are [`NO_CODE`].
    pub fn lost(&self) -> u32 {
        self.shared.counts.lost()
    }

    /// Frames that were not there when their time came, and were concealed.
    pub fn concealed(&self) -> u32 {
        self.shared.counts.concealed()
    }

    /// Frames that came after their time and were thrown away, which keeps the latency constant.
    pub fn late(&self) -> u32 {
        self.shared.counts.late()
    }

    /// Frames that a worker had not made when their time came: silence was heard.
    pub fn missed(&self) -> u32 {
        self.shared.counts.missed()
    }

    /// Frames that were refused for want of room.
    pub fn dropped(&self) -> u32 {
        self.shared.counts.dropped()
    }
}

/// Where the audio thread gets samples from.
#[expect(clippy::large_enum_variant, reason = "a playback has one")]
enum Source {
    Maker {
        maker: Maker,
        /// Waits for frames that are missing.
        offline: bool,
        /// There is a frame that was not heard yet.
        in_place: bool,
    },
    Worker(Receiver),
}

/// Takes frames from a worker.
#[derive(Default)]
struct Receiver {
    /// The last period has a frame, which is to be heard in the next one.
    ordered: bool,
    /// Frames ordered and not yet heard or thrown away.
    behind: usize,
}

impl Receiver {
    /// Whether the frame of the last period is there, in front of all others. Those whose time has passed go.
    fn receive(&mut self, shared: &Shared) -> bool {
        let Shared { facts, counts, samples, .. } = shared;
        let made = samples.len() / facts.frame_samples;
        let ordered = std::mem::take(&mut self.ordered);
        let past = made.min(self.behind - usize::from(ordered));
        samples.skip(past * facts.frame_samples);
        self.behind -= past;
        let here = ordered && self.behind == 1 && made > past;
        if here {
            self.behind = 0;
        } else if ordered {
            counts.missed.add(1);
        }
        here
    }
}

/// The audio thread's half of a playback.
pub struct PlaybackOutput {
    shared: Arc<Shared>,
    schedule: Schedule,
    source: Source,
    /// This period has a frame to be heard.
    sounding: bool,
    until_border: usize,
    buffer: u32,
    /// Samples before the first border.
    delay: usize,
}

impl PlaybackOutput {
    /// Fills `pcm`, of any length, mono, at the playback's rate, full scale ±1, not clipped. Real-time. Where there is
    /// nothing to be heard, it is silence.
    pub fn read(&mut self, pcm: &mut [f32]) {
        let _flush = FlushDenormals::new();
        let mut rest = pcm;
        while !rest.is_empty() {
            if self.until_border == 0 {
                if !self.border(rest.len()) {
                    break;
                }
                self.until_border = self.shared.facts.frame_samples;
            }
            let (now, later) = rest.split_at_mut(rest.len().min(self.until_border));
            self.until_border -= now.len();
            rest = later;
            match &mut self.source {
                Source::Maker { maker, .. } => {
                    maker.spread.pass(now.len());
                    if self.sounding {
                        maker.outlet.give(now);
                        continue;
                    }
                }
                Source::Worker(_) if self.sounding => {
                    self.shared.samples.take(now.len(), |index, word| now[index] = f32::from_bits(word));
                    continue;
                }
                Source::Worker(_) => {}
            }
            now.fill(0.0);
        }
        rest.fill(0.0);
    }

    /// A period begins, with `rest` samples in this call. Tells whether it does: offline, it may have to wait.
    fn border(&mut self, rest: usize) -> bool {
        let Self { shared, schedule, source, sounding, .. } = self;
        let Shared { facts, counts, codes, orders, .. } = &**shared;
        let assigned = counts.assigned.get();
        let mut waiting = counts.frames.get().wrapping_sub(assigned);
        let to_come = u32::try_from(rest / facts.frame_samples).unwrap_or(u32::MAX);
        let take = Decision { late: 0, order: Order::Take };
        let decision = match source {
            Source::Maker { maker, offline, in_place } => {
                let offline = *offline && schedule.playing();
                if offline && !*in_place {
                    // what is heard now had not come before
                    if waiting == 0 {
                        return false;
                    }
                    *in_place = maker.obey(take, codes);
                    counts.assigned.add(1);
                    waiting -= 1;
                }
                *sounding = *in_place;
                if *in_place {
                    maker.finish();
                }
                let decision = match (offline, waiting) {
                    (true, 0) => Decision { late: 0, order: Order::Nothing },
                    (true, _) => take,
                    (false, _) => schedule.border(waiting, to_come),
                };
                *in_place = maker.obey(decision, codes);
                decision
            }
            Source::Worker(receiver) => {
                *sounding = receiver.receive(shared);
                if orders.room() == 0 {
                    // the worker is far behind: the frame of this period will be late
                    if schedule.playing() {
                        schedule.pass();
                    }
                    return true;
                }
                let decision = schedule.border(waiting, to_come);
                if decision.order != Order::Nothing {
                    receiver.ordered = true;
                    receiver.behind += 1;
                }
                if decision != (Decision { late: 0, order: Order::Nothing }) {
                    orders.push([pack(decision)].into_iter());
                }
                decision
            }
        };
        let Decision { late, order } = decision;
        counts.late.add(late);
        counts.concealed.add(u32::from(order == Order::Conceal));
        counts.assigned.add(late + u32::from(order == Order::Take));
        true
    }

    /// The rate of its audio in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.shared.facts.sample_rate
    }

    /// Samples of a frame, at its rate.
    pub fn frame_samples(&self) -> usize {
        self.shared.facts.frame_samples
    }

    /// Samples, at its rate, between the border at which the first frame waits and its audio: a frame for each that
    /// must wait, and what a resampler holds back.
    pub fn latency_samples(&self) -> usize {
        self.shared.facts.latency_samples
    }

    /// Bytes that all halves keep, the shared weights not counted.
    pub fn memory_bytes(&self) -> usize {
        self.shared.facts.memory_bytes
    }
}

/// What does a playback's work, with [`Work::Other`].
pub struct PlaybackWorker {
    shared: Arc<Shared>,
    maker: Option<Maker>,
}

impl PlaybackWorker {
    /// Makes the audio of all frames whose time has begun; does nothing with [`Work::Spread`] and offline.
    pub fn work(&mut self) {
        let _flush = FlushDenormals::new();
        let Self { shared, maker } = self;
        let (Some(maker), Shared { facts, codes, orders, samples, .. }) = (maker, &**shared) else { return };
        while samples.room() >= facts.frame_samples {
            let mut decision = Decision { late: 0, order: Order::Nothing };
            if !orders.take(1, |_, word| decision = unpack(word)) {
                return;
            }
            if !maker.obey(decision, codes) {
                continue;
            }
            maker.finish();
            let mut piece = [0.0; 512];
            let mut left = facts.frame_samples;
            while left > 0 {
                let piece = &mut piece[..left.min(512)];
                maker.outlet.give(piece);
                samples.push(piece.iter().map(|sample| sample.to_bits()));
                left -= piece.len();
            }
        }
    }
}
