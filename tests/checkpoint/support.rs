//! Checkpoints as maps of tensors, to be changed and written.

use mimi::{Checkpoint, Error, ErrorKind};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    pub(crate) fn of_f32(shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: "F32".to_owned(), shape: shape.to_vec(), bytes }
    }

    pub(crate) fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, "F32");
        self.bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

pub(crate) type Tensors = BTreeMap<String, Tensor>;

pub(crate) fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden").join(case)
}

/// A directory with these files.
pub(crate) fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

/// The tensors of a file, by the safetensors crate alone.
pub(crate) fn tensors(file: &Path) -> Tensors {
    let bytes = std::fs::read(file).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        let (dtype, shape) = (view.dtype().to_string(), view.shape().to_vec());
        (name, Tensor { dtype, shape, bytes: view.data().to_vec() })
    };
    parsed.tensors().into_iter().map(tensor).collect()
}

/// The tensors and the config of a golden case in transformers' layout.
pub(crate) fn case(name: &str) -> (Tensors, String) {
    let config = std::fs::read_to_string(golden(name).join("config.json")).unwrap();
    (tensors(&golden(name).join("model.safetensors")), config)
}

/// A safetensors file, with `config` in its metadata.
pub(crate) fn written(tensors: &Tensors, config: Option<&str>) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    if let Some(config) = config {
        header.insert("__metadata__".to_owned(), serde_json::json!({ "config": config }));
    }
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend_from_slice(&tensor.bytes);
        let info = serde_json::json!({
            "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, data.len()]
        });
        header.insert(name.clone(), info);
    }
    with_header(&serde_json::to_string(&header).unwrap(), &data)
}

/// Eight bytes of length, a header, data.
pub(crate) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

pub(crate) fn in_memory(bytes: &[u8]) -> Result<Checkpoint<'_>, Error> {
    Checkpoint::from_source(Box::new(bytes))
}

/// The error of what must fail.
pub(crate) fn refusal<T>(result: Result<T, Error>) -> Error {
    result.map(|_| ()).expect_err("must be refused")
}

/// That an error is of a kind and that its message has all of `parts`.
#[track_caller]
pub(crate) fn assert_error(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{part:?} is not in {error}");
    }
}

/// That a checkpoint gives these tensors of transformers' layout, bit for bit.
#[track_caller]
pub(crate) fn assert_gives(checkpoint: &Checkpoint, expected: &Tensors) {
    for (name, tensor) in expected {
        if name.ends_with("initialized") {
            continue;
        }
        assert!(checkpoint.contains(name), "{name}");
        let found = checkpoint.tensor(name, &tensor.shape).unwrap_or_else(|error| panic!("{error}"));
        let same = found.iter().map(|x| x.to_bits()).eq(tensor.values().iter().map(|x| x.to_bits()));
        assert!(same, "{name} differs");
    }
}

/// Every tensor under another name.
pub(crate) fn renamed(tensors: &Tensors, rename: impl Fn(&str) -> String) -> Tensors {
    tensors.iter().map(|(name, tensor)| (rename(name), tensor.clone())).collect()
}

/// From transformers' to kyutai's layout, as kyutai's own names and packing have it.
pub(crate) fn to_kyutai(tensors: &Tensors, head_dim: usize) -> Tensors {
    let mut packed = Tensors::new();
    for (name, tensor) in tensors {
        if name.contains(".k_proj.") || name.contains(".v_proj.") {
            continue;
        }
        if let Some((module, parameter)) = name.split_once("q_proj.") {
            let part = |projection: &str| &tensors[&format!("{module}{projection}.{parameter}")];
            let mut values = interleaved(tensor, head_dim);
            values.extend(interleaved(part("k_proj"), head_dim));
            values.extend(part("v_proj").values());
            let mut shape = tensor.shape.clone();
            shape[0] += 2 * part("v_proj").shape[0];
            let name =
                format!("{module}in_proj_{parameter}").replace("former.layers", "former.transformer.layers");
            packed.insert(name, Tensor::of_f32(&shape, &values));
        } else {
            packed.insert(kyutai_name(name), tensor.clone());
        }
    }
    packed
}

/// Rows of each head from half-split to interleaved rotary order.
fn interleaved(tensor: &Tensor, head_dim: usize) -> Vec<f32> {
    let values = tensor.values();
    let columns: usize = tensor.shape[1..].iter().product();
    let mut out = vec![0.0; values.len()];
    for row in 0..tensor.shape[0] {
        let (head, within) = (row / head_dim, row % head_dim);
        let (p, j) = (within / (head_dim / 2), within % (head_dim / 2));
        let target = head * head_dim + 2 * j + p;
        out[target * columns..][..columns].copy_from_slice(&values[row * columns..][..columns]);
    }
    out
}

fn kyutai_name(name: &str) -> String {
    let mut name = name.to_owned();
    let transposed = name == "upsample.conv.weight"
        || ["2", "5", "8", "11"].iter().any(|n| name.starts_with(&format!("decoder.layers.{n}.conv.")));
    if name.starts_with("encoder.") || name.starts_with("decoder.") {
        name = name.replace(".layers.", ".model.");
        name = name.replace(".conv.", if transposed { ".convtr.convtr." } else { ".conv.conv." });
    }
    name = name.replace("downsample.conv.", "downsample.conv.conv.conv.");
    name = name.replace("upsample.conv.", "upsample.convtr.convtr.convtr.");
    name = name.replace("former.layers.", "former.transformer.layers.");
    for (transformers, kyutai) in [
        ("o_proj", "out_proj"),
        ("mlp.fc", "linear"),
        ("input_layernorm", "norm1"),
        ("post_attention_layernorm", "norm2"),
        ("self_attn_layer_scale", "layer_scale_1"),
        ("mlp_layer_scale", "layer_scale_2"),
    ] {
        name = name.replace(transformers, kyutai);
    }
    if name.starts_with("quantizer.") {
        name = name.replace("semantic_residual_vector_quantizer", "rvq_first");
        name = name.replace("acoustic_residual_vector_quantizer", "rvq_rest");
        name = name.replace(".layers.", ".vq.layers.").replace(".codebook.", "._codebook.");
        name = name.replace(".initialized", "._initialized").replace(".embed_sum", ".embedding_sum");
    }
    name
}
