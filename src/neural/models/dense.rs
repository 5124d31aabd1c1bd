//! Bi-encoders: one dense vector for each text.

use std::borrow::Cow;
use std::path::Path;

use crate::backend::Backend;
use crate::error::Result;
use crate::neural::bulk::{Encoded, Streams, WindowSize, Work};
use crate::neural::encoder::Encoder;
use crate::neural::folder::{ModelFolder, ModelKind, Module, Similarity};
use crate::neural::heads::PooledHead;
use crate::neural::long::{LongText, mean};
use crate::neural::packing::Batch;

use super::transformer::{Identity, RolePrompts, Transformer, expect_kind, finite, prompted};
use super::{DenseTextEncoder, Role, TextEncoder};

/// A model that makes a dense vector of a text: a transformer, pooling, and what
/// sentence-transformers stacks on it.
///
/// A folder of sentence-transformers says how tokens are pooled, which linear layers follow, and
/// whether vectors are normalized. A folder of `transformers` says none of this: then the vector is
/// the mean of all tokens.
///
/// ```
/// use esparsa::neural::{Cpu, CpuOptions};
/// use esparsa::neural::DenseEncoder;
///
/// let encoder = DenseEncoder::open("tests/neural/models/st-mean", Cpu::new(CpuOptions::default())?)?;
/// let vectors = encoder.encode_documents(&["Lava flows from the volcano.", "Bees make honey."])?;
/// assert_eq!(vectors[0].len(), encoder.dimensions());
///
/// let query = &encoder.encode_queries(&["lava"])?[0];
/// let cosine: f32 = query.iter().zip(&vectors[0]).map(|(a, b)| a * b).sum();
/// assert!(cosine <= 1.0001);
/// # Ok::<(), esparsa::Error>(())
/// ```
pub struct DenseEncoder<B: Backend> {
    transformer: Transformer<B>,
    head: PooledHead<B>,
    streams: Streams<B>,
    long: LongText,
    prompts: RolePrompts,
    /// Whether the tokens of the prompt are pooled with those of the text.
    pools_prompt: bool,
    /// Vectors are truncated to their first dimensions.
    dimensions: usize,
    is_unit: bool,
    similarity: Option<Similarity>,
    identity: Identity,
}

impl<B: Backend> DenseEncoder<B> {
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
    /// As [`DenseEncoder::open`].
    pub fn load(folder: ModelFolder, backend: B) -> Result<Self> {
        expect_kind(&folder, ModelKind::BiEncoder)?;
        let encoder = Encoder::load(&backend, &folder.config, &folder.weights)?;
        let (head, pools_prompt) = PooledHead::of_folder(&backend, &folder)?;
        let dimensions = folder
            .kept_dimensions
            .unwrap_or(head.dimensions())
            .min(head.dimensions());
        let is_normalized = matches!(folder.modules.last(), Some(Module::Normalize { .. }));
        Ok(Self {
            identity: Identity::of(&folder)?,
            prompts: RolePrompts::of(&folder),
            is_unit: is_normalized && dimensions == head.dimensions(),
            similarity: folder.similarity,
            transformer: Transformer {
                encoder,
                tokenizer: folder.tokenizer,
                max_tokens: folder.max_tokens,
            },
            head,
            streams: Streams::new(backend),
            long: LongText::default(),
            pools_prompt,
            dimensions,
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
    pub fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.encode(texts, Role::Query)?.all()
    }

    /// The vector of each document.
    ///
    /// # Errors
    ///
    /// As [`DenseEncoder::encode_queries`].
    pub fn encode_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.encode(texts, Role::Document)?.all()
    }

    /// Dimensions of a vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// True if all vectors have the Euclidean length 1.
    pub fn is_unit(&self) -> bool {
        self.is_unit
    }

    /// How vectors are compared, if the folder says so; the default of sentence-transformers is the
    /// cosine.
    pub fn similarity(&self) -> Option<Similarity> {
        self.similarity
    }

    /// The ids of the prompt at the start of a sequence, if pooling skips them.
    fn unpooled(&self, prompt: &str) -> Result<Vec<u32>> {
        if self.pools_prompt || prompt.is_empty() {
            return Ok(Vec::new());
        }
        let tokenizer = &self.transformer.tokenizer;
        let mut ids = tokenizer.encode(prompt)?.ids;
        ids.truncate(tokenizer.prompt_tokens(prompt)?);
        Ok(ids)
    }
}

impl<B: Backend> TextEncoder for DenseEncoder<B> {
    type Vector = Vec<f32>;

    fn encode(&self, texts: &[&str], role: Role) -> Result<Encoded<Vec<f32>>> {
        let prompt = self.prompts.before(role);
        let work = Pooling {
            model: self,
            unpooled: self.unpooled(prompt)?,
        };
        let limit = self.transformer.max_tokens;
        self.streams.encode(&work, texts.len(), limit, |number| {
            let text = prompted(prompt, texts[number]);
            self.long
                .sequences(&self.transformer.tokenizer, &text, limit)
        })
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

impl<B: Backend> DenseTextEncoder for DenseEncoder<B> {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn is_unit(&self) -> bool {
        self.is_unit
    }

    fn similarity(&self) -> Option<Similarity> {
        self.similarity
    }
}

struct Pooling<'a, B: Backend> {
    model: &'a DenseEncoder<B>,
    unpooled: Vec<u32>,
}

impl<B: Backend> Work<B> for Pooling<'_, B> {
    type Output = Vec<f32>;

    fn run(&self, backend: &B, batch: &Batch) -> Result<Vec<Option<Vec<f32>>>> {
        let model = self.model;
        let hidden = model.transformer.encoder.forward(backend, batch)?;
        let starts = self.split(batch);
        let vectors = model.head.forward(backend, &hidden, &starts)?;
        let values = backend.values(&vectors)?;
        // Where prompts were split off, rows alternate between prompt and text.
        let (first, step) = match starts.len() == batch.starts.len() {
            true => (0, 1),
            false => (1, 2),
        };
        let rows = values.chunks_exact(model.head.dimensions().max(1));
        let rows = rows.skip(first).step_by(step);
        Ok(rows.map(|row| finite(&row[..model.dimensions])).collect())
    }

    fn join(&self, parts: Vec<Vec<f32>>) -> Vec<f32> {
        mean(parts, self.model.is_unit)
    }
}

impl<B: Backend> Pooling<'_, B> {
    /// The starts to pool by: those of the batch, or each sequence split into its prompt and the
    /// rest.
    fn split<'a>(&self, batch: &'a Batch) -> Cow<'a, [u32]> {
        if self.unpooled.is_empty() {
            return Cow::Borrowed(&batch.starts);
        }
        let mut starts = vec![0];
        for pair in batch.starts.windows(2) {
            let ids = &batch.ids[pair[0] as usize..pair[1] as usize];
            // The later windows of a long text have no prompt.
            let skipped = match ids.starts_with(&self.unpooled) {
                true => self.unpooled.len() as u32,
                false => 0,
            };
            starts.extend([pair[0] + skipped, pair[1]]);
        }
        Cow::Owned(starts)
    }
}
