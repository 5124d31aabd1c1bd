//! Cross-encoders: a query and a document read together, and a score for the two.

use std::path::Path;

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::neural::bulk::{Encoded, Streams, WindowSize, Work};
use crate::neural::encoder::Encoder;
use crate::neural::folder::{Answers, ModelFolder, ModelKind, Module, ScoreActivation};
use crate::neural::heads::{CrossHead, DecoderHead};
use crate::neural::long::LongText;
use crate::neural::packing::Batch;
use crate::scorer::Scorer;

use super::PairScorer;
use super::transformer::{Identity, Transformer, expect_kind, finite};

/// A model that reads a query and a document together and scores them.
///
/// # Scores
///
/// With one label the score is the logit after the activation that the folder names, a sigmoid if
/// it names none, as in sentence-transformers. The softmax of one label would be 1 for every pair:
/// with it, the score is the logit.
///
/// With several labels the score is that of the label whose name in `id2label` says that the
/// document answers the query (`entailment`, `relevant`, `yes` and the like), or else of the last
/// one. It is the label's logarithm of odds, ln(p / (1 - p)) of its softmax probability p: with two
/// labels, the difference of their logits. It ranks as the probability does, and separates
/// documents even where that rounds to 1 in f32. If the folder names a sigmoid or a hyperbolic
/// tangent, labels do not exclude one another: the score is the label's own activated logit.
///
/// If the folder says that labels are grades from 0 on, as training with several labels writes, the
/// score is the expected grade E of the softmax probabilities, as a logarithm of odds too:
/// ln(E / (max - E)). It ranks as the expected grade does, which no single label's probability does,
/// and it is the rule of two labels for the grades 0 and 1.
///
/// # Re-rankers with a decoder
///
/// A folder of `T5ForConditionalGeneration` or `MT5ForConditionalGeneration` is read as monoT5
/// (Nogueira and others, 2020: Document Ranking with a Pretrained Sequence-to-Sequence Model). The
/// encoder reads `Query: {query} Document: {document} Relevant:`, of which the longer text is
/// truncated and never the words around; the decoder makes one step from its start token. The two
/// logits are those of the answers that the document is irrelevant and that it is relevant, and the
/// score is the logarithm of the softmax probability of the second, at most 0.
///
/// The answers are `▁yes` and `▁no` with mT5 (`mt5-base-mmarco-v2` and others). With T5 they are
/// `▁sim` and `▁não` where the vocabulary has both (models on PTT5), otherwise `▁true` and `▁false`
/// (monoT5, InRanker). A model that was trained on other words names them in its config.json, as the
/// larger ones on mMARCO need it (`mt5-3B-mmarco-en-pt`, `mt5-13b-mmarco-100k`), and so does one that
/// was trained on another text:
///
/// ```json
/// "esparsa": {"true": "▁true", "false": "▁", "template": "Query: {query} Document: {document} Relevant:"}
/// ```
///
/// ```
/// use esparsa::neural::{Cpu, CpuOptions};
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
    head: Head<B>,
    activation: ScoreActivation,
    /// The label that makes the score.
    scored: usize,
    streams: Streams<B>,
    long: LongText,
    identity: Identity,
}

/// What makes logits of hidden states.
enum Head<B: Backend> {
    Classifier(CrossHead<B>),
    Decoder(DecoderHead<B>),
}

impl<B: Backend> Head<B> {
    fn load(backend: &B, folder: &ModelFolder) -> Result<Self> {
        let (config, weights) = (&folder.config, &folder.weights);
        Ok(match folder.answers {
            Some(Answers {
                relevant,
                irrelevant,
            }) => {
                let answers = [irrelevant, relevant];
                Self::Decoder(DecoderHead::load(backend, config, weights, &answers)?)
            }
            None => Self::Classifier(CrossHead::load(backend, config, weights)?),
        })
    }

    fn forward(&self, backend: &B, hidden: &B::Tensor, starts: &[u32]) -> Result<Vec<f32>> {
        match self {
            Self::Classifier(head) => head.forward(backend, hidden, starts),
            Self::Decoder(head) => head.forward(backend, hidden, starts),
        }
    }

    fn labels(&self) -> usize {
        match self {
            Self::Classifier(head) => head.labels(),
            Self::Decoder(head) => head.labels(),
        }
    }
}

