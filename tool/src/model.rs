//! Which model: a checkpoint on disk, one in Hugging Face's cache, or the toy inside this program.

use crate::{
    args::ModelArgs,
    failure::{Failure, Outcome},
    hub::{Cache, Name},
};
use mimi::{LoadOptions, Model, Parts};
use std::path::{Path, PathBuf};

static DEMO: &[u8] = include_bytes!("../demo/model.safetensors");

const DEMO_WARNING: &str = "mimi: using the built-in demo model, a toy that blurs speech; \
    for real quality, `mimi fetch` and then --model kyutai/mimi";

/// Loads the model that `args` names, with the halves that the command needs.
pub(crate) fn load(args: &ModelArgs, parts: Parts) -> Outcome<Model> {
    let options = LoadOptions { parts, precision: args.precision.into(), ..LoadOptions::default() };
    match &args.model {
        Some(model) => Ok(Model::load(find(model)?, &options)?),
        None => {
            if !args.quiet {
                eprintln!("{DEMO_WARNING}");
            }
            Ok(Model::load_bytes(DEMO, &options)?)
        }
    }
}

/// Where the model is that was typed as a path or as a name; what is there as a path wins.
pub(crate) fn find(typed: &Path) -> Outcome<PathBuf> {
    // The library's message would do, but the system's is shorter for the commonest mistake.
    let missing = match std::fs::metadata(typed) {
        Ok(_) => return Ok(typed.to_path_buf()),
        Err(error) => Failure::io(typed, &error),
    };
    let name = Name::parse(typed).ok_or(missing)?;
    let cache = Cache::of_environment()?;
    cache.find(&name).ok_or_else(|| {
        let cache = cache.path().display();
        Failure::new(format!(
            "{name}: no such file, and no such model in {cache}; to download it: mimi fetch {name}"
        ))
    })
}
