//! Relevance judgements of the three parts, from files of judgements or of triplets.

mod triplets;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use esparsa::eval::Qrels;
use esparsa::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::layout::Part;
use super::report::{Reason, Report};
use crate::input::{self, Ids, InputFormat, Reader, excerpt};
use crate::progress::Progress;
use crate::queries::read_qrels;
use crate::size::counted;

/// A judgement whose document is in no input.
const NO_DOCUMENT: Reason = Reason {
    what: "judgement",
    why: "whose document no input has",
};
/// A judgement whose query is in no input.
const NO_QUERY: Reason = Reason {
    what: "judgement",
    why: "whose query no input has",
};

/// Options that name judgements, of every format with files of them.
#[derive(clap::Args, Debug, Default)]
pub(super) struct JudgementArguments {
    /// Judgements for training: TREC qrels (query, iteration, document, grade) or a TSV file of
    /// BEIR; may be given several times, as for the folds of a cross-validation.
    #[arg(long, value_name = "QRELS")]
    pub train: Vec<PathBuf>,
    /// Judgements by which models and parameters are chosen.
    #[arg(long, value_name = "QRELS")]
    pub dev: Vec<PathBuf>,
    /// Judgements for evaluation.
    #[arg(long, value_name = "QRELS")]
    pub test: Vec<PathBuf>,
    /// Percent of the queries for training that become those of `dev`, chosen by a hash of their
    /// ids: for collections that are published without a part of this kind.
    #[arg(long, value_name = "PERCENT", conflicts_with = "dev",
        value_parser = clap::value_parser!(u64).range(1..=90))]
    pub dev_share: Option<u64>,
}

/// Judgements of all parts.
#[derive(Debug, Default)]
pub(super) struct Judgements {
    qrels: [Qrels; Part::ALL.len()],
    files: [Vec<PathBuf>; Part::ALL.len()],
    dev_share: Option<u64>,
}

/// A query of a part, with documents of the inputs.
#[derive(Debug, PartialEq)]
pub(super) struct Judged {
    pub part: Part,
    pub query: String,
    /// Documents with their grades, the highest first.
    pub grades: Vec<(String, i32)>,
}

impl Judgements {
    /// Reads the files that the options name.
    ///
    /// # Errors
    ///
    /// Those of [`read_qrels`], and [`Error::InvalidInput`] when a file contradicts another.
    pub fn read(arguments: &JudgementArguments) -> Result<Self> {
        let mut judgements = Self {
            dev_share: arguments.dev_share,
            ..Self::default()
        };
        for (part, files) in [
            (Part::Train, &arguments.train),
            (Part::Dev, &arguments.dev),
            (Part::Test, &arguments.test),
        ] {
            for file in files {
                judgements.add(part, file)?;
            }
        }
        Ok(judgements)
    }

    /// Adds a file of judgements to a part.
    ///
    /// # Errors
    ///
    /// As [`Judgements::read`].
    pub fn add(&mut self, part: Part, file: &Path) -> Result<()> {
        let (read, name) = read_qrels(file)?;
        let qrels = &mut self.qrels[part as usize];
        if qrels.is_empty() {
            *qrels = read;
        } else {
            for query in read.queries() {
                for (document, grade) in read.judgments(query).into_iter().flatten() {
                    let added = qrels.insert(query, document, *grade);
                    added.map_err(|error| error.at_line(name.clone(), 0))?;
                }
            }
        }
        self.files[part as usize].push(file.to_owned());
        Ok(())
    }

    /// True if no file was read.
    pub fn is_empty(&self) -> bool {
        self.qrels.iter().all(Qrels::is_empty)
    }

    /// The judged queries with those documents that are there. The judgements are used up, so that
    /// they are not in memory twice.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a document that is not there, if the conversion is strict.
    pub fn resolve(
        &mut self,
        documents: &Ids,
        report: &mut Report,
        progress: &Progress,
    ) -> Result<Vec<Judged>> {
        if self.dev_share.is_some() && self.qrels[Part::Train as usize].is_empty() {
            let message = "expected judgements for training, of which --dev-share takes some, found none; name them \
                           or leave it out";
            return Err(Error::invalid(message));
        }
        let mut all = Vec::new();
        let mut parts: HashMap<u64, Part> = HashMap::new();
        let mut shared = BTreeMap::new();
        for from in Part::ALL {
            let qrels = std::mem::take(&mut self.qrels[from as usize]);
            for query in qrels.queries() {
                let part = match from {
                    Part::Train if self.is_held_out(query) => Part::Dev,
                    part => part,
                };
                let key = xxh3_64(query.as_bytes());
                if let Some(other) = parts.insert(key, part).filter(|other| *other != part) {
                    *shared.entry((other, part)).or_insert(0) += 1;
                }
                let mut grades = Vec::new();
                for (document, grade) in sorted(&qrels, query) {
                    if documents.contains(document) {
                        grades.push((document.to_owned(), grade));
                        continue;
                    }
                    report.leave_out(NO_DOCUMENT, || {
                        self.error(from, query, document, "document", document)
                    })?;
                }
                if !grades.is_empty() {
                    let query = query.to_owned();
                    all.push(Judged {
                        part,
                        query,
                        grades,
                    });
                }
            }
        }
        for ((first, second), count) in shared {
            progress.message(&format!(
                "warning: {} judged for both {} and {}, so that results on the second are not those of new queries",
                match count {
                    1 => "1 query is".to_owned(),
                    count => format!("{} are", counted(count, "query")),
                },
                first.name(),
                second.name()
            ));
        }
        Ok(all)
    }

