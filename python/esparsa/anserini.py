"""Collections in the forms of Anserini: JsonCollection and JsonVectorCollection, in files or folders of JSON Lines.

    from esparsa.anserini import documents

    index = Index.create("my.index", Schema(splade=Sparse()))
    with index.writer() as writer:
        writer.add_many(documents("splade-vectors/", vector="splade"))
"""

import gzip
import json
from pathlib import Path

from ._errors import InvalidInputError, StorageError

_NAMES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


def documents(path, *, contents=None, vector=None):
    """The documents of a file or a folder as `Writer.add_many` takes them. `contents` and `vector` name the fields of the
    index that get the text and the vector; without a name, these are left out."""
    if contents is None and vector is None:
        raise InvalidInputError("expected a field for contents or for vector, found neither")
    return _documents(Path(path), contents, vector)


def _documents(path, contents, vector):
    for file in _files(path):
        for place, document in _read(file):
            row = {"_id": _value(document, "id", file, place)}
            if contents is not None:
                row[contents] = _value(document, "contents", file, place)
            if vector is not None:
                row[vector] = _value(document, "vector", file, place)
            yield row


def _files(path):
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.name.endswith(_NAMES))
    if not files:
        raise StorageError(f"expected files named {', '.join('*' + name for name in _NAMES)} in {path}, found none")
    return files


def _read(file):
    """Documents, and where each is: of JSON Lines, or of one array or object of JSON."""
    opened = gzip.open if file.name.endswith(".gz") else open
    with opened(file, "rt", encoding="utf-8-sig", newline="\n") as lines:
        if file.name.removesuffix(".gz").endswith(".json"):
            text = lines.read()
            try:
                whole = json.loads(text)
            except ValueError:
                lines = text.split("\n")
            else:
                several = whole if isinstance(whole, list) else [whole]
                yield from ((f"document {number}", document) for number, document in enumerate(several, 1))
                return
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield f"line {number}", json.loads(line)
                except ValueError as error:
                    raise InvalidInputError(f"{file}, line {number}: expected JSON: {error}") from None


def _value(document, key, file, place):
    if not isinstance(document, dict) or key not in document:
        raise InvalidInputError(f"{file}, {place}: expected a document with the key `{key}`, found none")
    return document[key]
