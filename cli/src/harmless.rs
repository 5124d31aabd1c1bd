//! Text of others made harmless for a terminal.
//!
//! Ids, titles, texts and error messages hold what stood in somebody's files. Printed as it is, an
//! escape sequence in it could move the cursor, change colours or rename the window; a line feed
//! could fake a line of output; a bidirectional control could show an id backwards. Such characters
//! are shown as escapes, as JSON writes them: `\u001b`.

use std::borrow::Cow;

use esparsa::eval::names::is_control;

/// `text` on one line, with control characters and bidirectional controls as visible escapes.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, is_control)
}

/// The same for a text of several lines, which stay.
pub fn harmless_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter != '\n' && is_control(letter))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            _ if !is_escaped(letter) => shown.push(letter),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ => shown.push_str(&format!("\\u{:04x}", u32::from(letter))),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_as_an_escape() {
        assert_eq!(harmless("\x1b[2Jid"), "\\u001b[2Jid");
        assert_eq!(
            harmless("a\nb\tc\r\u{9b}\u{7f}"),
            "a\\nb\\tc\\r\\u009b\\u007f"
        );
        assert_eq!(harmless("\u{202e}gnp\u{2069}"), "\\u202egnp\\u2069");
        assert_eq!(harmless_lines("a\nb\x07"), "a\nb\\u0007");
        let text = "plain text, é, 한국어, 👩‍👩‍👧, שלום";
        assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn escapes_in_json_mean_what_they_stand_for() {
        let text = "\"\u{9b}\u{202e}\"";
        let shown = harmless(text);
        assert!(shown.is_ascii());
        let same: String = serde_json::from_str(&shown).unwrap();
        assert_eq!(same, "\u{9b}\u{202e}");
    }
}
