r"""Writes tests/rank/reference.json: runs, and what ranx makes of them, for tests/rank.rs.

How to run it again, from the root of the repository:

    python3 -m venv /tmp/rank-reference
    /tmp/rank-reference/bin/pip install ranx==0.3.21
    /tmp/rank-reference/bin/python tests/rank/make_reference.py

Everything is drawn from a fixed seed, so the file comes out the same. Three runs, five queries:

    1  scores of three kinds, documents that only one or two runs have
    2  the second run lacks it
    3  many ties; the first run has one score for all
    4  the third run has one document, the first one has none
    5  scores below 0

ranx wants the same queries in all runs, so where a run lacks a query it is handed an empty list. It is so only after
normalization: the z-score of an empty list divides by zero in one of its threads, which then leaves out other queries
too, without a word. Where all scores of a query are equal, ranx normalizes them to 0, as if nothing had been found; here
they are put to 1 (to 1 over their number under sum). Among equal scores its ranks are those of an unstable sort: where only ranks count, it is handed
runs whose scores fall by 1 in the order of trec_eval, which is that of esparsa. Figures are rounded to 12 places.
"""

import importlib.metadata
import json
import pathlib
import random

import numpy as np
import ranx

OUTPUT = pathlib.Path(__file__).parent / "reference.json"
QUERIES = ["1", "2", "3", "4", "5"]
DOCUMENTS = [f"d{number}" for number in range(1, 21)]

# Our name, the name for ranx.
NORMALIZATIONS = [
    ("none", None),
    ("min-max", "min-max"),
    ("sum", "sum"),
    ("z-score", "zmuv"),
    ("rank", "rank"),
]
WEIGHTS = [0.3, 0.7, 1.5]


def draw(source, score, most):
    chosen = source.sample(DOCUMENTS, source.randint(8, most))
    return {document: score() for document in chosen}


def make_runs():
    source = random.Random(20260401)
    bm25 = lambda: round(source.uniform(2.0, 30.0), 4)
    cosine = lambda: round(source.uniform(0.2, 0.9), 6)
    logit = lambda: round(source.gauss(-1.0, 4.0), 5)
    runs = [
        {query: draw(source, score, 14) for query in QUERIES} for score in (bm25, cosine, logit)
    ]
    del runs[1]["2"]
    runs[0]["3"] = {document: 7.1 for document in runs[0]["3"]}
    runs[1]["3"] = {document: source.choice([0.25, 0.5]) for document in runs[1]["3"]}
    runs[2]["3"] = {document: float(source.randint(-1, 1)) for document in runs[2]["3"]}
    runs[0]["4"] = {}
    runs[2]["4"] = {"d3": -2.5}
    for run in runs:
        run["5"] = {document: score - 50.0 for document, score in run["5"].items()}
    return runs


def by_ranks(results):
    """Scores that fall by 1 in the order of trec_eval."""
    order = sorted(results, key=lambda document: document.encode(), reverse=True)
    order.sort(key=lambda document: np.float32(results[document]), reverse=True)
    return {document: float(len(order) - place) for place, document in enumerate(order)}


def normalize(run, theirs, ranks_only):
    """The run as ranx normalizes it, without the queries that have no results."""
    scores = {query: by_ranks(results) if ranks_only else results for query, results in run.items()}
    run = ranx.Run({query: results for query, results in scores.items() if results})
    if not theirs:
        return run
    normalized = ranx.normalize(run, norm=theirs).to_dict()
    for query, results in normalized.items():
        if theirs != "rank" and len(set(scores[query].values())) == 1:
            share = 1.0 / len(results) if theirs == "sum" else 1.0
            normalized[query] = {document: share for document in results}
    return ranx.Run(normalized)


def complete(run):
    """The run with an empty list for each query that it lacks."""
    return run.make_comparable(ranx.Qrels({query: {"d1": 1} for query in QUERIES}))


def figures(run):
    """The results of each query that has some."""
    queries = {query: results for query, results in run.to_dict().items() if results}
    return {
        query: {document: round(float(score), 12) for document, score in sorted(results.items())}
        for query, results in sorted(queries.items())
    }


def main():
    runs = make_runs()
    normalized = [
        {
            "normalization": ours,
            "run": number,
            "scores": figures(normalize(run, theirs, ours == "rank")),
        }
        for ours, theirs in NORMALIZATIONS
        if theirs
        for number, run in enumerate(runs)
    ]
    fused = []

    def fuse(method, theirs, normalization=("none", None), numbers=(0, 1, 2), **params):
        ours, norm = normalization
        ranks_only = method == "rrf" or ours == "rank"
        inputs = [complete(normalize(runs[number], norm, ranks_only)) for number in numbers]
        run = ranx.fuse(inputs, norm=None, method=theirs, params=params)
        case = {"method": method, "normalization": ours, "runs": numbers}
        fused.append(case | params | {"scores": figures(run)})

    fuse("rrf", "rrf", k=60)
    fuse("rrf", "rrf", numbers=(2, 1), k=3)
    for normalization in NORMALIZATIONS:
        fuse("weighted-sum", "sum", normalization)
        fuse("weighted-sum", "wsum", normalization, weights=WEIGHTS)
        fuse("weighted-sum", "wsum", normalization, numbers=(0, 1), weights=[0.4, 0.6])
        fuse("comb-mnz", "mnz", normalization)
        fuse("comb-mnz", "wmnz", normalization, weights=WEIGHTS)
        fuse("comb-max", "max", normalization)

    version = importlib.metadata.version("ranx")
    reference = {"ranx": version, "runs": runs, "normalized": normalized, "fused": fused}
    lines = json.dumps(reference, separators=(",", ":"))
    OUTPUT.write_text(lines.replace(',{"', ',\n{"') + "\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes, {len(normalized)} + {len(fused)} cases")


if __name__ == "__main__":
    main()
