"""Searches: queries, options, hits, facets, explanations, snippets and suggestions."""

import functools
import operator

import numpy as np
import pytest
import scipy.sparse

import esparsa
from esparsa import Dense, Facet, Index, Query, Schema, Sparse, Text

Q = Query


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Q.text("name", "tea"), {"cup", "pot"}),
        (Q.text("name", "tea milk cup", minimum_terms=2), {"cup"}),
        (Q.text("name", "tea cup", all_terms=True, bm25=(1.2, 0.75)), {"cup"}),
        (Q.text_in({"name": 2.0}, "jugs"), {"jug"}),
        (Q.phrase("name", "tea cup"), {"cup"}),
        (Q.phrase("name", "cup tea", slop=2), {"cup"}),
        (Q.phrase_prefix("name", "tea po"), {"pot"}),
        (Q.prefix("name", "ju"), {"jug"}),
        (Q.wildcard("name", "?u?"), {"cup", "jug"}),
        (Q.regex("name", "(cu|po)."), {"cup", "pot"}),
        (Q.fuzzy("name", "jgu"), {"jug"}),
        (Q.fuzzy("name", "xug", distance=2, prefix=1), set()),
        (Q.analyzed("name", ["tea"]), {"cup", "pot"}),
        (Q.term("color", "red"), {"cup", "pot"}),
        (Q.terms("color", ["white", "blue"]), {"cup", "jug"}),
        (Q.range("price", gt=4.5, lte=20), {"pot", "jug"}),
        (Q.range("since", lt="2024-02-29"), {"cup"}),
        (Q.exists("price"), {"cup", "pot", "jug"}),
        (Q.ids(["cup", "none"]), {"cup"}),
        (Q.all(), {"cup", "pot", "jug"}),
        (Q.bool(must=Q.text("name", "tea"), must_not=[Q.term("color", "white")]), {"pot"}),
        (Q.bool(should=[Q.text("name", "tea"), Q.text("name", "cup")], minimum_should=2), {"cup"}),
        (Q.best_of([Q.text("name", "cup"), Q.text("name", "jug")], tie_breaker=0.3), {"cup", "jug"}),
        (Q.all_of([Q.term("color", "red"), Q.range("price", lt=10)]), {"cup"}),
        (Q.any_of([Q.term("color", "blue"), Q.range("price", lt=10)]), {"cup", "jug"}),
        (Q.text("name", "tea").filter(Q.range("price", gte=10)), {"pot"}),
        (Q.text("name", "tea").without(Q.term("color", "white"), {"ids": ["none"]}), {"pot"}),
        (Q.text("name", "tea") & Q.text("name", "cup"), {"cup"}),
        (Q.text("name", "cup") | {"text": {"name": "jug"}}, {"cup", "jug"}),
        ({"text": {"name": "tea"}, "filter": {"term": {"color": "white"}}}, {"cup"}),
        (Q.from_json('{"prefix": {"name": "po"}}'), {"pot"}),
        ("jug", {"jug"}),
    ],
)
def test_queries(shop, query, expected):
    hits = shop.search(query)
    assert set(hits.ids) == expected
    assert shop.snapshot().count(query) == len(expected)


def test_scores_boosts_and_constants(shop):
    query = Q.text("name", "cup")
    (score,) = shop.search(query).scores
    assert shop.search(query).scores.dtype == np.float32
    assert shop.search(query.boost(2)).scores == pytest.approx([2 * score])
    assert shop.search(query.constant_score(7)).scores.tolist() == [7]
    assert shop.search(query.filter(Q.all())).scores.tolist() == [score]
    assert query == Q.text("name", "cup") and query != Q.text("name", "cups")
    assert "cup" in repr(query)


def test_hits_are_a_sequence(shop):
    hits = shop.search("tea milk")
    assert len(hits) == 3 and [hit.id for hit in hits] == hits.ids
    assert hits[-1].id == hits.ids[2] and [hit.id for hit in hits[:2]] == hits.ids[:2]
    assert [hit.id for hit in hits[::-1]] == hits.ids[::-1] and hits[5:] == []
    with pytest.raises(IndexError):
        hits[3]
    hit = hits[0]
    assert hit.document["name"] == "A milk jug" and hit.stored.startswith(b'{"_id":"jug"')
    assert hit.values("color") == ["blue"] and hit.score == hits.scores[0]
    with pytest.raises(esparsa.InvalidInputError):
        hit.values("none")
    assert shop.search("nothing").ids == [] and not shop.search("nothing")
    assert hits[0] == hits[0] and hits[0] in hits and len({*hits, *hits}) == 3 and hits[0] != hits[1]