impl<B: Backend> CrossEncoder<B> {
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
    /// As [`CrossEncoder::open`].
    pub fn load(folder: ModelFolder, backend: B) -> Result<Self> {
        expect_kind(&folder, ModelKind::CrossEncoder)?;
        let [
            Module::Classifier {
                activation, scored, ..
            },
        ] = folder.modules[..]
        else {
            let message = "expected a classifier after the transformer and no other module";
            return Err(Error::model(&folder.path, message));
        };
        let encoder = Encoder::load(&backend, &folder.config, &folder.weights)?;
        let head = Head::load(&backend, &folder)?;
        Ok(Self {
            identity: Identity::of(&folder)?,
            transformer: Transformer {
                encoder,
                tokenizer: folder.tokenizer,
                max_tokens: folder.max_tokens,
            },
            head,
            activation,
            scored,
            streams: Streams::new(backend),
            long: LongText::default(),
        })
    }

    /// Sets what to do with documents that, with their query, are too long.
    #[must_use]
    pub fn with_long(mut self, long: LongText) -> Self {
        self.long = long;
        self
    }

    /// The logits of each pair of query and document, one for each label or answer; of a long document in
    /// windows, those of the window with the best score.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a pair that cannot be scored, named
    /// by its index; [`Error::Device`](crate::Error::Device).
    pub fn logits(&self, pairs: &[(&str, &str)]) -> Result<Vec<Vec<f32>>> {
        self.encode(pairs)?.all()
    }

    /// Logits per pair.
    pub fn labels(&self) -> usize {
        self.head.labels()
    }

    /// Max tokens of a pair.
    pub fn max_tokens(&self) -> usize {
        self.transformer.max_tokens
    }

    /// A hash of weights, tokenizer and settings; models with the same are the same.
    pub fn fingerprint(&self) -> u128 {
        self.identity.fingerprint
    }

    fn encode(&self, pairs: &[(&str, &str)]) -> Result<Encoded<Vec<f32>>> {
        let limit = self.transformer.max_tokens;
        self.streams
            .encode(&Logits(self), pairs.len(), limit, |number| {
                self.long
                    .pairs(&self.transformer.tokenizer, pairs[number], limit)
            })
    }

