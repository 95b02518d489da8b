//! Sample rates other than the model's: whole frames converted by rubato's FFT resampler, aligned to the
//! sample.
//!
//! The resampler converts one block of a fixed size at a time, and is linear-phase: what it gives lies half
//! a block behind what it took. Blocks are cut so that a frame is a whole number of them at both rates,
//! which makes the delay a constant of the stream and lets nothing depend on how the input is cut:
//!
//! ```text
//! to the model's rate     ░░██│████│████│████│██     blocks of input, ░ silence before the stream
//!                             │frame 0 │frame 1 │    known when half a block more of input is there
//! from the model's rate   │frame 0 │frame 1 │
//!                         ░░██│████│████│████│██     blocks of output, ░ dropped; half a block is owed at the end
//! ```

use crate::error::{Error, ErrorKind, with_capacity};
use crate::kernels::FlushDenormals;
use mimi_fft::{BlockResampler, WindowFunction};
use std::fmt;
use std::ops::RangeInclusive;

/// Hz. Beyond these nobody has audio.
const POSSIBLE_RATES: RangeInclusive<u32> = 1_000..=768_000;

/// Samples in a frame at either rate, at most: a resampler may take a hundred bytes for each.
const LONGEST_FRAME: u64 = 1 << 22;

/// Length of the anti-aliasing filter in samples at the lower rate, at least, if a frame is that long. It
/// keeps 94 % of the band; a longer one would keep more, and delay more. This is 80/6 ms at 22.05 kHz.
const FILTER_TAPS: usize = 294;

/// Blackman-Harris, whose stop band is 92 dB down: below 16-bit audio's.
const WINDOW: WindowFunction = WindowFunction::BlackmanHarris;

/// A stream's rate beside the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    stream: Side,
    model: Side,
}

/// What one of two rates is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    /// Hz.
    rate: u32,
    /// Samples in a frame, a whole number of blocks.
    frame: usize,
    /// Samples in a block, an even number.
    block: usize,
}

