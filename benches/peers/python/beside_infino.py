"""Driver of infino, an engine of full texts, vectors and SQL over Parquet files, for queries of many forms."""

import os
import re
import sys
import time

import infino
import pyarrow
import pyarrow.parquet

import driver
import forms

NAME, PACKAGE = "infino", "infino"
# It has no fuzzy terms.
MODES = forms.modes(without=("fuzzy-1", "fuzzy-2"))
TABLE, TEXT = "documents", "text"
# In the folder of an index: the engine's own files, and where it keeps copies of those that it searches.
FILES, CACHE = "files", "cache"
CACHE_BYTES = 8 << 30
# Seconds that filling the cache may take.
PATIENCE = 60
SEGMENT = "*.sf.parquet"
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("document", pyarrow.int64(), nullable=False),
        pyarrow.field(TEXT, pyarrow.large_utf8(), nullable=False),
        pyarrow.field("number", pyarrow.int64(), nullable=False),
        pyarrow.field("keyword", pyarrow.large_utf8(), nullable=False),
    ]
)
# What its tokenizer may split at or leave out: all that is no letter of English, no digit and no space.
ODD = re.compile("[^a-z0-9 ]")
# Letters to it, of the Ethiopic script, which has no capitals: one for each half of a byte.
LETTERS = [chr(0x1200 + 8 * half) for half in range(16)]


def spelled(text):
    """A text whose odd characters are their bytes in letters, so that the tokenizer splits at spaces alone.

    Different terms stay different, and terms that begin with plain characters still begin so.
    """
    return ODD.sub(lambda odd: "".join(LETTERS[byte >> 4] + LETTERS[byte & 15] for byte in odd[0].encode()), text)


