"""Collections of Anserini."""

import gzip
import json

import esparsa
import pytest

from esparsa import Index, Query, Schema, Sparse, Text
from esparsa.anserini import documents

ROWS = [
    {"id": "a", "contents": "lava flows", "vector": {"lava": 2.0, "flow": 1}},
    {"id": 2, "contents": "bees dance", "vector": {"bee": 3}},
]


def test_files_and_folders_are_read(tmp_path):
    (tmp_path / "1.jsonl").write_text(json.dumps(ROWS[0]) + "\n\n")
    with gzip.open(tmp_path / "2.json.gz", "wt") as file:
        file.write(json.dumps(ROWS[1:]))
    (tmp_path / "notes.txt").write_text("not read")
    index = Index.in_memory(Schema(contents=Text("en"), vector=Sparse()))
    with index.writer() as writer:
        assert writer.add_many(documents(tmp_path, contents="contents", vector="vector")) == 2
    assert index.search("flowing lava").ids == ["a"]
    assert index.search(Query.sparse("vector", {"bee": 1})).ids == ["2"]
    (tmp_path / "3.json").write_text('{\n  "id": 3,\n  "contents": "one\u2028line"\n}', encoding="utf-8-sig")
    assert list(documents(tmp_path / "3.json", contents="c")) == [{"_id": 3, "c": "one\u2028line"}]
    assert list(documents(tmp_path / "1.jsonl", vector="v")) == [{"_id": "a", "v": {"lava": 2.0, "flow": 1}}]


def test_what_is_wrong_is_said_with_its_place(tmp_path):
    file = tmp_path / "1.jsonl"
    file.write_text('{"id": 1, "vector": {}}\n{"id": 2}\n')
    with pytest.raises(ValueError, match="line 2: .*`vector`"):
        list(documents(file, vector="vector"))
    file.write_text("{\n")
    with pytest.raises(ValueError, match="line 1: expected JSON"):
        list(documents(file, contents="contents"))
    with pytest.raises(ValueError, match="neither"):
        list(documents(file))
    (tmp_path / "empty").mkdir()
    with pytest.raises(esparsa.StorageError):
        list(documents(tmp_path / "empty", contents="contents"))
