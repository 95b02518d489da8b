//! One file per command.

mod bench;
mod compare;
mod convert;
mod decode;
mod encode;
mod fetch;
mod info;
mod network;
mod manual;
mod plot;
mod reduce;
mod roundtrip;
mod shell;

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
        Command::Reduce(args) => reduce::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Completions { shell, .. } => shell::completions(shell),
        Command::Man { all: Some(folder), .. } => shell::manual(&folder),
        Command::Man { command, .. } => shell::man(command.as_deref()),
    }
}
