//! What systems find, and how long it takes.

use esparsa::{Error, Result};

use super::repeated::Texts;
use super::{Part, Planner, RERANKED, candidates, text};
use crate::study::config::Kind;
use crate::study::step::{Argument, Candidate, StepId, Work};

/// Queries that are timed: of searches, and of re-rankings, which take longer.
const TIMED_SEARCHES: usize = 100;
const TIMED_RERANKINGS: usize = 20;
/// Results of a search that is timed.
const TIMED_DEPTH: usize = 100;
/// Results for a training query, of which negatives or targets are taken.
const TRAIN_DEPTH: usize = 100;

impl Planner<'_> {
    /// What a system finds for the queries of a part, with its chosen parameters.
    pub(super) fn run_of(&mut self, place: usize, part: (usize, Part)) -> Result<StepId> {
        let plan = self.system_plan(place)?;
        if let (collection, Part::Test) = part {
            return Ok(plan.runs[collection]);
        }
        let chosen = match plan.choice {
            Some(choice) => vec![Argument::Chosen(choice)],
            None => {
                let only = candidates(self.system(place)).into_iter().next();
                let arguments = only.map(|(_, arguments)| arguments).unwrap_or_default();
                arguments.iter().map(text).collect()
            }
        };
        self.run(place, part, chosen)
    }

    /// What a system finds for the queries of a part, with some parameters.
    pub(super) fn run(
        &mut self,
        place: usize,
        part: (usize, Part),
        parameters: Vec<Argument>,
    ) -> Result<StepId> {
        let (collection, which) = part;
        let mut name = format!(
            "{} on {} queries of {}",
            self.system(place).name.get_ref(),
            which.name(),
            self.collection(collection).name.get_ref()
        );
        for parameter in &parameters {
            if let Argument::Text(parameter) = parameter {
                name = name + " " + parameter;
            }
        }
        let mut arguments = match self.system(place).kind {
            Kind::Bm25 | Kind::Sparse | Kind::Dense | Kind::Repeated => {
                let qrels = self.judgements(collection, which)?;
                let search = self.search(place, collection, (qrels, self.depth(which)))?;
                self.with_threads(search)
            }
            Kind::Rerank => {
                let rerank = self.rerank(place, part)?;
                self.with_threads(rerank)
            }
            Kind::Fuse => {
                let mut fuse = vec![text("fuse")];
                for other in self.others(place) {
                    fuse.push(Argument::Output(self.run_of(other, part)?));
                }
                fuse.extend([text("--k"), text(self.depth(which).to_string())]);
                fuse
            }
            kind @ (Kind::Shuffled | Kind::Constant | Kind::Random) => {
                let other = self.others(place).first().copied().unwrap_or_default();
                let of = self.run_of(other, part)?;
                return self.add(name, "run.txt", Work::Floor { kind, of });
            }
        };
        arguments.extend([text("--output"), Argument::Own]);
        arguments.extend(parameters);
        self.add(name, "run.txt", Work::Command(arguments))
    }

    /// Results of each query of a part.
    fn depth(&self, part: Part) -> usize {
        let depth = *self.config.study.depth.get_ref();
        match part {
            Part::Train => depth.min(TRAIN_DEPTH),
            Part::Dev | Part::Test => depth,
        }
    }

    fn search(
        &mut self,
        place: usize,
        collection: usize,
        (qrels, depth): (Argument, usize),
    ) -> Result<Vec<Argument>> {
        let is_repeated = self.system(place).kind == Kind::Repeated;
        let queries = match is_repeated {
            true => {
                let texts = Texts::Queries(qrels.clone());
                Argument::Output(self.repeated(place, collection, texts)?)
            }
            false => Argument::Path(self.path(collection, "queries.jsonl")?),
        };
        let index = match self.own_index(place, collection)? {
            Some(index) => index,
            None => return Err(Error::invalid("expected a system with an index")),
        };
        let mut search = vec![text("search"), text("--index"), Argument::Output(index)];
        search.extend([text("--queries"), queries, text("--qrels"), qrels]);
        search.extend([text("--k"), text(depth.to_string()), text("--quiet")]);
        if let Some(model) = self.model_of(place)?.filter(|_| !is_repeated) {
            search.extend([text("--model"), model.argument]);
            search.extend(self.precision());
        }
        Ok(search)
    }

    fn rerank(&mut self, place: usize, part: (usize, Part)) -> Result<Vec<Argument>> {
        let collection = part.0;
        let queries = Argument::Path(self.path(collection, "queries.jsonl")?);
        let other = self.others(place).first().copied().unwrap_or_default();
        let run = self.run_of(other, part)?;
        let index = self.index(collection, None)?;
        let top = self.system(place).top.as_ref();
        let top = top.map_or(RERANKED, |top| *top.get_ref());
        let mut rerank = vec![text("rerank"), text("--run"), Argument::Output(run)];
        if let Some(model) = self.model_of(place)? {
            rerank.extend([text("--model"), model.argument]);
            rerank.extend(self.model_options(place));
        }
        rerank.extend([text("--queries"), queries]);
        rerank.extend([text("--index"), Argument::Output(index)]);
        rerank.extend([text("--k"), text(top.to_string()), text("--quiet")]);
        Ok(rerank)
    }

    pub(super) fn choice(
        &mut self,
        place: usize,
        candidates: Vec<(String, Vec<String>)>,
    ) -> Result<StepId> {
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
            qrels: self.judgements(0, Part::Dev)?,
            metric: metric.map(|m| m.get_ref().clone()).unwrap_or_default(),
        };
        let name = format!("choose parameters of {}", self.system(place).name.get_ref());
        self.add(name, "choice.json", work)
    }

    /// The times of all that a single query needs; none where a part is not timed. What others have
    /// found is fused and put in another order in no time.
    pub(super) fn timings(
        &mut self,
        place: usize,
        collection: usize,
        chosen: &[Argument],
    ) -> Result<Vec<StepId>> {
        let mut timings = Vec::new();
        for other in self.others(place) {
            let of_other = &self.system_plan(other)?.timings[collection];
            if of_other.is_empty() {
                return Ok(Vec::new());
            }
            timings.extend(of_other);
        }
        timings.extend(self.timing(place, collection, chosen)?);
        timings.sort_unstable();
        timings.dedup();
        Ok(timings)
    }

    fn timing(
        &mut self,
        place: usize,
        collection: usize,
        chosen: &[Argument],
    ) -> Result<Option<StepId>> {
        let kind = self.system(place).kind;
        let queries = match kind {
            // Queries of the kind `repeated` are encoded before, so that a search alone says little.
            Kind::Bm25 | Kind::Sparse | Kind::Dense => TIMED_SEARCHES,
            Kind::Rerank => TIMED_RERANKINGS,
            _ => return Ok(None),
        };
        let qrels = self.judgements(collection, Part::Test)?;
        let qrels = self.sample(collection, Part::Test, (qrels, queries))?;
        let mut arguments = match kind {
            Kind::Rerank => {
                let mut rerank = self.rerank(place, (collection, Part::Test))?;
                rerank.extend([text("--qrels"), qrels]);
                rerank
            }
            _ => self.search(place, collection, (qrels, TIMED_DEPTH))?,
        };
        arguments.extend([text("--timings"), Argument::Own]);
        arguments.extend([text("--output"), Argument::Beside("results.txt")]);
        arguments.extend_from_slice(chosen);
        let name = format!(
            "time {} on {}",
            self.system(place).name.get_ref(),
            self.collection(collection).name.get_ref()
        );
        self.add(name, "timings.json", Work::Command(arguments))
            .map(Some)
    }
}
