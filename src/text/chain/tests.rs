//! Chains against the analyzers of languages, and claims that hold for every text.

use proptest::prelude::*;

use super::part::Step;
use super::split::SPLITS;
use crate::text::language::languages;
use crate::text::properties::tricky_text;
use crate::text::stopwords;
use crate::text::{Analyzer, Language};

/// Chains that have every part.
const NAMES: [&str; 12] = [
    "standard",
    "whitespace|nfkc|lowercase|fold",
    "letters|fold|lowercase:tr|length:2-5",
    "keyword|lowercase",
    "keyword|nfkc|lowercase|edge-ngram:1-8",
    "standard|lowercase|edge-ngram:2-10",
    "standard|parts|lowercase|ngram:2-3|length:1-2",
    "whitespace|lowercase|possessive:en|stop:en|stop:foo,bar|stem:en",
    "standard|lowercase:ga|elision:ga|stop:ga|stem:ga",
    "standard|lowercase|normalize:hi|stem:hi|edge-ngram:1-3",
    "standard|stem:sr|fold|stem:pt|stem:fr|stem:da",
    "keyword|stop:a\\,b,c\\|d,\\\\",
];

/// The analyzer of Persian splits words at this character, which no part of a chain does.
const NON_JOINER: char = '\u{200c}';

fn named(name: &str) -> Analyzer {
    Analyzer::named(name).unwrap()
}

fn error(name: &str) -> String {
    Analyzer::named(name).unwrap_err().to_string()
}

fn terms(analyzer: &Analyzer, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    analyzer.analyze(text, &mut |term, _| found.push(term.to_owned()));
    found
}

fn query_terms(analyzer: &Analyzer, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    analyzer.analyze_query(text, &mut |term, _| found.push(term.to_owned()));
    found
}

/// The steps of a language's analyzer as a chain; `None` if it has others.
fn chain_of(language: &Language) -> Option<Analyzer> {
    let code = language.code();
    Step::Stem.rules_of(language)?;
    let mut name = format!("standard|lowercase:{code}");
    for (step, part) in [
        (Step::Normalize, "normalize"),
        (Step::Elision, "elision"),
        (Step::Possessive, "possessive"),
        (Step::Stop, "stop"),
        (Step::Stem, "stem"),
    ] {
        if step.rules_of(language).is_some() {
            name.push_str(&format!("|{part}:{code}"));
        }
    }
    Some(named(&name))
}

#[test]
fn chains_of_a_languages_steps_equal_its_analyzer_on_its_stop_words() {
    let mut count = 0;
    for language in languages() {
        let Some(rules) = Step::Stop.rules_of(&language) else {
            continue;
        };
        let (chain, analyzer) = (chain_of(&language).unwrap(), named(language.code()));
        for word in stopwords::list(rules.stop_words) {
            let word = word.replace(NON_JOINER, "");
            for text in [word.to_uppercase(), format!("l'{word} {word}s {word}'s")] {
                let found = terms(&chain, &text);
                assert_eq!(found, terms(&analyzer, &text), "{}: {text}", chain.name());
            }
        }
        count += 1;
    }
    assert_eq!(count, 35);
}

#[test]
fn chains_in_documentation_equal_analyzers() {
    let text = "The dogs' homes aren't l'Été of Browser.js; as informações da AÇÃO, Straßen d'água";
    for (chain, name) in [
        (
            "standard|lowercase|possessive:en|stop:en|stem:en",
            "english",
        ),
        (
            "standard|lowercase|possessive:en|stem:en",
            "english+stopwords",
        ),
        (
            "standard|lowercase|fold|possessive:en|stop:en|stem:en|fold",
            "english+fold",
        ),
        (
            "standard|parts|lowercase|possessive:de|stop:de|stem:de",
            "german+parts",
        ),
        (
            "standard|lowercase|fold|elision:pt|stop:pt|stem:pt",
            "portuguese",
        ),
        (
            "standard|lowercase|fold|elision:fr|stop:fr|stem:fr",
            "french",
        ),
        ("standard|lowercase", "simple"),
    ] {
        assert_eq!(
            terms(&named(chain), text),
            terms(&named(name), text),
            "{chain}"
        );
    }
}

#[test]
fn stop_words_are_spelled_as_the_filters_before_spell_them() {
    let text = "Für Über foo FOO";
    for (name, expected) in [
        ("standard|lowercase|fold|stop:de", &["foo", "foo"][..]),
        ("standard|lowercase|stop:Über,FOO", &["für"]),
        ("standard|stop:FOO,", &["Für", "Über", "foo"]),
        (
            "standard|lowercase|edge-ngram:2-3|stop:foo,",
            &["fü", "für", "üb", "übe", "fo", "fo"],
        ),
        ("keyword|lowercase|stop:für über foo foo,", &[]),
    ] {
        assert_eq!(terms(&named(name), text), expected, "{name}");
    }
}

