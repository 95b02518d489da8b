//! The tensors of a network: their names in transformers' layout, and their shapes.

use mimi::Config;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// Of a transposed convolution of SEANet.
    pub(super) transposed: bool,
}

/// All of them. Whether there are projections in the quantizer is `projected`: the config alone does
/// not tell, because kyutai's networks have them even between equal dimensions.
pub(super) fn list(config: &Config, projected: bool) -> Vec<Tensor> {
    let mut list = List { config, tensors: Vec::new() };
    list.seanet_encoder();
    list.transformer("encoder_transformer");
    let (hidden, taps) = (config.hidden_size, 2 * config.latent_stride);
    list.add("downsample.conv.weight", &[hidden, hidden, taps]);
    let semantic = config.num_semantic_quantizers;
    list.quantizer("semantic", semantic, projected);
    list.quantizer("acoustic", config.num_quantizers - semantic, projected);
    list.add("upsample.conv.weight", &[hidden, hidden / config.upsample_groups, taps]);
    list.transformer("decoder_transformer");
    list.seanet_decoder();
    list.tensors
}

struct List<'c> {
    config: &'c Config,
    tensors: Vec<Tensor>,
}

impl List<'_> {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.tensors.push(Tensor { name: name.into(), shape: shape.to_vec(), transposed: false });
    }

    fn conv(&mut self, name: &str, outputs: usize, inputs: usize, kernel: usize) {
        self.add(format!("{name}.conv.weight"), &[outputs, inputs, kernel]);
        self.add(format!("{name}.conv.bias"), &[outputs]);
    }

    fn transposed_conv(&mut self, name: &str, outputs: usize, inputs: usize, kernel: usize) {
        let first = self.tensors.len();
        self.add(format!("{name}.conv.weight"), &[inputs, outputs, kernel]);
        self.add(format!("{name}.conv.bias"), &[outputs]);
        self.tensors[first..].iter_mut().for_each(|tensor| tensor.transposed = true);
    }

    /// Residual blocks from layer `index` on; returns the index after them.
    fn residual_blocks(&mut self, half: &str, index: usize, channels: usize) -> usize {
        let c = self.config;
        for index in index..index + c.num_residual_layers {
            let name = format!("{half}.layers.{index}");
            self.conv(&format!("{name}.block.1"), channels / c.compress, channels, c.residual_kernel_size);
            self.conv(&format!("{name}.block.3"), channels, channels / c.compress, 1);
            if c.use_conv_shortcut {
                self.conv(&format!("{name}.shortcut"), channels, channels, 1);
            }
        }
        index + c.num_residual_layers
    }

    // Layers are numbered with the ELUs between them.

    fn seanet_encoder(&mut self) {
        let c = self.config;
        let mut channels = c.num_filters;
        self.conv("encoder.layers.0", channels, 1, c.kernel_size);
        let mut index = 1;
        for ratio in c.upsampling_ratios.iter().rev() {
            index = self.residual_blocks("encoder", index, channels) + 1;
            self.conv(&format!("encoder.layers.{index}"), 2 * channels, channels, 2 * ratio);
            channels *= 2;
            index += 1;
        }
        self.conv(&format!("encoder.layers.{}", index + 1), c.hidden_size, channels, c.last_kernel_size);
    }

    fn seanet_decoder(&mut self) {
        let c = self.config;
        let mut channels = c.num_filters << c.upsampling_ratios.len();
        self.conv("decoder.layers.0", channels, c.hidden_size, c.kernel_size);
        let mut index = 1;
        for ratio in &c.upsampling_ratios {
            let name = format!("decoder.layers.{}", index + 1);
            self.transposed_conv(&name, channels / 2, channels, 2 * ratio);
            channels /= 2;
            index = self.residual_blocks("decoder", index + 2, channels);
        }
        self.conv(&format!("decoder.layers.{}", index + 1), 1, channels, c.last_kernel_size);
    }

    fn transformer(&mut self, half: &str) {
        let c = self.config;
        let (hidden, expanded) = (c.hidden_size, c.intermediate_size);
        let (queries, keys) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        for layer in 0..c.num_hidden_layers {
            let name = format!("{half}.layers.{layer}");
            let projections =
                [("q", queries, hidden), ("k", keys, hidden), ("v", keys, hidden), ("o", hidden, queries)];
            for (letter, outputs, inputs) in projections {
                self.add(format!("{name}.self_attn.{letter}_proj.weight"), &[outputs, inputs]);
                if c.attention_bias {
                    self.add(format!("{name}.self_attn.{letter}_proj.bias"), &[outputs]);
                }
            }
            self.add(format!("{name}.mlp.fc1.weight"), &[expanded, hidden]);
            self.add(format!("{name}.mlp.fc2.weight"), &[hidden, expanded]);
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                self.add(format!("{name}.{norm}.weight"), &[hidden]);
                self.add(format!("{name}.{norm}.bias"), &[hidden]);
            }
            for scale in ["self_attn_layer_scale", "mlp_layer_scale"] {
                self.add(format!("{name}.{scale}.scale"), &[hidden]);
            }
        }
    }

    fn quantizer(&mut self, kind: &str, codebooks: usize, projected: bool) {
        let c = self.config;
        let name = format!("quantizer.{kind}_residual_vector_quantizer");
        if projected {
            self.add(format!("{name}.input_proj.weight"), &[c.codebook_dim, c.hidden_size, 1]);
            self.add(format!("{name}.output_proj.weight"), &[c.hidden_size, c.codebook_dim, 1]);
        }
        for layer in 0..codebooks {
            let codebook = format!("{name}.layers.{layer}.codebook");
            self.add(format!("{codebook}.initialized"), &[1]);
            self.add(format!("{codebook}.cluster_usage"), &[c.codebook_size]);
            self.add(format!("{codebook}.embed_sum"), &[c.codebook_size, c.codebook_dim]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/data/golden/full/tensors.tsv`: name, shape and digest of each, as transformers has them.
    #[test]
    fn the_published_network_has_the_tensors_that_it_has() {
        let listing = include_str!("../../../tests/data/golden/full/tensors.tsv");
        let mut expected: Vec<(String, String)> = listing
            .lines()
            .skip(1)
            .map(|line| line.split('\t').map(str::to_owned))
            .map(|mut fields| (fields.next().unwrap(), fields.next().unwrap()))
            .collect();
        let shown = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut found: Vec<_> = list(&Config::published(), true)
            .iter()
            .map(|tensor| (tensor.name.clone(), shown(&tensor.shape)))
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
}
