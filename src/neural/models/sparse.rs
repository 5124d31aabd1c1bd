//! Learned sparse vectors: one weight for each term that a text is about.

use std::path::Path;

use crate::backend::{Backend, Pooling, SparseVector, top_terms};
use crate::error::{Error, Result};
use crate::neural::bulk::{Encoded, Streams, WindowSize, Work};
use crate::neural::encoder::Encoder;
use crate::neural::folder::{Echo, ModelFolder, ModelKind, Module, StaticQueries};
use crate::neural::heads::SpladeHead;
use crate::neural::long::{LongText, max_weights};
use crate::neural::packing::Batch;

use super::transformer::{Identity, RolePrompts, Transformer, expect_kind, prompted};
use super::{Role, SparseTextEncoder, TextEncoder};

/// A model that makes a sparse vector of a text: SPLADE.
///
/// In an *inference-free* model the weights of a query's terms come from a table, and no
/// transformer runs for queries.
///
/// A model with a *lexical echo*, trained by this library, adds learned weights of a text's own tokens
/// to its vector, on the host.
///
/// ```
/// use esparsa::neural::{Cpu, CpuOptions};
/// use esparsa::neural::SparseEncoder;
///
/// let encoder = SparseEncoder::open("tests/neural/models/splade-max", Cpu::new(CpuOptions::default())?)?;
/// let vectors = encoder.encode_documents(&["Lava flows from the volcano.", "Bees make honey."])?;
/// assert_eq!(vectors.len(), 2);
/// for (term, weight) in &vectors[0] {
///     assert!(*weight > 0.0 && !encoder.term(*term).is_empty());
/// }
/// # Ok::<(), esparsa::Error>(())
/// ```
pub struct SparseEncoder<B: Backend> {
    transformer: Transformer<B>,
    head: SpladeHead<B>,
    /// The table that encodes queries, if the transformer does not.
    queries: Option<StaticQueries>,
    /// What a text's own tokens add to its vector, if they do.
    echo: Option<Echo>,
    streams: Streams<B>,
    long: LongText,
    prompts: RolePrompts,
    /// Vectors keep their highest weights, at most this many.
    max_terms: usize,
    identity: Identity,
}

impl<B: Backend> SparseEncoder<B> {
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
    /// As [`SparseEncoder::open`].
    pub fn load(folder: ModelFolder, backend: B) -> Result<Self> {
        expect_kind(&folder, ModelKind::SparseEncoder)?;
        let [
            Module::SpladePooling {
                pooling,
                activation,
            },
        ] = folder.modules[..]
        else {
            let message = "expected a SpladePooling after the transformer and no other module";
            return Err(Error::model(&folder.path, message));
        };
        let (config, weights) = (&folder.config, &folder.weights);
        let encoder = Encoder::load(&backend, config, weights)?;
        let max_terms = folder.max_terms.unwrap_or(usize::MAX);
        let head = SpladeHead::load(&backend, config, weights, activation, pooling)?;
        // The echo comes before the cut, so the head must leave all terms.
        let head_terms = match folder.echo {
            Some(_) => usize::MAX,
            None => max_terms,
        };
        Ok(Self {
            identity: Identity::of(&folder)?,
            prompts: RolePrompts::of(&folder),
            transformer: Transformer {
                encoder,
                tokenizer: folder.tokenizer,
                max_tokens: folder.max_tokens,
            },
            head: head.with_max_terms(head_terms),
            queries: folder.static_queries,
            echo: folder.echo,
            streams: Streams::new(backend),
            long: LongText::default(),
            max_terms,
        })
    }

    /// Sets what to do with texts that are too long.
    #[must_use]
    pub fn with_long(mut self, long: LongText) -> Self {
        self.long = long;
        self
    }

    /// Sets the prompts of queries and documents, instead of the folder's.
    #[must_use]
    pub fn with_prompts(mut self, query: impl Into<String>, document: impl Into<String>) -> Self {
        self.prompts = RolePrompts {
            query: query.into(),
            document: document.into(),
        };
        self
    }

    /// The vector of each query.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a text that cannot be encoded, named
    /// by its index; [`Error::Device`](crate::Error::Device).
    pub fn encode_queries(&self, texts: &[&str]) -> Result<Vec<SparseVector>> {
        self.encode(texts, Role::Query)?.all()
    }

    /// The vector of each document.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode_queries`].
    pub fn encode_documents(&self, texts: &[&str]) -> Result<Vec<SparseVector>> {
        self.encode(texts, Role::Document)?.all()
    }

    /// The number of terms.
    pub fn vocabulary(&self) -> usize {
        self.head.vocabulary()
    }

    /// The name of a term: its token, or `#` and its id where the tokenizer has no such token.
    pub fn term(&self, term: u32) -> String {
        let token = self.transformer.tokenizer.token(term);
        token.unwrap_or_else(|| format!("#{term}"))
    }

