//! The network's layers: weights, and one step function each.
//!
//! A layer holds weights only and never changes. What it remembers of a stream lies in that stream's
//! [`Memory`], at slots that the layer asked for when the stream was planned. A step takes whole rows
//! `[time, channel]`, for one stream or for several at once, and there is no other way to run a layer:
//! offline is a stream that is pushed everything.

mod attention;
mod codebook;
mod conv;
mod memory;
mod pairs;
mod quantizer;
mod seanet;
mod transformer;
mod upsample;

pub(crate) use codebook::Codebook;
pub(crate) use conv::{Conv, ConvState, Padding};
pub(crate) use memory::{Batch, Cost, Memory, Plan, Slot};
pub use pairs::PAIRED_WEIGHTS;
pub(crate) use quantizer::{Branch, QuantizerState, SplitQuantizer};
pub(crate) use seanet::{
    DecoderStage, DecoderState, EncoderStage, EncoderState, ResidualBlock, SeanetDecoder, SeanetEncoder,
};
pub(crate) use transformer::{Norm, Transformer, TransformerLayer, TransformerState};
pub(crate) use upsample::{Upsampler, UpsamplerState};
