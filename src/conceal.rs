//! The sound of frames that did not arrive.
//!
//! The network is given the last latent again, smaller each time, and goes on with a sound like the last one. Here that
//! sound is made to fall silent, and the stream's own to swell when it comes back. Neither seam clicks, because gain
//! and limit change from sample to sample:
//!
//! ```text
//! frames │ good │ lost │ lost │ lost │ lost │ lost │ lost │ good
//! gain    1      1      1    ↘ 0.9  ↘ 0.7  ↘ 0.4  ↘ 0      0 ↗ 1 in a quarter of it
//! limit   none   the good frame's peak                       ↗ none
//! ```

/// Lost frames in a row after which there is silence.
const AUDIBLE: usize = 5;

/// Gains at the ends of lost frames, after the good frame before them.
const GAINS: [f32; AUDIBLE + 1] = [1.0, 1.0, 0.9, 0.7, 0.4, 0.0];

/// The part of a frame in which the sound comes back.
const RETURN: usize = 4;

/// Shapes a stream's samples, at the model's rate, frame by frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Concealment {
    /// The largest magnitude in the last frame that was not lost.
    peak: f32,
    /// Lost frames since then, at most [`AUDIBLE`].
    lost: usize,
}

impl Concealment {
    /// Shapes a frame. One that is not lost and does not follow a lost one stays as it is.
    pub(crate) fn shape(&mut self, samples: &mut [f32], lost: bool) {
        match (lost, self.lost) {
            (false, 0) => {}
            (false, _) => self.swell(samples),
            (true, AUDIBLE) => samples.fill(0.0),
            (true, _) => self.fade(samples),
        }
        match lost {
            true => self.lost = AUDIBLE.min(self.lost + 1),
            false => *self = Self { peak: samples.iter().fold(0.0, |peak, x| peak.max(x.abs())), lost: 0 },
        }
    }

    /// A frame that is lost.
    fn fade(&self, samples: &mut [f32]) {
        let len = samples.len() as f32;
        let [from, to] = [GAINS[self.lost], GAINS[self.lost + 1]];
        for (i, sample) in samples.iter_mut().enumerate() {
            let gain = from + (to - from) * ((i + 1) as f32 / len);
            *sample = self.limited(*sample) * gain;
        }
    }

    /// The first frame that is not.
    fn swell(&self, samples: &mut [f32]) {
        let len = samples.len() / RETURN;
        let from = GAINS[self.lost];
        for (i, sample) in samples[..len].iter_mut().enumerate() {
            let part = i as f32 / len as f32;
            let limited = self.limited(*sample);
            *sample = (limited + (*sample - limited) * part) * (from + (1.0 - from) * part);
        }
    }

    /// A sample, no louder than the last frame that was not lost.
    fn limited(&self, sample: f32) -> f32 {
        // unlike clamp(), also where the peak is not a number
        sample.max(-self.peak).min(self.peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 480;

    /// Frames of a network that goes on at `level`, where `lost` says so.
    fn heard(frames: &[(f32, bool)]) -> Vec<f32> {
        let mut concealment = Concealment::default();
        frames
            .iter()
            .flat_map(|&(level, lost)| {
                let mut samples = [level; FRAME];
                concealment.shape(&mut samples, lost);
                samples
            })
            .collect()
    }

    fn steepest(samples: &[f32]) -> f32 {
        samples.windows(2).fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
    }

    #[test]
    fn what_is_not_lost_keeps_its_bits() {
        let frame = [0.3, -0.0, f32::NAN, f32::INFINITY, 1e-40, -7.5];
        let mut concealment = Concealment::default();
        for _ in 0..3 {
            let mut samples = frame;
            concealment.shape(&mut samples, false);
            assert_eq!(samples.map(f32::to_bits), frame.map(f32::to_bits));
        }
    }

    #[test]
    fn a_loss_falls_silent_and_comes_back_without_a_step() {
        for lost in 1..=8 {
            let frames = [&[(0.5, false)][..], &vec![(0.5, true); lost], &[(0.5, false); 2]].concat();
            let sound = heard(&frames);
            let at = |frame: usize| sound[(1 + frame) * FRAME - 1];
            let expected = [0.5, 0.5, 0.45, 0.35, 0.2, 0.0, 0.0, 0.0, 0.0];
            for (frame, level) in expected.iter().enumerate().take(lost + 1) {
                assert!((at(frame) - level).abs() < 1e-6, "{lost} lost, frame {frame}: {}", at(frame));
            }
            assert!(sound[(1 + lost) * FRAME + FRAME / RETURN..].iter().all(|x| *x == 0.5));
            assert!(steepest(&sound) <= 0.5 / (FRAME / RETURN) as f32 + 1e-6, "{}", steepest(&sound));
        }
    }

    /// What comes after the good frame is four times as loud, or loud and silent by turns.
    #[test]
    fn a_loss_is_not_louder_than_what_came_before_and_its_limit_goes_without_a_step() {
        let frames = [(0.1, false), (0.4, true), (-0.4, true), (0.4, true), (0.4, false), (0.4, false)];
        let sound = heard(&frames);
        assert!(sound[..4 * FRAME].iter().all(|x| x.abs() <= 0.1));
        assert!(sound[3 * FRAME - 1] < -0.05, "{}", sound[3 * FRAME - 1]);
        let end = &sound[4 * FRAME - 1..];
        assert!(steepest(end) <= 2.0 * 0.4 / (FRAME / RETURN) as f32, "{}", steepest(end));
        assert_eq!(end.last(), Some(&0.4));
    }

    #[test]
    fn silence_before_the_first_frame_and_after_the_last_audible_one() {
        let sound = heard(&[(0.7, true), (0.7, true), (0.7, false)]);
        assert!(sound[..2 * FRAME].iter().all(|x| *x == 0.0));
        assert_eq!((sound[2 * FRAME], sound[3 * FRAME - 1]), (0.0, 0.7));
        let sound = heard(&[[(0.7, false)].as_slice(), &[(0.7, true); 40]].concat());
        assert!(sound[(1 + AUDIBLE) * FRAME..].iter().all(|x| *x == 0.0));
    }

    /// Networks may have frames of a few samples, and weights that make what is not a number.
    #[test]
    fn odd_frames_do_no_harm() {
        for len in 0..9 {
            let mut concealment = Concealment::default();
            for lost in [true, false, true, true, false, true] {
                let mut samples = vec![0.5; len];
                concealment.shape(&mut samples, lost);
                assert!(samples.iter().all(|x| x.abs() <= 0.5), "{samples:?}");
            }
        }
        let sound = heard(&[(f32::NAN, false), (f32::NAN, true), (0.25, false)]);
        assert!(sound[FRAME..].iter().all(|x| x.abs() <= 0.25));
    }
}
