//! Which passages are chosen, and what is marked in them.

use std::time::{Duration, Instant};

use super::*;
use crate::{Column, Document, Index, Query, Schema, Text};

/// A snapshot of documents in the fields `title` and `text`, which are analyzed as `analyzer` says.
fn snapshot(analyzer: &str, texts: &[&str]) -> Snapshot {
    let schema = Schema::builder()
        .text("title", Text::new().analyzer(analyzer).positions())
        .text("text", Text::new().analyzer(analyzer).positions())
        .column("color", Column::keyword())
        .build();
    let index = Index::in_memory(schema.unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    for (number, text) in texts.iter().enumerate() {
        let document = Document::new(number.to_string()).with_text("text", *text);
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn of(query: &Query, text: &str, options: &SnippetOptions) -> Vec<String> {
    let snapshot = snapshot("en", &[]);
    let snippets = snapshot
        .snippets(query, Some("text"), text, options)
        .unwrap();
    snippets.iter().map(|s| s.to_text("[", "]")).collect()
}

/// Words that no query here has.
fn filler() -> String {
    vec!["x"; 40].join(" ")
}

/// A whole text with its marks.
fn marked(query: &Query, text: &str) -> String {
    of(query, text, &SnippetOptions::new(usize::MAX)).concat()
}

fn words(text: &str) -> Query {
    Query::text("text", text)
}

#[test]
fn the_passage_with_most_distinct_terms_is_chosen() {
    let filler = filler();
    let text = format!("lava lava lava {filler} lava ash {filler} ash");
    let found = of(&words("lava ash"), &text, &SnippetOptions::new(20));
    assert_eq!(found, ["x x x [lava] [ash] x x x"]);
}

#[test]
fn rare_terms_count_more_than_frequent_ones() {
    let snapshot = snapshot("simple", &["the of and", "the of", "the of", "the of etna"]);
    let filler = filler();
    let text = format!("the of {filler} etna {filler} the");
    let options = SnippetOptions::new(10);
    let found = snapshot.snippets(&words("the of etna"), Some("text"), &text, &options);
    assert_eq!(found.unwrap()[0].to_text("[", "]"), "x [etna] x x");
}

#[test]
fn of_equal_passages_the_closest_matches_win_and_then_the_first() {
    let filler = filler();
    let text = format!("lava x x x ash {filler} lava ash {filler} lava ash");
    let options = SnippetOptions::new(20);
    let snapshot = snapshot("en", &[]);
    let found = snapshot.snippets(&words("lava ash"), Some("text"), &text, &options);
    let first = text.find("lava ash").unwrap();
    assert!(found.unwrap()[0].range().contains(&first));
}

#[test]
fn passages_are_in_the_order_of_the_text_or_by_rank_and_do_not_overlap() {
    let filler = filler();
    let text = format!("one lava {filler} two lava ash {filler} three ash {filler}");
    let options = SnippetOptions::new(22).passages(3);
    let query = words("lava ash");
    let in_order = of(&query, &text, &options);
    assert_eq!(in_order.len(), 3);
    assert!(in_order[0].starts_with("one [lava]"), "{in_order:?}");
    assert!(in_order[1].contains("two [lava] [ash]"), "{in_order:?}");
    let by_rank = of(&query, &text, &options.by_rank());
    assert_eq!(by_rank[0], in_order[1]);
    assert_eq!(by_rank[1..], [in_order[0].clone(), in_order[2].clone()]);
}

#[test]
fn there_are_no_more_passages_than_matches() {
    let text = "lava ".to_owned() + &"x ".repeat(100);
    let options = SnippetOptions::new(20).passages(10);
    assert_eq!(of(&words("lava"), &text, &options).len(), 1);
}

#[test]
fn passages_are_whole_sentences_if_these_fit() {
    let text = "Sicily is an island. Etna is a volcano there. It is often active. Many people \
                visit it each year, in spite of the danger.";
    let found = |length| of(&words("volcano"), text, &SnippetOptions::new(length)).concat();
    assert_eq!(found(30), "Etna is a [volcano] there.");
    assert_eq!(found(50), "Sicily is an island. Etna is a [volcano] there.");
    assert_eq!(
        found(75),
        "Sicily is an island. Etna is a [volcano] there. It is often active."
    );
    // A sentence that is too long is cut between words.
    assert_eq!(found(15), "a [volcano] there");
    assert_eq!(found(12), "a [volcano]");
}

#[test]
fn without_matches_the_beginning_is_given() {
    let text = "  An island in the sea. And more of it, which is too long to be given.";
    let found = |length| of(&words("volcano"), text, &SnippetOptions::new(length)).concat();
    assert_eq!(found(30), "An island in the sea.");
    assert_eq!(found(12), "An island in");
    assert_eq!(found(11), "An island");
    assert_eq!(found(1000), text);
}

#[test]
fn a_short_text_is_given_whole() {
    let snapshot = snapshot("en", &[]);
    let options = SnippetOptions::new(20).passages(5);
    let found = snapshot.snippets(&words("lava"), Some("text"), " Hot lava.\n", &options);
    let [snippet] = &found.unwrap()[..] else {
        panic!("one snippet");
    };
    assert_eq!(snippet.to_text("[", "]"), " Hot [lava].\n");
    assert!(snippet.begins_text() && snippet.ends_text());
    for nothing in ["", " \n\t"] {
        let found = snapshot.snippets(&words("lava"), Some("text"), nothing, &options);
        assert!(found.unwrap().is_empty());
    }
}

#[test]
fn the_ends_of_the_text_are_known() {
    let text = format!("{0}lava {0}", "x ".repeat(40));
    let snapshot = snapshot("en", &[]);
    let of = |query: &str, text: &str| {
        let options = SnippetOptions::new(20);
        let found = snapshot.snippets(&words(query), Some("text"), text, &options);
        let found = &found.unwrap()[0];
        (found.begins_text(), found.ends_text())
    };
    assert_eq!(of("lava", &text), (false, false));
    assert_eq!(of("none", &text), (true, false));
    assert_eq!(of("ash", &format!("{text}ash\n")), (false, true));
}

#[test]
fn words_of_the_field_are_marked_and_of_all_fields_if_asked_for() {
    let query = Query::bool()
        .should(Query::text("title", "island"))
        .should(Query::text("text", "volcano"));
    let (snapshot, text) = (snapshot("en", &[]), "volcanoes on islands");
    let options = SnippetOptions::default();
    let of = |field: Option<&str>| {
        let found = snapshot.snippets(&query, field, text, &options).unwrap();
        found[0].to_text("[", "]")
    };
    assert_eq!(of(Some("text")), "[volcanoes] on islands");
    assert_eq!(of(Some("title")), "volcanoes on [islands]");
    assert_eq!(of(None), "[volcanoes] on [islands]");
    let both = Query::text_in([("title", 2.0), ("text", 1.0)], "island");
    let found = snapshot
        .snippets(&both, Some("text"), text, &options)
        .unwrap();
    assert_eq!(found[0].to_text("[", "]"), "volcanoes on [islands]");
}

#[test]
fn phrases_are_marked_where_the_words_stand_as_a_phrase() {
    let text = "new museum of new york, york new";
    let phrase = |words: &str| Query::phrase("text", words);
    assert_eq!(
        marked(&phrase("new york"), text),
        "new museum of [new] [york], york new"
    );
    assert_eq!(
        marked(&phrase("museum of new"), text),
        "new [museum] of [new] york, york new"
    );
    assert_eq!(marked(&phrase("york museum"), text), text);
    assert_eq!(
        marked(&phrase("museum york").with_slop(2), text),
        "new [museum] of new [york], york new"
    );
    assert_eq!(marked(&phrase("museum york").with_slop(1), text), text);
    assert_eq!(
        marked(&Query::phrase_prefix("text", "new y"), text),
        "new museum of [new] [york], york new"
    );
    assert_eq!(
        marked(&Query::phrase_prefix("text", "mus"), text),
        "new [museum] of new york, york new"
    );
    assert_eq!(
        marked(&phrase("york"), text),
        "new museum of new [york], [york] new"
    );
    // A word that is given twice must be there twice.
    assert_eq!(
        marked(&phrase("york york").with_slop(3), "york a"),
        "york a"
    );
    assert_eq!(
        marked(&phrase("york york").with_slop(3), "york a york"),
        "[york] a [york]"
    );
}

#[test]
fn patterns_and_sets_of_terms_are_marked() {
    let text = "lava and larva, magma";
    for (query, expected) in [
        (Query::prefix("text", "la"), "[lava] and [larva], magma"),
        (Query::wildcard("text", "*v?a"), "lava and larva, magma"),
        (Query::wildcard("text", "*gm?"), "lava and larva, [magma]"),
        (Query::regex("text", "l.?.va"), "[lava] and [larva], magma"),
        (Query::fuzzy("text", "lave", 1), "[lava] and larva, magma"),
        (Query::fuzzy("text", "lave", 2), "[lava] and [larva], magma"),
        (
            Query::terms("text", ["magma", "ash"]),
            "lava and larva, [magma]",
        ),
        (Query::term("color", "lava"), text),
        (Query::all(), text),
    ] {
        assert_eq!(marked(&query, text), expected, "{query:?}");
    }
}

#[test]
fn excluded_queries_and_filters_mark_nothing() {
    let text = "lava ash magma rock";
    let query = Query::bool()
        .must(words("lava"))
        .should(Query::best_of([words("rock")], 0.0))
        .without(words("magma"))
        .with_filter(words("ash"));
    assert_eq!(marked(&query, text), "[lava] ash magma [rock]");
    let inner = words("lava").without(words("rock"));
    let query = Query::any_of([inner, words("ash")]);
    assert_eq!(marked(&query, text), "[lava] [ash] magma rock");
}

#[test]
fn the_word_is_marked_not_its_stem() {
    assert_eq!(
        marked(&words("run"), "Running, she runs."),
        "[Running], she [runs]."
    );
}

#[test]
fn what_was_searched_is_shown_in_every_language() {
    for (analyzer, query, text, expected) in [
        (
            "japanese",
            "名前",
            "彼の名前は知らない",
            "彼の[名前]は知らない",
        ),
        ("japanese", "猫", "黒い猫が好き", "黒い[猫]が好き"),
        ("chinese", "北京天安", "在北京天安门", "在[北京天安]门"),
        ("korean", "검색", "전문 검색을 한다", "전문 [검색을] 한다"),
        (
            "french",
            "ecole",
            "une e\u{301}cole primaire",
            "une [e\u{301}cole] primaire",
        ),
        ("arabic", "كتاب", "هذا كتاب جديد", "هذا [كتاب] جديد"),
        (
            "english+parts",
            "crm",
            "the stat_crm_data table",
            "the [stat_crm_data] table",
        ),
    ] {
        let snapshot = snapshot(analyzer, &[]);
        let options = SnippetOptions::default();
        let found = snapshot
            .snippets(&words(query), Some("text"), text, &options)
            .unwrap();
        assert_eq!(found[0].to_text("[", "]"), expected, "{query}");
    }
}

#[test]
fn a_match_that_is_longer_than_the_passage_is_cut() {
    let snapshot = snapshot("japanese", &[]);
    let title = "全文検索機能の使い方入門";
    let text = format!("これは{title}と{title}です");
    let options = SnippetOptions::new(5);
    let found = snapshot
        .snippets(&words(title), Some("text"), &text, &options)
        .unwrap();
    assert_eq!(found[0].to_text("[", "]"), "[全文検索機]");
}

#[test]
fn markup_in_the_text_stays_text() {
    let text = "<script>alert('lava')</script> & \"x\" &lt;";
    let snapshot = snapshot("en", &[]);
    let options = SnippetOptions::default();
    let found = snapshot
        .snippets(&words("lava"), Some("text"), text, &options)
        .unwrap();
    assert_eq!(
        found[0].to_html("<b class=\"m\">", "</b>"),
        "&lt;script&gt;alert(&#x27;<b class=\"m\">lava</b>&#x27;)&lt;/script&gt; &amp; \
         &quot;x&quot; &amp;lt;"
    );
}

#[test]
fn options_out_of_their_range_are_errors() {
    let snapshot = snapshot("en", &[]);
    let message = |field: &str, options: SnippetOptions| {
        let found = snapshot.snippets(&words("lava"), Some(field), "lava", &options);
        found.unwrap_err().to_string()
    };
    let found = message("text", SnippetOptions::new(0));
    assert!(found.contains("at least 1, found 0"), "{found}");
    for passages in [0, 101] {
        let found = message("text", SnippetOptions::default().passages(passages));
        let expected = format!("expected 1 to 100 passages of a text, found {passages}");
        assert!(found.contains(&expected), "{found}");
    }
    for field in ["none", "color"] {
        let found = message(field, SnippetOptions::default());
        assert!(found.contains(field), "{found}");
    }
}

#[test]
fn widths_of_characters_are_respected() {
    let options = SnippetOptions::new(8).widths(|c| if c.is_ascii() { 1 } else { 2 });
    let text = format!("{} lava {}", "한".repeat(9), "한".repeat(9));
    assert_eq!(of(&words("lava"), &text, &options), ["[lava]"]);
    assert_eq!(of(&words("none"), &text, &options), ["한".repeat(4)]);
}

#[test]
fn queries_that_a_search_refuses_are_errors() {
    let snapshot = snapshot("en", &[]);
    let options = SnippetOptions::default();
    for (query, expected) in [
        (Query::phrase("text", "lava ash").with_slop(1_001), "slop"),
        (Query::regex("text", "("), "regular expression"),
        (Query::text("none", "lava"), "none"),
    ] {
        let found = snapshot.snippets(&query, None, "lava", &options);
        let message = found.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

/// Texts on which a slow method would take hours.
#[test]
fn hostile_texts_take_linear_time() {
    let size = 1 << 18;
    let texts = [
        "lava ".repeat(size / 5),
        "lava ash ".repeat(size / 9),
        "x".repeat(size),
        "lava".to_owned() + &"\u{301}".repeat(size / 2),
        "\u{1f1e7}".repeat(size / 4) + " lava",
        "\u{1f469}\u{200d}".repeat(size / 7) + " lava",
        "lava. ".repeat(size / 6),
        " ".repeat(size) + "lava",
        "lava_ash_".repeat(size / 9),
        "\r\n".repeat(size / 2) + "lava",
    ];
    let snapshot = snapshot("english+parts", &[]);
    let queries = [
        words("lava ash"),
        Query::phrase("text", "lava ash lava").with_slop(1000),
        Query::phrase("text", "lava none").with_slop(1000),
        Query::prefix("text", "l"),
    ];
    let began = Instant::now();
    for text in &texts {
        for query in &queries {
            for options in [
                SnippetOptions::default().passages(MAX_PASSAGES),
                SnippetOptions::new(usize::MAX),
                SnippetOptions::new(text.len() / 3).passages(2),
            ] {
                let found = snapshot
                    .snippets(query, Some("text"), text, &options)
                    .unwrap();
                assert!(found.len() <= MAX_PASSAGES);
            }
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(120),
        "{:?}",
        began.elapsed()
    );
}
