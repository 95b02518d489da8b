//! Models that are well-formed and would hurt: by what they cost, by numbers that overflow while loading, by halves
//! that are not there, by frames longer than a block.

#[path = "support/mod.rs"]
mod support;

use mimi::probe::Costs;
use mimi::{
    Checkpoint, Config, Decoder, Encoder, Error, ErrorKind, LoadOptions, Model, Parts, Precision,
    StreamOptions,
};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use support::{repository, synth};

/// The network that the fuzz targets run: frames of 8 samples, 3 codebooks.
fn micro() -> Config {
    Checkpoint::open(&repository("tests/fuzz/micro.safetensors")).unwrap().config().clone()
}

fn load(config: &Config) -> Result<Model, Error> {
    Model::load_bytes(&synth::checkpoint(config), &LoadOptions::default())
}

#[track_caller]
fn assert_refused<T>(result: Result<T, Error>, kind: ErrorKind, parts: &[&str]) {
    let error = result.map(|_| ()).expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{part:?} is not in {error}");
    }
}

/// A tensor and its first value.
type First<'a> = (&'a str, f32);

/// A checkpoint with some tensors left out, and others with a first value of their own.
fn changed(config: &Config, keep: impl Fn(&str) -> bool, first: &[First]) -> Vec<u8> {
    let file = synth::checkpoint(config);
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let parsed = SafeTensors::deserialize(&file).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = parsed
        .iter()
        .filter(|(name, _)| keep(name))
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    for (name, value) in first {
        let (_, _, data) = tensors.iter_mut().find(|(found, ..)| found == name).expect(name);
        data[..4].copy_from_slice(&value.to_le_bytes());
    }
    let views = tensors
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    safetensors::serialize(views, header.metadata().clone()).unwrap()
}

/// Finite in the file, infinite once loaded.
#[test]
fn weights_that_overflow_while_loading_are_corrupt() {
    let semantic = "quantizer.semantic_residual_vector_quantizer.layers.0.codebook";
    let (sum, usage) = (format!("{semantic}.embed_sum"), format!("{semantic}.cluster_usage"));
    let layer = "encoder_transformer.layers.0";
    let attention =
        [format!("{layer}.self_attn_layer_scale.scale"), format!("{layer}.self_attn.o_proj.weight")];
    let feed_forward = [format!("{layer}.mlp_layer_scale.scale"), format!("{layer}.mlp.fc2.weight")];
    let key = format!("{layer}.self_attn.k_proj.weight");
    let cases: [(&[First], Precision, &str); 9] = [
        (&[(&sum, 1e36), (&usage, 0.0)], Precision::F32, &sum),
        // finite, but its norm is not
        (&[(&sum, 1e25), (&usage, 1.0)], Precision::F32, &sum),
        (&[(&attention[0], 1e20), (&attention[1], 1e20)], Precision::F32, "o_proj"),
        (&[(&attention[0], 1e20), (&attention[1], 1e20)], Precision::Int8, "o_proj"),
        (&[(&feed_forward[0], 1e20), (&feed_forward[1], 1e20)], Precision::F32, "fc2"),
        (&[(&feed_forward[0], 1.0), (&feed_forward[1], f32::MAX)], Precision::Bf16, "fc2"),
        (&[("downsample.conv.weight", f32::MAX)], Precision::Bf16, "downsample.conv.weight"),
        (&[(&format!("{layer}.mlp.fc1.weight"), -f32::MAX)], Precision::Bf16, "fc1"),
        (&[(&key, f32::MAX)], Precision::Bf16, &format!("q_proj.weight` or `{key}` or")),
    ];
    for (values, precision, tensor) in cases {
        let file = changed(&micro(), |_| true, values);
        let loaded = Model::load_bytes(&file, &LoadOptions { precision, ..Default::default() });
        assert_refused(loaded, ErrorKind::Corrupt, &["checkpoint: ", tensor]);
    }
}

