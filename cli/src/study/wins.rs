//! The queries that a system answers better or worse than the baseline.

use std::collections::{HashMap, HashSet};

use esparsa::eval::{Qrels, Run, TopicPart, open_queries};
use esparsa::{Index, Result, Snapshot};

use super::config::{Config, Kind};
use super::folder::Folder;
use super::plan::Plan;
use super::results::{CollectionResults, Results};
use crate::records::stored_contents;

/// Queries that are shown, of those won and of those lost.
pub(super) const SHOWN: usize = 5;
/// Relevant documents that are shown.
const RELEVANT: usize = 3;
/// Differences up to this are those of sums in another order.
const TIE: f64 = 1e-9;

/// A system beside the baseline.
pub(super) struct Comparison {
    /// The place of the system.
    pub system: usize,
    /// Of each query, from the largest win to the largest loss.
    pub differences: Vec<f64>,
    pub wins: Vec<Case>,
    pub losses: Vec<Case>,
}

/// A query.
pub(super) struct Case {
    pub query: String,
    pub text: String,
    /// The first metric of the baseline and of the system.
    pub values: (f64, f64),
    /// What the baseline and the system rank first.
    pub first: [Option<Found>; 2],
    /// The relevant documents of the highest grades and ranks.
    pub relevant: Vec<Found>,
    /// All relevant documents.
    pub relevant_count: usize,
}

/// A document.
pub(super) struct Found {
    pub id: String,
    pub text: String,
    pub is_relevant: bool,
    /// Its ranks with the baseline and with the system.
    pub ranks: [Option<usize>; 2],
}

impl Comparison {
    /// The numbers of queries won, lost and tied.
    pub fn counts(&self) -> [usize; 3] {
        let count = |is_counted: fn(f64) -> bool| {
            let differences = self.differences.iter();
            differences
                .filter(|difference| is_counted(**difference))
                .count()
        };
        [
            count(|difference| difference > TIE),
            count(|difference| difference < -TIE),
            count(|difference| difference.abs() <= TIE),
        ]
    }
}

/// The places of the queries with the largest wins and with the largest losses of a system.
pub(super) fn extremes(
    found: &CollectionResults,
    baseline: usize,
    system: usize,
    count: usize,
) -> [Vec<usize>; 2] {
    let difference =
        |query: &usize| found.of_queries[system][*query] - found.of_queries[baseline][*query];
    let mut sorted: Vec<usize> = (0..found.queries.len()).collect();
    // Equal differences stay in the order of the judgements.
    sorted.sort_by(|one, other| difference(other).total_cmp(&difference(one)));
    let wins = sorted
        .iter()
        .filter(|query| difference(query) > TIE)
        .take(count);
    let losses = sorted.iter().rev().filter(|query| difference(query) < -TIE);
    [
        wins.copied().collect(),
        losses.take(count).copied().collect(),
    ]
}

/// The texts of the test queries of a collection, by id.
///
/// # Errors
///
/// What reading the file gives.
pub(super) fn query_texts(config: &Config, collection: usize) -> Result<HashMap<String, String>> {
    let path = &config.study.collections.get_ref()[collection].path;
    let queries = config.resolve(path)?.join("queries.jsonl");
    let queries = open_queries(queries, TopicPart::default())?.into_iter();
    let texts = queries.map(|query| (query.id, query.text.unwrap_or_default()));
    Ok(texts.collect())
}

