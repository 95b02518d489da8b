//! Damaged checkpoints: loading is a model or an error, and a model runs.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use libmimi_fuzz::{MICRO, samples};
use mimi::{LoadOptions, Model, Parts, Precision, StreamOptions, Tail};
use serde_json::{Map, Value, json};

/// One change to a valid file.
#[derive(Arbitrary, Debug)]
enum Damage {
    /// A number of the config.
    Number {
        field: u8,
        value: i32,
    },
    /// Another value for a field: a word, null, a list, a fraction.
    Other {
        field: u8,
        value: u8,
    },
    /// A byte of the config's text.
    ConfigByte {
        at: u16,
        value: u8,
    },
    Shape {
        tensor: u8,
        dimension: u8,
        size: u32,
    },
    Type {
        tensor: u8,
        to: u8,
    },
    Offsets {
        tensor: u8,
        begin: i64,
        end: i64,
    },
    Rename {
        tensor: u8,
        to: u8,
    },
    Remove {
        tensor: u8,
    },
    /// A byte of the finished file.
    Byte {
        at: u32,
        value: u8,
    },
    Truncate {
        length: u32,
    },
}

#[derive(Arbitrary, Debug)]
enum File<'a> {
    Any(&'a [u8]),
    /// A header before so many zeros.
    Header(&'a str, u16),
    Damaged(Vec<Damage>),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    parts: u8,
    precision: u8,
    codebooks: Option<u8>,
    file: File<'a>,
}

fuzz_target!(|input: Input| {
    let options = LoadOptions {
        codebooks: input.codebooks.map(usize::from),
        parts: [Parts::Both, Parts::Encoder, Parts::Decoder][usize::from(input.parts) % 3],
        precision: [Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8]
            [usize::from(input.precision) % 4],
        ..Default::default()
    };
    let file = match input.file {
        File::Any(bytes) => bytes.to_vec(),
        File::Header(header, zeros) => with_header(header.as_bytes(), &vec![0; usize::from(zeros)]),
        File::Damaged(damages) => damaged(&damages),
    };
    match Model::load_bytes(&file, &options) {
        Ok(model) => run(&model),
        Err(error) => assert!(!error.message().is_empty()),
    }
});

/// A second frame that is a partial one, and back; a large config's window is cut.
fn run(model: &Model) {
    let config = model.config();
    if config.frame_size() > 1 << 12 || model.memory_bytes() > 1 << 22 {
        return;
    }
    let options = StreamOptions { tail: Tail::LayerPad, context: Some(4), ..Default::default() };
    let frames = 2;
    let mut codes = vec![0; frames * model.spec().default_codebooks];
    if model.parts() != Parts::Decoder {
        let pcm = samples(9, config.frame_size() + 1);
        codes = model.encode(&pcm, &options).expect("valid options");
        assert!(codes.iter().all(|&code| (code as usize) < config.codebook_size));
    }
    if model.parts() != Parts::Encoder {
        let pcm = model.decode(&codes, &options).expect("valid codes");
        assert_eq!(pcm.len(), frames * config.frame_size());
    }
}

fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

fn damaged(damages: &[Damage]) -> Vec<u8> {
    let length = u64::from_le_bytes(MICRO[..8].try_into().expect("eight bytes")) as usize;
    let mut header: Map<String, Value> = serde_json::from_slice(&MICRO[8..8 + length]).expect("JSON");
    let config = header["__metadata__"]["config"].as_str().expect("a config");
    let mut config: Map<String, Value> = serde_json::from_str(config).expect("JSON");
    for damage in damages {
        damage.to_config(&mut config);
        damage.to_header(&mut header);
    }
    let mut text = Value::Object(config).to_string().into_bytes();
    for damage in damages {
        if let Damage::ConfigByte { at, value } = *damage {
            let at = usize::from(at) % text.len();
            text[at] = value % 128;
        }
    }
    if let Some(metadata) = header.get_mut("__metadata__") {
        metadata["config"] = String::from_utf8(text).expect("ASCII").into();
    }
    let mut file = with_header(Value::Object(header).to_string().as_bytes(), &MICRO[8 + length..]);
    for damage in damages {
        damage.to_file(&mut file);
    }
    file
}

impl Damage {
    fn to_config(&self, config: &mut Map<String, Value>) {
        let name = |index: u8| config.keys().nth(usize::from(index) % config.len()).cloned();
        match *self {
            Damage::Number { field, value } => {
                if let Some(name) = name(field) {
                    config.insert(name, value.into());
                }
            }
            Damage::Other { field, value } => {
                if let Some(name) = name(field) {
                    let others = [
                        json!(null),
                        json!(true),
                        json!("replicate"),
                        json!("silu"),
                        json!("relu"),
                        json!(0.5),
                        json!(1e300),
                        json!([2, 2]),
                        json!([0]),
                        json!([65_536, 65_536, 65_536, 65_536, 65_536]),
                        json!({ "rope_theta": 1e6 }),
                        json!({ "model_type": "mimi" }),
                    ];
                    config.insert(name, others[usize::from(value) % others.len()].clone());
                }
            }
            _ => {}
        }
    }

    fn to_header(&self, header: &mut Map<String, Value>) {
        let name = |index: u8| header.keys().filter(|key| *key != "__metadata__").nth(index.into()).cloned();
        match *self {
            Damage::Shape { tensor, dimension, size } => {
                let Some(tensor) = name(tensor) else { return };
                if let Some(shape) = header[&tensor]["shape"].as_array_mut() {
                    match shape.get_mut(usize::from(dimension)) {
                        Some(old) => *old = size.into(),
                        None => shape.push(size.into()),
                    }
                }
            }
            Damage::Type { tensor, to } => {
                let types = ["F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "X"];
                let Some(tensor) = name(tensor) else { return };
                header[&tensor]["dtype"] = types[usize::from(to) % types.len()].into();
            }
            Damage::Offsets { tensor, begin, end } => {
                let Some(tensor) = name(tensor) else { return };
                header[&tensor]["data_offsets"] = json!([begin, end]);
            }
            Damage::Rename { tensor, to } => {
                let (Some(from), Some(to)) = (name(tensor), name(to)) else { return };
                if let Some(value) = header.remove(&from) {
                    header.insert(to, value);
                }
            }
            Damage::Remove { tensor } => {
                let Some(tensor) = name(tensor) else { return };
                header.remove(&tensor);
            }
            _ => {}
        }
    }

    fn to_file(&self, file: &mut Vec<u8>) {
        match *self {
            Damage::Byte { at, value } => {
                let at = at as usize % file.len().max(1);
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            Damage::Truncate { length } => file.truncate(length as usize),
            _ => {}
        }
    }
}
