//! Live audio: the bits of streams, at a constant delay, whatever the blocks are and whoever does the work; and nothing
//! is lost that no counter shows.

mod support;

use mimi::live::{Capture, Playback};
use mimi::{Decoder, Encoder, LiveOptions, LoadOptions, Model, NO_CODE, StreamError, StreamOptions, Work};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::VecDeque;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::repository;

static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::load(repository("tests/data/golden/tiny"), &LoadOptions::default()).unwrap());

const RATES: [u32; 5] = [24_000, 48_000, 44_100, 16_000, 23_975];

/// Codes of a frame, and what they are below.
const CODEBOOKS: usize = 6;
const SIZE: u32 = 64;

/// Who does the work, and whether it is in real time.
const WAYS: [(Work, bool); 4] =
    [(Work::Spread, false), (Work::Other, false), (Work::Spread, true), (Work::Other, true)];

fn options(rate: u32, (work, offline): (Work, bool)) -> LiveOptions {
    let stream = StreamOptions { sample_rate: Some(rate), ..Default::default() };
    LiveOptions { stream, work, offline, buffer_frames: Some(1) }
}

/// Something to encode: a chirp with silence between its swells.
fn sound(samples: usize) -> Vec<f32> {
    let sample = |i: usize| {
        let t = i as f32 / 10_000.0;
        (40.0 * t * t + 300.0 * t).sin() * (3.0 * t).sin().max(0.0)
    };
    (0..samples).map(sample).collect()
}

/// What a stream makes of it, without an end.
fn encoded(pcm: &[f32], options: &LiveOptions) -> Vec<u32> {
    let mut encoder = Encoder::new(&MODEL, &options.stream).unwrap();
    let mut codes = vec![0; encoder.codes_for(pcm.len())];
    encoder.process(pcm, &mut codes).unwrap();
    codes
}

/// What a stream makes of it, with its end.
fn decoded(codes: &[u32], options: &LiveOptions) -> Vec<f32> {
    let mut decoder = Decoder::new(&MODEL, &options.stream).unwrap();
    let mut pcm = vec![0.0; codes.len() / decoder.codebooks() * decoder.frame_samples()];
    let written = decoder.process(codes, &mut pcm).unwrap();
    decoder.flush(&mut pcm[written..]).unwrap();
    pcm
}

/// `samples` in blocks of the given lengths, round and round.
fn blocks(samples: usize, lengths: &[usize]) -> Vec<usize> {
    let mut blocks = Vec::new();
    let mut left = samples;
    for length in lengths.iter().cycle() {
        if left == 0 {
            break;
        }
        blocks.push(left.min(*length));
        left -= left.min(*length);
    }
    blocks
}

fn lengths(most: usize) -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![
        4 => 0..=700usize,
        2 => select(vec![1, 16, 64, 256, 320, 441, 1024, 1279, 1280]),
        1 => 700..=most,
    ];
    prop::collection::vec(length, 1..=6).prop_filter("some samples", |all| all.iter().sum::<usize>() >= 50)
}

/// Equal bits; `==` would take 0 for −0.
#[track_caller]
fn assert_same_audio(found: &[f32], expected: &[f32], what: &str) {
    let differs = found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!((differs, found.len()), (None, expected.len()), "{what}: the first that differs");
}

