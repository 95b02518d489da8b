//! A codebook, and the search for its nearest word.

use super::memory::Memory;
use super::pack::{offsets, pack};
use super::planner::Planner;
use super::run::Batch;
use crate::Error;
use crate::kernels::{Activation, Elements, Kernels, Matrix, Packing, Product, Rows, Weights};

/// Rows up to which a search is bound by reading the code words, and so worth a first look at fewer bytes. Eight rows,
/// as of eight streams in one call, take a bit more than half the time with it on Sapphire Rapids.
const FEW_ROWS: usize = 8;

/// Code words, always in f32. The nearest word e to x is the one with the largest score x·e − ‖e‖²/2, and the
/// first of equals.
pub(crate) struct Codebook {
    /// The words, and −‖e‖²/2 as bias.
    exact: Matrix,
    /// The same in eight bits, in a model that can encode: scores to rule most words out with.
    coarse: Option<Matrix>,
}

impl Codebook {
    /// From the words as [`pack`](Self::pack) packs them, in f32 and in eight bits.
    pub(crate) fn new(exact: Matrix, coarse: Option<Matrix>) -> Self {
        Self { exact, coarse }
    }

    /// Packs `[size, dim]` code words, with −‖e‖²/2 as bias.
    pub(crate) fn pack(packing: Packing, words: &[f32], [size, dim]: [usize; 2]) -> Result<Matrix, Error> {
        let bias = |word: usize| -0.5 * words[word * dim..][..dim].iter().map(|x| x * x).sum::<f32>();
        let inputs = offsets(0..dim)?;
        let rows = offsets((0..size).map(|word| word * dim))?;
        let elements = Elements { values: words, inputs: &inputs, outputs: &rows, run: dim };
        pack(packing, elements, bias)
    }

    /// Words, and values in each.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.exact.outputs(), self.exact.inputs()]
    }

    /// Room to search for up to `rows` rows.
    pub(crate) fn reserve(&self, planner: &mut Planner, rows: usize) {
        if let Some(coarse) = &self.coarse {
            let dim = self.exact.inputs();
            let x = Rows { offset: 0, stride: dim };
            planner.rounded(coarse, Product::of_inputs(x, dim, rows.min(FEW_ROWS)));
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.exact.bytes() + self.coarse.as_ref().map_or(0, Weights::bytes)
    }

    /// Bytes that a search for one row reads.
    pub(super) fn searched_bytes(&self) -> usize {
        self.coarse.as_ref().unwrap_or(&self.exact).bytes()
    }

    /// The code word `code`, value by value.
    pub(super) fn word(&self, code: u32) -> impl Iterator<Item = f32> + '_ {
        self.exact.column(code as usize)
    }

    /// Scores of all words for the rows at `x`, to rows at `y`; in place of some that are not the largest, −∞.
    fn scores(&self, batch: &mut Batch, x: usize, rows: usize, y: usize) {
        let [size, dim] = self.shape();
        let (x, y) = (Rows { offset: x, stride: dim }, Rows { offset: y, stride: size });
        let product = Product { x, run_stride: dim, y, rows, residual: None, activation: Activation::None };
        let Some(coarse) = self.coarse.as_ref().filter(|_| batch.len() * rows <= FEW_ROWS) else {
            return batch.product(&self.exact, product, 0..self.exact.panels());
        };
        batch.round(coarse, product, 0);
        batch.product(coarse, product, 0..coarse.panels());
        let kernels = batch.kernels;
        for stream in batch.streams() {
            for row in 0..rows {
                let one = Product { x: x.from(row), y: y.from(row), rows: 1, ..product };
                self.refine(kernels, coarse, stream, one);
            }
        }
    }

    /// From a row of coarse scores to exact ones of the panels that may hold the largest, −∞ in the others.
    fn refine(&self, kernels: Kernels, coarse: &Matrix, stream: &mut Memory, row: Product) {
        let [size, dim] = self.shape();
        // |coarse − exact| ≤ scale·E + |bias|·2.5e-7. The last term is the rounding where the bias is added.
        // E sums up, in multiples of the word's scale:
        // - the weights' rounding: half a scale, times each input
        // - the inputs' rounding: half a 32767th of the largest input, times 127 scales, for each input
        // - the rounding of f32 in both sums of `dim` products of up to 127 scales: 2·2·dim·128·2⁻²⁴, times the
        //   inputs
        // - inputs below 4e-34, which count as zeros
        let x = &stream.scratch[row.x.offset..][..dim];
        let (sum, largest) = x.iter().fold((0.0, 0.0f32), |(sum, max), x| (sum + x.abs(), max.max(x.abs())));
        let inputs = sum * (0.501 + dim as f32 * 4e-5) + dim as f32 * (largest * 2e-3 + 1e-31);
        let bound = |word: usize| inputs * coarse.scales()[word] + coarse.bias()[word].abs() * 2.5e-7;
        let scores = row.y.offset..row.y.offset + size;
        let lowest = |(word, score): (usize, &f32)| score - bound(word);
        let least = stream.scratch[scores.clone()].iter().enumerate().map(lowest).fold(f32::MIN, f32::max);
        let outputs = self.exact.panel_outputs();
        for (panel, first) in (0..size).step_by(outputs).enumerate() {
            let words = first..size.min(first + outputs);
            let scores = &mut stream.scratch[scores.clone()][words.clone()];
            // What is not a number rules nothing out.
            let ruled_out = words.zip(scores.iter()).all(|(word, score)| score + bound(word) < least);
            match ruled_out {
                true => scores.fill(f32::NEG_INFINITY),
                false => {
                    kernels.matmul(&self.exact, std::slice::from_mut(stream), row, panel..panel + 1, None)
                }
            }
        }
    }
}

