//! The quantizer's codebooks and projections, and the model's fingerprint, also of one without a quantizer.

use super::Builder;
use crate::error::with_capacity;
use crate::kernels::{Format, Packing};
use crate::layers::{Branch, SplitQuantizer};
use crate::program::Codebook;
use crate::tensors::{self, Half, Quantizer, Side};
use crate::{Config, Error, Parts};
use std::sync::Arc;
use xxhash_rust::xxh64::Xxh64;

/// The least count of vectors of a cluster. Lower ones count as this, as they do in training.
const MIN_CLUSTER_USAGE: f32 = 1e-5;

impl Builder<'_, '_> {
    /// The quantizer and the model's fingerprint: that of its rates, and of the first codebook's size and words.
    pub(super) fn quantizer(&self, config: &Config, parts: Parts) -> Result<(SplitQuantizer, i64), Error> {
        let quantizer = Quantizer::new(config, self.checkpoint.projected());
        let mut fingerprint = Xxh64::new(0);
        for number in [config.sampling_rate as usize, config.frame_size(), quantizer.words, quantizer.dim] {
            fingerprint.update(&(number as u64).to_le_bytes());
        }
        let [semantic, acoustic] = quantizer.branches();
        let branches = [
            self.branch(&semantic, &quantizer, parts, Some(&mut fingerprint))?,
            self.branch(&acoustic, &quantizer, parts, None)?,
        ];
        let quantizer = SplitQuantizer { branches, dim: quantizer.dim, size: quantizer.words };
        Ok((quantizer, (fingerprint.digest() >> 1) as i64))
    }

    /// The fingerprint of a model without a quantizer: that of its rates, of the shapes of all its tensors, and of the
    /// weights that read latents. A file of the encoder alone lacks these; there the first convolution's count.
    pub(super) fn continuous_id(&self, config: &Config) -> Result<i64, Error> {
        let mut fingerprint = Xxh64::new(0);
        let mut number = |number: usize| fingerprint.update(&(number as u64).to_le_bytes());
        number(config.sampling_rate as usize);
        number(config.frame_size());
        config.tensors(false).iter().flat_map(|tensor| &tensor.shape).for_each(|len| number(*len));
        let projection = Half::new(config, Side::Decoder).projection.map(|projection| projection.weight());
        let tensor = projection
            .filter(|tensor| config.encoder_latent_dim.is_none() && self.checkpoint.contains(&tensor.name))
            .unwrap_or_else(|| Half::new(config, Side::Encoder).seanet.first().weight());
        self.tensor(&tensor)?.iter().for_each(|x| fingerprint.update(&x.to_le_bytes()));
        Ok((fingerprint.digest() >> 1) as i64)
    }

    /// A branch. The words of its first codebook go into `fingerprint`.
    fn branch(
        &self,
        branch: &tensors::Branch,
        quantizer: &Quantizer,
        parts: Parts,
        mut fingerprint: Option<&mut Xxh64>,
    ) -> Result<Branch, Error> {
        let (encodes, decodes) = (parts != Parts::Decoder, parts != Parts::Encoder);
        let size = [quantizer.words, quantizer.dim];
        let codebooks = branch.codebooks();
        let formats = [Format::F32, Format::Int8];
        let [exact, coarse] =
            formats.map(|format| Packing { format, ..self.packing }.bytes([quantizer.dim, quantizer.words]));
        let bytes = exact.saturating_add(if encodes { coarse } else { 0 });
        self.reserve(bytes.saturating_mul(codebooks.len()))?;
        let mut built = with_capacity(codebooks.len())?;
        for codebook in codebooks {
            let usage = self.tensor(&codebook.usage)?;
            let packed = |format| {
                move |words: &mut [f32]| Codebook::pack(Packing { format, ..self.packing }, words, size)
            };
            let exact = self.packed(&codebook.sums, |sums| {
                for (word, usage) in sums.chunks_exact_mut(quantizer.dim).zip(usage) {
                    word.iter_mut().for_each(|x| *x /= usage.max(MIN_CLUSTER_USAGE));
                }
                if let Some(fingerprint) = fingerprint.take() {
                    sums.iter().for_each(|x| fingerprint.update(&x.to_le_bytes()));
                }
                packed(Format::F32)(sums)
            })?;
            let coarse = codebook.sums.name.replace("embed_sum", "coarse");
            let coarse = encodes.then(|| self.packed_again(&[&coarse], packed(Format::Int8))).transpose()?;
            built.push(Arc::new(Codebook::new(exact, coarse)));
        }
        let projection = |projection: &Option<tensors::Linear>, wanted: bool| {
            let projection = projection.as_ref().filter(|_| wanted);
            projection.map(|linear| self.linear(&[(linear, &|_| 1.0)])).transpose()
        };
        Ok(Branch {
            input: projection(&branch.input, encodes)?,
            codebooks: built,
            output: projection(&branch.output, decodes)?,
        })
    }
}
