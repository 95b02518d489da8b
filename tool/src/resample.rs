//! Sample rates: a stream of mono audio from one rate to another, aligned and of exact length.

use crate::failure::{Failure, Outcome};
use mimi_fft::{BlockResampler, WindowFunction};

/// Taps of the anti-aliasing filter, counted at the lower of the two rates, at least. The
/// transition band is about 2% of the band at this length, and stays inside it.
const MIN_TAPS: usize = 1024;

/// Hz. Outside of this nobody has audio, and filters would become as long as files.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// One stream, resampled. What comes out is aligned with what went in: output sample i is the
/// sound at input sample i · from / to.
pub(crate) struct Resampler {
    to: u32,
    /// `None` if the rates are equal.
    fft: Option<BlockResampler>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    /// What one block becomes.
    block: Vec<f32>,
    /// Output samples still to be dropped: the delay of the filter.
    skip: usize,
    given: u64,
}

impl Resampler {
    pub(crate) fn new(from: u32, to: u32) -> Outcome<Self> {
        for rate in [from, to] {
            if !RATES.contains(&rate) {
                let (low, high) = (RATES.start(), RATES.end());
                return Err(Failure::new(format!("a sample rate of {rate} Hz; expected {low} to {high}")));
            }
        }
        let fft = if from == to { None } else { Some(block_resampler(from, to)?) };
        let (skip, block) = fft.as_ref().map_or((0, 0), |fft| (fft.delay(), fft.block().1));
        Ok(Self { to, fft, pending: Vec::new(), block: vec![0.0; block], skip, given: 0 })
    }

    /// Hz, of the output.
    pub(crate) fn to(&self) -> u32 {
        self.to
    }

    /// Takes all of `pcm` and appends what is ready to `out`.
    pub(crate) fn push(&mut self, pcm: &[f32], out: &mut Vec<f32>) -> Outcome {
        let Some(fft) = &mut self.fft else {
            self.given += pcm.len() as u64;
            out.extend_from_slice(pcm);
            return Ok(());
        };
        self.pending.extend_from_slice(pcm);
        let (size, written) = fft.block();
        let whole = self.pending.len() / size * size;
        for input in self.pending[..whole].chunks_exact(size) {
            fft.convert(input, &mut self.block).map_err(internal)?;
            let dropped = self.skip.min(written);
            self.skip -= dropped;
            self.given += (written - dropped) as u64;
            out.extend_from_slice(&self.block[dropped..]);
        }
        self.pending.drain(..whole);
        Ok(())
    }

    /// Ends the stream: appends the rest to `out`, so that `total` samples came out of this stream
    /// in all. Silence is taken to follow the input.
    pub(crate) fn finish(&mut self, total: u64, out: &mut Vec<f32>) -> Outcome {
        while self.given < total {
            let silence = self.fft.as_ref().map_or(1024, |fft| fft.block().0);
            self.push(&vec![0.0; silence], out)?;
        }
        let surplus = (self.given - total).min(out.len() as u64);
        out.truncate(out.len() - surplus as usize);
        self.given -= surplus;
        Ok(())
    }
}

/// `samples` at rate `from`, counted at rate `to`: those that begin before the end, as the library counts them.
pub(crate) fn converted_length(samples: u64, from: u32, to: u32) -> u64 {
    (u128::from(samples) * u128::from(to)).div_ceil(u128::from(from)) as u64
}

/// An FFT resampler whose delay is a whole number of output samples: half a block, so blocks are
/// of even length on both sides.
fn block_resampler(from: u32, to: u32) -> Outcome<BlockResampler> {
    let divisor = gcd(from, to);
    let (step_in, step_out) = ((from / divisor) as usize, (to / divisor) as usize);
    let steps = MIN_TAPS.div_ceil(step_in.min(step_out)).next_multiple_of(2);
    let window = WindowFunction::BlackmanHarris2;
    BlockResampler::new(from as usize, to as usize, steps * step_in, window).map_err(internal)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("resampling failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi::bitstream::Header;

    const A_HEADER: Header = Header {
        codebooks: 8,
        code_bits: 11,
        sample_rate: 24_000,
        frame_samples: 1_920,
        samples: 0,
        model_id: 0,
    };

    fn sine(hertz: f64, rate: u32, samples: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..samples).map(|i| (0.5 * (step * i as f64).sin()) as f32).collect()
    }

    fn resample(pcm: &[f32], from: u32, to: u32, chunk: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        for chunk in pcm.chunks(chunk) {
            resampler.push(chunk, &mut out).unwrap();
        }
        resampler.finish(converted_length(pcm.len() as u64, from, to), &mut out).unwrap();
        out
    }

    /// Largest difference in the middle half, away from the edges of the recording.
    fn difference(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let middle = a.len() / 4..a.len() * 3 / 4;
        a[middle.clone()].iter().zip(&b[middle]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_sine_stays_in_phase_at_every_common_rate() {
        for rate in
            [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 44_057]
        {
            let seconds = 8;
            let model = sine(997.0, 24_000, 24_000 * seconds);
            let there = resample(&sine(997.0, rate, rate as usize * seconds), rate, 24_000, 4_096);
            assert!(difference(&there, &model) < 2e-5, "from {rate}: {}", difference(&there, &model));
            let back = resample(&model, 24_000, rate, 1_000);
            let wanted = sine(997.0, rate, rate as usize * seconds);
            assert!(difference(&back, &wanted) < 2e-5, "to {rate}: {}", difference(&back, &wanted));
        }
    }

    #[test]
    fn the_band_is_kept_to_its_upper_end_and_what_lies_above_is_removed() {
        let kept = resample(&sine(11_400.0, 48_000, 96_000), 48_000, 24_000, 4_096);
        assert!(difference(&kept, &sine(11_400.0, 24_000, 48_000)) < 1e-3);
        let removed = resample(&sine(12_300.0, 48_000, 96_000), 48_000, 24_000, 4_096);
        assert!(difference(&removed, &vec![0.0; 48_000]) < 1e-4);
    }

    #[test]
    fn lengths_are_exact_and_chunks_do_not_matter() {
        for (from, to) in [(44_100, 24_000), (24_000, 44_100), (16_000, 24_000), (24_000, 24_000)] {
            for samples in [0, 1, 2, 147, 1_919, 10_007] {
                let pcm = sine(300.0, from, samples);
                let whole = resample(&pcm, from, to, samples.max(1));
                // as a program that uses the library cuts it
                let header = Header { sample_rate: from, samples: samples as u64, ..A_HEADER };
                let expected = header.samples_at(to).unwrap();
                assert_eq!(whole.len() as u64, expected, "{samples} samples from {from} to {to}");
                assert_eq!(whole, resample(&pcm, from, to, 13));
            }
        }
    }

    #[test]
    fn finish_gives_the_length_that_is_asked_for() {
        for total in [0, 10, 3_000, 20_000] {
            let mut resampler = Resampler::new(24_000, 44_100).unwrap();
            let mut out = Vec::new();
            resampler.push(&sine(300.0, 24_000, 5_000), &mut out).unwrap();
            resampler.finish(total, &mut out).unwrap();
            assert_eq!(out.len() as u64, total);
        }
    }

    #[test]
    fn absurd_rates_are_refused() {
        assert!(Resampler::new(0, 24_000).is_err());
        assert!(Resampler::new(u32::MAX, 24_000).is_err());
    }
}
