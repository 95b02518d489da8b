//! `mimi info`: what a file is.

use crate::{
    args::{InfoArgs, ModelArgs},
    audio::AudioReader,
    codec,
    codes::{self, CodeReader, Format},
    failure::{Failure, Outcome},
    model, standard,
};
use mimi::{Model, Parts};
use std::{fmt::Display, io::Read, path::Path};

pub(crate) fn run(args: &InfoArgs) -> Outcome {
    let mut table = Table::default();
    match &args.input {
        None => describe_model(&load(None)?, describe_demo(&mut table)),
        Some(path) if is_folder_or_name(path) => describe_model(&load(Some(path))?, &mut table),
        Some(path) => match codes::sniff(&front(path)?) {
            Some(Format::Safetensors) => match load(Some(path)) {
                Ok(model) => describe_model(&model, &mut table),
                // Codes have the same format as weights. If it is neither, it was to be a model.
                Err(failure) => match CodeReader::open(path) {
                    Ok(codes) => describe_codes(codes, &mut table)?,
                    Err(_) => return Err(failure),
                },
            },
            Some(_) => describe_codes(CodeReader::open(path)?, &mut table)?,
            None => describe_audio(AudioReader::open(path, None)?, &mut table)?,
        },
    }
    standard::print(table.text().as_bytes())
}

fn is_folder_or_name(path: &Path) -> bool {
    path.is_dir() || !path.exists() && !standard::is_standard(path)
}

/// A model, and which halves of it are there.
fn load(path: Option<&Path>) -> Outcome<(Model, Parts)> {
    let args = ModelArgs { model: path.map(Path::to_path_buf), quiet: true, ..ModelArgs::default() };
    model::load(&args, Parts::Both).map(|model| (model, Parts::Both)).or_else(|failure| {
        let half = |parts| model::load(&args, parts).map(|model| (model, parts));
        half(Parts::Encoder).or_else(|_| half(Parts::Decoder)).map_err(|_| failure)
    })
}

/// The first bytes of a file.
fn front(path: &Path) -> Outcome<Vec<u8>> {
    if standard::is_standard(path) {
        return Err(Failure::new("info needs a file, not standard input"));
    }
    let mut bytes = Vec::new();
    standard::open(path)?.take(16).read_to_end(&mut bytes).map_err(|error| Failure::io(path, &error))?;
    Ok(bytes)
}

/// What nobody should find out by listening alone. The numbers are from `demo/README.md`.
fn describe_demo(table: &mut Table) -> &mut Table {
    table
        .row("model", "the built-in demo: a toy, no codec to use")
        .row("it is", "a Mimi of 2.6 million parameters (the published one has 79 million),")
        .row("", "trained for 17351 steps on two processor cores, on synthetic speech")
        .row("it keeps", "rhythm and the spectrum's shape: words of synthetic speech come through")
        .row("it changes", "voices, which become rough, and loudness: speech comes out 3 dB quieter")
        .row("measured", "STOI 0.85, log-mel distance 5 to 6 dB, on synthetic speech that it has not seen")
        .row("instead", "mimi fetch, and then --model kyutai/mimi")
}

fn describe_model((model, parts): &(Model, Parts), table: &mut Table) {
    let config = model.config();
    let frames = f64::from(config.sampling_rate) / config.frame_size() as f64;
    let bit_rate = |codebooks| codec::bit_rate(model, codebooks);
    match parts {
        Parts::Both => {}
        Parts::Encoder => drop(table.row("half", "the encoder alone")),
        Parts::Decoder => drop(table.row("half", "the decoder alone")),
    }
    table
        .row("sample rate", format_args!("{} Hz", config.sampling_rate))
        .row("frames", format_args!("{} samples each, {frames} a second", config.frame_size()))
        .row(
            "codebooks",
            format_args!("{}, {} of them semantic", model.codebooks(), config.num_semantic_quantizers),
        )
        .row("codes", format_args!("{} values, {} bits", config.codebook_size, model.code_bits()))
        .row(
            "bit rate",
            format_args!("{} bit/s for each codebook, {} in all", bit_rate(1), bit_rate(model.codebooks())),
        )
        .row(
            "context",
            format_args!("{:.1} s", config.sliding_window as f64 / frames / config.latent_stride as f64),
        )
        .row("memory", format_args!("{:.1} MB", model.memory_bytes() as f64 / 1e6))
        .row("fingerprint", format_args!("{:016x}", model.id()));
}

fn describe_codes(codes: CodeReader, table: &mut Table) -> Outcome {
    let format = codes.format();
    let codes = codes.read_to_end()?;
    table
        .row("codes", format_args!("in the {} format", format.extension()))
        .row("codebooks", codes.codebooks)
        .row("frames", codes.frames());
    if let Some(code) = codes.data.iter().max() {
        table.row("largest code", code);
    }
    let Some(header) = codes.header else { return Ok(()) };
    let frames = f64::from(header.sample_rate) / f64::from(header.frame_samples);
    let bits = header.codebooks as f64 * f64::from(header.code_bits);
    table
        .row("frame rate", format_args!("{frames} a second"))
        .row("bit rate", format_args!("{} bit/s, {} bits a code", frames * bits, header.code_bits))
        .row("sample rate", format_args!("{} Hz", header.recording_rate()));
    match header.recording_samples() {
        0 => table.row("samples", "unknown"),
        samples => table.row(
            "samples",
            format_args!("{samples}, {:.3} s", samples as f64 / f64::from(header.recording_rate())),
        ),
    };
    match header.model_id {
        0 => table.row("model", "unknown"),
        id => table.row("model", format_args!("{id:016x}")),
    };
    Ok(())
}

fn describe_audio(mut audio: AudioReader, table: &mut Table) -> Outcome {
    let (mut block, mut samples, mut peak) = (Vec::new(), 0, 0.0f32);
    loop {
        audio.read(&mut block)?;
        if block.is_empty() {
            break;
        }
        samples += block.len();
        peak = block.iter().fold(peak, |peak, sample| peak.max(sample.abs()));
    }
    table
        .row("audio", format_args!("{} Hz, channels: {}", audio.rate(), audio.channels()))
        .row("samples", format_args!("{samples}, {:.3} s", samples as f64 / f64::from(audio.rate())))
        .row("peak", format_args!("{:.1} dB", 20.0 * peak.log10()));
    Ok(())
}

/// Lines of a name and what is said of it.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0.push_str(&format!("{name:13} {value}\n"));
        self
    }

    fn text(&self) -> &str {
        &self.0
    }
}