impl Rates {
    /// The rates of a stream at `stream` Hz (`None`: the model's), on a model with frames of `frame` samples
    /// at `model` Hz.
    pub(crate) fn new(stream: Option<u32>, model: u32, frame: usize) -> Result<Self, Error> {
        let rate = stream.unwrap_or(model);
        if rate == model {
            let side = Side { rate, frame, block: frame };
            return Ok(Self { stream: side, model: side });
        }
        let refuse = |possible: fmt::Arguments| {
            let message =
                format_args!("sample_rate is {rate} Hz: expected {model} Hz, the model's{possible}");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        };
        if !frame.is_multiple_of(2) {
            return refuse(format_args!(" own, because its frames cannot be halved"));
        }
        // A frame must be a whole number of samples, and an even one, because half a block must be.
        let twice = 2 * u64::from(model);
        let step = twice / gcd(twice, frame as u64);
        if !POSSIBLE_RATES.contains(&rate) || !u64::from(rate).is_multiple_of(step) {
            let (low, high) = (u64::from(*POSSIBLE_RATES.start()), POSSIBLE_RATES.end());
            let low = low.next_multiple_of(step);
            return refuse(format_args!(", or a multiple of {step} Hz from {low} to {high} Hz"));
        }
        let unit = gcd(rate.into(), model.into());
        let (in_stream, in_model) = (u64::from(rate) / unit, u64::from(model) / unit);
        let units = frame as u64 / in_model;
        let longest = units.saturating_mul(in_stream.max(in_model));
        if longest > LONGEST_FRAME {
            let message = format_args!(
                "sample_rate is {rate} Hz, and a frame has {longest} samples there or at {model} Hz: expected at most {LONGEST_FRAME}"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        // neither frame is longer than that, and so they fit any address space
        let (in_stream, in_model, units) = (in_stream as usize, in_model as usize, units as usize);
        let block = (1..units).find(|&n| {
            let (stream, model) = (n * in_stream, n * in_model);
            let divides = units.is_multiple_of(n) && stream.is_multiple_of(2) && model.is_multiple_of(2);
            divides && stream.min(model) >= FILTER_TAPS
        });
        let block = block.unwrap_or(units);
        let side = |rate, unit| Side { rate, frame: units * unit, block: block * unit };
        Ok(Self { stream: side(rate, in_stream), model: side(model, in_model) })
    }

    /// Samples in a frame at the stream's rate.
    pub(crate) fn frame(&self) -> usize {
        self.stream.frame
    }

    /// The stream's rate in Hz.
    pub(crate) fn stream_rate(&self) -> u32 {
        self.stream.rate
    }

    /// Samples at the model's rate that begin before the end of `samples` at the stream's.
    pub(crate) fn at_model_rate(&self, samples: usize) -> usize {
        let product = samples as u128 * self.model.frame as u128;
        usize::try_from(product.div_ceil(self.stream.frame as u128)).unwrap_or(usize::MAX)
    }

    /// From the stream's rate to the model's, if they differ.
    pub(crate) fn resampler_to_model(self) -> Result<Option<Box<Resampler>>, Error> {
        self.resampler(self.stream, self.model)
    }

    /// From the model's rate to the stream's, if they differ.
    pub(crate) fn resampler_from_model(self) -> Result<Option<Box<Resampler>>, Error> {
        self.resampler(self.model, self.stream)
    }

    fn resampler(self, from: Side, to: Side) -> Result<Option<Box<Resampler>>, Error> {
        if from.rate == to.rate { Ok(None) } else { Resampler::new(from, to).map(Some) }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One stream's audio from one rate to another. Allocates only when it is made.
pub(crate) struct Resampler {
    from: Side,
    to: Side,
    fft: BlockResampler,
    /// The last block that was converted, which is all that `fft` remembers.
    input: Vec<f32>,
    /// What it became.
    output: Vec<f32>,
    started: bool,
}

impl Resampler {
    fn new(from: Side, to: Side) -> Result<Box<Self>, Error> {
        let _flush = FlushDenormals::new();
        let (rate_in, rate_out) = (from.rate as usize, to.rate as usize);
        // Rubato's own memory cannot be refused: there must be twice as much as it takes, for its plans too.
        with_capacity::<f32>(24 * (from.block + to.block)).map(drop)?;
        let fft = BlockResampler::new(rate_in, rate_out, from.block, WINDOW)
            .map_err(|error| Error::new(ErrorKind::Unsupported, format_args!("sample_rate: {error}")))?;
        debug_assert_eq!(fft.block(), (from.block, to.block));
        let buffer = |len| -> Result<Vec<f32>, Error> {
            let mut buffer = with_capacity(len)?;
            buffer.resize(len, 0.0);
            Ok(buffer)
        };
        let (input, output) = (buffer(from.block)?, buffer(to.block)?);
        Ok(Box::new(Self { from, to, fft, input, output, started: false }))
    }

    /// A fork at the same point: a new one that is given the last block again.
    pub(crate) fn try_clone(&self) -> Result<Box<Self>, Error> {
        let mut copy = Self::new(self.from, self.to)?;
        if self.started {
            copy.input.copy_from_slice(&self.input);
            copy.convert_block();
        }
        Ok(copy)
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.fft.reset();
        self.started = false;
    }

    /// Samples of input that it looks ahead after a [`lead_in`](Self::lead_in).
    pub(crate) fn ahead(&self) -> usize {
        self.from.block / 2
    }

    /// Those of them that it waits for.
    pub(crate) fn wait(&self) -> usize {
        if self.started { 0 } else { self.ahead() }
    }

    /// Samples by which the output lies behind the input without a lead-in.
    pub(crate) fn delay(&self) -> usize {
        self.to.block / 2
    }

    /// Those of them that it owes.
    pub(crate) fn owed(&self) -> usize {
        if self.started { self.delay() } else { 0 }
    }

    /// Starts with the first [`ahead`](Self::ahead) samples. What is converted next comes out from the
    /// first sample on, in line with the input.
    pub(crate) fn lead_in(&mut self, first: &[f32]) {
        let (silence, rest) = self.input.split_at_mut(first.len());
        silence.fill(0.0);
        rest.copy_from_slice(first);
        self.convert_block();
    }

    /// Converts whole blocks and returns the samples written. Without a lead-in, the first
    /// [`delay`](Self::delay) samples of a stream are left out.
    pub(crate) fn convert(&mut self, input: &[f32], output: &mut [f32]) -> usize {
        let mut written = 0;
        for block in input.chunks_exact(self.from.block) {
            let skip = self.delay() - self.owed();
            self.input.copy_from_slice(block);
            self.convert_block();
            let made = &self.output[skip..];
            output[written..][..made.len()].copy_from_slice(made);
            written += made.len();
        }
        written
    }

    /// Ends a stream without a lead-in: writes the samples that are [`owed`](Self::owed).
    pub(crate) fn finish(&mut self, output: &mut [f32]) {
        self.input.fill(0.0);
        self.convert_block();
        output.copy_from_slice(&self.output[..output.len()]);
        self.reset();
    }

    /// From `input` to `output`.
    fn convert_block(&mut self) {
        let _flush = FlushDenormals::new();
        let done = self.fft.convert(&self.input, &mut self.output);
        debug_assert!(done.is_ok(), "blocks of its lengths");
        self.started = true;
    }

    /// Bytes in use, as near as can be told: rubato keeps ten blocks of either side, and the FFTs' factors
    /// are two more.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + 12 * size_of::<f32>() * (self.from.block + self.to.block)
    }
}

#[cfg(test)]
mod tests;