def test_options(shop):
    cheap = shop.search(Q.all(), sort="price")
    assert cheap.ids == ["cup", "jug", "pot"] and cheap.scores.tolist() == [0, 0, 0]
    assert shop.search(Q.all(), sort=["-price"]).ids == ["pot", "jug", "cup"]
    first = shop.search("tea milk", 2)
    assert shop.search("tea milk", 2, offset=2).ids == shop.search("tea milk", 2, after=first[-1]).ids
    assert shop.search("tea", filter={"term": {"color": "white"}}).ids == ["cup"]
    assert shop.search("tea", without=[Q.term("color", "white")]).ids == ["pot"]
    assert shop.search("tea cup", all_terms=True).ids == ["cup"]
    assert shop.search("tea", fields={"name": 3}).ids == shop.search("tea", fields=["name"]).ids
    counted = shop.search("tea", 1, count=True)
    assert (counted.count, counted.count_is_exact) == (2, True)
    assert shop.search("tea", 1).count is None
    whole = shop.search("tea cup")
    above = shop.search("tea cup", 1, min_score=whole[0].score, count=True, facets="color")
    assert (above.ids, above.count, len(whole)) == (whole.ids[:1], 1, 2)
    assert above.facets == [[("red", 1), ("white", 1)]]
    assert shop.search("tea cup", min_score=whole[0].score * 1.001).ids == []
    assert [len(found) for found in shop.search_many(["tea", "tea cup"], min_score=whole[0].score)] == [0, 1]
    for algorithm in ["exhaustive", "max-score", "wand", "block-max-wand"]:
        found = shop.search("tea cup", algorithm=algorithm, threads=1)
        assert found.ids == shop.search("tea cup").ids
        assert found.statistics["algorithms"] == [algorithm]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (dict(query="tea", k=0), "k to be at least 1"),
        (dict(query="tea", filters=[]), "found filters"),
        (dict(query="tea", algorithm="magic"), "magic"),
        (dict(query="tea", recall=2), "recall"),
        (dict(query="tea", sort="none"), "none"),
        (dict(query="tea", sort="price", min_score=1), "min score"),
        (dict(query="tea", min_score=float("nan")), "finite"),
        (dict(query="tea", after=3), "Hit"),
        (dict(query=5), "expected a query"),
        (dict(query={"text": {"name": "tea"}, "bost": 2}), "bost"),
        (dict(query=Q.text("name", "tea"), all_terms=True), "all_terms"),
        (dict(query=Q.phrase("color", "tea")), "color"),
        (dict(query="tea", fields=["none"]), "none"),
        (dict(query="tea", missing_first=True), "missing_first with sort"),
        (dict(query="tea", foo=None), "found foo"),
        (dict(query="tea", fields=[]), "fields to search"),
        (dict(query=Q.ids(["a"]), after="x.y"), "cursor"),
    ],
)
def test_what_is_wrong_with_a_search_is_said(shop, arguments, expected):
    with pytest.raises(esparsa.InvalidInputError) as raised:
        shop.search(**arguments)
    assert expected in str(raised.value)


def test_facets(shop):
    facets = {
        "colors": "color",
        "one": Facet.values("color", 1),
        "ranges": Facet.ranges("price", [(None, 10), (10, 15), (15, None)]),
        "prices": Facet.statistics("price"),
        "median": Facet.percentiles("price", [0.5]),
        "months": Facet.histogram("since", "month"),
        "tens": Facet.histogram("price", 10),
    }
    counted = shop.search("tea milk", 1, facets=facets).facets
    assert counted["colors"] == [("red", 2), ("blue", 1), ("white", 1)]
    assert counted["one"] == [("red", 2)] and counted["ranges"] == [1, 1, 1]
    assert counted["prices"]["max"] == 20 and counted["prices"]["documents"] == 3
    assert counted["median"] == [12.25]
    assert [(month.month, count) for month, count in counted["months"]] == [(2, 2), (4, 1)]
    assert counted["tens"] == [(0, 1), (10, 1), (20, 1)]
    assert shop.snapshot().facets(Q.all(), ["color"]) == [counted["colors"]]
    assert shop.search(Q.all(), facets="color").facets == [counted["colors"]]
    assert shop.search(Q.all(), facets=[]).facets == [] and shop.search(Q.all()).facets is None
    with pytest.raises(esparsa.InvalidInputError, match="fortnight"):
        Facet.histogram("since", "fortnight")


