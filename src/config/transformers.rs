//! The fields of transformers' `MimiConfig`.

use super::fields::Fields;
use super::{Activation, Config, PadMode};
use crate::Error;

pub(super) fn parse(fields: &Fields) -> Result<Config, Error> {
    fields.only("use_causal_conv", &[true.into()])?;
    fields.only("audio_channels", &[1.into()])?;
    fields.only("trim_right_ratio", &[1.into()])?;
    let published = Config::published();
    let whole = |name, default| Ok::<_, Error>(fields.whole(name)?.unwrap_or(default));
    let hidden_size = whole("hidden_size", published.hidden_size)?;
    let num_attention_heads = whole("num_attention_heads", published.num_attention_heads)?;
    // As in transformers, an absent field has the published number, and null has one that is derived.
    let or_if_null = |name, derived, default| if fields.is_null(name) { derived } else { default };
    let codebook_dim =
        whole("codebook_dim", or_if_null("codebook_dim", hidden_size, published.codebook_dim))?;
    let num_key_value_heads = whole(
        "num_key_value_heads",
        or_if_null("num_key_value_heads", num_attention_heads, published.num_key_value_heads),
    )?;
    let head_dim = match fields.whole("head_dim")? {
        Some(head_dim) if head_dim > 0 => head_dim,
        _ => hidden_size / num_attention_heads.max(1),
    };
    let mut config = Config {
        sampling_rate: sampling_rate(fields, "sampling_rate")?,
        hidden_size,
        num_filters: whole("num_filters", published.num_filters)?,
        num_residual_layers: whole("num_residual_layers", published.num_residual_layers)?,
        upsampling_ratios: fields.list("upsampling_ratios")?.unwrap_or(published.upsampling_ratios),
        kernel_size: whole("kernel_size", published.kernel_size)?,
        last_kernel_size: whole("last_kernel_size", published.last_kernel_size)?,
        residual_kernel_size: whole("residual_kernel_size", published.residual_kernel_size)?,
        dilation_growth_rate: whole("dilation_growth_rate", published.dilation_growth_rate)?,
        pad_mode: pad_mode(fields)?,
        compress: whole("compress", published.compress)?,
        use_conv_shortcut: fields.flag("use_conv_shortcut")?.unwrap_or(published.use_conv_shortcut),
        codebook_size: whole("codebook_size", published.codebook_size)?,
        codebook_dim,
        num_quantizers: whole("num_quantizers", published.num_quantizers)?,
        num_semantic_quantizers: whole("num_semantic_quantizers", published.num_semantic_quantizers)?,
        vector_quantization_hidden_dimension: whole(
            "vector_quantization_hidden_dimension",
            published.vector_quantization_hidden_dimension,
        )?,
        upsample_groups: whole("upsample_groups", published.upsample_groups)?,
        latent_stride: published.latent_stride,
        num_hidden_layers: whole("num_hidden_layers", published.num_hidden_layers)?,
        intermediate_size: whole("intermediate_size", published.intermediate_size)?,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        hidden_act: hidden_act(fields)?,
        norm_eps: fields.number("norm_eps")?.unwrap_or(published.norm_eps),
        rope_theta: rope_theta(fields)?.unwrap_or(published.rope_theta),
        sliding_window: window(fields, "sliding_window")?.unwrap_or(published.sliding_window),
        attention_bias: fields.flag("attention_bias")?.unwrap_or(published.attention_bias),
    };
    config.validate()?;
    let frame_rate = match fields.number("frame_rate")? {
        Some(rate) => Some(rate),
        None => fields.number("_frame_rate")?,
    };
    if let Some(rate) = frame_rate {
        config.set_frame_rate(rate)?;
        config.validate()?;
    }
    Ok(config)
}

pub(super) fn sampling_rate(fields: &Fields, name: &str) -> Result<u32, Error> {
    match fields.whole(name)? {
        None => Ok(Config::published().sampling_rate),
        Some(rate) => u32::try_from(rate).map_err(|_| fields.unsupported(name, rate, "1 to 1048576")),
    }
}

pub(super) fn pad_mode(fields: &Fields) -> Result<PadMode, Error> {
    match fields.text("pad_mode")? {
        None | Some("constant") => Ok(PadMode::Constant),
        Some("replicate") => Ok(PadMode::Replicate),
        Some(other) => Err(fields.unsupported("pad_mode", other, "\"constant\" or \"replicate\"")),
    }
}

/// An attention window. Elsewhere null means attention without bound, which no stream can hold, and so it is refused.
pub(super) fn window(fields: &Fields, name: &str) -> Result<Option<usize>, Error> {
    if fields.is_null(name) {
        return Err(fields.unsupported(name, (), "a whole number of steps"));
    }
    fields.whole(name)
}

fn hidden_act(fields: &Fields) -> Result<Activation, Error> {
    match fields.text("hidden_act")? {
        None | Some("gelu" | "gelu_python") => Ok(Activation::Gelu),
        Some("relu") => Ok(Activation::Relu),
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some(other) => {
            let supported = "\"gelu\", \"gelu_python\", \"relu\", \"silu\" or \"swish\"";
            Err(fields.unsupported("hidden_act", other, supported))
        }
    }
}

/// `rope_parameters.rope_theta` as transformers 5 writes it, or `rope_theta` as 4 does.
fn rope_theta(fields: &Fields) -> Result<Option<f64>, Error> {
    for group in ["rope_parameters", "rope_scaling"] {
        let group = fields.group(group)?;
        group.only("rope_type", &["default".into()])?;
        group.only("type", &["default".into()])?;
    }
    match fields.group("rope_parameters")?.number("rope_theta")? {
        Some(theta) => Ok(Some(theta)),
        None => fields.number("rope_theta"),
    }
}