/// Through a capture and a playback in one callback, in blocks of these lengths.
fn through(pcm: &[f32], options: &LiveOptions, lengths: &[usize]) -> Vec<f32> {
    let mut capture = Capture::new(&MODEL, options).unwrap();
    let mut playback = Playback::new(&MODEL, options).unwrap();
    // as good as new
    capture.reset();
    playback.reset();
    let (mut microphone, mut codes, mut encode) = capture.split();
    let (mut packets, mut speaker, mut decode) = playback.split();
    let latency = microphone.latency_samples() + speaker.latency_samples();
    let mut heard = vec![f32::NAN; pcm.len()];
    let (mut input, mut output) = (pcm, &mut heard[..]);
    let mut room = vec![0; 64 * codes.codebooks()];
    for block in blocks(pcm.len(), lengths) {
        let (now, later) = input.split_at(block);
        let (sound, silence) = output.split_at_mut(block);
        (input, output) = (later, silence);
        microphone.write(now);
        encode.work();
        let read = codes.read(&mut room).unwrap();
        packets.write(&room[..read]).unwrap();
        decode.work();
        speaker.read(sound);
    }
    let counts = [packets.concealed(), packets.late(), packets.missed(), packets.dropped(), codes.dropped()];
    assert_eq!(counts, [0; 5], "{options:?}, {lengths:?}");
    assert_eq!((codes.frames(), codes.codes_hash()), (packets.frames(), packets.codes_hash()));
    let mut expected = vec![0.0; latency];
    expected.extend(decoded(&encoded(pcm, options), options));
    expected.truncate(pcm.len());
    assert!(expected.len() == pcm.len());
    assert_same_audio(&heard, &expected, &format!("{options:?}, {lengths:?}"));
    heard
}

