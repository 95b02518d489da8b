//! Frames without any of their codes.

use crate::*;
use mimi::StreamError;

/// Lost frames in a row after which there is silence.
const AUDIBLE: usize = 5;

#[test]
fn lost_frames_are_as_long_as_others_and_count() {
    let model = load(TINY[0]);
    let (codes, all) = (speech(&model), model.codebooks());
    let mut decoder = Decoder::new(&model, &all_of(&model)).unwrap();
    let mut pcm = vec![9.0; 2_000 * FRAME + 1];
    decoder.process(&codes[..3 * all], &mut pcm).unwrap();
    // more than the decoder takes at once
    for (lost, total) in [(1, 1), (0, 1), (4, 5), (1_300, 1_305)] {
        pcm.fill(9.0);
        assert_eq!(decoder.process_lost(lost, &mut pcm), Ok(lost * FRAME));
        assert!(pcm[lost * FRAME..].iter().all(|x| *x == 9.0));
        assert!(pcm[..lost * FRAME].iter().all(|x| *x != 9.0));
        assert_eq!((decoder.frames(), decoder.concealed()), (3 + total, total));
    }
    let short = &mut pcm[..3 * FRAME - 1];
    short.fill(9.0);
    assert_eq!(decoder.process_lost(3, short), Err(StreamError::BufferTooSmall { needed: 3 * FRAME }));
    assert!(short.iter().all(|x| *x == 9.0));
    assert_eq!(decoder.frames(), 1_308);
    let no_end = decoder.process_lost(usize::MAX, short);
    assert_eq!(no_end, Err(StreamError::BufferTooSmall { needed: usize::MAX }));
    decoder.flush(&mut []).unwrap();
    assert_eq!((decoder.frames(), decoder.concealed()), (1_308, 1_305));
    decoder.process(&codes[..all], &mut pcm).unwrap();
    assert_eq!((decoder.frames(), decoder.concealed()), (1, 0));
    decoder.process_lost(1, &mut pcm).unwrap();
    decoder.reset();
    assert_eq!((decoder.frames(), decoder.concealed()), (0, 0));
}

#[test]
fn before_the_first_codes_there_is_silence_and_after_reset_and_flush_too() {
    let model = load(DEMO);
    let (codes, all) = (speech(&model), model.codebooks());
    let mut decoder = Decoder::new(&model, &all_of(&model)).unwrap();
    let mut pcm = vec![0.0; codes.len() / all * FRAME];
    for _ in 0..3 {
        assert_eq!(decoder.process_lost(3, &mut pcm), Ok(3 * FRAME));
        assert!(pcm[..3 * FRAME].iter().all(|x| *x == 0.0));
        decoder.process(&codes, &mut pcm).unwrap();
        // no jump from silence
        assert_eq!(pcm[0], 0.0);
        assert!(loudest(&pcm) > 0.1);
        match decoder.frames() {
            45 => decoder.reset(),
            _ => assert_eq!(decoder.flush(&mut []), Ok(0)),
        }
    }
    // a stream that lost nothing does not swell
    decoder.reset();
    decoder.process(&codes, &mut pcm).unwrap();
    assert!(pcm == decode(&model, &all_of(&model), &codes).1);
}

/// Every frame in turn begins a loss of `lost` frames.
fn each_loss(lost: usize, mut check: impl FnMut(usize, &[f32], &[f32])) {
    let model = load(DEMO);
    let (codes, all) = (speech(&model), model.codebooks());
    let (_, whole) = decode(&model, &all_of(&model), &codes);
    for first in 1..codes.len() / all - lost - 1 {
        let until = (first + lost + 2) * all;
        let hurt = &without(&codes, all, |frame| (first..first + lost).contains(&frame))[..until];
        let (decoder, pcm) = decode(&model, &all_of(&model), hurt);
        assert_eq!(decoder.concealed() as usize, lost);
        assert!(pcm[..first * FRAME] == whole[..first * FRAME], "what comes before is as it was");
        assert!(pcm[first * FRAME..] != whole[first * FRAME..pcm.len()]);
        check(first, &pcm, &whole);
    }
}

