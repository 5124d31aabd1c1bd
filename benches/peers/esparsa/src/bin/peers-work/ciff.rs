//! Sparse documents in the Common Index File Format (Lin et al., "Supporting Interoperability Between
//! Open-Source Search Engines with the Common Index File Format", 2020).
//!
//! The file is a sequence of protobuf messages, each behind its length: a header, a posting list for each term that
//! occurs, a record for each document. Terms are the decimal numbers, sorted as strings; weights stand where
//! frequencies do. Documents are read once to count and then once for every so many postings, whose lists are made by a counting
//! sort, so that memory is bounded.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use peers::Result;
use peers::documents::Documents;
use peers::work::{Kind, Work, read_order, vector};

/// Postings that are in memory at a time, of 8 bytes each.
const POSTINGS: u64 = 128 << 20;

/// Writes `documents.ciff` of a folder of work, in the order of `order.bin` where there is one.
pub fn write(work: &Work) -> Result<()> {
    if work.kind != Kind::Sparse {
        return Err("only sparse work has weights to write".into());
    }
    let order_path = work.folder.join("order.bin");
    let order: Vec<u32> = match order_path.exists() {
        true => read_order(&order_path, work.documents)?,
        false => (0..work.documents).collect(),
    };
    let path = work.folder.join("documents.ciff");
    // Under another name until it is whole.
    let unfinished = work.folder.join("documents.ciff.unfinished");
    write_file(work, &order, &unfinished, POSTINGS)?;
    Ok(std::fs::rename(unfinished, path)?)
}

fn write_file(work: &Work, order: &[u32], path: &Path, at_once: u64) -> Result<()> {
    let counts = Counts::read(work)?;
    let mut file = BufWriter::with_capacity(1 << 18, File::create(path)?);
    let terms = counts.terms();
    write_message(&mut file, &header(work, &counts, terms.len()))?;
    let mut places = vec![0; order.len()];
    for (place, document) in (0..).zip(order) {
        places[*document as usize] = place;
    }
    let mut rest = &terms[..];
    while !rest.is_empty() {
        let now = counts.first_terms(rest, at_once);
        write_lists(&mut file, work, &counts, &rest[..now], &places)?;
        rest = &rest[now..];
    }
    for (place, document) in (0..).zip(order) {
        let length = u64::from(counts.lengths[*document as usize]);
        write_message(&mut file, &document_record(place, *document, length))?;
    }
    Ok(file.flush()?)
}

/// What a first reading of the documents finds.
struct Counts {
    /// Postings of each term.
    postings: Vec<u64>,
    /// Sum of the weights of each document.
    lengths: Vec<u32>,
}

impl Counts {
    fn read(work: &Work) -> Result<Self> {
        let mut counts = Self {
            postings: vec![0; 1 << 16],
            lengths: Vec::with_capacity(work.documents as usize),
        };
        for chunk in Documents::open(work, None)? {
            for (_, record) in chunk?.records() {
                let mut length = 0;
                for (term, weight) in vector(record) {
                    counts.postings[usize::from(term)] += 1;
                    length += u32::from(weight);
                }
                counts.lengths.push(length);
            }
        }
        let (expected, found) = (work.documents as usize, counts.lengths.len());
        match expected == found {
            true => Ok(counts),
            false => Err(format!("expected {expected} documents, found {found}").into()),
        }
    }

    fn of(&self, term: u16) -> u64 {
        self.postings[usize::from(term)]
    }

    /// The terms that occur, sorted as strings.
    fn terms(&self) -> Vec<u16> {
        let mut terms: Vec<u16> = (0..=u16::MAX).filter(|t| self.of(*t) > 0).collect();
        terms.sort_by_cached_key(u16::to_string);
        terms
    }

    /// How many of the terms have at most so many postings together; at least one.
    fn first_terms(&self, terms: &[u16], at_once: u64) -> usize {
        let mut sum = 0;
        let fits = |term: &&u16| {
            sum += self.of(**term);
            sum <= at_once
        };
        terms.iter().take_while(fits).count().max(1)
    }
}

/// Writes the posting lists of some terms.
fn write_lists(
    file: &mut impl Write,
    work: &Work,
    counts: &Counts,
    terms: &[u16],
    places: &[u32],
) -> Result<()> {
    const ABSENT: usize = usize::MAX;
    let mut ends = vec![ABSENT; 1 << 16];
    let mut total = 0;
    for term in terms {
        ends[usize::from(*term)] = total;
        total += counts.of(*term) as usize;
    }
    // The document above the weight, so that sorting is by document.
    let mut postings = vec![0u64; total];
    for chunk in Documents::open(work, None)? {
        for (document, record) in chunk?.records() {
            let place = u64::from(places[document as usize]);
            for (term, weight) in vector(record) {
                let end = &mut ends[usize::from(term)];
                if *end != ABSENT {
                    postings[*end] = place << 8 | u64::from(weight);
                    *end += 1;
                }
            }
        }
    }
    let mut rest = &mut postings[..];
    for term in terms {
        let (list, others) = rest.split_at_mut(counts.of(*term) as usize);
        list.sort_unstable();
        write_message(file, &posting_list(*term, list))?;
        rest = others;
    }
    Ok(())
}

