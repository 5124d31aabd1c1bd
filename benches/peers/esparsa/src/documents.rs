//! The documents of a folder of work, piece by piece: in the order of the file, or in another.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::vec::IntoIter;

use crate::Result;
use crate::work::{Kind, Work, read_order};

/// A chunk ends when it has this many bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Some documents, one after another.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    /// The number of each document and where it ends.
    ends: Vec<(u32, usize)>,
}

impl Chunk {
    /// Numbers and records of the documents.
    pub fn records(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(number, end)| {
            let record = &self.bytes[start..*end];
            start = *end;
            (*number, record)
        })
    }

    fn finish_record(&mut self, number: u32) {
        self.ends.push((number, self.bytes.len()));
    }
}

/// Yields chunks until there are no more documents.
#[derive(Debug)]
pub struct Documents {
    kind: Kind,
    source: Source,
}

#[derive(Debug)]
enum Source {
    InOrder {
        reader: BufReader<File>,
        next: u32,
    },
    Reordered {
        file: File,
        /// Where each document begins, and where the last ends.
        starts: Vec<u64>,
        order: IntoIter<u32>,
    },
}

impl Documents {
    /// The documents of a work, in the order of a file if there is one.
    ///
    /// # Errors
    ///
    /// When a file is missing, or the order is none.
    pub fn open(work: &Work, order: Option<&Path>) -> Result<Self> {
        let path = work.documents_path();
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let source = match order {
            None => Source::InOrder {
                reader: BufReader::with_capacity(1 << 18, file),
                next: 0,
            },
            Some(order) => {
                let order = read_order(order, work.documents)?.into_iter();
                let starts = starts(work.kind, &file)?;
                if starts.len() != order.len() + 1 {
                    let found = starts.len() - 1;
                    return Err(format!("expected {} documents, found {found}", order.len()).into());
                }
                Source::Reordered {
                    file,
                    starts,
                    order,
                }
            }
        };
        Ok(Self {
            kind: work.kind,
            source,
        })
    }

    fn read_chunk(&mut self) -> Result<Chunk> {
        let mut chunk = Chunk::default();
        while chunk.bytes.len() + chunk.ends.len() < CHUNK_BYTES {
            match &mut self.source {
                Source::InOrder { reader, next } => {
                    if !self.kind.read_record(reader, &mut chunk.bytes)? {
                        break;
                    }
                    chunk.finish_record(*next);
                    *next += 1;
                }
                Source::Reordered {
                    file,
                    starts,
                    order,
                } => {
                    let Some(number) = order.next() else { break };
                    let Range { start, end } = range(self.kind, starts, number);
                    let place = chunk.bytes.len();
                    chunk.bytes.resize(place + (end - start) as usize, 0);
                    file.read_exact_at(&mut chunk.bytes[place..], start)?;
                    chunk.finish_record(number);
                }
            }
        }
        Ok(chunk)
    }
}

impl Iterator for Documents {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.read_chunk();
        chunk.map_or_else(
            |error| Some(Err(error)),
            |chunk| (!chunk.ends.is_empty()).then_some(Ok(chunk)),
        )
    }
}

fn range(kind: Kind, starts: &[u64], number: u32) -> Range<u64> {
    let (start, end) = (starts[number as usize], starts[number as usize + 1]);
    match kind {
        Kind::Text | Kind::Forms => start..end - 1,
        Kind::Sparse => start..end,
    }
}

fn starts(kind: Kind, file: &File) -> Result<Vec<u64>> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut starts, mut record) = (vec![0], Vec::new());
    let mut start = 0;
    while kind.read_record(&mut reader, &mut record)? {
        start += record.len() as u64 + u64::from(kind != Kind::Sparse);
        starts.push(start);
        record.clear();
    }
    Ok(starts)
}
