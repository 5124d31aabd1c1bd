//! An open index, and what it is asked.

use std::sync::Arc;

use esparsa::executor::Inline;
use esparsa::store::Memory;
use esparsa::{Error, FieldKind, FieldOptions, Index, IndexOptions, Query, Result, Snapshot};
use serde::Serialize;

use crate::answer::{Answer, FacetReport, HitReport};
use crate::request::Request;

/// Bytes of a query in the query language. The depth of a query tree is bounded by the library.
const MAX_QUERY_BYTES: usize = 8 << 10;
/// Bytes of stored documents in one answer.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The newest commit of an index.
pub struct Engine {
    snapshot: Snapshot,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} documents)", self.documents())
    }
}

#[derive(Serialize)]
struct FieldReport<'a> {
    name: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    analyzer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_type: Option<&'static str>,
}

#[derive(Serialize)]
struct CompletionReport<'a> {
    text: &'a str,
    documents: u64,
}

impl Engine {
    /// Opens the index in a directory.
    ///
    /// # Errors
    ///
    /// Those of [`Index::open_in`].
    pub fn open(files: Memory) -> Result<Self> {
        // There are no threads here, so nothing should be divided among some.
        let options = IndexOptions::new().executor(Arc::new(Inline));
        let snapshot = Index::open_in(Arc::new(files), options)?.snapshot()?;
        Ok(Self { snapshot })
    }

    /// Number of documents.
    pub fn documents(&self) -> u64 {
        self.snapshot.documents()
    }

    /// The fields as JSON.
    ///
    /// # Errors
    ///
    /// None that can happen.
    pub fn schema(&self) -> Result<String> {
        let fields = self.snapshot.schema().fields().iter();
        let fields = fields.map(|field| FieldReport {
            name: &field.name,
            kind: field.options.kind().name(),
            analyzer: match &field.options {
                FieldOptions::Text(text) => Some(&text.analyzer),
                _ => None,
            },
            column_type: match &field.options {
                FieldOptions::Column(column) => Some(column.column_type.name()),
                _ => None,
            },
        });
        to_json(&fields.collect::<Vec<_>>())
    }

    /// The best completions of a prefix, as JSON.
    ///
    /// # Errors
    ///
    /// Those of [`Snapshot::complete`].
    pub fn complete(&self, field: &str, prefix: &str, n: usize) -> Result<String> {
        let found = self.snapshot.complete(field, prefix, n)?;
        let reports = found.iter().map(|found| CompletionReport {
            text: &found.text,
            documents: found.documents,
        });
        to_json(&reports.collect::<Vec<_>>())
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// For mistakes in the request, and those of [`Snapshot::search_with`].
    pub fn search(&self, request: &str) -> Result<String> {
        let request = Request::read(request)?;
        let (query, mut notes) = self.query(&request)?;
        let filtered = request
            .filters()?
            .into_iter()
            .fold(query.clone(), Query::with_filter);
        let facets = request.facets()?;
        let options = request.options(&facets);
        let result = self.snapshot.search_with(&filtered, &options)?;
        let skipped = result.statistics.terms_skipped;
        if skipped > 0 {
            notes.push(format!(
                "searched with the weightiest terms of the query; terms skipped: {skipped}"
            ));
        }
        let wanted = request.passages()?;
        let mut hits = Vec::with_capacity(result.hits.len());
        let mut bytes = 0;
        for (rank, hit) in (request.offset() + 1..).zip(&result.hits) {
            let stored = hit.stored()?;
            bytes += stored.len();
            if bytes > MAX_ANSWER_BYTES {
                return Err(Error::invalid(format!(
                    "expected documents of at most {MAX_ANSWER_BYTES} bytes in one answer, found \
                     more; ask for a lower `k`"
                )));
            }
            let snippets = wanted
                .as_ref()
                .map(|wanted| wanted.of(&self.snapshot, &query, &stored));
            hits.push(HitReport::new(rank, &hit, &stored, snippets.transpose()?)?);
        }
        to_json(&Answer {
            documents: self.documents(),
            count: result.count.map(Into::into),
            notes,
            hits,
            facets: FacetReport::of(result.facets, &facets),
        })
    }

    /// The query of a request, without its filters, and what a lenient parse took as words.
    fn query(&self, request: &Request<'_>) -> Result<(Query, Vec<String>)> {
        let Some(words) = request.words()? else {
            return Ok((request.tree()?, Vec::new()));
        };
        if words.len() > MAX_QUERY_BYTES {
            let found = words.len();
            return Err(Error::invalid(format!(
                "expected a `query` of at most {MAX_QUERY_BYTES} bytes, found one of {found}; \
                 shorten it"
            )));
        }
        let schema = self.snapshot.schema();
        let fields = match request.fields() {
            Some(fields) => fields.to_vec(),
            None => {
                let fields = schema.fields().iter();
                let fields = fields.filter(|field| field.options.kind() == FieldKind::Text);
                fields.map(|field| field.name.clone()).collect()
            }
        };
        if fields.is_empty() {
            return Err(Error::invalid(
                "expected a field of text to search the words of `query` in, found none; name one \
                 in `fields`, or send a query tree such as \
                 `{\"sparse\": {\"FIELD\": {\"volcano\": 2.5}}}`",
            ));
        }
        for field in &fields {
            schema.expect(field, FieldKind::Text)?;
        }
        request.parse(&self.snapshot, fields, &words)
    }
}

fn to_json(report: &impl Serialize) -> Result<String> {
    serde_json::to_string(report)
        .map_err(|error| Error::invalid(format!("expected an answer that JSON can hold: {error}")))
}
