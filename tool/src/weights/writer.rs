//! Writes tensors to a safetensors file one after the other, so that memory stays near one tensor.

use super::{Form, Values, config};
use crate::{
    failure::{Failure, Outcome},
    standard::Destination,
};
use half::{bf16, f16};
use mimi::{Checkpoint, Config, Layout, LoadOptions, Parts, TensorKind, TensorSpec, probe};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::{collections::HashMap, io::Write};

/// A tensor as it is going to be stored.
struct Stored {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    /// The tensors that make it up: one, or query, key and value, which are one in kyutai's layout.
    parts: Vec<TensorSpec>,
}

/// Writes `checkpoint` in another form, then moves the file to its place.
pub(crate) fn write(checkpoint: &Checkpoint, form: Form, destination: Destination) -> Outcome {
    let tensors = stored(checkpoint.tensors(), form);
    let (mut sink, pending) = destination;
    let failed = |error| Failure::io(pending.path(), &error);
    sink.write_all(&header(&tensors, checkpoint.config(), form)?).map_err(failed)?;
    for tensor in &tensors {
        let values = values(checkpoint, tensor)?;
        sink.write_all(&bytes(tensor, &values)?).map_err(failed)?;
    }
    sink.flush().map_err(failed)?;
    pending.commit()
}

/// Writes `checkpoint` with its weights packed as `options` say, then moves the file to its place.
pub(crate) fn write_packed(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    (mut sink, pending): Destination,
) -> Outcome {
    let failed = |error| Failure::io(pending.path(), &error);
    let config = config::json(checkpoint.config());
    probe::write_packed(checkpoint, options, &config, |bytes| sink.write_all(bytes).map_err(failed))?;
    sink.flush().map_err(failed)?;
    pending.commit()
}

/// All tensors of a file, in its order: the widest values first, so that each begins at a multiple
/// of its width. Tensors with the same name in the layout become one, row after row.
fn stored(tensors: Vec<TensorSpec>, form: Form) -> Vec<Stored> {
    let mut all: HashMap<String, Stored> = HashMap::new();
    for tensor in tensors.into_iter().filter(|tensor| form.half.has(tensor.parts)) {
        let dtype = match (tensor.kind, form.values) {
            (TensorKind::CodeWordSums | TensorKind::ClusterUsage | TensorKind::CodebookFlag, _)
            | (_, Values::F32) => Dtype::F32,
            (_, Values::F16) => Dtype::F16,
            (_, Values::Bf16) => Dtype::BF16,
        };
        let name = name(&tensor, form.layout);
        match all.get_mut(&name) {
            Some(stored) => {
                stored.shape[0] += tensor.shape[0];
                stored.parts.push(tensor);
            }
            None => {
                let shape = tensor.shape.clone();
                all.insert(name.clone(), Stored { name, shape, dtype, parts: vec![tensor] });
            }
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| b.dtype.bitsize().cmp(&a.dtype.bitsize()).then_with(|| a.name.cmp(&b.name)));
    all
}

/// The name of a tensor in a layout. In kyutai's, a SEANet convolution has two names; the second is for a transposed
/// one.
fn name(tensor: &TensorSpec, layout: Layout) -> String {
    let mut spellings = layout.spellings(&tensor.name);
    let transposed = matches!(tensor.kind, TensorKind::TransposedWeight { .. } | TensorKind::TransposedBias);
    let second = layout == Layout::Kyutai && transposed && tensor.name.starts_with("decoder.layers.");
    spellings.swap_remove(usize::from(second))
}

fn header(tensors: &[Stored], config: &Config, form: Form) -> Outcome<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|tensor| {
        let start = end;
        end += tensor.shape.iter().product::<usize>() * tensor.dtype.bitsize() / 8;
        let info =
            TensorInfo { dtype: tensor.dtype, shape: tensor.shape.clone(), data_offsets: (start, end) };
        (tensor.name.clone(), info)
    });
    let mut entries = HashMap::from([("config".to_owned(), config::json(config))]);
    if form.layout == Layout::Transformers {
        // without it, transformers does not load a file
        entries.insert("format".to_owned(), "pt".to_owned());
    }
    let metadata = Metadata::new(Some(entries), infos.collect()).map_err(internal)?;
    let mut text = serde_json::to_vec(&metadata).map_err(internal)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    Ok(bytes)
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("writing the header failed: {error}"))
}

/// The values of `tensor` in the order in which they are stored.
fn values(checkpoint: &Checkpoint, tensor: &Stored) -> Outcome<Vec<f32>> {
    if let [part] = &tensor.parts[..] {
        return plain(checkpoint, part);
    }
    let mut values = Vec::new();
    for (index, part) in tensor.parts.iter().enumerate() {
        let config = checkpoint.config();
        let is_decoder = part.parts == Parts::Decoder;
        let head_dim = if is_decoder { config.decoder_half().head_dim } else { config.head_dim };
        let rows = plain(checkpoint, part)?;
        let columns = rows.len() / part.shape[0];
        match index {
            2 => values.extend(rows),
            _ => {
                rows.chunks_exact(head_dim * columns).for_each(|head| interleave(head, columns, &mut values))
            }
        }
    }
    Ok(values)
}

fn plain(checkpoint: &Checkpoint, tensor: &TensorSpec) -> Outcome<Vec<f32>> {
    // transformers does not load a file that lacks it
    if tensor.kind == TensorKind::CodebookFlag && !checkpoint.contains(&tensor.name) {
        return Ok(vec![1.0]);
    }
    Ok(checkpoint.tensor(&tensor.name, &tensor.shape)?)
}

/// Appends the rows of a head in the order of kyutai's rotary embedding: row j of the first half, then row j of the
/// second half, for each j.
fn interleave(head: &[f32], columns: usize, out: &mut Vec<f32>) {
    let (first, second) = head.split_at(head.len() / 2);
    for (a, b) in first.chunks_exact(columns).zip(second.chunks_exact(columns)) {
        out.extend_from_slice(a);
        out.extend_from_slice(b);
    }
}

fn bytes(tensor: &Stored, values: &[f32]) -> Outcome<Vec<u8>> {
    let largest = match tensor.dtype {
        Dtype::F16 => f16::MAX.to_f32(),
        Dtype::BF16 => bf16::MAX.to_f32(),
        _ => f32::MAX,
    };
    if let Some(value) = values.iter().find(|value| value.abs() > largest) {
        let Stored { name, dtype, .. } = tensor;
        let message = format!(
            "tensor {name} has the value {value}; expected at most {largest}, the largest of {dtype}"
        );
        return Err(Failure::new(message));
    }
    Ok(match tensor.dtype {
        Dtype::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    })
}
