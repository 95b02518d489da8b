//! What may be typed, and the help.

mod errors;
mod examples;
mod shared;

pub(crate) use errors::explain;
pub(crate) use shared::{BatchArgs, DamageArgs, EncodingArgs, LossArgs, ModelArgs, PrecisionArg, typed};

use crate::{
    audio::{self, RawFormat, SampleType, SoundFormat},
    codes::Format,
    weights::{Half, Values},
};
use clap::{
    Args as Group, Parser, Subcommand, ValueEnum, ValueHint, builder::RangedU64ValueParser, value_parser,
};
use examples::*;
use std::path::PathBuf;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "mimi", version, about = ABOUT, after_help = format!("{EXAMPLES}\n\n{NOTES}"))]
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
    /// OUTPUT has exactly the length and the sample rate of INPUT, in one channel.
    #[command(after_help = ROUNDTRIP_EXAMPLES)]
    Roundtrip(RoundtripArgs),
    /// Turn audio into codes, or into latents
    ///
    /// With several inputs, or a folder (taken with all below it), OUTPUT is a folder, and files that
    /// are there already are not made again: a run that was interrupted goes on where it stopped. What
    /// is there must have been made by the same model and options, of the same input; else it is an
    /// error. Several folders keep their names below OUTPUT. What cannot be read is named and left, and
    /// the exit status is 1.
    #[command(after_help = ENCODE_EXAMPLES)]
    Encode(EncodeArgs),
    /// Turn codes or latents into audio
    ///
    /// Codes are read from .mtok, .npy, .safetensors and moshi.cpp's .mimi files, latents from .npy
    /// (float32, [frames, values]) and .safetensors (tensor "latents"). The sound has the length and
    /// the sample rate of the original if the file tells them (.mtok does). Several inputs, or folders,
    /// go to a folder, as with encode.
    #[command(after_help = DECODE_EXAMPLES)]
    Decode(DecodeArgs),
    /// Keep the first codebooks of a file of codes: a lower bit rate, without encoding again
    ///
    /// The result is the same as if so many codebooks had been encoded. Several inputs, or folders, go
    /// to a folder, as with encode.
    #[command(after_help = REDUCE_EXAMPLES)]
    Reduce(ReduceArgs),
    /// Tell what models, files of codes or recordings are
    ///
    /// Without INPUT: what the built-in model is, and what it is not. Of a folder without a model: all
    /// codes and recordings in it and below.
    #[command(after_help = INFO_EXAMPLES)]
    Info(InfoArgs),
    /// Measure what the codec loses, for each number of codebooks, or how two recordings differ
    ///
    /// SI-SDR compares waveforms: neural codecs do badly, and sound better than it says. The log-mel
    /// distance compares spectra: the mean absolute difference in dB.
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Draw what the codec does to a recording, as PNG or SVG
    ///
    /// Spectrograms of input and output, the codes, and the error for each number of codebooks.
    #[command(after_help = PLOT_EXAMPLES)]
    Plot(PlotArgs),
    /// Measure how fast this machine runs a model
    ///
    /// Speed depends on the model's size and not on its weights; the built-in toy is 30 times smaller
    /// than the published model. For each precision: loading; one frame at a time, encoded and decoded; the
    /// same for several streams in one pass over the weights; the conversations that all cores carry so at once; and a
    /// whole clip at once, also on several threads. Of each, the share of what the machine can do. A small model's
    /// weights stay in the cache, and may pass 100 % of a limit that counts them as read from memory.
    ///
    /// Then live audio: what a callback that encodes and decodes takes of an audio thread, where each does
    /// its share of the work (spread), and where another thread does it (other). Worst is the place in a frame
    /// with the most work, the median of its calls. Slowest is the longest call of all, with whatever else the
    /// machine did meanwhile.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),
    /// Download a model by name, to where Hugging Face's tools keep theirs
    ///
    /// Of a model that has Mimi in it, only what Mimi needs: the config, and the files of weights with
    /// the codec. A name may have a folder of the model behind it. Prints the folder with the codec.
    ///
    /// A download that was cut off goes on where it stopped; weights are checked against their SHA-256,
    /// for kyutai/mimi the published one. The environment variables of Hugging Face's tools are
    /// honoured: HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME say where, HF_ENDPOINT whence, HF_TOKEN for
    /// whom, and HF_HUB_OFFLINE that nothing is fetched. No other command uses the network.
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Write a model in another layout or precision, or one half of it, its config inside
    ///
    /// OUTPUT is one safetensors file, or a folder (there already, or named with a / at its end), which
    /// gets model.safetensors and config.json. Codebooks stay in 32 bits, and with them the model's
    /// fingerprint. Weights by others keep their licence: name their authors, and what you changed.
    ///
    /// With --packed, OUTPUT is for libmimi alone: weights in the precision that they are loaded in and in the
    /// order in which a CPU's kernels read them, so that loading only reads them. It gives the codes of the
    /// ordinary file, and whoever has a file for another kind of CPU, or from another release, is refused with
    /// a message: keep the ordinary file.
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(ConvertArgs),
    /// Print what makes a shell complete mimi's commands and options
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        /// Say nothing but errors
        #[arg(short, long)]
        quiet: bool,
    },
    /// Print the manual page, or write all of them
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The command that it is about; default: all in short
        command: Option<String>,
        /// Write the pages of all commands to this folder: mimi.1, mimi-encode.1 …
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
        all: Option<PathBuf>,
        /// Say nothing but errors
        #[arg(short, long)]
        quiet: bool,
    },
}

