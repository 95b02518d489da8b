//! One network, however its tensors are called and stored.

use crate::support::*;
use mimi::{Checkpoint, Config, Error, ErrorKind, LoadOptions, Model, ReadAt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

const F32_CASES: [&str; 9] = [
    "tiny",
    "tiny-dilated",
    "tiny-shortcut",
    "tiny-gqa-bias",
    "tiny-16khz",
    "tiny-replicate",
    "tiny-semantic2",
    "tiny-noproj",
    "tiny-theta",
];

#[test]
fn transformers_layout() {
    for name in F32_CASES {
        let checkpoint = Checkpoint::open(&golden(name)).unwrap();
        let (tensors, config) = case(name);
        assert_gives(&checkpoint, &tensors);
        assert_eq!(*checkpoint.config(), Config::from_json(&config).unwrap());
    }
}

#[test]
fn half_precision_is_widened() {
    for (name, dtype, relative) in [("tiny-f16", "F16", 2f32.powi(-11)), ("tiny-bf16", "BF16", 2f32.powi(-8))]
    {
        let checkpoint = Checkpoint::open(&golden(name)).unwrap();
        let mut of_half = 0;
        for (tensor_name, exact) in case("tiny").0 {
            let stored = &case(name).0[&tensor_name];
            of_half += usize::from(stored.dtype == dtype);
            let found = checkpoint.tensor(&tensor_name, &exact.shape).unwrap();
            for (found, exact) in found.iter().zip(exact.values()) {
                let rounding = (exact.abs() * relative).max(2f32.powi(-25));
                assert!((found - exact).abs() <= rounding, "{tensor_name}: {found} for {exact}");
            }
        }
        assert!(of_half > 90, "{name} has {of_half} tensors of {dtype}");
    }
}

#[test]
fn double_precision_is_rounded() {
    let (exact, config) = case("tiny");
    let mut tensors = exact.clone();
    for tensor in tensors.values_mut() {
        tensor.bytes = tensor.values().iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        tensor.dtype = "F64".to_owned();
    }
    assert_gives(&in_memory(&written(&tensors, Some(&config))).unwrap(), &exact);
}

#[test]
fn shards() {
    let (tensors, _) = case("tiny");
    assert_gives(&Checkpoint::open(&golden("tiny-sharded")).unwrap(), &tensors);
    let index = golden("tiny-sharded/model.safetensors.index.json");
    assert_gives(&Checkpoint::open(&index).unwrap(), &tensors);
}

#[test]
fn kyutai_layout() {
    let (tensors, _) = case("tiny");
    let checkpoint = Checkpoint::open(&golden("tiny-moshi")).unwrap();
    assert_gives(&checkpoint, &tensors);
    let transformers = Checkpoint::open(&golden("tiny")).unwrap();
    assert_eq!(checkpoint.config(), transformers.config());
}

/// The helper that the following tests build on writes what kyutai's own code wrote.
#[test]
fn to_kyutai_is_right() {
    assert!(to_kyutai(&case("tiny").0, 8) == tensors(&golden("tiny-moshi/model.safetensors")));
}

#[test]
fn kyutai_layout_of_other_networks() {
    for name in ["tiny-gqa-bias", "tiny-shortcut", "tiny-semantic2", "tiny-16khz"] {
        let (tensors, config) = case(name);
        let bytes = written(&to_kyutai(&tensors, 8), Some(&config));
        assert_gives(&in_memory(&bytes).unwrap(), &tensors);
    }
    // three residual layers: the transposed convolutions are elsewhere
    let (tensors, config) = case("tiny-dilated");
    let shifted = renamed(&to_kyutai(&tensors, 8), |name| {
        let transposed = [2, 7, 12, 17].iter().any(|n| name.starts_with(&format!("decoder.model.{n}.conv")));
        let plain = name.replace("convtr.convtr", "conv.conv");
        let upsample = name.starts_with("upsample");
        if upsample {
            name.to_owned()
        } else if transposed {
            plain.replace("conv.conv", "convtr.convtr")
        } else {
            plain
        }
    });
    assert_gives(&in_memory(&written(&shifted, Some(&config))).unwrap(), &tensors);
}

#[test]
fn spellings_of_kyutai() {
    let (expected, config) = case("tiny");
    let kyutai = to_kyutai(&expected, 8);
    for (usual, other) in [
        ("._initialized", ".inited"),
        (".cluster_usage", ".cluster_size"),
        (".embedding_sum", ".embed_sum"),
        (".embedding_sum", ".embed_avg"),
        ("in_proj_weight", "in_proj.weight"),
        ("in_proj_weight", "in_projs.0.weight"),
        ("out_proj.weight", "out_projs.0.weight"),
    ] {
        let tensors = renamed(&kyutai, |name| name.replace(usual, other));
        assert!(tensors != kyutai, "{usual}");
        assert_gives(&in_memory(&written(&tensors, Some(&config))).unwrap(), &expected);
    }
}

#[test]
fn layer_norm_as_alpha() {
    let (expected, config) = case("tiny");
    let mut tensors = renamed(&to_kyutai(&expected, 8), |name| {
        name.replace("norm1.weight", "norm1.alpha").replace("norm2.weight", "norm2.alpha")
    });
    for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name.ends_with("alpha")) {
        tensor.shape = vec![1, 1, tensor.shape[0]];
    }
    assert_gives(&in_memory(&written(&tensors, Some(&config))).unwrap(), &expected);
}

