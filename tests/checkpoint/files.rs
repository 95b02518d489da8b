//! Paths: what is opened, where the config comes from, and what is not there.

use crate::support::*;
use mimi::{Checkpoint, Config, ErrorKind};
use std::fs;
use std::path::Path;

const KYUTAI: &str = "tokenizer-e351c8d8-checkpoint125.safetensors";
/// A tensor that a Mimi has and other models lack.
const MARKER: &str = "encoder_transformer.layers.0.mlp.fc1.weight";

fn tiny() -> Vec<u8> {
    fs::read(golden("tiny/model.safetensors")).unwrap()
}

fn tiny_moshi() -> Vec<u8> {
    fs::read(golden("tiny-moshi/model.safetensors")).unwrap()
}

/// A config that is told from others by its window.
fn config_with_window(window: usize) -> String {
    let config = case("tiny").1;
    assert!(config.contains("\"sliding_window\": 20"));
    config.replace("\"sliding_window\": 20", &format!("\"sliding_window\": {window}"))
}

fn kyutai_config_with_window(window: usize) -> String {
    let config = fs::read_to_string(golden("tiny-moshi/mimi_config.json")).unwrap();
    assert!(config.contains("\"context\": 20"));
    config.replace("\"context\": 20", &format!("\"context\": {window}"))
}

/// A language model's weights.
fn language_model() -> Vec<u8> {
    let name = "transformer.layers.0.norm1.alpha".to_owned();
    written(&Tensors::from([(name, Tensor::of_f32(&[1], &[0.0]))]), None)
}

fn window(path: &Path) -> usize {
    Checkpoint::open(path).unwrap().config().sliding_window
}

#[test]
fn where_the_config_comes_from() {
    let inside = written(&case("tiny").0, Some(&config_with_window(5)));
    let (transformers, kyutai) = (config_with_window(6), kyutai_config_with_window(7));
    let beside = [("config.json", transformers.as_bytes()), ("mimi_config.json", kyutai.as_bytes())];

    for (weights, configs, expected) in [
        (&inside, &beside[..], 5),
        (&tiny(), &beside[..], 6),
        (&tiny(), &beside[1..], 7),
        (&tiny(), &[], Config::published().sliding_window),
    ] {
        let files = [&[("model.safetensors", weights.as_slice())], configs].concat();
        let directory = directory(&files);
        assert_eq!(window(directory.path()), expected);
        assert_eq!(window(&directory.path().join("model.safetensors")), expected);
    }
    let alone = tiny();
    assert_eq!(*in_memory(&alone).unwrap().config(), Config::published());
}

#[test]
fn a_language_models_config_is_not_mistaken() {
    let (kyutai, other) = (kyutai_config_with_window(7), kyutai_config_with_window(8));
    let language_model = br#"{"dim": 4096, "n_q": 16, "card": 2048, "num_layers": 32, "mimi_name":
        "tokenizer-e351c8d8-checkpoint125.safetensors"}"#;
    let naming = br#"{"dim": 4096, "mimi_config_name": "other.json"}"#;
    let weights = tiny_moshi();
    let files = |config| {
        let kyutai = [("mimi_config.json", kyutai.as_bytes()), ("other.json", other.as_bytes())];
        [&[(KYUTAI, weights.as_slice()), ("config.json", config)][..], &kyutai].concat()
    };
    assert_eq!(window(directory(&files(language_model)).path()), 7);
    assert_eq!(window(directory(&files(naming)).path()), 8);
    assert_eq!(window(directory(&files(language_model)[..2]).path()), Config::published().sliding_window);
    let escaping = br#"{"mimi_config_name": "../other.json"}"#;
    let error = refusal(Checkpoint::open(directory(&files(escaping)).path()));
    assert_error(&error, ErrorKind::Format, &["config.json", "mimi_config_name", "../other.json"]);
    // a name is a promise: what it promises must be there, and must be a name
    let missing = br#"{"mimi_config_name": "missing.json"}"#;
    let error = refusal(Checkpoint::open(directory(&files(missing)).path()));
    assert_error(&error, ErrorKind::Io, &["missing.json", "config.json"]);
    for wrong in [&br#"{"mimi_config_name": 7}"#[..], br#"{"mimi_config_name":"a","mimi_config_name":"b"}"#] {
        let error = refusal(Checkpoint::open(directory(&files(wrong)).path()));
        assert_error(&error, ErrorKind::Format, &["config.json", "mimi_config_name"]);
    }
}

