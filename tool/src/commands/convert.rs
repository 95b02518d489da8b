//! `mimi convert`: a model in another layout, precision or half.

use crate::{
    args::{ConvertArgs, LayoutArg},
    failure::{Failure, Outcome},
    model, output, standard,
    weights::{self, Form, Half},
};
use mimi::{Checkpoint, Isa, Layout, LoadOptions, probe};
use std::{fs, path::Path};

const WEIGHTS: &str = "model.safetensors";

pub(crate) fn run(args: &ConvertArgs) -> Outcome {
    let input = model::find(&args.input)?;
    let checkpoint = Checkpoint::open(&input)?;
    let layout = match args.layout {
        None => checkpoint.layout(),
        Some(LayoutArg::Transformers) => Layout::Transformers,
        Some(LayoutArg::Kyutai) => Layout::Kyutai,
    };
    let half = args.half.unwrap_or_else(|| Half::of(&checkpoint));
    let write = |destination| match args.packed {
        Some(precision) => {
            let isa = args.isa.map_or(Isa::Auto, Isa::from);
            let parts = half.into();
            let options = LoadOptions { parts, precision: precision.into(), isa, ..LoadOptions::default() };
            weights::write_packed(&checkpoint, &options, destination)
        }
        None => {
            let values = args.precision.unwrap_or_else(|| weights::stored_values(&checkpoint));
            weights::write(&checkpoint, Form { layout, values, half }, destination)
        }
    };
    let replaces = |output: &Path| match args.overwrite {
        true => Ok(()),
        false => probe::stored_files(&checkpoint)
            .iter()
            .try_for_each(|file| output::refuse_input(Path::new(file), output)),
    };
    if !standard::names_folder(&args.output) {
        replaces(&args.output)?;
        return write(standard::create(&args.output)?);
    }
    let weights = args.output.join(WEIGHTS);
    replaces(&weights)?;
    fs::create_dir_all(&args.output).map_err(|error| Failure::io(&args.output, &error))?;
    write(standard::create(&weights)?)?;
    let config = weights::config_json(checkpoint.config());
    standard::write(standard::create(&args.output.join("config.json"))?, config.as_bytes())
}