#[derive(Debug, Group)]
pub(crate) struct RoundtripArgs {
    /// A file of audio, or -
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// The file of audio to write, or -
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// How to write the sound; default: as OUTPUT's extension says
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<SoundFormat>,
    #[command(flatten)]
    pub(crate) encoding: EncodingArgs,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
    /// Write OUTPUT even if it is INPUT
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Samples have no header, but in files whose extension names a format: little-endian, one channel
    #[arg(long, help_heading = "Audio")]
    pub(crate) raw: bool,
    /// Sample rate of raw audio, Hz
    #[arg(
        long, value_name = "HZ", default_value_t = 24_000, requires = "raw", help_heading = "Audio",
        value_parser = value_parser!(u32).range(RATES)
    )]
    pub(crate) rate: u32,
    /// Write (and, if raw, read) 32-bit floats, not 16-bit integers
    #[arg(long, help_heading = "Audio")]
    pub(crate) f32: bool,
}

#[derive(Debug, Group)]
pub(crate) struct ReduceArgs {
    /// Files of codes, folders of them, or -
    #[arg(required = true, value_hint = ValueHint::AnyPath, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The file of codes to write, the folder for them, or -
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    /// How many codebooks to keep
    #[arg(short = 'n', long, value_name = "N", value_parser = count())]
    pub(crate) codebooks: usize,
    /// How to store the codes; default: as OUTPUT's extension says, in a folder as INPUT's
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Group)]
pub(crate) struct EncodeArgs {
    /// Files of audio, folders of them, or -
    #[arg(required = true, value_hint = ValueHint::AnyPath, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The file of codes or latents to write, the folder for them, or -
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    /// How to store them; default: as OUTPUT's extension says, else mtok, for latents npy
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write latents, which become codes in the quantizer, and not codes: float32 [frames, values], as .npy or
    /// .safetensors. A model without a quantizer, as Pocket TTS has it, gives latents alone
    #[arg(long, conflicts_with_all = ["codebooks", "live"])]
    pub(crate) latents: bool,
    /// Write each frame as soon as it is there, to a pipe or under OUTPUT's own name, where it stays if the
    /// recording is interrupted: mtok that does not tell the exact length
    #[arg(long)]
    pub(crate) live: bool,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
    #[command(flatten)]
    pub(crate) encoding: EncodingArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Read samples without a header: little-endian, one channel
    #[arg(long, help_heading = "Audio")]
    pub(crate) raw: bool,
    /// Sample rate of raw audio, Hz
    #[arg(
        long, value_name = "HZ", default_value_t = 24_000, requires = "raw", help_heading = "Audio",
        value_parser = value_parser!(u32).range(RATES)
    )]
    pub(crate) rate: u32,
    /// Raw audio is 32-bit floats, not 16-bit integers
    #[arg(long, requires = "raw", help_heading = "Audio")]
    pub(crate) f32: bool,
}

