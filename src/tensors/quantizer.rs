//! The quantizer, which both halves share.

use super::{Linear, TensorKind, TensorSpec, tensor};
use crate::{Config, Parts};

/// The numbers of the quantizer.
#[derive(Debug)]
pub(crate) struct Quantizer {
    /// Channels of a latent.
    width: usize,
    /// Dimensions of a code word.
    pub(crate) dim: usize,
    /// Code words in a codebook.
    pub(crate) words: usize,
    /// Semantic codebooks, acoustic codebooks.
    codebooks: [usize; 2],
    /// Whether there are projections between latents and code words.
    projected: bool,
}

/// The semantic or the acoustic branch.
#[derive(Debug)]
pub(crate) struct Branch<'q> {
    quantizer: &'q Quantizer,
    name: String,
    codebooks: usize,
    /// From latents to the dimension of code words.
    pub(crate) input: Option<Linear>,
    /// From the dimension of code words to latents.
    pub(crate) output: Option<Linear>,
}

#[derive(Debug)]
pub(crate) struct Codebook {
    flag: TensorSpec,
    pub(crate) usage: TensorSpec,
    pub(crate) sums: TensorSpec,
}

impl Quantizer {
    /// The config's numbers, and projections if `projected`. At most `num_quantizers` codebooks are semantic, because a
    /// model may be loaded with few.
    pub(crate) fn new(config: &Config, projected: bool) -> Self {
        let semantic = config.num_semantic_quantizers.min(config.num_quantizers);
        Self {
            width: config.latent_dim(),
            dim: config.codebook_dim,
            words: config.codebook_size,
            codebooks: [semantic, config.num_quantizers - semantic],
            projected,
        }
    }

    /// The semantic branch, then the acoustic one.
    pub(crate) fn branches(&self) -> [Branch<'_>; 2] {
        let [semantic, acoustic] = self.codebooks;
        [("semantic", semantic), ("acoustic", acoustic)].map(|(kind, codebooks)| {
            let name = format!("quantizer.{kind}_residual_vector_quantizer");
            let projection = |direction, shape| {
                let name = format!("{name}.{direction}_proj");
                let linear = Linear { name, parts: Parts::Both, shape, one_tap: true, bias: false };
                (self.projected && codebooks > 0).then_some(linear)
            };
            let input = projection("input", [self.dim, self.width]);
            let output = projection("output", [self.width, self.dim]);
            Branch { quantizer: self, name, codebooks, input, output }
        })
    }

    pub(super) fn list(&self, tensors: &mut Vec<TensorSpec>) {
        for branch in self.branches() {
            [&branch.input, &branch.output].into_iter().flatten().for_each(|linear| linear.list(tensors));
            for codebook in branch.codebooks() {
                tensors.extend([codebook.flag, codebook.usage, codebook.sums]);
            }
        }
    }
}

impl Branch<'_> {
    pub(crate) fn codebooks(&self) -> impl ExactSizeIterator<Item = Codebook> {
        let Quantizer { words, dim, .. } = *self.quantizer;
        (0..self.codebooks).map(move |index| {
            let of = |field: &str, shape: &[usize], kind| {
                tensor(format!("{}.layers.{index}.codebook.{field}", self.name), shape, kind, Parts::Both)
            };
            Codebook {
                flag: of("initialized", &[1], TensorKind::CodebookFlag),
                usage: of("cluster_usage", &[words], TensorKind::ClusterUsage),
                sums: of("embed_sum", &[words, dim], TensorKind::CodeWordSums),
            }
        })
    }
}
