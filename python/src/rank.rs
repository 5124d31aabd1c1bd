//! Fusion of rankings.

use esparsa::Hits;
use esparsa::eval::{Run, ScoredDocument};
use esparsa::rank::{Fusion, Method, Normalization};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::{invalid, raise};
use crate::hits::PyHits;

/// Fuses rankings of one query, a list of `Hits` of one snapshot, into `Hits`; or runs, dicts of
/// scores of documents for each query, into a dict.
///
/// `method` is `"rrf"`, by ranks; `"weighted-sum"`, `"comb-mnz"` or `"comb-max"` of scores under a
/// `normalization`: `"z-score"` (the default), `"min-max"`, `"sum"`, `"rank"`, `"sigmoid"` or
/// `"none"`. `weights` are one for each ranking; `k` is how many documents are kept. With `"rrf"` a
/// rank counts 1 / (`rank_constant` + rank), of which the constant is 60 by default.
#[pyfunction]
#[pyo3(signature = (
    rankings, *, method = "weighted-sum", normalization = None, weights = None, k = None,
    rank_constant = None
))]
pub fn fuse<'py>(
    py: Python<'py>,
    rankings: Vec<Bound<'py, PyAny>>,
    method: &str,
    normalization: Option<&str>,
    weights: Option<Vec<f64>>,
    k: Option<usize>,
    rank_constant: Option<u32>,
) -> PyResult<Bound<'py, PyAny>> {
    if method == "rrf" && normalization.is_some() {
        return Err(invalid(
            "expected no normalization with \"rrf\", which is of ranks, found one",
        ));
    }
    if method != "rrf" && rank_constant.is_some() {
        return Err(invalid(
            "expected rank_constant with \"rrf\" alone, found it with another method",
        ));
    }
    let normalization: Normalization = normalization.unwrap_or("z-score").parse().map_err(raise)?;
    let mut fusion = match method {
        "rrf" => Fusion::new(Method::ReciprocalRank {
            k: rank_constant.unwrap_or(60),
        }),
        "weighted-sum" => Fusion::weighted_sum(normalization),
        "comb-mnz" => Fusion::new(Method::CombMnz { normalization }),
        "comb-max" => Fusion::new(Method::CombMax { normalization }),
        other => {
            return Err(invalid(format!(
                "expected method to be \"rrf\", \"weighted-sum\", \"comb-mnz\" or \"comb-max\", found {other:?}"
            )));
        }
    };
    if let Some(weights) = weights {
        fusion = fusion.weights(weights);
    }
    if let Some(k) = k {
        fusion = fusion.k(k);
    }
    let hits: Result<Vec<_>, _> = rankings.iter().map(|each| each.cast::<PyHits>()).collect();
    if let Ok(hits) = hits {
        let commit = hits.first().map_or(0, |hits| hits.get().commit);
        let hits: Vec<&Hits> = hits.iter().map(|hits| &hits.get().hits).collect();
        let fused = fusion.fuse_hits(&hits).map_err(raise)?;
        return Ok(Bound::new(py, PyHits::of(fused, commit))?.into_any());
    }
    let runs: Vec<Run> = rankings.iter().map(run).collect::<PyResult<_>>()?;
    let fused = fusion.fuse_runs(&runs).map_err(raise)?;
    // The queries of the first run, and then those that only others have.
    let queries = PyDict::new(py);
    for ranking in &rankings {
        for query in ranking.cast::<PyMapping>()?.keys()? {
            let query: String = query.extract()?;
            if queries.contains(&query)? {
                continue;
            }
            let scores = PyDict::new(py);
            for hit in fused.ranked(&query) {
                scores.set_item(&hit.document, hit.score)?;
            }
            queries.set_item(query, scores)?;
        }
    }
    Ok(queries.into_any())
}

/// A run from a dict of dicts.
pub fn run(object: &Bound<'_, PyAny>) -> PyResult<Run> {
    let queries = object.cast::<PyMapping>().map_err(|_| {
        let found = object.get_type().to_string();
        invalid(format!(
            "expected a run: a dict of scores of documents for each query, found {found}"
        ))
    })?;
    let mut run = Run::new();
    for item in queries.items()? {
        let (query, scores): (String, Bound<'_, PyAny>) = item.extract()?;
        let scores = scores.cast::<PyMapping>()?.items()?;
        let hits = scores.iter().map(|item| {
            let (document, score): (String, f64) = item.extract()?;
            Ok(ScoredDocument { document, score })
        });
        run.insert(&query, hits.collect::<PyResult<_>>()?)
            .map_err(raise)?;
    }
    Ok(run)
}
