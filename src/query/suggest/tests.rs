//! Suggestions held to slow, obvious versions that look at the documents alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::patterns::tests::edit_distance;
use super::*;
use crate::{Column, Document, Index, MergePolicy, Schema, Text, WriterOptions};

/// What a document has.
#[derive(Clone, Debug)]
struct Doc {
    words: Vec<String>,
    tags: Vec<String>,
    titles: Vec<String>,
    weight: Option<i64>,
    is_red: bool,
    is_deleted: bool,
}

fn documents() -> impl Strategy<Value = Vec<Doc>> {
    let letters = ["a", "A", "b", "B", "é", "É", "e\u{301}", "ß", " ", "-"];
    let title = prop::collection::vec(prop::sample::select(letters.to_vec()), 1..7);
    let title = title.prop_map(|letters| letters.concat());
    let words = || prop::collection::vec("[abc]{1,7}", 0..4);
    let document = (
        words(),
        words(),
        prop::collection::vec(title, 0..3),
        prop::option::of(-2..3_i64),
        any::<bool>(),
        prop::bool::weighted(0.2),
    );
    let document = document.prop_map(|(words, tags, titles, weight, is_red, is_deleted)| Doc {
        words,
        tags,
        titles,
        weight,
        is_red,
        is_deleted,
    });
    prop::collection::vec(document, 0..30)
}

