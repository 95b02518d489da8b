//! `mimi`, the command-line tool. The map:
//!
//! - `args`: what may be typed, and the help;
//! - `commands/`: one file per command, a few lines each;
//! - `codec`: audio blocks → codes → audio blocks, in bounded memory;
//! - `audio/`, `resample`: files of samples, and sample rates;
//! - `codes/`: files of codes;
//! - `model`: which model;
//! - `output`: files that appear complete or not at all;
//! - `standard`: `-`, standard input and output;
//! - `failure`: what the user is told.

mod args;
mod audio;
mod codec;
mod codes;
mod commands;
mod failure;
mod model;
mod output;
mod resample;
mod standard;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong usage ends inside `parse`, with a message and status 2.
    match commands::run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mimi: {failure}");
            ExitCode::FAILURE
        }
    }
}
