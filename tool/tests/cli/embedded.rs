//! Models that have Mimi in them, as Hugging Face has them: which of their files are fetched and used, and one file
//! made of them. The network is the golden model `tiny`, renamed.

use super::{
    fetch::{Behaviour, COMMIT, Server, cached, refused, run},
    *,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};

type Files = Vec<(&'static str, Vec<u8>)>;

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The tensors of a golden model.
fn tensors(model: &str) -> Vec<Tensor> {
    let bytes = fs::read(golden(model).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (&str, TensorView)| Tensor {
        name: name.to_owned(),
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    };
    file.iter().map(tensor).collect()
}

fn written<'t>(tensors: impl IntoIterator<Item = &'t Tensor>, prefix: &str) -> Vec<u8> {
    let views = tensors.into_iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).unwrap();
        (format!("{prefix}{}", tensor.name), view)
    });
    safetensors::serialize(views, None).unwrap()
}

/// A file with a tensor of a language model.
fn other(name: &str) -> Vec<u8> {
    let tensor = Tensor { name: name.to_owned(), dtype: Dtype::F32, shape: vec![1], bytes: vec![0xff; 4] };
    written([&tensor], "")
}

fn tiny_config() -> Value {
    serde_json::from_slice(&fs::read(golden("tiny/config.json")).unwrap()).unwrap()
}

/// `sesame/csm-1b`: an index by another name, the codec in some of its shards, and a `model.safetensors` without one.
fn csm() -> Files {
    const SHARDS: [&str; 3] = [
        "transformers-00001-of-00003.safetensors",
        "transformers-00002-of-00003.safetensors",
        "transformers-00003-of-00003.safetensors",
    ];
    let tensors = tensors("tiny");
    let (first, second) = tensors.split_at(tensors.len() / 2);
    let mut map = serde_json::Map::new();
    for (shard, tensors) in [(SHARDS[0], first), (SHARDS[1], second)] {
        for tensor in tensors {
            map.insert(format!("codec_model.{}", tensor.name), shard.into());
        }
    }
    map.insert("lm_head.weight".to_owned(), SHARDS[2].into());
    let config = json!({ "model_type": "csm", "architectures": ["CsmForConditionalGeneration"],
        "codec_config": tiny_config() });
    vec![
        ("config.json", config.to_string().into()),
        ("generation_config.json", b"{}".to_vec()),
        ("ckpt.pt", b"PK\x03\x04".to_vec()),
        ("model.safetensors", other("backbone.layers.0.attn.q_proj.weight")),
        ("transformers.safetensors.index.json", json!({ "weight_map": map }).to_string().into()),
        (SHARDS[0], written(first, "codec_model.")),
        (SHARDS[1], written(second, "codec_model.")),
        (SHARDS[2], other("lm_head.weight")),
    ]
}

/// Moshi and Kyutai's speech to text: a language model, and a Mimi under the name that the config gives.
fn moshi() -> Files {
    let config = json!({ "model_type": "stt", "mimi_name": "mimi-custom@125.sft",
        "mimi_config_name": "numbers.json", "moshi_name": "model.safetensors" });
    vec![
        ("config.json", config.to_string().into()),
        ("model.safetensors", other("transformer.layers.0.norm1.alpha")),
        ("mimi-custom@125.sft", fs::read(golden("tiny-moshi/model.safetensors")).unwrap()),
        ("numbers.json", fs::read(golden("tiny-moshi/mimi_config.json")).unwrap()),
        ("tokenizer_spm_32k_3.model", b"words".to_vec()),
    ]
}

