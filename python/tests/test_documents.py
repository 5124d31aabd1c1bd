"""Documents from dicts, columns and Arrow."""

import json
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

import esparsa
from esparsa import Column, Dense, Index, Query, Schema, Sparse, Stored, Text

FIELDS = dict(
    text=Text("en"),
    whole=Column("i64"),
    share=Column("f64"),
    flag=Column("bool"),
    day=Column("date", several=True),
    tags=Column("keyword", several=True),
    splade=Sparse(),
    vector=Dense(2),
    source=Stored(),
)


def index_of(*documents, **options):
    index = Index.in_memory(Schema(FIELDS))
    with index.writer() as writer:
        writer.add_many(documents, **options)
    return index


def test_values_of_python_and_numpy_come_back_as_python_has_them():
    zone = timezone(timedelta(hours=2))
    snapshot = index_of(
        {
            "_id": "a",
            "text": ["lava", "ash"],
            "whole": np.int32(-7),
            "share": np.float32(0.5),
            "flag": np.bool_(True),
            "day": [date(2024, 2, 29), datetime(2024, 6, 19, 15, 22, 45, 120_000, zone), datetime(1669, 3, 11)],
            "tags": ("b", "a"),
            "splade": {"lava": 1.5},
            "vector": [1.0, 0.0],
        },
        {"_id": "b", "text": None, "whole": 2**62},
    ).snapshot()
    assert snapshot.values("a", "whole") == [-7]
    assert snapshot.values("a", "share") == [0.5]
    assert snapshot.values("a", "flag") == [True]
    assert snapshot.values("a", "tags") == ["a", "b"]
    assert snapshot.values("a", "day") == [
        datetime(1669, 3, 11, tzinfo=timezone.utc),
        datetime(2024, 2, 29, tzinfo=timezone.utc),
        datetime(2024, 6, 19, 13, 22, 45, 120_000, timezone.utc),
    ]
    assert snapshot.values("b", "whole") == [2**62] and snapshot.values("b", "flag") == []
    assert snapshot.values("c", "whole") is None
    assert snapshot.search(Query.sparse("splade", {"lava": 2})).ids == ["a"]
    assert snapshot.search(Query.term("day", date(2024, 2, 29))).ids == ["a"]
    assert snapshot.search("ash").ids == ["a"]


def test_dates_that_python_has_no_year_for_are_strings():
    snapshot = index_of({"_id": "a", "day": -(10**15)}).snapshot()
    (found,) = snapshot.values("a", "day")
    assert isinstance(found, str) and found.startswith("-")


def test_ids_are_under_id_or_another_key_and_may_be_numbers():
    assert index_of({"id": 7, "text": "lava"}).search("lava").ids == ["7"]
    assert index_of({"docno": "d", "text": "lava"}, id="docno").search("lava").ids == ["d"]
    for wrong in [{"text": "lava"}, {"_id": None, "text": "lava"}, {"_id": 1.5, "text": "lava"}, "lava"]:
        with pytest.raises(esparsa.InvalidInputError):
            index_of(wrong)


def test_keys_that_are_no_fields_are_errors_or_left_out_or_stored():
    document = {"_id": "a", "text": "lava", "url": "https://example.org", "vector": [1, 2]}
    with pytest.raises(esparsa.InvalidInputError, match="`url`"):
        index_of(document)
    assert index_of(document, extra="ignore").snapshot().get("a") == {"_id": "a", "text": "lava"}
    stored = index_of(document, extra="store").snapshot().get("a")
    assert stored == {"_id": "a", "text": "lava", "url": "https://example.org"}