/// What is there and cannot be read is an error; another network's numbers would give other codes.
#[cfg(unix)]
#[test]
fn only_what_is_absent_counts_as_absent() {
    let link = |path: &Path| std::os::unix::fs::symlink("blobs/no-such-blob", path).unwrap();
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    let kinds: [&dyn Fn(&Path); 3] = [&link, &folder, &|path| fifo(path)];
    for name in ["config.json", "mimi_config.json", "model.safetensors.index.json"] {
        for (kind, make) in kinds.iter().enumerate() {
            let directory = directory(&[("model.safetensors", &tiny())]);
            make(&directory.path().join(name));
            let error = refusal(Checkpoint::open(directory.path()));
            assert_error(&error, ErrorKind::Io, &[name]);
            if kind == 0 {
                assert_error(&error, ErrorKind::Io, &["link"]);
            }
        }
    }
}

/// A YAML file is looked at for its ending alone, and an index by any name: neither need be the model's.
#[test]
fn what_cannot_be_read_and_need_not_be_the_models_is_passed_over() {
    let large = [&b"# "[..], &vec![b'x'; 1 << 20]].concat();
    let texts = [&large[..], b"name: caf\xe9\n"];
    let published = Config::published();
    for weights in ["model.safetensors", KYUTAI] {
        let opened = |folder: &Path| Checkpoint::open(folder).map(|open| open.config().clone());
        for text in texts {
            let folder = directory(&[(weights, &tiny()), ("a.yaml", text)]);
            assert_eq!(opened(folder.path()).unwrap(), published);
            // but not if config.json names it, nor if its own name says that it is a config
            let named = br#"{"mimi_config_name":"a.yaml"}"#;
            fs::write(folder.path().join("config.json"), named).unwrap();
            assert_error(&refusal(opened(folder.path())), ErrorKind::Format, &["a.yaml"]);
            let folder = directory(&[(weights, &tiny()), ("config.yaml", text)]);
            assert_error(&refusal(opened(folder.path())), ErrorKind::Format, &["config.yaml"]);
        }
        let folder = directory(&[(weights, &tiny())]);
        fs::create_dir(folder.path().join("a.yaml")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("no-such-file", folder.path().join("b.yml")).unwrap();
            fifo(&folder.path().join("c.yaml"));
        }
        assert_eq!(opened(folder.path()).unwrap(), published);
        let config = format!("mimi: !!map\n{}", kyutai_config_with_window(7));
        fs::write(folder.path().join("d.yaml"), config).unwrap();
        assert_error(&refusal(opened(folder.path())), ErrorKind::Format, &["d.yaml", "!!map"]);
    }

    let config = config_with_window(6);
    let name = "a.safetensors.index.json";
    for index in [&b"{}"[..], b"{\"weight_map\":{\"a\":\"../b\"}}", b"\xff"] {
        let own = [("model.safetensors", &tiny()[..]), ("config.json", config.as_bytes()), (name, index)];
        assert_eq!(window(directory(&own).path()), 6);
        // it is named where there is nothing else
        let error = refusal(Checkpoint::open(directory(&own[1..]).path()));
        assert_error(&error, ErrorKind::Format, &[name]);
        let error = refusal(Checkpoint::open(&directory(&own).path().join(name)));
        assert_error(&error, ErrorKind::Format, &[name]);
    }
}

