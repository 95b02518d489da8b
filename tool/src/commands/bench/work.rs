//! The least time that a machine can do a frame's work in.

use super::machine::Machine;
use mimi::probe::{self, Section, Work};
use mimi::{Error, Model, StreamOptions};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Encode,
    Decode,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::Encode, Side::Decode];

    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Encode => "encode",
            Side::Decode => "decode",
        }
    }
}

/// What the layers of one half do in a frame.
pub(super) struct Layers(Vec<Work>);

impl Layers {
    pub(super) fn new(model: &Model, options: &StreamOptions, side: Side) -> Result<Self, Error> {
        Ok(Self(match side {
            Side::Encode => probe::encoder_work(model, options)?,
            Side::Decode => probe::decoder_work(model, options)?,
        }))
    }

    /// Milliseconds below which no machine like this gives a frame to each of `streams` streams, one
    /// pass over the weights for all: each layer waits for its multiply-adds or for its bytes.
    pub(super) fn stream_limit(&self, machine: &Machine, streams: usize, section: Option<Section>) -> f64 {
        let streams = streams as f64;
        let seconds = self.of(section).map(|layer| {
            // keys and values are each stream's own
            let times_read = if layer.shape.is_some() { 1.0 } else { streams };
            let reading = layer.bytes as f64 * times_read / machine.bytes_per_second;
            reading.max(arithmetic(layer, machine) * streams)
        });
        seconds.sum::<f64>() * 1e3
    }

    /// Milliseconds of a frame's multiply-adds alone: what many frames at once come near to.
    pub(super) fn clip_limit(&self, machine: &Machine, section: Option<Section>) -> f64 {
        self.of(section).map(|layer| arithmetic(layer, machine)).sum::<f64>() * 1e3
    }

    /// The layers of a section, or all.
    fn of(&self, section: Option<Section>) -> impl Iterator<Item = &Work> {
        self.0.iter().filter(move |layer| section.is_none_or(|section| section == layer.section))
    }
}

/// Seconds for a layer's multiply-adds.
fn arithmetic(layer: &Work, machine: &Machine) -> f64 {
    let rate = match layer.in_integers {
        true => machine.integer_multiply_adds_per_second,
        false => machine.multiply_adds_per_second,
    };
    layer.multiply_adds as f64 / rate
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi::LoadOptions;

    const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/model.safetensors");

    #[test]
    fn a_stream_waits_for_memory_and_many_streams_for_arithmetic() {
        let model = Model::load(DEMO, &LoadOptions::default()).unwrap();
        let layers = Layers::new(&model, &StreamOptions::default(), Side::Decode).unwrap();
        let machine = Machine {
            multiply_adds_per_second: 50e9,
            integer_multiply_adds_per_second: 100e9,
            bytes_per_second: 10e9,
        };
        let section = Some(Section::Transformer);
        let bytes: u64 = layers.of(section).map(|layer| layer.bytes).sum();
        assert!((layers.stream_limit(&machine, 1, section) - bytes as f64 / 10e9 * 1e3).abs() < 1e-9);
        assert!(layers.stream_limit(&machine, 100, None) >= 100.0 * layers.clip_limit(&machine, None));
    }
}
