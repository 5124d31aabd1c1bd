"""The engine for `lsr-benchmark`: indexes embeddings in its format, and writes a run.

    python3 -m esparsa.lsr_benchmark EMBEDDING OUTPUT --k 1000
    python3 -m esparsa.lsr_benchmark NAME OUTPUT --dataset DATASET

EMBEDDING is a folder with `doc/doc-embeddings.npz`, `doc/doc-ids.txt` and the same for `query`; with `--dataset`, NAME is
an embedding that the package `lsr-benchmark` finds. OUTPUT gets `run.txt.gz`, and where `tirex-tracker` is installed what it
measured of indexing and of retrieval.
"""

import argparse
import contextlib
import gzip
from pathlib import Path

from ._errors import InvalidInputError
from ._esparsa import Index, Query, Schema, Sparse

TAG = "esparsa"


def embeddings(folder, kind):
    """Ids, terms and weights of a folder; `kind` is `doc` or `query`."""
    import numpy as np

    folder = Path(folder) / kind
    ids = (folder / f"{kind}-ids.txt").read_text(encoding="utf-8").split("\n")
    arrays = np.load(folder / f"{kind}-embeddings.npz")
    offsets, terms, weights = arrays["indptr"], arrays["indices"].astype(str), arrays["data"]
    ids = [id for id in ids if id]
    if len(ids) != len(offsets) - 1:
        raise InvalidInputError(f"{folder}: expected as many ids as vectors, found {len(ids)} and {len(offsets) - 1}")
    for id, begin, end in zip(ids, offsets[:-1], offsets[1:]):
        yield id, terms[begin:end], weights[begin:end]


def build(documents, path=None):
    """An index of documents, which are ids with arrays of terms and weights."""
    schema = Schema(sparse=Sparse())
    index = Index.in_memory(schema) if path is None else Index.create(path, schema)
    with index.writer() as writer:
        writer.add_many({"_id": id, "sparse": (terms.tolist(), weights)} for id, terms, weights in documents)
        writer.commit()
        writer.merge(1)
    return index


def retrieve(index, queries, k, workers=None):
    """The best `k` documents of each query: a dict of scores by id for each."""
    ids, vectors = [], []
    for id, terms, weights in queries:
        ids.append(id)
        vectors.append(Query.sparse("sparse", (terms.tolist(), weights)))
    return index.search_many(vectors, k, workers=workers).to_run(ids)


def write(run, path):
    """Writes a run in TREC's form."""
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        for query, scores in run.items():
            for rank, (document, score) in enumerate(scores.items(), 1):
                lines.write(f"{query} Q0 {document} {rank} {score} {TAG}\n")


def _tracking(path):
    try:
        from tirex_tracker import ExportFormat, tracking
    except ImportError:
        return contextlib.nullcontext()
    return tracking(export_file_path=path, export_format=ExportFormat.IR_METADATA)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embedding")
    parser.add_argument("output", type=Path)
    parser.add_argument("--dataset")
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args(arguments)
    if arguments.dataset is None:
        documents, queries = (embeddings(arguments.embedding, kind) for kind in ("doc", "query"))
    else:
        import ir_datasets
        import lsr_benchmark

        lsr_benchmark.register_to_ir_datasets(arguments.dataset)
        dataset = ir_datasets.load(f"lsr-benchmark/{arguments.dataset}")
        documents = dataset.doc_embeddings(model_name=arguments.embedding)
        queries = dataset.query_embeddings(model_name=arguments.embedding)
    arguments.output.mkdir(parents=True, exist_ok=True)
    documents = list(documents)
    with _tracking(arguments.output / "index-metadata.yml"):
        index = build(documents)
    queries = list(queries)
    with _tracking(arguments.output / "retrieval-metadata.yml"):
        run = retrieve(index, queries, arguments.k, arguments.workers)
    write(run, arguments.output / "run.txt.gz")


if __name__ == "__main__":
    main()
