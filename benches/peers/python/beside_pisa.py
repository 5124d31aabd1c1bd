"""Driver of PISA, the native module of pyterrier-pisa, without Java and pandas around it (Mallia, Siedlaczek, Mackenzie and Suel, 2019).

Queries are given as an iterator, which PISA asks for the next query when it has stored the results of the one before: the time
between two of its calls is that of a query.
"""

import collections
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy

import driver

NAME, PACKAGE = "pisa", "pyterrier_pisa"
ALGORITHMS = ("block_max_maxscore", "block_max_wand", "maxscore", "wand")
# Sums of BM25's parts in 8 bits, computed when the index is made.
QUANTIZED = "maxscore,quantized"
MODES = [("text", mode) for mode in (*ALGORITHMS, QUANTIZED)] + [("sparse", mode) for mode in ALGORITHMS]
CODEC, BLOCK_SIZE = "block_simdbp", 64
# Documents that are inverted at a time.
BATCH = 100_000
# What PISA's tokenizer leaves as it is.
PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789 \n"
# In the folder of an index whose terms are not plain.
SPELLED = "terms-are-hexadecimal"


def native_module():
    """The native module by itself: the package around it imports python-terrier."""
    package = importlib.machinery.PathFinder.find_spec("pyterrier_pisa")
    if package is None:
        raise ImportError("expected pyterrier-pisa to be installed")
    folder = package.submodule_search_locations[0]
    spec = importlib.machinery.PathFinder.find_spec("_pisathon", [folder])
    spec = importlib.util.spec_from_file_location("pyterrier_pisa._pisathon", spec.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pisa = native_module()


def build(work, index, options):
    start = time.perf_counter()
    if work.kind == "text":
        invert_texts(work, index, options)
        how = "inverted by PISA"
    else:
        invert_vectors(work, index, options)
        how = "inverted by the driver"
    documents = pisa.num_docs(str(index))
    prepare(index, work.kind, is_quantized=False)
    seconds = time.perf_counter() - start
    needed = [path for path in index.iterdir() if path.name not in intermediate(index)]
    size = driver.bytes_of(needed)
    note = f"{CODEC}, blocks of {BLOCK_SIZE} postings have bounds, {how}, {options.threads} thread(s)"
    if work.kind == "text":
        prepare(index, work.kind, is_quantized=True)
        exact, quantized = (driver.bytes_of(path for path in index.iterdir() if part in path.name) for part in (".q0.", ".q1."))
        note += f"; {QUANTIZED}: {quantized:,} bytes of lists and bounds in place of {exact:,}"
    for name in intermediate(index):
        (index / name).unlink()
    return {"documents": documents, "build_s": seconds, "index_bytes": size, "note": note}


def intermediate(index):
    """Names of the files that are not needed once lists are compressed: of the folder's, all of `inv` and `fwd` but the lexicons."""
    names = {path.name for path in index.iterdir() if path.name.split(".")[0] in ("inv", "fwd")}
    return names - {"fwd.termlex", "fwd.doclex"}


def invert_texts(work, index, options):
    """Lets PISA read documents from a pipe and invert them."""
    is_plain = not (work.folder / "documents.txt").read_bytes().translate(None, PLAIN)
    if not is_plain:
        (index / SPELLED).touch()
    with tempfile.TemporaryDirectory() as folder:
        pipe = os.path.join(folder, "documents")
        os.mkfifo(pipe)
        writer = threading.Thread(target=write_texts, args=(work, pipe, options.order, is_plain), daemon=True)
        writer.start()
        # PISA takes one thread more than it is told.
        pisa.index(pipe, str(index), "", BATCH, max(1, options.threads - 1))
        writer.join()


def write_texts(work, path, order, is_plain):
    with open(path, "w", encoding="ascii", newline="\n") as lines:
        for number, text in work.texts(order):
            terms = text if is_plain else " ".join(map(spelled, text.split()))
            lines.write(f"{number} {terms}\n")


def spelled(term):
    """A term as its bytes in hexadecimal, since PISA's tokenizer splits at what is no letter of English and no digit."""
    return term.encode().hex()


def invert_vectors(work, index, options):
    """Writes posting lists as PISA keeps them before they are compressed, with weights in the place of frequencies."""
    order = work.order(options.order)
    vectors = work.vectors().taken(order)
    documents = numpy.repeat(numpy.arange(len(vectors), dtype="<u4"), numpy.diff(vectors.offsets))
    by_term = numpy.argsort(vectors.terms, kind="stable")
    documents, weights = documents[by_term], vectors.weights[by_term].astype("<u4")
    counts = numpy.bincount(vectors.terms)
    ends = numpy.cumsum(counts)
    # The lexicon is sorted as strings are.
    terms = sorted(numpy.flatnonzero(counts).tolist(), key=str)
    with open(index / "inv.docs", "wb") as lists, open(index / "inv.freqs", "wb") as frequencies:
        numpy.array([1, len(vectors)], "<u4").tofile(lists)
        for term in terms:
            length = numpy.array([counts[term]], "<u4")
            within = slice(ends[term] - counts[term], ends[term])
            for file, values in ((lists, documents), (frequencies, weights)):
                length.tofile(file)
                values[within].tofile(file)
    # Lengths have to be there, though sums of weights need none.
    numpy.concatenate([[len(vectors)], numpy.diff(vectors.offsets)]).astype("<u4").tofile(index / "inv.sizes")
    for name, entries in (("term", terms), ("doc", order.tolist())):
        names = index / f"fwd.{name}s"
        names.write_text("".join(f"{entry}\n" for entry in entries), encoding="ascii")
        pisa.build_binlex(str(names), str(index / f"fwd.{name}lex"))


def prepare(index, kind, is_quantized):
    """Opens an index for one way of scoring, making its lists and bounds where they are not there."""
    context = pisa.RetrievalContext()
    scorer = {"scorer_name": "bm25", "bm25_k1": 1.2, "bm25_b": 0.75} if kind == "text" else {"scorer_name": "quantized"}
    pisa.prepare_index(context, str(index), CODEC, stemmer="", block_size=BLOCK_SIZE, quantize=int(is_quantized), **scorer)
    return context


class Queries:
    """Queries as PISA asks for them, and when it did."""

    def __init__(self, queries):
        self.queries = queries
        self.readings = []

    def __len__(self):
        return len(self.queries)

    def __iter__(self):
        read, clock = self.readings.append, time.perf_counter_ns
        for query in self.queries:
            read(clock())
            yield query
        read(clock())

    def times(self):
        """Microseconds of each query."""
        return numpy.diff(self.readings) / 1000


def search(work, index, options):
    if (work.kind, options.mode) not in MODES:
        raise ValueError(f"expected a mode of {NAME} for {work.kind} work, found {options.mode}")
    start = time.perf_counter()
    context = prepare(index, work.kind, options.mode == QUANTIZED)
    algorithm = options.mode.removesuffix(",quantized")
    open_us = driver.rounded((time.perf_counter() - start) * 1e6)
    queries, is_weighted = queries_of(work, index, options.queries)
    if not queries:
        raise ValueError("there are no queries")
    times, hits = [], None
    for _ in range(options.rounds + 1):
        asked = Queries(queries)
        found = retrieve(context, algorithm, asked, options.k, is_weighted)
        times.append(asked.times())
        hits = hits if hits is not None else hits_of(found, len(queries))
    naming = us_a_hit()
    times = numpy.array(times) - naming * numpy.array([len(of_query) for of_query in hits])
    note = f"times less {naming:.3f} us a hit for strings of Python that name documents"
    return driver.Search(times, hits, note, open_us=open_us)


def queries_of(work, index, limit):
    """Numbered queries with the weights of their terms, and whether any weight is not 1: PISA is faster without weights."""
    if work.kind == "text":
        spell = spelled if (index / SPELLED).exists() else str
        weights = [collections.Counter(map(spell, terms)) for terms in work.text_queries(limit)]
    else:
        weights = [dict(zip(map(str, terms), of_terms)) for terms, of_terms in work.sparse_queries(limit)]
    queries = [(number, {term: float(weight) for term, weight in of_terms.items()}) for number, of_terms in enumerate(weights)]
    return queries, any(weight != 1 for _, of_terms in queries for weight in of_terms.values())


def retrieve(context, algorithm, queries, k, is_weighted):
    """One pass over the queries: numbers of queries, names of documents and scores of all hits."""
    room = len(queries) * k
    numbers, names = numpy.empty(room, numpy.int32), numpy.empty(room, object)
    ranks, scores = numpy.empty(room, numpy.int32), numpy.empty(room, numpy.float32)
    results = {"result_qidxs": numbers, "result_docnos": names, "result_ranks": ranks, "result_scores": scores}
    count = pisa.retrieve(context, algorithm, queries, k=k, threads=1, pretokenised=1, query_weighted=int(is_weighted), **results)
    return numbers[:count], names[:count], scores[:count]


def us_a_hit():
    """What the name of a hit takes: measured with as many documents of one term, of which few or all are asked for."""
    count, few, times = 1000, 10, {}
    with tempfile.TemporaryDirectory() as folder:
        documents = os.path.join(folder, "documents")
        with open(documents, "w", encoding="ascii") as lines:
            lines.writelines(f"{10**6 + number} a\n" for number in range(count))
        pisa.index(documents, folder, "", BATCH, 1)
        context = prepare(Path(folder), "text", is_quantized=False)
        for k in (few, count):
            asked = Queries([(number, {"a": 1.0}) for number in range(200)])
            retrieve(context, "maxscore", asked, k, is_weighted=False)
            times[k] = asked.times().min()
    return max(0.0, (times[count] - times[few]) / (count - few))


def hits_of(found, queries):
    hits = [[] for _ in range(queries)]
    for query, name, score in zip(*(values.tolist() for values in found)):
        hits[query].append((int(name), score))
    return hits


if __name__ == "__main__":
    driver.main(sys.modules[__name__])
