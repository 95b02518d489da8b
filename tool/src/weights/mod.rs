//! Checkpoints, written: any layout, precision and half of a model, with its config inside.

mod config;
mod stored;
mod tensors;
mod writer;

pub(crate) use stored::stored_values;
pub(crate) use writer::write;

use mimi::Layout;

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) layout: Layout,
    pub(crate) values: Values,
    pub(crate) half: Half,
}

/// How the values of weights are stored. Codebooks are always in 32 bits: rounded, they would give
/// other codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Values {
    /// 32 bits, exact
    F32,
    /// 16 bits, 11 of them significant
    F16,
    /// 16 bits, 8 of them significant
    Bf16,
}

/// Which half of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Half {
    #[default]
    Both,
    /// What turns audio into codes
    Encoder,
    /// What turns codes into audio
    Decoder,
}

impl Half {
    /// Whether the tensor of this name, in transformers' layout, belongs to it. The quantizer, whose
    /// codebooks both halves need, belongs to both.
    fn has(self, name: &str) -> bool {
        let of_encoder = ["encoder.", "encoder_transformer.", "downsample."];
        let of_decoder = ["decoder.", "decoder_transformer.", "upsample."];
        let starts = |modules: [&str; 3]| modules.iter().any(|module| name.starts_with(module));
        match self {
            Self::Both => true,
            Self::Encoder => !starts(of_decoder),
            Self::Decoder => !starts(of_encoder),
        }
    }
}

pub(crate) use config::json as config_json;
