//! Streams of random networks, called in any way.

use super::support::configs::{self, Network};
use super::{Random, latents, trials};
use mimi::{Config, Decoder, Encoder, Model, StreamOptions, Tail};
use proptest::prelude::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

#[test]
#[ignore = "runs for MIMI_SECONDS, a minute if not set: `bash .ci/weekly` runs it"]
fn any_calls_give_the_bits_of_one() {
    let outcomes = [
        "networks",
        "streams each way",
        "frames",
        "calls of process_many",
        "refused calls",
        "frames of latents",
    ];
    trials("streams", outcomes, |random| {
        let network = network(random);
        let model = Model::load_bytes(&network.checkpoint(), &random.load_options()).unwrap();
        let mut counts = [1, 0, 0, 0, 0, 0];
        for _ in 0..6 {
            let options = stream_options(random, model.config());
            let samples = random.below(6 * model.config().frame_size()) + 1;
            let pcm = random.audio(samples);
            let latents = latents::cut(&model, &options, &pcm, random);
            if model.config().continuous.is_some() {
                counts[5] += latents;
                continue;
            }
            let mut run = Run { model: &model, random, options, frames: 0, many: 0, refused: 0 };
            let codes = run.encode();
            run.decode(&codes);
            let found = [0, 1, run.frames, run.many, run.refused, latents];
            counts.iter_mut().zip(found).for_each(|(count, more)| *count += more);
        }
        counts
    });
}

/// A small network of a whole number of frames a second, so that many sample rates are possible.
fn network(random: &mut Random) -> Network {
    let seed: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Default::default(), rng);
    let mut network = configs::any_network().new_tree(&mut runner).unwrap().current();
    let frame = network.config.frame_size();
    let rate = random.within(1_000, 48_000);
    network.config.sampling_rate = (frame * (rate / frame).max(1)) as u32;
    network
}

fn stream_options(random: &mut Random, config: &Config) -> StreamOptions {
    let frame = config.frame_size();
    let maybe = |random: &mut Random, last: usize| (!random.once_in(3)).then(|| random.within(1, last));
    StreamOptions {
        codebooks: match config.num_quantizers {
            0 => None,
            all => maybe(random, all).or(Some(all)),
        },
        tail: random.one_of(&[Tail::AudioPad, Tail::LayerPad]),
        context: maybe(random, 20).or((random.once_in(8)).then_some(5_000)),
        max_block: maybe(random, 6 * frame),
        sample_rate: random.once_in(2).then(|| rate(random, config)),
        threads: None,
    }
}

/// A rate at which a frame is an even number of samples, and not more than eight times as many as the model's.
fn rate(random: &mut Random, config: &Config) -> u32 {
    let (own, frame) = (config.sampling_rate, config.frame_size());
    // frames must have halves
    if !frame.is_multiple_of(2) {
        return own;
    }
    let frames_a_second = own as usize / frame;
    let pairs = (768_000 / frames_a_second).min(8 * frame) / 2;
    let rate = 2 * random.within(1, pairs.max(1)) * frames_a_second;
    if (1_000..=768_000).contains(&rate) { rate as u32 } else { own }
}

/// One set of options, and what has been done with it.
struct Run<'a> {
    model: &'a Model,
    random: &'a mut Random,
    options: StreamOptions,
    frames: usize,
    many: usize,
    refused: usize,
}

