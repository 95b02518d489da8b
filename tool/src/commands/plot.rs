//! `mimi plot`: what the codec does to a recording, as a picture.

use super::compare;
use crate::{
    args::PlotArgs,
    codec::{self, Codec},
    failure::{Failure, Outcome},
    model,
    picture::{self, Format, Overview},
    standard,
};
use mimi::Parts;
use std::path::Path;

pub(crate) fn run(args: &PlotArgs) -> Outcome {
    // Before the work, so that it is not in vain.
    let format = Format::of(&args.output)?;
    let destination = standard::create(&args.output)?;
    let codec = Codec::new(model::load(&args.model, Parts::Both)?);
    codec::check_codebooks(codec.model(), args.codebooks)?;
    let config = codec.model().config();
    let pcm = compare::read(&args.input, config.sampling_rate)?;
    if pcm.len() < config.frame_size() {
        let (found, least) = (pcm.len(), config.frame_size());
        let found = format!("too short for a picture: {found} of the {least} samples of a frame");
        return Err(Failure::at(&args.input, found));
    }
    let codes = codec.encode(&pcm)?;
    let shown = match args.codebooks {
        None => codec.model().spec().default_codebooks,
        Some(codebooks) => codebooks,
    };
    let levels = compare::levels(&codec, &pcm, &codes, args.model.quiet)?;
    let mut output = codec.decode(&codes, shown)?;
    output.truncate(pcm.len());
    let model = args.model.model.as_ref().map_or("the built-in toy".into(), |model| model.to_string_lossy());
    let overview = Overview {
        name: &file_name(&standard::input_name(&args.input)),
        model: &model,
        rate: config.sampling_rate,
        frame_size: config.frame_size(),
        input: &pcm,
        output: &output,
        shown,
        codes: &codes,
        codebook_size: config.codebook_size,
        levels: &levels,
    };
    standard::write(destination, &picture::render(&overview, format)?)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
