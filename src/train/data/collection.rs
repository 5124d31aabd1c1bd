//! Collections in BEIR's layout as training data, with negatives from rankings.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::example::{Candidate, Example, Source, Text};
use super::permutation::mix;
use crate::error::{Error, Result};
use crate::eval::{BeirFolder, Qrels, Run};
use crate::{Document, Index, Query, Schema, Text as TextField};

const FIELD: &str = "text";
/// Ids that an error quotes.
const QUOTED: usize = 3;

/// Documents or queries with their ids, in memory.
#[derive(Clone, Debug, Default)]
pub struct NamedTexts {
    /// The ids.
    pub ids: Vec<String>,
    /// The texts.
    pub texts: Vec<Text>,
    numbers: HashMap<String, usize>,
}

impl NamedTexts {
    /// Adds a text.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for an id that is there already.
    pub fn add(&mut self, id: String, text: String) -> Result<()> {
        let number = self.ids.len();
        if self.numbers.insert(id.clone(), number).is_some() {
            return Err(Error::invalid(format!(
                "expected ids that differ, found `{id}` twice"
            )));
        }
        self.ids.push(id);
        self.texts.push(Text::new(text));
        Ok(())
    }

    /// The number of an id.
    pub fn number(&self, id: &str) -> Option<usize> {
        self.numbers.get(id).copied()
    }

    /// Reads JSON lines with `_id`, `title` and `text`; a title comes before its text.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for what is no such object, an id that comes twice,
    /// and a file without lines; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
        let mut read = Self::default();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|source| Error::io(path, "read", source))?;
            if line.trim().is_empty() {
                continue;
            }
            let at = |error: Error| error.at_line(name.clone(), number as u64 + 1);
            let (id, text) = parsed(&line).map_err(at)?;
            read.add(id, text).map_err(at)?;
        }
        if read.ids.is_empty() {
            return Err(Error::invalid("expected texts, found none").at_line(name, 0));
        }
        Ok(read)
    }
}

/// The id and the text of a JSON object; a title comes before its text.
pub(super) fn parsed(line: &str) -> Result<(String, String)> {
    let wrong = |found: &str| {
        Error::invalid(format!(
            "expected a JSON object with `_id` and `text`, found {found}"
        ))
    };
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|error| wrong(&format!("no JSON: {error}")))?;
    let id = match &value["_id"] {
        serde_json::Value::String(id) => id.clone(),
        serde_json::Value::Number(id) => id.to_string(),
        _ => return Err(wrong("no `_id`")),
    };
    let text = value["text"].as_str().ok_or_else(|| wrong("no `text`"))?;
    let title = value["title"].as_str().unwrap_or_default();
    let joined = match title.is_empty() {
        true => text.to_owned(),
        false => format!("{title} {text}"),
    };
    Ok((id, joined))
}

/// Which documents of a ranking are negatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NegativeRanks {
    /// Negatives of an example.
    pub count: usize,
    /// From this rank on, from 1.
    pub from: usize,
    /// To this rank.
    pub to: usize,
    /// Leaves out those whose teacher's score is above that of the relevant document minus this.
    pub margin: Option<f64>,
}

/// A query with its judged documents and its negatives, by number.
#[derive(Clone, Debug, Default)]
struct Judged {
    query: usize,
    relevant: Vec<(usize, i32)>,
    negatives: Vec<usize>,
}

/// The training queries of a collection.
pub struct CollectionSource {
    queries: NamedTexts,
    documents: NamedTexts,
    examples: Vec<Judged>,
    count: usize,
    /// A teacher's score of a query and a document.
    teacher: HashMap<(usize, usize), f64>,
    fingerprint: u64,
}

impl CollectionSource {
    /// The queries of a split of a collection, for the time being without negatives.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with file and line for files that are wrong, for judgements of queries
    /// or documents that are not there, and without a relevant document; [`Error::Io`].
    pub fn open(folder: &Path, split: &str) -> Result<Self> {
        let beir = BeirFolder::open(folder)?;
        let qrels = beir.qrels(split)?;
        let documents = NamedTexts::read(&beir.corpus_path())?;
        let queries = NamedTexts::read(&folder.join("queries.jsonl"))?;
        Self::new(queries, documents, &qrels)
    }

