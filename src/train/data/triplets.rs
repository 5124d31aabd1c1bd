//! Triplets streamed from files: texts in the file itself, or ids of texts in other files.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use xxhash_rust::xxh3::Xxh3;

use super::collection::hash_of;
use super::example::{Candidate, Example, Source, Text};
use super::permutation::sample;
use super::random_file::RandomFile;
use super::rows::{Rows, RowsWriter};
use super::texts::{Texts, refuse_compressed};
use crate::error::{Error, Result};
use crate::eval::lines::{Lines, open};

mod line;
mod resolve;

use line::{Columns, Layout};
use resolve::Resolver;

/// Triplets whose lines hold the texts, as MS MARCO's `triples.train.small.tsv`.
///
/// The first character that is not white space decides the layout of the file:
///
/// - `[`: JSON Lines of arrays, `[query, relevant, negative, ...]`; `relevant` may be an array too.
/// - `{`: JSON Lines of objects with `query`, `pos` and `neg` (or `anchor`, `positive` and
///   `negative`): texts or arrays of texts.
/// - anything else, and lines with tabs: the query, a relevant document, and one or more negatives,
///   with tabs between them.
///
/// Opening makes one pass over the file, which checks every line and writes where each one starts to
/// a scratch file. Memory does not grow with the file. A line of several relevant documents gives one
/// of them an epoch, in turn.
#[derive(Debug)]
pub struct TextTriplets {
    file: RandomFile,
    layout: Layout,
    rows: Rows,
    negatives: Option<usize>,
}

/// Triplets whose lines hold ids of texts in other files, as MS MARCO's
/// `qidpidtriples.train.small.tsv`.
///
/// The layouts are those of [`TextTriplets`]. In objects the query may be called `qid`, and `neg` may
/// be an object of arrays, one for each system that found them.
///
/// Opening makes one pass over the file, which checks every id and writes the numbers of the texts to
/// a scratch file. Memory does not grow with the file. A line of several relevant documents gives one
/// of them an epoch, in turn.
#[derive(Debug)]
pub struct IdTriplets {
    queries: Arc<Texts>,
    corpus: Arc<Texts>,
    rows: Rows,
    negatives: Option<usize>,
}

impl TextTriplets {
    /// Opens a file. `scratch` is a folder for the scratch file, which is made if it is missing; the
    /// scratch file stays there and is used again as long as the triplets do not change.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] with file and line for a file without triplets, a
    /// compressed file, a line without a query, a relevant document or a negative, and text that is
    /// not UTF-8.
    pub fn open(path: impl AsRef<Path>, scratch: impl AsRef<Path>) -> Result<Self> {
        let file = open_lines(path.as_ref())?;
        let name = scratch_name(&file, "texts", &[])?;
        let rows = Rows::open_or_build(scratch.as_ref(), &name, |rows| {
            read_triplets(&file, rows, |_, start, row| {
                row.extend([start as u32, (start >> 32) as u32]);
                Ok(())
            })
        })?;
        let layout = Layout::of(&line_of(&file, &rows, 0)?.1);
        Ok(Self {
            file,
            layout,
            rows,
            negatives: None,
        })
    }

    /// Takes at most that many negatives of each line: others in each epoch.
    #[must_use]
    pub fn with_negatives(mut self, negatives: usize) -> Self {
        self.negatives = Some(negatives);
        self
    }
}

impl Source for TextTriplets {
    fn len(&self) -> u64 {
        self.rows.len()
    }

    fn example(&self, number: u64, epoch: u64, seed: u64) -> Result<Example> {
        let (start, line) = line_of(&self.file, &self.rows, number)?;
        let columns = self.layout.parse(&line);
        let columns = columns.map_err(|_| self.file.changed(start))?;
        let relevant: Vec<Text> = columns
            .relevant
            .iter()
            .map(|text| Text::new(&**text))
            .collect();
        let negatives = taken(columns.negatives.len(), self.negatives, number, epoch, seed);
        let negatives = negatives.map(|index| Text::new(&*columns.negatives[index]));
        let query = Text::new(&*columns.query);
        Ok(one_of(query, &relevant, negatives, number, epoch, seed))
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(&[self.rows.content()], self.negatives)
    }
}

