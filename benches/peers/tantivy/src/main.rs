//! tantivy's driver: the same command line and reports as those of the other engines.

mod build;
mod forms;

use std::path::Path;
use std::process::ExitCode;

use peers::Result;
use peers::driver::{self, BuildOptions, Built, Engine};
use peers::forms::{Form, Task, task_of};
use peers::work::{Kind, Work};
use tantivy::columnar::Column;
use tantivy::query::Query;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, Index, ReloadPolicy, Searcher};

use crate::forms::{Fields, Found, Search};

/// The field that is searched, and the column of document numbers.
const TEXT: &str = "text";
const NUMBER: &str = "number";
/// The columns of queries of many forms.
const VALUE: &str = "value";
const KEYWORD: &str = "keyword";
/// No positions.
const INDEXED: IndexRecordOption = IndexRecordOption::WithFreqs;

fn main() -> ExitCode {
    driver::main::<Tantivy>()
}

struct Tantivy {
    searcher: Searcher,
    fields: Fields,
    /// Document numbers of the only segment.
    numbers: Column<u64>,
    kind: Kind,
    search: Search,
}

impl Engine for Tantivy {
    const NAME: &'static str = "tantivy";
    type Query = Box<dyn Query>;
    type Found = Found;

    fn version() -> String {
        tantivy::version_string().to_owned()
    }

    fn modes() -> Vec<(Kind, String)> {
        let forms = peers::forms::modes().into_iter();
        let forms = forms.map(|mode| (Kind::Forms, mode));
        [(Kind::Text, "default".to_owned())]
            .into_iter()
            .chain(forms)
            .collect()
    }

    fn build(work: &Work, index: &Path, options: &BuildOptions) -> Result<Built> {
        build::build(work, index, options)
    }

    fn open(index: &Path, kind: Kind, mode: &str, k: usize) -> Result<Self> {
        let index = Index::open_in_dir(index)?;
        let reader = index.reader_builder();
        let reader = reader.reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = reader.searcher();
        let [segment] = searcher.segment_readers() else {
            return Err("expected one segment".into());
        };
        let task = match kind {
            Kind::Forms => task_of(mode)?,
            _ => Task::Top,
        };
        let fields = Fields {
            text: index.schema().get_field(TEXT)?,
            value: index.schema().get_field(VALUE).ok(),
        };
        Ok(Self {
            fields,
            numbers: segment.fast_fields().u64(NUMBER)?,
            searcher,
            kind,
            search: Search::new(task, k)?,
        })
    }

    fn query(&self, record: &[u8]) -> Result<Box<dyn Query>> {
        if self.kind == Kind::Forms {
            return forms::query(self.fields, &Form::parse(record)?);
        }
        let terms = std::str::from_utf8(record)?.split_ascii_whitespace();
        let terms: Vec<String> = terms.map(str::to_owned).collect();
        Ok(Box::new(forms::union(self.fields.text, &terms)))
    }

    fn search(&self, query: &Box<dyn Query>) -> Result<Found> {
        self.search.run(&self.searcher, &**query)
    }

    fn name(&self, found: Found) -> Result<Vec<(u32, f32)>> {
        let number = |address: DocAddress| {
            let number = self.numbers.first(address.doc_id);
            let number = number.ok_or("a document has no number")?;
            Ok::<_, peers::Error>(u32::try_from(number)?)
        };
        match found {
            Found::Hits(hits) => {
                let hits = hits.into_iter();
                hits.map(|(score, address)| Ok((number(address)?, score)))
                    .collect()
            }
            Found::Sorted(hits) => {
                let hits = hits.into_iter();
                let hits = hits.map(|(value, address)| {
                    let value = value.ok_or("a document has no value")?;
                    Ok((number(address)?, value as f32))
                });
                hits.collect()
            }
            Found::Count(count) => Ok(vec![(0, count as f32)]),
            Found::Facets(results) => forms::facets(*results),
        }
    }

    fn note(&self) -> String {
        "1 segment, memory map".to_owned()
    }
}
