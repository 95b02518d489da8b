//! The network as a program: a list of operations on the memory of a stream.
//!
//! Layers write it down once, when a stream is opened: each reserves slots of memory with the [`Planner`] and appends
//! its operations. A stream is then a program, a [`Memory`] and a place in the program. A pass runs the program once,
//! over the frames that are there. It may stop after any operation and go on later, which changes no bit.
//!
//! Each operation knows its rows in a frame, so that a shorter pass cuts it, and its cost, so that work can be
//! bounded, spread over time and shown.

mod attention;
mod memory;
mod op;
mod pack;
mod planner;
mod run;
mod search;

pub(crate) use attention::{Ring, Rotary};
pub(crate) use memory::{Memory, Slot};
pub use op::{NO_CODE, Section};
pub(crate) use op::{Norm, Op, Padding, Span, qkv_width};
pub(crate) use pack::{not_packed, offsets, pack};
pub(crate) use planner::{Cost, Multiply, Planner, whole};
pub(crate) use run::{Batch, Entry, Length, Program};
pub(crate) use search::Codebook;