#[test]
fn a_query_is_not_cut_into_edge_ngrams() {
    let analyzer = named("edge-ngram:2-5|lowercase");
    assert_eq!(terms(&analyzer, "Firefox"), ["fi", "fir", "fire", "firef"]);
    assert_eq!(query_terms(&analyzer, "fire"), ["fire"]);
    assert_eq!(query_terms(&analyzer, "Firefoxes x"), ["firef", "x"]);
    let analyzer = named("ngram:2|lowercase");
    assert_eq!(query_terms(&analyzer, "Fire"), ["fi", "ir", "re"]);
}

#[test]
fn names_become_canonical() {
    for (given, canonical) in [
        (
            " Standard | LOWERCASE|Stem:Portuguese ",
            "standard|lowercase|stem:pt",
        ),
        ("KEYWORD", "keyword"),
        ("ngram:3", "standard|ngram:3-3"),
        (
            "edge-ngram:2-10|lowercase",
            "standard|edge-ngram:2-10|lowercase",
        ),
        ("standard|stop: b, a\\,c ,,b", "standard|stop:a\\,c,b"),
        ("standard|stop:foo,", "standard|stop:foo,"),
        (
            "standard|lowercase : tr|length: 2 - 3",
            "standard|lowercase:tr|length:2-3",
        ),
    ] {
        assert_eq!(named(given).name(), canonical);
        assert_eq!(named(canonical).name(), canonical);
    }
}

#[test]
fn errors_name_the_part_its_place_and_what_is_known() {
    for (name, expected) in [
        (
            "standard|lowercas|fold",
            "part 2, `lowercas`: unknown filter; expected one of `edge-ngram",
        ),
        (
            "lowercase|fold",
            "part 1, `lowercase`: a chain begins with a tokenizer, one of `keyword`",
        ),
        ("stem:pt", "part 1, `stem:pt`: a chain begins"),
        ("standard|", "part 2, ``: unknown filter"),
        ("standard|keyword", "part 2, `keyword`: only the first part"),
        (
            "standard|stem:klingon",
            "unknown language `klingon`; expected one of ar, ca",
        ),
        (
            "standard|stem:ko",
            "Korean has no stemmer; expected one of ar, ca",
        ),
        (
            "standard|elision:en",
            "English has no elided words to drop; expected one of ca, fr, ga, it, pt",
        ),
        (
            "standard|possessive",
            "no language is named; expected one of da, de",
        ),
        (
            "standard|stop:foo",
            "unknown language `foo`; expected one of ar",
        ),
        ("standard|stop:foo", "`stop:foo,`"),
        ("standard|stop:,", "expected stop words"),
        (
            "standard|stop:a,b\\",
            "part 2, `stop:a,b\\`: a backslash at the end",
        ),
        ("standard|fold:x", "expected `fold` without an argument"),
        ("standard:x", "expected `standard` without an argument"),
        ("standard|ngram:3-2", "from 1 to 63, as in `ngram:2-4`"),
        ("standard|edge-ngram:0-2", "from 1 to 63"),
        ("standard|edge-ngram:2-64", "from 1 to 63"),
        ("standard|ngram:+2", "from 1 to 63"),
        (
            "standard|ngram:1-11",
            "found n-grams of 11 lengths; expected at most 10",
        ),
        ("standard|length:x", "from 1 to 255"),
        (
            "standard|ngram:2|lowercase|edge-ngram:2",
            "part 4, `edge-ngram:2`: expected no second",
        ),
        ("standard|parts|parts", "expected no second"),
    ] {
        let message = error(name);
        assert!(message.contains(expected), "{name}: {message}");
    }
    assert!(error(&format!("standard{}", "|fold".repeat(33))).contains("at most 32 filters"));
    assert!(error(&format!("standard|stop:{}", "word,".repeat(20_000))).contains("limit"));
    let long = error(&format!("standard|{}", "x".repeat(1_000)));
    assert!(long.len() < 1_000, "{long}");
}

#[test]
fn a_chain_has_the_revisions_of_its_parts() {
    // All parts have revision 1 as yet, and so have their chains.
    for name in NAMES {
        assert_eq!(named(name).revision(), 1, "{name}");
    }
}

#[test]
fn every_tokenizer_is_named_and_found() {
    for (name, split) in SPLITS {
        assert_eq!(named(name).name(), name);
        assert_eq!(split.name(), name);
    }
}

#[test]
fn a_builder_makes_the_name() {
    let words = ["b|c", " a,b ", "", "\\"];
    let analyzer = Analyzer::chain("keyword")
        .stop_words(words)
        .build()
        .unwrap();
    assert_eq!(analyzer.name(), "keyword|stop:\\\\,a\\,b,b\\|c");
    for word in words {
        assert_eq!(terms(&analyzer, word), Vec::<String>::new(), "{word}");
    }
    let none: [&str; 0] = [];
    let analyzer = Analyzer::chain("standard").stop_words(none).filter("fold");
    assert_eq!(analyzer.build().unwrap().name(), "standard|fold");
    assert!(Analyzer::chain("standart").build().is_err());
}