def test_stored_values_are_kept_as_they_are():
    for given, expected in [
        (b"\xff\x00", b"\xff\x00"),
        ("π", "π".encode()),
        ({"π": [1, np.float64(2), date(2024, 1, 2)]}, '{"π":[1,2.0,"2024-01-02"]}'.encode()),
    ]:
        snapshot = index_of({"_id": "a", "source": given}).snapshot()
        assert snapshot.stored("a") == expected
    assert json.loads(expected) == snapshot.get("a")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"text": 5}, "document `a`: field `text`: expected a string"),
        ({"whole": object()}, "field `whole`: expected a number"),
        ({"whole": "seven"}, "field `whole`"),
        ({"whole": 2**70}, "field `whole`"),
        ({"vector": [1, 2, 3]}, "field `vector`"),
        ({"vector": [[1, 2]]}, "one dimension"),
        ({"vector": [1, float("nan")]}, "field `vector`"),
        ({"splade": {"a": 1, 2: 3}}, "both"),
        ({"splade": {2: 3}}, "field `splade`"),
        ({"splade": {"a": -1}}, "field `splade`"),
        ({"splade": 5}, "expected a sparse vector"),
        ({"splade": ([1, 2], [0.5])}, "1 weights of 2 terms"),
        ({"splade": "lava"}, "encode_documents"),
        ({"vector": np.array(["2024", "2025"], dtype="datetime64[Y]")}, "expected numbers"),
        ({7: "lava"}, "keys that are strings"),
        ({"source": {"x": float("nan")}}, "JSON"),
        ({"source": {"x": b"bytes"}}, "JSON"),
        ({"day": "yesterday"}, "field `day`"),
        ({"source": object()}, "JSON"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(document, expected):
    with pytest.raises(esparsa.InvalidInputError) as raised:
        index_of({"_id": "a", **document})
    assert expected in str(raised.value)


def test_documents_before_a_refused_one_are_there():
    index = Index.in_memory(Schema(FIELDS))
    writer = index.writer()
    with pytest.raises(esparsa.InvalidInputError):
        writer.add_many([{"_id": "a", "text": "lava"}, {"_id": "b", "text": 1}, {"_id": "c", "text": "lava"}])
    writer.commit()
    assert index.search("lava").ids == ["a"]


def test_what_an_iterable_raises_is_raised():
    def documents():
        yield {"_id": "a", "text": "lava"}
        raise RuntimeError("no more")

    index = Index.in_memory(Schema(FIELDS))
    writer = index.writer()
    with pytest.raises(RuntimeError, match="no more"):
        writer.add_many(documents())
    writer.commit()
    assert len(index) == 1


def test_columns_are_lists_matrices_and_dicts():
    index = Index.in_memory(Schema(FIELDS))
    with index.writer() as writer:
        count = writer.add_columns(
            ["a", "b"],
            text=["lava", None],
            tags=[["x", "y"], "z"],
            vector=np.array([[1, 0], [0, 1]], dtype=np.float64),
            splade=[{"lava": 1}, {"ash": 2}],
        )
    assert count == 2
    assert index.search(Query.dense("vector", np.array([0, 1])), 1).ids == ["b"]
    assert index.search(Query.term("tags", "z")).ids == ["b"]
    for wrong in [dict(text=["one"]), dict(text="ab"), dict(vector=np.zeros((3, 2))), dict(title=["a", "b"])]:
        with pytest.raises(esparsa.InvalidInputError), index.writer() as writer:
            writer.add_columns(["a", "b"], **wrong)


def arrow_table():
    return pa.table(
        {
            "_id": pa.array(["a", "b", "c"]).dictionary_encode(),
            "text": pa.array(["lava", None, "ash"], pa.large_string()),
            "whole": pa.array([1, 2, None], pa.uint16()),
            "share": pa.array([0.5, None, 2], pa.float32()),
            "flag": [True, False, None],
            "day": pa.array([[datetime(2024, 6, 19, 15)], [], None], pa.list_(pa.timestamp("us"))),
            "tags": pa.array([["x"], ["x", "y"], None], pa.list_(pa.string_view())),
            "splade": pa.array([[("lava", 1.5)], None, [("ash", 2.0)]], pa.map_(pa.string(), pa.float32())),
            "vector": pa.array([[1, 0], [0, 1], None], pa.list_(pa.float32(), 2)),
            "source": [b"A", b"B", b"C"],
        }
    )


@pytest.mark.parametrize("of", [lambda table: table, lambda table: pa.RecordBatchReader.from_batches(table.schema, table.to_batches(1))])
def test_arrow_tables_and_streams(of):
    index = Index.in_memory(Schema(FIELDS))
    with index.writer() as writer:
        assert writer.add_many(of(arrow_table())) == 3
    snapshot = index.snapshot()
    assert snapshot.search("lava").ids == ["a"]
    assert snapshot.values("b", "whole") == [2] and snapshot.values("c", "whole") == []
    assert snapshot.values("a", "share") == [0.5] and snapshot.values("b", "flag") == [False]
    assert snapshot.values("a", "day") == [datetime(2024, 6, 19, 15, tzinfo=timezone.utc)]
    assert snapshot.values("b", "tags") == ["x", "y"]
    assert snapshot.search(Query.sparse("splade", {"ash": 1})).ids == ["c"]
    assert snapshot.search(Query.dense("vector", [0, 1]), 1).ids == ["b"]
    assert snapshot.stored("c") == b"C"


def test_arrow_sparse_vectors_by_number_and_columns_that_do_not_fit():
    vector = pa.array(
        [{"indices": [3, 9], "values": [1.0, 0.5]}],
        pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))]),
    )
    index = Index.in_memory(Schema(splade=Sparse(terms="numbers")))
    with index.writer() as writer:
        writer.add_many(pa.table({"id": [7], "splade": vector}))
    assert index.search(Query.sparse("splade", {9: 2.0})).ids == ["7"]
    for wrong in [
        pa.table({"splade": vector}),
        pa.table({"id": [7], "splade": ["lava"]}),
        pa.table({"id": [7], "other": ["lava"]}),
        pa.table({"id": [1.5], "splade": vector}),
    ]:
        with pytest.raises(esparsa.InvalidInputError), index.writer() as writer:
            writer.add_many(wrong)
    with index.writer() as writer:
        assert writer.add_many(pa.table({"id": [8], "other": ["lava"]}), extra="ignore") == 1