/// An index of these documents, a segment for each few of them.
fn index(documents: &[Doc], in_segment: usize) -> Snapshot {
    let schema = Schema::builder()
        .text("text", Text::new())
        .column("tag", Column::keyword().several())
        .column("title", Column::keyword().several())
        .column("weight", Column::i64())
        .column("red", Column::bool());
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options).unwrap();
    for (number, document) in documents.iter().enumerate() {
        let mut added = Document::new(number.to_string())
            .with_text("text", document.words.join(" "))
            .with("red", document.is_red);
        for tag in &document.tags {
            added = added.with("tag", tag.as_str());
        }
        for title in &document.titles {
            added = added.with("title", title.as_str());
        }
        if let Some(weight) = document.weight {
            added = added.with("weight", weight);
        }
        writer.add(added).unwrap();
        if (number + 1) % in_segment == 0 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    for (number, _) in documents.iter().enumerate().filter(|(_, d)| d.is_deleted) {
        writer.delete(&number.to_string()).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

/// How many documents have each of these.
fn frequencies<'a>(
    documents: &'a [Doc],
    of: impl Fn(&'a Doc) -> &'a Vec<String>,
) -> BTreeMap<&'a str, u64> {
    let mut frequencies = BTreeMap::new();
    for document in documents {
        let mut all: Vec<&str> = of(document).iter().map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        for term in all {
            *frequencies.entry(term).or_default() += 1;
        }
    }
    frequencies
}

fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// The fewest edits that make the prefix one of the text.
fn edits_of_prefix(prefix: &str, text: &str, typos: u8) -> Option<u8> {
    let (prefix, text) = (characters(prefix), characters(text));
    let allowed = match prefix.len() {
        0..=2 => 0,
        3..=5 => typos.min(1),
        _ => typos,
    };
    let prefixes = (0..=text.len()).map(|end| &text[..end]);
    let possible = prefixes.filter(|text| prefix.is_empty() || text.first() == prefix.first());
    let distances = possible.map(|text| edit_distance(&prefix, text, true) as u8);
    distances.min().filter(|edits| *edits <= allowed)
}

/// A title without case and accents.
fn folded(title: &str) -> String {
    let letters = title.chars().map(|letter| match letter {
        'A' => "a".to_owned(),
        'B' => "b".to_owned(),
        'é' | 'É' => "e".to_owned(),
        '\u{301}' => String::new(),
        'ß' => "ss".to_owned(),
        other => other.to_string(),
    });
    letters.collect()
}

/// Where a comparison with a prefix may begin in a folded title.
fn starts(title: &str, any_word: bool) -> Vec<usize> {
    let is_letter = |at: usize| !matches!(title.as_bytes()[at], b' ' | b'-');
    let words = (1..title.len()).filter(|at| any_word && is_letter(*at) && !is_letter(at - 1));
    [0].into_iter().chain(words).collect()
}

fn shown(found: Vec<Suggestion>) -> Vec<(String, u64, Option<i64>, u8)> {
    let shown = found.into_iter().map(|found| {
        let weight = found.weight.map(|weight| match weight {
            Value::I64(weight) => weight,
            other => panic!("{other:?}"),
        });
        (found.text, found.documents, weight, found.edits)
    });
    shown.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn terms_and_keywords_are_completed_as_the_documents_have_them(
        documents in documents(),
        in_segment in 1..12_usize,
        prefix in "[abc]{0,7}",
        typos in 0..3_u8,
        n in 1..8_usize,
    ) {
        let documents: Vec<Doc> = documents
            .into_iter()
            .map(|document| Doc { is_deleted: false, ..document })
            .collect();
        let snapshot = index(&documents, in_segment);
        for (field, frequencies) in [
            ("text", frequencies(&documents, |document| &document.words)),
            ("tag", frequencies(&documents, |document| &document.tags)),
        ] {
            let mut expected: Vec<_> = frequencies
                .into_iter()
                .filter_map(|(term, documents)| {
                    let edits = edits_of_prefix(&prefix, term, typos)?;
                    Some((edits, Reverse(documents), term.to_owned()))
                })
                .collect();
            expected.sort();
            let expected = expected.into_iter().take(n);
            let expected: Vec<_> = expected
                .map(|(edits, Reverse(documents), term)| (term, documents, None, edits))
                .collect();
            let completion = Completion::terms(field).typos(typos);
            let found = snapshot.complete_with(&completion, &prefix, n).unwrap();
            prop_assert_eq!(shown(found), expected, "{}", field);
        }
    }

    #[test]
    fn titles_are_completed_as_the_documents_have_them(
        documents in documents(),
        in_segment in 1..12_usize,
        prefix in "[aBbesÉ -]{0,6}",
        typos in 0..3_u8,
        n in 1..8_usize,
        has_weight in any::<bool>(),
        is_filtered in any::<bool>(),
        any_word in any::<bool>(),
    ) {
        let snapshot = index(&documents, in_segment);
        let wanted = folded(prefix.trim_start());
        let mut titles: BTreeMap<&str, (u64, Option<i64>, u8)> = BTreeMap::new();
        for document in &documents {
            if document.is_deleted || is_filtered && !document.is_red {
                continue;
            }
            let mut of_document: Vec<&str> = document.titles.iter().map(String::as_str).collect();
            of_document.sort_unstable();
            of_document.dedup();
            for title in of_document {
                let text = folded(title);
                let starts = starts(&text, any_word).into_iter();
                let edits = starts.filter_map(|at| edits_of_prefix(&wanted, &text[at..], typos));
                let Some(edits) = edits.min() else {
                    continue;
                };
                let known = titles.entry(title).or_insert((0, None, edits));
                known.0 += 1;
                known.1 = known.1.max(document.weight.filter(|_| has_weight));
            }
        }
        let mut expected: Vec<_> = titles
            .into_iter()
            .map(|(title, (documents, weight, edits))| (title.to_owned(), documents, weight, edits))
            .collect();
        expected.sort_by_key(|(title, documents, weight, edits)| {
            let documents = if has_weight { 0 } else { *documents };
            (*edits, Reverse(*weight), Reverse(documents), title.clone())
        });
        expected.truncate(n);

        let mut completion = Completion::titles("title").typos(typos);
        if has_weight {
            completion = completion.weight("weight");
        }
        if is_filtered {
            completion = completion.filter(Query::term("red", true));
        }
        if any_word {
            completion = completion.any_word();
        }
        let found = snapshot.complete_with(&completion, &prefix, n).unwrap();
        prop_assert_eq!(shown(found), expected);
    }

    #[test]
    fn words_are_corrected_by_the_rule(
        documents in documents(),
        in_segment in 1..12_usize,
        words in prop::collection::vec("[abcd]{1,8}", 0..5),
        gap in prop::sample::select(vec![" ", ", ", " ü-"]),
    ) {
        let documents: Vec<Doc> = documents
            .into_iter()
            .map(|document| Doc { is_deleted: false, ..document })
            .collect();
        let snapshot = index(&documents, in_segment);
        let text = words.join(gap);
        for (field, frequencies) in [
            ("text", frequencies(&documents, |document| &document.words)),
            ("tag", frequencies(&documents, |document| &document.tags)),
        ] {
            let best = words.iter().map(|word| best_term(word, &frequencies));
            let best: Vec<Option<&str>> = best.collect();
            let expected = words.iter().zip(&best).map(|(word, best)| best.unwrap_or(word));
            let expected = expected.collect::<Vec<_>>().join(gap);
            let changed: Vec<(&str, &str)> = words
                .iter()
                .zip(&best)
                .filter_map(|(word, best)| Some((word.as_str(), (*best)?)))
                .collect();
            match snapshot.correct(field, &text).unwrap() {
                None => prop_assert!(changed.is_empty(), "{:?}", changed),
                Some(correction) => {
                    prop_assert_eq!(&correction.text, &expected);
                    let found = correction.words.iter().map(|word| {
                        let corrected = &correction.text[word.corrected.clone()];
                        (&text[word.original.clone()], corrected)
                    });
                    prop_assert_eq!(found.collect::<Vec<_>>(), changed);
                }
            }
        }
    }
}

/// The term that a word which no document has is corrected to.
fn best_term<'a>(word: &str, frequencies: &BTreeMap<&'a str, u64>) -> Option<&'a str> {
    let word = characters(word);
    let allowed = match word.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let distance = |term: &str| edit_distance(&word, &characters(term), true);
    let near = frequencies.iter();
    let near = near.filter(|(term, _)| distance(term) <= allowed);
    let best = near.min_by_key(|(term, documents)| {
        let is_same = term.chars().next() == word.first().copied();
        let documents = if is_same {
            **documents * 10
        } else {
            **documents
        };
        (distance(term), Reverse(documents), **term)
    });
    best.map(|(term, _)| *term)
        .filter(|term| distance(term) > 0)
}