#[test]
fn spellings_of_transformers() {
    let (expected, config) = case("tiny");
    for (usual, other) in
        [(".cluster_usage", ".cluster_size"), (".embed_sum", ".embedding_sum"), (".embed_sum", ".embed_avg")]
    {
        let tensors = renamed(&expected, |name| name.replace(usual, other));
        assert_gives(&in_memory(&written(&tensors, Some(&config))).unwrap(), &expected);
    }
}

/// The modules as transformers 5.23 nests them in memory.
fn nested(name: &str) -> String {
    let half = if ["encoder", "downsample"].iter().any(|module| name.starts_with(module)) {
        "encoder"
    } else {
        "decoder"
    };
    match name.split_once('.').unwrap() {
        ("quantizer", _) => name.to_owned(),
        (module @ ("encoder" | "decoder"), rest) => format!("{module}.{module}_seanet.{rest}"),
        _ => format!("{half}.{name}"),
    }
}

#[test]
fn nested_modules() {
    assert_eq!(nested("downsample.conv.weight"), "encoder.downsample.conv.weight");
    let (expected, config) = case("tiny");
    let tensors = renamed(&expected, nested);
    assert_gives(&in_memory(&written(&tensors, Some(&config))).unwrap(), &expected);
    let prefixed = renamed(&tensors, |name| format!("codec_model.{name}"));
    assert_gives(&in_memory(&written(&prefixed, Some(&config))).unwrap(), &expected);
}

#[test]
fn prefixes() {
    let (expected, config) = case("tiny");
    for layout in [expected.clone(), to_kyutai(&expected, 8)] {
        for prefix in ["codec_model.", "audio_encoder.", "encoder.", "model.codec."] {
            let mut tensors = renamed(&layout, |name| format!("{prefix}{name}"));
            // the model around it, with names and shapes that must not be mistaken
            for name in ["encoder.layers.0.conv.weight", "decoder.layers.0.mlp.fc1.weight", "lm_head.weight"]
            {
                tensors.insert(name.to_owned(), Tensor::of_f32(&[2], &[f32::NAN, 0.0]));
            }
            assert_gives(&in_memory(&written(&tensors, Some(&config))).unwrap(), &expected);
        }
    }
}

/// Gains and directions from kyutai's code; the product differs by rounding.
#[test]
fn weight_norm() {
    let normed = Checkpoint::open(&golden("tiny-moshi-weightnorm")).unwrap();
    let stored = tensors(&golden("tiny-moshi-weightnorm/model.safetensors"));
    assert!(stored.keys().filter(|name| name.ends_with("weight_g")).count() > 20);
    assert_close_to_tiny(&normed);

    let config = case("tiny").1;
    let parametrized = renamed(&stored, |name| {
        let name = name.replace("weight_g", "parametrizations.weight.original0");
        name.replace("weight_v", "parametrizations.weight.original1")
    });
    assert_close_to_tiny(&in_memory(&written(&parametrized, Some(&config))).unwrap());
}

fn assert_close_to_tiny(checkpoint: &Checkpoint) {
    for (name, tensor) in case("tiny").0 {
        let found = checkpoint.tensor(&name, &tensor.shape).unwrap();
        let largest = tensor.values().iter().fold(0f32, |most, x| most.max(x.abs()));
        for (found, exact) in found.iter().zip(tensor.values()) {
            assert!((found - exact).abs() <= 1e-6 * largest, "{name}: {found} for {exact}");
        }
    }
}

