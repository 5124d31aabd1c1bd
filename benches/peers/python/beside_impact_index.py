"""Driver of impact-index, MaxScore and WAND with block maxima over bit-packed lists (Piwowarski)."""

import collections
import os
import sys
import time

import impact_index
import numpy

import driver

NAME, PACKAGE = "impact-index", "impact-index"
ALGORITHMS = ("maxscore", "wand")
MODES = [(kind, mode) for kind in ("text", "sparse") for mode in ALGORITHMS]
# Terms by number, and documents by place where they were added in another order.
TERMS, ORDER = "terms.txt", "order.bin"


def build(work, index, options):
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    raw, compressed = index / "raw", index / "compressed"
    add = add_texts if work.kind == "text" else add_vectors
    built = add(work, index, raw, options.order).build(True)
    built.compress(str(compressed))
    del built
    for path in raw.iterdir():
        path.unlink()
    raw.rmdir()
    if options.order is not None:
        work.order(options.order).tofile(index / ORDER)
    needed = [path for path in index.rglob("*") if path.is_file()]
    note = f"compress() as it comes: blocks of 128, whole numbers bit-packed without loss; {options.threads} thread(s)"
    return {"index_bytes": driver.bytes_of(needed), "note": note}


def add_texts(work, index, raw, order):
    """Adds documents by the numbers that the driver gives to terms."""
    builder = impact_index.BOWIndexBuilder(str(raw), dtype="int32")
    numbers = {}
    for place, (_, text) in enumerate(work.texts(order)):
        counts = collections.Counter(text.split())
        terms = [numbers.setdefault(term, len(numbers)) for term in counts]
        builder.add(place, numpy.array(terms, numpy.uintp), numpy.array(list(counts.values()), numpy.int32))
    with open(index / TERMS, "w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(f"{term}\n" for term in numbers)
    return builder


def add_vectors(work, _, raw, order):
    builder = impact_index.IndexBuilder(str(raw), dtype="int32")
    vectors = work.vectors()
    for place, number in enumerate(work.order(order).tolist()):
        terms, weights = vectors[number]
        builder.add(place, terms.astype(numpy.uintp), weights.astype(numpy.int32))
    return builder


def search(work, index, options):
    if (work.kind, options.mode) not in MODES:
        raise ValueError(f"expected a mode of {NAME} for {work.kind} work, found {options.mode}")
    start = time.perf_counter()
    opened = impact_index.Index.load(str(index / "compressed"), True)
    if work.kind == "text":
        opened = opened.with_scoring(impact_index.BM25Scoring(k1=1.2, b=0.75, variant="lucene"))
    open_us = driver.rounded((time.perf_counter() - start) * 1e6)
    search_one = {"maxscore": opened.search_maxscore, "wand": opened.search_wand}[options.mode]
    queries = queries_of(work, index, options.queries)
    times, found = driver.measure(queries, options.rounds, lambda query: search_one(query, options.k))
    order = work.order(index / ORDER if (index / ORDER).exists() else None).tolist()
    hits = [[(order[hit.docid], hit.score) for hit in of_one] for of_one in found]
    note = "index in memory; its BM25 with Lucene's idf"
    return driver.Search(times, hits, note if work.kind == "text" else "index in memory", open_us=open_us)


def queries_of(work, index, limit):
    """Weights by the number of the term."""
    if work.kind == "sparse":
        return [dict(zip(terms, map(float, weights))) for terms, weights in work.sparse_queries(limit)]
    with open(index / TERMS, encoding="utf-8", newline="\n") as lines:
        numbers = {line.removesuffix("\n"): number for number, line in enumerate(lines)}
    counts = [collections.Counter(terms) for terms in work.text_queries(limit)]
    return [{numbers[term]: float(count) for term, count in of_one.items() if term in numbers} for of_one in counts]


if __name__ == "__main__":
    driver.main(sys.modules[__name__])
