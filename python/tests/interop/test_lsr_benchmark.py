"""The engine's script for lsr-benchmark."""

import gzip

import numpy as np

from esparsa import lsr_benchmark


def write(folder, kind, ids, vectors):
    (folder / kind).mkdir(parents=True)
    (folder / kind / f"{kind}-ids.txt").write_text("\n".join(ids) + "\n")
    offsets = np.cumsum([0] + [len(vector) for vector in vectors])
    terms = np.array([term for vector in vectors for term in vector])
    weights = np.array([weight for vector in vectors for weight in vector.values()], dtype=np.float32)
    np.savez(folder / kind / f"{kind}-embeddings.npz", indptr=offsets, indices=terms, data=weights)


def test_embeddings_are_indexed_and_searched(tmp_path):
    documents = [{101: 2.0, 7: 1.0}, {7: 3.0}, {5: 1.0}]
    write(tmp_path / "splade", "doc", ["a", "b", "c"], documents)
    write(tmp_path / "splade", "query", ["1", "2"], [{7: 1.0}, {9: 1.0}])
    lsr_benchmark.main([str(tmp_path / "splade"), str(tmp_path / "output"), "--k", "2"])
    with gzip.open(tmp_path / "output" / "run.txt.gz", "rt") as lines:
        run = [line.split() for line in lines]
    assert [(line[0], line[2], line[3]) for line in run] == [("1", "b", "1"), ("1", "a", "2")]
    assert float(run[0][4]) > float(run[1][4]) > 0
