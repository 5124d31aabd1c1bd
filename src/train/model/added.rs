//! Heads that a published encoder lacks.
//!
//! A classifier starts with small random weights. A head of sparse vectors must not: an arbitrary
//! projection onto the vocabulary makes every term active or none, and training collapses. It is
//! fitted instead, so that at the start the vector of a text has the text's own tokens, and little
//! else:
//!
//! 1. A linear map W from hidden states to the word embeddings of their tokens is fitted by ridge
//!    regression on some texts.
//! 2. The activation behind W is made nearly linear by a large bias, which the norm behind it takes
//!    out again.
//! 3. The weight of the norm and the bias of the decoder, one number each, are chosen so that a token's
//!    own logit is on average [`OWN_LOGIT`] and a text has as many terms above 0 as was asked for.

use crate::backend::{Activation, Device, ForwardOps, Linear, Norm};
use crate::error::{Error, Result};
use crate::neural::{Batch, Cpu, Encoder, ModelFolder, SpladeHead, Tokens};

/// The mean logit of a text's own tokens: their weight is ln(1 + 3.5) = 1.5.
const OWN_LOGIT: f32 = 3.5;
/// Tokens that the regression is fitted on.
const FITTED_TOKENS: usize = 8_192;
/// Texts whose logits decide the bias.
const CALIBRATED_TEXTS: usize = 12;
/// Added to the diagonal of the regression, in shares of its mean.
const RIDGE: f64 = 1e-3;
/// The bias before the activation, where GELU and SiLU are nearly linear, in standard deviations of
/// its input.
const SHIFT: f32 = 6.0;

/// Adds the head of a masked language model to an encoder without one. `texts` are documents of the
/// collection; `terms` is the number of active terms of a document at the start.
///
/// # Errors
///
/// [`Error::InvalidInput`] without texts; [`Error::Model`] for a model whose vocabulary cannot be
/// decoded.
pub fn add_sparse_head(
    cpu: &Cpu,
    folder: &mut ModelFolder,
    texts: &[&str],
    terms: usize,
) -> Result<()> {
    let names = SpladeHead::<Cpu>::names(&folder.config);
    let (vocabulary, hidden, inner) = (folder.config.vocabulary, folder.config.hidden, names.inner);
    let embeddings = folder
        .weights
        .tensor(names.embeddings, &[vocabulary, inner])?;
    let encoder = Encoder::load(cpu, &folder.config, &folder.weights)?;
    let limit = folder.max_tokens.min(128);
    let mut sequences: Vec<Tokens> = Vec::new();
    let mut count = 0;
    for text in texts {
        let tokens = folder.tokenizer.truncated(text, limit)?;
        count += tokens.len();
        sequences.push(tokens);
        if count >= FITTED_TOKENS {
            break;
        }
    }
    if count == 0 {
        return Err(Error::invalid(
            "a head that is fitted: expected texts of the collection, found none",
        ));
    }
    let batch = Batch::of(&sequences)?;
    let states = encoder.forward(cpu, &batch)?;
    let values = cpu.values(&states)?;
    let map = regression(&values, hidden, &batch.ids, &embeddings, inner);

    // The scale of the map does not matter to the norm; a standard deviation of 1 suits the shift.
    let deviation = deviation(&values, hidden, &map, inner);
    let map: Vec<f32> = map.iter().map(|value| value / deviation).collect();
    let shift = vec![SHIFT; inner];
    let sample = sequences.len().min(CALIBRATED_TEXTS);
    let calibrated = Batch::of(&sequences[..sample])?;
    let states = encoder.forward(cpu, &calibrated)?;
    let logits = Logits::of(
        cpu,
        &states,
        [&map, &shift, &embeddings],
        [hidden, inner, vocabulary],
        folder.config.activation,
    )?;
    let (gain, threshold) = logits.calibrated(&calibrated, terms);

    let weights = &mut folder.weights;
    weights.add(
        &format!("{}.weight", names.transform),
        &[inner, hidden],
        map,
    );
    weights.add(&format!("{}.bias", names.transform), &[inner], shift);
    weights.add(
        &format!("{}.weight", names.norm),
        &[inner],
        vec![gain; inner],
    );
    weights.add(&format!("{}.bias", names.norm), &[inner], vec![0.0; inner]);
    let bias = vec![-gain * threshold; vocabulary];
    weights.add(names.bias, &[vocabulary], bias);
    Ok(())
}