    fn score(&self, logits: &[f32]) -> f32 {
        score(logits, self.scored, self.activation)
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

    /// The logits of the best passage.
    fn join(&self, parts: Vec<Vec<f32>>) -> Vec<f32> {
        let best = parts
            .into_iter()
            .max_by(|a, b| self.0.score(a).total_cmp(&self.0.score(b)));
        best.unwrap_or_default()
    }
}

/// The score of a pair from its logits.
fn score(logits: &[f32], scored: usize, activation: ScoreActivation) -> f32 {
    let logit = logits.get(scored).copied().unwrap_or_default();
    match activation {
        ScoreActivation::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
        ScoreActivation::Tanh => logit.tanh(),
        ScoreActivation::LogSoftmax => log_softmax(logits, scored),
        ScoreActivation::ExpectedGrade => grade_odds(logits),
        ScoreActivation::Identity | ScoreActivation::Softmax if logits.len() <= 1 => logit,
        ScoreActivation::Identity | ScoreActivation::Softmax => log_odds(logits, scored),
    }
}

/// ln(p / (1 - p)) of a label's probability: its logit less the logarithm of the sum of the
/// exponentials of all others.
fn log_odds(logits: &[f32], label: usize) -> f32 {
    let others = logits.iter().enumerate();
    let others = others.filter(|(other, _)| *other != label);
    let others = others.map(|(_, logit)| *logit);
    let max = others.clone().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = others.map(|logit| (logit - max).exp()).sum();
    logits.get(label).copied().unwrap_or_default() - max - sum.ln()
}

/// ln(p) of a label's probability, from its logarithm of odds: the logarithm of 1 - p loses no digits
/// where p rounds to 1, so that pairs stay apart there.
fn log_softmax(logits: &[f32], label: usize) -> f32 {
    let odds = f64::from(log_odds(logits, label));
    (odds.min(0.0) - (-odds.abs()).exp().ln_1p()) as f32
}

/// ln(E / (max - E)) of the expected grade E of logits for the grades from 0 to max: Σ grade ·
/// e^logit over Σ (max - grade) · e^logit, neither of which loses digits where a probability rounds to 1.
pub(crate) fn grade_odds(logits: &[f32]) -> f32 {
    let max_grade = logits.len().saturating_sub(1);
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum = |weight: &dyn Fn(usize) -> usize| -> f64 {
        let terms = logits.iter().enumerate();
        let terms = terms.map(|(grade, logit)| {
            let power = (f64::from(*logit) - f64::from(max)).exp();
            weight(grade) as f64 * power
        });
        terms.sum::<f64>().max(f64::MIN_POSITIVE)
    };
    (sum(&|grade| grade).ln() - sum(&|grade| max_grade - grade).ln()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sigmoid_is_a_probability_for_any_logit() {
        let sigmoid = |logit| score(&[logit], 0, ScoreActivation::Sigmoid);
        assert_eq!(
            [sigmoid(-200.0), sigmoid(0.0), sigmoid(200.0)],
            [0.0, 0.5, 1.0]
        );
        assert_eq!(score(&[-3.5], 0, ScoreActivation::Identity), -3.5);
    }

    #[test]
    fn a_hyperbolic_tangent_keeps_the_sign_and_a_lone_softmax_the_logit() {
        let tanh = |logit| score(&[logit], 0, ScoreActivation::Tanh);
        assert_eq!([tanh(-200.0), tanh(0.0), tanh(200.0)], [-1.0, 0.0, 1.0]);
        assert!((tanh(0.5) - 0.462_117_16).abs() < 1e-6);
        assert_eq!(score(&[-3.5], 0, ScoreActivation::Softmax), -3.5);
    }

    #[test]
    fn the_score_of_two_labels_is_the_difference_of_their_logits() {
        for activation in [ScoreActivation::Identity, ScoreActivation::Softmax] {
            assert_eq!(score(&[1.5, 4.0], 1, activation), 2.5);
            assert_eq!(score(&[90.0, -90.0], 1, activation), -180.0);
            assert_eq!(score(&[90.0, -90.0], 0, activation), 180.0);
        }
        assert_eq!(score(&[0.0, 9.0], 0, ScoreActivation::Sigmoid), 0.5);
    }

    #[test]
    fn a_log_softmax_is_the_log_probability_and_keeps_pairs_apart_near_its_ends() {
        let found =
            |irrelevant, relevant| score(&[irrelevant, relevant], 1, ScoreActivation::LogSoftmax);
        for (irrelevant, relevant) in [(0.5_f32, -1.25_f32), (2.0, 2.0), (-3.0, 1.0)] {
            let probability = relevant.exp() / (irrelevant.exp() + relevant.exp());
            assert!((found(irrelevant, relevant) - probability.ln()).abs() < 1e-6);
        }
        assert_eq!(found(0.0, -500.0), -500.0);
        assert!(found(0.0, 60.0) < found(0.0, 70.0) && found(0.0, 70.0) < 0.0);
    }

    #[test]
    fn grades_rank_by_the_expected_one() {
        let expected = |logits: &[f32]| {
            let powers = logits.iter().map(|logit| f64::from(*logit).exp());
            let sum: f64 = powers.clone().sum();
            let grades = powers
                .enumerate()
                .map(|(grade, power)| grade as f64 * power);
            grades.sum::<f64>() / sum
        };
        for logits in [[0.3f32, -1.0, 2.0], [1.5, 1.0, 1.2], [0.0, 4.0, 0.0]] {
            let share = expected(&logits) / 2.0;
            let found = score(&logits, 2, ScoreActivation::ExpectedGrade);
            assert!((f64::from(found) - (share / (1.0 - share)).ln()).abs() < 1e-6);
        }
        // Two grades are two labels, and pairs stay apart where probabilities round to 1.
        let two = |logits: &[f32]| score(logits, 1, ScoreActivation::ExpectedGrade);
        assert!((two(&[1.5, 4.0]) - 2.5).abs() < 1e-6);
        assert!(two(&[-50.0, 50.0]) > two(&[-45.0, 50.0]));
    }

    #[test]
    fn the_score_of_many_labels_ranks_as_the_probability_of_the_scored_one() {
        let logits = [0.3_f32, -1.0, 2.0, 0.7];
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        for (label, logit) in logits.iter().enumerate() {
            let probability = logit.exp() / sum;
            let expected = (probability / (1.0 - probability)).ln();
            let found = score(&logits, label, ScoreActivation::Softmax);
            assert!((found - expected).abs() < 1e-6, "{label}");
        }
    }
}
