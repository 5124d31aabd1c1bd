"""Driver of Seismic, approximate search over clustered posting lists with summaries (Bruch, Nardini, Rulli and Venturini, 2024).

The index is the variant with DotVByte. It keeps weights as fixed-point numbers of 8 bits, 6 of them behind the point, so that
weights divided by 64 are kept exactly, and so are scores.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy
import seismic

import driver
from work import Work

NAME, PACKAGE = "seismic", "pyseismic-lsr"
# Query terms whose lists are looked at, and how much better than the worst kept document a block must promise to be.
DEFAULTS = [(2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0), (5, 0.9), (6, 0.8), (10, 0.8), (20, 0.6)]
GRID = [(cut, heap) for cut in (2, 3, 4, 5, 6, 8, 10, 12, 15, 20) for heap in (1.1, 1.0, 0.9, 0.8, 0.7, 0.6)]
UNIT = 64
# The share of all postings that the lists keep: the 3,000 to 6,000 a list that are advised for the 8.8 million passages of
# MS MARCO, with some 130 terms each in 30,000 lists, are 0.08 to 0.16 of its postings.
KEPT = 1 / 8
SETTINGS = {"centroid_fraction": 0.2, "min_cluster_size": 2, "summary_energy": 0.5, "max_fraction": 6.0}
CHUNK = 50_000
FILE = "documents.index.seismic"


def mode_of(cut, heap):
    return f"cut={cut},heap={heap}"


MODES = [("sparse", mode_of(*pair)) for pair in DEFAULTS]


def build(work, index, options):
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    vectors = work.vectors()
    terms = int(vectors.terms.max()) + 1
    dataset = seismic.SeismicDataset(dim=terms)
    order = work.order(options.order)
    for start in range(0, len(order), CHUNK):
        numbers = order[start : start + CHUNK]
        chunk = vectors.taken(numbers)
        names = [str(number) for number in numbers.tolist()]
        weights = chunk.weights.astype(numpy.float32) / UNIT
        dataset.add_documents_by_id(names, chunk.terms.astype(numpy.int64), weights, chunk.offsets)
    postings = max(1, round(KEPT * len(vectors.terms) / terms))
    built = seismic.SeismicIndexDotVByte.build_from_dataset(dataset, n_postings=postings, num_threads=options.threads, **SETTINGS)
    built.save(str(index / FILE).removesuffix(".index.seismic"))
    settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
    note = f"DotVByte, n_postings={postings}, {settings}, no kNN graph; {options.threads} thread(s)"
    return {"documents": built.len, "index_bytes": (index / FILE).stat().st_size, "note": note}


class Searcher:
    """An open index, and how long its queries and results take on their way between Python and Rust."""

    def __init__(self, index):
        start = time.perf_counter()
        self.index = seismic.SeismicIndexDotVByte.load(str(index / FILE))
        self.open_us = driver.rounded((time.perf_counter() - start) * 1e6)
        self.us_a_term, self.us_a_hit = us_a_term(self.index), us_a_hit()

    def measure(self, queries, rounds, k, cut, heap):
        """Times of all passes, less those of conversion, and what the first found."""
        times, found = driver.measure(queries, rounds, lambda query: self.index.search("", *query, k, cut, heap, 0, True))
        terms = numpy.array([len(terms) for terms, _ in queries])
        hits = numpy.array([len(found_by_one) for found_by_one in found])
        times -= self.us_a_term * terms + self.us_a_hit * hits
        return times, [[(int(document), score * UNIT) for _, score, document in found_by_one] for found_by_one in found]


def tokens(names):
    return numpy.array(names, dtype=seismic.get_seismic_string())


def least_us(call, times=300):
    """The least time of a call, in microseconds."""
    least = float("inf")
    for _ in range(times):
        start = time.perf_counter_ns()
        call()
        least = min(least, time.perf_counter_ns() - start)
    return least / 1000


def us_a_term(index):
    """What a term of a query takes to get into Rust: measured with terms that the index does not have."""
    few, many = 1, 101
    queries = {count: (tokens([f"no {n}" for n in range(count)]), numpy.ones(count, numpy.float32)) for count in (few, many)}
    few_us, many_us = (least_us(lambda: index.search("", *queries[count], 10, 10, 1.0, 0, True)) for count in (few, many))
    return max(0.0, (many_us - few_us) / (many - few))


def us_a_hit():
    """What a hit takes to get into Python: measured with as many documents of one term, of which few or all are asked for."""
    count, few = 1000, 10
    dataset = seismic.SeismicDataset(dim=1)
    weights = numpy.linspace(0.1, 3.0, count, dtype=numpy.float32)
    names = [str(10**6 + number) for number in range(count)]
    dataset.add_documents_by_id(names, numpy.zeros(count, numpy.int64), weights, numpy.arange(count + 1))
    index = seismic.SeismicIndexDotVByte.build_from_dataset(dataset, n_postings=count, num_threads=1, **SETTINGS)
    query = tokens(["0"]), numpy.ones(1, numpy.float32)
    few_us, all_us = (least_us(lambda: index.search("", *query, k, 1, 1.0, 0, True)) for k in (few, count))
    return max(0.0, (all_us - few_us) / (count - few))


def queries_of(work, limit):
    return [(tokens([str(term) for term in terms]), numpy.array(weights, numpy.float32)) for terms, weights in work.sparse_queries(limit)]


def search(work, index, options):
    try:
        cut, heap = (part.removeprefix(name) for part, name in zip(options.mode.split(","), ("cut=", "heap=")))
        cut, heap = int(cut), float(heap)
    except ValueError:
        raise ValueError(f"expected a mode as cut=8,heap=0.8, found {options.mode}") from None
    os.environ["RAYON_NUM_THREADS"] = "1"
    searcher = Searcher(index)
    times, hits = searcher.measure(queries_of(work, options.queries), options.rounds, options.k, cut, heap)
    note = f"times less {searcher.us_a_term:.3f} us a query term and {searcher.us_a_hit:.3f} us a hit for conversion between Python and Rust"
    return driver.Search(times, hits, note, open_us=searcher.open_us)


def add_tune(command):
    """The command that tries all modes: a JSON list of objects with mode, recall and mean_us, fastest first."""
    driver.folders(command)
    driver.measured(command)
    command.add_argument("--exact", required=True, metavar="HITS", help="the hits of an exact search with at least this k")
    command.set_defaults(command=tune)


def tune(_, options):
    os.environ["RAYON_NUM_THREADS"] = "1"
    queries = queries_of(Work(options.work), options.queries)
    exact = read_hits(options.exact, len(queries), options.k)
    searcher, tried = Searcher(Path(options.index)), []
    for cut, heap in GRID:
        times, hits = searcher.measure(queries, options.rounds, options.k, cut, heap)
        mean_us = driver.rounded(times[1:].min(axis=0).mean())
        tried.append({"mode": mode_of(cut, heap), "recall": round(recall(hits, exact), 6), "mean_us": mean_us})
    return json.dumps(sorted(tried, key=lambda one: one["mean_us"]))


def read_hits(path, queries, k):
    """The scores of the best `k` hits of each query."""
    scores = [[] for _ in range(queries)]
    with open(path, encoding="ascii") as lines:
        for line in lines:
            query, _, score = line.split()
            if int(query) < queries and len(scores[int(query)]) < k:
                scores[int(query)].append(float(score))
    return scores


def recall(hits, exact):
    """The mean share of the exact hits that were found. Scores are exact too, so that a document is one of the best or ties
    with the last if its score is no less."""
    shares = [sum(score >= best[-1] for _, score in found) / len(best) for found, best in zip(hits, exact) if best]
    return float(numpy.mean(numpy.minimum(shares, 1.0)))


if __name__ == "__main__":
    driver.main(sys.modules[__name__], {"tune": add_tune})
