"""Building an index on Ray, and serving it: `pip install "ray[data,serve]"`.

`build` cuts a dataset into parts. A Ray task builds a small index of each, under a name that no other attempt has, and the
driver attaches one finished attempt of each part in the order of the parts, in one commit. The statistics of BM25 are those
of the whole index, so hits and scores are those of an index that was built by one process from the same documents.

>>> import ray, esparsa                                                                             # doctest: +SKIP
>>> from esparsa.ray import build
>>> dataset = ray.data.read_json("corpus/*.jsonl")                                                  # doctest: +SKIP
>>> build(dataset, esparsa.Schema(text=esparsa.Text("english")), "index", id="_id")                 # doctest: +SKIP

`serve` searches the segments of an index on several replicas of Ray Serve.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ._errors import Error, InvalidInputError
from ._esparsa import Index

__all__ = ["Encoder", "build", "owner", "serve"]


class Encoder:
    """Encodes a column of texts, for `Dataset.map_batches`: sparse vectors with a sparse model, dense ones with another.

    >>> dataset.map_batches(Encoder, fn_constructor_args=["splade", "text", "vector"],               # doctest: +SKIP
    ...                     num_gpus=1, concurrency=4, batch_format="pyarrow")
    """

    def __init__(self, model, text, into, *, queries=False, **options):
        from ._esparsa import Model

        self._model = Model(model, **options)
        self._text, self._into, self._queries = text, into, queries

    def __call__(self, table):
        import pyarrow

        texts = table[self._text].to_pylist()
        encode = self._model.encode_queries if self._queries else self._model.encode_documents
        vectors = encode(texts)
        if self._model.kind == "sparse":
            kind = pyarrow.map_(pyarrow.string(), pyarrow.float32())
            column = pyarrow.array([list(dict(vector).items()) for vector in vectors], kind)
        else:
            column = pyarrow.array([list(map(float, vector)) for vector in vectors], pyarrow.list_(pyarrow.float32()))
        return table.append_column(self._into, column)


def build(
    source,
    schema,
    output,
    *,
    read=None,
    id=None,
    extra="error",
    attempts=None,
    at_once=None,
    retries=3,
    resources=None,
):
    """Builds an index at `output` from a Ray dataset, or from parts that `read` turns into documents.

    - `source`: a `ray.data.Dataset`, of which each block becomes a segment, or a list of parts, such as paths of files, with
      `read`: a function from a part to documents, which runs in the task.
    - `output`: the folder of the index, on a file system that all workers share, or its URL. It must hold no documents.
    - `id`, `extra`: as of `Writer.add_many`.
    - `attempts`: the folder of the parts, beside `output` by default. Its journal says which are done, so a driver that is
      started again goes on; it is removed at the end. Attempts at a URL stay, and nothing is remembered of them.
    - `at_once`: tasks that are running or waiting at a time, twice the number of CPUs by default; `retries`: how often a
      task is started again when its worker dies; `resources`: options of the tasks, such as `{"num_cpus": 2}`.

    Ids must differ between parts: of two documents with one id the later part's stays, but the statistics count both.
    Returns the number of documents, parts and bytes, and the seconds that building and attaching took.
    """
    import ray

    output = os.fspath(output)
    attempts = os.fspath(attempts) if attempts is not None else output.rstrip("/") + "-parts"
    started = time.monotonic()
    index = Index.open_or_create(output, schema)
    if len(index) > 0:
        raise InvalidInputError(f"expected an index without documents at {output}, found {len(index)} documents")
    parts = _blocks(source) if hasattr(source, "to_arrow_refs") else list(source)
    if not hasattr(source, "to_arrow_refs") and read is None:
        raise InvalidInputError("expected `read`, a function from a part to documents, beside a list of parts")
    journal = _Journal(attempts)
    task = ray.remote(_build_part).options(max_retries=retries, **(resources or {}))
    at_once = at_once or max(2, int(2 * ray.cluster_resources().get("CPU", 1)))
    running, done = {}, {}
    waiting = list(enumerate(parts))[::-1]
    while waiting or running:
        while waiting and len(running) < at_once:
            number, part = waiting.pop()
            done_before = journal.find(number)
            running[task.remote(number, part, read, output, attempts, id, extra, done_before)] = number
        ready, _ = ray.wait(list(running), num_returns=1)
        for reference in ready:
            number = running.pop(reference)
            done[number] = ray.get(reference)
            journal.add(number, done[number])
    built = time.monotonic()
    with index.writer() as writer:
        for number in sorted(done):
            if done[number]["documents"]:
                writer.attach(_join(attempts, done[number]["name"]))
        writer.commit()
    journal.remove()
    results = done.values()
    return {
        "documents": sum(part["documents"] for part in results),
        "parts": len(parts),
        "bytes": sum(part["bytes"] for part in results),
        "build_seconds": built - started,
        "attach_seconds": time.monotonic() - built,
    }


def _blocks(dataset):
    """The blocks of a dataset, in their order."""
    context = getattr(dataset, "context", None)
    if context is not None:
        # The order of the blocks is the order of documents, which breaks ties.
        context.execution_options.preserve_order = True
    return dataset.to_arrow_refs()


def _build_part(number, part, read, output, attempts, id, extra, done_before):
    """Builds the index of a part under a new name, unless an earlier attempt of the same content is done."""
    schema = Index.open(output).schema
    digest = _digest(part, read, repr(schema), id, extra)
    if done_before and done_before["digest"] == digest:
        return done_before
    documents = part if read is None else read(part)
    name = f"part-{number:06}-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="esparsa-part-") as folder:
        index = Index.create(os.path.join(folder, "index"), schema)
        with index.writer() as writer:
            writer.add_many(documents, id=id, extra=extra)
            writer.commit()
            writer.merge(1)
        snapshot = index.snapshot()
        snapshot.backup(_join(attempts, name))
        size = sum(segment["bytes"] for segment in snapshot.segments)
        return {"name": name, "digest": digest, "documents": len(snapshot), "bytes": size}


class _Sink:
    """A file whose content is digested."""

    closed = False

    def __init__(self, digest):
        self.write = digest.update

    def flush(self):
        pass


def _digest(part, read, *options):
    """Distinguishes what parts are built from: the content of a table, the size and time of a file, the code of `read`."""
    digest = hashlib.blake2b(digest_size=16)
    if hasattr(part, "to_batches"):
        import pyarrow

        with pyarrow.ipc.new_stream(pyarrow.PythonFile(_Sink(digest), mode="w"), part.schema) as stream:
            stream.write_table(part)
    else:
        digest.update(repr(part).encode())
        if isinstance(part, str | os.PathLike) and os.path.exists(part):
            status = os.stat(part)
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    code = getattr(read, "__code__", None)
    digest.update(repr((getattr(read, "__qualname__", read), code and code.co_code, options)).encode())
    return digest.hexdigest()


def _join(folder, name):
    return folder.rstrip("/") + "/" + name


class _Journal:
    """Which parts are done, where the attempts are in a folder; of attempts at a URL nothing is remembered."""

    def __init__(self, attempts):
        self._folder = None if "://" in attempts else Path(attempts)
        self._done = {}
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / "journal.jsonl"
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    # The driver died while it wrote the last line.
                    continue
                if (self._folder / entry["part"]["name"]).is_dir():
                    self._done[entry["number"]] = entry["part"]

    def find(self, number):
        return self._done.get(number)

    def add(self, number, part):
        if self._folder is None or self._done.get(number) == part:
            return
        with open(self._path, "a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"number": number, "part": part}))
            file.flush()
            os.fsync(file.fileno())

    def remove(self):
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


# Serving.


def owner(segment: str, shards: int) -> int:
    """The shard that searches a segment: the one with the highest hash of both (rendezvous hashing), so that another number of
    shards moves few segments."""

    def weight(shard):
        return hashlib.blake2b(f"{segment}/{shard}".encode(), digest_size=8).digest()

    return max(range(shards), key=weight)


class _Commit(NamedTuple):
    """A commit of an index, as shards and router name it."""

    number: int
    documents: int
    # The number alone may be that of another index, which was built anew at the same place.
    content: str
    # The shard that owns most of the documents.
    largest: int


class Shard:
    """Searches the segments of an index that it owns, with the statistics of all."""

    _KEPT = 8

    def __init__(self, path, shard, shards):
        self._index, self._shard, self._shards = Index.open(path), shard, shards
        self._parts = {}
        self._newest()

    def _newest(self):
        snapshot = self._index.snapshot()
        files = [(segment["file"], segment["bytes"], segment["documents"]) for segment in snapshot.segments]
        content = hashlib.blake2b(repr(files).encode(), digest_size=8).hexdigest()
        key = (snapshot.commit, len(snapshot), content)
        if key not in self._parts:
            owners = [owner(name, self._shards) for name, _, _ in files]
            sizes = [0] * self._shards
            for shard, (_, _, documents) in zip(owners, files):
                sizes[shard] += documents
            own = [number for number, shard in enumerate(owners) if shard == self._shard]
            self._parts[key] = _Commit(*key, sizes.index(max(sizes))), snapshot.only_segments(own)
            while len(self._parts) > self._KEPT:
                del self._parts[next(iter(self._parts))]
        return self._parts[key][0]

    def newest(self):
        """The newest commit."""
        return self._newest()

    def search(self, commit, query, k, options):
        """The newest commit, hits of a commit as (score, segment, document, id), and how many documents match, if that was
        asked for, with whether it is exact; no hits if the commit is gone."""
        newest = self._newest()
        _, part = self._parts.get(commit[:3], (None, None))
        if part is None:
            return newest, None, None
        found = part.search(query, k, **options)
        hits = []
        for hit in found:
            _, segment, document = hit.cursor.split(".")
            hits.append((hit.score, int(segment), int(document), hit.id))
        return newest, hits, None if found.count is None else (found.count, found.count_is_exact)


class Router:
    """Sends a query to all shards and merges their hits by score and address, which are those of one search."""

    _TRIES = 20

    def __init__(self, *shards, waves=1):
        self._shards, self._waves, self._commit = shards, waves, None

    async def search(self, query, k=10, **options):
        """The best `k` hits, as dicts of `id` and `score`, and the number of the commit that was searched; with `count` also
        `count` and `count_is_exact`, as of `Hits`. `options` are those of `Snapshot.search` that can be merged."""
        import asyncio

        for name in ("after", "facets", "sort", "offset"):
            if name in options:
                raise InvalidInputError(f"expected options that can be merged, found `{name}`")
        for tried in range(self._TRIES):
            if self._commit is None:
                newest = await asyncio.gather(*(shard.newest.remote() for shard in self._shards))
                self._commit = min(newest)
            commit = self._commit
            answers = await self._ask(commit, query, k, options)
            if len({newest for newest, _, _ in answers}) == 1:
                # All shards have it: the next query sees it.
                self._commit = answers[0][0]
            if all(hits is not None for _, hits, _ in answers):
                return _merged(commit, k, answers)
            if self._commit == commit:
                self._commit = min(newest for newest, _, _ in answers)
            await asyncio.sleep(0.02 * tried)
        raise Error("the shards have no commit in common; try again")

    async def _ask(self, commit, query, k, options):
        """The answers of all shards; in two waves, the others are asked for hits that reach the k-th score of the first."""
        import asyncio

        def ask(shards, options):
            return asyncio.gather(*(shard.search.remote(commit, query, k, options) for shard in shards))

        # A bound would leave documents out of the count.
        if self._waves == 1 or "count" in options:
            return await ask(self._shards, options)
        # Of more documents the k-th score is likely to be higher.
        first = self._shards[commit.largest]
        answers = await ask([first], options)
        hits = answers[0][1]
        if hits is not None and len(hits) == k:
            # Hits with this very score may have lower addresses, and a min score keeps them.
            bounds = [options.get("min_score"), hits[-1][0]]
            options = {**options, "min_score": max(bound for bound in bounds if bound is not None)}
        return answers + await ask([shard for shard in self._shards if shard is not first], options)

    async def __call__(self, request):
        """HTTP: a JSON object with `query`, a string or a tree, `k`, and options of `Snapshot.search`."""
        from starlette.responses import JSONResponse

        try:
            body = await request.json()
            query = body.pop("query")
            return JSONResponse(await self.search(query, **body))
        except (Error, ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"expected a JSON object with `query` and options: {error}"}, status_code=400)


def _merged(commit, k, answers):
    """The best hits of all shards, and the sum of their counts."""
    hits = sorted((hit for _, hits, _ in answers for hit in hits), key=lambda hit: (-hit[0], hit[1], hit[2]))
    merged = {"commit": commit.number, "hits": [{"id": hit[3], "score": hit[0]} for hit in hits[:k]]}
    counts = [count for _, _, count in answers if count is not None]
    if counts:
        merged["count"] = sum(count for count, _ in counts)
        merged["count_is_exact"] = all(is_exact for _, is_exact in counts)
    return merged


def serve(path, *, shards: int = 2, replicas: int = 1, waves: int = 1, options: dict | None = None):
    """An application of Ray Serve that searches the index at `path`, to be given to `serve.run`.

    Each of `shards` deployments searches the segments that it owns, on `replicas` processes; `options` are options of these
    deployments, such as `{"ray_actor_options": {"num_cpus": 2}}`. New commits are searched as soon as all shards see them, and
    no query is answered from two commits.

    In one of `waves` all shards are asked at once. In two, the shard with the most documents is asked first, and the others
    for hits that reach the k-th score found there, so they skip what cannot; the hits are the same. A query waits for one
    more round trip and for one shard after the other, so two waves are for shards that are busy, of which each query then
    takes less time; alone on idle shards, it is answered sooner in one. Queries with `count` are asked in one wave.

    >>> from ray import serve as ray_serve                                                          # doctest: +SKIP
    >>> handle = ray_serve.run(serve("index", shards=4))                                            # doctest: +SKIP
    >>> handle.search.remote("volcano", k=10).result()["hits"]                                      # doctest: +SKIP
    """
    from ray import serve as ray_serve

    if shards < 1:
        raise InvalidInputError(f"expected at least one shard, found {shards}")
    if waves not in (1, 2):
        raise InvalidInputError(f"expected one or two waves, found {waves}")
    deployments = []
    for shard in range(shards):
        deployment = ray_serve.deployment(Shard).options(
            name=f"esparsa-shard-{shard}", num_replicas=replicas, **(options or {})
        )
        deployments.append(deployment.bind(os.fspath(path), shard, shards))
    return ray_serve.deployment(Router).options(name="esparsa-router").bind(*deployments, waves=waves)
