//! How tensors are named on disk: all spellings of a name of transformers' layout.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How the tensors of a checkpoint are named. Shapes are the same in all layouts, except that kyutai packs attention
/// projections into one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// Of `kyutai/mimi` on Hugging Face: `encoder.layers.0.conv.weight`.
    Transformers,
    /// Of kyutai's moshi: `encoder.model.0.conv.conv.weight`; in Pocket TTS `encoder.model.0.conv.weight`.
    Kyutai,
}

impl Layout {
    /// The names in this layout of the tensor that transformers' layout calls `name`, the likeliest first. The list is
    /// empty if Mimi has no such tensor. A SEANet convolution has two names in kyutai's layout, the first if it is
    /// plain and the second if it is transposed. After them come the names in Pocket TTS.
    pub fn spellings(self, name: &str) -> Vec<String> {
        match self {
            Self::Transformers => transformers(name),
            Self::Kyutai => kyutai(name).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transformers => "transformers",
            Self::Kyutai => "kyutai",
        })
    }
}

/// Tensors that a Mimi has. Its relatives, such as EnCodec, and language models lack them. There are several, so that a
/// file is recognised even if it lacks some.
const MARKERS: [&str; 6] = [
    "encoder_transformer.layers.0.input_layernorm.bias",
    "encoder_transformer.layers.0.mlp.fc1.weight",
    "decoder_transformer.layers.0.input_layernorm.bias",
    "decoder_transformer.layers.0.mlp.fc1.weight",
    "quantizer.semantic_residual_vector_quantizer.layers.0.codebook.cluster_usage",
    "quantizer.acoustic_residual_vector_quantizer.layers.0.codebook.cluster_usage",
];

/// The tensor that a network without a quantizer has in place of one, with the same name in all layouts.
pub(super) const IN_PLACE_OF_QUANTIZER: &str = "quantizer.output_proj.weight";

/// The layout of a file with these tensors, and what stands before each name (`"codec_model."` where
/// a model embeds Mimi): those with which most markers are found. `None` if no marker is found.
pub(super) fn detect<'n>(names: impl Iterator<Item = &'n str>) -> Option<(Layout, String)> {
    let mut spelled = Vec::new();
    for (marker, name) in MARKERS.iter().enumerate() {
        for layout in [Layout::Transformers, Layout::Kyutai] {
            spelled.extend(layout.spellings(name).into_iter().map(|spelling| (spelling, layout, marker)));
        }
    }
    let mut found: BTreeMap<(Layout, &str), BTreeSet<usize>> = BTreeMap::new();
    for name in names {
        for (spelling, layout, marker) in &spelled {
            if let Some(prefix) = name.strip_suffix(spelling.as_str())
                && (prefix.is_empty() || prefix.ends_with('.'))
            {
                found.entry((*layout, prefix)).or_default().insert(*marker);
            }
        }
    }
    let best = found.into_iter().max_by_key(|((_, prefix), markers)| {
        // of equals the shortest prefix, because a deeper one belongs to a part of something else
        (markers.len(), std::cmp::Reverse(prefix.len()))
    });
    best.map(|((layout, prefix), _)| (layout, prefix.to_owned()))
}

/// Whether a tensor of this name, without what stands before all names, may be one of Mimi's.
pub(super) fn is_of_mimi(name: &str) -> bool {
    let module = name.split('.').next().unwrap_or_default();
    [
        "encoder",
        "encoder_transformer",
        "downsample",
        "quantizer",
        "upsample",
        "decoder_transformer",
        "decoder",
    ]
    .contains(&module)
}

/// Modules of transformers' layout, and their names in memory from transformers 5.23 on.
const NESTED: [(&str, &str); 6] = [
    ("encoder.layers.", "encoder.encoder_seanet.layers."),
    ("encoder_transformer.", "encoder.encoder_transformer."),
    ("downsample.", "encoder.downsample."),
    ("upsample.", "decoder.upsample."),
    ("decoder_transformer.", "decoder.decoder_transformer."),
    ("decoder.layers.", "decoder.decoder_seanet.layers."),
];

fn transformers(name: &str) -> Vec<String> {
    if let Some((module, field)) = name.rsplit_once(".codebook.") {
        let fields = codebook_fields(field).into_iter();
        return fields.map(|field| format!("{module}.codebook.{field}")).collect();
    }
    let nested = NESTED
        .iter()
        .filter_map(|(flat, nested)| name.strip_prefix(flat).map(|rest| format!("{nested}{rest}")));
    std::iter::once(name.to_owned()).chain(nested).collect()
}

