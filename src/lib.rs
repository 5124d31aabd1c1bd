//! An embedded search engine for text (BM25), learned sparse vectors (SPLADE) and dense vectors:
//! exact top k, by dynamic pruning for text and sparse vectors, on its own on-disk format. One
//! crate, one folder on disk, no server.
//!
//! # A tour
//!
//! **Index and search.** A [`Schema`] defines the fields, an [`IndexWriter`] adds [`Document`]s,
//! and a [`Snapshot`] is one commit, which a [`Query`] searches:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema, Text};
//!
//! let folder = tempfile::tempdir()?;
//! let schema = Schema::builder()
//!     .text("text", Text::new().analyzer("english"))
//!     .stored("source")
//!     .build()?;
//! let path = folder.path().join("passages.index");
//! let index = Index::create(&path, schema)?;
//!
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_text("text", "Etna is an active volcano in Sicily."))?;
//! writer.add(Document::new("bees").with_text("text", "Bees dance to tell where flowers are."))?;
//! writer.commit()?;
//!
//! let snapshot = index.snapshot()?;
//! let hits = snapshot.search(&Query::text("text", "dancing bee"), 10)?;
//! assert_eq!(hits.ids()?, ["bees"]);
//! let best = hits.first().expect("one document matches");
//! assert!(best.stored()?.starts_with(br#"{"_id":"bees","text":"Bees"#));
//!
//! // Another program, or a later run of this one, opens the index; it has its schema.
//! let index = Index::open(&path)?;
//! assert_eq!(index.snapshot()?.documents(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Index::open_or_create`] does whichever is needed. Where there is no index, [`Index::open`]
//! returns [`Error::NoIndex`].
//!
//! **Update and delete.** A document's external id is the string that the program gives it, as
//! opposed to its [`DocAddress`] inside one snapshot. A document replaces the live document with the
//! same external id. Readers see a commit completely or not at all, and a snapshot never changes:
//!
//! ```
//! # use esparsa::{Document, Index, Query, Schema, Text};
//! # let index = Index::in_memory(Schema::builder()
//! #     .text("text", Text::new().analyzer("english"))
//! #     .build()?)?;
//! # let mut writer = index.writer()?;
//! writer.add(Document::new("a").with_text("text", "first version"))?;
//! writer.commit()?;
//! let before = index.snapshot()?;
//!
//! writer.add(Document::new("a").with_text("text", "second version"))?;
//! writer.delete("never there")?;
//! let report = writer.commit()?;
//! assert_eq!(report.documents, 1);
//!
//! let after = index.snapshot()?;
//! let query = Query::text("text", "second");
//! assert_eq!(before.search(&query, 10)?.len(), 0);
//! assert_eq!(after.search(&query, 10)?.len(), 1);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Learned sparse vectors.** Terms are strings or numbers. Weights of documents are quantized to 8
//! bits with a scale that each segment chooses; the quantized weight is called an *impact*. Scores
//! are exact sums of integers:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema, Sparse};
//!
//! let index = Index::in_memory(Schema::builder().sparse("splade", Sparse::new()).build()?)?;
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_sparse("splade", [("volcano", 2.2), ("sicily", 1.7)]))?;
//! writer.add(Document::new("bees").with_sparse("splade", [("bee", 2.4), ("honey", 0.9)]))?;
//! writer.commit()?;
//!
//! let query = Query::sparse("splade", [("honey", 1.5), ("insect", 0.4)]);
//! let hits = index.snapshot()?.search(&query, 10)?;
//! let best = hits.first().expect("one document matches");
//! assert_eq!(best.id()?, "bees");
//! assert!((best.score - 0.9 * 1.5).abs() < 0.01);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Dense vectors.** Search is exact: it scores every vector, by inner product or cosine. Vectors
//! are stored as f32, f16 or i8:
//!
//! ```
//! use esparsa::{Dense, DenseElement, Document, Index, Query, Schema};
//!
//! let passage = Dense::new(3).element(DenseElement::F16).cosine();
//! let schema = Schema::builder().dense("passage", passage).build()?;
//! let index = Index::in_memory(schema)?;
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_dense("passage", [0.9, 0.1, 0.0]))?;
//! writer.add(Document::new("bees").with_dense("passage", [0.1, 0.2, 2.8]))?;
//! writer.commit()?;
//!
//! let hits = index.snapshot()?.search(&Query::dense("passage", [0.0, 0.0, 5.0]), 10)?;
//! let best = hits.first().expect("one document matches");
//! assert_eq!(best.id()?, "bees");
//! assert!((best.score - 0.997).abs() < 0.001);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Languages.** The analyzer of a text field depends on its language, given as a code or in
//! English. The index stores the analyzer's name with the field, so queries are analyzed as the
//! documents were. [`text`] describes the analyzers; other analyzers are put together from a
//! tokenizer and filters (`standard|lowercase|edge-ngram:2-10`, see [`text::Analyzer::named`]), or
//! implement [`text::Tokenizer`]:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema, Text};
//!
//! let schema = Schema::builder()
//!     .text("pt", Text::new().analyzer("portuguese"))
//!     .text("ko", Text::new().analyzer("ko"))
//!     .build()?;
//! let index = Index::in_memory(schema)?;
//! let mut writer = index.writer()?;
//! let document = Document::new("1")
//!     .with_text("pt", "As informações foram publicadas.")
//!     .with_text("ko", "한글은 세종대왕이 만들었다.");
//! writer.add(document)?;
//! writer.commit()?;
//! let snapshot = index.snapshot()?;
//! assert_eq!(snapshot.search(&Query::text("pt", "informação"), 1)?.len(), 1);
//! assert_eq!(snapshot.search(&Query::text("ko", "세종대왕"), 1)?.len(), 1);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **All terms.** A query finds documents with any of its terms; [`Query::with_all_terms`] requires
//! all of them, and [`Query::with_minimum_terms`] some. The top k are exact in all cases.
//!
//! **Queries of several queries.** [`Query::bool`] has required and optional ones, whose scores are
//! added, [`Query::without`] excludes, [`Query::best_of`] takes the best of several fields, and
//! [`Query::text_in`] searches fields as if they were one. Leaves are words, [phrases](Query::phrase),
//! [prefixes](Query::prefix), [wildcards](Query::wildcard), [regular expressions](Query::regex),
//! [fuzzy terms](Query::fuzzy), weights and conditions. A [`QueryParser`] reads what people write:
//!
//! ```
//! use esparsa::{Document, Index, Query, QueryParser, Schema, Text};
//!
//! let english = Text::new().analyzer("english");
//! let index = Index::in_memory(Schema::builder()
//!     .text("title", english.clone())
//!     .text("body", english.positions())
//!     .build()?)?;
//! let mut writer = index.writer()?;
//! let etna = Document::new("etna").with_text("title", "Etna");
//! writer.add(etna.with_text("body", "An active volcano in Sicily."))?;
//! let ararat = Document::new("ararat").with_text("title", "Mount Ararat");
//! writer.add(ararat.with_text("body", "A dormant volcano in Turkey."))?;
//! writer.commit()?;
//! let snapshot = index.snapshot()?;
//!
//! let query = Query::bool()
//!     .must(Query::text("body", "volcano"))
//!     .should(Query::prefix("title", "ara").with_boost(2.0))
//!     .without(Query::phrase("body", "active volcano"));
//! assert_eq!(snapshot.search(&query, 10)?.ids()?, ["ararat"]);
//!
//! let parser = QueryParser::new(["title", "body"]);
//! let query = parser.parse(&snapshot, r#"+volcano -sicily title:ararrat~1"#)?;
//! assert_eq!(snapshot.search(&query, 10)?.ids()?, ["ararat"]);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Columns and filters.** A [`Column`] holds numbers, dates, flags or keywords, one of a document
//! or several. Conditions on columns, and any other queries, filter a query: scores and their
//! order stay what they are. [`Query::from_json`] reads the same from JSON, [`Sort`] orders hits by
//! columns, and [`Facet`]s count their values:
//!
//! ```
//! use esparsa::{Column, Document, Index, Query, Schema, Text};
//!
//! let index = Index::in_memory(Schema::builder()
//!     .text("name", Text::new().analyzer("english"))
//!     .column("price", Column::f64())
//!     .column("color", Column::keyword().several())
//!     .build()?)?;
//! let mut writer = index.writer()?;
//! let cup = Document::new("cup").with_text("name", "A tea cup");
//! writer.add(cup.with("price", 4.5).with("color", "red").with("color", "white"))?;
//! let pot = Document::new("pot").with_text("name", "A tea pot");
//! writer.add(pot.with("price", 20).with("color", "red"))?;
//! writer.commit()?;
//!
//! let snapshot = index.snapshot()?;
//! let cheap = Query::range("price", ..10.0);
//! let query = Query::text("name", "tea").with_filter(cheap.clone());
//! assert_eq!(snapshot.search(&query, 10)?.ids()?, ["cup"]);
//! assert_eq!(snapshot.count(&Query::any_of([cheap, Query::term("color", "red")]))?, 2);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Near real time, snippets, suggestions.** [`IndexWriter::refresh`] gives a snapshot of what is
//! not committed yet. [`Snapshot::snippets`] gives the passages of a text that match, with marks;
//! [`Snapshot::complete`] and [`Snapshot::correct`] help whoever types:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema, SnippetOptions, Text};
//!
//! let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
//! let mut writer = index.writer()?;
//! let text = "Etna is a volcano in Sicily. It is active.";
//! writer.add(Document::new("etna").with_text("text", text))?;
//! let snapshot = writer.refresh()?;
//!
//! let query = Query::text("text", "active volcano");
//! assert_eq!(snapshot.search(&query, 10)?.ids()?, ["etna"]);
//! let snippets = snapshot.snippets(&query, Some("text"), text, &SnippetOptions::new(80))?;
//! assert!(snippets[0].to_html("<b>", "</b>").contains("a <b>volcano</b> in Sicily"));
//! assert_eq!(snapshot.complete("text", "vol", 5)?[0].text, "volcano");
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Fuse rankings** of several fields or systems. [`rank`] describes the methods, and which
//! normalization to use:
//!
//! ```
//! use esparsa::rank::{Fusion, Normalization};
//! use esparsa::{Dense, Document, Index, Query, Schema, Text};
//!
//! let index = Index::in_memory(Schema::builder()
//!     .text("text", Text::new().analyzer("english"))
//!     .dense("vector", Dense::new(2))
//!     .build()?)?;
//! let mut writer = index.writer()?;
//! let etna = Document::new("etna").with_text("text", "An active volcano.");
//! writer.add(etna.with_dense("vector", [0.9, 0.1]))?;
//! let bees = Document::new("bees").with_text("text", "Bees dance.");
//! writer.add(bees.with_dense("vector", [0.1, 0.9]))?;
//! writer.commit()?;
//! let snapshot = index.snapshot()?;
//! let words = snapshot.search(&Query::text("text", "volcano"), 100)?;
//! let vectors = snapshot.search(&Query::dense("vector", [0.8, 0.2]), 100)?;
//! let hits = Fusion::weighted_sum(Normalization::ZScore).fuse_hits(&[words, vectors])?;
//! assert_eq!(hits.ids()?[0], "etna");
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Models.** With the feature `neural`, the module of that name opens model folders as published
//! for `transformers` and `sentence-transformers`: encoders of sparse and dense vectors, and
//! cross-encoders and late-interaction models for re-ranking. They run without Python, on the CPU
//! or on a GPU.
//!
//! **Evaluate.** Runs, qrels and metrics follow trec_eval; see [`eval`]:
//!
//! ```
//! use esparsa::eval::{EvaluateOptions, Metric, Qrels, Run, ScoredDocument, evaluate};
//!
//! let qrels = Qrels::read("q1 0 etna 1\nq1 0 bees 0\n".as_bytes(), "qrels")?;
//! let mut run = Run::new();
//! let hit = |document: &str, score| ScoredDocument { document: document.into(), score };
//! run.insert("q1", vec![hit("bees", 2.0), hit("etna", 1.5)])?;
//!
//! let metrics = Metric::parse_list("mrr@10,ndcg@10")?;
//! let report = evaluate(&qrels, &run, &metrics, EvaluateOptions::default())?;
//! assert_eq!(report.mean(&metrics[0]), Some(0.5));
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Bulk loads** use the number of threads in [`WriterOptions`] and bounded memory. The same input
//! gives the same bytes for any number of threads, except if documents are deleted or replaced
//! during a merge: the same documents may then be in different files. [`IndexWriter::attach`] adds
//! segments of another index in one commit. [`Snapshot::explain`] shows how a document's score is
//! computed, [`Snapshot::snippets`] gives the best passages of a text, and [`Snapshot::highlight`]
//! where it matches. [`Snapshot::complete`] and [`Completion`] complete what a user types, and
//! [`Snapshot::correct`] finds what was misspelled.
//!
//! # Modules
//!
//! What most programs need is at the top level: [`Index`], [`IndexWriter`], [`Snapshot`], [`Schema`],
//! [`Document`] and [`Query`], with their options.
//!
//! | module | contents |
//! | --- | --- |
//! | [`text`] | analyzers: text to terms, per language |
//! | [`store`] | storage: file system, memory |
//! | [`executor`] | where parallel and background work runs, and how it is cancelled |
//! | [`limits`] | the max sizes of what an index holds |
//! | [`rank`] | fusion of rankings, normalization of scores, re-ranking |
//! | [`eval`] | TREC and BEIR files, metrics, significance |
#![cfg_attr(
    feature = "neural",
    doc = "| [`neural`] | published models: configuration, tokenizers, encoders, re-rankers |"
)]
#![cfg_attr(
    feature = "train",
    doc = "| [`train`] | training of sparse encoders, cross-encoders and bi-encoders |"
)]
//!
//! # Features
//!
//! No feature is enabled by default. `neural` runs transformers on the CPU, `cuda` also on NVIDIA
//! GPUs, `train` trains them, and `mojibake` adds the repair of wrongly decoded text to analyzers.
//! `object-store` keeps indexes in object stores, and `cloud` opens them by URLs such as
//! `s3://bucket/folder`. The command line is a
//! separate package, `esparsa-cli`.

