//! Evaluation of a model in training, by what its users will run: the written folder is opened, its
//! vectors are indexed and searched by this engine, and the hits are evaluated against judgements.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use super::watch::{EvaluationRecord, ShownText};
use crate::error::{Error, Result};
use crate::eval::{EvaluateOptions, Metric, Qrels, Run, ScoredDocument, evaluate};
use crate::executor::CancelToken;
use crate::format::DenseElement;
use crate::neural::{
    DenseTextEncoder, Hardware, Model, PairScorer, Role, SparseTextEncoder, TextEncoder,
};
use crate::{Dense, Document, Index, Query, Schema, Snapshot, Sparse, Text};

/// Results of each query that are evaluated.
const DEPTH: usize = 100;
/// Texts that are encoded at once.
const WINDOW: usize = 512;
/// Documents whose terms are shown.
const SHOWN: usize = 4;
/// Terms of each.
const SHOWN_TERMS: usize = 12;
const FIELD: &str = "vector";

/// A text with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedText {
    /// The id.
    pub id: String,
    /// The text.
    pub text: String,
}

/// Queries, documents and judgements that models are evaluated on.
#[derive(Clone, Debug)]
pub struct Development {
    queries: Vec<NamedText>,
    documents: Vec<NamedText>,
    qrels: Qrels,
    metrics: Vec<Metric>,
    /// For each query the places of the documents that a cross-encoder or late interaction re-ranks.
    candidates: Vec<Vec<usize>>,
}

impl Development {
    /// An evaluation by some metrics, the first of which chooses the best model.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] without queries, documents or metrics.
    pub fn new(
        queries: Vec<NamedText>,
        documents: Vec<NamedText>,
        qrels: Qrels,
        metrics: &str,
    ) -> Result<Self> {
        let metrics = Metric::parse_list(metrics)?;
        if queries.is_empty() || documents.is_empty() || metrics.is_empty() {
            return Err(Error::invalid(
                "the evaluation: expected queries with judged documents and a metric, found none",
            ));
        }
        Ok(Self {
            queries,
            documents,
            qrels,
            metrics,
            candidates: Vec::new(),
        })
    }

    /// Finds with BM25 the `depth` documents of each query that are to be re-ranked.
    ///
    /// # Errors
    ///
    /// Those of indexing.
    pub fn with_candidates(mut self, language: &str, depth: usize) -> Result<Self> {
        let text = Text::new().analyzer(language);
        let index = Index::in_memory(Schema::builder().text(FIELD, text).build()?)?;
        let mut writer = index.writer()?;
        for (place, document) in self.documents.iter().enumerate() {
            writer.add(Document::new(place.to_string()).with_text(FIELD, &document.text))?;
        }
        writer.commit()?;
        let snapshot = index.snapshot()?;
        self.candidates = self
            .queries
            .iter()
            .map(|query| {
                let hits = snapshot.search(&Query::text(FIELD, &query.text), depth)?;
                let places = hits.ids()?;
                Ok(places.iter().filter_map(|id| id.parse().ok()).collect())
            })
            .collect::<Result<_>>()?;
        Ok(self)
    }

    /// Evaluates the model in a folder, as it is after `step`.
    ///
    /// # Errors
    ///
    /// Those of loading a model, encoding and indexing; [`Error::Cancelled`].
    pub fn evaluate(
        &self,
        folder: &Path,
        hardware: Hardware,
        step: u64,
        cancel: &CancelToken,
    ) -> Result<EvaluationRecord> {
        let start = Instant::now();
        let mut record = EvaluationRecord {
            step,
            ..EvaluationRecord::default()
        };
        let run = match Model::open(folder, hardware)? {
            Model::Sparse(encoder) => {
                let (run, terms) = self.sparse(&*encoder, DEPTH, cancel)?;
                record.active_terms = Some(terms);
                record.shown = self.shown(&*encoder)?;
                run
            }
            Model::Dense(encoder) => self.dense(&*encoder, DEPTH, cancel)?,
            Model::Cross(scorer) => self.reranked(&*scorer, cancel)?,
            Model::Late(encoder) => self.reranked(&*encoder, cancel)?,
        };
        let report = evaluate(&self.qrels, &run, &self.metrics, EvaluateOptions::new())?;
        for metric in &self.metrics {
            let value = report.mean(metric).unwrap_or_default();
            record.metrics.insert(metric.to_string(), value);
        }
        record.value = report.mean(&self.metrics[0]).unwrap_or_default();
        record.seconds = start.elapsed().as_secs_f64();
        Ok(record)
    }

    /// What the model in a folder finds for each query, without judgements: `depth` documents at most.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate), and [`Error::InvalidInput`] for a model that does not make one
    /// vector of a text.
    pub fn results(
        &self,
        folder: &Path,
        hardware: Hardware,
        depth: usize,
        cancel: &CancelToken,
    ) -> Result<Run> {
        match Model::open(folder, hardware)? {
            Model::Sparse(encoder) => Ok(self.sparse(&*encoder, depth, cancel)?.0),
            Model::Dense(encoder) => self.dense(&*encoder, depth, cancel),
            other => Err(Error::invalid(format!(
                "a search with a model in training: expected one with one vector of a text, found {:?}",
                other.kind()
            ))),
        }
    }

