//! A collection in BEIR's layout as lines of terms, by esparsa's analyzer of a language.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use esparsa::eval::BeirFolder;
use esparsa::text::Analyzer;
use peers::Result;
use peers::work::{Kind, Work};
use serde_json::Value;

/// Analyzes documents (title and text) and the queries that `qrels/test.tsv` judges.
pub fn make(collection: &Path, language: &str, out: &Path) -> Result<Work> {
    let (folder, analyzer) = (BeirFolder::open(collection)?, Analyzer::named(language)?);
    let corpus = BufReader::new(File::open(folder.corpus_path())?);
    let mut file = BufWriter::new(File::create(out.join(Kind::Text.documents_file()))?);
    // Each term with the last document that had it.
    let mut terms: HashMap<String, u32> = HashMap::new();
    let (mut documents, mut postings) = (0, 0);
    for line in corpus.lines() {
        let value: Value = serde_json::from_str(&line?)?;
        let part = |name: &str| value[name].as_str().unwrap_or_default();
        let line = analyze(&analyzer, &format!("{} {}", part("title"), part("text")));
        documents += 1;
        for term in line.split(' ').filter(|term| !term.is_empty()) {
            match terms.get_mut(term) {
                Some(last) => postings += u64::from(std::mem::replace(last, documents) < documents),
                None => {
                    terms.insert(term.to_owned(), documents);
                    postings += 1;
                }
            }
        }
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    let queries = folder.queries_of(&folder.qrels("test")?)?;
    let queries = queries.iter().filter_map(|query| query.text.as_deref());
    let queries: Vec<String> = queries.map(|text| analyze(&analyzer, text)).collect();
    let lines: String = queries.iter().map(|line| format!("{line}\n")).collect();
    fs::write(out.join(Kind::Text.queries_file()), lines)?;
    let name = collection.file_name().unwrap_or_default();
    Ok(Work {
        folder: out.to_path_buf(),
        kind: Kind::Text,
        name: name.to_string_lossy().into_owned(),
        documents,
        queries: queries.len().try_into()?,
        terms: terms.len() as u64,
        postings,
        seed: None,
    })
}

/// The terms of a text with a space between them; a term with a space in it would be two.
fn analyze(analyzer: &Analyzer, text: &str) -> String {
    let mut line = String::new();
    analyzer.analyze(text, &mut |term, _| {
        for part in term.split_whitespace() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(part);
        }
    });
    line
}
