//! `mimi compare`: what the codec costs, in numbers.

use crate::{
    args::CompareArgs,
    audio::AudioReader,
    codec::{self, Codec},
    failure::{Failure, Outcome},
    measure, model,
    resample::{self, Resampler},
    standard,
};
use mimi::Parts;
use std::path::Path;

pub(crate) fn run(args: &CompareArgs) -> Outcome {
    match &args.other {
        Some(other) => compare_files(&args.input, other),
        None => compare_codebooks(args),
    }
}

/// Two recordings, at the rate of the first.
fn compare_files(reference: &Path, other: &Path) -> Outcome {
    let rate = AudioReader::open(reference, None)?.rate();
    let (reference, other) = (read(reference, rate)?, read(other, rate)?);
    let text = format!(
        "SI-SDR            {:.2} dB\nlog-mel distance  {:.2} dB\n",
        measure::si_sdr(&reference, &other),
        measure::log_mel_distance(&reference, &other, rate)
    );
    standard::print(text.as_bytes())
}

/// A recording and what is left of it with 1, 2, 4 … codebooks.
fn compare_codebooks(args: &CompareArgs) -> Outcome {
    let codec = Codec::new(model::load(&args.model, Parts::Both)?);
    let rate = codec.model().config().sampling_rate;
    let pcm = read(&args.input, rate)?;
    let codes = codec.encode(&pcm)?;
    let mut text = String::from("codebooks   kbit/s  SI-SDR/dB  log-mel/dB\n");
    for codebooks in counts(codes.codebooks) {
        let decoded = codec.decode(&codes, codebooks)?;
        let kilobits = codec::bit_rate(codec.model(), codebooks) / 1e3;
        let si_sdr = measure::si_sdr(&pcm, &decoded);
        let distance = measure::log_mel_distance(&pcm, &decoded, rate);
        text += &format!("{codebooks:9} {kilobits:8.3} {si_sdr:10.2} {distance:11.2}\n");
    }
    standard::print(text.as_bytes())
}

/// All of a file at `rate` Hz.
pub(super) fn read(path: &Path, rate: u32) -> Outcome<Vec<f32>> {
    let mut audio = AudioReader::open(path, None)?;
    let mut resampler = Resampler::new(audio.rate(), rate).map_err(|f| Failure::at(audio.name(), f))?;
    let pcm = audio.read_to_end()?;
    let mut resampled = Vec::new();
    resampler.push(&pcm, &mut resampled)?;
    let total = resample::converted_length(pcm.len() as u64, audio.rate(), rate);
    resampler.finish(total, &mut resampled)?;
    match resampled.is_empty() {
        true => Err(Failure::at(path, "an empty recording")),
        false => Ok(resampled),
    }
}

/// 1, 2, 4 … and all.
pub(super) fn counts(all: usize) -> Vec<usize> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |count| Some(count * 2)).take_while(|&count| count < all).collect();
    counts.push(all);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_double_up_to_all() {
        assert_eq!(counts(1), [1]);
        assert_eq!(counts(8), [1, 2, 4, 8]);
        assert_eq!(counts(12), [1, 2, 4, 8, 12]);
    }
}
