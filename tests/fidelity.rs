//! What rounding the weights costs: how many codes stay the same, and how far the audio is from that of
//! exact weights. Prints the table of the README:
//!
//! ```sh
//! cargo test -p libmimi-tests --no-default-features --test fidelity -- --include-ignored --nocapture --test-threads 1
//! ```
//!
//! Beside each precision stands the same network in f32 on weights that were rounded beforehand, in the
//! file: arithmetic must cost nothing on top, and the rounding of inputs little.

mod support;

use mimi::{Checkpoint, LoadOptions, Model, Precision, StreamOptions, probe};
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::fs;
use support::golden::{self, Case};
use support::{repository, wav};

/// Rounds the weights that lead to one output.
type Round = fn(&mut [&mut f32]);

/// To bfloat16, ties to even.
fn to_bf16(row: &mut [&mut f32]) {
    for weight in row {
        let bits = weight.to_bits();
        **weight = f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000);
    }
}

/// To whole multiples of a scale, of so many bits with the sign's.
fn to_integers<const BITS: u32>(row: &mut [&mut f32]) {
    let largest = ((1 << (BITS - 1)) - 1) as f32;
    let scale = row.iter().fold(0.0f32, |max, weight| max.max(weight.abs())) / largest;
    if scale > 0.0 {
        row.iter_mut().for_each(|weight| **weight = (**weight / scale).round_ties_even() * scale);
    }
}

struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(bytemuck::cast_slice(&self.values))
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

impl Tensor {
    fn new(tensor: &safetensors::tensor::TensorView) -> Self {
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F32 => bytemuck::pod_collect_to_vec(data),
            Dtype::F16 => data.chunks_exact(2).map(|x| from_f16(u16::from_le_bytes([x[0], x[1]]))).collect(),
            other => panic!("{other:?}"),
        };
        Self { shape: tensor.shape().to_vec(), values }
    }

    /// Rounds the weights of each output.
    fn round(&mut self, name: &str, round: Round) {
        // transposed convolutions have inputs first, then outputs, then taps
        let transposed = name.starts_with("decoder.layers.") && !name.contains(".block.") && {
            let layer: usize = name.split('.').nth(2).unwrap().parse().unwrap();
            layer % 3 == 2 && layer < 14 // 2, 5, 8, 11
        };
        let taps = self.shape[2..].iter().product::<usize>();
        let (inputs, outputs) =
            if transposed { (self.shape[0], self.shape[1]) } else { (self.shape[1], self.shape[0]) };
        // an output of a transposed one is a product of its own for each step of the stride, half the taps
        let phases = if transposed { taps / 2 } else { 1 };
        let output_of = |index: usize| match transposed {
            true => index / taps % outputs * phases + index % taps % phases,
            false => index / taps / inputs,
        };
        let mut rows: Vec<Vec<&mut f32>> = (0..outputs * phases).map(|_| Vec::new()).collect();
        for (index, value) in self.values.iter_mut().enumerate() {
            rows[output_of(index)].push(value);
        }
        rows.iter_mut().for_each(|row| round(row));
    }
}

