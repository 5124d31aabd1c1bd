//! Property tests: claims that hold for every text.

use std::collections::BTreeSet;
use std::ops::Range;

use proptest::prelude::*;

use super::segment;
use super::tokenizer::Word;
use super::{Analyzer, languages};

type Found = Vec<(String, usize, usize)>;

fn collect(segment: impl FnOnce(&mut dyn FnMut(Word<'_>))) -> Found {
    let mut found = Vec::new();
    segment(&mut |word| found.push((word.text.to_owned(), word.start, word.end)));
    found
}

type Places = BTreeSet<(String, usize)>;

fn places(positions: impl FnOnce(&mut dyn FnMut(&str, u32, Range<usize>))) -> Places {
    let mut found = Places::new();
    positions(&mut |term, position, _| {
        found.insert((term.to_owned(), position as usize));
    });
    found
}

/// Whether a document has the terms of a query, each as far from the others as there.
fn has_phrase(document: &Places, query: &Places) -> bool {
    let Some((first, at)) = query.iter().next() else {
        return true;
    };
    let mut starts = document
        .iter()
        .filter(|(term, place)| term == first && place >= at);
    starts.any(|(_, place)| {
        let shift = place - at;
        let shifted = query.iter().map(|(term, at)| (term.clone(), at + shift));
        shifted.collect::<Places>().is_subset(document)
    })
}

fn analyzers() -> Vec<Analyzer> {
    let names = languages()
        .map(|language| language.code())
        .chain(["simple"]);
    names.map(|name| Analyzer::named(name).unwrap()).collect()
}

/// Texts of the characters with special rules in segmentation, normalization and the languages.
pub(super) fn tricky_text() -> impl Strategy<Value = String> {
    let characters = prop_oneof![
        6 => prop::sample::select("aZ09_.,:;'\"- \n\t\r@".chars().collect::<Vec<_>>()),
        3 => prop::sample::select("éßİıςçõŉǆﬁ½Ⅷ①ｱﾞＡ　’‘“—…´\u{ad}\u{200d}\u{301}\u{308}\u{345}\u{fdfa}".chars().collect::<Vec<_>>()),
        2 => prop::sample::select("하합니다을는\u{1112}\u{1161}\u{11ab}漢字かなカナー々㍿😀🇧🇷אב״'цйλώعم\u{64b}தமிழ்ไทย".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    prop::collection::vec(characters, 0..60).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_scan_equals_the_general_algorithm_on_ascii(text in "[ -~\n\t\r\u{b}\0]{0,80}") {
        prop_assert_eq!(
            collect(|emit| segment::words(&text, emit)),
            collect(|emit| segment::words_reference(&text, emit))
        );
    }

    #[test]
    fn the_scan_equals_the_general_algorithm_on_dense_ascii(text in "[a1_.,:;' ]{0,40}") {
        prop_assert_eq!(
            collect(|emit| segment::words(&text, emit)),
            collect(|emit| segment::words_reference(&text, emit))
        );
    }

    #[test]
    fn a_phrase_is_found_wherever_its_text_is(
        before in tricky_text(),
        text in tricky_text(),
        after in tricky_text(),
        option in prop::sample::select(vec!["", "+parts", "+fold"]),
    ) {
        let document = format!("{before}\n{text}\n{after}");
        for language in ["en", "fr", "tr", "fa", "fi", "zh", "ja", "ko", "ko+compounds"] {
            let analyzer = Analyzer::named(&format!("{language}{option}")).unwrap();
            let query = places(|emit| analyzer.query_positions(&text, emit));
            let document = places(|emit| analyzer.positions(&document, emit));
            prop_assert!(has_phrase(&document, &query), "{language}{option}: {query:?}");
        }
    }

    #[test]
    fn a_phrase_of_chinese_or_japanese_is_found_inside_of_others(
        before in "[漢字東京かなカナ々]{0,5}",
        text in "[漢字東京かなカナ々]{2,6}",
        after in "[漢字東京かなカナ々]{0,5}",
    ) {
        for language in ["zh", "ja", "ko"] {
            let analyzer = Analyzer::named(language).unwrap();
            let query = places(|emit| analyzer.query_positions(&text, emit));
            let inside = format!("{before}{text}{after}");
            let document = places(|emit| analyzer.positions(&inside, emit));
            prop_assert!(!query.is_empty() && has_phrase(&document, &query), "{language}");
        }
    }

    #[test]
    fn the_scan_equals_the_general_algorithm_on_any_text(text in tricky_text()) {
        prop_assert_eq!(
            collect(|emit| segment::words(&text, emit)),
            collect(|emit| segment::words_reference(&text, emit))
        );
    }

    #[test]
    fn ranges_are_on_character_boundaries_and_never_go_back(text in tricky_text()) {
        for analyzer in analyzers() {
            let mut before = (0, 0);
            for (word, start, end) in collect(|emit| analyzer.words(&text, emit)) {
                prop_assert!(!word.is_empty());
                prop_assert!(start < end && text.is_char_boundary(start) && text.is_char_boundary(end));
                prop_assert!(start >= before.0 && end >= before.1, "{}: {:?}", analyzer.name(), word);
                before = (start, end);
            }
        }
    }

    #[test]
    fn the_range_of_a_word_holds_that_word(text in tricky_text()) {
        // The normalized source range of a word contains the word.
        let simple = Analyzer::named("simple").unwrap();
        for (word, start, end) in collect(|emit| simple.words(&text, emit)) {
            let source = &text[start..end];
            let again: String = unicode_normalization::UnicodeNormalization::nfkc(source).collect();
            prop_assert!(again.contains(&word), "{:?} from {:?}", word, source);
        }
    }

    #[test]
    fn every_analyzer_survives_every_text(text in tricky_text()) {
        for analyzer in analyzers() {
            analyzer.analyze(&text, &mut |term, range| {
                assert!(!term.is_empty() && range.end <= text.len(), "{}", analyzer.name());
            });
        }
    }

    #[test]
    fn case_and_composition_make_no_difference(word in "[a-zà-öø-ÿα-ωа-я]{1,12}") {
        let simple = Analyzer::named("simple").unwrap();
        let terms = |text: &str| {
            let mut terms = Vec::new();
            simple.analyze(text, &mut |term, _| terms.push(term.to_owned()));
            terms
        };
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(word.as_str()).collect();
        prop_assert_eq!(terms(&word), terms(&decomposed));
        prop_assert_eq!(terms(&word), terms(&word.to_uppercase()));
    }
}

#[test]
fn every_name_round_trips() {
    for analyzer in analyzers() {
        assert_eq!(
            Analyzer::named(analyzer.name()).unwrap().name(),
            analyzer.name()
        );
    }
}

#[test]
fn very_long_words_take_linear_time() {
    // Two megabytes each: a quadratic step would take minutes.
    for unit in ["a", "é", "ｱ", "漢", "한", "1.", "e\u{301}", "e\u{ad}"] {
        let text = unit.repeat(2_000_000 / unit.len());
        for name in ["simple", "en", "ko", "tr"] {
            let analyzer = Analyzer::named(name).unwrap();
            let mut last_end = 0;
            analyzer.analyze(&text, &mut |_, range| last_end = last_end.max(range.end));
            assert!(last_end + unit.len() > text.len(), "{name} {unit}");
        }
    }
}
