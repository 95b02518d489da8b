//! `mimi convert`: a model in another layout, precision or half.

use crate::{
    args::{ConvertArgs, LayoutArg},
    failure::{Failure, Outcome},
    model, output, standard,
    weights::{self, Form, Half},
};
use mimi::{Checkpoint, Layout, probe};
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
    let values = args.precision.unwrap_or_else(|| weights::stored_values(&checkpoint));
    let form = Form { layout, values, half: args.half.unwrap_or_else(|| Half::of(&checkpoint)) };
    let replaces = |output: &Path| match args.overwrite {
        true => Ok(()),
        false => probe::stored_files(&checkpoint)
            .iter()
            .try_for_each(|file| output::refuse_input(Path::new(file), output)),
    };
    if !standard::names_folder(&args.output) {
        replaces(&args.output)?;
        return weights::write(&checkpoint, form, standard::create(&args.output)?);
    }
    let weights = args.output.join(WEIGHTS);
    replaces(&weights)?;
    fs::create_dir_all(&args.output).map_err(|error| Failure::io(&args.output, &error))?;
    weights::write(&checkpoint, form, standard::create(&weights)?)?;
    let config = weights::config_json(checkpoint.config());
    standard::write(standard::create(&args.output.join("config.json"))?, config.as_bytes())
}
