//! The settings of DeBERTa's disentangled attention.

use crate::backend::Activation;
use crate::error::Result;

use super::super::settings::Settings;
use super::activation::activation;
use super::{Convolution, DebertaPositions, MAX_POSITIONS};

/// The settings of relative attention; `None` if the model's attention is not relative.
pub(super) fn positions(
    settings: &Settings,
    max_positions: usize,
    hidden: usize,
) -> Result<Option<DebertaPositions>> {
    let kinds = attention_kinds(settings)?;
    let convolution = convolution(settings, hidden)?;
    if !settings.flag("relative_attention")?.unwrap_or(false) {
        if !kinds.is_empty() || convolution.is_some() {
            return Err(settings.error(
                "`pos_att_type` or `conv_kernel_size` without `relative_attention` is not supported",
            ));
        }
        return Ok(None);
    }
    let max_relative = at_least_one(settings, "max_relative_positions")?.unwrap_or(max_positions);
    let buckets = at_least_one(settings, "position_buckets")?.unwrap_or(0);
    // With one bucket there is no exact distance, and with a `max_relative` this small the
    // logarithmic scale of the buckets would not grow.
    if buckets == 1 || (buckets > 0 && max_relative <= buckets / 2 + 1) {
        return Err(settings.error(format!(
            "expected `position_buckets` of at least 2 and `max_relative_positions` above half of it, found {buckets} and {max_relative}"
        )));
    }
    let norm = settings
        .text("norm_rel_ebd")?
        .unwrap_or("none")
        .to_lowercase();
    Ok(Some(DebertaPositions {
        span: if buckets > 0 { buckets } else { max_relative },
        buckets,
        max_relative,
        is_content_to_position: kinds.iter().any(|kind| kind == "c2p"),
        is_position_to_content: kinds.iter().any(|kind| kind == "p2c"),
        shares_keys: settings.flag("share_att_key")?.unwrap_or(false),
        has_norm: norm.split('|').any(|part| part.trim() == "layer_norm"),
        convolution,
    }))
}

/// `c2p`, `p2c`, both or none: a list, or one string separated by bars.
fn attention_kinds(settings: &Settings) -> Result<Vec<String>> {
    let kinds: Vec<String> = match settings.value("pos_att_type") {
        Some(value) if value.is_string() => value
            .as_str()
            .unwrap_or_default()
            .to_lowercase()
            .split('|')
            .map(|kind| kind.trim().to_owned())
            .filter(|kind| !kind.is_empty())
            .collect(),
        _ => settings.texts("pos_att_type")?.unwrap_or_default(),
    };
    match kinds
        .iter()
        .find(|kind| !["c2p", "p2c"].contains(&kind.as_str()))
    {
        Some(other) => Err(settings.wrong("pos_att_type", "`c2p` and `p2c`", format!("`{other}`"))),
        None => Ok(kinds),
    }
}

fn convolution(settings: &Settings, hidden: usize) -> Result<Option<Convolution>> {
    let Some(width) = settings
        .size("conv_kernel_size", 0, 255)?
        .filter(|width| *width > 0)
    else {
        return Ok(None);
    };
    let groups = settings.size("conv_groups", 1, hidden)?.unwrap_or(1);
    if width.is_multiple_of(2) || !hidden.is_multiple_of(groups) {
        return Err(settings.error(format!(
            "expected an odd `conv_kernel_size` and `conv_groups` that divide {hidden}, found {width} and {groups}"
        )));
    }
    Ok(Some(Convolution {
        width,
        groups,
        activation: activation(settings, "conv_act", Activation::Tanh)?,
    }))
}

/// A count; published settings write -1 for none.
fn at_least_one(settings: &Settings, key: &str) -> Result<Option<usize>> {
    match settings.value(key).and_then(|value| value.as_i64()) {
        Some(none) if none < 1 => Ok(None),
        _ => settings.size(key, 1, MAX_POSITIONS),
    }
}
