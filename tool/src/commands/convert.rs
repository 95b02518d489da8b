//! `mimi convert`: a model in another layout, precision or half.

use crate::{
    args::{ConvertArgs, LayoutArg},
    failure::{Failure, Outcome},
    model, standard,
    weights::{self, Form},
};
use mimi::{Checkpoint, Layout};
use std::fs;

pub(crate) fn run(args: &ConvertArgs) -> Outcome {
    let checkpoint = Checkpoint::open(&model::find(&args.input)?)?;
    let layout = match args.layout {
        None => checkpoint.layout(),
        Some(LayoutArg::Transformers) => Layout::Transformers,
        Some(LayoutArg::Kyutai) => Layout::Kyutai,
    };
    let form = Form { layout, values: args.precision, half: args.half };
    if !standard::names_folder(&args.output) {
        return weights::write(&checkpoint, form, standard::create(&args.output)?);
    }
    fs::create_dir_all(&args.output).map_err(|error| Failure::io(&args.output, &error))?;
    weights::write(&checkpoint, form, standard::create(&args.output.join("model.safetensors"))?)?;
    let config = weights::config_json(checkpoint.config());
    standard::write(standard::create(&args.output.join("config.json"))?, config.as_bytes())
}
