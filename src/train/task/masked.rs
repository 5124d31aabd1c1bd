//! Masked language modelling (Devlin and others, 2019): some tokens of a text are hidden, and the model
//! predicts them. It makes a new encoder know a language, or a published one the words of a corpus,
//! before it is trained to rank.

use std::sync::Arc;

use super::{BatchOutcome, BatchSettings, Task};
use crate::backend::{BackwardOps, Device, ForwardOps, Pooling, SpladeActivation, SpladePooling};
use crate::error::{Error, Result};
use crate::neural::{Batch, Encoder, ModelFolder, Random, SpladeHead, Tokens, plan_batches};
use crate::train::data::TrainingBatch;
use crate::train::objective::RankingOutcome;
use crate::train::recorder::{Recorder, Seed};

/// Of the chosen tokens this share becomes the mask token.
const MASKED: f64 = 0.8;
/// And this share another token; the rest stays as it is.
const REPLACED: f64 = 0.1;
/// Max logits of a tape: chosen tokens × vocabulary values of f32.
const MAX_LOGITS: usize = 64 << 20;

/// A masked language model in training.
pub struct MaskedTask<B: BackwardOps> {
    recorder: Recorder<B>,
    encoder: Encoder<Recorder<B>>,
    head: SpladeHead<Recorder<B>>,
    folder: Arc<ModelFolder>,
    mask: u32,
    max_tokens: usize,
    tape_tokens: usize,
    share: f64,
}

/// A sequence with hidden tokens.
struct Hidden {
    tokens: Tokens,
    /// The places of the chosen tokens, ascending, and what they were.
    chosen: Vec<(usize, u32)>,
}

impl<B: BackwardOps> MaskedTask<B> {
    /// Loads a model onto a backend; `share` of the tokens are chosen.
    ///
    /// # Errors
    ///
    /// As the loading of a model: [`Error::Model`]; and for a tokenizer without a mask token.
    pub fn load(
        backend: B,
        folder: Arc<ModelFolder>,
        max_tokens: usize,
        tape_tokens: usize,
        share: f64,
    ) -> Result<Self> {
        let mask = folder.tokenizer.mask().ok_or_else(|| {
            Error::model(
                &folder.path,
                "masked language modelling: expected a tokenizer with a mask token, found none",
            )
        })?;
        let recorder = Recorder::new(backend);
        let (config, weights) = (&folder.config, &folder.weights);
        let encoder = Encoder::load(&recorder, config, weights)?;
        let (activation, pooling) = (SpladeActivation::Log1pRelu, SpladePooling::Max);
        let head = SpladeHead::load(&recorder, config, weights, activation, pooling)?;
        Ok(Self {
            recorder,
            encoder,
            head,
            mask,
            max_tokens,
            tape_tokens,
            share,
            folder,
        })
    }

    /// Hides some tokens of a sequence, special ones excepted.
    fn hide(&self, mut tokens: Tokens, random: &mut Random) -> Hidden {
        let tokenizer = &self.folder.tokenizer;
        let (before, after) = tokenizer.special_tokens_around();
        let inner = before..tokens.len().saturating_sub(after).max(before);
        let mut chosen = Vec::new();
        for place in inner {
            if random.uniform() >= self.share {
                continue;
            }
            chosen.push((place, tokens.ids[place]));
            let draw = random.uniform();
            if draw < MASKED {
                tokens.ids[place] = self.mask;
            } else if draw < MASKED + REPLACED {
                let vocabulary = self.folder.config.vocabulary as f64;
                tokens.ids[place] = (random.uniform() * vocabulary) as u32;
            }
        }
        Hidden { tokens, chosen }
    }

