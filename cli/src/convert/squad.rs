//! Questions about paragraphs in the JSON of SQuAD, as a collection: a question is a query, and its
//! paragraph the relevant document.
//!
//! Questions are kept until all files are read, because a paragraph that two articles share decides
//! about the parts of both.

mod json;
mod split;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};
use percent_encoding::percent_decode_str;
use xxhash_rust::xxh3::xxh3_128;

use self::json::{Article, Question as JsonQuestion, each_article};
use self::split::{Articles, Shares};
use super::Options;
use super::layout::{Layout, Part, check_column};
use super::report::{Reason, Report};
use crate::input::{Content, check_id};
use crate::progress::Progress;

const EMPTY_PARAGRAPH: Reason = Reason {
    what: "paragraph",
    why: "without a text, with its questions",
};
const EMPTY_QUESTION: Reason = Reason {
    what: "question",
    why: "without a text",
};
const UNANSWERABLE: Reason = Reason {
    what: "question",
    why: "that its paragraph does not answer",
};
const OF_LATER_PART: Reason = Reason {
    what: "question",
    why: "about a paragraph that a later part asks about",
};

const NOTES: &str = "\
Every different paragraph becomes a document, with the title of its article; questions become queries,
each with its paragraph as the relevant document. Questions that their paragraph does not answer
(`is_impossible`) are left out.

The files named without an option are split by article, as a hash of the title says: always in the same
way. A split by question would put questions about one paragraph into several parts, and a model that
has learned that paragraph in training would be tested on it. For the same reason, articles that share a
paragraph stay together, and where the files of --train, --dev and --test share one, only the last of
these parts keeps its questions.

Read are `data`, `title`, `paragraphs`, `context`, `qas`, `question`, `id` or `guid`, and
`is_impossible`: SQuAD 1.1 and 2.0 and their translations, KorQuAD 1.0, FaQuAD, KLUE-MRC.

Examples:
  esparsa convert squad faquad.json --shares 70,15,15 --output faquad
  esparsa convert squad klue-mrc-v1.1_train.json --shares 90,10,0 --test klue-mrc-v1.1_dev.json \\
      --output klue-mrc";

/// Arguments of `esparsa convert squad`.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Squad {
    /// Files that are split by article; `.gz` and `.zst` files are decompressed.
    #[arg(value_name = "INPUT", required_unless_present_any = ["train", "dev", "test"])]
    inputs: Vec<PathBuf>,
    /// Percent of the articles whose questions are for training, development and evaluation.
    #[arg(long, value_name = "TRAIN,DEV,TEST", default_value = "80,10,10")]
    shares: Shares,
    /// Files whose questions are all for training; may be given several times.
    #[arg(long, value_name = "FILE")]
    train: Vec<PathBuf>,
    /// Files whose questions are all for the choice of models and parameters.
    #[arg(long, value_name = "FILE")]
    dev: Vec<PathBuf>,
    /// Files whose questions are all for evaluation.
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    /// Keep questions that their paragraph does not answer, with the paragraph as relevant.
    #[arg(long)]
    keep_unanswerable: bool,
    #[command(flatten)]
    options: Options,
}

/// A question whose part may depend on what is still to be read.
struct Question {
    id: String,
    text: String,
    paragraph: u32,
    owner: Owner,
}

/// What decides about the part of a question.
#[derive(Clone, Copy)]
enum Owner {
    Part(Part),
    Article(u32),
}

/// A conversion at work.
struct Conversion<'a> {
    squad: &'a Squad,
    layout: Layout,
    report: Report,
    progress: Progress,
    /// Numbers of the paragraphs by their hashes.
    paragraphs: HashMap<u128, u32>,
    /// The first article of each paragraph, of the files that are split.
    articles_of: Vec<Option<u32>>,
    articles: Articles,
    questions: Vec<Question>,
    ids: HashSet<String>,
}

impl Squad {
    /// Converts the files.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for files that are not of this form, and errors of reading and
    /// writing.
    pub fn run(self) -> Result<()> {
        let files = self.files();
        let size = |file: &Path| std::fs::metadata(file).map(|metadata| metadata.len());
        let sizes = files.iter().map(|(file, _)| size(file).ok());
        let total_bytes = sizes.sum();
        let progress = Progress::counting("paragraph", total_bytes, self.options.quiet);
        let mut conversion = Conversion {
            layout: Layout::create(&self.options.output)?,
            report: Report::new(&self.options),
            squad: &self,
            progress,
            paragraphs: HashMap::new(),
            articles_of: Vec::new(),
            articles: Articles::default(),
            questions: Vec::new(),
            ids: HashSet::new(),
        };
        let mut bytes = 0;
        for (file, part) in files {
            bytes += conversion.read(file, part, bytes)?;
        }
        conversion.finish()
    }

    /// The files, and the parts of those that are not split.
    fn files(&self) -> Vec<(&Path, Option<Part>)> {
        let groups = [
            (&self.inputs, None),
            (&self.train, Some(Part::Train)),
            (&self.dev, Some(Part::Dev)),
            (&self.test, Some(Part::Test)),
        ];
        let mut files = Vec::new();
        for (group, part) in groups {
            files.extend(group.iter().map(|file| (file.as_path(), part)));
        }
        files
    }
}

