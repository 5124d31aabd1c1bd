"""The interface of sentence-transformers for sparse models; with tensors where PyTorch is installed."""

import numpy as np
import pytest
import scipy.sparse

from esparsa import Dense, Index, Query, Schema, Sparse
from esparsa.sentence_transformers import SparseEncoder, semantic_search_esparsa

TEXTS = ["the bee finds the flower", "lava and ash"]


def test_an_encoder(models):
    encoder = SparseEncoder(models / "splade-log1p", threads=1)
    documents = encoder.encode_document(TEXTS)
    query = encoder.encode_query(TEXTS[0])
    assert isinstance(query, dict) and len(documents) == 2
    matrix = encoder.encode_document(TEXTS, convert_to_sparse_matrix=True)
    assert matrix.shape == (2, encoder.get_sentence_embedding_dimension())
    similarity = encoder.similarity(query, documents)
    assert similarity.shape == (1, 2)
    assert encoder.similarity(encoder.encode_query(TEXTS[:1], convert_to_sparse_matrix=True), matrix) == pytest.approx(similarity)
    assert encoder.decode(documents, 3)[0] == encoder.decode(matrix, 3)[0] == encoder.decode(documents[0], 3)
    weights = [weight for _, weight in encoder.decode(query)]
    assert weights == sorted(weights, reverse=True)


def test_semantic_search(models):
    encoder = SparseEncoder(models / "splade-log1p", threads=1)
    documents = encoder.encode_document(TEXTS)
    named, seconds, index = semantic_search_esparsa(
        encoder.encode_query(TEXTS), documents, top_k=2, output_index=True
    )
    assert seconds >= 0 and len(named) == 2
    again, _ = semantic_search_esparsa(encoder.encode_query(TEXTS), corpus_index=index, top_k=2)
    assert again == named
    matrix = encoder.encode_document(TEXTS, convert_to_sparse_matrix=True)
    numbered, _ = semantic_search_esparsa(encoder.encode_query(TEXTS, convert_to_sparse_matrix=True), matrix, top_k=2)
    for ours, theirs in zip(named, numbered):
        assert [hit["corpus_id"] for hit in ours] == [hit["corpus_id"] for hit in theirs]
        assert [hit["score"] for hit in ours] == pytest.approx([hit["score"] for hit in theirs])
    with pytest.raises(ValueError):
        semantic_search_esparsa(documents)


def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    dense = torch.tensor([[0, 2.0, 0], [1.0, 0, 0]], requires_grad=True)
    index = Index.in_memory(Schema(vector=Dense(3), splade=Sparse(terms="numbers")))
    with index.writer() as writer:
        writer.add_columns([0, 1], vector=dense, splade=dense.detach().to_sparse())
    assert index.search(Query.dense("vector", dense[0].bfloat16()), 1).ids == ["0"]
    row = torch.tensor([0, 1.0, 0]).to_sparse()
    assert index.search(Query.sparse("splade", row)).ids == ["0"]
    results, _ = semantic_search_esparsa(dense.detach().to_sparse_csr(), dense.detach().to_sparse(), top_k=1)
    assert [hits[0]["corpus_id"] for hits in results] == [0, 1]


def test_rows_of_scipy():
    matrix = scipy.sparse.csr_matrix(np.array([[0, 2.0], [1.0, 0]]))
    results, _ = semantic_search_esparsa(matrix, matrix, top_k=1)
    assert [hits[0]["corpus_id"] for hits in results] == [0, 1]
