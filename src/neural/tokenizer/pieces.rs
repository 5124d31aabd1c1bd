//! Long texts in pieces, split where no token can span the split.
//!
//! Tokenizing needs some hundred bytes of memory for each byte of a text, and truncation discards
//! most of a long text. If a tokenizer splits at every space, a text can be split before a space
//! between two letters or digits: the tokens of the pieces, one after another, are those of the
//! whole. Some tokenizers split before punctuation too, which matters for languages without spaces.
//! A text without such a place in 256 KiB is split anywhere, which may change the tokens there.

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;

/// Min bytes of a piece but the last.
const MIN_PIECE: usize = 32 << 10;
/// The same where few tokens are needed.
const MIN_SHORT_PIECE: usize = 1 << 10;
/// Bytes per token, an estimate on the high side.
const TOKEN_BYTES: usize = 8;
/// Max bytes of a piece.
const MAX_PIECE: usize = 256 << 10;
/// Punctuation between words that may have no space around it.
const MARKS: [char; 11] = [',', '.', ';', ':', '!', '?', '。', '、', '，', '！', '？'];

/// Where a tokenizer's texts may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cuts {
    /// Nowhere, except in a text that would be too long otherwise.
    Nowhere,
    /// Before spaces.
    Spaces,
    /// Before spaces and marks.
    SpacesAndMarks,
}

