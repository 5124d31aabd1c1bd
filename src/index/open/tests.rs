//! Creating and opening indexes.

use super::*;
use crate::text::{Tokenizer, Word};
use crate::{Document, Query, Sparse, Text, segment};

struct Letters {
    revision: u32,
}

impl Tokenizer for Letters {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        for (start, letter) in text.char_indices() {
            let end = start + letter.len_utf8();
            emit(Word::new(&text[start..end], start..end));
        }
    }

    fn revision(&self) -> u32 {
        self.revision
    }
}

fn letters(revision: u32) -> IndexOptions {
    IndexOptions::new().analyzer(Analyzer::custom("letters", Letters { revision }))
}

fn document(id: &str) -> Document {
    Document::new(id).with_sparse("sparse", [("lava", 1.0)])
}

fn one_text_field(analyzer: &str) -> Schema {
    let builder = Schema::builder().text("text", Text::new().analyzer(analyzer));
    builder.build().unwrap()
}

#[test]
fn an_index_is_created_once_and_then_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    assert!(!Index::exists(&path).unwrap());
    for documents in 1..=2_u64 {
        let index = Index::open_or_create(&path, one_text_field("en")).unwrap();
        assert!(Index::exists(&path).unwrap());
        let mut writer = index.writer().unwrap();
        // An open writer is no reason to refuse.
        Index::open_or_create(&path, one_text_field("english")).unwrap();
        let document = Document::new(documents.to_string()).with_text("text", "lava");
        writer.add(document).unwrap();
        assert_eq!(writer.commit().unwrap().documents, documents);
    }
    let refused = Index::open_or_create(&path, one_text_field("pt")).unwrap_err();
    assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
    let message = refused.to_string();
    assert!(message.contains("analyzer portuguese"), "{message}");
    assert!(
        message.contains("found text, analyzer english"),
        "{message}"
    );
}

#[test]
fn a_place_without_an_index_is_recognized() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "hello").unwrap();
    let missing = folder.path().join("missing");
    for (path, found) in [
        (folder.path(), "found a folder without one"),
        (file.as_path(), "found a file, not a folder"),
        (missing.as_path(), "found no such folder"),
    ] {
        assert!(!Index::exists(path).unwrap());
        let error = Index::open(path).unwrap_err();
        assert!(matches!(error, Error::NoIndex { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(found), "{message}");
        assert!(message.contains("create an index"), "{message}");
    }
}

#[test]
fn creating_over_an_index_with_an_open_writer_says_that_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), one_text_field("en")).unwrap();
    let _writer = index.writer().unwrap();
    let refused = Index::create(folder.path(), one_text_field("en")).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("already holds an index"), "{message}");
}

/// An index with a custom analyzer, opened without it.
fn opened() -> Index {
    Index::open_in(written(), IndexOptions::new()).unwrap()
}

/// An index with revision 1 of a custom analyzer.
fn written() -> Arc<dyn Directory> {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("custom:letters"))
        .sparse("sparse", Sparse::new().expected_max(2.0))
        .build()
        .unwrap();
    let memory: Arc<dyn Directory> = Arc::new(Memory::new());
    let index = Index::create_in(memory.clone(), schema, letters(1)).unwrap();
    let mut writer = index.writer().unwrap();
    for id in ["a", "b"] {
        writer.add(document(id).with_text("text", "xyz")).unwrap();
        writer.commit().unwrap();
    }
    memory
}

#[test]
fn text_of_another_revision_of_its_analyzer_is_neither_searched_nor_written() {
    let memory = written();
    let query = Query::text("text", "x");
    let same = Index::open_in(memory.clone(), letters(1)).unwrap();
    let found = same.snapshot().unwrap().search(&query, 10).unwrap();
    assert_eq!(found.len(), 2);
    let newer = Index::open_in(memory, letters(2)).unwrap();
    let refused = newer.snapshot().unwrap().search(&query, 10).unwrap_err();
    assert!(refused.to_string().contains("revision 1"), "{refused}");
    let mut writer = newer.writer().unwrap();
    let refused = writer
        .add(document("d").with_text("text", "x"))
        .unwrap_err();
    assert!(refused.to_string().contains("revision 1"), "{refused}");
    let snapshot = newer.snapshot().unwrap();
    let sparse = Query::sparse("sparse", [("lava", 1.0)]);
    assert_eq!(snapshot.search(&sparse, 10).unwrap().len(), 2);
}

#[test]
fn an_index_with_a_custom_analyzer_opens_without_it() {
    let index = opened();
    let snapshot = index.snapshot().unwrap();
    for part in snapshot.segments() {
        segment::verify(&part.reader).unwrap();
    }
    assert!(snapshot.find("a").unwrap().is_some());
    let sparse = Query::sparse("sparse", [("lava", 1.0)]);
    assert_eq!(snapshot.search(&sparse, 10).unwrap().len(), 2);
    let refused = snapshot.search(&Query::text("text", "x"), 10).unwrap_err();
    assert!(
        refused.to_string().contains("`custom:letters`"),
        "{refused}"
    );
}

#[test]
fn a_writer_needs_a_custom_analyzer_only_for_text() {
    let index = opened();
    for threads in [1, 2] {
        let options = WriterOptions::new().threads(threads);
        let mut writer = index.writer_with(options).unwrap();
        writer.delete("a").unwrap();
        writer.add(document("c")).unwrap();
        let refused = writer
            .add(document("d").with_text("text", "x"))
            .unwrap_err();
        assert!(refused.is_input(), "{refused}");
        assert!(
            refused.to_string().contains("`custom:letters`"),
            "{refused}"
        );
        writer.merge_to(1).unwrap();
        let report = writer.commit().unwrap();
        assert_eq!((report.documents, report.segments), (2, 1));
    }
}
