//! A head of sparse vectors for an encoder without one, fitted so that training has something to begin
//! with.
//!
//! An arbitrary projection onto the vocabulary makes every term active or none, and training collapses.
//! The vector of a text shall have the text's own tokens at the start, with weights as in BM25, and
//! little else:
//!
//! 1. A linear map W from hidden states to the word embeddings of their tokens is fitted by ridge
//!    regression on some texts. Tokens count less the more frequent they are, else the map would learn
//!    function words.
//! 2. The activation behind W is made nearly linear by a large bias, which the norm behind it takes
//!    out again.
//! 3. The weight of the norm and the bias of the decoder, one number each, are chosen so that a token's
//!    own logit is on average [`OWN_LOGIT`] and a text has as many terms above 0 as was asked for.
//! 4. The bias of a token that many documents have is lowered until its own logit is in proportion to
//!    its inverse document frequency.

use std::collections::{HashMap, HashSet};

use super::ridge::regression;
use crate::backend::{Activation, Device, ForwardOps, Linear, Norm};
use crate::error::{Error, Result};
use crate::neural::{Batch, Cpu, Encoder, ModelFolder, SpladeHead, Tokens};

/// The mean logit of a text's own tokens: their weight is ln(1 + 3.5) = 1.5.
const OWN_LOGIT: f32 = 3.5;
/// Tokens that the regression is fitted on.
const FITTED_TOKENS: usize = 16_384;
/// Tokens of a text that are read.
const TEXT_TOKENS: usize = 128;
/// Texts whose tokens are counted.
const COUNTED_TEXTS: usize = 2_000;
/// Texts whose logits decide the bias.
const CALIBRATED_TEXTS: usize = 24;
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
    let sample = Sample::of(folder, texts)?;
    let encoder = Encoder::load(cpu, &folder.config, &folder.weights)?;
    let batch = Batch::of(&sample.sequences)?;
    let states = encoder.forward(cpu, &batch)?;
    let values = cpu.values(&states)?;
    let weights = sample.token_weights(&batch.ids);
    let map = regression(&values, hidden, &batch.ids, &weights, &embeddings, inner);
    // The scale of the map does not matter to the norm; a standard deviation of 1 suits the shift.
    let deviation = deviation(&values, hidden, &map, inner);
    let map: Vec<f32> = map.iter().map(|value| value / deviation).collect();
    let shift = vec![SHIFT; inner];

    let transform = Transform::new(cpu, [&map, &shift], hidden, folder.config.activation)?;
    let x = cpu.values(&transform.of(cpu, &states)?)?;
    let own = own_logits(&x, &batch.ids, &embeddings, inner);
    let apart = sample.sequences.len().div_ceil(CALIBRATED_TEXTS);
    let texts = batch.starts.windows(2).step_by(apart.max(1));
    let maxima = maxima(cpu, &x, texts, &embeddings, inner)?;
    let calibration = Calibration {
        sample: &sample,
        ids: &batch.ids,
        own: &own,
        vocabulary,
    };
    let (gain, bias) = calibration.with_terms(&maxima, terms);

    let weights = &mut folder.weights;
    let mut add = |name: String, shape: &[usize], values| weights.add(&name, shape, values);
    add(format!("{}.weight", names.transform), &[inner, hidden], map);
    add(format!("{}.bias", names.transform), &[inner], shift);
    add(
        format!("{}.weight", names.norm),
        &[inner],
        vec![gain; inner],
    );
    add(format!("{}.bias", names.norm), &[inner], vec![0.0; inner]);
    add(names.bias.to_owned(), &[vocabulary], bias);
    Ok(())
}

/// What is known of the tokens of some texts.
struct Sample {
    /// The texts that the head is fitted on.
    sequences: Vec<Tokens>,
    /// How many texts were counted, and how many of them have a token.
    texts: f32,
    frequencies: HashMap<u32, f32>,
}

