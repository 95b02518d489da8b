//! The sound of frames that did not arrive.
//!
//! The network is given the last latent again, and goes on with a sound like the last one. Here that sound is made to
//! fall silent, and the stream's own to swell when it comes back, so that neither seam clicks:
//!
//! ```text
//! frames       good     lost     lost     lost     lost     lost     lost     good
//! gain       1 ────────╲___                                                  ╱─────── 1
//!                          ‾‾‾╲______                                       ╱
//!                                    ‾‾‾‾‾‾╲___________╲_______ 0 ─────────╱
//! limit      none     │ the last good frame's peak                         │╱ none
//! ```

/// Lost frames in a row after which there is silence.
const AUDIBLE: usize = 5;

/// Gains at the ends of lost frames, after the good frame before them.
const GAINS: [f32; AUDIBLE + 1] = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0];

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