    /// The results of a sparse model, and the mean active terms of queries and of documents.
    fn sparse(
        &self,
        encoder: &dyn SparseTextEncoder,
        depth: usize,
        cancel: &CancelToken,
    ) -> Result<(Run, (f64, f64))> {
        let schema = Schema::builder()
            .sparse(FIELD, Sparse::new().numbered())
            .build()?;
        let mut terms = 0;
        let add = |document: Document, vector: Vec<(u32, f32)>| {
            terms += vector.len();
            document.with_sparse_numbered(FIELD, vector)
        };
        let snapshot = self.indexed(encoder, schema, add, cancel)?;
        let of_document = terms as f64 / self.documents.len() as f64;
        let query = |vector| Query::sparse_numbered(FIELD, vector);
        let (run, vectors) = self.searched(encoder, &snapshot, query, depth, cancel)?;
        let of_query = vectors.iter().map(Vec::len).sum::<usize>() as f64;
        Ok((run, (of_query / self.queries.len() as f64, of_document)))
    }

    /// The results of a dense model.
    fn dense(
        &self,
        encoder: &dyn DenseTextEncoder,
        depth: usize,
        cancel: &CancelToken,
    ) -> Result<Run> {
        let options = Dense::new(encoder.dimensions());
        let field = options.element(DenseElement::F32).cosine();
        let schema = Schema::builder().dense(FIELD, field).build()?;
        let add = |document: Document, vector| document.with_dense(FIELD, vector);
        let snapshot = self.indexed(encoder, schema, add, cancel)?;
        let query = |vector| Query::dense(FIELD, vector);
        Ok(self.searched(encoder, &snapshot, query, depth, cancel)?.0)
    }

    /// The highest terms of some documents.
    fn shown(&self, encoder: &dyn SparseTextEncoder) -> Result<Vec<ShownText>> {
        let documents = self.documents.iter().take(SHOWN);
        let texts: Vec<&str> = documents.map(|document| document.text.as_str()).collect();
        let vectors = encoder.encode_documents(&texts)?.into_iter();
        let shown = texts.iter().zip(vectors).map(|(text, mut vector)| {
            vector.sort_by(|(_, one), (_, other)| other.total_cmp(one));
            vector.truncate(SHOWN_TERMS);
            let terms = vector.into_iter();
            ShownText {
                text: text.chars().take(80).collect(),
                terms: terms
                    .map(|(term, weight)| (encoder.term(term), weight))
                    .collect(),
            }
        });
        Ok(shown.collect())
    }

    /// An index of the documents' vectors.
    fn indexed<E: TextEncoder + ?Sized>(
        &self,
        encoder: &E,
        schema: Schema,
        mut add: impl FnMut(Document, E::Vector) -> Document,
        cancel: &CancelToken,
    ) -> Result<Snapshot> {
        let index = Index::in_memory(schema)?;
        let mut writer = index.writer()?;
        for documents in self.documents.chunks(WINDOW) {
            cancel.check("the evaluation")?;
            let texts: Vec<&str> = documents.iter().map(|each| each.text.as_str()).collect();
            for (document, vector) in documents.iter().zip(encoder.encode_documents(&texts)?) {
                writer.add(add(Document::new(document.id.as_str()), vector))?;
            }
        }
        writer.commit()?;
        index.snapshot()
    }

    /// The hits of each query, and the queries' vectors.
    fn searched<E: TextEncoder + ?Sized>(
        &self,
        encoder: &E,
        snapshot: &Snapshot,
        query: impl Fn(E::Vector) -> Query,
        depth: usize,
        cancel: &CancelToken,
    ) -> Result<(Run, Vec<E::Vector>)>
    where
        E::Vector: Clone,
    {
        let (mut run, mut vectors) = (Run::new(), Vec::new());
        for queries in self.queries.chunks(WINDOW) {
            cancel.check("the evaluation")?;
            let texts: Vec<&str> = queries.iter().map(|each| each.text.as_str()).collect();
            let encoded = encoder.encode(&texts, Role::Query)?.all()?;
            for (named, vector) in queries.iter().zip(encoded) {
                let hits = snapshot.search(&query(vector.clone()), depth)?;
                let ids = hits.ids()?;
                let scored = hits.iter().zip(ids).map(|(hit, id)| ScoredDocument {
                    document: id.to_owned(),
                    score: f64::from(hit.score),
                });
                run.insert(&named.id, scored.collect())?;
                vectors.push(vector);
            }
        }
        Ok((run, vectors))
    }

    fn reranked(&self, scorer: &dyn PairScorer, cancel: &CancelToken) -> Result<Run> {
        let mut run = Run::new();
        for (query, candidates) in self.queries.iter().zip(&self.candidates) {
            cancel.check("the evaluation")?;
            let pairs: Vec<(&str, &str)> = candidates
                .iter()
                .map(|place| (query.text.as_str(), self.documents[*place].text.as_str()))
                .collect();
            let scores = scorer.score_pairs(&pairs)?.all()?;
            let scored = candidates
                .iter()
                .zip(scores)
                .map(|(place, score)| ScoredDocument {
                    document: self.documents[*place].id.clone(),
                    score: f64::from(score),
                });
            run.insert(&query.id, scored.collect())?;
        }
        Ok(run)
    }
}

