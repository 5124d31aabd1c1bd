//! From documents, queries and judgements to BEIR's layout.
//!
//! Judgements come first, because only queries that have some are written. Then documents, whose
//! ids decide which judgements stay. Then queries, and at last the judgements of those.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::Options;
use super::items::{Item, ItemParser, Rows, each_query};
use super::judgements::{Judged, Judgements};
use super::layout::{Layout, check_column};
use super::report::{Reason, Report};
use crate::index::report_skipped_files;
use crate::input::{Ids, InputFormat, OnDuplicate, Reader};
use crate::progress::Progress;
use crate::queries::TopicPart;
use crate::size::counted;

const EMPTY_DOCUMENT: Reason = Reason {
    what: "document",
    why: "without title and text",
};
const EMPTY_QUERY: Reason = Reason {
    what: "query",
    why: "without a text",
};
const NOT_JUDGED: Reason = Reason {
    what: "query",
    why: "without judgements of the documents",
};

/// What a collection is made of.
pub(super) struct Collection<'a> {
    /// Files and folders of documents.
    pub documents: &'a [PathBuf],
    pub format: InputFormat,
    pub rows: Rows,
    /// Files of queries.
    pub queries: &'a [PathBuf],
    pub topic_part: TopicPart,
    pub judgements: Judgements,
    /// Whether documents without any words are written.
    pub keeps_empty: bool,
}

/// A conversion at work.
struct Conversion<'a> {
    options: &'a Options,
    layout: Layout,
    report: Report,
    progress: Progress,
}

impl Collection<'_> {
    /// Writes the folder, and prints a report.
    ///
    /// # Errors
    ///
    /// Those of reading and writing, and what the report refuses; nothing is written then.
    pub fn convert(mut self, options: &Options, report: Report) -> Result<()> {
        if self.judgements.is_empty() {
            return Err(Error::invalid(
                "expected judgements, found none named; name files of them with --train, --dev or --test",
            ));
        }
        let mut reader = Reader::open_encoded(self.documents, self.format, options.encoding)?;
        let mut conversion = Conversion {
            options,
            layout: Layout::create(&options.output)?,
            report,
            progress: Progress::new(reader.total_bytes(), options.quiet),
        };
        report_skipped_files(&reader, &conversion.progress);
        let documents = conversion.documents(&mut reader, self.rows, self.keeps_empty)?;
        conversion.progress.phase("reading queries");
        let Conversion {
            report, progress, ..
        } = &mut conversion;
        let judged = self.judgements.resolve(&documents, report, progress)?;
        drop(documents);
        let queries = conversion.queries(self.queries, self.topic_part, &judged)?;
        conversion.judgements(&self.judgements, &judged, &queries)?;
        let Conversion {
            layout,
            report,
            progress,
            ..
        } = conversion;
        report.check(&progress)?;
        layout.finish()?;
        drop(progress);
        report.print()
    }
}

