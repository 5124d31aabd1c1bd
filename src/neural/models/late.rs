//! Late interaction: a vector for each token, compared after both texts are encoded (ColBERT:
//! Khattab and Zaharia, 2020).

use std::path::Path;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::neural::bulk::{Encoded, Streams, WindowSize, Work};
use crate::neural::encoder::Encoder;
use crate::neural::folder::{LateInteraction, ModelFolder, ModelKind};
use crate::neural::heads::LateHead;
use crate::neural::long::LongText;
use crate::neural::packing::Batch;
use crate::neural::tokenizer::Tokens;
use crate::scorer::Scorer;

use super::transformer::{Identity, RolePrompts, Transformer, expect_kind, prompted};
use super::{PairScorer, Role, TokenEncoder};

/// A model that makes a unit vector of each token, and scores a document by MaxSim: the sum, over
/// the query's tokens, of the max inner product with a token of the document.
///
/// ```
/// use esparsa::neural::{Cpu, CpuOptions};
/// use esparsa::neural::LateEncoder;
/// use esparsa::rank::Scorer;
///
/// let encoder = LateEncoder::open("tests/neural/models/colbert", Cpu::new(CpuOptions::default())?)?;
/// let query = &encoder.encode_queries(&["lava"])?[0];
/// assert_eq!(query.values.len(), query.tokens() * encoder.dimensions());
///
/// let scores = encoder.scores("lava", &["lava", "Bees make honey."])?;
/// // A text is nearest to itself: the best match of each token is the token itself.
/// assert!((scores[0] - query.tokens() as f32).abs() < 1e-3);
/// assert!(scores[1] < scores[0]);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// Queries are expanded with mask tokens if the folder says so and other tokens attend to these.
/// Expansion tokens that others do not attend to, as in most models of ColBERT, are skipped: such a
/// query has the vectors of its own tokens only, and scores lack what the expansion would add.
pub struct LateEncoder<B: Backend> {
    transformer: Transformer<B>,
    head: LateHead<B>,
    streams: Streams<B>,
    long: LongText,
    prompts: RolePrompts,
    settings: LateInteraction,
    identity: Identity,
}

/// The vectors of a text's tokens.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TokenVectors {
    /// The values of all vectors, one vector after another.
    pub values: Vec<f32>,
    /// Dimensions of a vector.
    pub dimensions: usize,
}

impl TokenVectors {
    /// The number of vectors.
    pub fn tokens(&self) -> usize {
        self.values.len() / self.dimensions.max(1)
    }
}

impl<B: Backend> LateEncoder<B> {
    /// Opens the model in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`](crate::Error::Model) for files that are missing, damaged or inconsistent,
    /// or a model of another kind; [`Error::Io`](crate::Error::Io).
    pub fn open(folder: impl AsRef<Path>, backend: B) -> Result<Self> {
        Self::load(ModelFolder::open(folder.as_ref())?, backend)
    }

    /// Loads the model of an opened folder.
    ///
    /// # Errors
    ///
    /// As [`LateEncoder::open`].
    pub fn load(folder: ModelFolder, backend: B) -> Result<Self> {
        expect_kind(&folder, ModelKind::LateInteraction)?;
        let Some(settings) = folder.late.clone() else {
            let message = "expected the lengths of queries and documents, found none";
            return Err(Error::model(&folder.path, message));
        };
        let encoder = Encoder::load(&backend, &folder.config, &folder.weights)?;
        let head = LateHead::of_folder(&backend, &folder)?;
        Ok(Self {
            identity: Identity::of(&folder)?,
            prompts: RolePrompts::of(&folder),
            transformer: Transformer {
                encoder,
                tokenizer: folder.tokenizer,
                max_tokens: folder.max_tokens,
            },
            head,
            streams: Streams::new(backend),
            long: LongText::default(),
            settings,
        })
    }

    /// Sets what to do with documents that are too long. Queries are always truncated.
    #[must_use]
    pub fn with_long(mut self, long: LongText) -> Self {
        self.long = long;
        self
    }

    /// The vectors of each query's tokens.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a text that cannot be encoded, named
    /// by its index; [`Error::Device`](crate::Error::Device).
    pub fn encode_queries(&self, texts: &[&str]) -> Result<Vec<TokenVectors>> {
        let work = Vectors {
            model: self,
            role: Role::Query,
        };
        let limit = self.settings.query_tokens;
        let encoded = self.streams.encode(&work, texts.len(), limit, |number| {
            Ok(vec![self.query_tokens(texts[number])?])
        })?;
        encoded.all()
    }

    /// The vectors of each document's tokens; those of the windows of a long document follow one
    /// another.
    ///
    /// # Errors
    ///
    /// As [`LateEncoder::encode_queries`].
    pub fn encode_documents(&self, texts: &[&str]) -> Result<Vec<TokenVectors>> {
        let work = Vectors {
            model: self,
            role: Role::Document,
        };
        let limit = self.settings.document_tokens;
        let encoded = self.streams.encode(&work, texts.len(), limit, |number| {
            self.document_tokens(texts[number])
        })?;
        encoded.all()
    }

    /// Dimensions of a vector.
    pub fn dimensions(&self) -> usize {
        self.head.dimensions()
    }

    /// Max tokens of a document.
    pub fn max_tokens(&self) -> usize {
        self.settings.document_tokens
    }

    /// The name of the model's folder.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// A hash of weights, tokenizer and settings; models with the same are the same.
    pub fn fingerprint(&self) -> u128 {
        self.identity.fingerprint
    }

    fn query_tokens(&self, text: &str) -> Result<Tokens> {
        let text = prompted(self.prompts.before(Role::Query), text);
        let tokenizer = &self.transformer.tokenizer;
        self.settings.tokens_of_query(tokenizer, &text)
    }

