//! Losses are the same bits however the codes are cut, forked, batched or resampled.

use crate::*;
use mimi::StreamError;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::LazyLock;

static MODEL: LazyLock<Model> = LazyLock::new(|| load(TINY[0]));
static CODES: LazyLock<Vec<u32>> = LazyLock::new(|| speech(&MODEL));

/// What arrives of a frame.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    Whole,
    Nothing,
    /// Bit k is of code k.
    Codes(u32),
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let arrival = prop_oneof![
        4 => Just(Arrival::Whole),
        3 => Just(Arrival::Nothing),
        2 => (0..64u32).prop_map(Arrival::Codes),
    ];
    prop::collection::vec(arrival, 1..=42)
}

/// The codes of those frames that arrive.
fn arriving(arrivals: &[Arrival]) -> Vec<u32> {
    let all = MODEL.codebooks();
    let mut codes = CODES[..arrivals.len() * all].to_vec();
    for (frame, arrival) in codes.chunks_exact_mut(all).zip(arrivals) {
        let kept = match arrival {
            Arrival::Whole => u32::MAX,
            Arrival::Nothing => 0,
            Arrival::Codes(kept) => *kept,
        };
        for (k, code) in frame.iter_mut().enumerate() {
            if kept >> k & 1 == 0 {
                *code = NO_CODE;
            }
        }
    }
    codes
}

/// All audio of a stream that is given groups of so many frames, round and round, and its end. A group that is lost
/// as a whole is told so.
fn in_groups(mut decoder: Decoder, codes: &[u32], groups: &[usize]) -> Vec<f32> {
    let all = decoder.codebooks();
    let mut pcm = Vec::new();
    let mut rest = codes;
    let mut groups = groups.iter().cycle();
    while !rest.is_empty() {
        let frames = *groups.next().unwrap();
        let (group, later) = rest.split_at((frames * all).min(rest.len()));
        rest = later;
        let (start, told) = (pcm.len(), decoder.samples_for(group.len()));
        pcm.resize(start + told, f32::NAN);
        let written = match group.iter().all(|code| *code == NO_CODE) {
            true => decoder.process_lost(group.len() / all, &mut pcm[start..]),
            false => decoder.process(group, &mut pcm[start..]),
        };
        assert_eq!(written, Ok(told));
    }
    let start = pcm.len();
    pcm.resize(start + decoder.samples_for_flush(), f32::NAN);
    decoder.flush(&mut pcm[start..]).unwrap();
    pcm
}

