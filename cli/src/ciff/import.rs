//! A file becomes documents of an index.
//!
//! A file has lists of documents, an index takes documents with their terms. The lists are gone over
//! several times, each time for as many documents as fit into memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use esparsa::{Document, Error, Index, IndexWriter, Result, Schema, Sparse, Text, limits};
use hashbrown::HashSet;

use super::message::{DocRecord, Header, Messages, PostingsList, VERSION};
use crate::output;
use crate::size::counted;

/// Bytes of a posting in memory.
const POSTING_BYTES: usize = 8;
/// The analyzer of a text field, which takes terms as they are.
const ANALYZER: &str = "whitespace";

/// Arguments of `esparsa ciff import`.
#[derive(clap::Args)]
pub struct Import {
    /// The file, also compressed by gzip.
    file: PathBuf,
    /// Folder of the new index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// What the frequencies of the file are.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    kind: Kind,
    /// The name of the field.
    #[arg(long, value_name = "NAME", default_value = "text")]
    field: String,
    /// Memory for postings that become documents, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: usize,
}

/// What frequencies are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Frequencies of words, scored by BM25.
    #[default]
    Text,
    /// Impacts, whose products with the weights of a query are added up.
    Sparse,
}

impl Import {
    pub fn run(self) -> Result<()> {
        if self.memory == 0 {
            return Err(Error::invalid(
                "expected --memory of at least 1 MiB, found 0",
            ));
        }
        let found = Contents::read(&self.file, self.kind)?;
        let index = Index::create(&self.index, self.schema(&found)?)?;
        let mut writer = index.writer()?;
        let room = (self.memory << 20) / POSTING_BYTES;
        for range in found.ranges(room) {
            self.add(&found, range, &mut writer)?;
        }
        let report = writer.commit()?;
        if self.kind == Kind::Text && found.other_lengths > 0 {
            output::message(&format!(
                "{} of another length than the sum of frequencies, which counts here",
                counted(found.other_lengths, "document")
            ));
        }
        output::print(format!(
            "{} with {} in {}",
            counted(report.documents, "document"),
            counted(found.lists as u64, "term"),
            self.index.display()
        ))
    }

    fn schema(&self, found: &Contents) -> Result<Schema> {
        let builder = Schema::builder();
        match self.kind {
            Kind::Text => builder.text(&self.field, Text::new().analyzer(ANALYZER)),
            Kind::Sparse => {
                // Steps of 1 up to 255, and of a power of two beyond.
                let steps = (f64::from(found.max.max(1)) / 255.0).log2().ceil().max(0.0);
                #[allow(clippy::cast_possible_truncation)]
                let max = (255.0 * steps.exp2()) as f32;
                builder.sparse(&self.field, Sparse::new().expected_max(max))
            }
        }
        .build()
    }

    /// Adds the documents of a range.
    fn add(&self, found: &Contents, range: Range<usize>, writer: &mut IndexWriter) -> Result<()> {
        let mut ends = Vec::with_capacity(range.len());
        let mut sum = 0;
        for count in &found.counts[range.clone()] {
            ends.push(sum);
            sum += *count as usize;
        }
        // Until it is filled, the end of each document's terms is where they begin.
        let mut postings = vec![(0u32, 0i32); sum];
        let mut terms = Vec::with_capacity(found.lists);
        let mut messages = Messages::open(&self.file)?;
        messages.next::<Header>("a header")?;
        for number in 0..found.lists {
            let list: PostingsList = messages.next("a list")?;
            for (document, frequency) in documents(&list) {
                if range.contains(&document) {
                    let end = &mut ends[document - range.start];
                    postings[*end] = (u32::try_from(number).unwrap_or(u32::MAX), frequency);
                    *end += 1;
                }
            }
            terms.push(list.term);
        }
        let mut start = 0;
        for (document, end) in range.zip(ends) {
            let weighted = postings[start..end].iter();
            let weighted = weighted.map(|(term, tf)| (terms[*term as usize].as_str(), *tf));
            writer.add(self.document(&found.ids[document], weighted))?;
            start = end;
        }
        Ok(())
    }

    fn document<'a>(&self, id: &str, terms: impl Iterator<Item = (&'a str, i32)>) -> Document {
        let document = Document::new(id);
        match self.kind {
            Kind::Sparse => {
                #[allow(clippy::cast_precision_loss)]
                let weights = terms.map(|(term, tf)| (term, tf as f32));
                document.with_sparse(&self.field, weights)
            }
            Kind::Text => {
                let mut text = String::new();
                for (term, tf) in terms {
                    for _ in 0..tf {
                        text.push_str(term);
                        text.push(' ');
                    }
                }
                document.with_text(&self.field, text)
            }
        }
    }
}

/// Refuses a term that a text would not keep as it is.
fn check_term(messages: &Messages, term: &str, kind: Kind) -> Result<()> {
    let is_whole = !term.is_empty() && !term.contains(char::is_whitespace);
    match kind == Kind::Sparse || is_whole {
        true => Ok(()),
        false => Err(messages.wrong(&format!(
            "expected terms without blanks, found {term:?}; import them with --kind sparse"
        ))),
    }
}

/// Checks that the file has as many lists and documents as its header says. Each document has a
/// distinct number, so the count of documents is bounded by the bytes of the file.
fn expect_counts(path: &Path, lists: usize, documents: usize) -> Result<()> {
    let mut messages = Messages::open(path)?;
    messages.skip("a header")?;
    for _ in 0..lists {
        messages.skip("a list")?;
    }
    for number in 0..documents {
        next_document(&mut messages, number)?;
    }
    messages.expect_end()
}