impl Conversion<'_> {
    /// Reads a file after `before` bytes of others; returns how many this one has.
    fn read(&mut self, file: &Path, part: Option<Part>, before: u64) -> Result<u64> {
        let content = Content::open(file, self.squad.options.encoding)?;
        let name = file.display().to_string();
        let mut bytes = 0;
        each_article(content, &name, |article, bytes_read| {
            bytes = bytes_read;
            self.article(article, part, &name)?;
            self.progress.update(before + bytes, self.report.documents);
            Ok(())
        })?;
        Ok(bytes)
    }

    fn article(&mut self, article: Article, part: Option<Part>, file: &str) -> Result<()> {
        let title = article.title.unwrap_or_default();
        let title = readable(title.trim());
        let first = article.paragraphs.first();
        let first = first.map_or("", |paragraph| paragraph.context.trim());
        let owner = match part {
            Some(part) => Owner::Part(part),
            None => Owner::Article(self.articles.number(&title, first)),
        };
        for paragraph in &article.paragraphs {
            let text = paragraph.context.trim();
            if text.is_empty() {
                self.report.leave_out(EMPTY_PARAGRAPH, || {
                    Error::invalid(format!(
                        "expected the text of a paragraph in the article `{title}`, found none"
                    ))
                    .at_line(file, 0)
                })?;
                continue;
            }
            let number = self.paragraph(&title, text, owner)?;
            for question in &paragraph.questions {
                let added = self.question(question, number, owner, file);
                added.map_err(|error| error.at_line(file, 0))?;
            }
        }
        Ok(())
    }

    /// The number of a paragraph, which is written when it is new.
    fn paragraph(&mut self, title: &str, text: &str, owner: Owner) -> Result<u32> {
        let next = self.articles_of.len() as u32;
        let number = *self
            .paragraphs
            .entry(xxh3_128(text.as_bytes()))
            .or_insert(next);
        if number == next {
            self.articles_of.push(None);
            self.report.documents += 1;
            self.layout.document(&document_id(number), title, text)?;
        }
        if let Owner::Article(article) = owner
            && let Some(first) = self.articles_of.get_mut(number as usize)
        {
            let first = *first.get_or_insert(article);
            self.articles.join(first, article);
        }
        Ok(number)
    }

    fn question(
        &mut self,
        question: &JsonQuestion,
        paragraph: u32,
        owner: Owner,
        file: &str,
    ) -> Result<()> {
        if question.is_impossible == Some(true) && !self.squad.keep_unanswerable {
            self.report.count(UNANSWERABLE, 1);
            return Ok(());
        }
        let text = question.text.trim();
        let id = question.id().ok_or_else(|| {
            Error::invalid(format!(
                "expected `id` or `guid` of the question `{text}`, found neither"
            ))
        })?;
        check_id(&id)?;
        check_column(&id)?;
        if text.is_empty() {
            return self.report.leave_out(EMPTY_QUESTION, || {
                let message =
                    format!("expected a text of the question with the id `{id}`, found none");
                Error::invalid(message).at_line(file, 0)
            });
        }
        if !self.ids.insert(id.clone()) {
            let message =
                format!("duplicate id `{id}` of a question; every question needs its own");
            let error = Error::invalid(message).at_line(file, 0);
            return self.report.duplicate(error, &self.progress);
        }
        self.questions.push(Question {
            id,
            text: text.to_owned(),
            paragraph,
            owner,
        });
        Ok(())
    }

    /// Writes the questions in their parts.
    fn finish(mut self) -> Result<()> {
        self.progress.phase("writing questions");
        let shares = self.squad.shares;
        let parts = self.questions.iter().map(|question| match question.owner {
            Owner::Part(part) => part,
            Owner::Article(article) => shares.part(self.articles.hash(article)),
        });
        let parts: Vec<Part> = parts.collect();
        let mut last: HashMap<u32, Part> = HashMap::new();
        for (question, part) in self.questions.iter().zip(&parts) {
            let entry = last.entry(question.paragraph).or_insert(*part);
            *entry = (*entry).max(*part);
        }
        for (question, part) in self.questions.iter().zip(parts) {
            if last.get(&question.paragraph) != Some(&part) {
                self.report.count(OF_LATER_PART, 1);
                continue;
            }
            let document = document_id(question.paragraph);
            self.layout.query(&question.id, &question.text)?;
            self.layout.judgement(part, &question.id, &document, 1)?;
            self.report.queries += 1;
            self.report.judged(part, 1);
        }
        self.report.check(&self.progress)?;
        self.layout.finish()?;
        drop(self.progress);
        self.report.print()
    }
}

fn document_id(paragraph: u32) -> String {
    format!("p{}", paragraph + 1)
}

/// A title in words: SQuAD has those of Wikipedia's addresses, such as `Fr%C3%A9d%C3%A9ric_Chopin`,
/// which would be one word.
fn readable(title: &str) -> Cow<'_, str> {
    if !title.contains('_') || title.contains(char::is_whitespace) {
        return Cow::Borrowed(title);
    }
    let decoded = percent_decode_str(title).decode_utf8();
    Cow::Owned(decoded.unwrap_or(Cow::Borrowed(title)).replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_addresses_become_words() {
        for (title, expected) in [
            ("Fr%C3%A9d%C3%A9ric_Chopin", "Frédéric Chopin"),
            ("50%_off", "50% off"),
            ("%FF_x", "%FF x"),
            ("임종석", "임종석"),
            ("snake_case in words", "snake_case in words"),
            ("", ""),
        ] {
            assert_eq!(readable(title), expected);
        }
    }
}
