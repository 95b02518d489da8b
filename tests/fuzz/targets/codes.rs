//! Any codes through a decoder, any bytes through the bitstream: an error, or what the arguments
//! promise.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use libmimi_fuzz::micro;
use mimi::bitstream::{drop_codebooks, frame_bytes, pack, unpack};
use mimi::{Decoder, StreamError, StreamOptions};

#[derive(Arbitrary, Debug)]
struct Input {
    codebooks: u8,
    code_bits: u8,
    keep: u8,
    /// Too few codes' worth of output by this many.
    short: u8,
    codes: Vec<u16>,
    bytes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    decoder(&input);
    bitstream(&input);
});

fn decoder(input: &Input) {
    let model = micro();
    let codebooks = usize::from(input.codebooks) % 3 + 1;
    let options = StreamOptions { codebooks: Some(codebooks), ..Default::default() };
    let codes: Vec<u32> = input.codes.iter().map(|&code| u32::from(code)).collect();
    let mut decoder = Decoder::new(model, &options).expect("valid options");
    let needed = decoder.samples_for(codes.len());
    let mut pcm = vec![f32::NAN; needed.saturating_sub(usize::from(input.short))];
    match decoder.process(&codes, &mut pcm) {
        Ok(written) => {
            assert_eq!(written, needed);
            assert!(pcm.iter().all(|sample| sample.is_finite()));
            assert_eq!(pcm, model.decode(&codes, &options).expect("the same codes"));
        }
        Err(error) => {
            match error {
                StreamError::PartialFrame { .. } => assert!(!codes.len().is_multiple_of(codebooks)),
                StreamError::CodeOutOfRange { index, code, codebook_size } => {
                    assert_eq!(codes[index], code);
                    assert!(code >= codebook_size && codebook_size as usize == model.config().codebook_size);
                }
                StreamError::BufferTooSmall { needed: told } => assert!(told == needed && told > pcm.len()),
                other => panic!("{other}"),
            }
            assert!(pcm.iter().all(|sample| sample.is_nan()), "nothing was written");
            // nothing was consumed
            let codes = vec![1; 4 * codebooks];
            let mut pcm = vec![0.0; decoder.samples_for(codes.len())];
            decoder.process(&codes, &mut pcm).expect("valid codes");
            assert_eq!(pcm, model.decode(&codes, &options).expect("the same codes"));
        }
    }
}

fn bitstream(input: &Input) {
    let (codebooks, code_bits) = (usize::from(input.codebooks), u32::from(input.code_bits));
    let mut codes = vec![0; input.bytes.len() * 8];
    let Ok(count) = unpack(&input.bytes, codebooks, code_bits, &mut codes) else { return };
    let codes = &codes[..count];
    assert_eq!(input.bytes.len() / frame_bytes(codebooks, code_bits) * codebooks, count);
    let mut packed = vec![0; input.bytes.len()];
    assert_eq!(pack(codes, codebooks, code_bits, &mut packed), Ok(input.bytes.len()));
    let mut again = vec![0; count];
    assert_eq!(unpack(&packed, codebooks, code_bits, &mut again), Ok(count));
    assert_eq!(again, codes);

    let keep = usize::from(input.keep);
    let Ok(length) = drop_codebooks(&mut packed, codebooks, code_bits, keep) else {
        assert!(keep == 0 || keep > codebooks);
        return;
    };
    let kept: Vec<u32> = codes.chunks(codebooks).flat_map(|frame| &frame[..keep]).copied().collect();
    let mut fewer = vec![0; kept.len()];
    assert_eq!(unpack(&packed[..length], keep, code_bits, &mut fewer), Ok(kept.len()));
    assert_eq!(fewer, kept);
}
