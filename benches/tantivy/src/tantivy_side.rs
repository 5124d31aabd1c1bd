//! The same collection in tantivy: the same terms, frequencies without positions, one segment.

use std::path::Path;

use esparsa::text::Analyzer;
use tantivy::collector::TopDocs;
use tantivy::columnar::StrColumn;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use tantivy::{DocAddress, Index, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term, doc};

use crate::Result;
use crate::collection::Collection;

const TOKENIZER: &str = "esparsa";
const FREQUENCIES: IndexRecordOption = IndexRecordOption::WithFreqs;

/// Where tantivy keeps the external ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// A column of strings.
    FastField,
    /// The stored document, uncompressed.
    Store,
}

/// esparsa's analyzer as a tokenizer of tantivy.
#[derive(Clone)]
struct SameTerms(Analyzer);

#[derive(Default)]
struct Terms {
    tokens: std::vec::IntoIter<Token>,
    current: Token,
}

impl Tokenizer for SameTerms {
    type TokenStream<'a> = Terms;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms {
        let mut tokens = Vec::new();
        self.0.analyze(text, &mut |term, range| {
            tokens.push(Token {
                offset_from: range.start,
                offset_to: range.end,
                position: tokens.len(),
                text: term.to_owned(),
                position_length: 1,
            });
        });
        Terms {
            tokens: tokens.into_iter(),
            current: Token::default(),
        }
    }
}

impl TokenStream for Terms {
    fn advance(&mut self) -> bool {
        match self.tokens.next() {
            Some(token) => {
                self.current = token;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.current
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.current
    }
}

pub struct TantivySide {
    searcher: Searcher,
    analyzer: Analyzer,
    text: Field,
    id: Field,
    /// The column of ids of the only segment, when ids are a fast field.
    column: Option<StrColumn>,
    k: usize,
}

impl TantivySide {
    pub fn build(
        folder: &Path,
        collection: &Collection,
        analyzer: &Analyzer,
        memory: usize,
        k: usize,
        ids: Ids,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(FREQUENCIES);
        let text = schema.add_text_field(
            "text",
            TextOptions::default().set_indexing_options(indexing),
        );
        let id = match ids {
            Ids::FastField => schema.add_text_field("id", FAST),
            Ids::Store => schema.add_text_field("id", STORED),
        };
        let index = Index::create_in_dir(folder, schema.build())?;
        index
            .tokenizers()
            .register(TOKENIZER, SameTerms(analyzer.clone()));

        let mut writer: IndexWriter = index.writer_with_num_threads(1, memory)?;
        for document in &collection.documents {
            writer
                .add_document(doc!(id => document.id.as_str(), text => document.text.as_str()))?;
        }
        writer.commit()?;
        let segments = index.searchable_segment_ids()?;
        if segments.len() > 1 {
            writer.merge(&segments).wait()?;
            writer.garbage_collect_files().wait()?;
        }
        writer.wait_merging_threads()?;

        let reader = index.reader_builder();
        let reader = reader.reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = reader.searcher();
        let column = match ids {
            Ids::FastField => searcher.segment_reader(0).fast_fields().str("id")?,
            Ids::Store => None,
        };
        Ok(Self {
            searcher,
            analyzer: analyzer.clone(),
            text,
            id,
            column,
            k,
        })
    }

    pub fn segments(&self) -> usize {
        self.searcher.segment_readers().len()
    }

    /// The terms of a query. A term that is there twice counts twice, as in esparsa.
    pub fn terms(&self, text: &str) -> Vec<Term> {
        let mut terms = Vec::new();
        self.analyzer.analyze(text, &mut |term, _| {
            terms.push(Term::from_field_text(self.text, term));
        });
        terms
    }

    /// The best documents for a disjunction of terms.
    pub fn search(&self, terms: &[Term]) -> Result<Vec<DocAddress>> {
        let clauses = terms.iter().map(|term| {
            let query: Box<dyn Query> = Box::new(TermQuery::new(term.clone(), FREQUENCIES));
            (Occur::Should, query)
        });
        let query = BooleanQuery::new(clauses.collect());
        let top = TopDocs::with_limit(self.k).order_by_score();
        let found = self.searcher.search(&query, &top)?;
        Ok(found.into_iter().map(|(_, address)| address).collect())
    }

    /// External ids of documents.
    pub fn ids(&self, addresses: &[DocAddress]) -> Result<Vec<String>> {
        addresses.iter().map(|address| self.id(*address)).collect()
    }

    fn id(&self, address: DocAddress) -> Result<String> {
        let mut id = String::new();
        match &self.column {
            Some(column) => {
                let ordinal = column.ords().first(address.doc_id);
                column.ord_to_str(ordinal.ok_or("a document has no id")?, &mut id)?;
            }
            None => {
                let document: TantivyDocument = self.searcher.doc(address)?;
                let value = document.get_first(self.id).and_then(|v| v.as_str());
                id.push_str(value.ok_or("a document has no id")?);
            }
        }
        Ok(id)
    }
}