fn bits(pcm: &[f32]) -> Vec<u32> {
    pcm.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_groups_forks_and_rates_give_the_audio_of_one_push(
        arrivals in arrivals(),
        groups in prop::collection::vec(prop_oneof![4 => 1..=4usize, 1 => 5..=60usize], 1..=6),
        max_block in prop_oneof![Just(None), (1..=40_000usize).prop_map(Some)],
        rate in select(vec![None, Some(16_000), Some(44_100), Some(48_000)]),
        fork: prop::sample::Index,
    ) {
        let options = StreamOptions { sample_rate: rate, ..all_of(&MODEL) };
        let codes = arriving(&arrivals);
        let expected = MODEL.decode(&codes, &options).unwrap();
        prop_assert_eq!(expected.len(), MODEL.samples_for(codes.len(), &options).unwrap());

        let options = StreamOptions { max_block, ..options };
        let mut decoder = Decoder::new(&MODEL, &options).unwrap();
        let (head, tail) = codes.split_at(fork.index(arrivals.len() + 1) * MODEL.codebooks());
        let mut pcm = vec![0.0; decoder.samples_for(head.len())];
        decoder.process(head, &mut pcm).unwrap();
        let copy = decoder.try_clone().unwrap();
        prop_assert_eq!((copy.frames(), copy.concealed()), (decoder.frames(), decoder.concealed()));
        // a fork that goes another way disturbs nobody
        in_groups(copy.try_clone().unwrap(), &without(tail, 6, |frame| frame % 2 == 0), &[1]);
        for decoder in [decoder, copy] {
            let all = [&pcm[..], &in_groups(decoder, tail, &groups)].concat();
            prop_assert!(bits(&all) == bits(&expected));
        }
    }

    #[test]
    fn in_company_nobody_hears_of_the_losses_of_others(
        streams in prop::collection::vec((arrivals(), select(vec![None, Some(48_000)])), 1..=20),
    ) {
        let mut company = Vec::new();
        let mut alone = Vec::new();
        for (_, rate) in &streams {
            let options = StreamOptions { sample_rate: *rate, ..all_of(&MODEL) };
            let mut decoder = Decoder::new(&MODEL, &options).unwrap();
            // the first frame at another rate is taken alone
            let mut pcm = vec![0.0; decoder.frame_samples()];
            decoder.process(&CODES[..6], &mut pcm).unwrap();
            alone.push(decoder.try_clone().unwrap());
            company.push(decoder);
        }
        let codes: Vec<Vec<u32>> = streams.iter().map(|(arrivals, _)| arriving(arrivals)).collect();
        for frame in 0..codes.iter().map(|codes| codes.len() / 6).min().unwrap() {
            let frames: Vec<&[u32]> = codes.iter().map(|codes| &codes[frame * 6..][..6]).collect();
            let mut pcm: Vec<Vec<f32>> = company.iter().map(|d| vec![f32::NAN; d.frame_samples()]).collect();
            let mut members: Vec<&mut Decoder> = company.iter_mut().collect();
            let mut room: Vec<&mut [f32]> = pcm.iter_mut().map(|pcm| &mut pcm[..]).collect();
            Decoder::process_many(&mut members, &frames, &mut room).unwrap();
            for ((alone, codes), found) in alone.iter_mut().zip(&frames).zip(&pcm) {
                let mut expected = vec![f32::NAN; alone.frame_samples()];
                alone.process(codes, &mut expected).unwrap();
                prop_assert!(bits(found) == bits(&expected));
            }
        }
        for (member, alone) in company.iter().zip(&alone) {
            prop_assert_eq!(member.codes_hash(), alone.codes_hash());
            prop_assert_eq!(member.concealed(), alone.concealed());
        }
    }
}

/// Codes that no codebook has, and that are not NO_CODE.
const BAD: [u32; 6] = [64, 2_048, 2_150, i32::MAX as u32, i32::MAX as u32 + 1, NO_CODE - 1];

#[test]
fn other_codes_out_of_range_are_refused_and_change_nothing() {
    let options = all_of(&MODEL);
    let new = || {
        let mut decoder = Decoder::new(&MODEL, &options).unwrap();
        decoder.process(&CODES[..12], &mut vec![0.0; 2 * FRAME]).unwrap();
        decoder
    };
    let (mut hurt, mut other, mut untouched) = (new(), new(), new());
    for (at, code) in BAD.into_iter().enumerate() {
        let mut frame = [NO_CODE; 6];
        frame[at] = code;
        let refused = StreamError::CodeOutOfRange { index: at, code, codebook_size: 64 };
        let mut pcm = [vec![9.0; FRAME], vec![9.0; FRAME]];
        assert_eq!(hurt.process(&frame, &mut pcm[0]), Err(refused));
        let [a, b] = &mut pcm;
        let streams = &mut [&mut other, &mut hurt];
        let many = Decoder::process_many(streams, &[&CODES[12..18], &frame], &mut [a, b]);
        assert_eq!(many, Err(refused));
        assert!(pcm.iter().flatten().all(|x| *x == 9.0));
    }
    // as if nothing had been
    for codes in [&[NO_CODE; 6], &CODES[18..24]] {
        let mut pcm = [vec![0.0; FRAME], vec![0.0; FRAME], vec![0.0; FRAME]];
        for (decoder, pcm) in [&mut hurt, &mut other, &mut untouched].into_iter().zip(&mut pcm) {
            decoder.process(codes, pcm).unwrap();
        }
        assert!(pcm[0] == pcm[2] && pcm[1] == pcm[2]);
    }
}
