"""What the vector stores of LangChain and LlamaIndex share: an index of texts, vectors and metadata."""

from ._errors import InvalidInputError
from ._esparsa import Column, Dense, Index, Query, Schema, Stored, Text, fuse

_MODES = ("dense", "text", "hybrid")


class Store:
    """Texts, their vectors, and columns of metadata to filter by; the index is made when the first vector is there."""

    def __init__(self, *, index=None, path=None, language="english", columns=None, metric="cosine"):
        self.index = index
        self._path = path
        self._language = language
        self._columns = dict(columns or {})
        self._metric = metric
        if index is None and path is not None and Index.exists(path):
            self.index = Index.open(path)
        if self.index is not None:
            self._columns = {name: None for name, kind in self.index.schema.fields.items() if kind == "column"}

    def add(self, ids, texts, vectors, metadatas, documents):
        """Adds texts in one commit; `documents` are what is stored of them."""
        if not ids:
            return
        self._open(len(vectors[0]))
        rows = (
            {
                "_id": id,
                "text": text,
                "vector": vector,
                "document": document,
                **{name: metadata.get(name) for name in self._columns},
            }
            for id, text, vector, metadata, document in zip(ids, texts, vectors, metadatas, documents)
        )
        with self.index.writer() as writer:
            writer.add_many(rows)

    def delete(self, *, ids=None, query=None):
        """Deletes documents by id, or those that match a query."""
        if self.index is None:
            return
        with self.index.writer() as writer:
            for id in ids or []:
                writer.delete(id)
            if query is not None:
                writer.delete_matching(query)

    def get(self, ids):
        """Stored documents by id; those that are not there are left out."""
        if self.index is None:
            return []
        snapshot = self.index.snapshot()
        found = ((id, snapshot.get(id)) for id in ids)
        return [(id, document) for id, document in found if document is not None]

    def search(self, mode, k, *, text=None, vector=None, filter=None, alpha=0.5, depth=None):
        """Hits by vectors, by words, or by both: z-scores added, `alpha` times that of vectors."""
        if mode not in _MODES:
            raise InvalidInputError(f"expected a mode among {', '.join(_MODES)}, found {mode!r}")
        if self.index is None:
            return []
        snapshot = self.index.snapshot()
        options = {} if filter is None else {"filter": filter}
        depth = k if mode != "hybrid" else max(depth or 0, 4 * k, 100)
        rankings = []
        if mode != "dense":
            rankings.append(snapshot.search(text, depth, fields="text", **options))
        if mode != "text":
            rankings.append(snapshot.search(Query.dense("vector", vector), depth, **options))
        if mode != "hybrid":
            return rankings[0]
        return fuse(rankings, method="weighted-sum", normalization="z-score", weights=[1 - alpha, alpha], k=k)

    def _open(self, dimensions):
        if self.index is not None:
            return
        schema = Schema(
            {
                "text": Text(self._language),
                "vector": Dense(dimensions, metric=self._metric),
                "document": Stored(),
                **self._columns,
            }
        )
        self.index = Index.in_memory(schema) if self._path is None else Index.create(self._path, schema)


def columns_of(columns):
    """Columns by name, each of which is a `Column` or the name of its type."""
    return {name: Column(kind) if isinstance(kind, str) else kind for name, kind in (columns or {}).items()}
