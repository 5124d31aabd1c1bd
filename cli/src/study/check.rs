//! What makes a configuration wrong. Everything is checked before any work begins.

use std::collections::HashSet;

use esparsa::Result;
use esparsa::eval::Metric;
use esparsa::limits::MAX_K;
use esparsa::rank::Normalization;
use toml::Spanned;

use crate::index::analyzer_name;

use super::config::{Collection, Config, Kind, System};
use super::plan::candidates;

/// Refuses what cannot be done.
///
/// # Errors
///
/// [`Error::InvalidInput`](esparsa::Error::InvalidInput) with the line of the first mistake.
pub(super) fn check(config: &Config) -> Result<()> {
    let study = &config.study;
    if study.metrics.get_ref().is_empty() {
        return Err(config.wrong(
            study.metrics.span(),
            "expected at least one metric, found none",
        ));
    }
    check_count(config, &study.depth)?;
    check_metrics(config)?;
    check_names(
        config,
        "collection",
        study.collections.get_ref().iter().map(|c| &c.name),
    )?;
    check_names(
        config,
        "system",
        study.systems.get_ref().iter().map(|s| &s.name),
    )?;
    if study.collections.get_ref().is_empty() {
        return Err(config.wrong(
            study.collections.span(),
            "expected a collection, found none",
        ));
    }
    if study.systems.get_ref().is_empty() {
        return Err(config.wrong(study.systems.span(), "expected a system, found none"));
    }
    for collection in study.collections.get_ref() {
        check_files(config, collection)?;
    }
    let is_chosen = |system: &&System| candidates(system).len() > 1;
    if let (Some(system), Some(first)) = (
        study.systems.get_ref().iter().find(is_chosen),
        study.collections.get_ref().first(),
    ) {
        let dev = config.resolve(&first.path)?.join(first.dev.get_ref());
        if !dev.is_file() {
            let message = format!(
                "expected judgements of development queries in {}, by which parameters of `{}` are chosen, found no file",
                dev.display(),
                system.name.get_ref()
            );
            return Err(config.wrong(first.path.span(), message));
        }
    }
    let mut known = Vec::new();
    for system in study.systems.get_ref() {
        check_system(config, system, &known)?;
        known.push(system.name.get_ref().as_str());
    }
    match &study.baseline {
        Some(baseline) => check_known(config, baseline, &known),
        None => Ok(()),
    }
}

fn check_metrics(config: &Config) -> Result<()> {
    let depth = *config.study.depth.get_ref();
    let mut metrics = Vec::new();
    for metric in config.study.metrics.get_ref() {
        let parsed = metric.get_ref().parse::<Metric>();
        let parsed = parsed.map_err(|error| config.wrong(metric.span(), error.to_string()))?;
        let name = parsed.to_string();
        if metrics.contains(&name) {
            let message = format!("expected each metric once, found {name} again");
            return Err(config.wrong(metric.span(), message));
        }
        let cutoff = name.rsplit_once('@').map(|(_, cutoff)| cutoff.parse());
        if cutoff.is_some_and(|cutoff| cutoff.is_ok_and(|cutoff: usize| cutoff > depth)) {
            let message = format!(
                "expected a metric of up to {depth} results, as `depth` says, found {name}"
            );
            return Err(config.wrong(metric.span(), message));
        }
        metrics.push(name);
    }
    Ok(())
}

/// A number of results.
fn check_count(config: &Config, count: &Spanned<usize>) -> Result<()> {
    let found = *count.get_ref();
    if (1..=MAX_K).contains(&found) {
        return Ok(());
    }
    let message = format!("expected 1 to {MAX_K} results, found {found}");
    Err(config.wrong(count.span(), message))
}

