//! Running a program.

use super::memory::Memory;
use super::op::{NO_CODE, Op, Padding, Place, Span};
use super::{attention, search};
use crate::kernels::{Kernels, MAX_BATCH, Matrix, Product, Team};
use std::collections::TryReserveError;
use std::ops::Range;

/// An operation of a program.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) op: Op,
    pub(crate) rows: Span,
    pub(crate) place: Place,
    /// [`Op::load`] of its rows.
    pub(crate) load: u64,
}

/// A list of operations. Streams of one model with equal options have equal ones.
pub(crate) struct Program {
    entries: Vec<Entry>,
    /// Samples in a frame.
    frame: usize,
}

/// What is left of the last latent in each frame that is concealed: a sound that goes on becomes duller and quieter.
/// Spectra of speech are nearer to the true ones with it than with the latent as it was; see `tests/README.md`.
const CONCEALED: f32 = 0.5;

/// How much of a pass there is: samples, at the model's rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length(pub(crate) usize);

impl Program {
    pub(super) fn new(entries: Vec<Entry>, frame: usize) -> Self {
        Self { entries, frame }
    }

    /// A copy that shares the weights.
    pub(crate) fn try_clone(&self) -> Result<Self, TryReserveError> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(self.entries.len())?;
        entries.extend(self.entries.iter().cloned());
        Ok(Self { entries, frame: self.frame })
    }

    /// How many operations.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Load of a whole pass.
    pub(crate) fn load(&self) -> u64 {
        self.entries.iter().map(|entry| entry.load).sum()
    }

    /// Walks on from operation `from`, where `done` is done, until `load` is. Returns the next operation, and the load
    /// done.
    pub(crate) fn reach(&self, from: usize, done: u64, load: u64) -> (usize, u64) {
        let (mut at, mut done) = (from, done);
        while let Some(entry) = self.entries.get(at)
            && done < load
        {
            done += entry.load;
            at += 1;
        }
        (at, done)
    }

    /// Rows of a span's rate in a pass of a length; a last part of a row counts as one.
    pub(crate) fn rows(&self, rate: usize, length: Length) -> usize {
        (length.0 as u64 * rate as u64).div_ceil(self.frame as u64) as usize
    }

    /// Runs some operations of a pass, for streams whose programs are equal to this one.
    pub(crate) fn run(&self, operations: Range<usize>, batch: &mut Batch, length: Length) {
        for entry in &self.entries[operations] {
            let Span { first, count, rate } = entry.rows;
            let rows = count.min(self.rows(rate, length).saturating_sub(first));
            if rows > 0 {
                run(&entry.op, batch, first, rows);
            }
        }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.entries.as_slice())
    }
}

/// The streams that a pass serves, all with the same program and at the same operation.
pub(crate) struct Batch<'m> {
    pub(super) kernels: Kernels,
    team: Option<&'m Team<'m>>,
    members: [Option<&'m mut Memory>; MAX_BATCH],
    count: usize,
}

