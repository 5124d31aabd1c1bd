//! What holds for every text.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::examples::{is_field, outline};
use super::parser::{MAX_DEPTH, MAX_NODES};
use super::tree::{Node, NodeKind};
use super::{parse, parse_lenient};

/// Pieces of queries, among which most are operators.
const PIECES: &[&str] = &[
    "alpha",
    "beta",
    "gamma",
    "東京",
    "\u{1f980}",
    "naïve",
    "title:",
    "body:",
    "title,body:",
    "foo:",
    "my\\ field:",
    "year:",
    "3d:",
    "12:30",
    "https://x.y/z?a=b",
    "std::vec",
    "\"",
    "\"alpha beta\"",
    "(",
    ")",
    "()",
    "+",
    "-",
    "!",
    "AND",
    "OR",
    "NOT",
    "&&",
    "||",
    "~",
    "~1",
    "~2",
    "~3",
    "^2",
    "^.5",
    "^=3",
    "^-1",
    "@1",
    "@2",
    "@",
    "*",
    "?",
    "*:*",
    "/",
    "/re(g|x)/",
    "[",
    "]",
    "{",
    "}",
    "[1 TO 5]",
    "{1 TO *]",
    "TO",
    ">=",
    "<",
    "=",
    "IN(",
    "IN(alpha beta)",
    ",",
    ".",
    ":",
    "\\",
    "\\ ",
    "\\\"",
    "&",
    "|",
    ";",
    "\t",
    " ",
    "  ",
    " ",
    " ",
    " ",
    " ",
];

fn queries() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

/// Valid parts side by side, so that most of these parse.
fn valid_queries() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "alpha",
        "beta",
        "what?",
        "title:gamma",
        "\"a b\"~2",
        "\"a b\"*",
        "fire*",
        "te?t",
        "/r\\/x/",
        "teh~1",
        "year:[1 TO 5}",
        "year:>=3",
        "color:IN(a \"b c\")",
        "title:*",
        "*:*",
        "my\\ field:x",
        "a\\ b",
        "\\-x",
        "\\>y",
        "\\,z",
        "-5",
        "https://x.y/?q=1",
        "title:-3",
        "\\ ",
        "year:\\)q",
    ]);
    leaf.prop_map(String::from)
        .prop_recursive(6, 48, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.join(" ")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" AND ")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" OR ")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" OR NOT ")),
                inner.clone().prop_map(|part| format!("({part})")),
                inner.clone().prop_map(|part| format!("({part})@1")),
                inner
                    .clone()
                    .prop_map(|part| format!("({part} OR -alpha)@2")),
                inner.clone().prop_map(|part| format!("(x {part} y)@2^3")),
                inner.clone().prop_map(|part| format!("({part})^=2.5")),
                inner
                    .clone()
                    .prop_map(|part| format!("title,body:({part})^2")),
                inner.clone().prop_map(|part| format!("+{part}")),
                inner.clone().prop_map(|part| format!("-({part})")),
                inner.prop_map(|part| format!("NOT NOT ({part})")),
            ]
        })
}

/// Panics unless spans are within the source, within their parents, and in order.
fn check_spans(node: &Node, source: &str) {
    assert!(
        source.get(node.span.clone()).is_some(),
        "{node:?} in {source:?}"
    );
    let children: Vec<&Node> = match &node.kind {
        NodeKind::Field { node, .. }
        | NodeKind::Boost { node, .. }
        | NodeKind::ConstantScore { node, .. }
        | NodeKind::Not(node) => vec![node],
        NodeKind::All(nodes) | NodeKind::Any(nodes) => nodes.iter().collect(),
        NodeKind::Group { clauses, .. } => clauses.iter().map(|clause| &clause.node).collect(),
        _ => Vec::new(),
    };
    let mut at = node.span.start;
    for child in children {
        assert!(
            at <= child.span.start && child.span.end <= node.span.end,
            "{node:?} in {source:?}"
        );
        at = child.span.end;
        check_spans(child, source);
    }
}