/// Also of tensors that are read beside others.
#[test]
fn a_tensor_that_is_not_finite_is_named_alone() {
    for name in [
        "encoder.layers.0.conv.bias",
        "decoder.layers.2.conv.bias",
        "quantizer.acoustic_residual_vector_quantizer.layers.0.codebook.cluster_usage",
        "encoder_transformer.layers.1.self_attn.v_proj.weight",
        "decoder_transformer.layers.0.input_layernorm.bias",
    ] {
        let file = changed(&micro(), |_| true, &[(name, f32::NAN)]);
        let error = Model::load_bytes(&file, &LoadOptions::default()).expect_err("must be refused");
        let expected = format!("checkpoint: tensor `{name}`: value 0 is NaN: expected a finite number");
        assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupt, expected.as_str()));
    }
    // sums of two taps: large enough for pairs, and even rows
    let wide = Config { num_filters: 64, upsampling_ratios: vec![4, 2], ..micro() };
    let (name, mut file) = ("decoder.layers.2.conv.weight", synth::checkpoint(&wide));
    let (begin, taps) = {
        let parsed = SafeTensors::deserialize(&file).unwrap();
        let tensor = parsed.tensor(name).unwrap();
        (tensor.data().as_ptr().addr() - file.as_ptr().addr(), tensor.shape()[2])
    };
    for tap in [0, taps / 2] {
        file[begin + 4 * tap..][..4].copy_from_slice(&3e38f32.to_le_bytes());
    }
    assert_refused(
        Model::load_bytes(&file, &LoadOptions::default()),
        ErrorKind::Corrupt,
        &["checkpoint: ", name],
    );
}

/// Gains are at most the largest float, and a row's values at most its gain: weight norm cannot overflow.
#[test]
fn the_largest_gain_of_a_weight_norm_is_loaded() {
    let name = "encoder.layers.0.conv.weight";
    let file = synth::checkpoint(&micro());
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let parsed = SafeTensors::deserialize(&file).unwrap();
    let shape = parsed.tensor(name).unwrap().shape().to_vec();
    let (rows, len) = (shape[0], shape[1] * shape[2]);
    let gains: Vec<u8> = (0..rows).flat_map(|_| f32::MAX.to_le_bytes()).collect();
    let direction = |i: usize| if i.is_multiple_of(len) { 1e-20f32 } else { 0.0 };
    let directions: Vec<u8> = (0..rows * len).flat_map(|i| direction(i).to_le_bytes()).collect();
    let rest = parsed.iter().filter(|(found, _)| *found != name);
    let normed = [("weight_v", shape, &directions), ("weight_g", vec![rows, 1, 1], &gains)].map(
        |(field, shape, data)| {
            (format!("encoder.layers.0.conv.{field}"), TensorView::new(Dtype::F32, shape, data).unwrap())
        },
    );
    let tensors = rest.map(|(name, view)| (name.to_owned(), view)).chain(normed);
    let file = safetensors::serialize(tensors, header.metadata().clone()).unwrap();
    assert!(Model::load_bytes(&file, &LoadOptions::default()).is_ok());
}

#[test]
fn half_a_checkpoint_says_so() {
    let encoder = |name: &str| !name.starts_with("decoder") && !name.starts_with("upsample");
    let decoder = |name: &str| !name.starts_with("encoder") && !name.starts_with("downsample");
    let halves = [
        (
            changed(&micro(), encoder, &[]),
            Parts::Encoder,
            Parts::Decoder,
            ["encoder alone", "MIMI_PARTS_ENCODER"],
        ),
        (
            changed(&micro(), decoder, &[]),
            Parts::Decoder,
            Parts::Encoder,
            ["decoder alone", "MIMI_PARTS_DECODER"],
        ),
    ];
    for (file, has, lacks, [says, option]) in halves {
        let load = |parts| Model::load_bytes(&file, &LoadOptions { parts, ..Default::default() });
        for parts in [Parts::Both, lacks] {
            assert_refused(load(parts), ErrorKind::Unsupported, &["checkpoint: ", says, option]);
        }
        assert_eq!(load(has).unwrap().parts(), has);
    }
    // one tensor that is missing is another matter
    let file = changed(&micro(), |name| name != "decoder.layers.0.conv.weight", &[]);
    let loaded = Model::load_bytes(&file, &LoadOptions::default());
    assert_refused(loaded, ErrorKind::Corrupt, &["decoder.layers.0.conv.weight", "missing"]);
}