impl<'m> Batch<'m> {
    /// At most [`MAX_BATCH`] streams, whose work a team may share.
    pub(crate) fn new(
        kernels: Kernels,
        streams: impl Iterator<Item = &'m mut Memory>,
        team: Option<&'m Team<'m>>,
    ) -> Self {
        let mut members = [const { None }; MAX_BATCH];
        let mut count = 0;
        for (member, stream) in members.iter_mut().zip(streams) {
            *member = Some(stream);
            count += 1;
        }
        Self { kernels, team, members, count }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn streams(&mut self) -> impl Iterator<Item = &mut Memory> {
        self.members[..self.count].iter_mut().flatten().map(|stream| &mut **stream)
    }

    /// Some panels of a product, in all streams at once.
    pub(super) fn product(&mut self, matrix: &Matrix, product: Product, panels: Range<usize>) {
        self.kernels.matmul(matrix, &mut self.members[..self.count], product, panels, self.team);
    }

    /// Rounds the inputs of a product, as [`Op::Round`] says.
    pub(super) fn round(&mut self, matrix: &Matrix, product: Product, less: usize) {
        let kernels = self.kernels;
        for stream in &mut self.members[..self.count] {
            kernels.round_inputs(matrix, stream, product, less);
        }
    }
}

/// An operation on `rows` rows of all streams, of which the first is row `first` of the pass.
fn run(op: &Op, batch: &mut Batch, first: usize, rows: usize) {
    let kernels = batch.kernels;
    match *op {
        Op::Product { ref matrix, ref panels, x, run_stride, y, residual, activation } => {
            let product = Product { x, run_stride, y, rows, residual, activation };
            batch.product(matrix, product, panels.clone());
        }
        Op::Round { ref matrix, x, run_stride, less } => {
            batch.round(matrix, Product::of_inputs(x, run_stride, rows), less);
        }
        Op::Elu { x, y, width } => {
            for stream in batch.streams() {
                let [x, y] = two(&mut stream.scratch, [x, y].map(|at| at..at + rows * width));
                kernels.elu(x, y);
            }
        }
        Op::Differences { x, y, width } => {
            for stream in batch.streams() {
                let places = [x..x + (rows + 1) * width, y..y + rows * width];
                let [x, y] = two(&mut stream.scratch, places);
                kernels.subtract(&x[..rows * width], &x[width..], y);
            }
        }
        Op::Norm { ref norm, x, y } => {
            let width = norm.weight.len();
            for stream in batch.streams() {
                for row in 0..rows {
                    let ranges = [x, y].map(|at| at.from(row).first(width));
                    let [x, y] = two(&mut stream.scratch, ranges);
                    kernels.layer_norm(x, &norm.weight, &norm.bias, norm.eps, y);
                }
            }
        }
        Op::Angles { ref rotary, y } => {
            for stream in batch.streams() {
                let position = stream.position + first as u64;
                rotary.angles(position, &mut stream.scratch[y..][..rows * rotary.dim()]);
            }
        }
        Op::Remember { heads, qkv, angles, ring } => {
            for stream in batch.streams() {
                attention::remember(kernels, stream, heads, qkv, angles, ring, [first, rows]);
            }
        }
        Op::Attend { heads, qkv, ring, scores, y } => {
            for stream in batch.streams() {
                attention::attend(kernels, stream, heads, qkv, ring, scores, y, [first, rows]);
            }
        }
        Op::HistoryIn { history, window, width, padding } => {
            let kept = history.len - 1;
            for stream in batch.streams() {
                let memory = &stream.state[history.range()];
                if memory[kept] == 0.0 && padding == Padding::Replicate {
                    for row in (window..window + kept).step_by(width) {
                        stream.scratch.copy_within(window + kept..window + kept + width, row);
                    }
                } else {
                    stream.scratch[window..window + kept].copy_from_slice(&memory[..kept]);
                }
            }
        }
        Op::HistoryOut { history, window, width } => {
            let kept = history.len - 1;
            let from = window + rows * width;
            for stream in batch.streams() {
                let memory = &mut stream.state[history.range()];
                memory[..kept].copy_from_slice(&stream.scratch[from..from + kept]);
                memory[kept] = 1.0;
            }
        }
        Op::FillStride { x, stride, width, padding } => {
            let (end, filled) = (x + rows * width, x + rows.next_multiple_of(stride) * width);
            for stream in batch.streams() {
                match padding {
                    Padding::Zeros => stream.scratch[end..filled].fill(0.0),
                    Padding::Replicate => {
                        for row in (end..filled).step_by(width) {
                            stream.scratch.copy_within(end - width..end, row);
                        }
                    }
                }
            }
        }
        Op::Search { ref codebook, x, scores, code, codes } => {
            search::search(batch, codebook, x, scores, [first, rows], [code, codes]);
        }
        Op::AddWord { ref codebook, y, code, codes, first: begins } => {
            for stream in batch.streams() {
                let sums = stream.scratch[y..].chunks_exact_mut(codebook.shape()[1]);
                for (row, sum) in sums.take(rows).enumerate() {
                    if begins {
                        sum.fill(0.0);
                    }
                    let code = stream.codes[(first + row) * codes + code];
                    if code != NO_CODE {
                        sum.iter_mut().zip(codebook.word(code)).for_each(|(sum, value)| *sum += value);
                    }
                }
            }
        }
        Op::Conceal { x, width, last, codes } => {
            for stream in batch.streams() {
                let last = &mut stream.state[last.range()];
                for row in 0..rows {
                    let latent = &mut stream.scratch[x.from(row).first(width)];
                    match stream.codes[(first + row) * codes..][..codes].iter().all(|code| *code == NO_CODE) {
                        true => {
                            last.iter_mut().for_each(|value| *value *= CONCEALED);
                            latent.copy_from_slice(last);
                        }
                        false => last.copy_from_slice(latent),
                    }
                }
            }
        }
        Op::Upsample { ref taps, history, x, y, stride } => {
            let width = history.len;
            for stream in batch.streams() {
                let ranges = [x..x + rows * width, y..y + rows * stride * width];
                let [x, y] = two(&mut stream.scratch, ranges);
                upsample(taps, stride, &mut stream.state[history.range()], x, y);
            }
        }
        Op::Copy { x, y, width } => {
            let (rows, width) = match x.stride == width && y.stride == width {
                true => (1, rows * width),
                false => (rows, width),
            };
            for stream in batch.streams() {
                for row in 0..rows {
                    stream.scratch.copy_within(x.from(row).first(width), y.from(row).offset);
                }
            }
        }
        Op::Add { x, y, width } => {
            for stream in batch.streams() {
                for row in 0..rows {
                    let [x, y] = two(&mut stream.scratch, [x, y].map(|at| at.from(row).first(width)));
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
                }
            }
        }
        Op::Advance => batch.streams().for_each(|stream| stream.position += rows as u64),
    }
}

/// Two places that have nothing in common.
fn two(memory: &mut [f32], places: [Range<usize>; 2]) -> [&mut [f32]; 2] {
    let Ok(places) = memory.get_disjoint_mut(places) else {
        unreachable!("slots of a program are disjoint, and within its memory")
    };
    places
}

/// The operation of this name; x[−1] is in `history`.
fn upsample(taps: &[f32], stride: usize, history: &mut [f32], x: &[f32], y: &mut [f32]) {
    let channels = history.len();
    for (now, block) in x.chunks_exact(channels).zip(y.chunks_exact_mut(stride * channels)) {
        for (tap, row) in block.chunks_exact_mut(channels).enumerate() {
            let newer = &taps[tap * channels..][..channels];
            let older = &taps[(tap + stride) * channels..][..channels];
            for (c, y) in row.iter_mut().enumerate() {
                *y = newer[c] * now[c] + older[c] * history[c];
            }
        }
        history.copy_from_slice(now);
    }
}