impl Conversion<'_> {
    /// Writes the documents, and returns their ids.
    fn documents(&mut self, reader: &mut Reader, rows: Rows, keeps_empty: bool) -> Result<Ids> {
        let mut ids = Ids::new(OnDuplicate::Skip);
        let mut parser = ItemParser::new(rows);
        let mut encodings: BTreeMap<&str, u64> = BTreeMap::new();
        while let Some(chunk) = reader.next() {
            let items = match chunk {
                Ok(chunk) => parser.parse(&chunk),
                Err(error) => vec![Err(error)],
            };
            for item in items {
                match item {
                    Ok(item) => {
                        if let Some(encoding) = item.encoding {
                            *encodings.entry(encoding).or_default() += 1;
                        }
                        self.document(&item, &mut ids, keeps_empty)?;
                    }
                    Err(error) => self.report.bad(error, &self.progress)?,
                }
            }
            self.note_header(&mut parser);
            self.progress
                .update(reader.bytes_read(), self.report.documents);
        }
        for (encoding, count) in encodings {
            let documents = counted(count, "document");
            self.progress.message(&format!(
                "{documents} not UTF-8, read as {encoding}; `--encoding` names another encoding"
            ));
        }
        Ok(ids)
    }

    fn document(&mut self, item: &Item, ids: &mut Ids, keeps_empty: bool) -> Result<()> {
        if item.is_empty() && !keeps_empty {
            return self.report.leave_out(EMPTY_DOCUMENT, || {
                item.error(
                    "expected a title or a text, found neither; --keep-empty keeps such documents",
                )
            });
        }
        if let Err(error) = ids.add(&item.id, &item.file, item.line) {
            return self.report.duplicate(error, &self.progress);
        }
        self.report.documents += 1;
        self.layout.document(&item.id, &item.title, &item.text)
    }

    /// Says that a row that names the columns is skipped.
    fn note_header(&self, parser: &mut ItemParser) {
        if let Some(file) = parser.header.take() {
            self.progress.message(&format!(
                "{file}:1: the first row names the columns, and is skipped"
            ));
        }
    }

    /// Writes the queries that have judgements, and returns their ids.
    fn queries(
        &mut self,
        files: &[PathBuf],
        part: TopicPart,
        judged: &[Judged],
    ) -> Result<HashSet<String>> {
        let judged: HashSet<&str> = judged.iter().map(|judged| &*judged.query).collect();
        let mut ids = Ids::new(OnDuplicate::Skip);
        // A query that is in several files, as those of a part and of a sample of it, is one.
        let mut written: HashMap<String, u64> = HashMap::new();
        let mut parser = ItemParser::new(Rows::Text);
        let mut not_judged = 0;
        for file in files {
            let mut reader = open_queries(file, self.options)?;
            each_query(&mut reader, part.into(), &mut parser, |item| {
                let item = match item {
                    Ok(item) => item,
                    Err(error) => return self.report.bad(error, &self.progress),
                };
                if !judged.contains(&*item.id) {
                    not_judged += 1;
                    return Ok(());
                }
                let hash = xxh3_64(item.text.as_bytes());
                if written.get(&item.id) == Some(&hash) {
                    return Ok(());
                }
                if self.query(&item, &mut ids)? {
                    written.insert(item.id, hash);
                }
                Ok(())
            })?;
            self.note_header(&mut parser);
        }
        self.report.count(NOT_JUDGED, not_judged);
        Ok(written.into_keys().collect())
    }

    /// Writes a query; false if it is left out.
    fn query(&mut self, item: &Item, ids: &mut Ids) -> Result<bool> {
        if item.is_empty() {
            let error = || item.error("expected the text of a query, found none");
            self.report.leave_out(EMPTY_QUERY, error)?;
            return Ok(false);
        }
        check_column(&item.id).map_err(|error| error.at_line(&*item.file, item.line))?;
        if let Err(error) = ids.add(&item.id, &item.file, item.line) {
            self.report.duplicate(error, &self.progress)?;
            return Ok(false);
        }
        self.report.queries += 1;
        self.layout.query(&item.id, &item.text)?;
        Ok(true)
    }

    /// Writes the judgements of queries that were written.
    fn judgements(
        &mut self,
        all: &Judgements,
        judged: &[Judged],
        queries: &HashSet<String>,
    ) -> Result<()> {
        for judged in judged {
            if !queries.contains(&judged.query) {
                all.without_query(judged, &mut self.report)?;
                continue;
            }
            self.report.judged(judged.part, judged.grades.len() as u64);
            for (document, grade) in &judged.grades {
                self.layout
                    .judgement(judged.part, &judged.query, document, *grade)?;
            }
        }
        Ok(())
    }
}

/// Opens a file of queries; the format only makes the reader cut after lines.
fn open_queries(file: &Path, options: &Options) -> Result<Reader> {
    if file.is_dir() {
        let message = "expected a file of queries, found a folder; name a file in it";
        return Err(Error::invalid(message).at_line(file.display().to_string(), 0));
    }
    let files = [file.to_owned()];
    Reader::open_encoded(&files, InputFormat::JsonLines, options.encoding)
}