    /// One tape: the sum of the losses of its chosen tokens and how many are predicted right; adds
    /// gradients of the loss divided by `count`.
    fn chunk(&self, sequences: &[&Hidden], count: f64) -> Result<(f64, usize)> {
        let batch = Batch::of(sequences.iter().map(|hidden| &hidden.tokens))?;
        let mut places = Vec::new();
        let mut targets = Vec::new();
        for (hidden, start) in sequences.iter().zip(&batch.starts) {
            for (place, id) in &hidden.chosen {
                places.push(start + *place as u32);
                targets.push(*id);
            }
        }
        if places.is_empty() {
            return Ok((0.0, 0));
        }
        self.recorder.begin(true)?;
        let states = self.encoder.forward(&self.recorder, &batch)?;
        // The first row of each segment: segments begin at the chosen tokens, and there is one before
        // them unless the first row is chosen.
        let skipped = usize::from(places[0] != 0);
        let mut starts = vec![0; skipped];
        starts.extend_from_slice(&places);
        starts.push(batch.tokens() as u32);
        let rows = self.recorder.pool(&states, &starts, Pooling::First)?;
        let logits = self.head.logits(&self.recorder, &rows)?;
        let mut values = self.recorder.values(&logits)?;
        let vocabulary = self.head.vocabulary();
        let (mut loss, mut right) = (0.0, 0);
        for (row, logits) in values.chunks_exact_mut(vocabulary).enumerate() {
            let Some(place) = row.checked_sub(skipped) else {
                logits.fill(0.0);
                continue;
            };
            let (of_row, is_right) = cross_entropy(logits, targets[place] as usize, count);
            loss += of_row;
            right += usize::from(is_right);
        }
        self.recorder.backward(&[Seed::Dense(values)])?;
        Ok((loss, right))
    }
}

/// -ln of the softmax of a row's logits at a target, and whether that is the max. The logits become
/// the gradient divided by `count`.
fn cross_entropy(logits: &mut [f32], target: usize, count: f64) -> (f64, bool) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let is_right = logits[target] >= max;
    let of_target = f64::from(logits[target] - max);
    let mut sum = 0.0f64;
    for logit in logits.iter_mut() {
        *logit = (*logit - max).exp();
        sum += f64::from(*logit);
    }
    let factor = (1.0 / (sum * count)) as f32;
    logits.iter_mut().for_each(|power| *power *= factor);
    logits[target] -= (1.0 / count) as f32;
    (sum.ln() - of_target, is_right)
}

