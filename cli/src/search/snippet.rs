//! The part of a stored document that shows why it was found.

use esparsa::{Query, Result, Snapshot, SnippetOptions};
use serde_json::Value;

use super::terminal::{Style, character_width, width};
use crate::escape::escaped;

/// Keys of a stored JSON object that may hold its text; the first that exists is used.
const TEXT_KEYS: [&str; 3] = ["text", "contents", "body"];
/// Marks omitted text.
const ELLIPSIS: &str = "…";

/// The title of a document and the best passage of its text, both with the matches marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// The title; empty when the document has none.
    pub title: String,
    /// Part of the text, on one line; empty when the document has none.
    pub text: String,
}

/// Makes the snippet of a stored document, whose text takes at most `columns` columns without its
/// marks.
///
/// # Errors
///
/// Those of [`Snapshot::snippets`].
pub fn snippet(
    snapshot: &Snapshot,
    query: &Query,
    stored: &[u8],
    columns: usize,
    style: Style,
) -> Result<Snippet> {
    let (title, text) = title_and_text(stored);
    let columns = columns.saturating_sub(2 * width(ELLIPSIS)).max(1);
    let options = SnippetOptions::new(columns).widths(character_width);
    let part = |text: &str| -> Result<String> {
        let passages = snapshot.snippets(query, None, text, &options)?;
        let best = passages.first().map(|passage| marked(passage, style));
        Ok(best.unwrap_or_default())
    };
    Ok(Snippet {
        title: part(&title)?,
        text: part(&text)?,
    })
}

/// The title and the text of a stored document: from a JSON object, or else all of it as text.
pub fn title_and_text(stored: &[u8]) -> (String, String) {
    let Ok(Value::Object(object)) = serde_json::from_slice(stored) else {
        return (String::new(), on_one_line(&String::from_utf8_lossy(stored)));
    };
    let string = |key: &str| object.get(key).and_then(Value::as_str);
    let title = string("title").unwrap_or_default();
    let text = TEXT_KEYS.into_iter().find_map(string);
    let text = text.map_or_else(
        || {
            let others = object
                .iter()
                .filter(|(key, _)| !["_id", "id", "title"].contains(&&***key));
            let strings: Vec<&str> = others.filter_map(|(_, value)| value.as_str()).collect();
            on_one_line(&strings.join(" "))
        },
        on_one_line,
    );
    (on_one_line(title), text)
}

/// Collapses white space, and control characters with it: a document must not control the terminal.
fn on_one_line(text: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || c.is_control();
    let words: Vec<&str> = text
        .split(is_between)
        .filter(|word| !word.is_empty())
        .collect();
    escaped(&words.join(" ")).into_owned()
}

/// A passage with its matches marked, and an ellipsis where the text was cut.
fn marked(passage: &esparsa::Snippet<'_>, style: Style) -> String {
    let (open, close) = style.marks();
    let mut out = String::new();
    if !passage.begins_text() {
        out.push_str(ELLIPSIS);
    }
    out.push_str(&passage.to_text(open, close));
    if !passage.ends_text() {
        out.push_str(ELLIPSIS);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use esparsa::{Index, Schema, Text};

    fn snapshot(analyzer: &str) -> Snapshot {
        let schema = Schema::builder()
            .text("text", Text::new().analyzer(analyzer))
            .build()
            .unwrap();
        Index::in_memory(schema).unwrap().snapshot().unwrap()
    }

    fn of(words: &str, stored: &str, columns: usize) -> Snippet {
        analyzed_as("simple", words, stored, columns)
    }

    fn analyzed_as(analyzer: &str, words: &str, stored: &str, columns: usize) -> Snippet {
        let query = Query::text("text", words);
        let style = Style::plain(columns);
        let snapshot = snapshot(analyzer);
        snippet(&snapshot, &query, stored.as_bytes(), columns, style).unwrap()
    }

    #[test]
    fn title_and_text_are_taken_from_json() {
        let stored = r#"{"_id":"a","contents":"b  c\n d","title":"T\u001b[2J"}"#;
        let found = of("c", stored, 80);
        assert_eq!(
            (found.title.as_str(), found.text.as_str()),
            ("T [2J", "b [c] d")
        );
        assert_eq!(of("c", r#"{"_id":"a","note":"b c"}"#, 80).text, "b [c]");
        assert_eq!(of("c", "plain c", 80).text, "plain [c]");
        assert_eq!(of("c", "", 80), Snippet::default());
    }

    #[test]
    fn the_part_with_most_different_words_is_shown() {
        let filler = "x ".repeat(40);
        let stored = format!("one one one {filler} one two {filler} end");
        assert_eq!(
            of("one two", &stored, 24).text,
            "…x x x [one] [two] x x x x…"
        );
        let text = of("end", &stored, 24).text;
        assert!(
            text.ends_with("x x [end]") && text.starts_with("…x"),
            "{text}"
        );
        assert!(width(&text) <= 26 && width(&text) >= 20, "{text}");
    }

    #[test]
    fn without_matches_the_beginning_is_shown() {
        assert_eq!(of("none", "alpha beta gamma delta", 14).text, "alpha beta…");
        assert_eq!(of("none", "alpha beta", 14).text, "alpha beta");
    }

    #[test]
    fn text_without_spaces_is_cut_between_letters() {
        let stored = "한".repeat(50);
        let found = of("none", &stored, 11).text;
        assert_eq!(found, format!("{}…", "한".repeat(4)));
    }

    #[test]
    fn text_without_spaces_shows_what_was_searched() {
        let before = "彼女は昨日の会議で自分のことを話した".repeat(3);
        let stored = format!("{before}名前を書く{before}");
        let text = analyzed_as("ja", "名前", &stored, 24).text;
        assert!(text.contains("[名前]") && text.starts_with('…'), "{text}");
        let stored = format!("{before}猫{before}");
        let text = analyzed_as("ja", "猫", &stored, 24).text;
        assert!(text.contains("[猫]"), "{text}");
        let text = analyzed_as(
            "ko",
            "책",
            &format!("{} 책을 읽다", "그리고 ".repeat(30)),
            24,
        )
        .text;
        assert!(text.contains("[책을]"), "{text}");
    }

    #[test]
    fn a_match_wider_than_the_part_is_marked_as_far_as_it_is_shown() {
        let title = "全文検索機能の使い方入門";
        let stored = format!("これは{title}と{title}です");
        let text = analyzed_as("ja", title, &stored, 12).text;
        assert_eq!(text, "…[全文検索機]…");
    }

    #[test]
    fn no_part_is_wider_than_asked() {
        let words = ["a", "세종대왕이", "é", "longer-word", "match", "ﷺ", "👩‍👩‍👧"];
        let mut text = String::new();
        for number in 0..200usize {
            text.push_str(words[number * number % 7]);
            text.push_str(if number % 3 == 0 { "" } else { " " });
        }
        for columns in 3..60 {
            let found = of("match a", &text, columns).text;
            let shown = found.replace(['[', ']'], "");
            let characters = shown.chars().map(character_width).sum::<usize>();
            assert!(characters <= columns, "{characters} > {columns}");
        }
    }
}
