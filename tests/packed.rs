//! Packed weights: they give the bits of the ordinary file, and whatever is wrong with a file of them is an error.

mod support;

use mimi::{Checkpoint, Error, ErrorKind, Isa, LoadOptions, Model, Parts, Precision, StreamOptions, probe};
use serde_json::{Value, json};
use std::path::Path;
use support::{repository, wav};
use xxhash_rust::xxh64::xxh64;

const PRECISIONS: [Precision; 4] = [Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8];

fn golden(case: &str) -> std::path::PathBuf {
    repository(&format!("tests/data/golden/{case}"))
}

fn packed(path: &Path, config: &str, options: &LoadOptions) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    probe::write_packed(&Checkpoint::open(path)?, options, config, |some| {
        bytes.extend_from_slice(some);
        Ok::<_, Error>(())
    })?;
    Ok(bytes)
}

/// A golden case, packed.
fn packed_case(case: &str, options: &LoadOptions) -> Vec<u8> {
    let config =
        ["config.json", "mimi_config.json"].map(|name| std::fs::read_to_string(golden(case).join(name)));
    let config = config.into_iter().find_map(Result::ok).unwrap();
    packed(&golden(case), &config, options).unwrap()
}

/// The smallest network that there is, packed for every CPU of its kind.
fn micro(precision: Precision) -> Vec<u8> {
    let path = repository("tests/fuzz/micro.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let config = header.metadata().as_ref().unwrap()["config"].clone();
    let options = LoadOptions { precision, isa: Isa::Baseline, ..LoadOptions::default() };
    packed(&path, &config, &options).unwrap()
}

/// The instruction sets of this CPU.
fn isas() -> Vec<Isa> {
    let all = [Isa::Baseline, Isa::Avx2, Isa::Avx512, Isa::Neon];
    let has = |isa: &Isa| {
        let options = LoadOptions { isa: *isa, ..LoadOptions::default() };
        Model::load(repository("tests/fuzz/micro.safetensors"), &options).is_ok()
    };
    all.into_iter().filter(has).collect()
}

#[track_caller]
fn assert_refused(bytes: &[u8], options: &LoadOptions, kind: ErrorKind, parts: &[&str]) {
    let error = Model::load_bytes(bytes, options).expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{part:?} is not in {error}");
    }
}

/// What two models make of a recording, in all that they can do.
#[track_caller]
fn assert_same(a: &Model, b: &Model, what: &str) {
    assert_eq!(a.spec(), b.spec(), "{what}");
    assert_eq!((a.memory_bytes(), a.config()), (b.memory_bytes(), b.config()), "{what}");
    let mut pcm = wav(&golden("speech.wav"));
    pcm.truncate(7 * a.spec().frame_size - 100);
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let options = StreamOptions::default();
    let dim = a.spec().latent_dim;
    if a.parts() != Parts::Decoder {
        let latents = [a, b].map(|model| bits(&model.encode_latents(&pcm, &options).unwrap()));
        assert!(latents[0] == latents[1], "{what}");
        if a.codebooks() > 0 {
            assert_eq!(a.encode(&pcm, &options).unwrap(), b.encode(&pcm, &options).unwrap(), "{what}");
        }
    }
    if a.parts() != Parts::Encoder {
        let latents: Vec<f32> = pcm[..5 * dim].iter().map(|x| 3.0 * x).collect();
        let audio = [a, b].map(|model| bits(&model.decode_latents(&latents, &options).unwrap()));
        assert!(audio[0] == audio[1], "{what}");
        if a.codebooks() > 0 {
            let size = a.spec().codebook_size as u32;
            let codebooks = a.spec().default_codebooks;
            let codes: Vec<u32> = (0..5 * codebooks as u32).map(|i| i * 7 % size).collect();
            let audio = [a, b].map(|model| bits(&model.decode(&codes, &options).unwrap()));
            assert!(audio[0] == audio[1], "{what}");
        }
    }
}

