//! Patterns that would need too much time or memory, and what their errors say.

use std::time::{Duration, Instant};

use super::super::{Compiled, Fuzzy, Pattern, PatternError, Rest};

#[test]
fn patterns_that_would_explode_are_refused_soon() {
    let refused = [
        r"(a|b)*a(a|b){40}".to_owned(),
        r"\w{200}{200}".to_owned(),
        r"((((((a{10}){10}){10}){10}){10}){10})".to_owned(),
        r".*\w{10}\d.*".to_owned(),
        r".{0,50}x.{20}".to_owned(),
        r"\pL".repeat(330),
        "[a-z]{1000}*".repeat(80),
        format!("{}a{}", "(".repeat(400), ")".repeat(400)),
        "a".repeat(1_001),
    ];
    for pattern in refused.map(Pattern::Regex) {
        assert!(compile_soon(&pattern).is_err(), "{pattern:?}");
    }
    let wildcards = [format!("*a{}", "?".repeat(40)), "*a?".repeat(333)];
    for pattern in wildcards.map(Pattern::Wildcard) {
        assert!(compile_soon(&pattern).is_err(), "{pattern:?}");
    }
}

#[test]
fn large_patterns_compile_soon_if_at_all() {
    let regexes = [
        r"(((){1000}){1000}){1000}{1000}".to_owned(),
        format!("(?i){}", r"\pL|".repeat(240)),
        format!("(?i){}", r"\w".repeat(300)),
        format!("(?i){}", r"[^\w--\pL]".repeat(90)),
        r"[\pL&&\w]|".repeat(90),
        r"\w*\d*".repeat(160),
        format!("(?i)[{}]", r"\pL".repeat(300)),
        format!("(?i){}a{}", r"[\W&&".repeat(140), "]".repeat(140)),
        format!("(?i){}a{}", r"[^".repeat(240), "]".repeat(240)),
        format!("(?i){}a{}", r"[^\W".repeat(17), "]".repeat(17)),
        r"\[".repeat(400) + "[[]]",
        "(.*a)?".repeat(160),
        ".*a".repeat(300),
        "(?:.?a|b.*)*".repeat(80),
        "[a-z]*".repeat(160),
        "a".repeat(1_000),
        (0..190).map(|n| format!("{n:04}|")).collect(),
    ];
    for pattern in regexes.map(Pattern::Regex) {
        let _ = compile_soon(&pattern);
    }
    for pattern in ["?".repeat(1_000), "a*".repeat(500)] {
        let _ = compile_soon(&Pattern::Wildcard(pattern));
    }
}

fn compile_soon(pattern: &Pattern) -> Result<Compiled, PatternError> {
    let start = Instant::now();
    let result = pattern.compile();
    let took = start.elapsed();
    println!("{took:?} {:.60} {}", format!("{pattern:?}"), result.is_ok());
    // A release build on an idle machine takes less than a tenth of it.
    assert!(took < Duration::from_secs(1), "{pattern:?} took {took:?}");
    result
}

#[test]
fn errors_say_what_to_do() {
    let fuzzy = |term: &str, distance, prefix| {
        Pattern::Fuzzy(Fuzzy {
            term: term.to_owned(),
            distance,
            prefix,
            transpositions: true,
            prefix_match: false,
        })
    };
    let cases = [
        (
            Pattern::Regex("a(b".to_owned()),
            "expected a regular expression, found `a(b`: unclosed group; correct it, or put a \
             backslash before punctuation that stands for itself",
        ),
        (
            Pattern::Regex(r"(?-u:\xFF)".to_owned()),
            "pattern can match invalid UTF-8",
        ),
        (Pattern::Regex(r"\bfoo".to_owned()), "leave them out"),
        (Pattern::Regex("a".repeat(1_001)), "at most 1000 bytes"),
        (
            Pattern::Regex("(a|b)*a(a|b){40}".to_owned()),
            "smaller counts",
        ),
        (Pattern::Wildcard(r"a\".to_owned()), "write `\\\\`"),
        (
            Pattern::Wildcard(format!("*a{}", "?".repeat(40))),
            "one `*` for several",
        ),
        (
            Pattern::Regex(format!("{}a{}", "[^".repeat(18), "]".repeat(18))),
            "found 17 in",
        ),
        (fuzzy("a", 3, 0), "0 to 2"),
        (fuzzy(&"é".repeat(101), 1, 0), "at most 100 characters"),
    ];
    for (pattern, expected) in cases {
        let message = pattern.compile().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(fuzzy(&"é".repeat(101), 1, 1).compile().is_ok());
}

#[test]
fn long_fuzzy_terms_match() {
    for length in [31, 32, 33, 63, 64, 65, 96, 100] {
        let term = "ab".repeat(50)[..length].to_owned();
        for (distance, transpositions) in [(1, true), (2, false), (2, true)] {
            let fuzzy = Fuzzy {
                term: term.clone(),
                distance,
                prefix: 0,
                transpositions,
                prefix_match: false,
            };
            let compiled = Pattern::Fuzzy(fuzzy).compile().unwrap();
            let Rest::Accepted(automaton) = &compiled.rest else {
                panic!("a fuzzy term compiles to an automaton");
            };
            assert!(automaton.memory() < 1 << 20);
            let farther = format!("x{term}x");
            let expected = (distance == 2).then_some(2);
            assert_eq!(compiled.matches(farther.as_bytes()), expected);
            assert_eq!(compiled.matches(&term.as_bytes()[1..]), Some(1));
        }
    }
}
