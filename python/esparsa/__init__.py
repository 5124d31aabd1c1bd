"""An embedded search engine for text (BM25), learned sparse vectors (SPLADE) and dense vectors.

>>> import esparsa
>>> index = esparsa.Index.in_memory(esparsa.Schema(text=esparsa.Text("en"), source=esparsa.Stored()))
>>> with index.writer() as writer:
...     writer.add({"_id": "etna", "text": "Etna is an active volcano in Sicily."})
>>> [(hit.id, hit.document["text"]) for hit in index.search("volcanoes")]
[('etna', 'Etna is an active volcano in Sicily.')]
"""

from ._errors import (
    CancelledError,
    CorruptError,
    DeviceError,
    Error,
    InvalidInputError,
    LimitError,
    LockedError,
    ModelError,
    NoIndexError,
    PoisonedError,
    StorageError,
    VersionError,
)
from ._esparsa import (
    Column,
    Dense,
    Facet,
    Hit,
    Hits,
    Index,
    Model,
    Query,
    Results,
    Schema,
    Snapshot,
    Sparse,
    Stored,
    Text,
    Writer,
    __version__,
    analyze,
    compare,
    evaluate,
    fuse,
    joined,
    train,
    train_option_names,
)

__all__ = [
    "CancelledError",
    "Column",
    "CorruptError",
    "Dense",
    "DeviceError",
    "Error",
    "Facet",
    "Hit",
    "Hits",
    "Index",
    "InvalidInputError",
    "LimitError",
    "LockedError",
    "Model",
    "ModelError",
    "NoIndexError",
    "PoisonedError",
    "Query",
    "Results",
    "Schema",
    "Snapshot",
    "Sparse",
    "StorageError",
    "Stored",
    "Text",
    "VersionError",
    "Writer",
    "__version__",
    "analyze",
    "compare",
    "evaluate",
    "fuse",
    "joined",
    "train",
    "train_option_names",
]
