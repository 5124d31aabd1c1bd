"""The work of both sides: documents, pairs and short texts of one collection, and searches that measure the quality of the GPU's vectors.

    documents.jsonl    so many documents, evenly taken
    pairs.jsonl        queries of the test, each with the first 1,000 documents that BM25 finds
    texts.jsonl        texts of 4 to 12 words, the beginnings of documents
    queries.jsonl      the queries of the test
"""

import dataclasses
import gzip
import json
import os
import shutil
from pathlib import Path

from sides import Failed, call, json_lines

PAIRED_QUERIES, PAIRED_DOCUMENTS = 10, 1000
TEXTS = 200
FEWEST_WORDS, MOST_WORDS = 4, 12
FILES = ("documents", "pairs", "texts")
# How the two programs are built, and where they lie in the folder of the profile.
BUILD = ("cargo", "build", "--release", "--features", "cuda", "--bin", "esparsa", "--example", "cuda_speed")
PROGRAMS = ("esparsa", "examples/cuda_speed")


@dataclasses.dataclass
class Work:
    # The whole collection and its queries are there unless the work was carried.
    corpus: Path | None
    qrels: Path | None
    queries: Path | None
    documents: Path
    pairs: Path
    texts: Path


def unpacked(path, folder):
    """The file, or what `path` with .gz behind it holds."""
    packed = path.with_name(path.name + ".gz")
    if path.is_file() or not packed.is_file():
        return path
    target = folder / path.name
    with gzip.open(packed) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)
    return target


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_lines(path, rows):
    with open(path, "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def evenly(rows, count):
    count = min(count, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


def contents(document):
    return f"{document.get('title', '')} {document['text']}".strip()


def carried(options):
    """The work that benches/cuda/carry prepared; fewer documents if fewer are asked for."""
    folder, scratch = options.carried / "work", options.folder / "work"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        documents = read_lines(folder / "documents.jsonl")
    except OSError as error:
        raise Failed(f"{error.filename}: {error.strerror}; make it with benches/cuda/carry") from error
    write_lines(scratch / "documents.jsonl", evenly(documents, min(options.documents, 512) if options.quick else options.documents))
    return Work(None, None, None, scratch / "documents.jsonl", folder / "pairs.jsonl", folder / "texts.jsonl")


def prepare(options, collection, esparsa, left_s):
    source, folder = options.collections / collection, options.folder / "work"
    folder.mkdir(parents=True, exist_ok=True)
    corpus, all_queries = (unpacked(source / name, folder) for name in ("corpus.jsonl", "queries.jsonl"))
    try:
        rows, queries = read_lines(corpus), read_lines(all_queries)
        qrels = unpacked(source / "qrels" / "test.tsv", folder)
        tested = {line.split("\t")[0] for line in qrels.read_text(encoding="utf-8").splitlines()[1:]}
    except OSError as error:
        raise Failed(f"{error.filename}: {error.strerror}") from error
    work = Work(corpus, qrels, *(folder / f"{name}.jsonl" for name in ("queries", "documents", "pairs", "texts")))
    queries = [query for query in queries if query["_id"] in tested]
    documents = evenly(rows, min(options.documents, 512) if options.quick else options.documents)
    write_lines(work.queries, queries)
    write_lines(work.documents, documents)
    # A word of one letter or a sign counts as little as in a query.
    texts = [{"text": " ".join(contents(row).split()[: FEWEST_WORDS + place % (MOST_WORDS - FEWEST_WORDS + 1)])} for place, row in enumerate(evenly(rows, TEXTS))]
    write_lines(work.texts, texts)
    if any(part.kind == "pairs" for part in options.planned):
        write_lines(work.pairs, pairs(esparsa, work, rows, evenly(queries, 1 if options.quick else PAIRED_QUERIES), folder, left_s))
    return work


def pairs(esparsa, work, rows, queries, folder, left_s):
    """What BM25 finds for some queries."""
    index, few, run = folder / "bm25.index", folder / "few.jsonl", folder / "bm25.run"
    shutil.rmtree(index, ignore_errors=True)
    write_lines(few, queries)
    call([esparsa, "index", work.corpus, "--index", index, "--no-stored", "--quiet"], left_s())
    call([esparsa, "search", "--index", index, "--queries", few, "--k", PAIRED_DOCUMENTS, "--output", run], left_s())
    texts = {row["_id"]: contents(row) for row in rows}
    words = {query["_id"]: query["text"] for query in queries}
    lines = (line.split() for line in run.read_text(encoding="utf-8").splitlines())
    return [{"query": words[line[0]], "document": texts[line[2]]} for line in lines]


def dense_run(esparsa, device, options, work, run, left_s):
    """Indexes with MiniLM on that device, and searches."""
    index, threads = options.folder / f"{device}.index", str(os.cpu_count())
    shutil.rmtree(index, ignore_errors=True)
    # Without --device, and in programs without CUDA, models run on the CPU.
    where = ["--device", device] if device != "cpu" else []
    corpus = work.documents if options.quick else work.corpus
    model = ["index", corpus, "--index", index, "--dense-model", options.minilm, "--no-stored", "--quiet"]
    call([esparsa, *model, *where], left_s())
    search = ["search", "--index", index, "--field", "dense", "--model", options.minilm, "--queries", work.queries]
    call([esparsa, *search, "--k", 100, "--output", run, "--threads", threads, *where], left_s())
    shutil.rmtree(index, ignore_errors=True)


def metrics(printed, devices):
    """nDCG@10 of each device's run, in the order in which they were given."""
    found = json_lines(printed)[-1]["runs"]
    return {device: next(iter(run["metrics"].values())) for device, run in zip(devices, found, strict=True)}