/// The names that the buffers of a codebook have had over time, transformers' first.
fn codebook_fields(field: &str) -> Vec<&str> {
    match field {
        "embed_sum" => vec!["embed_sum", "embedding_sum", "embed_avg"],
        "cluster_usage" => vec!["cluster_usage", "cluster_size"],
        "initialized" => vec!["initialized", "_initialized", "inited"],
        other => vec![other],
    }
}

/// The same, with the name in kyutai's published files first.
fn kyutai_codebook_fields(field: &str) -> Vec<&str> {
    let mut fields = codebook_fields(field);
    if ["embed_sum", "initialized"].contains(&field) {
        fields.swap(0, 1);
    }
    fields
}

/// `None` if Mimi has no tensor of this name.
fn kyutai(name: &str) -> Option<Vec<String>> {
    let (module, rest) = name.split_once('.')?;
    match module {
        "encoder" | "decoder" => {
            let (layer, field) = rest.strip_prefix("layers.")?.rsplit_once(".conv.")?;
            // the name alone does not say which layers are transposed
            let kinds = ["conv.conv", "convtr.convtr", "conv", "convtr"];
            Some(kinds.map(|kind| format!("{module}.model.{layer}.{kind}.{field}")).into())
        }
        "downsample" | "upsample" => {
            let field = rest.strip_prefix("conv.")?;
            let kind = if module == "upsample" { "convtr" } else { "conv" };
            Some(vec![
                format!("{module}.{kind}.{kind}.{kind}.{field}"),
                format!("{module}.{kind}.{kind}.{field}"),
            ])
        }
        "quantizer" if rest.starts_with("output_proj.") => Some(vec![name.to_owned()]),
        "encoder_transformer" | "decoder_transformer" => {
            let (layer, field) = rest.strip_prefix("layers.")?.split_once('.')?;
            let fields = kyutai_transformer_fields(field)?.into_iter();
            Some(fields.map(|field| format!("{module}.transformer.layers.{layer}.{field}")).collect())
        }
        "quantizer" => {
            let (branch, rest) = rest.split_once('.')?;
            let branch = match branch {
                "semantic_residual_vector_quantizer" => "rvq_first",
                "acoustic_residual_vector_quantizer" => "rvq_rest",
                _ => return None,
            };
            Some(match rest.split_once(".codebook.") {
                None => vec![format!("quantizer.{branch}.{rest}")],
                Some((layer, field)) => {
                    let fields = kyutai_codebook_fields(field).into_iter();
                    fields.map(|field| format!("quantizer.{branch}.vq.{layer}._codebook.{field}")).collect()
                }
            })
        }
        _ => None,
    }
}

fn kyutai_transformer_fields(field: &str) -> Option<Vec<String>> {
    let (module, parameter) = field.rsplit_once('.')?;
    let of = |modules: &[&str]| modules.iter().map(|module| format!("{module}.{parameter}")).collect();
    Some(match module {
        "input_layernorm" | "post_attention_layernorm" => {
            let norm = if module == "input_layernorm" { "norm1" } else { "norm2" };
            let mut spelled = vec![format!("{norm}.{parameter}")];
            if parameter == "weight" {
                spelled.push(format!("{norm}.alpha"));
            }
            spelled
        }
        "self_attn.q_proj" | "self_attn.k_proj" | "self_attn.v_proj" => vec![
            format!("self_attn.in_proj_{parameter}"),
            format!("self_attn.in_proj.{parameter}"),
            format!("self_attn.in_projs.0.{parameter}"),
        ],
        "self_attn.o_proj" => of(&["self_attn.out_proj", "self_attn.out_projs.0"]),
        "mlp.fc1" => of(&["linear1"]),
        "mlp.fc2" => of(&["linear2"]),
        "self_attn_layer_scale" => of(&["layer_scale_1"]),
        "mlp_layer_scale" => of(&["layer_scale_2"]),
        _ => return None,
    })
}

/// One of the three projections that kyutai packs into one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Projection {
    Query,
    Key,
    Value,
}

impl Projection {
    /// The projection that the tensor `name`, in transformers' layout, belongs to.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (_, field) = name.rsplit_once(".self_attn.")?;
        match field.split_once('.')?.0 {
            "q_proj" => Some(Self::Query),
            "k_proj" => Some(Self::Key),
            "v_proj" => Some(Self::Value),
            _ => None,
        }
    }
}

/// The names of gain and direction as which a weight with weight norm may be stored.
pub(super) fn weight_norm_spellings(weight: &str) -> Vec<[String; 2]> {
    let Some(module) = weight.strip_suffix("weight") else { return Vec::new() };
    [["weight_g", "weight_v"], ["parametrizations.weight.original0", "parametrizations.weight.original1"]]
        .map(|pair| pair.map(|field| format!("{module}{field}")))
        .into()
}
