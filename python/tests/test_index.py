"""Indexes on disk and in memory, writers and snapshots."""

import pytest

import esparsa
from esparsa import Column, Index, Query, Schema, Stored, Text

SCHEMA = dict(text=Text("en"), source=Stored())


def test_an_index_on_disk_is_created_opened_and_searched(tmp_path):
    path = tmp_path / "passages"
    assert not Index.exists(path)
    with pytest.raises(esparsa.NoIndexError) as raised:
        Index.open(path)
    assert isinstance(raised.value, esparsa.Error) and isinstance(raised.value, FileNotFoundError)
    index = Index.create(path, Schema(**SCHEMA))
    with index.writer() as writer:
        writer.add({"_id": "etna", "text": "An active volcano"})
    assert Index.exists(path)
    again = Index.open(str(path))
    assert len(again) == 1 and "etna" in again and "bees" not in again
    assert again.search("volcanoes").ids == ["etna"]
    assert again.schema.fields == {"text": "text", "source": "stored"}
    Index.open_or_create(path, Schema(**SCHEMA))
    again.check()


def test_a_document_replaces_the_one_with_its_id_and_snapshots_stay():
    index = Index.in_memory(Schema(SCHEMA))
    writer = index.writer()
    writer.add({"_id": "a", "text": "first"})
    assert writer.commit()["documents"] == 1
    before = index.snapshot()
    writer.add({"_id": "a", "text": "second"})
    assert writer.refresh().search("second").ids == ["a"]
    assert writer.commit() == {"commit": 3, "documents": 1, "segments": 1, "rejected": []}
    assert before.search("first").ids == ["a"] and before.search("second").ids == []
    assert before.get("a") == {"_id": "a", "text": "first"}
    after = index.snapshot()
    assert after.commit > before.commit and after.get("a")["text"] == "second"
    assert after.get("b") is None and after.stored("b") is None
    writer.delete("a")
    writer.commit()
    assert len(index) == 0 and len(after) == 1


def test_a_block_that_raises_commits_nothing():
    index = Index.in_memory(Schema(SCHEMA))
    with pytest.raises(ZeroDivisionError):
        with index.writer() as writer:
            writer.add({"_id": "a", "text": "lava"})
            1 / 0
    assert len(index) == 0
    with index.writer() as writer:
        writer.add({"_id": "b", "text": "lava"})
    assert index.search("lava").ids == ["b"]
    with pytest.raises(esparsa.InvalidInputError, match="open writer"):
        writer.add({"_id": "c", "text": "lava"})


def test_a_second_writer_is_refused_until_the_first_is_closed(tmp_path):
    index = Index.create(tmp_path / "i", Schema(SCHEMA))
    writer = index.writer(threads=1, memory=64 << 20)
    with pytest.raises(esparsa.LockedError):
        index.writer()
    writer.close()
    index.writer().close()


def test_rollback_delete_matching_merge_attach_and_backup(tmp_path):
    index = Index.create(tmp_path / "a", Schema(SCHEMA))
    other = Index.create(tmp_path / "b", Schema(SCHEMA))
    with other.writer() as writer:
        writer.add({"_id": "other", "text": "ash"})
    with index.writer() as writer:
        writer.add_many({"_id": str(n), "text": "lava" if n % 2 else "ash"} for n in range(10))
        writer.commit()
        writer.add({"_id": "10", "text": "lava"})
        writer.rollback()
        assert writer.delete_matching(Query.text("text", "lava")) == 5
        writer.attach(tmp_path / "b")
        writer.commit()
        writer.merge()
        writer.wait_for_merges()
    assert sorted(index.search("ash").ids) == ["0", "2", "4", "6", "8", "other"]
    index.snapshot().backup(tmp_path / "copy")
    assert len(Index.open(tmp_path / "copy")) == 6


def test_rejected_duplicates_are_told_and_documents_of_earlier_commits_are_replaced():
    index = Index.in_memory(Schema(SCHEMA))
    writer = index.writer(on_duplicate="reject")
    writer.add_many([{"_id": id, "text": text} for id, text in [("a", "first"), ("a", "second"), ("b", "x"), ("b", "y")]])
    rejected = writer.commit()["rejected"]
    assert len(rejected) == 2 and "`a`" in rejected[0] and "`b`" in rejected[1]
    assert index.get("a")["text"] == "first"
    writer.close()
    with pytest.raises(esparsa.InvalidInputError, match="found 1; all others are committed"):
        with index.writer(on_duplicate="reject") as writer:
            writer.add_many([{"_id": "a", "text": "later"}, {"_id": "a", "text": "rejected"}])
    assert index.get("a")["text"] == "later"


def test_changes_that_nobody_committed_are_warned_of():
    index = Index.in_memory(Schema(SCHEMA))
    writer = index.writer()
    writer.add({"_id": "a", "text": "lava"})
    assert writer.pending == 1 and "1 change" in repr(writer)
    with pytest.warns(ResourceWarning, match="1 change"):
        del writer
    with index.writer() as writer:
        writer.add({"_id": "a", "text": "lava"})
    assert writer.pending == 0
    writer = index.writer()
    writer.delete("a")
    writer.close()
    del writer
    assert len(index) == 1


