//! Models written anew.

use super::*;
use std::collections::BTreeMap;

/// What `model` makes of the golden recording, with the model's fingerprint and the exact length.
fn tokens(folder: &TempDir, model: &str) -> Vec<u8> {
    ok(folder, &format!("encode -q -n 2 -m {model} SPEECH codes.mtok"));
    fs::read(folder.path().join("codes.mtok")).unwrap()
}

/// Type, shape and bytes of each tensor.
fn tensors(path: &Path) -> BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor =
        |view: &safetensors::tensor::TensorView| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.iter().map(|(name, view)| (name.to_owned(), tensor(&view))).collect()
}

fn golden_text(name: &str) -> String {
    golden(name).to_str().unwrap().to_owned()
}

#[test]
fn every_network_gives_the_same_codes_in_either_layout() {
    let folder = folder();
    let mut models: Vec<String> = fs::read_dir(golden("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("tiny"))
        .collect();
    models.sort();
    assert!(models.len() >= 14, "{models:?}");
    for name in models {
        let original = golden_text(&name);
        let expected = tokens(&folder, &original);
        for layout in ["transformers", "kyutai"] {
            ok(&folder, &format!("convert --layout {layout} {original} one.safetensors"));
            // alone in a folder: the config is inside
            assert!(tokens(&folder, "one.safetensors") == expected, "{name} as {layout}");
        }
    }
}

#[test]
fn codes_of_a_converted_model_are_those_of_the_reference() {
    let folder = folder();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/model.safetensors");
    for form in ["--layout kyutai", "--layout transformers --precision f16", "--half encoder"] {
        ok(&folder, &format!("convert {form} {} model.safetensors", demo.display()));
        ok(&folder, "encode -q -m model.safetensors --tail layer SPEECH codes.npy");
        assert_golden_codes(&npy(&folder.path().join("codes.npy")));
    }
}

#[test]
fn there_and_back_again_is_the_same_to_the_bit() {
    let folder = folder();
    let (moshi, tiny, f16) = (golden("tiny-moshi"), golden("tiny"), golden("tiny-f16"));
    let file = |folder: &Path| {
        let path = folder.join("model.safetensors");
        assert!(path.exists(), "{}", path.display());
        tensors(&path)
    };
    let at = |name: &str| folder.path().join(name);
    ok(&folder, &format!("convert --layout transformers {} there.safetensors", moshi.display()));
    ok(&folder, "convert --layout kyutai there.safetensors back.safetensors");
    assert_eq!(tensors(&at("back.safetensors")), file(&moshi));
    ok(&folder, &format!("convert --layout kyutai {} there.safetensors", tiny.display()));
    ok(&folder, "convert --layout transformers there.safetensors back.safetensors");
    assert_eq!(tensors(&at("back.safetensors")), file(&tiny));
    // 16 bits to 32 and back lose nothing
    ok(&folder, &format!("convert {} wide.safetensors", f16.display()));
    ok(&folder, "convert --precision f16 wide.safetensors narrow.safetensors");
    for (name, tensor) in tensors(&at("narrow.safetensors")) {
        if !name.contains("codebook") {
            assert_eq!(Some(&tensor), file(&f16).get(&name), "{name}");
        }
    }
}

#[test]
fn a_folder_gets_what_transformers_reads() {
    let folder = folder();
    ok(&folder, "convert --layout transformers TINY tiny/");
    let text = fs::read_to_string(folder.path().join("tiny/config.json")).unwrap();
    let (written, original): (serde_json::Value, serde_json::Value) = (
        serde_json::from_str(&text).unwrap(),
        serde_json::from_str(&fs::read_to_string(golden("tiny/config.json")).unwrap()).unwrap(),
    );
    for (field, value) in written.as_object().unwrap() {
        let expected = original.get(field).filter(|expected| !expected.is_null());
        assert!(expected.is_none_or(|expected| expected == value), "{field}: {value}, not {expected:?}");
    }
    assert_eq!(written["model_type"], "mimi");
    let bytes = fs::read(folder.path().join("tiny/model.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    assert!(tokens(&folder, "tiny") == tokens(&folder, &golden_text("tiny")));
}

#[test]
fn halves_are_smaller_and_do_their_half() {
    let folder = folder();
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    for half in ["both", "encoder", "decoder"] {
        ok(&folder, &format!("convert --half {half} TINY {half}.safetensors"));
    }
    assert!(size("encoder.safetensors") + size("decoder.safetensors") < size("both.safetensors") * 5 / 4);
    assert!(tokens(&folder, "encoder.safetensors") == tokens(&folder, "both.safetensors"));
    for half in ["both", "decoder"] {
        ok(&folder, &format!("decode -q -m {half}.safetensors codes.mtok {half}.wav"));
    }
    assert_eq!(wav(&folder, "decoder.wav"), wav(&folder, "both.wav"));
    let output = mimi(&folder, "decode -q -m encoder.safetensors codes.mtok no.wav");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the checkpoint has the encoder alone"), "{}", stderr(&output));
    let info =
        |name: &str| String::from_utf8(ok(&folder, &format!("info {name}.safetensors")).stdout).unwrap();
    assert!(info("encoder").contains("the encoder alone") && info("decoder").contains("the decoder alone"));
    // A half that is there and damaged is not missing.
    let mut bytes = fs::read(folder.path().join("both.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let bias = file.tensor("decoder.layers.0.conv.bias").unwrap().data().as_ptr() as usize;
    let at = bias - bytes.as_ptr() as usize;
    bytes[at..at + 4].fill(0xff);
    fs::write(folder.path().join("damaged.safetensors"), &bytes).unwrap();
    fails(
        &folder,
        "info damaged.safetensors",
        "mimi: damaged.safetensors: tensor `decoder.layers.0.conv.bias`: value 0 is NaN: expected a finite \
         number",
    );
}

#[test]
fn what_cannot_be_converted_is_refused_and_nothing_is_left() {
    let folder = folder();
    fs::copy(golden("tiny/model.safetensors"), folder.path().join("cut.safetensors")).unwrap();
    let whole = fs::read(golden("tiny/model.safetensors")).unwrap();
    fs::write(folder.path().join("cut.safetensors"), &whole[..whole.len() - 1]).unwrap();
    let output = mimi(&folder, "convert cut.safetensors out.safetensors");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cut.safetensors: truncated"), "{}", stderr(&output));
    fails(&folder, "convert nothing out.safetensors", "mimi: nothing: No such file or directory");
    fails(
        &folder,
        "convert TINY no/out.safetensors",
        "mimi: no/out.safetensors: the folder no does not exist",
    );
    // a value that 16 bits do not hold
    let mut large = whole;
    let at = large.len() - 4;
    large[at..].copy_from_slice(&1e9f32.to_le_bytes());
    fs::write(folder.path().join("model.safetensors"), large).unwrap();
    fs::copy(golden("tiny/config.json"), folder.path().join("config.json")).unwrap();
    let output = mimi(&folder, "convert --precision f16 . out.safetensors");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("has the value 1000000000; expected at most 65504"),
        "{}",
        stderr(&output)
    );
    ok(&folder, "convert --precision bf16 model.safetensors bf16.safetensors");
    assert!(!folder.path().join("out.safetensors").exists());
}

#[test]
fn packed_models_give_the_codes_of_ordinary_ones() {
    let folder = folder();
    for precision in ["f32", "bf16", "int16", "int8"] {
        ok(&folder, &format!("encode -q -n 2 --precision {precision} -m TINY SPEECH expected.mtok"));
        let expected = fs::read(folder.path().join("expected.mtok")).unwrap();
        ok(&folder, &format!("convert --packed={precision} TINY packed.safetensors"));
        assert!(tokens(&folder, "packed.safetensors") == expected, "{precision}");
        // the built-in default of a value
        if precision == "f32" {
            ok(&folder, "convert --packed TINY other.safetensors");
            let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
            assert!(read("other.safetensors") == read("packed.safetensors"));
        }
    }
    // as a folder, for other CPUs, and a half alone
    ok(&folder, "convert --packed=int8 --isa baseline TINY packed/");
    ok(&folder, "encode -q -n 2 -m packed SPEECH codes.mtok");
    ok(&folder, "convert --packed --half decoder TINY decoder.safetensors");
    ok(&folder, "decode -q -m decoder.safetensors codes.mtok out.wav");
    ok(&folder, "decode -q -m TINY codes.mtok expected.wav");
    assert_eq!(wav(&folder, "out.wav"), wav(&folder, "expected.wav"));
    let info = |name: &str| String::from_utf8(ok(&folder, &format!("info {name}")).stdout).unwrap();
    let line = |text: &str| text.lines().find(|line| line.starts_with("fingerprint")).unwrap().to_owned();
    assert_eq!(line(&info("packed.safetensors")), line(&info("TINY")));
    assert!(info("decoder.safetensors").contains("the decoder alone"));
}

#[test]
fn what_cannot_be_packed_or_taken_from_packed_weights_is_refused() {
    let folder = folder();
    for usage in [
        "--packed --layout kyutai",
        "--packed --precision f16",
        "--isa avx2",
        "--packed=f16",
        "--packed int8",
    ] {
        let output = mimi(&folder, &format!("convert {usage} TINY out.safetensors"));
        assert_eq!(output.status.code(), Some(2), "{usage}: {}", stderr(&output));
    }
    ok(&folder, "convert --packed=int8 TINY packed.safetensors");
    let refused = |command: &str, message: &str| {
        let output = mimi(&folder, command);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    };
    refused(
        "convert packed.safetensors out.safetensors",
        "packed.safetensors: the weights are packed for kernels",
    );
    refused("convert --packed=bf16 packed.safetensors out.safetensors", "precision is Bf16: expected Int8");
    refused(
        "encode -q --precision bf16 -m packed.safetensors SPEECH out.mtok",
        "precision is Bf16: expected Int8",
    );
    refused(
        "bench -m packed.safetensors --live",
        "the weights are packed in int8: expected --precision int8",
    );
    refused("convert --packed packed.safetensors packed.safetensors", "packed.safetensors");
    let mut damaged = fs::read(folder.path().join("packed.safetensors")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(folder.path().join("damaged.safetensors"), damaged).unwrap();
    refused("info damaged.safetensors", "have another hash than they had when they were packed");
    // nothing is left of what failed
    let left =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["damaged.safetensors", "packed.safetensors"]);
}