#[test]
fn a_loss_is_never_louder_than_the_frame_before_and_ends_in_silence() {
    let mut heard = 0.0f32;
    each_loss(AUDIBLE + 3, |first, pcm, _| {
        let frame = |index: usize| &pcm[index * FRAME..][..FRAME];
        let before = loudest(frame(first - 1));
        for (lost, gain) in [1.0, 1.0, 0.9, 0.7, 0.4].into_iter().enumerate() {
            assert!(loudest(frame(first + lost)) <= before * gain, "frame {first}, lost {lost}");
        }
        heard = heard.max(loudest(frame(first)));
        for lost in AUDIBLE..AUDIBLE + 3 {
            assert!(frame(first + lost).iter().all(|x| *x == 0.0), "frame {first}, lost {lost}");
        }
    });
    assert!(heard > 0.05, "no more than {heard}");
}

#[test]
fn seams_do_not_click() {
    for lost in [1, 2, 4, 5, 7] {
        each_loss(lost, |first, pcm, whole| {
            let steepest_of_all = steepest(whole);
            for seam in [first, first + lost] {
                let around = steepest(&pcm[seam * FRAME - 2..seam * FRAME + 2]);
                assert!(around <= steepest_of_all, "{lost} from {first}: {around} at {seam}");
            }
            // frames after a loss come from a network that heard something else, and may be a little steeper: by 7 %
            let hurt = steepest(&pcm[first * FRAME - 2..]);
            assert!(hurt <= 1.1 * steepest_of_all, "{lost} from {first}: {hurt}, not {steepest_of_all}");
        });
    }
}

/// dB by which a stream's error lies below its sound.
fn below(whole: &[f32], hurt: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x).powi(2);
    let signal: f64 = whole.iter().map(|x| square(*x)).sum();
    let error: f64 = whole.iter().zip(hurt).map(|(whole, hurt)| square(whole - hurt)).sum();
    10.0 * (signal / error).log10()
}

/// The network forgets a loss, though not evenly, and in ten seconds wholly. Prints how fast.
#[test]
fn a_stream_recovers_from_a_loss() {
    let model = load(DEMO);
    let pcm = recording("long");
    let all = model.codebooks();
    let codes = model.encode(&pcm, &all_of(&model)).unwrap();
    let (_, whole) = decode(&model, &all_of(&model), &codes);
    const GOOD: [usize; 4] = [1, 5, 25, 125];
    for lost in [1, 5] {
        // sums over many losses, each far from the others
        let mut hurt_near = [const { Vec::new() }; GOOD.len()];
        let mut whole_near = [const { Vec::new() }; GOOD.len()];
        for first in (1..codes.len() / all - lost - GOOD[3]).step_by(3) {
            let until = (first + lost + GOOD[3]) * all;
            let hurt = without(&codes[..until], all, |frame| (first..first + lost).contains(&frame));
            let (_, hurt) = decode(&model, &all_of(&model), &hurt);
            for (index, good) in GOOD.into_iter().enumerate() {
                let frame = (first + lost + good - 1) * FRAME;
                hurt_near[index].extend_from_slice(&hurt[frame..][..FRAME]);
                whole_near[index].extend_from_slice(&whole[frame..][..FRAME]);
            }
        }
        let decibels: Vec<f64> =
            hurt_near.iter().zip(&whole_near).map(|(hurt, whole)| below(whole, hurt)).collect();
        println!("{lost} lost: the {GOOD:?}th good frame is {decibels:.1?} dB from the unhurt");
        assert!(decibels[1..].iter().all(|later| *later > decibels[0] + 3.0), "{decibels:?}");
        assert!(decibels[3] == f64::INFINITY, "{decibels:?}");
    }
}
