//! Systems and their parameters.

use esparsa::Result;
use esparsa::rank::Normalization;
use toml::Spanned;

use super::{check_count, check_known, check_word, models};
use crate::study::config::{Config, Kind, System};

/// Refuses a system that cannot be built; `known` are those above.
///
/// # Errors
///
/// [`Error::InvalidInput`](esparsa::Error::InvalidInput) with the line of the first mistake.
pub(super) fn check(config: &Config, system: &System, known: &[&str]) -> Result<()> {
    let kind = system.kind;
    let is_of_model = matches!(
        kind,
        Kind::Sparse | Kind::Dense | Kind::Repeated | Kind::Rerank
    );
    let has_words = matches!(kind, Kind::Bm25 | Kind::Repeated);
    let is_of_others = matches!(kind, Kind::Rerank | Kind::Fuse) || kind.is_floor();
    let span = |key: &Option<Spanned<Vec<Spanned<String>>>>| key.as_ref().map(Spanned::span);
    let keys = [
        ("k1", system.k1.as_ref().map(Spanned::span), has_words),
        ("b", system.b.as_ref().map(Spanned::span), has_words),
        (
            "model",
            system.model.as_ref().map(Spanned::span),
            is_of_model,
        ),
        ("long", system.long.as_ref().map(Spanned::span), is_of_model),
        (
            "repeats",
            system.repeats.as_ref().map(Spanned::span),
            kind == Kind::Repeated,
        ),
        ("of", span(&system.of), is_of_others),
        (
            "top",
            system.top.as_ref().map(Spanned::span),
            kind == Kind::Rerank,
        ),
        (
            "method",
            system.method.as_ref().map(Spanned::span),
            kind == Kind::Fuse,
        ),
        (
            "normalization",
            span(&system.normalization),
            kind == Kind::Fuse,
        ),
        (
            "weights",
            system.weights.as_ref().map(Spanned::span),
            kind == Kind::Fuse,
        ),
    ];
    for (key, span, is_used) in keys {
        if let Some(span) = span.filter(|_| !is_used) {
            let message = format!("expected no `{key}` for a system of kind {}", kind.name());
            return Err(config.wrong(span, message));
        }
    }
    if is_of_model {
        models::check_of_system(config, system)?;
    }
    if is_of_others {
        check_others(config, system, known)?;
    }
    check_candidates(config, system)
}

fn check_others(config: &Config, system: &System, known: &[&str]) -> Result<()> {
    let Some(of) = &system.of else {
        let message = "expected `of`, the names of other systems";
        return Err(config.wrong(system.name.span(), message));
    };
    for name in of.get_ref() {
        check_known(config, name, known)?;
    }
    let (count, is_fusion) = (of.get_ref().len(), system.kind == Kind::Fuse);
    if is_fusion && count < 2 || !is_fusion && count != 1 {
        let expected = if is_fusion {
            "at least two systems"
        } else {
            "one system"
        };
        let message = format!("expected {expected} in `of`, found {count}");
        return Err(config.wrong(of.span(), message));
    }
    Ok(())
}

fn check_candidates(config: &Config, system: &System) -> Result<()> {
    for numbers in [&system.k1, &system.b].into_iter().flatten() {
        let is_valid = |number: &f32| number.is_finite() && *number >= 0.0;
        if numbers.get_ref().is_empty() || !numbers.get_ref().iter().all(is_valid) {
            let message = "expected a list of numbers of at least 0";
            return Err(config.wrong(numbers.span(), message));
        }
    }
    if let Some(b) = system
        .b
        .as_ref()
        .filter(|b| b.get_ref().iter().any(|b| *b > 1.0))
    {
        return Err(config.wrong(b.span(), "expected numbers of at most 1 for b"));
    }
    if let Some(top) = &system.top {
        check_count(config, top)?;
    }
    if let Some(repeats) = &system.repeats {
        let found = *repeats.get_ref();
        if !(found > 0.0 && found <= 1_000.0) {
            let message = format!("expected a number above 0 and of at most 1,000, found {found}");
            return Err(config.wrong(repeats.span(), message));
        }
    }
    if let Some(long) = &system.long {
        check_word(config, long, &["truncate", "windows"])?;
    }
    let is_sum = system
        .method
        .as_ref()
        .is_none_or(|m| m.get_ref() == "weighted-sum");
    if let Some(method) = system
        .method
        .as_ref()
        .filter(|m| !is_sum && m.get_ref() != "rrf")
    {
        let message = format!("expected rrf or weighted-sum, found `{}`", method.get_ref());
        return Err(config.wrong(method.span(), message));
    }
    if let Some(normalizations) = &system.normalization {
        if !is_sum || normalizations.get_ref().is_empty() {
            let message = "expected a list of normalizations, for a weighted sum alone";
            return Err(config.wrong(normalizations.span(), message));
        }
        for name in normalizations.get_ref() {
            let parsed = name.get_ref().parse::<Normalization>();
            parsed.map_err(|error| config.wrong(name.span(), error.to_string()))?;
        }
    }
    let systems = system.of.as_ref().map_or(0, |of| of.get_ref().len());
    if let Some(weights) = &system.weights {
        let is_valid = |list: &Vec<f64>| {
            let are_numbers = list
                .iter()
                .all(|weight| weight.is_finite() && *weight >= 0.0);
            list.len() == systems && are_numbers && list.iter().any(|weight| *weight > 0.0)
        };
        if weights.get_ref().is_empty() || !weights.get_ref().iter().all(is_valid) {
            let message = format!(
                "expected lists of {systems} weights of at least 0 each, as there are {systems} systems"
            );
            return Err(config.wrong(weights.span(), message));
        }
    }
    Ok(())
}
