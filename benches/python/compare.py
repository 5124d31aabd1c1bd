"""Indexing, latency, throughput and memory of engines that are called from Python: see README.md."""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "peers" / "python"))

from engines import ENGINES  # noqa: E402
from work import Work  # noqa: E402

K = 10
PACKAGES = {
    "bm25s, numba": "bm25s",
    "tantivy-py": "tantivy",
    "seismic": "pyseismic-lsr",
    "splade-index": "splade_index",
}


def texts_of_beir(folder, queries):
    """Documents and test queries of a collection in BEIR's layout."""
    with open(folder / "corpus.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    documents = [f"{row.get('title') or ''} {row['text']}" for row in rows]
    with open(folder / "qrels" / "test.tsv", encoding="utf-8") as lines:
        wanted = {line.split("\t")[0] for line in lines}
    with open(folder / "queries.jsonl", encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines]
    return documents, [row["text"] for row in asked if row["_id"] in wanted][:queries]


def encoded(folder, model, queries):
    """Sparse vectors of a collection, made once and kept beside the results."""
    import esparsa

    documents, asked = texts_of_beir(folder, queries)
    encoder = esparsa.Model(model, precision="bf16")
    matrix = encoder.encode_csr(documents)
    asked = encoder.encode_csr(asked, queries=True)
    return matrix, asked


def rows(matrix):
    offsets = matrix.indptr
    return [(matrix.indices[a:b], matrix.data[a:b]) for a, b in zip(offsets[:-1], offsets[1:])]


def load(arguments):
    """Kind, analysis, documents and queries of a work."""
    folder = Path(arguments.work)
    if (folder / "matrix.npz").exists():
        import scipy.sparse

        matrix, asked = (scipy.sparse.load_npz(folder / name) for name in ("matrix.npz", "queries.npz"))
        return "sparse", "", rows(matrix), rows(asked)[: arguments.queries]
    if (folder / "corpus.jsonl").exists():
        return ("text", "english", *texts_of_beir(folder, arguments.queries))
    work = Work(folder)
    if work.kind == "text":
        documents = [text for _, text in work.texts(None)]
        return "text", "words", documents, [" ".join(query) for query in work.text_queries(arguments.queries)]
    vectors = work.vectors()
    documents = [(vectors[place][0], vectors[place][1].astype(np.float32)) for place in range(work.documents)]
    queries = [
        (np.array(terms), np.array(weights, dtype=np.float32)) for terms, weights in work.sparse_queries(arguments.queries)
    ]
    return "sparse", "", documents, queries


def memory():
    """Memory of this process now, and its peak since the last call of `forget_peak`, in bytes."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        values = dict(line.split(":", 1) for line in lines)
    return tuple(int(values[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def forget_peak():
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def exact(documents, queries, terms):
    """The best documents of sparse queries by sums of floats: what an exact engine finds."""
    import scipy.sparse

    def matrix(vectors):
        offsets = np.concatenate([[0], np.cumsum([len(numbers) for numbers, _ in vectors])])
        columns = np.concatenate([numbers for numbers, _ in vectors]).astype(np.int64)
        values = np.concatenate([weights for _, weights in vectors])
        return scipy.sparse.csr_matrix((values, columns, offsets), shape=(len(vectors), terms))

    documents, queries = matrix(documents).T.tocsr(), matrix(queries)
    found = []
    for place in range(queries.shape[0]):
        scores = (queries[place] @ documents).toarray()[0]
        best = np.argsort(-scores, kind="stable")[:K]
        found.append([str(number) for number in best if scores[number] > 0])
    return found


def measure(arguments):
    """Measures one engine, in this process."""
    kind, analysis, documents, queries = load(arguments)
    engine = ENGINES[arguments.engine](kind, analysis)
    if kind not in engine.kinds:
        return
    forget_peak()
    before, _ = memory()
    begin = time.perf_counter()
    engine.index(documents)
    index_s = time.perf_counter() - begin
    _, highest = memory()
    prepared = engine.prepare(queries)
    for query in prepared[:50]:
        engine.search(query, K)
    latencies = []
    for _ in range(arguments.rounds):
        times = []
        for query in prepared:
            begin = time.perf_counter()
            engine.search(query, K)
            times.append(time.perf_counter() - begin)
        latencies.append(times)
    # The fastest round of each query: interruptions are left out.
    fastest = [min(times) * 1e6 for times in zip(*latencies)]
    batches = []
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        found = engine.batch(prepared, K)
        batches.append(len(prepared) / (time.perf_counter() - begin))
    package = PACKAGES.get(engine.name, engine.name)
    result = {
        "engine": engine.name,
        "version": importlib.metadata.version(package) if arguments.versions else "",
        "work": arguments.name,
        "documents": len(documents),
        "queries": len(queries),
        "exact": engine.exact,
        "index_s": index_s,
        "mean_us": statistics.mean(fastest),
        "p50_us": statistics.median(fastest),
        "p99_us": float(np.percentile(fastest, 99)),
        "batch_qps": max(batches),
        "memory_mb": (highest - before) / 1e6,
        "found": found,
    }
    if kind == "sparse" and engine.name == "esparsa":
        terms = 1 + int(max(numbers.max(initial=0) for numbers, _ in (*documents, *queries)))
        result["exact_found"] = exact(documents, queries, terms)
    engine.close()
    # On a line of its own: engines print too.
    print(f"\n{json.dumps(result)}")


def overhead(arguments):
    """What a call costs beside the search: a query without a match in an index of one document."""
    import esparsa

    index = esparsa.Index.in_memory(esparsa.Schema(text=esparsa.Text()))
    with index.writer() as writer:
        writer.add({"_id": "a", "text": "lava"})
    snapshot = index.snapshot()
    for name, query in [("string", "none"), ("Query", esparsa.Query.text("text", "none"))]:
        best = []
        for _ in range(20):
            begin = time.perf_counter()
            for _ in range(1000):
                snapshot.search(query, K)
            best.append((time.perf_counter() - begin) * 1000)
        print(f"a search without a match, given a {name}: {min(best):.2f} us")


def encode(arguments):
    import scipy.sparse

    output = Path(arguments.output)
    made_of = json.dumps([str(Path(arguments.collection).resolve()), str(Path(arguments.model).resolve()), arguments.queries])
    if (output / "made-of.json").exists() and (output / "made-of.json").read_text() == made_of:
        return
    matrix, asked = encoded(Path(arguments.collection), arguments.model, arguments.queries)
    output.mkdir(parents=True, exist_ok=True)
    scipy.sparse.save_npz(output / "matrix.npz", matrix)
    scipy.sparse.save_npz(output / "queries.npz", asked)
    (output / "made-of.json").write_text(made_of)


def table(arguments):
    """Runs every engine on every work, in processes of their own, in turns, and prints tables."""
    results = {}
    for turn in range(arguments.turns):
        for work in arguments.works:
            name = Path(work).name
            for engine in arguments.engines or ENGINES:
                command = [sys.executable, __file__, "measure", "--engine", engine, "--work", work, "--name", name]
                command += ["--queries", str(arguments.queries), "--rounds", str(arguments.rounds), "--versions"]
                ran = subprocess.run(command, capture_output=True, text=True)
                if ran.returncode != 0:
                    print(f"{engine} on {name} failed:\n{ran.stderr[-2000:]}", file=sys.stderr)
                elif ran.stdout:
                    results.setdefault((name, engine), []).append(json.loads(ran.stdout.splitlines()[-1]))
                    print(f"turn {turn + 1}: {engine} on {name}", file=sys.stderr, flush=True)
                    if arguments.output:
                        # After each engine: all of them take half an hour.
                        Path(arguments.output).write_text(report(results))
    print(report(results))


def report(results):
    threads = os.environ.get("THREADS", "2")
    lines = [f"CPU: {cpu()}, {os.cpu_count()} threads, of which {threads} are used; Python {platform.python_version()}", ""]
    for work in dict.fromkeys(name for name, _ in results):
        ours = results.get((work, "esparsa"))
        first = next(iter(results[key] for key in results if key[0] == work))[0]
        lines += [f"## {work}: {first['documents']:,} documents, {first['queries']:,} queries, k {K}", ""]
        lines += ["| engine | indexing s | mean us | p50 us | p99 us | batch queries/s | memory MB | same top 10 |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
        for (name, engine), runs in results.items():
            if name == work:
                lines.append(row(runs, ours))
        lines.append("")
    return "\n".join(lines)


def row(runs, ours):
    keys = ("index_s", "mean_us", "p50_us", "p99_us", "memory_mb", "batch_qps")
    best = {key: statistics.median(run[key] for run in runs) for key in keys}
    qps = best["batch_qps"]
    reference = ours[0].get("exact_found", ours[0]["found"]) if ours else None
    same = "" if reference is None else f"{overlap(reference, runs[0]['found']):.3f}"
    label = f"{runs[0]['engine']} {runs[0]['version']}" + ("" if runs[0]["exact"] else " (approximate)")
    return (
        f"| {label} | {best['index_s']:.1f} | {best['mean_us']:,.0f} | {best['p50_us']:,.0f} | {best['p99_us']:,.0f} "
        f"| {qps:,.0f} | {best['memory_mb']:,.0f} | {same} |"
    )


def overlap(ours, theirs):
    """The share of documents that should be found that were."""
    common = sum(len(set(a) & set(b)) for a, b in zip(ours, theirs))
    return common / max(1, sum(len(a) for a in ours))


def cpu():
    """The name of the CPU, and its widest vector instructions, since virtual machines hide the model."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        values = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {name.strip(): value.strip() for name, value in values.items()}
    flags = values.get("flags", "").split()
    widest = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 with bf16", "avx512f": "AVX-512", "avx2": "AVX2"}
    names = [values.get("model name", "unknown"), *(name for flag, name in widest.items() if flag in flags)]
    return ", ".join(names[:2])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("measure")
    one.add_argument("--engine", required=True, choices=ENGINES)
    one.add_argument("--work", required=True)
    one.add_argument("--name", default="")
    one.add_argument("--queries", type=int, default=1000)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--versions", action="store_true")
    one.set_defaults(run=measure)
    everything = commands.add_parser("table")
    everything.add_argument("works", nargs="+")
    everything.add_argument("--engines", nargs="*")
    everything.add_argument("--queries", type=int, default=1000)
    everything.add_argument("--rounds", type=int, default=3)
    everything.add_argument("--turns", type=int, default=3)
    everything.add_argument("--output")
    everything.set_defaults(run=table)
    vectors = commands.add_parser("encode")
    vectors.add_argument("collection")
    vectors.add_argument("--model", required=True)
    vectors.add_argument("--queries", type=int, default=1000)
    vectors.add_argument("--output", required=True)
    vectors.set_defaults(run=encode)
    commands.add_parser("overhead").set_defaults(run=overhead)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
