//! The fields of kyutai's `mimi_config.json`, and of the part `mimi` of Pocket TTS's config: the same without a
//! quantizer, maybe with groups of its own for the decoder.

use super::fields::Fields;
use super::transformers::{pad_mode, sampling_rate, window};
use super::{Config, HalfConfig};
use crate::Error;

pub(super) fn parse(fields: &Fields) -> Result<Config, Error> {
    fields.only("channels", &[1.into()])?;
    fields.only("causal", &[true.into()])?;
    fields.only("upsample_channel_wise_bug", &[true.into()])?;
    let (seanet, quantizer, transformer) =
        (fields.group("seanet")?, fields.group("quantizer")?, fields.group("transformer")?);
    let inner = fields.whole("inner_dim")?;
    // the decoder's latents are the quantizer's, which the encoder's need not be
    let continuous = match inner {
        Some(inner) => Some(quantizer.whole("dimension")?.unwrap_or(inner)),
        None => None,
    };
    let published = match continuous {
        Some(_) => Config::pocket_tts(),
        None => Config::published(),
    };
    let encoder = half(&seanet, &transformer, &published)?;
    let ratios = seanet.list("ratios")?.unwrap_or(published.upsampling_ratios.clone());
    let decoder = decoder(fields, &ratios, &published)?;
    let outer = decoder.unwrap_or(encoder).hidden_size;
    fields.only("outer_dim", &[outer.into()])?;
    quantizer.only("output_dimension", &[outer.into()])?;
    quantizer.only("input_dimension", &[encoder.hidden_size.into()])?;

    let whole = |name, default| Ok::<_, Error>(quantizer.whole(name)?.unwrap_or(default));
    let config = Config {
        sampling_rate: sampling_rate(fields, "sample_rate")?,
        decoder,
        continuous,
        encoder_latent_dim: inner.filter(|_| inner != continuous),
        upsampling_ratios: ratios,
        // kyutai's up-sampler always has one group per channel
        upsample_groups: outer,
        ..published
    };
    let config = match continuous {
        Some(_) => config,
        None => {
            let codebook_dim = whole("dimension", config.codebook_dim)?;
            Config {
                codebook_size: whole("bins", config.codebook_size)?,
                codebook_dim,
                num_quantizers: whole("n_q", config.num_quantizers)?,
                num_semantic_quantizers: whole("n_q_semantic", config.num_semantic_quantizers)?,
                vector_quantization_hidden_dimension: codebook_dim,
                ..config
            }
        }
    };
    let mut config = config.with_encoder_half(encoder);
    config.validate().map_err(named_as_in_transformers)?;
    if let Some(rate) = fields.number("frame_rate")? {
        config.set_frame_rate(rate).and_then(|()| config.validate()).map_err(named_as_in_transformers)?;
    }
    Ok(config)
}

/// The decoder's own numbers, if it has a group of its own. Of two groups it may have one.
fn decoder(fields: &Fields, ratios: &[usize], published: &Config) -> Result<Option<HalfConfig>, Error> {
    let own = ["decoder_seanet", "decoder_transformer"].map(|name| fields.has(name));
    if own == [false; 2] {
        return Ok(None);
    }
    let seanet = fields.group(if own[0] { "decoder_seanet" } else { "seanet" })?;
    let transformer = fields.group(if own[1] { "decoder_transformer" } else { "transformer" })?;
    // the halves have the same frames and the same steps
    seanet.only("ratios", &[ratios.into()])?;
    half(&seanet, &transformer, published).map(Some)
}

/// The numbers of a half.
fn half(seanet: &Fields, transformer: &Fields, published: &Config) -> Result<HalfConfig, Error> {
    refuse_unsupported(seanet, transformer)?;
    let published = published.encoder_half();
    let whole = |group: &Fields, name, default| Ok::<_, Error>(group.whole(name)?.unwrap_or(default));
    let dimension = whole(seanet, "dimension", published.hidden_size)?;
    for name in ["d_model", "input_dimension"] {
        transformer.only(name, &[dimension.into()])?;
    }
    transformer.only("output_dimensions", &[vec![dimension].into()])?;
    let heads = whole(transformer, "num_heads", published.num_attention_heads)?;
    if heads == 0 || !dimension.is_multiple_of(heads) {
        let expected = format!("a divisor of d_model, which is {dimension}");
        return Err(transformer.unsupported("num_heads", heads, &expected));
    }
    let kv_repeat = whole(transformer, "kv_repeat", 1)?;
    if kv_repeat == 0 || !heads.is_multiple_of(kv_repeat) {
        let expected = format!("a divisor of num_heads, which is {heads}");
        return Err(transformer.unsupported("kv_repeat", kv_repeat, &expected));
    }
    Ok(HalfConfig {
        hidden_size: dimension,
        num_filters: whole(seanet, "n_filters", published.num_filters)?,
        num_residual_layers: whole(seanet, "n_residual_layers", published.num_residual_layers)?,
        kernel_size: whole(seanet, "kernel_size", published.kernel_size)?,
        last_kernel_size: whole(seanet, "last_kernel_size", published.last_kernel_size)?,
        residual_kernel_size: whole(seanet, "residual_kernel_size", published.residual_kernel_size)?,
        dilation_growth_rate: whole(seanet, "dilation_base", published.dilation_growth_rate)?,
        pad_mode: pad_mode(seanet)?.unwrap_or(published.pad_mode),
        compress: whole(seanet, "compress", published.compress)?,
        use_conv_shortcut: !seanet.flag("true_skip")?.unwrap_or(!published.use_conv_shortcut),
        num_hidden_layers: whole(transformer, "num_layers", published.num_hidden_layers)?,
        intermediate_size: whole(transformer, "dim_feedforward", published.intermediate_size)?,
        num_attention_heads: heads,
        num_key_value_heads: heads / kv_repeat,
        head_dim: dimension / heads,
        rope_theta: transformer.number("max_period")?.unwrap_or(published.rope_theta),
        sliding_window: window(transformer, "context")?.unwrap_or(published.sliding_window),
        attention_bias: transformer.flag("bias_attn")?.unwrap_or(published.attention_bias),
        ..published
    })
}

fn named_as_in_transformers(error: Error) -> Error {
    Error::new(error.kind(), format!("{} (fields are named as in transformers' MimiConfig)", error.message()))
}

/// Refuses options of moshi's modules that make another network. `seanet.norm` is none of them as long as it only says
/// how weights are stored: as they are, or with weight norm.
fn refuse_unsupported(seanet: &Fields, transformer: &Fields) -> Result<(), Error> {
    seanet.only("channels", &[1.into()])?;
    seanet.only("causal", &[true.into()])?;
    seanet.only("activation", &["ELU".into()])?;
    seanet.group("activation_params")?.only("alpha", &[1.into()])?;
    seanet.only("final_activation", &[])?;
    seanet.only("norm", &["none".into(), "weight_norm".into(), "WeightNorm".into()])?;
    seanet.only("lstm", &[0.into()])?;
    seanet.only("trim_right_ratio", &[1.into()])?;

    transformer.only("causal", &[true.into()])?;
    transformer.only("gating", &["none".into()])?;
    transformer.only("norm", &["layer_norm".into()])?;
    transformer.only("norm_first", &[true.into()])?;
    transformer.only("bias_ff", &[false.into()])?;
    transformer.only("positional_embedding", &["rope".into()])?;
    transformer.only("cross_attention", &[false.into()])?;
    transformer.only("use_conv_block", &[false.into()])?;
    transformer.only("weights_per_step", &[0.into(), false.into()])
}
