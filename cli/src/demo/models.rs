//! Models in the demo: searches with their vectors, fused with BM25, and re-ranking.

use std::collections::HashMap;
use std::path::PathBuf;

use esparsa::eval::{self, Run};
use esparsa::neural::{DenseTextEncoder, ModelFolder, ModelKind, PairScorer, SparseTextEncoder};
use esparsa::rank::{Fusion, rerank};
use esparsa::{Dense, Document, Error, Query, Result, SchemaBuilder, Snapshot, Sparse};

use super::{DENSE_FIELD, K, SPARSE_FIELD, run_of, text_query};
use crate::index::thread_count;
use crate::input::Record;
use crate::models::{AnyEncoder, KindName, ModelArguments, identity, open_scorer};
use crate::records::stored_contents;

/// Results that are fused.
const FUSION_DEPTH: usize = 40;
/// Results that are re-ranked.
const RERANK_DEPTH: usize = 20;
/// The expected max weight of the field, relative to that of all passages.
const WEIGHT_MARGIN: f32 = 1.01;

/// The options for models.
#[derive(clap::Args, Debug, Default)]
pub struct DemoArguments {
    /// Folder of a model; may be given once per kind. The vectors of an encoder are searched too,
    /// and fused with BM25; a cross-encoder or a late-interaction model re-ranks the results of
    /// BM25.
    #[arg(long = "model", value_name = "DIR")]
    models: Vec<PathBuf>,
}

impl DemoArguments {
    /// True without models.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The folders of models.
    pub fn folders(&self) -> &[PathBuf] {
        &self.models
    }
}

/// The models of the demo, and their vectors of its passages.
pub struct DemoModels {
    sparse: Option<Box<dyn SparseTextEncoder>>,
    dense: Option<Box<dyn DenseTextEncoder>>,
    scorer: Option<Box<dyn PairScorer>>,
    /// Vectors of passages by their ids.
    sparse_vectors: HashMap<String, Vec<(String, f32)>>,
    dense_vectors: HashMap<String, Vec<f32>>,
}

impl DemoModels {
    /// Opens the models, and encodes all passages.
    ///
    /// # Errors
    ///
    /// What opening and encoding give, and [`Error::InvalidInput`] for two models of one kind.
    pub fn open(folders: &[PathBuf], records: &[Record]) -> Result<Self> {
        let mut models = Self {
            sparse: None,
            dense: None,
            scorer: None,
            sparse_vectors: HashMap::new(),
            dense_vectors: HashMap::new(),
        };
        for folder in folders {
            let options = ModelArguments::default();
            let hardware = options.hardware(thread_count(None))?;
            let is_first = match ModelFolder::open(folder)?.kind {
                ModelKind::CrossEncoder | ModelKind::LateInteraction => {
                    let scorer = open_scorer(folder, hardware, &options)?;
                    models.scorer.replace(scorer).is_none()
                }
                _ => match AnyEncoder::open(folder, KindName::Auto, hardware, &options)? {
                    AnyEncoder::Sparse(encoder) => models.sparse.replace(encoder).is_none(),
                    AnyEncoder::Dense(encoder) => models.dense.replace(encoder).is_none(),
                },
            };
            if !is_first {
                return Err(Error::invalid(format!(
                    "{}: more than one model of this kind; give one at a time",
                    folder.display()
                )));
            }
        }
        models.encode(records)?;
        Ok(models)
    }

    fn encode(&mut self, records: &[Record]) -> Result<()> {
        let texts: Vec<_> = records.iter().map(Record::contents).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let ids = || records.iter().map(|record| record.id.clone());
        if let Some(encoder) = &self.sparse {
            let vectors = encoder.encode_documents(&texts)?.into_iter();
            let vectors = vectors.map(|vector| named(&**encoder, vector));
            self.sparse_vectors = ids().zip(vectors).collect();
        }
        if let Some(encoder) = &self.dense {
            let vectors = encoder.encode_documents(&texts)?;
            self.dense_vectors = ids().zip(vectors).collect();
        }
        Ok(())
    }

