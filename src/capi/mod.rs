//! The C ABI: what `include/mimi.h` declares, and that header is generated from these files.
//!
//! One file per group of the header, in its order: [`version`], [`status`], [`options`],
//! [`model`], [`oneshot`], [`encoder`], [`decoder`], [`many`], [`latents`], [`capture`], [`playback`], [`tokens`]. Each
//! function checks what C gave it, calls the Rust API and converts the result; the checks are in `guard`, `handle`,
//! `live`, `buffer` and `header`.
//!
//! The documentation of the functions is the header's manual, written for C. What a caller owes is in the
//! header's introduction, `manual.h`, and not repeated as a "Safety" section.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod buffer;
mod guard;
mod handle;
mod header;
mod live;

pub mod capture;
pub mod decoder;
pub mod encoder;
pub mod latents;
pub mod many;
pub mod model;
pub mod oneshot;
pub mod options;
pub mod playback;
pub mod status;
mod stream;
pub mod tokens;
pub mod version;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

#[cfg(test)]
mod tests;
