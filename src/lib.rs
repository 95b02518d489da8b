//! Mimi, the neural audio codec: 24 kHz speech to 12.5 frames a second of up to 32 codes of
//! eleven bits, and back.
//!
//! ```no_run
//! # fn main() -> Result<(), mimi::Error> {
//! let model = mimi::Model::load("model.safetensors", &mimi::LoadOptions::default())?;
//! let pcm = vec![0.0f32; 24_000];
//! let codes = model.encode(&pcm, &mimi::StreamOptions::default())?;
//! let audio = model.decode(&codes, &mimi::StreamOptions::default())?;
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

pub mod bitstream;
mod checkpoint;
mod config;
mod decoder;
mod encoder;
mod error;
mod hash;
mod kernels;
mod layers;
mod model;
mod options;
#[cfg(feature = "candle")]
pub mod reference;

#[allow(unsafe_code)]
pub mod capi;

pub use checkpoint::{Checkpoint, ReadAt};
pub use config::{Activation, Config, PadMode};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::{Error, ErrorKind, StreamError};
pub use model::Model;
pub use options::{Isa, LoadOptions, Parts, Precision, StreamOptions, Tail};
