//! Entities of HTML and SGML: `&amp;`, `&eacute;`, `&#233;`, `&#xe9;`.
//!
//! The names are those of HTML; a few of them mean something else in the SGML of TREC collections.

use std::borrow::Cow;

use html_escape::decode_html_entities;

/// Entities of TREC collections that HTML lacks or defines otherwise.
const TREC_ENTITIES: [(&str, &str); 3] = [("&blank;", " "), ("&hyph;", "-"), ("&inch;", "″")];

/// Decodes the entities in `text`; what is not a known entity stays as it is.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (entity, meaning) in TREC_ENTITIES {
        if text.contains(entity) {
            text = Cow::Owned(text.replace(entity, meaning));
        }
    }
    match decode_html_entities(&text) {
        // Borrowed from `text`: it has no entity of HTML.
        Cow::Borrowed(_) => text,
        Cow::Owned(decoded) => Cow::Owned(decoded),
    }
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
        assert_eq!(decode("&amp;hyph;"), "&hyph;");
        assert!(matches!(decode("plain"), Cow::Borrowed(_)));
    }
}
