//! The fields of kyutai's `mimi_config.json`.

use super::fields::Fields;
use super::transformers::{pad_mode, sampling_rate, window};
use super::{Activation, Config};
use crate::Error;

pub(super) fn parse(fields: &Fields) -> Result<Config, Error> {
    let (seanet, quantizer, transformer) =
        (fields.group("seanet")?, fields.group("quantizer")?, fields.group("transformer")?);
    refuse_unsupported(fields, &seanet, &transformer)?;
    let published = Config::published();
    let whole = |group: &Fields, name, default| Ok::<_, Error>(group.whole(name)?.unwrap_or(default));

    let dimension = whole(&seanet, "dimension", published.hidden_size)?;
    for (group, name) in [
        (&quantizer, "input_dimension"),
        (&quantizer, "output_dimension"),
        (&transformer, "d_model"),
        (&transformer, "input_dimension"),
    ] {
        group.only(name, &[dimension.into()])?;
    }
    transformer.only("output_dimensions", &[vec![dimension].into()])?;

    let codebook_dim = whole(&quantizer, "dimension", published.codebook_dim)?;
    let heads = whole(&transformer, "num_heads", published.num_attention_heads)?;
    if heads == 0 || !dimension.is_multiple_of(heads) {
        return Err(transformer.unsupported(
            "num_heads",
            heads,
            &format!("a divisor of d_model, which is {dimension}"),
        ));
    }
    let kv_repeat = whole(&transformer, "kv_repeat", 1)?;
    if kv_repeat == 0 || !heads.is_multiple_of(kv_repeat) {
        return Err(transformer.unsupported(
            "kv_repeat",
            kv_repeat,
            &format!("a divisor of num_heads, which is {heads}"),
        ));
    }
    let mut config = Config {
        sampling_rate: sampling_rate(fields, "sample_rate")?,
        hidden_size: dimension,
        num_filters: whole(&seanet, "n_filters", published.num_filters)?,
        num_residual_layers: whole(&seanet, "n_residual_layers", published.num_residual_layers)?,
        upsampling_ratios: seanet.list("ratios")?.unwrap_or(published.upsampling_ratios),
        kernel_size: whole(&seanet, "kernel_size", published.kernel_size)?,
        last_kernel_size: whole(&seanet, "last_kernel_size", published.last_kernel_size)?,
        residual_kernel_size: whole(&seanet, "residual_kernel_size", published.residual_kernel_size)?,
        dilation_growth_rate: whole(&seanet, "dilation_base", published.dilation_growth_rate)?,
        pad_mode: pad_mode(&seanet)?,
        compress: whole(&seanet, "compress", published.compress)?,
        use_conv_shortcut: !seanet.flag("true_skip")?.unwrap_or(!published.use_conv_shortcut),
        codebook_size: whole(&quantizer, "bins", published.codebook_size)?,
        codebook_dim,
        num_quantizers: whole(&quantizer, "n_q", published.num_quantizers)?,
        num_semantic_quantizers: whole(&quantizer, "n_q_semantic", published.num_semantic_quantizers)?,
        vector_quantization_hidden_dimension: codebook_dim,
        // moshi's up-sampler always has one group per channel
        upsample_groups: dimension,
        latent_stride: published.latent_stride,
        num_hidden_layers: whole(&transformer, "num_layers", published.num_hidden_layers)?,
        intermediate_size: whole(&transformer, "dim_feedforward", published.intermediate_size)?,
        num_attention_heads: heads,
        num_key_value_heads: heads / kv_repeat,
        head_dim: dimension / heads,
        hidden_act: Activation::Gelu,
        norm_eps: published.norm_eps,
        rope_theta: transformer.number("max_period")?.unwrap_or(published.rope_theta),
        sliding_window: window(&transformer, "context")?.unwrap_or(published.sliding_window),
        attention_bias: transformer.flag("bias_attn")?.unwrap_or(published.attention_bias),
    };
    config.validate().map_err(named_as_in_transformers)?;
    if let Some(rate) = fields.number("frame_rate")? {
        config.set_frame_rate(rate).and_then(|()| config.validate()).map_err(named_as_in_transformers)?;
    }
    Ok(config)
}

fn named_as_in_transformers(error: Error) -> Error {
    Error::new(error.kind(), format!("{} (fields are named as in transformers' MimiConfig)", error.message()))
}

/// Refuses options of moshi's modules that make another network. `seanet.norm` is none of them as long as it only says
/// how weights are stored: as they are, or with weight norm.
fn refuse_unsupported(fields: &Fields, seanet: &Fields, transformer: &Fields) -> Result<(), Error> {
    fields.only("channels", &[1.into()])?;
    fields.only("causal", &[true.into()])?;
    fields.only("upsample_channel_wise_bug", &[true.into()])?;

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
