//! Published networks without a quantizer, which are known by the shapes of their tensors: Pocket TTS's files have no
//! config.

use super::{Checkpoint, Found, without_outer_ones};
use crate::tensors::{Half, Side};
use crate::{Config, HalfConfig};

/// The networks of all models of Pocket TTS up to 4.0.
fn pocket_tts() -> [Config; 4] {
    [
        Config::pocket_tts(),
        // english_2026-01
        Config { encoder_latent_dim: Some(512), ..Config::pocket_tts() },
        // english_7m_2026-10, english_18m_2026-10
        with_small_decoder(32, 12),
        // english_2m_2026-10
        with_small_decoder(24, 4),
    ]
}

fn with_small_decoder(num_filters: usize, num_hidden_layers: usize) -> Config {
    let published = Config::pocket_tts();
    let decoder = HalfConfig {
        hidden_size: 128,
        num_filters,
        kernel_size: 3,
        num_hidden_layers,
        intermediate_size: 384,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 32,
        sliding_window: 50,
        ..published.encoder_half()
    };
    Config { decoder: Some(decoder), upsample_groups: 128, ..published }
}

impl Checkpoint<'_> {
    /// The published network without a quantizer whose shapes these tensors have. If there is none, it is the most
    /// usual one with the dimensions that the projection has, so that messages can tell what differs.
    pub(super) fn known(&self, projection: &[usize]) -> Config {
        let known = pocket_tts().into_iter().find(|config| self.fits(config));
        let dimension = projection.get(1).copied();
        let usual = || Config { continuous: dimension, ..Config::pocket_tts() };
        known
            .or_else(|| Some(usual()).filter(|config| config.validate().is_ok()))
            .unwrap_or_else(Config::pocket_tts)
    }

    /// Whether all tensors that are there have the shapes that they have in a network, and no layer is left over.
    fn fits(&self, config: &Config) -> bool {
        let fits = |name: &str, shape: &[usize]| match self.find(name) {
            Some(Found::Plain((_, stored))) => without_outer_ones(&stored.shape) == without_outer_ones(shape),
            _ => true,
        };
        let left_over = |side, half: HalfConfig| {
            let layer = Half::new(config, side).transformer.layer(half.num_hidden_layers);
            self.contains(&layer.attention_norm.weight.name)
        };
        config.tensors(false).iter().all(|tensor| fits(&tensor.name, &tensor.shape))
            && !left_over(Side::Encoder, config.encoder_half())
            && !left_over(Side::Decoder, config.decoder_half())
    }
}
