//! The models of the server: encoders for sparse and dense fields, and re-rankers.
//!
//! A field is searched with the model that made its vectors, which the schema identifies. A field
//! whose schema names no model takes the model that is served under the field's name.

use std::sync::Arc;

use clap::builder::TypedValueParser;
use esparsa::neural::{Hardware, ModelFolder, PairScorer, Tokenizer};
use esparsa::{Error, Field, FieldKind, ModelIdentity, Result, Snapshot};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::indexes::Indexes;
use super::named::{NamedFolder, folder_parser};
use crate::index::thread_count;
use crate::models::{AnyEncoder, ModelArguments, identity, noted_models, open_scorer};
use crate::output;

/// Requests that use models or wait for them, for each that may use them at once.
const QUEUE: usize = 8;

/// The options for models.
#[derive(clap::Args)]
pub struct ModelOptions {
    /// Folder of a model that encodes queries, for the fields whose vectors it made. It is served
    /// under the folder's name or under NAME; a field whose model is not noted in the index takes
    /// the model that has the field's name. May be given more than once.
    #[arg(long, value_name = "[NAME=]DIR", value_parser = folder_parser)]
    model: Vec<NamedFolder>,
    /// Folder of a cross-encoder, or of a model of late interaction, that re-ranks the first hits of
    /// searches that ask for it by its name. May be given more than once.
    #[arg(long, value_name = "[NAME=]DIR", value_parser = folder_parser)]
    rerank: Vec<NamedFolder>,
    /// Max number of hits of a search that are re-ranked.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = rerank_parser())]
    max_rerank: usize,
    /// Max number of requests that use a model at once; eight times as many wait within their time,
    /// others are refused.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_model_calls: u32,
    /// Number of threads for models [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    model_threads: Option<u32>,
    #[command(flatten)]
    arguments: ModelArguments,
}

/// A model that makes vectors.
pub struct ServedEncoder {
    /// Its name in parameters and answers.
    pub name: String,
    /// The model.
    pub encoder: AnyEncoder,
    /// Its tokenizer, by which the terms of a text are told from those that the model adds.
    pub tokenizer: Tokenizer,
    identity: ModelIdentity,
}

/// A model that scores pairs of query and document.
pub struct ServedReranker {
    /// Its name in parameters and answers.
    pub name: String,
    /// The model.
    pub scorer: Box<dyn PairScorer>,
}

/// All models.
pub struct Models {
    encoders: Vec<ServedEncoder>,
    rerankers: Vec<ServedReranker>,
    /// Hits of a search that are re-ranked at most.
    pub max_rerank: usize,
    calls: Arc<Semaphore>,
    /// Requests that use models or wait for them.
    queue: Arc<Semaphore>,
}

/// The leave of a request to use models.
pub struct ModelCall {
    _call: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl ModelOptions {
    /// Max number of requests that use a model at once, if there are models.
    pub fn max_calls(&self) -> usize {
        match self.model.is_empty() && self.rerank.is_empty() {
            true => 0,
            false => self.max_model_calls as usize,
        }
    }
}

impl Models {
    /// Loads the models.
    ///
    /// # Errors
    ///
    /// What loading gives, and [`Error::InvalidInput`] for two models of one name.
    pub fn open(options: ModelOptions, indexes: &Indexes) -> Result<Self> {
        let mut models = Self {
            encoders: Vec::new(),
            rerankers: Vec::new(),
            max_rerank: options.max_rerank,
            calls: Arc::new(Semaphore::new(options.max_model_calls as usize)),
            queue: Arc::new(Semaphore::new(options.max_model_calls as usize * QUEUE)),
        };
        check_names("--model", &options.model)?;
        check_names("--rerank", &options.rerank)?;
        if options.model.is_empty() && options.rerank.is_empty() {
            return Ok(models);
        }
        let snapshots = indexes.iter().map(|index| index.snapshot());
        let noted: Vec<u128> = snapshots
            .flat_map(|snapshot| noted_models(snapshot.schema()))
            .collect();
        let arguments = &options.arguments;
        let hardware = arguments.hardware(thread_count(options.model_threads))?;
        for named in options.model {
            let encoder = ServedEncoder::open(named, &noted, hardware.clone(), arguments)?;
            models.encoders.push(encoder);
        }
        for named in options.rerank {
            models.rerankers.push(ServedReranker {
                scorer: open_scorer(&named.folder, hardware.clone(), arguments)?,
                name: named.name,
            });
        }
        Ok(models)
    }

    /// Says which models no index has a field for.
    pub fn note_unused(&self, indexes: &Indexes) {
        let snapshots: Vec<Snapshot> = indexes.iter().map(|index| index.snapshot()).collect();
        for encoder in &self.encoders {
            let mut fields = snapshots.iter().flat_map(|one| one.schema().fields());
            if !fields.any(|field| encoder.fits(field)) {
                output::message(&format!(
                    "note: no index has a field whose vectors the model `{}` made, so no search uses it; give a field's own \
                     model, or name the model as a field whose model is not noted",
                    encoder.name
                ));
            }
        }
    }

    /// Waits until a request may use models.
    ///
    /// # Errors
    ///
    /// 503 when many wait already: they would keep the places of requests that need no model.
    pub async fn call(&self) -> std::result::Result<ModelCall, ApiError> {
        let place = self.queue.clone().try_acquire_owned();
        let place = place.map_err(|_| ApiError::models_busy())?;
        let call = self.calls.clone().acquire_owned().await;
        Ok(ModelCall {
            _call: call.map_err(|error| ApiError::internal(&error.to_string()))?,
            _place: place,
        })
    }

