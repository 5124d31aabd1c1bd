//! Models, and from what they are made.

use std::path::Path;

use esparsa::Result;
use esparsa::eval::Metric;
use esparsa::neural::ModelKind;
use esparsa::train::TrainOptions;
use toml::Spanned;

use super::check_known;
use crate::models::expect_kind;
use crate::study::config::{Config, Kind, ModelConfig, ModelMethod, System};
use crate::study::plan::grid;

/// Refuses models that cannot be made.
///
/// # Errors
///
/// [`Error::InvalidInput`](esparsa::Error::InvalidInput) with the line of the first mistake.
pub(super) fn check(config: &Config) -> Result<()> {
    for model in &config.study.models {
        check_model(config, model)?;
    }
    for (place, model) in config.study.models.iter().enumerate() {
        let mut above = vec![Maker::Model(place)];
        check_makers(config, &model.name, &mut above)?;
    }
    Ok(())
}

fn check_model(config: &Config, model: &ModelConfig) -> Result<()> {
    let is_trained = model.kind != ModelMethod::Cut;
    let is_ranked = is_trained && !matches!(model.kind, ModelMethod::Align | ModelMethod::Mlm);
    let keys = [
        ("train", model.train.as_ref().map(Spanned::span), is_trained),
        ("grid", model.grid.as_ref().map(Spanned::span), is_trained),
        (
            "negatives",
            model.negatives.as_ref().map(Spanned::span),
            is_ranked,
        ),
        (
            "scores",
            model.scores.as_ref().map(Spanned::span),
            is_ranked,
        ),
        (
            "teacher",
            model.teacher.as_ref().map(Spanned::span),
            model.kind == ModelMethod::Align,
        ),
    ];
    for (key, span, is_used) in keys {
        if let Some(span) = span.filter(|_| !is_used) {
            let message = format!(
                "expected no `{key}` for a model of kind {}",
                model.kind.name()
            );
            return Err(config.wrong(span, message));
        }
    }
    for folder in [Some(&model.base), model.teacher.as_ref()]
        .into_iter()
        .flatten()
    {
        check_folder(config, folder)?;
    }
    let systems = config.study.systems.get_ref().iter();
    let systems: Vec<&str> = systems.map(|s| s.name.get_ref().as_str()).collect();
    for system in [&model.negatives, &model.scores].into_iter().flatten() {
        check_known(config, system, &systems)?;
    }
    if is_trained {
        check_options(config, model)?;
    }
    Ok(())
}

/// Options whose values the study knows are not to be given; candidates must be options.
fn check_options(config: &Config, model: &ModelConfig) -> Result<()> {
    let options = model.train.as_ref().map(|train| train.get_ref().clone());
    let options = options.unwrap_or_default();
    let span = model
        .train
        .as_ref()
        .map_or(model.name.span(), Spanned::span);
    let is_empty = |path: &Path| path.as_os_str().is_empty();
    let is_known = !is_empty(&options.base)
        || !is_empty(&options.output)
        || options.collection.is_some()
        || options.teacher.is_some();
    if is_known {
        let message = "expected no `base`, `output`, `collection` and `teacher` among the options: \
                       the first and the last are keys of the model, which goes to the folder of the \
                       study and is trained on the first collection";
        return Err(config.wrong(span, message));
    }
    let candidates = check_grid(config, model, &options)?;
    for (label, mut options) in candidates {
        check_training_files(config, model, &options)?;
        // As the study will have it; only whether they are there matters.
        options.base = "base".into();
        options.output = "output".into();
        options.collection = options.triplets.is_none().then(|| "collection".into());
        options.teacher = model.teacher.as_ref().map(|_| "teacher".into());
        for (run, system) in [
            (&mut options.negatives_run, &model.negatives),
            (&mut options.teacher_run, &model.scores),
        ] {
            if system.is_some() {
                *run = Some("run".into());
            }
        }
        let Some(kind) = model.kind.training() else {
            continue;
        };
        options.check(kind).map_err(|error| {
            let of = match label.is_empty() {
                true => String::new(),
                false => format!(" with {label}"),
            };
            config.wrong(span.clone(), format!("{error}{of}"))
        })?;
    }
    Ok(())
}

/// The candidates for the options of a training.
fn check_grid(
    config: &Config,
    model: &ModelConfig,
    options: &TrainOptions,
) -> Result<Vec<(String, TrainOptions)>> {
    let Some(values) = &model.grid else {
        return Ok(vec![(String::new(), options.clone())]);
    };
    if values.get_ref().is_empty() || values.get_ref().values().any(Vec::is_empty) {
        let message = "expected lists of candidates for options, found none";
        return Err(config.wrong(values.span(), message));
    }
    // The study knows the first, and candidates that are measured in different ways cannot be compared.
    let known = [
        "base",
        "output",
        "collection",
        "teacher",
        "resume",
        "split",
        "metric",
        "development",
        "development-queries",
        "development-documents",
        "overfit",
        "device",
    ];
    if let Some(key) = values
        .get_ref()
        .keys()
        .find(|key| known.contains(&key.as_str()))
    {
        let message = format!("expected options with several candidates, found `{key}`");
        return Err(config.wrong(values.span(), message));
    }
    if options.development_queries == 0 {
        let message = "expected `development-queries` above 0, by which the best of the candidates is \
                       chosen, found 0";
        return Err(config.wrong(values.span(), message));
    }
    let candidates = grid(options, values.get_ref());
    candidates.map_err(|error| config.wrong(values.span(), error.to_string()))
}

