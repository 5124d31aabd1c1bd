//! `esparsa suggest`: completions of a prefix, and corrections of misspelled words.

use std::path::PathBuf;

use esparsa::{Completion, Correction, Index, Query, Result, Snapshot, Suggestion, Value};
use serde_json::{Value as Json, json};

use crate::escape::escaped;
use crate::output::{self, Output};
use crate::queries::k_parser;
use crate::search::report::{line, print_line};

const EXAMPLES: &str = "\
Examples:
  esparsa suggest --index wiki.index --field words volc
  esparsa suggest --index shop.index --field title --titles --weight sold \"tea c\"
  esparsa suggest --index wiki.index --field words --correct \"vulcanoes of sicly\"";

/// Arguments of `esparsa suggest`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Suggest {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Text field, best one of the language `simple`, because others have stems for terms, or
    /// column of keywords.
    #[arg(long, value_name = "NAME")]
    field: String,
    /// The beginning of a term or a title; with --correct, the text to correct.
    prefix: String,
    /// Number of completions.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = k_parser())]
    k: usize,
    /// Accept up to this number of typos in the prefix: none in one of up to 2 characters, 1 in one of up to 5.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    typos: u8,
    /// Complete whole titles, which a column of keywords holds, ignoring case and accents.
    #[arg(long)]
    titles: bool,
    /// Order titles by this column, the highest value first, instead of by number of documents.
    #[arg(long, value_name = "NAME", requires = "titles")]
    weight: Option<String>,
    /// Count only documents that match this query, in JSON as for `esparsa search`. May be given
    /// more than once.
    #[arg(long, value_name = "JSON", value_parser = Query::from_json, requires = "titles")]
    filter: Vec<Query>,
    /// Find also titles of which a later word begins with the prefix.
    #[arg(long, requires = "titles")]
    any_word: bool,
    /// Print the text with its misspelled words corrected; unchanged, if there are none.
    #[arg(long, conflicts_with_all = ["k", "typos", "titles"])]
    correct: bool,
    /// Print JSON: an object for each completion on a line of its own, or one for a correction.
    #[arg(long)]
    json: bool,
}

impl Suggest {
    /// Prints the completions, best first, or the corrected text.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](esparsa::Error::InvalidInput) for a field that cannot be used, and
    /// what opening the index gives.
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        match self.correct {
            true => self.print_correction(&snapshot),
            false => self.print_completions(&snapshot),
        }
    }

    fn print_completions(&self, snapshot: &Snapshot) -> Result<()> {
        let mut completion = match self.titles {
            true => Completion::titles(&self.field),
            false => Completion::terms(&self.field),
        };
        completion = completion.typos(self.typos);
        if let Some(column) = &self.weight {
            completion = completion.weight(column);
        }
        if self.any_word {
            completion = completion.any_word();
        }
        let filters = self.filter.iter().cloned();
        let completion = filters.fold(completion, Completion::filter);
        let mut output = Output::new();
        for found in snapshot.complete_with(&completion, &self.prefix, self.k)? {
            if self.json {
                output.line(line(&of_suggestion(&found))?)?;
                continue;
            }
            let count = match (&self.weight, &found.weight) {
                (None, _) => found.documents.to_string(),
                (Some(_), Some(weight)) => weight.to_string(),
                (Some(_), None) => "-".to_owned(),
            };
            output.line(format!("{count:>10}  {}", escaped(&found.text)))?;
        }
        output.finish()
    }

    fn print_correction(&self, snapshot: &Snapshot) -> Result<()> {
        let correction = snapshot.correct(&self.field, &self.prefix)?;
        if self.json {
            return print_line(&of_correction(&self.prefix, correction.as_ref()));
        }
        let text = correction
            .as_ref()
            .map_or(&self.prefix, |found| &found.text);
        output::print(&*escaped(text))
    }
}

fn of_suggestion(found: &Suggestion) -> Json {
    let mut report = json!({
        "text": found.text,
        "documents": found.documents,
        "edits": found.edits,
    });
    if let Some(weight) = &found.weight {
        report["weight"] = match weight {
            Value::I64(number) => json!(number),
            Value::U64(number) => json!(number),
            Value::F64(number) => json!(number),
            other => json!(other.to_string()),
        };
    }
    report
}

/// The text with its corrections, and the bytes of each corrected word before and after.
fn of_correction(text: &str, correction: Option<&Correction>) -> Json {
    let Some(correction) = correction else {
        return json!({ "text": text, "words": [] });
    };
    let words = correction.words.iter().map(|word| {
        let suggestions: Vec<Json> = word.suggestions.iter().map(of_suggestion).collect();
        json!({
            "original": [word.original.start, word.original.end],
            "corrected": [word.corrected.start, word.corrected.end],
            "suggestions": suggestions,
        })
    });
    json!({ "text": correction.text, "words": words.collect::<Vec<Json>>() })
}
