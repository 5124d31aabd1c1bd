//! How many hits, in what order, and what is counted.

use esparsa::executor::CancelToken;
use esparsa::{Facet, SearchOptions, Sort};

use crate::arguments::{Text, object};
use crate::status::{EsparsaStatus, free, run};

/// How a query is searched.
pub struct EsparsaOptions(pub SearchOptions);

/// Lets another thread stop searches.
pub struct EsparsaCancel(CancelToken);

impl EsparsaOptions {
    fn set(&mut self, set: impl FnOnce(SearchOptions) -> SearchOptions) {
        let options = std::mem::replace(&mut self.0, SearchOptions::new(1));
        self.0 = set(options);
    }
}

fn set(
    options: Option<&mut EsparsaOptions>,
    set: impl FnOnce(SearchOptions) -> SearchOptions,
) -> EsparsaStatus {
    run(|| {
        object(options, "options")?.set(set);
        Ok(())
    })
}

/// Options of a search of the best `k` documents, at least 1, exact and by score. `k` and the offset
/// are at most 10,000,000 together.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_new(k: usize) -> Box<EsparsaOptions> {
    Box::new(EsparsaOptions(SearchOptions::new(k)))
}

/// Leaves out the first hits, for pages.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_offset(
    options: Option<&mut EsparsaOptions>,
    hits: usize,
) -> EsparsaStatus {
    set(options, |options| options.offset(hits))
}

/// Orders hits by a column instead of the score. Called again, it adds a column for those that are
/// equal in the ones before. Documents without a value are last, or first with `missing_first`.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_sort(
    options: Option<&mut EsparsaOptions>,
    column: Text<'_>,
    descending: bool,
    missing_first: bool,
) -> EsparsaStatus {
    run(|| {
        let column = column.get("column")?;
        let sort = match descending {
            true => Sort::descending(column),
            false => Sort::ascending(column),
        };
        let sort = if missing_first {
            sort.missing_first()
        } else {
            sort
        };
        object(options, "options")?.set(|options| options.sort(sort));
        Ok(())
    })
}

/// Counts the values of a column over all documents that match, and keeps the `count` most frequent.
/// The first facet that is added has number 0 in the functions of hits, the next one 1.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_facet(
    options: Option<&mut EsparsaOptions>,
    column: Text<'_>,
    count: usize,
) -> EsparsaStatus {
    run(|| {
        let facet = Facet::values(column.get("column")?, count);
        object(options, "options")?.set(|options| options.facets([facet]));
        Ok(())
    })
}

/// Counts the documents that match, until it is known that there are at least `limit`; `UINT64_MAX`
/// counts all.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_count_up_to(
    options: Option<&mut EsparsaOptions>,
    limit: u64,
) -> EsparsaStatus {
    set(options, |options| options.count_up_to(limit))
}

/// Returns, and counts, only hits whose score is at least this, which is finite. A sort beside it is
/// refused.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_min_score(
    options: Option<&mut EsparsaOptions>,
    score: f32,
) -> EsparsaStatus {
    set(options, |options| options.min_score(score))
}

/// Lets one query run on several threads, 1 to 1,024; 1 is the default.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_threads(
    options: Option<&mut EsparsaOptions>,
    threads: usize,
) -> EsparsaStatus {
    set(options, |options| options.threads(threads))
}

/// The share of the exact results that should be found in a sparse field, above 0 and up to 1. Below 1
/// the search is approximate and faster, and a query of other fields is refused.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_recall(
    options: Option<&mut EsparsaOptions>,
    recall: f32,
) -> EsparsaStatus {
    set(options, |options| options.recall(recall))
}

/// Stops searches with these options when `esparsa_cancel_now` is called: they return
/// `ESPARSA_STATUS_CANCELLED`.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_cancel(
    options: Option<&mut EsparsaOptions>,
    cancel: Option<&EsparsaCancel>,
) -> EsparsaStatus {
    run(|| {
        let token = object(cancel, "cancel")?.0.clone();
        object(options, "options")?.set(|options| options.cancel(token));
        Ok(())
    })
}

/// Frees options.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_options_free(options: Option<Box<EsparsaOptions>>) {
    free(options);
}

/// What stops searches from another thread.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_cancel_new() -> Box<EsparsaCancel> {
    Box::new(EsparsaCancel(CancelToken::new()))
}

/// Stops all searches whose options have it, for good.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_cancel_now(cancel: Option<&EsparsaCancel>) {
    if let Some(cancel) = cancel {
        cancel.0.cancel();
    }
}

/// Frees it. Searches that have it go on.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_cancel_free(cancel: Option<Box<EsparsaCancel>>) {
    free(cancel);
}
