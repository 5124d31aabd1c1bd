//! Models that are cut or trained.

use esparsa::train::TrainOptions;
use esparsa::{Error, Result};
use toml::Spanned;

use super::{Part, Planner, grid, text};
use crate::study::config::{ModelConfig, ModelMethod};
use crate::study::step::{Argument, StepId, TRAINED, Work};

/// A model, and the steps that make it.
#[derive(Clone)]
pub(super) struct MadeModel {
    pub argument: Argument,
    /// The steps of its base are among them.
    pub steps: Vec<StepId>,
}

impl Planner<'_> {
    /// A model of the study by its name, or one in a folder.
    pub(super) fn named_model(&mut self, name: &Spanned<String>) -> Result<MadeModel> {
        match self.config.model(name.get_ref()) {
            Some(place) => self.made_model(place),
            None => Ok(MadeModel {
                argument: Argument::Path(self.config.resolve(name)?),
                steps: Vec::new(),
            }),
        }
    }

    fn made_model(&mut self, place: usize) -> Result<MadeModel> {
        if let Some(model) = &self.models[place] {
            return Ok(model.clone());
        }
        let config = self.config;
        let model = &config.study.models[place];
        let made = match model.kind {
            ModelMethod::Cut => self.cut(model)?,
            _ => self.trained(model)?,
        };
        self.models[place] = Some(made.clone());
        Ok(made)
    }

    /// A model whose vocabulary is cut to the pieces of the documents of all collections.
    fn cut(&mut self, model: &ModelConfig) -> Result<MadeModel> {
        let base = self.named_model(&model.base)?;
        let mut arguments = vec![text("train"), text("cut"), text("--base"), base.argument];
        for collection in 0..self.collections().len() {
            let corpus = self.path(collection, "corpus.jsonl")?;
            arguments.extend([text("--texts"), Argument::Path(corpus)]);
        }
        arguments.extend([text("--output"), Argument::Own]);
        let name = format!("cut {}", model.name.get_ref());
        let step = self.add(name, "cut", Work::Command(arguments))?;
        let steps = base.steps.into_iter().chain([step]).collect();
        Ok(MadeModel {
            argument: Argument::Output(step),
            steps,
        })
    }

    /// A trained model, or the best of a grid.
    fn trained(&mut self, model: &ModelConfig) -> Result<MadeModel> {
        let base = self.named_model(&model.base)?;
        let mut steps = base.steps.clone();
        let mut inputs = vec![text("--base"), base.argument];
        if let Some(teacher) = &model.teacher {
            let teacher = self.named_model(teacher)?;
            steps.extend(teacher.steps);
            inputs.extend([text("--teacher"), teacher.argument]);
        }
        let runs = [
            ("--negatives-run", &model.negatives),
            ("--teacher-run", &model.scores),
        ];
        for (option, system) in runs {
            let system = system.as_ref();
            if let Some(system) = system.and_then(|name| self.config.system(name.get_ref())) {
                steps.extend(self.system_plan(system)?.training);
                let run = self.run_of(system, (0, Part::Train))?;
                inputs.extend([text(option), Argument::Output(run)]);
            }
        }
        let options = match &model.train {
            Some(options) => options.get_ref().clone(),
            None => TrainOptions::default(),
        };
        let candidates = match &model.grid {
            Some(values) => grid(&options, values.get_ref())?,
            None => vec![(String::new(), options)],
        };
        let mut trained = Vec::with_capacity(candidates.len());
        for (label, options) in candidates {
            let step = self.training(model, &label, options, &inputs)?;
            trained.push((label, step));
        }
        steps.extend(trained.iter().map(|(_, step)| *step));
        steps.sort_unstable();
        steps.dedup();
        let argument = match &trained[..] {
            [(_, only)] => Argument::Model(*only),
            _ => {
                let name = format!("choose options of {}", model.name.get_ref());
                let work = Work::ChooseModel {
                    candidates: trained,
                };
                let choice = self.add(name, "choice.json", work)?;
                self.choices.push((model.name.get_ref().clone(), choice));
                Argument::ChosenModel(choice)
            }
        };
        Ok(MadeModel { argument, steps })
    }

    fn training(
        &mut self,
        model: &ModelConfig,
        label: &str,
        mut options: TrainOptions,
        inputs: &[Argument],
    ) -> Result<StepId> {
        let span = model.train.as_ref().map_or(0..0, Spanned::span);
        let mut read = Vec::new();
        let paths = [
            &mut options.triplets,
            &mut options.documents,
            &mut options.queries,
            &mut options.parallel,
            &mut options.parallel_documents,
            &mut options.parallel_ids,
            &mut options.negatives_run,
            &mut options.teacher_run,
        ];
        for path in paths.into_iter().flatten() {
            *path = self
                .config
                .resolve_text(&path.to_string_lossy(), span.clone())?;
            read.push(Argument::Read(path.clone()));
        }
        if options.language.is_none() {
            let language = self.collection(0).language.as_ref();
            options.language = language.map(|language| language.get_ref().clone());
        }
        let folder = self.config.resolve(&self.collection(0).path)?;
        let parts = [&options.split, &options.development];
        let parts = parts.map(|part| format!("qrels/{part}.tsv"));
        let files = ["corpus.jsonl".to_owned(), "queries.jsonl".to_owned()];
        let files = files.into_iter().chain(parts).map(|file| folder.join(file));
        read.extend(files.filter(|file| file.is_file()).map(Argument::Read));
        let contents =
            toml::to_string(&options).map_err(|error| Error::invalid(error.to_string()))?;
        let mut arguments = vec![text("train"), text(model.kind.name())];
        arguments.push(Argument::Contents(contents));
        arguments.extend_from_slice(inputs);
        if options.triplets.is_none() {
            arguments.extend([text("--collection"), Argument::Place(folder)]);
        }
        arguments.extend([text("--output"), Argument::Own]);
        arguments.extend(read);
        let mut name = format!("train {}", model.name.get_ref());
        if !label.is_empty() {
            name = format!("{name}, {label}");
        }
        self.add(name, TRAINED, Work::Command(arguments))
    }
}
