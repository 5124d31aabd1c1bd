//! What holds for every text.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;
use crate::text::languages;
use crate::{Document, Index, Query, Schema, Text};

/// Marks that no text here has.
const OPEN: &str = "\u{f0000}";
const CLOSE: &str = "\u{f0001}";

fn analyzers() -> Vec<String> {
    let names = languages().map(|language| language.code().to_owned());
    let more = ["simple", "english+parts", "ko+compounds"].map(str::to_owned);
    names.chain(more).collect()
}

/// A snapshot with a field for each analyzer, named as that.
static ALL_ANALYZERS: LazyLock<Snapshot> = LazyLock::new(|| {
    let mut schema = Schema::builder();
    for name in analyzers() {
        schema = schema.text(
            name.as_str(),
            Text::new().analyzer(name.as_str()).positions(),
        );
    }
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    index.snapshot().unwrap()
});

/// Texts of characters with special rules in segmentation and rendering.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => prop::sample::select(vec![
            "lava", "ash ", "a", "b ", ". ", "! A", "'", "_", "\r\n", "\n", "\t", " ", "\0", "\u{9b}", "<b>", "&amp;", "\"",
        ]),
        3 => prop::sample::select(vec![
            "e\u{301}", "\u{308}", "\u{200d}", "\u{ad}", "\u{600}", "\u{1f1e7}", "👩‍👩‍👧", "🍕", "か\u{3099}", "漢字", "カナ",
            "세종대왕", "\u{1112}\u{1161}\u{11ab}", "שלום ", "\u{202e}", "كتاب", "தமிழ்", "ไทย", "क्षि", "ﷺ",
        ]),
    ];
    let other =
        any::<char>().prop_filter("no mark", |c| !(OPEN.contains(*c) || CLOSE.contains(*c)));
    let piece = prop_oneof![6 => pieces.prop_map(str::to_owned), 1 => other.prop_map(String::from)];
    prop::collection::vec(piece, 0..50).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn passages_and_marks_are_ranges_of_whole_clusters(
        text in any_text(),
        words in any_text(),
        analyzer in prop::sample::select(analyzers()),
        (length, passages, kind) in (1usize..60, 1usize..5, 0usize..4),
    ) {
        let words = match kind {
            0 => words,
            _ => text.chars().skip(kind).step_by(kind).take(12).collect(),
        };
        let query = match kind {
            1 => Query::phrase(analyzer.as_str(), words).with_slop(2),
            2 => Query::bool()
                .should(Query::prefix(analyzer.as_str(), "l"))
                .should(Query::text("simple", words)),
            _ => Query::text(analyzer.as_str(), words),
        };
        let field = (kind != 2).then_some(analyzer.as_str());
        let options = SnippetOptions::new(length).passages(passages);
        let snippets = ALL_ANALYZERS.snippets(&query, field, &text, &options).unwrap();
        let mut bounds: BTreeSet<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
        bounds.insert(text.len());

        prop_assert!(snippets.len() <= passages);
        let mut end = 0;
        for snippet in &snippets {
            let range = snippet.range();
            prop_assert!(end <= range.start && range.start < range.end, "{range:?}");
            prop_assert!(bounds.contains(&range.start) && bounds.contains(&range.end));
            prop_assert_eq!(&text[range.clone()], snippet.text());
            prop_assert!(snippet.text().chars().count() <= length);
            end = range.end;

            let (mut marks_end, mut utf16) = (0, Vec::new());
            for mark in snippet.marks() {
                prop_assert!(marks_end <= mark.start && mark.start < mark.end, "{mark:?}");
                prop_assert!(bounds.contains(&(range.start + mark.start)));
                prop_assert!(bounds.contains(&(range.start + mark.end)));
                marks_end = mark.end;
                let count = |end: usize| snippet.text()[..end].encode_utf16().count();
                utf16.push(count(mark.start)..count(mark.end));
            }
            prop_assert!(marks_end <= snippet.text().len());
            prop_assert_eq!(snippet.utf16_marks(), utf16);
            let characters: Vec<char> = snippet.text().chars().collect();
            for (mark, counted) in snippet.marks().iter().zip(snippet.character_marks()) {
                let marked = String::from_iter(&characters[counted]);
                prop_assert_eq!(&snippet.text()[mark.clone()], marked);
            }

            let shown = snippet.to_text(OPEN, CLOSE);
            prop_assert_eq!(shown.matches(OPEN).count(), snippet.marks().len());
            prop_assert_eq!(shown.replace(OPEN, "").replace(CLOSE, ""), snippet.text());
            let html = snippet.to_html("", "");
            prop_assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
            prop_assert_eq!(html_escape::decode_html_entities(&html), snippet.text());
        }
        if snippets.len() > 1 {
            prop_assert!(snippets.iter().all(|snippet| !snippet.marks().is_empty()));
        }
    }
}