/// The pieces of a text: the text itself if it is short or may not be cut.
pub(super) fn pieces(text: &str, cuts: Cuts, enough: Option<usize>) -> impl Iterator<Item = &str> {
    let min = match enough {
        Some(tokens) => tokens
            .saturating_mul(TOKEN_BYTES)
            .clamp(MIN_SHORT_PIECE, MIN_PIECE),
        None => MIN_PIECE,
    };
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let max = boundary(text, MAX_PIECE);
        let cut = cut_after(&text[..max], cuts, min);
        let cut = cut.or((max < text.len()).then_some(max));
        let (piece, after) = match cut {
            Some(cut) => (&text[..cut], Some(&text[cut..])),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

/// The first place from byte `min` on where a text may be cut. Runs of blanks are not cut: at the
/// start of a text some tokenizers add a space or strip some.
fn cut_after(text: &str, cuts: Cuts, min: usize) -> Option<usize> {
    if cuts == Cuts::Nowhere || min >= text.len() {
        return None;
    }
    let from = boundary(text, min);
    let mut before = text[..from].chars().next_back();
    let mut letters = text[from..].char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let after = letters.peek().map(|(_, after)| *after);
        let is_between = [before, after]
            .iter()
            .all(|side| side.is_some_and(char::is_alphanumeric));
        let is_cut = match letter {
            ' ' => is_between,
            mark if cuts == Cuts::SpacesAndMarks && MARKS.contains(&mark) => {
                is_between && before.is_some_and(is_base_letter)
            }
            _ => false,
        };
        if is_cut {
            return Some(from + at);
        }
        before = Some(letter);
    }
    None
}

/// The last place up to byte `max` where a character begins.
fn boundary(text: &str, max: usize) -> usize {
    let max = max.min(text.len());
    // Characters have at most four bytes, so that the loop is short; 0 is always a boundary.
    (0..=max)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Letters and digits without combining marks, for which some tokenizers have rules of their own.
fn is_base_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || matches!(letter, 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='\u{9fff}' | '가'..='힣')
}

/// Where texts for this tokenizer may be cut: it must split there, and treat the beginning of a
/// text as what follows a cut.
pub(super) fn cuts(tokenizer: &tokenizers::Tokenizer) -> Cuts {
    let Some(split) = tokenizer.get_pre_tokenizer() else {
        return Cuts::Nowhere;
    };
    let strips = match tokenizer.get_normalizer() {
        None => Some(false),
        Some(normalizer) => strips_left(normalizer),
    };
    let cuts = match strips {
        None => Cuts::Nowhere,
        Some(strips) if !splits_at_spaces(split, strips) => Cuts::Nowhere,
        Some(_) if splits_at_marks(split) => Cuts::SpacesAndMarks,
        Some(_) => Cuts::Spaces,
    };
    let keeps_words = tokenizer
        .get_added_tokens_decoder()
        .values()
        .all(|token| cut_after(&token.content, cuts, 0).is_none());
    match keeps_words {
        true => cuts,
        false => Cuts::Nowhere,
    }
}

fn splits_at_marks(split: &PreTokenizerWrapper) -> bool {
    match split {
        PreTokenizerWrapper::BertPreTokenizer(_) => true,
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.use_regex && !bytes.add_prefix_space,
        _ => false,
    }
}

/// Whether the normalizer strips spaces at the start of a text; `None` if it does something else
/// there.
fn strips_left(normalizer: &NormalizerWrapper) -> Option<bool> {
    match normalizer {
        NormalizerWrapper::Prepend(_) | NormalizerWrapper::ByteLevel(_) => None,
        NormalizerWrapper::StripNormalizer(strip) => Some(strip.strip_left),
        NormalizerWrapper::Sequence(parts) => parts
            .as_ref()
            .iter()
            .try_fold(false, |strips, part| Some(strips | strips_left(part)?)),
        _ => Some(false),
    }
}

fn splits_at_spaces(split: &PreTokenizerWrapper, strips_left: bool) -> bool {
    match split {
        PreTokenizerWrapper::BertPreTokenizer(_)
        | PreTokenizerWrapper::Whitespace(_)
        | PreTokenizerWrapper::WhitespaceSplit(_) => true,
        PreTokenizerWrapper::Metaspace(meta) => {
            meta.split && (!strips_left || meta.prepend_scheme == PrependScheme::Always)
        }
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.use_regex && !strips_left,
        PreTokenizerWrapper::Sequence(parts) => {
            let parts: &[PreTokenizerWrapper] = parts.as_ref();
            let is_local = parts.iter().all(|part| {
                splits_at_spaces(part, strips_left)
                    || matches!(
                        part,
                        PreTokenizerWrapper::Digits(_) | PreTokenizerWrapper::Punctuation(_)
                    )
            });
            is_local && parts.iter().any(|part| splits_at_spaces(part, strips_left))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text() {
        let word = "word, wörter  단어 \n語 1 語。語,a ";
        for repeats in [0, 1, 50, 5_000] {
            let text = word.repeat(repeats);
            for enough in [None, Some(1), Some(500)] {
                for cuts in [Cuts::Nowhere, Cuts::Spaces, Cuts::SpacesAndMarks] {
                    let joined: String = pieces(&text, cuts, enough).collect();
                    assert_eq!(joined, text);
                }
                assert_eq!(pieces(&text, Cuts::Nowhere, enough).count(), 1);
            }
        }
        assert!(pieces(&word.repeat(5_000), Cuts::Spaces, None).count() > 2);
    }

    #[test]
    fn a_piece_begins_with_a_space_between_letters_or_digits() {
        let text = "a. b, c- (d) e\nf ".repeat(20_000);
        let all: Vec<&str> = pieces(&text, Cuts::Spaces, Some(1)).collect();
        assert!(all.len() > 10);
        for pair in all.windows(2) {
            assert!(pair[0].ends_with(char::is_alphanumeric));
            assert!(pair[1].starts_with(" a"));
        }
    }

    #[test]
    fn texts_without_spaces_are_cut_at_marks_where_the_tokenizer_splits_there() {
        let text = "語語語。".repeat(10_000);
        assert_eq!(pieces(&text, Cuts::Spaces, None).count(), 1);
        let all: Vec<&str> = pieces(&text, Cuts::SpacesAndMarks, None).collect();
        assert!(all.len() > 3 && all[1..].iter().all(|piece| piece.starts_with("。語")));
        assert_eq!(
            pieces(&", ".repeat(10_000), Cuts::SpacesAndMarks, None).count(),
            1
        );
    }

    #[test]
    fn no_piece_is_longer_than_the_longest() {
        let text = "語".repeat(1 << 20);
        for cuts in [Cuts::Nowhere, Cuts::Spaces, Cuts::SpacesAndMarks] {
            let all: Vec<&str> = pieces(&text, cuts, Some(4)).collect();
            assert_eq!(all.concat(), text);
            assert!(
                all.iter()
                    .all(|piece| piece.len() <= MAX_PIECE && !piece.is_empty())
            );
        }
    }
}