/// Documents with one word each: this number of each word.
fn with_words(words: &[(&str, usize)]) -> Snapshot {
    let schema = Schema::builder().text("text", Text::new());
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    for (word, count) in words {
        for number in 0..*count {
            let document = Document::new(format!("{word} {number}"));
            writer.add(document.with_text("text", *word)).unwrap();
        }
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

#[test]
fn a_word_of_some_documents_is_corrected_to_a_far_more_frequent_one() {
    let corrected = |rare: usize, frequent: usize, word: &str| {
        let snapshot = with_words(&[("recieve", rare), ("receive", frequent)]);
        let correction = snapshot.correct("text", word).unwrap();
        correction.map(|correction| correction.text)
    };
    assert_eq!(corrected(1, 500, "recieve").as_deref(), Some("receive"));
    assert_eq!(corrected(1, 499, "recieve"), None);
    assert_eq!(corrected(2, 500, "recieve"), None);
    assert_eq!(corrected(1, 500, "receive"), None);
    // A word two edits away is not likely to be meant, nor one that begins with another character;
    // and many words of few characters are alike.
    let snapshot = with_words(&[
        ("recieves", 1),
        ("eceive", 1),
        ("receive", 600),
        ("trex", 1),
        ("tree", 600),
    ]);
    let correction = snapshot.correct("text", "recieves eceive trex").unwrap();
    assert_eq!(correction, None);
}

#[test]
fn the_first_character_counts_as_ten_times_as_many_documents() {
    let snapshot = with_words(&[("lake", 1), ("cake", 9), ("fake", 11)]);
    let correction = snapshot.correct("text", "lakee Kake lale cale").unwrap();
    assert_eq!(correction.unwrap().text, "lake fake lake cake");
    let correction = snapshot.correct("text", "lbke").unwrap().unwrap();
    let suggestions = correction.words[0].suggestions.iter();
    let suggestions: Vec<&str> = suggestions.map(|found| found.text.as_str()).collect();
    assert_eq!(suggestions, ["lake"]);
    let correction = snapshot.correct("text", "ake").unwrap().unwrap();
    let suggestions = correction.words[0].suggestions.iter();
    let suggestions: Vec<&str> = suggestions.map(|found| found.text.as_str()).collect();
    assert_eq!(suggestions, ["fake", "cake", "lake"]);
    let snapshot = with_words(&[("lane", 1), ("cake", 9), ("fake", 11)]);
    let correction = snapshot.correct("text", "lake").unwrap().unwrap();
    let suggestions = correction.words[0].suggestions.iter();
    let suggestions: Vec<&str> = suggestions.map(|found| found.text.as_str()).collect();
    assert_eq!(suggestions, ["fake", "lane", "cake"]);
}

#[test]
fn words_that_cannot_be_judged_are_left() {
    let snapshot = with_words(&[("ab", 9), ("2024", 9), ("volcano", 9)]);
    for text in ["", " ?", "ac", "2023", "東京都", "xyzzy", "volcano"] {
        assert_eq!(snapshot.correct("text", text).unwrap(), None, "{text}");
    }
    let long = format!("{} vulcano", "volcano".repeat(2_000));
    let correction = snapshot.correct("text", &long).unwrap().unwrap();
    assert_eq!(correction.text, long.replace(" vulcano", " volcano"));
    let many: Vec<String> = (0..300).map(|number| format!("word{number}")).collect();
    let error = snapshot.correct("text", &many.join(" ")).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: 256, .. }), "{error}");
}

