//! Tables of queries and what they say.

use std::ops::Bound;

use super::tree::{Clause, Node, NodeKind, Occur, Piece};
use super::{parse, parse_lenient};

pub(super) const FIELDS: [&str; 7] = ["title", "body", "year", "color", "lang", "my field", "3d"];

pub(super) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

/// A tree in a notation of its own, which shares nothing with the language.
pub(super) fn outline(node: &Node) -> String {
    let list = |nodes: &[Node]| nodes.iter().map(outline).collect::<Vec<_>>().join(", ");
    match &node.kind {
        NodeKind::Nothing => "nothing".into(),
        NodeKind::Everything => "everything".into(),
        NodeKind::Exists => "exists".into(),
        NodeKind::Words(text) => format!("<{text}>"),
        NodeKind::Phrase { text, slop, prefix } => {
            format!(
                "phrase<{text}>{}{slop}",
                if *prefix { "prefix" } else { "" }
            )
        }
        NodeKind::Prefix(text) => format!("prefix<{text}>"),
        NodeKind::Wildcard(pieces) => {
            let pieces = pieces.iter().map(|piece| match piece {
                Piece::Literal(text) => format!("<{text}>"),
                Piece::AnyCharacters => "any".into(),
                Piece::OneCharacter => "one".into(),
            });
            format!("pattern({})", pieces.collect::<Vec<_>>().join(" "))
        }
        NodeKind::Regex(pattern) => format!("regex<{pattern}>"),
        NodeKind::Fuzzy { word, distance } => format!("fuzzy{distance}<{word}>"),
        NodeKind::Range { lower, upper } => format!("range({}; {})", bound(lower), bound(upper)),
        NodeKind::Set(values) => format!("set({})", values.join(";")),
        NodeKind::Field { names, node } => format!("{}={}", names.join("+"), outline(node)),
        NodeKind::Boost { node, factor } => format!("{factor}x{}", outline(node)),
        NodeKind::ConstantScore { node, score } => format!("score{score}({})", outline(node)),
        NodeKind::Not(node) => format!("not({})", outline(node)),
        NodeKind::All(nodes) => format!("all({})", list(nodes)),
        NodeKind::Any(nodes) => format!("any({})", list(nodes)),
        NodeKind::Group { clauses, minimum } => {
            let clauses = clauses.iter().map(|Clause { occur, node }| match occur {
                Occur::Should => outline(node),
                Occur::Must => format!("must({})", outline(node)),
                Occur::MustNot => format!("never({})", outline(node)),
            });
            let minimum = minimum.map_or(String::new(), |minimum| minimum.to_string());
            format!("group{minimum}({})", clauses.collect::<Vec<_>>().join(", "))
        }
    }
}

fn bound(bound: &Bound<String>) -> String {
    match bound {
        Bound::Unbounded => "open".into(),
        Bound::Included(value) => format!("with {value}"),
        Bound::Excluded(value) => format!("without {value}"),
    }
}

/// Each query parses to the outline, prints, and parses to the same again, lenient or not.
fn check(examples: &[(&str, &str)]) {
    for (source, expected) in examples {
        let node = parse(source, &is_field).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outline(&node), *expected, "{source}");
        let printed = node.to_string();
        let again = parse(&printed, &is_field).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(outline(&again), *expected, "{source}, printed {printed}");
        let (lenient, errors) = parse_lenient(source, &is_field);
        assert_eq!((lenient, errors.len()), (node, 0), "{source}");
    }
}

#[test]
fn words_without_operators_are_one_text() {
    for text in [
        "new york pizza",
        "new  york\tpizza",
        "don't well-known C++ C# a&b R&D .NET 50% $5 key=value a,b;c",
        "https://x.y/z?a=b&c=d#e https://x.y/~1 a.b/c?d=e",
        "me@home.org 12:30 std::vec 10.0.0.1:80 2026-11-29T12:00",
        "what is rust?",
        "what?? really?!",
        "C++ - a language, a + b ! - --flag -> => != <b> >=10 & |",
        "/usr/local/bin a/b/c and/or //",
        "x[0] [tag] {json} [a to b] [1, 2]",
        "a^b ^_^ ^2 ~1 a~b ~/x a^ x^1.2.3 a@2",
        "東京 タワー 🦀 naïve Ärger",
        "and or not And &x |y AND1 xOR",
        "l'eau:x foo@bar:x a/b:c :x :-",
    ] {
        check(&[(text, &format!("<{text}>"))]);
    }
}

#[test]
fn operators_are_words_when_escaped() {
    check(&[
        (
            r#"\AND \-a \+b foo\:x \/a/ \(b\) \"c\" d\* e\~1 f\^2 \\"#,
            r#"<AND -a +b foo:x /a/ (b) "c" d* e~1 f^2 \>"#,
        ),
        (r"new\ york", "<new york>"),
        (r"new\ york^2", "2x<new york>"),
        (r"\ a b", "< a b>"),
        (r"\ ", "< >"),
        (r"te\?t te\*t", "<te?t te*t>"),
        (r"\!a a\ -b", "<!a a -b>"),
    ]);
}

