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
/// `normalization`: `"min-max"`, `"z-score"`, `"sum"`, `"rank"`, `"sigmoid"` or `"none"`. `weights` are
/// one for each ranking; `k` is how many documents are kept. Ranks count 1 / (`rank_constant` + rank) in
/// `"rrf"`.
#[pyfunction]
#[pyo3(signature = (
    rankings, *, method = "weighted-sum", normalization = "z-score", weights = None, k = None,
    rank_constant = 60
))]
pub fn fuse<'py>(
    py: Python<'py>,
    rankings: Vec<Bound<'py, PyAny>>,
    method: &str,
    normalization: &str,
    weights: Option<Vec<f64>>,
    k: Option<usize>,
    rank_constant: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let normalization: Normalization = normalization.parse().map_err(raise)?;
    let mut fusion = match method {
        "rrf" => Fusion::new(Method::ReciprocalRank { k: rank_constant }),
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
        let hits: Vec<&Hits> = hits.iter().map(|hits| &hits.get().hits).collect();
        let fused = fusion.fuse_hits(&hits).map_err(raise)?;
        return Ok(Bound::new(py, PyHits::of(fused))?.into_any());
    }
    let runs: Vec<Run> = rankings.iter().map(run).collect::<PyResult<_>>()?;
    let fused = fusion.fuse_runs(&runs).map_err(raise)?;
    // The queries of the first run, and then those that only others have.
    let queries = PyDict::new(py);
    for ranking in &rankings {
        for query in ranking.cast::<PyMapping>()?.keys()? {
            let query: String = query.extract()?;
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
