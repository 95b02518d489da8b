//! What allocates: loading, near what stays; streams, once; their real-time calls, nothing.

mod support;

use mimi::{Decoder, Encoder, LoadOptions, Model, Parts, Precision, StreamOptions, Tail};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::{golden, repository};

/// The system's allocator, with this thread's calls and bytes counted.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    CALLS.set(CALLS.get() + 1);
    NOW.set(NOW.get() + change);
    PEAK.set(PEAK.get().max(NOW.get()));
}

// SAFETY: every call goes to the system's allocator as it is; counting touches constant-initialised
// cells without destructors, which neither allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // old and new exist side by side, at worst
        count(size as isize);
        NOW.set(NOW.get() - layout.size() as isize);
        // SAFETY: the caller's promise about `pointer`, `layout` and `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` returns, and how often it allocated, grew or freed.
fn calls<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = CALLS.get();
    let result = work();
    (result, CALLS.get() - before)
}

/// What `work` returns, the most bytes that it had allocated at once, and what it left allocated.
fn bytes<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize, (NOW.get() - before) as usize)
}

#[test]
fn the_counter_counts() {
    let ((), count) = calls(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(10))));
    assert_eq!(count, 2);
    let (kept, peak, left) = bytes(|| {
        drop(std::hint::black_box(vec![1u8; 5_000]));
        std::hint::black_box(vec![0u8; 700])
    });
    assert_eq!((peak, left, kept.len()), (5_000, 700, 700));
}

/// Everything real-time of an encoder and a decoder.
fn real_time_calls(encoder: &mut Encoder, decoder: &mut Decoder, pcm: &[f32]) {
    let mut codes = [0; 64 * 8];
    let mut audio = [0.0; 64 * 1_920];
    let (frame, held) = (decoder.frame_samples(), decoder.latency_samples());
    for (index, chunk) in pcm.chunks(5_000).enumerate() {
        assert!(encoder.process(chunk, &mut []).is_err() || encoder.codes_for(chunk.len()) == 0);
        let mut written = encoder.process(chunk, &mut codes).unwrap();
        let ends = index % 3 == 1;
        if ends {
            let due = encoder.codes_for_flush();
            assert_eq!(encoder.flush(&mut codes[written..]), Ok(due));
            written += due;
        }
        let told = decoder.samples_for(written);
        let samples = decoder.process(&codes[..written], &mut audio).unwrap();
        assert!(samples == told && samples.abs_diff(written / decoder.codebooks() * frame) <= held);
        assert!(decoder.process(&[u32::MAX - 1; 8], &mut audio).is_err());
        assert!(!ends || decoder.flush(&mut audio) == Ok(held));
        assert_eq!(encoder.codes_hash() >= 0, decoder.codes_hash() >= 0);
        assert!(encoder.frames() > 0 && encoder.frames() == decoder.frames());
        assert!(encoder.memory_bytes() > 0 && decoder.memory_bytes() > 0);
        assert!(encoder.codes_for_flush() + encoder.latency_samples() > decoder.latency_samples());
        assert_eq!(decoder.samples_for(encoder.codebooks()) + if ends { held } else { 0 }, frame);
        assert_eq!(decoder.samples_for_flush(), if ends { 0 } else { held });
        assert!(encoder.spec().id == decoder.spec().id);
    }
    encoder.reset();
    decoder.reset();
}

/// The first call included, and in a thread that ran nothing before.
fn assert_real_time(model: &Model, options: &StreamOptions) {
    let pcm = support::wav(&repository("tests/data/golden/speech.wav"));
    let mut encoder = Encoder::new(model, options).unwrap();
    let mut decoder = Decoder::new(model, options).unwrap();
    let work = move || calls(|| real_time_calls(&mut encoder, &mut decoder, &pcm[..30_000])).1;
    let count = std::thread::spawn(work).join().unwrap();
    assert_eq!(count, 0, "allocations and frees with {options:?}");
}

#[test]
fn real_time_calls_allocate_nothing() {
    let networks = ["tiny", "tiny-dilated", "tiny-replicate", "tiny-noproj", "tiny-gqa-bias"];
    for network in networks {
        let path = repository(&format!("tests/data/golden/{network}"));
        for precision in [Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8] {
            let model = Model::load(&path, &LoadOptions { precision, ..Default::default() }).unwrap();
            for tail in [Tail::AudioPad, Tail::LayerPad] {
                for max_block in [None, Some(10_000)] {
                    assert_real_time(&model, &StreamOptions { tail, max_block, ..Default::default() });
                }
            }
        }
    }
}

