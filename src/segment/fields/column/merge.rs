//! The columns of sources become one.

use std::io::Write;

use super::{Inverted, Kind, statistics};
use crate::error::{Error, Result};
use crate::format::column::{
    ColumnType, ColumnValues, DocumentsWriter, NumbersShape, NumbersWriter, StartsWriter,
};
use crate::format::dictionary::{DictionaryIter, DictionaryWriter};
use crate::format::{DocId, FieldNumber, Malformed, index32, narrow, wide};
use crate::segment::document_map::DocumentMap;
use crate::segment::fields::Part;
use crate::segment::term_merge::{KeyMerge, KeyStream};
use crate::segment::write::{DICTIONARY_BYTES, SegmentWriter, Source};

/// A column of one source.
#[derive(Clone, Copy)]
enum SourceColumn<'a> {
    Nothing,
    Batch(&'a Inverted),
    Segment(&'a ColumnValues),
}

impl<'a> SourceColumn<'a> {
    fn of(source: Source<'a>, field: FieldNumber) -> Self {
        match source.field::<Kind>(field) {
            None => Self::Nothing,
            Some(Part::Batch(inverted)) => Self::Batch(inverted),
            Some(Part::Segment(_, values)) => Self::Segment(values),
        }
    }

    fn keywords(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Batch(inverted) => wide(inverted.keywords.len()),
            Self::Segment(values) => values.keywords().map_or(0, |keywords| keywords.len()),
        }
    }

    /// Calls `visit` with every document that has values, in order, and their codes.
    fn for_each(&self, mut visit: impl FnMut(DocId, &[u64]) -> Result<()>) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Segment(values) => values.for_each(visit),
            Self::Batch(inverted) => {
                let documents = index32(inverted.starts.len().saturating_sub(1));
                (0..documents).try_for_each(|document| match inverted.codes_of(document) {
                    [] => Ok(()),
                    codes => visit(document, codes),
                })
            }
        }
    }

    /// Appends the codes of a document.
    fn append(&self, document: DocId, codes: &mut Vec<u64>) -> Result<()> {
        match self {
            Self::Nothing => {}
            Self::Batch(inverted) => codes.extend_from_slice(inverted.codes_of(document)),
            Self::Segment(values) => {
                for place in values.places(document)? {
                    codes.push(values.code(place)?);
                }
            }
        }
        Ok(())
    }
}

/// The sorted keywords of one source.
enum KeywordStream<'a> {
    Nothing,
    /// With the keyword that the stream stands on, counted from 1; 0 before the first.
    Batch(&'a Inverted, u32),
    Segment(DictionaryIter<'a>),
}

impl<'a> KeywordStream<'a> {
    fn of(source: SourceColumn<'a>) -> Self {
        match source {
            SourceColumn::Nothing => Self::Nothing,
            SourceColumn::Batch(inverted) => Self::Batch(inverted, 0),
            SourceColumn::Segment(values) => match values.keywords() {
                Some(keywords) => Self::Segment(keywords.iter()),
                None => Self::Nothing,
            },
        }
    }

    fn ordinal(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Batch(_, place) => u64::from(place.saturating_sub(1)),
            Self::Segment(keywords) => keywords.ordinal(),
        }
    }
}

impl KeyStream for KeywordStream<'_> {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Nothing => Ok(false),
            Self::Batch(inverted, place) => {
                *place += 1;
                Ok(*place as usize <= inverted.keywords.len())
            }
            Self::Segment(keywords) => keywords.advance(),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Batch(inverted, place) => inverted.keywords.get(place.saturating_sub(1)),
            Self::Segment(keywords) => keywords.key(),
        }
    }
}

/// One bit for each of some numbers.
pub(super) struct Marks {
    words: Vec<u64>,
}

impl Marks {
    pub fn new(numbers: u64) -> Result<Self> {
        let words = narrow(numbers.div_ceil(64));
        let words = words.map_err(|Malformed(message)| Error::invalid(message))?;
        Ok(Self {
            words: vec![0; words],
        })
    }

    pub fn mark(&mut self, number: u64) {
        let word = usize::try_from(number / 64).ok();
        if let Some(word) = word.and_then(|word| self.words.get_mut(word)) {
            *word |= 1 << (number % 64);
        }
    }

