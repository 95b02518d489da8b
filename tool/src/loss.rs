//! Frames that get lost on the way, as packets do, so that one can hear it.

use crate::args::LossArgs;

/// Takes frames away at random: the same ones for the same seed. By default none.
#[derive(Default)]
pub(crate) struct Losses {
    /// That a loss begins with a frame that comes after one that arrived.
    chance: f64,
    /// Frames that a loss takes at once.
    burst: u32,
    /// Of the current loss.
    left: u32,
    random: u64,
}

impl Losses {
    pub(crate) fn new(args: &LossArgs) -> Self {
        let share = args.loss.unwrap_or(0.0) / 100.0;
        let burst = f64::from(args.burst);
        // between losses of `burst` frames lie burst·(1 − share) / share others, on average
        let chance = share / (share + burst * (1.0 - share));
        Self { chance, burst: args.burst, left: 0, random: args.seed }
    }

    /// Whether the next frame is lost.
    pub(crate) fn next_is_lost(&mut self) -> bool {
        if self.left == 0 && self.next() < self.chance {
            self.left = self.burst;
        }
        let is_lost = self.left > 0;
        self.left -= u32::from(is_lost);
        is_lost
    }

    /// A number from 0 to below 1: splitmix64.
    fn next(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_frames_are_lost_as_was_asked_for_in_bursts() {
        for (percent, burst) in [(0.0, 1), (5.0, 1), (20.0, 1), (10.0, 10), (50.0, 3), (100.0, 4)] {
            let mut losses = Losses::new(&LossArgs { loss: Some(percent), burst, seed: 7 });
            let lost: Vec<bool> = (0..100_000).map(|_| losses.next_is_lost()).collect();
            let share = 100.0 * lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
            assert!((share - percent).abs() < 0.1 + 0.05 * percent, "{share} of {percent}");
            // a burst may follow another, and the last may be cut
            let runs = lost.chunk_by(|a, b| a == b).filter(|run| run[0] && !run.is_empty());
            let short = runs.filter(|run| !run.len().is_multiple_of(burst as usize)).count();
            assert!(short <= 1, "{percent}, {burst}: {short}");
        }
    }
}
