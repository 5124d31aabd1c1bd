//! Queries from words, the query language, JSON and vectors.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr;

use esparsa::{Error, FieldKind, Query, QueryParser, Snapshot};

use crate::arguments::{Text, array, leave, object};
use crate::document::sparse_vector;
use crate::snapshot::EsparsaSnapshot;
use crate::status::{EsparsaStatus, free, run};

/// What is searched for. Any number of threads may search with it, while none adds a filter.
pub struct EsparsaQuery(pub Query);

/// Words for a text field, in which nothing is an operator. With `all_terms`, documents have all of
/// them.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_query_text(
    field: Text<'_>,
    words: Text<'_>,
    all_terms: bool,
    query: Option<&mut MaybeUninit<*mut EsparsaQuery>>,
) -> EsparsaStatus {
    run(|| {
        leave(query, "query", || {
            let query = Query::text(field.get("field")?, words.get("words")?);
            let query = if all_terms {
                query.with_all_terms()
            } else {
                query
            };
            Ok(EsparsaQuery(query))
        })
    })
}

/// A query that a person wrote in the query language, such as
/// `+volcano -sicily title:"new york" +year:>=1990 erupt* vulcano~1`.
///
/// Words without a field are looked for in `field`, or in all text fields where it is null. With
/// `lenient`, what is wrong is searched as words instead of being an error.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_query_parse(
    snapshot: Option<&EsparsaSnapshot>,
    field: Text<'_>,
    text: Text<'_>,
    lenient: bool,
    query: Option<&mut MaybeUninit<*mut EsparsaQuery>>,
) -> EsparsaStatus {
    run(|| {
        leave(query, "query", || {
            let snapshot = &object(snapshot, "snapshot")?.0;
            let fields = match field.get_if_any("field")? {
                Some(field) => vec![field.to_owned()],
                None => text_fields(snapshot),
            };
            if fields.is_empty() {
                return Err(Error::invalid(
                    "expected an index with a text field, found none",
                ));
            }
            for field in &fields {
                snapshot.schema().expect(field, FieldKind::Text)?;
            }
            let (parser, text) = (QueryParser::new(fields), text.get("text")?);
            let query = match lenient {
                true => parser.parse_lenient(snapshot, text).0,
                false => parser.parse(snapshot, text)?,
            };
            Ok(EsparsaQuery(query))
        })
    })
}

fn text_fields(snapshot: &Snapshot) -> Vec<String> {
    let fields = snapshot.schema().fields().iter();
    let texts = fields.filter(|field| field.options.kind() == FieldKind::Text);
    texts.map(|field| field.name.clone()).collect()
}

/// A query tree in JSON, such as
/// `{"text": {"name": "tea"}, "filter": {"range": {"price": {"gte": 10}}}}`: every kind of query, with
/// filters. The documentation of `Query::from_json` in Rust and of `Query.from_json` in Python lists
/// them.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_query_json(
    json: Text<'_>,
    query: Option<&mut MaybeUninit<*mut EsparsaQuery>>,
) -> EsparsaStatus {
    run(|| {
        leave(query, "query", || {
            Ok(EsparsaQuery(Query::from_json(json.get("json")?)?))
        })
    })
}

/// Terms and weights for a sparse field. The arrays are copied.
///
/// # Safety
///
/// `terms` leads to `length` strings, and `weights` to as many numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_query_sparse(
    field: Text<'_>,
    terms: *const *const c_char,
    weights: *const f32,
    length: usize,
    query: Option<&mut MaybeUninit<*mut EsparsaQuery>>,
) -> EsparsaStatus {
    run(|| {
        leave(query, "query", || {
            // SAFETY: the caller vouches for both arrays.
            let vector = unsafe { sparse_vector(terms, weights, length) }?;
            Ok(EsparsaQuery(Query::sparse(field.get("field")?, vector)))
        })
    })
}

/// A vector for a dense field: `length` numbers, which are copied.
///
/// # Safety
///
/// `vector` leads to `length` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_query_dense(
    field: Text<'_>,
    vector: *const f32,
    length: usize,
    query: Option<&mut MaybeUninit<*mut EsparsaQuery>>,
) -> EsparsaStatus {
    run(|| {
        leave(query, "query", || {
            // SAFETY: the caller vouches for the array.
            let vector = unsafe { array(vector, length, "vector") }?;
            Ok(EsparsaQuery(Query::dense(field.get("field")?, vector)))
        })
    })
}

/// Adds a filter: documents must match it too, or must not where `without` is true. It adds nothing to
/// scores. `filter` is copied, and must be another query.
///
/// # Safety
///
/// Both pointers are null or lead to queries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn esparsa_query_filter(
    query: *mut EsparsaQuery,
    filter: *const EsparsaQuery,
    without: bool,
) -> EsparsaStatus {
    run(|| {
        if ptr::eq(query, filter) && !filter.is_null() {
            return Err(Error::invalid(
                "expected another query in `filter`, found the one in `query`",
            ));
        }
        // SAFETY: the caller vouches for both, and they are not the same.
        let (query, filter) = unsafe { (query.as_mut(), filter.as_ref()) };
        let filter = object(filter, "filter")?.0.clone();
        let query = object(query, "query")?;
        let inner = std::mem::replace(&mut query.0, Query::all());
        query.0 = match without {
            true => inner.without(filter),
            false => inner.with_filter(filter),
        };
        Ok(())
    })
}

/// Frees a query.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_query_free(query: Option<Box<EsparsaQuery>>) {
    free(query);
}