impl IdTriplets {
    /// Opens a file of ids. `scratch` is a folder for the scratch file, which is made if it is
    /// missing; the scratch file stays there and is used again as long as none of the three files
    /// changes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] with file and line for a file without triplets, a
    /// compressed file, a line without a query, a relevant document or a negative, and ids that no
    /// text has: their number and some of them, with the first line.
    pub fn open(
        path: impl AsRef<Path>,
        queries: Arc<Texts>,
        corpus: Arc<Texts>,
        scratch: impl AsRef<Path>,
    ) -> Result<Self> {
        let file = open_lines(path.as_ref())?;
        let name = scratch_name(&file, "ids", &[queries.fingerprint(), corpus.fingerprint()])?;
        let rows = Rows::open_or_build(scratch.as_ref(), &name, |rows| {
            let mut resolver = Resolver::new(&queries, &corpus);
            let content = read_triplets(&file, rows, |columns, start, row| {
                resolver.row(columns, start, row)
            })?;
            resolver.finish(&file)?;
            Ok(content)
        })?;
        Ok(Self {
            queries,
            corpus,
            rows,
            negatives: None,
        })
    }

    /// Takes at most that many negatives of each line: others in each epoch.
    #[must_use]
    pub fn with_negatives(mut self, negatives: usize) -> Self {
        self.negatives = Some(negatives);
        self
    }
}

impl Source for IdTriplets {
    fn len(&self) -> u64 {
        self.rows.len()
    }

    fn example(&self, number: u64, epoch: u64, seed: u64) -> Result<Example> {
        let row = self.rows.row(number)?;
        let [query, count, documents @ ..] = &row[..] else {
            return Err(self.rows.changed());
        };
        let Some((positives, negatives)) = documents.split_at_checked(*count as usize) else {
            return Err(self.rows.changed());
        };
        let mut relevant = Vec::with_capacity(positives.len());
        for &positive in positives {
            relevant.push(self.corpus.text(positive)?);
        }
        if relevant.is_empty() {
            return Err(self.rows.changed());
        }
        let mut others = Vec::new();
        for index in taken(negatives.len(), self.negatives, number, epoch, seed) {
            others.push(self.corpus.text(negatives[index])?);
        }
        let query = self.queries.text(*query)?;
        Ok(one_of(
            query,
            &relevant,
            others.into_iter(),
            number,
            epoch,
            seed,
        ))
    }

    fn fingerprint(&self) -> u64 {
        let parts = [
            self.rows.content(),
            self.queries.fingerprint(),
            self.corpus.fingerprint(),
        ];
        fingerprint(&parts, self.negatives)
    }
}

/// An example of one of the relevant documents, of which there is at least one.
fn one_of(
    query: Text,
    relevant: &[Text],
    negatives: impl Iterator<Item = Text>,
    number: u64,
    epoch: u64,
    seed: u64,
) -> Example {
    let shown = sample(relevant.len(), 1, number, epoch, seed);
    let shown = shown.map(|index| Candidate {
        document: relevant[index].clone(),
        target: 1.0,
        is_relevant: true,
    });
    let others = negatives.map(|document| Candidate {
        document,
        target: 0.0,
        is_relevant: false,
    });
    let mut keys: Vec<u128> = relevant.iter().map(|text| text.key).collect();
    keys.sort_unstable();
    Example {
        query,
        candidates: shown.chain(others).collect(),
        relevant: keys,
    }
}