    /// The same of what is in memory.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for judgements of what is not there, and without a relevant document.
    pub fn new(queries: NamedTexts, documents: NamedTexts, qrels: &Qrels) -> Result<Self> {
        let mut examples = Vec::new();
        let (mut missing, mut count) = (Vec::new(), 0usize);
        let mut hash = Xxh3::new();
        for id in qrels.queries() {
            let mut judged = Judged::default();
            let judgments = qrels.judgments(id).into_iter().flatten();
            let mut relevant: Vec<(&String, &i32)> =
                judgments.filter(|(_, grade)| **grade > 0).collect();
            relevant.sort();
            for (document, grade) in relevant {
                match documents.number(document) {
                    Some(number) => judged.relevant.push((number, *grade)),
                    None => {
                        count += 1;
                        missing.push(document.clone());
                    }
                }
            }
            match queries.number(id) {
                Some(number) => judged.query = number,
                None => {
                    count += 1;
                    missing.push(id.to_owned());
                    continue;
                }
            }
            if !judged.relevant.is_empty() {
                hash.update(&(judged.query as u64).to_le_bytes());
                hash.update(&queries.texts[judged.query].key.to_le_bytes());
                for (number, grade) in &judged.relevant {
                    hash.update(&documents.texts[*number].key.to_le_bytes());
                    hash.update(&grade.to_le_bytes());
                }
                examples.push(judged);
            }
        }
        if count > 0 {
            missing.truncate(QUOTED);
            return Err(Error::invalid(format!(
                "expected judgements of queries and documents that are there, found {count} of others, such as {}",
                missing.join(", ")
            )));
        }
        if examples.is_empty() {
            return Err(Error::invalid(
                "expected judgements with a relevant document, found none",
            ));
        }
        Ok(Self {
            queries,
            documents,
            examples,
            count: 0,
            teacher: HashMap::new(),
            fingerprint: hash.digest(),
        })
    }

    /// All documents.
    pub fn documents(&self) -> &NamedTexts {
        &self.documents
    }

    /// All queries, of every split.
    pub fn queries(&self) -> &NamedTexts {
        &self.queries
    }

    /// Takes targets, and the margin of negatives, from a teacher's run.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the run scores no document of the training queries.
    pub fn with_teacher(mut self, run: &Run) -> Result<Self> {
        for judged in &self.examples {
            for scored in run.results(&self.queries.ids[judged.query]).unwrap_or(&[]) {
                if let Some(document) = self.documents.number(&scored.document) {
                    self.teacher.insert((judged.query, document), scored.score);
                }
            }
        }
        if self.teacher.is_empty() {
            return Err(Error::invalid(
                "the teacher's run: expected scores of documents for training queries, found none",
            ));
        }
        Ok(self)
    }

    /// Takes negatives from a run.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the run has no other document for any training query.
    pub fn with_run(mut self, run: &Run, ranks: NegativeRanks) -> Result<Self> {
        let mut examples = std::mem::take(&mut self.examples);
        for judged in &mut examples {
            let ranked = run.ranked(&self.queries.ids[judged.query]);
            let numbers = ranked
                .iter()
                .filter_map(|scored| self.documents.number(&scored.document));
            judged.negatives = self.chosen(judged, numbers, ranks);
        }
        self.examples = examples;
        self.with_count(ranks.count)
    }

    /// Mines negatives with BM25: the documents of some ranks for each query that are not relevant,
    /// nor of the text of one that is. `is_cancelled` ends it.
    ///
    /// # Errors
    ///
    /// Those of indexing; [`Error::InvalidInput`] when no query finds another document.
    pub fn with_bm25(
        mut self,
        analyzer: &str,
        ranks: NegativeRanks,
        check: impl Fn() -> Result<()>,
    ) -> Result<Self> {
        let field = TextField::new().analyzer(analyzer);
        let index = Index::in_memory(Schema::builder().text(FIELD, field).build()?)?;
        let mut writer = index.writer()?;
        for (number, text) in self.documents.texts.iter().enumerate() {
            writer.add(Document::new(number.to_string()).with_text(FIELD, &*text.text))?;
        }
        writer.commit()?;
        let snapshot = index.snapshot()?;
        let mut examples = std::mem::take(&mut self.examples);
        for (place, judged) in examples.iter_mut().enumerate() {
            if place % 256 == 0 {
                check()?;
            }
            let query = Query::text(FIELD, &*self.queries.texts[judged.query].text);
            // Some of the hits are relevant.
            let hits = snapshot.search(&query, ranks.to + judged.relevant.len())?;
            let ids = hits.ids()?;
            let numbers = ids.iter().filter_map(|id| id.parse().ok());
            judged.negatives = self.chosen(judged, numbers, ranks);
        }
        self.examples = examples;
        self.with_count(ranks.count)
    }

