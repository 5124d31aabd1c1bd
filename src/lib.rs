//! An embedded search engine for text (BM25) and learned sparse vectors (SPLADE): exact top k by
//! dynamic pruning, on an on-disk format of its own. One crate, one folder on disk, no server.
//!
//! # A tour
//!
//! **Index and search.** A [`Schema`] names the fields, an [`IndexWriter`] adds [`Document`]s, and a
//! [`Snapshot`] is one commit, to be searched with a [`Query`]:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema};
//!
//! let folder = tempfile::tempdir()?;
//! let schema = Schema::new().text("text", "english")?.stored("source")?;
//! let index = Index::create(folder.path(), schema)?;
//!
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_text("text", "Etna is an active volcano in Sicily."))?;
//! writer.add(Document::new("bees").with_text("text", "Bees dance to tell where flowers are."))?;
//! writer.commit()?;
//!
//! let snapshot = index.snapshot()?;
//! let hits = snapshot.search(&Query::text("text", "dancing bee"), 10)?;
//! assert_eq!(hits[0].id, "bees");
//! let stored = snapshot.stored(hits[0].address)?;
//! assert!(stored.starts_with(br#"{"_id":"bees","text":"Bees"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Update and delete.** A document whose external id is live replaces the one that has it. Readers see a
//! commit whole or not at all, and a snapshot stays as it is:
//!
//! ```
//! # use esparsa::{Document, Index, Query, Schema};
//! # let index = Index::in_memory(Schema::new().text("text", "english")?)?;
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
//! **Learned sparse vectors.** Terms are strings or numbers, weights are quantized to 255 steps of a scale that each segment
//! chooses, and scores are exact sums of integers:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema};
//!
//! let index = Index::in_memory(Schema::new().sparse("splade", 3.0)?)?;
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_sparse("splade", [("volcano", 2.2), ("sicily", 1.7)]))?;
//! writer.add(Document::new("bees").with_sparse("splade", [("bee", 2.4), ("honey", 0.9)]))?;
//! writer.commit()?;
//!
//! let query = Query::sparse("splade", [("honey", 1.5), ("insect", 0.4)]);
//! let hits = index.snapshot()?.search(&query, 10)?;
//! assert_eq!(hits[0].id, "bees");
//! assert!((hits[0].score - 0.9 * 1.5).abs() < 0.01);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Dense vectors.** All of them are scored, by inner product or cosine, with numbers kept in 32, 16 or 8 bits:
//!
//! ```
//! use esparsa::{DenseElement, DenseMetric, Document, Index, Query, Schema};
//!
//! let schema = Schema::new()
//!     .dense("passage", 3)?
//!     .dense_element("passage", DenseElement::F16)?
//!     .dense_metric("passage", DenseMetric::Cosine)?;
//! let index = Index::in_memory(schema)?;
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_dense("passage", [0.9, 0.1, 0.0]))?;
//! writer.add(Document::new("bees").with_dense("passage", [0.1, 0.2, 2.8]))?;
//! writer.commit()?;
//!
//! let hits = index.snapshot()?.search(&Query::dense("passage", [0.0, 0.0, 5.0]), 10)?;
//! assert_eq!(hits[0].id, "bees");
//! assert!((hits[0].score - 0.997).abs() < 0.001);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Languages.** A text field is analyzed by language, named by code or in English; the analyzer's
//! name is kept with the field, so queries are analyzed as documents were. See [`text`] for what each does,
//! and [`text::Tokenizer`] for one of your own:
//!
//! ```
//! use esparsa::{Document, Index, Query, Schema};
//!
//! let schema = Schema::new().text("pt", "portuguese")?.text("ko", "ko")?;
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
//! **All terms.** A query finds documents with any of its terms, the best first; [`Query::with_all_terms`] keeps those that
//! have every one. Either way the best `k` are exact.
//!
//! **Fuse rankings** of several fields or systems, see [`rank`] for the methods and for which normalization suits:
//!
//! ```
//! use esparsa::rank::{Fusion, Normalization};
//! use esparsa::{Document, Index, Query, Schema};
//!
//! let index = Index::in_memory(Schema::new().text("text", "english")?.dense("vector", 2)?)?;
//! let mut writer = index.writer()?;
//! writer.add(Document::new("etna").with_text("text", "An active volcano.").with_dense("vector", [0.9, 0.1]))?;
//! writer.add(Document::new("bees").with_text("text", "Bees dance.").with_dense("vector", [0.1, 0.9]))?;
//! writer.commit()?;
//! let snapshot = index.snapshot()?;
//! let words = snapshot.search(&Query::text("text", "volcano"), 100)?;
//! let vectors = snapshot.search(&Query::dense("vector", [0.8, 0.2]), 100)?;
//! let hits = Fusion::weighted_sum(Normalization::ZScore).fuse_hits(&[words, vectors])?;
//! assert_eq!(hits[0].id, "etna");
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! **Models.** [`neural`] opens folders as they are published for `transformers` and `sentence-transformers`: encoders of sparse and dense vectors,
//! cross-encoders and models of late interaction that re-rank. They run on a [`backend`], without Python.
//!
//! **Evaluate.** Runs, qrels and metrics follow trec_eval, see [`eval`]:
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
//! **Bulk loads** run on as many threads as [`WriterOptions`] says, in bounded memory, and the same
//! input gives the same bytes whatever their number, unless documents are deleted or replaced while
//! segments are being merged: the same documents may then lie in other files. **Segments built elsewhere** are brought in by
//! [`IndexWriter::attach`] in one commit. **Why a document scores as it does** is told by
//! [`Snapshot::explain`], and **where a text matches** by [`Snapshot::highlight`].
//!
//! # Rooms
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`text`] | analyzers: Unicode text to terms, per language |
//! | [`mod@format`] | the bytes on disk, described in `format-spec/` |
//! | [`store`] | folders of files: file system, memory, with faults |
//! | [`executor`] | where parallel and background work runs, and how it is cancelled |
//! | [`segment`] | immutable segments: write, read, verify, merge, reorder |
//! | [`index`] | commits, the writer, snapshots |
//! | [`query`] | queries, the algorithms and the planner |
//! | [`rank`] | fusion of rankings, normalization of scores, re-ranking |
//! | [`eval`] | TREC and BEIR files, metrics, significance |
#![cfg_attr(
    feature = "neural",
    doc = "| [`backend`] | what transformers are made of: a reference, and a fast backend for processors |\n| [`neural`] | published models: files, tokenizers, encoders, heads |"
)]
//!
//! # Features
//!
//! No feature is on by default. `neural` runs transformers on the CPU, `cuda` also on NVIDIA GPUs, and
//! `mojibake` adds the repair of wrongly decoded text to analyzers. The command line is a package of
//! its own, `esparsa-cli`.

#[cfg(feature = "neural")]
pub mod backend;
mod bytes;
#[doc(hidden)]
pub mod doc_set;
pub mod error;
pub mod eval;
pub mod executor;
pub mod format;
pub mod index;
#[cfg(feature = "neural")]
pub mod neural;
pub mod query;
pub mod rank;
pub mod segment;
pub mod store;
pub mod text;

pub use error::{Error, Result};
pub use format::{
    Bm25, Calibration, CalibrationPoint, DenseElement, DenseMetric, FieldOptions, ModelIdentity,
    Schema, SparseLayout, Verify,
};
pub use index::{
    CommitReport, DocAddress, Index, IndexOptions, IndexWriter, MergePolicy, OnDuplicate,
    ParsedBatch, Snapshot, WriterOptions,
};
pub use query::{
    Algorithm, Explanation, Hit, Query, SearchOptions, SearchResult, SearchStatistics,
};
pub use segment::Document;

/// The README's example is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