impl Sample {
    fn of(folder: &ModelFolder, texts: &[&str]) -> Result<Self> {
        let limit = folder.max_tokens.min(TEXT_TOKENS);
        let mut sample = Self {
            sequences: Vec::new(),
            texts: 0.0,
            frequencies: HashMap::new(),
        };
        let mut count = 0;
        for text in texts.iter().take(COUNTED_TEXTS) {
            let tokens = folder.tokenizer.truncated(text, limit)?;
            sample.texts += 1.0;
            for id in tokens.ids.iter().collect::<HashSet<_>>() {
                *sample.frequencies.entry(*id).or_default() += 1.0;
            }
            if count < FITTED_TOKENS {
                count += tokens.len();
                sample.sequences.push(tokens);
            }
        }
        if count == 0 {
            return Err(Error::invalid(
                "a head that is fitted: expected texts of the collection, found none",
            ));
        }
        Ok(sample)
    }

    /// The inverse document frequency of a token; 0 for one that all texts have.
    fn idf(&self, id: u32) -> f32 {
        let frequency = self.frequencies.get(&id).copied().unwrap_or(1.0);
        (self.texts / frequency).ln()
    }

    /// One over the root of how often a token is among `ids`.
    fn token_weights(&self, ids: &[u32]) -> Vec<f64> {
        let mut counts: HashMap<u32, f64> = HashMap::new();
        for id in ids {
            *counts.entry(*id).or_default() += 1.0;
        }
        let counts = ids.iter().map(|id| counts.get(id).copied());
        counts
            .map(|count| 1.0 / count.unwrap_or(1.0).sqrt())
            .collect()
    }

    /// The max bias of each token of `ids`: with it, the token's own logit is [`OWN_LOGIT`] times its
    /// inverse document frequency, in shares of the mean over running tokens. A text whose tokens are
    /// in all texts says nothing, and limits nothing.
    fn limits(&self, ids: &[u32], own: &[f32], gain: f32) -> HashMap<u32, f32> {
        let mean = ids.iter().map(|id| self.idf(*id)).sum::<f32>() / ids.len().max(1) as f32;
        if mean <= 0.0 {
            return HashMap::new();
        }
        let mut sums: HashMap<u32, (f32, f32)> = HashMap::new();
        for (id, own) in ids.iter().zip(own) {
            let (sum, count) = sums.entry(*id).or_default();
            *sum += own;
            *count += 1.0;
        }
        let limit = |(id, (sum, count)): (u32, (f32, f32))| {
            let logit = OWN_LOGIT * self.idf(id) / mean;
            (id, logit - gain * sum / count)
        };
        sums.into_iter().map(limit).collect()
    }
}

/// The layer, activation and norm before the decoder; the norm's weights are 1.
struct Transform {
    weight: <Cpu as Device>::Matrix,
    bias: <Cpu as Device>::Vector,
    activation: Activation,
    ones: <Cpu as Device>::Vector,
    zeros: <Cpu as Device>::Vector,
}

impl Transform {
    fn new(
        cpu: &Cpu,
        [map, shift]: [&[f32]; 2],
        hidden: usize,
        activation: Activation,
    ) -> Result<Self> {
        let inner = shift.len();
        Ok(Self {
            weight: cpu.matrix(inner, hidden, map)?,
            bias: cpu.vector(shift)?,
            activation,
            ones: cpu.vector(&vec![1.0; inner])?,
            zeros: cpu.vector(&vec![0.0; inner])?,
        })
    }

