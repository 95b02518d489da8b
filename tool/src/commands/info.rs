//! `mimi info`: what a file is.

use super::network;
use crate::{
    args::{InfoArgs, ModelArgs},
    audio::{self, AudioReader},
    batch, codec,
    codes::{self, CodeReader, Content, Format, LatentReader},
    failure::{Failure, Outcome, plain, tell},
    model, standard,
};
use mimi::{ErrorKind, LoadOptions, Model, Parts};
use std::{
    fmt::Display,
    io::{self, Read},
    path::Path,
};

/// Bytes that tell what a file is.
const FRONT: u64 = 16;

pub(crate) fn run(args: &InfoArgs) -> Outcome {
    if args.network {
        return print_network(args);
    }
    let mut table = Table::default();
    if args.inputs.is_empty() {
        describe_model(&load(None)?, describe_demo(&mut table));
        return standard::print(table.text().as_bytes());
    }
    let mut troubles = Vec::new();
    let mut paths = Vec::new();
    for input in &args.inputs {
        if !input.is_dir() || is_model(input) {
            paths.push(input.clone());
            continue;
        }
        let found = batch::files(input, &[audio::EXTENSIONS, codes::EXTENSIONS].concat());
        if found.list.is_empty() && found.troubles.is_empty() {
            troubles.push(Failure::at(input, "no model in it, no codes and no recordings"));
        }
        paths.extend(found.list.into_iter().map(|job| job.input));
        troubles.extend(found.troubles.into_iter().map(|(_, failure)| failure));
    }
    let are_many = paths.len() + troubles.len() > 1;
    for path in &paths {
        let mut table = Table::default();
        if are_many {
            table.row("file", plain(&standard::input_name(path).to_string_lossy()));
        }
        match describe(path, &mut table) {
            Ok(()) => {
                let end = if are_many { "\n" } else { "" };
                standard::print(format!("{}{end}", table.text()).as_bytes())?;
            }
            Err(failure) => troubles.push(failure),
        }
    }
    match troubles.pop() {
        None => Ok(()),
        Some(failure) if troubles.is_empty() => Err(failure),
        Some(failure) => {
            troubles.push(failure);
            troubles.iter().for_each(tell);
            let (failed, all) = (troubles.len(), paths.len().max(troubles.len()));
            Err(Failure::new(format!("{failed} of {all} files failed")))
        }
    }
}

/// The layers of one model, the built-in one without arguments.
fn print_network(args: &InfoArgs) -> Outcome {
    let (model, _) = match args.inputs.as_slice() {
        [] => load(None)?,
        [path] => load(Some(path))?,
        _ => return Err(Failure::usage("--network shows one model at a time")),
    };
    let text = if args.json { network::json(&model)? } else { network::table(&model)? };
    standard::print(text.as_bytes())
}

/// A folder with a checkpoint in it.
fn is_model(folder: &Path) -> bool {
    ["config.json", "model.safetensors", "model.safetensors.index.json", "mimi_config.json"]
        .iter()
        .any(|name| folder.join(name).exists())
}

fn describe(path: &Path, table: &mut Table) -> Outcome {
    if standard::is_standard(path) {
        return describe_input(path, table);
    }
    if path.is_dir() || !path.exists() {
        describe_model(&load(Some(path))?, table);
        return Ok(());
    }
    match codes::sniff(&front(path)?) {
        Some(Format::Safetensors) => match load(Some(path)) {
            Ok(model) => describe_model(&model, table),
            // Codes and latents have the same format as weights. If it is neither, it was to be a model.
            Err(failure) => match Content::open(path) {
                Ok(content) => describe_content(content, table)?,
                Err(_) => return Err(failure),
            },
        },
        Some(_) => describe_content(Content::open(path)?, table)?,
        None => describe_audio(AudioReader::open(path, None)?, table)?,
    }
    Ok(())
}

/// Standard input: codes, latents or audio.
fn describe_input(path: &Path, table: &mut Table) -> Outcome {
    standard::refuse_terminal_input()?;
    let (name, mut input) = (standard::input_name(path), io::stdin());
    let mut front = Vec::new();
    let read = input.by_ref().take(FRONT).read_to_end(&mut front);
    read.map_err(|error| Failure::io(&name, &error))?;
    let is_codes = codes::sniff(&front).is_some();
    let whole = io::Cursor::new(front).chain(input);
    match is_codes {
        true => describe_content(Content::of(name, Box::new(whole))?, table),
        false => describe_audio(AudioReader::of(&name, whole)?, table),
    }
}

