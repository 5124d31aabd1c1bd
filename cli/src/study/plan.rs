//! From a configuration to steps.
//!
//! | file | concept |
//! | --- | --- |
//! | `candidates` | parameters of systems and of trainings, of which the best are taken |
//! | `models` | models that are cut or trained |
//! | `runs` | what systems find, and how long it takes |
//! | `vectors` | vectors of test queries |
//! | `repeated` | vectors that are indexed as texts |

mod candidates;
mod models;
mod repeated;
mod runs;
mod vectors;

use std::collections::HashMap;
use std::path::PathBuf;

use esparsa::Result;

use super::config::{Collection, Config, Kind, System};
use super::step::{Argument, Hashes, Step, StepId, Work};
pub(super) use candidates::{candidates, grid};
use models::MadeModel;

/// Results that are re-ranked, unless a system says how many.
pub(super) const RERANKED: usize = 100;
/// Steps, each behind those that it depends on.
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub systems: Vec<SystemPlan>,
    /// Names of models and systems with the choices of their parameters.
    pub choices: Vec<(String, StepId)>,
    /// The judgements of the test queries of each collection.
    pub judgements: Vec<Argument>,
    /// Of the files that steps read.
    pub hashes: Hashes,
}

/// The steps of a system.
#[derive(Clone, Default)]
pub(super) struct SystemPlan {
    /// The run on the test queries of each collection.
    pub runs: Vec<StepId>,
    /// The choice of its parameters.
    pub choice: Option<StepId>,
    /// The steps that make its model.
    pub training: Vec<StepId>,
    /// The index of each collection that is its own.
    pub indexes: Vec<StepId>,
    /// For each collection, the times of all searches and scores that a single query needs.
    pub timings: Vec<Vec<StepId>>,
    /// The sparse vectors of the test queries of each collection, for the report.
    pub query_vectors: Vec<StepId>,
}

/// Which queries a run answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Train,
    Dev,
    Test,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Dev => "development",
            Self::Test => "test",
        }
    }
}

impl Plan {
    /// The steps of a configuration that was checked.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read.
    pub fn new(config: &Config, threads: Option<u32>) -> Result<Self> {
        let systems = config.study.systems.get_ref().len();
        let mut planner = Planner {
            config,
            threads: threads.map(|threads| threads.to_string()),
            hashes: Hashes::default(),
            steps: Vec::new(),
            by_hash: HashMap::new(),
            models: vec![None; config.study.models.len()],
            systems: vec![None; systems],
            choices: Vec::new(),
        };
        let mut judgements = Vec::new();
        for collection in 0..config.study.collections.get_ref().len() {
            judgements.push(planner.judgements(collection, Part::Test)?);
        }
        let plans = (0..systems).map(|system| planner.system_plan(system));
        let systems = plans.collect::<Result<_>>()?;
        Ok(Self {
            steps: planner.steps,
            systems,
            choices: planner.choices,
            judgements,
            hashes: planner.hashes,
        })
    }
}

struct Planner<'c> {
    config: &'c Config,
    threads: Option<String>,
    hashes: Hashes,
    steps: Vec<Step>,
    /// Systems share steps that are the same.
    by_hash: HashMap<String, StepId>,
    /// What was planned so far.
    models: Vec<Option<MadeModel>>,
    systems: Vec<Option<SystemPlan>>,
    choices: Vec<(String, StepId)>,
}

fn text(text: impl Into<String>) -> Argument {
    Argument::Text(text.into())
}

