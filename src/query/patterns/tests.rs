//! Each kind of pattern against a slow, obvious oracle.

mod limits;

use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::{Compiled, Fuzzy, Pattern, Terms};

/// Terms in memory, which count what is asked of them.
struct Sorted {
    terms: Vec<Vec<u8>>,
    /// The number of the current term, plus one; 0 before the first.
    next: usize,
    steps: usize,
    seeks: usize,
}

impl Sorted {
    fn new<T: AsRef<[u8]>>(terms: impl IntoIterator<Item = T>) -> Self {
        let terms: BTreeSet<Vec<u8>> = terms.into_iter().map(|t| t.as_ref().to_vec()).collect();
        Self {
            terms: terms.into_iter().collect(),
            next: 0,
            steps: 0,
            seeks: 0,
        }
    }
}

impl Terms for Sorted {
    type Error = Infallible;

    fn seek(&mut self, key: &[u8]) -> Result<bool, Infallible> {
        assert!(self.next == 0 || self.key() < key, "a seek moves forward");
        self.seeks += 1;
        self.next = self.terms.partition_point(|term| &term[..] < key) + 1;
        Ok(self.next <= self.terms.len())
    }

    fn advance(&mut self) -> Result<bool, Infallible> {
        self.steps += 1;
        self.next += 1;
        Ok(self.next <= self.terms.len())
    }

    fn key(&self) -> &[u8] {
        &self.terms[self.next - 1]
    }
}

fn found(compiled: &Compiled, terms: &mut Sorted) -> Vec<(Vec<u8>, u8)> {
    let mut found = Vec::new();
    let Ok(()) = compiled.for_each(terms, |terms, distance| {
        found.push((terms.key().to_vec(), distance));
        Ok(())
    });
    found
}

/// Holds both ways of matching to the oracle.
fn check(
    pattern: &Pattern,
    terms: &BTreeSet<String>,
    oracle: impl Fn(&str) -> Option<u8>,
) -> Result<(), TestCaseError> {
    let compiled = pattern.compile().unwrap();
    let mut expected = Vec::new();
    for term in terms {
        let distance = oracle(term);
        prop_assert_eq!(compiled.matches(term.as_bytes()), distance, "{:?}", term);
        expected.extend(distance.map(|distance| (term.clone().into_bytes(), distance)));
    }
    prop_assert_eq!(found(&compiled, &mut Sorted::new(terms)), expected);
    Ok(())
}

/// Few characters of one to four bytes, so that patterns match now and then. Some share their
/// first bytes.
fn character() -> impl Strategy<Value = char> {
    prop::sample::select(vec!['a', 'b', 'é', 'è', '日', '旦', '😀', '😁'])
}

fn word(longest: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..=longest).prop_map(String::from_iter)
}

fn dictionary() -> impl Strategy<Value = BTreeSet<String>> {
    let ascii = prop::collection::vec(prop::sample::select(vec!['a', 'b', 'c']), 0..6);
    let words = prop_oneof![word(6), ascii.prop_map(String::from_iter)];
    prop::collection::btree_set(words, 0..120)
}

/// All words of up to five of five characters: gaps between matches are long enough for seeks.
fn all_words() -> Vec<String> {
    let mut words = vec![String::new()];
    let mut from = 0;
    for _ in 0..5 {
        let to = words.len();
        for index in from..to {
            for character in ['a', 'b', 'é', '日', '😀'] {
                words.push(format!("{}{character}", words[index]));
            }
        }
        from = to;
    }
    words
}

/// Edit distance by the full table; optimal string alignment with transpositions.
pub(in crate::query) fn edit_distance(
    left: &[char],
    right: &[char],
    transpositions: bool,
) -> usize {
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            if i == 0 || j == 0 {
                table[i][j] = i + j;
                continue;
            }
            let substitute = table[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            table[i][j] = substitute.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
            let is_swap =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if transpositions && is_swap {
                table[i][j] = table[i][j].min(table[i - 2][j - 2] + 1);
            }
        }
    }
    table[left.len()][right.len()]
}

fn fuzzy_oracle(fuzzy: &Fuzzy, term: &str) -> Option<u8> {
    let (wanted, term): (Vec<char>, Vec<char>) =
        (fuzzy.term.chars().collect(), term.chars().collect());
    let prefix = fuzzy.prefix.min(wanted.len());
    if term.get(..prefix)? != &wanted[..prefix] {
        return None;
    }
    let (wanted, rest) = (&wanted[prefix..], &term[prefix..]);
    let distance = |end: usize| edit_distance(wanted, &rest[..end], fuzzy.transpositions);
    let distance = if fuzzy.prefix_match {
        (0..=rest.len()).map(distance).min()?
    } else {
        distance(rest.len())
    };
    (distance <= usize::from(fuzzy.distance)).then_some(distance as u8)
}