/// The map (inner × hidden) for which map · state is nearest to the embedding of the state's token.
fn regression(
    states: &[f32],
    hidden: usize,
    ids: &[u32],
    embeddings: &[f32],
    inner: usize,
) -> Vec<f32> {
    let mut squares = vec![0.0f64; hidden * hidden];
    let mut products = vec![0.0f64; hidden * inner];
    for (state, id) in states.chunks_exact(hidden.max(1)).zip(ids) {
        let target = &embeddings[*id as usize * inner..][..inner];
        for (row, value) in state.iter().enumerate() {
            let value = f64::from(*value);
            let sums = &mut squares[row * hidden..][..=row];
            for (sum, other) in sums.iter_mut().zip(state) {
                *sum += value * f64::from(*other);
            }
            let sums = &mut products[row * inner..][..inner];
            for (sum, other) in sums.iter_mut().zip(target) {
                *sum += value * f64::from(*other);
            }
        }
    }
    let trace: f64 = (0..hidden)
        .map(|place| squares[place * hidden + place])
        .sum();
    for place in 0..hidden {
        squares[place * hidden + place] += RIDGE * trace / hidden as f64;
    }
    solve(&mut squares, &mut products, hidden, inner);
    let mut map = vec![0.0; inner * hidden];
    for row in 0..hidden {
        for column in 0..inner {
            map[column * hidden + row] = products[row * inner + column] as f32;
        }
    }
    map
}

/// Solves A · X = B for a symmetric positive definite A (n × n, of which the lower triangle is read)
/// by Cholesky's factorization; X takes the place of B (n × m).
fn solve(a: &mut [f64], b: &mut [f64], n: usize, m: usize) {
    for row in 0..n {
        for column in 0..=row {
            let mut sum = a[row * n + column];
            for k in 0..column {
                sum -= a[row * n + k] * a[column * n + k];
            }
            a[row * n + column] = match row == column {
                true => sum.max(f64::MIN_POSITIVE).sqrt(),
                false => sum / a[column * n + column],
            };
        }
    }
    // L · Y = B, then Lᵀ · X = Y.
    for row in 0..n {
        let (done, rest) = b.split_at_mut(row * m);
        for k in 0..row {
            let factor = a[row * n + k];
            for (value, other) in rest[..m].iter_mut().zip(&done[k * m..][..m]) {
                *value -= factor * other;
            }
        }
        rest[..m]
            .iter_mut()
            .for_each(|value| *value /= a[row * n + row]);
    }
    for row in (0..n).rev() {
        let (rest, done) = b.split_at_mut((row + 1) * m);
        let rest = &mut rest[row * m..];
        for k in row + 1..n {
            let factor = a[k * n + row];
            for (value, other) in rest.iter_mut().zip(&done[(k - row - 1) * m..][..m]) {
                *value -= factor * other;
            }
        }
        rest.iter_mut().for_each(|value| *value /= a[row * n + row]);
    }
}

/// The standard deviation of the mapped states.
fn deviation(states: &[f32], hidden: usize, map: &[f32], inner: usize) -> f32 {
    let (mut sum, mut count) = (0.0f64, 0.0f64);
    for state in states.chunks_exact(hidden.max(1)).take(256) {
        for row in map.chunks_exact(hidden).take(inner) {
            let value: f32 = row.iter().zip(state).map(|(a, b)| a * b).sum();
            sum += f64::from(value * value);
            count += 1.0;
        }
    }
    (sum / count.max(1.0)).sqrt().max(1e-12) as f32
}

/// Logits of some tokens before gain and threshold.
struct Logits {
    values: Vec<f32>,
    vocabulary: usize,
}

impl Logits {
    fn of(
        cpu: &Cpu,
        states: &<Cpu as Device>::Tensor,
        [map, shift, embeddings]: [&[f32]; 3],
        [hidden, inner, vocabulary]: [usize; 3],
        activation: Activation,
    ) -> Result<Self> {
        let weight = cpu.matrix(inner, hidden, map)?;
        let bias = cpu.vector(shift)?;
        let layer = Linear {
            weight: &weight,
            bias: Some(&bias),
        };
        let x = cpu.linear(states, &layer, activation)?;
        let (ones, zeros) = (
            cpu.vector(&vec![1.0; inner])?,
            cpu.vector(&vec![0.0; inner])?,
        );
        let norm = Norm::Layer {
            weight: &ones,
            bias: &zeros,
            epsilon: 1e-12,
        };
        let x = cpu.norm(&x, &norm)?;
        let decoder = cpu.matrix(vocabulary, inner, embeddings)?;
        let decoder = Linear {
            weight: &decoder,
            bias: None,
        };
        let logits = cpu.linear(&x, &decoder, Activation::Identity)?;
        Ok(Self {
            values: cpu.values(&logits)?,
            vocabulary,
        })
    }

    /// The factor of logits, and the threshold that is subtracted before.
    fn calibrated(&self, batch: &Batch, terms: usize) -> (f32, f32) {
        let rows = self.values.chunks_exact(self.vocabulary);
        let own = rows.zip(&batch.ids).map(|(row, id)| row[*id as usize]);
        let mean = own.sum::<f32>() / batch.ids.len().max(1) as f32;
        // The mean over texts of the logit that `terms` max logits are above.
        let mut thresholds = Vec::new();
        for pair in batch.starts.windows(2) {
            let first = pair[0] as usize * self.vocabulary;
            let rows = &self.values[first..pair[1] as usize * self.vocabulary];
            let mut max = vec![f32::NEG_INFINITY; self.vocabulary];
            for row in rows.chunks_exact(self.vocabulary) {
                for (max, value) in max.iter_mut().zip(row) {
                    *max = max.max(*value);
                }
            }
            max.sort_by(|one, other| other.total_cmp(one));
            thresholds.push(max[terms.min(self.vocabulary - 1)]);
        }
        let threshold = thresholds.iter().sum::<f32>() / thresholds.len().max(1) as f32;
        // Own tokens that are no better than others leave a positive gain all the same.
        let gain = OWN_LOGIT / (mean - threshold).max(0.05 * mean.abs().max(1e-3));
        (gain, threshold)
    }
}