/// Compares all systems but floors with the baseline on a collection.
///
/// # Errors
///
/// What reading runs, judgements, queries and documents gives.
pub(super) fn compare(
    config: &Config,
    plan: &Plan,
    folder: &Folder,
    results: &Results,
    collection: usize,
    texts: &HashMap<String, String>,
) -> Result<Vec<Comparison>> {
    let found = &results.collections[collection];
    let qrels = Qrels::open(folder.path_of(&plan.judgements[collection], plan)?)?;
    let run = |system: usize| {
        Run::open(folder.output(&plan.steps[plan.systems[system].runs[collection]]))
    };
    // Indexes of repeated terms have no texts for people.
    let kinds = config.study.systems.get_ref().iter().map(|s| s.kind);
    let systems = kinds.zip(&plan.systems);
    let mut indexes = systems
        .filter(|(kind, _)| *kind != Kind::Repeated)
        .filter_map(|(_, system)| system.indexes.get(collection));
    let documents = indexes
        .next()
        .map(|index| Index::open(folder.output(&plan.steps[*index])));
    let reader = Reader {
        relevance_level: results
            .metrics
            .first()
            .map_or(1, |metric| metric.relevance_level()),
        baseline: run(results.baseline)?,
        documents: documents
            .transpose()?
            .map(|index| index.snapshot())
            .transpose()?,
        qrels,
        texts,
    };
    let mut comparisons = Vec::new();
    for (system, of) in config.study.systems.get_ref().iter().enumerate() {
        if of.kind.is_floor() || system == results.baseline {
            continue;
        }
        let run = run(system)?;
        let case = |query: usize| {
            let value = |system: usize| found.of_queries[system][query];
            let values = (value(results.baseline), value(system));
            reader.case(&found.queries[query], &run, values)
        };
        let [wins, losses] = extremes(found, results.baseline, system, SHOWN);
        let both = found.of_queries[system]
            .iter()
            .zip(&found.of_queries[results.baseline]);
        let mut differences: Vec<f64> = both.map(|(own, other)| own - other).collect();
        differences.sort_by(|one, other| other.total_cmp(one));
        comparisons.push(Comparison {
            system,
            differences,
            wins: wins.into_iter().map(case).collect::<Result<_>>()?,
            losses: losses.into_iter().map(case).collect::<Result<_>>()?,
        });
    }
    Ok(comparisons)
}

/// What is known of the queries of a collection.
struct Reader<'a> {
    relevance_level: i32,
    baseline: Run,
    documents: Option<Snapshot>,
    qrels: Qrels,
    texts: &'a HashMap<String, String>,
}

impl Reader<'_> {
    fn case(&self, query: &str, run: &Run, values: (f64, f64)) -> Result<Case> {
        let ranked = [self.baseline.ranked(query), run.ranked(query)];
        let ranks_of = |id: &str| {
            ranked.each_ref().map(|results| {
                let place = results.iter().position(|result| result.document == id);
                place.map(|place| place + 1)
            })
        };
        let judgements = self.qrels.judgments(query).into_iter().flatten();
        let mut relevant: Vec<(&str, i32, usize)> = judgements
            .filter(|(_, grade)| **grade >= self.relevance_level)
            .map(|(id, grade)| {
                let best = ranks_of(id).into_iter().flatten().min();
                (id.as_str(), *grade, best.unwrap_or(usize::MAX))
            })
            .collect();
        // Those that either system ranks high say more of the difference than others of the grade.
        relevant.sort_by_key(|(id, grade, best)| (std::cmp::Reverse(*grade), *best, *id));
        let ids: HashSet<&str> = relevant.iter().map(|(id, _, _)| *id).collect();
        let found = |id: &str| -> Result<Found> {
            Ok(Found {
                id: id.to_owned(),
                text: self.text(id)?,
                is_relevant: ids.contains(id),
                ranks: ranks_of(id),
            })
        };
        let first = |results: &Vec<&esparsa::eval::ScoredDocument>| {
            let first = results.first();
            first.map(|first| found(&first.document)).transpose()
        };
        let shown = relevant.iter().take(RELEVANT).map(|(id, _, _)| found(id));
        Ok(Case {
            query: query.to_owned(),
            text: self.texts.get(query).cloned().unwrap_or_default(),
            values,
            first: [first(&ranked[0])?, first(&ranked[1])?],
            relevant: shown.collect::<Result<_>>()?,
            relevant_count: relevant.len(),
        })
    }

    /// What is stored of a document; empty for one that the index lacks.
    fn text(&self, id: &str) -> Result<String> {
        let stored = match &self.documents {
            Some(documents) => documents.get(id)?,
            None => None,
        };
        Ok(stored.map_or(String::new(), |stored| stored_contents(&stored)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_the_largest_differences_without_ties() {
        let found = CollectionResults {
            queries: ["a", "b", "c", "d", "e"].map(String::from).to_vec(),
            values: Vec::new(),
            of_queries: vec![vec![0.5; 5], vec![0.7, 0.5, 0.1, 0.9, 0.4]],
        };
        assert_eq!(extremes(&found, 0, 1, 5), [vec![3, 0], vec![2, 4]]);
        assert_eq!(extremes(&found, 0, 1, 1), [vec![3], vec![2]]);
        assert_eq!(extremes(&found, 0, 0, 5), [Vec::<usize>::new(), Vec::new()]);
    }
}
