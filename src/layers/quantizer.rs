//! The split residual vector quantizer: two branches quantise the same latent, a semantic one and an
//! acoustic one (Zeghidour et al., "SoundStream", 2021; Défossez et al., "Moshi", 2024, section 3.3).

use super::codebook::Codebook;
use super::conv::Conv;
use super::memory::{Batch, Plan, Slot};
use crate::kernels::{Activation, Rows};

/// Codebooks that quantise what those before them left over.
pub(crate) struct Branch {
    /// From the latent to the codebooks' dimension, in a model that can encode.
    pub(crate) input: Option<Conv>,
    pub(crate) codebooks: Vec<Codebook>,
    /// From the codebooks' dimension to the latent, in a model that can decode.
    pub(crate) output: Option<Conv>,
}

pub(crate) struct SplitQuantizer {
    /// Semantic, then acoustic; the latter may be empty.
    pub(crate) branches: [Branch; 2],
    /// Dimensions of a code word.
    pub(crate) dim: usize,
    /// Code words in a codebook.
    pub(crate) size: usize,
}

#[derive(Debug)]
pub(crate) struct QuantizerState {
    /// Codebooks that the stream uses.
    codebooks: usize,
    /// `[frames, dim]`: what is left to quantise, or the sum of code words.
    residual: Slot,
    /// `[frames, size]`.
    scores: Slot,
}

impl SplitQuantizer {
    /// Codebooks in all.
    pub(crate) fn codebooks(&self) -> usize {
        self.branches.iter().map(|b| b.codebooks.len()).sum()
    }

    pub(crate) fn plan_encode(&self, plan: &mut Plan, frames: usize, codebooks: usize) -> QuantizerState {
        for (branch, _) in self.branches(codebooks) {
            branch.input.iter().for_each(|input| input.plan_product(plan, frames));
            branch.codebooks.iter().for_each(|codebook| codebook.plan(plan, frames));
        }
        QuantizerState {
            codebooks,
            residual: plan.scratch(frames, self.dim),
            scores: plan.scratch(frames, self.size),
        }
    }

    pub(crate) fn plan_decode(&self, plan: &mut Plan, frames: usize, codebooks: usize) -> QuantizerState {
        for (branch, _) in self.branches(codebooks) {
            branch.output.iter().for_each(|output| output.plan_product(plan, frames));
        }
        plan.work(frames, codebooks.saturating_mul(self.dim).saturating_mul(8));
        QuantizerState { codebooks, residual: plan.scratch(frames, self.dim), scores: plan.scratch(0, 0) }
    }

    /// The branches and the stream's codes in a frame that belong to each.
    fn branches(&self, codebooks: usize) -> impl Iterator<Item = (&Branch, std::ops::Range<usize>)> {
        let semantic = self.branches[0].codebooks.len().min(codebooks);
        self.branches.iter().zip([0..semantic, semantic..codebooks]).filter(|(_, codes)| !codes.is_empty())
    }

    /// Latents at `z`, `[frames, hidden]`, to codes in the streams' memory.
    pub(crate) fn encode(&self, batch: &mut Batch, state: &QuantizerState, z: Rows, frames: usize) {
        let residual = state.residual.rows(self.dim);
        for (branch, codes) in self.branches(state.codebooks) {
            match &branch.input {
                Some(input) => input.linear_step(batch, z, frames, residual, None, Activation::None),
                None => copy_rows(batch, z, residual, frames, self.dim),
            }
            for (codebook, k) in branch.codebooks.iter().zip(codes) {
                codebook.scores(batch, residual, frames, state.scores.rows(self.size));
                let kernels = batch.kernels;
                for stream in batch.streams() {
                    for frame in 0..frames {
                        let scores = &stream.scratch[state.scores.offset + frame * self.size..][..self.size];
                        let code = kernels.argmax(scores) as u32;
                        stream.codes[frame * state.codebooks + k] = code;
                        let residual = &mut stream.scratch[residual.offset + frame * self.dim..][..self.dim];
                        for (r, e) in residual.iter_mut().zip(codebook.word(code)) {
                            *r -= e;
                        }
                    }
                }
            }
        }
    }

    /// Codes in the streams' memory, all in range, to latents at `z`, `[frames, hidden]`.
    pub(crate) fn decode(&self, batch: &mut Batch, state: &QuantizerState, frames: usize, z: Rows) {
        let sum = state.residual.rows(self.dim);
        for (index, (branch, codes)) in self.branches(state.codebooks).enumerate() {
            for stream in batch.streams() {
                for frame in 0..frames {
                    let sum = &mut stream.scratch[sum.offset + frame * self.dim..][..self.dim];
                    sum.fill(0.0);
                    for (codebook, k) in branch.codebooks.iter().zip(codes.clone()) {
                        let code = stream.codes[frame * state.codebooks + k];
                        for (s, e) in sum.iter_mut().zip(codebook.word(code)) {
                            *s += e;
                        }
                    }
                }
            }
            let before = (index > 0).then_some(z);
            match &branch.output {
                Some(output) => output.linear_step(batch, sum, frames, z, before, Activation::None),
                None if index == 0 => copy_rows(batch, sum, z, frames, self.dim),
                None => add_rows(batch, sum, z, frames, self.dim),
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let projections = self.branches.iter().flat_map(|b| [&b.input, &b.output]).flatten();
        let codebooks = self.branches.iter().flat_map(|b| &b.codebooks);
        projections.map(Conv::bytes).sum::<usize>() + codebooks.map(Codebook::bytes).sum::<usize>()
    }
}

fn copy_rows(batch: &mut Batch, x: Rows, y: Rows, rows: usize, width: usize) {
    for stream in batch.streams() {
        for row in 0..rows {
            let from = x.offset + row * x.stride;
            stream.scratch.copy_within(from..from + width, y.offset + row * y.stride);
        }
    }
}

fn add_rows(batch: &mut Batch, x: Rows, y: Rows, rows: usize, width: usize) {
    for stream in batch.streams() {
        for row in 0..rows {
            for i in 0..width {
                stream.scratch[y.offset + row * y.stride + i] +=
                    stream.scratch[x.offset + row * x.stride + i];
            }
        }
    }
}