#[cfg(feature = "neural")]
mod backend;
mod bytes;
mod doc_set;
mod error;
pub mod eval;
pub mod executor;
mod format;
mod index;
#[cfg(feature = "neural")]
pub mod neural;
mod query;
pub mod rank;
mod scorer;
mod segment;
mod simd;
pub mod store;
mod sync;
pub mod text;
#[cfg(feature = "train")]
pub mod train;

pub use doc_set::DocId;
pub use error::{Error, Origin, Result};
pub use format::dense::DenseShape;
pub use format::schema::{Field, StoredOptions};
pub use format::{
    Bm25, Calibration, CalibrationPoint, Column, ColumnType, Dense, DenseElement, DenseMetric,
    FieldKind, FieldNumber, FieldOptions, ModelIdentity, Schema, SchemaBuilder, SchemaChange,
    Sparse, SparseLayout, SparseTerms, Text, Value, Verify, limits,
};
pub use index::{
    CommitReport, DocAddress, FieldTotals, HeldDocument, Index, IndexOptions, IndexWriter,
    MergePolicy, OnDuplicate, ParsedBatch, SectionStatistics, SegmentStatistics, Snapshot,
    TermCount, TermList, WriterOptions,
};
pub use query::{
    Algorithm, ClauseExplanation, ColumnStatistics, Completion, CorrectedWord, Correction,
    Explanation, Facet, FacetResult, Hit, Hits, HitsIter, Interval, MatchCount, Query, QueryParser,
    SearchOptions, SearchResult, SearchStatistics, Snippet, SnippetOptions, Sort, Suggestion,
    TermExplanation,
};
pub use segment::{Document, FieldValue};

/// The private modules, for this project's own tests, benchmarks and fuzz targets. Nothing here is
/// covered by semantic versioning.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    #[cfg(feature = "neural")]
    pub mod backend {
        pub use crate::backend::*;
    }
    pub mod doc_set {
        pub use crate::doc_set::*;
    }
    pub mod format {
        pub use crate::format::*;
    }
    pub mod index {
        pub use crate::index::*;
    }
    pub mod query {
        pub use crate::query::*;
    }
    #[cfg(feature = "train")]
    pub mod train {
        pub use crate::train::*;
    }
    pub mod segment {
        pub use crate::segment::*;
    }
}

/// Compiles the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the book's examples of Rust as tests.
#[cfg(doctest)]
#[doc = include_str!("../book/src/start-rust.md")]
#[doc = include_str!("../book/src/from-tantivy.md")]
struct Book;
