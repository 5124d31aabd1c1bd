//! The query language over an index: what each form finds, and what is said of mistakes.

use esparsa::text::Synonyms;
use esparsa::{Column, Document, Index, Query, QueryParser, Schema, Snapshot, Sparse, Text};

fn snapshot() -> Snapshot {
    let english = Text::new().analyzer("en");
    let schema = Schema::builder()
        .text("title", english.clone().positions())
        .text("body", english)
        .text("note", Text::new())
        .sparse("splade", Sparse::new())
        .column("year", Column::i64())
        .column("price", Column::f64())
        .column("day", Column::date())
        .column("free", Column::bool())
        .column("lang", Column::keyword().several());
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    let rows = [
        ("ny", "New York pizza", "A city with pizza", 2020, 9.5, "en"),
        (
            "york",
            "York and the new minster",
            "An old city",
            1998,
            20.0,
            "en",
        ),
        (
            "firefox",
            "The Firefox browser",
            "C++ and Rust",
            2004,
            0.0,
            "de",
        ),
        (
            "java",
            "A browser in Java",
            "Applets: run in a browser",
            1995,
            0.0,
            "en",
        ),
        (
            "tea",
            "The tea cup",
            "It's a cup, for tea",
            2024,
            4.25,
            "pt",
        ),
    ];
    for (id, title, body, year, price, lang) in rows {
        let document = Document::new(id)
            .with_text("title", title)
            .with_text("body", body)
            .with_sparse("splade", [(lang, 1.0)])
            .with("year", year)
            .with("price", price)
            .with("day", format!("{year}-06-01"))
            .with("free", price == 0.0)
            .with("lang", lang);
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn ids(snapshot: &Snapshot, query: &Query) -> Vec<String> {
    let mut ids = snapshot.search(query, 10).unwrap().ids().unwrap();
    ids.sort_unstable();
    ids
}

#[test]
fn every_form_finds_what_the_page_says() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["title", "body"]);
    for (text, expected) in [
        ("pizza", "ny"),
        ("new york", "ny york"),
        ("\"new york\"", ""),
        ("title:\"new york\"", "ny"),
        ("title:\"york new\"~3", "ny york"),
        ("title:\"new yo\"*", "ny"),
        ("+browser -java", "firefox"),
        ("browser NOT java", "firefox"),
        ("browser AND java", "java"),
        ("pizza OR tea", "ny tea"),
        ("(pizza OR tea) AND cup", "tea"),
        ("the AND browser", "firefox java"),
        ("(browser city cup)@2", ""),
        ("(pizza city cup)@2", "ny"),
        ("title:browser", "firefox java"),
        ("title:(browser -java)", "firefox"),
        ("title,note:browser", "firefox java"),
        ("year:[1998 TO 2004]", "firefox york"),
        ("year:{1998 TO 2004]", "firefox"),
        ("year:>=2020", "ny tea"),
        ("year:2024", "tea"),
        ("price:<5", "firefox java tea"),
        ("price:4.25", "tea"),
        ("day:[2000-01-01 TO 2021-01-01]", "firefox ny"),
        ("free:true", "firefox java"),
        ("lang:en", "java ny york"),
        ("lang:IN(de pt)", "firefox tea"),
        ("lang:d*", "firefox"),
        ("year:*", "firefox java ny tea york"),
        ("note:*", ""),
        ("*", "firefox java ny tea york"),
        ("*:*", "firefox java ny tea york"),
        ("-browser", "ny tea york"),
        ("FIREF*", "firefox"),
        ("title:*ef?x", "firefox"),
        ("title:/pi[xz]+a/", "ny"),
        ("pizzza~1", "ny"),
        ("piza~", "ny"),
        ("_id:tea", "tea"),
        ("_id:IN(ny york)", "ny york"),
        ("splade:de", "firefox"),
        ("splade:IN(de pt)", "firefox tea"),
        ("C++", "firefox"),
        ("\\+tea", "tea"),
        ("", ""),
        ("the", ""),
        ("+the", ""),
        ("the AND of", ""),
        ("+the browser", "firefox java"),
        ("(the pizza tea)@1", "ny tea"),
        ("(the pizza city)@2", "ny"),
        ("+browser AND java tea", "java"),
        ("lang:\"de\"", "firefox"),
        ("title:\"firefox brows\"*", "firefox"),
        ("_id:\"tea\"", "tea"),
        ("title:\"new museums\"*", ""),
        ("title:\"york pizzas\"*", "ny"),
    ] {
        let query = match text.contains('"') && !text.contains("title") {
            // The field of the text of documents has no positions.
            true => continue,
            false => parser.parse(&snapshot, text).unwrap(),
        };
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(ids(&snapshot, &query), expected, "{text}");
        let (lenient, mistakes) = parser.parse_lenient(&snapshot, text);
        assert_eq!((lenient, mistakes.len()), (query, 0), "{text}");
    }
}

#[test]
fn words_alone_are_one_query_of_words() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["title"]);
    let query = |text| parser.parse(&snapshot, text).unwrap();
    assert_eq!(
        query("new york pizza"),
        Query::text("title", "new york pizza")
    );
    let all = parser
        .clone()
        .all_terms()
        .parse(&snapshot, "new york")
        .unwrap();
    assert_eq!(all, Query::text("title", "new york").with_all_terms());
    let two = QueryParser::weighted([("title", 2.0), ("body", 1.0)]);
    let expected = Query::text_in([("title", 2.0), ("body", 1.0)], "new york");
    assert_eq!(two.parse(&snapshot, "new york").unwrap(), expected);
    // Fields of two analyzers are not searched as one.
    let other = QueryParser::new(["title", "note"]);
    let expected = ["title", "note"].map(|field| Query::text(field, "new york"));
    let expected = Query::best_of(expected, 0.3);
    assert_eq!(other.parse(&snapshot, "new york").unwrap(), expected);
}

