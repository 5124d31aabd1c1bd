//! Tests of TREC SGML.

use proptest::prelude::*;

use super::super::RecordFormat;
use super::super::tests::{messages, parse_all, records};
use super::*;

#[test]
fn documents_are_read_with_their_titles_and_lines() {
    let input = b"<DOC>\n<DOCNO> FT911-1 </DOCNO>\n<DATE>910514\n</DATE>\n<HEADLINE>\nFT  14 MAY 91 / AT&amp;T\n</HEADLINE>\n\
        <TEXT>\nProfits < 5 &blank; rose <b>sharply</b>.\n</TEXT>\n</DOC>\n\n<doc id=2>\n<docno>2</docno>\n<title>T</title></doc>\n";
    let records = records(input, RecordFormat::Trec);
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].id.as_str(), records[0].line), ("FT911-1", 1));
    assert_eq!(records[0].title.as_deref(), Some("FT 14 MAY 91 / AT&T"));
    let text = "910514 Profits < 5 rose sharply .";
    assert_eq!(records[0].text.as_deref(), Some(text));
    let source = format!(r#"{{"_id":"FT911-1","title":"FT 14 MAY 91 / AT&T","text":"{text}"}}"#);
    assert_eq!(records[0].source, source.as_bytes());
    assert_eq!((records[1].id.as_str(), records[1].line), ("2", 13));
    assert_eq!(records[1].contents(), "T");
}

#[test]
fn comments_declarations_and_a_root_element_are_passed_over() {
    let input = b"<?xml version='1.0'?>\n<ROOT>\n<!-- a <b> c -->\n<DOC><DOCNO>1</DOCNO><!-- x > y -->text</DOC>\n</ROOT>\n";
    let records = records(input, RecordFormat::Trec);
    assert_eq!((records[0].id.as_str(), records[0].line), ("1", 4));
    assert_eq!(records[0].contents(), "text");
}

#[test]
fn a_title_without_end_tag_ends_at_the_text() {
    let input = b"<DOC><DOCNO>1</DOCNO><TITLE>a<TEXT>b</TEXT></DOC>";
    let records = records(input, RecordFormat::Trec);
    assert_eq!(records[0].title.as_deref(), Some("a"));
    assert_eq!(records[0].text.as_deref(), Some("b"));
}

#[test]
fn bad_documents_are_reported_and_the_next_are_read() {
    let input = b"<DOC>\nno number\n</DOC>\n<DOC>\n<DOCNO>1</DOCNO>\n<DOC>\n<DOCNO>2</DOCNO>\n</DOC>\n\
        <DOC><DOCNO>3<TEXT>x</TEXT></DOC>\n<DOC><DOCNO> </DOCNO></DOC>\nstray\n<DOC><DOCNO>4</DOCNO>\n";
    let messages = messages(input, RecordFormat::Trec);
    let expected = [
        "test:1: <DOC> without <DOCNO>",
        "test:4: <DOC> without </DOC>",
        "test:9: <DOCNO> without </DOCNO>",
        "test:10: the id is empty",
        "test:11: text outside of a document: expected <DOC>, found `stray`",
        "test:12: <DOC> without </DOC>",
    ];
    assert_eq!(messages.len(), expected.len(), "{messages:?}");
    for (message, expected) in messages.iter().zip(expected) {
        assert!(message.starts_with(expected), "{message}");
    }
    let good = parse_all(input, RecordFormat::Trec);
    let good: Vec<_> = good.into_iter().flatten().map(|record| record.id).collect();
    assert_eq!(good, ["2"]);
}

#[test]
fn a_second_number_and_an_end_without_start_are_reported() {
    let input = b"<DOC><DOCNO>1</DOCNO><DOCNO>2</DOCNO></DOC><DOCNO>3</DOCNO></DOC>";
    let messages = messages(input, RecordFormat::Trec);
    assert!(messages[0].contains("second <DOCNO>"), "{messages:?}");
    assert!(
        messages[1].contains("text outside of a document"),
        "{messages:?}"
    );
}