    fn is_marked(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok();
        let word = word.and_then(|word| self.words.get(word));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub fn count(&self) -> u64 {
        let ones = self.words.iter().map(|word| u64::from(word.count_ones()));
        ones.sum()
    }
}

/// The columns of all sources, in the order of the documents that are written.
struct Merged<'a> {
    sources: Vec<SourceColumn<'a>>,
    maps: &'a [DocumentMap],
    /// For documents in another order: which document of all sources each is, counted through them.
    order: Option<Vec<u32>>,
    /// Documents of each source.
    documents: Vec<u32>,
    /// The new code of each keyword of each source.
    codes: Option<Vec<Vec<u32>>>,
}

/// No document of any source.
const NO_DOCUMENT: u32 = u32::MAX;

impl<'a> Merged<'a> {
    fn new(
        sources: &'a [Source<'a>],
        maps: &'a [DocumentMap],
        field: FieldNumber,
        documents: u32,
    ) -> Self {
        let columns = sources.iter().map(|s| SourceColumn::of(*s, field));
        let mut merged = Self {
            sources: columns.collect(),
            maps,
            order: None,
            documents: sources.iter().map(Source::documents).collect(),
            codes: None,
        };
        if maps.iter().all(DocumentMap::keeps_order) {
            return merged;
        }
        let mut order = vec![NO_DOCUMENT; documents as usize];
        let mut counted = 0;
        for (documents, map) in merged.documents.iter().zip(maps) {
            for document in 0..*documents {
                let new = map.get(document);
                if let Some(slot) = new.and_then(|new| order.get_mut(new as usize)) {
                    *slot = counted;
                }
                counted += 1;
            }
        }
        merged.order = Some(order);
        merged
    }

    /// Calls `visit` with every document that has values, in order, and their codes, which rise.
    fn for_each(&self, mut visit: impl FnMut(DocId, &[u64]) -> Result<()>) -> Result<()> {
        let mut codes = Vec::new();
        if let Some(order) = &self.order {
            for (new, document) in (0..).zip(order) {
                codes.clear();
                self.append(*document, &mut codes)?;
                if !codes.is_empty() {
                    visit(new, &codes)?;
                }
            }
            return Ok(());
        }
        for (number, (source, map)) in self.sources.iter().zip(self.maps).enumerate() {
            source.for_each(|document, of_document| {
                let Some(new) = map.get(document) else {
                    return Ok(());
                };
                codes.clear();
                codes.extend_from_slice(of_document);
                self.renumber(number, &mut codes);
                visit(new, &codes)
            })?;
        }
        Ok(())
    }

    /// Appends the codes of a document that was counted through all sources.
    fn append(&self, mut document: u32, codes: &mut Vec<u64>) -> Result<()> {
        for (number, (source, documents)) in self.sources.iter().zip(&self.documents).enumerate() {
            if document < *documents {
                source.append(document, codes)?;
                self.renumber(number, codes);
                break;
            }
            document -= documents;
        }
        Ok(())
    }

    /// The codes of keywords of a source become those of the segment that is written. They stay in
    /// order.
    fn renumber(&self, source: usize, codes: &mut [u64]) {
        let Some(table) = self.codes.as_ref().and_then(|codes| codes.get(source)) else {
            return;
        };
        for code in codes {
            let place = usize::try_from(*code).ok();
            let new = place.and_then(|place| table.get(place));
            *code = new.map_or(0, |new| u64::from(*new));
        }
    }

    /// The keywords of each source that a document which is kept has.
    fn used_keywords(&self) -> Result<Vec<Marks>> {
        let mut all = Vec::with_capacity(self.sources.len());
        for (source, map) in self.sources.iter().zip(self.maps) {
            let mut used = Marks::new(source.keywords())?;
            source.for_each(|document, codes| {
                if map.get(document).is_some() {
                    codes.iter().for_each(|code| used.mark(*code));
                }
                Ok(())
            })?;
            all.push(used);
        }
        Ok(all)
    }
}

/// What must be known of a column before it is written.
#[derive(Default)]
struct Counted {
    documents: u32,
    has_several: bool,
    values: NumbersShape,
}