#[test]
fn words_stand_for_their_synonyms() {
    let snapshot = snapshot();
    let synonyms = Synonyms::parse("ny, new york\nfox, firefox\nbeverage => tea").unwrap();
    let parser = QueryParser::new(["title"]).with_synonyms(synonyms);
    for (text, expected) in [
        ("ny", "ny york"),
        ("fox", "firefox"),
        ("beverage", "tea"),
        ("pizza", "ny"),
        ("fox +pizza", "ny"),
        ("ny java", "java ny york"),
    ] {
        let query = parser.parse(&snapshot, text).unwrap();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(ids(&snapshot, &query), expected, "{text}");
    }
    let ambiguous = Synonyms::parse("the, tea").unwrap();
    let parser = QueryParser::new(["title"]).with_synonyms(ambiguous);
    let refused = parser.parse(&snapshot, "tea").unwrap_err();
    assert!(refused.to_string().contains("synonyms:1"), "{refused}");
    let (query, mistakes) = parser.parse_lenient(&snapshot, "tea");
    assert_eq!(
        (ids(&snapshot, &query), mistakes.len()),
        (vec!["tea".to_owned()], 1)
    );
}

#[test]
fn boosts_and_constant_scores_change_the_order() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["title"]);
    let first = |text: &str| {
        let query = parser.parse(&snapshot, text).unwrap();
        snapshot.search(&query, 1).unwrap().ids().unwrap().remove(0)
    };
    assert_eq!(first("pizza tea^9"), "tea");
    assert_eq!(first("pizza^9 tea"), "ny");
    let query = parser.parse(&snapshot, "lang:pt^=0.5").unwrap();
    let hits = snapshot.search(&query, 1).unwrap();
    assert_eq!(hits.scored()[0].1, 0.5);
}

#[test]
fn mistakes_say_where_they_are_and_what_was_expected() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["body"]);
    for (text, part) in [
        ("city AND", "character 9"),
        ("color:red", "`color`"),
        ("year:red", "whole number"),
        ("year:[3 TO 1]", "from low to high"),
        ("body:[a TO b]", "expected a column"),
        ("\"old city\"", "positions"),
        ("tea~3", "0, 1 or 2"),
        ("body:/(a|b)*a(a|b){40}/", "expected"),
        ("splade:\"a b\"", "a term of a field of weights"),
        ("tea^0", "above 0"),
        ("_id:te*", "an id"),
    ] {
        let message = parser.parse(&snapshot, text).unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
        assert!(message.contains("at character "), "{text}: {message}");
        let behind = format!("rust AND ({text})");
        let refused = parser.parse(&snapshot, &behind).unwrap_err().to_string();
        assert!(!refused.contains("at character 1,"), "{text}: {refused}");
        let (query, mistakes) = parser.parse_lenient(&snapshot, text);
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        assert!(mistakes[0].contains(part), "{text}: {mistakes:?}");
        snapshot.search(&query, 10).unwrap();
    }
}

#[test]
fn a_mistake_leaves_the_rest_of_the_query_as_it_is() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["body"]);
    for (text, expected) in [
        // No positions; `java` stays excluded.
        ("\"old run\" -applets", "york"),
        ("\"cup rust\" -applets", "firefox tea"),
        ("cup year:abc -city", "tea"),
        ("city^0 -pizza", "york"),
    ] {
        let (query, mistakes) = parser.parse_lenient(&snapshot, text);
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(ids(&snapshot, &query), expected, "{text}");
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
    }
}

#[test]
fn all_terms_are_asked_for_among_operators_too() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["title"]).all_terms();
    for (text, expected) in [
        ("new york", "ny york"),
        ("new pizza", "ny"),
        ("york minster -pizza", "york"),
        ("york year:<2000", "york"),
        ("york title:pizza*", "ny"),
        ("tea OR pizza", "ny tea"),
    ] {
        let query = parser.parse(&snapshot, text).unwrap();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(ids(&snapshot, &query), expected, "{text}");
    }
}

#[test]
fn beginnings_of_phrases_are_found_in_texts_without_spaces() {
    let text = Text::new().analyzer("ja").positions();
    let schema = Schema::builder().text("text", text).build().unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index.writer().unwrap();
    let document = Document::new("a").with_text("text", "データベースを使う");
    writer.add(document).unwrap();
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    for (text, count) in [
        ("デ", 1),
        ("デー", 1),
        ("データ", 1),
        ("データベ", 1),
        ("データン", 0),
    ] {
        let query = Query::phrase_prefix("text", text);
        assert_eq!(snapshot.count(&query).unwrap(), count, "{text}");
    }
}

#[test]
fn a_query_of_any_bytes_is_searched() {
    let snapshot = snapshot();
    let parser = QueryParser::new(["title", "body"]);
    let mut random = crate::random::Random(7);
    let pieces = [
        "new", "york", "\"", "(", ")", "+", "-", "AND", "OR", "NOT", "~1", "^2", "year:", "lang:",
        "[1 TO 2]", "*", "?", "/a/", ":", "\\", "é", "漢字", " ", " ", "IN(a b)", "@2", ">=",
        "title:",
    ];
    for _ in 0..5_000 {
        let count = random.below(12);
        let text: String = (0..count).map(|_| random.pick(&pieces)).collect();
        let (query, _) = parser.parse_lenient(&snapshot, &text);
        let found = snapshot.search(&query, 10);
        assert!(found.is_ok(), "{text}: {found:?}");
        let count = snapshot.count(&query).unwrap();
        assert_eq!(count.min(10), found.unwrap().len() as u64, "{text}");
    }
}