#[test]
fn nothing_is_a_node() {
    for source in ["", " ", "\n\t\u{3000}"] {
        check(&[(source, "nothing")]);
    }
}

#[test]
fn terms() {
    check(&[
        (r#""new york""#, "phrase<new york>0"),
        (r#""new york"~2"#, "phrase<new york>2"),
        (r#""new yo"*"#, "phrase<new yo>prefix0"),
        (r#""new yo"*~3^2"#, "2xphrase<new yo>prefix3"),
        (r#""new yo"^2~3"#, "2xphrase<new yo>3"),
        (r#""say \"hi\" \\""#, r#"phrase<say "hi" \>0"#),
        (r#""""#, "phrase<>0"),
        (
            r#""a" * "b"c"#,
            "group(phrase<a>0, everything, phrase<b>0, <c>)",
        ),
        ("firef*", "prefix<firef>"),
        ("well-kn*", "prefix<well-kn>"),
        ("te?t", "pattern(<te> one <t>)"),
        ("te*t*", "pattern(<te> any <t> any)"),
        ("*fox", "pattern(any <fox>)"),
        ("f**k", "pattern(<f> any <k>)"),
        (r"a\**", "prefix<a*>"),
        ("firef*?", "pattern(<firef> any one)"),
        (r"a\/b?c", "pattern(<a/b> one <c>)"),
        ("/fire(fox|bird)/", "regex<fire(fox|bird)>"),
        (r"/a\/b\d+\\/^2", r"2xregex<a/b\d+\\>"),
        ("/a b/ c", "group(regex<a b>, <c>)"),
        ("teh~", "fuzzy2<teh>"),
        ("teh~0", "fuzzy0<teh>"),
        ("teh~1^2", "2xfuzzy1<teh>"),
        ("teh^2~1", "2xfuzzy1<teh>"),
        ("*:*", "everything"),
        ("*", "everything"),
        ("**", "everything"),
        ("*:*^0.5", "0.5xeverything"),
        ("[a TO b]", "range(with a; with b)"),
    ]);
}

#[test]
fn boosts_belong_to_one_term() {
    check(&[
        ("new york^2 pizza", "group(<new>, 2x<york>, <pizza>)"),
        ("(new york)^2.5 pizza", "group(2.5x<new york>, <pizza>)"),
        ("york^=3", "score3(<york>)"),
        ("(a^2)^3", "3x2x<a>"),
        ("((a^2)^=3)^.5", "0.5xscore3(2x<a>)"),
        ("a^0", "0x<a>"),
        (r"a\^2^3", "3x<a^2>"),
        ("(https://x.y/z)^2", "2x<https://x.y/z>"),
        ("(what?)^2", "2x<what?>"),
        ("year:[1 TO 2]^2", "2xyear=range(with 1; with 2)"),
        ("year:>=1^2", "2xyear=range(with 1; open)"),
        ("title:(a^2)", "title=2x<a>"),
        ("title:*^=1", "score1(title=exists)"),
        ("+a^2 -(b c)^3", "group(must(2x<a>), never(3x<b c>))"),
    ]);
}

#[test]
fn operators_bind_in_order() {
    check(&[
        ("a AND b OR c", "any(all(<a>, <b>), <c>)"),
        ("a OR b AND c", "any(<a>, all(<b>, <c>))"),
        ("a && b || c", "any(all(<a>, <b>), <c>)"),
        ("a AND b c", "group(all(<a>, <b>), <c>)"),
        (
            "new york OR boston mass",
            "group(<new>, any(<york>, <boston>), <mass>)",
        ),
        ("a AND (b OR c)", "all(<a>, any(<b>, <c>))"),
        ("(a AND b) AND c", "all(all(<a>, <b>), <c>)"),
        ("a AND NOT b", "all(<a>, not(<b>))"),
        ("a OR -b", "any(<a>, not(<b>))"),
        ("NOT a AND b", "all(not(<a>), <b>)"),
        ("NOT a b", "group(never(<a>), <b>)"),
        ("a NOT(b c)", "group(<a>, never(<b c>))"),
        ("+a AND b", "group(must(all(<a>, <b>)))"),
        ("+a AND b c", "group(must(all(<a>, <b>)), <c>)"),
        ("+a !b", "group(must(<a>), never(<b>))"),
        ("-a", "group(never(<a>))"),
        ("+a", "group(must(<a>))"),
        ("NOT NOT a", "group(never(group(never(<a>))))"),
        ("a AND NOT -b", "all(<a>, not(group(never(<b>))))"),
        ("+NOT a", "group(never(<a>))"),
        ("-5", "group(never(<5>))"),
        ("+(a OR b) c", "group(must(any(<a>, <b>)), <c>)"),
        ("(new york) pizza", "group(<new york>, <pizza>)"),
        ("f(x) y", "group(<f>, <x>, <y>)"),
        ("((a))", "<a>"),
        ("a AND\"b\"", "all(<a>, phrase<b>0)"),
        (r"+\>x -(\)y)", "group(must(<>x>), never(<)y>))"),
        ("(-a) b", "group(group(never(<a>)), <b>)"),
        ("a-b \"c\"-d", "group(<a-b>, phrase<c>0, <-d>)"),
    ]);
}

#[test]
fn fields() {
    check(&[
        ("title:rust lang", "group(title=<rust>, <lang>)"),
        ("title:(rust lang)", "title=<rust lang>"),
        (r#"title:"new york"~2"#, "title=phrase<new york>2"),
        (r#"title:(a b "c d")"#, "title=group(<a b>, phrase<c d>0)"),
        ("title,body:word", "title+body=<word>"),
        (r"my\ field:x", "my field=<x>"),
        ("-title:x", "group(never(title=<x>))"),
        ("title:(a body:b)", "title=group(<a>, body=<b>)"),
        ("title:12:30", "title=<12:30>"),
        ("title:https://x.y/z?a=b*", "title=<https://x.y/z?a=b*>"),
        ("title:what?", "title=<what?>"),
        ("title:/usr/bin", "title=</usr/bin>"),
        ("title:/us(r|d)/", "title=regex<us(r|d)>"),
        ("year:-5", "year=<-5>"),
        ("year:(-5 6)", "year=group(never(<5>), <6>)"),
        ("title:AND", "title=<AND>"),
        ("title:IN", "title=<IN>"),
        ("title:*", "title=exists"),
        ("title:(* a)", "title=group(exists, <a>)"),
        ("title:(*:*)", "title=everything"),
        ("title:firef*", "title=prefix<firef>"),
        ("title:teh~1^2", "2xtitle=fuzzy1<teh>"),
        ("title:*:*", "title=pattern(any <:> any)"),
        ("3d:x 4d:x", "group(3d=<x>, <4d:x>)"),
        ("title::x", "<title::x>"),
        (r"title:\:x", "title=<:x>"),
    ]);
}

#[test]
fn ranges_and_sets() {
    check(&[
        ("year:[2020 TO 2024]", "year=range(with 2020; with 2024)"),
        (
            "year:{2020 TO 2024}",
            "year=range(without 2020; without 2024)",
        ),
        ("year:[2020 TO 2024}", "year=range(with 2020; without 2024)"),
        ("year:{-1.5 TO *]", "year=range(without -1.5; open)"),
        ("year:[* TO *]", "year=range(open; open)"),
        (
            "year:[ 2020-01-01T00:00:00Z   TO 2021 ]",
            "year=range(with 2020-01-01T00:00:00Z; with 2021)",
        ),
        (r#"year:["a b" TO "*"]"#, "year=range(with a b; with *)"),
        (r"year:[a\ b TO \*]", "year=range(with a b; with *)"),
        (r#"year:["" TO "TO"}"#, "year=range(with ; without TO)"),
        ("year:>=10", "year=range(with 10; open)"),
        ("year:>-10.5", "year=range(without -10.5; open)"),
        ("year:<10", "year=range(open; without 10)"),
        (r#"year:<="a b""#, "year=range(open; with a b)"),
        (
            "year:(>=10 AND <20)",
            "year=all(range(with 10; open), range(open; without 20))",
        ),
        (
            "year:(2010 [2015 TO 2020])",
            "year=group(<2010>, range(with 2015; with 2020))",
        ),
        (
            r#"color:IN(red blue "dark green")"#,
            "color=set(red;blue;dark green)",
        ),
        (
            r"color:IN(red, dark\ green,)^2",
            "2xcolor=set(red;dark green)",
        ),
        (r#"color:IN("")"#, "color=set()"),
    ]);
}

#[test]
fn minimums() {
    check(&[
        ("(a b c)@2", "group2(<a>, <b>, <c>)"),
        ("(a OR b OR c)@2", "group2(<a>, <b>, <c>)"),
        ("(a OR -b)@1", "group1(<a>, group(never(<b>)))"),
        (
            r#"(a b "c d" +e -f)@3^2"#,
            "2xgroup3(<a>, <b>, phrase<c d>0, must(<e>), never(<f>))",
        ),
        ("(a b)^2@1", "2xgroup1(<a>, <b>)"),
        ("title:(a b)@2", "title=group2(<a>, <b>)"),
        ("((new york) b)@1", "group1(<new york>, <b>)"),
        ("((a b)@1 c)@2", "group2(group1(<a>, <b>), <c>)"),
        ("(a)@1", "group1(<a>)"),
        (r"(a\ b c)@2", "group2(<a b>, <c>)"),
        ("a(b c d)@2", "group(<a>, group2(<b>, <c>, <d>))"),
    ]);
}

#[test]
fn the_example_of_the_documentation() {
    check(&[(
        r#"title:"new york"~2 +browser -java year:[2020 TO 2024] (cat OR dog)^2 firef* teh~1 lang:en"#,
        "group(title=phrase<new york>2, must(<browser>), never(<java>), year=range(with 2020; with 2024), \
         2xany(<cat>, <dog>), prefix<firef>, fuzzy1<teh>, lang=<en>)",
    )]);
}
