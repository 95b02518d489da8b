//! How much work a frame is: multiply-adds and bytes of every layer, from the network's numbers, and
//! the least time that a machine can do it in.

use super::machine::Machine;
use mimi::probe::{EXACT_WEIGHTS, PAIRED_WEIGHTS, Stage};
use mimi::{Config, Precision};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Encode,
    Decode,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::Encode, Side::Decode];

    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Encode => "encode",
            Side::Decode => "decode",
        }
    }
}

/// A layer's work for a frame.
struct Layer {
    stage: Stage,
    /// Of a stream.
    multiply_adds: f64,
    /// Whether they are of integers.
    in_integers: bool,
    /// Of weights, read once for all streams.
    weight_bytes: f64,
    /// Of what a stream remembers and reads again.
    state_bytes: f64,
}

impl Layer {
    /// Seconds for a stream's multiply-adds.
    fn arithmetic(&self, machine: &Machine) -> f64 {
        let rate = match self.in_integers {
            true => machine.integer_multiply_adds_per_second,
            false => machine.multiply_adds_per_second,
        };
        self.multiply_adds / rate
    }
}

/// All layers of one half.
pub(super) struct Work {
    layers: Vec<Layer>,
    /// Bytes of a weight that may be rounded.
    width: f64,
}

impl Work {
    pub(super) fn new(config: &Config, precision: Precision, side: Side, codebooks: usize) -> Self {
        let width = match precision {
            Precision::F32 => 4.0,
            Precision::Bf16 => 2.0,
            Precision::Int8 => 1.0,
        };
        let mut work = Self { layers: Vec::new(), width };
        match side {
            Side::Encode => work.encoder(config, codebooks),
            Side::Decode => work.decoder(config, codebooks),
        }
        work
    }

    /// A convolution or linear layer that gives `rows` rows a frame. A transposed one is counted as the
    /// product of its inputs, `kernel / stride` at a time, and gives `stride · outputs`.
    fn product(&mut self, stage: Stage, rows: usize, inputs: usize, outputs: usize) {
        let exact = stage == Stage::Seanet && inputs * outputs <= EXACT_WEIGHTS;
        let width = if exact { 4.0 } else { self.width };
        let weights = (inputs * outputs) as f64;
        self.layers.push(Layer {
            stage,
            multiply_adds: rows as f64 * weights,
            // a search for more rows than a stream's is for words as they are
            in_integers: width == 1.0 && stage != Stage::Quantizer,
            weight_bytes: weights * width,
            state_bytes: 0.0,
        });
    }

    /// A SEANet convolution that changes the rate, whose outputs may be computed in pairs: with three products in place
    /// of four, for weights that are kept one and a half times.
    fn resampling(&mut self, rows: usize, inputs: usize, outputs: usize) {
        self.product(Stage::Seanet, rows, inputs, outputs);
        let weights = inputs * outputs;
        if let Some(layer) = self.layers.last_mut()
            && layer.weight_bytes == 4.0 * weights as f64
            && rows.is_multiple_of(2)
            && PAIRED_WEIGHTS.contains(&weights)
        {
            layer.multiply_adds *= 0.75;
            layer.weight_bytes *= 1.5;
        }
    }

    fn residual_blocks(&mut self, c: &Config, rows: usize, channels: usize) {
        for _ in 0..c.num_residual_layers {
            let hidden = channels / c.compress;
            self.product(Stage::Seanet, rows, c.residual_kernel_size * channels, hidden);
            self.product(Stage::Seanet, rows, hidden, channels);
            if c.use_conv_shortcut {
                self.product(Stage::Seanet, rows, channels, channels);
            }
        }
    }

    fn encoder(&mut self, c: &Config, codebooks: usize) {
        let (mut rows, mut channels) = (c.frame_size(), c.num_filters);
        self.product(Stage::Seanet, rows, c.kernel_size, channels);
        for ratio in c.upsampling_ratios.iter().rev() {
            self.residual_blocks(c, rows, channels);
            rows /= ratio;
            self.resampling(rows, 2 * ratio * channels, 2 * channels);
            channels *= 2;
        }
        self.product(Stage::Seanet, rows, c.last_kernel_size * channels, c.hidden_size);
        self.transformer(c, rows);
        self.product(Stage::Resampling, 1, 2 * c.latent_stride * c.hidden_size, c.hidden_size);
        self.projections(c, codebooks);
        self.width = 1.0; // a stream's search reads the words in eight bits, and few of them as they are
        for _ in 0..codebooks {
            self.product(Stage::Quantizer, 1, c.codebook_dim, c.codebook_size);
        }
    }

    fn decoder(&mut self, c: &Config, codebooks: usize) {
        self.projections(c, codebooks);
        // per channel, or for channels in groups a matrix with zeros between them
        let inputs = if c.upsample_groups < c.hidden_size { c.hidden_size } else { 1 };
        self.product(Stage::Resampling, 1, 2 * inputs, c.latent_stride * c.hidden_size);
        let mut rows = c.latent_stride;
        self.transformer(c, rows);
        let mut channels = c.num_filters << c.upsampling_ratios.len();
        self.product(Stage::Seanet, rows, c.kernel_size * c.hidden_size, channels);
        for ratio in &c.upsampling_ratios {
            self.resampling(rows, 2 * channels, ratio * channels / 2);
            rows *= ratio;
            channels /= 2;
            self.residual_blocks(c, rows, channels);
        }
        self.product(Stage::Seanet, rows, c.last_kernel_size * channels, 1);
    }