#[test]
fn deleted_documents_count_for_terms_only() {
    let documents =
        [("etna", true), ("etna", false), ("eiger", false)].map(|(name, is_deleted)| {
            let name = vec![name.to_owned()];
            Doc {
                words: name.clone(),
                tags: name.clone(),
                titles: name,
                weight: None,
                is_red: true,
                is_deleted,
            }
        });
    let snapshot = index(&documents, 3);
    let counts = |completion: &Completion| {
        let found = snapshot.complete_with(completion, "e", 9).unwrap();
        found
            .iter()
            .map(|found| found.documents)
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&Completion::terms("text")), [2, 1]);
    assert_eq!(counts(&Completion::terms("tag")), [2, 1]);
    assert_eq!(counts(&Completion::titles("title")), [1, 1]);
}

#[test]
fn what_cannot_be_completed_is_refused() {
    let snapshot = index(&[], 1);
    let refused = |completion: &Completion, n: usize| {
        let error = snapshot.complete_with(completion, "a", n).unwrap_err();
        error.to_string()
    };
    for (completion, n, expected) in [
        (Completion::terms("txt"), 1, "txt"),
        (Completion::terms("weight"), 1, "column of type i64"),
        (Completion::terms("text"), 0, "at least 1"),
        (Completion::terms("text"), usize::MAX, "n"),
        (Completion::terms("text").typos(3), 1, "0 to 2 typos"),
        (
            Completion::terms("tag").weight("weight"),
            1,
            "completion of titles",
        ),
        (
            Completion::terms("tag").filter(Query::all()),
            1,
            "completion of titles",
        ),
        (
            Completion::terms("tag").any_word(),
            1,
            "completion of titles",
        ),
        (Completion::titles("text"), 1, "column"),
        (Completion::titles("weight"), 1, "column of keywords"),
        (
            Completion::titles("title").weight("tag"),
            1,
            "numbers or dates",
        ),
        (Completion::titles("title").weight("nowhere"), 1, "nowhere"),
        (
            Completion::titles("title").filter(Query::term("nowhere", 1)),
            1,
            "nowhere",
        ),
    ] {
        let message = refused(&completion, n);
        assert!(message.contains(expected), "{completion:?}: {message}");
    }
    for field in ["nowhere", "weight"] {
        let message = snapshot.correct(field, "word").unwrap_err().to_string();
        assert!(message.contains(field), "{message}");
    }
}

#[test]
fn stems_are_completed_and_not_corrected() {
    let schema = Schema::builder().text("text", Text::new().analyzer("english"));
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    writer
        .add(Document::new("1").with_text("text", "Volcanoes"))
        .unwrap();
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    assert_eq!(
        snapshot.complete("text", "Vol", 1).unwrap()[0].text,
        "volcano"
    );
    let message = snapshot.correct("text", "vulcano").unwrap_err().to_string();
    assert!(message.contains("`english` makes stems"), "{message}");
}

#[test]
fn a_very_long_prefix_begins_nothing() {
    let documents = [Doc {
        words: vec!["a".repeat(255)],
        tags: vec!["a".repeat(1_000)],
        titles: vec!["a".repeat(1_000)],
        weight: None,
        is_red: true,
        is_deleted: false,
    }];
    let snapshot = index(&documents, 1);
    let long = "a".repeat(10_000);
    for completion in [
        Completion::terms("text"),
        Completion::terms("tag"),
        Completion::titles("title"),
        Completion::titles("title").any_word(),
    ] {
        assert_eq!(snapshot.complete_with(&completion, &long, 1).unwrap(), []);
        assert_eq!(
            snapshot
                .complete_with(&completion, &long[..200], 1)
                .unwrap()
                .len(),
            1
        );
        let with_typos = snapshot.complete_with(&completion.typos(2), &long, 1);
        let message = with_typos.unwrap_err().to_string();
        assert!(message.contains("at most 100 characters"), "{message}");
    }
}
