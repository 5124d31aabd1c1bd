"""Packages that evaluate runs, and those that bring collections."""

import pytest

import esparsa
from esparsa import Index, Schema, Text

QRELS = {"1": {"etna": 2, "bees": 1}, "2": {"bees": 1}}
QUERIES = {"1": "volcano", "2": "bees dance volcano"}


@pytest.fixture
def run():
    index = Index.in_memory(Schema(text=Text("en")))
    with index.writer() as writer:
        writer.add_columns(["etna", "bees"], text=["Etna is a volcano", "Bees dance near a volcano for flowers"])
    return index.search_many(QUERIES.values(), 10).to_run(list(QUERIES))


def test_ir_measures_and_this_package_agree(run):
    ir_measures = pytest.importorskip("ir_measures")
    from ir_measures import AP, RR, P, nDCG

    theirs = ir_measures.calc_aggregate([nDCG @ 10, RR, AP, P @ 1], QRELS, run)
    ours = esparsa.evaluate(QRELS, run, ["ndcg@10", "mrr", "map", "precision@1"])
    assert list(ours.values()) == pytest.approx([theirs[nDCG @ 10], theirs[RR], theirs[AP], theirs[P @ 1]])


def test_ranx_takes_runs(run):
    ranx = pytest.importorskip("ranx")
    value = ranx.evaluate(ranx.Qrels(QRELS), ranx.Run(run), "mrr")
    assert value == pytest.approx(esparsa.evaluate(QRELS, run, ["mrr"])["mrr"])


def test_a_dataset_of_ir_datasets_is_indexed(tmp_path):
    ir_datasets = pytest.importorskip("ir_datasets")
    from esparsa import ir_datasets as bridge

    (tmp_path / "docs.tsv").write_text("etna\tEtna is a volcano\nbees\tBees dance\n")
    (tmp_path / "queries.tsv").write_text("1\tvolcano\n2\tbees\n")
    (tmp_path / "qrels").write_text("1 0 etna 1\n2 0 bees 1\n")
    dataset = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    index = Index.in_memory(Schema(text=Text("en")))
    with index.writer() as writer:
        assert writer.add_many(bridge.documents(dataset)) == 2
    topics = bridge.queries(dataset)
    run = index.search_many(topics.values(), 10).to_run(list(topics))
    assert esparsa.evaluate(bridge.qrels(dataset), run, ["mrr"]) == {"mrr": 1.0}


def test_datasets_of_hugging_face_are_streamed():
    datasets = pytest.importorskip("datasets")
    rows = [{"docid": str(n), "text": f"lava {n}", "extra": n} for n in range(10)]
    dataset = datasets.Dataset.from_list(rows)
    for documents in [dataset, dataset.to_iterable_dataset()]:
        index = Index.in_memory(Schema(text=Text("en")))
        with index.writer() as writer:
            assert writer.add_many(documents, id="docid", extra="ignore") == 10
        assert index.search("7").ids == ["7"]


def test_frames_of_polars_duckdb_and_pandas():
    polars = pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    pandas = pytest.importorskip("pandas")
    columns = {"_id": ["a", "b"], "text": ["lava", None]}
    table = polars.DataFrame(columns)
    for documents in [table, duckdb.sql("select 'a' as _id, 'lava' as text"), pandas.DataFrame(columns)]:
        index = Index.in_memory(Schema(text=Text("en")))
        with index.writer() as writer:
            assert writer.add_many(documents) >= 1
        assert index.search("lava").ids == ["a"]
