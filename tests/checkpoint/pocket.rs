//! Pocket TTS: a codec below `mimi.` in a language model's file, and where its numbers come from.

use crate::support::*;
use mimi::{Checkpoint, Config, Error, ErrorKind, HalfConfig, LoadOptions, Model, Parts, ReadAt};
use serde_json::json;
use std::fs;
use std::path::Path;

/// In the form in which kyutai's package has it.
const YAML: &str = "\
# sig: a0ac5076.yaml

weights_path: hf://kyutai/pocket-tts/languages/english/model.safetensors@39592ff23c9ef80098bb74895d104c26275fe2c9
replace_characters:
  '–': ','
  '’': \"'\"

flow_lm:
  dtype: float32
  transformer:
    d_model: 1024
  #weights_path: final.safetensors

mimi:
  dtype: float32
  sample_rate: 24000
  inner_dim: 8
  outer_dim: 32
  channels: 1
  frame_rate: 12.5
  seanet:
    dimension: 32
    channels: 1
    n_filters: 4
    n_residual_layers: 1
    ratios:
    - 6
    - 5
    - 4
    kernel_size: 7
    residual_kernel_size: 3
    last_kernel_size: 3
    dilation_base: 2
    pad_mode: constant
    compress: 2
  transformer:
    d_model: 32
    num_heads: 4
    num_layers: 2
    layer_scale: 0.01
    context: 20
    dim_feedforward: 64
    input_dimension: 32
    output_dimensions:
    - 32
  quantizer:
    dimension: 8
    output_dimension: 32
  #weights_path: codec.safetensors
default_eos_threshold: -1.0
";

fn tiny() -> Tensors {
    tensors(&golden("pocket-tiny/model.safetensors"))
}

fn load(path: &Path, parts: Parts) -> Result<Model, Error> {
    Model::load(path, &LoadOptions { parts, ..Default::default() })
}

#[test]
fn numbers_as_yaml_or_json_inside_and_beside() {
    let expected = load(&golden("pocket-tiny"), Parts::Both).unwrap();
    assert_eq!((expected.config().continuous, expected.config().sliding_window), (Some(8), 20));
    let json = fs::read_to_string(golden("pocket-tiny/config.json")).unwrap();
    for text in [YAML, &json] {
        let inside = written(&tiny(), Some(text));
        let model = Model::load_bytes(&inside, &LoadOptions::default()).unwrap();
        assert_eq!((model.id(), model.config()), (expected.id(), expected.config()));
    }
    let weights = written(&tiny(), None);
    for (name, text) in
        [("config.json", json.as_str()), ("config.yaml", YAML), ("english.yaml", YAML), ("x.yml", YAML)]
    {
        let folder =
            directory(&[("tts.safetensors", &weights), (name, text.as_bytes()), ("y.yaml", b"a: 1\n")]);
        for path in [folder.path(), &folder.path().join("tts.safetensors")] {
            let model = load(path, Parts::Both).unwrap();
            assert_eq!((model.id(), model.config()), (expected.id(), expected.config()), "{name}");
        }
    }
}

#[test]
fn yaml_that_says_nothing_or_too_much() {
    let weights = written(&tiny(), None);
    let refused = |files: &[(&str, &str)], parts: &[&str]| {
        let mut all = vec![("model.safetensors", weights.as_slice())];
        all.extend(files.iter().map(|(name, text)| (*name, text.as_bytes())));
        assert_error(&refusal(Checkpoint::open(directory(&all).path())), ErrorKind::Format, parts);
    };
    let other = YAML.replace("context: 20", "context: 21");
    refused(&[("a.yaml", YAML), ("b.yaml", &other)], &["b.yaml", "other numbers than", "a.yaml"]);
    refused(&[("config.yaml", "flow_lm:\n  a: 1\n")], &["config.yaml", "no Mimi config is in it"]);
    refused(&[("a.yaml", "mimi:\n  a: &b 1\n")], &["a.yaml", "YAML, line 2", "& is not read"]);
    refused(&[("a.yaml", "mimi: &m\n  a: 1\n")], &["a.yaml", "YAML, line 1", "behind `mimi:`"]);
    refused(&[("a.yml", &format!("mimi:\n{YAML}"))], &["a.yml", "YAML, line 15", "`mimi` is there twice"]);
    // a name is a promise, in YAML as in JSON
    for (name, text, part) in [
        ("m.yaml", "flow_lm:\n  a: 1\n", "m.yaml: no Mimi config is in it"),
        ("m.yaml", "mimi:\n  a: 1\n", "config.json names it as `mimi_config_name`"),
        ("m.json", "{}", "m.json: not a Mimi config"),
    ] {
        let config = json!({ "mimi_name": "model.safetensors", "mimi_config_name": name }).to_string();
        refused(&[("config.json", &config), (name, text)], &[part]);
    }
    refused(&[("a.yaml", "mimi:\n  seanet:\n    n_filters: four\n")], &["a.yaml", "`mimi.seanet.n_filters`"]);
}

