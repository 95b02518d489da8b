//! Frames with some of their codes.

use crate::*;

/// The first `count` codes of each frame; the others did not arrive.
fn first_of_each(codes: &[u32], codebooks: usize, count: usize) -> Vec<u32> {
    codes.iter().enumerate().map(|(at, &code)| if at % codebooks < count { code } else { NO_CODE }).collect()
}

#[test]
fn the_first_codes_are_a_stream_with_so_many_codebooks() {
    for path in TINY.into_iter().chain([DEMO]) {
        let model = load(path);
        let (codes, all) = (speech(&model), model.codebooks());
        let mut sounds: Vec<Vec<f32>> = Vec::new();
        for count in 1..=all {
            let some: Vec<u32> = codes.chunks_exact(all).flat_map(|frame| &frame[..count]).copied().collect();
            let (_, expected) = decode(&model, &with_codebooks(count), &some);
            let (decoder, found) = decode(&model, &all_of(&model), &first_of_each(&codes, all, count));
            assert!(found == expected, "{path}, {count} of {all} codes");
            assert_eq!(decoder.concealed(), 0);
            assert!(!sounds.contains(&found), "{path}, {count} of {all} codes sound like fewer");
            sounds.push(found);
        }
    }
}

/// One stream whose frames have different numbers of codes is, frame by frame, at the state of any other that was given
/// the same: so that a sender may change its bit rate in the middle.
#[test]
fn codes_may_come_and_go_from_frame_to_frame() {
    let model = load(DEMO);
    let (codes, all) = (speech(&model), model.codebooks());
    let mut few = codes.clone();
    for (index, frame) in few.chunks_exact_mut(all).enumerate() {
        frame[1 + index % all..].fill(NO_CODE);
    }
    // the frames until then have all codes
    let change = 20 * all;
    let mixed = [&codes[..change], &few[change..]].concat();
    let (_, sound) = decode(&model, &all_of(&model), &mixed);
    let (_, whole) = decode(&model, &all_of(&model), &codes);
    assert!(sound[..20 * FRAME] == whole[..20 * FRAME]);
    assert!(sound[20 * FRAME..] != whole[20 * FRAME..]);
}

/// Codes of the semantic branch, in each network.
const SEMANTIC: [usize; 3] = [1, 2, 1];

/// A branch is decoded as far as its first gap, and the other branch whatever happens to it.
#[test]
fn codes_after_a_gap_in_their_branch_do_not_count() {
    for (path, semantic) in TINY.into_iter().zip(SEMANTIC) {
        let model = load(path);
        let (codes, all) = (speech(&model), model.codebooks());
        for gap in 0..all {
            let branch = if gap < semantic { 0..semantic } else { semantic..all };
            let (mut hole, mut cut) = (codes.clone(), codes.clone());
            hole.chunks_exact_mut(all).for_each(|frame| frame[gap] = NO_CODE);
            cut.chunks_exact_mut(all).for_each(|frame| frame[gap..branch.end].fill(NO_CODE));
            let (hole_end, hole) = decode(&model, &all_of(&model), &hole);
            let (cut_end, cut) = decode(&model, &all_of(&model), &cut);
            assert!(hole == cut, "{path}, without code {gap}");
            assert_eq!(hole_end.codes_hash(), cut_end.codes_hash());
            assert_eq!(hole_end.concealed(), 0);
        }
        // the first of both branches is missing: nothing counts
        let mut neither = codes.clone();
        for frame in neither.chunks_exact_mut(all) {
            (frame[0], frame[semantic]) = (NO_CODE, NO_CODE);
        }
        let (decoder, pcm) = decode(&model, &all_of(&model), &neither);
        assert_eq!(decoder.concealed(), decoder.frames());
        assert!(pcm.iter().all(|x| *x == 0.0));
    }
}

#[test]
fn hashes_agree_where_both_ends_know_the_same_codes() {
    let model = load(TINY[0]);
    let (codes, all) = (speech(&model), model.codebooks());
    let options = all_of(&model);
    let hash = |codes: &[u32]| decode(&model, &options, codes).0.codes_hash();
    let lost = without(&codes, all, |frame| frame == 7);
    assert_ne!(hash(&codes), hash(&lost));
    assert_ne!(hash(&lost), hash(&without(&codes, all, |frame| frame == 8)));
    assert_ne!(hash(&codes), hash(&first_of_each(&codes, all, all - 1)));
    // what was dropped and what did not arrive
    let mut decoder = Decoder::new(&model, &options).unwrap();
    let mut pcm = vec![0.0; codes.len() / all * FRAME];
    decoder.process(&codes[..7 * all], &mut pcm).unwrap();
    decoder.process_lost(1, &mut pcm).unwrap();
    decoder.process(&codes[8 * all..], &mut pcm).unwrap();
    assert_eq!(decoder.codes_hash(), hash(&lost));
}
