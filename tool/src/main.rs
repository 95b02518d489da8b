//! `mimi`, the command-line tool. The map:
//!
//! - `args`: what may be typed, and the help;
//! - `commands/`: one file per command, a few lines each;
//! - `batch/`: the same command on many files, on all cores;
//! - `codec`: audio blocks → codes → audio blocks, in bounded memory;
//! - `audio/`, `resample`: files of samples, and sample rates;
//! - `values`, `codes/`: codes and latents, and files of them;
//! - `model`, `hub/`: which model; models by name, and their download;
//! - `weights/`: models, written;
//! - `measure`, `picture`: how far a recording is from another, in numbers and drawn;
//! - `output`: files that appear complete or not at all;
//! - `loss`: frames that get lost, on purpose;
//! - `progress`: bars on a terminal;
//! - `standard`: `-`, standard input and output;
//! - `failure`: what the user is told.

mod args;
mod audio;
mod batch;
mod codec;
mod codes;
mod commands;
mod failure;
mod hub;
mod loss;
mod measure;
mod model;
mod output;
mod picture;
mod progress;
mod resample;
mod standard;
mod values;
mod weights;

use clap::Parser;
use failure::{Failure, Kind, tell};
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// What a shell reports of a program whose reader has gone.
const NO_READER: u8 = 128 + 13;

fn main() -> ExitCode {
    output::remove_unfinished_on_interrupt();
    let failure = match args::Args::try_parse() {
        Ok(args) => match commands::run(args) {
            Ok(()) => {
                model::tell_of_demo();
                return ExitCode::SUCCESS;
            }
            Err(failure) => failure,
        },
        // wrong usage, help or the version
        Err(error) => {
            let error = args::explain(error);
            let printed = error.print().and_then(|()| io::stdout().flush());
            // Where standard error is closed there is nobody to tell; the status does.
            if error.use_stderr() {
                return ExitCode::from(2);
            }
            let printed = printed.map_err(|error| Failure::io(Path::new("standard output"), &error));
            match printed.and_then(|()| standard::check_output()) {
                Ok(()) => return ExitCode::SUCCESS,
                Err(failure) => failure,
            }
        }
    };
    match failure.kind() {
        Kind::NoReader => return ExitCode::from(NO_READER),
        _ => tell(&failure),
    }
    ExitCode::from(if failure.kind() == Kind::Usage { 2 } else { 1 })
}
