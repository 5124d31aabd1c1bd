//! Texts that are valid inputs, and bytes that mean something to the targets that make things of them.

use std::fs;
use std::path::Path;

use super::Seeds;

const QUERIES: [&str; 40] = [
    "old market",
    "\"old market\"~2",
    "title:\"new yo\"*",
    "+market -town",
    "market AND NOT town",
    "a OR b AND c",
    "(market town near)@2",
    "title,text:town^2",
    "year:[10 TO 20}",
    "year:>=100",
    "price:<5.5",
    "day:[2000-01-01 TO 2021-01-01]",
    "flag:true",
    "kind:IN(k1 \"k2\")",
    "kind:k*",
    "year:*",
    "*:*",
    "MARK*",
    "title:*a?1*",
    "text:/to(wn|es)+/",
    "markt~1",
    "mrkt~ town",
    "_id:d17",
    "_id:IN(d1 d2)",
    "weights:a",
    "((a^2)^=3)^.5",
    "title:(-a1 b)@1",
    "NOT NOT town",
    "a && b || !c",
    "\\+tea \\\"x",
    "text:\"town town\"~100^=2",
    "{a TO b]",
    "year:{* TO *]",
    "3d:x https://x.y/z?a=b",
    "title:東京 naïve",
    "((((((a))))))",
    "\"",
    "(a",
    "a)b",
    "kind:[k1 TO k3}",
];

const TREES: [&str; 22] = [
    r#"{"text":{"title":"a1 b"},"all_terms":true}"#,
    r#"{"text":{"text":"old town"},"minimum_terms":2,"boost":1.5}"#,
    r#"{"text_in":{"fields":{"title":2,"text":1},"text":"old b"}}"#,
    r#"{"phrase":{"text":{"text":"old market","slop":2}}}"#,
    r#"{"phrase":{"text":{"text":"old mar","prefix":true}}}"#,
    r#"{"sparse":{"weights":{"a":2.5,"b":1}}}"#,
    r#"{"dense":{"dense":[0.5,-1]}}"#,
    r#"{"bool":{"must":[{"text":{"text":"town"}}],"should":[{"term":{"kind":"k1"}}],"minimum_should":1}}"#,
    r#"{"best_of":[{"text":{"text":"town"}},{"text":{"title":"b"}}],"tie_breaker":0.3}"#,
    r#"{"term":{"kind":"k2"},"constant_score":2}"#,
    r#"{"terms":{"year":[3,4,1e2]}}"#,
    r#"{"range":{"price":{"gte":10,"lt":20.5}}}"#,
    r#"{"range":{"day":{"gt":"2020-01-01T00:00:00Z"}}}"#,
    r#"{"prefix":{"title":"a1"}}"#,
    r#"{"wildcard":{"kind":"k?*"}}"#,
    r#"{"regex":{"text":"mark(et|er)"}}"#,
    r#"{"fuzzy":{"text":{"term":"markt","distance":1,"prefix":1}}}"#,
    r#"{"exists":"price"}"#,
    r#"{"ids":["d1","d2"]}"#,
    r#"{"all":{},"filter":{"term":{"flag":true}},"without":[{"range":{"year":{"lte":50}}}]}"#,
    r#"{"all_of":[{"exists":"year"},{"any_of":[{"term":{"kind":"k1"}},{"all":{}}]}]}"#,
    r#"{"text":{"title":"\u0061\ud83d\ude00"},"filter":[]}"#,
];

/// The kind in the first byte, then the pattern.
const PATTERNS: [(u8, &str); 16] = [
    (0, "fire"),
    (0, "日"),
    (1, "*f?x"),
    (1, "a\\*b"),
    (1, "**?a*"),
    (3 | 1 << 3, "firefxo"),
    (3 | 2 << 3, "éab"),
    (3 | 1 << 3 | 1 << 5, "bab"),
    (5, "fire(fox|bird)"),
    (5, "[a-c]{2,3}"),
    (5, r"\p{Han}+"),
    (5, "(?i:É).?"),
    (5, r"(?-u:\b)x\d+$"),
    (5, "(a|ab)(c|bcd)*"),
    (5, "[^a-z]|.*b"),
    (5, "(?x) a # c"),
];