fn check(source: &str) {
    let (lenient, errors) = parse_lenient(source, &is_field);
    match parse(source, &is_field) {
        Ok(strict) => assert_eq!((&strict, errors.len()), (&lenient, 0), "{source:?}"),
        Err(error) => {
            assert_eq!(errors.first(), Some(&error), "{source:?}");
            assert!(source.is_char_boundary(error.offset), "{source:?}");
            assert_eq!(error.to_string().lines().count(), 3, "{source:?}");
        }
    }
    check_spans(&lenient, source);
    let printed = lenient.to_string();
    let again = parse(&printed, &is_field)
        .unwrap_or_else(|error| panic!("{source:?}, printed {printed:?}: {error}"));
    assert_eq!(
        outline(&again),
        outline(&lenient),
        "{source:?}, printed {printed:?}"
    );
    assert_eq!(again, lenient, "{source:?}, printed {printed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_parses_and_prints(source in ".{0,40}") {
        check(&source);
    }

    #[test]
    fn operators_anywhere_parse_and_print(source in queries()) {
        check(&source);
    }

    #[test]
    fn valid_queries_parse_and_print(source in valid_queries()) {
        prop_assert!(!outline(&parse_lenient(&source, &is_field).0).is_empty());
        check(&source);
    }

    #[test]
    fn every_word_stays_searched(source in queries()) {
        let printed = parse_lenient(&source, &is_field).0.to_string();
        for word in ["alpha", "beta", "gamma", "東京", "\u{1f980}", "naïve"] {
            prop_assert_eq!(printed.matches(word).count(), source.matches(word).count(), "{}", printed);
        }
    }
}

#[test]
fn long_queries_take_linear_time() {
    let repeated = [
        "(",
        ")",
        "(a ",
        "a OR ",
        "a AND ",
        "NOT ",
        "+",
        "-a ",
        "\"",
        "\" ",
        "\"a\"",
        "/",
        "/a ",
        "[ ",
        "[a TO ",
        "[\"",
        "~1",
        "^1",
        "a~1^2@3",
        "title:",
        "title:(",
        "foo:",
        "a,",
        "a:",
        "year:[1 ",
        "color:IN(a ",
        "color:IN(\"",
        "\\",
        "\\\\",
        "*",
        "?",
        "a ",
        "a",
        "é",
        "\u{1f980} ",
        "::",
        "://",
        "a)@1 ",
        "(a b)@2 ",
        "\\ ",
        "&& ",
        "title:\"",
        "year:>=\"",
    ];
    let start = Instant::now();
    for piece in repeated {
        for prefix in ["", "title:((", "color:IN(\"a"] {
            let source = prefix.to_owned() + &piece.repeat(50_000 / piece.len());
            let strict = parse(&source, &is_field);
            let (lenient, errors) = parse_lenient(&source, &is_field);
            assert_eq!(strict.is_ok(), errors.is_empty(), "{prefix}{piece}");
            let again = parse(&lenient.to_string(), &is_field);
            assert!(again.is_ok_and(|again| again == lenient), "{prefix}{piece}");
        }
    }
    // AddressSanitizer makes allocation many times slower.
    let is_sanitized = std::env::var_os("ESPARSA_SANITIZER").is_some();
    let limit = Duration::from_secs(if is_sanitized { 150 } else { 30 });
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
}

#[test]
fn limits_are_exact() {
    let nested = |levels: usize| "(".repeat(levels) + "a b^2 OR c AND d" + &")".repeat(levels);
    check(&nested(MAX_DEPTH));
    assert!(parse(&nested(MAX_DEPTH), &is_field).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1), &is_field).is_err());
    check(&nested(MAX_DEPTH + 1));

    let mixed = "a OR b AND -(".repeat(MAX_DEPTH) + "a" + &")".repeat(MAX_DEPTH);
    assert!(parse(&mixed, &is_field).is_ok());
    check(&mixed);
    let counted = "(a OR -".repeat(MAX_DEPTH) + "a" + &")@1".repeat(MAX_DEPTH);
    assert!(parse(&counted, &is_field).is_ok());
    check(&counted);
    let negations = |count: usize| "NOT ".repeat(count) + "a";
    assert!(parse(&negations(MAX_DEPTH + 1), &is_field).is_ok());
    check(&negations(MAX_DEPTH + 1));
    assert!(parse(&negations(MAX_DEPTH + 2), &is_field).is_err());

    // Words are one node; each operand is one, and so is the chain.
    assert!(parse(&"a ".repeat(MAX_NODES + 1), &is_field).is_ok());
    let operands = |count: usize| vec!["a"; count].join(" OR ");
    assert!(parse(&operands(MAX_NODES - 1), &is_field).is_ok());
    let error = parse(&operands(MAX_NODES), &is_field).expect_err("too many");
    assert_eq!(error.expected, "at most 10000 terms and operators");
    let (node, errors) = parse_lenient(&operands(MAX_NODES), &is_field);
    assert_eq!(
        (node.kind, errors.len()),
        (NodeKind::Words(operands(MAX_NODES)), 1)
    );
}
