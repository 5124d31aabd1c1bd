"""The vector stores of LangChain and LlamaIndex."""

import hashlib
import threading

import numpy as np
import pytest

from esparsa import Column, Query

TEXTS = ["Etna is an active volcano in Sicily", "Bees dance to tell where flowers are", "Ararat is a dormant volcano"]
METADATA = [{"year": 1669, "url": "a"}, {"year": 1973, "tags": ["x"]}, {"year": 1840}]


def vector(text):
    """A vector of the words of a text."""
    total = np.zeros(32)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        total += np.random.default_rng(seed).normal(size=32)
    return (total / np.linalg.norm(total)).tolist()


@pytest.mark.parametrize("on_disk", [False, True])
def test_langchain(tmp_path, on_disk):
    pytest.importorskip("langchain_core")
    from langchain_core.embeddings import Embeddings

    from esparsa.langchain import EsparsaVectorStore

    class Words(Embeddings):
        def embed_documents(self, texts):
            return [vector(text) for text in texts]

        def embed_query(self, text):
            return vector(text)

    options = dict(columns={"year": "i64"}, path=tmp_path / "index" if on_disk else None)
    empty = EsparsaVectorStore(Words(), **{**options, "path": None})
    assert empty.similarity_search("volcano") == [] and empty.get_by_ids(["a"]) == []
    store = EsparsaVectorStore.from_texts(TEXTS, Words(), METADATA, ids=["a", "b", "c"], **options)
    (best,) = store.similarity_search(TEXTS[1], k=1)
    assert (best.id, best.page_content, best.metadata) == ("b", TEXTS[1], METADATA[1])
    ((best, score),) = store.similarity_search_with_score(TEXTS[0], k=1)
    assert best.id == "a" and score == pytest.approx(1, abs=1e-5)
    late = store.similarity_search("volcano", filter={"range": {"year": {"gte": 1800}}})
    assert "a" not in {document.id for document in late}
    words = store.similarity_search("volcanoes", mode="text")
    assert {document.id for document in words} == {"a", "c"}
    assert store.similarity_search("Sicily", k=1, mode="hybrid")[0].id == "a"
    retriever = store.as_retriever(search_kwargs={"k": 2, "mode": "text", "filter": Query.range("year", lt=1700)})
    assert [document.id for document in retriever.invoke("volcano")] == ["a"]
    assert len(store.max_marginal_relevance_search("volcano", k=2)) == 2
    relevances = [score for _, score in store.similarity_search_with_relevance_scores("volcano", k=3)]
    assert all(0 <= score <= 1 for score in relevances)
    assert [document.id for document in store.get_by_ids(["c", "none"])] == ["c"]
    store.add_texts(["A lake"], [{"year": 2000}], ids=["b"])
    assert store.get_by_ids(["b"])[0].page_content == "A lake"
    store.delete(["a"])
    assert store.get_by_ids(["a"]) == []
    assert {document.id for document in store.similarity_search("x", filter={"year": [1840]})} == {"c"}
    with pytest.raises(ValueError, match="cosines"):
        store.similarity_search_with_relevance_scores("x", mode="text")
    with pytest.raises(TypeError):
        store.similarity_search("x", moed="text")
    with pytest.raises(ValueError, match="other names"):
        EsparsaVectorStore(Words(), columns={"text": "keyword"})
    if on_disk:
        again = EsparsaVectorStore(Words(), **options)
        assert [document.id for document in again.similarity_search("Ararat", k=1, mode="text")] == ["c"]
        again.add_texts(["Another"], [{"year": 7}], ids=["d"])
        assert again.similarity_search("another", mode="text", filter=Query.term("year", 7))[0].id == "d"
        for wrong in [dict(columns={"year": "keyword"}), dict(columns={"month": "i64"}), dict(language="pt")]:
            with pytest.raises(ValueError):
                EsparsaVectorStore(Words(), path=options["path"], **wrong)
    threads = [threading.Thread(target=store.add_texts, args=([f"text {n}"],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.similarity_search("text", k=20, mode="text")) == 8
    store.delete()
    assert store.similarity_search("lava") == []


def test_llama_index():
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
    from llama_index.core.vector_stores.types import (
        FilterCondition,
        FilterOperator,
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
    )

    from esparsa.llama_index import EsparsaVectorStore

    store = EsparsaVectorStore(columns={"year": "i64", "tags": Column("keyword", several=True)})
    nodes = []
    for id, text, metadata in zip("abc", TEXTS, METADATA):
        source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{id}")}
        nodes.append(TextNode(id_=id, text=text, metadata=metadata, embedding=vector(text), relationships=source))
    assert store.get_nodes() == [] and store.query(VectorStoreQuery(query_embedding=vector("x"))).ids == []
    assert store.add(nodes) == ["a", "b", "c"]

    def ids(filters=None, mode=VectorStoreQueryMode.DEFAULT, text="volcano", **options):
        query = VectorStoreQuery(
            query_embedding=vector(text), query_str=text, similarity_top_k=3, mode=mode, filters=filters, **options
        )
        return store.query(query).ids

    def where(key, operator, value, **options):
        return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)], **options)

    assert ids(text=TEXTS[1])[0] == "b" and len(ids()) == 3
    assert set(ids(mode=VectorStoreQueryMode.TEXT_SEARCH)) == {"a", "c"}
    assert ids(mode=VectorStoreQueryMode.HYBRID, text="Sicily")[0] == "a"
    assert set(ids(where("year", FilterOperator.GT, 1800))) == {"b", "c"}
    assert set(ids(where("year", FilterOperator.EQ, 1669))) == {"a"}
    assert set(ids(where("year", FilterOperator.NE, 1669))) == {"b", "c"}
    assert set(ids(where("year", FilterOperator.NIN, [1669, 1840]))) == {"b"}
    assert set(ids(where("tags", FilterOperator.ANY, ["x", "y"]))) == {"b"}
    assert set(ids(where("tags", FilterOperator.IS_EMPTY, None))) == {"a", "c"}
    assert set(ids(where("year", FilterOperator.EQ, 1669, condition=FilterCondition.NOT))) == {"b", "c"}
    assert ids(doc_ids=["doc-c"]) == ["c"] and ids(node_ids=["b"]) == ["b"]
    result = store.query(VectorStoreQuery(query_embedding=vector(TEXTS[0]), similarity_top_k=1))
    assert result.nodes[0].text == TEXTS[0] and result.nodes[0].metadata["url"] == "a"
    assert [node.node_id for node in store.get_nodes(["b"])] == ["b"]
    store.delete("doc-a")
    store.delete_nodes(["b"])
    assert [node.node_id for node in store.get_nodes()] == ["c"]
    store.clear()
    assert store.get_nodes() == []
    with pytest.raises(ValueError, match="mmr"):
        ids(mode=VectorStoreQueryMode.MMR)
