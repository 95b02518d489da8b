//! Streams: what encoders and decoders share.
//!
//! A stream is a program, the memory that it works on, and the frame at hand. [`Coder`] says how frames come in and go
//! out, and [`Value`] what they are on the side that is not audio; all else is written once, here.

mod values;

use crate::error::out_of_memory;
use crate::hash::CodesHash;
use crate::kernels::{FlushDenormals, MAX_BATCH, Team};
use crate::layers::SplitQuantizer;
use crate::model::{Border, Half, Shape};
use crate::program::{Batch, Length, Memory, Program};
use crate::resample::{Rates, Resampler};
use crate::{Error, Model, Spec, StreamError, StreamOptions};
use std::iter;
use std::sync::Arc;
pub(crate) use values::{Lost, Value, check_codes, copy_finite};

/// A stream on half a model, whose weights it keeps alive.
pub(crate) struct Stream<H> {
    half: Arc<H>,
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

impl<H: Half> Stream<H> {
    /// A new stream of a shape, whatever the options say about it.
    pub(crate) fn new(
        model: &Model,
        half: &Arc<H>,
        options: &StreamOptions,
        shape: Shape,
        resampler: fn(Rates) -> Result<Option<Box<Resampler>>, Error>,
    ) -> Result<Self, Error> {
        let quantizer = model.quantizer().cloned();
        let (program, memory, border) = half.plan(quantizer.as_deref(), model.spec(), shape)?;
        let rates = model.spec().stream_rates(options)?;
        Ok(Self {
            half: Arc::clone(half),
            quantizer,
            spec: *model.spec(),
            shape,
            program,
            memory,
            border,
            rates,
            resampler: resampler(rates)?,
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
        self.progress = None;
    }

    /// Counts from zero.
    pub(crate) fn begin(&mut self) {
        self.frames = 0;
        self.concealed = 0;
        self.hash = CodesHash::new();
        self.ended = false;
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
            + self.program.bytes()
            + self.memory.bytes()
            + self.resampler.as_deref().map_or(0, Resampler::bytes)
    }
}

/// What has a stream.
pub(crate) trait Streaming: Sized {
    type Half: Half;

    fn stream(&self) -> &Stream<Self::Half>;
    fn stream_mut(&mut self) -> &mut Stream<Self::Half>;
}

/// One direction of the codec, to or from frames of `V`: how frames come in and go out.
pub(crate) trait Coder<V: Value = u32>: Streaming {
    type Input: Copy;
    type Output: Copy;

    /// Elements of a frame.
    fn frame_inputs(&self) -> usize;
    fn frame_outputs(&self) -> usize;
    /// What `inputs` more elements give.
    fn outputs_for(&self, inputs: usize) -> usize;
    /// Frames that `inputs` more elements complete.
    fn frames_with(&self, inputs: usize) -> usize;
    /// Whether the input is such as can be taken.
    fn check(&self, input: &[Self::Input]) -> Result<(), StreamError>;
    /// Hears of a refusal.
    fn note(&mut self, _error: &StreamError) {}
    /// Puts frames that are whole with `rest` where a pass looks for them, and takes them off it.
    fn stage(&mut self, frames: usize, rest: &mut &[Self::Input]);
    /// Keeps input for a later frame.
    fn keep(&mut self, rest: &[Self::Input]);
    /// Copies the output of a pass out, and counts its frames. Returns how many elements.
    fn emit(&mut self, frames: usize, output: &mut [Self::Output]) -> usize;

    /// Ends the stream, and writes what was held back.
    fn end(&mut self, output: &mut [Self::Output]) -> Result<usize, StreamError>;

    /// Takes all of `input`, with a team that shares the work.
    fn process_with(
        &mut self,
        input: &[Self::Input],
        output: &mut [Self::Output],
        team: Option<&Team>,
    ) -> Result<usize, StreamError> {
        // before any sample is looked at: it may be one that traps in the caller's mode
        let _flush = FlushDenormals::new();
        self.check(input).inspect_err(|error| self.note(error))?;
        let needed = self.outputs_for(input.len());
        if output.len() < needed {
            return Err(StreamError::BufferTooSmall { needed });
        }
        if input.is_empty() {
            return Ok(0);
        }
        if self.stream().ended {
            self.stream_mut().begin();
        }
        let mut rest = input;
        let mut written = 0;
        loop {
            let frames = self.frames_with(rest.len()).min(self.stream().shape.block);
            if frames == 0 {
                break;
            }
            self.stage(frames, &mut rest);
            let samples = frames * self.stream().spec.frame_size;
            Self::pass(&mut [self], samples, team);
            written += self.emit(frames, &mut output[written..]);
        }
        self.keep(rest);
        Ok(written)
    }

    /// One frame for each of several streams.
    fn process_each(
        streams: &mut [&mut Self],
        inputs: &[&[Self::Input]],
        outputs: &mut [&mut [Self::Output]],
    ) -> Result<(), StreamError> {
        if streams.len() != inputs.len() || streams.len() != outputs.len() {
            let (streams, inputs, outputs) = (streams.len(), inputs.len(), outputs.len());
            return Err(StreamError::UnequalCounts { streams, inputs, outputs });
        }
        for index in 0..streams.len() {
            let checked = streams[index].check_member(streams[0], inputs[index], outputs[index].len());
            checked.inspect_err(|error| streams[index].note(error))?;
        }
        Self::run_each(streams, inputs, outputs);
        Ok(())
    }

    /// Whether this stream can take part in a call for several, of which `first` is the first.
    fn check_member(&self, first: &Self, input: &[Self::Input], room: usize) -> Result<(), StreamError> {
        if !Arc::ptr_eq(&self.stream().half, &first.stream().half) {
            return Err(StreamError::DifferentModels);
        }
        let (inputs, outputs) = (self.frame_inputs(), self.frame_outputs());
        if input.len() != inputs {
            return Err(StreamError::NotOneFrame { found: input.len(), expected: inputs });
        }
        self.check(input)?;
        if self.outputs_for(inputs) != outputs {
            return Err(StreamError::FirstFrame);
        }
        if room < outputs {
            return Err(StreamError::BufferTooSmall { needed: outputs });
        }
        Ok(())
    }

    /// One frame for each of several streams that were checked.
    fn run_each(streams: &mut [&mut Self], inputs: &[&[Self::Input]], outputs: &mut [&mut [Self::Output]]) {
        let _flush = FlushDenormals::new();
        let mut done = 0;
        let shape = |stream: &Self| stream.stream().shape;
        for group in
            streams.chunk_by_mut(|a, b| shape(a) == shape(b)).flat_map(|group| group.chunks_mut(MAX_BATCH))
        {
            for (stream, input) in group.iter_mut().zip(&inputs[done..]) {
                if stream.stream().ended {
                    stream.stream_mut().begin();
                }
                let mut rest = *input;
                stream.stage(1, &mut rest);
                stream.keep(rest);
            }
            let samples = group[0].stream().spec.frame_size;
            Self::pass(group, samples, None);
            for (stream, output) in group.iter_mut().zip(&mut outputs[done..]) {
                stream.emit(1, output);
            }
            done += group.len();
        }
    }

    /// Runs a pass whose input is in place, for streams of one half and one shape; returns how many frames.
    fn pass(streams: &mut [&mut Self], samples: usize, team: Option<&Team>) -> usize {
        debug_assert!(
            streams.iter().all(|stream| stream.stream().progress.is_none()),
            "a frame is run in parts"
        );
        let [first, others @ ..] = streams else { return 0 };
        let operations = V::operations(first.stream());
        let Stream { half, program, memory, .. } = first.stream_mut();
        let memories =
            iter::once(memory).chain(others.iter_mut().map(|other| &mut other.stream_mut().memory));
        let mut batch = Batch::new(half.kernels(), memories, team);
        program.run(operations, &mut batch, Length(samples));
        program.rows(1, Length(samples))
    }
}

#[cfg(test)]
mod tests;
