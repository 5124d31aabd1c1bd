//! Training in the demo: a tiny SPLADE and a tiny cross-encoder, from random weights, on the passages
//! of the demo itself.
//!
//! There are no queries to train on, so each sentence of a passage is a query whose relevant document
//! is the rest of the passage, with its title (the inverse cloze task: Lee, Chang and Toutanova, 2019).

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use esparsa::executor::CancelToken;
use esparsa::train::{Event, NewModel, TrainKind, TrainOptions, VocabularyKind, Watcher, train};
use esparsa::{Error, Result};
use serde_json::json;

use crate::input::Record;
use crate::output;

/// Seconds of training of each model.
const SECONDS: f64 = 20.0;
/// Tokens of the vocabulary, which three languages share.
const VOCABULARY: usize = 2_500;
/// Sentences of fewer characters are no queries.
const MIN_SENTENCE: usize = 12;

/// Models that the demo trained, in a folder that is removed with this.
pub(super) struct Trained {
    folder: tempfile::TempDir,
    /// What training took, for people.
    pub(super) report: String,
}

impl Trained {
    /// The folders of the models.
    pub(super) fn models(&self) -> [PathBuf; 2] {
        [TrainKind::Splade, TrainKind::Cross].map(|kind| self.folder.path().join(title(kind)))
    }

    /// Trains both models.
    pub(super) fn on(records: &[Record]) -> Result<Self> {
        let folder = tempfile::tempdir()
            .map_err(|source| Error::io(std::env::temp_dir(), "create a folder in", source))?;
        let path = folder.path();
        let texts: Vec<_> = records.iter().map(Record::contents).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        write_collection(path, &texts)?;
        let mut new = NewModel::default();
        new.vocabulary = VocabularyKind::Unigram;
        (new.tokens, new.hidden, new.intermediate, new.max_tokens) = (VOCABULARY, 96, 384, 192);
        new.write(&texts, &path.join("base"))?;
        let mut report = String::new();
        for kind in [TrainKind::Splade, TrainKind::Cross] {
            output::message(&format!(
                "training a {} from random weights, {SECONDS:.0} s ...",
                title(kind)
            ));
            let started = Instant::now();
            let mut last = LastLoss::default();
            let summary = train(kind, &options(kind, path), &mut last, &CancelToken::new())?;
            // The demo calls models by their folders.
            let named = path.join(title(kind));
            fs::rename(&summary.model, &named)
                .map_err(|source| Error::io(&named, "rename", source))?;
            let _ = writeln!(
                report,
                "A {} of {} parameters was trained for {:.0} s: {} steps, loss {:.3} to {:.3}.",
                title(kind),
                last.parameters,
                started.elapsed().as_secs_f64(),
                summary.steps,
                last.first.unwrap_or_default(),
                last.last
            );
        }
        Ok(Self { folder, report })
    }
}

fn title(kind: TrainKind) -> &'static str {
    match kind {
        TrainKind::Splade => "tiny SPLADE",
        _ => "tiny cross-encoder",
    }
}

fn options(kind: TrainKind, folder: &Path) -> TrainOptions {
    let mut options = TrainOptions::default();
    options.base = folder.join("base");
    options.collection = Some(folder.join("collection"));
    options.output = folder.join(kind.name());
    options.batch = 16;
    options.max_tokens = 160;
    options.steps = Some(10_000);
    options.seconds = Some(SECONDS);
    options.warm_up = 0.002;
    options.development_queries = 0;
    options.save_every = 10_000;
    options.negatives_to = 10;
    // An analyzer for any language: the passages are in three.
    options.language = Some("simple".to_owned());
    match kind {
        TrainKind::Cross => {
            options.learning_rate = 2e-3;
            options.negatives = 3;
        }
        _ => {
            // The fitted head already finds a text's own words: large steps would lose that.
            options.learning_rate = 3e-4;
            options.scale = Some(0.1);
            options.target_document_terms = Some(150.0);
            options.target_query_terms = Some(40.0);
            options.lambda_steps = 50;
        }
    }
    options
}

/// Writes a collection in BEIR's layout: sentences as queries, the rest of their passages as
/// documents.
fn write_collection(folder: &Path, texts: &[&str]) -> Result<()> {
    let (mut corpus, mut queries, mut qrels) = (
        String::new(),
        String::new(),
        "query-id\tcorpus-id\tscore\n".to_owned(),
    );
    for (passage, text) in texts.iter().enumerate() {
        let sentences = sentences(text);
        for (number, sentence) in sentences.iter().enumerate() {
            if sentence.chars().count() < MIN_SENTENCE || sentences.len() < 2 {
                continue;
            }
            let rest: Vec<&str> = sentences
                .iter()
                .filter(|other| *other != sentence)
                .copied()
                .collect();
            let id = format!("{passage}-{number}");
            let _ = writeln!(corpus, "{}", json!({"_id": id, "text": rest.join(" ")}));
            let _ = writeln!(queries, "{}", json!({"_id": id, "text": sentence}));
            let _ = writeln!(qrels, "{id}\t{id}\t1");
        }
    }
    let collection = folder.join("collection");
    let judgements = collection.join("qrels");
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).map_err(|source| Error::io(&path, "write", source))
    };
    fs::create_dir_all(&judgements).map_err(|source| Error::io(&judgements, "create", source))?;
    write(collection.join("corpus.jsonl"), &corpus)?;
    write(collection.join("queries.jsonl"), &queries)?;
    write(judgements.join("train.tsv"), &qrels)
}

/// The sentences of a text, each with its end.
fn sentences(text: &str) -> Vec<&str> {
    let parts = text.split_inclusive(". ").map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

/// Keeps the losses of a run.
#[derive(Default)]
struct LastLoss {
    parameters: u64,
    first: Option<f64>,
    last: f64,
}

impl Watcher for LastLoss {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Started(run) => self.parameters = run.parameters,
            Event::Step(step) => {
                self.first.get_or_insert(step.ranking_loss);
                // Smoothed: batches differ.
                self.last = match step.step {
                    1 => step.ranking_loss,
                    _ => 0.9 * self.last + 0.1 * step.ranking_loss,
                };
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_with_a_full_stop() {
        assert_eq!(
            sentences("Lava flows. It is 1.5 m deep. End"),
            ["Lava flows.", "It is 1.5 m deep.", "End"]
        );
    }

    #[test]
    fn every_sentence_finds_the_rest_of_its_passage() {
        let folder = tempfile::tempdir().unwrap();
        let text = "Lava flows from volcanoes. It is molten rock. Short.";
        write_collection(folder.path(), &[text, "One sentence alone."]).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("collection").join(name));
        let queries = read("queries.jsonl").unwrap();
        assert_eq!(queries.lines().count(), 2);
        let corpus = read("corpus.jsonl").unwrap();
        assert!(!corpus.lines().next().unwrap().contains("Lava flows"));
        assert_eq!(read("qrels/train.tsv").unwrap().lines().count(), 3);
    }
}
