//! The names that one tensor has in different files.

/// Prefixes that wrappers put before all names.
const OUTER: [&str; 6] = [
    "",
    "model.",
    "module.",
    "auto_model.",
    "0.auto_model.",
    "0.model.",
];
/// Prefixes that classes with a head put before the names of their transformer.
const BASE: [&str; 8] = [
    "",
    "bert.",
    "roberta.",
    "distilbert.",
    "electra.",
    "deberta.",
    "transformer.",
    "encoder.",
];
/// The number of near names that an error lists.
const NEAR: usize = 3;
/// The max number of names that are compared to find them; published models have hundreds.
const COMPARED: usize = 10_000;

/// All names that `name` may have in a file, the likeliest first.
pub(super) fn spellings(name: &str) -> impl Iterator<Item = String> {
    let own = [Some(name.to_owned()), old_norm(name), shared(name)];
    own.into_iter().flatten().flat_map(|name| {
        OUTER.iter().flat_map(move |outer| {
            let name = name.clone();
            BASE.iter().map(move |base| format!("{outer}{base}{name}"))
        })
    })
}

/// The names of a norm's weight and bias in files that were converted from TensorFlow.
fn old_norm(name: &str) -> Option<String> {
    let (rest, last) = name.rsplit_once('.')?;
    let (_, owner) = rest.rsplit_once('.').unwrap_or(("", rest));
    if !owner.to_lowercase().contains("norm") {
        return None;
    }
    match last {
        "weight" => Some(format!("{rest}.gamma")),
        "bias" => Some(format!("{rest}.beta")),
        _ => None,
    }
}

/// T5's encoder saved alone may keep its embeddings under the encoder's name.
fn shared(name: &str) -> Option<String> {
    (name == "shared.weight").then(|| "encoder.embed_tokens.weight".to_owned())
}

/// The names nearest to `name`, in quotes.
pub(super) fn near<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut ranked: Vec<(usize, &String)> = names
        .take(COMPARED)
        .map(|other| (distance(name.as_bytes(), other.as_bytes()), other))
        .collect();
    ranked.sort();
    ranked
        .into_iter()
        .take(NEAR)
        .map(|(_, name)| format!("`{name}`"))
        .collect()
}

/// The Levenshtein distance in bytes between two names; of very long names only the ends are
/// compared.
fn distance(a: &[u8], b: &[u8]) -> usize {
    const MAX_BYTES: usize = 128;
    let a = &a[a.len().saturating_sub(MAX_BYTES)..];
    let b = &b[b.len().saturating_sub(MAX_BYTES)..];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_itself_comes_first() {
        assert_eq!(spellings("a.weight").next().unwrap(), "a.weight");
    }

    #[test]
    fn norms_have_old_names_and_other_layers_do_not() {
        assert!(spellings("x.LayerNorm.bias").any(|name| name == "bert.x.LayerNorm.beta"));
        assert!(spellings("sa_layer_norm.weight").any(|name| name == "sa_layer_norm.gamma"));
        assert!(!spellings("x.dense.weight").any(|name| name.ends_with("gamma")));
    }

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"same", b"same"), 0);
    }
}