/// Frames of 0.72 s, and frames as long as the largest block.
#[test]
fn one_shot_calls_work_with_long_frames() {
    let long = Config { upsampling_ratios: vec![8, 6, 5, 4], latent_stride: 18, ..micro() };
    let longest = Config {
        upsampling_ratios: vec![1024],
        latent_stride: 256,
        num_filters: 1,
        compress: 1,
        num_residual_layers: 1,
        ..micro()
    };
    for (config, frames) in [(long, 17), (longest, 2)] {
        let model = load(&config).unwrap();
        let (frame, codebooks) = (config.frame_size(), model.codebooks());
        let pcm: Vec<f32> = (0..frames * frame - 5).map(|i| (i as f32 * 0.01).sin()).collect();
        let options = StreamOptions::default();
        let codes = model.encode(&pcm, &options).unwrap();
        assert_eq!(codes.len(), frames * codebooks);
        let mut encoder = Encoder::new(&model, &options).unwrap();
        let mut streamed = vec![0; codes.len()];
        let written = encoder.process(&pcm, &mut streamed).unwrap();
        encoder.flush(&mut streamed[written..]).unwrap();
        assert_eq!(codes, streamed);

        let mut decoder = Decoder::new(&model, &options).unwrap();
        let mut audio = vec![0.0; frames * frame];
        decoder.process(&codes, &mut audio).unwrap();
        assert!(model.decode(&codes, &options).unwrap() == audio);
        assert!(model.decode(&codes[..codebooks], &options).unwrap() == audio[..frame]);
        let one = StreamOptions { codebooks: Some(1), ..Default::default() };
        assert_eq!(model.decode(&codes[..frames], &one).unwrap().len(), frames * frame);
    }
}

/// Of each, the file is small and every number within its own bounds.
#[test]
fn models_that_cost_too_much_are_refused() {
    let tall = Config {
        num_residual_layers: 28,
        residual_kernel_size: 2,
        dilation_growth_rate: 2,
        upsampling_ratios: vec![1],
        num_filters: 1,
        compress: 1,
        ..micro()
    };
    let wide = Config { num_residual_layers: 4, dilation_growth_rate: 512, ..tall.clone() };
    let busy = Config {
        num_residual_layers: 32,
        residual_kernel_size: 1024,
        dilation_growth_rate: 1,
        upsampling_ratios: vec![1024, 64],
        latent_stride: 256,
        ..tall.clone()
    };
    let deep = Config {
        num_hidden_layers: 256,
        sliding_window: 1 << 18,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 2,
        ..micro()
    };
    for (config, part) in [(tall, "bytes"), (wide, "bytes"), (busy, "a frame"), (deep, "bytes")] {
        config.validate().unwrap();
        assert_refused(load(&config), ErrorKind::Unsupported, &["checkpoint: ", part, "at most"]);
    }
    let grouped = Config { hidden_size: 8192, upsample_groups: 4096, ..micro() };
    assert_refused(grouped.validate(), ErrorKind::Unsupported, &["upsample_groups", "zeros"]);
}

