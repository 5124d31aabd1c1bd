//! Runs that no system should be below: what a metric gives for no knowledge at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use esparsa::eval::{Run, ScoredDocument};
use esparsa::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::config::Kind;

/// Writes the run of a floor, made from another run.
///
/// # Errors
///
/// What reading and writing gives.
pub(super) fn write(kind: Kind, of: &Path, to: &Path) -> Result<()> {
    let run = floor(kind, &Run::open(of)?)?;
    let partial = to.with_extension("partial");
    let failed = |source| Error::io(to, "write", source);
    let file = BufWriter::new(File::create(&partial).map_err(failed)?);
    run.write(file, &to.display().to_string(), kind.name())?;
    std::fs::rename(&partial, to).map_err(failed)
}

fn floor(kind: Kind, of: &Run) -> Result<Run> {
    let results = of.queries().filter_map(|query| of.results(query)).flatten();
    let all: BTreeSet<&str> = results.map(|result| result.document.as_str()).collect();
    let all: Vec<&str> = all.into_iter().collect();
    let mut run = Run::new();
    for query in of.queries() {
        let results = of.results(query).unwrap_or_default();
        let own = results.iter().map(|result| result.document.as_str());
        // The order depends on names alone, so that a rerun gives the same.
        let random = |text: &str| xxh3_64(format!("{query}\n{text}").as_bytes());
        let documents: Vec<(&str, f64)> = match kind {
            Kind::Random => some(&all, results.len(), |draw| random(&draw.to_string())),
            Kind::Constant => own.map(|document| (document, 0.0)).collect(),
            _ => own
                .map(|document| (document, (random(document) >> 11) as f64))
                .collect(),
        };
        let mut scored: Vec<ScoredDocument> = documents
            .into_iter()
            .map(|(document, score)| ScoredDocument {
                document: document.to_owned(),
                score,
            })
            .collect();
        scored.sort_by(|a, b| b.score.total_cmp(&a.score));
        run.insert(query, scored)?;
    }
    Ok(run)
}

/// This number of different documents of all, with falling scores.
fn some<'a>(all: &[&'a str], count: usize, random: impl Fn(usize) -> u64) -> Vec<(&'a str, f64)> {
    let (mut drawn, mut draw) = (BTreeSet::new(), 0);
    let mut documents = Vec::with_capacity(count);
    while documents.len() < count.min(all.len()) {
        let place = (random(draw) % all.len() as u64) as usize;
        draw += 1;
        if drawn.insert(place) {
            documents.push((all[place], (count - documents.len()) as f64));
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_have_as_many_documents_as_the_run() {
        let text = "q Q0 a 1 3 x\nq Q0 b 2 2 x\nr Q0 c 1 1 x\n";
        let of = Run::read(text.as_bytes(), "run").unwrap();
        for kind in [Kind::Shuffled, Kind::Constant, Kind::Random] {
            let run = floor(kind, &of).unwrap();
            assert_eq!(run.results("q").unwrap().len(), 2);
            assert_eq!(run.results("r").unwrap().len(), 1);
            let of_q = |document: &str| ["a", "b"].contains(&document);
            let is_of_q = run.results("q").unwrap().iter().all(|d| of_q(&d.document));
            assert!(is_of_q || kind == Kind::Random);
        }
    }
}
