//! What models add to a search: results in the order of a model that reads them.

use std::path::PathBuf;

use crate::cli::index::thread_count;
use crate::cli::models::{AnyScorer, ModelArguments};
use crate::cli::queries::k_parser;
use crate::cli::records::stored_contents;
use crate::error::{Error, Result};
use crate::index::Snapshot;
use crate::query::SearchResult;
use crate::rank::rerank;

/// The options for models.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SearchModels {
    /// Folder of a cross-encoder, or of a model of late interaction such as ColBERT, that reads the first results and puts
    /// them into the order of its scores.
    #[arg(long, value_name = "DIR", conflicts_with = "explain")]
    rerank: Option<PathBuf>,
    /// Results that --rerank reads for each query; more are not returned.
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
    reranker: Option<AnyScorer>,
    rerank_k: usize,
}

impl Models {
    /// Opens the models that the arguments name, for an index.
    ///
    /// # Errors
    ///
    /// What opening gives, and [`Error::InvalidInput`] for re-ranking when the index keeps no documents.
    pub fn open(arguments: &SearchModels, snapshot: &Snapshot) -> Result<Self> {
        let mut models = Self {
            reranker: None,
            rerank_k: arguments.rerank_k,
        };
        let options = &arguments.options;
        if let Some(folder) = &arguments.rerank {
            if snapshot.schema().stored_field().is_none() {
                return Err(Error::invalid(
                    "--rerank reads documents, and the index keeps none; search without it, and take `esparsa rerank` with the \
                     files of the documents",
                ));
            }
            let backend = options.backend(thread_count(arguments.model_threads))?;
            models.reranker = Some(AnyScorer::open(folder, backend, options)?);
        }
        Ok(models)
    }

    /// How many results to search for where `k` are asked for.
    pub fn depth(&self, k: usize) -> usize {
        match self.reranker {
            Some(_) => self.rerank_k,
            None => k,
        }
    }

    /// Puts the results for a query into the order of the model's scores, if there is one, and leaves the first `k`.
    ///
    /// # Errors
    ///
    /// What reading stored documents and scoring give, and [`Error::InvalidInput`] for a query without text.
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
        let hits = result.hits.iter();
        let read = hits.map(|hit| Ok(stored_contents(&snapshot.stored(hit.address)?)));
        let documents: Vec<String> = read.collect::<Result<_>>()?;
        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        result.hits = rerank(reranker.as_scorer(), text, &result.hits, &documents)?;
        result.hits.truncate(k);
        Ok(())
    }
}
