//! Alignment, band and bookkeeping of the resampler alone; streams are tested in `tests/streaming`.

use super::*;

/// The published model's.
const MODEL: u32 = 24_000;
const FRAME: usize = 1_920;

/// Up and down, small ratios and large ones, blocks of a part of a frame and of a whole one.
const RATES: [u32; 11] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 23_975, 32_000, 44_100, 48_000, 96_000, 192_000];

fn rates(rate: u32) -> Rates {
    Rates::new(Some(rate), MODEL, FRAME).unwrap()
}

/// All of `pcm`, whole frames, at the model's rate.
fn to_model(rates: Rates, pcm: &[f32]) -> Vec<f32> {
    let mut resampler = rates.resampler_to_model().unwrap().unwrap();
    let ahead = resampler.ahead();
    let mut rest = pcm[ahead..].to_vec();
    rest.resize(pcm.len(), 0.0);
    let mut out = vec![f32::NAN; pcm.len() / rates.frame() * FRAME];
    resampler.lead_in(&pcm[..ahead]);
    assert_eq!(resampler.convert(&rest, &mut out), out.len());
    out
}

/// All of `pcm`, whole frames of the model's, at the stream's rate.
fn from_model(rates: Rates, pcm: &[f32]) -> Vec<f32> {
    let mut resampler = rates.resampler_from_model().unwrap().unwrap();
    let mut out = vec![f32::NAN; pcm.len() / FRAME * rates.frame()];
    let written = resampler.convert(pcm, &mut out);
    assert_eq!(out.len() - written, resampler.owed());
    resampler.finish(&mut out[written..]);
    out
}

#[test]
fn an_impulse_stays_where_it_is() {
    for rate in RATES {
        let rates = rates(rate);
        // the same moments at both rates
        for eighth in [1, 4, 7, 11, 16, 25] {
            let (theirs, ours) = (rates.frame() / 8 * eighth, FRAME / 8 * eighth);
            if theirs * FRAME != ours * rates.frame() {
                continue;
            }
            let mut impulse = vec![0.0; 4 * rates.frame()];
            impulse[theirs] = 1.0;
            assert_peak(&to_model(rates, &impulse), ours, &format!("from {rate} Hz"));
            let mut impulse = vec![0.0; 4 * FRAME];
            impulse[ours] = 1.0;
            assert_peak(&from_model(rates, &impulse), theirs, &format!("to {rate} Hz"));
        }
    }
}

/// `pcm` is largest at `peak`, and the same on both sides of it.
#[track_caller]
fn assert_peak(pcm: &[f32], peak: usize, what: &str) {
    let largest = (0..pcm.len()).max_by(|&a, &b| pcm[a].abs().total_cmp(&pcm[b].abs()));
    assert_eq!(largest, Some(peak), "{what}");
    for off in 1..=peak.min(pcm.len() - 1 - peak).min(200) {
        let difference = (pcm[peak - off] - pcm[peak + off]).abs();
        assert!(difference < 1e-6 * pcm[peak].max(1.0), "{what}, {off} off the peak: {difference}");
    }
}

/// A tone's amplitude away from the ends.
fn amplitude(pcm: &[f32]) -> f32 {
    let middle = &pcm[pcm.len() / 4..pcm.len() * 3 / 4];
    (middle.iter().map(|x| x * x).sum::<f32>() / middle.len() as f32 * 2.0).sqrt()
}

fn tone(hertz: f64, rate: u32, samples: usize) -> Vec<f32> {
    let step = std::f64::consts::TAU * hertz / f64::from(rate);
    (0..samples).map(|i| (step * i as f64).sin() as f32).collect()
}

#[test]
fn the_band_is_kept_and_what_lies_above_is_removed() {
    for rate in [11_025, 16_000, 22_050, 44_100, 48_000, 96_000] {
        let rates = rates(rate);
        let edge = f64::from(rate.min(MODEL)) / 2.0;
        let kept = tone(0.94 * edge, rate, 10 * rates.frame());
        let kept = amplitude(&to_model(rates, &kept));
        assert!((kept - 1.0).abs() < 0.003, "from {rate} Hz: {kept}");
        let kept = amplitude(&from_model(rates, &tone(0.94 * edge, MODEL, 10 * FRAME)));
        assert!((kept - 1.0).abs() < 0.003, "to {rate} Hz: {kept}");
        if rate > MODEL {
            let removed = amplitude(&to_model(rates, &tone(1.01 * edge, rate, 10 * rates.frame())));
            assert!(removed < 1e-4, "from {rate} Hz: {removed}");
        }
    }
}

