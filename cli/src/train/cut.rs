//! `esparsa train cut`: a model with fewer pieces.

use std::path::PathBuf;

use esparsa::Result;
use esparsa::train::VocabularyCut;

use super::texts::texts;
use crate::output;

/// Arguments of `esparsa train cut`.
#[derive(clap::Args)]
pub struct Cut {
    /// The folder of the model.
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// Texts whose pieces are kept: JSON lines with a `text`, or a text a line. May be given several
    /// times, for documents and for queries.
    #[arg(long, value_name = "FILE", required = true)]
    texts: Vec<PathBuf>,
    /// The folder that is written.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Pieces that the texts have fewer times are removed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    min_count: u64,
}

impl Cut {
    pub(super) fn run(self) -> Result<()> {
        let mut files = Vec::new();
        for path in &self.texts {
            files.push(texts(path)?);
        }
        let cut = VocabularyCut {
            base: &self.base,
            min_count: self.min_count,
        };
        let report = cut.write(files.into_iter().flatten(), &self.output)?;
        output::message(&format!(
            "{} of {} pieces stay; of {} tokens in {} texts, {} are spelled with other pieces now",
            report.after, report.before, report.tokens, report.texts, report.respelled
        ));
        Ok(())
    }
}
