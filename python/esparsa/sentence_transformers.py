"""What `sentence_transformers` has for sparse models, without PyTorch: an encoder, and search in an index.

>>> from esparsa.sentence_transformers import semantic_search_esparsa
>>> results, seconds = semantic_search_esparsa([{"bee": 1.0}], [{"bee": 2.0}, {"lava": 1.0}], top_k=1)
>>> results
[[{'corpus_id': 0, 'score': 2.0}]]
"""

import itertools
import time

from ._errors import InvalidInputError
from ._esparsa import Index, Model, Query, Schema, Sparse


class SparseEncoder:
    """A sparse model from a folder, with the principal methods of `sentence_transformers.SparseEncoder`.

    Vectors are dicts of terms and weights for one text, lists of them for several; with `convert_to_sparse_matrix` they
    are rows of a `scipy.sparse.csr_matrix`. Texts are batched by the engine: there is no batch size to choose.
    """

    def __init__(self, path, **options):
        self.model = Model(path, **options)
        self._numbers = None
        if self.model.kind != "sparse":
            raise InvalidInputError(f"expected a model of sparse vectors, found one whose kind is {self.model.kind!r}")

    def encode_query(self, sentences, *, convert_to_sparse_matrix=False):
        """Vectors of queries."""
        return self._encode(sentences, True, convert_to_sparse_matrix)

    def encode_document(self, sentences, *, convert_to_sparse_matrix=False):
        """Vectors of documents."""
        return self._encode(sentences, False, convert_to_sparse_matrix)

    encode = encode_document

    def decode(self, vectors, top_k=None):
        """The terms of a vector with their weights, those with the highest weights first; of several vectors, a list."""
        if isinstance(vectors, dict):
            return sorted(vectors.items(), key=lambda term: -term[1])[:top_k]
        return [self.decode(vector, top_k) for vector in self._dicts(vectors)]

    @property
    def max_seq_length(self):
        """Tokens of a text that count."""
        return self.model.max_tokens

    def get_sentence_embedding_dimension(self):
        """Terms of the vocabulary."""
        return self.model.dimensions

    def similarity(self, queries, documents):
        """Dot products of vectors, as an array with a row for each query. Both are vectors as this encoder makes them: one,
        several, or a matrix."""
        return (self._matrix(queries) @ self._matrix(documents).T).toarray()

    def _dicts(self, vectors):
        if not hasattr(vectors, "tocsr"):
            return vectors
        terms = self.model.terms
        return [{terms[term]: weight for term, weight in zip(row.indices, row.data.tolist())} for row in vectors.tocsr()]

    def _matrix(self, vectors):
        from scipy.sparse import csr_matrix

        if hasattr(vectors, "tocsr"):
            return vectors.tocsr()
        vectors = [vectors] if isinstance(vectors, dict) else vectors
        if self._numbers is None:
            self._numbers = {term: number for number, term in enumerate(self.model.terms)}
        columns = [self._numbers[term] for vector in vectors for term in vector]
        weights = [weight for vector in vectors for weight in vector.values()]
        offsets = [0, *itertools.accumulate(len(vector) for vector in vectors)]
        return csr_matrix((weights, columns, offsets), shape=(len(vectors), self.model.dimensions), dtype="float32")

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

    Embeddings are lists of dicts of weights, a sparse matrix of SciPy, or a sparse tensor of PyTorch. Returns the results, a list
    of dicts of `corpus_id` and `score` for each query, and the seconds that the search took; with `output_index` also the
    index, which a later call takes as `corpus_index`.
    """
    from ._vectors import csr

    index = corpus_index
    if index is None:
        if corpus_embeddings is None:
            raise InvalidInputError("expected corpus_embeddings or corpus_index, found neither")
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
        return [vectors] if isinstance(vectors, dict) else vectors
    offsets, terms, weights = rows
    return [(terms[a:b], weights[a:b]) for a, b in zip(offsets[:-1], offsets[1:])]