/// The same with latents in place of codes, and with frames that are lost.
#[test]
fn real_time_calls_with_latents_allocate_nothing() {
    let pcm = &support::wav(&repository("tests/data/golden/speech.wav"))[..30_000];
    for network in ["tiny", "pocket-tiny", "pocket-asym"] {
        let path = repository(&format!("tests/data/golden/{network}"));
        for precision in [Precision::F32, Precision::Int8] {
            let model = Model::load(&path, &LoadOptions { precision, ..Default::default() }).unwrap();
            for sample_rate in [None, Some(44_100)] {
                let options = StreamOptions { sample_rate, ..Default::default() };
                let mut encoder = Encoder::new(&model, &options).unwrap();
                let mut decoder = Decoder::new(&model, &options).unwrap();
                let (mut latents, mut audio) = ([0.0; 8 * 32], [0.0; 16 * 4_000]);
                let ((), count) = calls(|| {
                    for chunk in pcm.chunks(5_000) {
                        let due = encoder.latents_for(chunk.len());
                        assert_eq!(encoder.process_latents(chunk, &mut latents), Ok(due));
                        let samples = decoder.samples_for_latents(due);
                        assert_eq!(decoder.process_latents(&latents[..due], &mut audio), Ok(samples));
                        assert!(decoder.process_latents(&latents[..1], &mut audio).is_err());
                        assert!(decoder.process_lost(2, &mut audio).unwrap() > 0);
                    }
                    let due = encoder.latents_for_flush();
                    assert_eq!(encoder.flush_latents(&mut latents), Ok(due));
                });
                assert_eq!(count, 0, "{network}, {options:?}");
            }
        }
    }
}

#[test]
fn real_time_calls_at_other_rates_allocate_nothing() {
    let model = Model::load(repository("tests/data/golden/tiny"), &LoadOptions::default()).unwrap();
    // FFTs of smooth lengths and, at 23 975 Hz, of one with a large prime factor
    for rate in [8_000, 11_025, 16_000, 23_975, 44_100, 48_000] {
        for tail in [Tail::AudioPad, Tail::LayerPad] {
            assert_real_time(&model, &StreamOptions { tail, sample_rate: Some(rate), ..Default::default() });
        }
    }
}

#[test]
fn full_size_real_time_calls_allocate_nothing() {
    let model = Model::load(golden::FULL_SPEECH.path(), &LoadOptions::default()).unwrap();
    assert_real_time(&model, &StreamOptions::default());
}

#[test]
fn memory_bytes_are_what_is_allocated() {
    let model = Model::load(golden::FULL_SPEECH.path(), &LoadOptions::default()).unwrap();
    for max_block in [None, Some(20_000)] {
        let options = StreamOptions { max_block, ..Default::default() };
        let (encoder, peak, left) = bytes(|| Encoder::new(&model, &options).unwrap());
        assert_near(encoder.memory_bytes(), left, "encoder");
        assert_near(peak, left, "making an encoder");
        let (clone, _, left) = bytes(|| encoder.try_clone().unwrap());
        assert_near(clone.memory_bytes(), left, "clone of an encoder");
        let (decoder, peak, left) = bytes(|| Decoder::new(&model, &options).unwrap());
        assert_near(decoder.memory_bytes(), left, "decoder");
        assert_near(peak, left, "making a decoder");
    }
}

/// What a resampler adds can be told only nearly: its FFTs keep to themselves what they need.
#[test]
fn memory_bytes_of_a_resampler_are_near_what_is_allocated() {
    let model = Model::load(repository("tests/data/golden/tiny"), &LoadOptions::default()).unwrap();
    let measure = |sample_rate| {
        let options = StreamOptions { sample_rate, ..Default::default() };
        let (encoder, _, encoder_left) = bytes(|| Encoder::new(&model, &options).unwrap());
        let (decoder, _, decoder_left) = bytes(|| Decoder::new(&model, &options).unwrap());
        [(encoder.memory_bytes(), encoder_left), (decoder.memory_bytes(), decoder_left)]
    };
    let without = measure(None);
    for rate in [8_000, 11_025, 44_100, 48_000, 96_000] {
        for ((told, left), (told_without, left_without)) in measure(Some(rate)).into_iter().zip(without) {
            let (told, left) = (told - told_without, left - left_without);
            assert!(told.abs_diff(left) < left / 4, "{rate} Hz: {told} bytes told, {left} allocated");
        }
    }
}

/// Within 1 % and a page.
#[track_caller]
fn assert_near(told: usize, allocated: usize, what: &str) {
    let slack = allocated / 100 + 4_096;
    assert!(told.abs_diff(allocated) <= slack, "{what}: {told} bytes told, {allocated} allocated");
}

/// While a model is loaded there is little more in memory than what stays.
#[test]
fn loading_takes_little_more_than_the_model() {
    let path = golden::FULL_SPEECH.path();
    let mut problems = Vec::new();
    for precision in [Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8] {
        for parts in [Parts::Both, Parts::Encoder, Parts::Decoder] {
            let options = LoadOptions { parts, precision, ..Default::default() };
            let (model, peak, left) = bytes(|| Model::load(&path, &options).unwrap());
            assert_near(model.memory_bytes(), left, "model");
            if peak * 100 > model.memory_bytes() * 115 {
                let percent = peak as f64 / model.memory_bytes() as f64 * 100.0 - 100.0;
                problems.push(format!(
                    "{precision:?}, {parts:?}: {} bytes stay, at most {peak} at once: {percent:.1} % more",
                    model.memory_bytes()
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
