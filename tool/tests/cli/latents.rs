//! Latents, as files of arrays.

use super::*;
use mimi::{LoadOptions, Model, StreamOptions};
use npyz::WriterBuilder as _;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn pocket() -> String {
    golden("pocket-tiny").to_str().unwrap().to_owned()
}

/// The first 2.2 s of the golden recording, of which the golden latents are.
const POCKET_SAMPLES: usize = 52_837;
/// Frames of them, and values in a frame.
const POCKET_SHAPE: [usize; 2] = [28, 8];

/// How far a value may be from the reference's, in parts of the largest.
const TOLERANCE: f32 = 5e-5;

/// An array of floats, frame after frame, and its shape.
fn floats(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    let shape: Vec<usize> = file.shape().iter().map(|&size| size as usize).collect();
    let by_columns = file.order() == npyz::Order::Fortran;
    let values: Vec<f32> = file.into_vec().unwrap();
    let [rows, columns] = shape[..] else { panic!("{shape:?}") };
    let at = |i: usize| if by_columns { i % columns * rows + i / columns } else { i };
    (shape, (0..values.len()).map(|i| values[at(i)]).collect())
}

fn write_npy<T: npyz::AutoSerialize + Copy>(folder: &TempDir, name: &str, shape: [usize; 2], values: &[T]) {
    let file = fs::File::create(folder.path().join(name)).unwrap();
    let shape = shape.map(|size| size as u64);
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut npy = options.writer(file).begin_nd().unwrap();
    npy.extend(values.iter().copied()).unwrap();
    npy.finish().unwrap();
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let peak = expected.iter().fold(0.0f32, |peak, value| peak.max(value.abs()));
    let error = found.iter().zip(expected).fold(0.0f32, |error, (a, b)| error.max((a - b).abs()));
    assert!(error <= TOLERANCE * peak, "{error} of {peak}");
}

fn samples(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&sample| f32::from_le_bytes(sample)).collect()
}

/// The golden recording's first samples, as raw floats.
fn write_speech(folder: &TempDir, name: &str) -> Vec<f32> {
    let mut reader = hound::WavReader::open(golden("speech.wav")).unwrap();
    let speech = reader.samples::<i16>().take(POCKET_SAMPLES);
    let speech: Vec<f32> = speech.map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect();
    let bytes: Vec<u8> = speech.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    fs::write(folder.path().join(name), bytes).unwrap();
    speech
}

#[test]
fn latents_and_audio_of_pocket_tts_are_those_of_its_own_package() {
    let (folder, model) = (folder(), pocket());
    let (_, latents) = floats(&golden("pocket-tiny/speech.latents.npy"));
    write_speech(&folder, "speech.raw");
    // without a quantizer there is nothing else to write, and nothing to ask for
    ok(&folder, &format!("encode -q -m {model} --raw --f32 speech.raw found.npy"));
    let (shape, found) = floats(&folder.path().join("found.npy"));
    assert_eq!(shape, POCKET_SHAPE);
    assert_close(&found, &latents);
    ok(&folder, &format!("encode -q -m {model} --raw --f32 --latents speech.raw again.npy"));
    assert_eq!(floats(&folder.path().join("again.npy")).1, found);

    // the golden file is in Fortran's order
    let golden = golden("pocket-tiny/speech.latents.npy");
    ok(&folder, &format!("decode -q -m {model} --raw --f32 {} out.raw", golden.display()));
    let audio = samples(&fs::read(folder.path().join("out.raw")).unwrap());
    let (_, expected) = floats(&super::golden("pocket-tiny/speech.audio.npy"));
    assert_close(&audio, &expected);

    // through pipes, as float32 in either format
    let piped = mimi_fed(
        &folder,
        &format!("encode -q -m {model} --raw --f32 - -"),
        &fs::read(folder.path().join("speech.raw")).unwrap(),
    );
    assert!(piped.status.success(), "{}", stderr(&piped));
    assert_eq!(piped.stdout, fs::read(folder.path().join("found.npy")).unwrap());
    ok(&folder, &format!("encode -q -m {model} --raw --f32 speech.raw found.safetensors"));
    let sounds = ["found.npy", "found.safetensors"].map(|name| {
        ok(&folder, &format!("decode -q -m {model} --raw --f32 {name} sound.raw"));
        fs::read(folder.path().join("sound.raw")).unwrap()
    });
    assert_eq!(sounds[0], sounds[1]);
    // at once, and cut to the recording's length
    ok(&folder, &format!("roundtrip -q -m {model} --raw --f32 speech.raw round.raw"));
    let round = fs::read(folder.path().join("round.raw")).unwrap();
    assert_eq!(round.len(), 4 * POCKET_SAMPLES);
    assert_eq!(round, sounds[0][..round.len()]);
}