/// Where the line of a triplet of texts starts, and the line.
fn line_of(file: &RandomFile, rows: &Rows, number: u64) -> Result<(u64, String)> {
    let start = |number: u64| match rows.row(number)?[..] {
        [low, high] => Ok(u64::from(low) | (u64::from(high) << 32)),
        _ => Err(rows.changed()),
    };
    let (from, to) = (start(number)?, number + 1);
    let end = match to < rows.len() {
        true => start(to)?,
        false => file.len(),
    };
    Ok((from, file.line(from, end)?))
}

/// The indices of at most `count` of `len` items.
fn taken(
    len: usize,
    count: Option<usize>,
    number: u64,
    epoch: u64,
    seed: u64,
) -> impl Iterator<Item = usize> {
    let count = count.unwrap_or(len).min(len);
    // All items keep their order; otherwise they are sampled.
    let all = (count == len).then_some(0..len);
    let some = (count < len).then(|| sample(len, count, number, epoch, seed));
    all.into_iter().flatten().chain(some.into_iter().flatten())
}

fn fingerprint(parts: &[u64], negatives: Option<usize>) -> u64 {
    // No limit is no number of negatives.
    let limit = negatives.map_or(u64::MAX, |count| count as u64);
    hash_of(&[parts, &[limit]].concat())
}

/// Opens a file of triplets to read lines at any position.
fn open_lines(path: &Path) -> Result<RandomFile> {
    let file = RandomFile::open(path)?;
    refuse_compressed(&file)?;
    Ok(file)
}

/// The name of a scratch file: a hash of what it is made of. Files are recognized by path, length,
/// time of the last change, and their first and last bytes.
fn scratch_name(file: &RandomFile, kind: &str, others: &[u64]) -> Result<String> {
    const ENDS: u64 = 1 << 16;
    let path = file.path();
    let failed = |source| Error::io(path, "read the attributes of", source);
    let full = path.canonicalize().map_err(failed)?;
    let changed = path
        .metadata()
        .and_then(|data| data.modified())
        .map_err(failed)?;
    let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hash = Xxh3::new();
    hash.update(kind.as_bytes());
    hash.update(full.as_os_str().as_encoded_bytes());
    hash.update(&file.len().to_le_bytes());
    hash.update(&changed.as_nanos().to_le_bytes());
    let size = file.len().min(ENDS);
    // At most 64 KiB.
    let mut ends = vec![0; size as usize];
    for start in [0, file.len() - size] {
        file.read(start, &mut ends)?;
        hash.update(&ends);
    }
    for other in others {
        hash.update(&other.to_le_bytes());
    }
    Ok(format!("triplets-{kind}-{:016x}.rows", hash.digest()))
}

/// Turns each line that is not blank into a row, and returns a hash of the lines. `append` gets what
/// the line holds and where it starts, and appends to an empty row.
fn read_triplets(
    file: &RandomFile,
    rows: &mut RowsWriter,
    mut append: impl FnMut(&Columns<'_>, u64, &mut Vec<u32>) -> Result<()>,
) -> Result<u64> {
    let mut lines = Lines::new(open(file.path())?, &file.name());
    let mut hash = Xxh3::new();
    let mut row = Vec::new();
    let mut layout = None;
    while let Some((start, line)) = lines.next_with_offset()? {
        if line.trim().is_empty() {
            continue;
        }
        hash.update(line.as_bytes());
        hash.update(b"\n");
        row.clear();
        let columns = layout.get_or_insert_with(|| Layout::of(line)).parse(line);
        let added = columns.and_then(|columns| append(&columns, start, &mut row));
        if let Err(error) = added.and_then(|()| rows.push(&row)) {
            return Err(lines.place(error));
        }
    }
    match layout {
        Some(_) => Ok(hash.digest()),
        None => Err(Error::invalid(
            "expected lines of a query, a relevant document and a negative, found an empty file",
        )
        .at_line(file.name(), 0)),
    }
}

#[cfg(test)]
mod tests;
