//! Which model: a checkpoint on disk, or the toy inside this program.

use crate::{
    args::ModelArgs,
    failure::{Failure, Outcome},
};
use mimi::{LoadOptions, Model, Parts};

static DEMO: &[u8] = include_bytes!("demo/model.safetensors");

const DEMO_WARNING: &str = "mimi: using the built-in demo model, a toy that blurs speech; \
    for real quality give the published weights with --model";

/// Loads the model that `args` names, with the halves that the command needs.
pub(crate) fn load(args: &ModelArgs, parts: Parts) -> Outcome<Model> {
    let options = LoadOptions { parts, precision: args.precision.into(), ..LoadOptions::default() };
    match &args.model {
        Some(path) => {
            // The library's message would do, but the system's is shorter for the commonest mistake.
            std::fs::metadata(path).map_err(|error| Failure::io(path, &error))?;
            Ok(Model::load(path, &options)?)
        }
        None => {
            if !args.quiet {
                eprintln!("{DEMO_WARNING}");
            }
            Ok(Model::load_bytes(DEMO, &options)?)
        }
    }
}
