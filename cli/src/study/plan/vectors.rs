//! The sparse vectors of test queries, whose words the report shows.

use esparsa::Result;

use super::super::config::Kind;
use super::super::step::{Argument, Work};
use super::{Part, Planner, text};

impl Planner<'_> {
    /// Steps that encode the test queries of each collection, for a system of sparse vectors.
    pub(super) fn add_query_vectors(&mut self, place: usize) -> Result<()> {
        if self.system(place).kind != Kind::Sparse {
            return Ok(());
        }
        for collection in 0..self.collections().len() {
            let queries = Argument::Path(self.path(collection, "queries.jsonl")?);
            let qrels = Argument::Path(self.qrels(collection, Part::Test)?);
            let mut encode = vec![text("encode"), queries, text("--model"), self.model(place)?];
            encode.extend([text("--kind"), text("sparse"), text("--query")]);
            encode.extend([text("--qrels"), qrels, text("--output"), Argument::Own]);
            // A query without text has no words to show.
            encode.extend([text("--on-bad-input"), text("skip"), text("--quiet")]);
            let name = format!(
                "encode test queries of {} with {}",
                self.collection(collection).name.get_ref(),
                self.system(place).name.get_ref()
            );
            let work = Work::Command(self.with_threads(encode));
            let step = self.add(name, "vectors.jsonl", work)?;
            self.systems[place].query_vectors.push(step);
        }
        Ok(())
    }
}