/// IEEE half precision.
fn from_f16(bits: u16) -> f32 {
    let (sign, exponent, mantissa) = (bits >> 15, i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => mantissa * 2f32.powi(-24),
        _ => (1.0 + mantissa / 1024.0) * 2f32.powi(exponent - 15),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

/// Inputs of a row and outputs below which a convolution is not rounded to integers.
const FEW_CHANNELS: usize = 8;

/// How a precision rounds.
#[derive(Clone, Copy)]
struct Rounding {
    name: &'static str,
    precision: Precision,
    large: Round,
    /// Weights of the largest SEANet convolution that is small.
    most: usize,
    /// Small ones.
    small: Option<Round>,
    /// What rounding the inputs may cost beside rounding the weights, in dB.
    inputs: f64,
}

const ROUNDINGS: [Rounding; 3] = [
    Rounding {
        name: "bf16",
        precision: Precision::Bf16,
        large: to_bf16,
        most: 1 << 17,
        small: None,
        inputs: 0.0,
    },
    Rounding {
        name: "int16",
        precision: Precision::Int16,
        // Weights have as many bits as sums leave room for: 12 if their sizes are spread evenly, as in the full-size
        // network, and more in a trained one.
        large: to_integers::<12>,
        most: 1 << 17,
        small: Some(to_integers::<12>),
        inputs: 1.0,
    },
    Rounding {
        name: "int8",
        precision: Precision::Int8,
        large: to_integers::<8>,
        most: 1 << 19,
        small: Some(to_integers::<12>),
        inputs: 0.0,
    },
];

/// A checkpoint's file in f32, with other tensors.
fn edited(file: &[u8], mut edit: impl FnMut(&str, &mut Tensor)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(file).unwrap();
    let file = SafeTensors::deserialize(file).unwrap();
    let tensors = file.iter().map(|(name, tensor)| {
        let mut tensor = Tensor::new(&tensor);
        edit(name, &mut tensor);
        (name, tensor)
    });
    let tensors: Vec<(&str, Tensor)> = tensors.collect();
    let named = tensors.iter().map(|(name, tensor)| (name, tensor));
    safetensors::serialize(named, header.metadata().clone()).unwrap()
}

/// A checkpoint's file in f32 with the weights of matrices rounded, as the library does: code words, norms, biases and
/// the up-sampler that works channel by channel stay.
fn rounded(file: &[u8], rounding: Rounding) -> Vec<u8> {
    edited(file, |name, tensor| {
        let is_matrix = tensor.shape.len() >= 2 && !name.ends_with("embed_sum");
        let seanet = name.starts_with("encoder.layers.") || name.starts_with("decoder.layers.");
        let few = tensor.shape.iter().take(2).any(|channels| *channels < FEW_CHANNELS);
        let round = match (seanet && tensor.values.len() <= rounding.most, rounding.small) {
            (false, _) => Some(rounding.large),
            (true, small) => small.filter(|_| !few),
        };
        if let Some(round) = round
            && is_matrix
            && !name.starts_with("upsample.")
        {
            tensor.round(name, round);
        }
    })
}

/// The recordings, and what exact weights make of them.
struct Exact {
    /// Each recording from several of its samples on, which makes other frames of it.
    pcm: Vec<Vec<f32>>,
    options: StreamOptions,
    codes: Vec<Vec<u32>>,
    /// Of those that begin with the recording.
    audio: Vec<Vec<f32>>,
}

/// Samples between the beginnings; no part of a frame.
const SHIFT: usize = 119;
const RECORDINGS: [&str; 2] = ["speech.wav", "long.wav"];

impl Exact {
    fn new(model: &Model, beginnings: usize) -> Self {
        let options = StreamOptions { codebooks: Some(model.codebooks()), ..StreamOptions::default() };
        let recordings = RECORDINGS.map(|name| wav(&repository(&format!("tests/data/golden/{name}"))));
        let pcm: Vec<_> = (0..beginnings)
            .flat_map(|index| recordings.iter().map(move |pcm| pcm[index * SHIFT..].to_vec()))
            .collect();
        let codes: Vec<_> = pcm.iter().map(|pcm| model.encode(pcm, &options).unwrap()).collect();
        let from_start = codes.iter().take(RECORDINGS.len());
        let audio = from_start.map(|codes| model.decode(codes, &options).unwrap()).collect();
        Self { pcm, options, codes, audio }
    }

    fn compare(&self, model: &Model) -> Fidelity {
        let codebooks = model.codebooks();
        let (mut equal, mut frames) = (vec![0usize; codebooks], 0);
        for (pcm, codes) in self.pcm.iter().zip(&self.codes) {
            let found = model.encode(pcm, &self.options).unwrap();
            assert_eq!(found.len(), codes.len());
            frames += codes.len() / codebooks;
            for (index, (found, exact)) in found.iter().zip(codes).enumerate() {
                equal[index % codebooks] += usize::from(found == exact);
            }
        }
        let codes = self.codes.iter().take(self.audio.len());
        let audio: Vec<_> = codes.map(|codes| model.decode(codes, &self.options).unwrap()).collect();
        let shares = equal.iter().map(|&equal| equal as f64 / frames as f64).collect();
        Fidelity { bytes: model.memory_bytes(), shares, snr: snr(&audio.concat(), &self.audio.concat()) }
    }
}

/// Of audio against exact audio, in dB.
fn snr(found: &[f32], exact: &[f32]) -> f64 {
    let signal: f64 = exact.iter().map(|x| f64::from(*x).powi(2)).sum();
    let noise: f64 = found.iter().zip(exact).map(|(x, exact)| f64::from(x - exact).powi(2)).sum();
    10.0 * (signal / noise).log10()
}

/// How near a model is to the exact one.
struct Fidelity {
    /// Of weights.
    bytes: usize,
    /// Of codes that are the same, for each codebook.
    shares: Vec<f64>,
    /// Of the audio from the same codes, in dB.
    snr: f64,
}

impl Fidelity {
    /// The share of the codes of the first eight codebooks that are the same.
    fn of_eight(&self) -> f64 {
        self.shares[..8].iter().sum::<f64>() / 8.0
    }

    fn print(&self, name: &str) {
        let megabytes = self.bytes as f64 / 1e6;
        print!("| {name} | {megabytes:.1} | {:.1} |", self.snr);
        for share in &self.shares[..8] {
            print!(" {:.1} |", 100.0 * share);
        }
        let all = self.shares.iter().sum::<f64>() / self.shares.len() as f64;
        println!(" {:.2} | {:.1} |", 100.0 * self.of_eight(), 100.0 * all);
    }
}

/// What is asked of a precision.
struct Bar {
    /// Of the first codebook's codes that are the same.
    share: f64,
    /// The same of the first eight codebooks'.
    of_eight: f64,
    /// In dB.
    snr: f64,
}

/// What the library may lose against weights rounded beforehand: it rounds some of them after layer
/// scale is folded in, which is as good a rounding, and another.
const OTHER_ROUNDING_DB: f64 = 1.0;
const OTHER_ROUNDING_SHARE: f64 = 0.01;

fn fidelity(case: Case, beginnings: usize, bars: [Bar; 3]) {
    let path = case.path();
    let exact_model = Model::load(&path, &LoadOptions::default()).unwrap();
    let exact = Exact::new(&exact_model, beginnings);
    println!(
        "{}: weights, MB, decoded SNR in dB, equal codes in % for codebooks 1 to 8, all of these, and all",
        case.checkpoint
    );
    println!("| f32 | {:.1} |", exact_model.memory_bytes() as f64 / 1e6);
    drop(exact_model);
    for (rounding, bar) in ROUNDINGS.into_iter().zip(bars) {
        let Rounding { name, precision, .. } = rounding;
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let found = exact.compare(&Model::load(&path, &options).unwrap());
        found.print(name);
        let file = rounded(&fs::read(&path).unwrap(), rounding);
        let twin = exact.compare(&Model::load_bytes(&file, &LoadOptions::default()).unwrap());
        twin.print(&format!("f32 on weights rounded to {name}"));
        let most = OTHER_ROUNDING_DB + rounding.inputs;
        assert!(found.snr > twin.snr - most, "{name}: {} dB, twin {} dB", found.snr, twin.snr);
        let (share, twin_share) = (found.shares[0], twin.shares[0]);
        assert!(
            share > twin_share - OTHER_ROUNDING_SHARE,
            "{name}: {share} of the first codes, twin {twin_share}"
        );
        assert!(found.snr > bar.snr, "{name}: {} dB", found.snr);
        assert!(share >= bar.share, "{name}: {share} of the first codes");
        assert!(found.of_eight() >= bar.of_eight, "{name}: {} of the codes of eight", found.of_eight());
    }
}

#[test]
fn demo() {
    let bf16 = Bar { share: 0.99, of_eight: 0.95, snr: 55.0 };
    let int16 = Bar { share: 0.995, of_eight: 0.985, snr: 70.0 };
    let int8 = Bar { share: 0.97, of_eight: 0.85, snr: 43.0 };
    fidelity(golden::DEMO, 1, [bf16, int16, int8]);
}

/// 217 frames, of which a single one is half a per cent.
#[test]
#[ignore = "takes a minute: `bash .ci/weekly` runs it"]
fn full_size() {
    let bf16 = Bar { share: 0.98, of_eight: 0.96, snr: 48.0 };
    let int16 = Bar { share: 0.99, of_eight: 0.995, snr: 60.0 };
    let int8 = Bar { share: 0.96, of_eight: 0.90, snr: 41.0 };
    fidelity(golden::FULL_SPEECH, 1, [bf16, int16, int8]);
}

/// 3,449 frames.
#[test]
#[ignore = "takes minutes: `bash .ci/weekly` runs it; run it when rounding changes"]
fn full_size_at_length() {
    let bf16 = Bar { share: 0.99, of_eight: 0.96, snr: 48.0 };
    let int16 = Bar { share: 0.995, of_eight: 0.985, snr: 60.0 };
    let int8 = Bar { share: 0.97, of_eight: 0.90, snr: 41.0 };
    fidelity(golden::FULL_SPEECH, 16, [bf16, int16, int8]);
}

/// What other bits of 16-bit integers cost, and sums of more or fewer products. The library has weights of up to 16
/// bits, inputs of 15, and 128 products in a sum.
fn bits(case: Case, beginnings: usize) {
    let file = fs::read(case.path()).unwrap();
    let exact_model = Model::load(case.path(), &LoadOptions::default()).unwrap();
    let exact = Exact::new(&exact_model, beginnings);
    // what comes of a loud channel, too
    let options = StreamOptions::default();
    let latents = exact_model.encode_latents(&case.pcm(), &options).unwrap();
    let loud = with_a_loud_channel(&file, &latents, 27.0);
    let audio = |model: &Model| model.decode_latents(&latents, &options).unwrap();
    let loud_exact = audio(&Model::load_bytes(&loud, &LoadOptions::default()).unwrap());
    println!(
        "{}: most bits of weights, bits of inputs, products in a sum of 32 bits, dB, dB with a loud channel",
        case.checkpoint
    );
    for (weights, inputs, products) in [
        (12, 14, 128),
        (13, 14, 64),
        (16, 13, 128),
        (16, 14, 128),
        (16, 15, 128),
        (16, 16, 128),
        (16, 14, 256),
        (16, 15, 64),
        (16, 15, 32),
    ] {
        let load = |file: &[u8]| {
            let checkpoint = Checkpoint::from_source(Box::new(file)).unwrap();
            probe::load_in_bits(&checkpoint, [weights, inputs], products).unwrap()
        };
        let loud = snr(&audio(&load(&loud)), &loud_exact);
        print!("| {weights} | {inputs} | {products} | {loud:.1} ");
        exact.compare(&load(&file)).print("");
    }
}

#[test]
#[ignore = "takes minutes, and prints a table: run it when rounding changes"]
fn bits_of_integers() {
    bits(golden::DEMO, 1);
    bits(golden::FULL_SPEECH, 16);
}

/// The file with an up-sampler by which one channel of these latents has a peak of `loud` where it enters the decoder's
/// transformer, and every other a smaller one than 1.
fn with_a_loud_channel(file: &[u8], latents: &[f32], loud: f32) -> Vec<u8> {
    let mut is_there = false;
    let file = edited(file, |name, tensor| {
        if name != "upsample.conv.weight" {
            return;
        }
        is_there = true;
        let [channels, 1, 4] = tensor.shape[..] else { panic!("{name}: {:?}", tensor.shape) };
        for (channel, taps) in tensor.values.chunks_exact_mut(4).enumerate() {
            // of a frame come two steps, and each also has its tap of the frame before
            let (mut peak, mut before) = (0.0f32, 0.0);
            for &now in latents.iter().skip(channel).step_by(channels) {
                let steps = [0, 1].map(|step| now * taps[step] + before * taps[2 + step]);
                peak = peak.max(steps[0].abs()).max(steps[1].abs());
                before = now;
            }
            let wanted = if channel == 5 { loud } else { peak.min(0.99) };
            taps.iter_mut().for_each(|tap| *tap *= wanted / peak);
        }
    });
    assert!(is_there);
    file
}

/// In the published weights, the residual of the decoder's transformer reaches 27. What a channel that is so loud, or
/// louder, adds to the cost of rounding: audio from the same latents, beside that of a channel as loud as the others.
fn a_loud_channel(case: Case) {
    let file = fs::read(case.path()).unwrap();
    let load = |file: &[u8], precision| {
        Model::load_bytes(file, &LoadOptions { precision, ..LoadOptions::default() }).unwrap()
    };
    let options = StreamOptions::default();
    let latents = load(&file, Precision::F32).encode_latents(&case.pcm(), &options).unwrap();
    println!("{}: decoded SNR in dB, of the library and of weights rounded beforehand", case.checkpoint);
    for loud in [1.0, 27.0, 100.0] {
        let file = with_a_loud_channel(&file, &latents, loud);
        let audio =
            |file: &[u8], precision| load(file, precision).decode_latents(&latents, &options).unwrap();
        let exact = audio(&file, Precision::F32);
        for rounding in ROUNDINGS {
            let Rounding { name, precision, .. } = rounding;
            let found = snr(&audio(&file, precision), &exact);
            let twin = snr(&audio(&rounded(&file, rounding), Precision::F32), &exact);
            println!("| {name}, a channel of {loud} | {found:.1} | {twin:.1} |");
            let most = OTHER_ROUNDING_DB + rounding.inputs;
            assert!(found > twin - most, "{name}, {loud}: {found} dB, twin {twin} dB");
        }
    }
}

#[test]
fn a_loud_channel_of_the_demo() {
    a_loud_channel(golden::DEMO);
}

#[test]
#[ignore = "takes minutes: `bash .ci/weekly` runs it; run it when rounding changes"]
fn a_loud_channel_at_full_size() {
    a_loud_channel(golden::FULL_SPEECH);
}
