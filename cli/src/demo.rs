//! `esparsa demo`: the built-in collection, indexed, searched and measured.

mod models;
mod training;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::eval::{
    self, EvaluateOptions, Metric, Qrels, Report, Run, ScoredDocument, TopicPart, evaluate,
    read_queries,
};
use esparsa::{Document, Error, Hit, Hits, Index, Query, Result, Schema, Snapshot, Text};

use self::models::{DemoArguments, DemoModels};
use self::training::Trained;
use crate::input::{Chunk, Record, RecordFormat, parse};
use crate::output;
use crate::search::hits::hit_lines;
use crate::search::terminal::{Style, TextTable};

const CORPUS: &str = include_str!("../demo/corpus.jsonl");
const QUERIES: &str = include_str!("../demo/queries.jsonl");
const QRELS: &str = include_str!("../demo/qrels/test.tsv");

/// Names of the fields, as in indexes made by `esparsa index`.
const TEXT_FIELD: &str = "text";
const STORED_FIELD: &str = "source";
const SPARSE_FIELD: &str = "sparse";
const DENSE_FIELD: &str = "dense";

const METRICS: &str = "ndcg@10,mrr@10,recall@10";
/// Results evaluated for each query: as many as the metrics look at.
const K: usize = 10;
/// Results shown for a sample query.
const HITS_SHOWN: usize = 3;

/// A language of the collection. Ids begin with its code: `en-01`, `q-en-01`.
struct Language {
    code: &'static str,
    name: &'static str,
    /// Ids of the queries shown.
    samples: [&'static str; 2],
}

const LANGUAGES: [Language; 3] = [
    Language {
        code: "en",
        name: "English",
        samples: ["q-en-03", "q-en-05"],
    },
    Language {
        code: "pt",
        name: "Portuguese",
        samples: ["q-pt-01", "q-pt-02"],
    },
    Language {
        code: "ko",
        name: "Korean",
        samples: ["q-ko-01", "q-ko-02"],
    },
];

/// Index and search a small built-in collection.
#[derive(clap::Args, Debug)]
pub struct Demo {
    /// Keep the three indexes, as `en`, `pt` and `ko` in this folder; without it they live in
    /// memory.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Train no models; by default a tiny SPLADE and a tiny cross-encoder are trained from random
    /// weights, in less than a minute, unless models are given.
    #[arg(long)]
    no_training: bool,
    #[command(flatten)]
    models: DemoArguments,
}

/// The results of one language.
struct Searched<'a> {
    language: &'a Language,
    passages: usize,
    snapshot: Snapshot,
    queries: Vec<eval::Query>,
    run: Run,
    /// The runs of searches with models, each with its name.
    by_models: Vec<(String, Run)>,
    qrels: Qrels,
}

/// Seconds that parts of the work took.
#[derive(Default)]
struct Times {
    indexing: f64,
    searching: f64,
}

impl Demo {
    /// Indexes, searches, measures, and prints.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::InvalidInput`] when the indexes cannot be kept where they should.
    pub fn run(self) -> Result<()> {
        if let Some(folder) = &self.keep {
            check_kept(folder)?;
        }
        let records = records()?;
        let queries = read_queries(QUERIES.as_bytes(), "queries.jsonl", TopicPart::default())?;
        let qrels = Qrels::read(QRELS.as_bytes(), "qrels/test.tsv")?;
        let trained = match self.no_training || !self.models.is_empty() {
            true => None,
            false => Some(Trained::on(&records)?),
        };
        let models = match &trained {
            Some(trained) => DemoModels::open(&trained.models(), &records)?,
            None => DemoModels::open(self.models.folders(), &records)?,
        };
        let mut times = Times::default();
        let mut searched = Vec::new();
        for language in &LANGUAGES {
            let keep = self.keep.as_deref();
            let snapshot = language.index_passages(&records, keep, &models, &mut times)?;
            searched.push(language.search(snapshot, &queries, &qrels, &models, &mut times)?);
        }
        let style = Style::detect();
        let mut text = format!(
            "{}: {} short passages in three languages, an index for each, searched with BM25.\n",
            style.heading("esparsa"),
            records.len()
        );
        for language in &searched {
            language.show(style, &mut text)?;
        }
        text += &metrics_table(&searched, style)?;
        text += &metrics_table_of_models(&searched, style)?;
        if let Some(trained) = &trained {
            let _ = writeln!(text, "{}", style.dim(trained.report.trim_end()));
        }
        text += &closing(&times, self.keep.as_deref(), style);
        output::print(text.trim_end())
    }
}

/// Refuses, before anything is trained, a folder in which indexes cannot be kept.
fn check_kept(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::invalid(format!(
            "{}: expected a folder, found a file",
            folder.display()
        )));
    }
    for language in &LANGUAGES {
        let path = folder.join(language.code);
        if Index::exists(&path)? {
            return Err(Error::invalid(format!(
                "{} already holds an index; choose another folder",
                path.display()
            )));
        }
    }
    Ok(())
}

