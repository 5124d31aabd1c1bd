"""A vector store of LangChain that also searches words, and filters exactly.

    from esparsa.langchain import EsparsaVectorStore

    store = EsparsaVectorStore(embeddings, path="my.index", columns={"year": "i64"})
    store.add_texts(["Etna is a volcano"], [{"year": 1669, "url": "…"}])
    store.similarity_search("volcanoes", k=3, filter=Query.range("year", gte=1600))
    store.as_retriever(search_kwargs={"mode": "hybrid"})

Needs the package `langchain-core`.
"""

import uuid

import numpy as np
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from ._errors import InvalidInputError
from ._esparsa import Query
from ._store import Store, columns_of


class EsparsaVectorStore(VectorStore):
    """Texts with vectors, words and columns of metadata in one index.

    `columns` names the metadata to filter by, with a type of `esparsa.Column` for each; all other metadata are kept too.
    Without `path` the index is in memory; an index that is there is opened. `mode` of a search is `"dense"` (the default
    of the store), `"text"` for BM25, or `"hybrid"`. `filter` is a dict of columns and their values, or an `esparsa.Query`
    or its JSON. Relevance scores, from 0 to 1, are those of vectors; other modes have none.
    """

    def __init__(self, embedding, *, path=None, language=None, columns=None, mode="dense"):
        self._embedding = embedding
        self._mode = mode
        self._store = Store(path=path, language=language, columns=columns_of(columns))

    @property
    def embeddings(self):
        return self._embedding

    @property
    def index(self):
        """The `esparsa.Index`; None before the first text."""
        return self._store.index

    @classmethod
    def from_texts(cls, texts, embedding, metadatas=None, *, ids=None, **options):
        store = cls(embedding, **options)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(self, texts, metadatas=None, *, ids=None):
        texts = list(texts)
        metadatas = [dict(metadata or {}) for metadata in metadatas or [None] * len(texts)]
        ids = list(ids or [None] * len(texts))
        if not len(texts) == len(metadatas) == len(ids):
            raise ValueError(
                f"expected as many texts as metadatas and ids, found {len(texts)}, {len(metadatas)} and {len(ids)}"
            )
        ids = [id or str(uuid.uuid4()) for id in ids]
        documents = [{"text": text, "metadata": metadata} for text, metadata in zip(texts, metadatas)]
        self._store.add(ids, texts, self._embedding.embed_documents(texts), metadatas, documents)
        return ids

    def delete(self, ids=None, *, filter=None):
        """Deletes documents by id, those that match a filter, or, without either, all."""
        query = Query.all() if ids is None and filter is None else self._filter(filter)
        self._store.delete(ids=ids, query=query)
        return True

    def get_by_ids(self, ids, /):
        return [_document(id, stored) for id, stored in self._store.get(ids)]

    def similarity_search(self, query, k=4, *, filter=None, mode=None, alpha=0.5):
        found = self.similarity_search_with_score(query, k, filter=filter, mode=mode, alpha=alpha)
        return [document for document, _ in found]

    def similarity_search_with_score(self, query, k=4, *, filter=None, mode=None, alpha=0.5):
        """Documents with their scores: cosines, BM25, or sums of z-scores."""
        mode = mode or self._mode
        vector = None if mode == "text" else self._embedding.embed_query(query)
        hits = self._store.search(mode, k, text=query, vector=vector, filter=self._filter(filter), alpha=alpha)
        return [(_document(hit.id, hit.document), hit.score) for hit in hits]

    def similarity_search_by_vector(self, embedding, k=4, *, filter=None):
        hits = self._store.search("dense", k, vector=embedding, filter=self._filter(filter))
        return [_document(hit.id, hit.document) for hit in hits]

    def max_marginal_relevance_search(self, query, k=4, fetch_k=20, lambda_mult=0.5, *, filter=None):
        """Documents that are relevant and differ. The vectors of the `fetch_k` nearest ones are computed again."""
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, filter=filter)

    def max_marginal_relevance_search_by_vector(self, embedding, k=4, fetch_k=20, lambda_mult=0.5, *, filter=None):
        hits = list(self._store.search("dense", fetch_k, vector=embedding, filter=self._filter(filter)))
        vectors = self._embedding.embed_documents([hit.document["text"] for hit in hits])
        chosen = maximal_marginal_relevance(np.array(embedding), vectors, lambda_mult, k) if hits else []
        return [_document(hits[place].id, hits[place].document) for place in chosen]

    def _similarity_search_with_relevance_scores(self, query, k=4, *, filter=None, mode=None):
        mode = mode or self._mode
        if mode != "dense":
            raise InvalidInputError(f"expected relevance scores of mode 'dense', whose scores are cosines, found {mode!r}")
        found = self.similarity_search_with_score(query, k, filter=filter, mode=mode)
        return [(document, (score + 1) / 2) for document, score in found]

    def _filter(self, filter):
        """The query of a filter; a dict of columns has a value, or a list of some, for each."""
        if not isinstance(filter, dict) or not filter or not set(filter) <= set(self._store.columns):
            return filter
        terms = filter.items()
        return Query.all_of(
            [Query.terms(name, value) if isinstance(value, list) else Query.term(name, value) for name, value in terms]
        )


def _document(id, stored):
    return Document(id=id, page_content=stored["text"], metadata=stored["metadata"])
