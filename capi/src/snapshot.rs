//! Counts, stored documents, suggestions and snippets.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;

use esparsa::{Result, Snapshot, SnippetOptions};

use crate::arguments::{Text, leave, object};
use crate::hits::{EsparsaHits, c_string, terminated};
use crate::options::EsparsaOptions;
use crate::query::EsparsaQuery;
use crate::status::{EsparsaStatus, free, keep, run, status_of};

/// One commit of an index. It never changes, and any number of threads may search it.
pub struct EsparsaSnapshot(pub Snapshot);

/// Bytes that a function leaves, with a zero byte behind them that does not count.
pub struct EsparsaBytes(Vec<u8>);

/// Completions of a prefix.
pub struct EsparsaCompletions(Vec<(CString, u64)>);

/// The number of documents; 0 for null.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_snapshot_documents(snapshot: Option<&EsparsaSnapshot>) -> u64 {
    snapshot.map_or(0, |snapshot| snapshot.0.documents())
}

/// The number of the commit; 0 for null.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_snapshot_commit(snapshot: Option<&EsparsaSnapshot>) -> u64 {
    snapshot.map_or(0, |snapshot| snapshot.0.commit())
}

/// The best documents for a query.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_search(
    snapshot: Option<&EsparsaSnapshot>,
    query: Option<&EsparsaQuery>,
    options: Option<&EsparsaOptions>,
    hits: Option<&mut MaybeUninit<*mut EsparsaHits>>,
) -> EsparsaStatus {
    run(|| {
        leave(hits, "hits", || {
            let (snapshot, query) = (object(snapshot, "snapshot")?, object(query, "query")?);
            let options = object(options, "options")?;
            EsparsaHits::of(snapshot.0.search_with(&query.0, &options.0)?)
        })
    })
}

/// How many documents match a query.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_count(
    snapshot: Option<&EsparsaSnapshot>,
    query: Option<&EsparsaQuery>,
    count: Option<&mut MaybeUninit<u64>>,
) -> EsparsaStatus {
    run(|| {
        let count = object(count, "count")?.write(0);
        let (snapshot, query) = (object(snapshot, "snapshot")?, object(query, "query")?);
        *count = snapshot.0.count(&query.0)?;
        Ok(())
    })
}

/// The bytes that are stored for the document with an external id; `ESPARSA_STATUS_NOT_FOUND` and
/// null if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_get(
    snapshot: Option<&EsparsaSnapshot>,
    id: Text<'_>,
    bytes: Option<&mut MaybeUninit<*mut EsparsaBytes>>,
) -> EsparsaStatus {
    left_if_found(bytes, "bytes", id, |id| {
        object(snapshot, "snapshot")?.0.get(id)
    })
}

/// The best passage of a text by what a query looks for, at most `length` characters without markup, as
/// HTML with matches in `<mark>`.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_snippet(
    snapshot: Option<&EsparsaSnapshot>,
    query: Option<&EsparsaQuery>,
    text: Text<'_>,
    length: usize,
    html: Option<&mut MaybeUninit<*mut EsparsaBytes>>,
) -> EsparsaStatus {
    left(html, "html", || {
        let (snapshot, query) = (object(snapshot, "snapshot")?, object(query, "query")?);
        let (options, text) = (SnippetOptions::new(length), text.get("text")?);
        let found = snapshot.0.snippets(&query.0, None, text, &options)?;
        Ok(found
            .first()
            .map_or_else(String::new, |passage| passage.to_html("<mark>", "</mark>")))
    })
}