/// All passages of the collection.
fn records() -> Result<Vec<Record>> {
    let chunk = Chunk {
        file: "corpus.jsonl".into(),
        first_line: 1,
        format: RecordFormat::JsonLines,
        bytes: CORPUS.into(),
    };
    let mut records = Vec::new();
    parse(&chunk, &mut |record| records.push(record));
    records.into_iter().collect()
}

impl Language {
    fn has_document(&self, id: &str) -> bool {
        id.strip_prefix(self.code)
            .is_some_and(|rest| rest.starts_with('-'))
    }

    fn has_query(&self, id: &str) -> bool {
        id.strip_prefix("q-")
            .is_some_and(|id| self.has_document(id))
    }

    /// Indexes the passages of the language.
    fn index_passages(
        &self,
        records: &[Record],
        keep: Option<&Path>,
        models: &DemoModels,
        times: &mut Times,
    ) -> Result<Snapshot> {
        let started = Instant::now();
        let passages = records
            .iter()
            .filter(|record| self.has_document(&record.id));
        let snapshot = self.index(passages, keep, models)?;
        times.indexing += started.elapsed().as_secs_f64();
        Ok(snapshot)
    }

    /// Searches with the queries of the language.
    fn search(
        &self,
        snapshot: Snapshot,
        queries: &[eval::Query],
        qrels: &Qrels,
        models: &DemoModels,
        times: &mut Times,
    ) -> Result<Searched<'_>> {
        let queries = queries.iter().filter(|query| self.has_query(&query.id));
        let queries: Vec<eval::Query> = queries.cloned().collect();
        let started = Instant::now();
        let run = run_of(&snapshot, &queries, K, |number| {
            text_query(&queries[number])
        })?;
        times.searching += started.elapsed().as_secs_f64();
        Ok(Searched {
            language: self,
            passages: snapshot.documents() as usize,
            by_models: models.runs(&snapshot, &queries)?,
            snapshot,
            queries,
            run,
            qrels: self.restrict(qrels)?,
        })
    }

    fn index<'a>(
        &self,
        passages: impl Iterator<Item = &'a Record>,
        keep: Option<&Path>,
        models: &DemoModels,
    ) -> Result<Snapshot> {
        let schema = Schema::builder()
            .text(TEXT_FIELD, Text::new().analyzer(self.code))
            .stored(STORED_FIELD);
        let schema = models.add_to(schema).build()?;
        let index = match keep {
            Some(folder) => Index::create(folder.join(self.code), schema)?,
            None => Index::in_memory(schema)?,
        };
        let mut writer = index.writer()?;
        for record in passages {
            let document = Document::new(&record.id).with_text(TEXT_FIELD, record.contents());
            let document = document.with_stored(STORED_FIELD, record.source.clone());
            writer.add(models.with_vectors(&record.id, document))?;
        }
        writer.commit()?;
        index.snapshot()
    }

    /// The judgements about passages of this language; those in other languages are in other
    /// indexes.
    fn restrict(&self, qrels: &Qrels) -> Result<Qrels> {
        let mut restricted = Qrels::new();
        for query in qrels.queries().filter(|query| self.has_query(query)) {
            for (document, grade) in qrels.judgments(query).into_iter().flatten() {
                if self.has_document(document) {
                    restricted.insert(query, document, *grade)?;
                }
            }
        }
        Ok(restricted)
    }
}

/// The first `k` results of each query; `make` returns the library's query for a position in
/// `queries`.
fn run_of(
    snapshot: &Snapshot,
    queries: &[eval::Query],
    k: usize,
    make: impl Fn(usize) -> Query,
) -> Result<Run> {
    let mut run = Run::new();
    for (number, query) in queries.iter().enumerate() {
        run.insert(&query.id, scored(&snapshot.search(&make(number), k)?)?)?;
    }
    Ok(run)
}

fn scored(hits: &Hits) -> Result<Vec<ScoredDocument>> {
    let document = |hit: Hit<'_>| {
        Ok(ScoredDocument {
            document: hit.id()?,
            score: hit.score.into(),
        })
    };
    hits.iter().map(document).collect()
}

/// The BM25 query for the text of a query.
fn text_query(query: &eval::Query) -> Query {
    Query::text(TEXT_FIELD, query.text.as_deref().unwrap_or_default())
}

impl Searched<'_> {
    /// Adds the sample queries with their first results.
    fn show(&self, style: Style, text: &mut String) -> Result<()> {
        let _ = write!(text, "\n{}\n", style.heading(self.language.name));
        for id in self.language.samples {
            let Some(query) = self.queries.iter().find(|query| query.id == id) else {
                return Err(Error::invalid(format!(
                    "the collection has no query `{id}`"
                )));
            };
            let hits = self.snapshot.search(&text_query(query), HITS_SHOWN)?;
            let query_text = query.text.as_deref().unwrap_or_default();
            let _ = writeln!(text, "  > {}", style.heading(query_text));
            for line in hit_lines(
                &self.snapshot,
                &text_query(query),
                &hits,
                None,
                (4, 0),
                style,
            )? {
                let _ = writeln!(text, "{line}");
            }
        }
        Ok(())
    }
}

