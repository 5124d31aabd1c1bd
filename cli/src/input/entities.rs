//! Entities of HTML and SGML: `&amp;`, `&eacute;`, `&#233;`, `&#xe9;`.
//!
//! The names are those of HTML; a few of them mean something else in the SGML of TREC collections.

use std::borrow::Cow;

use html_escape::decode_html_entities;

/// Longest entity of HTML, `&CounterClockwiseContourIntegral;`, so that a bare `&` is soon given
/// up.
const MAX_ENTITY_BYTES: usize = 33;

/// Entities of TREC collections that HTML lacks or defines otherwise.
const TREC_ENTITIES: [(&str, &str); 3] = [("&blank;", " "), ("&hyph;", "-"), ("&inch;", "″")];

/// Decodes the entities in `text`; what is not a known entity stays as it is.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else {
        return Cow::Borrowed(text);
    };
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    let mut next = Some(first);
    while let Some(position) = next {
        decoded.push_str(&rest[..position]);
        rest = &rest[position..];
        let entity = entity_at_start(rest).unwrap_or("&");
        match TREC_ENTITIES.iter().find(|(name, _)| *name == entity) {
            Some((_, meaning)) => decoded.push_str(meaning),
            // The decoder returns an unknown entity as it is.
            None => decoded.push_str(&decode_html_entities(entity)),
        }
        rest = &rest[entity.len()..];
        next = rest.find('&');
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The `&...;` at the start of `text`, which begins with `&`.
fn entity_at_start(text: &str) -> Option<&str> {
    let window = &text.as_bytes()[..text.len().min(MAX_ENTITY_BYTES)];
    let length = window
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#')
        .count()
        + 1;
    (window.get(length) == Some(&b';')).then(|| &text[..=length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded() {
        for (sgml, expected) in [
            ("AT&amp;T &lt;b&gt;", "AT&T <b>"),
            (
                "caf&eacute; &Eacute;t&#233; &#xE9; &#x1F600;",
                "café Été é 😀",
            ),
            ("well&hyph;known&blank;man &sect;3", "well-known man §3"),
            ("&mdash;&hellip;&alpha;", "—…α"),
            // Names beyond Latin-1 and Greek, and one that stands for two characters.
            ("&Yopf;&CounterClockwiseContourIntegral;&fjlig;", "𝕐∳fj"),
        ] {
            assert_eq!(decode(sgml), expected);
        }
    }

    #[test]
    fn what_is_not_an_entity_stays() {
        for text in [
            "R&D",
            "a & b",
            "&",
            "&;",
            "&#;",
            "&#x;",
            "&#0;",
            "&#xD800;",
            "&#+65;",
            "&#99999999;",
            "&unknown;",
            "&averyveryveryveryveryveryverylongname;",
            "&é;é",
            "&ééééééééé;",
        ] {
            assert_eq!(decode(text), text);
        }
        assert_eq!(decode("&&amp;"), "&&");
        assert!(matches!(decode("plain"), Cow::Borrowed(_)));
    }
}