/// Where the score of a document comes from in a search of `k`, as text for people;
/// `ESPARSA_STATUS_NOT_FOUND` and null if there is no such document.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_explain(
    snapshot: Option<&EsparsaSnapshot>,
    query: Option<&EsparsaQuery>,
    id: Text<'_>,
    k: usize,
    text: Option<&mut MaybeUninit<*mut EsparsaBytes>>,
) -> EsparsaStatus {
    left_if_found(text, "text", id, |id| {
        let (snapshot, query) = (object(snapshot, "snapshot")?, object(query, "query")?);
        let explained = snapshot.0.explain(&query.0, id, k)?;
        Ok(explained.map(|explained| explained.to_string().into_bytes()))
    })
}

/// The `n` most frequent terms of a text field, or keywords of a column, that begin with `prefix`.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_complete(
    snapshot: Option<&EsparsaSnapshot>,
    field: Text<'_>,
    prefix: Text<'_>,
    n: usize,
    completions: Option<&mut MaybeUninit<*mut EsparsaCompletions>>,
) -> EsparsaStatus {
    run(|| {
        leave(completions, "completions", || {
            let (field, prefix) = (field.get("field")?, prefix.get("prefix")?);
            let found = object(snapshot, "snapshot")?.0.complete(field, prefix, n)?;
            let found = found.into_iter();
            let found = found.map(|found| (c_string(found.text), found.documents));
            Ok(EsparsaCompletions(found.collect()))
        })
    })
}

/// How many completions there are; 0 for null.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_completions_length(completions: Option<&EsparsaCompletions>) -> usize {
    completions.map_or(0, |completions| completions.0.len())
}

/// A completion, the most frequent first, and in how many documents it is, unless `documents` is null.
/// It is null beyond the last, and valid until the completions are freed.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_completions_text(
    completions: Option<&EsparsaCompletions>,
    place: usize,
    documents: Option<&mut MaybeUninit<u64>>,
) -> *const c_char {
    let found = completions.and_then(|completions| completions.0.get(place));
    if let Some(documents) = documents {
        documents.write(found.map_or(0, |(_, count)| *count));
    }
    found.map_or(std::ptr::null(), |(text, _)| text.as_ptr())
}

/// Frees completions.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_completions_free(completions: Option<Box<EsparsaCompletions>>) {
    free(completions);
}

/// Leaves bytes of the document with an id, if there is one.
fn left_if_found(
    out: Option<&mut MaybeUninit<*mut EsparsaBytes>>,
    name: &str,
    id: Text<'_>,
    find: impl FnOnce(&str) -> Result<Option<Vec<u8>>>,
) -> EsparsaStatus {
    status_of(|| {
        let out = object(out, name)?;
        out.write(std::ptr::null_mut());
        let id = id.get("id")?;
        let Some(bytes) = find(id)? else {
            keep(&format!("expected the id of a document, found {id:?}"));
            return Ok(EsparsaStatus::NotFound);
        };
        leave(Some(out), name, || Ok(EsparsaBytes(terminated(bytes))))?;
        Ok(EsparsaStatus::Ok)
    })
}

fn left(
    out: Option<&mut MaybeUninit<*mut EsparsaBytes>>,
    name: &str,
    make: impl FnOnce() -> Result<String>,
) -> EsparsaStatus {
    run(|| {
        leave(out, name, || {
            Ok(EsparsaBytes(terminated(make()?.into_bytes())))
        })
    })
}

/// Frees a snapshot. Hits of its searches may be used on.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_snapshot_free(snapshot: Option<Box<EsparsaSnapshot>>) {
    free(snapshot);
}

/// The bytes, with a zero byte behind them; null for null. They are valid until they are freed.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_bytes_data(bytes: Option<&EsparsaBytes>) -> *const c_char {
    bytes.map_or(std::ptr::null(), |bytes| bytes.0.as_ptr().cast())
}

/// How many bytes there are, without the zero byte; 0 for null.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_bytes_length(bytes: Option<&EsparsaBytes>) -> usize {
    bytes.map_or(0, |bytes| bytes.0.len() - 1)
}

/// Frees bytes.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_bytes_free(bytes: Option<Box<EsparsaBytes>>) {
    free(bytes);
}