#[derive(Debug, Group)]
pub(crate) struct DecodeArgs {
    /// Files of codes or latents, folders of them, or -
    #[arg(required = true, value_hint = ValueHint::AnyPath, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The file of audio to write, the folder for them, or -
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    /// How to write the sound; default: as OUTPUT's extension says, in a folder wav
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<SoundFormat>,
    /// Codebooks to use; default: all that the file has
    #[arg(short = 'n', long, value_name = "N", value_parser = count())]
    pub(crate) codebooks: Option<usize>,
    #[command(flatten)]
    pub(crate) damage: DamageArgs,
    #[command(flatten)]
    pub(crate) loss: LossArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Write samples without a header, little-endian, one channel: the same as --format raw
    #[arg(long, conflicts_with = "format", help_heading = "Audio")]
    pub(crate) raw: bool,
    /// Sample rate to write, Hz; default: the original's if the file tells it, else the model's
    #[arg(
        long, value_name = "HZ", help_heading = "Audio", value_parser = value_parser!(u32).range(RATES)
    )]
    pub(crate) rate: Option<u32>,
    /// Write 32-bit floats, not 16-bit integers
    #[arg(long, help_heading = "Audio")]
    pub(crate) f32: bool,
}

#[derive(Debug, Group)]
pub(crate) struct CompareArgs {
    /// A file of audio
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// Another, instead of what the codec makes of the first
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) other: Option<PathBuf>,
    /// Draw the table to this .png or .svg file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "other")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

#[derive(Debug, Group)]
pub(crate) struct PlotArgs {
    /// A file of audio
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// The .png or .svg file to write, or - (PNG)
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Codebooks of the output that is drawn; default: 8, or all if there are fewer
    #[arg(short = 'n', long, value_name = "N", value_parser = count())]
    pub(crate) codebooks: Option<usize>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

#[derive(Debug, Group)]
pub(crate) struct BenchArgs {
    /// A checkpoint: a .safetensors file, a folder with one, or a name; default: the built-in toy
    #[arg(short, long, value_name = "PATH|NAME", value_hint = ValueHint::AnyPath)]
    pub(crate) model: Option<PathBuf>,
    /// Say nothing but the result and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Codebooks of the streams; default: 8, or all if there are fewer
    #[arg(short = 'n', long, value_name = "N", value_parser = count())]
    pub(crate) codebooks: Option<usize>,
    /// Numbers of streams that share a call
    #[arg(
        long, value_name = "N", value_delimiter = ',', default_values_t = [1, 8],
        value_parser = value_parser!(u8).range(1..)
    )]
    pub(crate) streams: Vec<u8>,
    /// Cores that carry conversations at once; default: all
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) cores: Option<u16>,
    /// Numbers of threads that share a clip
    #[arg(
        long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2],
        value_parser = value_parser!(u8).range(1..=64)
    )]
    pub(crate) threads: Vec<u8>,
    /// Seconds of audio in the clip, and in each stream
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = value_parser!(u8).range(1..))]
    pub(crate) seconds: u8,
    /// Measure nothing but live audio
    #[arg(long, conflicts_with_all = ["streams", "cores", "threads", "seconds"])]
    pub(crate) live: bool,
    /// Samples in each callback of live audio
    #[arg(
        long, value_name = "N", value_delimiter = ',', default_values_t = [16, 64, 256, 1024],
        value_parser = value_parser!(u16).range(1..)
    )]
    pub(crate) blocks: Vec<u16>,
    /// Seconds of live audio, in blocks of each size
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = value_parser!(u16).range(1..))]
    pub(crate) live_seconds: u16,
    /// How weights are kept
    #[arg(
        long, value_enum, value_name = "PRECISION", value_delimiter = ',',
        default_values_t = [PrecisionArg::F32, PrecisionArg::Bf16, PrecisionArg::Int16, PrecisionArg::Int8]
    )]
    pub(crate) precision: Vec<PrecisionArg>,
    /// Print numbers for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct FetchArgs {
    /// The model, as it is called on Hugging Face, and if need be a folder in it
    #[arg(default_value = "kyutai/mimi")]
    pub(crate) name: String,
    /// Say nothing but the folder and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Group)]