impl<W: Write> SegmentWriter<'_, W> {
    /// Writes the sections of a column, unless no document has a value.
    pub(super) fn column(&mut self, field: FieldNumber, column: ColumnType) -> Result<()> {
        let mut merged = Merged::new(self.sources, self.maps, field, self.documents);
        let mut keywords = 0;
        if column == ColumnType::Keyword {
            let used = merged.used_keywords()?;
            if used.iter().all(|used| used.count() == 0) {
                return Ok(());
            }
            keywords = self.keywords(field, &mut merged, &used)?;
        }
        let mut counted = Counted::default();
        let mut last = None;
        merged.for_each(|document, codes| {
            // A damaged list of documents must not become one that looks whole.
            if last >= Some(document) {
                let message = "documents with a value do not rise in what is merged";
                return Err(Error::corrupt(self.file, "column-documents", 0, message));
            }
            last = Some(document);
            counted.documents += 1;
            counted.has_several |= codes.len() > 1;
            codes.iter().for_each(|code| counted.values.add(*code));
            Ok(())
        })?;
        if counted.documents == 0 {
            return Ok(());
        }
        self.column_values(field, &merged, &counted)?;
        let values = counted.values.count;
        let statistics = statistics(field, keywords, values, counted.documents);
        self.info.fields.push(statistics);
        Ok(())
    }

    /// Writes the keywords that are used, and finds the new code of each keyword of each source.
    fn keywords(
        &mut self,
        field: FieldNumber,
        merged: &mut Merged<'_>,
        used: &[Marks],
    ) -> Result<u64> {
        let mut codes = Vec::with_capacity(used.len());
        for source in &merged.sources {
            let keywords = narrow(source.keywords());
            let keywords = keywords.map_err(|Malformed(message)| Error::invalid(message))?;
            codes.push(vec![0; keywords]);
        }
        let streams = merged
            .sources
            .iter()
            .map(|source| KeywordStream::of(*source));
        let mut merge = KeyMerge::new(streams.collect())?;
        let mut dictionary = DictionaryWriter::of_keys();
        self.begin("column-keywords", Some(field))?;
        while merge.advance()? {
            let mut is_used = false;
            let code = dictionary.keys();
            merge.for_current(|source, stream| {
                let ordinal = stream.ordinal();
                is_used |= used.get(source).is_some_and(|used| used.is_marked(ordinal));
                let table = codes.get_mut(source);
                let place = usize::try_from(ordinal).unwrap_or(usize::MAX);
                if let Some(slot) = table.and_then(|table| table.get_mut(place)) {
                    *slot = u32::try_from(code).unwrap_or(u32::MAX);
                }
                Ok(())
            })?;
            if is_used {
                dictionary.add_id(merge.key())?;
                dictionary.take_blocks(DICTIONARY_BYTES, |blocks| self.put(blocks))?;
            }
        }
        let keywords = dictionary.keys();
        let (found, limit) = (keywords, u64::from(u32::MAX));
        if found > limit {
            return Err(Error::limit("keywords of a segment", found, limit));
        }
        self.put(&dictionary.finish()?)?;
        merged.codes = Some(codes);
        Ok(keywords)
    }

    fn column_values(
        &mut self,
        field: FieldNumber,
        merged: &Merged<'_>,
        counted: &Counted,
    ) -> Result<()> {
        self.begin("column-values", Some(field))?;
        let mut values = NumbersWriter::new(counted.values);
        merged.for_each(|_, codes| {
            let mut codes = codes.iter();
            codes.try_for_each(|code| values.push(*code, |bytes| self.put(bytes)))
        })?;
        values.finish(|bytes| self.put(bytes))?;
        if counted.documents < self.documents {
            self.begin("column-documents", Some(field))?;
            let mut documents = DocumentsWriter::new(self.documents);
            merged.for_each(|document, _| documents.push(document, |bytes| self.put(bytes)))?;
            documents.finish(|bytes| self.put(bytes))?;
        }
        if counted.has_several {
            self.begin("column-starts", Some(field))?;
            let mut starts = StartsWriter::new(counted.documents, counted.values.count);
            merged.for_each(|_, codes| {
                starts.count(codes.len());
                Ok(())
            })?;
            merged.for_each(|_, codes| starts.push(codes.len(), |bytes| self.put(bytes)))?;
            starts.finish(|bytes| self.put(bytes))?;
        }
        Ok(())
    }
}
