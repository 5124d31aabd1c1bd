"""Encoders, re-rankers and training, with tiny models."""

import numpy as np
import pytest

import esparsa
from esparsa import Dense, Index, Model, Schema, Sparse, Stored, Text

TEXTS = ["the bee finds the flower", "lava and ash", "a volcano in sicily"]


@pytest.fixture
def sparse(models):
    return Model(models / "splade-log1p", threads=1)


@pytest.fixture
def dense(models):
    return Model(models / "bert", threads=1, kind="dense")


@pytest.fixture
def cross(models):
    return Model(models / "ce-bert", threads=1)


def test_sparse_vectors_are_dicts_or_a_matrix_and_are_searched(sparse):
    assert sparse.kind == "sparse" and sparse.dimensions == len(sparse.terms)
    dicts = sparse.encode_documents(TEXTS)
    matrix = sparse.encode_csr(TEXTS)
    assert matrix.shape == (3, len(sparse.terms)) and matrix.dtype == np.float32
    for row, weights in enumerate(dicts):
        named = {sparse.terms[column]: matrix[row, column] for column in matrix[row].indices}
        assert named == weights
    index = Index.in_memory(Schema(splade=Sparse(model=sparse)))
    with index.writer() as writer:
        writer.add_columns(["a", "b", "c"], splade=dicts)
    query = sparse.query("splade", TEXTS[1])
    best = index.search(query)[0]
    expected = max(range(3), key=lambda n: matrix[n].dot(sparse.encode_csr(TEXTS[1:2], queries=True).T)[0, 0])
    assert best.id == "abc"[expected]
    numbered = Index.in_memory(Schema(splade=Sparse(terms="numbers")))
    with numbered.writer() as writer:
        writer.add_columns(["a", "b", "c"], splade=matrix)
    assert numbered.search(sparse.query("splade", TEXTS[1], terms="numbers"))[0].id == best.id


def test_dense_vectors_are_arrays_and_are_searched(dense):
    vectors = dense.encode_documents(TEXTS)
    assert dense.kind == "dense" and vectors.shape == (3, dense.dimensions) and vectors.dtype == np.float32
    assert np.array_equal(vectors[1:2], dense.encode_documents(TEXTS[1:2]))
    index = Index.in_memory(Schema(vector=Dense(dense.dimensions, metric="cosine", model=dense)))
    with index.writer() as writer:
        writer.add_columns(range(3), vector=vectors)
    assert index.search(dense.query("vector", TEXTS[2]), 1).ids == ["2"]
    assert dense.encode_queries([]).shape == (0, dense.dimensions)


def test_queries_of_another_model_are_refused(models, sparse, dense):
    index = Index.in_memory(Schema(splade=Sparse(model=sparse)))
    with index.writer() as writer:
        writer.add_columns(["a"], splade=sparse.encode_documents(TEXTS[:1]))
    other = Model(models / "splade-max", threads=1)
    query = sparse.query("splade", TEXTS[0])
    assert index.search(query.boost(2) | query).ids == ["a"]
    for wrong in [other.query("splade", TEXTS[0]), query & other.query("splade", TEXTS[0]).boost(2)]:
        with pytest.raises(esparsa.InvalidInputError, match="by the model"):
            index.search(wrong)
    for wrong in [lambda: Sparse(model=dense), lambda: Dense(5, model=dense), lambda: Dense(24, model=sparse)]:
        with pytest.raises(esparsa.InvalidInputError):
            wrong()


def test_hits_are_reranked(cross):
    index = Index.in_memory(Schema(text=Text("en"), source=Stored()))
    with index.writer() as writer:
        writer.add_columns(range(3), text=[text + " volcano" for text in TEXTS])
    hits = index.search("volcano")
    ranked = cross.rerank("volcano", hits, text="text")
    scores = cross.score("volcano", [hit.document["text"] for hit in hits])
    assert scores.dtype == np.float32 and ranked.scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert sorted(ranked.ids) == sorted(hits.ids)
    for text in [None, ["text"], lambda hit: hit.document["text"]]:
        assert cross.rerank("volcano", hits, text=text).scores.tolist() == ranked.scores.tolist()
    assert len(cross.rerank("volcano", hits, text="text", top=2)) == 2
    with pytest.raises(esparsa.InvalidInputError, match="`title`"):
        cross.rerank("volcano", hits, text="title")


def test_what_is_wrong_with_a_model_is_said(models, sparse, cross, tmp_path):
    for wrong in [
        lambda: Model(tmp_path),
        lambda: Model(models / "none"),
        lambda: Model(models / "bert", device="tpu"),
        lambda: Model(models / "bert", precision="int8"),
        lambda: Model(models / "bert", long="wrap"),
        lambda: Model(models / "bert", overlap=3),
        lambda: Model(models / "bert", threads=0),
        lambda: Model(models / "bert", threads=10**6),
        lambda: Model(models / "bert", device="cuda", precision="bf16"),
        lambda: cross.encode_documents(TEXTS),
        lambda: cross.query("splade", "lava"),
        lambda: sparse.score("lava", TEXTS),
        lambda: sparse.encode_documents("one string"),
        lambda: Schema(v=Sparse(model=cross)),
    ]:
        with pytest.raises(esparsa.Error):
            wrong()
    with pytest.raises(TypeError):
        sparse.encode_documents([1, 2])


def collection(folder):
    (folder / "qrels").mkdir(parents=True)
    with open(folder / "corpus.jsonl", "w") as corpus, open(folder / "queries.jsonl", "w") as queries:
        for number in range(24):
            corpus.write(f'{{"_id": "d{number}", "title": "", "text": "the bee number {number} finds lava"}}\n')
            queries.write(f'{{"_id": "q{number}", "text": "bee {number}"}}\n')
    with open(folder / "qrels" / "train.tsv", "w") as qrels:
        qrels.write("query-id\tcorpus-id\tscore\n")
        for number in range(24):
            qrels.write(f"q{number}\td{number}\t1\n")
    return folder


def options(models, tmp_path):
    return dict(
        base=models / "splade-log1p",
        output=tmp_path / "run",
        collection=collection(tmp_path / "collection"),
        language="en",
        steps=3,
        batch=4,
        learning_rate=1e-3,
        development_queries=0,
        threads=1,
    )


def test_a_model_is_trained_and_events_are_heard(models, tmp_path):
    events = []
    summary = esparsa.train("splade", on_event=events.append, **options(models, tmp_path))
    assert summary["steps"] == 3 and summary["best"] is None and summary["last"]["step"] == 3
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 2, 3]
    assert Model(summary["model"], threads=1).kind == "sparse"
    assert "learning_rate" in esparsa.train_option_names()


def test_what_an_event_raises_ends_the_run_and_wrong_options_are_refused(models, tmp_path):
    def stop(event):
        if event["event"] == "step":
            raise RuntimeError("enough")

    given = options(models, tmp_path)
    with pytest.raises(RuntimeError, match="enough"):
        esparsa.train("splade", on_event=stop, **given)
    with pytest.raises(esparsa.InvalidInputError, match="found `learning_rat`"):
        esparsa.train("splade", learning_rat=1, **{**given, "output": tmp_path / "other"})
    with pytest.raises(esparsa.InvalidInputError, match="kind"):
        esparsa.train("transformer", **given)