/// The next record of a document, which must have this number.
fn next_document(messages: &mut Messages, number: usize) -> Result<DocRecord> {
    let record: DocRecord = messages.next("a document")?;
    match usize::try_from(record.docid) == Ok(number) {
        true => Ok(record),
        false => {
            let found = record.docid;
            Err(messages.wrong(&format!("expected document {number}, found {found}")))
        }
    }
}

/// The documents of a list, as numbers from 0, with their frequencies.
fn documents(list: &PostingsList) -> impl Iterator<Item = (usize, i32)> {
    let mut document = 0i64;
    list.postings.iter().map(move |posting| {
        document += i64::from(posting.docid);
        (usize::try_from(document).unwrap_or(usize::MAX), posting.tf)
    })
}

/// What the terms of a document add up to.
#[derive(Clone, Copy, Default)]
struct Sums {
    frequencies: i64,
    /// Of a text in which each term stands as often as it is frequent.
    bytes: u64,
}

/// What a first reading finds.
struct Contents {
    lists: usize,
    ids: Vec<String>,
    /// Postings of each document.
    counts: Vec<u32>,
    /// The highest frequency.
    max: i32,
    /// Documents whose length is not the sum of their frequencies.
    other_lengths: u64,
}

impl Contents {
    /// Goes through the file, so that nothing is written of one that is wrong.
    fn read(path: &Path, kind: Kind) -> Result<Self> {
        let mut messages = Messages::open(path)?;
        let header: Header = messages.next("a header")?;
        let size = |number: i32| usize::try_from(number).ok();
        let (Some(lists), Some(count)) = (size(header.num_postings_lists), size(header.num_docs))
        else {
            return Err(
                messages.wrong("expected numbers of lists and documents, found negative ones")
            );
        };
        if header.version != VERSION {
            let message = format!(
                "expected version {VERSION} of the format, found {}",
                header.version
            );
            return Err(messages.wrong(&message));
        }
        // What follows takes memory for as many documents as the header says.
        expect_counts(path, lists, count)?;
        let mut found = Self {
            lists,
            ids: Vec::new(),
            counts: Vec::new(),
            max: 0,
            other_lengths: 0,
        };
        let mut sums: Vec<Sums> = Vec::new();
        for _ in 0..lists {
            let list: PostingsList = messages.next("a list")?;
            check_term(&messages, &list.term, kind)?;
            found.count(&messages, &list, count, &mut sums)?;
        }
        found.counts.resize(count, 0);
        sums.resize(count, Sums::default());
        let mut known = HashSet::new();
        for (number, sum) in sums.iter().enumerate() {
            let record = next_document(&mut messages, number)?;
            // As a text, whose terms are repeated.
            let limit = limits::MAX_DOCUMENT_BYTES as u64;
            if kind == Kind::Text && sum.bytes > limit {
                let what = format!("bytes of document `{}`", record.collection_docid);
                return Err(Error::limit(what, sum.bytes, limit));
            }
            if !known.insert(record.collection_docid.clone()) {
                let message = format!(
                    "expected documents with different ids, found {:?} twice",
                    record.collection_docid
                );
                return Err(messages.wrong(&message));
            }
            found.other_lengths += u64::from(i64::from(record.doclength) != sum.frequencies);
            found.ids.push(record.collection_docid);
        }
        Ok(found)
    }

    /// Counts the postings of a list, of which `count` documents are known.
    fn count(
        &mut self,
        messages: &Messages,
        list: &PostingsList,
        count: usize,
        sums: &mut Vec<Sums>,
    ) -> Result<()> {
        let mut before = None;
        for (document, tf) in documents(list) {
            if document >= count || before.is_some_and(|before| before >= document) || tf < 1 {
                return Err(messages.wrong(&format!(
                    "expected rising documents below {count} with frequencies from 1 on, found document {document} \
                     with {tf} in the list of {:?}",
                    list.term
                )));
            }
            before = Some(document);
            if self.counts.len() <= document {
                self.counts.resize(document + 1, 0);
                sums.resize(document + 1, Sums::default());
            }
            self.counts[document] += 1;
            sums[document].frequencies += i64::from(tf);
            let bytes = (list.term.len() as u64 + 1) * u64::from(tf.unsigned_abs());
            sums[document].bytes = sums[document].bytes.saturating_add(bytes);
            self.max = self.max.max(tf);
        }
        Ok(())
    }

    /// Ranges of documents, each with at most `room` postings, or with one document.
    fn ranges(&self, room: usize) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let (mut start, mut sum) = (0, 0);
        for (document, count) in self.counts.iter().enumerate() {
            let count = *count as usize;
            if sum + count > room && document > start {
                ranges.push(start..document);
                (start, sum) = (document, 0);
            }
            sum += count;
        }
        if start < self.counts.len() {
            ranges.push(start..self.counts.len());
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_divided_by_their_postings() {
        let contents = |counts: &[u32]| Contents {
            lists: 0,
            ids: Vec::new(),
            counts: counts.to_vec(),
            max: 0,
            other_lengths: 0,
        };
        assert!(contents(&[]).ranges(10).is_empty());
        assert_eq!(
            contents(&[4, 6, 1, 0, 20, 3]).ranges(10),
            [0..2, 2..4, 4..5, 5..6]
        );
        assert_eq!(contents(&[0, 0, 0]).ranges(1).first(), Some(&(0..3)));
    }
}
