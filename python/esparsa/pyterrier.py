"""PyTerrier: an index artifact, its indexer, and retrievers. Needs the package `python-terrier`, but no Java.

>>> import tempfile
>>> from esparsa.pyterrier import EsparsaIndex
>>> index = EsparsaIndex(tempfile.mkdtemp() + "/my.index", analyzer="english")
>>> index = index.index([{"docno": "etna", "text": "An active volcano"}, {"docno": "bees", "text": "They dance"}])
>>> index.bm25().search("volcanoes")[["docno", "rank"]].values.tolist()
[['etna', 0]]
"""

import itertools
from pathlib import Path

import pandas as pd
import pyterrier as pt

from ._errors import InvalidInputError
from ._esparsa import Index, Query, Schema, Sparse, Stored, Text

_TEXT, _TOKENS, _STORED = "text", "toks", "document"


class EsparsaIndex(pt.Artifact):
    """An index of esparsa on disk, as an artifact of PyTerrier.

    Documents have `text`, searched by BM25, or `toks`, a dict of the weights of a learned sparse model, or both.
    `analyzer` is the language of `text`; all other options are of a new index.
    """

    ARTIFACT_TYPE = "sparse_index"
    ARTIFACT_FORMAT = "esparsa"
    ARTIFACT_PACKAGE_HINT = "esparsa"

    def __init__(self, path, *, analyzer="english", positions=False, store=True):
        super().__init__(path)
        self._options = {"analyzer": analyzer, "positions": positions, "store": store}
        self._index = None

    def built(self):
        """Whether there is an index at the path."""
        return Index.exists(self.path)

    @property
    def engine(self):
        """The `esparsa.Index`."""
        if self._index is None:
            self._index = Index.open(self.path)
        return self._index

    def indexer(self, *, append=False, threads=None, memory=None):
        """An indexer of this path; unless it may append, the path has no index yet."""
        return EsparsaIndexer(self, append=append, threads=threads, memory=memory)

    def index(self, documents):
        """Indexes documents, dicts with `docno` and `text` or `toks`, and returns this artifact."""
        return self.indexer().index(documents)

    def retriever(self, *, num_results=1000, **options):
        """A retriever for `query` (by BM25) and `query_toks` (by weights); see `EsparsaRetriever`."""
        return EsparsaRetriever(self.engine, num_results=num_results, **options)

    def bm25(self, *, k1=None, b=None, num_results=1000, **options):
        """A retriever by BM25, with k1 and b of its own if both are given."""
        if (k1 is None) != (b is None):
            raise InvalidInputError("expected k1 and b together, found one of them")
        bm25 = None if k1 is None else (k1, b)
        return self.retriever(num_results=num_results, bm25=bm25, **options)

    def text_loader(self, fields=("text",)):
        """A transformer that adds texts of documents, as they were indexed, to results."""
        return _TextLoader(self.engine, list(fields))

    def __len__(self):
        return len(self.engine)


class EsparsaIndexer(pt.Indexer):
    """Indexes documents: dicts with `docno` and `text`, or `toks`, the weights of terms."""

    def __init__(self, artifact, *, append=False, threads=None, memory=None):
        self.artifact = artifact
        self.append = append
        self.options = {"threads": threads, "memory": memory}

    def index_inputs(self):
        return [["docno", _TEXT], ["docno", _TOKENS]]

    def index(self, iter, **kwargs):
        """Indexes an iterable of documents in one commit, and returns the artifact."""
        documents = _peekable(iter)
        if self.artifact.built():
            if not self.append:
                raise InvalidInputError(
                    f"expected no index at {self.artifact.path}, found one; index elsewhere, or append=True"
                )
            index = self.artifact.engine
        else:
            first, documents = documents
            index = Index.create(self.artifact.path, self._schema(first))
            documents = (first, documents)
        schema = index.schema.fields
        stored = _STORED if schema.get(_STORED) == "stored" else None
        with index.writer(**self.options) as writer:
            writer.add_many(_rows(documents, schema, stored), id="docno")
        self.artifact._index = index
        return self.artifact

    def _schema(self, first):
        options = self.artifact._options
        fields = {}
        if first is None or _TEXT in first:
            fields[_TEXT] = Text(options["analyzer"], positions=options["positions"])
        if first is not None and _TOKENS in first:
            fields[_TOKENS] = Sparse()
        if not fields:
            raise InvalidInputError(f"expected documents with `text` or `toks`, found the keys {sorted(first)}")
        if options["store"]:
            fields[_STORED] = Stored()
        return Schema(fields)


def _peekable(documents):
    documents = iter(documents)
    first = next(documents, None)
    return first, documents


def _rows(documents, schema, stored):
    first, others = documents
    for document in itertools.chain([] if first is None else [first], others):
        row = {key: value for key, value in document.items() if key == "docno" or key in schema}
        if stored:
            row[stored] = {key: value for key, value in document.items() if key != _TOKENS}
        yield row


class EsparsaRetriever(pt.Transformer):
    """Retrieves documents for the topics of a frame.

    `query` is searched in the text fields, `query_toks`, a dict of weights, in the sparse field; a frame with both is
    searched by the weights. All further options are those of `esparsa.Snapshot.search`.
    """

    def __init__(self, index, *, num_results=1000, tokens_field=_TOKENS, workers=None, **options):
        self.index = index
        self.num_results = num_results
        self.tokens_field = tokens_field
        self.workers = workers
        self.options = {name: value for name, value in options.items() if value is not None}

    def transform_inputs(self):
        return [["qid", "query"], ["qid", "query_toks"]]

    def transform_outputs(self, input_columns):
        pt.validate.columns(input_columns, includes=["qid"])
        return list(input_columns) + ["docno", "score", "rank"]

    def transform(self, topics):
        snapshot = self.index.snapshot() if isinstance(self.index, Index) else self.index
        frame = topics.drop(columns=[column for column in ("docno", "score", "rank", "docid") if column in topics])
        frame = frame.drop_duplicates(subset=["qid"])
        options = dict(self.options)
        if "query_toks" in frame:
            options = {name: value for name, value in options.items() if name not in ("bm25", "fields", "all_terms")}
            queries = [Query.sparse(self.tokens_field, tokens) for tokens in frame["query_toks"]]
        else:
            queries = [str(query) for query in frame["query"]]
        results = snapshot.search_many(queries, self.num_results, workers=self.workers, **options)
        columns = {column: [] for column in [*frame.columns, "docno", "score", "rank"]}
        for topic, hits in zip(frame.itertuples(index=False), results):
            ids = hits.ids
            for column, value in zip(frame.columns, topic):
                columns[column].extend([value] * len(ids))
            columns["docno"].extend(ids)
            columns["score"].extend(hits.scores.tolist())
            columns["rank"].extend(range(len(ids)))
        return pd.DataFrame(columns)

    def __repr__(self):
        return f"EsparsaRetriever({self.index!r}, num_results={self.num_results})"


class _TextLoader(pt.Transformer):
    """Adds texts of documents."""

    def __init__(self, index, fields):
        self.index = index
        self.fields = fields

    def transform_inputs(self):
        return [["docno"]]

    def transform_outputs(self, input_columns):
        return list(input_columns) + [field for field in self.fields if field not in input_columns]

    def transform(self, results):
        snapshot = self.index.snapshot()
        documents = [snapshot.get(docno) or {} for docno in results["docno"]]
        return results.assign(**{field: [document.get(field) for document in documents] for field in self.fields})


def as_transformer(index, **options):
    """A retriever of PyTerrier for an `esparsa.Index` or `esparsa.Snapshot`."""
    return EsparsaRetriever(index, **options)
