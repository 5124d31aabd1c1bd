//! Synonyms against a naive search for the longest rule, and what analyzers make of them.

use proptest::prelude::*;

use super::*;

fn named(name: &str) -> Analyzer {
    Analyzer::named(name).unwrap()
}

/// The groups of a query as text: alternatives separated by `/`, terms of one word by `+`.
fn expanded(list: &str, analyzer: &str, query: &str) -> Vec<String> {
    let synonyms = Synonyms::parse(list).unwrap();
    let synonyms = synonyms.for_analyzer(&named(analyzer)).unwrap();
    let groups = synonyms.expand_text(query);
    groups
        .iter()
        .map(|group| text_of(&group.alternatives))
        .collect()
}

fn text_of(alternatives: &[Terms]) -> String {
    let text = |terms: &Terms| {
        let words = steps(terms)
            .enumerate()
            .map(|(at, (term, begins))| match (at, begins) {
                (0, _) => term.to_owned(),
                (_, true) => format!(" {term}"),
                (_, false) => format!("+{term}"),
            });
        words.collect::<String>()
    };
    alternatives.iter().map(text).collect::<Vec<_>>().join("/")
}

#[test]
fn equivalent_words_stand_for_each_other_and_replaced_ones_go() {
    let list = "couch, sofa, settee\npc => computer\ntv => tv, television";
    assert_eq!(
        expanded(list, "simple", "a Sofa, a PC and a TV"),
        [
            "a",
            "sofa/couch/settee",
            "a",
            "computer",
            "and",
            "a",
            "tv/television"
        ]
    );
}

#[test]
fn the_longest_phrase_is_taken() {
    let list = "new york, ny\nnew york city => nyc\ncity, town";
    assert_eq!(expanded(list, "simple", "new york city"), ["nyc"]);
    assert_eq!(
        expanded(list, "simple", "new york town new"),
        ["new york/ny", "town/city", "new"]
    );
}

#[test]
fn rules_of_a_word_add_up_and_no_alternative_comes_twice() {
    let list = "a, b\na => c, b\na, d";
    assert_eq!(expanded(list, "simple", "a"), ["a/b/c/d"]);
    assert_eq!(expanded("a => b\na => c", "simple", "a"), ["b/c"]);
    // Not transitive: `b` has the synonyms of its own rules.
    assert_eq!(expanded(list, "simple", "b"), ["b/a"]);
}

#[test]
fn rules_are_matched_as_the_field_analyzes_them() {
    let list = "cars, automobiles\nbank of america, boa";
    assert_eq!(expanded(list, "english", "a car"), ["car/automobil"]);
    // Both lost the stop word, but only the rule has a gap of its own.
    assert_eq!(
        expanded(list, "english", "Bank America"),
        ["bank america/boa"]
    );
    assert_eq!(
        expanded(list, "simple", "bank america"),
        ["bank", "america"]
    );
    // Words that become one term are no alternatives of each other.
    assert_eq!(expanded("car, cars", "english", "cars"), ["car"]);
}

#[test]
fn words_of_several_terms_are_matched_whole() {
    let analyzer = "standard|lowercase|ngram:2-2";
    let list = "fog => smog\nfo => no";
    assert_eq!(expanded(list, analyzer, "fog"), ["sm+mo+og"]);
    assert_eq!(expanded(list, analyzer, "fogs fo"), ["fo+og+gs", "no"]);
}

#[test]
fn positions_count_from_the_first_word_and_keep_gaps() {
    let synonyms = Synonyms::parse("bofa, bank of america").unwrap();
    let synonyms = synonyms.for_analyzer(&named("english")).unwrap();
    let groups = synonyms.expand_text("the money of bofa");
    let term = |term: &str, position| (term.to_owned(), position);
    assert_eq!(groups[1].terms, 1..2);
    assert_eq!(
        groups[1].alternatives,
        [
            vec![term("bofa", 0)],
            vec![term("bank", 0), term("america", 2)]
        ]
    );
}

#[test]
fn phrases_without_terms_and_too_many_are_refused() {
    let refused = |list: &str| {
        let synonyms = Synonyms::parse(list).unwrap();
        let refused = synonyms.for_analyzer(&named("english"));
        refused.unwrap_err().to_string()
    };
    let message = refused("a1, b1\n\nit, computers");
    assert!(
        message.starts_with("synonyms:3: ") && message.contains("`it`"),
        "{message}"
    );
    let message = refused(&format!("x => {}", "many ".repeat(MAX_PHRASE_TERMS + 1)));
    assert!(message.contains("65 terms"), "{message}");
    let words: Vec<_> = (0..=MAX_ALTERNATIVES).map(|n| format!("w{n}")).collect();
    let message = refused(&words.join(","));
    assert!(message.contains("1025 synonyms"), "{message}");
}