/// Documents of a few words, so that all document frequencies differ.
fn documents() -> Vec<String> {
    let words = ["a", "bb", "ccc", "dddd"];
    let document = |number: usize| words[..=number % 4].join(" ");
    (0..12).map(document).collect()
}

fn snapshot_of(documents: &[String]) -> Snapshot {
    let text = Text::new().analyzer("simple").positions();
    let schema = Schema::builder().text("text", text).build().unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index.writer().unwrap();
    for (number, text) in documents.iter().enumerate() {
        let document = Document::new(number.to_string()).with_text("text", text.as_str());
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

static FEW_WORDS: LazyLock<Snapshot> = LazyLock::new(|| snapshot_of(&documents()));

/// The sum of idf of the distinct words that a passage has as a whole.
fn weight(passage: &str, query: &BTreeSet<&str>, idfs: &HashMap<&str, u64>) -> u64 {
    let words: BTreeSet<&str> = passage.split([' ', '.']).collect();
    words.intersection(query).map(|word| idfs[word]).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_passage_of_the_text_is_better_than_the_first_by_rank(
        words in prop::collection::vec(
            prop::sample::select(vec!["a", "bb", "ccc", "dddd", "x", "yy", "zzz."]),
            1..25,
        ),
        query in prop::sample::subsequence(vec!["a", "bb", "ccc", "dddd"], 1..4),
        length in 6usize..30,
    ) {
        let text = words.join(" ");
        let snapshot = &*FEW_WORDS;
        let field = snapshot.schema().field("text").unwrap().number;
        let documents = documents();
        let idf_of = |word: &str| {
            let with = documents.iter().filter(|text| text.split(' ').any(|w| w == word));
            let idf = idf(snapshot.totals(field).documents, with.count() as u64);
            (f64::from(idf) * WEIGHT_SCALE) as u64 + 1
        };
        let idfs: HashMap<&str, u64> = query.iter().map(|word| (*word, idf_of(word))).collect();
        let asked: BTreeSet<&str> = query.iter().copied().collect();
        let is_end = |at: usize| {
            let (before, behind) = text.split_at(at);
            [before.chars().next_back(), behind.chars().next()]
                .iter()
                .any(|c| c.is_none_or(|c| [' ', '.'].contains(&c)))
        };
        let mut best = 0;
        for start in (0..text.len()).filter(|at| is_end(*at)) {
            for end in (start..=text.len().min(start + length)).filter(|at| is_end(*at)) {
                best = best.max(weight(&text[start..end], &asked, &idfs));
            }
        }
        let options = SnippetOptions::new(length).by_rank().passages(3);
        let query = Query::text("text", query.join(" "));
        let found = snapshot.snippets(&query, Some("text"), &text, &options).unwrap();
        prop_assert_eq!(weight(found[0].text(), &asked, &idfs), best);
    }

    #[test]
    fn a_text_has_marks_exactly_when_the_query_finds_it(
        words in prop::collection::vec(prop::sample::select(vec!["a", "ab", "b", "c", "x"]), 1..12),
        phrase in prop::collection::vec(prop::sample::select(vec!["a", "ab", "b", "c"]), 1..4),
        (slop, kind) in (0u32..4, 0usize..5),
    ) {
        let (text, phrase) = (words.join(" "), phrase.join(" "));
        let snapshot = snapshot_of(std::slice::from_ref(&text));
        let query = match kind {
            0 => Query::text("text", phrase),
            1 => Query::phrase("text", phrase).with_slop(slop),
            2 => Query::phrase_prefix("text", phrase).with_slop(slop),
            3 => Query::wildcard("text", phrase.replace(' ', "*")),
            _ => Query::fuzzy("text", phrase, 1),
        };
        let marks = snapshot.highlight(&query, &text).unwrap();
        prop_assert_eq!(!marks.is_empty(), snapshot.count(&query).unwrap() == 1, "{:?}", marks);
    }

    #[test]
    fn words_of_a_phrase_are_marked_where_they_stand_in_its_order(
        words in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..20),
        phrase in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4),
    ) {
        let mut expected = BTreeSet::new();
        for (start, window) in words.windows(phrase.len()).enumerate() {
            if window == phrase {
                expected.extend(start..start + phrase.len());
            }
        }
        // Each word is one byte, and so is each space.
        let query = Query::phrase("text", phrase.join(" "));
        let marks = FEW_WORDS.highlight(&query, &words.join(" ")).unwrap();
        let marked: BTreeSet<usize> = marks.iter().map(|mark| mark.start / 2).collect();
        prop_assert_eq!(marked, expected);
    }
}
