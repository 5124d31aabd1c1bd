//! A random sample of the queries of a collection, where all would take too long.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use esparsa::eval::Qrels;
use esparsa::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// Writes the judgements of at most this many queries, in BEIR's layout. Which they are depends on
/// the ids of queries alone, so that a rerun and another machine take the same.
///
/// # Errors
///
/// What reading and writing gives.
pub(super) fn write(qrels: &Path, queries: usize, to: &Path) -> Result<()> {
    let qrels = Qrels::open(qrels)?;
    let mut text = "query-id\tcorpus-id\tscore\n".to_owned();
    let chosen = sample(&qrels, queries);
    for query in qrels.queries().filter(|query| chosen.contains(query)) {
        let judged = qrels.judgments(query).into_iter().flatten();
        let mut judged: Vec<_> = judged.collect();
        judged.sort();
        for (document, grade) in judged {
            let _ = writeln!(text, "{query}\t{document}\t{grade}");
        }
    }
    std::fs::write(to, text).map_err(|source| Error::io(to, "write", source))
}

fn sample(qrels: &Qrels, count: usize) -> HashSet<&str> {
    let mut by_hash: Vec<(u64, &str)> = qrels
        .queries()
        .map(|query| (xxh3_64(query.as_bytes()), query))
        .collect();
    by_hash.sort_unstable();
    let chosen = by_hash.into_iter().take(count);
    chosen.map(|(_, query)| query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_this_size_and_a_larger_one_holds_it() {
        let lines: String = (0..100).fold(String::new(), |text, query| {
            text + &format!("q{query} 0 d{query} 1\n")
        });
        let qrels = Qrels::read(lines.as_bytes(), "qrels").unwrap();
        let (few, more) = (sample(&qrels, 10), sample(&qrels, 40));
        assert_eq!((few.len(), more.len()), (10, 40));
        assert!(few.is_subset(&more));
        assert_eq!(sample(&qrels, 1_000).len(), 100);
    }
}
