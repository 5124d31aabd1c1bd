//! Parallel texts: pairs of a text and its translation.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::collection::hash_of;
use super::example::{Candidate, Example, Source, Text};
use super::random_file::{Offsets, RandomFile};
use super::texts::{Texts, refuse_compressed};
use super::unknown::UnknownIds;
use crate::error::{Error, Result};
use crate::eval::lines::{Lines, open, quote};

/// Pairs of texts in two languages, as examples: the first text is the query, the second one its
/// relevant document, with target 1. Texts stay on disk.
#[derive(Debug)]
pub struct ParallelTexts {
    pairs: Pairs,
    fingerprint: u64,
}

/// Where pairs come from.
#[derive(Debug)]
enum Pairs {
    /// Two files of texts, with the numbers of the texts of equal ids.
    Files {
        texts: [Arc<Texts>; 2],
        numbers: Vec<[u32; 2]>,
    },
    /// Two columns of one file.
    Columns { file: RandomFile, offsets: Offsets },
}

impl ParallelTexts {
    /// Pairs of the texts that have the same id in two files, such as the corpora of two BEIR
    /// folders. Texts of one file only are left out. With `only`, pairs are limited to these ids; an
    /// id of `only` that one of the two files lacks is left out as well.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the files have no id in common (that is in `only`), and for ids of
    /// `only` that neither file has; [`Error::Io`].
    pub fn of_files(
        first: Arc<Texts>,
        second: Arc<Texts>,
        only: Option<&HashSet<String>>,
    ) -> Result<Self> {
        let mut numbers = Vec::new();
        for number in 0..first.len() {
            let id = first.id(number)?;
            if only.is_none_or(|only| only.contains(&id))
                && let Some(other) = second.find(&id)?
            {
                numbers.push([number, other]);
            }
        }
        let texts = [first, second];
        if let Some(only) = only {
            refuse_unknown(only, &texts)?;
        }
        if numbers.is_empty() {
            return Err(Error::invalid(format!(
                "expected texts with the same ids as those of {}, found none",
                texts[0].path().display()
            ))
            .at_line(texts[1].path().display().to_string(), 0));
        }
        let words = numbers.iter().flatten().map(|&number| u64::from(number));
        let words = texts.iter().map(|texts| texts.fingerprint()).chain(words);
        let fingerprint = hash_of(&words.collect::<Vec<u64>>());
        let pairs = Pairs::Files { texts, numbers };
        Ok(Self { pairs, fingerprint })
    }

    /// Pairs of a file with two columns separated by a tab.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] with file and line for a file without pairs, a
    /// compressed file, a line without exactly two columns, and an empty column.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = RandomFile::open(path.as_ref())?;
        refuse_compressed(&file)?;
        let mut lines = Lines::new(open(path.as_ref())?, &file.name());
        let mut offsets = Offsets::default();
        let mut hash = Xxh3::new();
        while let Some((start, line)) = lines.next_with_offset()? {
            if line.trim().is_empty() {
                continue;
            }
            hash.update(line.as_bytes());
            hash.update(b"\n");
            let checked = columns(line).map(|_| ());
            if let Err(error) = checked.and_then(|()| offsets.push(start)) {
                return Err(lines.place(error));
            }
        }
        if offsets.len() == 0 {
            let error = "expected lines of a text, a tab and its translation, found an empty file";
            return Err(Error::invalid(error).at_line(file.name(), 0));
        }
        offsets.shrink();
        Ok(Self {
            pairs: Pairs::Columns { file, offsets },
            fingerprint: hash.digest(),
        })
    }

    /// The two texts of a pair.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] for a number that is not below the number of pairs
    /// and for a file that changed after it was opened.
    pub fn pair(&self, number: u64) -> Result<[Text; 2]> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        match &self.pairs {
            Pairs::Files { texts, numbers } => match numbers.get(index) {
                Some([first, second]) => Ok([texts[0].text(*first)?, texts[1].text(*second)?]),
                None => Err(self.beyond(number)),
            },
            Pairs::Columns { file, offsets } => {
                let Some(start) = offsets.get(index) else {
                    return Err(self.beyond(number));
                };
                let end = offsets.get(index + 1).unwrap_or(file.len());
                let line = file.line(start, end)?;
                let texts = columns(&line).map_err(|_| file.changed(start))?;
                Ok(texts.map(Text::new))
            }
        }
    }

    fn beyond(&self, number: u64) -> Error {
        Error::invalid(format!(
            "expected the number of one of {} pairs, found {number}",
            self.len()
        ))
    }
}

