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
    assert isinstance(raised.value, (esparsa.Error, FileNotFoundError))
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
    assert writer.commit() == {"commit": 3, "documents": 1, "segments": 1}
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


def test_rejected_duplicates_are_raised():
    index = Index.in_memory(Schema(SCHEMA))
    writer = index.writer(on_duplicate="reject")
    writer.add_many([{"_id": "a", "text": "first"}, {"_id": "a", "text": "second"}])
    with pytest.raises(esparsa.InvalidInputError, match="`a`"):
        writer.commit()
    assert index.snapshot().get("a")["text"] == "first"


def test_the_schema_changes():
    index = Index.in_memory(Schema(SCHEMA))
    with index.writer() as writer:
        writer.add({"_id": "a", "text": "lava"})
    index.change_schema({"year": Column("i64")})
    with index.writer() as writer:
        writer.add({"_id": "b", "text": "lava", "year": 1669})
    assert index.search("lava", filter=Query.range("year", gte=1600)).ids == ["b"]
    index.change_schema(drop=["year"])
    assert "year" not in index.schema


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
