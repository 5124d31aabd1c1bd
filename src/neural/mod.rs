//! Models that make vectors and scores of text, from published files.
//!
//! Comes in: the folder of a model, in the layout of Hugging Face or sentence-transformers, a
//! [`Backend`], and texts. Goes out: sparse vectors ([`SparseEncoder`]),
//! dense vectors ([`DenseEncoder`]), scores for pairs ([`CrossEncoder`]), vectors of tokens and
//! their scores ([`LateEncoder`]). Nothing is downloaded or written, there is no Python, and no
//! backend is named: each model is generic over the trait, and [`Model`] is loaded on hardware that
//! is chosen at run time.
//!
//! ```
//! use esparsa::neural::{Cpu, CpuOptions, SparseEncoder};
//! use esparsa::{Document, Index, Query, Schema, Sparse};
//!
//! let encoder = SparseEncoder::open("tests/neural/models/splade-max", Cpu::new(CpuOptions::default())?)?;
//! let named = |vector: Vec<(u32, f32)>| {
//!     let terms = vector.into_iter().map(|(term, weight)| (encoder.term(term), weight));
//!     terms.collect::<Vec<_>>()
//! };
//!
//! let index = Index::in_memory(Schema::builder()
//!     .sparse("splade", Sparse::new().expected_max(10.0))
//!     .build()?)?;
//! let mut writer = index.writer()?;
//! for (id, text) in [("etna", "Lava flows from the volcano."), ("bees", "Bees make honey.")] {
//!     let vector = encoder.encode_documents(&[text])?.remove(0);
//!     writer.add(Document::new(id).with_sparse("splade", named(vector)))?;
//! }
//! writer.commit()?;
//!
//! let query = encoder.encode_queries(&["Lava flows from the volcano."])?.remove(0);
//! let hits = index.snapshot()?.search(&Query::sparse("splade", named(query)), 10)?;
//! assert_eq!(hits.len(), 2);
//! # Ok::<(), esparsa::Error>(())
//! ```
//!
//! | file | concept |
//! | --- | --- |
//! | `config` | `config.json` of every family, under one name for each setting |
//! | `settings` | typed access to JSON files |
//! | `weights` | tensors of `safetensors` files |
//! | `tokenizer` | text to token ids |
//! | `folder` | the contents of a folder: kind of model, modules, prompts, limits |
//! | `packing` | batches without padding |
//! | `encoder` | token ids to hidden states |
//! | `heads` | hidden states to vectors and scores |
//! | `models` | text to vectors and scores |
//! | `long` | texts longer than the max of the model |
//! | `bulk` | many texts on all streams of a backend, in bounded memory |

mod bulk;
mod config;
mod encoder;
mod folder;
mod heads;
mod long;
mod models;
mod packing;
mod settings;
mod tokenizer;
mod weights;

pub use crate::backend::{Backend, Cpu, CpuOptions, Hardware, Precision, SparseVector};
#[cfg(feature = "cuda")]
pub use crate::backend::{CompiledModule, Cuda, KernelUsage};
pub use bulk::{Encoded, WindowSize, for_each_window};
pub use config::{Convolution, DebertaPositions, Family, ModelConfig, T5Decoder, T5Positions};
pub use folder::{
    DEFAULT_MAX_TOKENS, DenseModule, Expansion, LateInteraction, ModelFolder, ModelKind, Module,
    Prompts, ScoreActivation, Similarity, StaticQueries,
};
pub use long::LongText;
pub use models::{
    CrossEncoder, DenseEncoder, DenseTextEncoder, LateEncoder, Model, PairScorer, Role,
    SparseEncoder, SparseTextEncoder, TextEncoder, TokenEncoder, TokenVectors,
};
pub use tokenizer::{Tokenizer, Tokens};

#[cfg(feature = "internals")]
pub use {
    encoder::Encoder,
    heads::{
        CrossHead, DecoderHead, DenseWeights, LateHead, PooledHead, SpladeHead, StaticWeights,
    },
    packing::{Batch, plan_batches},
    weights::Weights,
};
#[cfg(all(feature = "train", not(feature = "internals")))]
pub(crate) use {
    encoder::Encoder,
    heads::{CrossHead, LateHead, PooledHead, SpladeHead},
    packing::{Batch, plan_batches},
    weights::Weights,
};

#[cfg(feature = "train")]
pub(crate) use folder::{
    Answers, ECHO_FOLDER, ECHO_TENSORS, EXPECTED_GRADE, OWN_SETTINGS, PUNCTUATION,
    transformer_settings,
};
#[cfg(feature = "train")]
pub(crate) use heads::{Places, add_vectors};
#[cfg(feature = "train")]
pub(crate) use models::grade_odds;
#[cfg(feature = "train")]
pub(crate) use settings::Settings;
#[cfg(feature = "train")]
pub(crate) use weights::Random;
