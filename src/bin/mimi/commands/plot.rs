//! `mimi plot`: what the codec does to a recording, as a picture.

use super::compare;
use crate::{
    args::PlotArgs,
    codec::{self, Codec},
    failure::{Failure, Outcome},
    measure, model,
    picture::{self, Picture},
    standard,
};
use mimi::Parts;
use std::io::Write;

pub(crate) fn run(args: &PlotArgs) -> Outcome {
    let codec = Codec::new(model::load(&args.model, Parts::Both)?);
    let rate = codec.model().config().sampling_rate;
    let pcm = compare::read(&args.input, rate)?;
    let codes = codec.encode(&pcm)?;
    let codebooks = match args.codebooks {
        None => codes.codebooks.min(8),
        Some(codebooks) if (1..=codes.codebooks).contains(&codebooks) => codebooks,
        Some(codebooks) => {
            let found = format!("this model has 1 to {} codebooks, not {codebooks}", codes.codebooks);
            return Err(Failure::new(found));
        }
    };
    let mut shown = Vec::new();
    let mut errors = Vec::new();
    for count in 1..=codes.codebooks {
        let mut output = codec.decode(&codes, count)?;
        output.truncate(pcm.len());
        errors.push(measure::log_mel_distance(&pcm, &output, rate));
        if count == codebooks {
            shown = output;
        }
    }
    let name = standard::input_name(&args.input);
    let svg = picture::svg(&Picture {
        name: &name.file_name().unwrap_or(name.as_os_str()).to_string_lossy(),
        rate,
        frame_size: codec.model().config().frame_size(),
        input: &pcm,
        output: &shown,
        bit_rate: codec::bit_rate(codec.model(), codebooks),
        shown: codebooks,
        codes: &codes,
        codebook_size: codec.model().config().codebook_size,
        errors: &errors,
    })
    .map_err(|error| Failure::new(format!("drawing failed: {error}")))?;
    let (mut file, pending) = standard::create(&args.output)?;
    let written = file.write_all(svg.as_bytes()).and_then(|()| file.flush());
    written.map_err(|error| Failure::io(pending.path(), &error))?;
    pending.commit()
}
