//! Streams: what encoders and decoders share.
//!
//! A stream is a program, the memory that it works on, and the frame at hand. A [`Direction`], [`encoding`] or
//! [`decoding`], says how frames come in and go out, and a [`Value`] what they are on the side that is not audio; all
//! else is written once, here.

mod decoding;
mod encoding;
mod many;
mod values;

use crate::error::out_of_memory;
use crate::hash::CodesHash;
use crate::kernels::{FlushDenormals, Team};
use crate::layers::SplitQuantizer;
use crate::model::{Border, Half, Shape};
use crate::program::{Batch, Length, Memory, Program};
use crate::resample::{Rates, Resampler};
use crate::{Error, Model, Spec, StreamError, StreamOptions};
use std::iter;
use std::sync::Arc;

pub(crate) use decoding::Decoding;
pub(crate) use encoding::Encoding;
pub(crate) use many::{process_each, run_each};
pub(crate) use values::{Lost, Value, check_codes, copy_finite};

/// A stream on half a model, whose weights it keeps alive.
pub(crate) struct Stream<D: Direction> {
    half: Arc<D::Half>,
    pub(crate) direction: D,
    pub(crate) quantizer: Option<Arc<SplitQuantizer>>,
    pub(crate) spec: Spec,
    pub(crate) shape: Shape,
    program: Program,
    pub(crate) memory: Memory,
    pub(crate) border: Border,
    pub(crate) rates: Rates,
    /// Between the stream's rate and the model's, if they differ.
    pub(crate) resampler: Option<Box<Resampler>>,
    pub(crate) frames: u64,
    /// Those of them that a decoder concealed.
    pub(crate) concealed: u64,
    pub(crate) hash: CodesHash,
    /// The stream was flushed: the next input begins a new one.
    pub(crate) ended: bool,
    /// Of the frame that is run in parts, if there is one.
    progress: Option<Progress>,
}

/// How far a frame is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The next operation.
    operation: usize,
    /// Load of those before it.
    load: u64,
}

impl<D: Direction> Stream<D> {
    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn new(model: &Model, options: &StreamOptions, shape: Shape) -> Result<Self, Error> {
        let half = D::half(model)?;
        let quantizer = model.quantizer().cloned();
        let (program, memory, border) = half.plan(quantizer.as_deref(), model.spec(), shape)?;
        let rates = model.spec().stream_rates(options)?;
        let resampler = D::resampler(rates)?;
        Ok(Self {
            half: Arc::clone(half),
            direction: D::new(options, rates, resampler.as_deref())?,
            quantizer,
            spec: *model.spec(),
            shape,
            program,
            memory,
            border,
            rates,
            resampler,
            frames: 0,
            concealed: 0,
            hash: CodesHash::new(),
            ended: false,
            progress: None,
        })
    }

