//! What makes a configuration wrong. Everything is checked before any work begins.
//!
//! | file | concept |
//! | --- | --- |
//! | `collections` | collections and their files |
//! | `models` | models, and from what they are made |
//! | `systems` | systems and their parameters |

mod collections;
mod models;
mod systems;

use std::collections::HashSet;
use std::path::Path;

use esparsa::Result;
use esparsa::eval::Metric;
use esparsa::limits::MAX_K;
use toml::Spanned;

use super::config::Config;

/// Refuses what cannot be done.
///
/// # Errors
///
/// [`Error::InvalidInput`](esparsa::Error::InvalidInput) with the line of the first mistake.
pub(super) fn check(config: &Config) -> Result<()> {
    let study = &config.study;
    if study.metrics.get_ref().is_empty() {
        let message = "expected at least one metric, found none";
        return Err(config.wrong(study.metrics.span(), message));
    }
    check_count(config, &study.depth)?;
    check_metrics(config)?;
    if let Some(precision) = &study.precision {
        check_word(config, precision, &["f32", "bf16"])?;
    }
    let collections = study.collections.get_ref();
    let systems = study.systems.get_ref();
    check_names(config, "collection", collections.iter().map(|c| &c.name))?;
    check_names(config, "model", study.models.iter().map(|m| &m.name))?;
    check_names(config, "system", systems.iter().map(|s| &s.name))?;
    if collections.is_empty() {
        let message = "expected a collection, found none";
        return Err(config.wrong(study.collections.span(), message));
    }
    if systems.is_empty() {
        return Err(config.wrong(study.systems.span(), "expected a system, found none"));
    }
    models::check(config)?;
    let known: Vec<&str> = systems.iter().map(|s| s.name.get_ref().as_str()).collect();
    for (place, system) in systems.iter().enumerate() {
        systems::check(config, system, &known[..place])?;
    }
    if let Some(baseline) = &study.baseline {
        check_known(config, baseline, &known)?;
    }
    // Last, as it reads files.
    collections::check(config)
}

/// Refuses the folder of a study where one of its inputs would change with it.
///
/// # Errors
///
/// As [`check`].
pub(super) fn check_folder(config: &Config, folder: &Path) -> Result<()> {
    let collections = config.study.collections.get_ref().iter().map(|c| &c.path);
    let systems = config.study.systems.get_ref().iter();
    let models = systems.filter_map(|system| system.model.as_ref());
    let models = models.filter(|model| config.model(model.get_ref()).is_none());
    let made = config.study.models.iter();
    let bases = made.flat_map(|model| [Some(&model.base), model.teacher.as_ref()]);
    let bases = bases
        .flatten()
        .filter(|base| config.model(base.get_ref()).is_none());
    for input in collections.chain(models).chain(bases) {
        if folder.starts_with(config.resolve(input)?) {
            let message = format!(
                "expected a folder of the study outside its inputs, found {} within this one; take \
                 another with --folder",
                folder.display()
            );
            return Err(config.wrong(input.span(), message));
        }
    }
    Ok(())
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
    let message = format!("expected a number from 1 to {MAX_K}, found {found}");
    Err(config.wrong(count.span(), message))
}

/// One of some words.
fn check_word(config: &Config, word: &Spanned<String>, words: &[&str]) -> Result<()> {
    if words.contains(&word.get_ref().as_str()) {
        return Ok(());
    }
    let message = format!(
        "expected {}, found `{}`",
        words.join(" or "),
        word.get_ref()
    );
    Err(config.wrong(word.span(), message))
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