#[test]
fn packed_weights_give_the_bits_of_the_ordinary_file() {
    let cases = [
        "tiny",
        "tiny-noproj",
        "tiny-semantic2",
        "tiny-shortcut",
        "tiny-dilated",
        "tiny-gqa-bias",
        "tiny-moshi",
        "tiny-moshi-weightnorm",
        "tiny-sharded",
        "pocket-tiny",
        "pocket-asym",
    ];
    for (case, precision) in cases.into_iter().flat_map(|case| PRECISIONS.map(|precision| (case, precision)))
    {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let bytes = packed_case(case, &options);
        for parts in [Parts::Both, Parts::Encoder, Parts::Decoder] {
            let options = LoadOptions { parts, ..options.clone() };
            let what = format!("{case} in {precision:?}, {parts:?}");
            let ordinary = Model::load(golden(case), &options).unwrap();
            // the default takes the precision that the weights are packed in
            for asked in [precision, Precision::F32] {
                let options = LoadOptions { precision: asked, ..options.clone() };
                assert_same(&ordinary, &Model::load_bytes(&bytes, &options).unwrap(), &what);
            }
        }
        if !case.starts_with("pocket") {
            let options = LoadOptions { codebooks: Some(2), ..options };
            let ordinary = Model::load(golden(case), &options).unwrap();
            let what = format!("{case} in {precision:?}, two codebooks");
            assert_same(&ordinary, &Model::load_bytes(&bytes, &options).unwrap(), &what);
        }
    }
}

#[test]
fn a_half_is_packed_alone_or_taken_from_both() {
    for parts in [Parts::Encoder, Parts::Decoder] {
        let options = LoadOptions { parts, precision: Precision::Int8, ..LoadOptions::default() };
        let half = packed_case("tiny", &options);
        let ordinary = Model::load(golden("tiny"), &options).unwrap();
        assert_same(&ordinary, &Model::load_bytes(&half, &options).unwrap(), "a half");
        let both = packed_case("tiny", &LoadOptions { parts: Parts::Both, ..options.clone() });
        assert!(half.len() * 3 < both.len() * 2, "{} of {}", half.len(), both.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, &both).unwrap();
        let config = std::fs::read_to_string(golden("tiny/config.json")).unwrap();
        assert!(packed(&path, &config, &options).unwrap() == half, "{parts:?}");
        // as files and folders are found
        assert_same(&ordinary, &Model::load(folder.path(), &options).unwrap(), "a folder");
        let name = if parts == Parts::Encoder { "the encoder alone" } else { "the decoder alone" };
        assert_refused(&half, &LoadOptions::default(), ErrorKind::Unsupported, &[name]);
    }
}

/// An instruction set's own weights, and another's.
#[test]
fn weights_are_for_cpus_with_panels_of_their_width() {
    for packed_for in isas() {
        let options = LoadOptions { isa: packed_for, precision: Precision::Int8, ..LoadOptions::default() };
        let bytes = packed_case("tiny", &options);
        // the best that has such panels: this one, or an extension of it that goes by the same name
        let loaded = Model::load_bytes(&bytes, &LoadOptions::default()).unwrap();
        assert_eq!(loaded.isa(), packed_for);
        assert_same(&Model::load(golden("tiny"), &options).unwrap(), &loaded, "the best");
        for isa in isas() {
            let options = LoadOptions { isa, ..LoadOptions::default() };
            match isa == packed_for {
                true => assert_eq!(Model::load_bytes(&bytes, &options).unwrap().isa(), isa),
                false => assert_refused(
                    &bytes,
                    &options,
                    ErrorKind::Unsupported,
                    &["checkpoint: the weights are packed for ", "in panels of ", "from its ordinary file"],
                ),
            }
        }
    }
}