/// Networks just within the bounds of memory, and one step beyond.
#[test]
fn a_stream_takes_what_the_header_says_at_most() {
    let heads = Config {
        sampling_rate: 200,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 64,
        ..micro()
    };
    // keys and values of two layers, 4 × 64 values each
    let attentive = |window| Config { num_hidden_layers: 2, sliding_window: window, ..heads.clone() };
    let dilated = |growth| Config {
        num_residual_layers: 4,
        residual_kernel_size: 2,
        dilation_growth_rate: growth,
        sampling_rate: 1000,
        upsampling_ratios: vec![100],
        num_filters: 1,
        compress: 1,
        ..micro()
    };
    let ones: [(&dyn Fn(usize) -> Config, usize); 2] = [(&attentive, 120_000), (&dilated, 390)];
    for (config, most) in ones {
        let model = load(&config(most)).unwrap();
        let options = StreamOptions { codebooks: Some(model.codebooks()), ..Default::default() };
        let (encoder, decoder) =
            (Encoder::new(&model, &options).unwrap(), Decoder::new(&model, &options).unwrap());
        let counted =
            [Costs::of_encoder(&model), Costs::of_decoder(&model)].map(|cost| cost.unwrap().unwrap().bytes);
        for (taken, counted) in [encoder.memory_bytes(), decoder.memory_bytes()].into_iter().zip(counted) {
            // beside the frame that an encoder gathers
            assert!((taken as u64).abs_diff(counted) < 64 << 10, "{taken} bytes, {counted} were counted");
        }
        let largest = counted.into_iter().max().unwrap();
        assert!((400 << 20..=512 << 20).contains(&largest), "{largest}");
        assert_refused(load(&config(most * 5 / 4)), ErrorKind::Unsupported, &["a stream", "536870912"]);
    }
}

/// Networks that people use, and wider ones than any of them.
#[test]
fn networks_that_people_use_are_far_within_the_bounds() {
    // as in Pocket TTS: frames of sixteen steps
    let pocket = Config {
        upsampling_ratios: vec![6, 5, 4],
        latent_stride: 16,
        num_hidden_layers: 2,
        codebook_dim: 32,
        vector_quantization_hidden_dimension: 32,
        ..Config::published()
    };
    // an attention window of minutes
    let attentive = Config { sliding_window: 4_000, ..Config::published() };
    let published = Model::load(synth::full_size(), &LoadOptions::default()).unwrap();
    for (name, model) in [
        ("published", published),
        ("pocket", load(&pocket).unwrap()),
        ("attentive", load(&attentive).unwrap()),
    ] {
        let config = model.config();
        let frames_per_second = f64::from(config.sampling_rate) / config.frame_size() as f64;
        for costs in [Costs::of_encoder(&model), Costs::of_decoder(&model)] {
            let Costs { bytes, work } = costs.unwrap().unwrap();
            println!("{name}: {bytes} bytes, {work} multiply-adds, {frames_per_second} frames/s");
            assert!(bytes < (512 << 20) / if name == "attentive" { 3 } else { 30 }, "{name}: {bytes} bytes");
            let second = work as f64 * frames_per_second;
            assert!(
                work < (1 << 35) / 50 && second < (1u64 << 39) as f64 / 50.0,
                "{name}: {work} multiply-adds"
            );
        }
    }
}

/// Narrow layers are filled up: two words to as many as a register has, and twice over. The file has 32 bits.
#[test]
fn a_model_takes_what_the_header_says_at_most() {
    let narrow = Config {
        codebook_size: 2,
        codebook_dim: 8192,
        vector_quantization_hidden_dimension: 8192,
        ..micro()
    };
    let file = synth::checkpoint(&narrow);
    for precision in [Precision::F32, Precision::Bf16, Precision::Int16, Precision::Int8] {
        let model = Model::load_bytes(&file, &LoadOptions { precision, ..Default::default() }).unwrap();
        let times = model.memory_bytes() / file.len();
        assert!(times < 32, "{times} times its file");
    }
}

