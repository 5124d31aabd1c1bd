"""The package `beir`: a retriever for its evaluation. Documents are indexed when it is asked to search them.

    from beir.retrieval.evaluation import EvaluateRetrieval
    from esparsa.beir import EsparsaSearch

    retriever = EvaluateRetrieval(EsparsaSearch(language="english"))
    results = retriever.retrieve(corpus, queries)
"""

from beir.retrieval.search import BaseSearch

from ._errors import InvalidInputError
from ._esparsa import Index, Query, Schema, Sparse, Text


class EsparsaSearch(BaseSearch):
    """Searches a corpus of beir by BM25, or by the sparse vectors of a model.

    `path` keeps the index on disk, and uses the one that is there; without it, it is in memory. `model` is an
    `esparsa.Model` of sparse vectors; `language` (English by default) and `bm25`, a pair of k1 and b, are of words.
    """

    def __init__(self, language=None, *, model=None, path=None, bm25=None, workers=None):
        if model is not None and (language is not None or bm25 is not None):
            raise InvalidInputError("expected no language and no bm25 with a model, found one of them")
        self.index, self.corpus = None, None
        self.language = language or "english"
        self.model = model
        self.path = path
        self.bm25 = bm25
        self.workers = workers
        self.results = {}

    def search(self, corpus, queries, top_k, score_function=None, **kwargs):
        """The `top_k` documents of each query with their scores, which are of BM25 or dot products, whatever
        `score_function` is."""
        # The index of the same corpus serves again.
        if self.index is None or self.corpus is not corpus:
            self.index, self.corpus = self._indexed(corpus), corpus
        index = self.index
        texts = list(queries.values())
        if self.model is None:
            options = {} if self.bm25 is None else {"bm25": self.bm25}
            results = index.search_many(texts, top_k, workers=self.workers, **options)
        else:
            vectors = self.model.encode_queries(texts)
            sparse = [Query.sparse("sparse", vector) for vector in vectors]
            results = index.search_many(sparse, top_k, workers=self.workers)
        self.results = results.to_run(list(queries))
        return self.results

    def encode(self, *args, **kwargs):
        """Nothing is encoded apart from a search."""
        raise NotImplementedError("expected a call of `search`, which indexes and encodes what it needs")

    def search_from_files(self, *args, **kwargs):
        """Embeddings in files are not searched."""
        raise NotImplementedError("expected a call of `search` with a corpus")

    def _indexed(self, corpus):
        if self.path is not None and Index.exists(self.path):
            return Index.open(self.path)
        field = {"text": Text(self.language)} if self.model is None else {"sparse": Sparse(model=self.model)}
        schema = Schema(field)
        index = Index.in_memory(schema) if self.path is None else Index.create(self.path, schema)
        with index.writer() as writer:
            if self.model is None:
                writer.add_many({"_id": key, "text": _text(document)} for key, document in corpus.items())
            else:
                texts = [_text(document) for document in corpus.values()]
                writer.add_columns(list(corpus), sparse=self.model.encode_documents(texts))
        return index


def _text(document):
    return f"{document.get('title') or ''} {document.get('text') or ''}".strip()