/// Adds a classifier with some labels to an encoder, instead of one that it may have, and the layer
/// before it if that is missing too. `random` gives values of a normal distribution.
///
/// # Errors
///
/// [`Error::Model`] for a family that has no classifier.
pub fn add_classifier(
    folder: &mut ModelFolder,
    labels: usize,
    mut random: impl FnMut() -> f64,
) -> Result<()> {
    let hidden = folder.config.hidden;
    let names = crate::neural::CrossHead::<Cpu>::names(&folder.config)?;
    let mut small = |len: usize| (0..len).map(|_| (0.02 * random()) as f32).collect();
    let weights = &mut folder.weights;
    if !weights.has(&format!("{}.weight", names[0])) {
        let values = small(hidden * hidden);
        weights.add(&format!("{}.weight", names[0]), &[hidden, hidden], values);
        weights.add(&format!("{}.bias", names[0]), &[hidden], vec![0.0; hidden]);
    }
    let values = small(labels * hidden);
    weights.add(&format!("{}.weight", names[1]), &[labels, hidden], values);
    weights.add(&format!("{}.bias", names[1]), &[labels], vec![0.0; labels]);
    folder.config.labels = labels;
    Ok(())
}

/// Adds the projection of late interaction to an encoder, with random weights: directions between
/// hidden states are nearly kept by it. `random` gives values of a normal distribution.
pub fn add_projection(
    folder: &mut ModelFolder,
    dimensions: usize,
    mut random: impl FnMut() -> f64,
) {
    let hidden = folder.config.hidden;
    let deviation = 1.0 / (hidden.max(1) as f64).sqrt();
    let values = (0..dimensions * hidden).map(|_| (deviation * random()) as f32);
    let values = values.collect();
    let shape = [dimensions, hidden];
    folder.weights.add("linear.weight", &shape, values);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::{CpuOptions, SpladeActivation, SpladePooling};

    fn folder(name: &str) -> ModelFolder {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models");
        ModelFolder::open(&models.join(name)).unwrap()
    }

    #[test]
    fn equations_are_solved() {
        let a = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let full = |row: usize, column: usize| a[row.max(column) * 3 + row.min(column)];
        let x = [1.0, -2.0, 0.5, 3.0, -1.0, 4.0];
        let mut b = vec![0.0; 6];
        for row in 0..3 {
            for column in 0..2 {
                b[row * 2 + column] = (0..3).map(|k| full(row, k) * x[k * 2 + column]).sum();
            }
        }
        solve(&mut a.to_vec(), &mut b, 3, 2);
        for (found, expected) in b.iter().zip(x) {
            assert!((found - expected).abs() < 1e-9);
        }
    }

    /// An encoder without a head has, right after one was added, about as many terms as asked for,
    /// and its own tokens are among the first.
    #[test]
    fn a_fitted_head_finds_a_texts_own_tokens() {
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        let mut folder = folder("st-mean");
        let texts = [
            "Lava flows from the volcano.",
            "Bees make honey in the hive.",
            "The sea is deep and cold.",
        ];
        let terms = 12;
        add_sparse_head(&cpu, &mut folder, &texts, terms).unwrap();
        let encoder = Encoder::load(&cpu, &folder.config, &folder.weights).unwrap();
        let head = SpladeHead::load(
            &cpu,
            &folder.config,
            &folder.weights,
            SpladeActivation::Log1pRelu,
            SpladePooling::Max,
        )
        .unwrap();
        for text in texts {
            let tokens = folder.tokenizer.encode(text).unwrap();
            let batch = Batch::of([&tokens]).unwrap();
            let hidden = encoder.forward(&cpu, &batch).unwrap();
            let vector = head
                .forward(&cpu, &hidden, &batch.starts)
                .unwrap()
                .remove(0);
            assert!((4..=40).contains(&vector.len()), "{} terms", vector.len());
            let found = |id: &&u32| vector.iter().any(|(term, _)| term == *id);
            let own = tokens.ids.iter().filter(found).count();
            assert!(
                own * 2 > tokens.len(),
                "{own} of {} own tokens",
                tokens.len()
            );
        }
    }

    #[test]
    fn a_classifier_is_added() {
        let mut folder = folder("st-mean");
        let mut number = 0;
        add_classifier(&mut folder, 1, || {
            number += 1;
            f64::from(number % 7) - 3.0
        })
        .unwrap();
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        let head = crate::neural::CrossHead::load(&cpu, &folder.config, &folder.weights).unwrap();
        assert_eq!(head.labels(), 1);
    }
}