/// The nearest word to each row at `x`, to code `code` of `codes` in a frame. Leaves what the word lacks of the row.
pub(super) fn search(
    batch: &mut Batch,
    codebook: &Codebook,
    x: usize,
    scores: usize,
    [first, rows]: [usize; 2],
    [code, codes]: [usize; 2],
) {
    codebook.scores(batch, x, rows, scores);
    let [size, dim] = codebook.shape();
    let kernels = batch.kernels;
    for stream in batch.streams() {
        for row in 0..rows {
            let nearest = kernels.argmax(&stream.scratch[scores + row * size..][..size]) as u32;
            stream.codes[(first + row) * codes + code] = nearest;
            let rest = &mut stream.scratch[x + row * dim..][..dim];
            rest.iter_mut().zip(codebook.word(nearest)).for_each(|(rest, value)| *rest -= value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Format, InstructionSet, Pool};

    /// Words with equals and near equals among them; inputs near words, between them, and of any size.
    #[test]
    fn a_first_look_changes_no_code() {
        let (size, dim) = (333, 96);
        let mut seed = 1u32;
        let mut noise = || {
            // the generator of Numerical Recipes
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut words: Vec<f32> = (0..size * dim).map(|_| noise()).collect();
        words.copy_within(7 * dim..8 * dim, 200 * dim);
        words.copy_within(7 * dim..8 * dim, 201 * dim);
        words[201 * dim] += 1e-6;
        words[90 * dim..91 * dim].fill(0.0);
        for kernels in InstructionSet::available().filter_map(Kernels::new) {
            let pool = Pool::default();
            let packed = |format| {
                let packing = Packing { kernels, format, pool: &pool };
                Codebook::pack(packing, &words, [size, dim]).unwrap()
            };
            let full = Codebook::new(packed(Format::F32), None);
            let quick = Codebook::new(packed(Format::F32), Some(packed(Format::Int8)));
            let mut planner = Planner::writing(1, 1, u64::MAX);
            quick.reserve(&mut planner, 1);
            let (x, y) = (planner.scratch(1, dim).offset, planner.scratch(1, size).offset);
            let (_, mut memory) = planner.build().unwrap();
            let mut ruled_out = 0;
            for round in 0..400 {
                let (word, scale) = (round * 7 % size, [0.0, 1e-20, 0.1, 1.0, 1e5, f32::MAX][round % 6]);
                for i in 0..dim {
                    memory.scratch[x + i] = scale * (words[word * dim + i] + 0.3 * noise());
                }
                let mut search = |codebook: &Codebook| {
                    let mut batch = Batch::new(kernels, [&mut memory].into_iter(), None);
                    codebook.scores(&mut batch, x, 1, y);
                    memory.scratch[y..][..size].to_vec()
                };
                let (expected, found) = (search(&full), search(&quick));
                assert_eq!(kernels.argmax(&found), kernels.argmax(&expected), "{kernels:?}, round {round}");
                for (found, expected) in found.iter().zip(&expected).filter(|(found, _)| **found > f32::MIN) {
                    assert_eq!(found.to_bits(), expected.to_bits());
                }
                ruled_out += found.iter().filter(|score| **score == f32::NEG_INFINITY).count();
            }
            assert!(ruled_out > 400 * size / 4, "{kernels:?} ruled out only {ruled_out} scores");
        }
    }
}
