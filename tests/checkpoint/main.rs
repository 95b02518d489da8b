//! Checkpoints: every layout and spelling gives the same tensors; every damage is an error that
//! says what and where.

mod files;
mod folders;
mod foreign;
mod hostile;
mod layouts;
mod memory;
mod pocket;
mod support;
