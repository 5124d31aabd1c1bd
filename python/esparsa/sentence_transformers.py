"""What `sentence_transformers` has for sparse models, without PyTorch: an encoder, and search in an index.

>>> from esparsa.sentence_transformers import semantic_search_esparsa
>>> results, seconds = semantic_search_esparsa([{"bee": 1.0}], [{"bee": 2.0}, {"lava": 1.0}], top_k=1)
>>> results
[[{'corpus_id': 0, 'score': 2.0}]]
"""

import time

from ._esparsa import Index, Model, Query, Schema, Sparse


class SparseEncoder:
    """A sparse model from a folder, with the methods of `sentence_transformers.SparseEncoder`.

    Vectors are dicts of terms and weights for one text, lists of them for several; with `convert_to_sparse_matrix` they
    are rows of a `scipy.sparse.csr_matrix`.
    """

    def __init__(self, path, **options):
        self.model = Model(path, **options)
        if self.model.kind != "sparse":
            raise ValueError(f"expected a model of sparse vectors, found one whose kind is {self.model.kind!r}")

    def encode_query(self, sentences, *, convert_to_sparse_matrix=False):
        """Vectors of queries."""
        return self._encode(sentences, True, convert_to_sparse_matrix)

    def encode_document(self, sentences, *, convert_to_sparse_matrix=False):
        """Vectors of documents."""
        return self._encode(sentences, False, convert_to_sparse_matrix)

    encode = encode_document

    def decode(self, vector, top_k=None):
        """The terms of a vector, those with the highest weights first."""
        terms = sorted(vector.items(), key=lambda term: -term[1])
        return terms[:top_k]

    @property
    def max_seq_length(self):
        """Tokens of a text that count."""
        return self.model.max_tokens

    def get_sentence_embedding_dimension(self):
        """Terms of the vocabulary."""
        return len(self.model.terms)

    def similarity(self, queries, documents):
        """Dot products of vectors, as a matrix with a row for each query."""
        from numpy import array

        product = [[sum(w * d.get(term, 0.0) for term, w in q.items()) for d in documents] for q in queries]
        return array(product, dtype="float32")

    def _encode(self, sentences, queries, convert):
        is_one = isinstance(sentences, str)
        texts = [sentences] if is_one else sentences
        if convert:
            return self.model.encode_csr(texts, queries=queries)
        vectors = self.model.encode_queries(texts) if queries else self.model.encode_documents(texts)
        return vectors[0] if is_one else vectors


def semantic_search_esparsa(
    query_embeddings, corpus_embeddings=None, *, corpus_index=None, top_k=10, output_index=False
):
    """Searches sparse embeddings, as `sentence_transformers.sparse_encoder.search_engines` does with other engines.

    Embeddings are dicts of weights, a sparse matrix of SciPy, or a sparse tensor of PyTorch. Returns the results, a list
    of dicts of `corpus_id` and `score` for each query, and the seconds that the search took; with `output_index` also the
    index, which a later call takes as `corpus_index`.
    """
    from ._vectors import csr

    index = corpus_index
    if index is None:
        if corpus_embeddings is None:
            raise ValueError("expected corpus_embeddings or corpus_index, found neither")
        rows = csr(corpus_embeddings)
        if rows is not None:
            index = Index.in_memory(Schema(sparse=Sparse(terms="numbers")))
            count = len(rows[0]) - 1
        else:
            corpus_embeddings = list(corpus_embeddings)
            is_named = any(isinstance(term, str) for vector in corpus_embeddings for term in vector)
            index = Index.in_memory(Schema(sparse=Sparse(terms="strings" if is_named else "numbers")))
            count = len(corpus_embeddings)
        with index.writer() as writer:
            writer.add_columns(range(count), sparse=corpus_embeddings)
    queries = [Query.sparse("sparse", vector) for vector in _rows(query_embeddings, csr)]
    begin = time.perf_counter()
    found = index.search_many(queries, top_k)
    seconds = time.perf_counter() - begin
    results = [
        [{"corpus_id": int(id), "score": score} for id, score in zip(hits.ids, hits.scores.tolist())] for hits in found
    ]
    return (results, seconds, index) if output_index else (results, seconds)


def _rows(vectors, csr):
    rows = csr(vectors)
    if rows is None:
        return vectors
    offsets, terms, weights = rows
    return [(terms[a:b], weights[a:b]) for a, b in zip(offsets[:-1], offsets[1:])]