#[test]
fn programs_looks_and_headers_of_pages_are_not_text() {
    let input = b"<DOC>\n<DOCNO>1</DOCNO>\n<DOCHDR>\nhttp://x.org\nServer: Apache\n</DOCHDR>\n<html><STYLE type=a>p {}</Style>\
        <title>T</title><script>if (a<b) { s = '</p>'; }</SCRIPT >one<script>two<style>three</DOC>";
    let records = records(input, RecordFormat::Trec);
    assert_eq!(records[0].title.as_deref(), Some("T"));
    // Without an end tag nothing is skipped.
    assert_eq!(records[0].text.as_deref(), Some("one two three"));
}

#[test]
fn documents_in_latin_1_are_detected_one_by_one() {
    let input = b"<DOC><DOCNO>1</DOCNO>Le caf\xe9 est ferm\xe9 en \xe9t\xe9.</DOC><DOC><DOCNO>2</DOCNO>caf\xc3\xa9</DOC>";
    let records = records(input, RecordFormat::Trec);
    let found = records
        .iter()
        .map(|record| (record.contents().into_owned(), record.encoding));
    let expected = [
        ("Le café est fermé en été.".to_owned(), Some("windows-1252")),
        ("café".to_owned(), None),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn ends_of_documents_are_counted() {
    assert_eq!(count_documents(b"<DOC>a</DOC><doc></doc></DO</DOC"), 2);
    assert_eq!(count_documents(b"</DOC><"), 1);
    assert_eq!(count_documents(b""), 0);
}

#[test]
fn damaged_utf8_is_named_by_line_and_byte() {
    let input = "<DOC><DOCNO>1</DOCNO>été\n".as_bytes();
    let input = [input, b"caf\xe9\n</DOC><DOC><DOCNO>2</DOCNO></DOC>"].concat();
    let input = &input[..];
    let results = parse_all(input, RecordFormat::Trec);
    let message = results[0].as_ref().unwrap_err().to_string();
    assert!(
        message.starts_with("test:2: not valid UTF-8 at byte 4"),
        "{message}"
    );
    assert_eq!(results[1].as_ref().unwrap().id, "2");
}

#[test]
fn comments_that_do_not_end_are_declarations_and_cost_little() {
    let input = format!(
        "<DOC><DOCNO>1</DOCNO>{}word</DOC>",
        "<!-- x>".repeat(200_000)
    );
    let records = records(input.as_bytes(), RecordFormat::Trec);
    assert_eq!(records[0].contents(), "word");
}

/// The first and last cut, found by trying every position.
fn all_cuts(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter_map(|position| cut_at(bytes, position))
        .collect()
}

proptest! {
    #[test]
    fn cuts_equal_those_found_by_trying_every_place(
        parts in prop::collection::vec("<DOC>|</DOC>|<DOC |</doc>|<DO|</|C>|>|<|x|\n|<DOCNO>", 0..20),
        searched in 0usize..60,
    ) {
        let text = parts.concat();
        let bytes = text.as_bytes();
        let cuts = all_cuts(bytes);
        prop_assert_eq!(first_cut(bytes), cuts.first().copied());
        prop_assert_eq!(last_cut(bytes, 0), cuts.last().copied());
        // As the reader grows its buffer: nothing in the first part, so only the new part is
        // searched.
        let searched = searched.min(bytes.len());
        if all_cuts(&bytes[..searched]).is_empty() {
            prop_assert_eq!(last_cut(bytes, searched), cuts.last().copied());
        }
    }

    #[test]
    fn pieces_cover_the_text_and_never_panic(text in "[<>/!?a-c &;é-]{0,40}") {
        let length: usize = Pieces::new(&text)
            .map(|piece| match piece { Piece::Text(text) => text.len(), _ => 0 })
            .sum();
        prop_assert!(length <= text.len());
    }
}
