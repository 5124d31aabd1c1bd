"""The frame of the drivers in Python: their command line, their measurements and their reports.

    DRIVER tune WORK --variant V --threads N --batches 8,16
                           tries settings on some of the texts and prints them with their speed, the best separately
    DRIVER pass WORK --variant V --threads N --setting JSON --out FILE
                           encodes all texts, writes their vectors (f32, little-endian), then times queries one by one

An engine is a class that has

    NAME, PACKAGES         its name in reports, and the packages whose versions are reported
    __init__(work, variant, threads)
    settings(batches)      dicts, each with `batch`
    use(setting)           gets ready to encode so
    encode(texts)          an `Encoded`; vectors are pooled by the mean of the tokens and have length 1
    single(threads)        a function from a query to its vector, on that many threads
"""

import argparse
import dataclasses
import importlib.metadata
import json
import math
import os
import resource
import sys
import time
from pathlib import Path

import numpy

from work import Work

# Settings tried again after all were tried once.
FINALISTS = 3
WARMING_QUERIES = 50


@dataclasses.dataclass
class Encoded:
    """Vectors in the order of the texts, and where the seconds went."""

    vectors: numpy.ndarray
    tokenize_s: float
    model_s: float


def main(engine):
    """Runs the command that the program was called with and prints its report on the last line."""
    options = parse(engine)
    # Native code writes to standard output as well; only the report may be there.
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        report = options.command(engine, options)
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    os.write(output, (json.dumps(report) + "\n").encode())


def parse(engine):
    def numbers(text):
        return [int(number) for number in text.split(",")]

    parser = argparse.ArgumentParser(description=f"Lets {engine.NAME} encode the texts of a folder of work.")
    commands = parser.add_subparsers(required=True)
    for name, command in (("tune", tune), ("pass", one_pass)):
        added = commands.add_parser(name)
        added.set_defaults(command=command)
        added.add_argument("work", metavar="WORK")
        added.add_argument("--variant", required=True)
        added.add_argument("--threads", type=int, required=True, metavar="N")
        if name == "tune":
            added.add_argument("--batches", type=numbers, required=True, metavar="N,N")
        else:
            added.add_argument("--setting", type=json.loads, required=True, metavar="JSON")
            added.add_argument("--out", required=True, metavar="FILE")
    return parser.parse_args()


def tune(engine, options):
    work = Work(options.work)
    encoder = engine(work, options.variant, options.threads)
    tried = [{"setting": setting, "tokens_per_s": 0.0} for setting in encoder.settings(options.batches)]
    candidates = tried
    # What was slowest on first trial is not tried again, which would take longer than all else.
    for _ in range(2):
        for trial in candidates:
            encoder.use(trial["setting"])
            encoder.encode(work.warming())
            texts, tokens = work.sample(trial["setting"]["batch"])
            start = time.perf_counter()
            encoder.encode(texts)
            trial["tokens_per_s"] = max(trial["tokens_per_s"], tokens / (time.perf_counter() - start))
        tried.sort(key=lambda trial: -trial["tokens_per_s"])
        candidates = tried[:FINALISTS]
    return {"best": tried[0]["setting"], "tried": tried}


def one_pass(engine, options):
    work = Work(options.work)
    encoder = engine(work, options.variant, options.threads)
    encoder.use(options.setting)
    encoder.encode(work.warming())
    start = time.perf_counter()
    encoded = encoder.encode(work.texts)
    total = time.perf_counter() - start
    memory = peak_memory()
    vectors = numpy.ascontiguousarray(encoded.vectors, dtype="<f4")
    Path(options.out).write_bytes(vectors.tobytes())
    return {
        "versions": {package: importlib.metadata.version(package) for package in engine.PACKAGES},
        "texts": len(vectors),
        "tokens": sum(work.lengths),
        "tokenize_s": encoded.tokenize_s,
        "model_s": encoded.model_s,
        "total_s": total,
        "peak_rss_bytes": memory,
        "latency": {str(threads): latency(encoder.single(threads), work.queries) for threads in sorted({1, options.threads})},
    }


def latency(encode_one, queries):
    """Microseconds of one query at a time."""
    for query in queries[:WARMING_QUERIES]:
        encode_one(query)
    times = []
    for query in queries:
        start = time.perf_counter_ns()
        encode_one(query)
        times.append((time.perf_counter_ns() - start) / 1000)
    times.sort()
    return {"p50_us": quantile(times, 0.5), "p99_us": quantile(times, 0.99)}


def quantile(ordered, share):
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def peak_memory():
    """The most memory that the process has had, in bytes; getrusage counts the parent's as well, where that is larger."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
