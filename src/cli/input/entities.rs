//! Entities of SGML: `&amp;`, `&eacute;`, `&#233;`, `&#xe9;`.

use std::borrow::Cow;

/// Longest name of an entity with its semicolon, so that a bare `&` is soon given up.
const MAX_NAME_BYTES: usize = 12;

/// Decodes the entities in `text`; what is no known entity stays as it is.
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
        match entity_at_start(rest) {
            Some((character, length)) => {
                decoded.push(character);
                rest = &rest[length..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
        next = rest.find('&');
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The character that the entity at the start of `text` stands for, and the entity's length in bytes.
fn entity_at_start(text: &str) -> Option<(char, usize)> {
    let window = &text.as_bytes()[..text.len().min(MAX_NAME_BYTES + 1)];
    let end = window.iter().position(|&byte| byte == b';')?;
    let name = text.get(1..end)?;
    let character = match name.strip_prefix('#') {
        Some(number) => numbered(number)?,
        None => named(name)?,
    };
    Some((character, end + 1))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let value = u32::from_str_radix(digits, radix).ok()?;
    char::from_u32(value).filter(|&character| character != '\0')
}

fn named(name: &str) -> Option<char> {
    NAMED
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()
        .map(|index| NAMED[index].1)
}

/// Names and their characters, in the order of the names: Latin 1, punctuation and signs, Greek, and the names that
/// are peculiar to TREC's collections, such as `blank` and `hyph`.
#[rustfmt::skip]
const NAMED: &[(&str, char)] = &[
    ("AElig", 'Æ'), ("Aacute", 'Á'), ("Acirc", 'Â'), ("Agrave", 'À'), ("Alpha", 'Α'), ("Aring", 'Å'), ("Atilde", 'Ã'),
    ("Auml", 'Ä'), ("Beta", 'Β'), ("Ccaron", 'Č'), ("Ccedil", 'Ç'), ("Chi", 'Χ'), ("Dagger", '‡'), ("Delta", 'Δ'),
    ("ETH", 'Ð'), ("Eacute", 'É'), ("Ecirc", 'Ê'), ("Egrave", 'È'), ("Epsilon", 'Ε'), ("Eta", 'Η'), ("Euml", 'Ë'),
    ("Gamma", 'Γ'), ("Iacute", 'Í'), ("Icirc", 'Î'), ("Idot", 'İ'), ("Igrave", 'Ì'), ("Iota", 'Ι'), ("Iuml", 'Ï'),
    ("Kappa", 'Κ'), ("Lambda", 'Λ'), ("Lstrok", 'Ł'), ("Mu", 'Μ'), ("Ntilde", 'Ñ'), ("Nu", 'Ν'), ("OElig", 'Œ'),
    ("Oacute", 'Ó'), ("Ocirc", 'Ô'), ("Ograve", 'Ò'), ("Omega", 'Ω'), ("Omicron", 'Ο'), ("Oslash", 'Ø'),
    ("Otilde", 'Õ'), ("Ouml", 'Ö'), ("Phi", 'Φ'), ("Pi", 'Π'), ("Prime", '″'), ("Psi", 'Ψ'), ("Rcaron", 'Ř'),
    ("Rho", 'Ρ'), ("Sacute", 'Ś'), ("Scaron", 'Š'), ("Scedil", 'Ş'), ("Sigma", 'Σ'), ("THORN", 'Þ'), ("Tau", 'Τ'),
    ("Theta", 'Θ'), ("Uacute", 'Ú'), ("Ucirc", 'Û'), ("Ugrave", 'Ù'), ("Upsilon", 'Υ'), ("Uuml", 'Ü'), ("Xi", 'Ξ'),
    ("Yacute", 'Ý'), ("Yuml", 'Ÿ'), ("Zcaron", 'Ž'), ("Zdot", 'Ż'), ("Zeta", 'Ζ'), ("aacute", 'á'), ("abreve", 'ă'),
    ("acirc", 'â'), ("acute", '´'), ("aelig", 'æ'), ("agrave", 'à'), ("alpha", 'α'), ("amacr", 'ā'), ("amp", '&'),
    ("aogon", 'ą'), ("apos", '\''), ("aring", 'å'), ("ast", '*'), ("asymp", '≈'), ("atilde", 'ã'), ("auml", 'ä'),
    ("bdquo", '„'), ("beta", 'β'), ("blank", ' '), ("breve", '˘'), ("brvbar", '¦'), ("bsol", '\\'), ("bull", '•'),
    ("cacute", 'ć'), ("caron", 'ˇ'), ("ccaron", 'č'), ("ccedil", 'ç'), ("cedil", '¸'), ("cent", '¢'), ("check", '✓'),
    ("chi", 'χ'), ("cir", '○'), ("colon", ':'), ("comma", ','), ("commat", '@'), ("copy", '©'), ("curren", '¤'),
    ("dagger", '†'), ("dash", '‐'), ("dcaron", 'ď'), ("deg", '°'), ("delta", 'δ'), ("divide", '÷'), ("dollar", '$'),
    ("eacute", 'é'), ("ecaron", 'ě'), ("ecirc", 'ê'), ("egrave", 'è'), ("emacr", 'ē'), ("emsp", '\u{2003}'),
    ("ensp", '\u{2002}'), ("eogon", 'ę'), ("epsilon", 'ε'), ("equals", '='), ("eta", 'η'), ("eth", 'ð'),
    ("euml", 'ë'), ("euro", '€'), ("excl", '!'), ("frac12", '½'), ("frac14", '¼'), ("frac34", '¾'), ("frasl", '⁄'),
    ("gamma", 'γ'), ("gbreve", 'ğ'), ("ge", '≥'), ("gt", '>'), ("half", '½'), ("hellip", '…'), ("hyph", '-'),
    ("iacute", 'í'), ("icirc", 'î'), ("iexcl", '¡'), ("igrave", 'ì'), ("imacr", 'ī'), ("inch", '″'), ("infin", '∞'),
    ("inodot", 'ı'), ("iota", 'ι'), ("iquest", '¿'), ("iuml", 'ï'), ("kappa", 'κ'), ("lambda", 'λ'), ("laquo", '«'),
    ("larr", '←'), ("lcub", '{'), ("ldquo", '“'), ("le", '≤'), ("lowbar", '_'), ("lpar", '('), ("lrm", '\u{200e}'),
    ("lsaquo", '‹'), ("lsqb", '['), ("lsquo", '‘'), ("lstrok", 'ł'), ("lt", '<'), ("macr", '¯'), ("mdash", '—'),
    ("micro", 'µ'), ("middot", '·'), ("minus", '−'), ("mu", 'μ'), ("nacute", 'ń'), ("nbsp", '\u{a0}'),
    ("ncaron", 'ň'), ("ndash", '–'), ("ne", '≠'), ("not", '¬'), ("ntilde", 'ñ'), ("nu", 'ν'), ("num", '#'),
    ("oacute", 'ó'), ("ocirc", 'ô'), ("odblac", 'ő'), ("oelig", 'œ'), ("ograve", 'ò'), ("oline", '‾'), ("omacr", 'ō'),
    ("omega", 'ω'), ("omicron", 'ο'), ("ordf", 'ª'), ("ordm", 'º'), ("oslash", 'ø'), ("otilde", 'õ'), ("ouml", 'ö'),
    ("para", '¶'), ("percnt", '%'), ("period", '.'), ("permil", '‰'), ("phi", 'φ'), ("pi", 'π'), ("piv", 'ϖ'),
    ("plus", '+'), ("plusmn", '±'), ("pound", '£'), ("prime", '′'), ("psi", 'ψ'), ("quest", '?'), ("quot", '"'),
    ("raquo", '»'), ("rarr", '→'), ("rcaron", 'ř'), ("rcub", '}'), ("rdquo", '”'), ("reg", '®'), ("rho", 'ρ'),
    ("rlm", '\u{200f}'), ("rpar", ')'), ("rsaquo", '›'), ("rsqb", ']'), ("rsquo", '’'), ("sacute", 'ś'),
    ("sbquo", '‚'), ("scaron", 'š'), ("scedil", 'ş'), ("sect", '§'), ("semi", ';'), ("shy", '\u{ad}'), ("sigma", 'σ'),
    ("sigmaf", 'ς'), ("sol", '/'), ("star", '☆'), ("sup1", '¹'), ("sup2", '²'), ("sup3", '³'), ("szlig", 'ß'),
    ("tau", 'τ'), ("tcaron", 'ť'), ("tcedil", 'ţ'), ("theta", 'θ'), ("thetasym", 'ϑ'), ("thinsp", '\u{2009}'),
    ("thorn", 'þ'), ("times", '×'), ("trade", '™'), ("uacute", 'ú'), ("ucirc", 'û'), ("udblac", 'ű'), ("ugrave", 'ù'),
    ("umacr", 'ū'), ("uml", '¨'), ("upsih", 'ϒ'), ("upsilon", 'υ'), ("uring", 'ů'), ("uuml", 'ü'), ("verbar", '|'),
    ("xi", 'ξ'), ("yacute", 'ý'), ("yen", '¥'), ("yuml", 'ÿ'), ("zacute", 'ź'), ("zcaron", 'ž'), ("zdot", 'ż'),
    ("zeta", 'ζ'), ("zwj", '\u{200d}'), ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_fit_the_window() {
        assert!(NAMED.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(
            NAMED
                .iter()
                .all(|(name, _)| name.len() + 1 < MAX_NAME_BYTES)
        );
    }

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
        ] {
            assert_eq!(decode(sgml), expected);
        }
    }

    #[test]
    fn what_is_no_entity_stays() {
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
            "&averyveryverylongname;",
            "&é;é",
            "&ééééééééé;",
        ] {
            assert_eq!(decode(text), text);
        }
        assert_eq!(decode("&&amp;"), "&&");
        assert!(matches!(decode("plain"), Cow::Borrowed(_)));
    }
}