#[test]
fn the_delay_is_the_sum_of_the_latencies_to_the_sample() {
    for rate in RATES {
        let frame = rate as usize / 25 * 2;
        let pcm = sound(7 * frame + 100);
        for (work, offline) in WAYS {
            for buffer_frames in [Some(1), Some(3)] {
                let options = LiveOptions { buffer_frames, ..options(rate, (work, offline)) };
                for length in [64, 441, 1024, frame - 1, frame] {
                    through(&pcm, &options, &[length]);
                }
                // no other thread has time between the frames of one call
                if work == Work::Spread || offline {
                    for length in [frame + 1, 2 * frame, 5_000, 5 * frame] {
                        through(&pcm, &options, &[length]);
                    }
                }
            }
        }
    }
    let pcm = sound(4 * 1920);
    for way in WAYS {
        through(&pcm, &options(24_000, way), &[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn blocks_may_have_any_lengths(
        rate in select(RATES.to_vec()), way in select(WAYS.to_vec()), lengths in lengths(5_000), frames in 3..9usize,
    ) {
        let frame = rate as usize / 25 * 2;
        let inline = way.0 == Work::Spread || way.1;
        let lengths: Vec<_> = lengths.into_iter().map(|n| if inline { n } else { n.min(frame) }).collect();
        through(&sound(frames * frame), &options(rate, way), &lengths);
    }

    /// Codes are a stream's, and can be read when the latency says so.
    #[test]
    fn codes_are_those_of_a_stream(
        rate in select(RATES.to_vec()), way in select(WAYS.to_vec()), lengths in lengths(5_000),
        bad in prop::collection::vec((any::<prop::sample::Index>(), select(vec![f32::NAN, f32::INFINITY, 3e38, -2e5])), 0..4),
    ) {
        let options = options(rate, way);
        let (mut input, mut output, mut worker) = Capture::new(&MODEL, &options).unwrap().split();
        let (frame, codebooks, latency) = (input.frame_samples(), output.codebooks(), input.latency_samples());
        let mut pcm = sound(7 * frame);
        for (at, value) in bad {
            let at = at.index(pcm.len());
            pcm[at] = value;
        }
        let expected = encoded(&pcm, &options);
        let mut found = Vec::new();
        let mut written = 0;
        for block in blocks(pcm.len(), &lengths) {
            input.write(&pcm[written..written + block]);
            written += block;
            worker.work();
            let ready = (written + frame).saturating_sub(latency) / frame * codebooks;
            let mut room = vec![0; 8 * codebooks];
            let read = output.read(&mut room).unwrap();
            found.extend_from_slice(&room[..read]);
            prop_assert_eq!(found.len(), ready, "after {} samples", written);
        }
        prop_assert_eq!(&found[..], &expected[..found.len()]);
        prop_assert!(found.len() >= 4 * codebooks);
    }

    /// The audio is a decoder's if codes never lack, in whatever order the threads run.
    #[test]
    fn audio_is_that_of_a_stream(
        rate in select(RATES.to_vec()), way in select(WAYS.to_vec()), lengths in lengths(1_280),
        ahead in 3..10usize, buffer_frames in 1..4usize,
    ) {
        let options = LiveOptions { buffer_frames: Some(buffer_frames), ..options(rate, way) };
        let (mut input, mut output, mut worker) = Playback::new(&MODEL, &options).unwrap().split();
        let (frame, codebooks) = (output.frame_samples(), input.codebooks());
        let codes: Vec<u32> = (0..12 * codebooks as u32).map(|i| i * 7919 % SIZE).collect();
        let samples = 11 * frame;
        let mut heard = vec![f32::NAN; samples];
        let (mut given, mut at) = (0, 0);
        for block in blocks(samples, &lengths) {
            while given < codes.len() && (input.waiting() as usize) < buffer_frames + ahead {
                input.write(&codes[given..given + codebooks]).unwrap();
                given += codebooks;
            }
            worker.work();
            output.read(&mut heard[at..at + block]);
            at += block;
        }
        prop_assert_eq!([input.concealed(), input.late(), input.missed(), input.dropped()], [0; 4]);
        // all waited at the first border, and so it started there
        let delay = output.latency_samples() - buffer_frames * frame;
        let mut expected = vec![0.0; delay + frame + delay];
        expected.extend(decoded(&codes, &options));
        expected.truncate(samples);
        assert_same_audio(&heard, &expected, &format!("{options:?}, {lengths:?}"));
    }

    /// Frames that come late, in bursts, marked as lost or not at all: what is heard follows from when they came.
    #[test]
    fn every_frame_is_accounted_for(
        way in select(vec![WAYS[0], WAYS[1]]), buffer_frames in 1..5usize, block in select(vec![64usize, 480, 1000, 1920]),
        arrivals in prop::collection::vec((0..4u8, 0..12usize), 20..60),
    ) {
        let options = LiveOptions { buffer_frames: Some(buffer_frames), ..options(24_000, way) };
        let (mut input, mut output, mut worker) = Playback::new(&MODEL, &options).unwrap().split();
        let codebooks = input.codebooks();
        let frame = |number: usize| -> Vec<u32> {
            (0..codebooks).map(|k| ((number * 131 + k * 17) as u32) % SIZE).collect()
        };
        // per period: frames that come before it, bursts now and then
        let mut number = 0;
        let mut oracle = Oracle { buffer: buffer_frames, ..Default::default() };
        let mut heard = Vec::new();
        let (mut position, mut accepted, mut refused, mut lost) = (0usize, 0, 0, 0);
        for (what, burst) in arrivals {
            let come: Vec<Vec<u32>> = match (what, burst) {
                (0, _) => vec![],
                (1, 9..) => (0..burst).map(|i| frame(number + i)).collect(),
                (2, 0..4) => vec![vec![NO_CODE; codebooks]],
                _ => vec![frame(number)],
            };
            number += come.len();
            for codes in come {
                match input.write(&codes) {
                    Ok(()) => {
                        accepted += 1;
                        lost += u32::from(codes[0] == NO_CODE);
                        oracle.waiting.push_back(codes);
                    }
                    Err(StreamError::NoRoom { frames: 1, room: 0 }) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            // one period, up to the block that the next border is in
            let end = (position / 1920 + 1) * 1920;
            while position < end {
                worker.work();
                let mut sound = vec![f32::NAN; block];
                let first = position.next_multiple_of(1920);
                if first < position + block {
                    oracle.border((position + block - first) / 1920);
                }
                output.read(&mut sound);
                heard.extend(sound);
                position += block;
            }
            worker.work();
        }
        prop_assert_eq!(input.frames(), accepted);
        prop_assert_eq!(input.dropped(), refused);
        prop_assert_eq!(input.lost(), lost);
        prop_assert_eq!(input.missed(), 0);
        prop_assert_eq!((input.concealed(), input.late()), (oracle.concealed, oracle.late));
        prop_assert_eq!(input.waiting() as usize, oracle.waiting.len());
        prop_assert_eq!(oracle.taken + input.late() + input.waiting(), accepted);
        assert_same_audio(&heard, &oracle.sound(heard.len(), codebooks), &format!("{options:?}"));
    }
}

/// The rules once more, with lists in place of counts.
#[derive(Default)]
struct Oracle {
    buffer: usize,
    waiting: VecDeque<Vec<u32>>,
    playing: bool,
    /// Periods that passed without their frame since the last that had one.
    gap: usize,
    owed: usize,
    /// What each period makes: a frame, a concealed one, or nothing.
    periods: Vec<Option<Vec<u32>>>,
    taken: u32,
    concealed: u32,
    late: u32,
}

impl Oracle {
    fn border(&mut self, to_come: usize) {
        let spare = if self.playing { 0 } else { self.buffer + to_come };
        let enough = self.waiting.len() >= spare;
        while self.owed > 0 && enough && self.waiting.len() > spare {
            self.waiting.pop_front();
            self.late += 1;
            self.owed -= 1;
        }
        if self.playing || enough {
            if let Some(codes) = self.waiting.pop_front() {
                if !self.playing {
                    self.owed = 0;
                }
                (self.playing, self.gap) = (true, 0);
                self.taken += 1;
                self.periods.push(Some(codes));
                return;
            }
            self.gap += 1;
            self.playing = self.gap <= 5;
            if self.playing {
                self.owed += 1;
                self.concealed += 1;
                self.periods.push(Some(Vec::new()));
                return;
            }
        }
        if self.gap > 0 {
            self.owed += 1;
        }
        self.periods.push(None);
    }

    /// What was heard in `samples` samples.
    fn sound(&self, samples: usize, codebooks: usize) -> Vec<f32> {
        let mut decoder = Decoder::new(&MODEL, &StreamOptions::default()).unwrap();
        let mut sound = vec![0.0; 1920];
        for period in &self.periods {
            let mut pcm = vec![0.0; 1920];
            if let Some(codes) = period {
                let mut frame = vec![NO_CODE; codebooks];
                frame[..codes.len()].copy_from_slice(codes);
                decoder.process(&frame, &mut pcm).unwrap();
            }
            sound.extend(pcm);
        }
        sound.resize(samples, 0.0);
        sound
    }
}

#[test]
fn a_reader_who_does_not_read_loses_frames_and_sees_how_many() {
    for work in [Work::Spread, Work::Other] {
        let options = options(24_000, (work, false));
        let (mut input, mut output, mut worker) = Capture::new(&MODEL, &options).unwrap().split();
        let frames = 80;
        let pcm = sound((frames + 1) * 1920);
        for block in pcm.chunks(960) {
            input.write(block);
            worker.work();
        }
        // a worker has also made the one that may be read a frame later
        let made = frames as u32 + u32::from(work == Work::Other);
        assert_eq!(output.dropped(), made - 64);
        let mut codes = vec![0; 100 * output.codebooks()];
        let one = CODEBOOKS;
        assert_eq!(output.read(&mut codes[..one - 1]), Err(StreamError::BufferTooSmall { needed: one }));
        assert_eq!(output.read(&mut codes[..2 * one + 1]), Ok(2 * one));
        assert_eq!(output.read(&mut codes[2 * one..]), Ok(62 * one));
        assert_eq!(codes[..64 * one], encoded(&pcm, &options)[..64 * one]);
        assert_eq!(output.read(&mut codes), Ok(0));
        assert_eq!(output.frames(), 64);
    }
}

#[test]
fn a_worker_who_does_not_work_loses_frames_and_sees_how_many() {
    let options = options(48_000, (Work::Other, false));
    let (mut input, mut output, mut worker) = Capture::new(&MODEL, &options).unwrap().split();
    let pcm = sound(20 * 3840);
    input.write(&pcm);
    assert_eq!(output.dropped(), 12);
    worker.work();
    let mut codes = vec![0; 100 * output.codebooks()];
    // of eight frames, the end of the last awaits what follows
    assert_eq!(output.read(&mut codes), Ok(7 * CODEBOOKS));
    input.write(&pcm[..2 * 3840]);
    worker.work();
    assert_eq!(output.read(&mut codes), Ok(CODEBOOKS));
    assert_eq!(output.dropped(), 12);

    let (mut input, mut output, mut worker) = Playback::new(&MODEL, &options).unwrap().split();
    let mut heard = vec![1.0; 3840 + 320];
    for number in 0..10 {
        input.write(&[number; CODEBOOKS]).unwrap();
        output.read(&mut heard);
        assert!(heard.iter().all(|sample| *sample == 0.0));
        heard.truncate(3840);
    }
    // it has nine to make, and room for eight orders
    assert_eq!((input.missed(), input.concealed(), input.late()), (8, 0, 0));
    for _ in 0..5 {
        worker.work();
        input.write(&[7; CODEBOOKS]).unwrap();
        output.read(&mut heard);
    }
    // those that were made too late are thrown away, and it is in time again
    assert!(heard.iter().any(|sample| *sample != 0.0));
    let missed = input.missed();
    for _ in 0..5 {
        worker.work();
        input.write(&[7; CODEBOOKS]).unwrap();
        output.read(&mut heard);
    }
    assert_eq!((input.missed(), input.concealed()), (missed, 0));
}

#[test]
fn writing_is_all_or_nothing() {
    let (mut input, _, _) = Playback::new(&MODEL, &options(24_000, WAYS[0])).unwrap().split();
    assert_eq!(input.write(&[0; 7]), Err(StreamError::PartialFrame { codes: 7, codebooks: CODEBOOKS }));
    let refused = StreamError::CodeOutOfRange { index: 9, code: SIZE, codebook_size: SIZE };
    assert_eq!(input.write(&[0, 1, 2, 3, 4, 5, 6, 7, 8, SIZE, 0, 0]), Err(refused));
    assert_eq!(input.write(&[3; CODEBOOKS * 18]), Err(StreamError::NoRoom { frames: 18, room: 17 }));
    assert_eq!((input.frames(), input.waiting(), input.dropped()), (0, 0, 18));
    assert_eq!(input.write(&[3; CODEBOOKS * 16]), Ok(()));
    assert_eq!(input.write_lost(2), Err(StreamError::NoRoom { frames: 2, room: 1 }));
    assert_eq!(input.write_lost(1), Ok(()));
    assert_eq!((input.frames(), input.waiting(), input.dropped(), input.lost()), (17, 17, 20, 1));
    assert!(input.write_lost(usize::MAX).is_err());
    assert_eq!(input.write(&[]), Ok(()));
}

/// Offline, nothing is concealed: it is silent until codes come, and goes on where it was.
#[test]
fn offline_waits() {
    for work in [Work::Spread, Work::Other] {
        let options = options(24_000, (work, true));
        let (mut input, mut output, _) = Playback::new(&MODEL, &options).unwrap().split();
        let codes: Vec<u32> = (0..5 * CODEBOOKS as u32).map(|i| i * 97 % SIZE).collect();
        let expected = decoded(&codes, &options);
        let mut heard = Vec::new();
        for frame in codes.chunks(CODEBOOKS) {
            input.write(frame).unwrap();
            // more than it has codes for
            for _ in 0..7 {
                let mut sound = [f32::NAN; 600];
                output.read(&mut sound);
                heard.extend(sound);
            }
        }
        assert_eq!((input.waiting(), input.concealed(), input.late()), (0, 0, 0));
        let sounding: Vec<f32> = heard.into_iter().filter(|sample| *sample != 0.0).collect();
        let expected: Vec<f32> = expected.into_iter().filter(|sample| *sample != 0.0).collect();
        assert!(sounding.len() > 9_000);
        assert_same_audio(&sounding, &expected, "without its silence");
    }
}

/// Four threads as fast as they can, on a line that loses, and marks, some of its frames.
#[test]
fn threads() {
    for (work, frames) in [(Work::Spread, 150), (Work::Other, 150)] {
        let options = options(24_000, (work, false));
        let (mut microphone, mut codes, mut encode) = Capture::new(&MODEL, &options).unwrap().split();
        let (mut packets, mut speaker, mut decode) = Playback::new(&MODEL, &options).unwrap().split();
        let pcm = sound((frames + 1) * 1920);
        let audio_done = &AtomicBool::new(false);
        let sent = thread::scope(|scope| {
            let pcm = &pcm;
            scope.spawn(move || {
                let mut heard = [0.0; 240];
                for block in pcm.chunks(240) {
                    microphone.write(block);
                    speaker.read(&mut heard[..block.len()]);
                    thread::yield_now();
                }
                audio_done.store(true, Ordering::Release);
            });
            scope.spawn(move || {
                while !audio_done.load(Ordering::Acquire) {
                    encode.work();
                    thread::yield_now();
                }
                encode.work();
            });
            scope.spawn(move || {
                while !audio_done.load(Ordering::Acquire) {
                    decode.work();
                    thread::yield_now();
                }
            });
            let codes = &mut codes;
            let packets = &mut packets;
            let pump = scope.spawn(move || {
                let mut sent = Vec::new();
                let mut room = [0; CODEBOOKS * 3];
                let mut marked = 0;
                while !audio_done.load(Ordering::Acquire) {
                    let read = codes.read(&mut room).unwrap();
                    for frame in room[..read].chunks(CODEBOOKS) {
                        sent.push(frame.to_vec());
                        match sent.len() % 7 {
                            0 => {}
                            1 => marked += u32::from(packets.write_lost(1).is_ok()),
                            _ => _ = packets.write(frame),
                        }
                    }
                    thread::yield_now();
                }
                (sent, marked)
            });
            pump.join().unwrap()
        });
        let (mut sent, marked) = sent;
        let mut rest = vec![0; CODEBOOKS * 100];
        let read = codes.read(&mut rest).unwrap();
        sent.extend(rest[..read].chunks(CODEBOOKS).map(<[u32]>::to_vec));
        // what was read is what a stream makes, in order, without what was dropped
        assert_eq!(sent.len() as u32, codes.frames());
        if work == Work::Spread {
            assert_eq!(codes.frames() + codes.dropped(), frames as u32);
            let all = encoded(&pcm, &options);
            let mut all = all.chunks(CODEBOOKS);
            assert!(sent.iter().all(|frame| all.any(|one| one == frame)));
        } else {
            assert!(codes.frames() + codes.dropped() <= frames as u32 + 1);
        }
        assert_eq!(packets.lost(), marked);
        let kept = (packets.frames() + packets.dropped()) as usize;
        assert!(kept <= sent.len() && kept + sent.len() / 7 + 101 >= sent.len());
        assert!(packets.waiting() + packets.late() <= packets.frames());
    }
}

#[test]
fn halves_are_sent_to_their_threads() {
    fn sent<T: Send + 'static>(_: T) {}
    let options = LiveOptions { buffer_frames: Some(65), ..Default::default() };
    assert!(Playback::new(&MODEL, &options).is_err_and(|error| error.message().contains("65")));
    let capture = Capture::new(&MODEL, &LiveOptions::default()).unwrap();
    assert!(capture.split().0.memory_bytes() > 10_000);
    let latency = |buffer_frames| {
        let options = LiveOptions { buffer_frames, ..Default::default() };
        Playback::new(&MODEL, &options).unwrap().split().1.latency_samples()
    };
    assert!(latency(None) == latency(Some(2)) && latency(None) > latency(Some(1)));
    sent(Capture::new(&MODEL, &LiveOptions::default()).unwrap());
    sent(Playback::new(&MODEL, &LiveOptions::default()).unwrap());
}

/// Codes that come after a gap in their branch are not used, and both ends count them alike.
#[test]
fn gaps_are_counted_as_a_decoder_counts_them() {
    let options = LiveOptions::default();
    let (mut input, _output, _worker) = Playback::new(&MODEL, &options).unwrap().split();
    let mut decoder = Decoder::new(&MODEL, &options.stream).unwrap();
    let codebooks = decoder.codebooks();
    let mut pcm = vec![0.0; 1920];
    // the first code is the semantic branch
    for gaps in [vec![], vec![2], vec![0], vec![0, 1], vec![1, 3], (0..codebooks).collect::<Vec<_>>()] {
        let mut codes = vec![3; codebooks];
        gaps.iter().for_each(|&gap| codes[gap] = NO_CODE);
        decoder.process(&codes, &mut pcm).unwrap();
        input.write(&codes).unwrap();
        assert_eq!(input.codes_hash(), decoder.codes_hash(), "{gaps:?}");
        assert_eq!(u64::from(input.lost()), decoder.concealed(), "{gaps:?}");
    }
}
