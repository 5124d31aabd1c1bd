//! What a run needs before its first step: the model, the data, the evaluation.

use crate::backend::SpladeActivation;
use crate::error::{Error, Result};
use crate::neural::{Cpu, ModelFolder, ModelKind, Module, Random, Role, Tokenizer};
use crate::train::loss::{ListLoss, Norm, Sparsity};
use crate::train::model::{add_classifier, add_projection, add_sparse_head, open_base};
use crate::train::objective::{Objective, RankingTerm, Scope};
use crate::train::options::{Regularizer, TrainOptions};
use crate::train::task::SparseTaskOptions;

use super::TrainKind;

/// Scores of a bi-encoder are cosines times this, as in sentence-transformers.
const COSINE_SCALE: f64 = 20.0;
/// Terms that are in at least this share of the documents cost most.
const FREQUENT_SHARE: f32 = 0.1;
/// How much more they cost than rare ones.
const FREQUENT_COST: f32 = 10.0;

/// In how many of some texts each token of a vocabulary is.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentFrequencies {
    /// The number of texts.
    pub texts: usize,
    /// For each token the number of texts that have it.
    pub frequencies: Vec<u32>,
}

impl DocumentFrequencies {
    /// Counts the tokens of texts, without special tokens.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn of(tokenizer: &Tokenizer, vocabulary: usize, texts: &[&str]) -> Result<Self> {
        let mut frequencies = vec![0; vocabulary];
        for text in texts {
            let mut ids = tokenizer.encode_without_special_tokens(text)?;
            ids.sort_unstable();
            ids.dedup();
            for id in ids {
                if let Some(count) = frequencies.get_mut(id as usize) {
                    *count += 1;
                }
            }
        }
        Ok(Self {
            texts: texts.len(),
            frequencies,
        })
    }

    /// Inverse document frequencies, as BM25 has them.
    pub fn inverse(&self) -> Vec<f32> {
        let texts = self.texts as f64;
        let inverse = |count: &u32| {
            let count = f64::from(*count);
            (1.0 + (texts - count + 0.5) / (count + 0.5)).ln() as f32
        };
        self.frequencies.iter().map(inverse).collect()
    }

    /// Factors of a regularizer by which frequent terms cost more.
    pub fn costs(&self) -> Vec<f32> {
        let cost = |count: &u32| {
            let share = *count as f32 / self.texts.max(1) as f32;
            1.0 + (FREQUENT_COST - 1.0) * (share / FREQUENT_SHARE).min(1.0)
        };
        self.frequencies.iter().map(cost).collect()
    }
}

/// Opens the model that training starts from, and adds the head that it lacks. `texts` are documents
/// of the collection.
///
/// # Errors
///
/// Those of opening a model and of adding a head.
pub fn prepare_model(
    kind: TrainKind,
    options: &TrainOptions,
    cpu: &Cpu,
    texts: &[&str],
) -> Result<ModelFolder> {
    let model_kind = match kind {
        TrainKind::Splade | TrainKind::Mlm | TrainKind::Align => ModelKind::SparseEncoder,
        TrainKind::Cross => ModelKind::CrossEncoder,
        TrainKind::Bi if options.late_interaction => ModelKind::LateInteraction,
        TrainKind::Bi => ModelKind::BiEncoder,
    };
    if options.from_scratch {
        let random_kind = match model_kind {
            // The projection is added to an encoder with random weights.
            ModelKind::LateInteraction => ModelKind::BiEncoder,
            kind => kind,
        };
        let mut folder = ModelFolder::open_random(&options.base, random_kind, options.seed)?;
        if kind == TrainKind::Bi && options.late_interaction {
            let mut random = Random::new(options.seed);
            add_projection(&mut folder, options.dimensions, || random.normal());
        }
        if kind == TrainKind::Cross {
            folder.config.labels = options.labels;
        }
        folder.echo = None;
        return Ok(folder);
    }
    let mut folder = open_base(&options.base, model_kind)?;
    match kind {
        TrainKind::Splade | TrainKind::Mlm | TrainKind::Align if !has_sparse_head(&folder) => {
            add_sparse_head(cpu, &mut folder, texts, options.initial_terms)?;
        }
        TrainKind::Cross if needs_classifier(&folder, options.labels)? => {
            let mut random = Random::new(options.seed);
            add_classifier(&mut folder, options.labels, || random.normal())?;
        }
        TrainKind::Bi if options.late_interaction && folder.late.is_none() => {
            let mut random = Random::new(options.seed);
            add_projection(&mut folder, options.dimensions, || random.normal());
        }
        _ => {}
    }
    Ok(folder)
}

fn has_sparse_head(folder: &ModelFolder) -> bool {
    let names = crate::neural::SpladeHead::<Cpu>::names(&folder.config);
    folder.weights.has(&format!("{}.weight", names.transform))
        || folder.weights.has("lm_predictions.lm_head.dense.weight")
}

/// True without a classifier, and for grades with one that has another number of labels.
fn needs_classifier(folder: &ModelFolder, labels: usize) -> Result<bool> {
    let names = crate::neural::CrossHead::<Cpu>::names(&folder.config)?;
    let has_classifier = folder.weights.has(&format!("{}.weight", names[1]));
    Ok(!has_classifier || labels > 1 && folder.config.labels != labels)
}

