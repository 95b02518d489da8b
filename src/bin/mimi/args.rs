//! What may be typed, and the help.

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const ABOUT: &str = "Mimi, the neural speech codec: audio to 12.5 frames of codes a second, and back";

const DEMO_NOTE: &str = "\
The built-in model is a toy: it shows that everything works, but it blurs speech.
For real quality, download the published weights (kyutai/mimi) and name them with --model.";

const EXAMPLES: &str = "\
Examples:
  mimi roundtrip in.wav out.wav                          hear the codec
  mimi encode in.wav codes.npy                           audio to codes
  mimi decode codes.npy out.wav                          codes to audio
  mimi encode --model model.safetensors in.wav c.npy     with the published weights

Any WAV file is taken: 8, 16, 24 or 32 bits or float, any sample rate; channels are mixed to one.

The exit status is 0 if all went well, 1 if something failed, 2 if the command line was wrong.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "mimi", version, about = ABOUT, after_help = EXAMPLES)]
#[command(long_about = format!("{ABOUT}.\n\n{DEMO_NOTE}"))]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Encode and decode at once: what the codec makes of a recording
    ///
    /// OUTPUT has exactly the length and the sample rate of INPUT, in one channel of 16 bits.
    #[command(after_help = "Example:\n  mimi roundtrip --codebooks 4 in.wav out.wav")]
    Roundtrip {
        /// A WAV file
        input: PathBuf,
        /// The WAV file to write
        output: PathBuf,
        #[command(flatten)]
        model: ModelArgs,
        #[command(flatten)]
        encoding: EncodingArgs,
    },
    /// Turn audio into codes
    ///
    /// Codes are written as a NumPy array of int32, shape [codebooks, frames].
    #[command(after_help = "Example:\n  mimi encode in.wav codes.npy")]
    Encode {
        /// A WAV file
        input: PathBuf,
        /// The .npy file to write
        output: PathBuf,
        #[command(flatten)]
        model: ModelArgs,
        #[command(flatten)]
        encoding: EncodingArgs,
    },
    /// Turn codes into audio
    ///
    /// The sound is written as WAV, one channel of 16 bits at the model's rate, whole frames.
    #[command(after_help = "Example:\n  mimi decode codes.npy out.wav")]
    Decode {
        /// A NumPy array of integers, shape [codebooks, frames] or [1, codebooks, frames]
        input: PathBuf,
        /// The WAV file to write
        output: PathBuf,
        #[command(flatten)]
        model: ModelArgs,
        /// Codebooks to use; default: all that the file has
        #[arg(short = 'n', long, value_name = "N")]
        codebooks: Option<usize>,
    },
}

/// Which model.
#[derive(Debug, Group)]
pub(crate) struct ModelArgs {
    /// A checkpoint: a .safetensors file or a folder with one; default: the built-in toy
    #[arg(short, long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How audio becomes codes.
#[derive(Clone, Debug, Group)]
pub(crate) struct EncodingArgs {
    /// Codebooks to use, the more the better the sound; default: 8, or all if there are fewer
    #[arg(short = 'n', long, value_name = "N")]
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
