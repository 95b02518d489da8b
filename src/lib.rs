//! Mimi, the neural speech codec: 24 kHz audio to 12.5 frames a second of up to 32 codes of eleven bits,
//! and back.
//!
//! ```
//! # fn main() -> Result<(), mimi::Error> {
//! # let path = "tool/demo/model.safetensors";
//! let model = mimi::Model::load(path, &mimi::LoadOptions::default())?;
//! let pcm = vec![0.0f32; 24_000];
//! let codes = model.encode(&pcm, &mimi::StreamOptions::default())?;
//! let audio = model.decode(&codes, &mimi::StreamOptions::default())?;
//! assert_eq!(audio.len(), 13 * 1920);
//! # Ok(())
//! # }
//! ```
//!
//! The latents between the halves can be had, too: [`Model::encode_latents`], [`Model::decode_latents`], and the same
//! of streams. [`Model::quantize`] and [`Model::dequantize`] stand between latents and codes. Networks without a
//! quantizer, such as the Mimi of Pocket TTS, have latents alone.
//!
//! A [`Model`] is weights, shared and never changed. An [`Encoder`] or a [`Decoder`] is one stream on it,
//! which takes input cut in any way and gives the same bits; the calls above are streams that are given
//! everything at once. C programs see the same through [`capi`], whose manual is `include/mimi.h`.
//!
//! # How to read the source
//!
//! Outside in, each module uses those below it, and `tests/layering.rs` holds them to that:
//!
//! | module | knows about |
//! |---|---|
//! | [`capi`] | pointers, handles and statuses; nothing about audio |
//! | [`bitstream`] | codes as bytes |
//! | [`live`] | streams in audio callbacks: shares of work, queues between threads |
//! | `oneshot` | whole recordings |
//! | `quantize` | the quantizer alone |
//! | `encoder`, `decoder`, `stream` | partial frames, the end, counting |
//! | `conceal` | the sound of frames that did not arrive |
//! | `resample` | audio at another rate than the model's |
//! | `model` | which tensor belongs to which layer, and the two halves of a network |
//! | `checkpoint`, `tensors`, `config` | files: names, shapes and numbers, hostile ones too |
//! | `layers` | the network: convolutions, attention, quantizer; one `emit` each |
//! | `program` | a network as a list of operations, and how it runs |
//! | `kernels` | arithmetic on slices, once per instruction set |
//! | `error`, `options`, `hash` | themselves |
//!
//! When a stream is opened, the layers write its program: `model/half.rs` is a page that names every stage.
//!
//! ```text
//! samples ── SEANet ──▶ 2 × 512 ── transformer ──▶ 2 × 512 ── down-sample ──▶ 1 × 512 ── quantizer ──▶ codes
//! samples ◀── SEANet ── 2 × 512 ◀── transformer ── 2 × 512 ◀─── up-sample ─── 1 × 512 ◀── quantizer ── codes
//! ```
//!
//! The latent, here 1 × 512, is the border between the halves. Each half may have numbers of its own
//! ([`Config::decoder`]), and there may be no quantizer ([`Config::continuous`]).
//!
//! [`Encoder::process`] gathers 1920 samples and runs the program: `stream.rs`, `program/run.rs`, `kernels/mod.rs`,
//! `kernels/matmul.rs`, `kernels/matmul/tile.rs`, where the innermost loop is. `mimi info --network` prints the
//! program.
//!
//! Three ideas carry the rest:
//! - **Rows.** Activations lie time-major, `[time, channel]`. A causal convolution over them is a matrix
//!   product whose rows overlap: nothing is copied or transposed, and every layer ends in one kernel.
//! - **One way to run.** A layer writes operations and has no offline twin. Sums are taken in the same order however
//!   many rows there are, so that results are equal to the bit for every way to cut the input, and a frame may stop
//!   after any operation.
//! - **State apart from weights.** All that a stream remembers is one `Memory`, laid out when the stream is
//!   opened: reset fills it, clone copies it, and nothing is allocated afterwards.
//!
//! With feature `candle` (default), `reference` is the same network a second time, naive and offline:
//! the definition to read first, the oracle of the tests, and the way to other devices.
#![deny(unsafe_code)]

pub mod bitstream;
mod checkpoint;
mod conceal;
mod config;
mod decoder;
mod encoder;
mod error;
mod hash;
mod kernels;
mod layers;
pub mod live;
mod model;
mod oneshot;
mod options;
#[doc(hidden)]
pub mod probe;
mod program;
mod quantize;
#[cfg(feature = "candle")]
pub mod reference;
mod resample;
mod stream;
mod tensors;

#[allow(unsafe_code)]
pub mod capi;

pub use checkpoint::{Checkpoint, Layout, ReadAt};
pub use config::{Activation, Config, HalfConfig, PadMode};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::{Error, ErrorKind, StreamError};
pub use model::{Model, Spec};
pub use options::{Isa, LiveOptions, LoadOptions, Parts, Precision, StreamOptions, Tail, Work};
pub use program::NO_CODE;
pub use tensors::{TensorKind, TensorSpec};

#[doc = include_str!("from_transformers.md")]
pub mod from_transformers {}

/// The README's Rust program is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