def test_missing_values_of_pandas_and_numpy_are_left_out():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "_id": ["a", "b"],
            "text": ["lava", None],
            "share": [0.5, float("nan")],
            "day": pandas.to_datetime(["2024-02-29 12:00", None]),
            "tags": [np.array(["x", "y"]), [None, "z"]],
        }
    )
    snapshot = index_of(*frame.to_dict("records")).snapshot()
    assert snapshot.values("a", "day") == [datetime(2024, 2, 29, 12, tzinfo=timezone.utc)]
    assert snapshot.values("b", "day") == snapshot.values("b", "share") == []
    assert snapshot.values("a", "tags") == ["x", "y"] and snapshot.values("b", "tags") == ["z"]
    index = Index.in_memory(Schema(day=Column("date")))
    with index.writer() as writer:
        writer.add_columns(["a", "b"], day=frame["day"].to_numpy())
    assert index.snapshot().values("a", "day") == snapshot.values("a", "day") and index.snapshot().values("b", "day") == []


def test_what_is_no_mistake_of_a_value_is_raised_as_it_is():
    class Interrupts:
        def item(self):
            raise KeyboardInterrupt

    class Changes(dict):
        def item(self):
            document["more"] = 1
            return 5

    with pytest.raises(KeyboardInterrupt):
        index_of({"_id": "a", "whole": Interrupts()})
    document = {"_id": "a", "whole": Changes()}
    assert index_of(document).snapshot().values("a", "whole") == [5]