fn check_names<'c>(
    config: &Config,
    what: &str,
    names: impl Iterator<Item = &'c Spanned<String>>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
        let text = name.get_ref();
        if text.is_empty() || !text.bytes().all(is_plain) || text.starts_with('.') {
            let message = format!(
                "expected a name of letters, digits and - _ . + for a {what}, found `{text}`"
            );
            return Err(config.wrong(name.span(), message));
        }
        if !seen.insert(text) {
            let message = format!("expected another name, found a second {what} `{text}`");
            return Err(config.wrong(name.span(), message));
        }
    }
    Ok(())
}

fn check_files(config: &Config, collection: &Collection) -> Result<()> {
    if let Some(language) = &collection.language {
        let known = analyzer_name(language.get_ref());
        known.map_err(|error| config.wrong(language.span(), error.to_string()))?;
    }
    let folder = config.resolve(&collection.path)?;
    for name in ["corpus.jsonl", "queries.jsonl"] {
        if !folder.join(name).is_file() {
            let message = format!(
                "expected a folder with {name}, found none in {}",
                folder.display()
            );
            return Err(config.wrong(collection.path.span(), message));
        }
    }
    let test = folder.join(collection.test.get_ref());
    match test.is_file() {
        true => Ok(()),
        false => {
            let message = format!("expected judgements in {}, found no file", test.display());
            Err(config.wrong(collection.path.span(), message))
        }
    }
}

fn check_known(config: &Config, name: &Spanned<String>, known: &[&str]) -> Result<()> {
    if known.contains(&name.get_ref().as_str()) {
        return Ok(());
    }
    let message = format!(
        "expected a system that stands above, found `{}`; there are {}",
        name.get_ref(),
        if known.is_empty() {
            "none".into()
        } else {
            known.join(", ")
        }
    );
    Err(config.wrong(name.span(), message))
}

fn check_system(config: &Config, system: &System, known: &[&str]) -> Result<()> {
    let kind = system.kind;
    let is_of_model = matches!(kind, Kind::Sparse | Kind::Dense | Kind::Rerank);
    let is_of_others = matches!(kind, Kind::Rerank | Kind::Fuse) || kind.is_floor();
    let span = |key: &Option<Spanned<Vec<Spanned<String>>>>| key.as_ref().map(Spanned::span);
    let keys = [
        (
            "k1",
            system.k1.as_ref().map(Spanned::span),
            kind == Kind::Bm25,
        ),
        (
            "b",
            system.b.as_ref().map(Spanned::span),
            kind == Kind::Bm25,
        ),
        (
            "model",
            system.model.as_ref().map(Spanned::span),
            is_of_model,
        ),
        (
            "train",
            system.train.as_ref().map(Spanned::span),
            is_of_model,
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
        check_model(config, system)?;
    }
    if is_of_others {
        check_others(config, system, known)?;
    }
    check_candidates(config, system)
}

fn check_model(config: &Config, system: &System) -> Result<()> {
    match (&system.model, &system.train) {
        (Some(model), None) => {
            let path = config.resolve(model)?;
            match path.is_dir() {
                true => Ok(()),
                false => {
                    let message = format!(
                        "expected the folder of a model, found no {}",
                        path.display()
                    );
                    Err(config.wrong(model.span(), message))
                }
            }
        }
        (None, Some(train)) => {
            let options = train.get_ref();
            let base = options.base.to_string_lossy();
            if !config.resolve_text(&base, train.span())?.is_dir() || base.is_empty() {
                let message = format!("expected the folder of a model in `base`, found no {base}");
                return Err(config.wrong(train.span(), message));
            }
            match options.output.as_os_str().is_empty() && options.collection.is_none() {
                true => Ok(()),
                false => {
                    let message = "expected no `output` and no `collection` for training: the model goes to the folder of \
                                   the study, and is trained on the first collection";
                    Err(config.wrong(train.span(), message))
                }
            }
        }
        (Some(model), Some(_)) => {
            let message = "expected either `model` or `train`, found both; `train` takes `base`";
            Err(config.wrong(model.span(), message))
        }
        (None, None) => Err(config.wrong(system.name.span(), "expected `model` or `train`")),
    }
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