    /// The projections of the branches that are used.
    fn projections(&mut self, c: &Config, codebooks: usize) {
        if c.vector_quantization_hidden_dimension == c.hidden_size {
            return;
        }
        for _ in 0..1 + usize::from(codebooks > c.num_semantic_quantizers) {
            self.product(Stage::Quantizer, 1, c.hidden_size, c.codebook_dim);
        }
    }

    /// With a full attention window.
    fn transformer(&mut self, c: &Config, rows: usize) {
        let (queries, keys) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        let window = c.sliding_window;
        for _ in 0..c.num_hidden_layers {
            self.product(Stage::Transformer, rows, c.hidden_size, queries + 2 * keys);
            self.layers.push(Layer {
                stage: Stage::Transformer,
                multiply_adds: (rows * 2 * window * queries) as f64,
                in_integers: false,
                weight_bytes: 0.0,
                state_bytes: (4 * 2 * (window + rows - 1) * keys) as f64,
            });
            self.product(Stage::Transformer, rows, queries, c.hidden_size);
            self.product(Stage::Transformer, rows, c.hidden_size, c.intermediate_size);
            self.product(Stage::Transformer, rows, c.intermediate_size, c.hidden_size);
        }
    }

    /// Milliseconds below which no machine like this gives a frame to each of `streams` streams, one
    /// pass over the weights for all: each layer waits for its multiply-adds or for its bytes.
    pub(super) fn stream_limit(&self, machine: &Machine, streams: usize, stage: Option<Stage>) -> f64 {
        let seconds = self.of(stage).map(|layer| {
            let bytes = layer.weight_bytes + layer.state_bytes * streams as f64;
            (bytes / machine.bytes_per_second).max(layer.arithmetic(machine) * streams as f64)
        });
        seconds.sum::<f64>() * 1e3
    }

    /// Milliseconds of a frame's multiply-adds alone: what many frames at once come near to.
    pub(super) fn clip_limit(&self, machine: &Machine, stage: Option<Stage>) -> f64 {
        self.of(stage).map(|layer| layer.arithmetic(machine)).sum::<f64>() * 1e3
    }

    /// The layers of a stage, or all.
    fn of(&self, stage: Option<Stage>) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(move |layer| stage.is_none_or(|stage| stage == layer.stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi::{LoadOptions, Model, Parts};

    const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/model.safetensors");

    #[test]
    fn the_weights_counted_are_those_that_a_model_keeps() {
        for (precision, parts, side) in [
            (Precision::F32, Parts::Encoder, Side::Encode),
            (Precision::F32, Parts::Decoder, Side::Decode),
            (Precision::Bf16, Parts::Encoder, Side::Encode),
            (Precision::Int8, Parts::Decoder, Side::Decode),
        ] {
            let options = LoadOptions { parts, precision, ..LoadOptions::default() };
            let model = Model::load(DEMO, &options).unwrap();
            let config = model.config();
            let work = Work::new(config, precision, side, model.codebooks());
            let mut counted: f64 = work.layers.iter().map(|layer| layer.weight_bytes).sum();
            // code words as they are: looked up, and not multiplied with but for a few
            counted += (4 * model.codebooks() * config.codebook_size * config.codebook_dim) as f64;
            let kept = model.memory_bytes() as f64;
            // biases, norms and panels that are filled up come on top
            assert!(
                (1.0..1.06).contains(&(kept / counted)),
                "{precision:?} {side:?}: {kept}, counted {counted}"
            );
        }
    }

    #[test]
    fn a_frame_of_the_published_network_is_as_much_work_as_by_hand() {
        let work = |side| Work::new(&Config::published(), Precision::F32, side, 8);
        let machine = Machine {
            multiply_adds_per_second: 1.0,
            integer_multiply_adds_per_second: 1.0,
            bytes_per_second: f64::INFINITY,
        };
        let of = |side, stage| work(side).clip_limit(&machine, Some(stage)) / 1e3;
        // 8 layers of 2 rows times 512·1536 + 512·512 + 2·512·2048 weights, and 250 keys and values of 512
        let transformer = 8.0 * 2.0 * (3_145_728.0 + 2.0 * 250.0 * 512.0);
        assert_eq!(of(Side::Encode, Stage::Transformer), transformer);
        assert_eq!(of(Side::Decode, Stage::Transformer), transformer);
        assert_eq!(of(Side::Encode, Stage::Quantizer), 8.0 * 256.0 * 2048.0 + 2.0 * 512.0 * 256.0);
        assert_eq!(of(Side::Decode, Stage::Resampling), 2.0 * 2.0 * 512.0);
        // the sizes of the weights in tests/data/golden/full/tensors.tsv, times the rows of each layer, less a quarter
        // of those that come in pairs
        let paired = 1_572_864.0 * 16.0 + 327_680.0 * 96.0 + 65_536.0 * 480.0;
        assert_eq!(of(Side::Encode, Stage::Seanet), 161_292_288.0 - paired / 4.0);
        assert_eq!(of(Side::Decode, Stage::Seanet), 164_995_072.0 - paired / 4.0);
    }

    #[test]
    fn a_stream_waits_for_memory_and_many_streams_for_arithmetic() {
        let work = Work::new(&Config::published(), Precision::F32, Side::Decode, 8);
        let machine = Machine {
            multiply_adds_per_second: 50e9,
            integer_multiply_adds_per_second: 100e9,
            bytes_per_second: 10e9,
        };
        let stage = Some(Stage::Transformer);
        let bytes = 8.0 * (4.0 * 3_145_728.0 + 4.0 * 2.0 * 251.0 * 512.0);
        assert!((work.stream_limit(&machine, 1, stage) - bytes / 10e9 * 1e3).abs() < 1e-9);
        assert!(work.stream_limit(&machine, 100, None) >= 100.0 * work.clip_limit(&machine, None));
    }
}
