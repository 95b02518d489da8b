//! Checkpoints by formula: every value depends on nothing but its tensor's name, its index in it
//! and the tensor's shape, so that a full-size checkpoint need not be stored.

use super::repository;
use mimi::{Activation, Config, PadMode};
use safetensors::{Dtype, View};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A safetensors file with a network of these numbers, in the layout of transformers, with its
/// config inside. The quantizer has projections between unequal dimensions alone.
pub(crate) fn checkpoint(config: &Config) -> Vec<u8> {
    file(config, tensors(config, config.vector_quantization_hidden_dimension != config.hidden_size))
}

/// As [`checkpoint`], with projections in any case. kyutai's files have them between equal dimensions, too.
pub(crate) fn projected_checkpoint(config: &Config) -> Vec<u8> {
    file(config, tensors(config, true))
}

/// Values in the file that [`projected_checkpoint`] makes.
pub(crate) fn values(config: &Config) -> usize {
    tensors(config, true).iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum()
}

fn file(config: &Config, tensors: Vec<Tensor>) -> Vec<u8> {
    let named = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    safetensors::serialize(named, Some(metadata(config_json(config)))).unwrap()
}

/// The file with the published architecture, written at first use; every tensor has the digest
/// that the references' weights have.
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
    let tensors = tensors(&Config::published(), true);
    let mut listed: HashMap<&str, (&str, &str)> = listing.lines().skip(1).map(listed_tensor).collect();
    for tensor in &tensors {
        let (shape, digest) = listed.remove(tensor.name.as_str()).expect(&tensor.name);
        assert_eq!(
            tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
            shape,
            "{}",
            tensor.name
        );
        assert_eq!(sha256(&tensor.data()), digest, "{}", tensor.name);
    }
    assert!(listed.is_empty(), "not generated: {listed:?}");

    // written aside and renamed: test binaries may run at the same time
    let config = fs::read_to_string(repository("tests/data/golden/full/config.json")).unwrap();
    let aside = tempfile::NamedTempFile::new_in(directory).unwrap();
    let named = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    safetensors::serialize_to_file(named, Some(metadata(config)), aside.path()).unwrap();
    aside.persist(path).unwrap();
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
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Products that are summed up in an output.
    fan: usize,
}

impl Tensor {
    /// Its values in C order.
    pub(crate) fn values(&self) -> Vec<f32> {
        let name = self.name.as_str();
        let units = units(name, self.shape.iter().product());
        if name.ends_with("initialized") {
            return vec![1.0; self.shape[0]];
        }
        if name.ends_with("embed_sum") {
            let usage: Vec<f32> = units_of_usage(name, self.shape[0]);
            let layer: i32 =
                name.split(".layers.").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
            let scale = (3.0 * 0.9f64.powi(layer)) as f32;
            return units.enumerate().map(|(i, u)| u * scale * usage[i / self.shape[1]]).collect();
        }
        let (offset, scale) = if name.ends_with("cluster_usage") {
            (1.0, 0.5)
        } else if name.contains("layernorm.weight") {
            (1.0, 0.25)
        } else if name.contains("layer_scale") {
            (0.25, 0.125)
        } else if name.ends_with("bias") {
            (0.0, 0.1)
        } else {
            (0.0, (1.3 * (3.0 / self.fan as f64).sqrt()) as f32)
        };
        units.map(|u| offset + scale * u).collect()
    }
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
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values().iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
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

/// The tensors of a network in the layout of transformers.
fn tensors(config: &Config, projected: bool) -> Vec<Tensor> {
    let mut list = List(Vec::new());
    list.seanet_encoder(config);
    list.transformer("encoder_transformer", config);
    let hidden = config.hidden_size;
    list.add("downsample.conv.weight", &[hidden, hidden, 2 * config.latent_stride]);
    let semantic = config.num_semantic_quantizers;
    let acoustic = config.num_quantizers - semantic;
    list.quantizer("quantizer.semantic_residual_vector_quantizer", semantic, projected, config);
    list.quantizer("quantizer.acoustic_residual_vector_quantizer", acoustic, projected, config);
    let upsample = [hidden, hidden / config.upsample_groups, 2 * config.latent_stride];
    list.add_transposed("upsample.conv.weight", &upsample, config.upsample_groups);
    list.transformer("decoder_transformer", config);
    list.seanet_decoder(config);
    list.0
}

struct List(Vec<Tensor>);

impl List {
    fn add(&mut self, name: &str, shape: &[usize]) {
        let fan = shape[1..].iter().product();
        self.0.push(Tensor { name: name.to_owned(), shape: shape.to_vec(), fan });
    }

    fn add_transposed(&mut self, name: &str, shape: &[usize], groups: usize) {
        self.0.push(Tensor { name: name.to_owned(), shape: shape.to_vec(), fan: 2 * shape[0] / groups });
    }

    fn conv(&mut self, name: &str, outputs: usize, inputs: usize, kernel: usize) {
        self.add(&format!("{name}.conv.weight"), &[outputs, inputs, kernel]);
        self.add(&format!("{name}.conv.bias"), &[outputs]);
    }

    /// Residual blocks from layer `index` on; returns the next layer's index.
    fn residuals(&mut self, part: &str, index: usize, channels: usize, c: &Config) -> usize {
        for index in index..index + c.num_residual_layers {
            let name = format!("{part}.layers.{index}");
            self.conv(&format!("{name}.block.1"), channels / c.compress, channels, c.residual_kernel_size);
            self.conv(&format!("{name}.block.3"), channels, channels / c.compress, 1);
            if c.use_conv_shortcut {
                self.conv(&format!("{name}.shortcut"), channels, channels, 1);
            }
        }
        index + c.num_residual_layers
    }

