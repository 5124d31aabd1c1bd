//! Query files, and the field that queries search.
//!
//! What comes in: a path, plain or compressed, and the options that name a field. What goes out:
//! queries for the library, each with its id. Nothing here searches. Files are read whole: their
//! content is kept in memory anyway.

mod field;

use std::path::Path;

use clap::ValueEnum;
use clap::builder::TypedValueParser;
use esparsa::FieldKind;
use esparsa::eval::{self, Qrels, Run, read_queries};
use esparsa::limits::MAX_K;
use esparsa::{Error, Query, Result, Snapshot};

use crate::input::{InputFormat, Reader, are_column_names, header_warning};
use crate::output;
use crate::size::grouped;

pub use field::{FieldArguments, SearchedField, kind_of};

/// Max number of threads.
const MAX_THREADS: usize = 1_024;

/// Part of a TREC topic to search with; other query files have only one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TopicPart {
    /// A few words.
    #[default]
    Title,
    /// A sentence.
    Description,
    /// A paragraph that says what is relevant.
    Narrative,
    /// Title, then description.
    TitleAndDescription,
}

impl From<TopicPart> for eval::TopicPart {
    fn from(part: TopicPart) -> Self {
        match part {
            TopicPart::Title => Self::Title,
            TopicPart::Description => Self::Description,
            TopicPart::Narrative => Self::Narrative,
            TopicPart::TitleAndDescription => Self::TitleAndDescription,
        }
    }
}

/// A file of queries, and which of them are searched.
#[derive(Clone, Copy, Debug)]
pub struct QueryFile<'a> {
    /// The file, or `-` for standard input.
    pub path: &'a Path,
    /// Part of TREC topics to search with.
    pub part: TopicPart,
    /// Relevance judgements, if only queries that have some are searched.
    pub qrels: Option<&'a Path>,
}

/// The queries of a file, prepared for one index.
pub struct QuerySet {
    /// Ids of the queries, in the order of the file.
    pub ids: Vec<String>,
    /// The texts of the queries, where they have one, in the same order.
    pub texts: Vec<Option<String>>,
    /// The queries, in the same order.
    pub queries: Vec<Query>,
    /// The field that they search.
    pub field: SearchedField,
}

impl QuerySet {
    /// Reads the queries of `path`, or of standard input for `-`, for an index.
    ///
    /// Without a field named, they search the only field that all of them can; see
    /// [`FieldArguments::find_in`].
    ///
    /// # Errors
    ///
    /// Those of [`read_queries`], and [`Error::InvalidInput`] when the file has no query, the
    /// schema lacks the field, or a query lacks what the field is searched with.
    pub fn open(
        path: &Path,
        part: TopicPart,
        field: &FieldArguments,
        snapshot: &Snapshot,
    ) -> Result<Self> {
        let file = QueryFile {
            path,
            part,
            qrels: None,
        };
        Self::open_encoded(&file, field, snapshot, None, |_, _| Ok(()))
    }

    /// As [`QuerySet::open`], for queries that a model encodes: `encode` fills in their vectors for
    /// a field. `kind` is the kind of field that is searched unless one is named.
    ///
    /// # Errors
    ///
    /// Those of [`QuerySet::open`] and of `encode`.
    pub fn open_encoded(
        file: &QueryFile<'_>,
        field: &FieldArguments,
        snapshot: &Snapshot,
        kind: Option<FieldKind>,
        encode: impl FnOnce(&SearchedField, &mut [eval::Query]) -> Result<()>,
    ) -> Result<Self> {
        let (text, name) = read_file(file.path)?;
        let mut read = read_queries(&*text, &name, file.part.into())?;
        if read.is_empty() {
            return Err(Error::invalid("expected queries, found an empty file").at_line(name, 0));
        }
        warn_of_header(&read, &name);
        if let Some(qrels) = file.qrels {
            keep_judged(&mut read, qrels, &name)?;
        }
        let field = match kind {
            Some(kind) => field.find_in(snapshot, &[kind])?,
            None => field.find_in(snapshot, &kinds_of_all(&read))?,
        };
        encode(&field, &mut read).map_err(|error| error.at_line(&*name, 0))?;
        let queries = read.iter().map(|query| field.query(query));
        let queries = queries.collect::<Result<_>>();
        let queries = queries.map_err(|error| error.at_line(name, 0))?;
        let (ids, texts) = read.into_iter().map(|query| (query.id, query.text)).unzip();
        Ok(Self {
            ids,
            texts,
            queries,
            field,
        })
    }

    /// Changes every query.
    pub fn change(&mut self, change: impl Fn(Query) -> Query) {
        let queries = std::mem::take(&mut self.queries).into_iter();
        self.queries = queries.map(change).collect();
    }
}