    fn of(&self, cpu: &Cpu, states: &<Cpu as Device>::Tensor) -> Result<<Cpu as Device>::Tensor> {
        let layer = Linear {
            weight: &self.weight,
            bias: Some(&self.bias),
        };
        let norm = Norm::Layer {
            weight: &self.ones,
            bias: &self.zeros,
            epsilon: 1e-12,
        };
        cpu.norm(&cpu.linear(states, &layer, self.activation)?, &norm)
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

/// The logit of each row's own token before gain and bias.
fn own_logits(x: &[f32], ids: &[u32], embeddings: &[f32], inner: usize) -> Vec<f32> {
    let rows = x.chunks_exact(inner.max(1)).zip(ids);
    rows.map(|(x, id)| {
        let embedding = &embeddings[*id as usize * inner..][..inner];
        x.iter().zip(embedding).map(|(x, value)| x * value).sum()
    })
    .collect()
}

/// For each text the max logit of each token before gain and bias.
fn maxima<'a>(
    cpu: &Cpu,
    x: &[f32],
    texts: impl Iterator<Item = &'a [u32]>,
    embeddings: &[f32],
    inner: usize,
) -> Result<Vec<Vec<f32>>> {
    let vocabulary = embeddings.len() / inner.max(1);
    let decoder = cpu.matrix(vocabulary, inner, embeddings)?;
    let decoder = Linear {
        weight: &decoder,
        bias: None,
    };
    let mut maxima = Vec::new();
    for pair in texts {
        let (first, end) = (pair[0] as usize, pair[1] as usize);
        let x = cpu.tensor(end - first, inner, &x[first * inner..end * inner])?;
        let logits = cpu.values(&cpu.linear(&x, &decoder, Activation::Identity)?)?;
        let mut max = vec![f32::NEG_INFINITY; vocabulary];
        for row in logits.chunks_exact(vocabulary.max(1)) {
            for (max, value) in max.iter_mut().zip(row) {
                *max = max.max(*value);
            }
        }
        maxima.push(max);
    }
    Ok(maxima)
}

/// Chooses gain and bias.
struct Calibration<'a> {
    sample: &'a Sample,
    ids: &'a [u32],
    /// The logits of own tokens before gain and bias.
    own: &'a [f32],
    vocabulary: usize,
}

impl Calibration<'_> {
    /// Gain and bias with which texts of these max logits have `terms` terms above 0 on average, found
    /// by bisection.
    fn with_terms(&self, maxima: &[Vec<f32>], terms: usize) -> (f32, Vec<f32>) {
        const HALVINGS: usize = 24;
        let values = maxima.iter().flatten();
        let mut low = values.clone().copied().fold(f32::INFINITY, f32::min);
        let mut high = values.copied().fold(f32::NEG_INFINITY, f32::max);
        for _ in 0..HALVINGS {
            let middle = f32::midpoint(low, high);
            let (gain, bias) = self.at(middle);
            let is_active = |(max, bias): &(&f32, &f32)| gain * **max + **bias > 0.0;
            let active = |max: &Vec<f32>| max.iter().zip(&bias).filter(is_active).count();
            let count: usize = maxima.iter().map(active).sum();
            match count > terms * maxima.len() {
                true => low = middle,
                false => high = middle,
            }
        }
        self.at(high)
    }

    /// Gain and bias if a logit must be above `threshold`.
    fn at(&self, threshold: f32) -> (f32, Vec<f32>) {
        let mean = self.own.iter().sum::<f32>() / self.own.len().max(1) as f32;
        // Own tokens that are no better than others leave a positive gain all the same.
        let gain = OWN_LOGIT / (mean - threshold).max(0.05 * mean.abs().max(1e-3));
        let mut bias = vec![-gain * threshold; self.vocabulary];
        for (id, limit) in self.sample.limits(self.ids, self.own, gain) {
            if let Some(bias) = bias.get_mut(id as usize) {
                *bias = bias.min(limit);
            }
        }
        (gain, bias)
    }
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
    fn a_token_of_all_texts_is_not_active() {
        let cpu = Cpu::new(CpuOptions::default()).unwrap();
        let mut folder = folder("st-mean");
        let texts = [
            "the lava of the volcano",
            "the bees of the hive",
            "the deep sea and the cold",
            "the honey of bees",
        ];
        add_sparse_head(&cpu, &mut folder, &texts, 12).unwrap();
        let bias = folder.weights.tensor(
            SpladeHead::<Cpu>::names(&folder.config).bias,
            &[folder.config.vocabulary],
        );
        let bias = bias.unwrap();
        let ids = folder.tokenizer.encode("the lava").unwrap().ids;
        let [_, the, lava, ..] = ids[..] else {
            panic!("{ids:?}")
        };
        assert!(bias[the as usize] < bias[lava as usize] - 1.0);
    }
}