#[test]
fn latents_of_mimi_are_those_of_the_library_and_codes_as_latents_sound_the_same() {
    let folder = folder();
    let model = Model::load(golden("tiny"), &LoadOptions::default()).unwrap();
    let (speech, options) = (write_speech(&folder, "speech.raw"), StreamOptions::default());
    let expected = model.encode_latents(&speech, &options).unwrap();
    let width = model.spec().latent_dim;
    ok(&folder, "encode -q -m TINY --raw --f32 --latents speech.raw a.npy");
    assert_eq!(floats(&folder.path().join("a.npy")), (vec![expected.len() / width, width], expected.clone()));
    ok(&folder, "encode -q -m TINY --raw --f32 --latents speech.raw a.safetensors");
    let bytes = fs::read(folder.path().join("a.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("latents").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[expected.len() / width, width][..]));
    assert_eq!(samples(tensor.data()), expected);

    // what leaves the quantizer sounds as the codes do, to the bit
    ok(&folder, "encode -q -m TINY --raw --f32 -n 4 speech.raw codes.npy");
    ok(&folder, "decode -q -m TINY --raw --f32 codes.npy codes.raw");
    let codes: Vec<u32> = by_frames(&npy(&folder.path().join("codes.npy")));
    let four = StreamOptions { codebooks: Some(4), ..StreamOptions::default() };
    let latents = model.dequantize(&codes, &four).unwrap();
    write_npy(&folder, "latents.npy", [latents.len() / width, width], &latents);
    ok(&folder, "decode -q -m TINY --raw --f32 latents.npy latents.raw");
    let sound = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(sound("latents.raw") == sound("codes.raw") && !sound("codes.raw").is_empty());

    // and lost frames as lost codes
    for name in ["codes", "latents"] {
        ok(&folder, &format!("decode -q -m TINY --raw --f32 --loss 30 --burst 2 {name}.npy {name}.lost.raw"));
    }
    assert!(
        sound("latents.lost.raw") == sound("codes.lost.raw") && sound("codes.lost.raw") != sound("codes.raw")
    );
}

/// Codes frame after frame.
fn by_frames(codes: &[Vec<i64>]) -> Vec<u32> {
    (0..codes[0].len()).flat_map(|frame| codes.iter().map(move |row| row[frame] as u32)).collect()
}

#[test]
fn what_does_not_go_with_latents_is_said() {
    let (folder, model) = (folder(), pocket());
    let [frames, width] = POCKET_SHAPE;
    let wrong_width = "latents of 9 values; expected 8 in a frame, as this model has; see --model";
    write_npy(&folder, "nine.npy", [3, 9], &[0f32; 27]);
    fails(&folder, &format!("decode -m {model} nine.npy out.wav"), &format!("mimi: nine.npy: {wrong_width}"));
    write_npy(&folder, "wide.npy", [frames, width], &vec![0f64; frames * width]);
    fails(
        &folder,
        &format!("decode -m {model} wide.npy out.wav"),
        "mimi: wide.npy: not a .npy file of codes or latents: an array of '<f8'; expected integers (codes) or \
         float32 (latents)",
    );
    let mut values = vec![0f32; frames * width];
    values[width + 2] = f32::NAN;
    write_npy(&folder, "nan.npy", [frames, width], &values);
    fails(
        &folder,
        &format!("decode -m {model} nan.npy out.wav"),
        "mimi: nan.npy: value 2 of frame 1 is NaN; expected finite latents",
    );
    let half = TensorView::new(Dtype::F16, vec![2, 8], &[0; 32]).unwrap();
    let bytes = safetensors::serialize([("latents", half)], None).unwrap();
    fs::write(folder.path().join("half.safetensors"), bytes).unwrap();
    fails(
        &folder,
        &format!("decode -m {model} half.safetensors out.wav"),
        "mimi: half.safetensors: latents of type F16; expected F32",
    );
    write_npy(&folder, "good.npy", [3, 8], &[0f32; 24]);
    fails(
        &folder,
        &format!("decode -n 2 -m {model} good.npy out.wav"),
        "mimi: good.npy: it has latents, and --codebooks goes with codes",
    );
    fails(&folder, "reduce -n 2 good.npy out.npy", "mimi: good.npy: it has latents; expected codes");
    // codes for a model that has none
    write_npy(&folder, "codes.npy", [8, 3], &[0i32; 24]);
    let no_quantizer = "the model has no quantizer and so no codes; its streams take and give latents";
    fails(
        &folder,
        &format!("decode -m {model} codes.npy out.wav"),
        &format!("mimi: codes.npy: {no_quantizer}"),
    );
    let alone = "mimi: this model has no quantizer, and latents alone; ";
    wrong(
        &folder,
        &format!("encode -m {model} -f mtok SPEECH out.mtok"),
        &format!("{alone}the mtok format has codes; latents go to npy or safetensors"),
    );
    wrong(&folder, &format!("encode -m {model} --live SPEECH -"), &format!("{alone}--live goes with codes"));
    let codebooks = "mimi: --codebooks goes with codes; this model has no quantizer, and latents alone";
    for line in ["encode -n 2 SPEECH out.npy", "roundtrip -n 2 SPEECH out.wav"] {
        wrong(&folder, &format!("{line} -m {model}"), codebooks);
    }
    wrong(
        &folder,
        &format!("encode -m {model} SPEECH out.mtok"),
        "mimi: out.mtok: expected the extension .npy or .safetensors, or a --format, for latents",
    );
    assert_eq!(mimi(&folder, "encode --latents -n 2 SPEECH out.npy").status.code(), Some(2));
    fails(&folder, &format!("compare -m {model} SPEECH"), &format!("mimi: {no_quantizer}"));
    assert!(!folder.path().join("out.npy").exists() && !folder.path().join("out.wav").exists());
}

#[test]
fn a_folder_of_latents_is_made_told_from_codes_and_decoded() {
    let (folder, model) = (folder(), pocket());
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::copy(golden("speech.wav"), folder.path().join("in/a.wav")).unwrap();
    ok(&folder, &format!("encode -q -m {model} in pocket"));
    let frames = SAMPLES.div_ceil(FRAME);
    assert_eq!(floats(&folder.path().join("pocket/a.npy")).0, [frames, POCKET_SHAPE[1]]);
    ok(&folder, &format!("decode -q -m {model} pocket sound"));
    assert_eq!(wav(&folder, "sound/a.wav").1.len(), frames * FRAME);
    // again: what is there is of this kind; of another, it is not
    let there = |output: Output| assert!(stderr(&output).contains("already there: 1"), "{}", stderr(&output));
    there(ok(&folder, &format!("encode -m {model} in pocket")));
    ok(&folder, "encode -q -m TINY --format npy in tiny");
    for _ in 0..2 {
        let output = mimi(&folder, "encode -m TINY --latents in tiny");
        assert_eq!(output.status.code(), Some(1));
        let expected = "tiny/a.npy: made with values codes, not latents; --overwrite to make it again";
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        // the file tells it as well as the note of how it was made
        let _ = fs::remove_file(folder.path().join("tiny/.mimi-made.jsonl"));
    }
    ok(&folder, "encode -q -m TINY --latents --overwrite in tiny");
    there(ok(&folder, "encode -m TINY --latents in tiny"));
}

#[test]
fn latents_and_models_without_a_quantizer_are_described() {
    let (folder, model) = (folder(), pocket());
    write_npy(&folder, "a.npy", [3, 8], &(0..24).map(|i| i as f32 * -0.5).collect::<Vec<_>>());
    let text = |args: &str| String::from_utf8(ok(&folder, args).stdout).unwrap();
    let table = "\
latents       in the npy format
values        8 in a frame
frames        3
largest value 11.5
";
    assert_eq!(text("info a.npy"), table);
    let described = text(&format!("info {model}"));
    assert!(
        described.contains("latents       8 values in a frame; no quantizer, and so no codes"),
        "{described}"
    );
    assert!(!described.contains("bit/s") && described.contains("context       0.1 s"), "{described}");
    let asym = text(&format!("info {}", golden("pocket-asym").display()));
    assert!(asym.contains(" of the encoder, "), "{asym}");
}
