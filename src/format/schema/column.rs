//! The options of a column.

use super::options::KindOptions;
use super::records::{OptionRecord, OptionRecords};
use crate::error::Result;
use crate::format::column::ColumnType;
use crate::format::{Malformed, Parse};

/// A column: numbers, dates, flags or keywords of documents, to filter by.
///
/// ```
/// use esparsa::{Column, Document, Schema};
///
/// let schema = Schema::builder()
///     .column("price", Column::f64())
///     .column("tags", Column::keyword().several())
///     .build()?;
/// let shirt = Document::new("shirt").with("price", 12.5).with("tags", "red").with("tags", "new");
/// shirt.check(&schema)?;
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Column {
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether a document may have more than one value.
    pub several: bool,
}

const TYPE: u64 = 1;
const SEVERAL: u64 = 2;

impl Column {
    /// A column of this type, of which a document has at most one value.
    pub fn new(column_type: ColumnType) -> Self {
        let several = false;
        Self {
            column_type,
            several,
        }
    }

    /// Whole numbers with a sign.
    pub fn i64() -> Self {
        Self::new(ColumnType::I64)
    }

    /// Whole numbers from 0 on.
    pub fn u64() -> Self {
        Self::new(ColumnType::U64)
    }

    /// Numbers in double precision; not NaN.
    pub fn f64() -> Self {
        Self::new(ColumnType::F64)
    }

    /// True or false.
    pub fn bool() -> Self {
        Self::new(ColumnType::Bool)
    }

    /// Points in time, to the millisecond.
    pub fn date() -> Self {
        Self::new(ColumnType::Date)
    }

    /// Strings that are compared as a whole.
    pub fn keyword() -> Self {
        Self::new(ColumnType::Keyword)
    }

    /// Lets a document have several values. A keyword that is given twice is there once.
    #[must_use]
    pub fn several(mut self) -> Self {
        self.several = true;
        self
    }
}

impl KindOptions for Column {
    const SECTIONS: &'static [&'static str] = &[
        "column-values",
        "column-documents",
        "column-starts",
        "column-keywords",
    ];

    const CHANGEABLE: &'static str = "several values instead of one";

    fn changed_to(&self, to: &Self) -> Option<Self> {
        let is_same = self.column_type == to.column_type;
        (is_same && to.several >= self.several).then(|| to.clone())
    }

    fn encode(&self) -> Vec<OptionRecord> {
        vec![
            OptionRecord::required(TYPE, [self.column_type.code()]),
            OptionRecord::required(SEVERAL, [u8::from(self.several)]),
        ]
    }

    fn decode(records: &mut OptionRecords) -> Parse<Self> {
        let [column_type] = records.take_array(TYPE)?;
        let several = match records.take_array(SEVERAL)? {
            [several @ (0 | 1)] => several == 1,
            _ => {
                return Err(Malformed(
                    "whether a column has several values is neither yes nor no",
                ));
            }
        };
        Ok(Self {
            column_type: ColumnType::of_code(column_type)?,
            several,
        })
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self) -> String {
        let several = if self.several { ", several values" } else { "" };
        format!("column of type {}{several}", self.column_type.name())
    }
}