/// The judgements of the first collection that a training reads.
fn check_training_files(
    config: &Config,
    model: &ModelConfig,
    options: &TrainOptions,
) -> Result<()> {
    let is_judged = !matches!(model.kind, ModelMethod::Align | ModelMethod::Mlm);
    if options.triplets.is_some() || !is_judged {
        return Ok(());
    }
    let collections = config.study.collections.get_ref();
    let Some(first) = collections.first() else {
        return Ok(());
    };
    let folder = config.resolve(&first.path)?;
    let mut parts = vec![options.split.as_str()];
    if options.development_queries > 0 {
        parts.push(&options.development);
        let metric = options.metric.parse::<Metric>();
        metric.map_err(|error| config.wrong(model.name.span(), error.to_string()))?;
    }
    let has_runs = model.negatives.is_some() || model.scores.is_some();
    if has_runs && options.split != "train" {
        let message = format!(
            "expected the split `train` with `negatives` or `scores`, whose systems search with its \
             queries, found `{}`",
            options.split
        );
        return Err(config.wrong(model.name.span(), message));
    }
    let test = config.judgements(first, &first.test)?;
    for part in parts {
        let file = folder.join(format!("qrels/{part}.tsv"));
        if file == test {
            let message = format!(
                "expected other judgements than those of the test for the training of `{}`, found {}",
                model.name.get_ref(),
                file.display()
            );
            return Err(config.wrong(model.name.span(), message));
        }
        if !file.is_file() {
            let message = format!(
                "expected judgements in {} for the training of `{}`, found no file",
                file.display(),
                model.name.get_ref()
            );
            return Err(config.wrong(model.name.span(), message));
        }
    }
    Ok(())
}

/// A model of the study, or a folder of one.
fn check_folder(config: &Config, model: &Spanned<String>) -> Result<()> {
    if config.model(model.get_ref()).is_some() {
        return Ok(());
    }
    let path = config.resolve(model)?;
    if path.join("config.json").is_file() || path.join("modules.json").is_file() {
        return Ok(());
    }
    let names: Vec<&str> = config
        .study
        .models
        .iter()
        .map(|m| m.name.get_ref().as_str())
        .collect();
    let names = match names[..] {
        [] => String::new(),
        _ => format!(", or one of the models {}", names.join(", ")),
    };
    let message = format!(
        "expected the folder of a model{names}, found neither a config.json nor a modules.json in {}",
        path.display()
    );
    Err(config.wrong(model.span(), message))
}

/// The model of a system.
///
/// # Errors
///
/// As [`check`], also for a model that does not make what the system needs.
pub(super) fn check_of_system(config: &Config, system: &System) -> Result<()> {
    let Some(model) = &system.model else {
        return Err(config.wrong(system.name.span(), "expected `model`"));
    };
    let kind = system.kind;
    if let Some(place) = config.model(model.get_ref()) {
        let made = config.study.models[place].kind;
        let is_right = match made {
            ModelMethod::Splade | ModelMethod::Align => {
                matches!(kind, Kind::Sparse | Kind::Repeated)
            }
            ModelMethod::Bi => matches!(kind, Kind::Dense | Kind::Rerank),
            ModelMethod::Cross => kind == Kind::Rerank,
            ModelMethod::Mlm => false,
            // As its base.
            ModelMethod::Cut => true,
        };
        if !is_right {
            let message = format!(
                "expected a model for a system of kind {}, found one of kind {}",
                kind.name(),
                made.name()
            );
            return Err(config.wrong(model.span(), message));
        }
        return Ok(());
    }
    check_folder(config, model)?;
    let path = config.resolve(model)?;
    let (asked, kinds, expected) = match kind {
        Kind::Sparse | Kind::Repeated => {
            let kinds = vec![ModelKind::SparseEncoder];
            (
                Some(ModelKind::SparseEncoder),
                kinds,
                "a model of sparse vectors",
            )
        }
        Kind::Dense => {
            let kinds = vec![ModelKind::BiEncoder];
            (
                Some(ModelKind::BiEncoder),
                kinds,
                "a model of dense vectors",
            )
        }
        _ => {
            let kinds = vec![ModelKind::CrossEncoder, ModelKind::LateInteraction];
            (
                None,
                kinds,
                "a cross-encoder or a model of late interaction",
            )
        }
    };
    let opened = expect_kind(&path, asked, &kinds, expected);
    opened.map_err(|error| config.wrong(model.span(), error.to_string()))
}

/// What makes a model.
#[derive(Clone, Copy, PartialEq)]
enum Maker {
    Model(usize),
    System(usize),
}

/// Refuses a model that is made of itself.
fn check_makers(config: &Config, of: &Spanned<String>, above: &mut Vec<Maker>) -> Result<()> {
    let Some(maker) = above.last().copied() else {
        return Ok(());
    };
    let (models, systems) = match maker {
        Maker::Model(place) => {
            let model = &config.study.models[place];
            let models = [Some(&model.base), model.teacher.as_ref()];
            let systems = [model.negatives.as_ref(), model.scores.as_ref()];
            (models.to_vec(), systems.to_vec())
        }
        Maker::System(place) => {
            let system = &config.study.systems.get_ref()[place];
            let of = system.of.as_ref().map(|of| of.get_ref().as_slice());
            let systems = of.unwrap_or_default().iter().map(Some).collect();
            (vec![system.model.as_ref()], systems)
        }
    };
    let models = models.into_iter().flatten();
    let models = models.filter_map(|name| config.model(name.get_ref()).map(Maker::Model));
    let systems = systems.into_iter().flatten();
    let systems = systems.filter_map(|name| config.system(name.get_ref()).map(Maker::System));
    for next in models.chain(systems) {
        if above.contains(&next) {
            let message = format!(
                "expected a model that is made of others, found that `{}` is made of itself",
                of.get_ref()
            );
            return Err(config.wrong(of.span(), message));
        }
        above.push(next);
        check_makers(config, of, above)?;
        above.pop();
    }
    Ok(())
}
