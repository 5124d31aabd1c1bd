//! Building an index: frequencies and lengths, numbers in a column, one segment; positions and other columns where
//! queries of many forms need them.

use std::path::Path;
use std::time::Instant;

use peers::Result;
use peers::documents::Documents;
use peers::driver::{BuildOptions, Built, bytes_of_files};
use peers::forms::Columns;
use peers::work::{Kind, Work};
use tantivy::index::SegmentId;
use tantivy::merge_policy::NoMergePolicy;
use tantivy::schema::{FAST, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexWriter, doc};

use crate::{INDEXED, KEYWORD, NUMBER, TEXT, VALUE};

const MEMORY: usize = 1 << 30;

pub fn build(work: &Work, folder: &Path, options: &BuildOptions) -> Result<Built> {
    if work.kind == Kind::Sparse {
        return Err("tantivy indexes text only".into());
    }
    let has_columns = work.kind == Kind::Forms;
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default();
    let indexing = indexing
        .set_tokenizer("whitespace")
        .set_index_option(match has_columns {
            true => IndexRecordOption::WithFreqsAndPositions,
            false => INDEXED,
        });
    let text = TextOptions::default().set_indexing_options(indexing);
    let text = schema.add_text_field(TEXT, text);
    let number = schema.add_u64_field(NUMBER, FAST);
    let columns = match has_columns {
        true => Some((
            schema.add_u64_field(VALUE, FAST),
            schema.add_text_field(KEYWORD, STRING | FAST),
            Columns::read(&work.folder, work.documents)?,
        )),
        false => None,
    };
    let index = Index::create_in_dir(folder, schema.build())?;

    // Several threads would not keep an order.
    let threads = if options.order.is_some() {
        1
    } else {
        options.threads
    };
    let mut writer: IndexWriter = index.writer_with_num_threads(threads, MEMORY)?;
    // All segments are merged at the end, and never before.
    writer.set_merge_policy(Box::new(NoMergePolicy));
    let mut places = vec![0; work.documents as usize];
    let mut added = 0;
    for chunk in Documents::open(work, options.order.as_deref())? {
        for (document, line) in chunk?.records() {
            let line = std::str::from_utf8(line)?;
            let mut fields = doc!(number => u64::from(document), text => line);
            if let Some((value, keyword, columns)) = &columns {
                fields.add_u64(*value, u64::from(columns.number(document)));
                fields.add_text(*keyword, columns.keyword(document));
            }
            writer.add_document(fields)?;
            places[document as usize] = added;
            added += 1;
        }
    }
    writer.commit()?;
    let start = Instant::now();
    let segments = in_order(&index, &places)?;
    if segments.len() > 1 {
        writer.merge(&segments).wait()?;
        writer.garbage_collect_files().wait()?;
    }
    writer.wait_merging_threads()?;
    let merge_seconds = start.elapsed().as_secs_f64();
    let documents = index.reader()?.searcher().num_docs();
    Ok(Built {
        documents,
        merge_seconds,
        parts: vec![
            ("positions", bytes_of_files(folder, ".pos")?),
            ("columns", bytes_of_files(folder, ".fast")?),
        ],
        note: format!(
            "{threads} thread(s) beside the reading one, 1 GiB of memory, one segment made of {}",
            segments.len()
        ),
    })
}

/// The segments by when their first document was added, which with one thread is the order of documents.
fn in_order(index: &Index, places: &[u32]) -> Result<Vec<SegmentId>> {
    let searcher = index.reader()?.searcher();
    let mut segments = Vec::new();
    for segment in searcher.segment_readers() {
        let numbers = segment.fast_fields().u64(NUMBER)?;
        let first = numbers.first(0).ok_or("a document has no number")?;
        segments.push((places[usize::try_from(first)?], segment.segment_id()));
    }
    segments.sort_unstable();
    Ok(segments.into_iter().map(|(_, segment)| segment).collect())
}
