//! From a configuration to steps.

mod vectors;

use std::collections::HashMap;
use std::path::PathBuf;

use esparsa::{Error, Result};
use toml::Spanned;

use super::config::{Collection, Config, Kind, System};
use super::step::{Argument, Candidate, Hashes, Step, StepId, Work};

/// Results that are re-ranked, unless a system says how many.
pub(super) const RERANKED: usize = 100;
/// Weights of two systems, unless a fusion says others.
const WEIGHTS: [[f64; 2]; 9] = [
    [0.1, 0.9],
    [0.2, 0.8],
    [0.3, 0.7],
    [0.4, 0.6],
    [0.5, 0.5],
    [0.6, 0.4],
    [0.7, 0.3],
    [0.8, 0.2],
    [0.9, 0.1],
];

/// Steps, each behind those that it depends on.
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub systems: Vec<SystemPlan>,
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
    pub training: Option<StepId>,
    /// The index of each collection that is its own.
    pub indexes: Vec<StepId>,
    /// The sparse vectors of the test queries of each collection, for the report.
    pub query_vectors: Vec<StepId>,
}

/// Which queries a run answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Dev,
    Test,
}

impl Plan {
    /// The steps of a configuration that was checked.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read.
    pub fn new(config: &Config, threads: Option<u32>) -> Result<Self> {
        let mut planner = Planner {
            config,
            threads: threads.map(|threads| threads.to_string()),
            hashes: Hashes::default(),
            steps: Vec::new(),
            by_hash: HashMap::new(),
            systems: Vec::new(),
        };
        for system in 0..config.study.systems.get_ref().len() {
            planner.add_system(system)?;
        }
        Ok(Self {
            steps: planner.steps,
            systems: planner.systems,
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
    systems: Vec<SystemPlan>,
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

    fn add_system(&mut self, place: usize) -> Result<()> {
        self.systems.push(SystemPlan::default());
        self.systems[place].training = self.training(place)?;
        let candidates = candidates(self.system(place));
        let chosen = match &candidates[..] {
            [(_, arguments)] => arguments.iter().map(text).collect(),
            _ => {
                let choice = self.choice(place, candidates)?;
                self.systems[place].choice = Some(choice);
                vec![Argument::Chosen(choice)]
            }
        };
        for collection in 0..self.collections().len() {
            let run = self.run(place, (collection, Part::Test), chosen.clone())?;
            self.systems[place].runs.push(run);
        }
        self.add_query_vectors(place)
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
            is_resumed: output == "model",
            hash,
        });
        Ok(self.steps.len() - 1)
    }

    fn path(&self, collection: usize, file: &str) -> Result<PathBuf> {
        let path = &self.collection(collection).path;
        Ok(self.config.resolve(path)?.join(file))
    }

    fn qrels(&self, collection: usize, part: Part) -> Result<PathBuf> {
        let of = self.collection(collection);
        let file = match part {
            Part::Dev => of.dev.get_ref(),
            Part::Test => of.test.get_ref(),
        };
        self.path(collection, file)
    }

    fn with_threads(&self, mut arguments: Vec<Argument>) -> Vec<Argument> {
        if let Some(threads) = &self.threads {
            arguments.push(Argument::Threads(threads.clone()));
        }
        arguments
    }

    /// The index of a collection's texts, with the vectors of a model.
    fn index(&mut self, collection: usize, model: Option<(&str, Argument)>) -> Result<StepId> {
        let name = self.collection(collection).name.get_ref().clone();
        let corpus = Argument::Path(self.path(collection, "corpus.jsonl")?);
        let mut arguments = vec![text("index"), corpus, text("--index"), Argument::Own];
        arguments.extend([text("--segments"), text("1"), text("--quiet")]);
        if let Some(language) = &self.collection(collection).language {
            arguments.extend([text("--language"), text(language.get_ref())]);
        }
        let mut what = format!("index {name}");
        if let Some((option, model)) = model {
            what += match option {
                "--sparse-model" => " with sparse vectors",
                _ => " with dense vectors",
            };
            arguments.extend([text(option), model]);
        }
        let arguments = self.with_threads(arguments);
        self.add(what, "index", Work::Command(arguments))
    }

    /// The training of a system's model, if it is trained.
    fn training(&mut self, place: usize) -> Result<Option<StepId>> {
        let Some(train) = &self.system(place).train else {
            return Ok(None);
        };
        let kind = match self.system(place).kind {
            Kind::Sparse => "splade",
            Kind::Dense => "bi",
            _ => "cross",
        };
        let mut options = train.get_ref().clone();
        let mut read = Vec::new();
        let paths = [
            &mut options.triplets,
            &mut options.documents,
            &mut options.queries,
            &mut options.teacher,
            &mut options.parallel,
            &mut options.parallel_documents,
            &mut options.parallel_ids,
            &mut options.negatives_run,
            &mut options.teacher_run,
        ];
        for path in paths.into_iter().flatten() {
            let text = path.to_string_lossy();
            *path = self.config.resolve_text(&text, train.span())?;
            read.push(Argument::Read(path.clone()));
        }
        let base = std::mem::take(&mut options.base);
        let base = self
            .config
            .resolve_text(&base.to_string_lossy(), train.span())?;
        if options.language.is_none() {
            let language = self.collection(0).language.as_ref();
            options.language = language.map(|language| language.get_ref().clone());
        }
        let options =
            toml::to_string(&options).map_err(|error| Error::invalid(error.to_string()))?;
        let folder = self.config.resolve(&self.collection(0).path)?;
        let arguments = vec![
            text("train"),
            text(kind),
            Argument::Contents(options),
            text("--base"),
            Argument::Path(base),
            text("--collection"),
            Argument::Path(folder),
            text("--output"),
            Argument::Own,
        ];
        let arguments = arguments.into_iter().chain(read).collect();
        let name = format!("train {}", self.system(place).name.get_ref());
        self.add(name, "model", Work::Command(arguments)).map(Some)
    }

    fn model(&self, place: usize) -> Result<Argument> {
        let system = self.system(place);
        match (&system.model, self.systems[place].training) {
            (_, Some(training)) => Ok(Argument::Model(training)),
            (Some(model), None) => Ok(Argument::Path(self.config.resolve(model)?)),
            (None, None) => Err(Error::invalid("expected a model")),
        }
    }

    /// The systems that a system is made of.
    fn others(&self, place: usize) -> Vec<usize> {
        let of = self
            .system(place)
            .of
            .as_ref()
            .map(|of| of.get_ref().as_slice());
        let systems = self.config.study.systems.get_ref();
        let names = of.unwrap_or_default().iter();
        let places = names.filter_map(|name| {
            systems
                .iter()
                .position(|s| s.name.get_ref() == name.get_ref())
        });
        places.collect()
    }

    /// What a system finds for the queries of a part, with its chosen parameters.
    fn run_of(&mut self, place: usize, part: (usize, Part)) -> Result<StepId> {
        if let (collection, Part::Test) = part {
            return Ok(self.systems[place].runs[collection]);
        }
        let chosen = match self.systems[place].choice {
            Some(choice) => vec![Argument::Chosen(choice)],
            None => {
                let arguments = candidates(self.system(place)).into_iter().next();
                let arguments = arguments
                    .map(|(_, arguments)| arguments)
                    .unwrap_or_default();
                arguments.iter().map(text).collect()
            }
        };
        self.run(place, part, chosen)
    }

    /// What a system finds for the queries of a part, with some parameters.
    fn run(
        &mut self,
        place: usize,
        part: (usize, Part),
        parameters: Vec<Argument>,
    ) -> Result<StepId> {
        let (collection, which) = part;
        let kind = self.system(place).kind;
        let queries = Argument::Path(self.path(collection, "queries.jsonl")?);
        let depth = self.config.study.depth.get_ref().to_string();
        let mut name = format!(
            "{} on {} queries of {}",
            self.system(place).name.get_ref(),
            if which == Part::Dev {
                "development"
            } else {
                "test"
            },
            self.collection(collection).name.get_ref()
        );
        for parameter in &parameters {
            if let Argument::Text(parameter) = parameter {
                name = name + " " + parameter;
            }
        }
        let mut arguments = match kind {
            Kind::Bm25 | Kind::Sparse | Kind::Dense => {
                let model = match kind {
                    Kind::Sparse => Some(("--sparse-model", self.model(place)?)),
                    Kind::Dense => Some(("--dense-model", self.model(place)?)),
                    _ => None,
                };
                let index = self.index(collection, model.clone())?;
                if which == Part::Test {
                    self.systems[place].indexes.push(index);
                }
                let qrels = Argument::Path(self.qrels(collection, which)?);
                let mut search = vec![text("search"), text("--index"), Argument::Output(index)];
                search.extend([text("--queries"), queries, text("--qrels"), qrels]);
                search.extend([text("--k"), text(depth), text("--quiet")]);
                if let Some((_, model)) = model {
                    search.extend([text("--model"), model]);
                }
                self.with_threads(search)
            }
            Kind::Rerank => {
                let other = self.others(place).first().copied().unwrap_or_default();
                let run = self.run_of(other, part)?;
                let index = self.index(collection, None)?;
                let top = self
                    .system(place)
                    .top
                    .as_ref()
                    .map_or(RERANKED, |top| *top.get_ref());
                let model = self.model(place)?;
                let mut rerank = vec![text("rerank"), text("--model"), model];
                rerank.extend([
                    text("--run"),
                    Argument::Output(run),
                    text("--queries"),
                    queries,
                ]);
                rerank.extend([text("--index"), Argument::Output(index)]);
                rerank.extend([text("--k"), text(top.to_string()), text("--quiet")]);
                self.with_threads(rerank)
            }
            Kind::Fuse => {
                let mut fuse = vec![text("fuse")];
                for other in self.others(place) {
                    fuse.push(Argument::Output(self.run_of(other, part)?));
                }
                fuse.extend([text("--k"), text(depth)]);
                fuse
            }
            Kind::Shuffled | Kind::Constant | Kind::Random => {
                let other = self.others(place).first().copied().unwrap_or_default();
                let of = self.run_of(other, part)?;
                return self.add(name, "run.txt", Work::Floor { kind, of });
            }
        };
        arguments.extend([text("--output"), Argument::Own]);
        arguments.extend(parameters);
        self.add(name, "run.txt", Work::Command(arguments))
    }

    fn choice(&mut self, place: usize, candidates: Vec<(String, Vec<String>)>) -> Result<StepId> {
        let mut with_runs = Vec::with_capacity(candidates.len());
        for (label, arguments) in candidates {
            let parameters = arguments.iter().map(text).collect();
            let run = self.run(place, (0, Part::Dev), parameters)?;
            with_runs.push(Candidate {
                label,
                arguments,
                run,
            });
        }
        let metric = self.config.study.metrics.get_ref().first();
        let work = Work::Choose {
            candidates: with_runs,
            qrels: self.qrels(0, Part::Dev)?,
            metric: metric.map(|m| m.get_ref().clone()).unwrap_or_default(),
        };
        let name = format!("choose parameters of {}", self.system(place).name.get_ref());
        self.add(name, "choice.json", work)
    }
}

/// The candidates for the parameters of a system: what they are, and their arguments.
pub(super) fn candidates(system: &System) -> Vec<(String, Vec<String>)> {
    fn list<T: Clone>(list: &Option<Spanned<Vec<T>>>) -> Vec<Option<T>> {
        match list {
            None => vec![None],
            Some(list) => list.get_ref().iter().cloned().map(Some).collect(),
        }
    }
    let method = system
        .method
        .as_ref()
        .map(|method| method.get_ref().as_str());
    let is_sum = system.kind == Kind::Fuse && method != Some("rrf");
    let weights = match (&system.weights, &system.of) {
        (None, Some(of)) if is_sum && of.get_ref().len() == 2 => {
            WEIGHTS.iter().map(|pair| Some(pair.to_vec())).collect()
        }
        (weights, _) => list(weights),
    };
    let mut candidates = vec![(Vec::new(), Vec::new())];
    if is_sum {
        candidates[0]
            .1
            .extend(["--method".to_owned(), "weighted-sum".to_owned()]);
    } else if system.kind == Kind::Fuse {
        candidates[0]
            .1
            .extend(["--method".to_owned(), "rrf".to_owned()]);
    }
    let texts = |numbers: &Option<Spanned<Vec<f32>>>| {
        let numbers = list(numbers).into_iter();
        numbers
            .map(|number| number.map(|number| number.to_string()))
            .collect::<Vec<_>>()
    };
    let normalizations = list(&system.normalization).into_iter();
    let normalizations = normalizations.map(|name| name.map(|name| name.get_ref().clone()));
    let weights = weights.into_iter().map(|weights| {
        let weights = weights?;
        let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
        Some(weights.join(","))
    });
    let options = [
        ("k1", texts(&system.k1)),
        ("b", texts(&system.b)),
        ("normalization", normalizations.collect()),
        ("weights", weights.collect()),
    ];
    for (option, values) in options {
        let longer = candidates.iter().flat_map(|(label, arguments)| {
            values.iter().map(move |value| {
                let (mut label, mut arguments) = (label.clone(), arguments.clone());
                if let Some(value) = value {
                    label.push(format!("{option} {value}"));
                    arguments.extend([format!("--{option}"), value.clone()]);
                }
                (label, arguments)
            })
        });
        candidates = longer.collect();
    }
    let named = candidates.into_iter();
    named
        .map(|(label, arguments)| (label.join(", "), arguments))
        .collect()
}
