//! Positions as an index keeps them, against those of the texts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::format::block::DecodedBlock;
use crate::format::limits::MAX_TEXT_TERM_BYTES;
use crate::format::positions::POSITION_GAP;
use crate::segment::SegmentReader;
use crate::text::Analyzer;
use crate::{Document, Index, MergePolicy, Schema, Text, WriterOptions};

/// The texts of a document.
type Texts = Vec<String>;

/// Positions by external id and term.
type Positions = BTreeMap<(String, String), Vec<u32>>;

/// The definition: every text is analyzed, and a gap is between them.
fn expected(documents: &BTreeMap<String, Texts>, analyzer: &Analyzer) -> Positions {
    let mut all = Positions::new();
    for (id, texts) in documents {
        let mut first = 0;
        for text in texts {
            let text = analyzer.repair(text);
            analyzer.positions(&text, &mut |term, position, _| {
                // Longer terms are skipped, and leave a hole.
                if term.len() <= MAX_TEXT_TERM_BYTES {
                    let of_term = all.entry((id.clone(), term.to_owned())).or_default();
                    of_term.push(first + position);
                }
            });
            analyzer.words(&text, &mut |_| first += 1);
            first += POSITION_GAP;
        }
    }
    all
}

/// What the live documents of a segment have.
fn add_found(reader: &SegmentReader, is_live: impl Fn(u32) -> bool, all: &mut Positions) {
    let Some(field) = reader.text(0) else {
        return;
    };
    let mut terms = field.terms.iter();
    let (mut block, mut positions) = (DecodedBlock::default(), Vec::new());
    while let Some(entry) = terms.next_term().unwrap() {
        let term = std::str::from_utf8(terms.key()).unwrap();
        let list = field.list(reader.documents(), &entry).unwrap();
        let mut of_term = field.positions(&entry).unwrap().unwrap().reader();
        for index in 0..list.blocks.block_count() {
            list.blocks.decode(index, &mut block).unwrap();
            for (posting, document) in block.documents().iter().enumerate() {
                of_term
                    .read(index, block.values(), posting, &mut positions)
                    .unwrap();
                assert_eq!(positions.len(), block.values()[posting] as usize + 1);
                if is_live(*document) {
                    let id = reader.ids().id(*document).unwrap();
                    let before = all.insert((id, term.to_owned()), positions.clone());
                    assert!(before.is_none());
                }
            }
        }
    }
}

fn found(index: &Index) -> Positions {
    let snapshot = index.snapshot().unwrap();
    let mut all = Positions::new();
    for segment in snapshot.segments() {
        crate::segment::verify(&segment.reader).unwrap();
        add_found(
            &segment.reader,
            |document| segment.is_live(document),
            &mut all,
        );
    }
    all
}

fn texts() -> impl Strategy<Value = Texts> {
    let word = prop_oneof![
        6 => "[ab]{1,2}",
        2 => Just("the".to_owned()),
        1 => Just("a_b_a".to_owned()),
        1 => Just("10,000".to_owned()),
        1 => Just("x".repeat(300)),
        1 => "[a-z]{4}",
    ];
    let text = prop_oneof![
        20 => prop::collection::vec(word.clone(), 0..12),
        1 => prop::collection::vec(word, 0..300),
    ];
    prop::collection::vec(text.prop_map(|words| words.join(" ")), 0..3)
}

/// Documents to add and ids to delete before each commit.
type Commits = Vec<(Vec<(u32, Texts)>, BTreeSet<u32>)>;

fn commits() -> impl Strategy<Value = Commits> {
    let documents = prop::collection::vec((0u32..400, texts()), 1..120);
    let deleted = prop::collection::btree_set(0u32..400, 0..30);
    prop::collection::vec((documents, deleted), 1..5)
}

fn schema(analyzer: &str) -> Schema {
    let text = Text::new().analyzer(analyzer).positions();
    Schema::builder().text("text", text).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_index_has_the_positions_of_its_texts(
        commits in commits(),
        analyzer in prop::sample::select(vec!["simple", "en+parts"]),
        reorders in any::<bool>(),
    ) {
        let index = Index::in_memory(schema(analyzer)).unwrap();
        let options = WriterOptions::new()
            .merge_policy(MergePolicy::never())
            .reorder_from(reorders.then_some(1));
        let mut writer = index.writer_with(options).unwrap();
        let mut live: BTreeMap<String, Texts> = BTreeMap::new();
        for (documents, deleted) in commits {
            for (id, texts) in documents {
                let id = id.to_string();
                let document = texts.iter().fold(Document::new(&id), |document, text| {
                    document.with_text("text", text)
                });
                writer.add(document).unwrap();
                live.insert(id, texts);
            }
            for id in deleted {
                let id = id.to_string();
                writer.delete(&id).unwrap();
                live.remove(&id);
            }
            writer.commit().unwrap();
        }
        let expected = expected(&live, &Analyzer::named(analyzer).unwrap());
        prop_assert_eq!(&found(&index), &expected);
        writer.merge_to(2).unwrap();
        writer.commit().unwrap();
        prop_assert_eq!(&found(&index), &expected);
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        prop_assert_eq!(&found(&index), &expected);
    }
}

#[test]
fn without_the_option_nothing_is_there() {
    let schema = Schema::builder().text("text", Text::new()).build().unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index.writer().unwrap();
    writer
        .add(Document::new("a").with_text("text", "red fish"))
        .unwrap();
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    let reader = &snapshot.segments()[0].reader;
    let field = reader.text(0).unwrap();
    let entry = field.terms.term(b"fish").unwrap().unwrap();
    assert!(field.positions(&entry).unwrap().is_none());
    assert!(reader.container().find("positions", Some(0)).is_none());
}

#[test]
fn so_many_texts_that_positions_overflow_are_refused() {
    let gaps = u32::MAX / POSITION_GAP;
    let texts = |more| std::iter::repeat_n(0, gaps as usize + more);
    super::check_positions(texts(0)).unwrap();
    let error = super::check_positions(texts(1)).unwrap_err();
    assert!(matches!(error, crate::Error::Limit { .. }), "{error}");
    super::check_positions([1 << 31, (1 << 31) - 201].into_iter()).unwrap();
    assert!(super::check_positions([1 << 31, (1 << 31) - 200].into_iter()).is_err());
}