    fn with_count(mut self, count: usize) -> Result<Self> {
        if count > 0
            && self
                .examples
                .iter()
                .all(|judged| judged.negatives.is_empty())
        {
            return Err(Error::invalid(
                "negatives: expected documents other than the relevant ones in the rankings, found none",
            ));
        }
        self.count = count;
        let mut hash = Xxh3::with_seed(self.fingerprint);
        hash.update(&(count as u64).to_le_bytes());
        for judged in &self.examples {
            for number in &judged.negatives {
                hash.update(&(*number as u64).to_le_bytes());
            }
        }
        self.fingerprint = hash.digest();
        Ok(self)
    }

    /// The negatives of a ranking.
    fn chosen(
        &self,
        judged: &Judged,
        ranking: impl Iterator<Item = usize>,
        ranks: NegativeRanks,
    ) -> Vec<usize> {
        let key = |number: usize| self.documents.texts[number].key;
        let relevant: Vec<u128> = judged.relevant.iter().map(|(n, _)| key(*n)).collect();
        let score = |number: usize| self.teacher.get(&(judged.query, number)).copied();
        let of_relevant = judged.relevant.iter().filter_map(|(n, _)| score(*n));
        let lowest = of_relevant.fold(f64::INFINITY, f64::min);
        let is_below = |number: &usize| match (ranks.margin, score(*number)) {
            (Some(margin), Some(score)) if lowest.is_finite() => score <= lowest - margin,
            _ => true,
        };
        ranking
            .filter(|number| !relevant.contains(&key(*number)))
            .take(ranks.to)
            .skip(ranks.from - 1)
            .filter(is_below)
            .collect()
    }

    fn candidate(&self, query: usize, number: usize, grade: i32) -> Candidate {
        let score = self.teacher.get(&(query, number)).copied();
        Candidate {
            document: self.documents.texts[number].clone(),
            target: score.unwrap_or(f64::from(grade)),
            is_relevant: grade > 0,
        }
    }
}

impl Source for CollectionSource {
    fn len(&self) -> u64 {
        self.examples.len() as u64
    }

