//! Triplets from a file: a query, a relevant document and others, as texts or as ids.

use std::path::Path;

use serde_json::Value;

use super::example::{Candidate, Example, Source, Text};
use super::line_index::LineIndex;
use super::texts::Texts;
use crate::error::{Error, Result};

/// Wrong ids that an error quotes.
const QUOTED: usize = 3;

/// What the columns of a line are.
enum Columns {
    /// The texts themselves.
    Texts,
    /// Ids of these queries and documents.
    Ids { queries: Texts, documents: Texts },
}

/// A file of triplets, of any size: its lines stay on disk.
///
/// A line has a query, a relevant document and one or several negatives: separated by tabs, or as a
/// JSON array, or as a JSON object with `query` (or `qid`), `pos` and `neg`, of which `pos` and `neg`
/// may be arrays.
pub struct TripletSource {
    lines: LineIndex,
    columns: Columns,
}

impl TripletSource {
    /// Triplets of texts, such as MS MARCO's `triples.train.small.tsv`. `scratch` keeps an index of
    /// the lines.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for a line of fewer than three columns;
    /// [`Error::Io`].
    pub fn of_texts(path: &Path, scratch: &Path) -> Result<Self> {
        let lines = LineIndex::open(path, scratch, |_, line| parse(line).map(|_| ()))?;
        Ok(Self {
            lines,
            columns: Columns::Texts,
        })
    }

    /// Triplets of ids, such as MS MARCO's `qidpidtriples.train.full.2.tsv`.
    ///
    /// # Errors
    ///
    /// As [`of_texts`](Self::of_texts), those of the files of texts, and for ids that no text has.
    pub fn of_ids(path: &Path, queries: &Path, documents: &Path, scratch: &Path) -> Result<Self> {
        let (queries, documents) = (Texts::open(queries)?, Texts::open(documents)?);
        let (mut missing, mut count) = (Vec::new(), 0u64);
        let lines = LineIndex::open(path, scratch, |_, line| {
            let triplet = parse(line)?;
            let ids = triplet.positives.iter().chain(&triplet.negatives);
            let of_documents = ids
                .filter(|id| !documents.has(id))
                .map(|id| (id, &documents));
            let of_query = (!queries.has(&triplet.query)).then_some((&triplet.query, &queries));
            for (id, texts) in of_query.into_iter().chain(of_documents) {
                count += 1;
                if missing.len() < QUOTED {
                    missing.push(format!("`{id}` ({})", texts.path().display()));
                }
            }
            Ok(())
        })?;
        if count > 0 {
            return Err(Error::invalid(format!(
                "expected ids of texts that are there, found {count} of others, such as {}",
                missing.join(", ")
            ))
            .at_line(path.display().to_string(), 0));
        }
        Ok(Self {
            lines,
            columns: Columns::Ids { queries, documents },
        })
    }
}

impl Source for TripletSource {
    fn len(&self) -> u64 {
        self.lines.len()
    }

    /// Of several relevant documents, each epoch has another.
    fn example(&self, number: u64, epoch: u64, _seed: u64) -> Result<Example> {
        let at = |error: Error| error.at_line(self.lines.path().display().to_string(), number + 1);
        let triplet = parse(&self.lines.line(number)?).map_err(at)?;
        let query = |written: String| match &self.columns {
            Columns::Texts => Ok(Text::new(written)),
            Columns::Ids { queries, .. } => queries.text(&written).map(Text::new),
        };
        let document = |written: &String| match &self.columns {
            Columns::Texts => Ok(Text::new(written.as_str())),
            Columns::Ids { documents, .. } => documents.text(written).map(Text::new),
        };
        let relevant = triplet.positives.iter().map(document);
        let relevant = relevant.collect::<Result<Vec<Text>>>()?;
        let chosen = (epoch % relevant.len() as u64) as usize;
        let mut candidates = vec![Candidate {
            document: relevant[chosen].clone(),
            target: 1.0,
            is_relevant: true,
        }];
        for written in &triplet.negatives {
            candidates.push(Candidate {
                document: document(written)?,
                target: 0.0,
                is_relevant: false,
            });
        }
        let mut keys: Vec<u128> = relevant.iter().map(|text| text.key).collect();
        keys.sort_unstable();
        Ok(Example {
            query: query(triplet.query)?,
            candidates,
            relevant: keys,
        })
    }

    fn fingerprint(&self) -> u64 {
        self.lines.fingerprint()
    }
}

/// The columns of a line.
#[derive(Debug, PartialEq)]
struct Triplet {
    query: String,
    positives: Vec<String>,
    negatives: Vec<String>,
}

