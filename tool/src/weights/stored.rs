//! How a checkpoint stores its weights.

use super::Values;
use mimi::{Checkpoint, TensorKind, probe};
use safetensors::tensor::Dtype;

/// The values that keep each weight of a checkpoint exactly: a type of 16 bits if all tensors but codebooks have it,
/// otherwise 32 bits.
pub(crate) fn stored_values(checkpoint: &Checkpoint) -> Values {
    let is_codebook =
        |kind| matches!(kind, TensorKind::CodeWordSums | TensorKind::ClusterUsage | TensorKind::CodebookFlag);
    let weights = checkpoint.tensors().into_iter().filter(|tensor| !is_codebook(tensor.kind));
    let values = |dtype| match dtype {
        Dtype::F16 => Values::F16,
        Dtype::BF16 => Values::Bf16,
        _ => Values::F32,
    };
    let mut all = weights.filter_map(|tensor| probe::stored_type(checkpoint, &tensor.name)).map(values);
    let first = all.next().unwrap_or(Values::F32);
    if all.all(|others| others == first) { first } else { Values::F32 }
}