    fn example(&self, number: u64, epoch: u64, seed: u64) -> Result<Example> {
        let place = usize::try_from(number).ok();
        let judged = place
            .and_then(|place| self.examples.get(place))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "expected an example below {}, found {number}",
                    self.examples.len()
                ))
            })?;
        let mut state = mix(seed ^ mix(number) ^ mix(epoch.wrapping_mul(0x2545_f491_4f6c_dd1d)));
        let mut draw = |count: usize| {
            state = mix(state);
            (state % count.max(1) as u64) as usize
        };
        let (relevant, grade) = judged.relevant[draw(judged.relevant.len())];
        let mut candidates = vec![self.candidate(judged.query, relevant, grade)];
        let mut rest = judged.negatives.clone();
        while candidates.len() <= self.count && !rest.is_empty() {
            let negative = rest.swap_remove(draw(rest.len()));
            candidates.push(self.candidate(judged.query, negative, 0));
        }
        let mut keys: Vec<u128> = judged
            .relevant
            .iter()
            .map(|(number, _)| self.documents.texts[*number].key)
            .collect();
        keys.sort_unstable();
        Ok(Example {
            query: self.queries.texts[judged.query].clone(),
            candidates,
            relevant: keys,
        })
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::ScoredDocument;

    fn texts(all: &[(&str, &str)]) -> NamedTexts {
        let mut named = NamedTexts::default();
        for (id, text) in all {
            named.add((*id).to_owned(), (*text).to_owned()).unwrap();
        }
        named
    }

    fn source() -> CollectionSource {
        let queries = texts(&[("q", "lava volcano"), ("other", "honey")]);
        let documents = texts(&[
            ("a", "lava flows from the volcano"),
            ("b", "the volcano is quiet"),
            ("copy", "lava flows from the volcano"),
            ("c", "lava lamps"),
            ("d", "bees make honey"),
        ]);
        let mut qrels = Qrels::new();
        qrels.insert("q", "a", 2).unwrap();
        qrels.insert("q", "c", 0).unwrap();
        CollectionSource::new(queries, documents, &qrels).unwrap()
    }

    const RANKS: NegativeRanks = NegativeRanks {
        count: 2,
        from: 1,
        to: 10,
        margin: None,
    };

    #[test]
    fn negatives_are_mined_but_for_copies_of_relevant_documents() {
        let source = source().with_bm25("english", RANKS, || Ok(())).unwrap();
        assert_eq!(source.len(), 1);
        let example = source.example(0, 0, 1).unwrap();
        let of = |candidate: &Candidate| candidate.document.text.to_string();
        assert_eq!(example.candidates.len(), 3);
        assert!(example.candidates[0].is_relevant && example.candidates[0].target == 2.0);
        let mut negatives: Vec<String> = example.candidates[1..].iter().map(of).collect();
        negatives.sort();
        assert_eq!(negatives, ["lava lamps", "the volcano is quiet"]);
        assert_eq!(example, source.example(0, 0, 1).unwrap());
        assert!(source.example(1, 0, 1).is_err());
    }

    #[test]
    fn a_teacher_gives_targets_and_leaves_out_what_may_be_relevant() {
        let mut run = Run::new();
        let scored = |document: &str, score| ScoredDocument {
            document: document.to_owned(),
            score,
        };
        let results = vec![scored("b", 4.5), scored("a", 5.0), scored("d", 1.0)];
        run.insert("q", results).unwrap();
        let ranks = NegativeRanks {
            margin: Some(1.0),
            ..RANKS
        };
        let source = source().with_teacher(&run).unwrap();
        let source = source.with_run(&run, ranks).unwrap();
        let example = source.example(0, 0, 1).unwrap();
        let targets: Vec<f64> = example.candidates.iter().map(|each| each.target).collect();
        assert_eq!(targets, [5.0, 1.0]);
        // Other negatives are other data.
        assert_ne!(
            source.fingerprint(),
            self::source().with_run(&run, RANKS).unwrap().fingerprint()
        );
    }

    #[test]
    fn judgements_of_what_is_not_there_are_named() {
        let queries = texts(&[("q", "lava")]);
        let documents = texts(&[("a", "lava")]);
        let refused = |query: &str, document: &str| {
            let mut qrels = Qrels::new();
            qrels.insert(query, document, 1).unwrap();
            let found = CollectionSource::new(queries.clone(), documents.clone(), &qrels);
            found.err().unwrap().to_string()
        };
        assert!(refused("q", "nowhere").contains("nowhere"));
        assert!(refused("nobody", "a").contains("nobody"));
        let mut qrels = Qrels::new();
        qrels.insert("q", "a", 0).unwrap();
        assert!(CollectionSource::new(queries, documents, &qrels).is_err());
    }

    #[test]
    fn files_are_read_and_what_is_wrong_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.jsonl");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            NamedTexts::read(&path)
        };
        let good = read(
            "{\"_id\": \"a\", \"title\": \"T\", \"text\": \"x\"}\n\n{\"_id\": 7, \"text\": \"y\"}\n",
        );
        let good = good.unwrap();
        assert_eq!(good.ids, ["a", "7"]);
        assert_eq!(&*good.texts[0].text, "T x");
        for (text, named) in [
            (
                "{\"_id\": \"a\", \"text\": \"x\"}\nnot json\n",
                "corpus.jsonl:2",
            ),
            ("{\"text\": \"x\"}\n", "_id"),
            ("{\"_id\": \"a\"}\n", "text"),
            (
                "{\"_id\": \"a\", \"text\": \"\"}\n{\"_id\": \"a\", \"text\": \"\"}\n",
                "twice",
            ),
            ("\n", "none"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
        assert!(NamedTexts::read(&folder.path().join("missing")).is_err());
    }
}