/// Chooses what an evaluation has of a collection: the first `queries` of the judgements, their
/// relevant documents, and of the others every n-th, `documents` in all (0 for all).
pub fn choose<'a>(
    qrels: &Qrels,
    queries: &[NamedText],
    most_queries: usize,
    documents: &'a [NamedText],
    most_documents: usize,
) -> (Vec<NamedText>, Vec<NamedText>, Qrels) {
    let judged = queries.iter().filter(|query| qrels.contains(&query.id));
    let chosen: Vec<NamedText> = judged.take(most_queries).cloned().collect();
    let mut kept = Qrels::new();
    let mut relevant: HashSet<&str> = HashSet::new();
    for query in &chosen {
        for (document, grade) in qrels.judgments(&query.id).into_iter().flatten() {
            // Judgements of one file name a document once.
            let _ = kept.insert(&query.id, document, *grade);
            relevant.insert(document);
        }
    }
    let is_judged = |document: &&'a NamedText| relevant.contains(document.id.as_str());
    let others = documents.len().saturating_sub(relevant.len());
    let room = match most_documents {
        0 => others,
        most => most.saturating_sub(relevant.len()),
    };
    let every = others.checked_div(room).unwrap_or(usize::MAX).max(1);
    let mut passed = 0;
    let mut taken = 0;
    let chosen_documents = documents.iter().filter(|document| {
        if is_judged(document) {
            return true;
        }
        passed += 1;
        let is_taken = taken < room && (passed - 1) % every == 0;
        taken += usize::from(is_taken);
        is_taken
    });
    (chosen, chosen_documents.cloned().collect(), kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::CpuOptions;

    fn named(id: &str, text: &str) -> NamedText {
        NamedText {
            id: id.to_owned(),
            text: text.to_owned(),
        }
    }

    fn development() -> Development {
        let mut qrels = Qrels::new();
        qrels.insert("q", "etna", 1).unwrap();
        let documents = vec![
            named("etna", "Lava flows from the volcano."),
            named("bees", "Bees make honey."),
        ];
        let queries = vec![named("q", "Lava flows from the volcano.")];
        Development::new(queries, documents, qrels, "ndcg@10,recall@1").unwrap()
    }

    /// A text finds itself, whatever the weights are.
    #[test]
    fn models_of_every_kind_are_evaluated_by_the_engine() {
        for (name, is_certain) in [
            ("splade-max", true),
            ("st-mean", true),
            ("ce-bert", false),
            ("colbert", true),
        ] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/neural/models")
                .join(name);
            let development = development().with_candidates("english", 2).unwrap();
            let hardware = Hardware::cpu(CpuOptions::default()).unwrap();
            let record = development
                .evaluate(&folder, hardware, 7, &CancelToken::new())
                .unwrap();
            assert_eq!(record.step, 7);
            assert_eq!(record.metrics.len(), 2);
            assert!(record.value > 0.0, "{name}");
            assert!(!is_certain || record.value == 1.0, "{name}");
            assert_eq!(record.active_terms.is_some(), name == "splade-max");
            assert_eq!(record.shown.is_empty(), name != "splade-max");
        }
    }

    #[test]
    fn an_evaluation_is_cancelled() {
        let cancel = CancelToken::new();
        cancel.cancel();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models/splade-max");
        let hardware = Hardware::cpu(CpuOptions::default()).unwrap();
        let found = development().evaluate(&folder, hardware, 0, &cancel);
        assert!(matches!(found, Err(Error::Cancelled { .. })), "{found:?}");
    }

    #[test]
    fn relevant_documents_are_kept_and_others_thinned_out() {
        let mut qrels = Qrels::new();
        for number in 0..3 {
            qrels
                .insert(&format!("q{number}"), &format!("d{}", number * 7), 1)
                .unwrap();
        }
        let queries: Vec<NamedText> = (0..3).map(|n| named(&format!("q{n}"), "text")).collect();
        let documents: Vec<NamedText> = (0..50).map(|n| named(&format!("d{n}"), "text")).collect();
        let (chosen, kept, judged) = choose(&qrels, &queries, 2, &documents, 12);
        assert_eq!(chosen.len(), 2);
        assert_eq!(judged.len(), 2);
        assert_eq!(kept.len(), 12);
        for id in ["d0", "d7"] {
            assert!(kept.iter().any(|document| document.id == id));
        }
        assert_eq!(choose(&qrels, &queries, 9, &documents, 0).1.len(), 50);
        assert_eq!(choose(&qrels, &queries, 3, &documents, 1).1.len(), 3);
    }

    #[test]
    fn an_evaluation_without_queries_is_refused() {
        let qrels = Qrels::new();
        assert!(Development::new(Vec::new(), Vec::new(), qrels, "ndcg@10").is_err());
    }
}
