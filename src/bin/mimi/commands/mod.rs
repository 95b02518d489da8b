//! One file per command.

mod decode;
mod encode;
mod roundtrip;

use crate::{
    args::{Args, Command},
    failure::Outcome,
};

/// Does what was typed.
pub(crate) fn run(args: Args) -> Outcome {
    match args.command {
        Command::Roundtrip(args) => roundtrip::run(&args),
        Command::Encode(args) => encode::run(&args),
        Command::Decode(args) => decode::run(&args),
    }
}