impl Source for ParallelTexts {
    fn len(&self) -> u64 {
        match &self.pairs {
            Pairs::Files { numbers, .. } => numbers.len() as u64,
            Pairs::Columns { offsets, .. } => offsets.len() as u64,
        }
    }

    fn example(&self, number: u64, _: u64, _: u64) -> Result<Example> {
        let [query, document] = self.pair(number)?;
        Ok(Example {
            query,
            relevant: vec![document.key],
            candidates: vec![Candidate {
                document,
                target: 1.0,
                is_relevant: true,
            }],
        })
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// Refuses ids that neither file has.
fn refuse_unknown(only: &HashSet<String>, texts: &[Arc<Texts>; 2]) -> Result<()> {
    let mut unknown = [UnknownIds::new("text")];
    let mut ids: Vec<&String> = only.iter().collect();
    ids.sort_unstable();
    for id in ids {
        if texts[1].find(id)?.is_none() {
            unknown[0].number(&texts[0], id)?;
        }
    }
    match UnknownIds::error(&unknown, [&texts[0]]) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The two columns of a line.
fn columns(line: &str) -> Result<[&str; 2]> {
    let mut parts = line.split('\t').map(str::trim);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), None) if !first.is_empty() && !second.is_empty() => {
            Ok([first, second])
        }
        _ => Err(Error::invalid(format!(
            "expected two texts with a tab between them, found {}",
            quote(line)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn texts(content: &str) -> Arc<Texts> {
        Arc::new(Texts::open(file(content).1).unwrap())
    }

    fn shown(pairs: &ParallelTexts) -> Vec<String> {
        let one = |number| {
            let example = pairs.example(number, 3, 4).unwrap();
            let [candidate] = &example.candidates[..] else {
                panic!("one candidate");
            };
            assert!(candidate.is_relevant);
            assert_eq!(example.relevant, [candidate.document.key]);
            format!("{} = {}", example.query.text, candidate.document.text)
        };
        (0..pairs.len()).map(one).collect()
    }

    #[test]
    fn texts_with_the_same_ids_are_pairs() {
        let (english, portuguese) = (
            texts("a\tdog\nb\tcat\nc\tbird\n"),
            texts("c\tave\nz\tnada\na\tcachorro\n"),
        );
        let make = |only: Option<&[&str]>| {
            let only = only.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
            let (english, portuguese) = (Arc::clone(&english), Arc::clone(&portuguese));
            ParallelTexts::of_files(english, portuguese, only.as_ref())
        };
        let all = make(None).unwrap();
        assert_eq!(shown(&all), ["dog = cachorro", "bird = ave"]);
        let some = make(Some(&["c", "b", "z"])).unwrap();
        assert_eq!(shown(&some), ["bird = ave"]);
        assert_ne!(all.fingerprint(), some.fingerprint());
        assert!(all.pair(2).is_err());

        let error = make(Some(&["b", "x", "y"])).unwrap_err().to_string();
        assert!(
            error.contains("2 text ids") && error.contains("`x`, `y`"),
            "{error}"
        );
        let error = make(Some(&["b"])).unwrap_err().to_string();
        assert!(error.contains("found none"), "{error}");
    }

    #[test]
    fn two_columns_are_pairs() {
        let pairs = ParallelTexts::open(file("dog\tcachorro\n\n bird \tave\r\n").1).unwrap();
        assert_eq!(shown(&pairs), ["dog = cachorro", "bird = ave"]);
        assert!(pairs.pair(2).is_err());
    }

    #[test]
    fn wrong_lines_are_named() {
        for (content, expected) in [
            ("", "pairs.tsv: expected lines of a text"),
            ("a\tb\nc\n", "pairs.tsv:2: expected two texts"),
            ("a\tb\tc\n", "pairs.tsv:1: expected two texts"),
            ("a\t \n", "pairs.tsv:1: expected two texts"),
        ] {
            let message = ParallelTexts::open(file(content).1)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