def test_the_query_language(shop):
    snapshot = shop.snapshot()
    assert snapshot.search(snapshot.parse('+tea -color:white price:>=10')).ids == ["pot"]
    with pytest.raises(esparsa.InvalidInputError, match="expected"):
        snapshot.parse("tea AND")
    lenient = snapshot.parse("tea AND", lenient=True, fields="name")
    assert set(snapshot.search(lenient).ids) == {"cup", "pot"} and len(lenient.mistakes) == 1
    synonym = snapshot.parse("mug", synonyms="mug, cup")
    assert snapshot.search(synonym).ids == ["cup"] and synonym.mistakes == []


def test_explanations_snippets_and_suggestions(shop):
    snapshot = shop.snapshot()
    explained = snapshot.explain("tea cup", "cup")
    assert explained["score"] == snapshot.search("tea cup")[0].score
    assert {term["term"] for term in explained["terms"]} == {"tea", "cup"}
    assert explained["text"] and snapshot.explain("tea", "none") is None
    assert snapshot.snippets("cups", "A tea <cup>.", field="name") == ["A tea &lt;<mark>cup</mark>&gt;."]
    assert snapshot.snippets("cups", "A tea cup.", before="[", after="]", html=False) == ["A tea [cup]."]
    assert snapshot.highlight("cups", "π: a cup, cups") == [(5, 8), (10, 14)]
    assert [each["text"] for each in snapshot.complete("color", "w")] == ["white"]
    assert [each["text"] for each in snapshot.complete("color", "wit", titles=True, typos=1)] == ["white"]
    assert snapshot.correct("color", "whiet") == "white" and snapshot.correct("color", "white") is None
    with pytest.raises(esparsa.InvalidInputError, match="stems"):
        snapshot.correct("name", "mlik")
    assert snapshot.terms("name", "m") == [("milk", 1)] and len(snapshot.terms("name", n=3)) == 3
    assert snapshot.count("tea cup", all_terms=True, filter=Q.term("color", "red")) == 1
    with pytest.raises(esparsa.InvalidInputError, match="found sort"):
        snapshot.count("tea", sort="price")


def test_batches_equal_single_searches(shop):
    queries = ["tea", Q.text("name", "milk"), {"prefix": {"name": "po"}}, "nothing"]
    results = shop.search_many(queries, 2, workers=2)
    assert len(results) == 4 and [hits.ids for hits in results] == results.ids
    assert results.ids == [shop.search(query, 2).ids for query in queries]
    ids, scores = results.to_numpy()
    assert ids.shape == scores.shape == (4, 2) and scores.dtype == np.float32
    assert list(ids[0]) == results.ids[0] and ids[1].tolist() == ["jug", None] and np.isnan(scores[1, 1])
    run = results.to_run(["q1", "q2", "q3", "q4"])
    assert list(run["q1"]) == results.ids[0] and run["q4"] == {}
    with pytest.raises(esparsa.InvalidInputError):
        results.to_run(["q1"])
    with pytest.raises(esparsa.InvalidInputError, match="dict"):
        results.to_run()
    named = shop.search_many({"1": "tea", 2: Q.text("name", "milk")}, 2)
    assert named.to_run() == {"1": run["q1"], "2": run["q2"]}
    assert results[:2][1].ids == results[1].ids and results.scores[0].tolist() == results[0].scores.tolist()
    assert shop.search_many([], 5).to_numpy()[0].shape == (0, 0)


def vectors_index():
    schema = Schema(splade=Sparse(terms="numbers"), vector=Dense(3, element="f16", metric="cosine"))
    index = Index.in_memory(schema)
    sparse = scipy.sparse.csr_matrix(np.array([[0, 2.0, 0, 1.0], [1.0, 0, 0, 0], [0, 0, 3.0, 0]], dtype=np.float32))
    with index.writer() as writer:
        writer.add_columns(["a", "b", "c"], splade=sparse, vector=np.eye(3, dtype=np.float16))
    return index, sparse


def test_sparse_vectors_of_scipy_and_numpy_are_exact():
    index, sparse = vectors_index()
    for vector in [
        {1: 0.5, 3: 2.0},
        ([1, 3], [0.5, 2.0]),
        (np.array([1, 3], dtype=np.uint32), np.array([0.5, 2.0])),
        scipy.sparse.csr_matrix(([0.5, 2.0], [1, 3], [0, 2]), shape=(1, 4)),
        scipy.sparse.coo_array(np.array([0, 0.5, 0, 2.0])),
    ]:
        (hit,) = index.search(Q.sparse("splade", vector))
        assert hit.id == "a" and hit.score == pytest.approx(3.0, rel=0.01)
    for wrong in [sparse, {"a": 1}, ([0.5], [1.0]), {-1: 1.0}, {2**32: 1.0}]:
        with pytest.raises(esparsa.InvalidInputError):
            index.search(Q.sparse("splade", wrong))


