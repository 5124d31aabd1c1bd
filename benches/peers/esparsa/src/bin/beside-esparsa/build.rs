//! Building an index: no stored documents, one segment.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use esparsa::store::FileSystem;
use esparsa::{
    Column, Document, Error, Index, IndexWriter, MergePolicy, ParsedBatch, Schema, Snapshot,
    Sparse, Text, WriterOptions,
};
use peers::Result;
use peers::documents::{Chunk, Documents};
use peers::driver::{BuildOptions, Built};
use peers::forms::Columns;
use peers::work::{Kind, Work, vector};

use crate::forms::{KEYWORD, NUMBER};
use crate::{BM25, FIELD, analyzer, index_options};

const MEMORY: usize = 1 << 30;
/// As many steps of impact as there are weights, so that each is kept as it is.
const GREATEST_WEIGHT: f32 = 255.0;

pub fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built> {
    let text = Text::new().analyzer(analyzer().name()).bm25(BM25);
    let schema = match work.kind {
        Kind::Text => Schema::builder().text(FIELD, text).build()?,
        Kind::Sparse => Schema::builder()
            .sparse(
                FIELD,
                Sparse::new().expected_max(GREATEST_WEIGHT).numbered(),
            )
            .build()?,
        Kind::Forms => Schema::builder()
            .text(FIELD, text.positions())
            .column(NUMBER, Column::u64())
            .column(KEYWORD, Column::keyword())
            .build()?,
    };
    let directory = Arc::new(FileSystem::create(index)?);
    let index = Index::create_in(directory, schema, index_options())?;
    // Documents are reordered once, when everything is merged.
    let merge_policy = match options.reorder {
        true => MergePolicy::never(),
        false => MergePolicy::new(),
    };
    let writer_options = WriterOptions::new()
        .threads(options.threads)
        .memory(MEMORY)
        .merge_policy(merge_policy)
        .reorder_from(options.reorder.then_some(0));
    let mut writer = index.writer_with(writer_options)?;
    let kind = work.kind;
    let columns = match kind {
        Kind::Forms => Columns::read(&work.folder, work.documents)?,
        _ => Columns::default(),
    };
    let columns = Arc::new(columns);
    for chunk in Documents::open(work, options.order.as_deref())? {
        let chunk = chunk?;
        let columns = Arc::clone(&columns);
        writer.add_parsed(move || parse(kind, &chunk, &columns))?;
    }
    writer.commit()?;
    let start = Instant::now();
    writer.merge_to(1)?;
    writer.commit()?;
    let merge_seconds = start.elapsed().as_secs_f64();
    expect_no_errors(&mut writer)?;
    drop(writer);
    let snapshot = index.snapshot()?;
    if snapshot.segments().len() != 1 {
        let found = snapshot.segments().len();
        return Err(format!("expected one segment, found {found}").into());
    }
    Ok(Built {
        documents: snapshot.documents(),
        parts: parts(&snapshot),
        merge_seconds,
        note: format!(
            "{} thread(s), 1 GiB of memory{}",
            options.threads,
            if options.reorder { ", reordered" } else { "" }
        ),
    })
}

/// Bytes of positions and of columns.
fn parts(snapshot: &Snapshot) -> Vec<(&'static str, u64)> {
    let segments = snapshot.segment_statistics();
    let bytes = |prefix: &str| {
        let sections = segments.iter().flat_map(|segment| &segment.sections);
        let of_part = sections.filter(|section| section.name.starts_with(prefix));
        of_part.map(|section| section.bytes).sum()
    };
    vec![
        ("positions", bytes("positions")),
        ("columns", bytes("column-")),
        ("ids", bytes("id")),
    ]
}

/// The documents of a chunk; called on one of the writer's threads.
fn parse(kind: Kind, chunk: &Chunk, columns: &Columns) -> ParsedBatch {
    let mut batch = ParsedBatch::new();
    for (number, record) in chunk.records() {
        let document = Document::new(number.to_string());
        match kind {
            Kind::Text | Kind::Forms => match std::str::from_utf8(record) {
                Ok(text) if kind == Kind::Forms => batch.add(
                    document
                        .with_text(FIELD, text)
                        .with(NUMBER, u64::from(columns.number(number)))
                        .with(KEYWORD, columns.keyword(number)),
                ),
                Ok(text) => batch.add(document.with_text(FIELD, text)),
                Err(error) => {
                    let message = format!("document {number} is not UTF-8: {error}");
                    batch.add_error(Error::invalid(message));
                }
            },
            Kind::Sparse => {
                let terms = vector(record).map(|(t, w)| (u32::from(t), f32::from(w)));
                batch.add(document.with_sparse_numbered(FIELD, terms));
            }
        }
    }
    batch
}

fn expect_no_errors(writer: &mut IndexWriter) -> Result<()> {
    match writer.take_errors().into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
