"""Driver of bmp, block-max pruning of blocks of documents in the order of their bounds (Mallia, Suel and Tonellotto, 2024).

A batch is searched on one thread by code that bmp also uses for single queries, where it allocates 65,537 lists a query.
Only the batch is measured, by bmp's own readings of the clock around each search, which clock.c keeps. What bmp prints of them
must agree with what is read here.
"""

import contextlib
import ctypes
import os
import re
import sys
import tempfile
import time

import bmp
import numpy

import driver

NAME, PACKAGE = "bmp", "bmp"
# Documents of a block, and whether its bounds are lists of those that are not zero.
SETTINGS = {"block=8": (8, False), "block=16": (16, False)}
MODES = [("sparse", mode) for mode in SETTINGS]
# Readings of the clock for each query: before and after the search, and by the bar of progress. Two more come before the first.
READINGS, READINGS_BEFORE = 3, 2


def build(work, index, options):
    ciff = work.folder / "documents.ciff"
    if not ciff.exists():
        raise ValueError(f"expected {ciff}; write it with peers-work ciff {work.folder}")
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    seconds, sizes = {}, {}
    for mode, (block_size, is_compressed) in SETTINGS.items():
        start = time.perf_counter()
        bmp.ciff2bmp(ciff_file=str(ciff), output=str(index / mode), bsize=block_size, compress_range=is_compressed)
        seconds[mode] = time.perf_counter() - start
        sizes[mode] = (index / mode).stat().st_size
    first, *others = SETTINGS
    more = [f"{mode}: {seconds[mode]:.2f} s, {sizes[mode]:,} bytes" for mode in others]
    note = f"from CIFF, in its order; {first}; {'; '.join(more)}; {options.threads} thread(s)"
    return {"build_s": seconds[first], "index_bytes": sizes[first], "note": note}


def search(work, index, options):
    if options.mode not in SETTINGS:
        raise ValueError(f"expected a mode of {', '.join(SETTINGS)}, found {options.mode}")
    path = str(index / options.mode)
    queries = work.sparse_queries(options.queries)
    places = list(range(len(queries)))
    notes = ["bmp's own times, without looking terms up and without sorting what was found", "query weights scaled to at most 32 by bmp"]
    try:
        times, hits = batch(path, queries, places, options)
    except Panic:
        places = searchable(path, queries, options.k)
        notes.append(f"{len(queries) - len(places)} queries make it panic: no hits, and the mean as their time")
        if not places:
            raise ValueError("every query makes bmp panic") from None
        times, hits = batch(path, queries, places, options)
    return driver.Search(times, hits, "; ".join(notes), index_bytes=os.path.getsize(path))


class Panic(Exception):
    """bmp panicked."""


def panics(call, *arguments):
    """Calls bmp; a panic of it, which is no Exception in Python, becomes one."""
    try:
        return call(*arguments)
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise Panic(str(error)) from error
        raise


def searchable(path, queries, k):
    """The places of the queries that bmp searches without a panic, which it has where no block's bound exceeds the
    score that it starts from."""
    searcher, places = bmp.Searcher(path), []
    with CapturedErrors():
        for place, (terms, weights) in enumerate(queries):
            query = {str(term): float(weight) for term, weight in zip(terms, weights)}
            with contextlib.suppress(Panic):
                panics(searcher.search, query, k, 1.0, 1.0)
                places.append(place)
    return places


def batch(path, queries, places, options):
    """Searches the queries of these places in one batch, all passes behind one another: times and hits of all queries."""
    passes = options.rounds + 1
    count = passes * len(places)
    with tempfile.NamedTemporaryFile("w", suffix=".queries", encoding="ascii") as file:
        # A term stands as often as it weighs. The first pass has the numbers of the queries for names.
        lines = [" ".join(" ".join([str(term)] * weight) for term, weight in zip(*queries[place])) for place in places]
        for pass_ in range(passes):
            file.writelines(f"{place if pass_ == 0 else 'again'}: {line}\n" for place, line in zip(places, lines))
        file.flush()
        with CapturedErrors() as errors, ClockLog(READINGS_BEFORE + READINGS * count + 1) as log:
            run = panics(bmp.search, path, file.name, options.k, 1.0, 1.0)
    searches = search_times(log.readings, count, said_mean(errors.text)).reshape(passes, len(places))
    times = numpy.repeat(searches.mean(axis=1, keepdims=True), len(queries), axis=1)
    times[:, places] = searches
    return times, read_run(run, len(queries))


def said_mean(errors):
    """The mean that bmp prints after a batch, in microseconds."""
    found = re.search(r"search_elapsed = (\d+)", errors)
    if found is None:
        raise RuntimeError("bmp has not said how long it searched")
    return int(found.group(1))


def search_times(readings, count, mean):
    """Microseconds of each of `count` searches.

    Each search lies between the first two of its readings. The mean of the times in whole microseconds has to be the one
    that bmp said, since another version may read the clock elsewhere.
    """
    if len(readings) == READINGS_BEFORE + READINGS * count:
        of_searches = readings[READINGS_BEFORE:].reshape(count, READINGS).astype(numpy.int64)
        nanoseconds = of_searches[:, 1] - of_searches[:, 0]
        if int((nanoseconds // 1000).sum()) // count == mean:
            return nanoseconds / 1000
    raise RuntimeError(f"expected {count} searches of {mean} us by the mean among {len(readings)} readings of the clock")


def read_run(run, queries):
    """Hits of each query from a run in the format of TREC."""
    hits = [[] for _ in range(queries)]
    for line in run.splitlines():
        query, _, document, _, score, _ = line.split()
        if query != "again":
            hits[int(query)].append((int(document), float(score)))
    return hits


class ClockLog:
    """Keeps readings of the clock, by clock.c."""

    def __init__(self, room):
        self.recorder = ctypes.CDLL(None)
        if not hasattr(self.recorder, "clock_log_start"):
            raise ValueError("start with LD_PRELOAD=clock.so, as setup says")
        self.recorder.clock_log_stop.restype = ctypes.c_size_t
        self.buffer = (ctypes.c_uint64 * room)()
        self.readings = None

    def __enter__(self):
        self.recorder.clock_log_start(self.buffer, ctypes.c_size_t(len(self.buffer)))
        return self

    def __exit__(self, *_):
        used = self.recorder.clock_log_stop()
        self.readings = numpy.frombuffer(self.buffer, numpy.uint64)[:used].copy()


class CapturedErrors:
    """Keeps what is written to standard error, which native code writes to as well; on an error, writes it after all."""

    def __enter__(self):
        self.file = tempfile.TemporaryFile()
        self.before = os.dup(2)
        os.dup2(self.file.fileno(), 2)
        return self

    def __exit__(self, kind, *_):
        os.dup2(self.before, 2)
        os.close(self.before)
        self.file.seek(0)
        self.text = self.file.read().decode(errors="replace")
        self.file.close()
        if kind is not None and kind is not Panic:
            sys.stderr.write(self.text)


if __name__ == "__main__":
    driver.main(sys.modules[__name__])
