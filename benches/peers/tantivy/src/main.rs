//! tantivy's driver: the same command line and reports as those of the other engines.

mod build;

use std::path::Path;
use std::process::ExitCode;

use peers::Result;
use peers::driver::{self, BuildOptions, Built, Engine};
use peers::work::{Kind, Work};
use tantivy::collector::TopDocs;
use tantivy::columnar::Column;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, Index, ReloadPolicy, Score, Searcher, Term};

/// The field that is searched, and the column of document numbers.
const TEXT: &str = "text";
const NUMBER: &str = "number";
/// No positions.
const INDEXED: IndexRecordOption = IndexRecordOption::WithFreqs;

fn main() -> ExitCode {
    driver::main::<Tantivy>()
}

struct Tantivy {
    searcher: Searcher,
    text: Field,
    /// Document numbers of the only segment.
    numbers: Column<u64>,
    k: usize,
}

impl Engine for Tantivy {
    const NAME: &'static str = "tantivy";
    type Query = BooleanQuery;
    type Found = Vec<(Score, DocAddress)>;

    fn version() -> String {
        tantivy::version_string().to_owned()
    }

    fn modes() -> Vec<(Kind, String)> {
        vec![(Kind::Text, "default".to_owned())]
    }

    fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built> {
        build::build(work, index, options)
    }

    fn open(index: &Path, _kind: Kind, _mode: &str, k: usize) -> Result<Self> {
        let index = Index::open_in_dir(index)?;
        let reader = index.reader_builder();
        let reader = reader.reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = reader.searcher();
        let [segment] = searcher.segment_readers() else {
            return Err("expected one segment".into());
        };
        Ok(Self {
            text: index.schema().get_field(TEXT)?,
            numbers: segment.fast_fields().u64(NUMBER)?,
            searcher,
            k,
        })
    }

    /// A disjunction; a term that is there twice counts twice.
    fn query(&self, record: &[u8]) -> Result<BooleanQuery> {
        let terms = std::str::from_utf8(record)?.split_ascii_whitespace();
        let clauses = terms.map(|term| {
            let term = Term::from_field_text(self.text, term);
            let query: Box<dyn Query> = Box::new(TermQuery::new(term, INDEXED));
            (Occur::Should, query)
        });
        Ok(BooleanQuery::new(clauses.collect()))
    }

    fn search(&self, query: &BooleanQuery) -> Result<Self::Found> {
        let top = TopDocs::with_limit(self.k).order_by_score();
        Ok(self.searcher.search(query, &top)?)
    }

    fn name(&self, found: Self::Found) -> Result<Vec<(u32, f32)>> {
        let number = |(score, address): (Score, DocAddress)| {
            let number = self.numbers.first(address.doc_id);
            let number = number.ok_or("a document has no number")?;
            Ok((u32::try_from(number)?, score))
        };
        found.into_iter().map(number).collect()
    }

    fn note(&self) -> String {
        "1 segment, memory map".to_owned()
    }
}
