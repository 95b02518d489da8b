//! Any sequence of calls on a stream: what comes out is what the one-shot call makes of the same
//! samples, bit for bit.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use libmimi_fuzz::{micro, samples};
use mimi::{Decoder, Encoder, StreamOptions, Tail};

#[derive(Arbitrary, Debug)]
enum Call {
    Process(u8),
    /// With an output buffer too small by so many.
    ProcessShort(u8, u8),
    /// Codes that are out of range, or no whole frame.
    ProcessWrong(u8),
    Flush,
    FlushShort,
    Reset,
    /// Goes on with a clone.
    Clone,
    /// Feeds a clone and throws it away.
    Fork(u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u64,
    codebooks: u8,
    layer_pad: bool,
    context: Option<u8>,
    max_block: Option<u8>,
    calls: Vec<Call>,
}

fuzz_target!(|input: Input| {
    let options = StreamOptions {
        codebooks: Some(usize::from(input.codebooks) % 3 + 1),
        tail: if input.layer_pad { Tail::LayerPad } else { Tail::AudioPad },
        context: input.context.map(|n| usize::from(n) % 12 + 1),
        max_block: input.max_block.map(|n| usize::from(n) + 1),
        sample_rate: None,
        threads: None,
    };
    let codes = encoder(&input, &options);
    decoder(&input, &options, &codes);
});

/// Returns the codes of all streams, one after the other.
fn encoder(input: &Input, options: &StreamOptions) -> Vec<u32> {
    let pcm = samples(input.seed, 256 * input.calls.len());
    let mut source = pcm.as_slice();
    let mut encoder = Encoder::new(micro(), options).expect("valid options");
    let (mut heard, mut said, mut all) = (Vec::new(), Vec::new(), Vec::new());
    // of the stream that was flushed last, until the next sample
    let mut frames = 0;
    for call in &input.calls {
        match *call {
            Call::Process(count) => {
                let (chunk, rest) = source.split_at(usize::from(count));
                source = rest;
                said.extend(encode(&mut encoder, chunk));
                heard.extend_from_slice(chunk);
            }
            Call::ProcessShort(count, short) => {
                let count = usize::from(count);
                let needed = encoder.codes_for(count);
                let mut codes = vec![77; needed.saturating_sub(usize::from(short) + 1)];
                if needed > 0 {
                    encoder.process(&source[..count], &mut codes).expect_err("too small");
                    assert!(codes.iter().all(|&code| code == 77));
                }
            }
            Call::ProcessWrong(_) => {}
            Call::Flush | Call::Reset => {
                if matches!(call, Call::Flush) {
                    let mut last = vec![0; encoder.codes_for_flush()];
                    assert_eq!(encoder.flush(&mut last), Ok(last.len()));
                    said.extend(last);
                    assert_eq!(said, micro().encode(&heard, options).expect("valid options"));
                    if !heard.is_empty() {
                        frames = said.len() / encoder.codebooks();
                    }
                    assert_eq!(encoder.frames(), frames as u64);
                } else {
                    encoder.reset();
                    frames = 0;
                    assert_eq!(encoder.frames(), 0);
                    check_prefix(&said, &heard, options);
                }
                heard.clear();
                all.append(&mut said);
            }
            Call::FlushShort => {
                if encoder.codes_for_flush() > 0 {
                    encoder.flush(&mut []).expect_err("too small");
                }
            }
            Call::Clone => encoder = encoder.try_clone().expect("memory"),
            Call::Fork(count) => {
                let mut fork = encoder.try_clone().expect("memory");
                let mut codes = said.clone();
                codes.extend(encode(&mut fork, &source[..usize::from(count)]));
                let heard = [&heard, &source[..usize::from(count)]].concat();
                check_prefix(&codes, &heard, options);
            }
        }
    }
    check_prefix(&said, &heard, options);
    all.append(&mut said);
    all
}

fn encode(encoder: &mut Encoder, pcm: &[f32]) -> Vec<u32> {
    let mut codes = vec![0; encoder.codes_for(pcm.len())];
    assert_eq!(encoder.process(pcm, &mut codes), Ok(codes.len()));
    codes
}

/// That a stream which was not flushed said all but its last partial frame.
fn check_prefix(said: &[u32], heard: &[f32], options: &StreamOptions) {
    let whole = heard.len() - heard.len() % micro().config().frame_size();
    assert_eq!(said, micro().encode(&heard[..whole], options).expect("valid options"));
}

fn decoder(input: &Input, options: &StreamOptions, codes: &[u32]) {
    let mut decoder = Decoder::new(micro(), options).expect("valid options");
    let codebooks = decoder.codebooks();
    let mut source = codes;
    let (mut heard, mut said) = (Vec::new(), Vec::new());
    for call in &input.calls {
        match *call {
            Call::Process(count) => {
                let frames = usize::from(count) / 8;
                let (chunk, rest) = source.split_at((frames * codebooks).min(source.len()));
                source = rest;
                said.extend(decode(&mut decoder, chunk));
                heard.extend_from_slice(chunk);
            }
            Call::ProcessShort(_, short) => {
                let mut pcm =
                    vec![0.0; decoder.samples_for(source.len()).saturating_sub(usize::from(short) + 1)];
                if !source.is_empty() {
                    decoder.process(source, &mut pcm).expect_err("too small");
                }
            }
            Call::ProcessWrong(code) => {
                let mut codes = vec![u32::from(code) + 11; codebooks];
                decoder.process(&codes, &mut [0.0; 8]).expect_err("out of range");
                codes.push(0);
                if codebooks > 1 {
                    decoder.process(&codes, &mut [0.0; 16]).expect_err("no whole frame");
                }
            }
            Call::Flush | Call::Reset => {
                check_audio(&said, &heard, options);
                if matches!(call, Call::Flush) {
                    assert_eq!(decoder.flush(&mut []), Ok(0));
                } else {
                    decoder.reset();
                }
                heard.clear();
                said.clear();
            }
            Call::FlushShort => {}
            Call::Clone => decoder = decoder.try_clone().expect("memory"),
            Call::Fork(count) => {
                let frames = usize::from(count) / 8;
                let mut fork = decoder.try_clone().expect("memory");
                let codes = &source[..(frames * codebooks).min(source.len())];
                let mut pcm = said.clone();
                pcm.extend(decode(&mut fork, codes));
                check_audio(&pcm, &[&heard, codes].concat(), options);
            }
        }
    }
    check_audio(&said, &heard, options);
}

fn decode(decoder: &mut Decoder, codes: &[u32]) -> Vec<f32> {
    let mut pcm = vec![0.0; decoder.samples_for(codes.len())];
    assert_eq!(decoder.process(codes, &mut pcm), Ok(pcm.len()));
    pcm
}

fn check_audio(said: &[f32], heard: &[u32], options: &StreamOptions) {
    assert_eq!(said, micro().decode(heard, options).expect("valid codes"));
}
