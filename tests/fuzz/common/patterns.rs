//! Slow and obvious versions of patterns of terms.

/// Whether `*` and `?` match; a backslash takes away the meaning of the character after it.
pub fn is_like(pattern: &str, term: &str) -> bool {
    let mut characters = pattern.chars();
    // After each character of the pattern: which prefixes of the term match what was read of it.
    let term: Vec<char> = term.chars().collect();
    let mut matched = vec![false; term.len() + 1];
    matched[0] = true;
    while let Some(character) = characters.next() {
        let wanted = match character {
            '*' => {
                let first = matched.iter().position(|is_match| *is_match);
                (first.unwrap_or(matched.len())..matched.len()).for_each(|end| matched[end] = true);
                continue;
            }
            '?' => None,
            '\\' => Some(characters.next().unwrap_or('\\')),
            character => Some(character),
        };
        for end in (1..matched.len()).rev() {
            let is_wanted = wanted.is_none_or(|wanted| wanted == term[end - 1]);
            matched[end] = matched[end - 1] && is_wanted;
        }
        matched[0] = false;
    }
    matched[term.len()]
}

/// Edits between two words by the full table: insertions, deletions, replacements, and swaps of
/// neighbors (optimal string alignment).
fn edits(left: &[char], right: &[char]) -> usize {
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            if i == 0 || j == 0 {
                table[i][j] = i + j;
                continue;
            }
            let replaced = table[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            table[i][j] = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                table[i][j] = table[i][j].min(table[i - 2][j - 2] + 1);
            }
        }
    }
    table[left.len()][right.len()]
}

/// Whether a term has the same first characters and few edits behind them.
pub fn is_near(wanted: &str, term: &str, distance: u8, prefix: usize) -> bool {
    let wanted: Vec<char> = wanted.chars().collect();
    let term: Vec<char> = term.chars().collect();
    let prefix = prefix.min(wanted.len());
    term.get(..prefix) == Some(&wanted[..prefix])
        && edits(&wanted[prefix..], &term[prefix..]) <= usize::from(distance)
}