    /// True if queries need no transformer.
    pub fn is_inference_free(&self) -> bool {
        self.queries.is_some()
    }

    /// The vectors of queries from the table.
    fn look_up(&self, table: &StaticQueries, texts: &[&str]) -> Encoded<SparseVector> {
        let prompt = self.prompts.before(Role::Query);
        let mut encoded = Encoded {
            results: Vec::with_capacity(texts.len()),
            tokens: 0,
            full: 0,
        };
        for text in texts {
            let ids = table.tokens(&prompted(prompt, text));
            encoded.results.push(ids.and_then(|ids| {
                encoded.tokens += ids.len() as u64;
                encoded.full += u64::from(Some(ids.len()) == table.max_tokens);
                let vector = table.weights.encode(&ids)?;
                Ok(top_terms(vector, self.max_terms))
            }));
        }
        encoded
    }
}

impl<B: Backend> TextEncoder for SparseEncoder<B> {
    type Vector = SparseVector;

    fn encode(&self, texts: &[&str], role: Role) -> Result<Encoded<SparseVector>> {
        if let (Role::Query, Some(table)) = (role, &self.queries) {
            return Ok(self.look_up(table, texts));
        }
        let prompt = self.prompts.before(role);
        let limit = self.transformer.max_tokens;
        self.streams.encode(
            &Weights { model: self, role },
            texts.len(),
            limit,
            |number| {
                let text = prompted(prompt, texts[number]);
                self.long
                    .sequences(&self.transformer.tokenizer, &text, limit)
            },
        )
    }

    fn window_size(&self) -> WindowSize {
        self.streams.window_size()
    }

    fn is_threaded(&self) -> bool {
        self.streams.are_several()
    }

    fn max_tokens(&self) -> usize {
        self.transformer.max_tokens
    }

    fn name(&self) -> &str {
        &self.identity.name
    }

    fn fingerprint(&self) -> u128 {
        self.identity.fingerprint
    }
}

impl<B: Backend> SparseTextEncoder for SparseEncoder<B> {
    fn vocabulary(&self) -> usize {
        self.vocabulary()
    }

    fn term(&self, term: u32) -> String {
        self.term(term)
    }

    fn is_inference_free(&self) -> bool {
        self.is_inference_free()
    }
}

struct Weights<'a, B: Backend> {
    model: &'a SparseEncoder<B>,
    role: Role,
}

impl<B: Backend> Weights<'_, B> {
    /// The vectors of a batch with the echo of each text's tokens, cut to the highest weights.
    fn with_echo(
        &self,
        echo: &Echo,
        vectors: Vec<SparseVector>,
        batch: &Batch,
    ) -> Result<Vec<SparseVector>> {
        let starts = batch.starts.windows(2);
        let sequences = starts.map(|pair| &batch.ids[pair[0] as usize..pair[1] as usize]);
        let both = vectors.into_iter().zip(sequences);
        both.map(|(vector, ids)| {
            let vector = echo.add(self.role, vector, ids)?;
            Ok(top_terms(vector, self.model.max_terms))
        })
        .collect()
    }
}

impl<B: Backend> Work<B> for Weights<'_, B> {
    type Output = SparseVector;

    fn run(&self, backend: &B, batch: &Batch) -> Result<Vec<Option<SparseVector>>> {
        let (encoder, head) = (&self.model.transformer.encoder, &self.model.head);
        let hidden = encoder.forward(backend, batch)?;
        // A NaN is not above 0, so it would vanish from the sparse vector without an error: the
        // hidden states are checked.
        let means = backend.pool(&hidden, &batch.starts, Pooling::Mean)?;
        let means = backend.values(&means)?;
        let means = means.chunks_exact(encoder.hidden().max(1));
        let mut vectors = head.forward(backend, &hidden, &batch.starts)?;
        if let Some(echo) = &self.model.echo {
            vectors = self.with_echo(echo, vectors, batch)?;
        }
        let checked = vectors.into_iter().zip(means).map(|(vector, mean)| {
            let weights = vector.iter().map(|(_, weight)| weight);
            let is_finite = mean.iter().chain(weights).all(|value| value.is_finite());
            is_finite.then_some(vector)
        });
        Ok(checked.collect())
    }

    fn join(&self, parts: Vec<SparseVector>) -> SparseVector {
        top_terms(max_weights(parts), self.model.max_terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_weights_stay_in_the_order_of_terms() {
        let vector = vec![(1, 0.5), (4, 2.0), (7, 0.5), (9, 1.0)];
        assert_eq!(top_terms(vector.clone(), 3), [(1, 0.5), (4, 2.0), (9, 1.0)]);
        assert_eq!(top_terms(vector.clone(), 4), vector);
        assert!(top_terms(vector, 0).is_empty());
    }
}
