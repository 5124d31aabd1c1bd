//! Tables of mistakes, the errors for them, and what a lenient parse makes of them.

use super::examples::{is_field, outline};
use super::{parse, parse_lenient};

/// Query, character, what is expected, what is found, and what a lenient parse makes of it.
type Mistake = (
    &'static str,
    usize,
    &'static str,
    &'static str,
    &'static str,
);

#[test]
fn mistakes() {
    let mistakes: &[Mistake] = &[
        (
            r"C:\dir x",
            1,
            "the name of a field before `:`",
            "`C`",
            r"<C:\dir x>",
        ),
        (
            "foo:bar baz",
            1,
            "the name of a field before `:`",
            "`foo`",
            "<foo:bar baz>",
        ),
        (
            "-foo:bar",
            2,
            "the name of a field before `:`",
            "`foo`",
            "group(never(<foo:bar>))",
        ),
        (
            "foo:\"a b\"",
            1,
            "the name of a field before `:`",
            "`foo`",
            "group(<foo:>, phrase<a b>0)",
        ),
        (
            "title,foo:x",
            1,
            "the name of a field before `:`",
            "`foo`",
            "<title,foo:x>",
        ),
        (
            "title: x",
            7,
            "what to search directly after the name of the field",
            "a space",
            "<title: x>",
        ),
        (
            "a title:",
            9,
            "what to search directly after the name of the field",
            "the end of the query",
            "<a title:>",
        ),
        (
            "say \"new york",
            5,
            "a closing quote",
            "the end of the query",
            "<say \"new york>",
        ),
        (
            "12\" vinyl",
            3,
            "a closing quote",
            "the end of the query",
            "<12\" vinyl>",
        ),
        (
            "title:\"a b",
            7,
            "a closing quote",
            "the end of the query",
            "<title:\"a b>",
        ),
        (
            "(a OR b",
            1,
            "a closing parenthesis",
            "the end of the query",
            "any(<a>, <b>)",
        ),
        (
            "title:(a",
            7,
            "a closing parenthesis",
            "the end of the query",
            "title=<a>",
        ),
        ("a) b", 2, "`(` before `)`", "none", "<a) b>"),
        ("f() x", 3, "a term in the parentheses", "`)`", "<f() x>"),
        (
            "title:()",
            8,
            "a term in the parentheses",
            "`)`",
            "<title:()>",
        ),
        (
            "(",
            1,
            "a closing parenthesis",
            "the end of the query",
            "<(>",
        ),
        (
            "a AND",
            6,
            "a term after `AND`",
            "the end of the query",
            "<a AND>",
        ),
        (
            "a AND OR b",
            7,
            "a term after `AND`",
            "`OR`",
            "group(<a>, any(<AND>, <b>))",
        ),
        (
            "(a OR) b",
            6,
            "a term after `OR`",
            "`)`",
            "group(<a OR>, <b>)",
        ),
        ("OR b", 1, "a term", "`OR`", "<OR b>"),
        (
            "a NOT",
            6,
            "a term after `NOT`",
            "the end of the query",
            "<a NOT>",
        ),
        (
            "+a OR b",
            1,
            "operands of `OR` without `+`",
            "one",
            "any(<a>, <b>)",
        ),
        ("teh~3", 5, "a distance of 0, 1 or 2", "`3`", "fuzzy2<teh>"),
        (
            "teh~0.5",
            5,
            "a distance of 0, 1 or 2",
            "`0.5`",
            "fuzzy2<teh>",
        ),
        (
            "te*h~1",
            5,
            "no `~` after a word with wildcards",
            "`~1`",
            "pattern(<te> any <h>)",
        ),
        (
            "\"a b\"~x",
            6,
            "`~` or `^` with a number after the phrase",
            "`~x`",
            "group(phrase<a b>0, <~x>)",
        ),
        (
            "\"a b\"~1.5",
            6,
            "a whole number of positions after `~`",
            "`~1.5`",
            "phrase<a b>0",
        ),
        ("(a b)~1", 6, "no `~` after a parenthesis", "`~1`", "<a b>"),
        (
            "(a b)@9",
            7,
            "a number from 1 to 2, of the optional terms in the parentheses",
            "`9`",
            "group2(<a>, <b>)",
        ),
        (
            "(a b)@0",
            7,
            "a number from 1 to 2, of the optional terms in the parentheses",
            "`0`",
            "<a b>",
        ),
        (
            "(+a)@1",
            6,
            "no `@` after parentheses without optional terms",
            "`1`",
            "group(must(<a>))",
        ),
        (
            "(a AND b)@2",
            11,
            "a number from 1 to 1, of the optional terms in the parentheses",
            "`2`",
            "group1(all(<a>, <b>))",
        ),
        (
            "a^-1",
            3,
            "a boost that is not negative and within the range of `f32`",
            "`-1`",
            "<a>",
        ),
        (
            "a^2^3",
            4,
            "each of `^`, `~` and `@` at most once",
            "`^3`",
            "2x<a>",
        ),
        (
            "year:[1 to 5]",
            9,
            "`TO` between the bounds of the range",
            "`to`",
            "<year:[1 to 5]>",
        ),
        (
            "year:[1 TO 5",
            13,
            "`]` or `}` after the range",
            "the end of the query",
            "<year:[1 TO 5>",
        ),
        (
            "year:>= 10",
            8,
            "a value directly after the comparison",
            "a space",
            "<year:>= 10>",
        ),
        (
            "color:IN()",
            10,
            "at least one value in the set",
            "`)`",
            "<color:IN()>",
        ),
        (
            "color:IN(a b",
            13,
            "`)` after the values of `IN(`",
            "the end of the query",
            "color=set(a;b)",
        ),
        (
            "color:IN(a (b))",
            12,
            "a value or `)`",
            "`(`",
            "group(<color:IN>, group(<a>, <b>))",
        ),
        (
            r"a \",
            4,
            r"a character after `\`",
            "the end of the query",
            r"<a \>",
        ),
    ];
    for (source, column, expected, found, lenient) in mistakes {
        let error = parse(source, &is_field).expect_err(source);
        let actual = (error.column, error.expected.as_str(), error.found.as_str());
        assert_eq!(actual, (*column, *expected, *found), "{source}");
        let (node, errors) = parse_lenient(source, &is_field);
        assert_eq!(outline(&node), *lenient, "{source}");
        assert_eq!(errors.first(), Some(&error), "{source}");
    }
}
