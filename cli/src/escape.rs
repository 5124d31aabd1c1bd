//! Escapes for text from files, so that it cannot control the terminal.
//!
//! Ids, titles, texts and error messages contain text from input files. Printed unchanged, an
//! escape sequence in it could move the cursor, change colors or rename the window, a line feed
//! could fake a line of output, and a bidirectional control could show an id backwards. Such
//! characters are printed as escapes, as in JSON: `\u001b`.

use std::borrow::Cow;

use esparsa::eval::names::is_control;

/// `text` on one line, with control characters and bidirectional controls as visible escapes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape_where(text, is_control)
}

/// The same for a text of several lines; line feeds are kept.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape_where(text, |character| character != '\n' && is_control(character))
}

/// The same for a message that may end with an excerpt: line feeds before its lines, which are
/// indented by four spaces, are kept.
pub fn escaped_message(text: &str) -> String {
    let lines = text.split("\n    ").map(escaped);
    lines.collect::<Vec<_>>().join("\n    ")
}

fn escape_where(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            _ if !is_escaped(character) => shown.push(character),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ => shown.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_of_messages_have_lines_of_their_own() {
        let message = "expected a term\n    cat AND\n           ^";
        assert_eq!(escaped_message(message), message);
        assert_eq!(escaped_message("a\nb\x1b\n    c"), "a\\nb\\u001b\n    c");
    }

    #[test]
    fn what_commands_a_terminal_is_shown_as_an_escape() {
        assert_eq!(escaped("\x1b[2Jid"), "\\u001b[2Jid");
        assert_eq!(
            escaped("a\nb\tc\r\u{9b}\u{7f}"),
            "a\\nb\\tc\\r\\u009b\\u007f"
        );
        assert_eq!(escaped("\u{202e}gnp\u{2069}"), "\\u202egnp\\u2069");
        assert_eq!(escaped_lines("a\nb\x07"), "a\nb\\u0007");
        let text = "plain text, é, 한국어, 👩‍👩‍👧, שלום";
        assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn escapes_in_json_mean_what_they_stand_for() {
        let text = "\"\u{9b}\u{202e}\"";
        let shown = escaped(text);
        assert!(shown.is_ascii());
        let same: String = serde_json::from_str(&shown).unwrap();
        assert_eq!(same, "\u{9b}\u{202e}");
    }
}
