//! Writes checkpoints in any layout and precision, of any half, with the config inside.

mod config;
mod stored;
mod writer;

pub(crate) use stored::stored_values;
pub(crate) use writer::{write, write_packed};

use mimi::{Checkpoint, Layout, Parts};

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) layout: Layout,
    pub(crate) values: Values,
    pub(crate) half: Half,
}

/// How the values of weights are stored. Codebooks always have 32 bits, because rounded ones would give
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Half {
    Both,
    /// The half that turns audio into codes
    Encoder,
    /// The half that turns codes into audio
    Decoder,
}

impl From<Half> for Parts {
    fn from(half: Half) -> Self {
        match half {
            Half::Both => Self::Both,
            Half::Encoder => Self::Encoder,
            Half::Decoder => Self::Decoder,
        }
    }
}

impl Half {
    /// What `checkpoint` has tensors of.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        let tensors = checkpoint.tensors();
        let has =
            |parts| tensors.iter().any(|tensor| tensor.parts == parts && checkpoint.contains(&tensor.name));
        match (has(Parts::Encoder), has(Parts::Decoder)) {
            (true, false) => Self::Encoder,
            (false, true) => Self::Decoder,
            _ => Self::Both,
        }
    }

    /// Whether a file of it has the tensors that belong to `parts`.
    fn has(self, parts: Parts) -> bool {
        match self {
            Self::Both => true,
            Self::Encoder => parts != Parts::Decoder,
            Self::Decoder => parts != Parts::Encoder,
        }
    }
}

pub(crate) use config::json as config_json;
