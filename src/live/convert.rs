//! Sample rates other than the model's, a block at a time: streams convert a frame at once, which is too much for
//! one call of an audio thread.

use crate::Error;
use crate::error::with_capacity;
use crate::resample::{Rates, Resampler};
use crate::stream::copy_finite;

fn zeros(len: usize) -> Result<Vec<f32>, Error> {
    let mut buffer = with_capacity(len)?;
    buffer.resize(len, 0.0);
    Ok(buffer)
}

/// Samples at the stream's rate to frames at the model's: the same bits as an encoder makes of them.
pub(super) struct Intake {
    resampler: Option<Box<Resampler>>,
    /// What is no block yet, at the stream's rate.
    input: Vec<f32>,
    filled: usize,
    /// The frame at hand, at the model's rate.
    frame: Vec<f32>,
    made: usize,
}

impl Intake {
    /// For frames of `frame` samples at the model's rate.
    pub(super) fn new(rates: Rates, frame: usize) -> Result<Self, Error> {
        let resampler = rates.resampler_to_model()?;
        let block = resampler.as_deref().map_or(0, |resampler| 2 * resampler.ahead());
        Ok(Self { resampler, input: zeros(block)?, filled: 0, frame: zeros(frame)?, made: 0 })
    }

    pub(super) fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        (self.filled, self.made) = (0, 0);
    }

    /// Samples that a frame needs beyond its own.
    pub(super) fn ahead(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::ahead)
    }

    /// Samples at the stream's rate that complete the frame at hand.
    pub(super) fn missing(&self) -> usize {
        let missing = self.frame.len() - self.made;
        match &self.resampler {
            None => missing,
            Some(resampler) => {
                let blocks = missing / (2 * resampler.delay());
                blocks * self.input.len() + resampler.wait() - self.filled
            }
        }
    }

    /// Takes samples, no more than are [`missing`](Self::missing).
    pub(super) fn take(&mut self, pcm: &[f32]) {
        let Some(resampler) = &mut self.resampler else {
            copy_finite(pcm, &mut self.frame[self.made..][..pcm.len()]);
            self.made += pcm.len();
            return;
        };
        let mut rest = pcm;
        while !rest.is_empty() {
            let wait = resampler.wait();
            let whole = if wait > 0 { wait } else { self.input.len() };
            let (now, later) = rest.split_at(rest.len().min(whole - self.filled));
            copy_finite(now, &mut self.input[self.filled..][..now.len()]);
            self.filled += now.len();
            rest = later;
            if self.filled < whole {
                return;
            }
            self.filled = 0;
            match wait {
                0 => self.made += resampler.convert(&self.input, &mut self.frame[self.made..]),
                _ => resampler.lead_in(&self.input[..wait]),
            }
        }
    }

    /// The frame, if it is complete; the next one begins.
    pub(super) fn frame(&mut self) -> Option<&[f32]> {
        if self.made < self.frame.len() {
            return None;
        }
        self.made = 0;
        Some(&self.frame)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.input.as_slice())
            + size_of_val(self.frame.as_slice())
            + self.resampler.as_deref().map_or(0, Resampler::bytes)
    }
}

/// Frames at the model's rate to samples at the stream's: those of a decoder, behind as many samples of silence as the
/// resampler holds back.
pub(super) struct Outlet {
    resampler: Option<Box<Resampler>>,
    /// A frame at the model's rate.
    frame: Vec<f32>,
    /// The block at hand, at the stream's rate.
    block: Vec<f32>,
    /// Samples of the frame that were given, at the stream's rate.
    at: usize,
}

impl Outlet {
    /// For frames of `frame` samples at the model's rate.
    pub(super) fn new(rates: Rates, frame: usize) -> Result<Self, Error> {
        let resampler = rates.resampler_from_model()?;
        let block = resampler.as_deref().map_or(0, |resampler| 2 * resampler.delay());
        Ok(Self { resampler, frame: zeros(frame)?, block: zeros(block)?, at: 0 })
    }

    pub(super) fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Samples of silence before the first frame.
    pub(super) fn delay(&self) -> usize {
        self.resampler.as_deref().map_or(0, Resampler::delay)
    }

    /// Room for the next frame.
    pub(super) fn frame(&mut self) -> &mut [f32] {
        self.at = 0;
        &mut self.frame
    }

    /// The next samples of the frame; no more than it has.
    pub(super) fn give(&mut self, pcm: &mut [f32]) {
        let Some(resampler) = &mut self.resampler else {
            pcm.copy_from_slice(&self.frame[self.at..][..pcm.len()]);
            self.at += pcm.len();
            return;
        };
        let (from, to) = (2 * resampler.ahead(), self.block.len());
        let mut rest = pcm;
        while !rest.is_empty() {
            let (block, at) = (self.at / to, self.at % to);
            if at == 0 {
                let made = resampler.convert(&self.frame[block * from..][..from], &mut self.block);
                // the first block of a stream is shorter
                self.block.copy_within(..made, to - made);
                self.block[..to - made].fill(0.0);
            }
            let (now, later) = rest.split_at_mut((to - at).min(rest.len()));
            now.copy_from_slice(&self.block[at..][..now.len()]);
            self.at += now.len();
            rest = later;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.frame.as_slice())
            + size_of_val(self.block.as_slice())
            + self.resampler.as_deref().map_or(0, Resampler::bytes)
    }
}
