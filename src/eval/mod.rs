//! Evaluation: TREC and BEIR files, effectiveness measures, and significance tests.
//!
//! The input is a run (the results of a system for each query), qrels (relevance judgments) and
//! queries. The output is a [`Report`] with one value for each query and measure, tables, and
//! p-values for the difference between two runs. The rules are those of trec_eval, as `pytrec_eval`
//! and `ir_measures` apply them, except how ties are ordered: every measure takes documents with
//! equal scores in trec_eval's order, whereas `ir_measures` computes some measures, such as RR and
//! Judged, in another order, so that these differ in runs with ties. Tests compare every measure
//! with their figures. In runs, white
//! space and control characters of ids are percent-encoded (`lava lake` is written as
//! `lava%20lake`), and decoded when a run is read.
//!
//! Invariant: nothing here opens an index, runs a search, or changes a ranking.
//!
//! ```
//! use esparsa::eval::{EvaluateOptions, Metric, Qrels, Run, evaluate};
//!
//! let qrels = Qrels::read("301 0 a 2\n301 0 b 1\n".as_bytes(), "robust.qrels")?;
//! let run = Run::read("301 Q0 b 1 9.5 bm25\n301 Q0 a 2 7.0 bm25\n".as_bytes(), "bm25.run")?;
//! let metrics = Metric::parse_list("ndcg@10, mrr@10, recall@1")?;
//! let report = evaluate(&qrels, &run, &metrics, EvaluateOptions::default())?;
//! assert_eq!(report.mean(&metrics[1]), Some(1.0));
//! assert_eq!(report.mean(&metrics[2]), Some(0.5));
//! println!("{report}");
//! # Ok::<(), esparsa::Error>(())
//! ```

mod beir;
mod evaluate;
mod lines;
mod measures;
mod metric;
#[doc(hidden)]
pub mod names;
mod qrels;
mod queries;
mod randomization;
mod run;
mod run_writer;
mod significance;
mod student;
mod table;
mod topics;

pub use beir::BeirFolder;
pub use evaluate::{EvaluateOptions, MissingQueries, Report, evaluate};
pub use lines::MAX_LINE_BYTES;
pub use metric::{Measure, Metric};
pub use qrels::Qrels;
pub use queries::{Query, open_queries, read_queries};
pub use randomization::{RandomizationTest, randomization_test};
pub use run::{Run, ScoredDocument};
pub use run_writer::RunWriter;
pub use significance::{PairedValues, TTest, holm_bonferroni, paired_t_test};
pub use table::{Table, comparison_table};
pub use topics::TopicPart;
