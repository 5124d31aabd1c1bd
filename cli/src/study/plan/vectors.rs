//! The sparse vectors of test queries, whose words the report shows.

use esparsa::Result;

use super::{Part, Planner, text};
use crate::study::config::Kind;
use crate::study::step::{Argument, StepId, Work};

impl Planner<'_> {
    /// Steps that encode the test queries of each collection, for a system of sparse vectors.
    pub(super) fn query_vectors(&mut self, place: usize) -> Result<Vec<StepId>> {
        let mut steps = Vec::new();
        let model = self.model_of(place)?;
        let Some(model) = model.filter(|_| self.system(place).kind == Kind::Sparse) else {
            return Ok(steps);
        };
        for collection in 0..self.collections().len() {
            let queries = Argument::Path(self.path(collection, "queries.jsonl")?);
            let qrels = self.judgements(collection, Part::Test)?;
            let mut encode = vec![text("encode"), queries, text("--model")];
            encode.push(model.argument.clone());
            encode.extend(["--kind", "sparse", "--query"].map(text));
            encode.extend(self.precision());
            encode.extend([text("--qrels"), qrels, text("--output"), Argument::Own]);
            // A query without text has no words to show.
            encode.extend(["--on-bad-input", "skip", "--quiet"].map(text));
            let name = format!(
                "encode test queries of {} with {}",
                self.collection(collection).name.get_ref(),
                self.system(place).name.get_ref()
            );
            let work = Work::Command(self.with_threads(encode));
            steps.push(self.add(name, "vectors.jsonl", work)?);
        }
        Ok(steps)
    }
}
