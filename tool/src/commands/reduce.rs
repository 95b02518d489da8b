//! `mimi reduce`: fewer codebooks, without encoding again.

use crate::{
    args::ReduceArgs,
    codes::{self, CodeReader, Format},
    failure::Outcome,
    standard,
};

pub(crate) fn run(args: &ReduceArgs) -> Outcome {
    let mut codes = CodeReader::open(&args.input)?;
    codes.keep(args.codebooks)?;
    let format = args.format.map_or_else(|| Format::of(&args.output), Ok)?;
    // Before the work, so that it is not in vain.
    let destination = standard::create(&args.output)?;
    codes::write(destination, &codes.read_to_end()?, format)
}