    /// The model for a field, if the server has it.
    pub fn of_field(&self, field: &Field) -> Option<&ServedEncoder> {
        self.encoders.iter().find(|encoder| encoder.fits(field))
    }

    /// The fields of a kind that the server has models for, in the order of the schema.
    pub fn fields<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        kind: FieldKind,
    ) -> impl Iterator<Item = (&'a Field, &'a ServedEncoder)> {
        let fields = snapshot.schema().fields().iter();
        let fields = fields.filter(move |field| field.options.kind() == kind);
        fields.filter_map(|field| Some((field, self.of_field(field)?)))
    }

    /// The field of a kind that is searched, and its model: the one that is named, or else the
    /// first that has a model.
    ///
    /// # Errors
    ///
    /// 400 when there is no such field or no model for it.
    pub fn field<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        kind: FieldKind,
        name: Option<&str>,
    ) -> std::result::Result<(&'a Field, &'a ServedEncoder), ApiError> {
        if let Some(name) = name {
            let field = snapshot.schema().expect(name, kind)?;
            let encoder = self.of_field(field);
            return encoder
                .map(|encoder| (field, encoder))
                .ok_or_else(|| no_model(field));
        }
        if let Some(found) = self.fields(snapshot, kind).next() {
            return Ok(found);
        }
        let mut fields = snapshot.schema().fields().iter();
        Err(match fields.find(|field| field.options.kind() == kind) {
            Some(field) => no_model(field),
            None => ApiError::invalid(format!(
                "expected an index with a {kind} field, found one without; choose another `system`, of those that \
                     `GET /api/indexes` lists for the index",
                kind = kind.name()
            )),
        })
    }

    /// The names of the re-rankers.
    pub fn rerankers(&self) -> impl Iterator<Item = &str> {
        self.rerankers.iter().map(|reranker| &*reranker.name)
    }

    /// The re-ranker with this name.
    ///
    /// # Errors
    ///
    /// 400 when there is none.
    pub fn reranker(&self, name: &str) -> std::result::Result<&ServedReranker, ApiError> {
        let found = self.rerankers.iter().find(|one| one.name == name);
        found.ok_or_else(|| {
            let names: Vec<String> = self.rerankers().map(|name| format!("`{name}`")).collect();
            ApiError::invalid(match names.is_empty() {
                true => format!(
                    "expected no `rerank`, because the server has no model for it, found `{name}`; leave it out, or start \
                     the server with `--rerank`"
                ),
                false => format!(
                    "expected one of {} in `rerank`, found `{name}`; choose one of these",
                    names.join(", ")
                ),
            })
        })
    }
}

impl ServedEncoder {
    fn open(
        named: NamedFolder,
        noted: &[u128],
        hardware: Hardware,
        arguments: &ModelArguments,
    ) -> Result<Self> {
        let (encoder, kind) = AnyEncoder::open_noted(&named.folder, noted, hardware, arguments)?;
        let tokenizer = ModelFolder::open_as(&named.folder, kind.asked())?.tokenizer;
        let identity = match &encoder {
            AnyEncoder::Sparse(encoder) => identity(&**encoder),
            AnyEncoder::Dense(encoder) => identity(&**encoder),
        };
        Ok(Self {
            name: named.name,
            encoder,
            tokenizer,
            identity,
        })
    }

    /// The kind of the fields whose vectors it makes.
    pub fn kind(&self) -> FieldKind {
        match self.encoder {
            AnyEncoder::Sparse(_) => FieldKind::Sparse,
            AnyEncoder::Dense(_) => FieldKind::Dense,
        }
    }

    /// Whether the vectors of a field are this model's.
    fn fits(&self, field: &Field) -> bool {
        let is_same = match field.options.model() {
            Some(noted) => noted.fingerprint == self.identity.fingerprint,
            None => field.name == self.name,
        };
        is_same && field.options.kind() == self.kind()
    }

    /// The max number of tokens that it reads.
    pub fn max_tokens(&self) -> usize {
        match &self.encoder {
            AnyEncoder::Sparse(encoder) => encoder.max_tokens(),
            AnyEncoder::Dense(encoder) => encoder.max_tokens(),
        }
    }
}

/// Parser of the number of hits that are re-ranked.
fn rerank_parser() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32)
        .range(1..=10_000)
        .map(|number| number as usize)
}

fn check_names(option: &str, models: &[NamedFolder]) -> Result<()> {
    let mut names: Vec<&str> = models.iter().map(|named| &*named.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::invalid(format!(
            "expected models with different names, found two that are called `{}`; name one of them by `{option} NAME=DIR`",
            pair[0]
        ))),
    }
}

fn no_model(field: &Field) -> ApiError {
    let name = &field.name;
    ApiError::invalid(match field.options.model() {
        Some(noted) => format!(
            "expected the model `{}` for the field `{name}`, whose vectors it made, found that the server does not have it; \
             start the server with `--model` and its folder, or send the vector of the query in `query`",
            noted.name
        ),
        None => format!(
            "expected a model for the field `{name}`, found none; start the server with `--model {name}=DIR`, or send the \
             vector of the query in `query`"
        ),
    })
}
