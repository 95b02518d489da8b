//! Twenty minutes of audio through one pair of streams: memory stays as it is, and so does the sound.

mod support;

use mimi::{Decoder, Encoder, LoadOptions, Model, StreamOptions};
use support::{repository, wav};

/// Seconds of audio.
const SECONDS: usize = 20 * 60;

/// Pages of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident_pages() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    Some(statm.split(' ').nth(1).unwrap().parse().unwrap())
}

#[cfg(not(target_os = "linux"))]
fn resident_pages() -> Option<usize> {
    None
}

#[test]
fn twenty_minutes() {
    let path = repository("tests/data/golden/tiny");
    let model = Model::load(path, &LoadOptions::default()).unwrap();
    let speech = wav(&repository("tests/data/golden/speech.wav"));
    let options = StreamOptions { max_block: Some(16 * 1_920), ..Default::default() };
    let mut encoder = Encoder::new(&model, &options).unwrap();
    let mut decoder = Decoder::new(&model, &options).unwrap();
    let memory = [encoder.memory_bytes(), decoder.memory_bytes()];
    let mut codes = vec![0; encoder.codes_for(speech.len() + 1_920)];
    let mut audio = vec![0.0; decoder.samples_for(codes.len())];
    let rounds = SECONDS * 24_000 / speech.len() + 1;
    let (mut first_pages, mut frames, mut loudest) = (None, 0, [0.0f32; 2]);
    for round in 0..rounds {
        let written = encoder.process(&speech, &mut codes).unwrap();
        let samples = decoder.process(&codes[..written], &mut audio).unwrap();
        frames += (samples / 1_920) as u64;
        assert!(audio[..samples].iter().all(|sample| sample.is_finite()));
        let peak = audio[..samples].iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let half = round * 2 / rounds;
        loudest[half] = loudest[half].max(peak);
        // by now, all that is ever used has been used
        if round == 10 {
            first_pages = resident_pages();
        }
    }
    assert_eq!([encoder.memory_bytes(), decoder.memory_bytes()], memory);
    assert_eq!([encoder.frames(), decoder.frames()], [frames; 2]);
    assert_eq!(frames, (rounds * speech.len() / 1_920) as u64);
    assert_eq!(encoder.codes_hash(), decoder.codes_hash());
    assert!(loudest[1] > 0.0 && loudest[1] <= 1.5 * loudest[0], "loudest: {loudest:?}");
    if let (Some(first), Some(last)) = (first_pages, resident_pages()) {
        // the test harness has a few of its own
        assert!(last <= first + 64, "{first} pages at first, {last} at last");
    }
}
