//! What is given in place of weights: the message says what it is and what to do.

use crate::support::*;
use mimi::{Checkpoint, ErrorKind, LoadOptions, Model};

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n\
    oid sha256:bac7e85083dcded655d24eaadde7e6eea34c0da1b35fa2d284e641bd2b942a5e\nsize 384649828\n";

/// Files, and what is said of them.
const FILES: [(&[u8], [&str; 2]); 14] = [
    (POINTER, ["a Git LFS pointer to a file of 384649828 bytes", "`git lfs pull`"]),
    (b"GGUF\x03\0\0\0\x10\0\0\0\0\0\0\0", ["a GGUF file", "expected the safetensors file"]),
    (
        b"PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl",
        ["a pickle or a zip archive", "safetensors.torch.save_file()"],
    ),
    (b"\x80\x02}q\0X\x06\0\0\0encode", ["a pickle or a zip archive", "torch.save()"]),
    (b"\x80\x04\x95\0\0\0\0\0\0\0\0", ["a pickle or a zip archive", "torch.save()"]),
    (b"<!DOCTYPE html>\n<html><head>", ["a page of HTML", "download it again"]),
    (b"\n <html lang=\"en\">", ["a page of HTML", "download it again"]),
    (b"\xef\xbb\xbf<?xml version=\"1.0\"?><Error>", ["HTML or XML", "download it again"]),
    (
        b"f2d8a1b2c3d4e5f60718293a4b5c6d7e8f901234\n",
        ["a reference in a hub's cache", "snapshots/f2d8a1b2c3d4"],
    ),
    (b"f2d8a1b2c3d4e5f60718293a4b5c6d7e8f901234", ["a reference in a hub's cache", "snapshots/f2d8a1b2c3d4"]),
    (b"refs/main", ["a reference, to refs/main", "that it leads to"]),
    (b"../../blobs/bac7e85083dcded6", ["a reference, to ../../blobs/bac7", "that it leads to"]),
    (b"\x1f\x8b\x08\0\0\0\0\0", ["compressed by gzip", "expected the file inside"]),
    (b"\x93NUMPY\x01\0v\0{'descr'", ["a NumPy array", "as safetensors"]),
];