    /// Leaves out the judgements of a query that is in no input.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`], if the conversion is strict.
    pub fn without_query(&self, judged: &Judged, report: &mut Report) -> Result<()> {
        for (document, _) in &judged.grades {
            report.leave_out(NO_QUERY, || {
                let from = match judged.part {
                    Part::Dev if self.files[Part::Dev as usize].is_empty() => Part::Train,
                    part => part,
                };
                self.error(from, &judged.query, document, "query", &judged.query)
            })?;
        }
        Ok(())
    }

    /// True for a query for training that becomes one of the part `dev`.
    fn is_held_out(&self, query: &str) -> bool {
        let share = self.dev_share.unwrap_or(0);
        xxh3_64(query.as_bytes()) % 100 < share
    }

    /// An error about one judgement, with the file and line that it is on.
    fn error(&self, part: Part, query: &str, document: &str, what: &str, id: &str) -> Error {
        let message = format!(
            "expected the {what} of a judgement among the {}, found the unknown id `{}`",
            match what {
                "query" => "queries",
                _ => "documents",
            },
            excerpt(id, 0)
        );
        let files = &self.files[part as usize];
        let places = files.iter().filter_map(|file| {
            let line = line_of(file, query, document)?;
            Some((file, line))
        });
        let (file, line) = match places.into_iter().next() {
            Some(found) => found,
            None => match files.first() {
                Some(file) => (file, 0),
                None => return Error::invalid(message),
            },
        };
        Error::invalid(message).at_line(file.display().to_string(), line)
    }
}

/// The judgements of a query: the highest grades first, then by id, because a map has no order.
fn sorted<'a>(qrels: &'a Qrels, query: &str) -> Vec<(&'a str, i32)> {
    let grades = qrels.judgments(query).into_iter().flatten();
    let mut grades: Vec<_> = grades.map(|(id, grade)| (id.as_str(), *grade)).collect();
    grades.sort_unstable_by_key(|(id, grade)| (-i64::from(*grade), *id));
    grades
}

/// The line of a file that judges a document for a query; the file is read again, because lines are
/// not kept for what is rarely needed.
fn line_of(file: &Path, query: &str, document: &str) -> Option<u64> {
    let reader = Reader::open(&[file.to_owned()], InputFormat::JsonLines).ok()?;
    for chunk in reader {
        let chunk = chunk.ok()?;
        for (line, row) in input::lines(&chunk) {
            let row = row.ok()?;
            let separators: &[char] = match row.contains('\t') {
                true => &['\t'],
                false => &[' ', '\t'],
            };
            let mut columns = row.split(separators).map(str::trim);
            if columns.next() == Some(query) && columns.any(|column| column == document) {
                return Some(line);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::convert::tests::options;
    use crate::input::OnDuplicate;

    fn judgements(train: &str, test: &str) -> (tempfile::TempDir, Judgements) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let arguments = JudgementArguments {
            train: vec![write("train.tsv", train)],
            test: vec![write("test.qrels", test)],
            ..JudgementArguments::default()
        };
        let judgements = Judgements::read(&arguments).unwrap();
        (folder, judgements)
    }

    fn ids(names: &[&str]) -> Ids {
        let mut ids = Ids::new(OnDuplicate::Skip);
        let file = Arc::from("corpus");
        for name in names {
            ids.add(name, &file, 1).unwrap();
        }
        ids
    }

    #[test]
    fn documents_that_are_not_there_are_left_out_and_named_once() {
        let files = ("1\t0\tb\t1\n1\t0\ta\t2\n", "2 0 a 1\n2 0 x 1\n3 0 y 1\n");
        let (_folder, mut lenient) = judgements(files.0, files.1);
        let progress = Progress::new(None, true);
        let mut report = Report::new(&options(false));
        let judged = lenient.resolve(&ids(&["a", "b"]), &mut report, &progress);
        let judged = judged.unwrap();
        assert_eq!(judged.len(), 2);
        assert_eq!(judged[0].grades, [("a".into(), 2), ("b".into(), 1)]);
        assert_eq!((judged[1].part, &*judged[1].query), (Part::Test, "2"));
        let text = report.to_string();
        assert!(
            text.contains("left out: 2 judgements whose document"),
            "{text}"
        );
        assert!(text.contains("test.qrels:2: "), "{text}");
        let (_folder, mut strict) = judgements(files.0, files.1);
        let mut report = Report::new(&options(true));
        let judged = strict.resolve(&ids(&["a", "b"]), &mut report, &progress);
        let message = judged.unwrap_err().to_string();
        assert!(
            message.contains("test.qrels:2: ") && message.contains("`x`"),
            "{message}"
        );
    }

    #[test]
    fn a_share_of_the_training_queries_is_held_out_and_always_the_same() {
        let train: String = (0..1_000).map(|query| format!("{query} 0 d 1\n")).collect();
        let progress = Progress::new(None, true);
        let parts = || {
            let (_folder, mut judgements) = judgements(&train, "t 0 d 1\n");
            judgements.dev_share = Some(20);
            let mut report = Report::new(&options(false));
            let judged = judgements.resolve(&ids(&["d"]), &mut report, &progress);
            let parts = judged.unwrap().into_iter().map(|judged| judged.part);
            parts.collect::<Vec<_>>()
        };
        let found = parts();
        let held_out = found.iter().filter(|part| **part == Part::Dev).count();
        assert!((150..250).contains(&held_out), "{held_out}");
        assert_eq!(found, parts());
        assert_eq!(found.last(), Some(&Part::Test));
    }
}
