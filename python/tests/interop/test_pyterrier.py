"""PyTerrier: artifact, indexer, retrievers, an experiment."""

import importlib.metadata

import pandas as pd
import pytest

import esparsa

pt = pytest.importorskip("pyterrier")
pyterrier = pytest.importorskip("esparsa.pyterrier")

DOCUMENTS = [
    {"docno": "etna", "text": "Etna is an active volcano", "toks": {"volcano": 2.0, "lava": 1.0}, "url": "u"},
    {"docno": "bees", "text": "Bees dance for flowers", "toks": {"bee": 2.0, "dance": 1.0}},
]
TOPICS = pd.DataFrame([{"qid": "1", "query": "dancing volcanoes"}, {"qid": "2", "query": "nothing"}])


def test_texts_are_indexed_and_searched(tmp_path):
    artifact = pyterrier.EsparsaIndex(tmp_path / "index").index(iter(DOCUMENTS))
    assert len(artifact) == 2 and artifact.built()
    results = artifact.bm25(k1=0.9, b=0.4)(TOPICS)
    assert list(results.columns) == ["qid", "query", "docno", "score", "rank"]
    assert results["docno"].tolist() == artifact.engine.search("dancing volcanoes", bm25=(0.9, 0.4)).ids
    assert results["rank"].tolist() == [0, 1] and set(results["qid"]) == {"1"}
    first = artifact.retriever(num_results=1, filter=esparsa.Query.ids(["etna"]))(TOPICS)
    assert first["docno"].tolist() == ["etna"]
    assert artifact.retriever()(TOPICS[TOPICS.qid == "2"]).empty
    texts = (artifact.bm25() >> artifact.text_loader(["text", "url"]))(TOPICS)
    assert texts[texts.docno == "etna"].iloc[0]["url"] == "u"


def test_weights_are_indexed_and_searched(tmp_path):
    artifact = pyterrier.EsparsaIndex(tmp_path / "index").index(
        {"docno": each["docno"], "toks": each["toks"]} for each in DOCUMENTS
    )
    topics = pd.DataFrame([{"qid": "1", "query": "", "query_toks": {"lava": 3.0}}])
    results = artifact.retriever()(topics)
    assert results["docno"].tolist() == ["etna"] and results["score"].iloc[0] == pytest.approx(3.0, rel=0.01)


def test_artifacts_are_loaded_by_pyterrier_and_appended_to(tmp_path):
    pyterrier.EsparsaIndex(tmp_path / "index").index(DOCUMENTS)
    with pytest.raises(esparsa.InvalidInputError, match="append"):
        pyterrier.EsparsaIndex(tmp_path / "index").index(DOCUMENTS)
    pyterrier.EsparsaIndex(tmp_path / "index").indexer(append=True).index([{"docno": "new", "text": "lava"}])
    loaded = pyterrier.EsparsaIndex.load(str(tmp_path / "index"))
    assert len(loaded) == 3
    if any(entry.name == "sparse_index.esparsa" for entry in importlib.metadata.entry_points(group="pyterrier.artifact")):
        assert isinstance(pt.Artifact.load(str(tmp_path / "index")), pyterrier.EsparsaIndex)
    assert pt.inspect.artifact_type_format(loaded) == ("sparse_index", "esparsa")
    built = loaded.engine.as_pyterrier_transformer(num_results=1)(TOPICS)
    assert len(built) == 1


def test_an_experiment_runs(tmp_path):
    artifact = pyterrier.EsparsaIndex(tmp_path / "index").index(DOCUMENTS)
    qrels = pd.DataFrame([{"qid": "1", "docno": "bees", "label": 1}, {"qid": "2", "docno": "etna", "label": 1}])
    table = pt.Experiment([artifact.bm25(), artifact.bm25() % 1], TOPICS, qrels, ["recip_rank", "recall_10"])
    expected = esparsa.evaluate(
        {"1": {"bees": 1}, "2": {"etna": 1}},
        {"1": dict(zip(artifact.engine.search("dancing volcanoes").ids, [2.0, 1.0]))},
        ["mrr"],
    )
    assert table["recip_rank"].iloc[0] == pytest.approx(expected["mrr"])


def test_parameters_are_tuned(tmp_path):
    artifact = pyterrier.EsparsaIndex(tmp_path / "index").index(pd.DataFrame(DOCUMENTS).drop(columns="toks"))
    qrels = pd.DataFrame([{"qid": "1", "docno": "bees", "label": 1}])
    retriever = artifact.bm25(b=0.3)
    assert (retriever.k1, retriever.b) == (pytest.approx(0.9), 0.3)
    scan = pt.GridScan(retriever, {retriever: {"k1": [0.5, 2.0], "b": [0.1]}}, TOPICS, qrels, ["recip_rank"])
    assert len(scan) == 2 and scan["recip_rank"].between(0.4, 1).all()


def test_several_texts_and_what_does_not_fit(tmp_path):
    rows = [{"docno": "a", "title": "Lava", "text": "It flows"}, {"docno": "b", "title": "Ash", "text": "on lava"}]
    artifact = pyterrier.EsparsaIndex(tmp_path / "index", fields=["title", "text"]).index(rows)
    topics = pd.DataFrame([{"qid": "1", "query": "lava"}])
    assert set(artifact.bm25()(topics)["docno"]) == {"a", "b"}
    assert artifact.retriever(fields="title")(topics)["docno"].tolist() == ["a"]
    for wrong in [dict(analyzer="pt"), dict(fields=["body"]), dict(store=False)]:
        with pytest.raises(esparsa.InvalidInputError):
            pyterrier.EsparsaIndex(tmp_path / "index", **wrong)
    with pytest.raises(esparsa.InvalidInputError, match="toks"):
        artifact.indexer(append=True).index([{"docno": "c", "toks": {"lava": 1.0}}])
    other = pyterrier.EsparsaIndex(tmp_path / "other")
    with pytest.raises(esparsa.InvalidInputError):
        other.index([{"docno": "a", "text": "lava"}, {"docno": "b"}])
    assert not other.built() and len(other.index(rows[:1])) == 1
    with pytest.raises(esparsa.InvalidInputError, match="query_toks"):
        artifact.bm25(k1=1)(pd.DataFrame([{"qid": "1", "query_toks": {"lava": 1.0}}]))
