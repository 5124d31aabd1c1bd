//! The settings of T5 that other families lack: buckets of distances, and the decoder.

use crate::error::Result;

use super::super::settings::Settings;
use super::{MAX_LAYERS, MAX_POSITIONS, ModelConfig, T5Decoder, T5Positions};

/// The decoder of a folder that was saved with it.
pub(super) fn decoder(
    settings: &Settings,
    config: &ModelConfig,
    is_multilingual: bool,
) -> Result<T5Decoder> {
    let key = "decoder_start_token_id";
    let start = settings.size(key, 0, config.vocabulary - 1)?;
    let start = start.map_or(Ok(config.pad), u32::try_from);
    Ok(T5Decoder {
        layers: settings
            .size("num_decoder_layers", 1, MAX_LAYERS)?
            .unwrap_or(config.layers),
        start: start.map_err(|_| settings.wrong(key, "a token", "a larger number"))?,
        // T5 scales tied logits. Newer versions of `transformers` write a setting for it, and say
        // that mT5 is tied, which it never scales.
        scales_outputs: match settings.flag("scale_decoder_outputs")? {
            Some(scales) => scales,
            None => config.ties_embeddings && !is_multilingual,
        },
    })
}

/// How distances become buckets.
pub(super) fn positions(settings: &Settings) -> Result<T5Positions> {
    let buckets = settings.size("relative_attention_num_buckets", 4, MAX_POSITIONS)?;
    let buckets = buckets.unwrap_or(32);
    let max_distance = settings.size("relative_attention_max_distance", 1, MAX_POSITIONS)?;
    let max_distance = max_distance.unwrap_or(128);
    // Half of the buckets are for each direction. Half of these are for one distance each, the
    // others are logarithmic.
    if buckets % 2 != 0 || max_distance <= buckets / 4 {
        return Err(settings.error(format!(
            "expected an even `relative_attention_num_buckets` and a `relative_attention_max_distance` above a quarter of it, \
             found {buckets} and {max_distance}"
        )));
    }
    Ok(T5Positions {
        buckets,
        max_distance,
    })
}
