//! The C interface of esparsa.
//!
//! | file | concept |
//! | --- | --- |
//! | `status` | what functions return, and the message of the last error |
//! | `arguments` | strings and arrays that C code passes |
//! | `schema` | the fields of an index, one by one |
//! | `document` | a document, value by value |
//! | `index` | opening, creating, and the snapshot of the newest commit |
//! | `writer` | adding, deleting and committing |
//! | `snapshot` | counts, stored documents, suggestions and snippets |
//! | `query` | queries from words, the query language, JSON and vectors |
//! | `options` | how many hits, in what order, and what is counted |
//! | `hits` | what a search found |
//!
//! Pointers to objects are `Option` of references and boxes, for which Rust promises the layout of a
//! pointer that may be null. What C code must keep to beyond that is in the README.

// Functions are exported under their names, and strings and arrays of C are read.
#![allow(unsafe_code)]

mod arguments;
mod document;
mod hits;
mod index;
mod options;
mod query;
mod schema;
mod snapshot;
mod status;
mod writer;

// What the README promises of threads.
const fn shared<T: Send + Sync>() {}
const _: () = {
    shared::<index::EsparsaIndex>();
    shared::<snapshot::EsparsaSnapshot>();
    shared::<snapshot::EsparsaBytes>();
    shared::<query::EsparsaQuery>();
    shared::<options::EsparsaOptions>();
    shared::<options::EsparsaCancel>();
    shared::<hits::EsparsaHits>();
    shared::<snapshot::EsparsaCompletions>();
};
const fn moved<T: Send>() {}
const _: () = {
    moved::<schema::EsparsaSchema>();
    moved::<document::EsparsaDocument>();
    moved::<writer::EsparsaWriter>();
};