fn wildcard_oracle(pattern: &[char], term: &[char]) -> bool {
    match (pattern, term) {
        ([], _) => term.is_empty(),
        (['*', rest @ ..], _) => {
            (0..=term.len()).any(|skipped| wildcard_oracle(rest, &term[skipped..]))
        }
        (['?', rest @ ..], [_, term @ ..]) => wildcard_oracle(rest, term),
        (['\\', wanted, rest @ ..] | [wanted, rest @ ..], [found, term @ ..]) => {
            wanted == found && wildcard_oracle(rest, term)
        }
        (_, []) => false,
    }
}

fn wildcard_matches(pattern: &str, term: &str) -> bool {
    let (pattern, term): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), term.chars().collect());
    wildcard_oracle(&pattern, &term)
}

/// Expressions over the characters of the dictionary.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => character().prop_map(String::from),
        2 => prop::sample::select(vec![
            ".", "[ab]", "[^a]", r"\w", r"\W", "[é-日]", "", "^", "$", r"(?-u:\b)", r"(?-u:\B)",
            "(?i:É)", r"\p{Han}", "[a&&b]", r"\A", r"\z", "(?m:^)", "(?m:$)",
        ]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
            2 => (inner, prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "*?", "+?"]))
                .prop_map(|(part, count)| format!("(?:{part}){count}")),
        ]
    })
}

fn fuzzy() -> impl Strategy<Value = Fuzzy> {
    (word(7), 0u8..=2, 0usize..4, any::<bool>(), any::<bool>()).prop_map(
        |(term, distance, prefix, transpositions, prefix_match)| Fuzzy {
            term,
            distance,
            prefix,
            transpositions,
            prefix_match,
        },
    )
}

proptest! {
    #[test]
    fn prefixes_match_what_begins_with_them(prefix in word(3), terms in dictionary()) {
        let pattern = Pattern::Prefix(prefix.clone());
        check(&pattern, &terms, |term| term.starts_with(&prefix).then_some(0))?;
    }

    #[test]
    fn wildcards_match_as_backtracking_does(
        parts in prop::collection::vec(
            prop_oneof![
                2 => character().prop_map(String::from),
                2 => prop::sample::select(vec!["*", "?", r"\*", r"\?", r"\\", r"\a", ".", "["])
                    .prop_map(str::to_owned),
            ],
            0..7,
        ),
        terms in dictionary(),
        more in prop::collection::vec(r"[ab*?\\.\[]{0,4}", 0..10),
    ) {
        let pattern = parts.concat();
        let terms = terms.into_iter().chain(more).collect();
        check(&Pattern::Wildcard(pattern.clone()), &terms, |term| {
            wildcard_matches(&pattern, term).then_some(0)
        })?;
    }

    #[test]
    fn regular_expressions_match_as_the_regex_crate_does(
        expression in expression(),
        terms in dictionary(),
    ) {
        let whole = ::regex::RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
            .dot_matches_new_line(true)
            .build()
            .unwrap();
        // A large class repeated often may be refused; the limits have tests of their own.
        let pattern = Pattern::Regex(expression);
        if pattern.compile().is_ok() {
            check(&pattern, &terms, |term| whole.is_match(term).then_some(0))?;
        }
    }

    #[test]
    fn fuzzy_terms_match_as_the_full_table_says(fuzzy in fuzzy(), terms in dictionary()) {
        let pattern = Pattern::Fuzzy(fuzzy.clone());
        check(&pattern, &terms, |term| fuzzy_oracle(&fuzzy, term))?;
    }

    #[test]
    fn walks_of_a_dense_dictionary_find_what_a_scan_finds(
        fuzzy in fuzzy(),
        expression in expression(),
        wildcard in "[ab?*é]{0,6}",
    ) {
        let patterns = [
            Pattern::Fuzzy(fuzzy),
            Pattern::Regex(expression),
            Pattern::Wildcard(wildcard),
        ];
        for compiled in patterns.iter().filter_map(|pattern| pattern.compile().ok()) {
            let mut terms = Sorted::new(all_words());
            let walked = found(&compiled, &mut terms);
            let scanned: Vec<_> = terms
                .terms
                .iter()
                .filter_map(|term| Some((term.clone(), compiled.matches(term)?)))
                .collect();
            prop_assert_eq!(walked, scanned);
        }
    }

    #[test]
    fn terms_that_are_not_utf8_never_panic(
        terms in prop::collection::btree_set(
            prop::collection::vec(prop_oneof![any::<u8>(), Just(b'a'), Just(0xC3)], 0..6), 0..60,
        ),
        fuzzy in fuzzy(),
        expression in expression(),
        word in word(3),
    ) {
        let patterns = [
            Pattern::Fuzzy(fuzzy),
            Pattern::Regex(expression),
            Pattern::Wildcard(format!("*{word}?")),
            Pattern::Prefix(word),
        ];
        for compiled in patterns.iter().filter_map(|pattern| pattern.compile().ok()) {
            let walked = found(&compiled, &mut Sorted::new(&terms));
            let tested: Vec<_> = terms
                .iter()
                .filter_map(|term| Some((term.clone(), compiled.matches(term)?)))
                .collect();
            prop_assert_eq!(walked, tested);
        }
    }

    #[test]
    fn no_input_makes_compiling_panic(text in any::<String>(), prefix in 0usize..5) {
        let _ = Pattern::Regex(text.clone()).compile();
        let _ = Pattern::Wildcard(text.clone()).compile();
        let fuzzy = Fuzzy {
            term: text,
            distance: 2,
            prefix,
            transpositions: true,
            prefix_match: true,
        };
        let _ = Pattern::Fuzzy(fuzzy).compile();
    }
}