/// Behind a byte order mark, in quotes, with a space behind it, or in JSON.
#[test]
fn the_part_counts_however_it_is_written() {
    let expected = load(&golden("pocket-tiny"), Parts::Both).unwrap();
    let json = fs::read_to_string(golden("pocket-tiny/config.json")).unwrap();
    for text in [
        format!("\u{feff}{}", YAML.trim_start()),
        YAML.replace("\nmimi:", "\n\"mimi\":"),
        YAML.replace("\nmimi:", "\nmimi :"),
        json,
    ] {
        let files = [("model.safetensors", written(&tiny(), None)), ("a.yaml", text.clone().into_bytes())];
        let folder = directory(&files.each_ref().map(|(name, bytes)| (*name, bytes.as_slice())));
        assert_eq!(load(folder.path(), Parts::Both).unwrap().config(), expected.config(), "{text}");
    }
}

/// A file's header, with its tensors' shapes and without their values.
struct Shapes {
    header: Vec<u8>,
    bytes: u64,
}

impl Shapes {
    fn new<'n>(tensors: impl IntoIterator<Item = (&'n str, Vec<usize>)>) -> Self {
        let (mut header, mut end) = (serde_json::Map::new(), 0u64);
        for (name, shape) in tensors {
            let begin = end;
            end += 4 * shape.iter().product::<usize>() as u64;
            let info = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] });
            header.insert(name.to_owned(), info);
        }
        Self { header: with_header(&serde_json::to_string(&header).unwrap(), &[]), bytes: end }
    }

    /// The numbers that are known by these shapes.
    fn config(self) -> Config {
        Checkpoint::from_source(Box::new(self)).unwrap().config().clone()
    }
}

impl ReadAt for Shapes {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.header.as_slice().read_at(offset, buf)
    }

    fn size(&self) -> u64 {
        self.header.len() as u64 + self.bytes
    }
}

/// The shapes of a published file, by the names in it.
fn published() -> Vec<(String, Vec<usize>)> {
    let listing = fs::read_to_string(golden("pocket-full/tensors.tsv")).unwrap();
    let line = |line: &str| {
        let (name, rest) = line.split_once('\t').unwrap();
        let shape = rest.split_once('\t').unwrap().0.trim_matches(['[', ']']);
        (name.to_owned(), shape.split(", ").map(|n| n.parse().unwrap()).collect())
    };
    listing.lines().skip(1).map(line).collect()
}

#[test]
fn published_networks_are_known_by_their_shapes() {
    let named = |tensors: &[(String, Vec<usize>)]| {
        Shapes::new(tensors.iter().map(|(name, shape)| (name.as_str(), shape.clone()))).config()
    };
    let usual = published();
    assert_eq!(named(&usual), Config::pocket_tts());
    let encodes = ["mimi.encoder.", "mimi.encoder_transformer.", "mimi.downsample."];
    let is_encoder = |name: &str| encodes.iter().any(|start| name.starts_with(start));
    let decoder: Vec<_> = usual.iter().filter(|(name, _)| !is_encoder(name)).cloned().collect();
    assert!(decoder.len() < usual.len() - 20);
    assert_eq!(named(&decoder), Config::pocket_tts());

    // the first English one: the encoder's latents are not those that the decoder takes
    let mut first = usual.clone();
    let down = first.iter_mut().find(|(name, _)| name == "mimi.downsample.conv.conv.weight").unwrap();
    assert_eq!(down.1, [32, 512, 32]);
    down.1[0] = 512;
    assert_eq!(named(&first), Config { encoder_latent_dim: Some(512), ..Config::pocket_tts() });

    // October 2026: 128 wide
    for (num_filters, num_hidden_layers) in [(24, 4), (32, 12)] {
        let decoder = HalfConfig {
            hidden_size: 128,
            num_filters,
            kernel_size: 3,
            num_hidden_layers,
            intermediate_size: 384,
            num_attention_heads: 4,
            num_key_value_heads: 4,
            head_dim: 32,
            sliding_window: 50,
            ..Config::pocket_tts().encoder_half()
        };
        let expected = Config { decoder: Some(decoder), upsample_groups: 128, ..Config::pocket_tts() };
        let tensors = expected.tensors(false);
        let list = || tensors.iter().map(|tensor| (format!("mimi.{}", tensor.name), tensor.shape.clone()));
        assert_eq!(named(&list().collect::<Vec<_>>()), expected);
        let alone: Vec<_> = list().filter(|(name, _)| !is_encoder(name)).collect();
        assert_eq!(named(&alone), expected);
        // a layer more is none of them
        let more = format!("mimi.decoder_transformer.layers.{num_hidden_layers}.input_layernorm.weight");
        let more = list().chain([(more, vec![128])]).collect::<Vec<_>>();
        assert_eq!(named(&more), Config::pocket_tts());
    }
}