#[test]
fn two_threads_load_what_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed.safetensors");
    for (case, precision) in
        ["tiny", "pocket-tiny"].into_iter().flat_map(|case| PRECISIONS.map(|p| (case, p)))
    {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        std::fs::write(&path, packed_case(case, &options)).unwrap();
        let one = Model::load(golden(case), &options).unwrap();
        for (threads, parts) in
            [2, 3, 64].into_iter().flat_map(|n| [Parts::Both, Parts::Decoder].map(|p| (n, p)))
        {
            let options = LoadOptions { threads: Some(threads), parts, ..options.clone() };
            let one = if parts == Parts::Both {
                one.clone()
            } else {
                Model::load(golden(case), &LoadOptions { parts, precision, ..LoadOptions::default() })
                    .unwrap()
            };
            for path in [&golden(case), &path] {
                assert_same(
                    &one,
                    &Model::load(path, &options).unwrap(),
                    &format!("{case} with {threads} threads"),
                );
            }
        }
    }
    // errors are those of one thread: of the encoder, if both halves are damaged
    let mut damaged = std::fs::read(&path).unwrap();
    let len = u64::from_le_bytes(damaged[..8].try_into().unwrap()) as usize;
    // but for the hashes, which are at the end
    let end = damaged.len() - 4096;
    damaged[8 + len..end].iter_mut().step_by(64).for_each(|byte| *byte ^= 1);
    let messages = [None, Some(2)].map(|threads| {
        let options = LoadOptions { threads, ..LoadOptions::default() };
        Model::load_bytes(&damaged, &options).unwrap_err().message().to_owned()
    });
    assert_eq!(messages[0], messages[1]);
    for threads in [0, 65] {
        let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
        assert_refused(
            &micro(Precision::F32),
            &options,
            ErrorKind::InvalidArgument,
            &["threads is", "1 to 64"],
        );
    }
}

#[test]
fn another_precision_than_that_of_the_weights_is_refused() {
    for (packed_in, asked) in PRECISIONS.into_iter().flat_map(|a| PRECISIONS.map(|b| (a, b))) {
        if asked == packed_in || asked == Precision::F32 {
            continue;
        }
        let options = LoadOptions { precision: asked, ..LoadOptions::default() };
        let message =
            format!("precision is {asked:?}: expected {packed_in:?}, in which the weights are packed");
        assert_refused(&micro(packed_in), &options, ErrorKind::Unsupported, &[&message]);
    }
}