impl<B: BackwardOps> Task<B> for MaskedTask<B> {
    fn recorder(&self) -> &Recorder<B> {
        &self.recorder
    }

    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome> {
        let mut random = Random::new(settings.dropout.seed);
        let mut hidden = Vec::new();
        for text in &batch.queries {
            let tokens = self
                .folder
                .tokenizer
                .truncated(&text.text, self.max_tokens)?;
            hidden.push(self.hide(tokens, &mut random));
        }
        let chosen: usize = hidden.iter().map(|hidden| hidden.chosen.len()).sum();
        let lengths: Vec<usize> = hidden.iter().map(|hidden| hidden.tokens.len()).collect();
        let of_logits = MAX_LOGITS / self.head.vocabulary().max(1);
        let budget = self
            .tape_tokens
            .min((of_logits as f64 / self.share) as usize);
        let mut outcome = BatchOutcome {
            tokens: lengths.iter().sum::<usize>() as u64,
            ..BatchOutcome::default()
        };
        let count = chosen.max(1) as f64;
        for (number, chunk) in plan_batches(&lengths, budget).iter().enumerate() {
            let seed = settings.dropout.seed ^ (number as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
            self.recorder.set_dropout(settings.dropout.rate, seed)?;
            let sequences: Vec<&Hidden> = chunk.iter().map(|place| &hidden[*place]).collect();
            let (loss, right) = self.chunk(&sequences, count)?;
            outcome.loss += loss / count;
            outcome.ranking.accuracy += right as f64 / count;
        }
        if !outcome.loss.is_finite() {
            return Err(Error::invalid(format!(
                "expected a finite loss, found {}; lower the learning rate",
                outcome.loss
            )));
        }
        let accuracy = outcome.ranking.accuracy;
        outcome.ranking = RankingOutcome {
            loss: outcome.loss,
            accuracy,
            // There is nothing to rank: any spread says that scores differ.
            spread: crate::train::health::ScoreSpread {
                within: 1.0,
                max: 1.0,
            },
        };
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::Scalar;
    use crate::train::data::Text;

    fn task(tape_tokens: usize) -> MaskedTask<Scalar<f64>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models/splade-max");
        let folder = Arc::new(ModelFolder::open(&folder).unwrap());
        MaskedTask::load(Scalar::<f64>::default(), folder, 32, tape_tokens, 0.4).unwrap()
    }

    fn batch() -> TrainingBatch {
        TrainingBatch {
            queries: [
                "Lava flows from the volcano.",
                "Bees make honey in the hive.",
                "The volcano is quiet.",
            ]
            .map(Text::new)
            .to_vec(),
            ..TrainingBatch::default()
        }
    }

    #[test]
    fn cross_entropy_and_its_gradient() {
        let logits = [0.5f32, -1.0, 2.0];
        for target in 0..3 {
            let of = |logits: &[f32]| cross_entropy(&mut logits.to_vec(), target, 1.0).0;
            let mut gradient = logits.to_vec();
            let (loss, is_right) = cross_entropy(&mut gradient, target, 4.0);
            assert_eq!(is_right, target == 2);
            assert!((loss - of(&logits)).abs() < 1e-9);
            for place in 0..3 {
                let at = |step: f32| {
                    let mut moved = logits;
                    moved[place] += step;
                    of(&moved)
                };
                let expected = (at(1e-2) - at(-1e-2)) / 2e-2 / 4.0;
                assert!((f64::from(gradient[place]) - expected).abs() < 1e-4);
            }
        }
    }

    /// The gradient of a bias of the decoder is a difference of the loss, whatever the chunks are.
    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let settings = BatchSettings::default();
        let mut whole = task(1_000);
        let outcome = whole.batch(&batch(), &settings).unwrap();
        assert!(outcome.loss > 0.0);
        let mut in_chunks = task(8);
        let found = in_chunks.batch(&batch(), &settings).unwrap();
        assert!((found.loss - outcome.loss).abs() < 1e-6);
        let gradient = |task: &MaskedTask<Scalar<f64>>| {
            let parameters = task.recorder().parameters();
            let masters = parameters.masters().iter();
            let bias = masters
                .filter(|master| master.name.starts_with("cls.") && master.name.ends_with("bias"));
            let last = bias.last().unwrap();
            (last.name.clone(), last.gradient.lock().unwrap().clone())
        };
        let (name, expected) = gradient(&whole);
        let (_, found) = gradient(&in_chunks);
        for (one, other) in expected.iter().zip(&found) {
            assert!((one - other).abs() < 1e-6);
        }
        let place = (0..expected.len())
            .max_by(|a, b| expected[*a].abs().total_cmp(&expected[*b].abs()))
            .unwrap();
        let at = |step: f64| {
            let mut task = task(1_000);
            let recorder = task.recorder().clone();
            {
                let mut parameters = recorder.parameters_mut();
                let masters = parameters.masters_mut();
                let master = masters.iter_mut().find(|master| master.name == name);
                master.unwrap().value[place] += step;
                parameters.pack(recorder.backend()).unwrap();
            }
            task.batch(&batch(), &settings).unwrap().loss
        };
        // Logits come back as f32.
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!(
            (slope - expected[place]).abs() < 2e-4,
            "{slope} {}",
            expected[place]
        );
    }

    #[test]
    fn special_tokens_are_never_hidden() {
        let task = task(1_000);
        let tokens = task.folder.tokenizer.encode("Lava flows.").unwrap();
        let last = tokens.len() - 1;
        for seed in 0..50 {
            let hidden = task.hide(tokens.clone(), &mut Random::new(seed));
            assert_eq!(hidden.tokens.ids[0], tokens.ids[0]);
            assert_eq!(hidden.tokens.ids[last], tokens.ids[last]);
            for (place, id) in &hidden.chosen {
                assert_eq!(tokens.ids[*place], *id);
            }
        }
    }
}