/// `Qwen/Qwen3-TTS-Tokenizer-12Hz`: a Mimi encoder below `encoder.`, and another decoder.
fn qwen() -> Files {
    let decodes = |name: &str| {
        ["decoder.", "decoder_transformer.", "upsample."].iter().any(|start| name.starts_with(start))
    };
    let encoder: Vec<_> = tensors("tiny")
        .into_iter()
        .filter(|tensor| !decodes(&tensor.name))
        .map(|tensor| Tensor { name: format!("encoder.{}", tensor.name), ..tensor })
        .collect();
    let theirs = [
        "decoder.pre_conv.conv.weight",
        "decoder.quantizer.rvq_first.vq.layers.0._codebook.embedding_sum",
        "decoder.decoder.0.conv.weight",
    ];
    let theirs = theirs.map(|name| Tensor {
        name: name.to_owned(),
        dtype: Dtype::F32,
        shape: vec![1],
        bytes: vec![0xff; 4],
    });
    let config = json!({ "model_type": "qwen3_tts_tokenizer_12hz", "encoder_valid_num_quantizers": 3,
        "encoder_config": tiny_config(), "decoder_config": { "codebook_size": 2048, "hidden_size": 512,
            "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "sliding_window": 72 } });
    vec![
        ("config.json", config.to_string().into()),
        ("model.safetensors", written(encoder.iter().chain(&theirs), "")),
        ("preprocessor_config.json", b"{}".to_vec()),
    ]
}

/// A talker, with the codec in a folder.
fn talker() -> Files {
    let [config, weights, _] = <[_; 3]>::try_from(qwen()).unwrap();
    vec![
        ("config.json", br#"{"model_type":"qwen3_tts"}"#.to_vec()),
        ("model.safetensors", other("talker.model.layers.0.self_attn.q_proj.weight")),
        ("speech_tokenizer/config.json", config.1),
        ("speech_tokenizer/model.safetensors", weights.1),
    ]
}

/// Pocket TTS: a folder for each language.
fn pocket() -> Files {
    let read = |name: &str| fs::read(golden("pocket-tiny").join(name)).unwrap();
    vec![
        ("languages/english/config.json", read("config.json")),
        ("languages/english/model.safetensors", read("model.safetensors")),
        ("languages/english/tokenizer.model", b"words".to_vec()),
        ("languages/french/model.safetensors", b"not asked for".to_vec()),
    ]
}

/// Names of the files in the cache's one snapshot.
fn snapshot(folder: &TempDir) -> Vec<String> {
    let files = cached(folder);
    let below = |name: &String| Some(name.split_once(&format!("snapshots/{COMMIT}/"))?.1.to_owned());
    files.iter().filter_map(below).collect()
}

/// Fetches `name` of a server that has `files`, expects that these came and no others, and returns the folder of the
/// codec below the snapshot.
fn fetched(folder: &TempDir, name: &str, files: &Files, expected: &[&str]) -> String {
    let server = Server::start(Behaviour::with_files(files));
    let output = run(folder, &server.endpoint, &format!("fetch {name}"));
    assert!(output.status.success(), "{name}: {}", stderr(&output));
    assert_eq!(snapshot(folder), expected, "{name}");
    let blobs = cached(folder).iter().filter(|file| file.contains("/blobs/")).count();
    assert_eq!(blobs, expected.len(), "{name}: nothing else was downloaded: {:?}", server.requests());
    for (file, bytes) in files.iter().filter(|(file, _)| expected.contains(file)) {
        let model = name.split('/').take(2).collect::<Vec<_>>().join("--");
        let path = folder.path().join(format!("hub/models--{model}/snapshots/{COMMIT}/{file}"));
        assert!(fs::read(path).unwrap() == *bytes, "{name}: {file}");
    }
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.trim_end().split_once(COMMIT).unwrap().1.to_owned()
}

/// What `model`, found by its name without a server, makes of the golden recording.
fn codes_by_name(folder: &TempDir, model: &str) -> Vec<Vec<i64>> {
    let output = run(folder, "http://127.0.0.1:1", &format!("encode -q -n 3 -m {model} SPEECH codes.npy"));
    assert!(output.status.success(), "{model}: {}", stderr(&output));
    npy(&folder.path().join("codes.npy"))
}

fn codes_of_tiny() -> Vec<Vec<i64>> {
    let folder = folder();
    ok(&folder, "encode -q -n 3 -m TINY SPEECH codes.npy");
    npy(&folder.path().join("codes.npy"))
}

#[test]
fn of_a_model_that_has_mimi_in_it_only_that_is_fetched_and_used_by_the_models_name() {
    let expected = codes_of_tiny();
    for (name, files, needed, inside) in [
        (
            "test/csm",
            csm(),
            &[
                "config.json",
                "transformers-00001-of-00003.safetensors",
                "transformers-00002-of-00003.safetensors",
                "transformers.safetensors.index.json",
            ][..],
            "",
        ),
        ("test/moshi", moshi(), &["config.json", "mimi-custom@125.sft", "numbers.json"], ""),
        ("test/qwen", qwen(), &["config.json", "model.safetensors"], ""),
        (
            "test/talker",
            talker(),
            &["config.json", "speech_tokenizer/config.json", "speech_tokenizer/model.safetensors"],
            "/speech_tokenizer",
        ),
        (
            "test/talker/speech_tokenizer",
            talker(),
            &["speech_tokenizer/config.json", "speech_tokenizer/model.safetensors"],
            "/speech_tokenizer",
        ),
    ] {
        let folder = folder();
        assert_eq!(fetched(&folder, name, &files, needed), inside, "{name}");
        assert_eq!(codes_by_name(&folder, name), expected, "{name}");
    }
}

/// Moshi's first repositories have no `config.json`: the names and the fronts of the files tell.
#[test]
fn without_a_config_the_front_of_each_file_tells_what_it_is() {
    let mut files: Files = moshi().into_iter().filter(|(name, _)| name.ends_with(".model")).collect();
    let mut language_model = other("transformer.layers.0.norm1.alpha");
    language_model.resize(1 << 20, 0);
    let mimi = fs::read(golden("tiny-moshi/model.safetensors")).unwrap();
    files.push(("model.safetensors", language_model.clone()));
    files.push(("tokenizer-e351c8d8-checkpoint125.safetensors", mimi));
    files.push(("mimi_config.json", fs::read(golden("tiny-moshi/mimi_config.json")).unwrap()));
    let folder = folder();
    let needed = ["mimi_config.json", "tokenizer-e351c8d8-checkpoint125.safetensors"];
    assert_eq!(fetched(&folder, "test/moshiko", &files, &needed), "");
    assert_eq!(codes_by_name(&folder, "test/moshiko"), codes_of_tiny());

    // and of a language model alone nothing comes
    for config in [None, Some(("config.json", br#"{"model_type":"llama"}"#.to_vec()))] {
        let folder = super::folder();
        let mut files: Files = vec![("model.safetensors", language_model.clone())];
        files.extend(config);
        let server = Server::start(Behaviour::with_files(&files));
        let message = "/test/llama: no Mimi found: expected its tensors in one of model.safetensors";
        refused(&run(&folder, &server.endpoint, "fetch test/llama"), message);
        assert!(cached(&folder).iter().all(|file| file.ends_with("/c0ffee")), "{:?}", cached(&folder));
    }
}

#[test]
fn a_folder_of_a_model_is_fetched_by_its_name() {
    let folder = folder();
    let server = Server::start(Behaviour::with_files(&pocket()));
    let hint = "/test/pocket: no weights found: its models are in subfolders: expected the path of one, as \
                languages/english";
    refused(&run(&folder, &server.endpoint, "fetch test/pocket"), hint);
    let name = "test/pocket/languages/english";
    let needed = ["languages/english/config.json", "languages/english/model.safetensors"];
    assert_eq!(fetched(&folder, name, &pocket(), &needed), "/languages/english");
    let used = run(&folder, "http://127.0.0.1:1", &format!("encode -q -m {name} SPEECH a.npy"));
    assert!(used.status.success(), "{}", stderr(&used));
    ok(&folder, &format!("encode -q -m {} SPEECH b.npy", golden("pocket-tiny").display()));
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.npy"), read("b.npy"));
    refused(
        &run(&folder, "http://127.0.0.1:1", "encode -q -m test/pocket/languages/french SPEECH c.npy"),
        "to download it: mimi fetch test/pocket/languages/french",
    );
}

#[test]
fn what_a_config_names_elsewhere_is_not_fetched() {
    for (name, said) in [
        ("hf://kyutai/x/y.safetensors", "a file on a hub, which is not fetched"),
        ("../x.safetensors", "a path out of the folder is not followed"),
        ("mimi.bin", "a pickle"),
        (
            "absent.safetensors",
            "absent.safetensors: the file does not exist: config.json names it as `mimi_name`",
        ),
    ] {
        let folder = folder();
        let mut files = moshi();
        files[0].1 = json!({ "mimi_name": name }).to_string().into();
        files.push(("mimi.bin", b"PK\x03\x04".to_vec()));
        let server = Server::start(Behaviour::with_files(&files));
        refused(&run(&folder, &server.endpoint, "fetch test/moshi"), said);
        assert_eq!(snapshot(&folder), [""; 0]);
    }
}

/// Writes `files` to a folder of this name.
fn write(folder: &TempDir, name: &str, files: &Files) {
    for (file, bytes) in files {
        let path = folder.path().join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn one_file_is_made_of_a_model_that_has_mimi_in_it() {
    let expected = codes_of_tiny();
    let folder = folder();
    let codes = |model: &str| {
        ok(&folder, &format!("encode -q -n 3 -m {model} SPEECH codes.npy"));
        npy(&folder.path().join("codes.npy"))
    };
    let files = [("csm", csm()), ("moshi", moshi()), ("qwen", qwen()), ("talker", talker())];
    for (name, files) in &files {
        write(&folder, name, files);
    }
    // the language model's shard need not be there
    fs::remove_file(folder.path().join("csm/transformers-00003-of-00003.safetensors")).unwrap();
    for (input, half) in [
        ("csm", None),
        ("moshi", None),
        ("qwen", Some("encoder")),
        ("talker/speech_tokenizer", Some("encoder")),
    ] {
        for layout in ["", "--layout kyutai ", "--layout transformers "] {
            ok(&folder, &format!("convert {layout}{input} one.safetensors"));
            assert_eq!(codes("one.safetensors"), expected, "{layout}{input}");
        }
        let info = String::from_utf8(ok(&folder, "info one.safetensors").stdout).unwrap();
        match half {
            None => {
                assert!(!info.contains("alone"), "{info}");
                ok(&folder, "decode -q -m one.safetensors codes.npy one.wav");
                ok(&folder, "decode -q -m TINY codes.npy tiny.wav");
                assert_eq!(wav(&folder, "one.wav"), wav(&folder, "tiny.wav"), "{input}");
            }
            // with as many codebooks by default as the other model's config tells
            Some(half) => {
                assert!(info.contains(&format!("the {half} alone")), "{info}");
                ok(&folder, "encode -q -m one.safetensors SPEECH default.npy");
                assert_eq!(npy(&folder.path().join("default.npy")), expected, "{input}");
            }
        }
    }
    let output = mimi(&folder, "convert talker one.safetensors");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("its codec is in the subfolder speech_tokenizer"),
        "{}",
        stderr(&output)
    );
    let output = mimi(&folder, "convert moshi moshi/mimi-custom@125.sft");
    let kept = "this is the input; --overwrite to replace it";
    assert!(stderr(&output).contains(kept), "{}", stderr(&output));
}

#[test]
fn one_file_is_made_of_pocket_tts() {
    let folder = folder();
    for model in ["pocket-tiny", "pocket-asym", "pocket-wide-latent"] {
        let (model, latents) = (golden(model), golden(model).join("speech.latents.npy"));
        let sound = |model: &Path| {
            ok(&folder, &format!("decode -q -m {} {} out.wav", model.display(), latents.display()));
            ok(&folder, &format!("encode -q -m {} SPEECH latents.npy", model.display()));
            ["out.wav", "latents.npy"].map(|name| fs::read(folder.path().join(name)).unwrap())
        };
        let expected = sound(&model);
        for layout in ["", "--layout kyutai ", "--layout transformers "] {
            ok(&folder, &format!("convert {layout}{} one.safetensors", model.display()));
            assert!(sound(&folder.path().join("one.safetensors")) == expected, "{layout}{}", model.display());
        }
    }
}
