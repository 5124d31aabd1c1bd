//! Judgements for training made of triplets of ids, as MS MARCO's `qidpidtriples.train.full.2.tsv`.

use std::path::Path;

use esparsa::{Error, Result};

use super::Judgements;
use crate::convert::Options;
use crate::convert::layout::Part;
use crate::convert::report::Report;
use crate::input::{self, InputFormat, Reader, excerpt};
use crate::progress::Progress;

impl Judgements {
    /// Adds judgements for training made of triplets (query, relevant document, negatives), given
    /// by their ids: every pair of a query and a relevant document once, with grade 1. Memory grows
    /// with the number of different pairs, not with that of the triplets.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for lines that are no triplets of ids, and errors in reading.
    pub fn add_triplets(
        &mut self,
        file: &Path,
        options: &Options,
        report: &mut Report,
    ) -> Result<()> {
        let files = [file.to_owned()];
        // The format only makes the reader cut after lines.
        let mut reader = Reader::open_encoded(&files, InputFormat::JsonLines, options.encoding)?;
        let mut progress = Progress::counting("triplet", reader.total_bytes(), options.quiet);
        let mut count = 0;
        while let Some(chunk) = reader.next() {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    report.bad(error, &progress)?;
                    continue;
                }
            };
            for (line, row) in input::lines(&chunk) {
                count += 1;
                let added = row.and_then(|row| self.add_triplet(row));
                if let Err(error) = added {
                    report.bad(error.at_line(&*chunk.file, line), &progress)?;
                }
            }
            progress.update(reader.bytes_read(), count);
        }
        self.files[Part::Train as usize].push(file.to_owned());
        Ok(())
    }

    fn add_triplet(&mut self, row: &str) -> Result<()> {
        let mut columns = row.split('\t').map(str::trim);
        let found = (columns.next(), columns.next(), columns.next());
        let (Some(query), Some(document), Some(negative)) = found else {
            return Err(Error::invalid(format!(
                "expected the ids of a query, a relevant document and a negative, separated by tabs, found `{}`",
                excerpt(row, 0)
            )));
        };
        for id in [query, document, negative] {
            if id.is_empty() || id.contains(char::is_whitespace) {
                return Err(Error::invalid(format!(
                    "expected ids of a triplet, found the text `{}`; `esparsa train --triplets` reads triplets of texts as they \
                     are",
                    excerpt(id, 0)
                )));
            }
        }
        self.qrels[Part::Train as usize].insert(query, document, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::tests::options;

    #[test]
    fn triplets_give_every_pair_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triples.tsv");
        std::fs::write(&path, "1\ta\tb\n1\ta\tc\n\n2\tb\ta\n1\tb\ta\n").unwrap();
        let mut judgements = Judgements::default();
        let options = options(false);
        let mut report = Report::new(&options);
        judgements
            .add_triplets(&path, &options, &mut report)
            .unwrap();
        let qrels = &judgements.qrels[0];
        assert_eq!((qrels.len(), qrels.judgments("1").unwrap().len()), (2, 2));
        for (text, expected) in [
            ("1\ta\n", ":1: expected the ids of a query"),
            (
                "1\ta\tb\nwhat is\ta volcano\tno\n",
                ":2: expected ids of a triplet, found the text `what is`",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = judgements.add_triplets(&path, &options, &mut report);
            let message = error.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
