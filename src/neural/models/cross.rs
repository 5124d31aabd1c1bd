//! Cross-encoders: a query and a document read together, and a score for the two.

use std::path::Path;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::neural::bulk::{Encoded, Lanes, WindowSize, Work};
use crate::neural::encoder::Encoder;
use crate::neural::folder::{ModelFolder, ModelKind, Module, ScoreActivation};
use crate::neural::heads::CrossHead;
use crate::neural::long::LongText;
use crate::neural::packing::Batch;
use crate::rank::Scorer;

use super::PairScorer;
use super::transformer::{Identity, Transformer, expect_kind, finite};

/// A model that reads a query and a document together and scores them.
///
/// # Scores
///
/// With one label the score is the logit after the activation that the folder names, a sigmoid if it names none, as in sentence-transformers.
/// With several labels it is the last label's logarithm of odds, ln(p / (1 - p)) of its softmax probability p: with two labels, the difference of
/// their logits. It ranks as the probability does, but tells documents apart even where that is 1 in 32 bits.
///
/// ```
/// use esparsa::backend::{Cpu, CpuOptions};
/// use esparsa::neural::CrossEncoder;
/// use esparsa::rank::Scorer;
///
/// let encoder = CrossEncoder::open("tests/neural/models/ce-bert", Cpu::new(CpuOptions::default())?)?;
/// let scores = encoder.scores("what is lava", &["Lava is molten rock.", "Bees make honey."])?;
/// assert_eq!(scores.len(), 2);
/// assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
/// # Ok::<(), esparsa::Error>(())
/// ```
pub struct CrossEncoder<B: Backend> {
    transformer: Transformer<B>,
    head: CrossHead<B>,
    activation: ScoreActivation,
    lanes: Lanes<B>,
    long: LongText,
    identity: Identity,
}

impl<B: Backend> CrossEncoder<B> {
    /// Opens the model in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`](crate::Error::Model) for files that are missing, damaged or do not fit together, or a model that does something else;
    /// [`Error::Io`](crate::Error::Io).
    pub fn open(folder: impl AsRef<Path>, backend: B) -> Result<Self> {
        Self::load(ModelFolder::open(folder.as_ref())?, backend)
    }

    /// The same for a folder that was opened.
    ///
    /// # Errors
    ///
    /// As [`CrossEncoder::open`].
    pub fn load(folder: ModelFolder, backend: B) -> Result<Self> {
        expect_kind(&folder, ModelKind::CrossEncoder)?;
        let [Module::Classifier { activation, .. }] = folder.modules[..] else {
            let message = "expected a classifier behind the transformer and nothing else";
            return Err(Error::model(&folder.path, message));
        };
        let encoder = Encoder::load(&backend, &folder.config, &folder.weights)?;
        let head = CrossHead::load(&backend, &folder.config, &folder.weights)?;
        Ok(Self {
            identity: Identity::of(&folder)?,
            transformer: Transformer {
                encoder,
                tokenizer: folder.tokenizer,
                max_tokens: folder.max_tokens,
            },
            head,
            activation,
            lanes: Lanes::new(backend),
            long: LongText::default(),
        })
    }

    /// What becomes of documents that are too long beside their query.
    #[must_use]
    pub fn with_long(mut self, long: LongText) -> Self {
        self.long = long;
        self
    }

    /// The logits of each pair of query and document, one for each label; of a long document in windows those of the window with the best score.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a pair that has none, named by its place;
    /// [`Error::Device`](crate::Error::Device).
    pub fn logits(&self, pairs: &[(&str, &str)]) -> Result<Vec<Vec<f32>>> {
        self.encode(pairs)?.all()
    }

    /// Logits of a pair.
    pub fn labels(&self) -> usize {
        self.head.labels()
    }

    /// The most tokens that the model reads at once.
    pub fn max_tokens(&self) -> usize {
        self.transformer.max_tokens
    }

    /// A hash of weights, tokenizer and settings; models with the same are the same.
    pub fn fingerprint(&self) -> u128 {
        self.identity.fingerprint
    }

