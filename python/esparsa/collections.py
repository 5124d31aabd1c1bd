"""Collections in BEIR's layout, from files: no other package is needed.

    from esparsa.collections import Collection

    collection = Collection("scifact/")
    with index.writer() as writer:
        writer.add_many(collection.documents())
    results = index.search_many(collection.queries("test"), 1000)
    esparsa.evaluate(collection.qrels("test"), results.to_run(), ["ndcg@10"])
"""

import json
from pathlib import Path

from ._errors import InvalidInputError


class Collection:
    """A folder with `corpus.jsonl`, `queries.jsonl` and judgements in `qrels/`, such as `qrels/test.tsv`."""

    def __init__(self, path):
        self.path = Path(path)

    def documents(self, field="text"):
        """The documents as `Writer.add_many` takes them: title and text go to one field."""
        for row in _rows(self.path / "corpus.jsonl"):
            title, text = row.get("title") or "", row.get("text") or ""
            yield {"_id": row["_id"], field: f"{title} {text}".strip()}

    def queries(self, split=None):
        """The texts of queries by their ids: all of them, or those that a split judges."""
        judged = None if split is None else self.qrels(split)
        rows = _rows(self.path / "queries.jsonl")
        return {row["_id"]: row["text"] for row in rows if judged is None or row["_id"] in judged}

    def qrels(self, split="test"):
        """The grades of documents for each query, as `esparsa.evaluate` takes them."""
        file = self.path / "qrels" / f"{split}.tsv"
        grades = {}
        with open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                cells = line.rstrip("\n").split("\t")
                if number == 1 and cells[0] == "query-id":
                    continue
                if len(cells) != 3:
                    raise InvalidInputError(f"{file}, line {number}: expected a query, a document and a grade, found {line!r}")
                query, document, grade = cells
                grades.setdefault(query, {})[document] = int(grade)
        return grades


def _rows(file):
    with open(file, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InvalidInputError(f"{file}, line {number}: expected JSON: {error}") from None
            if not isinstance(row, dict) or "_id" not in row:
                raise InvalidInputError(f"{file}, line {number}: expected an object with `_id`, found {line[:60]!r}")
            yield row