def test_fields_of_structured_arrays_and_other_strides():
    mixed = np.zeros(2, dtype=[("a", "f4"), ("b", "i1"), ("v", "f4", (2,))])
    mixed["a"], mixed["v"] = [1, 2], [[3, 4], [5, 6]]
    index = Index.in_memory(Schema(vector=Dense(2)))
    with index.writer() as writer:
        writer.add_columns(["m", "n"], vector=mixed["v"])
        writer.add({"_id": "a", "vector": mixed["a"]})
        writer.add({"_id": "r", "vector": np.array([1, 2, 3, 4], dtype=np.float32)[::-2]})
    scores = {hit.id: hit.score for hit in index.search(Query.dense("vector", np.array([1, 10])))}
    assert scores == {"m": 43, "n": 65, "a": 21, "r": 24}


def test_vectors_without_terms_fit_any_field():
    index = Index.in_memory(Schema(named=Sparse(), numbered=Sparse(terms="numbers")))
    with index.writer() as writer:
        for empty in [{}, ([], [])]:
            writer.add({"_id": "a", "named": empty, "numbered": empty})
    for field in ["named", "numbered"]:
        for empty in [{}, ([], [])]:
            assert index.search(Query.sparse(field, empty)).ids == []


def test_documents_before_a_refused_row_are_there_however_they_came():
    for load in [
        lambda writer: writer.add_many(pa.table({"_id": ["a", "b", None], "text": ["lava"] * 3})),
        lambda writer: writer.add_columns(["a", "b", "c"], text=["lava", "lava", 5]),
    ]:
        index = Index.in_memory(Schema(FIELDS))
        writer = index.writer()
        with pytest.raises(esparsa.InvalidInputError):
            load(writer)
        writer.commit()
        assert index.search("lava").ids == ["a", "b"]


def test_arrow_nulls_decimals_dictionaries_and_whole_numbers():
    from decimal import Decimal

    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["lava", None]))
    numbers = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array([7, 9]))
    table = pa.table(
        {
            "_id": ["a", "b", "c"],
            "text": dictionary,
            "whole": numbers,
            "share": pa.array([Decimal("1.25"), None, Decimal("-2")], pa.decimal128(10, 2)),
            "tags": pa.nulls(3),
            "vector": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64())),
            "splade": pa.array([[("lava", 2)], [], None], pa.map_(pa.string(), pa.int16())),
        }
    )
    index = Index.in_memory(Schema(FIELDS))
    with index.writer() as writer:
        writer.add_many(table.slice(1))
        writer.add_many(table.slice(0, 1))
    snapshot = index.snapshot()
    assert set(snapshot.search("lava").ids) == {"a", "c"}
    assert [snapshot.values(id, "whole") for id in "abc"] == [[7], [9], []]
    assert [snapshot.values(id, "share") for id in "abc"] == [[1.25], [], [-2]]
    assert snapshot.search(Query.dense("vector", [0, 1]), 1).scores.tolist() == [4]


def test_arrow_streams_that_are_invalid_are_refused():
    index = Index.in_memory(Schema(FIELDS))
    broken = pa.array([b"\xff\xfe lava"]).view(pa.string())
    beyond = pa.DictionaryArray.from_arrays(pa.array([5]), pa.array(["x"]), safe=False)
    for table in [pa.table({"_id": ["a"], "text": broken}), pa.table({"_id": ["a"], "text": beyond})]:
        writer = index.writer()
        with pytest.raises(esparsa.InvalidInputError, match="valid Arrow"):
            writer.add_many(table)
        writer.close()


def test_a_producer_of_arrow_may_need_other_threads_of_python(tmp_path):
    import time

    import pyarrow.csv

    class Slow:
        closed = False

        def __init__(self):
            self.lines = iter([b"_id,text\n", *(f"{n},lava\n".encode() for n in range(20)), b""])

        def read(self, size=-1):
            time.sleep(0.01)
            return next(self.lines, b"")

        def close(self):
            pass

    index = Index.in_memory(Schema(text=Text()))
    with index.writer() as writer:
        assert writer.add_many(pyarrow.csv.open_csv(pa.PythonFile(Slow(), mode="r"))) == 20