#[cfg(unix)]
fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What was a file when it was looked at may be a pipe when it is opened, which would wait for a writer.
#[cfg(unix)]
#[test]
fn a_file_that_becomes_a_pipe_does_not_block() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};
    let directory = directory(&[("file", &tiny()), ("config.json", case("tiny").1.as_bytes())]);
    let folder = directory.path().to_owned();
    fifo(&folder.join("pipe"));
    let model = folder.join("model.safetensors");
    std::os::unix::fs::symlink("file", &model).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Relaxed) {
                for target in ["pipe", "file"] {
                    let next = folder.join("next");
                    std::os::unix::fs::symlink(target, &next).unwrap();
                    fs::rename(&next, folder.join("model.safetensors")).unwrap();
                }
            }
        }
    });
    let (told, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(3) {
            if let Err(error) = Checkpoint::open(&model) {
                assert_error(&error, ErrorKind::Io, &["model.safetensors", "not a regular file"]);
            }
        }
        told.send(()).unwrap();
    });
    let done = hears.recv_timeout(Duration::from_secs(30));
    stop.store(true, Relaxed);
    swapping.join().unwrap();
    assert_eq!(done, Ok(()), "opening waits for the writer of a pipe");
}

#[test]
fn messages_hold_no_control_characters() {
    let hostile = "\u{1b}]0;pwned\u{7}\n\u{85}\u{202e}\u{2066}\u{7f}";
    let json = serde_json::to_string(hostile).unwrap();
    let index = format!(r#"{{"weight_map":{{"{MARKER}":"x{}.safetensors"}}}}"#, &json[1..json.len() - 1]);
    let config = format!(r#"{{"model_type":"mimi","pad_mode":{json}}}"#);
    let named = format!(r#"{{"mimi_config_name":"x{}"}}"#, &json[1..json.len() - 1]);
    let header = format!(r#"{{"t":{{"dtype":{json},"shape":[1],"data_offsets":[0,4]}}}}"#);
    let bad = with_header(&header, &[0; 4]);
    let mut errors = vec![Config::from_json(&config).unwrap_err(), refusal(in_memory(&bad))];
    for files in [
        &[("model.safetensors.index.json", index.as_bytes())][..],
        &[("model.safetensors", &tiny()), ("config.json", named.as_bytes())],
        &[("model.safetensors", &tiny()), ("config.json", config.as_bytes())],
    ] {
        errors.push(refusal(Checkpoint::open(directory(files).path())));
    }
    #[cfg(unix)]
    {
        let several = format!("{hostile}.safetensors");
        let directory = directory(&[(&several, &tiny()), ("b.safetensors", &tiny())]);
        errors.push(refusal(Checkpoint::open(directory.path())));
        errors.push(refusal(Checkpoint::open(&directory.path().join(format!("{hostile}/x")))));
    }
    for error in errors {
        let bad = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!error.message().contains(bad), "{error:?}");
        assert!(error.message().contains("pwned"), "{error}");
    }
}

/// A name as long as a file may be does not make a message that long.
#[test]
fn messages_end() {
    let long = "x".repeat(1 << 20);
    let header = format!(r#"{{"t":{{"dtype":"{long}","shape":[1],"data_offsets":[0,4]}}}}"#);
    let error = refusal(in_memory(&with_header(&header, &[0; 4])));
    assert!(error.message().len() < 5000, "{} bytes", error.message().len());
    assert_error(&error, ErrorKind::Format, &["`t`", "unknown variant"]);
}

#[test]
fn a_model_that_embeds_mimi() {
    let config = format!(r#"{{"model_type": "csm", "codec_config": {}}}"#, config_with_window(9));
    let tensors = renamed(&case("tiny").0, |name| format!("codec_model.{name}"));
    let weights = written(&tensors, None);
    let directory = directory(&[("model.safetensors", &weights), ("config.json", config.as_bytes())]);
    assert_eq!(window(directory.path()), 9);
    assert_gives(&Checkpoint::open(directory.path()).unwrap(), &case("tiny").0);
}

#[test]
fn configs_that_are_broken() {
    for (name, text, kind, part) in [
        ("config.json", "{", ErrorKind::Format, "not JSON"),
        ("config.json", r#"{"model_type":"mimi","num_filters":"4"}"#, ErrorKind::Format, "num_filters"),
        (
            "config.json",
            r#"{"model_type":"mimi","audio_channels":2}"#,
            ErrorKind::Unsupported,
            "audio_channels",
        ),
        ("mimi_config.json", "{}", ErrorKind::Format, "not a Mimi config"),
    ] {
        let directory = directory(&[("model.safetensors", &tiny()), (name, text.as_bytes())]);
        assert_error(&refusal(Checkpoint::open(directory.path())), kind, &[name, part]);
    }
}

#[test]
fn which_file_of_a_directory() {
    let (named, config) = (written(&case("tiny").0, Some(&config_with_window(5))), config_with_window(6));
    let shards: Vec<_> =
        fs::read_dir(golden("tiny-sharded")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let shards: Vec<_> = shards
        .iter()
        .map(|path| (path.file_name().unwrap().to_str().unwrap(), fs::read(path).unwrap()))
        .collect();
    let sharded = shards.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    let tokenizer = written(&tensors(&golden("tiny-moshi/model.safetensors")), Some(&config));

    // an index comes first, then the file whose name says what it is, unless the config is Mimi's
    let all: Vec<_> =
        sharded.chain([("model.safetensors", named.as_slice()), (KYUTAI, &tokenizer)]).collect();
    assert_eq!(window(directory(&all).path()), 20);
    let two = &all[all.len() - 2..];
    assert_eq!(window(directory(two).path()), 6);
    let with_config = [two, &[("config.json", config.as_bytes())]].concat();
    assert_eq!(window(directory(&with_config).path()), 5);
    // but what holds no Mimi is passed over
    let language_model = language_model();
    for kyutai in [KYUTAI, "mimi-pytorch-e351c8d8@125.safetensors"] {
        let files =
            [("model.safetensors", language_model.as_slice()), (kyutai, &tokenizer), ("z.safetensors", b"")];
        assert_eq!(window(directory(&files).path()), 6);
    }
    assert_eq!(window(directory(&[("any.safetensors", &named), ("notes.txt", b"")]).path()), 5);
}

#[test]
fn directories_without_an_answer() {
    let none = directory(&[("pytorch_model.bin", b"x")]);
    let error = refusal(Checkpoint::open(none.path()));
    let looked_for = ["model.safetensors.index.json", "model.safetensors,", "tokenizer-*", "mimi-pytorch-*"];
    assert_error(&error, ErrorKind::Io, &looked_for);
    assert_error(&error, ErrorKind::Io, &[&none.path().display().to_string()]);

    let several = directory(&[("a.safetensors", &tiny()), ("b.safetensors", &tiny())]);
    let error = refusal(Checkpoint::open(several.path()));
    assert_error(
        &error,
        ErrorKind::InvalidArgument,
        &["found a.safetensors, b.safetensors: expected the path of one"],
    );

    let other = directory(&[("model.safetensors", &language_model())]);
    assert_error(
        &refusal(Checkpoint::open(other.path())),
        ErrorKind::Format,
        &["no Mimi", "model.safetensors"],
    );
}

#[test]
fn paths_that_are_no_files() {
    let empty = refusal(Checkpoint::open(Path::new("")));
    assert_error(&empty, ErrorKind::InvalidArgument, &["path is empty"]);
    let missing = golden("no-such-file.safetensors");
    assert_error(&refusal(Checkpoint::open(&missing)), ErrorKind::Io, &["no-such-file.safetensors"]);
    #[cfg(unix)]
    assert_error(&refusal(Checkpoint::open(Path::new("/dev/zero"))), ErrorKind::Io, &["not a regular file"]);
    let config = golden("tiny/config.json");
    let error = refusal(Checkpoint::open(&config));
    assert_error(&error, ErrorKind::Format, &["config.json", "not a safetensors file"]);
}

#[test]
fn indexes_that_lead_elsewhere() {
    let outside = directory(&[("model.safetensors", &tiny())]);
    let absolute = outside.path().join("model.safetensors");
    let names =
        ["../x", "a/b", "/etc/passwd", "..", ".", "", "./x", "a\\b", "C:x", "x/", absolute.to_str().unwrap()];
    for name in names {
        let index = serde_json::json!({ "weight_map": { "encoder.layers.0.conv.weight": name } });
        let directory = directory(&[("model.safetensors.index.json", index.to_string().as_bytes())]);
        let error = refusal(Checkpoint::open(directory.path()));
        assert_error(
            &error,
            ErrorKind::Format,
            &["index.json", "`weight_map` names", "expected the plain name of a file"],
        );
    }
}

#[test]
fn indexes_that_are_wrong() {
    let name = MARKER;
    let open = |index: &str| {
        let directory =
            directory(&[("model.safetensors.index.json", index.as_bytes()), ("a.safetensors", &tiny())]);
        refusal(Checkpoint::open(directory.path()))
    };
    for index in ["", "[]", "{}", r#"{"weight_map":[]}"#, r#"{"weight_map":{"a":1}}"#] {
        assert_error(&open(index), ErrorKind::Format, &["index.json", "not an index of shards"]);
    }
    let twice = format!(r#"{{"weight_map":{{"{name}":"a.safetensors","{name}":"a.safetensors"}}}}"#);
    assert_error(&open(&twice), ErrorKind::Format, &[name, "there twice"]);
    let absent = format!(r#"{{"weight_map":{{"{name}":"b.safetensors"}}}}"#);
    assert_error(&open(&absent), ErrorKind::Io, &["b.safetensors"]);
    let lacking =
        format!(r#"{{"weight_map":{{"{name}":"a.safetensors","decoder.no.such":"a.safetensors"}}}}"#);
    assert_error(&open(&lacking), ErrorKind::Corrupt, &["a.safetensors", "`decoder.no.such`", "index.json"]);
    let other = r#"{"weight_map":{"lm_head.weight":"a.safetensors"}}"#;
    assert_error(&open(other), ErrorKind::Format, &["no Mimi", "model.safetensors.index.json"]);
}

#[test]
fn errors_name_the_file() {
    let mut shard = fs::read(golden("tiny-sharded/model-00003-of-00006.safetensors")).unwrap();
    shard.pop();
    let index = fs::read(golden("tiny-sharded/model.safetensors.index.json")).unwrap();
    let names: Vec<_> = (1..=6).map(|i| format!("model-0000{i}-of-00006.safetensors")).collect();
    let whole: Vec<_> =
        names.iter().map(|name| fs::read(golden("tiny-sharded").join(name)).unwrap()).collect();
    let mut files: Vec<_> =
        names.iter().zip(&whole).map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    files[2].1 = &shard;
    files.push(("model.safetensors.index.json", &index));
    let error = refusal(Checkpoint::open(directory(&files).path()));
    assert_error(&error, ErrorKind::Corrupt, &["model-00003-of-00006.safetensors", "truncated"]);
}

/// A memory map would end the process here.
#[test]
fn a_file_that_is_truncated_after_opening() {
    let config = case("tiny").1;
    let directory = directory(&[("model.safetensors", &tiny()), ("config.json", config.as_bytes())]);
    let path = directory.path().join("model.safetensors");
    let checkpoint = Checkpoint::open(&path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(20_000).unwrap();
    let error = refusal(checkpoint.tensor("upsample.conv.weight", &[32, 1, 4]));
    assert_error(&error, ErrorKind::Io, &["model.safetensors", "only 20000 bytes"]);
}

/// Names in any script, with spaces and parentheses, and what is missing is named in UTF-8.
#[test]
fn names_in_any_script() {
    let config = case("tiny").1;
    let parent = directory(&[]);
    let folder = parent.path().join("田中　太郎/Загрузки/é (1)/model");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model.safetensors"), tiny()).unwrap();
    fs::write(folder.join("config.json"), &config).unwrap();
    assert_eq!(window(&folder), 20);
    let missing = folder.join("нет.safetensors");
    let parts = ["田中　太郎", "Загрузки", "é (1)", "нет.safetensors"];
    assert_error(&refusal(Checkpoint::open(&missing)), ErrorKind::Io, &parts);
    fs::write(folder.join("config.json"), r#"{"mimi_name":"声.safetensors"}"#).unwrap();
    assert_error(
        &refusal(Checkpoint::open(&folder)),
        ErrorKind::Io,
        &[&parts[..3], &["声.safetensors"]].concat(),
    );
}