#[test]
fn packed_weights_have_no_tensors_to_be_read() {
    let bytes = micro(Precision::F32);
    let checkpoint = Checkpoint::from_source(Box::new(bytes.as_slice())).unwrap();
    for tensor in checkpoint.tensors() {
        let error = checkpoint.tensor(&tensor.name, &tensor.shape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("the weights are packed for kernels"), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_or_longer_is_refused() {
    let bytes = micro(Precision::Int8);
    for len in 0..bytes.len() {
        assert!(Model::load_bytes(&bytes[..len], &LoadOptions::default()).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_refused(&longer, &LoadOptions::default(), ErrorKind::Corrupt, &["bytes after its last tensor"]);
}

#[test]
fn a_bit_that_changed_anywhere_is_found() {
    let bytes = micro(Precision::Int8);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = Model::load_bytes(&damaged, &LoadOptions::default()).expect_err("must be refused");
        if at >= bytes.len() / 2 {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
            assert!(error.message().contains("another hash than"), "byte {at}: {error}");
        }
    }
}

/// The file with another header, whose hash is right.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    change(&mut header);
    let text = header.to_string();
    let mut data = bytes[8 + len..].to_vec();
    let tensors = header.as_object().unwrap();
    if let Some(offsets) = tensors.get("packed.hashes").and_then(|info| info.get("data_offsets")) {
        let at = offsets[0].as_u64().unwrap() as usize;
        data[at..at + 8].copy_from_slice(&xxh64(text.as_bytes(), 0).to_le_bytes());
    }
    [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &data].concat()
}

#[test]
fn every_entry_of_the_header_is_checked() {
    use ErrorKind::{Format, Unsupported};
    let bytes = micro(Precision::Int8);
    assert!(Model::load_bytes(&with_header(&bytes, |_| ()), &LoadOptions::default()).is_ok());
    let entries = [
        ("libmimi_packed", "1", Unsupported, "packed in layout `1`: expected 2"),
        ("libmimi_packed", "", Unsupported, "packed in layout ``: expected 2"),
        ("precision", "int9", Format, "metadata entry `precision` of packed weights is `int9`"),
        ("panel_width", "wide", Format, "metadata entry `panel_width` of packed weights is `wide`"),
        ("panel_width", "7", Unsupported, "in panels of 7"),
        ("panel_width", "0", Unsupported, "in panels of 0"),
        ("model_id", "-", Format, "metadata entry `model_id`"),
        ("config", "{}", Format, "config"),
    ];
    for (entry, value, kind, message) in entries {
        let changed = with_header(&bytes, |header| header["__metadata__"][entry] = json!(value));
        assert_refused(&changed, &LoadOptions::default(), kind, &[message]);
        let lacking = with_header(&bytes, |header| {
            header["__metadata__"].as_object_mut().unwrap().remove(entry);
        });
        assert!(Model::load_bytes(&lacking, &LoadOptions::default()).is_err(), "without {entry}");
    }
    // A precision with the same names and other sizes.
    let changed = with_header(&bytes, |header| header["__metadata__"]["precision"] = json!("f32"));
    assert_refused(
        &changed,
        &LoadOptions::default(),
        ErrorKind::Corrupt,
        &["more or fewer than the network's layer"],
    );
}

#[test]
fn another_network_than_the_packed_one_is_refused() {
    let bytes = micro(Precision::F32);
    let numbers = [
        ("hidden_size", 2),
        ("num_filters", 2),
        ("intermediate_size", 2),
        ("codebook_size", 2),
        ("kernel_size", 2),
        ("num_quantizers", 64),
        ("num_hidden_layers", 7),
        ("head_dim", 2),
    ];
    for (number, factor) in numbers {
        let changed = with_header(&bytes, |header| {
            let text = header["__metadata__"]["config"].as_str().unwrap();
            let mut config: Value = serde_json::from_str(text).unwrap();
            let value = config[number].as_u64().unwrap_or(8) * factor;
            config[number] = json!(value);
            header["__metadata__"]["config"] = json!(config.to_string());
        });
        let error = Model::load_bytes(&changed, &LoadOptions::default()).expect_err(number);
        let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::Format];
        assert!(kinds.contains(&error.kind()), "{number}: {error}");
    }
}

#[test]
fn tensors_of_other_types_or_without_hashes_are_refused() {
    let bytes = micro(Precision::F32);
    let first = "packed.encoder.layers.0.conv.weight";
    let halved = with_header(&bytes, |header| {
        let len = header[first]["shape"][0].as_u64().unwrap();
        header[first]["dtype"] = json!("U16");
        header[first]["shape"] = json!([len / 2]);
    });
    assert_refused(&halved, &LoadOptions::default(), ErrorKind::Corrupt, &[first]);
    let renamed = with_header(&bytes, |header| {
        let tensor = header.as_object_mut().unwrap().remove(first).unwrap();
        header["packed.encoder.layers.0.conv.weights"] = tensor;
    });
    assert_refused(&renamed, &LoadOptions::default(), ErrorKind::Corrupt, &[first, "is missing"]);
    let hashes = "packed.hashes";
    for dtype in ["I64", "F64"] {
        let changed = with_header(&bytes, |header| header[hashes]["dtype"] = json!(dtype));
        assert_refused(&changed, &LoadOptions::default(), ErrorKind::Corrupt, &[hashes, "of type U64"]);
    }
    let without = with_header(&bytes, |header| {
        let tensor = header.as_object_mut().unwrap().remove(hashes).unwrap();
        header["other"] = tensor;
    });
    assert_refused(&without, &LoadOptions::default(), ErrorKind::Corrupt, &[hashes]);
}

/// Weights that a file of this layout has had since it was first written. If packing makes other bytes of the same
/// tensors, the layout needs another number, or old files would be read as new ones.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_bytes_of_the_layout_are_those_of_its_number() {
    let expected =
        [0xbd44_e6f2_ca6b_e155, 0x1e02_8130_c94c_4805, 0x2287_4dde_c1ab_51db, 0x48be_a2ed_921d_0165];
    let found = PRECISIONS.map(|precision| {
        let options = LoadOptions { precision, isa: Isa::Baseline, ..LoadOptions::default() };
        let bytes = packed_case("tiny", &options);
        let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
        let end = header["packed.hashes"]["data_offsets"][0].as_u64().unwrap() as usize;
        assert_eq!((8 + len) % 64, 0, "the weights are aligned");
        xxh64(&bytes[8 + len..][..end], 0)
    });
    assert_eq!(found, expected, "{found:#018x?}");
}

#[test]
fn what_cannot_be_written_is_told() {
    let checkpoint = Checkpoint::open(&golden("tiny")).unwrap();
    for most in [0, 1, 2, 10] {
        let mut calls = 0;
        let result = probe::write_packed(&checkpoint, &LoadOptions::default(), "{}", |_| {
            calls += 1;
            if calls > most { Err(Error::from(mimi::StreamError::NoQuantizer)) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(calls, most + 1, "nothing is written after a failure");
    }
}