pub(crate) struct ConvertArgs {
    /// A checkpoint: a .safetensors file, a folder of a model that is or has a Mimi, or a name such as kyutai/mimi
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    /// The safetensors file to write, or the folder
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    /// How tensors are called; default: as in INPUT
    #[arg(long, value_enum)]
    pub(crate) layout: Option<LayoutArg>,
    /// How weights are stored; default: as in INPUT
    #[arg(long, value_enum)]
    pub(crate) precision: Option<Values>,
    /// Which half of the model; default: as in INPUT
    #[arg(long, value_enum)]
    pub(crate) half: Option<Half>,
    /// Write weights as they lie in memory, to be loaded faster
    #[arg(
        long, value_enum, value_name = "PRECISION", num_args = 0..=1, require_equals = true,
        default_missing_value = "f32", conflicts_with_all = ["layout", "precision"]
    )]
    pub(crate) packed: Option<PrecisionArg>,
    /// The instruction set to pack for; default: the best of this CPU
    #[arg(long, value_enum, requires = "packed")]
    pub(crate) isa: Option<IsaArg>,
    /// Write OUTPUT even if it is INPUT
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// [`mimi::Layout`] as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LayoutArg {
    /// As in kyutai/mimi on Hugging Face
    Transformers,
    /// As in kyutai's own repositories, for moshi
    Kyutai,
}

/// [`mimi::Isa`] as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum IsaArg {
    /// What every CPU of the architecture has
    Baseline,
    /// AVX2 and FMA; the file also serves Arm's NEON
    Avx2,
    /// AVX-512
    Avx512,
    /// Arm's NEON; the file also serves AVX2
    Neon,
}

impl From<IsaArg> for mimi::Isa {
    fn from(typed: IsaArg) -> Self {
        match typed {
            IsaArg::Baseline => Self::Baseline,
            IsaArg::Avx2 => Self::Avx2,
            IsaArg::Avx512 => Self::Avx512,
            IsaArg::Neon => Self::Neon,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct InfoArgs {
    /// Checkpoints (files, folders or names), codes, audio, folders of them, or -
    #[arg(value_hint = ValueHint::AnyPath, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Show a model's layers: rows, shapes, multiply-adds and bytes in a frame
    #[arg(long)]
    pub(crate) network: bool,
    /// Print the layers as JSON
    #[arg(long, requires = "network")]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl RoundtripArgs {
    /// What `--f32` says of the output.
    pub(crate) fn samples(&self) -> SampleType {
        sample_type(self.f32)
    }

    /// The format of raw input. A file whose extension is that of a format is in that format.
    pub(crate) fn raw_format(&self) -> Option<RawFormat> {
        let is_raw = self.raw && !audio::has_known_extension(&self.input);
        is_raw.then_some(RawFormat { rate: self.rate, samples: self.samples() })
    }
}

impl EncodeArgs {
    /// The format of raw input.
    pub(crate) fn raw_format(&self) -> Option<RawFormat> {
        self.raw.then_some(RawFormat { rate: self.rate, samples: sample_type(self.f32) })
    }
}

impl DecodeArgs {
    /// What `--f32` says of the output.
    pub(crate) fn samples(&self) -> SampleType {
        sample_type(self.f32)
    }
}

/// Hz.
const RATES: std::ops::RangeInclusive<i64> = 1_000..=768_000;

/// How many of something that models have up to 1024 of.
fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1024)
}

fn sample_type(f32: bool) -> SampleType {
    if f32 { SampleType::Float32 } else { SampleType::Int16 }
}