def test_what_an_index_is_can_be_seen(tmp_path):
    fields = dict(
        text=Text("en", positions=True, k1=1.5),
        vector=esparsa.Dense(3, element="f16", metric="cosine"),
        tags=Column("keyword", several=True),
        weights=esparsa.Sparse(terms="numbers"),
        source=Stored(),
    )
    Index.create(tmp_path / "i", Schema(fields))
    index = Index(tmp_path / "i")
    assert index.path == tmp_path / "i" and "0 documents" in repr(index) and "in memory" in repr(Index.in_memory(Schema(fields)))
    schema = index.schema
    assert (schema["text"].analyzer, schema["text"].positions, schema["text"].k1) == ("english", True, 1.5)
    assert (schema["vector"].dimensions, schema["vector"].element, schema["vector"].metric) == (3, "f16", "cosine")
    assert (schema["tags"].type, schema["tags"].several, schema["weights"].terms) == ("keyword", True, "numbers")
    assert 'tags=Column("keyword", several=True)' in repr(schema)
    with pytest.raises(KeyError):
        schema["none"]


def test_ids_may_be_whole_numbers_everywhere():
    index = Index.in_memory(Schema(SCHEMA))
    with index.writer() as writer:
        writer.add({"_id": 2**70, "text": "lava"})
        writer.add_columns([1, 2], text=["a", "b"])
        writer.delete(2)
    assert 1 in index and 2 not in index and 2**70 in index.snapshot()
    assert index.get(1)["text"] == "a" and index.explain("a", 1)["id"] == "1"
    with pytest.raises(esparsa.InvalidInputError):
        index.get(True)


def test_the_schema_changes():
    index = Index.in_memory(Schema(SCHEMA))
    with index.writer() as writer:
        writer.add({"_id": "a", "text": "lava"})
    index.change_schema({"year": Column("i64")})
    with index.writer() as writer:
        writer.add({"_id": "b", "text": "lava", "year": 1669})
    assert index.search("lava", filter=Query.range("year", gte=1600)).ids == ["b"]
    index.change_schema(drop="year", month=Column("i64"), day=Column("i64"))
    index.change_schema(drop=["month"])
    assert "year" not in index.schema and list(index.schema.fields) == ["text", "source", "day"]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Schema(text="english"), "field `text`: expected Text()"),
        (lambda: Index.in_memory(Schema(text=Text("klingon"))), "klingon"),
        (lambda: Schema(price=Column("decimal")), '"keyword", found "decimal"'),
        (lambda: Schema(vector=esparsa.Dense(3, metric="euclidean")), 'found "euclidean"'),
        (lambda: Schema(a=Stored(), b=Stored()), "stored"),
        (lambda: Index.in_memory(Schema(SCHEMA)).writer(on_duplicate="merge"), 'found "merge"'),
    ],
)
def test_what_is_wrong_is_said(make, expected):
    with pytest.raises(esparsa.InvalidInputError) as raised:
        make()
    assert expected in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_a_damaged_index_is_found(tmp_path):
    index = Index.create(tmp_path / "i", Schema(SCHEMA))
    with index.writer() as writer:
        writer.add_many({"_id": str(n), "text": f"word{n} lava"} for n in range(1000))
    segment = max((tmp_path / "i").iterdir(), key=lambda file: file.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    with pytest.raises(esparsa.CorruptError):
        Index.open(tmp_path / "i").check()


def test_damage_behind_an_open_index_is_found(tmp_path):
    index = Index.create(tmp_path / "i", Schema(SCHEMA))
    with index.writer() as writer:
        writer.add_many({"_id": str(n), "text": "lava"} for n in range(100))
        writer.commit()
        writer.delete("7")
    deletes = [file for file in (tmp_path / "i").iterdir() if "delete" in file.name]
    index.check()
    assert len(deletes) == 1
    deletes[0].write_bytes(deletes[0].read_bytes()[:-1] + b"\xff")
    with pytest.raises(esparsa.CorruptError):
        index.check()


def test_an_index_of_strangers_is_verified_and_only_read(tmp_path):
    path = tmp_path / "theirs"
    with Index.create(path, Schema(SCHEMA)).writer() as writer:
        writer.add({"_id": "etna", "text": "lava"})
    theirs = Index.open(path, untrusted=1 << 20)
    assert [hit.id for hit in theirs.search("lava")] == ["etna"]
    with pytest.raises(esparsa.InvalidInputError, match="untrusted"):
        theirs.writer()
    with pytest.raises(esparsa.LimitError, match="untrusted"):
        Index.open(path, untrusted=100).snapshot()
    segment = next(path.glob("segment-*"))
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(esparsa.CorruptError):
        Index.open(path, untrusted=1 << 20).snapshot()
