//! Which model: a checkpoint on disk, one in Hugging Face's cache, or the toy inside this program.

use crate::{
    args::ModelArgs,
    failure::{Failure, Outcome, tell},
    hub::{Cache, Name},
};
use mimi::{Checkpoint, LoadOptions, Model, Parts};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

static DEMO: &[u8] = include_bytes!("../demo/model.safetensors");

/// The built-in model's fingerprint.
pub(crate) const DEMO_ID: i64 = 0x7207_64c6_04bf_5374;

const DEMO_NOTE: &str = "this was the built-in model, a toy that blurs speech; for real quality, \
    `mimi fetch` and then --model kyutai/mimi";

/// Whether [`tell_of_demo`] has something to tell.
static USED_DEMO: AtomicBool = AtomicBool::new(false);

/// After a success: whether it was the toy's. Once, and not beside an error.
pub(crate) fn tell_of_demo() {
    if USED_DEMO.load(Ordering::Relaxed) {
        tell(DEMO_NOTE);
    }
}

/// Codes tell which model they are of: who decodes those of the toy was told when they were made.
pub(crate) fn is_known_from_codes() {
    USED_DEMO.store(false, Ordering::Relaxed);
}

/// Loads the model that `args` names, with the halves that the command needs.
pub(crate) fn load(args: &ModelArgs, parts: Parts) -> Outcome<Model> {
    let options = LoadOptions { parts, precision: args.precision.into(), ..LoadOptions::default() };
    match &args.model {
        Some(model) => Ok(Model::load(find(model)?, &options)?),
        None => {
            USED_DEMO.fetch_or(!args.quiet, Ordering::Relaxed);
            Ok(Model::load_bytes(DEMO, &options)?)
        }
    }
}

/// Whether the model that `args` names has a quantizer, and so codes.
pub(crate) fn has_codes(args: &ModelArgs) -> Outcome<bool> {
    match &args.model {
        Some(model) => Ok(Checkpoint::open(&find(model)?)?.config().continuous.is_none()),
        None => Ok(true),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_the_built_in_model() {
        let args = ModelArgs { quiet: true, ..ModelArgs::default() };
        assert_eq!(load(&args, Parts::Decoder).unwrap().id(), DEMO_ID);
    }
}