impl Planner<'_> {
    fn collections(&self) -> &[Collection] {
        self.config.study.collections.get_ref()
    }

    fn collection(&self, place: usize) -> &Collection {
        &self.collections()[place]
    }

    fn system(&self, place: usize) -> &System {
        &self.config.study.systems.get_ref()[place]
    }

    /// The steps of a system. A model may need those of a system that stands behind it.
    fn system_plan(&mut self, place: usize) -> Result<SystemPlan> {
        if let Some(plan) = &self.systems[place] {
            return Ok(plan.clone());
        }
        let training = match self.model_of(place)? {
            Some(model) => model.steps,
            None => Vec::new(),
        };
        let mut plan = SystemPlan {
            training,
            ..SystemPlan::default()
        };
        let candidates = candidates(self.system(place));
        let chosen = match &candidates[..] {
            [(_, arguments)] => arguments.iter().map(text).collect(),
            _ => {
                let choice = self.choice(place, candidates)?;
                let name = self.system(place).name.get_ref().clone();
                self.choices.push((name, choice));
                plan.choice = Some(choice);
                vec![Argument::Chosen(choice)]
            }
        };
        for collection in 0..self.collections().len() {
            if let Some(index) = self.own_index(place, collection)? {
                plan.indexes.push(index);
            }
            let run = self.run(place, (collection, Part::Test), chosen.clone())?;
            plan.runs.push(run);
            plan.timings.push(self.timings(place, collection, &chosen)?);
        }
        plan.query_vectors = self.query_vectors(place)?;
        self.systems[place] = Some(plan.clone());
        Ok(plan)
    }

    /// Adds a step, unless there is one that does the same.
    fn add(&mut self, name: String, output: &'static str, work: Work) -> Result<StepId> {
        let hash = self.hashes.of_step(output, &work, &self.steps)?;
        if let Some(step) = self.by_hash.get(&hash) {
            return Ok(*step);
        }
        self.by_hash.insert(hash.clone(), self.steps.len());
        self.steps.push(Step {
            name,
            output,
            work,
            hash,
        });
        Ok(self.steps.len() - 1)
    }

    fn path(&self, collection: usize, file: &str) -> Result<PathBuf> {
        let path = &self.collection(collection).path;
        Ok(self.config.resolve(path)?.join(file))
    }

    /// The judgements of a part of a collection's queries, or of a sample of them.
    fn judgements(&mut self, collection: usize, part: Part) -> Result<Argument> {
        let of = self.collection(collection);
        let (file, sample) = match part {
            Part::Dev => (&of.dev, &of.dev_queries),
            Part::Test => (&of.test, &of.test_queries),
            Part::Train => {
                let path = self.path(collection, "qrels/train.tsv")?;
                return Ok(Argument::Path(path));
            }
        };
        let qrels = self.config.judgements(of, file)?;
        let Some(sample) = sample else {
            return Ok(Argument::Path(qrels));
        };
        let queries = *sample.get_ref();
        self.sample(collection, part, (Argument::Path(qrels), queries))
    }

    fn sample(
        &mut self,
        collection: usize,
        part: Part,
        (qrels, queries): (Argument, usize),
    ) -> Result<Argument> {
        let name = format!(
            "sample {queries} {} queries of {}",
            part.name(),
            self.collection(collection).name.get_ref()
        );
        let work = Work::Sample { qrels, queries };
        self.add(name, "qrels.tsv", work).map(Argument::Output)
    }

    fn with_threads(&self, mut arguments: Vec<Argument>) -> Vec<Argument> {
        if let Some(threads) = &self.threads {
            arguments.push(Argument::Threads(threads.clone()));
        }
        arguments
    }

    /// The index of a collection's texts, with the vectors of a system's model.
    fn index(&mut self, collection: usize, system: Option<usize>) -> Result<StepId> {
        let name = self.collection(collection).name.get_ref().clone();
        let corpus = Argument::Path(self.path(collection, "corpus.jsonl")?);
        let mut arguments = vec![text("index"), corpus, text("--index"), Argument::Own];
        arguments.extend([text("--segments"), text("1"), text("--quiet")]);
        if let Some(language) = &self.collection(collection).language {
            arguments.extend([text("--language"), text(language.get_ref())]);
        }
        let mut what = format!("index {name}");
        if let Some(system) = system
            && let Some(model) = self.model_of(system)?
        {
            let (option, vectors) = match self.system(system).kind {
                Kind::Sparse => ("--sparse-model", "sparse"),
                _ => ("--dense-model", "dense"),
            };
            what = format!(
                "{what} with {vectors} vectors of {}",
                self.system(system).name.get_ref()
            );
            arguments.extend([text(option), model.argument]);
            arguments.extend(self.model_options(system));
        }
        let arguments = self.with_threads(arguments);
        self.add(what, "index", Work::Command(arguments))
    }

    /// The index that a system searches, if it does.
    fn own_index(&mut self, place: usize, collection: usize) -> Result<Option<StepId>> {
        match self.system(place).kind {
            Kind::Bm25 => self.index(collection, None).map(Some),
            Kind::Sparse | Kind::Dense => self.index(collection, Some(place)).map(Some),
            Kind::Repeated => self.repeated_index(place, collection).map(Some),
            _ => Ok(None),
        }
    }

    /// The model of a system, if it has one.
    fn model_of(&mut self, place: usize) -> Result<Option<MadeModel>> {
        match &self.config.study.systems.get_ref()[place].model {
            Some(model) => self.named_model(model).map(Some),
            None => Ok(None),
        }
    }

    /// How the model of a system works on texts.
    fn model_options(&self, place: usize) -> Vec<Argument> {
        let mut arguments = self.precision();
        if let Some(long) = &self.system(place).long {
            arguments.extend([text("--long"), text(long.get_ref())]);
        }
        arguments
    }

    fn precision(&self) -> Vec<Argument> {
        match &self.config.study.precision {
            Some(precision) => vec![text("--precision"), text(precision.get_ref())],
            None => Vec::new(),
        }
    }

    /// The systems that a system is made of.
    fn others(&self, place: usize) -> Vec<usize> {
        let of = self.system(place).of.as_ref();
        let names = of.map(|of| of.get_ref().as_slice()).unwrap_or_default();
        let places = names.iter().map(|name| self.config.system(name.get_ref()));
        places.flatten().collect()
    }
}
