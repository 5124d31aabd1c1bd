//! Vectors that are indexed as texts.

use esparsa::Result;

use super::{Planner, text};
use crate::study::step::{Argument, StepId, Work};

/// Repetitions of a term of weight 1, unless a system says how many.
const REPEATS: f32 = 10.0;

/// Texts that are encoded.
pub(super) enum Texts {
    Documents,
    /// Those that have judgements.
    Queries(Argument),
}

impl Planner<'_> {
    /// The index of a collection's vectors as texts.
    pub(super) fn repeated_index(&mut self, place: usize, collection: usize) -> Result<StepId> {
        let texts = self.repeated(place, collection, Texts::Documents)?;
        let mut arguments = vec![text("index"), Argument::Output(texts)];
        arguments.extend([text("--index"), Argument::Own, text("--language")]);
        arguments.extend(["simple", "--segments", "1", "--quiet"].map(text));
        let arguments = self.with_threads(arguments);
        let name = self.name_of(place, "index", collection);
        self.add(name, "index", Work::Command(arguments))
    }

    /// The vectors of a collection's documents or queries as texts.
    pub(super) fn repeated(
        &mut self,
        place: usize,
        collection: usize,
        texts: Texts,
    ) -> Result<StepId> {
        let (file, what) = match &texts {
            Texts::Documents => ("corpus.jsonl", "encode documents of"),
            Texts::Queries(_) => ("queries.jsonl", "encode queries of"),
        };
        let input = Argument::Path(self.path(collection, file)?);
        let mut arguments = vec![text("encode"), input, text("--kind"), text("sparse")];
        if let Some(model) = self.model_of(place)? {
            arguments.extend([text("--model"), model.argument]);
            arguments.extend(self.model_options(place));
        }
        if let Texts::Queries(qrels) = texts {
            arguments.extend([text("--query"), text("--qrels"), qrels]);
        }
        // As `esparsa index` has it by default.
        arguments.extend(
            [
                "--on-duplicate",
                "replace",
                "--on-bad-input",
                "skip",
                "--quiet",
            ]
            .map(text),
        );
        arguments.extend([text("--output"), Argument::Own]);
        let arguments = self.with_threads(arguments);
        let name = self.name_of(place, what, collection);
        let vectors = self.add(name, "vectors.jsonl", Work::Command(arguments))?;
        let repeats = self.system(place).repeats.as_ref();
        let repeats = repeats.map_or(REPEATS, |repeats| *repeats.get_ref());
        let name = self.name_of(place, "repeat terms of", collection);
        self.add(name, file, Work::Repeat { vectors, repeats })
    }

    fn name_of(&self, place: usize, what: &str, collection: usize) -> String {
        let (system, of) = (self.system(place), self.collection(collection));
        format!("{what} {} for {}", of.name.get_ref(), system.name.get_ref())
    }
}
