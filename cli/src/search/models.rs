//! Models in a search: encoding of queries, and re-ranking of results.

use std::path::PathBuf;

use esparsa::neural::{PairScorer, Role, TextEncoder};
use esparsa::rank::rerank;
use esparsa::{Error, FieldOptions, Result, Schema, SearchResult, Snapshot, Sparse, eval};
use esparsa::{FieldKind, SparseTerms};

use crate::index::thread_count;
use crate::models::{AnyEncoder, ModelArguments, identity, noted_models, open_scorer, same_model};
use crate::queries::{SearchedField, k_parser};
use crate::records::stored_contents;

/// The options for models.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SearchModels {
    /// Folder of the model that made the vectors of the field; it encodes the queries. Without
    /// --field, the only field of the model's kind is searched.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder of a cross-encoder, or of a model of late interaction such as ColBERT, that re-ranks
    /// the first results.
    #[arg(long, value_name = "DIR", conflicts_with = "explain")]
    rerank: Option<PathBuf>,
    /// Number of results of each query that --rerank scores; no more are returned.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = k_parser())]
    rerank_k: usize,
    /// Number of threads for models [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    model_threads: Option<u32>,
    #[command(flatten)]
    options: ModelArguments,
}

/// The models of a search.
pub struct Models {
    encoder: Option<AnyEncoder>,
    reranker: Option<Box<dyn PairScorer>>,
    rerank_k: usize,
}

impl Models {
    /// Opens the models that the arguments name, for an index.
    ///
    /// # Errors
    ///
    /// What opening gives, and [`Error::InvalidInput`] for re-ranking when the index stores no
    /// documents.
    pub fn open(arguments: &SearchModels, snapshot: &Snapshot) -> Result<Self> {
        let mut models = Self {
            encoder: None,
            reranker: None,
            rerank_k: arguments.rerank_k,
        };
        if arguments.model.is_none() && arguments.rerank.is_none() {
            return Ok(models);
        }
        let options = &arguments.options;
        let hardware = options.hardware(thread_count(arguments.model_threads))?;
        if let Some(folder) = &arguments.model {
            let noted = noted_models(snapshot.schema());
            let opened = AnyEncoder::open_noted(folder, &noted, hardware.clone(), options)?;
            models.encoder = Some(opened.0);
        }
        if let Some(folder) = &arguments.rerank {
            if snapshot.schema().stored_field().is_none() {
                return Err(Error::invalid(
                    "--rerank reads documents, and the index stores none; search without it, and use `esparsa rerank` with the \
                     files of the documents",
                ));
            }
            models.reranker = Some(open_scorer(folder, hardware, options)?);
        }
        Ok(models)
    }

    /// The kind of field that queries are encoded for, if they are.
    pub fn field_kind(&self) -> Option<FieldKind> {
        self.encoder.as_ref().map(|encoder| match encoder {
            AnyEncoder::Sparse(_) => FieldKind::Sparse,
            AnyEncoder::Dense(_) => FieldKind::Dense,
        })
    }

    /// Makes the vectors of queries that have words and no vector of the field's kind, if there is
    /// a model for it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the field is of another kind or was made by another model; what
    /// encoding gives.
    pub fn encode(
        &self,
        schema: &Schema,
        field: &SearchedField,
        queries: &mut [eval::Query],
    ) -> Result<()> {
        let (Some(encoder), Some(kind)) = (&self.encoder, self.field_kind()) else {
            return Ok(());
        };
        let options = &schema.expect(&field.name, kind)?.options;
        match encoder {
            AnyEncoder::Sparse(encoder) => {
                same_model(schema, &field.name, &identity(&**encoder))?;
                let has_numbers = matches!(
                    options,
                    FieldOptions::Sparse(Sparse {
                        terms: SparseTerms::Numbers,
                        ..
                    })
                );
                let named = |(term, weight): (u32, f32)| match has_numbers {
                    true => (term.to_string(), weight),
                    false => (encoder.term(term), weight),
                };
                let is_bare = |query: &eval::Query| query.vector.is_none();
                encode(&**encoder, queries, is_bare, |query, vector| {
                    query.vector = Some(vector.into_iter().map(named).collect());
                })
            }
            AnyEncoder::Dense(encoder) => {
                same_model(schema, &field.name, &identity(&**encoder))?;
                let is_bare = |query: &eval::Query| query.dense.is_none();
                encode(&**encoder, queries, is_bare, |query, vector| {
                    query.dense = Some(vector)
                })
            }
        }
    }

    /// Number of results to search for if `k` are requested.
    pub fn depth(&self, k: usize) -> usize {
        match self.reranker {
            Some(_) => self.rerank_k,
            None => k,
        }
    }

    /// Re-ranks the results of a query, if there is a model for it, and keeps the first `k`.
    ///
    /// # Errors
    ///
    /// What reading stored documents and scoring give, and [`Error::InvalidInput`] for a query
    /// without text.
    pub fn rerank(
        &self,
        snapshot: &Snapshot,
        text: Option<&str>,
        result: &mut SearchResult,
        k: usize,
    ) -> Result<()> {
        let Some(reranker) = &self.reranker else {
            return Ok(());
        };
        let Some(text) = text else {
            return Err(Error::invalid(
                "--rerank reads the text of a query, and this one has none",
            ));
        };
        let read = result.hits.iter().map(|hit| {
            let text = stored_contents(&snapshot.stored(hit.address)?);
            Ok((hit, text))
        });
        let read: Vec<_> = read.collect::<Result<_>>()?;
        result.hits = rerank(&**reranker, text, read)?;
        result.hits.truncate(k);
        Ok(())
    }
}

/// Fills in the vectors of the queries that lack them.
fn encode<E: TextEncoder + ?Sized>(
    encoder: &E,
    queries: &mut [eval::Query],
    is_bare: impl Fn(&eval::Query) -> bool,
    put: impl Fn(&mut eval::Query, E::Vector),
) -> Result<()> {
    for window in queries.chunks_mut(encoder.window_size().items) {
        let bare = window.iter_mut().filter(|query| is_bare(query));
        let mut bare: Vec<&mut eval::Query> = bare.collect();
        let texts: Vec<&str> = bare
            .iter()
            .filter_map(|query| query.text.as_deref())
            .collect();
        let vectors = encoder.encode(&texts, Role::Query)?.results;
        let with_text = bare.iter_mut().filter(|query| query.text.is_some());
        for (query, vector) in with_text.zip(vectors) {
            let vector = vector.map_err(|error| {
                Error::invalid(format!("query `{}` cannot be encoded: {error}", query.id))
            })?;
            put(query, vector);
        }
    }
    Ok(())
}
