//! Options that several commands have.

use super::count;
use clap::{Args as Group, ValueEnum, ValueHint, value_parser};
use std::path::PathBuf;

/// How many files are worked on.
#[derive(Debug, Group)]
pub(crate) struct BatchArgs {
    /// Files to work on at once; default: one for each core
    #[arg(
        short, long, value_name = "N", help_heading = "Many files", value_parser = value_parser!(u16).range(1..)
    )]
    pub(crate) jobs: Option<u16>,
    /// Make files again that are there already, and replace an input by its output
    #[arg(long, help_heading = "Many files")]
    pub(crate) overwrite: bool,
    /// Write what became of each file here: lines of JSON, as the help of encode has them
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Many files")]
    pub(crate) report: Option<PathBuf>,
}

/// What is done with an input that is not whole.
#[derive(Debug, Group)]
pub(crate) struct DamageArgs {
    /// Take a recording or codes (.mtok, .mimi) that are cut off or damaged as far as they are good, and say so
    #[arg(long)]
    pub(crate) partial: bool,
}

/// Frames that get lost, as packets do on their way.
#[derive(Debug, Group)]
pub(crate) struct LossArgs {
    /// Lose so many of the frames, at random, to hear how it sounds
    #[arg(long, value_name = "PERCENT", help_heading = "Lost frames", value_parser = percent)]
    pub(crate) loss: Option<f64>,
    /// Frames that are lost at once
    #[arg(
        long, value_name = "N", help_heading = "Lost frames", requires = "loss", default_value_t = 1,
        value_parser = value_parser!(u32).range(1..)
    )]
    pub(crate) burst: u32,
    /// The same seed loses the same frames
    #[arg(long, value_name = "N", help_heading = "Lost frames", requires = "loss", default_value_t = 1)]
    pub(crate) seed: u64,
}

fn percent(typed: &str) -> Result<f64, String> {
    match typed.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected 0 to 100".to_owned()),
    }
}

/// Which model.
#[derive(Debug, Default, Group)]
pub(crate) struct ModelArgs {
    /// A checkpoint: a .safetensors file, a folder with one, or a name; default: the built-in toy
    #[arg(short, long, value_name = "PATH|NAME", value_hint = ValueHint::AnyPath)]
    pub(crate) model: Option<PathBuf>,
    /// How weights are kept: f32 as they are; bf16 and int16 in half the memory, int8 in a quarter of it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) precision: PrecisionArg,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// [`mimi::Precision`] as typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum PrecisionArg {
    #[default]
    F32,
    Bf16,
    Int16,
    Int8,
}

impl PrecisionArg {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
        }
    }
}

impl From<PrecisionArg> for mimi::Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::Bf16 => Self::Bf16,
            PrecisionArg::Int16 => Self::Int16,
            PrecisionArg::Int8 => Self::Int8,
        }
    }
}

/// How audio becomes codes.
#[derive(Clone, Debug, Group)]
pub(crate) struct EncodingArgs {
    /// Codebooks to use, the more the better the sound; default: 8, or as many as the model's config says (16 of
    /// Qwen3-TTS), or all if there are fewer
    #[arg(short = 'n', long, value_name = "N", value_parser = count())]
    pub(crate) codebooks: Option<usize>,
    /// How a last partial frame is filled up
    #[arg(long, value_enum, default_value_t)]
    pub(crate) tail: TailArg,
}

/// [`mimi::Tail`] as typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum TailArg {
    /// With silence, as kyutai's moshi does
    #[default]
    Audio,
    /// Layer by layer, as transformers does
    Layer,
}

impl From<TailArg> for mimi::Tail {
    fn from(tail: TailArg) -> Self {
        match tail {
            TailArg::Audio => Self::AudioPad,
            TailArg::Layer => Self::LayerPad,
        }
    }
}

/// What a value is called on the command line.
pub(crate) fn typed(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}