/// What is counted as equal work takes times of one order. Times depend on the machine, so this is weekly work.
#[test]
#[ignore = "measures time, which depends on the machine: `bash .ci/weekly` runs it"]
fn work_is_counted_alike_in_all_layers() {
    let plain =
        Config { num_residual_layers: 1, upsampling_ratios: vec![8, 6, 5, 4], num_filters: 16, ..micro() };
    let slow = Config { sampling_rate: 200, ..micro() };
    let networks = [
        ("convolutions", Config { hidden_size: 64, upsample_groups: 64, num_filters: 32, ..plain.clone() }),
        ("narrow", Config { num_filters: 2, ..plain.clone() }),
        ("long kernels", Config { residual_kernel_size: 1024, num_filters: 2, ..plain.clone() }),
        (
            "many calls",
            Config {
                num_residual_layers: 32,
                upsampling_ratios: vec![1; 3],
                num_filters: 1,
                compress: 1,
                dilation_growth_rate: 1,
                ..plain.clone()
            },
        ),
        (
            "history",
            Config {
                num_residual_layers: 4,
                residual_kernel_size: 2,
                dilation_growth_rate: 100,
                upsampling_ratios: vec![16],
                num_filters: 1,
                compress: 1,
                ..micro()
            },
        ),
        (
            "attention",
            Config {
                num_attention_heads: 64,
                num_key_value_heads: 1,
                head_dim: 2,
                sliding_window: 400,
                ..slow.clone()
            },
        ),
        (
            "heads",
            Config {
                num_attention_heads: 8,
                num_key_value_heads: 8,
                head_dim: 256,
                sliding_window: 300,
                ..slow.clone()
            },
        ),
        ("codebooks", Config { num_quantizers: 200, codebook_size: 3, ..slow.clone() }),
        ("words", Config { num_quantizers: 4, codebook_size: 20_000, ..slow.clone() }),
        ("layers", Config { num_hidden_layers: 200, ..slow.clone() }),
    ];
    let (mut slowest, mut fastest) = (0.0f64, f64::INFINITY);
    for (name, config) in networks {
        let model = load(&config).unwrap();
        let options = StreamOptions { codebooks: Some(model.codebooks()), ..Default::default() };
        let mut encoder = Encoder::new(&model, &options).unwrap();
        let mut decoder = Decoder::new(&model, &options).unwrap();
        let pcm: Vec<f32> = (0..config.frame_size()).map(|i| (i as f32).sin()).collect();
        let (mut codes, mut audio) = (vec![0; model.codebooks()], vec![0.0; pcm.len()]);
        let [encoding, decoding] =
            [Costs::of_encoder(&model), Costs::of_decoder(&model)].map(|c| c.unwrap().unwrap());
        let time = |work: u64, step: &mut dyn FnMut()| {
            let mut best = f64::INFINITY;
            // until attention sees a whole window
            (0..config.sliding_window / 2).for_each(|_| step());
            for _ in 0..5 {
                let begin = std::time::Instant::now();
                step();
                best = best.min(begin.elapsed().as_secs_f64());
            }
            best * 1e9 / work as f64
        };
        let encode = time(encoding.work, &mut || {
            encoder.process(&pcm, &mut codes).unwrap();
        });
        let decode = time(decoding.work, &mut || {
            decoder.process(&codes, &mut audio).unwrap();
        });
        println!(
            "{name}: {} and {} multiply-adds, of {encode:.4} and {decode:.4} ns",
            encoding.work, decoding.work
        );
        slowest = slowest.max(encode).max(decode);
        fastest = fastest.min(encode).min(decode);
    }
    assert!(slowest < 40.0 * fastest, "{slowest} ns, {fastest} ns");
}

#[test]
fn sample_rates_whose_frames_have_too_many_samples_are_refused() {
    // a second a frame, of 65,536 samples at 65,536 Hz
    let config = Config {
        sampling_rate: 1,
        upsampling_ratios: vec![1024, 32],
        num_filters: 1,
        compress: 1,
        num_residual_layers: 1,
        ..micro()
    };
    let model = load(&config).unwrap();
    let at = |rate| StreamOptions { sample_rate: Some(rate), ..Default::default() };
    for rate in [65_536, 65_600, 131_072] {
        let parts = ["sample_rate is", "frame", "4194304"];
        assert_refused(Encoder::new(&model, &at(rate)), ErrorKind::InvalidArgument, &parts);
        assert_refused(Decoder::new(&model, &at(rate)), ErrorKind::InvalidArgument, &parts);
        assert_refused(model.encode(&[0.0; 10], &at(rate)), ErrorKind::InvalidArgument, &parts);
        assert_refused(model.decode(&[0; 3], &at(rate)), ErrorKind::InvalidArgument, &parts);
        assert_refused(model.samples_for(3, &at(rate)), ErrorKind::InvalidArgument, &parts);
    }
}
