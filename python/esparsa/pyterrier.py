"""PyTerrier: an index artifact, its indexer, and retrievers. Needs the package `python-terrier`, but no Java.

>>> import tempfile
>>> from esparsa.pyterrier import EsparsaIndex
>>> index = EsparsaIndex(tempfile.mkdtemp() + "/my.index", analyzer="english")
>>> index = index.index([{"docno": "etna", "text": "An active volcano"}, {"docno": "bees", "text": "They dance"}])
>>> index.bm25().search("volcanoes")[["docno", "rank"]].values.tolist()
[['etna', 0]]
"""

import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pyterrier as pt

from ._errors import InvalidInputError
from ._esparsa import Index, Query, Schema, Sparse, Stored, Text

_TEXT, _TOKENS, _STORED = "text", "toks", "document"
_RESULT = ("docno", "score", "rank", "docid")


class EsparsaIndex(pt.Artifact):
    """An index of esparsa on disk, as an artifact of PyTerrier.

    Documents have texts, searched by BM25, or `toks`, a dict of the weights of a learned sparse model, or both. `fields`
    are the keys of the texts. They, `analyzer` (English by default), `positions` and `store` are of an index that is made:
    one that is there must have them, if they are given.
    """

    ARTIFACT_TYPE = "sparse_index"
    ARTIFACT_FORMAT = "esparsa"
    ARTIFACT_PACKAGE_HINT = "esparsa"

    def __init__(self, path, *, fields=None, analyzer=None, positions=None, store=None):
        super().__init__(path)
        self.fields = [_TEXT] if fields is None else list(fields)
        self.analyzer, self.positions, self.store = analyzer, positions, store
        self._index = None
        if self.built():
            self._check(fields)

    def _check(self, fields):
        schema = self.engine.schema
        found = [name for name, kind in schema.fields.items() if kind == "text"]
        if fields is not None and found != self.fields:
            raise InvalidInputError(f"expected an index with the texts {self.fields}, found one with {found}")
        for name in found:
            for option in ("analyzer", "positions"):
                wanted, has = getattr(self, option), getattr(schema[name], option)
                if wanted is not None and _kept(wanted) != has:
                    raise InvalidInputError(f"expected an index with {option} {wanted!r} of `{name}`, found {has!r}")
        if self.store is not None and self.store != (_STORED in schema):
            raise InvalidInputError(f"expected an index with store={self.store}, found another one")
        self.fields = found

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
        """A retriever by BM25. Where k1 or b is not given, it is that of the fields. Both are parameters that
        `pyterrier.GridSearch` can set."""
        defaults = self.engine.schema[self.fields[0]]
        k1, b = (defaults.k1 if k1 is None else k1), (defaults.b if b is None else b)
        return EsparsaRetriever(self.engine, num_results=num_results, k1=k1, b=b, **options)

    def text_loader(self, fields="*", *, verbose=False):
        """A transformer that adds values of documents, as they were indexed, to results: those of some keys, or all."""
        if _STORED not in self.engine.schema:
            raise InvalidInputError("expected an index with store=True, found one without stored documents")
        return _TextLoader(self.engine, [fields] if isinstance(fields, str) and fields != "*" else fields)

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
        if kwargs:
            raise InvalidInputError(f"expected no options of index, found {', '.join(kwargs)}; give them to the indexer")
        documents = (iter.to_dict("records") if isinstance(iter, pd.DataFrame) else iter).__iter__()
        first = next(documents, None)
        documents = itertools.chain([] if first is None else [first], documents)
        is_new = not self.artifact.built()
        if not is_new and not self.append:
            raise InvalidInputError(
                f"expected no index at {self.artifact.path}, found one; index elsewhere, or append=True"
            )
        index = Index.create(self.artifact.path, self._schema(first)) if is_new else self.artifact.engine
        schema = index.schema.fields
        try:
            with index.writer(**self.options) as writer:
                writer.add_many((self._row(document, schema) for document in documents), id="docno")
        except BaseException:
            # What is left of a new index has no document, and would only be in the way.
            if is_new:
                shutil.rmtree(self.artifact.path)
            raise
        if is_new:
            metadata = {"type": "sparse_index", "format": "esparsa", "package_hint": "esparsa"}
            (self.artifact.path / "pt_meta.json").write_text(json.dumps(metadata))
        self.artifact._index = index
        return self.artifact

    def _schema(self, first):
        artifact = self.artifact
        first = {} if first is None else first
        fields = {}
        texts = [name for name in artifact.fields if name in first]
        if texts or _TOKENS not in first:
            for name in artifact.fields:
                fields[name] = Text(artifact.analyzer or "english", positions=bool(artifact.positions))
        if _TOKENS in first:
            fields[_TOKENS] = Sparse()
        if artifact.store is None or artifact.store:
            fields[_STORED] = Stored()
        return Schema(fields)

    def _row(self, document, schema):
        searched = [key for key in (*self.artifact.fields, _TOKENS) if key in document]
        missing = [key for key in searched if key not in schema]
        if missing or not searched:
            names = ", ".join(name for name, kind in schema.items() if kind in ("text", "sparse"))
            raise InvalidInputError(
                f"document {document.get('docno')!r}: expected {names}, which the first document decides, "
                f"found {', '.join(missing) or ', '.join(map(str, document))}"
            )
        row = {key: document[key] for key in ("docno", *searched) if key in document}
        if schema.get(_STORED) == "stored":
            row[_STORED] = {
                key: value for key, value in document.items() if key != _TOKENS and not _is_missing(value)
            }
        return row