    fn document_tokens(&self, text: &str) -> Result<Vec<Tokens>> {
        let text = prompted(self.prompts.before(Role::Document), text);
        let (tokenizer, room) = (&self.transformer.tokenizer, self.settings.document_room());
        let mut sequences = self.long.sequences(tokenizer, &text, room)?;
        for tokens in &mut sequences {
            self.settings.prefix_document(tokens);
        }
        Ok(sequences)
    }

    /// The vectors of each sequence of a batch; `None` where they are not finite.
    fn vectors(&self, backend: &B, batch: &Batch, role: Role) -> Result<Vec<Option<Vec<f32>>>> {
        let hidden = self.transformer.encoder.forward(backend, batch)?;
        let vectors = self.head.token_vectors(backend, &hidden)?;
        let values = backend.values(&vectors)?;
        let (size, skipped) = (self.head.dimensions(), self.settings.skipped_of(role));
        let sequences = batch.starts.windows(2).map(|pair| {
            let tokens = pair[0] as usize..pair[1] as usize;
            let kept = tokens.filter(|token| skipped.binary_search(&batch.ids[*token]).is_err());
            let rows = kept.map(|token| &values[token * size..(token + 1) * size]);
            let rows = rows.collect::<Vec<_>>().concat();
            rows.iter().all(|number| number.is_finite()).then_some(rows)
        });
        Ok(sequences.collect())
    }

    /// The score of each document for one query.
    fn score(&self, query: &str, documents: &[&str]) -> Result<Encoded<f32>> {
        let query = self.encode_queries(&[query])?.remove(0);
        let whole = self.streams.whole();
        let query = whole.tensor(query.tokens(), query.dimensions, &query.values)?;
        let work = MaxSim { model: self, query };
        let limit = self.settings.document_tokens;
        self.streams
            .encode(&work, documents.len(), limit, |number| {
                self.document_tokens(documents[number])
            })
    }
}

impl<B: Backend> Scorer for LateEncoder<B> {
    fn scores(&self, query: &str, documents: &[&str]) -> Result<Vec<f32>> {
        self.score(query, documents)?.all()
    }
}

impl<B: Backend> PairScorer for LateEncoder<B> {
    fn score_pairs(&self, pairs: &[(&str, &str)]) -> Result<Encoded<f32>> {
        let mut all = Encoded {
            results: Vec::with_capacity(pairs.len()),
            tokens: 0,
            full: 0,
        };
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let documents: Vec<&str> = group.iter().map(|pair| pair.1).collect();
            let scored = self.score(group[0].0, &documents)?;
            all.results.extend(scored.results);
            all.tokens += scored.tokens;
            all.full += scored.full;
        }
        Ok(all)
    }

    fn window_size(&self) -> WindowSize {
        self.streams.window_size()
    }

    fn is_threaded(&self) -> bool {
        self.streams.are_several()
    }

    fn max_tokens(&self) -> usize {
        self.settings.document_tokens
    }

    fn name(&self) -> &str {
        &self.identity.name
    }

    fn fingerprint(&self) -> u128 {
        self.identity.fingerprint
    }
}

impl<B: Backend> TokenEncoder for LateEncoder<B> {
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<TokenVectors>> {
        self.encode_queries(texts)
    }

    fn encode_documents(&self, texts: &[&str]) -> Result<Vec<TokenVectors>> {
        self.encode_documents(texts)
    }

    fn dimensions(&self) -> usize {
        self.head.dimensions()
    }
}

struct Vectors<'a, B: Backend> {
    model: &'a LateEncoder<B>,
    role: Role,
}

impl<B: Backend> Work<B> for Vectors<'_, B> {
    type Output = TokenVectors;

    fn run(&self, backend: &B, batch: &Batch) -> Result<Vec<Option<TokenVectors>>> {
        let size = self.model.head.dimensions();
        let vectors = self.model.vectors(backend, batch, self.role)?;
        let vectors = vectors.into_iter();
        Ok(vectors
            .map(|values| {
                Some(TokenVectors {
                    values: values?,
                    dimensions: size,
                })
            })
            .collect())
    }

    fn join(&self, parts: Vec<TokenVectors>) -> TokenVectors {
        TokenVectors {
            values: parts.into_iter().flat_map(|part| part.values).collect(),
            dimensions: self.model.head.dimensions(),
        }
    }
}

struct MaxSim<'a, B: Backend> {
    model: &'a LateEncoder<B>,
    query: B::Tensor,
}

impl<B: Backend> Work<B> for MaxSim<'_, B> {
    type Output = f32;

    fn run(&self, backend: &B, batch: &Batch) -> Result<Vec<Option<f32>>> {
        let size = self.model.head.dimensions();
        let vectors = self.model.vectors(backend, batch, Role::Document)?;
        let mut starts = vec![0];
        let mut rows = Vec::new();
        for values in &vectors {
            rows.extend_from_slice(values.as_deref().unwrap_or_default());
            // At most the tokens of the batch, whose starts are u32.
            starts.push((rows.len() / size.max(1)) as u32);
        }
        let documents = backend.tensor(rows.len() / size.max(1), size, &rows)?;
        let scores = backend.max_sim(&self.query, &documents, &starts)?;
        let scores = scores.into_iter().zip(&vectors);
        Ok(scores
            .map(|(score, vectors)| {
                vectors
                    .as_ref()
                    .map(|_| score)
                    .filter(|score| score.is_finite())
            })
            .collect())
    }

    /// The score of the best passage.
    fn join(&self, parts: Vec<f32>) -> f32 {
        parts.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