#[test]
fn files_of_other_formats() {
    let config = case("tiny").1;
    let shard = "model-00001-of-00001.safetensors";
    let index = format!(r#"{{"weight_map":{{"encoder_transformer.layers.0.mlp.fc1.weight":"{shard}"}}}}"#);
    for (bytes, parts) in FILES {
        let memory = refusal(Model::load_bytes(bytes, &LoadOptions::default()));
        assert_error(&memory, ErrorKind::Format, &parts);
        let alone = [("model.safetensors", bytes), ("config.json", config.as_bytes())];
        let sharded = [("model.safetensors.index.json", index.as_bytes()), (shard, bytes)];
        for (files, file) in [(&alone, "model.safetensors"), (&sharded, shard)] {
            let folder = directory(files);
            let error = refusal(Checkpoint::open(folder.path()));
            assert_error(&error, ErrorKind::Format, &[file, "not a safetensors file: it is "]);
            assert_error(&error, ErrorKind::Format, &parts);
        }
        let direct = directory(&[("main", bytes)]);
        assert_error(&refusal(Checkpoint::open(&direct.path().join("main"))), ErrorKind::Format, &parts);
        // in place of an index or a config
        let weights = std::fs::read(golden("tiny/model.safetensors")).unwrap();
        for name in ["model.safetensors.index.json", "config.json", "mimi_config.json"] {
            let folder = directory(&[(name, bytes), ("model.safetensors", &weights)]);
            let error = refusal(Checkpoint::open(folder.path()));
            assert_error(&error, ErrorKind::Format, &[name, "not JSON: it is "]);
            assert_error(&error, ErrorKind::Format, &parts);
        }
    }
}

/// What is nothing of the kind is described by what was found.
#[test]
fn files_of_no_format() {
    for bytes in [
        &b"just text that is long enough"[..],
        &[0xff; 600],
        b"{\"a\": 1, \"model_type\": \"mimi\"}",
        &[0; 9],
    ] {
        let error = refusal(Model::load_bytes(bytes, &LoadOptions::default()));
        assert_error(&error, ErrorKind::Format, &["not a safetensors file: found a header of"]);
    }
}

#[test]
fn a_folder_of_a_hubs_cache() {
    let cache = directory(&[]);
    for folder in ["refs", "blobs", "snapshots"] {
        std::fs::create_dir(cache.path().join(folder)).unwrap();
    }
    let error = refusal(Checkpoint::open(cache.path()));
    assert_error(&error, ErrorKind::Io, &["no weights found", "a folder below its snapshots"]);
}

/// Weights of eight bits by MLX: four in a U32, with a scale and a bias for each 16 of them.
#[test]
fn weights_quantised_by_mlx() {
    let (tensors, config) = case("tiny");
    let mut tensors = to_kyutai(&tensors, 8);
    let names: Vec<_> =
        tensors.keys().filter(|name| name.ends_with("self_attn.in_proj_weight")).cloned().collect();
    assert_eq!(names.len(), 4);
    for name in &names {
        let tensor = tensors.remove(name).unwrap();
        let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
        let module = name.strip_suffix("_weight").unwrap();
        let of = |dtype: &str, columns: usize, bytes: usize| Tensor {
            dtype: dtype.to_owned(),
            shape: vec![rows, columns],
            bytes: vec![0; rows * columns * bytes],
        };
        tensors.insert(format!("{module}.weight"), of("U32", columns / 4, 4));
        tensors.insert(format!("{module}.scales"), of("F16", columns / 16, 2));
        tensors.insert(format!("{module}.biases"), of("F16", columns / 16, 2));
    }
    let error = refusal(Model::load_bytes(&written(&tensors, Some(&config)), &LoadOptions::default()));
    let said = ["transformer.layers.0.self_attn.in_proj.weight` is quantised by MLX, U32 with scales"];
    assert_error(&error, ErrorKind::Unsupported, &said);
    // without scales it is a type that is not read, whatever its shape
    tensors.retain(|name, _| !name.ends_with("scales"));
    let error = refusal(Model::load_bytes(&written(&tensors, Some(&config)), &LoadOptions::default()));
    assert_error(
        &error,
        ErrorKind::Unsupported,
        &["in_proj.weight` has type U32: expected F32, F16, BF16 or F64"],
    );
}

/// MLX keeps the taps of a convolution before its inputs.
#[test]
fn convolutions_in_the_order_of_mlx() {
    let (tensors, config) = case("tiny");
    let is_conv = |name: &str, tensor: &Tensor| name.ends_with("conv.weight") && tensor.shape.len() == 3;
    let transposed = |name: &str| {
        name == "upsample.conv.weight"
            || ["2", "5", "8", "11"].iter().any(|n| name == format!("decoder.layers.{n}.conv.weight"))
    };
    let reordered = |name: &str, tensor: &Tensor| {
        let [a, b, c] = *tensor.shape.as_slice() else { panic!("{name}") };
        // a transposed one is [inputs, outputs, taps] in PyTorch, and both are [outputs, taps, inputs] in MLX; but MLX
        // has one output for each group
        let shape = if transposed(name) && b > 1 { [b, c, a] } else { [a, c, b] };
        Tensor { shape: shape.to_vec(), ..tensor.clone() }
    };
    let names: Vec<_> =
        tensors.iter().filter(|(name, tensor)| is_conv(name, tensor)).map(|(name, _)| name).collect();
    assert_eq!(names.len(), 30);
    for name in names {
        // each alone, as any may be the first to be read
        let mut one = tensors.clone();
        one.insert(name.clone(), reordered(name, &tensors[name]));
        if one[name].shape == tensors[name].shape {
            continue;
        }
        for tensors in [&one, &to_kyutai(&one, 8)] {
            let error = refusal(Model::load_bytes(&written(tensors, Some(&config)), &LoadOptions::default()));
            let shape = format!("{:?}", one[name].shape);
            let said =
                ["tensor `", &shape, "in MLX's order with the taps before the inputs", "PyTorch's order"];
            assert_error(&error, ErrorKind::Unsupported, &said);
        }
    }
    // and all of them
    let all = tensors.iter().map(|(name, tensor)| {
        let tensor = if is_conv(name, tensor) { reordered(name, tensor) } else { tensor.clone() };
        (name.clone(), tensor)
    });
    let error = refusal(Model::load_bytes(&written(&all.collect(), Some(&config)), &LoadOptions::default()));
    assert_error(&error, ErrorKind::Unsupported, &["in MLX's order"]);
}