/// The ranking losses of a run.
///
/// # Errors
///
/// [`Error::InvalidInput`] for losses that are none.
pub fn objective(kind: TrainKind, options: &TrainOptions) -> Result<Objective> {
    let scope = match kind {
        TrainKind::Cross => Scope::Own,
        _ => options.scope,
    };
    let default_scale = match kind {
        TrainKind::Bi if !options.late_interaction => COSINE_SCALE,
        _ => 1.0,
    };
    let scale = options.scale.unwrap_or(default_scale);
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::invalid(format!(
            "scale: expected a value above 0, found {scale}"
        )));
    }
    let losses = options.ranking_losses()?.into_iter();
    let is_adaptive = |loss: &ListLoss| matches!(loss, ListLoss::AdaptiveMargin { .. });
    let has_vectors = kind != TrainKind::Cross && !options.late_interaction;
    if !has_vectors && losses.as_slice().iter().any(|(loss, _)| is_adaptive(loss)) {
        return Err(Error::invalid(
            "adaptive-margin: expected a model that makes one vector of a document, found a cross-encoder or late interaction",
        ));
    }
    let term = |(loss, weight)| RankingTerm {
        // A teacher scores a query's own documents alone.
        scope: match loss {
            ListLoss::KlDivergence | ListLoss::MarginMse => Scope::Own,
            _ => scope,
        },
        loss,
        weight,
    };
    Ok(Objective {
        terms: losses.map(term).collect(),
        scale,
    })
}

/// The activation of a published model stays.
pub(super) fn splade_activation(folder: &ModelFolder) -> SpladeActivation {
    let found = folder.modules.iter().find_map(|module| match module {
        Module::SpladePooling { activation, .. } => Some(*activation),
        _ => None,
    });
    found.unwrap_or(SpladeActivation::Log1pRelu)
}

/// The options of a sparse model.
///
/// # Errors
///
/// Those of [`objective`].
pub fn sparse_options(
    options: &TrainOptions,
    folder: &ModelFolder,
    frequencies: &DocumentFrequencies,
) -> Result<SparseTaskOptions> {
    let norm = match options.regularizer {
        Regularizer::Flops => Norm::Flops,
        Regularizer::L1 => Norm::L1,
    };
    let sparsity = Sparsity {
        norm,
        term_factors: match options.frequency_weighted {
            true => frequencies.costs(),
            false => Vec::new(),
        },
    };
    Ok(SparseTaskOptions {
        pooling: options.splade_pooling(),
        activation: splade_activation(folder),
        query_table: options.inference_free.then(|| frequencies.inverse()),
        echo: echo(folder, Role::Document, options.echo)?,
        query_echo: match options.inference_free {
            true => None,
            false => echo(folder, Role::Query, options.query_echo)?,
        },
        query_tokens: options.max_query_tokens,
        document_tokens: options.max_tokens,
        tape_tokens: options.tape_tokens,
        objective: objective(TrainKind::Splade, options)?,
        of_queries: sparsity.clone(),
        of_documents: sparsity,
    })
}

/// The weights of own tokens at the start: those of the base, or else the same for all tokens that are
/// words. Special tokens and unknown words have none: they say nothing about a text, and a token
/// without a weight learns none.
fn echo(folder: &ModelFolder, role: Role, initial: Option<f32>) -> Result<Option<Vec<f32>>> {
    if let Some(of_base) = folder.echo.as_ref().and_then(|echo| echo.of(role)) {
        return Ok(Some(of_base.weights().to_vec()));
    }
    let Some(initial) = initial else {
        return Ok(None);
    };
    let mut weights = vec![initial; folder.config.vocabulary];
    let mut skipped = folder.tokenizer.encode("")?.ids;
    skipped.extend(folder.tokenizer.unknown());
    for id in skipped {
        if let Some(weight) = weights.get_mut(id as usize) {
            *weight = 0.0;
        }
    }
    Ok(Some(weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_tokens_weigh_less_and_cost_more() {
        let frequencies = DocumentFrequencies {
            texts: 100,
            frequencies: vec![0, 1, 5, 50],
        };
        let inverse = frequencies.inverse();
        assert!(inverse.windows(2).all(|pair| pair[0] > pair[1]));
        assert!(inverse[3] > 0.0);
        let costs = frequencies.costs();
        assert_eq!((costs[0], costs[3]), (1.0, 10.0));
        assert!((costs[2] - 5.5).abs() < 1e-6);
    }

    #[test]
    fn a_teachers_scores_are_those_of_own_documents() {
        let options = TrainOptions {
            losses: vec!["softmax".into(), "kl*0.5".into()],
            ..TrainOptions::default()
        };
        let found = objective(TrainKind::Splade, &options).unwrap();
        assert_eq!(found.terms[0].scope, Scope::Batch);
        assert_eq!(found.terms[1].scope, Scope::Own);
        assert_eq!(found.scale, 1.0);
        assert_eq!(objective(TrainKind::Bi, &options).unwrap().scale, 20.0);
        let cross = objective(TrainKind::Cross, &options).unwrap();
        assert!(cross.terms.iter().all(|term| term.scope == Scope::Own));
    }
}
