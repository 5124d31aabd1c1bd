"""What the vector stores of LangChain and LlamaIndex share: an index of texts, vectors and metadata."""

import threading

from ._errors import InvalidInputError
from ._esparsa import Column, Dense, Index, Query, Schema, Stored, Text, fuse

_MODES = ("dense", "text", "hybrid")


class Store:
    """Texts, their vectors, and columns of metadata to filter by; the index is made when the first vector is there.

    An index that is there already has columns and a language: those that are given must be its own.
    """

    def __init__(self, *, path=None, language=None, columns=None):
        self.index = None
        self._path = path
        self._language = language
        self._columns = dict(columns or {})
        self._lock = threading.Lock()
        reserved = sorted(set(self._columns) & {"_id", "id", "text", "vector", "document"})
        if reserved:
            raise InvalidInputError(f"expected other names of columns, found {', '.join(reserved)}, which the store uses")
        if path is not None and Index.exists(path):
            self.index = Index.open(path)
            self._check(self.index.schema)

    def _check(self, schema):
        found = {name: schema[name] for name, kind in schema.fields.items() if kind == "column"}
        for name, column in self._columns.items():
            has = found.get(name)
            if has is None or (has.type, has.several) != (column.type, column.several):
                raise InvalidInputError(f"expected an index with `{name}` as {column}, found {has}")
        if self._language is not None:
            wanted = Index.in_memory(Schema(text=Text(self._language))).schema["text"].analyzer
            if wanted != schema["text"].analyzer:
                raise InvalidInputError(
                    f"expected an index whose texts are {wanted}, found one of {schema['text'].analyzer}"
                )
        self._columns = found

    @property
    def columns(self):
        """The names of the columns."""
        return list(self._columns)

    def add(self, ids, texts, vectors, metadatas, documents):
        """Adds texts in one commit; `documents` are what is stored of them."""
        if not ids:
            return
        counts = {len(ids), len(texts), len(vectors), len(metadatas), len(documents)}
        if len(counts) != 1:
            raise InvalidInputError(f"expected a vector for each of {len(texts)} texts, found {len(vectors)}")
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
        # One writer at a time: other threads wait.
        with self._lock:
            self._open(len(vectors[0]))
            with self.index.writer() as writer:
                writer.add_many(rows)

    def delete(self, *, ids=None, query=None):
        """Deletes documents by id, or those that match a query."""
        if self.index is None:
            return
        with self._lock, self.index.writer() as writer:
            for id in several(ids or []):
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
        if mode != "dense" and text is None:
            raise InvalidInputError(f"expected a text to search in mode {mode!r}, found none")
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
                "text": Text(self._language or "english"),
                "vector": Dense(dimensions, metric="cosine"),
                "document": Stored(),
                **self._columns,
            }
        )
        self.index = Index.in_memory(schema) if self._path is None else Index.create(self._path, schema)


def several(ids):
    """Ids, but not those of one string, whose characters would be ids."""
    if isinstance(ids, str):
        raise InvalidInputError(f"expected a list of ids, found one string: {ids!r}")
    return ids


def columns_of(columns):
    """Columns by name, each of which is a `Column` or the name of its type."""
    return {name: Column(kind) if isinstance(kind, str) else kind for name, kind in (columns or {}).items()}