/// Files without voice cloning.
#[test]
fn files_without_the_encoder() {
    let mut tensors = tiny();
    let all = tensors.len();
    tensors.retain(|name, _| {
        !["mimi.encoder.", "mimi.encoder_transformer.", "mimi.downsample."]
            .iter()
            .any(|start| name.starts_with(start))
    });
    assert!(tensors.len() + 20 < all && tensors.contains_key("flow_lm.emb_mean"));
    let folder =
        directory(&[("model.safetensors", &written(&tensors, None)), ("english.yaml", YAML.as_bytes())]);
    for parts in [Parts::Both, Parts::Encoder] {
        let said = ["has the decoder alone", "parts = decoder (MIMI_OPT_PARTS, MIMI_PARTS_DECODER)"];
        assert_error(&refusal(load(folder.path(), parts)), ErrorKind::Unsupported, &said);
    }
    let (half, whole) =
        (load(folder.path(), Parts::Decoder).unwrap(), load(&golden("pocket-tiny"), Parts::Both).unwrap());
    assert_eq!(half.id(), whole.id());
    let latents = [0.25; 8 * 5];
    let audio = [half, whole].map(|model| model.decode_latents(&latents, &Default::default()).unwrap());
    assert!(audio[0] == audio[1]);
}

/// The first English model: its halves are loaded one at a time.
#[test]
fn an_encoder_with_latents_of_its_own() {
    let mut tensors = tiny();
    let down = tensors.get_mut("mimi.downsample.conv.conv.weight").unwrap();
    let (values, shape) = (down.values(), down.shape.clone());
    assert_eq!(shape[0], 8);
    *down = Tensor::of_f32(&[16, shape[1], shape[2]], &[values.as_slice(), values.as_slice()].concat());
    let file = written(&tensors, Some(&YAML.replace("inner_dim: 8", "inner_dim: 16")));
    let load = |parts| Model::load_bytes(&file, &LoadOptions { parts, ..Default::default() });
    let said = [
        "the encoder makes latents of 16 values and the decoder takes 8",
        "parts = encoder or parts = decoder",
    ];
    assert_error(&refusal(load(Parts::Both)), ErrorKind::Unsupported, &said);
    let whole = Model::load(golden("pocket-tiny"), &LoadOptions::default()).unwrap();
    let options = Default::default();
    let (encoder, decoder) = (load(Parts::Encoder).unwrap(), load(Parts::Decoder).unwrap());
    assert_eq!((encoder.spec().latent_dim, decoder.spec().latent_dim), (16, 8));
    let pcm: Vec<f32> = (0..9_000).map(|i| (i % 97) as f32 / 97.0 - 0.5).collect();
    let (latents, expected) =
        (encoder.encode_latents(&pcm, &options).unwrap(), whole.encode_latents(&pcm, &options).unwrap());
    for (frame, expected) in latents.chunks_exact(16).zip(expected.chunks_exact(8)) {
        assert!(frame[..8] == *expected && frame[8..] == *expected);
    }
    assert!(
        decoder.decode_latents(&expected, &options).unwrap()
            == whole.decode_latents(&expected, &options).unwrap()
    );
}
