//! HTML from texts that nobody has checked.

use std::fmt::{Arguments, Write};

use crate::escape::escaped;

/// Adds to a page. Writing to a string cannot fail.
pub fn push(html: &mut String, arguments: Arguments<'_>) {
    let _ = html.write_fmt(arguments);
}

/// A text for the content of an element or for an attribute, with control characters as visible
/// escapes.
pub fn text(text: &str) -> String {
    html_escape::encode_quoted_attribute(&escaped(text)).into_owned()
}

/// The start of a text on one line.
pub fn excerpt(long: &str, letters: usize) -> String {
    let mut words = long.split_whitespace();
    let (mut line, mut count) = (String::new(), 0);
    let is_cut = loop {
        let Some(word) = words.next() else {
            break false;
        };
        let room = letters.saturating_sub(count);
        if room == 0 {
            break true;
        }
        if count > 0 {
            line.push(' ');
        }
        let length = word.chars().count();
        line.extend(word.chars().take(room));
        count += length + 1;
        if length > room {
            break true;
        }
    };
    let ellipsis = if is_cut { "…" } else { "" };
    text(&line) + ellipsis
}

/// A difference with its sign; a minus that is as wide as a plus.
pub fn signed(value: f64) -> String {
    let text = format!("{value:+.3}");
    match text.strip_prefix('-') {
        Some("0.000") => "+0.000".to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// A table whose first column has the heads of its rows. Cells are HTML.
pub fn table<'a>(
    html: &mut String,
    caption: &str,
    heads: &[&str],
    rows: impl IntoIterator<Item = (&'a str, Vec<String>)>,
) {
    // A region that scrolls can be reached by the keyboard.
    push(
        html,
        format_args!(
            "<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table>\n\
             <caption>{caption}</caption>\n<thead><tr>"
        ),
    );
    for head in heads {
        push(html, format_args!("<th scope=\"col\">{head}</th>"));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (name, cells) in rows {
        push(html, format_args!("<tr><th scope=\"row\">{name}</th>"));
        for cell in cells {
            push(html, format_args!("<td>{cell}</td>"));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_only_text() {
        assert_eq!(
            text("</p><script>alert(\"1\")</script>\n\u{1b}[2J\u{202e}&amp;"),
            "&lt;/p&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\\n\\u001b[2J\\u202e&amp;amp;"
        );
        assert_eq!(text("a\0'"), "a\\u0000&#x27;");
    }

    #[test]
    fn excerpts_are_cut_at_letters() {
        assert_eq!(excerpt(" a\n  b\tc ", 10), "a b c");
        assert_eq!(excerpt("abc def", 5), "abc d…");
        assert_eq!(excerpt("abc def", 3), "abc…");
        assert_eq!(excerpt("abc def", 7), "abc def");
        assert_eq!(excerpt("한국어 문장", 2), "한국…");
        assert_eq!(excerpt("<b>", 2), "&lt;b…");
        assert_eq!(excerpt("", 2), "");
    }

    #[test]
    fn differences_have_signs() {
        let shown = [0.1, -0.25, -0.0001, 0.0].map(signed);
        assert_eq!(shown, ["+0.100", "−0.250", "+0.000", "+0.000"]);
    }
}
