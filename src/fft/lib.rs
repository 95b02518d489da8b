//! Fourier transforms for libmimi and its tool: other sample rates, and spectra.
//!
//! rubato and realfft are generic, and every crate that uses them compiles them anew. That was half of the time that
//! the library took. Nothing here is generic, and so it is compiled once.

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler};
use std::sync::Arc;

pub use rubato::{ResampleError, ResamplerConstructionError, WindowFunction};

/// Mono audio from one sample rate to another, a block of a fixed size at a time. Allocates only when it is made. It
/// remembers one block.
pub struct BlockResampler(Fft<f32>);

impl BlockResampler {
    /// From rate `from` to rate `to`, by blocks of `block` samples at rate `from`: a multiple of `from` over the rates'
    /// greatest common divisor. The anti-aliasing filter is a sinc of one block below that window.
    pub fn new(
        from: usize,
        to: usize,
        block: usize,
        window: WindowFunction,
    ) -> Result<Self, ResamplerConstructionError> {
        Fft::new_custom(from, to, block, 1, 1, window, FixedSync::Both).map(Self)
    }

    /// Samples that it takes at a time, and samples that it gives for them.
    pub fn block(&self) -> (usize, usize) {
        (self.0.fft_size_in(), self.0.fft_size_out())
    }

    /// Samples by which the output lies behind the input.
    pub fn delay(&self) -> usize {
        self.0.output_delay()
    }

    /// Converts one [`block`](Self::block).
    pub fn convert(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ResampleError> {
        let (taken, given) = (input.len(), output.len());
        let input = SequentialSlice::new(input, 1, taken);
        let output = SequentialSlice::new_mut(output, 1, given);
        let (Ok(input), Ok(mut output)) = (input, output) else {
            unreachable!("one channel of their lengths")
        };
        let done = self.0.process_into_buffer(&input, &mut output, None)?;
        assert_eq!(done, (taken, given));
        Ok(())
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

/// The spectrum of so many real samples.
pub struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    input: Vec<f32>,
    output: Vec<Complex<f32>>,
}

impl Spectrum {
    /// Of `samples` samples.
    pub fn new(samples: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(samples);
        let (input, output) = (fft.make_input_vec(), fft.make_output_vec());
        Self { fft, input, output }
    }

    /// Where the samples are to be put.
    pub fn input(&mut self) -> &mut [f32] {
        &mut self.input
    }

    /// Magnitudes of all bins, from 0 Hz to half the sample rate. The input does not survive it.
    pub fn magnitudes(&mut self) -> impl Iterator<Item = f32> {
        // It fails only if lengths differ, and they are its own.
        let _ = self.fft.process(&mut self.input, &mut self.output);
        self.output.iter().map(|bin| bin.norm())
    }
}
