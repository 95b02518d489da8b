//! How far one recording is from another: in the waveform, and in the spectrum.

use mimi_fft::Spectrum;

/// Samples in a window of the spectrogram; 43 ms at 24 kHz.
const WINDOW: usize = 1024;
/// Bands of the mel spectrum.
const BANDS: usize = 80;
/// Hz where the lowest mel band begins.
const LOWEST: f64 = 20.0;
/// Magnitudes below this count as this: −60 dB of a band's full scale.
const FLOOR: f32 = 1e-3;

/// What a number of codebooks keeps of a recording.
pub(crate) struct Level {
    pub(crate) codebooks: usize,
    /// Per second.
    pub(crate) kilobits: f64,
    /// dB, of what is decoded.
    pub(crate) si_sdr: f64,
    /// dB, from the recording to what is decoded.
    pub(crate) log_mel: f64,
}

/// Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., "SDR – half-baked or well
/// done?", 2019): the energy of `estimate` along `reference` over the energy of the rest. Means are
/// removed. Of what is longer, the end is ignored.
pub(crate) fn si_sdr(reference: &[f32], estimate: &[f32]) -> f64 {
    let length = reference.len().min(estimate.len());
    let (reference, estimate) = (&reference[..length], &estimate[..length]);
    let mean = |pcm: &[f32]| pcm.iter().map(|&sample| f64::from(sample)).sum::<f64>() / length as f64;
    let (reference_mean, estimate_mean) = (mean(reference), mean(estimate));
    let (mut energy, mut reference_energy, mut product) = (0.0, 0.0, 0.0);
    for (&reference, &estimate) in reference.iter().zip(estimate) {
        let (reference, estimate) =
            (f64::from(reference) - reference_mean, f64::from(estimate) - estimate_mean);
        energy += estimate * estimate;
        reference_energy += reference * reference;
        product += reference * estimate;
    }
    let along = product * product / reference_energy;
    // Of equal recordings, what is left is rounding, on either side of 0.
    10.0 * (along / (energy - along).max(0.0)).log10()
}

/// Magnitude spectra of Hann windows.
pub(crate) struct Spectrogram {
    spectrum: Spectrum,
    hann: Vec<f32>,
}

impl Spectrogram {
    /// Samples from one window to the next.
    pub(crate) const HOP: usize = 256;

    /// Bins of a spectrum, from 0 Hz to half the sample rate.
    pub(crate) const BINS: usize = WINDOW / 2 + 1;

    pub(crate) fn new() -> Self {
        let phase = |i: usize| std::f64::consts::TAU * i as f64 / WINDOW as f64;
        let hann = (0..WINDOW).map(|i| (0.5 - 0.5 * phase(i).cos()) as f32).collect();
        Self { spectrum: Spectrum::new(WINDOW), hann }
    }

    /// Windows of `samples` samples; the first is centred on the first sample.
    pub(crate) fn count(samples: usize) -> usize {
        samples.div_ceil(Self::HOP)
    }

    /// Magnitudes of window `index` of `pcm`, of which there is silence before and after.
    pub(crate) fn magnitudes(&mut self, pcm: &[f32], index: usize) -> impl Iterator<Item = f32> {
        for (i, (input, weight)) in self.spectrum.input().iter_mut().zip(&self.hann).enumerate() {
            let sample = (index * Self::HOP + i).checked_sub(WINDOW / 2).and_then(|at| pcm.get(at));
            *input = sample.unwrap_or(&0.0) * weight;
        }
        self.spectrum.magnitudes()
    }
}

/// Triangular bands, equally wide in mel (2595·log10(1 + f/700)).
struct MelBank(Vec<Band>);