#[test]
fn outer_ones_do_not_matter() {
    let checkpoint = Checkpoint::open(&golden("tiny")).unwrap();
    let name = "quantizer.semantic_residual_vector_quantizer.input_proj.weight";
    let with = checkpoint.tensor(name, &[16, 32, 1]).unwrap();
    assert_eq!(with, checkpoint.tensor(name, &[16, 32]).unwrap());
    assert_eq!(with, checkpoint.tensor(name, &[1, 16, 32]).unwrap());
}

#[test]
fn contains_only_what_is_there() {
    for name in ["tiny-noproj", "tiny-moshi"] {
        let checkpoint = Checkpoint::open(&golden(name)).unwrap();
        let projection = "quantizer.semantic_residual_vector_quantizer.input_proj.weight";
        assert_eq!(checkpoint.contains(projection), name == "tiny-moshi");
        for name in [
            "",
            "encoder",
            "encoder.layers.99.conv.weight",
            "encoder_transformer.layers.0.self_attn.q_proj.bias",
        ] {
            assert!(!checkpoint.contains(name), "{name}");
        }
    }
}

/// Files that transformers wrote have the tensors of the list, with its shapes, and no others.
#[test]
fn the_list_of_tensors_is_what_files_have() {
    let mut lists = BTreeSet::new();
    for name in F32_CASES {
        let listed = Checkpoint::open(&golden(name)).unwrap().tensors();
        let listed: BTreeMap<_, _> = listed.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect();
        let stored: BTreeMap<_, _> =
            case(name).0.into_iter().map(|(name, tensor)| (name, tensor.shape)).collect();
        assert_eq!(listed, stored, "{name}");
        lists.insert(listed);
    }
    assert!(lists.len() >= 7, "only {} of them differ", lists.len());
}

/// Between equal dimensions, any projection in the file means that all are expected.
#[test]
fn a_projection_in_the_file_makes_all_expected() {
    let (mut tensors, config) = case("tiny-noproj");
    let projections = |checkpoint: &Checkpoint| {
        checkpoint.tensors().iter().filter(|tensor| tensor.name.contains("put_proj")).count()
    };
    assert_eq!(projections(&in_memory(&written(&tensors, Some(&config))).unwrap()), 0);
    let name = "quantizer.acoustic_residual_vector_quantizer.output_proj.weight";
    tensors.insert(name.to_owned(), Tensor::of_f32(&[32, 32, 1], &[0.5; 32 * 32]));
    let file = written(&tensors, Some(&config));
    assert_eq!(projections(&in_memory(&file).unwrap()), 4);
    let error = refusal(Model::load_bytes(&file, &LoadOptions::default()));
    assert_error(
        &error,
        ErrorKind::Corrupt,
        &["semantic_residual_vector_quantizer.input_proj.weight` is missing"],
    );
}

#[test]
fn the_demo_model_has_its_config_inside() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tool/demo/model.safetensors");
    let checkpoint = Checkpoint::open(&demo).unwrap();
    assert_eq!((checkpoint.config().hidden_size, checkpoint.config().num_quantizers), (128, 8));
    assert_eq!(checkpoint.tensor("downsample.conv.weight", &[128, 128, 4]).unwrap().len(), 128 * 128 * 4);
    let bytes = std::fs::read(&demo).unwrap();
    assert_eq!(in_memory(&bytes).unwrap().config(), checkpoint.config());
}

/// A callback that notes what it was asked for.
struct Noting<'a> {
    bytes: &'a [u8],
    reads: &'a Mutex<BTreeMap<u64, usize>>,
}

impl ReadAt for Noting<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.reads.lock().unwrap().insert(offset, buf.len());
        self.bytes.read_at(offset, buf)
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

#[test]
fn a_callback_is_asked_for_the_header_then_for_tensors() {
    let (tensors, config) = case("tiny");
    let (bytes, reads) = (written(&tensors, Some(&config)), Mutex::new(BTreeMap::new()));
    let header_end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let checkpoint = Checkpoint::from_source(Box::new(Noting { bytes: &bytes, reads: &reads })).unwrap();
    let header_reads = std::mem::take(&mut *reads.lock().unwrap());
    assert!(header_reads.iter().all(|(offset, len)| offset + *len as u64 <= header_end), "{header_reads:?}");
    assert_gives(&checkpoint, &tensors);
    assert!(reads.lock().unwrap().keys().all(|offset| *offset >= header_end));
}
