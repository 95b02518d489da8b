//! `mimi`, the command-line tool. The map:
//!
//! - `args`: what may be typed, and the help;
//! - `commands/`: one file per command, a few lines each;
//! - `batch`: the same command on many files, on all cores;
//! - `codec`: audio blocks → codes → audio blocks, in bounded memory;
//! - `audio/`, `resample`: files of samples, and sample rates;
//! - `codes/`: files of codes;
//! - `model`, `hub/`: which model; models by name, and their download;
//! - `weights/`: models, written;
//! - `measure`, `picture`: how far a recording is from another, in numbers and drawn;
//! - `output`: files that appear complete or not at all;
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
mod measure;
mod model;
mod output;
mod picture;
mod progress;
mod resample;
mod standard;
mod weights;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    output::remove_unfinished_on_interrupt();
    // Wrong usage ends inside `parse`, with a message and status 2.
    match commands::run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mimi: {failure}");
            ExitCode::FAILURE
        }
    }
}
