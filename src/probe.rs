//! What `mimi bench` measures with: the machine's limits, and a network's pass section by section; what other integers
//! would cost; which files of a folder `mimi fetch` needs; and how a checkpoint is stored, and its weights packed, for
//! `mimi convert`. No part of the API: it may change with every release.

pub use crate::checkpoint::folder;
pub use crate::model::write_packed;
pub use crate::program::Section;

use crate::kernels::{FlushDenormals, Integers, Kernels, MAX_BATCH};
use crate::model::{Border, Half, MAX_BLOCK, Shape};
use crate::program::{Batch, Cost, Entry, Length, Memory, Program};
use crate::{Checkpoint, Error, ErrorKind, Model, StreamOptions, oneshot};
use std::sync::Arc;

/// The files that have a checkpoint's tensors, as messages call them.
pub fn stored_files(checkpoint: &Checkpoint) -> Vec<String> {
    checkpoint.files().map(str::to_owned).collect()
}

/// The type of the elements of a tensor on disk, by its name in the transformers layout, if it is there.
pub fn stored_type(checkpoint: &Checkpoint, name: &str) -> Option<safetensors::Dtype> {
    checkpoint.stored_type(name)
}

/// The kernels that a model runs on, to find the limits of the machine with.
#[derive(Clone, Copy)]
pub struct Limits(Kernels);

impl Limits {
    /// For the instruction set of `model`.
    pub fn of(model: &Model) -> Self {
        Self(model.kernels())
    }

    /// Does multiply-adds in registers and nothing else; returns how many, in single values.
    pub fn multiply_adds(self, rounds: usize) -> usize {
        self.0.multiply_adds(rounds)
    }

    /// The same with integers of 16 bits.
    pub fn integer_multiply_adds(self, rounds: usize) -> usize {
        self.0.integer_multiply_adds(rounds)
    }

    /// Reads `values`, at several places in turn.
    pub fn read(self, values: &[f32]) {
        std::hint::black_box(self.0.read(values));
    }
}

/// A model in 16-bit integers other than those of [`Precision::Int16`](crate::Precision::Int16): with weights of up to
/// `weights` bits and inputs of `inputs`, and sums in 32 bits of `segment` products, an even number.
pub fn load_in_bits(
    checkpoint: &Checkpoint,
    [weights, inputs]: [u32; 2],
    segment: usize,
) -> Result<Model, Error> {
    let [weights, inputs] = [weights, inputs].map(|bits| (1 << (bits - 1)) - 1);
    Model::in_integers(checkpoint, Integers { weights, inputs, segment })
}

/// What a stream of one frame at a time costs.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Bytes of its memory.
    pub bytes: u64,
    /// Multiply-adds of a frame, or what costs as much.
    pub work: u64,
}

impl Costs {
    /// Of an encoder with all codebooks, if the model has one.
    pub fn of_encoder(model: &Model) -> Result<Option<Self>, Error> {
        model.encoder().ok().map(|half| Self::of(model, &**half)).transpose()
    }

    /// Of a decoder, likewise.
    pub fn of_decoder(model: &Model) -> Result<Option<Self>, Error> {
        model.decoder().ok().map(|half| Self::of(model, &**half)).transpose()
    }

    fn of(model: &Model, half: &impl Half) -> Result<Self, Error> {
        let options = StreamOptions { codebooks: Some(model.codebooks()), ..StreamOptions::default() };
        let quantizer = model.quantizer().map(|quantizer| &**quantizer);
        let Cost { bytes, work, .. } =
            half.cost(quantizer, model.spec(), half.shape(model.spec(), &options)?)?;
        Ok(Self { bytes, work })
    }
}

/// What a layer does in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The part of the network.
    pub section: Section,
    /// Which of the part's layers.
    pub layer: usize,
    /// Its name.
    pub name: &'static str,
    /// Rows.
    pub rows: usize,
    /// Inputs and outputs of a row that is multiplied with weights; `None` for keys and values.
    pub shape: Option<[usize; 2]>,
    /// Multiply-adds of weights, or of keys and values in a full window.
    pub multiply_adds: u64,
    /// Whether they are of integers.
    pub in_integers: bool,
    /// Bytes of weights, or of keys and values.
    pub bytes: u64,
}

/// What each layer of an encoder does in a frame, in order.
pub fn encoder_work(model: &Model, options: &StreamOptions) -> Result<Vec<Work>, Error> {
    work(model, model.encoder()?, options)
}

/// What each layer of a decoder does in a frame, in order.
pub fn decoder_work(model: &Model, options: &StreamOptions) -> Result<Vec<Work>, Error> {
    work(model, model.decoder()?, options)
}