/// Kinds of protobuf fields.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;

fn header(work: &Work, counts: &Counts, lists: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let total: u64 = counts.lengths.iter().map(|length| u64::from(*length)).sum();
    let (lists, documents) = (lists as u64, u64::from(work.documents));
    for (field, value) in (1..).zip([1, lists, documents, lists, documents, total]) {
        push_number(field, value, &mut message);
    }
    push_varint(7 << 3 | FIXED_64, &mut message);
    let average = total as f64 / f64::from(work.documents.max(1));
    message.extend_from_slice(&average.to_le_bytes());
    push_bytes(8, work.name.as_bytes(), &mut message);
    message
}

fn posting_list(term: u16, postings: &[u64]) -> Vec<u8> {
    let mut message = Vec::with_capacity(postings.len() * 8 + 32);
    let total = postings.iter().map(|posting| posting & 0xFF).sum();
    push_bytes(1, term.to_string().as_bytes(), &mut message);
    push_number(2, postings.len() as u64, &mut message);
    push_number(3, total, &mut message);
    let (mut before, mut inner) = (0, Vec::new());
    for posting in postings {
        let place = posting >> 8;
        inner.clear();
        push_number(1, place - before, &mut inner);
        push_number(2, posting & 0xFF, &mut inner);
        push_bytes(4, &inner, &mut message);
        before = place;
    }
    message
}

fn document_record(place: u64, document: u32, length: u64) -> Vec<u8> {
    let mut message = Vec::new();
    push_number(1, place, &mut message);
    push_bytes(2, document.to_string().as_bytes(), &mut message);
    push_number(3, length, &mut message);
    message
}

fn push_number(field: u64, value: u64, message: &mut Vec<u8>) {
    push_varint(field << 3 | VARINT, message);
    push_varint(value, message);
}

fn push_bytes(field: u64, bytes: &[u8], message: &mut Vec<u8>) {
    push_varint(field << 3 | BYTES, message);
    push_varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}

fn push_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn write_message(file: &mut impl Write, message: &[u8]) -> Result<()> {
    let mut length = Vec::new();
    push_varint(message.len() as u64, &mut length);
    file.write_all(&length)?;
    Ok(file.write_all(message)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use peers::work::push_vector;

    use super::*;

    fn work(name: &str, vectors: &[&[(u16, u8)]]) -> Work {
        let folder = std::env::temp_dir().join(format!("peers-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut bytes = Vec::new();
        for vector in vectors {
            push_vector(vector, &mut bytes);
        }
        let work = Work {
            folder,
            kind: Kind::Sparse,
            name: "n".into(),
            documents: vectors.len() as u32,
            queries: 0,
            terms: 1,
            postings: 1,
            seed: None,
        };
        fs::write(work.documents_path(), bytes).unwrap();
        work
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let work = work("ciff-bytes", &[&[(7, 3)], &[(7, 200), (10, 1)]]);
        fs::write(work.folder.join("order.bin"), [1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        write(&work).unwrap();
        let mut expected: Vec<u8> = vec![
            25, 0x08, 1, 0x10, 2, 0x18, 2, 0x20, 2, 0x28, 2, 0x30, 204, 1, 0x39,
        ];
        expected.extend(102f64.to_le_bytes());
        expected.extend([0x42, 1, b'n']);
        // "10" sorts before "7".
        expected.extend([
            14, 0x0A, 2, b'1', b'0', 0x10, 1, 0x18, 1, 0x22, 4, 0x08, 0, 0x10, 1,
        ]);
        expected.extend([21, 0x0A, 1, b'7', 0x10, 2, 0x18, 203, 1]);
        expected.extend([0x22, 5, 0x08, 0, 0x10, 200, 1, 0x22, 4, 0x08, 1, 0x10, 3]);
        expected.extend([8, 0x08, 0, 0x12, 1, b'1', 0x18, 201, 1]);
        expected.extend([7, 0x08, 1, 0x12, 1, b'0', 0x18, 3]);
        assert_eq!(
            fs::read(work.folder.join("documents.ciff")).unwrap(),
            expected
        );
        fs::remove_dir_all(&work.folder).unwrap();
    }

    #[test]
    fn the_file_does_not_depend_on_the_memory() {
        let vectors: Vec<Vec<(u16, u8)>> = (0..50u16)
            .map(|d| {
                (0..20)
                    .map(|t| (t * 3 + d % 3, (d + t) as u8 + 1))
                    .collect()
            })
            .collect();
        let vectors: Vec<&[(u16, u8)]> = vectors.iter().map(Vec::as_slice).collect();
        let work = work("ciff-memory", &vectors);
        let order: Vec<u32> = (0..50).map(|d| d * 7 % 50).collect();
        let path = work.folder.join("ciff");
        let bytes = [1, 40, 1_000_000].map(|at_once| {
            write_file(&work, &order, &path, at_once).unwrap();
            fs::read(&path).unwrap()
        });
        assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2]);
        fs::remove_dir_all(&work.folder).unwrap();
    }
}
