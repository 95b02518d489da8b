//! The voice of a reference, decoded once, and forked for each sentence that is spoken with it.

use super::*;
use mimi::Config;
use support::synth;

/// 26.7 s, as a text-to-speech model is given.
const PROMPT: usize = 334;

const SENTENCE: usize = 30;

/// Frames that look like nothing in particular; another `seed`, other codes.
fn noise(frames: usize, codebooks: usize, size: usize, seed: u32) -> Vec<u32> {
    // the generator of Numerical Recipes
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(seed), next);
    states.skip(1).take(frames * codebooks).map(|state| (state >> 8) % size as u32).collect()
}

/// Five forks, a frame of each in turn, after the stream that they are of is gone.
fn forks_go_on_as_if_each_had_heard_the_prompt(model: &Model, codebooks: usize, sample_rate: Option<u32>) {
    let options = StreamOptions { codebooks: Some(codebooks), sample_rate, ..Default::default() };
    let size = model.spec().codebook_size;
    let prompt = noise(PROMPT, codebooks, size, 1);
    let mut original = Decoder::new(model, &options).unwrap();
    let heard = decode_in(&mut original, &prompt, &[7]).len();
    let mut forks: Vec<_> = (0..5).map(|_| original.try_clone().unwrap()).collect();
    assert!(forks.iter().all(|fork| fork.memory_bytes() == original.memory_bytes()));
    drop(original);
    let sentences: Vec<_> = (2..7).map(|seed| noise(SENTENCE, codebooks, size, seed)).collect();
    let mut spoken = vec![Vec::new(); 5];
    for frame in 0..SENTENCE {
        for ((fork, sentence), spoken) in forks.iter_mut().zip(&sentences).zip(&mut spoken) {
            decode(fork, &sentence[frame * codebooks..][..codebooks], spoken);
        }
    }
    for ((mut fork, sentence), mut spoken) in forks.into_iter().zip(&sentences).zip(spoken) {
        let told = fork.samples_for_flush();
        let mut last = vec![0.0; told];
        assert_eq!(fork.flush(&mut last), Ok(told));
        spoken.extend(last);
        let whole = model.decode(&[&prompt[..], sentence].concat(), &options).unwrap();
        assert!(spoken == whole[heard..], "{codebooks} codebooks at {sample_rate:?} Hz");
    }
}

#[test]
fn a_prompt_is_decoded_once() {
    let config = Config { num_quantizers: 16, ..load("tiny").config().clone() };
    let model = Model::load_bytes(&synth::checkpoint(&config), &LoadOptions::default()).unwrap();
    for codebooks in [8, 16] {
        for sample_rate in [None, Some(44_100)] {
            forks_go_on_as_if_each_had_heard_the_prompt(&model, codebooks, sample_rate);
        }
    }
}
