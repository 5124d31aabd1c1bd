//! The options of a text field.

use super::options::KindOptions;
use super::records::{OptionRecord, OptionRecords};
use super::utf8;
use crate::error::Result;
use crate::format::{Bm25, Malformed, Parse};

/// A field of text, searched by BM25.
///
/// ```
/// use esparsa::{Bm25, Schema, Text};
///
/// let body = Text::new().analyzer("english").bm25(Bm25 { k1: 1.2, b: 0.75 });
/// let schema = Schema::builder().text("body", body).build()?;
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Text {
    /// Name of the analyzer, for documents and queries alike.
    pub analyzer: String,
    /// The analyzer's [revision](crate::text::Analyzer::revision), set when the index is created.
    pub revision: u32,
    /// The parameters that queries have unless they set others.
    pub bm25: Bm25,
    /// Whether the positions of terms are kept, which phrase queries need.
    pub positions: bool,
}

const ANALYZER: u64 = 1;
const REVISION: u64 = 2;
const BM25: u64 = 3;
const POSITIONS: u64 = 4;

/// Merges hold the longest list of positions, about a byte for each time that the most frequent term
/// occurs in a document.
const POSITION_BYTES_PER_DOCUMENT: u64 = 16;

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Text {
    /// A field whose text is split into words and folded to lower case, for no language in
    /// particular.
    pub fn new() -> Self {
        Self {
            analyzer: "simple".to_owned(),
            revision: 0,
            bm25: Bm25::default(),
            positions: false,
        }
    }

    /// Sets the analyzer: a language (`en`, `portuguese`), see
    /// [`Analyzer::named`](crate::text::Analyzer::named), or the name of a custom one.
    #[must_use]
    pub fn analyzer(mut self, name: impl Into<String>) -> Self {
        self.analyzer = name.into();
        self
    }

    /// Sets the parameters of BM25 that queries have unless they set others.
    #[must_use]
    pub fn bm25(mut self, parameters: Bm25) -> Self {
        self.bm25 = parameters;
        self
    }

    /// Keeps the positions of terms, so that phrases can be searched. They take about a byte for each
    /// word that is a term.
    #[must_use]
    pub fn positions(mut self) -> Self {
        self.positions = true;
        self
    }
}

impl KindOptions for Text {
    const SECTIONS: &'static [&'static str] = &["terms", "postings", "lengths", "positions"];

    const CHANGEABLE: &'static str = "k1 and b";

    fn changed_to(&self, to: &Self) -> Option<Self> {
        // The revision is no option that is given: it stays that of the documents.
        let is_same = self.analyzer == to.analyzer && self.positions == to.positions;
        is_same.then(|| Self {
            bm25: to.bm25,
            ..self.clone()
        })
    }

    fn encode(&self) -> Vec<OptionRecord> {
        let bm25 = [self.bm25.k1.to_le_bytes(), self.bm25.b.to_le_bytes()];
        let mut records = vec![
            OptionRecord::required(ANALYZER, self.analyzer.as_bytes()),
            OptionRecord::required(REVISION, self.revision.to_le_bytes()),
            OptionRecord::required(BM25, bm25.concat()),
        ];
        if self.positions {
            records.push(OptionRecord::required(POSITIONS, []));
        }
        records
    }

    fn decode(records: &mut OptionRecords) -> Parse<Self> {
        let analyzer = records.take(ANALYZER);
        let analyzer = analyzer.ok_or(Malformed("a text field names no analyzer"))?;
        let revision = u32::from_le_bytes(records.take_array(REVISION)?);
        let [a, b, c, d, e, f, g, h] = records.take_array(BM25)?;
        let bm25 = Bm25 {
            k1: f32::from_le_bytes([a, b, c, d]),
            b: f32::from_le_bytes([e, f, g, h]),
        };
        if bm25.check().is_err() {
            return Err(Malformed("parameters of BM25 are out of range"));
        }
        let positions = records.take(POSITIONS);
        if positions.as_ref().is_some_and(|bytes| !bytes.is_empty()) {
            return Err(Malformed("the option of positions has content"));
        }
        Ok(Self {
            analyzer: utf8(&analyzer)?,
            revision,
            bm25,
            positions: positions.is_some(),
        })
    }

    fn check(&self) -> Result<()> {
        self.bm25.check()
    }

    fn merge_bytes_per_document(&self) -> u64 {
        match self.positions {
            true => POSITION_BYTES_PER_DOCUMENT,
            false => 0,
        }
    }

    fn describe(&self) -> String {
        let positions = match self.positions {
            true => ", with positions",
            false => "",
        };
        format!(
            "text, analyzer {} of revision {}, k1 {}, b {}{positions}",
            self.analyzer, self.revision, self.bm25.k1, self.bm25.b
        )
    }
}
