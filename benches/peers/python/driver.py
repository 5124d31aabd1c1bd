"""The frame of a driver: its command line, its measurements and its reports.

An engine is a module that has

    NAME, PACKAGE          its name in reports, and that of its package
    MODES                  pairs of kind and mode, as `modes` prints them
    build(work, index, options)
                           fills the folder `index`; a dict for the report with at least `note` and `index_bytes`; the
                           time is taken here unless it holds `build_s`
    search(work, index, options)
                           a `Search`
"""

import argparse
import importlib.metadata
import json
import math
import os
import resource
import shutil
import sys
import time
from pathlib import Path

import numpy

from work import Work


class Search:
    """What a search measured and found."""

    def __init__(self, times, hits, note="", **more):
        # Microseconds, a row for each pass, the first of which warms; a column for each query.
        self.times = numpy.asarray(times, dtype=float)
        # For each query its documents, as they are numbered in the work, with their scores, best first.
        self.hits = hits
        self.note = note
        # More for the report.
        self.more = more


def main(engine, extra=None):
    """Runs the command that the program was called with and prints its report; `extra` holds more commands by name."""
    options = parse(engine, extra or {})
    # Native code writes to standard output as well; only the report may stand there.
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        report = options.command(engine, options)
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    os.write(output, (report + "\n").encode())


def parse(engine, extra):
    parser = argparse.ArgumentParser(description=f"Lets {engine.NAME} index and search a folder of work.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("modes", help="print the modes, one a line, after their kind")
    command.set_defaults(command=modes)
    command = commands.add_parser("build", help="index the documents of WORK into the folder INDEX, made anew")
    folders(command)
    command.add_argument("--threads", type=int, default=1, metavar="N")
    command.add_argument("--order", metavar="FILE", help="the order in which to add documents")
    command.set_defaults(command=build)
    command = commands.add_parser("search", help="search the queries of WORK")
    folders(command)
    measured(command)
    command.add_argument("--mode", required=True)
    command.add_argument("--out", required=True, metavar="PREFIX")
    command.add_argument("--threads", type=int, choices=(1,), default=1)
    command.set_defaults(command=search)
    for name, add in extra.items():
        add(commands.add_parser(name))
    return parser.parse_args()


def folders(command):
    command.add_argument("work", metavar="WORK")
    command.add_argument("index", metavar="INDEX")


def measured(command):
    """Options of every command that searches."""
    command.add_argument("--k", type=positive, default=10)
    command.add_argument("--rounds", type=positive, default=3, metavar="R")
    command.add_argument("--queries", type=positive, metavar="N")


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {text}")
    return number


def modes(engine, _):
    return "\n".join(f"{kind} {mode}" for kind, mode in engine.MODES)


def build(engine, options):
    work, index = Work(options.work), Path(options.index)
    if work.kind not in {kind for kind, _ in engine.MODES}:
        raise ValueError(f"{engine.NAME} has no mode for {work.kind} work")
    if index.exists():
        shutil.rmtree(index)
    index.mkdir(parents=True)
    start = time.perf_counter()
    built = engine.build(work, index, options)
    seconds = time.perf_counter() - start
    report = {"engine": engine.NAME, "version": version(engine), "documents": work.documents, "build_s": seconds}
    return json.dumps({**report, **built, "peak_rss_bytes": peak_memory()})


def version(engine):
    return importlib.metadata.version(engine.PACKAGE)


def peak_memory():
    """The most memory that the process has had, in bytes.

    getrusage counts the program that started this one too, where it is the larger: only in want of better.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bytes_of(paths):
    """Sum of the sizes of files."""
    return sum(path.stat().st_size for path in paths)


def search(engine, options):
    found = engine.search(Work(options.work), Path(options.index), options)
    least = found.times[1:].min(axis=0)
    with open(f"{options.out}.times", "w", encoding="ascii") as lines:
        lines.writelines(f"{microseconds:.3f}\n" for microseconds in least)
    with open(f"{options.out}.hits", "w", encoding="ascii") as lines:
        for query, hits in enumerate(found.hits):
            lines.writelines(f"{query} {document} {score:.9g}\n" for document, score in hits)
    ordered = numpy.sort(least)
    report = {
        "engine": engine.NAME,
        "mode": options.mode,
        "k": options.k,
        "mean_us": rounded(least.mean()),
        "p50_us": rounded(quantile(ordered, 0.5)),
        "p99_us": rounded(quantile(ordered, 0.99)),
        "passes_us": [rounded(mean) for mean in found.times[1:].mean(axis=1)],
        "first_query_us": rounded(found.times[0][0]),
        "peak_rss_bytes": peak_memory(),
        "note": found.note,
    }
    return json.dumps({**report, **found.more})


def rounded(microseconds):
    return round(float(microseconds), 3)


def quantile(ordered, share):
    """The least value that a share of the values does not exceed."""
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def measure(queries, rounds, search_one):
    """Searches all queries `rounds` + 1 times: the times, and what each query of the first pass found."""
    if not queries:
        raise ValueError("there are no queries")
    clock = time.perf_counter_ns
    times, found = numpy.empty((rounds + 1, len(queries))), []
    for round_ in range(rounds + 1):
        for place, query in enumerate(queries):
            start = clock()
            result = search_one(query)
            times[round_, place] = (clock() - start) / 1000
            if round_ == 0:
                found.append(result)
    return times, found
