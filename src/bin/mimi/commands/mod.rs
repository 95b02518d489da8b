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
        Command::Roundtrip { input, output, model, encoding } => {
            roundtrip::run(&input, &output, &model, &encoding)
        }
        Command::Encode { input, output, model, encoding } => encode::run(&input, &output, &model, &encoding),
        Command::Decode { input, output, model, codebooks } => {
            decode::run(&input, &output, &model, codebooks)
        }
    }
}
