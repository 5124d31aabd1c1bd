//! The parts of tokens that segmentation does not split: `browser.js`, `stat_crm_data`, `10,000`,
//! `U.S`.

/// Calls `emit` with each part of `word`, or with `word` without its punctuation; never with `word`
/// itself.
///
/// - Underscores, colons, and dots between letters separate parts: `stat_crm_data`,
///   `Subject:hello`, `finished.The`.
/// - Dots between single letters are dropped: `U.S` becomes `US`.
/// - Commas before three digits are dropped, other commas between digits separate: `10,000` becomes
///   `10000`, `1,2` becomes `1` and `2`. Dots between digits stay: `3.14`, `192.168.0.1`.
pub(super) fn each(word: &str, emit: &mut dyn FnMut(&str)) {
    if !word.contains(['_', ':', '.', ',', ';']) {
        return;
    }
    for part in word.split(['_', ':']).filter(|part| !part.is_empty()) {
        if part.contains([',', ';']) {
            each_number(part, emit);
        } else if is_abbreviation(part) {
            emit(&part.replace('.', ""));
        } else if part.contains('.') {
            each_between_dots(part, part.len() < word.len(), emit);
        } else if part.len() < word.len() {
            emit(part);
        }
    }
}

/// Splits at the dots between letters. A part without such dots is emitted only if `is_new`.
fn each_between_dots(part: &str, is_new: bool, emit: &mut dyn FnMut(&str)) {
    let mut start = 0;
    for (at, _) in part.match_indices('.') {
        let before = part[..at].chars().next_back();
        let after = part[at + 1..].chars().next();
        if before.into_iter().chain(after).any(char::is_alphabetic) {
            if at > start {
                emit(&part[start..at]);
            }
            start = at + 1;
        }
    }
    if start < part.len() && (start > 0 || is_new) {
        emit(&part[start..]);
    }
}

/// Digits with commas: one number with thousands separators, or several numbers.
fn each_number(part: &str, emit: &mut dyn FnMut(&str)) {
    let integer = part.split('.').next().unwrap_or_default();
    let mut groups = integer.split(',');
    let first = groups.next().unwrap_or_default();
    let is_thousands = (1..=3).contains(&first.len())
        && integer.len() > first.len()
        && !part[integer.len()..].contains([',', ';'])
        && groups.all(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()));
    if is_thousands {
        emit(&part.replace(',', ""));
    } else {
        let numbers = part.split([',', ';']);
        numbers.filter(|part| !part.is_empty()).for_each(emit);
    }
}

/// Single letters with dots between them.
fn is_abbreviation(part: &str) -> bool {
    part.contains('.')
        && part
            .split('.')
            .all(|letter| letter.chars().count() == 1 && letter.chars().all(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(word: &str) -> Vec<String> {
        let mut found = Vec::new();
        each(word, &mut |part| found.push(part.to_owned()));
        found
    }

    #[test]
    fn compound_tokens_have_parts() {
        assert_eq!(parts("stat_crm_data"), ["stat", "crm", "data"]);
        assert_eq!(parts("Subject:hello"), ["Subject", "hello"]);
        assert_eq!(parts("finished.The"), ["finished", "The"]);
        assert_eq!(parts("_init"), ["init"]);
        assert_eq!(parts("std::fs"), ["std", "fs"]);
        assert_eq!(parts("a.tar.gz2.0"), ["a", "tar", "gz2.0"]);
    }

    #[test]
    fn punctuation_in_numbers_and_abbreviations_is_dropped() {
        assert_eq!(parts("10,000"), ["10000"]);
        assert_eq!(parts("1,234,567.5"), ["1234567.5"]);
        assert_eq!(parts("1,2"), ["1", "2"]);
        assert_eq!(parts("U.S"), ["US"]);
        assert_eq!(parts("3.14"), Vec::<String>::new());
        assert_eq!(parts("plain"), Vec::<String>::new());
    }
}
