//! The split residual vector quantizer: two branches quantise the same latent, a semantic one and an
//! acoustic one (Zeghidour et al., "SoundStream", 2021; Défossez et al., "Moshi", 2024, section 3.3).

use super::conv::Linear;
use crate::kernels::{Activation, Rows, Weights};
use crate::program::{Codebook, NO_CODE, Op, Planner, Section, Span};
use std::ops::Range;
use std::sync::Arc;

/// Codebooks that quantise what those before them left over.
pub(crate) struct Branch {
    /// From the latent to the codebooks' dimension, in a model that can encode.
    pub(crate) input: Option<Linear>,
    pub(crate) codebooks: Vec<Arc<Codebook>>,
    /// From the codebooks' dimension to the latent, in a model that can decode.
    pub(crate) output: Option<Linear>,
}

pub(crate) struct SplitQuantizer {
    /// Semantic, then acoustic; the latter may be empty.
    pub(crate) branches: [Branch; 2],
    /// Dimensions of a code word.
    pub(crate) dim: usize,
    /// Code words in a codebook.
    pub(crate) size: usize,
}

/// Names of a branch's projection and codebooks, and its codes in a frame.
type Codes = ([&'static str; 2], Range<usize>);

impl SplitQuantizer {
    /// The branches that have some of the first `codebooks` codebooks.
    fn branches(&self, codebooks: usize) -> impl Iterator<Item = (&Branch, Codes)> {
        let semantic = self.semantic(codebooks);
        let codes = [
            (["semantic projection", "semantic codebook"], 0..semantic),
            (["acoustic projection", "acoustic codebook"], semantic..codebooks),
        ];
        self.branches.iter().zip(codes).filter(|(_, (_, codes))| !codes.is_empty())
    }

    /// From latents at `z`, `[frames, hidden]`, to codes.
    pub(crate) fn emit_search(&self, planner: &mut Planner, frames: Span, codebooks: usize, z: Rows) {
        planner.codes(frames.count.saturating_mul(codebooks));
        let rest = planner.scratch(frames.count, self.dim).rows(self.dim);
        let scores = planner.scratch(frames.count, self.size).offset;
        for (branch, ([projection, name], codes)) in self.branches(codebooks) {
            planner.at(Section::Quantizer, codes.start, projection);
            match &branch.input {
                Some(input) => input.emit(planner, frames, z, rest, None, Activation::None),
                None => planner.push(frames, Op::Copy { x: z, y: rest, width: self.dim }),
            }
            for (codebook, code) in branch.codebooks.iter().zip(codes) {
                planner.at(Section::Quantizer, code, name);
                codebook.reserve(planner, frames.count);
                let codebook = Arc::clone(codebook);
                planner.push(frames, Op::Search { codebook, x: rest.offset, scores, code, codes: codebooks });
            }
        }
    }

    /// Codes of the semantic branch among the first `codebooks`.
    pub(crate) fn semantic(&self, codebooks: usize) -> usize {
        self.branches[0].codebooks.len().min(codebooks)
    }

    /// Takes codes that cannot be used for ones that did not arrive, in whole frames of `codebooks` codes: a code
    /// refines those before it in its branch.
    pub(crate) fn drop_after_gaps(&self, codes: &mut [u32], codebooks: usize) {
        for frame in codes.chunks_exact_mut(codebooks) {
            for (_, (_, codes)) in self.branches(codebooks) {
                let codes = &mut frame[codes];
                let arrived = codes.iter().take_while(|code| **code != NO_CODE).count();
                codes[arrived..].fill(NO_CODE);
            }
        }
    }

    /// From codes, each in range or [`NO_CODE`] with all that follow in its branch, to latents at `z`,
    /// `[frames, hidden]`. A frame without codes gets zeros.
    pub(crate) fn emit_sum(&self, planner: &mut Planner, frames: Span, codebooks: usize, z: Rows) {
        planner.codes(frames.count.saturating_mul(codebooks));
        let sum = planner.scratch(frames.count, self.dim).rows(self.dim);
        for (index, (branch, ([projection, name], codes))) in self.branches(codebooks).enumerate() {
            let begin = codes.start;
            for (codebook, code) in branch.codebooks.iter().zip(codes) {
                let (codebook, first) = (Arc::clone(codebook), code == begin);
                planner.at(Section::Quantizer, code, name);
                planner.push(frames, Op::AddWord { codebook, y: sum.offset, code, codes: codebooks, first });
            }
            planner.at(Section::Quantizer, begin, projection);
            let before = (index > 0).then_some(z);
            match (&branch.output, before) {
                (Some(output), _) => output.emit(planner, frames, sum, z, before, Activation::None),
                (None, None) => planner.push(frames, Op::Copy { x: sum, y: z, width: self.dim }),
                (None, Some(_)) => planner.push(frames, Op::Add { x: sum, y: z, width: self.dim }),
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let projections = self.branches.iter().flat_map(|b| [&b.input, &b.output]).flatten();
        let codebooks = self.branches.iter().flat_map(|b| &b.codebooks);
        projections.map(Weights::bytes).sum::<usize>() + codebooks.map(|book| book.bytes()).sum::<usize>()
    }
}
