//! Adding, deleting and committing.

use esparsa::{IndexWriter, WriterOptions};
use std::mem::MaybeUninit;

use crate::arguments::{Text, leave, object};
use crate::document::EsparsaDocument;
use crate::index::EsparsaIndex;
use crate::query::EsparsaQuery;
use crate::snapshot::EsparsaSnapshot;
use crate::status::{EsparsaStatus, free, run};

/// The writer of an index. There is one at a time, in all processes; it is used by one thread at a
/// time.
pub struct EsparsaWriter(IndexWriter);

/// Opens the writer of an index. `threads`, at most 1,024, and `memory`, in bytes and at least 32 MiB,
/// are those that indexing may use; 0 takes the defaults.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_open(
    index: Option<&EsparsaIndex>,
    threads: usize,
    memory: usize,
    writer: Option<&mut MaybeUninit<*mut EsparsaWriter>>,
) -> EsparsaStatus {
    run(|| {
        leave(writer, "writer", || {
            let mut options = WriterOptions::new();
            if threads > 0 {
                options = options.threads(threads);
            }
            if memory > 0 {
                options = options.memory(memory);
            }
            let index = object(index, "index")?;
            Ok(EsparsaWriter(index.0.writer_with(options)?))
        })
    })
}

/// Adds a document, and replaces the one with its id. The document is freed, also on an error; null
/// is an error. After `ESPARSA_STATUS_INVALID_INPUT` the document is not added and the writer goes on;
/// any other error is about earlier work, and the writer refuses more.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_add(
    writer: Option<&mut EsparsaWriter>,
    document: Option<Box<EsparsaDocument>>,
) -> EsparsaStatus {
    run(|| {
        let document = object(document, "document")?.into_document()?;
        object(writer, "writer")?.0.add(document)
    })
}

/// Deletes the document with an external id, if there is one.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_delete(
    writer: Option<&mut EsparsaWriter>,
    id: Text<'_>,
) -> EsparsaStatus {
    run(|| object(writer, "writer")?.0.delete(id.get("id")?))
}

/// Deletes all documents that match a query, and says how many these were unless `deleted` is null.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_delete_matching(
    writer: Option<&mut EsparsaWriter>,
    query: Option<&EsparsaQuery>,
    deleted: Option<&mut MaybeUninit<u64>>,
) -> EsparsaStatus {
    run(|| {
        let deleted = deleted.map(|deleted| deleted.write(0));
        let query = &object(query, "query")?.0;
        let count = object(writer, "writer")?.0.delete_matching(query)?;
        if let Some(deleted) = deleted {
            *deleted = count;
        }
        Ok(())
    })
}

/// Makes durable and visible what was added and deleted, all or nothing.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_commit(writer: Option<&mut EsparsaWriter>) -> EsparsaStatus {
    run(|| object(writer, "writer")?.0.commit().map(drop))
}

/// Drops what was added and deleted since the last commit.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_rollback(writer: Option<&mut EsparsaWriter>) -> EsparsaStatus {
    run(|| object(writer, "writer")?.0.rollback())
}

/// A snapshot that also has what is not yet committed.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_refresh(
    writer: Option<&mut EsparsaWriter>,
    snapshot: Option<&mut MaybeUninit<*mut EsparsaSnapshot>>,
) -> EsparsaStatus {
    run(|| {
        leave(snapshot, "snapshot", || {
            Ok(EsparsaSnapshot(object(writer, "writer")?.0.refresh()?))
        })
    })
}

/// Merges segments until there are at most `segments`, which is at least 1. With one the index is
/// smallest and fastest. The next commit makes it visible.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_merge(
    writer: Option<&mut EsparsaWriter>,
    segments: usize,
) -> EsparsaStatus {
    run(|| object(writer, "writer")?.0.merge_to(segments))
}

/// Frees a writer and its lock. What is not committed is dropped.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_writer_free(writer: Option<Box<EsparsaWriter>>) {
    free(writer);
}
