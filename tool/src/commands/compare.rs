//! `mimi compare`: what the codec costs, in numbers.

use crate::{
    args::CompareArgs,
    audio::AudioReader,
    codec::{self, Codec},
    codes::Codes,
    failure::{Failure, Outcome, tell},
    measure::{self, Level},
    model,
    picture::{self, Format, Losses},
    progress,
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

/// A recording and what is left of it with 1, 2 … codebooks.
fn compare_codebooks(args: &CompareArgs) -> Outcome {
    // Before the work, so that it is not in vain.
    let plot = match &args.plot {
        Some(path) => Some((Format::of(path)?, standard::create(path)?)),
        None => None,
    };
    let codec = Codec::new(model::load(&args.model, Parts::Both)?);
    let pcm = read(&args.input, codec.model().config().sampling_rate)?;
    let codes = codec.encode(&pcm)?;
    let levels = levels(&codec, &pcm, &codes, args.model.quiet)?;
    let mut text = String::from("codebooks   kbit/s  SI-SDR/dB  log-mel/dB\n");
    for Level { codebooks, kilobits, si_sdr, log_mel } in &levels {
        text += &format!("{codebooks:9} {kilobits:8.3} {si_sdr:10.2} {log_mel:11.2}\n");
    }
    if let Some((format, destination)) = plot {
        standard::write(destination, &picture::render(&Losses { levels: &levels }, format)?)?;
    }
    standard::print(text.as_bytes())
}

/// What 1, 2 … codebooks keep of `pcm`, whose codes are `codes`.
pub(super) fn levels(codec: &Codec, pcm: &[f32], codes: &Codes, quiet: bool) -> Outcome<Vec<Level>> {
    let rate = codec.model().config().sampling_rate;
    if codec.model().id() == model::DEMO_ID && !quiet {
        tell(
            "of the built-in toy's codebooks two do about as well as all; the published model gains with each",
        );
    }
    let bar = progress::recording(Some(codes.codebooks as u64), quiet);
    let level = |codebooks| {
        let decoded = codec.decode(codes, codebooks)?;
        bar.inc(1);
        Ok(Level {
            codebooks,
            kilobits: codec::bit_rate(codec.model(), codebooks) / 1e3,
            si_sdr: measure::si_sdr(pcm, &decoded),
            log_mel: measure::log_mel_distance(pcm, &decoded, rate),
        })
    };
    (1..=codes.codebooks).map(level).collect()
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