def use_cores(count):
    """Binds the process to its first cores; the engine has as many threads that read, and half as many that write."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def build(work, index, options):
    if options.order is not None:
        raise ValueError("expected no order of documents: forms are measured in documents as they come")
    use_cores(options.threads)
    texts = [spelled(text) for _, text in work.texts(None)]
    numbers, keywords = forms.columns(work)
    keywords = [forms.keyword(number) for number in keywords.tolist()]
    rows = [range(len(texts)), texts, numbers.astype("int64"), keywords]
    rows = pyarrow.table([pyarrow.array(row, field.type) for row, field in zip(rows, SCHEMA)], schema=SCHEMA)
    database = infino.connect(str(index / FILES))
    table = database.create_table(TABLE, SCHEMA, infino.IndexSpec().fts(TEXT, stored=False, positions=True))
    table.append(rows)
    start = time.perf_counter()
    table.optimize(infino.OptimizeOptions(min_fill_percent=1))
    table.gc(0.0)
    merge_s = time.perf_counter() - start
    documents = database.query_sql(f"SELECT count(*) AS documents FROM {TABLE}")["documents"][0].as_py()
    files = [path for path in (index / FILES).rglob("*") if path.is_file()]
    segments = [path for path in files if path.match(SEGMENT)]
    note = f"{options.threads} core(s), {len(segments)} segment(s), positions; the text is indexed and not stored"
    built = {"documents": documents, "merge_s": merge_s, "index_bytes": driver.bytes_of(files), "note": note}
    return {**built, "parts": {"columns": bytes_of_columns(segments)}}


def bytes_of_columns(segments):
    """Bytes of the columns that filters, sorts and facets read."""
    total = 0
    for path in segments:
        about = pyarrow.parquet.read_metadata(path)
        groups = [about.row_group(place) for place in range(about.num_row_groups)]
        chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
        total += sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in ("number", "keyword"))
    return total


def search(work, index, options):
    if (work.kind, options.mode) not in MODES:
        raise ValueError(f"expected a mode of {NAME} for {work.kind} work, found {options.mode}")
    use_cores(1)
    start = time.perf_counter()
    cache = index / CACHE
    database = infino.connect(str(index / FILES), cache_dir=str(cache), cache_budget_bytes=CACHE_BYTES)
    table = database.open_table(TABLE)
    open_us = driver.rounded((time.perf_counter() - start) * 1e6)
    ids = database.query_sql(f"SELECT _id, document FROM {TABLE}")
    fill(table, index)
    task = forms.task_of(options.mode)
    asked = [question(form, task, options.k, work.documents) for form in forms.queries(work, options.mode, options.queries)]
    is_sql = [of_query is not None for of_query, _ in asked]
    if all(is_sql):
        times, found = driver.measure([sql for sql, _ in asked], options.rounds, database.query_sql)
    else:
        times, found = measure_terms(table, [terms for _, terms in asked], task, options)
    named = dict(zip(ids["_id"].to_pylist(), ids["document"].to_pylist()))
    hits = [hits_of(of_query, task, named) for of_query in found]
    note = "one core, files in its cache; " + ("SQL, planned anew by each call" if all(is_sql) else "its own calls")
    return driver.Search(times, hits, note, open_us=open_us)


def fill(table, index):
    """Lets the engine copy its segments to the cache, which it does in the background once they are searched."""
    expected = sum(1 for _ in (index / FILES).rglob(SEGMENT))
    until = time.monotonic() + PATIENCE
    while sum(1 for _ in (index / CACHE).rglob(SEGMENT)) < expected:
        if time.monotonic() > until:
            raise RuntimeError(f"expected {expected} segment(s) in the cache after {PATIENCE} s, found fewer")
        table.bm25_search(TEXT, "a", 1)
        time.sleep(0.1)


def measure_terms(table, queries, task, options):
    """Times and results of searches that need no SQL."""
    if task == "count":
        return driver.measure(queries, options.rounds, lambda terms: table.count(TEXT, terms))
    k = options.k
    return driver.measure(queries, options.rounds, lambda terms: table.bm25_search(TEXT, terms, k))


def question(form, task, k, documents):
    """A query as SQL and nothing else, or nothing and as terms alone, for which there are calls without SQL."""
    if form.prefix is not None:
        found = f"bm25_search_prefix('{TABLE}', '{TEXT}', '{spelled(form.prefix)}', {documents if task == 'count' else k})"
        return f"SELECT {'count(*) AS documents' if task == 'count' else '_id, score'} FROM {found}", None
    terms = terms_of(form)
    if form.range is None and task in ("top", "count"):
        return None, terms
    matching = f"FROM token_match('{TABLE}', '{TEXT}', '{terms}')"
    where = "" if form.range is None else f"WHERE number BETWEEN {form.range[0]} AND {form.range[1]}"
    if task == "top":
        # The range is looked at after the search, which therefore has to find all.
        matching = f"FROM bm25_search('{TABLE}', '{TEXT}', '{terms}', {documents})"
        return f"SELECT _id, score {matching} {where} ORDER BY score DESC LIMIT {k}", None
    if task == "count":
        return f"SELECT count(*) AS documents {matching} {where}", None
    if task == "sort":
        return f"SELECT _id, number {matching} {where} ORDER BY number LIMIT {k}", None
    counts = f"SELECT keyword, count(*) AS documents {matching} {where} GROUP BY keyword"
    return f"{counts} ORDER BY documents DESC LIMIT {forms.MAX_FACETS}", None


def terms_of(form):
    """A form in the engine's own syntax."""
    if form.phrase:
        return f'"{spelled(" ".join(form.phrase))}"'
    signs = (("+", form.must), ("", form.should), ("-", form.must_not))
    return " ".join(sign + spelled(term) for sign, terms in signs for term in terms)


def hits_of(found, task, named):
    if task == "count":
        return [(0, found if isinstance(found, int) else found["documents"][0].as_py())]
    if task == "facets":
        return [(forms.keyword_number(row["keyword"]), row["documents"]) for row in found.to_pylist()]
    value = "number" if task == "sort" else "score"
    return [(named[row["_id"]], row[value]) for row in found.to_pylist()]


if __name__ == "__main__":
    driver.main(sys.modules[__name__])
