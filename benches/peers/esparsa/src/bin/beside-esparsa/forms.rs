//! Queries of many forms: what they are to esparsa, and what is done with them.

use esparsa::{Facet, FacetResult, Hits, Query, SearchOptions, Snapshot, Sort, Value};
use peers::Result;
use peers::forms::{Form, Task, keyword_number, task_of};

use crate::FIELD;

/// The columns.
pub const NUMBER: &str = "number";
pub const KEYWORD: &str = "keyword";
/// Keywords that are counted.
const MAX_FACETS: usize = 10;

/// What a search found, by its task.
pub enum Found {
    Hits(Hits),
    Sorted(Hits),
    Count(u64),
    Facets(Vec<FacetResult>),
}

/// The task of a mode, and the options that it needs.
pub fn task(mode: &str, options: SearchOptions) -> Result<(Task, SearchOptions)> {
    let task = task_of(mode)?;
    Ok(match task {
        Task::Sort => (task, options.sort(Sort::ascending(NUMBER))),
        _ => (task, options),
    })
}

pub fn query(form: &Form) -> Query {
    let text = |terms: &[String]| Query::text(FIELD, terms.join(" "));
    let query = match form {
        Form { phrase, .. } if !phrase.is_empty() => Query::phrase(FIELD, phrase.join(" ")),
        Form {
            prefix: Some(prefix),
            ..
        } => Query::prefix(FIELD, prefix.as_str()),
        Form {
            fuzzy: Some((term, distance)),
            ..
        } => Query::fuzzy(FIELD, term.as_str(), *distance).with_constant_score(1.0),
        Form { must, should, .. } if must.is_empty() => text(should),
        Form { must, should, .. } if should.is_empty() => text(must).with_all_terms(),
        Form { must, should, .. } => {
            let words = |term: &String| Query::text(FIELD, term);
            let query = must.iter().map(words).fold(Query::bool(), Query::must);
            should.iter().map(words).fold(query, Query::should)
        }
    };
    let query = form.must_not.iter().fold(query, |query, term| {
        query.without(Query::text(FIELD, term))
    });
    match form.range {
        Some((low, high)) => {
            query.with_filter(Query::range(NUMBER, u64::from(low)..=u64::from(high)))
        }
        None => query,
    }
}

pub fn search(
    snapshot: &Snapshot,
    query: &Query,
    task: Task,
    options: &SearchOptions,
) -> Result<Found> {
    let hits = || Ok::<_, esparsa::Error>(snapshot.search_with(query, options)?.hits);
    Ok(match task {
        Task::Top => Found::Hits(hits()?),
        Task::Sort => Found::Sorted(hits()?),
        Task::Count => Found::Count(snapshot.count(query)?),
        Task::Facets => {
            Found::Facets(snapshot.facets(query, &[Facet::values(KEYWORD, MAX_FACETS)])?)
        }
    })
}

impl Found {
    /// Documents and scores as the driver writes them.
    pub fn name(self) -> Result<Vec<(u32, f32)>> {
        match self {
            Self::Hits(hits) => hits
                .iter()
                .map(|hit| Ok((hit.id()?.parse()?, hit.score)))
                .collect(),
            Self::Sorted(hits) => {
                let sorted = hits.iter().map(|hit| match hit.values(NUMBER)?.as_slice() {
                    [Value::U64(number)] => Ok((hit.id()?.parse()?, *number as f32)),
                    _ => Err("expected one number of a document".into()),
                });
                sorted.collect()
            }
            Self::Count(count) => Ok(vec![(0, count as f32)]),
            Self::Facets(facets) => match facets.as_slice() {
                [FacetResult::Values(values)] => {
                    let values = values.iter().map(|(value, count)| match value {
                        Value::Keyword(keyword) => Ok((keyword_number(keyword)?, *count as f32)),
                        _ => Err("expected keywords".into()),
                    });
                    values.collect()
                }
                _ => Err("expected the counts of one facet".into()),
            },
        }
    }
}
