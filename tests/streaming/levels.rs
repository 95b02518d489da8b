//! Samples that are no sound, and the processor's floating-point mode.

use crate::*;

/// Frames after which nothing is left of what was heard before: the windows of the attention layers,
/// one after the other, and a little for the convolutions.
fn memory_in_frames(model: &Model) -> usize {
    let config = model.config();
    config.num_hidden_layers * config.sliding_window / config.latent_stride + 8
}

/// Some samples in the middle of a recording replaced.
fn replaced(pcm: &[f32], bad: &[f32]) -> Vec<f32> {
    let mut pcm = pcm.to_vec();
    for (sample, bad) in pcm[9_000..12_000].iter_mut().zip(bad.iter().cycle()) {
        *sample = *bad;
    }
    pcm
}

#[test]
fn what_is_not_finite_is_silence() {
    for network in NETWORKS {
        let model = load(network);
        for tail in TAILS {
            let options = all_codebooks(&model, tail);
            let silent = replaced(&speech(), &[0.0]);
            let expected = model.encode(&silent, &options).unwrap();
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN, f32::from_bits(0x7f80_0001)] {
                let mut encoder = Encoder::new(&model, &options).unwrap();
                // whole blocks and kept samples are checked on different ways
                let mut codes = encode_in(&mut encoder, &replaced(&speech(), &[bad]), &[500, 1_920, 7_000]);
                encode_end(&mut encoder, &mut codes);
                assert!(codes == expected, "{network}: {bad}");
            }
        }
    }
}

#[test]
fn what_is_huge_is_cut() {
    for network in NETWORKS {
        let model = load(network);
        let options = all_codebooks(&model, Tail::AudioPad);
        for (huge, limit) in [(f32::MAX, 1e5), (-f32::MAX, -1e5), (1.1e5, 1e5)] {
            let cut = model.encode(&replaced(&speech(), &[limit]), &options).unwrap();
            let codes = model.encode(&replaced(&speech(), &[huge]), &options).unwrap();
            assert!(codes == cut, "{network}: {huge}");
            let audio = model.decode(&codes, &options).unwrap();
            assert!(audio.iter().all(|sample| sample.is_finite()), "{network}: {huge}");
        }
    }
}

/// Long after the loudest noise that is let through, the codes are those of a stream that never heard
/// it: nothing stays, neither NaN nor anything else.
#[test]
fn noise_is_forgotten() {
    for network in NETWORKS {
        let model = load(network);
        let options = all_codebooks(&model, Tail::AudioPad);
        let frame = model.config().frame_size();
        let after: Vec<f32> =
            speech().iter().cycle().copied().take((memory_in_frames(&model) + 10) * frame).collect();
        let noise = [f32::MAX, f32::NAN, -f32::MAX, f32::MIN_POSITIVE / 2.0, 1e30];
        let before: Vec<f32> = noise.iter().cycle().copied().take(20 * frame).collect();
        let quiet = vec![0.0; before.len()];
        let last = |before: &[f32]| {
            let codes = model.encode(&[before, &after].concat(), &options).unwrap();
            codes[codes.len() - 5 * model.codebooks()..].to_vec()
        };
        assert!(last(&before) == last(&quiet), "{network}");
    }
}

/// Encodes and decodes; gives the codes and the time.
fn timed(model: &Model, pcm: &[f32]) -> (Vec<u32>, std::time::Duration) {
    let start = std::time::Instant::now();
    let codes = model.encode(pcm, &StreamOptions::default()).unwrap();
    model.decode(&codes, &StreamOptions::default()).unwrap();
    (codes, start.elapsed())
}

/// A processor that takes denormals the slow way takes tens of times longer.
#[test]
fn denormals_cost_nothing() {
    let model = load("tiny");
    let denormals: Vec<f32> = (1..=100_000).map(|i| f32::from_bits(i * 80)).collect();
    let silence = vec![0.0; denormals.len()];
    // the least of some runs: others work on this machine
    let least = |pcm: &[f32]| (0..5).map(|_| timed(&model, pcm).1).min().unwrap();
    let (slow, fast) = (least(&denormals), least(&silence));
    assert!(slow < 4 * fast, "{slow:?} for denormals, {fast:?} for silence");
    assert!(timed(&model, &denormals).0 == timed(&model, &silence).0);
}

#[cfg(target_arch = "x86_64")]
mod mode {
    /// MXCSR.
    pub(super) fn get() -> u32 {
        let mut mode = 0u32;
        // SAFETY: stores MXCSR, four bytes, to a local.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack)) };
        // without the sticky flags of exceptions
        mode & !0x3f
    }

    pub(super) fn set(mode: u32) {
        // SAFETY: loads MXCSR from a local; callers unmask no exception.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack)) };
    }

    /// Flush to zero and denormals are zero.
    pub(super) const FLUSH: u32 = 1 << 15 | 1 << 6;
}

#[cfg(target_arch = "aarch64")]
mod mode {
    /// FPCR.
    pub(super) fn get() -> u32 {
        let mode: u64;
        // SAFETY: reads a register.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) mode, options(nomem, nostack)) };
        mode as u32
    }

    pub(super) fn set(mode: u32) {
        // SAFETY: the value came from `get`, but for the flush bit.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) u64::from(mode), options(nomem, nostack)) };
    }

    /// Flush to zero.
    pub(super) const FLUSH: u32 = 1 << 24;
}

/// Whichever the caller has, it comes back, from errors too, and makes no difference to the codes.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn the_callers_floating_point_mode_comes_back() {
    let model = load("tiny");
    let options = all_codebooks(&model, Tail::LayerPad);
    let pcm: Vec<f32> = speech()[..20_000].iter().map(|sample| sample * 1e-38).collect();
    let callers = mode::get();
    let mut results = Vec::new();
    for set in [callers & !mode::FLUSH, callers | mode::FLUSH] {
        mode::set(set);
        let mut encoder = Encoder::new(&model, &options).unwrap();
        let mut codes = vec![0; 11 * encoder.codebooks()];
        let written = encoder.process(&pcm, &mut codes);
        let after_process = mode::get();
        let refused = encoder.process(&pcm, &mut []);
        let flushed = encoder.flush(&mut codes[10 * encoder.codebooks()..]);
        let after_flush = mode::get();
        let mut decoder = Decoder::new(&model, &options).unwrap();
        let mut audio = vec![0.0; 11 * 1_920];
        let decoded = decoder.process(&codes, &mut audio);
        let after_decoder = mode::get();
        mode::set(callers);
        assert_eq!([after_process, after_flush, after_decoder], [set; 3]);
        assert_eq!((written, flushed), (Ok(10 * 6), Ok(6)));
        assert_eq!(decoded, Ok(audio.len()));
        assert!(refused.is_err());
        results.push((codes, audio));
    }
    assert!(results[0] == results[1]);
}