    /// A fork of this stream, at the same point.
    pub(crate) fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self {
            half: Arc::clone(&self.half),
            direction: self.direction.try_clone()?,
            quantizer: self.quantizer.clone(),
            program: self.program.try_clone().map_err(out_of_memory)?,
            memory: self.memory.try_clone().map_err(out_of_memory)?,
            resampler: self.resampler.as_deref().map(Resampler::try_clone).transpose()?,
            hash: self.hash.clone(),
            ..*self
        })
    }

    /// Forgets what went in. Counts stay.
    pub(crate) fn forget(&mut self) {
        self.memory.reset();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        self.direction.forget();
        self.progress = None;
    }

    /// Back to the state of a new stream.
    pub(crate) fn reset(&mut self) {
        self.forget();
        self.begin();
    }

    /// Counts from zero.
    fn begin(&mut self) {
        self.frames = 0;
        self.concealed = 0;
        self.hash = CodesHash::new();
        self.ended = false;
    }

    /// Takes all of `input`, with a team that shares the work.
    pub(crate) fn process<V: Value>(
        &mut self,
        input: &[D::Input],
        output: &mut [D::Output],
        team: Option<&Team>,
    ) -> Result<usize, StreamError>
    where
        D: Frames<V>,
    {
        // before any sample is looked at: it may be one that traps in the caller's mode
        let _flush = FlushDenormals::new();
        D::check(self, input).inspect_err(|error| D::note(self, error))?;
        let needed = D::outputs_for(self, input.len());
        if output.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        if input.is_empty() {
            return Ok(0);
        }
        self.begin_anew();
        let mut rest = input;
        let mut written = 0;
        loop {
            let frames = D::frames_with(self, rest.len()).min(self.shape.block);
            if frames == 0 {
                break;
            }
            D::stage(self, frames, &mut rest);
            self.pass::<V>(iter::empty(), frames * self.spec.frame_size, team);
            written += D::emit(self, frames, &mut output[written..]);
        }
        D::keep(self, rest);
        Ok(written)
    }

    /// Runs a pass whose input is in place, for this stream and others of the same half and shape; returns how many
    /// frames.
    fn pass<'s, V: Value>(
        &mut self,
        others: impl Iterator<Item = &'s mut Self>,
        samples: usize,
        team: Option<&Team>,
    ) -> usize
    where
        D: 's,
    {
        let operations = V::operations(self);
        let Self { half, program, memory, progress, .. } = self;
        let check_whole =
            |progress: &Option<Progress>| debug_assert!(progress.is_none(), "a frame is run in parts");
        check_whole(progress);
        let others = others.map(|other| {
            check_whole(&other.progress);
            &mut other.memory
        });
        let mut batch = Batch::new(half.kernels(), iter::once(memory).chain(others), team);
        program.run(operations, &mut batch, Length(samples));
        program.rows(1, Length(samples))
    }

    /// Counts from zero if the stream has ended.
    fn begin_anew(&mut self) {
        if self.ended {
            self.begin();
        }
    }

    /// Runs a frame that is in place until `load` of it is done, or to its end. Tells whether that is reached.
    pub(crate) fn advance(&mut self, load: u64) -> bool {
        let from = self.progress.unwrap_or(Progress { operation: 0, load: 0 });
        let (operation, load) = self.program.reach(from.operation, from.load, load);
        let mut batch = Batch::new(self.half.kernels(), iter::once(&mut self.memory), None);
        self.program.run(from.operation..operation, &mut batch, Length(self.spec.frame_size));
        let ended = operation == self.program.len();
        self.progress = (!ended).then_some(Progress { operation, load });
        ended
    }

    /// Load of a frame.
    pub(crate) fn load(&self) -> u64 {
        self.program.load()
    }

    /// Bytes kept, the shared weights not counted.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.direction.bytes()
            + self.program.bytes()
            + self.memory.bytes()
            + self.resampler.as_deref().map_or(0, Resampler::bytes)
    }
}

/// The encoder's direction or the decoder's, and what its streams keep beside what both have.
pub(crate) trait Direction: Sized {
    type Half: Half;

    fn half(model: &Model) -> Result<&Arc<Self::Half>, Error>;
    fn resampler(rates: Rates) -> Result<Option<Box<Resampler>>, Error>;
    fn new(options: &StreamOptions, rates: Rates, resampler: Option<&Resampler>) -> Result<Self, Error>;
    fn try_clone(&self) -> Result<Self, Error>;
    /// Forgets what went in.
    fn forget(&mut self);
    /// Bytes that it keeps, beside itself.
    fn bytes(&self) -> usize;
}

/// How frames of `V` come in and go out in a direction.
pub(crate) trait Frames<V>: Direction {
    type Input: Copy;
    type Output: Copy;

    /// Elements of a frame.
    fn frame_inputs(stream: &Stream<Self>) -> usize;
    fn frame_outputs(stream: &Stream<Self>) -> usize;
    /// What `inputs` more elements give.
    fn outputs_for(stream: &Stream<Self>, inputs: usize) -> usize;
    /// Frames that `inputs` more elements complete.
    fn frames_with(stream: &Stream<Self>, inputs: usize) -> usize;
    /// Whether the input is such as can be taken.
    fn check(stream: &Stream<Self>, input: &[Self::Input]) -> Result<(), StreamError>;
    /// Hears of a refusal.
    fn note(_stream: &mut Stream<Self>, _error: &StreamError) {}
    /// Puts frames that are whole with `rest` where a pass looks for them, and takes them off it.
    fn stage(stream: &mut Stream<Self>, frames: usize, rest: &mut &[Self::Input]);
    /// Keeps input for a later frame.
    fn keep(stream: &mut Stream<Self>, rest: &[Self::Input]);
    /// Copies the output of a pass out, and counts its frames. Returns how many elements.
    fn emit(stream: &mut Stream<Self>, frames: usize, output: &mut [Self::Output]) -> usize;
    /// Ends the stream, and writes what was held back.
    fn end(stream: &mut Stream<Self>, output: &mut [Self::Output]) -> Result<usize, StreamError>;
}

/// What has a stream.
pub(crate) trait Streaming: Sized {
    type Direction: Direction;

    fn stream(&self) -> &Stream<Self::Direction>;
    fn stream_mut(&mut self) -> &mut Stream<Self::Direction>;
}

/// What goes into an encoder or a decoder of frames of `V`, and what comes out.
pub(crate) type Input<C, V> = <<C as Streaming>::Direction as Frames<V>>::Input;
pub(crate) type Output<C, V> = <<C as Streaming>::Direction as Frames<V>>::Output;

#[cfg(test)]
mod tests;
