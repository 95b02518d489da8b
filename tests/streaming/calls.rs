//! Everything that can be called between two pushes.

use crate::*;
use mimi::StreamError;
use proptest::prelude::*;
use std::sync::OnceLock;
use std::thread;

fn tiny() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load("tiny"))
}

/// Something done to a stream, with a number of samples (or of frames × 1 920) to push after it.
#[derive(Clone, Debug)]
enum Call {
    Nothing,
    Flush,
    Reset,
    Clone,
    /// A fork that is fed something else and thrown away.
    Fork,
    /// Everything that must fail.
    Wrong,
}

fn calls() -> impl Strategy<Value = Vec<(Call, usize)>> {
    let call = prop_oneof![
        3 => Just(Call::Nothing),
        1 => Just(Call::Flush),
        1 => Just(Call::Reset),
        1 => Just(Call::Clone),
        1 => Just(Call::Fork),
        2 => Just(Call::Wrong),
    ];
    prop::collection::vec((call, 0..=6_000usize), 1..=16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_encoder_is_what_it_was_fed_since_it_began(
        calls in calls(), tail in proptest::sample::select(TAILS.to_vec()),
    ) {
        let options = all_codebooks(tiny(), tail);
        let speech = speech();
        let mut source = speech.iter().cycle().copied();
        let mut encoder = Encoder::new(tiny(), &options).unwrap();
        let (mut heard, mut codes) = (Vec::new(), Vec::new());
        for (call, samples) in calls {
            match call {
                Call::Nothing => {}
                Call::Flush => {
                    encode_end(&mut encoder, &mut codes);
                    prop_assert!(codes == tiny().encode(&heard, &options).unwrap());
                    // a stream that was fed nothing leaves those of the one before
                    prop_assert!(heard.is_empty() || encoder.codes_hash() == hash_of(&codes));
                    (heard, codes) = (Vec::new(), Vec::new());
                }
                Call::Reset => {
                    encoder.reset();
                    prop_assert_eq!((encoder.frames(), encoder.codes_hash()), (0, hash_of(&[])));
                    (heard, codes) = (Vec::new(), Vec::new());
                }
                Call::Clone => encoder = encoder.try_clone().unwrap(),
                Call::Fork => {
                    let mut fork = encoder.try_clone().unwrap();
                    encode(&mut fork, &speech[50_000..][..samples], &mut Vec::new());
                    encode_end(&mut fork, &mut Vec::new());
                }
                Call::Wrong => refused_by_encoder(&mut encoder),
            }
            let chunk: Vec<f32> = source.by_ref().take(samples).collect();
            encode(&mut encoder, &chunk, &mut codes);
            heard.extend(chunk);
        }
        prop_assert!(codes == tiny().encode(whole_frames(&heard), &options).unwrap());
    }

    #[test]
    fn a_decoder_is_what_it_was_fed_since_it_began(calls in calls()) {
        let options = all_codebooks(tiny(), Tail::AudioPad);
        let all_codes = tiny().encode(&speech(), &options).unwrap();
        let mut source = all_codes.iter().cycle().copied();
        let mut decoder = Decoder::new(tiny(), &options).unwrap();
        let (mut heard, mut audio) = (Vec::new(), Vec::new());
        for (call, samples) in calls {
            let codes = samples / 1_920 * decoder.codebooks();
            match call {
                Call::Nothing => {}
                Call::Flush => {
                    prop_assert_eq!(decoder.flush(&mut []), Ok(0));
                    assert_same_audio(&audio, &tiny().decode(&heard, &options).unwrap(), "flushed");
                    // a stream that was fed nothing leaves that of the one before
                    prop_assert!(heard.is_empty() || decoder.codes_hash() == hash_of(&heard));
                    (heard, audio) = (Vec::new(), Vec::new());
                }
                Call::Reset => {
                    decoder.reset();
                    prop_assert_eq!((decoder.frames(), decoder.codes_hash()), (0, hash_of(&[])));
                    (heard, audio) = (Vec::new(), Vec::new());
                }
                Call::Clone => decoder = decoder.try_clone().unwrap(),
                Call::Fork => {
                    let mut fork = decoder.try_clone().unwrap();
                    decode(&mut fork, &vec![5; codes], &mut Vec::new());
                }
                Call::Wrong => refused_by_decoder(&mut decoder),
            }
            let chunk: Vec<u32> = source.by_ref().take(codes).collect();
            decode(&mut decoder, &chunk, &mut audio);
            heard.extend(chunk);
        }
        assert_same_audio(&audio, &tiny().decode(&heard, &options).unwrap(), "at the end");
    }
}

fn whole_frames(pcm: &[f32]) -> &[f32] {
    &pcm[..pcm.len() - pcm.len() % tiny().config().frame_size()]
}

/// The hash of codes, by a stream that was fed nothing else.
fn hash_of(codes: &[u32]) -> i64 {
    let mut decoder = Decoder::new(tiny(), &all_codebooks(tiny(), Tail::AudioPad)).unwrap();
    decode(&mut decoder, codes, &mut Vec::new());
    decoder.codes_hash()
}

/// Buffers that are too small; nothing may be consumed or written.
fn refused_by_encoder(encoder: &mut Encoder) {
    let before = (encoder.frames(), encoder.codes_hash(), encoder.codes_for_flush());
    for samples in [1_920, 5_000] {
        let needed = encoder.codes_for(samples);
        for room in [0, 1, needed - 1] {
            let mut codes = vec![UNWRITTEN; room];
            let refusal = encoder.process(&vec![0.7; samples], &mut codes);
            assert_eq!(refusal, Err(StreamError::BufferTooSmall { needed }));
            assert!(codes.iter().all(|&code| code == UNWRITTEN));
        }
    }
    let needed = encoder.codes_for_flush();
    if needed > 0 {
        let mut codes = vec![UNWRITTEN; needed - 1];
        assert_eq!(encoder.flush(&mut codes), Err(StreamError::BufferTooSmall { needed }));
        assert!(codes.iter().all(|&code| code == UNWRITTEN));
    }
    assert_eq!(before, (encoder.frames(), encoder.codes_hash(), encoder.codes_for_flush()));
}

/// Buffers that are too small, codes that are no codes, frames that are not whole.
fn refused_by_decoder(decoder: &mut Decoder) {
    let before = (decoder.frames(), decoder.codes_hash());
    let codebooks = decoder.codebooks();
    let mut pcm = vec![f32::NAN; 3 * 1_920];
    let mut codes = vec![3; 3 * codebooks];
    let needed = pcm.len();
    let refusal = decoder.process(&codes, &mut pcm[..needed - 1]);
    assert_eq!(refusal, Err(StreamError::BufferTooSmall { needed }));
    let refusal = decoder.process(&codes[..codes.len() - 1], &mut pcm);
    assert_eq!(refusal, Err(StreamError::PartialFrame { codes: codes.len() - 1, codebooks }));
    for code in [64, u32::MAX - 1] {
        // in the last frame: the first ones must not be decoded either
        let index = codes.len() - 2;
        codes[index] = code;
        let refusal = decoder.process(&codes, &mut pcm);
        assert_eq!(refusal, Err(StreamError::CodeOutOfRange { index, code, codebook_size: 64 }));
    }
    assert!(pcm.iter().all(|sample| sample.is_nan()));
    assert_eq!(before, (decoder.frames(), decoder.codes_hash()));
}

#[test]
fn after_a_flush_frames_and_hash_are_those_of_the_old_stream() {
    let mut encoder = Encoder::new(tiny(), &all_codebooks(tiny(), Tail::AudioPad)).unwrap();
    let mut codes = encode_in(&mut encoder, &speech()[..5_000], &[700]);
    encode_end(&mut encoder, &mut codes);
    assert_eq!((encoder.frames(), encoder.codes_hash()), (3, hash_of(&codes)));
    assert_eq!(encoder.codes_for_flush(), 0);
    encode_end(&mut encoder, &mut codes);
    encode(&mut encoder, &[], &mut codes);
    assert_eq!((encoder.frames(), encoder.codes_hash()), (3, hash_of(&codes)));
    // a clone knows that the stream has ended
    let mut clone = encoder.try_clone().unwrap();
    for stream in [&mut encoder, &mut clone] {
        encode(stream, &[0.5], &mut codes);
        assert_eq!((stream.frames(), stream.codes_hash()), (0, hash_of(&[])));
    }

    let mut decoder = Decoder::new(tiny(), &all_codebooks(tiny(), Tail::AudioPad)).unwrap();
    let frame = &codes[..decoder.codebooks()];
    decode(&mut decoder, frame, &mut Vec::new());
    decoder.flush(&mut []).unwrap();
    assert_eq!((decoder.frames(), decoder.codes_hash()), (1, hash_of(frame)));
    decode(&mut decoder, frame, &mut Vec::new());
    assert_eq!((decoder.frames(), decoder.codes_hash()), (1, hash_of(frame)));
}

#[test]
fn interleaved_streams_do_not_hear_each_other() {
    let speech = speech();
    let parts = [&speech[..20_000], &speech[31_000..51_000]];
    let options = all_codebooks(tiny(), Tail::LayerPad);
    let mut encoders = parts.map(|_| Encoder::new(tiny(), &options).unwrap());
    let mut decoders = parts.map(|_| Decoder::new(tiny(), &options).unwrap());
    let (mut codes, mut audio) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for start in (0..20_000).step_by(800) {
        for i in 0..2 {
            let before = codes[i].len();
            encode(&mut encoders[i], &parts[i][start..start + 800], &mut codes[i]);
            decode(&mut decoders[i], &codes[i][before..], &mut audio[i]);
        }
    }
    for i in 0..2 {
        let alone = tiny().encode(whole_frames(parts[i]), &options).unwrap();
        assert!(codes[i] == alone);
        assert_same_audio(&audio[i], &tiny().decode(&alone, &options).unwrap(), "interleaved");
    }
}

#[test]
fn streams_of_many_threads_give_the_same_bits() {
    let speech = speech();
    let options = all_codebooks(tiny(), Tail::AudioPad);
    let alone = tiny().encode(&speech, &options).unwrap();
    let alone_audio = tiny().decode(&alone, &options).unwrap();
    thread::scope(|scope| {
        for chunk in [300, 480, 777, 1_920, 4_000, 9_999, 20_000, 80_000] {
            let (speech, options, alone, alone_audio) = (&speech, &options, &alone, &alone_audio);
            scope.spawn(move || {
                for _ in 0..3 {
                    let mut encoder = Encoder::new(tiny(), options).unwrap();
                    let mut codes = encode_in(&mut encoder, speech, &[chunk]);
                    encode_end(&mut encoder, &mut codes);
                    assert!(codes == *alone);
                    let mut decoder = Decoder::new(tiny(), options).unwrap();
                    let audio = decode_in(&mut decoder, &codes, &[chunk.div_ceil(1_920)]);
                    assert_same_audio(&audio, alone_audio, "of a thread");
                }
            });
        }
    });
}

#[test]
fn a_stream_moves_between_threads() {
    let speech = speech();
    let options = all_codebooks(tiny(), Tail::AudioPad);
    let mut encoder = Encoder::new(tiny(), &options).unwrap();
    let mut codes = Vec::new();
    for chunk in speech.chunks(10_000) {
        let push = || encode(&mut encoder, chunk, &mut codes);
        thread::scope(|scope| scope.spawn(push).join()).unwrap();
    }
    encode_end(&mut encoder, &mut codes);
    assert!(codes == tiny().encode(&speech, &options).unwrap());
}

#[test]
fn no_samples_are_no_frames() {
    for tail in TAILS {
        let options = all_codebooks(tiny(), tail);
        assert_eq!(tiny().encode(&[], &options).unwrap(), [0; 0]);
        assert_eq!(tiny().decode(&[], &options).unwrap(), [0.0; 0]);
        let mut encoder = Encoder::new(tiny(), &options).unwrap();
        assert_eq!(encoder.process(&[], &mut []), Ok(0));
        assert_eq!(encoder.flush(&mut []), Ok(0));
        // no overflow
        assert_eq!(encoder.codes_for(usize::MAX), usize::MAX / 1_920 * 6);
    }
}

/// Whatever the threads, the length, the other options: the same bits; and no more threads than are possible.
#[test]
fn threads_do_not_change_a_one_shot_call() {
    let speech = speech();
    for name in ["tiny", "tiny-replicate", "tiny-gqa-bias"] {
        let model = load(name);
        let alone = all_codebooks(&model, Tail::LayerPad);
        for samples in [0, 1, 1_920, 40_000] {
            let pcm: Vec<f32> = speech.iter().cycle().take(samples).copied().collect();
            let codes = model.encode(&pcm, &alone).unwrap();
            let audio = model.decode(&codes, &alone).unwrap();
            for threads in [1, 2, 3, 8] {
                let together = StreamOptions { threads: Some(threads), ..alone.clone() };
                assert!(model.encode(&pcm, &together).unwrap() == codes);
                assert!(model.decode(&codes, &together).unwrap() == audio);
            }
        }
    }
    for threads in [0, 65] {
        let options = StreamOptions { threads: Some(threads), ..StreamOptions::default() };
        let error = tiny().encode(&speech[..1_920], &options).unwrap_err().to_string();
        assert_eq!(error, format!("threads is {threads}: expected 1 to 64"));
    }
}
