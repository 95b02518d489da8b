//! The network's layers: weights, and one `emit` each.
//!
//! A layer holds weights only and never changes. Its `emit` writes down what it does: it reserves slots in a stream's
//! memory and appends operations on rows `[time, channel]` to the program. There is no other way to run a layer:
//! offline is a stream that is pushed everything.

mod conv;
mod quantizer;
mod seanet;
mod transformer;
mod upsample;

pub(crate) use conv::{Conv, Linear};
pub(crate) use quantizer::{Branch, SplitQuantizer};
pub(crate) use seanet::{DecoderStage, EncoderStage, ResidualBlock, SeanetDecoder, SeanetEncoder};
pub(crate) use transformer::{Transformer, TransformerLayer};
pub(crate) use upsample::Upsampler;