impl Run<'_> {
    /// Other numbers of things that must change no bit of a one-shot call.
    fn one_shot(&mut self) -> StreamOptions {
        let frame = self.model.config().frame_size();
        StreamOptions {
            max_block: Some(self.random.within(1, 8 * frame)),
            threads: Some(self.random.within(1, 4)),
            ..self.options.clone()
        }
    }

    /// Codes of the one-shot call, which are those of a stream.
    fn encode(&mut self) -> Vec<u32> {
        let mut encoder = Encoder::new(self.model, &self.options).unwrap();
        let mut companion = Encoder::new(self.model, &StreamOptions::default()).unwrap();
        let frame = encoder.frame_samples();
        let samples = self.random.below(6 * frame) + 1;
        let pcm = self.random.audio(samples);
        let options = self.one_shot();
        let expected = self.model.encode(&pcm, &options).unwrap();
        assert_eq!(self.model.codes_for(samples, &options).unwrap(), expected.len());
        assert!(expected.iter().all(|&code| (code as usize) < self.model.config().codebook_size));

        // whatever a stream did before, it begins anew
        if self.random.once_in(2) {
            let before = self.random.below(3 * frame);
            let before = self.random.audio(before);
            process(&mut encoder, &before);
            if self.random.once_in(2) {
                encoder.reset();
            } else {
                flush(&mut encoder);
            }
        }
        let (mut codes, mut rest) = (Vec::new(), pcm.as_slice());
        while !rest.is_empty() {
            match self.random.below(8) {
                0 => encoder = encoder.try_clone().unwrap(),
                1 => {
                    let mut fork = encoder.try_clone().unwrap();
                    let samples = self.random.below(2 * frame);
                    process(&mut fork, &self.random.audio(samples));
                    flush(&mut fork);
                }
                2 => self.refused_encoding(&mut encoder, rest),
                3 if self.in_step(!codes.is_empty()) && rest.len() >= frame => {
                    let mut other = encoder.try_clone().unwrap();
                    let noise = self.random.audio(frame);
                    let quiet = vec![0.0; companion.frame_samples()];
                    let mut found = vec![0; encoder.codebooks()];
                    let (mut others, mut companions) = (found.clone(), vec![0; companion.codebooks()]);
                    let mut streams = [&mut other, &mut encoder, &mut companion];
                    let mut outputs = [&mut others[..], &mut found, &mut companions];
                    let inputs = [&noise[..], &rest[..frame], &quiet];
                    Encoder::process_many(&mut streams, &inputs, &mut outputs).unwrap();
                    codes.extend(found);
                    rest = &rest[frame..];
                    self.many += 1;
                }
                _ => {
                    let count = self.random.below(2 * frame + 1).min(rest.len());
                    codes.extend(process(&mut encoder, &rest[..count]));
                    rest = &rest[count..];
                }
            }
        }
        codes.extend(flush(&mut encoder));
        assert!(codes == expected, "{:?}", self.options);
        assert_eq!(encoder.frames() as usize * encoder.codebooks(), codes.len());
        self.frames += encoder.frames() as usize;
        expected
    }

    /// The first frame must have been a stream's own at a rate other than the model's.
    fn in_step(&self, begun: bool) -> bool {
        self.options.sample_rate.is_none_or(|rate| rate == self.model.config().sampling_rate) || begun
    }

    fn refused_encoding(&mut self, encoder: &mut Encoder, rest: &[f32]) {
        let needed = encoder.codes_for(rest.len());
        if needed > 0 {
            let mut codes = vec![77_777; self.random.below(needed)];
            encoder.process(rest, &mut codes).unwrap_err();
            assert!(codes.iter().all(|&code| code == 77_777));
            self.refused += 1;
        }
    }

    fn decode(&mut self, codes: &[u32]) {
        let options = self.one_shot();
        let expected = self.model.decode(codes, &options).unwrap();
        let mut decoder = Decoder::new(self.model, &self.options).unwrap();
        let codebooks = decoder.codebooks();
        if self.random.once_in(2) {
            let before = &codes[..codebooks * self.random.below(codes.len() / codebooks + 1)];
            process_codes(&mut decoder, before);
            if self.random.once_in(2) {
                decoder.reset();
            } else {
                flush_audio(&mut decoder);
            }
        }
        let (mut audio, mut rest) = (Vec::new(), codes);
        while !rest.is_empty() {
            match self.random.below(8) {
                0 => decoder = decoder.try_clone().unwrap(),
                1 => {
                    let mut fork = decoder.try_clone().unwrap();
                    process_codes(&mut fork, rest);
                    flush_audio(&mut fork);
                }
                2 => self.refused_decoding(&mut decoder, rest),
                3 if self.in_step(rest.len() < codes.len()) => {
                    let mut other = decoder.try_clone().unwrap();
                    let mut found = vec![0.0; decoder.frame_samples()];
                    let mut others = found.clone();
                    let inputs = [&codes[..codebooks], &rest[..codebooks]];
                    let mut outputs = [&mut others[..], &mut found];
                    Decoder::process_many(&mut [&mut other, &mut decoder], &inputs, &mut outputs).unwrap();
                    audio.extend(found);
                    rest = &rest[codebooks..];
                    self.many += 1;
                }
                _ => {
                    let count = codebooks * self.random.below(4).min(rest.len() / codebooks);
                    audio.extend(process_codes(&mut decoder, &rest[..count]));
                    rest = &rest[count..];
                }
            }
        }
        audio.extend(flush_audio(&mut decoder));
        assert!(bits(&audio) == bits(&expected), "{:?}", self.options);
        assert_eq!(decoder.frames() as usize * codebooks, codes.len());
    }

    fn refused_decoding(&mut self, decoder: &mut Decoder, rest: &[u32]) {
        let needed = decoder.samples_for(rest.len());
        if needed > 0 {
            let mut pcm = vec![77.5; self.random.below(needed)];
            decoder.process(rest, &mut pcm).unwrap_err();
            assert!(pcm.iter().all(|&sample| sample == 77.5));
        }
        let mut bad = rest.to_vec();
        let index = self.random.below(bad.len());
        bad[index] = self.model.config().codebook_size as u32 + self.random.below(1 << 20) as u32;
        let mut pcm = vec![77.5; needed];
        decoder.process(&bad, &mut pcm).unwrap_err();
        assert!(pcm.iter().all(|&sample| sample == 77.5));
        self.refused += 2;
    }
}

/// A stream writes what it says that it will.
fn process(encoder: &mut Encoder, pcm: &[f32]) -> Vec<u32> {
    let mut codes = vec![0; encoder.codes_for(pcm.len())];
    assert_eq!(encoder.process(pcm, &mut codes), Ok(codes.len()));
    codes
}

fn flush(encoder: &mut Encoder) -> Vec<u32> {
    let mut codes = vec![0; encoder.codes_for_flush()];
    assert_eq!(encoder.flush(&mut codes), Ok(codes.len()));
    codes
}

fn process_codes(decoder: &mut Decoder, codes: &[u32]) -> Vec<f32> {
    let mut pcm = vec![0.0; decoder.samples_for(codes.len())];
    assert_eq!(decoder.process(codes, &mut pcm), Ok(pcm.len()));
    pcm
}

fn flush_audio(decoder: &mut Decoder) -> Vec<f32> {
    let mut pcm = vec![0.0; decoder.samples_for_flush()];
    assert_eq!(decoder.flush(&mut pcm), Ok(pcm.len()));
    pcm
}

/// For comparisons: a network may make what is not a number out of huge weights.
fn bits(pcm: &[f32]) -> Vec<u32> {
    pcm.iter().map(|sample| sample.to_bits()).collect()
}