#[test]
fn there_and_back_is_the_same_sound_at_the_same_time() {
    for rate in RATES.into_iter().filter(|&rate| rate >= 16_000) {
        let sound = tone(997.0, MODEL, 10 * FRAME);
        let back = to_model(rates(rate), &from_model(rates(rate), &sound));
        let off = sound
            .iter()
            .zip(&back)
            .skip(4_000)
            .take(11_200)
            .fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
        assert!(off < 1e-4, "{rate} Hz: off by {off}");
    }
}

#[test]
fn frames_are_whole_at_every_possible_rate() {
    for rate in (1_000..=768_000).step_by(25).filter(|&rate| rate != MODEL) {
        let Rates { stream, model } = rates(rate);
        assert_eq!(stream.frame as u64 * u64::from(MODEL), FRAME as u64 * u64::from(rate), "{rate} Hz");
        assert_eq!((stream.rate, model.rate, model.frame), (rate, MODEL, FRAME));
        for side in [stream, model] {
            assert!(
                side.block.is_multiple_of(2) && side.frame.is_multiple_of(side.block),
                "{rate} Hz: {side:?}"
            );
        }
        assert_eq!(stream.frame / stream.block, model.frame / model.block, "{rate} Hz");
    }
    let frames = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000].map(|rate| rates(rate).frame());
    assert_eq!(frames, [640, 882, 1_280, 1_764, 3_528, 3_840]);
    let blocks = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000].map(|rate| rates(rate).stream.block);
    assert_eq!(blocks, [320, 294, 320, 294, 588, 640]);
}

#[test]
fn other_rates_are_refused_with_those_that_are_possible() {
    for rate in [0, 1, 975, 44_056, 44_099, 768_025, u32::MAX] {
        let error = Rates::new(Some(rate), MODEL, FRAME).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let expected = format!(
            "sample_rate is {rate} Hz: expected 24000 Hz, the model's, or a multiple of 25 Hz from 1000 to 768000 Hz"
        );
        assert_eq!(error.message(), expected);
    }
    let odd = Rates::new(Some(48_000), 24_000, 1_921).unwrap_err();
    assert!(
        odd.message().ends_with("expected 24000 Hz, the model's own, because its frames cannot be halved"),
        "{odd}"
    );
    for same in [None, Some(24_000)] {
        let rates = Rates::new(same, 24_000, 1_921).unwrap();
        assert_eq!((rates.frame(), rates.at_model_rate(7)), (1_921, 7));
        assert!(
            rates.resampler_to_model().unwrap().is_none() && rates.resampler_from_model().unwrap().is_none()
        );
    }
}

#[test]
fn lengths_at_the_models_rate_are_rounded_up() {
    let lengths = [0, 1, 2, 3_527, 3_528, 3_529].map(|samples| rates(44_100).at_model_rate(samples));
    assert_eq!(lengths, [0, 1, 2, 1_920, 1_920, 1_921]);
    assert_eq!([1, 2, 639].map(|samples| rates(8_000).at_model_rate(samples)), [3, 6, 1_917]);
    assert_eq!(rates(8_000).at_model_rate(usize::MAX), usize::MAX);
}

#[test]
fn a_clone_goes_on_and_a_reset_begins_anew() {
    let sound = tone(500.0, MODEL, 3 * FRAME);
    let mut resampler = rates(44_100).resampler_from_model().unwrap().unwrap();
    let run = |resampler: &mut Resampler, pcm: &[f32]| {
        let mut out = vec![0.0; 3 * 3_528];
        let written = resampler.convert(pcm, &mut out);
        out.truncate(written);
        out
    };
    let mut fresh = resampler.try_clone().unwrap();
    let whole = run(&mut resampler, &sound);
    let begin = run(&mut fresh, &sound[..FRAME]);
    let mut fork = fresh.try_clone().unwrap();
    assert_eq!([begin.clone(), run(&mut fresh, &sound[FRAME..])].concat(), whole);
    assert_eq!([begin, run(&mut fork, &sound[FRAME..])].concat(), whole);
    fork.reset();
    assert_eq!(run(&mut fork, &sound), whole);
}
