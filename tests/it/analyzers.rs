//! Analyzers made of parts, in an index: what is found, highlighted, and kept with the index.

use esparsa::text::Analyzer;
use esparsa::{Document, Index, Query, Schema, Snapshot, Text};

const TITLES: &str = "standard | lowercase | fold | edge-ngram:2-10";

fn index(folder: &std::path::Path) -> Index {
    let names = Analyzer::chain("keyword").filter("lowercase");
    let names = names.stop_words(["n/a", "unknown, or none"]).build();
    let schema = Schema::builder()
        .text("title", Text::new().analyzer(TITLES))
        .text("name", Text::new().analyzer(names.unwrap().name()))
        .build()
        .unwrap();
    Index::create(folder, schema).unwrap()
}

fn ids(snapshot: &Snapshot, field: &str, text: &str) -> Vec<String> {
    let query = Query::text(field, text).with_all_terms();
    let mut ids = snapshot.search(&query, 10).unwrap().ids().unwrap();
    ids.sort();
    ids
}

fn marked<'a>(snapshot: &Snapshot, query: &str, text: &'a str) -> Vec<&'a str> {
    let query = Query::text("title", query);
    let ranges = snapshot.highlight(&query, text).unwrap();
    ranges.into_iter().map(|range| &text[range]).collect()
}

#[test]
fn a_field_of_edge_ngrams_finds_words_by_how_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let created = index(folder.path());
    let mut writer = created.writer().unwrap();
    for (id, title, name) in [
        ("1", "Firefox, a browser", "Ada Lovelace"),
        ("2", "Fire and ação", "N/A"),
        ("3", "First aid: an encyclopaedia", "unknown, or none"),
    ] {
        let document = Document::new(id).with_text("title", title);
        writer.add(document.with_text("name", name)).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);

    // The name in the manifest alone gives the analyzer back.
    let snapshot = Index::open(folder.path()).unwrap().snapshot().unwrap();
    for (query, expected) in [
        ("fire", &["1", "2"][..]),
        ("FIREF", &["1"]),
        ("fir", &["1", "2", "3"]),
        ("fi br", &["1"]),
        ("a", &["1"]),
        ("acao", &["2"]),
        ("f", &[]),
        ("efox", &[]),
        // Longer than any n-gram.
        ("encyclopaedias", &["3"]),
    ] {
        assert_eq!(ids(&snapshot, "title", query), expected, "{query}");
    }
    assert_eq!(ids(&snapshot, "name", " ada lovelace"), ["1"]);
    for query in ["ada", "n/a", "Unknown, or none"] {
        assert!(ids(&snapshot, "name", query).is_empty(), "{query}");
    }

    let text = "A fire in Firefox; the First Ação";
    assert_eq!(
        marked(&snapshot, "fire aca", text),
        ["fire", "Firefox", "Ação"]
    );
    assert_eq!(marked(&snapshot, "first", text), ["First"]);
}

#[test]
fn an_unknown_part_is_refused_when_the_index_is_created() {
    let schema = Schema::builder()
        .text("title", Text::new().analyzer("standard|lowercase|stam:en"))
        .build()
        .unwrap();
    let message = Index::in_memory(schema).unwrap_err().to_string();
    assert!(
        message.contains("title") && message.contains("part 3, `stam:en`"),
        "{message}"
    );
}