#[test]
fn words_too_long_for_any_index_pass_unchanged() {
    let word = "A".repeat(5_000);
    assert_eq!(
        terms(&named("standard|lowercase|ngram:2-3"), &word),
        [word.as_str()]
    );
    assert_eq!(query_terms(&named("edge-ngram:2-3"), &word), [word]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn chains_of_a_languages_steps_equal_its_analyzer(text in tricky_text()) {
        let text = text.replace(NON_JOINER, "");
        for language in languages() {
            if let Some(chain) = chain_of(&language) {
                prop_assert_eq!(terms(&chain, &text), terms(&named(language.code()), &text), "{}", chain.name());
            }
        }
    }

    #[test]
    fn ranges_and_terms_of_chains_are_right(text in tricky_text()) {
        for name in NAMES {
            let analyzer = named(name);
            let mut before = (0, 0);
            analyzer.words(&text, &mut |word| {
                assert!(!word.text.is_empty() && word.start < word.end, "{name}");
                assert!(text.is_char_boundary(word.start) && text.is_char_boundary(word.end), "{name}");
                assert!(word.start >= before.0 && word.end >= before.1, "{name}");
                before = (word.start, word.end);
                let terms = |word: &str| {
                    let mut terms = Vec::new();
                    analyzer.terms(word, &mut |term| terms.push(term.to_owned()));
                    terms
                };
                let of_word = terms(word.text);
                assert!(of_word.iter().all(|term| !term.is_empty()), "{name}");
                assert_eq!(of_word, terms(word.text), "{name}");
            });
            analyzer.analyze_query(&text, &mut |term, range| {
                assert!(!term.is_empty() && range.end <= text.len(), "{name}");
            });
        }
    }

    #[test]
    fn words_of_tokenizers_that_do_not_normalize_are_slices(text in tricky_text()) {
        for name in ["keyword", "letters", "whitespace"] {
            named(name).words(&text, &mut |word| {
                assert_eq!(word.text, &text[word.start..word.end], "{name}");
            });
        }
    }

    #[test]
    fn a_query_finds_every_word_of_its_document(text in tricky_text()) {
        // Every term of a query is a term of a document of the same text.
        for name in NAMES {
            let analyzer = named(name);
            let document = terms(&analyzer, &text);
            for term in query_terms(&analyzer, &text) {
                prop_assert!(document.contains(&term), "{}: {:?}", name, term);
            }
        }
    }

    #[test]
    fn no_name_makes_it_panic(name in "\\PC{0,20}([|:,-]\\PC{0,8}){0,4}", filter in "\\PC{0,20}") {
        for name in [&name, &format!("standard|{name}"), &format!("standard|stop:{filter},|{name}")] {
            if let Ok(analyzer) = Analyzer::named(name) {
                terms(&analyzer, &filter);
            }
        }
    }

    #[test]
    fn every_name_that_is_accepted_round_trips(
        parts in prop::collection::vec("(lowercase|fold|stop|stem|ngram|length|standard|x)?:?(pt|en|ko|2-3|[a,\\\\ |]{0,5})", 0..5),
    ) {
        let name = format!("whitespace|{}", parts.join("|"));
        if let Ok(analyzer) = Analyzer::named(&name) {
            let again = named(analyzer.name());
            prop_assert_eq!(again.name(), analyzer.name());
            let text = "a b,a a,,b The casas";
            prop_assert_eq!(terms(&again, text), terms(&analyzer, text));
        }
    }
}

#[test]
fn beginnings_of_words_lose_case_and_accents_only() {
    let normalize = |name: &str, word: &str| Analyzer::named(name).unwrap().normalize(word);
    let chain = "standard|lowercase|fold|stop:en|stem:en";
    assert_eq!(normalize(chain, "Éditions"), "editions");
    assert_eq!(normalize(chain, "The"), "the");
    assert_eq!(normalize("standard|edge-ngram:2-3", "Fire"), "Fire");
    assert_eq!(normalize("standard|lowercase|stem:pt", "AÇÕES"), "acoes");
    for language in languages() {
        if let Some(chain) = chain_of(&language) {
            for word in ["Ёлка", "İstanbul", "علي", "Århus", "हिन्दी", "ΔΡΌΜΟΣ"]
            {
                let expected = normalize(language.code(), word);
                assert_eq!(chain.normalize(word), expected, "{}", chain.name());
            }
        }
    }
    assert_eq!(normalize("english", "Running"), "running");
    assert_eq!(normalize("french", "Écoles"), "ecoles");
    assert_eq!(normalize("korean", "ABC"), "abc");
}
