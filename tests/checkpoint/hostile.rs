//! Damaged and malicious files, one by one, and any bytes at all.

use crate::support::*;
use mimi::{Checkpoint, Error, ErrorKind, ReadAt};
use proptest::prelude::*;

fn tiny() -> Vec<u8> {
    let (tensors, config) = case("tiny");
    written(&tensors, Some(&config))
}

fn header_end(file: &[u8]) -> usize {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

/// The refusal of a file with this header and this much data.
fn refused(header: &str, data: usize) -> Error {
    refusal(in_memory(&with_header(header, &vec![0; data])))
}

#[test]
fn no_safetensors_file() {
    for bytes in [&b""[..], b"1234567", b"12345678", b"PK\x03\x04 not this one", &[0; 64]] {
        assert_error(
            &refusal(in_memory(bytes)),
            ErrorKind::Format,
            &["checkpoint", "not a safetensors file"],
        );
    }
}

#[test]
fn lengths_of_headers() {
    for length in [1u64 << 63, u64::MAX, 100_000_001] {
        let file = [&length.to_le_bytes()[..], b"{}"].concat();
        assert_error(&refusal(in_memory(&file)), ErrorKind::Format, &[&length.to_string()]);
    }
    let file = [&100u64.to_le_bytes()[..], b"{}"].concat();
    assert_error(
        &refusal(in_memory(&file)),
        ErrorKind::Corrupt,
        &["truncated in its header", "found 10 bytes", "a header of 100"],
    );
    let file = [&0u64.to_le_bytes()[..], b"{}"].concat();
    assert_error(&refusal(in_memory(&file)), ErrorKind::Format, &["in its header"]);
}

#[test]
fn truncated_at_any_length() {
    let file = tiny();
    let end = header_end(&file);
    let some = (9..file.len()).step_by(997).chain([end - 1, end, end + 1, file.len() - 1]);
    for length in some {
        assert_error(&refusal(in_memory(&file[..length])), ErrorKind::Corrupt, &["truncated"]);
    }
    let longer = [&file[..], b"x"].concat();
    let expected = format!("found {} bytes: expected {}", file.len() + 1, file.len());
    assert_error(&refusal(in_memory(&longer)), ErrorKind::Corrupt, &["after its last tensor", &expected]);
}

#[test]
fn headers_that_are_not_json() {
    for header in ["{", "{]", "{\"a\"}", "{} {}", "{\"a\":1}", "{\"__metadata__\":{\"config\":1}}"] {
        assert_error(&refused(header, 0), ErrorKind::Format, &["not a safetensors file"]);
    }
    let bytes = [&2u64.to_le_bytes()[..], b"{\xff"].concat();
    assert_error(&refusal(in_memory(&bytes)), ErrorKind::Format, &["UTF-8"]);
}

#[test]
fn deep_json() {
    let deep = "[".repeat(100_000);
    assert_error(&refused(&format!("{{\"a\":{deep}"), 0), ErrorKind::Format, &["`a`"]);
    let ignored = format!(r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":{deep}"#);
    assert_error(&refused(&ignored, 4), ErrorKind::Format, &["`a`"]);
}

#[test]
fn keys_that_are_there_twice() {
    let info = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    for (header, name) in [
        (format!(r#"{{"one":{info},"one":{info}}}"#), "`one` is there twice"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(), "`__metadata__` is there twice"),
        (r#"{"__metadata__":{"k":"1","k":"2"}}"#.to_owned(), "`k` is there twice"),
        (r#"{"one":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_owned(), "`one`"),
    ] {
        assert_error(&refused(&header, 4), ErrorKind::Format, &[name]);
    }
}

#[test]
fn tensors_that_are_not_where_they_say() {
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"first":{{"dtype":"F32","shape":[2],"data_offsets":{a}}},
                "second":{{"dtype":"F32","shape":[2],"data_offsets":{b}}}}}"#
        )
    };
    // overlap, gap, not from the start
    for (a, b, name) in
        [("[0,8]", "[4,12]", "second"), ("[0,8]", "[12,20]", "second"), ("[4,12]", "[12,20]", "first")]
    {
        assert_error(&refused(&two(a, b), 16), ErrorKind::Corrupt, &["damaged header", name]);
    }
    // the wrong number of bytes, the wrong way around
    for (a, b) in [("[0,12]", "[12,20]"), ("[8,0]", "[0,8]")] {
        assert_error(&refused(&two(a, b), 16), ErrorKind::Corrupt, &["`first`", "[2]", "F32"]);
    }
    // beyond the end
    assert_error(&refused(&two("[0,8]", "[8,16]"), 12), ErrorKind::Corrupt, &["truncated"]);
    let negative = two("[-8,0]", "[0,8]");
    assert_error(&refused(&negative, 16), ErrorKind::Format, &["`first`"]);
}

#[test]
fn sizes_that_overflow() {
    let one = |shape: &str, end: u64| {
        format!(r#"{{"vast":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    for shape in [
        "[4294967296,4294967296]",
        "[18446744073709551615]",
        "[9223372036854775808,2,0]",
        "[4611686018427387904]",
    ] {
        for end in [0, 4, u64::MAX] {
            assert_error(
                &refused(&one(shape, end), 4),
                ErrorKind::Corrupt,
                &["`vast`", shape.split(',').next().unwrap()],
            );
        }
    }
    assert_error(&refused(&one("[18446744073709551616]", 4), 4), ErrorKind::Format, &["`vast`"]);
    // each fits, their sum does not
    let (mut parts, step) = (Vec::new(), 1u64 << 60);
    for i in 0..15 {
        let (start, end) = (i * step, (i + 1) * step);
        parts.push(format!(r#""t{i}":{{"dtype":"U8","shape":[{step}],"data_offsets":[{start},{end}]}}"#));
    }
    let (start, len) = (15 * step, step - 1);
    parts
        .push(format!(r#""last":{{"dtype":"U8","shape":[{len}],"data_offsets":[{start},{}]}}"#, start + len));
    let error = refused(&format!("{{{}}}", parts.join(",")), 4);
    assert_error(&error, ErrorKind::Corrupt, &["more bytes than can be counted"]);
}

#[test]
fn types() {
    let unknown = r#"{"odd":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}}"#;
    assert_error(&refused(unknown, 16), ErrorKind::Format, &["`odd`", "F128"]);

    let (mut tensors, config) = case("tiny");
    let tensor = tensors.get_mut("encoder.layers.0.conv.bias").unwrap();
    (tensor.dtype, tensor.bytes) = ("I32".to_owned(), vec![0; 16]);
    let file = written(&tensors, Some(&config));
    let error = refusal(in_memory(&file).unwrap().tensor("encoder.layers.0.conv.bias", &[4]));
    assert_error(
        &error,
        ErrorKind::Unsupported,
        &["checkpoint", "`encoder.layers.0.conv.bias` has type I32: expected F32, F16, BF16 or F64"],
    );
}

#[test]
fn values_that_are_not_finite() {
    let name = "encoder.layers.3.conv.weight";
    for (bits, shown) in [(f32::NAN.to_bits(), "NaN"), (f32::NEG_INFINITY.to_bits(), "-inf")] {
        let (mut tensors, config) = case("tiny");
        tensors.get_mut(name).unwrap().bytes[4 * 201..][..4].copy_from_slice(&bits.to_le_bytes());
        tensors.get_mut(name).unwrap().bytes[4 * 250..][..4].copy_from_slice(&bits.to_le_bytes());
        let file = written(&tensors, Some(&config));
        let error = refusal(in_memory(&file).unwrap().tensor(name, &[8, 4, 8]));
        assert_error(
            &error,
            ErrorKind::Corrupt,
            &["checkpoint", name, &format!("value 201 is {shown}: expected a finite number")],
        );
    }
}

#[test]
fn not_finite_beyond_the_first_piece_and_in_a_packed_projection() {
    let (mut tensors, config) = case("tiny");
    let mut values = vec![0.0; 100_000];
    values[99_999] = f32::NAN;
    tensors.insert("downsample.conv.weight".to_owned(), Tensor::of_f32(&[100_000], &values));
    let file = written(&tensors, Some(&config));
    let error = refusal(in_memory(&file).unwrap().tensor("downsample.conv.weight", &[100_000]));
    assert_error(&error, ErrorKind::Corrupt, &["value 99999 "]);

    let mut kyutai = to_kyutai(&case("tiny").0, 8);
    let packed = "encoder_transformer.transformer.layers.1.self_attn.in_proj_weight";
    // row 40, of the key's second head
    kyutai.get_mut(packed).unwrap().bytes[4 * (40 * 32 + 7)..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let file = written(&kyutai, Some(&config));
    let checkpoint = in_memory(&file).unwrap();
    let tensor =
        |part| checkpoint.tensor(&format!("encoder_transformer.layers.1.self_attn.{part}.weight"), &[32, 32]);
    assert_error(&refusal(tensor("k_proj")), ErrorKind::Corrupt, &[packed, "value 1287 "]);
    assert!(tensor("q_proj").is_ok() && tensor("v_proj").is_ok());
}

#[test]
fn a_weight_norm_of_nothing() {
    let (mut tensors, config) = case("tiny");
    let name = "encoder.layers.3.conv.weight";
    let mut direction = tensors.remove(name).unwrap();
    direction.bytes[..4 * 4 * 8].fill(0);
    tensors.insert("encoder.layers.3.conv.weight_v".to_owned(), direction);
    let alone = written(&tensors, Some(&config));
    assert_error(
        &refusal(in_memory(&alone).unwrap().tensor(name, &[8, 4, 8])),
        ErrorKind::Corrupt,
        &["missing"],
    );
    tensors.insert("encoder.layers.3.conv.weight_g".to_owned(), Tensor::of_f32(&[8, 1, 1], &[1.0; 8]));
    let both = written(&tensors, Some(&config));
    let error = refusal(in_memory(&both).unwrap().tensor(name, &[8, 4, 8]));
    assert_error(&error, ErrorKind::Corrupt, &["weight_v", "row 0 has norm 0: expected more than 0"]);
}

#[test]
fn missing_tensors() {
    let name = "encoder.layers.0.conv.weight";
    let (mut tensors, config) = case("tiny");
    tensors.remove(name);
    let (transformers, kyutai) = (written(&tensors, Some(&config)), {
        let prefixed = renamed(&to_kyutai(&tensors, 8), |name| format!("p.{name}"));
        written(&prefixed, Some(&config))
    });
    let error = refusal(in_memory(&transformers).unwrap().tensor(name, &[4, 1, 7]));
    assert_error(
        &error,
        ErrorKind::Corrupt,
        &["checkpoint", name, "is missing: expected", "transformers layout"],
    );
    let error = refusal(in_memory(&kyutai).unwrap().tensor(name, &[4, 1, 7]));
    assert_error(
        &error,
        ErrorKind::Corrupt,
        &[name, "kyutai layout", "`p.encoder.model.0.conv.conv.weight`"],
    );
    let error = refusal(in_memory(&kyutai).unwrap().tensor("no.such", &[1]));
    assert_error(
        &error,
        ErrorKind::Corrupt,
        &["`no.such` is missing: expected a name that Mimi's tensors have in the kyutai layout"],
    );
}

#[test]
fn misshapen_tensors() {
    let (tensors, config) = case("tiny");
    let (file, kyutai) = (written(&tensors, Some(&config)), written(&to_kyutai(&tensors, 8), Some(&config)));
    let (checkpoint, kyutai) = (in_memory(&file).unwrap(), in_memory(&kyutai).unwrap());
    let (name, bias) = ("encoder.layers.0.conv.weight", "encoder.layers.0.conv.bias");
    for shape in [&[4, 7][..], &[7, 1, 4], &[4, 2, 7], &[28], &[], &[4, 1, 8], &[0, 1, 7], &[usize::MAX; 3]] {
        let expected = format!("expected {shape:?}");
        let error = refusal(checkpoint.tensor(name, shape));
        assert_error(&error, ErrorKind::Corrupt, &["checkpoint", name, "[4, 1, 7]", &expected]);
    }
    assert_error(&refusal(checkpoint.tensor(bias, &[5])), ErrorKind::Corrupt, &[bias, "[4]", "expected [5]"]);
    let query = "encoder_transformer.layers.0.self_attn.q_proj.weight";
    for shape in [&[32, 33][..], &[64, 32], &[32], &[32, 0], &[], &[32, usize::MAX], &[32, 32, 1]] {
        let error = refusal(kyutai.tensor(query, shape));
        assert_error(&error, ErrorKind::Corrupt, &["in_proj_weight", "has shape [96, 32]: expected"]);
    }
}

/// Another network than the published one, without a config: its tensors do not fit, and the message says why.
#[test]
fn a_config_that_was_assumed_is_named() {
    let (tensors, config) = case("tiny");
    let assumption = "no config was found, so the published model's numbers were assumed";
    for (config, assumed) in [(None, true), (Some(config.as_str()), false)] {
        let file = written(&tensors, config);
        let checkpoint = in_memory(&file).unwrap();
        for name in ["encoder.layers.0.conv.weight", "encoder_transformer.layers.9.mlp.fc1.weight"] {
            let error = refusal(checkpoint.tensor(name, &[64, 1, 7]));
            assert_error(&error, ErrorKind::Corrupt, &[name]);
            assert_eq!(error.message().contains(assumption), assumed, "{error}");
        }
    }
}

#[test]
fn no_mimi() {
    let mut tensors = Tensors::new();
    let empty = written(&tensors, None);
    assert_error(&refusal(in_memory(&empty)), ErrorKind::Format, &["checkpoint", "no Mimi"]);
    // EnCodec's names
    for name in ["encoder.layers.0.conv.weight", "quantizer.layers.0.codebook.embed_sum", "lm_head.weight"] {
        tensors.insert(name.to_owned(), Tensor::of_f32(&[1], &[0.0]));
    }
    let file = written(&tensors, Some(&case("tiny").1));
    assert_error(&refusal(in_memory(&file)), ErrorKind::Format, &["no Mimi"]);
}

#[test]
fn a_config_inside_that_is_none() {
    let tensors = case("tiny").0;
    for (config, part) in [("{", "not JSON"), ("{\"model_type\":\"encodec\"}", "not a Mimi config")] {
        let file = written(&tensors, Some(config));
        assert_error(
            &refusal(in_memory(&file)),
            ErrorKind::Format,
            &["checkpoint: metadata entry `config`", part],
        );
    }
}

#[test]
fn names_are_shown_without_control_characters_and_short() {
    let name = format!("\\u001b[31m{}", "x".repeat(10_000));
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}}}"#);
    let error = refused(&header, 4);
    assert_error(&error, ErrorKind::Corrupt, &["[31mxxx"]);
    assert!(error.message().len() < 400 && !error.message().contains('\x1b'), "{error:?}");
}

/// One large header under many names would be read once for each.
#[test]
fn the_headers_of_all_shards_are_bounded_together() {
    let map = r#""encoder_transformer.layers.0.mlp.fc1.weight":"a.safetensors","decoder.x":"b.safetensors""#;
    let index = format!(r#"{{"weight_map":{{{map}}}}}"#);
    let folder = directory(&[("model.safetensors.index.json", index.as_bytes())]);
    let tensor = |name| format!(r#""{name}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let both = [tensor("encoder_transformer.layers.0.mlp.fc1.weight"), tensor("decoder.x")].join(",");
    let open = |bytes: usize| {
        let header = format!("{{{both}{}}}", " ".repeat(bytes - both.len() - 2));
        assert_eq!(header.len(), bytes);
        for name in ["a.safetensors", "b.safetensors"] {
            std::fs::write(folder.path().join(name), with_header(&header, &[])).unwrap();
        }
        Checkpoint::open(folder.path()).map(|open| open.config().clone())
    };
    assert_eq!(open(50_000_000).unwrap(), mimi::Config::published());
    let parts =
        ["model.safetensors.index.json", "up to `b.safetensors` have 100000002 bytes", "at most 100000000"];
    assert_error(&refusal(open(50_000_001)), ErrorKind::Format, &parts);
}

/// A callback that stops after a number of reads.
struct Stopping(Vec<u8>, std::sync::atomic::AtomicUsize);

impl ReadAt for Stopping {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.1.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
            // past the end of nothing
            return (&[][..] as &[u8]).read_at(7, buf);
        }
        self.0.as_slice().read_at(offset, buf)
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

#[test]
fn errors_of_the_source_are_passed_on() {
    for reads in 0..3 {
        let source = Stopping(tiny(), reads.into());
        let error = refusal(Checkpoint::from_source(Box::new(source)));
        assert_error(&error, ErrorKind::Io, &["checkpoint: ", "at 7", "0 bytes"]);
    }
    let checkpoint = Checkpoint::from_source(Box::new(Stopping(tiny(), 3.into()))).unwrap();
    assert_error(
        &refusal(checkpoint.tensor("downsample.conv.weight", &[32, 32, 4])),
        ErrorKind::Io,
        &["checkpoint: "],
    );
}

/// Opens, and if that succeeds reads; whatever comes of it.
fn use_it(file: &[u8]) {
    if let Ok(checkpoint) = in_memory(file) {
        for (name, shape) in [
            ("encoder.layers.0.conv.weight", &[4, 1, 7][..]),
            ("encoder_transformer.layers.0.self_attn.k_proj.weight", &[32, 32]),
            ("decoder.layers.2.conv.weight", &[64, 32, 16]),
        ] {
            if let Ok(values) = checkpoint.tensor(name, shape) {
                assert_eq!(values.len(), shape.iter().product::<usize>());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        use_it(&bytes);
        use_it(&[&(bytes.len() as u64).to_le_bytes()[..], b"{", &bytes].concat());
    }

    #[test]
    fn any_change_of_a_header_is_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        kyutai in any::<bool>(),
    ) {
        let mut file = if kyutai {
            std::fs::read(golden("tiny-moshi-weightnorm/model.safetensors")).unwrap()
        } else {
            tiny()
        };
        let end = header_end(&file);
        for (index, byte) in changes {
            // digits and brackets reach further into the checks than arbitrary bytes do
            let digit = b"0123456789[]{},:\"eF"[usize::from(byte) % 19];
            file[index.index(end)] = if byte < 64 { byte } else { digit };
        }
        use_it(&file);
    }
}