def test_dense_vectors():
    index, _ = vectors_index()
    for vector in [[0, 2, 0], np.array([0, 2, 0]), np.array([0, 2, 0], dtype=np.float16), (0, 2.0, 0)]:
        assert index.search(Q.dense("vector", vector), 1).ids == ["b"]
    with pytest.raises(esparsa.InvalidInputError):
        index.search(Q.dense("vector", [1, 2]))


def test_rankings_and_runs_are_fused(shop):
    snapshot = shop.snapshot()
    rankings = [snapshot.search("tea"), snapshot.search("cup milk")]
    assert esparsa.fuse(rankings, weights=[1, 0])[0].id in rankings[0].ids
    assert esparsa.fuse(rankings, weights=[0, 1])[0].id == rankings[1].ids[0]
    assert len(esparsa.fuse(rankings, k=1)) == 1 and set(esparsa.fuse(rankings).ids) == {"cup", "pot", "jug"}
    assert esparsa.fuse(rankings, method="comb-mnz", normalization="min-max").ids[0] == "cup"
    runs = [{"q": {"a": 3.0, "b": 1.0}}, {"q": {"b": 2.0}, "r": {"c": 1.0}}]
    fused = esparsa.fuse(runs, method="rrf", rank_constant=1)
    assert list(fused["q"]) == ["b", "a"] and list(fused) == ["q", "r"]
    for wrong in [
        dict(method="sum"),
        dict(normalization="l2"),
        dict(weights=[1]),
        dict(method="rrf", normalization="sum"),
        dict(rank_constant=7),
    ]:
        with pytest.raises(esparsa.InvalidInputError):
            esparsa.fuse(rankings, **wrong)


def test_runs_are_evaluated_and_compared(tmp_path):
    qrels = {"q1": {"a": 1}, "q2": {"b": 2, "c": 1}}
    run = {"q1": {"b": 2.0, "a": 1.0}, "q2": {"b": 2.0, "c": 1.0}}
    assert esparsa.evaluate(qrels, run, ["mrr@10", "ndcg@10"]) == pytest.approx({"mrr@10": 0.75, "ndcg@10": 0.8154648767857287})
    assert esparsa.evaluate(qrels, run, ["mrr@10"], per_query=True) == {"q1": {"mrr@10": 0.5}, "q2": {"mrr@10": 1.0}}
    (tmp_path / "qrels").write_text("q1 0 a 1\nq2 0 b 2\nq2 0 c 1\n")
    assert esparsa.evaluate(tmp_path / "qrels", run, ["mrr@10"]) == {"mrr@10": 0.75}
    compared = esparsa.compare(qrels, run, {"q1": {"a": 1.0}, "q2": {"b": 1.0}}, "mrr@10")
    assert compared["difference"] == 0.25 and compared["p_value"] == 1
    with pytest.raises(esparsa.InvalidInputError, match="quality"):
        esparsa.evaluate(qrels, run, ["quality@10"])
    assert esparsa.evaluate(qrels, {"q2": run["q2"]}, "mrr@10") == {"mrr@10": 0.5}
    assert esparsa.evaluate(qrels, {"q2": run["q2"]}, "P@1", missing="skip") == {"P@1": 1.0}
    assert esparsa.evaluate({"q1": {"a": 1.0}}, run, "mrr") == {"mrr": 0.5}
    with pytest.raises(esparsa.StorageError, match="none"):
        esparsa.evaluate(tmp_path / "none", run, "mrr")


def test_text_without_a_text_field_is_refused():
    index, _ = vectors_index()
    with pytest.raises(esparsa.InvalidInputError, match="text field"):
        index.search("tea")


def test_words_are_looked_for_in_all_text_fields_whatever_their_analyzers():
    index = Index.in_memory(Schema(a=Text("en"), b=Text("en"), c=Text("simple")))
    with index.writer() as writer:
        writer.add_many([{"id": 1, "a": "cups"}, {"id": 2, "b": "a cup"}, {"id": 3, "c": "cups"}, {"id": 4, "c": "tea"}])
    assert set(index.search("cups").ids) == {"1", "2", "3"}
    assert index.search("tea", all_terms=True, bm25=(0.9, 0.4)).ids == ["4"]
    assert index.search("cups", fields="b").ids == ["2"]


