//! Tests of JSON Lines: what is accepted, and the message for each kind of bad line.

use super::super::tests::{messages, parse_all, records};
use super::super::{MAX_ID_BYTES, MAX_TERM_BYTES, Record, RecordFormat};
use super::TEXT_KEYS;

fn read(line: &str) -> Record {
    let mut records = records(line.as_bytes(), RecordFormat::JsonLines);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// The only message for `line`, which is followed by a good line that must be read.
fn message(line: &str) -> String {
    let input = format!("{line}\n{{\"id\":\"good\",\"text\":\"x\"}}\n");
    let results = parse_all(input.as_bytes(), RecordFormat::JsonLines);
    assert_eq!(results.len(), 2);
    assert_eq!(results[1].as_ref().unwrap().id, "good");
    let error = results[0].as_ref().unwrap_err();
    assert!(error.is_input());
    let message = error.to_string();
    assert!(message.starts_with("test:1: "), "{message}");
    message
}

#[test]
fn a_beir_line_is_read_and_kept_as_it_is() {
    let line = r#"{"_id": "d1", "title": "A title", "text": "Some \"text\"\u00e9", "metadata": {"url": "x"}}"#;
    let record = read(line);
    assert_eq!(record.id, "d1");
    assert_eq!(record.title.as_deref(), Some("A title"));
    assert_eq!(record.text.as_deref(), Some("Some \"text\"é"));
    assert_eq!(record.contents(), "A title Some \"text\"é");
    assert_eq!(record.vector, None);
    assert_eq!(record.source, line.as_bytes());
    assert_eq!((record.file.as_ref(), record.line), ("test", 1));
}

#[test]
fn an_anserini_vector_is_read_and_removed_from_the_source() {
    let record = read(
        r#" {"id": 7, "vector": {"a": 1.5, "b": 2, "zero": 0, "tiny": 1e-60, "\u00e9": 3e2}, "contents": "text", "n": [1, "}"]} "#,
    );
    assert_eq!(record.id, "7");
    assert_eq!(record.text.as_deref(), Some("text"));
    let vector = [("a", 1.5), ("b", 2.0), ("é", 300.0)];
    assert_eq!(
        record.vector.unwrap(),
        vector.map(|(term, weight)| (term.to_owned(), weight))
    );
    assert_eq!(
        record.source,
        br#"{"id": 7,"contents": "text","n": [1, "}"]}"#
    );
}

#[test]
fn empty_vectors_and_null_fields_are_accepted() {
    let record = read(r#"{"id":"a","vector":{}}"#);
    assert_eq!(record.vector, Some(Vec::new()));
    assert_eq!(record.source, br#"{"id":"a"}"#);
    let record = read(r#"{"_id":null,"id":-5,"title":null,"text":null,"body":"b","vector":null}"#);
    assert_eq!(record.id, "-5");
    assert_eq!(record.contents(), "b");
    assert_eq!(record.vector, None);
}

#[test]
fn the_first_key_that_holds_a_string_is_the_text() {
    for key in TEXT_KEYS {
        let record = read(&format!(
            "{{\"id\":\"a\",\"{key}\":\"t\",\"abstract\":\"x\"}}"
        ));
        assert_eq!(record.contents(), "t", "{key}");
        assert!(record.has_content());
    }
    let record = read(r#"{"id":"a","content":{"type":"html"},"passage":"p"}"#);
    assert_eq!(record.contents(), "p");
}

#[test]
fn half_of_a_surrogate_pair_becomes_a_replacement_character() {
    let record = read(r#"{"id":"\udc00x","text":"a \ud83d\ude00 b \ud800 c"}"#);
    assert_eq!(record.id, "\u{fffd}x");
    assert_eq!(record.contents(), "a 😀 b \u{fffd} c");
    let source: serde_json::Value = serde_json::from_slice(&record.source).unwrap();
    assert_eq!(source["text"], "a 😀 b \u{fffd} c");
}

#[test]
fn nan_in_fields_that_are_not_read_and_in_place_of_a_text_is_null() {
    let record = read(
        r#"{"id":1,"price":NaN,"range":[-Infinity,Infinity],"title":NaN,"text":"NaN","vector":{"a":1}}"#,
    );
    assert_eq!((record.title, record.text.as_deref()), (None, Some("NaN")));
    assert_eq!(
        record.source,
        br#"{"id":1,"price":null,"range":[null,null],"title":null,"text":"NaN"}"#
    );
    let found = message(r#"{"id":1,"vector":{"a":1,"b":NaN}}"#);
    assert!(found.contains("weight of the term `b`"), "{found}");
}

#[test]
fn text_comes_from_text_then_contents_then_body() {
    assert_eq!(
        read(r#"{"id":"a","body":"b","contents":"c","text":"t"}"#).contents(),
        "t"
    );
    assert_eq!(
        read(r#"{"id":"a","body":"b","contents":"c"}"#).contents(),
        "c"
    );
    assert_eq!(read(r#"{"id":"a","body":"b","text":null}"#).contents(), "b");
    assert_eq!(read(r#"{"id":"a","_id":"b"}"#).id, "b");
}

#[test]
fn an_empty_document_is_a_record_and_an_empty_line_is_not() {
    let results = records(b"\n  \r\n{\"id\":\"a\"}\r\n\n", RecordFormat::JsonLines);
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].contents().as_ref(), results[0].line), ("", 3));
    assert_eq!(results[0].source, b"{\"id\":\"a\"}");
}

#[test]
fn integers_of_any_sign_are_ids_and_other_values_are_not() {
    assert_eq!(
        read(r#"{"id":18446744073709551615}"#).id,
        "18446744073709551615"
    );
    for (value, found) in [
        ("1.5", "a number with a fraction"),
        ("18446744073709551616", "too many digits"),
        ("true", "true or false"),
        ("[1]", "an array"),
        ("{\"a\":1}", "an object"),
    ] {
        let message = message(&format!("{{\"_id\":{value},\"text\":\"x\"}}"));
        assert!(
            message.contains("field `_id`: expected a string or an integer"),
            "{message}"
        );
        assert!(message.contains(found), "{message}");
    }
}

#[test]
fn missing_empty_and_long_ids_are_reported() {
    assert!(message(r#"{"text":"x"}"#).contains("no id; expected a field `_id`, `id` or `docid`"));
    assert!(message(r#"{"id":"","text":"x"}"#).contains("the id is empty"));
    let longest = "é".repeat(MAX_ID_BYTES / 2);
    assert_eq!(read(&format!("{{\"id\":\"{longest}\"}}")).id, longest);
    let message = message(&format!("{{\"id\":\"{longest}x\"}}"));
    assert!(
        message.contains("is 513, more than the limit of 512"),
        "{message}"
    );
}

#[test]
fn broken_json_is_quoted_with_its_place() {
    let found = message(r#"{"id":"a","text":"x" "title":"y"}"#);
    assert!(found.contains("not valid JSON at byte 22"), "{found}");
    assert!(
        found.contains(r#"near `…"id":"a","text":"x" "title":"y"}`"#),
        "{found}"
    );
    let found = message(r#"{"id":"a","text":"x"#);
    assert!(found.contains("does not end on its line"), "{found}");
    assert!(message(r#"{"id":"a"} {"id":"b"}"#).contains("trailing characters"));
    assert!(message(r#"{"id":"a","id":"b"}"#).contains("duplicate field `id`"));
    assert!(message(r#"[{"id":"a"}]"#).contains("jq -c"));
    assert!(message("plain words").contains("expected one JSON object on the line"));
}

#[test]
fn deep_nesting_is_an_error_or_accepted_but_never_a_crash() {
    let deep = format!("{{\"id\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    message(&deep);
    let deep = format!(
        "{{\"id\":1,\"x\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(parse_all(deep.as_bytes(), RecordFormat::JsonLines).len(), 1);
}

#[test]
fn fields_of_the_wrong_type_are_named() {
    for field in ["title", "text", "contents", "body"] {
        let message = message(&format!("{{\"id\":1,\"{field}\":12}}"));
        let expected = format!("field `{field}`: expected a string, found a number");
        assert!(message.contains(&expected), "{message}");
    }
    let found = message(r#"{"id":1,"vector":12}"#);
    assert!(
        found.contains("field `vector`: expected an object"),
        "{found}"
    );
    assert!(message(r#"{"id":1,"vector":"a"}"#).contains("field `vector`"));
}

#[test]
fn an_array_of_numbers_is_a_dense_vector() {
    let record = read(r#"{"id":1,"vector":[0.5,-2,0,1e-3],"x":1}"#);
    assert_eq!(record.dense, Some(vec![0.5, -2.0, 0.0, 0.001]));
    assert_eq!(record.vector, None);
    assert_eq!(record.source, br#"{"id":1,"x":1}"#);
    assert_eq!(read(r#"{"id":1,"vector":[]}"#).dense, Some(Vec::new()));
    assert_eq!(read(r#"{"id":1,"vector":{"a":1}}"#).dense, None);
    for bad in [
        "NaN",
        "null",
        "\"1\"",
        "1e39",
        "-1e999",
        "true",
        "[1]",
        "{\"a\":1}",
    ] {
        let message = message(&format!("{{\"id\":1,\"vector\":[1,2,{bad},3]}}"));
        assert!(
            message.contains("number 2 of the vector"),
            "{bad}: {message}"
        );
    }
}

#[test]
fn invalid_utf8_is_named_by_line_and_byte() {
    let input = b"{\"id\":1}\n{\"id\":2,\"text\":\"caf\xe9\"}\n{\"id\":3}\n";
    let messages = messages(input, RecordFormat::JsonLines);
    assert_eq!(messages.len(), 1);
    assert!(
        messages[0].starts_with("test:2: not valid UTF-8 at byte 20"),
        "{}",
        messages[0]
    );
}

#[test]
fn bad_weights_name_their_term() {
    for weight in [
        "NaN",
        "Infinity",
        "-Infinity",
        "null",
        "\"1\"",
        "-1",
        "-0.5",
        "1e999",
        "-1e999",
        "1e39",
        "true",
        "[1]",
        "{\"a\":1}",
    ] {
        let line = format!("{{\"id\":1,\"vector\":{{\"good\":1,\"bad\":{weight},\"last\":2}}}}");
        let message = message(&line);
        assert!(
            message.contains("weight of the term `bad`"),
            "{weight}: {message}"
        );
    }
    let largest = read(r#"{"id":1,"vector":{"a":3.4028234e38}}"#)
        .vector
        .unwrap();
    assert_eq!(largest[0].1, f32::MAX);
}

#[test]
fn long_and_empty_terms_are_reported() {
    let longest = "x".repeat(MAX_TERM_BYTES);
    let line = format!("{{\"id\":1,\"vector\":{{\"{longest}\":1}}}}");
    assert_eq!(read(&line).vector.unwrap()[0].0, longest);
    let found = message(&line.replace(&longest, &format!("{longest}x")));
    assert!(
        found.contains("is 1025, more than the limit of 1024"),
        "{found}"
    );
    assert!(found.contains("`xxxx"), "{found}");
    assert!(message(r#"{"id":1,"vector":{"":1}}"#).contains("empty term"));
}