/// A model, and which halves of it are there. A half that is there and damaged is an error.
fn load(path: Option<&Path>) -> Outcome<(Model, Parts)> {
    let Some(path) = path else {
        let args = ModelArgs { quiet: true, ..ModelArgs::default() };
        return Ok((model::load(&args, Parts::Both)?, Parts::Both));
    };
    let path = model::find(path)?;
    let load = |parts| {
        let options = LoadOptions { parts, ..LoadOptions::default() };
        Model::load(&path, &options).map(|model| (model, parts))
    };
    let loaded = load(Parts::Both).or_else(|error| match error.kind() {
        ErrorKind::Unsupported => load(Parts::Encoder).or_else(|_| load(Parts::Decoder)).map_err(|_| error),
        _ => Err(error),
    });
    Ok(loaded?)
}

/// The first bytes of a file.
fn front(path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    standard::open(path)?.take(FRONT).read_to_end(&mut bytes).map_err(|error| Failure::io(path, &error))?;
    Ok(bytes)
}

/// What nobody should find out by listening alone. The numbers are from `demo/README.md`.
fn describe_demo(table: &mut Table) -> &mut Table {
    table
        .row("model", "the built-in demo: a toy, no codec to use")
        .row("it is", "a Mimi of 2.6 million parameters (the published one has 79 million),")
        .row("", "trained on synthetic speech, at last for nine minutes on one GPU")
        .row("it keeps", "rhythm and the spectrum's shape: words of synthetic speech come through")
        .row("it changes", "voices, which become rough, and loudness: speech comes out 2 dB quieter")
        .row("measured", "STOI 0.95, log-mel distance 4 dB, on synthetic speech that it has not seen")
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
        .row("frames", format_args!("{} samples each, {frames} a second", config.frame_size()));
    match model.codebooks() {
        0 => table.row(
            "latents",
            format_args!("{} values in a frame; no quantizer, and so no codes", model.spec().latent_dim),
        ),
        codebooks => table
            .row(
                "codebooks",
                format_args!("{codebooks}, {} of them semantic", config.num_semantic_quantizers),
            )
            .row("codes", format_args!("{} values, {} bits", config.codebook_size, model.code_bits()))
            .row(
                "bit rate",
                format_args!("{} bit/s for each codebook, {} in all", bit_rate(1), bit_rate(codebooks)),
            ),
    };
    let seconds = |steps: usize| steps as f64 / frames / config.latent_stride as f64;
    match &config.decoder {
        None => table.row("context", format_args!("{:.1} s", seconds(config.sliding_window))),
        Some(decoder) => table.row(
            "context",
            format_args!(
                "{:.1} s of the encoder, {:.1} s of the decoder",
                seconds(config.sliding_window),
                seconds(decoder.sliding_window)
            ),
        ),
    };
    table
        .row("memory", format_args!("{:.1} MB", model.memory_bytes() as f64 / 1e6))
        .row("fingerprint", format_args!("{:016x}", model.id()));
}

fn describe_content(content: Content, table: &mut Table) -> Outcome {
    match content {
        Content::Codes(codes) => describe_codes(codes, table),
        Content::Latents(latents) => {
            describe_latents(&latents, table);
            Ok(())
        }
    }
}

fn describe_latents(latents: &LatentReader, table: &mut Table) {
    let found = latents.latents();
    let largest = found.data.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    table
        .row("latents", format_args!("in the {} format", latents.format().extension()))
        .row("values", format_args!("{} in a frame", found.width))
        .row("frames", found.frames())
        .row("largest value", largest);
}

fn describe_codes(mut codes: CodeReader, table: &mut Table) -> Outcome {
    codes.take_partial(true);
    let (mut frames, mut largest, mut block) = (0, None, Vec::new());
    loop {
        codes.read(&mut block)?;
        if block.is_empty() {
            break;
        }
        frames += block.len() / codes.codebooks();
        largest = largest.max(block.iter().max().copied());
    }
    table
        .row("codes", format_args!("in the {} format", codes.format().extension()))
        .row("codebooks", codes.codebooks())
        .row("frames", frames);
    if let Some(code) = largest {
        match codes.header() {
            Some(header) => {
                let most = (1u32 << header.code_bits) - 1;
                table.row(
                    "largest code",
                    format_args!("{code}; {} bits, so {most} at the most", header.code_bits),
                )
            }
            None => table.row("largest code", code),
        };
    }
    let Some(header) = codes.header() else { return Ok(()) };
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
        model::DEMO_ID => table.row("model", format_args!("{:016x}, the built-in toy", header.model_id)),
        id => table.row("model", format_args!("{id:016x}")),
    };
    Ok(())
}

fn describe_audio(mut audio: AudioReader, table: &mut Table) -> Outcome {
    audio.take_partial(true);
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
