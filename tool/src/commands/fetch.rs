//! `mimi fetch`: a model into Hugging Face's cache.

use crate::{
    args::FetchArgs,
    failure::{Failure, Outcome},
    hub::{self, Name},
    standard,
};
use std::path::Path;

pub(crate) fn run(args: &FetchArgs) -> Outcome {
    let name = Name::parse(Path::new(&args.name));
    let name = name.ok_or_else(|| {
        Failure::usage(format!("{}: not a name; expected two words as in kyutai/mimi", args.name))
    })?;
    let folder = hub::fetch(&name, args.quiet)?;
    standard::print(format!("{}\n", folder.display()).as_bytes())
}
