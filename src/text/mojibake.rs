//! Repair of text that was decoded with the wrong character set: `cafÃ©` becomes `café`.
//!
//! The library `plsfix` decides what to repair; everything but its repair of encodings is turned
//! off. It is large, so it is behind a cargo feature. It always decodes HTML entities as well, with
//! no option against it. We pass the text in pieces that end after each `&`, so no piece contains
//! an entity.

use std::borrow::Cow;

use crate::error::Result;

/// Checks that this build can repair text.
///
/// # Errors
///
/// [`Error::InvalidInput`](crate::Error::InvalidInput) if it cannot.
#[cfg(feature = "mojibake")]
pub(super) fn require() -> Result<()> {
    Ok(())
}

/// Checks that this build can repair text.
///
/// # Errors
///
/// [`Error::InvalidInput`](crate::Error::InvalidInput) if it cannot.
#[cfg(not(feature = "mojibake"))]
pub(super) fn require() -> Result<()> {
    Err(crate::error::Error::invalid(
        "the analyzer option `mojibake` is not in this build; enable the cargo feature `mojibake` of esparsa",
    ))
}

/// `text` with wrongly decoded characters repaired.
#[cfg(not(feature = "mojibake"))]
pub(super) fn repair(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// `text` with wrongly decoded characters repaired.
#[cfg(feature = "mojibake")]
pub(super) fn repair(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut repaired = String::new();
    for piece in text.split_inclusive(['\n', '&']) {
        repaired.push_str(&repair_piece(piece));
    }
    if repaired == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(repaired)
    }
}

#[cfg(feature = "mojibake")]
fn repair_piece(piece: &str) -> Cow<'_, str> {
    if piece.is_ascii() {
        return Cow::Borrowed(piece);
    }
    let settings = plsfix::TextFixerConfig {
        unescape_html: Some(false),
        remove_terminal_escapes: false,
        fix_encoding: true,
        restore_byte_a0: true,
        replace_lossy_sequences: false,
        decode_inconsistent_utf8: true,
        fix_c1_controls: true,
        fix_latin_ligatures: false,
        fix_character_width: false,
        uncurl_quotes: false,
        fix_line_breaks: false,
        remove_control_chars: false,
        normalization: None,
        ..plsfix::TextFixerConfig::default()
    };
    Cow::Owned(plsfix::fix_and_explain(piece, false, Some(&settings)).text)
}

#[cfg(all(test, feature = "mojibake"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wrongly_decoded_text_is_repaired() {
        assert_eq!(repair("cafÃ© da manhÃ£"), "café da manhã");
        assert_eq!(repair("itâ€™s"), "it’s");
        assert_eq!(
            repair("informaÃ§Ã£o & configuraÃ§Ãµes\nfim"),
            "informação & configurações\nfim"
        );
    }

    #[test]
    fn sound_text_stays_as_it_is() {
        for text in [
            "",
            "plain &amp; simple\r\n",
            "café, “naïve” coöperation …",
            "NÃO É “MAÇÔ",
            "한국어 &lt; 日本語 ｶﾅ ﬁ",
        ] {
            assert!(
                matches!(repair(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_repaired(text in "(\\PC|[\u{80}-\u{ff}â€™\n& ]){0,40}") {
            repair(&text);
        }
    }
}
