//! A field of an index becomes a file.

use std::io::Write;
use std::path::PathBuf;

use esparsa::{Error, FieldOptions, Index, Result, Schema, Snapshot, SparseTerms, TermList};

use super::message::{DocRecord, Header, Posting, PostingsList, VERSION, write};
use crate::output;
use crate::output_file::OutputFile;
use crate::size::counted;

/// Arguments of `esparsa ciff export`.
#[derive(clap::Args)]
pub struct Export {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// The text or sparse field.
    #[arg(long, value_name = "NAME", default_value = "text")]
    field: String,
    /// The file that is written, or - for standard output.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// What the header says of the file.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

impl Export {
    pub fn run(self) -> Result<()> {
        let snapshot = Index::open(&self.index)?.snapshot()?;
        let totals = Totals::of(&snapshot, &self.field)?;
        let mut out = OutputFile::create(Some(&self.output))?;
        let name = out.name().to_owned();
        let mut writer = Writer {
            out: &mut out,
            name: &name,
            buffer: Vec::new(),
        };
        writer.message(&totals.header(self.description)?)?;
        snapshot.for_each_list(&self.field, |list| writer.message(&totals.list(list)?))?;
        let mut docid = 0;
        snapshot.for_each_id(|id| {
            let length = totals.lengths.get(docid as usize).copied().unwrap_or(0);
            let record = DocRecord {
                docid,
                collection_docid: id.to_owned(),
                doclength: count("the length of a document", length)?,
            };
            docid += 1;
            writer.message(&record)
        })?;
        out.finish()?;
        output::message(&format!(
            "{} of {} in {name}",
            counted(totals.lists, "list"),
            counted(totals.lengths.len() as u64, "document")
        ));
        Ok(())
    }
}

struct Writer<'a, W> {
    out: &'a mut W,
    name: &'a str,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<'_, W> {
    fn message(&mut self, message: &impl prost::Message) -> Result<()> {
        let written = write(self.out, message, &mut self.buffer);
        written.map_err(|source| Error::io(self.name, "write", source))
    }
}

/// What is known of a field after its lists were gone over once.
struct Totals {
    lists: u64,
    /// The sum of frequencies or impacts of each document.
    lengths: Vec<u64>,
    /// All weights are whole multiples of this: of a text field 1.
    unit: f64,
    is_numbered: bool,
}

impl Totals {
    fn of(snapshot: &Snapshot, field: &str) -> Result<Self> {
        let (scale, is_numbered) = kind(snapshot.schema(), field);
        let documents = usize::try_from(snapshot.documents()).unwrap_or(usize::MAX);
        let mut totals = Self {
            lists: 0,
            lengths: vec![0; documents],
            unit: 1.0,
            is_numbered,
        };
        if let Some(scale) = scale {
            let mut exponent = i32::MAX;
            snapshot.for_each_list(field, |list| {
                let weights = list.weights.iter();
                let lowest =
                    weights.map(|weight| lowest_bit(f64::from(*weight) / f64::from(scale)));
                exponent = exponent.min(lowest.min().unwrap_or(i32::MAX));
                Ok(())
            })?;
            if exponent != i32::MAX {
                totals.unit = f64::from(scale) * 2f64.powi(exponent);
            }
        }
        snapshot.for_each_list(field, |list| {
            totals.lists += 1;
            for (document, weight) in list.documents.iter().zip(list.weights) {
                let units = u64::from(totals.units(*weight)?.unsigned_abs());
                if let Some(length) = totals.lengths.get_mut(*document as usize) {
                    *length += units;
                }
            }
            Ok(())
        })?;
        Ok(totals)
    }

    /// A weight as a number of units.
    #[allow(clippy::cast_possible_truncation)]
    fn units(&self, weight: f32) -> Result<i32> {
        let units = (f64::from(weight) / self.unit).round();
        match units <= f64::from(i32::MAX) {
            true => Ok(units as i32),
            false => Err(Error::invalid(format!(
                "expected weights that are at most 2^31 - 1 times the smallest step, found {weight}; quantize them \
                 with a max weight (`esparsa index --max-weight`)"
            ))),
        }
    }

    fn header(&self, description: String) -> Result<Header> {
        let total: u64 = self.lengths.iter().sum();
        let documents = count("the number of documents", self.lengths.len() as u64)?;
        let lists = count("the number of terms", self.lists)?;
        #[allow(clippy::cast_precision_loss)]
        let average = match self.lengths.is_empty() {
            true => 0.0,
            false => total as f64 / self.lengths.len() as f64,
        };
        Ok(Header {
            version: VERSION,
            num_postings_lists: lists,
            num_docs: documents,
            total_postings_lists: lists,
            total_docs: documents,
            total_terms_in_collection: i64::try_from(total).unwrap_or(i64::MAX),
            average_doclength: average,
            description,
        })
    }

    fn list(&self, list: &TermList<'_>) -> Result<PostingsList> {
        let mut before = 0;
        let mut postings = Vec::with_capacity(list.documents.len());
        let mut frequency = 0;
        for (document, weight) in list.documents.iter().zip(list.weights) {
            let document = count("the number of a document", u64::from(*document))?;
            let tf = self.units(*weight)?;
            postings.push(Posting {
                docid: document - before,
                tf,
            });
            before = document;
            frequency += i64::from(tf);
        }
        Ok(PostingsList {
            term: self.term(list.term)?,
            df: i64::try_from(postings.len()).unwrap_or(i64::MAX),
            cf: frequency,
            postings,
        })
    }

    fn term(&self, term: &[u8]) -> Result<String> {
        if let (true, Ok(number)) = (self.is_numbered, term.try_into()) {
            return Ok(u32::from_be_bytes(number).to_string());
        }
        String::from_utf8(term.to_vec()).map_err(|_| {
            let found = String::from_utf8_lossy(term);
            Error::invalid(format!("expected terms in UTF-8, found {found:?}"))
        })
    }
}

/// The scale of a sparse field, and whether its terms are numbers.
fn kind(schema: &Schema, field: &str) -> (Option<f32>, bool) {
    match schema.field(field).map(|field| &field.options) {
        Some(FieldOptions::Sparse(sparse)) => {
            (Some(sparse.scale), sparse.terms == SparseTerms::Numbers)
        }
        _ => (None, false),
    }
}

/// The exponent of the lowest bit of a positive number that is set; numbers of `f32` that were
/// divided by another have all 24 bits before.
fn lowest_bit(number: f64) -> i32 {
    // Division rounds: a multiple of a power of two is one to 2^-40 of its value.
    let exponent = number.log2().floor();
    #[allow(clippy::cast_possible_truncation)]
    let exponent = exponent as i32;
    let mantissa = (number * 2f64.powi(8 - exponent)).round();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let trailing = (mantissa as u64).trailing_zeros();
    exponent - 8 + trailing.cast_signed()
}

fn count(what: &str, number: u64) -> Result<i32> {
    i32::try_from(number).map_err(|_| {
        Error::invalid(format!(
            "expected {what} to be at most 2^31 - 1, which the format can hold, found {number}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bit_of_steps_is_found_though_division_rounds() {
        for steps in 1..=255u32 {
            for exponent in [-20, -1, 0, 3, 17] {
                for scale in [3.0f32 / 255.0, 0.1, 1.0] {
                    let weight = (f64::from(scale) * 2f64.powi(exponent) * f64::from(steps)) as f32;
                    let found = lowest_bit(f64::from(weight) / f64::from(scale));
                    assert_eq!(
                        found,
                        exponent + steps.trailing_zeros().cast_signed(),
                        "{steps} {exponent}"
                    );
                }
            }
        }
    }
}