/// Prints a warning if the first of the queries of a file looks like a header.
pub fn warn_of_header(queries: &[eval::Query], name: &str) {
    if let Some(first) = queries.first()
        && are_column_names(&first.id, first.text.as_deref().unwrap_or(""))
    {
        output::message(&header_warning(name, "query"));
    }
}

/// Keeps only the queries that have judgements.
fn keep_judged(queries: &mut Vec<eval::Query>, qrels: &Path, name: &str) -> Result<()> {
    let (qrels, qrels_name) = read_qrels(qrels)?;
    queries.retain(|query| qrels.contains(&query.id));
    if queries.is_empty() {
        let message = format!("no query is judged in {qrels_name}; do both belong together?");
        return Err(Error::invalid(message).at_line(name, 0));
    }
    Ok(())
}

/// The kinds of fields that every one of these queries can search.
fn kinds_of_all(queries: &[eval::Query]) -> Vec<FieldKind> {
    let can_search = |query: &eval::Query, kind: FieldKind| match kind {
        FieldKind::Text => query.text.is_some(),
        FieldKind::Sparse => query.vector.is_some(),
        _ => query.dense.is_some(),
    };
    let mut kinds = vec![FieldKind::Text, FieldKind::Sparse, FieldKind::Dense];
    kinds.retain(|kind| queries.iter().all(|query| can_search(query, *kind)));
    kinds
}

/// The bytes of a text file, or of standard input for `-`, decompressed if they are compressed; and
/// its name for messages.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read or its compressed data is broken,
/// [`Error::InvalidInput`] for a folder and for a compression that is not read here.
pub fn read_file(path: &Path) -> Result<(Vec<u8>, String)> {
    let mut name = path.display().to_string();
    if path.is_dir() {
        let message = "expected a file, found a folder; name a file in it";
        return Err(Error::invalid(message).at_line(name, 0));
    }
    let mut bytes = Vec::new();
    // The format only makes the reader cut after lines; nothing is parsed here.
    for chunk in Reader::open(&[path.to_owned()], InputFormat::JsonLines)? {
        let chunk = chunk?;
        bytes.extend_from_slice(&chunk.bytes);
        name = chunk.file.to_string();
    }
    Ok((bytes, name))
}

/// The relevance judgements of a file, at least one, and its name for messages.
///
/// # Errors
///
/// Those of [`read_file`] and of [`Qrels::read`]; [`Error::InvalidInput`] when there are none.
pub fn read_qrels(path: &Path) -> Result<(Qrels, String)> {
    let (text, name) = read_file(path)?;
    let qrels = Qrels::read(&*text, &name)?;
    if qrels.is_empty() {
        let message = "expected relevance judgements, found none; name a file of TREC qrels or a TSV file of BEIR";
        return Err(Error::invalid(message).at_line(name, 0));
    }
    Ok((qrels, name))
}

/// The run of a file, and its name for messages.
///
/// # Errors
///
/// Those of [`read_file`] and of [`Run::read`]; JSON is named as such.
pub fn read_run(path: &Path) -> Result<(Run, String)> {
    let (text, name) = read_file(path)?;
    match Run::read(&*text, &name) {
        Ok(run) => Ok((run, name)),
        Err(_) if text.trim_ascii_start().starts_with(b"{") => {
            let message = "expected a run in TREC format (query, Q0, document, rank, score, tag), found JSON; name a run, as \
                           `esparsa search --queries` writes it without --json";
            Err(Error::invalid(message).at_line(name, 0))
        }
        Err(error) => Err(error),
    }
}

/// Parser of a number of results.
pub fn k_parser() -> impl TypedValueParser<Value = usize> {
    whole_number(MAX_K)
}

/// Parser of a whole number from 1 to `max`.
fn whole_number(max: usize) -> impl TypedValueParser<Value = usize> {
    move |text: &str| {
        let number = text.parse::<usize>().ok();
        let number = number.filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| {
            let max = grouped(max as u64);
            format!("expected a whole number from 1 to {max}, found {text}")
        })
    }
}

/// Parser of a recall.
///
/// # Errors
///
/// When the text is not a number above 0 and up to 1.
pub fn recall_parser(text: &str) -> std::result::Result<f32, String> {
    let recall = text.parse().ok();
    let recall = recall.filter(|recall| *recall > 0.0 && *recall <= 1.0);
    recall
        .ok_or_else(|| format!("expected a number above 0 and up to 1, such as 0.97, found {text}"))
}

/// Parser of a score.
///
/// # Errors
///
/// When the text is not a finite number.
pub fn score_parser(text: &str) -> std::result::Result<f32, String> {
    let score = text.parse().ok().filter(|score: &f32| score.is_finite());
    score.ok_or_else(|| format!("expected a finite number, such as 7.5, found {text}"))
}

/// Parser of a number of threads.
pub fn threads_parser() -> impl TypedValueParser<Value = usize> {
    whole_number(MAX_THREADS)
}
