"""Driver of LanceDB, with its own full-text index, for queries of many forms."""

import asyncio
import os
import sys
import time

import lancedb
import pyarrow
from lancedb.index import FTS, BTree
from lancedb.query import BooleanQuery, ColumnOrdering, MatchQuery, Occur, PhraseQuery

import driver
import forms

NAME, PACKAGE = "lancedb", "lancedb"
# README.md says why these are left out.
MODES = forms.modes(without=("phrase-2/top", "phrase-3/top", "prefix", "fuzzy-1", "fuzzy-2", "union/facets"))
TABLE, TEXT, NUMBER = "documents", "text", "number"
# Terms are what stands between spaces, as it is; phrases need positions.
INDEX = {
    "base_tokenizer": "whitespace",
    "with_position": True,
    "max_token_length": None,
    "lower_case": False,
    "stem": False,
    "remove_stop_words": False,
    "ascii_folding": False,
}


def use_threads(count):
    """Says how many threads the engine may have; it reads this when it is first used."""
    for name in ("LANCE_CPU_THREADS", "TOKIO_WORKER_THREADS"):
        os.environ[name] = str(count)


def build(work, index, options):
    if options.order is not None:
        raise ValueError("expected no order of documents: forms are measured in documents as they come")
    use_threads(options.threads)
    texts = [text for _, text in work.texts(None)]
    numbers, keywords = forms.columns(work)
    keywords = [forms.keyword(number) for number in keywords.tolist()]
    rows = pyarrow.table({TEXT: texts, NUMBER: numbers.astype("int64"), "keyword": keywords})
    table = lancedb.connect(str(index)).create_table(TABLE, rows)
    # One worker makes one part, as other engines have one segment.
    table.create_index(TEXT, config=FTS(**INDEX, num_workers=1))
    table.create_index(NUMBER, config=BTree())
    sizes = {about.columns[0]: about.size_bytes for about in table.list_indices()}
    parts = sum(1 for _ in index.rglob("part_*_docs.lance"))
    stored = driver.bytes_of(path for path in index.rglob("data/*") if path.is_file())
    note = f"1 thread makes the index of texts, {parts} part(s), positions, a B-tree of numbers; {stored:,} bytes of stored texts and columns are not counted"
    return {"documents": table.count_rows(), "index_bytes": sum(sizes.values()), "note": note, "parts": {"points": sizes[NUMBER]}}


def search(work, index, options):
    if (work.kind, options.mode) not in MODES:
        raise ValueError(f"expected a mode of {NAME} for {work.kind} work, found {options.mode}")
    use_threads(1)
    loop = asyncio.new_event_loop()
    start = time.perf_counter()
    table = loop.run_until_complete(open_table(index))
    open_us = driver.rounded((time.perf_counter() - start) * 1e6)
    task = forms.task_of(options.mode)
    asked = [question(table, form, task, options.k, work.documents) for form in forms.queries(work, options.mode, options.queries)]
    times, found = driver.measure(asked, options.rounds, lambda query: loop.run_until_complete(query.to_arrow()))
    hits = [hits_of(rows, task, options.k) for rows in found]
    return driver.Search(times, hits, "LANCE_CPU_THREADS and TOKIO_WORKER_THREADS are 1, indexes in memory, its asynchronous calls", open_us=open_us)


async def open_table(index):
    connection = await lancedb.connect_async(str(index))
    table = await connection.open_table(TABLE)
    for about in await table.list_indices():
        await table.prewarm_index(about.name)
    return table


def question(table, form, task, k, documents):
    """A query that is ready to be run: it finds numbers of rows, which are those of documents, and scores."""
    columns = ["_rowid", "_score"]
    query = table.query().nearest_to_text(terms_of(form)).with_row_id()
    if task == "sort":
        columns.append(NUMBER)
        query = query.order_by([ColumnOrdering(column_name=NUMBER)])
    # It counts by finding all, and sorts what it has found by score.
    query = query.select(columns).limit(k if task == "top" else documents)
    if form.range is not None:
        query = query.where(f"{NUMBER} BETWEEN {form.range[0]} AND {form.range[1]}")
    return query


def terms_of(form):
    """A form as the engine's query."""
    if form.phrase:
        return PhraseQuery(" ".join(form.phrase), TEXT)
    must, should = form.must, form.should
    if not form.must_not and not (must and should):
        return MatchQuery(" ".join(must or should), TEXT, operator="AND" if must else "OR")
    if not must and len(should) == 1:
        # The only word that should match has to, which it finds faster.
        must, should = should, must
    clauses = ((Occur.MUST, must), (Occur.SHOULD, should), (Occur.MUST_NOT, form.must_not))
    return BooleanQuery([(occur, MatchQuery(term, TEXT)) for occur, terms in clauses for term in terms])


def hits_of(rows, task, k):
    if task == "count":
        return [(0, rows.num_rows)]
    values = rows[NUMBER if task == "sort" else "_score"]
    return list(zip(rows["_rowid"].to_pylist(), values.to_pylist()))[:k]


if __name__ == "__main__":
    driver.main(sys.modules[__name__])
