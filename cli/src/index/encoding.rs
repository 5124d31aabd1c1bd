//! The models that encode documents while they are loaded.

use std::path::PathBuf;

use esparsa::FieldKind;
use esparsa::Origin;
use esparsa::neural::{DenseTextEncoder, Encoded, Role, Similarity, SparseTextEncoder, WindowSize};
use esparsa::{Error, ModelIdentity, Result, Schema};

use super::load::{Load, Loaded};
use super::peek::{FirstDense, Peeked};
use super::target::{DENSE_FIELD, SPARSE_FIELD};
use crate::input::{Ids, Source};
use crate::models::{AnyEncoder, KindName, ModelArguments, identity, same_model};
use crate::progress::Progress;

/// Margin above the weights of the first documents, in addition to the margin for weights of files.
const WEIGHT_MARGIN: f32 = 1.15;

/// The options for models.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct EncodingArguments {
    /// Folder of a model that makes a sparse vector of each document's title and text.
    #[arg(long, value_name = "DIR")]
    sparse_model: Option<PathBuf>,
    /// Folder of a model that makes a dense vector of each document's title and text.
    #[arg(long, value_name = "DIR")]
    dense_model: Option<PathBuf>,
    #[command(flatten)]
    options: ModelArguments,
}

/// The models of a load, if there are any.
pub struct Encoders {
    sparse: Option<Sparse>,
    dense: Option<Box<dyn DenseTextEncoder>>,
}

struct Sparse {
    encoder: Box<dyn SparseTextEncoder>,
    /// The names of all terms.
    terms: Vec<String>,
}

/// The vectors that models made of a document; a document without text has none.
#[derive(Debug, Default)]
pub struct Vectors {
    /// Terms with their weights.
    pub sparse: Option<Vec<(String, f32)>>,
    /// Numbers.
    pub dense: Option<Vec<f32>>,
}

impl Encoders {
    /// Opens the models that the arguments name.
    ///
    /// # Errors
    ///
    /// What opening gives, and [`Error::InvalidInput`] for a model of another kind.
    pub fn open(arguments: &EncodingArguments, threads: usize) -> Result<Self> {
        let options = &arguments.options;
        let mut encoders = Self {
            sparse: None,
            dense: None,
        };
        let folders = [
            (&arguments.sparse_model, KindName::Sparse),
            (&arguments.dense_model, KindName::Dense),
        ];
        if folders.iter().all(|(folder, _)| folder.is_none()) {
            return Ok(encoders);
        }
        let hardware = options.hardware(threads)?;
        for (folder, kind) in folders {
            let Some(folder) = folder else { continue };
            match AnyEncoder::open(folder, kind, hardware.clone(), options)? {
                AnyEncoder::Sparse(encoder) => {
                    let terms = encoder.terms();
                    encoders.sparse = Some(Sparse { encoder, terms });
                }
                AnyEncoder::Dense(encoder) => encoders.dense = Some(encoder),
            }
        }
        Ok(encoders)
    }

    /// True if there is a model for sparse vectors.
    pub fn make_sparse(&self) -> bool {
        self.sparse.is_some()
    }

    /// True if there is a model for dense vectors.
    pub fn make_dense(&self) -> bool {
        self.dense.is_some()
    }

    /// Tells `peeked` what vectors the models will make. With `wants_weight` the first documents
    /// are encoded to estimate the max weight.
    ///
    /// # Errors
    ///
    /// [`Error::Device`].
    pub fn look_ahead(&self, peeked: &mut Peeked, wants_weight: bool) -> Result<()> {
        let model = |name: &str| Origin::new(name, 0);
        if let Some(Sparse { encoder, .. }) = &self.sparse {
            let mut max_weight = 0.0_f32;
            if wants_weight {
                let texts: Vec<&str> = peeked.texts().iter().map(String::as_str).collect();
                // Documents that cannot be encoded are reported when they are loaded.
                let results = encoder.encode(&texts, Role::Document)?.results;
                let weights = results
                    .iter()
                    .flatten()
                    .flatten()
                    .map(|(_, weight)| *weight);
                max_weight = weights.fold(0.0, f32::max);
            }
            peeked.expect_sparse(model(encoder.name()), max_weight * WEIGHT_MARGIN);
        }
        if let Some(encoder) = &self.dense {
            let is_dot = encoder.similarity() == Some(Similarity::Dot);
            peeked.expect_dense(FirstDense {
                origin: model(encoder.name()),
                dimensions: encoder.dimensions(),
                by_cosine: !encoder.is_unit() && !is_dot,
            });
        }
        Ok(())
    }

