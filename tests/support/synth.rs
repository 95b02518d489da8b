//! Checkpoints by formula: each value depends only on its tensor's name and shape and on its index in it, so that a
//! full-size checkpoint need not be stored.

use super::repository;
use mimi::{Activation, Config, HalfConfig, PadMode, TensorKind, TensorSpec};
use safetensors::{Dtype, View};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A safetensors file with a network of these numbers, in the layout of transformers, with its
/// config inside. The quantizer has projections only between unequal dimensions.
pub(crate) fn checkpoint(config: &Config) -> Vec<u8> {
    file(config, config.codebook_dim != config.latent_dim())
}

/// As [`checkpoint`], but always with projections. kyutai's files have them between equal dimensions, too.
pub(crate) fn projected_checkpoint(config: &Config) -> Vec<u8> {
    file(config, true)
}

/// Values in the file that [`projected_checkpoint`] makes.
pub(crate) fn values(config: &Config) -> usize {
    config.tensors(true).iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum()
}

fn file(config: &Config, projected: bool) -> Vec<u8> {
    let tensors: Vec<_> = config.tensors(projected).into_iter().map(Tensor).collect();
    let named = tensors.iter().map(|tensor| (tensor.0.name.as_str(), tensor));
    safetensors::serialize(named, Some(metadata(config_json(config)))).unwrap()
}

/// The file with the published architecture, written at first use. Each tensor has the digest
/// that `tensors.tsv` lists, and so equals that of the reference implementations.
pub(crate) fn full_size() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let listing = fs::read_to_string(repository("tests/data/golden/full/tensors.tsv")).unwrap();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = directory.join(format!("mimi-full-{}.safetensors", &sha256(listing.as_bytes())[..16]));
        if !path.exists() {
            write_full_size(&listing, directory, &path);
        }
        path
    })
    .clone()
}

fn write_full_size(listing: &str, directory: &Path, path: &Path) {
    let tensors: Vec<_> = Config::published().tensors(true).into_iter().map(Tensor).collect();
    let mut listed: HashMap<&str, (&str, &str)> = listing.lines().skip(1).map(listed_tensor).collect();
    for tensor in &tensors {
        let TensorSpec { name, shape, .. } = &tensor.0;
        let (listed_shape, digest) = listed.remove(name.as_str()).expect(name);
        assert_eq!(shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"), listed_shape, "{name}");
        assert_eq!(sha256(&tensor.data()), digest, "{name}");
    }
    assert!(listed.is_empty(), "not generated: {listed:?}");

    // written aside and renamed: test binaries may run at the same time
    let config = fs::read_to_string(repository("tests/data/golden/full/config.json")).unwrap();
    let aside = tempfile::NamedTempFile::new_in(directory).unwrap();
    let named = tensors.iter().map(|tensor| (tensor.0.name.as_str(), tensor));
    safetensors::serialize_to_file(named, Some(metadata(config)), aside.path()).unwrap();
    aside.persist(path).unwrap();
}

/// The file of Pocket TTS's Mimi, in its own layout, written at first use; digests as for [`full_size`].
pub(crate) fn pocket_full_size() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let listing = fs::read_to_string(repository("tests/data/golden/pocket-full/tensors.tsv")).unwrap();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = directory.join(format!("pocket-full-{}.safetensors", &sha256(listing.as_bytes())[..16]));
        if !path.exists() {
            let listed = listing.lines().skip(1).map(listed_tensor);
            let tensors: Vec<_> = listed.map(|(name, listed)| (name, pocket_tensor(name, listed))).collect();
            let config = fs::read_to_string(repository("tests/data/golden/pocket-full/config.json")).unwrap();
            let aside = tempfile::NamedTempFile::new_in(directory).unwrap();
            safetensors::serialize_to_file(tensors, Some(metadata(config)), aside.path()).unwrap();
            aside.persist(&path).unwrap();
        }
        path
    })
    .clone()
}

/// A tensor by the name that it has on disk.
fn pocket_tensor(name: &str, (shape, digest): (&str, &str)) -> Made {
    let shape: Vec<usize> = shape.trim_matches(['[', ']']).split(", ").map(|n| n.parse().unwrap()).collect();
    let (offset, scale) = match name {
        // a tensor of the language model
        "flow_lm.emb_mean" => (0.0, 0.0),
        _ if name.contains("norm") && name.ends_with("weight") => (1.0, 0.25),
        _ if name.ends_with("bias") => (0.0, 0.1),
        _ if name.ends_with("scale") => (0.25, 0.125),
        _ if name.contains("upsample") => weight(2),
        _ if name.contains("convtr") => weight(2 * shape[0]),
        _ => weight(shape[1..].iter().product()),
    };
    let values: Vec<f32> = units(name, shape.iter().product()).map(|u| offset + scale * u).collect();
    let data = bytemuck::cast_slice(&values).to_vec();
    assert_eq!(sha256(&data), digest, "{name}");
    Made { shape, data }
}