/// A band's first bin, and the weights from there to its last bin: all others are 0.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl MelBank {
    fn new(rate: u32) -> Self {
        let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
        let hertz = |mel: f64| 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
        let (low, high) = (mel(LOWEST), mel(f64::from(rate) / 2.0));
        let edge = |i: usize| {
            hertz(low + (high - low) * i as f64 / (BANDS + 1) as f64) * WINDOW as f64 / f64::from(rate)
        };
        let weight = |band: usize, bin: usize| {
            let (left, peak, right, bin) = (edge(band), edge(band + 1), edge(band + 2), bin as f64);
            ((bin - left) / (peak - left)).min((right - bin) / (right - peak)).max(0.0) as f32
        };
        let band = |band| {
            let weights = (0..Spectrogram::BINS).map(|bin| weight(band, bin));
            let first = weights.clone().take_while(|&weight| weight == 0.0).count();
            Band { first, weights: weights.skip(first).take_while(|&weight| weight > 0.0).collect() }
        };
        Self((0..BANDS).map(band).collect())
    }

    /// Decibels of each band.
    fn decibels<'a>(&'a self, magnitudes: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        self.0.iter().map(move |Band { first, weights }| {
            let magnitudes = magnitudes.iter().skip(*first);
            let sum: f32 = weights.iter().zip(magnitudes).map(|(weight, magnitude)| weight * magnitude).sum();
            20.0 * sum.max(FLOOR).log10()
        })
    }
}

/// The mean over time and 80 mel bands of the absolute difference of two recordings in dB. Both are
/// at `rate` Hz; of what is longer, the end is ignored.
pub(crate) fn log_mel_distance(a: &[f32], b: &[f32], rate: u32) -> f64 {
    let length = a.len().min(b.len());
    let (mut spectrogram, bank) = (Spectrogram::new(), MelBank::new(rate));
    let mut decibels = |pcm: &[f32], index| -> Vec<f32> {
        let magnitudes: Vec<f32> = spectrogram.magnitudes(&pcm[..length], index).collect();
        bank.decibels(&magnitudes).collect()
    };
    let count = Spectrogram::count(length);
    let sum: f64 = (0..count)
        .map(|index| {
            let (a, b) = (decibels(a, index), decibels(b, index));
            a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
        })
        .sum();
    sum / (count * BANDS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(samples: usize, mut state: u32) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..samples).map(|_| next()).collect()
    }

    #[test]
    fn si_sdr_is_the_ratio_of_signal_and_noise_and_ignores_scale_and_offset() {
        let (signal, noise) = (noise(200_000, 1), noise(200_000, 2));
        let mixed: Vec<f32> = signal.iter().zip(&noise).map(|(s, n)| 0.25 * (s + 0.1 * n) + 0.3).collect();
        assert!((si_sdr(&signal, &mixed) - 20.0).abs() < 0.1, "{}", si_sdr(&signal, &mixed));
    }

    #[test]
    fn log_mel_distance_is_zero_for_the_same_and_the_gain_for_a_gain() {
        let loud = noise(30_000, 1);
        let soft: Vec<f32> = loud.iter().map(|sample| sample * 0.5).collect();
        assert_eq!(log_mel_distance(&loud, &loud, 24_000), 0.0);
        // the lowest bands are narrower than a bin, and silent
        let distance = log_mel_distance(&loud, &soft, 24_000);
        assert!((5.0..6.03).contains(&distance), "{distance}");
    }

    #[test]
    fn a_sine_is_a_peak_at_its_bin() {
        let sine: Vec<f32> = (0..8_000).map(|i| (i as f32 * std::f32::consts::TAU * 0.125).sin()).collect();
        let magnitudes: Vec<f32> = Spectrogram::new().magnitudes(&sine, 10).collect();
        let peak = (0..magnitudes.len()).max_by(|&a, &b| magnitudes[a].total_cmp(&magnitudes[b])).unwrap();
        assert_eq!(peak, WINDOW / 8);
        // half of the window's sum, which is half its length
        assert!((magnitudes[peak] - 256.0).abs() < 1.0);
    }
}