def _is_missing(value):
    """Whether a value is None, or NaN, which frames have for it."""
    return value is None or (isinstance(value, float) and value != value)


def _kept(option):
    """The name that an index keeps of an analyzer; other options are what they are."""
    if not isinstance(option, str):
        return option
    return Index.in_memory(Schema(text=Text(option))).schema["text"].analyzer


class EsparsaRetriever(pt.Transformer):
    """Retrieves documents for the topics of a frame.

    `query` is searched in the text fields, with `k1` and `b` if they are given; `query_toks`, a dict of weights, in the
    sparse field. A frame with both is searched by the weights. All further options are those of
    `esparsa.Snapshot.search`.
    """

    def __init__(self, index, *, num_results=1000, k1=None, b=None, tokens_field=_TOKENS, workers=None, **options):
        if (k1 is None) != (b is None):
            raise InvalidInputError("expected k1 and b together, found one of them")
        self.index = index
        self.num_results = num_results
        self.k1, self.b = k1, b
        self.tokens_field = tokens_field
        self.workers = workers
        self.options = {name: value for name, value in options.items() if value is not None}

    def transform_inputs(self):
        return [["qid", "query"], ["qid", "query_toks"]]

    def transform_outputs(self, input_columns):
        with pt.validate.any(pd.DataFrame(columns=list(input_columns))) as mode:
            mode.columns(includes=["qid", "query"])
            mode.columns(includes=["qid", "query_toks"])
        return [column for column in input_columns if column not in _RESULT] + ["docno", "score", "rank"]

    def transform(self, topics):
        with pt.validate.any(topics) as mode:
            mode.columns(includes=["qid", "query"])
            mode.columns(includes=["qid", "query_toks"])
        snapshot = self.index.snapshot() if isinstance(self.index, Index) else self.index
        frame = topics.drop(columns=[column for column in _RESULT if column in topics])
        frame = frame.drop_duplicates(subset=["qid"])
        options = dict(self.options)
        if "query_toks" in frame:
            given = [name for name in ("fields", "all_terms", "bm25") if name in options]
            if given or self.k1 is not None:
                raise InvalidInputError(
                    f"expected no {', '.join(given or ['k1', 'b'])} with `query_toks`, which are weights, found some"
                )
            queries = [Query.sparse(self.tokens_field, tokens) for tokens in frame["query_toks"]]
        else:
            if self.k1 is not None:
                options["bm25"] = (self.k1, self.b)
            queries = [str(query) for query in frame["query"]]
        results = snapshot.search_many(queries, self.num_results, workers=self.workers, **options)
        places = [place for place, hits in enumerate(results) for _ in range(len(hits))]
        found = frame.iloc[places].reset_index(drop=True)
        scores = [hits.scores for hits in results]
        return found.assign(
            docno=pd.Series([id for ids in results.ids for id in ids], dtype=object),
            score=np.concatenate(scores).astype(float) if scores else np.zeros(0),
            rank=[rank for hits in results for rank in range(len(hits))],
        ).astype({"rank": int})

    def __repr__(self):
        return f"EsparsaRetriever({self.index!r}, num_results={self.num_results})"


class _TextLoader(pt.Transformer):
    """Adds texts of documents."""

    def __init__(self, index, fields):
        self.index = index
        self.fields = fields

    def transform_inputs(self):
        return [["docno"]]

    def transform(self, results):
        pt.validate.columns(results, includes=["docno"])
        snapshot = self.index.snapshot()
        documents = [snapshot.get(docno) or {} for docno in results["docno"]]
        fields = self.fields
        if fields == "*":
            fields = list(dict.fromkeys(key for document in documents for key in document if key not in ("_id", "docno")))
        return results.assign(**{field: [document.get(field) for document in documents] for field in fields})


def as_transformer(index, **options):
    """A retriever of PyTerrier for an `esparsa.Index` or `esparsa.Snapshot`."""
    return EsparsaRetriever(index, **options)
