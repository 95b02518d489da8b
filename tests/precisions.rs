//! In every precision, a result does not depend on how the work is cut: into chunks, blocks, threads and streams in one
//! call. Inputs that are rounded have scales, which would tell if these were of the work and not of the signal.

mod support;

use mimi::{Decoder, Encoder, LoadOptions, Model, Precision, StreamOptions};
use support::golden::DEMO;
use support::{repository, wav};

const PRECISIONS: [Precision; 4] = [Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8];
const FRAMES: usize = 19;

/// Streams in one call, each with a signal of its own.
const STREAMS: usize = 3;

/// Frames of a recording for each stream, at different loudness.
fn voices(frame: usize) -> Vec<Vec<f32>> {
    let pcm = wav(&repository("tests/data/golden/long.wav"));
    let voice = |stream: usize| {
        let from = pcm[stream * 30 * frame..][..FRAMES * frame].iter();
        from.map(|x| x * 0.1f32.powi(stream as i32)).collect()
    };
    (0..STREAMS).map(voice).collect()
}

fn encoded_by_stream(model: &Model, pcm: &[f32], chunk: usize, options: &StreamOptions) -> Vec<f32> {
    let mut encoder = Encoder::new(model, options).unwrap();
    let mut latents = Vec::new();
    for chunk in pcm.chunks(chunk) {
        let mut some = vec![0.0; encoder.latents_for(chunk.len())];
        encoder.process_latents(chunk, &mut some).unwrap();
        latents.extend(some);
    }
    latents
}

fn decoded_by_stream(model: &Model, latents: &[f32], frames: usize, options: &StreamOptions) -> Vec<f32> {
    let mut decoder = Decoder::new(model, options).unwrap();
    let mut pcm = Vec::new();
    for chunk in latents.chunks(frames * model.spec().latent_dim) {
        let mut some = vec![0.0; decoder.samples_for_latents(chunk.len())];
        decoder.process_latents(chunk, &mut some).unwrap();
        pcm.extend(some);
    }
    pcm
}

#[test]
fn any_cut_gives_the_same_bits() {
    let networks = ["tiny", "tiny-dilated", "tiny-replicate", "tiny-shortcut", "pocket-tiny", "demo"];
    for (network, precision) in networks.into_iter().flat_map(|n| PRECISIONS.map(|p| (n, p))) {
        let path =
            if network == "demo" { DEMO.path() } else { repository(&format!("tests/data/golden/{network}")) };
        let model = Model::load(path, &LoadOptions { precision, ..LoadOptions::default() }).unwrap();
        let frame = model.spec().frame_size;
        let what = format!("{network} in {precision:?}");
        let options = |threads, max_block| StreamOptions { threads, max_block, ..StreamOptions::default() };
        let plain = options(None, None);
        let voices = voices(frame);

        let latents: Vec<_> = voices.iter().map(|pcm| model.encode_latents(pcm, &plain).unwrap()).collect();
        let audio: Vec<_> =
            latents.iter().map(|latents| model.decode_latents(latents, &plain).unwrap()).collect();
        for (threads, block) in [(None, Some(frame)), (None, Some(3 * frame)), (Some(3), None)] {
            let options = options(threads, block);
            assert!(model.encode_latents(&voices[0], &options).unwrap() == latents[0], "{what}: {options:?}");
            assert!(model.decode_latents(&latents[0], &options).unwrap() == audio[0], "{what}: {options:?}");
        }
        for (chunk, block) in [(777, None), (frame, None), (5 * frame + 1, Some(2 * frame))] {
            let options = options(None, block);
            let found = encoded_by_stream(&model, &voices[0], chunk, &options);
            assert!(found == latents[0], "{what}: {chunk} samples, {options:?}");
            let found = decoded_by_stream(&model, &latents[0], chunk.div_ceil(frame), &options);
            assert!(found == audio[0], "{what}: {chunk} samples, {options:?}");
        }

        let width = model.spec().latent_dim;
        let mut encoders: Vec<_> = (0..STREAMS).map(|_| Encoder::new(&model, &plain).unwrap()).collect();
        let mut decoders: Vec<_> = (0..STREAMS).map(|_| Decoder::new(&model, &plain).unwrap()).collect();
        for index in 0..FRAMES {
            let of_pcm = index * frame..(index + 1) * frame;
            let of_latents = index * width..(index + 1) * width;
            let (mut made, mut heard) = (vec![vec![0.0; width]; STREAMS], vec![vec![0.0; frame]; STREAMS]);
            let mut members: Vec<_> = encoders.iter_mut().collect();
            let inputs: Vec<_> = voices.iter().map(|pcm| &pcm[of_pcm.clone()]).collect();
            let mut outputs: Vec<_> = made.iter_mut().map(Vec::as_mut_slice).collect();
            Encoder::process_many_latents(&mut members, &inputs, &mut outputs).unwrap();
            let mut members: Vec<_> = decoders.iter_mut().collect();
            let inputs: Vec<_> = latents.iter().map(|latents| &latents[of_latents.clone()]).collect();
            let mut outputs: Vec<_> = heard.iter_mut().map(Vec::as_mut_slice).collect();
            Decoder::process_many_latents(&mut members, &inputs, &mut outputs).unwrap();
            for stream in 0..STREAMS {
                assert!(
                    made[stream] == latents[stream][of_latents.clone()],
                    "{what}: stream {stream}, frame {index}"
                );
                assert!(
                    heard[stream] == audio[stream][of_pcm.clone()],
                    "{what}: stream {stream}, frame {index}"
                );
            }
        }
    }
}
