//! The fields of transformers' `MimiConfig`.

use super::fields::Fields;
use super::recognise::VALID;
use super::{Activation, Config, HalfConfig, PadMode};
use crate::Error;

pub(super) fn parse(fields: &Fields) -> Result<Config, Error> {
    fields.only("use_causal_conv", &[true.into()])?;
    fields.only("audio_channels", &[1.into()])?;
    fields.only("trim_right_ratio", &[1.into()])?;
    let continuous = fields.whole("continuous_latent_dim")?;
    let published = match continuous {
        Some(_) => Config::published().without_quantizer(),
        None => Config::published(),
    };
    let whole = |name, default| Ok::<_, Error>(fields.whole(name)?.unwrap_or(default));
    let encoder = half(fields, published.encoder_half())?;
    let decoder = match fields.has("decoder_config") {
        true => Some(half(&fields.group("decoder_config")?, encoder)?),
        false => None,
    };
    // null has a number that is derived; see `half`
    let derived = if fields.is_null("codebook_dim") { encoder.hidden_size } else { published.codebook_dim };
    let codebook_dim = whole("codebook_dim", derived)?;
    let config = Config {
        sampling_rate: sampling_rate(fields, "sampling_rate")?,
        decoder,
        continuous,
        encoder_latent_dim: fields.whole("encoder_latent_dim")?,
        default_codebooks: fields.whole(VALID)?,
        upsampling_ratios: fields.list("upsampling_ratios")?.unwrap_or(published.upsampling_ratios.clone()),
        codebook_size: whole("codebook_size", published.codebook_size)?,
        codebook_dim,
        num_quantizers: whole("num_quantizers", published.num_quantizers)?,
        num_semantic_quantizers: whole("num_semantic_quantizers", published.num_semantic_quantizers)?,
        vector_quantization_hidden_dimension: whole(
            "vector_quantization_hidden_dimension",
            published.vector_quantization_hidden_dimension,
        )?,
        upsample_groups: whole("upsample_groups", published.upsample_groups)?,
        ..published
    };
    let mut config = config.with_encoder_half(encoder);
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

/// The numbers of a half. An absent field has the number in `default`. As in transformers, null has one that is derived
/// from others, where there is such.
fn half(fields: &Fields, default: HalfConfig) -> Result<HalfConfig, Error> {
    let whole = |name, default| Ok::<_, Error>(fields.whole(name)?.unwrap_or(default));
    let hidden_size = whole("hidden_size", default.hidden_size)?;
    let num_attention_heads = whole("num_attention_heads", default.num_attention_heads)?;
    let keys = match fields.is_null("num_key_value_heads") {
        true => num_attention_heads,
        false => default.num_key_value_heads,
    };
    let head_dim = match fields.whole("head_dim")? {
        Some(head_dim) if head_dim > 0 => head_dim,
        _ => hidden_size / num_attention_heads.max(1),
    };
    Ok(HalfConfig {
        hidden_size,
        num_filters: whole("num_filters", default.num_filters)?,
        num_residual_layers: whole("num_residual_layers", default.num_residual_layers)?,
        kernel_size: whole("kernel_size", default.kernel_size)?,
        last_kernel_size: whole("last_kernel_size", default.last_kernel_size)?,
        residual_kernel_size: whole("residual_kernel_size", default.residual_kernel_size)?,
        dilation_growth_rate: whole("dilation_growth_rate", default.dilation_growth_rate)?,
        pad_mode: pad_mode(fields)?.unwrap_or(default.pad_mode),
        compress: whole("compress", default.compress)?,
        use_conv_shortcut: fields.flag("use_conv_shortcut")?.unwrap_or(default.use_conv_shortcut),
        num_hidden_layers: whole("num_hidden_layers", default.num_hidden_layers)?,
        intermediate_size: whole("intermediate_size", default.intermediate_size)?,
        num_attention_heads,
        num_key_value_heads: whole("num_key_value_heads", keys)?,
        head_dim,
        hidden_act: hidden_act(fields)?.unwrap_or(default.hidden_act),
        norm_eps: fields.number("norm_eps")?.unwrap_or(default.norm_eps),
        rope_theta: rope_theta(fields)?.unwrap_or(default.rope_theta),
        sliding_window: window(fields, "sliding_window")?.unwrap_or(default.sliding_window),
        attention_bias: fields.flag("attention_bias")?.unwrap_or(default.attention_bias),
    })
}

pub(super) fn sampling_rate(fields: &Fields, name: &str) -> Result<u32, Error> {
    match fields.whole(name)? {
        None => Ok(Config::published().sampling_rate),
        Some(rate) => u32::try_from(rate).map_err(|_| fields.unsupported(name, rate, "1 to 1048576")),
    }
}

pub(super) fn pad_mode(fields: &Fields) -> Result<Option<PadMode>, Error> {
    match fields.text("pad_mode")? {
        None => Ok(None),
        Some("constant") => Ok(Some(PadMode::Constant)),
        Some("replicate") => Ok(Some(PadMode::Replicate)),
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

fn hidden_act(fields: &Fields) -> Result<Option<Activation>, Error> {
    let Some(name) = fields.text("hidden_act")? else { return Ok(None) };
    Ok(Some(match name {
        "gelu" | "gelu_python" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        "silu" | "swish" => Activation::Silu,
        other => {
            let supported = "\"gelu\", \"gelu_python\", \"gelu_new\", \"gelu_pytorch_tanh\", \"gelu_fast\", \
                             \"relu\", \"silu\" or \"swish\"";
            return Err(fields.unsupported("hidden_act", other, supported));
        }
    }))
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