const SENTENCES: [&str; 12] = [
    "The volcanoes' browser.js isn't running at 3.14!",
    "L'été, c'est l'eau — aço, ação.",
    "İstanbul'da ıĞŞ",
    "한글은 세종대왕이 만들었습니다",
    "東京都カナｱﾞ々㍿漢字かな",
    "علم العَرَبِيَّة אב״ג",
    "தமிழ் ไทย हिन्दी",
    "😀🇧🇷\u{200d}e\u{301}\u{ad}ﬁ½Ⅷ①",
    "ny, new york\nfox, firefox => tea",
    "straße Ångström Łódź çõŉǆ",
    "данас сам ћирилица",
    "a_b-c@d.e:f;1,000.5%",
];

const TOPICS: [&str; 4] = [
    "<top>\n<head> Tipster\n<num> Number:  051\n<dom> Domain: x\n<title> Topic:  Airbus\n\n<desc> Description:\nx &amp; y\n\n<narr> Narrative:\nz\n</top>\n",
    "<top>\r\n<num>Number: 701</num><title> U.S. oil\r\n</title>\r\n<DESC>Description:\r\nWhy?</DESC>\r\n</top>\r\n",
    "<?xml version=\"1.0\"?>\n<topics>\n<topic number=\"1\">\n<query>a b</query>\n<question>why?</question>\n<narrative>c</narrative>\n</topic>\n</topics>\n",
    "{\"_id\":\"q1\",\"text\":\"what\",\"vector\":{\"a\":1.5}}\n{\"_id\":\"q2\",\"text\":\"no\"}\n",
];

fn all_of<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.map(|text| text.as_bytes().to_vec()).into()
}

fn behind(first: &[u8], text: &str) -> Vec<u8> {
    [first, text.as_bytes()].concat()
}

pub fn all() -> Vec<Seeds> {
    let patterns = PATTERNS.map(|(kind, pattern)| behind(&[kind], pattern));
    vec![
        ("query", all_of(QUERIES)),
        ("query_json", all_of(TREES)),
        ("patterns", patterns.into()),
        ("analyzers", analyzers()),
        ("topics_qrels_runs", evaluation()),
        ("open", edits()),
        ("model", operations()),
    ]
}

/// Every sentence with some analyzers, and names of analyzers with sentences.
fn analyzers() -> Vec<Vec<u8>> {
    let names = [
        "en+fold+parts",
        "standard|lowercase|edge-ngram:2-10",
        "keyword|stop:a\\,b",
    ];
    let named = names.map(|name| behind(&[255, 0], &format!("{name}\nAn old browser.js")));
    let sentences = SENTENCES.iter().zip(0u8..);
    let chosen = sentences.flat_map(|(text, number)| {
        [0, 1].map(|second| behind(&[number * 19 + second, second], text))
    });
    chosen.chain(named).collect()
}

fn evaluation() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let few = |name: &str| read(name).lines().take(12).collect::<Vec<_>>().join("\n");
    let judged = ["graded", "missing", "negative", "ties"].map(|name| {
        let (qrels, run) = (few(&format!("{name}.qrels")), few(&format!("{name}.run")));
        behind(&[2], &format!("{qrels}\n\0{run}\n"))
    });
    let topics = TOPICS.map(|text| behind(&[1], text));
    let others = [
        behind(&[0], &few("binary.run")),
        behind(&[0], "q%201 Q0 d%09 1 -1e-3 tag rest\n"),
        behind(&[2], &few("binary.tsv")),
    ];
    judged.into_iter().chain(topics).chain(others).collect()
}

/// A change of each kind, in each file.
fn edits() -> Vec<Vec<u8>> {
    let one = |kind: u8, file: u8| {
        let place = (u16::from(kind) * 911 + u16::from(file) * 300) % 4_000;
        let [x, y] = place.to_le_bytes();
        [kind, file, x, y, 3 + kind, file, 1, 0]
    };
    let edits = (0..10).flat_map(|kind| (0..4).map(move |file| one(kind, file).to_vec()));
    let many = (0..10).flat_map(|kind| one(kind, kind % 4)).collect();
    edits.chain([many]).collect()
}

/// Bytes that look random; the operations are as likely as they are in the target.
fn operations() -> Vec<Vec<u8>> {
    let case = |seed: u64| {
        (0..160)
            .map(|place| crate::walk::scrambled(seed << 9 | place) as u8)
            .collect()
    };
    (1..9).map(case).collect()
}