    fn encode(&self, pairs: &[(&str, &str)]) -> Result<Encoded<Vec<f32>>> {
        let limit = self.transformer.max_tokens;
        self.lanes
            .encode(&Logits(self), pairs.len(), limit, |number| {
                self.long
                    .pairs(&self.transformer.tokenizer, pairs[number], limit)
            })
    }

    fn score(&self, logits: &[f32]) -> f32 {
        match logits {
            [logit] => activated(*logit, self.activation),
            _ => log_odds_of_last(logits),
        }
    }
}

impl<B: Backend> PairScorer for CrossEncoder<B> {
    fn score_pairs(&self, pairs: &[(&str, &str)]) -> Result<Encoded<f32>> {
        let encoded = self.encode(pairs)?;
        let results = encoded.results.into_iter();
        Ok(Encoded {
            results: results.map(|logits| Ok(self.score(&logits?))).collect(),
            tokens: encoded.tokens,
            full: encoded.full,
        })
    }

    fn window_size(&self) -> WindowSize {
        self.lanes.window_size()
    }

    fn is_threaded(&self) -> bool {
        self.lanes.are_many()
    }

    fn name(&self) -> &str {
        &self.identity.name
    }
}

impl<B: Backend> Scorer for CrossEncoder<B> {
    fn scores(&self, query: &str, documents: &[&str]) -> Result<Vec<f32>> {
        let pairs: Vec<(&str, &str)> = documents.iter().map(|text| (query, *text)).collect();
        self.score_pairs(&pairs)?.all()
    }
}

struct Logits<'a, B: Backend>(&'a CrossEncoder<B>);

impl<B: Backend> Work<B> for Logits<'_, B> {
    type Output = Vec<f32>;

    fn run(&self, backend: &B, batch: &Batch) -> Result<Vec<Option<Vec<f32>>>> {
        let model = self.0;
        let hidden = model.transformer.encoder.forward(backend, batch)?;
        let logits = model.head.forward(backend, &hidden, &batch.starts)?;
        let rows = logits.chunks_exact(model.head.labels().max(1));
        Ok(rows.map(finite).collect())
    }

    /// Those of the best passage.
    fn join(&self, parts: Vec<Vec<f32>>) -> Vec<f32> {
        let best = parts
            .into_iter()
            .max_by(|a, b| self.0.score(a).total_cmp(&self.0.score(b)));
        best.unwrap_or_default()
    }
}

/// A logit as the folder says.
fn activated(logit: f32, activation: ScoreActivation) -> f32 {
    match activation {
        ScoreActivation::Identity => logit,
        ScoreActivation::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
    }
}

/// ln(p / (1 - p)) of the last label's probability: its logit less the logarithm of the sum of the exponentials of all others.
fn log_odds_of_last(logits: &[f32]) -> f32 {
    let Some((last, others)) = logits.split_last() else {
        return 0.0;
    };
    let greatest = others.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = others.iter().map(|logit| (logit - greatest).exp()).sum();
    last - greatest - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sigmoid_is_a_probability_however_great_the_logit() {
        let sigmoid = |logit| activated(logit, ScoreActivation::Sigmoid);
        assert_eq!(
            [sigmoid(-200.0), sigmoid(0.0), sigmoid(200.0)],
            [0.0, 0.5, 1.0]
        );
        assert_eq!(activated(-3.5, ScoreActivation::Identity), -3.5);
    }

    #[test]
    fn the_score_of_two_labels_is_the_difference_of_their_logits() {
        assert_eq!(log_odds_of_last(&[1.5, 4.0]), 2.5);
        assert_eq!(log_odds_of_last(&[90.0, -90.0]), -180.0);
    }

    #[test]
    fn the_score_of_many_labels_ranks_as_the_last_probability() {
        let logits = [0.3_f32, -1.0, 2.0, 0.7];
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        let probability = 0.7_f32.exp() / sum;
        let expected = (probability / (1.0 - probability)).ln();
        assert!((log_odds_of_last(&logits) - expected).abs() < 1e-6);
    }
}