/// The table of metrics, for each language and for all.
fn metrics_table(searched: &[Searched<'_>], style: Style) -> Result<String> {
    let metrics = Metric::parse_list(METRICS)?;
    let names = metrics.iter().map(Metric::to_string);
    let headers = ["language", "passages", "queries"].map(str::to_owned);
    let mut figures = TextTable::new(headers.into_iter().chain(names));
    let mut passages = 0;
    for one in searched {
        let report = evaluate(&one.qrels, &one.run, &metrics, EvaluateOptions::default())?;
        push(&mut figures, one.language.name, one.passages, &report);
        passages += one.passages;
    }
    let run = joined(searched.iter().map(|one| &one.run))?;
    let qrels = joined_qrels(searched)?;
    let report = evaluate(&qrels, &run, &metrics, EvaluateOptions::default())?;
    push(&mut figures, "all", passages, &report);
    Ok(format!(
        "\n{}\n{figures}\n{}\n",
        style.heading("How good are the rankings?"),
        style.dim(
            "Judged by cli/demo/qrels/test.tsv, of which each language takes the rows about its own passages.\n\
             Many queries say it in other words than the passages: hard for BM25, which matches words."
        )
    ))
}

/// The table of metrics for each kind of search with models, over all languages; empty without
/// models.
fn metrics_table_of_models(searched: &[Searched<'_>], style: Style) -> Result<String> {
    let ways = searched.first().map_or(0, |one| one.by_models.len());
    if ways == 0 {
        return Ok(String::new());
    }
    let metrics = Metric::parse_list(METRICS)?;
    let names = metrics.iter().map(Metric::to_string);
    let mut figures = TextTable::new(std::iter::once("all languages".to_owned()).chain(names));
    let qrels = joined_qrels(searched)?;
    for way in 0..ways {
        let run = joined(searched.iter().map(|one| &one.by_models[way].1))?;
        let report = evaluate(&qrels, &run, &metrics, EvaluateOptions::default())?;
        let means = report.means().into_iter().map(|mean| format!("{mean:.4}"));
        figures.push(std::iter::once(searched[0].by_models[way].0.clone()).chain(means));
    }
    let heading = style.heading("What do models add?");
    Ok(format!("\n{heading}\n{figures}\n"))
}

/// The results of all queries of several runs.
fn joined<'a>(runs: impl Iterator<Item = &'a Run>) -> Result<Run> {
    let mut joined = Run::new();
    for run in runs {
        for query in run.queries() {
            joined.insert(query, run.results(query).unwrap_or_default().to_vec())?;
        }
    }
    Ok(joined)
}

fn joined_qrels(searched: &[Searched<'_>]) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for one in searched {
        for query in one.qrels.queries() {
            for (document, grade) in one.qrels.judgments(query).into_iter().flatten() {
                qrels.insert(query, document, *grade)?;
            }
        }
    }
    Ok(qrels)
}

fn push(figures: &mut TextTable, name: &str, passages: usize, report: &Report) {
    let counts = [passages, report.queries().len()].map(|count| count.to_string());
    let means = report.means().into_iter().map(|mean| format!("{mean:.4}"));
    let cells = [name.to_owned()].into_iter().chain(counts).chain(means);
    figures.push(cells);
}

/// How long it took, and what to try next.
fn closing(times: &Times, keep: Option<&Path>, style: Style) -> String {
    let took = format!(
        "Indexing took {:.1} ms, the {} searches {:.1} ms.",
        times.indexing * 1e3,
        QUERIES.lines().count(),
        times.searching * 1e3
    );
    let next = match keep {
        Some(folder) => format!(
            "Kept in {}. Try: esparsa search --index {} \"lava\"",
            folder.display(),
            folder.join("en").display()
        ),
        None => {
            "Try `esparsa demo --keep DIR`, then search the indexes in DIR yourself.".to_owned()
        }
    };
    format!("{}\n{next}", style.dim(&took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_passage_and_query_belongs_to_one_language() {
        let count = |has: &dyn Fn(&Language) -> bool| LANGUAGES.iter().filter(|l| has(l)).count();
        let records = records().unwrap();
        assert_eq!(records.len(), 120);
        for record in &records {
            assert_eq!(count(&|l| l.has_document(&record.id)), 1, "{}", record.id);
        }
        let queries = read_queries(QUERIES.as_bytes(), "q", TopicPart::default()).unwrap();
        assert_eq!(queries.len(), 60);
        for query in &queries {
            assert_eq!(count(&|l| l.has_query(&query.id)), 1, "{}", query.id);
        }
    }

    #[test]
    fn judgements_of_a_language_are_about_its_passages() {
        let qrels = Qrels::read(QRELS.as_bytes(), "q").unwrap();
        let mut queries = 0;
        for language in &LANGUAGES {
            let restricted = language.restrict(&qrels).unwrap();
            queries += restricted.len();
            for query in restricted.queries() {
                let judgments = restricted.judgments(query).unwrap();
                assert!(
                    judgments.keys().all(|id| language.has_document(id)),
                    "{query}"
                );
            }
        }
        assert_eq!(queries, qrels.len());
    }
}
