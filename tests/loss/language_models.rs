//! What language models send beside codes: begin, end and padding are numbers after the last code word, and −1.

use crate::*;
use mimi::{Config, Error, ErrorKind, StreamError, bitstream};

const CODEBOOKS: usize = 6;

/// The tiny network with as many code words as the published one has.
fn published_words() -> Model {
    let config = Config { codebook_size: 2048, ..load(TINY[0]).config().clone() };
    Model::load_bytes(&support::synth::checkpoint(&config), &LoadOptions::default()).unwrap()
}

/// The codes of one of several voices. The first is the last code word.
fn voice(stream: usize) -> Vec<u32> {
    let name = format!("voice {stream}");
    let mut codes: Vec<u32> =
        support::synth::units(&name, 100 * CODEBOOKS).map(|x| ((x + 1.0) * 1024.0) as u32).collect();
    codes[0] = 2047;
    codes
}

#[test]
fn begin_end_and_padding_of_language_models_are_refused_and_change_nothing() {
    let (model, voices) = (published_words(), [0, 1, 2, 3].map(voice));
    let options = all_of(&model);
    let whole = voices.each_ref().map(|codes| model.decode(codes, &options).unwrap());
    let mut streams = [0; 4].map(|_| Decoder::new(&model, &options).unwrap());
    for frame in 0..100 {
        let codes = voices.each_ref().map(|codes| &codes[frame * CODEBOOKS..][..CODEBOOKS]);
        if frame == 50 {
            for (at, code) in [(0, 2_048), (3, 2_150), (5, NO_CODE - 1)] {
                refuse(&model, &mut streams, codes, at, code);
            }
        }
        let mut pcm = [0; 4].map(|_| vec![0.0; FRAME]);
        let room = &mut pcm.each_mut().map(|pcm| &mut pcm[..]);
        Decoder::process_many(&mut streams.each_mut(), &codes, room).unwrap();
        for (pcm, whole) in pcm.iter().zip(&whole) {
            assert!(pcm[..] == whole[frame * FRAME..][..FRAME], "frame {frame}");
        }
    }
}

/// Gives the third of the streams a frame with a code that is none, in every way that there is.
fn refuse(model: &Model, streams: &mut [Decoder; 4], codes: [&[u32]; 4], at: usize, code: u32) {
    let (options, mut frame) = (all_of(model), codes[2].to_vec());
    frame[at] = code;
    let refused = StreamError::CodeOutOfRange { index: at, code, codebook_size: 2048 };
    assert_eq!(Error::from(refused).kind(), ErrorKind::Corrupt);
    let before = streams.each_ref().map(|stream| (stream.frames(), stream.codes_hash()));

    let mut pcm = [0; 4].map(|_| vec![9.0; FRAME]);
    assert_eq!(streams[2].process(&frame, &mut pcm[2]), Err(refused));
    let room = &mut pcm.each_mut().map(|pcm| &mut pcm[..]);
    let frames = [codes[0], codes[1], &frame, codes[3]];
    assert_eq!(Decoder::process_many(&mut streams.each_mut(), &frames, room), Err(refused));
    assert!(pcm.iter().flatten().all(|x| *x == 9.0));
    assert_eq!(streams.each_ref().map(|stream| (stream.frames(), stream.codes_hash())), before);

    let decoded = model.decode(&[codes[2], &frame].concat(), &options).unwrap_err();
    assert_eq!(decoded.kind(), ErrorKind::Corrupt);
    assert!(
        decoded.message().contains(&format!("codes[{}] is {code}: expected less than 2048", CODEBOOKS + at)),
        "{decoded}"
    );
    let mut bytes = [9; 9];
    let packed = bitstream::pack(&frame, CODEBOOKS, 11, &mut bytes);
    assert_eq!(packed, Err(bitstream::PackError::CodeOutOfRange { index: at, code, code_bits: 11 }));
    assert_eq!(bytes, [9; 9]);
}

/// −1 as an unsigned number is a code that is lost: a frame that has it is decoded, and has no bytes.
#[test]
fn minus_one_is_a_lost_code() {
    assert_eq!(NO_CODE, -1i32 as u32);
    let (model, mut frame) = (published_words(), voice(0)[..CODEBOOKS].to_vec());
    let (options, five) = (all_of(&model), with_codebooks(5));
    let expected = model.decode(&frame[..5], &five).unwrap();
    frame[5] = NO_CODE;
    let (decoder, pcm) = decode(&model, &options, &frame);
    assert!(pcm == expected && decoder.concealed() == 0);
    let packed = bitstream::pack(&frame, CODEBOOKS, 11, &mut [0; 9]);
    assert_eq!(packed, Err(bitstream::PackError::CodeOutOfRange { index: 5, code: NO_CODE, code_bits: 11 }));
}

/// The last frame of a sentence of CSM's.
#[test]
fn a_frame_of_zeros_is_a_frame() {
    let model = published_words();
    let (decoder, pcm) = decode(&model, &all_of(&model), &[&voice(0)[..CODEBOOKS], &[0; CODEBOOKS]].concat());
    assert!(loudest(&pcm[FRAME..]) > 0.01 && pcm.len() == 2 * FRAME);
    assert_eq!((decoder.frames(), decoder.concealed()), (2, 0));
}