#[test]
fn every_ascii_character_stands_for_itself_in_a_wildcard() {
    for character in (0..128u8).map(char::from) {
        // A literal after a `?` goes through the translation to a regular expression.
        let pattern = format!("?\\{character}");
        let compiled = Pattern::Wildcard(pattern.clone()).compile().unwrap();
        for other in (0..128u8).map(char::from) {
            let is_match = compiled.matches(format!("x{other}").as_bytes()).is_some();
            assert_eq!(is_match, other == character, "{pattern:?} on {other:?}");
        }
    }
}

#[test]
fn the_minimum_over_prefixes_is_kept_when_later_prefixes_are_farther() {
    let fuzzy = Fuzzy {
        term: "xab".to_owned(),
        distance: 2,
        prefix: 0,
        transpositions: true,
        prefix_match: true,
    };
    let compiled = Pattern::Fuzzy(fuzzy).compile().unwrap();
    assert_eq!(compiled.matches(b"bzzzzz"), Some(2));
}

#[test]
fn only_live_parts_of_the_dictionary_are_walked() {
    let terms = (0..100_000).map(|number| format!("{number:05}"));
    let mut terms = Sorted::new(terms);
    let mut cost = |pattern: Pattern| {
        (terms.next, terms.steps, terms.seeks) = (0, 0, 0);
        let count = found(&pattern.compile().unwrap(), &mut terms).len();
        (count, terms.steps, terms.seeks)
    };
    assert_eq!(cost(Pattern::Prefix("123".to_owned())), (100, 100, 1));
    assert_eq!(cost(Pattern::Prefix("x".to_owned())), (0, 0, 1));
    assert_eq!(cost(Pattern::Regex("[a&&b]".to_owned())), (0, 0, 0));
    assert_eq!(cost(Pattern::Regex("12345".to_owned())), (1, 1, 1));
    let (count, steps, seeks) = cost(Pattern::Wildcard("1?3?5".to_owned()));
    assert_eq!(count, 100);
    assert!(steps + seeks < 250, "{steps} steps, {seeks} seeks");
    let fuzzy = Fuzzy {
        term: "12345".to_owned(),
        distance: 1,
        prefix: 2,
        transpositions: true,
        prefix_match: false,
    };
    let (count, steps, seeks) = cost(Pattern::Fuzzy(fuzzy));
    assert_eq!(count, 30);
    assert!(steps + seeks < 100, "{steps} steps, {seeks} seeks");
}

#[test]
fn an_error_of_the_visitor_ends_the_walk() {
    struct Failing(Sorted);
    impl Terms for Failing {
        type Error = &'static str;
        fn seek(&mut self, key: &[u8]) -> Result<bool, Self::Error> {
            let Ok(found) = self.0.seek(key);
            Ok(found)
        }
        fn advance(&mut self) -> Result<bool, Self::Error> {
            if self.0.next == 2 {
                return Err("unreadable");
            }
            let Ok(found) = self.0.advance();
            Ok(found)
        }
        fn key(&self) -> &[u8] {
            self.0.key()
        }
    }
    let compiled = Pattern::Prefix("a".to_owned()).compile().unwrap();
    let mut visited = 0;
    let mut terms = Failing(Sorted::new(["a", "aa", "ab"]));
    let result = compiled.for_each(&mut terms, |_, _| {
        visited += 1;
        Ok(())
    });
    assert_eq!((result, visited), (Err("unreadable"), 2));
    let mut terms = Failing(Sorted::new(["a", "aa", "ab"]));
    let result = compiled.for_each(&mut terms, |_, _| Err("full"));
    assert_eq!((result, terms.0.next), (Err("full"), 1));
}
