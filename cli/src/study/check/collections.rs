//! Collections and their files, which are opened before any work begins.

use std::collections::HashSet;
use std::path::Path;

use esparsa::Result;
use esparsa::eval::{Qrels, TopicPart, open_queries};
use toml::Spanned;

use super::check_count;
use crate::index::analyzer_name;
use crate::output;
use crate::size::counted;
use crate::study::config::{Collection, Config, System};
use crate::study::plan::candidates;

/// Refuses collections that are not there or have nothing to compare systems with.
///
/// # Errors
///
/// [`Error::InvalidInput`](esparsa::Error::InvalidInput) with the line of the first mistake.
pub(super) fn check(config: &Config) -> Result<()> {
    let study = &config.study;
    let is_chosen = |system: &&System| candidates(system).len() > 1;
    let chosen = study.systems.get_ref().iter().find(is_chosen);
    for (place, collection) in study.collections.get_ref().iter().enumerate() {
        let queries = check_files(config, collection)?;
        let test = check_judgements(config, collection, &collection.test, &queries, "")?;
        if let Some(system) = chosen.filter(|_| place == 0) {
            let of = format!(
                ", by which parameters of `{}` are chosen",
                system.name.get_ref()
            );
            let dev = check_judgements(config, collection, &collection.dev, &queries, &of)?;
            let common = dev.queries().filter(|query| test.contains(query)).count();
            if common > 0 {
                output::message(&format!(
                    "warning: found {} of {} among the test queries: parameters are chosen by what \
                     they are tested on",
                    counted(common as u64, "development query"),
                    collection.name.get_ref()
                ));
            }
        }
    }
    Ok(())
}

/// The ids of the queries.
fn check_files(config: &Config, collection: &Collection) -> Result<HashSet<String>> {
    if let Some(language) = &collection.language {
        let known = analyzer_name(language.get_ref());
        known.map_err(|error| config.wrong(language.span(), error.to_string()))?;
    }
    for sample in [&collection.test_queries, &collection.dev_queries] {
        sample
            .iter()
            .try_for_each(|sample| check_count(config, sample))?;
    }
    let folder = config.resolve(&collection.path)?;
    for name in ["corpus.jsonl", "queries.jsonl"] {
        let length = folder.join(name).metadata();
        let found = match length {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => continue,
            Ok(metadata) if metadata.is_file() => "an empty one",
            _ => "none",
        };
        let message = format!(
            "expected a folder with {name}, found {found} in {}",
            folder.display()
        );
        return Err(config.wrong(collection.path.span(), message));
    }
    let queries = open_queries(folder.join("queries.jsonl"), TopicPart::default());
    let queries = queries.map_err(|error| at(config, &collection.path, &error))?;
    Ok(queries.into_iter().map(|query| query.id).collect())
}

/// Judgements of which some are of queries of the collection.
fn check_judgements(
    config: &Config,
    collection: &Collection,
    file: &Spanned<String>,
    queries: &HashSet<String>,
    of: &str,
) -> Result<Qrels> {
    let path = config.judgements(collection, file)?;
    // Most collections do not say where they are, so that the key is not in the file.
    let key = match file.span().is_empty() {
        true => &collection.path,
        false => file,
    };
    let refused = |found: &str, path: &Path| {
        let message = format!(
            "expected judgements in {}{of}, found {found}",
            path.display()
        );
        config.wrong(key.span(), message)
    };
    if !path.is_file() {
        return Err(refused("no file", &path));
    }
    let qrels = Qrels::open(&path).map_err(|error| at(config, key, &error))?;
    if !qrels.queries().any(|query| queries.contains(query)) {
        return Err(refused("none of a query in queries.jsonl", &path));
    }
    Ok(qrels)
}

/// An error of a file, at the place of the configuration that names the file.
fn at(config: &Config, key: &Spanned<String>, error: &esparsa::Error) -> esparsa::Error {
    config.wrong(key.span(), error.to_string())
}