    /// Adds the fields for vectors.
    pub fn add_to(&self, mut schema: SchemaBuilder) -> SchemaBuilder {
        if let Some(encoder) = &self.sparse {
            let weights = self
                .sparse_vectors
                .values()
                .flatten()
                .map(|(_, weight)| *weight);
            let max = weights.fold(f32::MIN_POSITIVE, f32::max) * WEIGHT_MARGIN;
            let options = Sparse::new().expected_max(max).model(identity(&**encoder));
            schema = schema.sparse(SPARSE_FIELD, options);
        }
        if let Some(encoder) = &self.dense {
            let options = Dense::new(encoder.dimensions()).model(identity(&**encoder));
            let options = match encoder.is_unit() {
                true => options,
                false => options.cosine(),
            };
            schema = schema.dense(DENSE_FIELD, options);
        }
        schema
    }

    /// Adds the vectors of a passage.
    pub fn with_vectors(&self, id: &str, mut document: Document) -> Document {
        if let Some(vector) = self.sparse_vectors.get(id) {
            document = document.with_sparse(SPARSE_FIELD, vector.iter().cloned());
        }
        if let Some(vector) = self.dense_vectors.get(id) {
            document = document.with_dense(DENSE_FIELD, vector.as_slice());
        }
        document
    }

    /// The runs of each kind of search with models, after BM25 alone; none without models.
    ///
    /// # Errors
    ///
    /// What encoding, searching and reading give.
    pub fn runs(&self, snapshot: &Snapshot, queries: &[eval::Query]) -> Result<Vec<(String, Run)>> {
        let mut runs = Vec::new();
        let texts: Vec<&str> = queries
            .iter()
            .filter_map(|query| query.text.as_deref())
            .collect();
        let bm25_run = run_of(snapshot, queries, FUSION_DEPTH, |number| {
            text_query(&queries[number])
        })?;
        let mut add = |name: &str, kind: &str, made: Vec<Query>| -> Result<()> {
            let run = run_of(snapshot, queries, FUSION_DEPTH, |number| {
                made[number].clone()
            })?;
            let fused = Fusion::reciprocal_rank()
                .k(K)
                .fuse_runs(&[&bm25_run, &run])?;
            runs.push((format!("{name} ({kind})"), first_of(&run, K)?));
            runs.push((format!("BM25 + {name}"), fused));
            Ok(())
        };
        if let Some(encoder) = &self.sparse {
            let vectors = encoder.encode_queries(&texts)?.into_iter();
            let made = vectors.map(|vector| Query::sparse(SPARSE_FIELD, named(&**encoder, vector)));
            add(encoder.name(), "sparse", made.collect())?;
        }
        if let Some(encoder) = &self.dense {
            let vectors = encoder.encode_queries(&texts)?.into_iter();
            let made = vectors.map(|vector| Query::dense(DENSE_FIELD, vector));
            add(encoder.name(), "dense", made.collect())?;
        }
        if let Some(scorer) = &self.scorer {
            let run = reranked(snapshot, queries, &**scorer)?;
            runs.push((format!("BM25, then {}", scorer.name()), run));
        }
        if !runs.is_empty() {
            runs.insert(0, ("BM25".to_owned(), first_of(&bm25_run, K)?));
        }
        Ok(runs)
    }
}

fn named(encoder: &dyn SparseTextEncoder, vector: Vec<(u32, f32)>) -> Vec<(String, f32)> {
    vector
        .into_iter()
        .map(|(term, weight)| (encoder.term(term), weight))
        .collect()
}

/// The first results of BM25, re-ranked by a model.
fn reranked(snapshot: &Snapshot, queries: &[eval::Query], scorer: &dyn PairScorer) -> Result<Run> {
    let mut run = Run::new();
    for query in queries {
        let hits = snapshot.search(&text_query(query), RERANK_DEPTH)?;
        let read = hits.iter().map(|hit| {
            let text = stored_contents(&snapshot.stored(hit.address)?);
            Ok((hit, text))
        });
        let read: Vec<_> = read.collect::<Result<_>>()?;
        let text = query.text.as_deref().unwrap_or_default();
        let mut hits = rerank(scorer, text, read)?;
        hits.truncate(K);
        run.insert(&query.id, super::scored(&hits)?)?;
    }
    Ok(run)
}

fn first_of(run: &Run, k: usize) -> Result<Run> {
    let mut first = Run::new();
    for query in run.queries() {
        let hits = run.results(query).unwrap_or_default();
        first.insert(query, hits[..k.min(hits.len())].to_vec())?;
    }
    Ok(first)
}