    /// Loads the inputs, with the vectors that the models make of them.
    ///
    /// # Errors
    ///
    /// Those of [`Load::run`], and [`Error::Device`].
    pub fn load(
        &self,
        load: Load<'_>,
        source: Source,
        ids: Ids,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        match self.sparse.is_none() && self.dense.is_none() {
            true => load.run(source, ids, progress),
            false => load.run_encoded(source, ids, self, progress),
        }
    }

    /// Names of the models, each with the field that it makes vectors for and its fingerprint.
    pub fn names(&self) -> Vec<String> {
        let names = self
            .identities()
            .map(|(field, model)| format!("{field} {} ({:032x})", model.name, model.fingerprint));
        names.collect()
    }

    /// The model that makes the vectors of a field, if one does.
    pub fn identity_for(&self, field: &str) -> Option<ModelIdentity> {
        let mut identities = self.identities();
        let found = identities.find(|(of, _)| *of == field);
        found.map(|(_, identity)| identity)
    }

    /// Checks that an existing index has fields for the models' vectors, made by the same models.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it has not.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let kinds = [
            (SPARSE_FIELD, FieldKind::Sparse),
            (DENSE_FIELD, FieldKind::Dense),
        ];
        for (field, identity) in self.identities() {
            let is_there = kinds
                .iter()
                .any(|(name, kind)| *name == field && schema.expect(name, *kind).is_ok());
            if !is_there {
                return Err(Error::invalid(format!(
                    "the index has no {field} field, because it was built without such a model; build a new index, or omit \
                     --{field}-model"
                )));
            }
            same_model(schema, field, &identity)?;
        }
        Ok(())
    }

    fn identities(&self) -> impl Iterator<Item = (&'static str, ModelIdentity)> {
        let sparse = self.sparse.iter();
        let sparse = sparse.map(|sparse| (SPARSE_FIELD, identity(&*sparse.encoder)));
        let dense = self
            .dense
            .iter()
            .map(|encoder| (DENSE_FIELD, identity(&**encoder)));
        sparse.chain(dense)
    }

    /// How many texts are best encoded together.
    pub fn window_size(&self) -> WindowSize {
        let sparse = self
            .sparse
            .as_ref()
            .map(|sparse| sparse.encoder.window_size());
        let dense = self.dense.as_ref().map(|encoder| encoder.window_size());
        sparse
            .or(dense)
            .unwrap_or(WindowSize { items: 1, bytes: 1 })
    }

    /// True if texts are encoded on more threads than the caller's.
    pub fn are_threaded(&self) -> bool {
        let sparse = self
            .sparse
            .as_ref()
            .map(|sparse| sparse.encoder.is_threaded());
        sparse
            .or(self.dense.as_ref().map(|encoder| encoder.is_threaded()))
            .unwrap_or(false)
    }

    /// The vectors of each text, or why it has none.
    ///
    /// # Errors
    ///
    /// [`Error::Device`].
    pub fn encode(&self, texts: &[&str]) -> Result<Encoded<Vectors>> {
        let mut all = Encoded {
            results: texts.iter().map(|_| Ok(Vectors::default())).collect(),
            tokens: 0,
            full: 0,
        };
        if let Some(Sparse { encoder, terms }) = &self.sparse {
            let encoded = encoder.encode(texts, Role::Document)?;
            let name = |term: u32| terms.get(term as usize).cloned().unwrap_or_default();
            join(&mut all, encoded, |vectors, vector| {
                let weights = vector.into_iter();
                vectors.sparse = Some(weights.map(|(term, weight)| (name(term), weight)).collect());
            });
        }
        if let Some(encoder) = &self.dense {
            let encoded = encoder.encode(texts, Role::Document)?;
            join(&mut all, encoded, |vectors, vector| {
                vectors.dense = Some(vector)
            });
        }
        Ok(all)
    }
}

/// Adds the results of one model to those of the others; of two errors the first is kept.
fn join<V>(all: &mut Encoded<Vectors>, encoded: Encoded<V>, put: impl Fn(&mut Vectors, V)) {
    all.tokens += encoded.tokens;
    all.full += encoded.full;
    for (place, result) in all.results.iter_mut().zip(encoded.results) {
        match (&mut *place, result) {
            (Ok(vectors), Ok(vector)) => put(vectors, vector),
            (Ok(_), Err(error)) => *place = Err(error),
            (Err(_), _) => {}
        }
    }
}
