//! The words of a query: its terms under a field's analyzer, and what segments have of them.

use std::collections::BTreeMap;

use super::look_up::Entries;
use super::options::SearchOptions;
use super::prefetch;
use crate::error::Result;
use crate::format::FieldNumber;
use crate::format::limits::MAX_TEXT_TERM_BYTES;
use crate::index::Snapshot;

/// The terms of a text under a field's analyzer that documents can have, with their frequencies.
pub(super) fn analyze(
    snapshot: &Snapshot,
    field: FieldNumber,
    text: &str,
) -> Result<BTreeMap<String, u32>> {
    let mut terms = count_terms(snapshot, field, text)?;
    terms.retain(|term, _| can_be_indexed(term));
    Ok(terms)
}

/// All terms of a text under a field's analyzer, also those that are too long for an index.
pub(super) fn count_terms(
    snapshot: &Snapshot,
    field: FieldNumber,
    text: &str,
) -> Result<BTreeMap<String, u32>> {
    let mut terms = BTreeMap::new();
    let analyzer = snapshot.expect_analyzer(field)?;
    analyzer.analyze_query(&analyzer.repair(text), &mut |term, _| {
        if !term.is_empty() {
            *terms.entry(term.to_owned()).or_default() += 1;
        }
    });
    Ok(terms)
}

fn can_be_indexed(term: &str) -> bool {
    term.len() <= MAX_TEXT_TERM_BYTES
}

/// What each segment has of the terms.
pub(super) fn look_up(
    snapshot: &Snapshot,
    options: &SearchOptions,
    field: FieldNumber,
    terms: &BTreeMap<String, u32>,
) -> Result<Entries> {
    prefetch::dictionaries(snapshot, |reader| Some(&reader.text(field)?.terms));
    let entries = Entries::look_up(snapshot, options, terms.len(), |segment| {
        let Some(text) = segment.reader.text(field) else {
            return Ok(Vec::new());
        };
        let find = |term: &String| match can_be_indexed(term) {
            true => text.terms.term(term.as_bytes()),
            false => Ok(None),
        };
        terms.keys().map(find).collect()
    })?;
    prefetch::text_lists(snapshot, field, &entries);
    Ok(entries)
}