/// Reference for [`FieldSynonyms::expand`]: tries every rule at every word.
fn naive(synonyms: &Synonyms, analyzer: &Analyzer, terms: &Terms) -> Vec<SynonymGroup> {
    let analyze = |phrase: &String| phrase_terms(analyzer, phrase).unwrap();
    let begins = |at: usize| at == 0 || at == terms.len() || terms[at].1 != terms[at - 1].1;
    let mut groups = Vec::new();
    let mut start = 0;
    while start < terms.len() {
        let matches = |phrase: &Terms| {
            let end = start + phrase.len();
            end <= terms.len() && begins(end) && is_same(phrase, &terms[start..end])
        };
        let (mut length, mut keeps, mut others) = (0, true, Vec::new());
        for rule in &synonyms.rules {
            for phrase in rule.from.iter().map(analyze).filter(matches) {
                if phrase.len() > length {
                    (length, keeps, others) = (phrase.len(), false, Vec::new());
                }
                if phrase.len() == length {
                    keeps |= rule.to.is_none();
                    others.extend(rule.to.as_ref().unwrap_or(&rule.from).iter().map(analyze));
                }
            }
        }
        if length == 0 {
            length = (1..).find(|length| begins(start + length)).unwrap();
        }
        let mut alternatives: Vec<Terms> = Vec::new();
        if keeps {
            let first = terms[start].1;
            let original = terms[start..start + length].iter();
            alternatives.push(
                original
                    .map(|(term, at)| (term.clone(), at - first))
                    .collect(),
            );
        }
        for other in others {
            if !alternatives.iter().any(|known| is_same(known, &other)) {
                alternatives.push(other);
            }
        }
        groups.push(SynonymGroup {
            terms: start..start + length,
            alternatives,
            is_replaced: !keeps,
        });
        start += length;
    }
    groups
}

/// Lists of few words, so that rules overlap.
fn list() -> impl Strategy<Value = String> {
    let phrase = "[ab]( [abc]){0,2}";
    let side = prop::collection::vec(phrase, 1..4).prop_map(|phrases| phrases.join(", "));
    let equivalent = (side.clone(), phrase).prop_map(|(side, one)| format!("{side}, {one}"));
    let explicit = (side.clone(), side).prop_map(|(from, to)| format!("{from} => {to}"));
    prop::collection::vec(prop_oneof![equivalent, explicit], 0..6)
        .prop_map(|rules| rules.join("\n"))
}

proptest! {
    #[test]
    fn groups_equal_the_naive_ones(list in list(), query in "[abcd ]{0,24}") {
        let synonyms = Synonyms::parse(&list).unwrap();
        for name in ["simple", "standard|stop:c,", "standard|ngram:1-2"] {
            let analyzer = named(name);
            // A phrase never has only stop words: it begins with `a` or `b`.
            let field = synonyms.for_analyzer(&analyzer).unwrap();
            let terms = analyze(&analyzer, &query);
            let groups = field.expand(&terms);
            prop_assert_eq!(&groups, &naive(&synonyms, &analyzer, &terms));
            let covered: Vec<usize> = groups.iter().flat_map(|group| group.terms.clone()).collect();
            prop_assert_eq!(covered, (0..terms.len()).collect::<Vec<_>>());
            prop_assert!(groups.iter().all(|group| !group.alternatives.is_empty()));
        }
    }

    #[test]
    fn no_list_and_no_query_makes_it_panic(list in "[a,=>\\\\#\n \u{e9}]{0,40}", query in "\\PC{0,30}") {
        if let Ok(synonyms) = Synonyms::parse(&list) {
            for name in ["english", "ko", "keyword"] {
                if let Ok(field) = synonyms.for_analyzer(&named(name)) {
                    field.expand_text(&query);
                }
            }
        }
    }

    #[test]
    fn positions_may_be_any_numbers(positions in prop::collection::vec(any::<u32>(), 0..6)) {
        let synonyms = Synonyms::parse("a a, b").unwrap().for_analyzer(&named("simple")).unwrap();
        let terms: Terms = positions.into_iter().map(|at| ("a".to_owned(), at)).collect();
        synonyms.expand(&terms);
    }
}