fn work<H: Half>(model: &Model, half: &Arc<H>, options: &StreamOptions) -> Result<Vec<Work>, Error> {
    let shape = Shape { block: 1, ..half.shape(model.spec(), options)? };
    let quantizer = model.quantizer().map(|quantizer| &**quantizer);
    let (program, ..) = half.plan_in_parts(quantizer, model.spec(), shape, u64::MAX)?;
    let mut list: Vec<Work> = Vec::new();
    let mut read = Vec::new();
    for Entry { op, rows, place, .. } in program.entries() {
        let (multiply_adds, mut bytes) = (op.multiply_adds(rows.count), op.bytes());
        if multiply_adds == 0 {
            continue;
        }
        // weights that all pieces of a layer's rows read
        if let Some(matrix) = op.matrix().map(Arc::as_ptr) {
            if read.contains(&matrix) {
                bytes = 0;
            }
            read.push(matrix);
        }
        let same =
            |one: &&mut Work| (one.section, one.layer, one.name) == (place.section, place.layer, place.name);
        if let Some(one) = list.iter_mut().find(same) {
            one.multiply_adds += multiply_adds;
            one.bytes += bytes;
            continue;
        }
        list.push(Work {
            section: place.section,
            layer: place.layer,
            name: place.name,
            rows: rows.rate,
            shape: op.shape(),
            multiply_adds,
            in_integers: op.in_integers(),
            bytes,
        });
    }
    Ok(list)
}

/// Streams on one half of a model, for passes whose stages can be timed.
pub struct Probe {
    kernels: Kernels,
    program: Program,
    border: Border,
    shape: Shape,
    /// Samples in a frame, and code words in a codebook.
    frame: usize,
    codebook_size: usize,
    memories: Vec<Memory>,
}

impl Probe {
    /// `streams` encoders, at most 16.
    pub fn encoders(model: &Model, options: &StreamOptions, streams: usize) -> Result<Self, Error> {
        Self::new(model, model.encoder()?, options, streams)
    }

    /// `streams` decoders, at most 16.
    pub fn decoders(model: &Model, options: &StreamOptions, streams: usize) -> Result<Self, Error> {
        Self::new(model, model.decoder()?, options, streams)
    }

    fn new<H: Half>(
        model: &Model,
        half: &Arc<H>,
        options: &StreamOptions,
        streams: usize,
    ) -> Result<Self, Error> {
        if !(1..=MAX_BATCH).contains(&streams) {
            let message = format_args!("{streams} streams; expected 1 to {MAX_BATCH}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let (spec, shape) = (model.spec(), half.shape(model.spec(), options)?);
        let quantizer = model.quantizer().map(|quantizer| &**quantizer);
        let (program, memory, border) = half.plan(quantizer, spec, shape)?;
        let mut memories = vec![memory];
        for _ in 1..streams {
            memories.push(memories[0].try_clone().map_err(crate::error::out_of_memory)?);
        }
        // without a quantizer, each frame has one code, which says that it arrived
        let (frame, codebook_size) = (spec.frame_size, spec.codebook_size.max(1));
        Ok(Self { kernels: half.kernels(), program, border, shape, frame, codebook_size, memories })
    }

    /// Options for passes of as many frames as those of one-shot calls.
    pub fn one_shot(model: &Model, options: &StreamOptions) -> StreamOptions {
        let block = (oneshot::FRAMES * model.spec().frame_size).min(MAX_BLOCK);
        StreamOptions { max_block: options.max_block.or(Some(block)), ..options.clone() }
    }

    /// Frames in a pass.
    pub fn frames(&self) -> usize {
        self.shape.block
    }

    /// Load of each operation of a pass: its time, in multiply-adds.
    pub fn operations(&self) -> impl Iterator<Item = u64> {
        self.program.entries().iter().map(|entry| entry.load)
    }

    /// A pass of all streams, for samples of a low hum and a pattern of codes; `passed` is called at the end of each
    /// run of operations of one section.
    pub fn pass(&mut self, mut passed: impl FnMut(Section)) {
        let _flush = FlushDenormals::new();
        let samples = self.shape.block * self.frame;
        for memory in &mut self.memories {
            let hum = (0..samples).map(|i| (i % 240) as f32 / 240.0 - 0.5);
            let slot = &mut memory.scratch[self.border.samples.first(samples)];
            slot.iter_mut().zip(hum).for_each(|(x, y)| *x = y);
            let codes = memory.codes.iter_mut().enumerate();
            codes.for_each(|(i, code)| *code = (i * 7 % self.codebook_size) as u32);
        }
        let mut batch = Batch::new(self.kernels, self.memories.iter_mut(), None);
        let mut first = 0;
        for run in self.program.entries().chunk_by(|a, b| a.place.section == b.place.section) {
            self.program.run(first..first + run.len(), &mut batch, Length(samples));
            first += run.len();
            passed(run[0].place.section);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_one_to_sixteen() {
        let micro = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/micro.safetensors"));
        let model = Model::load_bytes(micro, &Default::default()).unwrap();
        let options = StreamOptions::default();
        for streams in [0, 17] {
            for probe in
                [Probe::encoders(&model, &options, streams), Probe::decoders(&model, &options, streams)]
            {
                assert_eq!(probe.err().map(|error| error.kind()), Some(ErrorKind::InvalidArgument));
            }
        }
        assert!(
            Probe::encoders(&model, &options, 16).is_ok() && Probe::decoders(&model, &options, 1).is_ok()
        );
    }
}
