//! `mimi compare`: what the codec costs, in numbers.

use crate::{
    args::CompareArgs,
    audio::AudioReader,
    codec::{self, Codec},
    codes::Codes,
    failure::{Failure, Outcome},
    measure::{self, Level},
    model,
    picture::{self, Format, Losses},
    progress,
    resample::{self, Resampler},
    standard,
};
use mimi::Parts;
use std::path::Path;

/// Seconds by which recordings of the same sound differ at most: a codec's last frame, or two, is not full.
const PADDING: f64 = 0.16;

pub(crate) fn run(args: &CompareArgs) -> Outcome {
    match &args.other {
        Some(other) => compare_files(&args.input, other),
        None => compare_codebooks(args),
    }
}

/// Two recordings, at the lower of their rates.
fn compare_files(reference: &Path, other: &Path) -> Outcome {
    let rates = [reference, other].map(|path| AudioReader::open(path, None).map(|audio| audio.rate()));
    let [first, second] = rates;
    let (first, second) = (first?, second?);
    let rate = first.min(second);
    let (a, b) = (read(reference, rate)?, read(other, rate)?);
    let seconds = |pcm: &[f32]| pcm.len() as f64 / f64::from(rate);
    let (long, short) = (seconds(&a).max(seconds(&b)), seconds(&a).min(seconds(&b)));
    if long - short > PADDING {
        let lengths =
            format!("it has {:.3} s, and {} has {:.3} s", seconds(&b), reference.display(), seconds(&a));
        return Err(Failure::at(
            other,
            format!("{lengths}; lengths must not differ by more than {PADDING} s"),
        ));
    }
    let mut text = match first == second {
        true => format!("compared          {short:.3} s at {rate} Hz\n"),
        false => format!("compared          {short:.3} s at {rate} Hz; rates {first} and {second} Hz\n"),
    };
    if a.len() != b.len() {
        text += &format!("left out          the last {:.3} s of the longer one\n", long - short);
    }
    text += &format!(
        "SI-SDR            {:.2} dB\nlog-mel distance  {:.2} dB\n",
        measure::si_sdr(&a, &b),
        measure::log_mel_distance(&a, &b, rate)
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
    let pcm = read(&args.input, codec.model().spec().sampling_rate)?;
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
    let rate = codec.model().spec().sampling_rate;
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