fn parse(line: &[u8]) -> Result<Triplet> {
    let line = std::str::from_utf8(line)
        .map_err(|error| Error::invalid(format!("expected UTF-8, found {error}")))?;
    let triplet = match line.as_bytes().first() {
        Some(b'[' | b'{') => of_json(line),
        _ => {
            let mut columns = line.split('\t').map(str::to_owned);
            let (query, positive) = (columns.next(), columns.next());
            query.zip(positive).map(|(query, positive)| Triplet {
                query,
                positives: vec![positive],
                negatives: columns.collect(),
            })
        }
    };
    let is_whole = |triplet: &Triplet| {
        let documents = triplet.positives.iter().chain(&triplet.negatives);
        !triplet.positives.is_empty()
            && !triplet.negatives.is_empty()
            && documents
                .chain([&triplet.query])
                .all(|column| !column.trim().is_empty())
    };
    triplet.filter(is_whole).ok_or_else(|| {
        Error::invalid(
            "expected a query, a relevant document and at least one other, separated by tabs or in JSON, found fewer or empty columns",
        )
    })
}

fn of_json(line: &str) -> Option<Triplet> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let texts = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect::<Option<Vec<_>>>(),
        value => text(value).map(|text| vec![text]),
    };
    match &value {
        Value::Array(columns) => {
            let mut columns = columns.iter().map(text).collect::<Option<Vec<_>>>()?;
            if columns.len() < 2 {
                return None;
            }
            let negatives = columns.split_off(2);
            let positives = columns.split_off(1);
            Some(Triplet {
                query: columns.pop()?,
                positives,
                negatives,
            })
        }
        Value::Object(keys) => {
            let of = |names: [&str; 3]| names.into_iter().find_map(|name| keys.get(name));
            Some(Triplet {
                query: text(of(["query", "qid", "anchor"])?)?,
                positives: texts(of(["pos", "positive", "positives"])?)?,
                negatives: texts(of(["neg", "negative", "negatives"])?)?,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts_of(example: &Example) -> Vec<&str> {
        let documents = example.candidates.iter().map(|each| &*each.document.text);
        std::iter::once(&*example.query.text)
            .chain(documents)
            .collect()
    }

    #[test]
    fn texts_are_read_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triples");
        let lines = "q\tp\tn\tm\n[\"q\", \"p\", \"n\", \"m\"]\n\
                     {\"query\": \"q\", \"pos\": [\"p\", \"r\"], \"neg\": [\"n\", \"m\"]}\n";
        std::fs::write(&path, lines).unwrap();
        let source = TripletSource::of_texts(&path, folder.path()).unwrap();
        assert_eq!(source.len(), 3);
        for number in 0..3 {
            let example = source.example(number, 0, 1).unwrap();
            assert_eq!(texts_of(&example), ["q", "p", "n", "m"]);
            assert!(example.candidates[0].is_relevant && !example.candidates[1].is_relevant);
        }
        let next = source.example(2, 1, 1).unwrap();
        assert_eq!(texts_of(&next)[1], "r");
        assert_eq!(next.relevant.len(), 2);
    }

    #[test]
    fn ids_are_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let documents = file("documents", "1\tlava\n2\tbees\n3\tsea\n");
        let queries = file("queries", "7\tvolcano\n");
        let open = |triplets: &str| {
            let path = file("triplets", triplets);
            TripletSource::of_ids(&path, &queries, &documents, folder.path())
        };
        let source = open("7\t1\t2\n{\"qid\": 7, \"pos\": 1, \"neg\": [3, 2]}\n").unwrap();
        assert_eq!(
            texts_of(&source.example(0, 0, 1).unwrap()),
            ["volcano", "lava", "bees"]
        );
        assert_eq!(
            texts_of(&source.example(1, 5, 1).unwrap()),
            ["volcano", "lava", "sea", "bees"]
        );
        let error = open("7\t1\t2\n8\t9\t2\n").err().unwrap().to_string();
        assert!(
            error.contains("found 2") && error.contains("`8`"),
            "{error}"
        );
    }

    #[test]
    fn lines_of_too_few_columns_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triples");
        for line in [
            "q\tp",
            "q\t\tn",
            "[\"q\"]",
            "{\"query\": \"q\"}",
            "{",
            "[1, [2], 3]",
        ] {
            std::fs::write(&path, format!("q\tp\tn\n{line}\n")).unwrap();
            let error = TripletSource::of_texts(&path, folder.path());
            let error = error.err().unwrap().to_string();
            assert!(error.contains("triples:2"), "{line}: {error}");
        }
    }
}