/// A tensor's bytes.
struct Made {
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for Made {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// Name, shape and SHA-256 in a line of `tensors.tsv`.
fn listed_tensor(line: &str) -> (&str, (&str, &str)) {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap();
    (next(), (next(), next()))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn metadata(config: String) -> HashMap<String, String> {
    HashMap::from([("format".to_owned(), "pt".to_owned()), ("config".to_owned(), config)])
}

/// A tensor whose values are made when they are asked for.
struct Tensor(TensorSpec);

impl Tensor {
    /// Its values in C order.
    fn values(&self) -> Vec<f32> {
        let TensorSpec { name, shape, kind, .. } = &self.0;
        let units = units(name, shape.iter().product());
        let (offset, scale) = match kind {
            TensorKind::CodebookFlag => return vec![1.0; shape[0]],
            TensorKind::CodeWordSums => {
                let usage: Vec<f32> = units_of_usage(name, shape[0]);
                let layer: i32 =
                    name.split(".layers.").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
                let scale = (3.0 * 0.9f64.powi(layer)) as f32;
                return units.enumerate().map(|(i, u)| u * scale * usage[i / shape[1]]).collect();
            }
            TensorKind::ClusterUsage => (1.0, 0.5),
            TensorKind::NormWeight => (1.0, 0.25),
            TensorKind::LayerScale => (0.25, 0.125),
            TensorKind::ConvBias
            | TensorKind::TransposedBias
            | TensorKind::LinearBias
            | TensorKind::NormBias => (0.0, 0.1),
            // by the products that are summed up in an output; two taps of a transposed convolution reach one
            TensorKind::ConvWeight | TensorKind::LinearWeight => weight(shape[1..].iter().product()),
            TensorKind::TransposedWeight { groups } => weight(2 * shape[0] / groups),
            other => panic!("{name}: no formula for {other:?}"),
        };
        units.map(|u| offset + scale * u).collect()
    }
}

/// Offset and scale of weights of which `fan` are summed up in an output.
fn weight(fan: usize) -> (f32, f32) {
    (0.0, (1.3 * (3.0 / fan as f64).sqrt()) as f32)
}

/// The usage counts of the codebook whose sums are called `embed_sum`.
fn units_of_usage(embed_sum: &str, entries: usize) -> Vec<f32> {
    let name = embed_sum.replace("embed_sum", "cluster_usage");
    units(&name, entries).map(|u| 1.0 + 0.5 * u).collect()
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(bytemuck::cast_slice(&self.values()).to_vec())
    }

    fn data_len(&self) -> usize {
        4 * self.0.shape.iter().product::<usize>()
    }
}

/// `count` numbers in [−1, 1) that depend on `name` alone: splitmix64 keyed by its FNV-1a hash.
pub(crate) fn units(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let key = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (1..=count as u64).map(move |i| {
        let z = key.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        ((z >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
    })
}

/// The config as transformers 5 writes it, and with fields of this library where `MimiConfig` has none.
pub(crate) fn config_json(c: &Config) -> String {
    let frame_rate = f64::from(c.sampling_rate) / c.frame_size() as f64;
    let mut config = serde_json::json!({
        "model_type": "mimi",
        "sampling_rate": c.sampling_rate,
        "frame_rate": frame_rate,
        "audio_channels": 1,
        "upsampling_ratios": c.upsampling_ratios,
        "use_causal_conv": true,
        "trim_right_ratio": 1.0,
        "codebook_size": c.codebook_size,
        "codebook_dim": c.codebook_dim,
        "num_quantizers": c.num_quantizers,
        "vector_quantization_hidden_dimension": c.vector_quantization_hidden_dimension,
        "num_semantic_quantizers": c.num_semantic_quantizers,
        "upsample_groups": c.upsample_groups,
    });
    let fields = config.as_object_mut().unwrap();
    fields.append(half_json(&c.encoder_half()).as_object_mut().unwrap());
    if let Some(dimension) = c.continuous {
        fields.insert("continuous_latent_dim".to_owned(), dimension.into());
    }
    if let Some(dimension) = c.encoder_latent_dim {
        fields.insert("encoder_latent_dim".to_owned(), dimension.into());
    }
    if let Some(codebooks) = c.default_codebooks {
        fields.insert("encoder_valid_num_quantizers".to_owned(), codebooks.into());
    }
    if let Some(decoder) = &c.decoder {
        fields.insert("decoder_config".to_owned(), half_json(decoder));
    }
    config.to_string()
}

fn half_json(half: &HalfConfig) -> serde_json::Value {
    serde_json::json!({
        "hidden_size": half.hidden_size,
        "num_filters": half.num_filters,
        "num_residual_layers": half.num_residual_layers,
        "kernel_size": half.kernel_size,
        "last_kernel_size": half.last_kernel_size,
        "residual_kernel_size": half.residual_kernel_size,
        "dilation_growth_rate": half.dilation_growth_rate,
        "pad_mode": match half.pad_mode {
            PadMode::Constant => "constant",
            PadMode::Replicate => "replicate",
        },
        "compress": half.compress,
        "use_conv_shortcut": half.use_conv_shortcut,
        "num_hidden_layers": half.num_hidden_layers,
        "intermediate_size": half.intermediate_size,
        "num_attention_heads": half.num_attention_heads,
        "num_key_value_heads": half.num_key_value_heads,
        "head_dim": half.head_dim,
        "hidden_act": match half.hidden_act {
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Relu => "relu",
            Activation::Silu => "silu",
        },
        "norm_eps": half.norm_eps,
        "rope_parameters": { "rope_type": "default", "rope_theta": half.rope_theta },
        "sliding_window": half.sliding_window,
        "attention_bias": half.attention_bias,
    })
}
