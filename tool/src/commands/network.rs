//! `mimi info --network`: a model's layers, in the order in which a frame passes through them.

use crate::failure::Outcome;
use mimi::probe::{self, Section, Work};
use mimi::{Model, Parts, StreamOptions};
use serde_json::{Value, json};

/// The halves that a model has, each with what its layers do in a frame, for all codebooks.
fn halves(model: &Model) -> Outcome<Vec<(&'static str, Vec<Work>)>> {
    let options = StreamOptions { codebooks: Some(model.codebooks()), ..StreamOptions::default() };
    let mut halves = Vec::new();
    if model.parts() != Parts::Decoder {
        halves.push(("encoder", probe::encoder_work(model, &options)?));
    }
    if model.parts() != Parts::Encoder {
        halves.push(("decoder", probe::decoder_work(model, &options)?));
    }
    Ok(halves)
}

fn section(work: &Work) -> &'static str {
    match work.section {
        Section::Seanet => "seanet",
        Section::Transformer => "transformer",
        Section::Resampling => "resampling",
        Section::Quantizer => "quantizer",
    }
}

pub(super) fn json(model: &Model) -> Outcome<String> {
    let layer = |work: &Work| {
        json!({
            "section": section(work),
            "layer": work.layer,
            "name": work.name,
            "rows": work.rows,
            "inputs": work.shape.map(|[inputs, _]| inputs),
            "outputs": work.shape.map(|[_, outputs]| outputs),
            "multiply_adds": work.multiply_adds,
            "bytes": work.bytes,
        })
    };
    let halves = halves(model)?;
    let halves = halves
        .iter()
        .map(|(name, layers)| ((*name).to_owned(), layers.iter().map(layer).collect::<Vec<Value>>().into()));
    Ok(format!("{:#}\n", Value::Object(halves.collect())))
}

/// Layers of a section that are alike, one after the other or in turn with others.
struct Alike {
    first: Work,
    last: usize,
    count: u64,
}

/// Layers that differ in their number alone count as one line.
fn alike(layers: &[Work]) -> Vec<Alike> {
    let mut list: Vec<Alike> = Vec::new();
    for work in layers {
        let same = |one: &&mut Alike| Work { layer: work.layer, ..one.first } == *work;
        match list.iter_mut().find(same) {
            Some(one) => (one.last, one.count) = (work.layer, one.count + 1),
            None => list.push(Alike { first: *work, last: work.layer, count: 1 }),
        }
    }
    list
}

pub(super) fn table(model: &Model) -> Outcome<String> {
    let spec = model.spec();
    let mut text = format!(
        "A frame is {} samples at {} Hz. Multiply-adds and bytes are those of a frame, of attention with a full\n\
         window. Bytes are weights, or keys and values.\n",
        spec.frame_size, spec.sampling_rate
    );
    for (half, layers) in halves(model)? {
        text += &format!(
            "\n{half:11} {:7} {:22} {:>5}  {:>12} {:>14} {:>11}\n",
            "layers", "", "rows", "inputs", "outputs", "mult.-adds"
        );
        text.truncate(text.trim_end().len());
        text += &format!(" {:>11}\n", "bytes");
        let (mut multiply_adds, mut bytes) = (0, 0);
        for Alike { first, last, count } in alike(&layers) {
            let layers =
                if last == first.layer { last.to_string() } else { format!("{}-{last}", first.layer) };
            let [inputs, outputs] =
                first.shape.map_or([const { String::new() }; 2], |shape| shape.map(|n| n.to_string()));
            text += &format!(
                "{:11} {layers:7} {:22} {:5}  {inputs:>12} {outputs:>14} {:11} {:11}\n",
                section(&first),
                first.name,
                first.rows,
                first.multiply_adds * count,
                first.bytes * count,
            );
            multiply_adds += first.multiply_adds * count;
            bytes += first.bytes * count;
        }
        text += &format!(
            "{:11} {:7} {:22} {:5}  {:>12} {:>14} {multiply_adds:11} {bytes:11}\n",
            "all", "", "", "", "", ""
        );
    }
    Ok(text)
}