    fn seanet_encoder(&mut self, c: &Config) {
        let mut channels = c.num_filters;
        self.conv("encoder.layers.0", channels, 1, c.kernel_size);
        let mut index = 1;
        for ratio in c.upsampling_ratios.iter().rev() {
            // an activation stands between the blocks and the convolution
            index = self.residuals("encoder", index, channels, c) + 1;
            self.conv(&format!("encoder.layers.{index}"), 2 * channels, channels, 2 * ratio);
            channels *= 2;
            index += 1;
        }
        self.conv(&format!("encoder.layers.{}", index + 1), c.hidden_size, channels, c.last_kernel_size);
    }

    fn seanet_decoder(&mut self, c: &Config) {
        let mut channels = c.num_filters << c.upsampling_ratios.len();
        self.conv("decoder.layers.0", channels, c.hidden_size, c.kernel_size);
        let mut index = 1;
        for ratio in &c.upsampling_ratios {
            let name = format!("decoder.layers.{}.conv", index + 1);
            self.add_transposed(&format!("{name}.weight"), &[channels, channels / 2, 2 * ratio], 1);
            self.add(&format!("{name}.bias"), &[channels / 2]);
            channels /= 2;
            index = self.residuals("decoder", index + 2, channels, c);
        }
        self.conv(&format!("decoder.layers.{}", index + 1), 1, channels, c.last_kernel_size);
    }

    fn transformer(&mut self, part: &str, c: &Config) {
        let (hidden, inner) = (c.hidden_size, c.intermediate_size);
        let (queries, keys) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        for index in 0..c.num_hidden_layers {
            let name = format!("{part}.layers.{index}");
            for (projection, outputs, inputs) in
                [("q", queries, hidden), ("k", keys, hidden), ("v", keys, hidden), ("o", hidden, queries)]
            {
                self.add(&format!("{name}.self_attn.{projection}_proj.weight"), &[outputs, inputs]);
                if c.attention_bias {
                    self.add(&format!("{name}.self_attn.{projection}_proj.bias"), &[outputs]);
                }
            }
            self.add(&format!("{name}.mlp.fc1.weight"), &[inner, hidden]);
            self.add(&format!("{name}.mlp.fc2.weight"), &[hidden, inner]);
            for vector in [
                "input_layernorm.weight",
                "input_layernorm.bias",
                "post_attention_layernorm.weight",
                "post_attention_layernorm.bias",
                "self_attn_layer_scale.scale",
                "mlp_layer_scale.scale",
            ] {
                self.add(&format!("{name}.{vector}"), &[hidden]);
            }
        }
    }

    fn quantizer(&mut self, name: &str, count: usize, projected: bool, c: &Config) {
        let (hidden, inner) = (c.hidden_size, c.vector_quantization_hidden_dimension);
        if projected {
            self.add(&format!("{name}.input_proj.weight"), &[inner, hidden, 1]);
            self.add(&format!("{name}.output_proj.weight"), &[hidden, inner, 1]);
        }
        for index in 0..count {
            let codebook = format!("{name}.layers.{index}.codebook");
            self.add(&format!("{codebook}.initialized"), &[1]);
            self.add(&format!("{codebook}.cluster_usage"), &[c.codebook_size]);
            self.add(&format!("{codebook}.embed_sum"), &[c.codebook_size, c.codebook_dim]);
        }
    }
}

/// The config as transformers 5 writes it.
pub(crate) fn config_json(c: &Config) -> String {
    let frame_rate = f64::from(c.sampling_rate) / c.frame_size() as f64;
    serde_json::json!({
        "model_type": "mimi",
        "sampling_rate": c.sampling_rate,
        "frame_rate": frame_rate,
        "audio_channels": 1,
        "hidden_size": c.hidden_size,
        "num_filters": c.num_filters,
        "num_residual_layers": c.num_residual_layers,
        "upsampling_ratios": c.upsampling_ratios,
        "kernel_size": c.kernel_size,
        "last_kernel_size": c.last_kernel_size,
        "residual_kernel_size": c.residual_kernel_size,
        "dilation_growth_rate": c.dilation_growth_rate,
        "use_causal_conv": true,
        "pad_mode": match c.pad_mode {
            PadMode::Constant => "constant",
            PadMode::Replicate => "replicate",
        },
        "compress": c.compress,
        "trim_right_ratio": 1.0,
        "codebook_size": c.codebook_size,
        "codebook_dim": c.codebook_dim,
        "num_quantizers": c.num_quantizers,
        "use_conv_shortcut": c.use_conv_shortcut,
        "vector_quantization_hidden_dimension": c.vector_quantization_hidden_dimension,
        "num_semantic_quantizers": c.num_semantic_quantizers,
        "upsample_groups": c.upsample_groups,
        "num_hidden_layers": c.num_hidden_layers,
        "intermediate_size": c.intermediate_size,
        "num_attention_heads": c.num_attention_heads,
        "num_key_value_heads": c.num_key_value_heads,
        "head_dim": c.head_dim,
        "hidden_act": match c.hidden_act {
            Activation::Gelu => "gelu",
            Activation::Relu => "relu",
            Activation::Silu => "silu",
        },
        "norm_eps": c.norm_eps,
        "rope_parameters": { "rope_type": "default", "rope_theta": c.rope_theta },
        "sliding_window": c.sliding_window,
        "attention_bias": c.attention_bias,
    })
    .to_string()
}