def test_pages_are_of_one_commit(shop):
    snapshot = shop.snapshot()
    first = snapshot.search("tea milk", 2)
    second = snapshot.search("tea milk", 2, after=first[-1].cursor)
    assert first.ids + second.ids == snapshot.search("tea milk", 4).ids
    with shop.writer() as writer:
        writer.add({"_id": "new", "name": "milk tea"})
    for after in [first[-1], first[-1].cursor]:
        with pytest.raises(esparsa.InvalidInputError, match="take a snapshot"):
            shop.search("tea milk", 2, after=after)


def test_one_string_is_not_several():
    index = Index.in_memory(Schema(text=Text()))
    for wrong in [
        lambda: Q.terms("color", "red"),
        lambda: Q.ids("abc"),
        lambda: index.search_many("lava"),
        lambda: index.writer().add_columns("ab", text=["x", "y"]),
        lambda: esparsa.fuse("ab"),
    ]:
        with pytest.raises((esparsa.InvalidInputError, TypeError)):
            wrong()


def test_frames_of_pandas(shop):
    pytest.importorskip("pandas")
    frame = shop.search("tea").to_pandas(documents=True)
    assert frame["id"].tolist() == shop.search("tea").ids and frame["name"].str.contains("tea").all()
    results = shop.search_many({"q1": "tea", "q2": "nothing"}).to_pandas()
    assert results["query"].tolist() == ["q1", "q1"] and results["rank"].tolist() == [0, 1]


def test_collections_in_beirs_layout(tmp_path):
    from esparsa.collections import Collection

    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "title": "Lava", "text": "flows"}\n{"_id": "b", "text": "ash"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "lava"}\n{"_id": "2", "text": "ash"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n")
    collection = Collection(tmp_path)
    assert list(collection.documents()) == [{"_id": "a", "text": "Lava flows"}, {"_id": "b", "text": "ash"}]
    assert collection.queries("test") == {"1": "lava"} and len(collection.queries()) == 2
    assert collection.qrels() == {"1": {"a": 2}}
    (tmp_path / "corpus.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(esparsa.InvalidInputError, match="line 1"):
        list(collection.documents())


def test_operators_make_one_query_of_many(shop):
    words = [Query.text("name", f"word{n}") for n in range(300)]
    assert shop.search(functools.reduce(operator.or_, [*words, Query.text("name", "tea")])).ids == ["cup", "pot"]
    both = Query.text("name", "tea") & Query.text("name", "cup") & Query.term("color", "red")
    assert shop.search(both).ids == ["cup"]
    # What is asked of a part is not asked of those that follow.
    either = (Query.text("name", "tea") | Query.text("name", "cup")).filter(Query.term("color", "white"))
    assert sorted(shop.search(either | Query.text("name", "jug")).ids) == ["cup", "jug"]


def test_hits_of_some_segments_are_merged_to_those_of_all():
    index = Index.in_memory(Schema(text=Text()))
    with index.writer() as writer:
        for part in range(3):
            writer.add_many({"_id": f"{part}-{number}", "text": "lava " * (number + 1)} for number in range(5))
            writer.commit()
    whole = index.snapshot()
    assert [segment["documents"] for segment in whole.segments] == [5, 5, 5]
    assert all(segment["bytes"] > 0 and segment["file"].startswith("segment-") for segment in whole.segments)

    def hits(snapshot):
        for hit in snapshot.search("lava", k=6):
            _, segment, document = hit.cursor.split(".")
            yield -hit.score, int(segment), int(document), hit.id

    parts = [whole.only_segments([0, 2]), whole.only_segments([1])]
    assert [len(part) for part in parts] == [10, 5]
    assert sorted(hit for part in parts for hit in hits(part))[:6] == list(hits(whole))
    with pytest.raises(esparsa.InvalidInputError, match="below 3"):
        whole.only_segments([3])


def test_segments_have_one_owner_each():
    from esparsa.ray import owner

    segments = [f"segment-{number:010}" for number in range(1000)]
    of_four = [owner(segment, 4) for segment in segments]
    assert all(150 < of_four.count(shard) < 350 for shard in range(4))
    # With another shard, segments move to it alone.
    moved = [(four, five) for four, five in zip(of_four, (owner(segment, 5) for segment in segments)) if four != five]
    assert {five for _, five in moved} == {4} and len(moved) < 300
