"""An index that is built on Ray, with 2 and 4 workers, against one that one process builds: see `python/ray/check`."""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow
import ray
from ray import serve as ray_serve

import esparsa
from esparsa.ray import build, serve

PARTS = 8
QUERIES = 200
DOCUMENTS = 40_000


def schema():
    return esparsa.Schema(text=esparsa.Text("english"), vector=esparsa.Sparse(), year=esparsa.Column("i64"))


def documents(count):
    """Words of which a few are frequent and most are rare, and vectors of such words."""
    chance = random.Random(1)

    def word():
        return f"w{chance.randrange(2 << chance.randrange(16))}"

    for number in range(count):
        vector = {word(): round(chance.random() * 3 + 0.01, 3) for _ in range(20)}
        text = " ".join(word() for _ in range(40))
        yield {"_id": f"d{number}", "text": text, "vector": vector, "year": chance.randrange(1900, 2000)}


def queries():
    chance = random.Random(2)

    def word():
        return f"w{chance.randrange(2 << chance.randrange(12))}"

    for number in range(QUERIES):
        words = [word() for _ in range(3)]
        if number % 3 == 0:
            yield {"sparse": {"vector": {word: chance.random() + 0.1 for word in words}}}, {}
        elif number % 3 == 1:
            yield " ".join(words), {"fields": "text"}
        else:
            yield " ".join(words), {"fields": "text", "filter": {"range": {"year": {"gte": 1910, "lt": 1960}}}}


def hits(index, query, options):
    return [(hit.id, hit.score) for hit in index.search(query, 20, **options)]


def answers(index):
    return [hits(index, query, options) for query, options in queries()]


def table(rows):
    kind = pyarrow.map_(pyarrow.string(), pyarrow.float32())
    return pyarrow.table(
        {
            "_id": [row["_id"] for row in rows],
            "text": [row["text"] for row in rows],
            "vector": pyarrow.array([list(row["vector"].items()) for row in rows], kind),
            "year": [row["year"] for row in rows],
        }
    )


def write_parts(folder, count):
    """The documents in files, a few of which are short."""
    rows = list(documents(count))
    paths = []
    for number in range(PARTS):
        part = rows[number * len(rows) // PARTS : (number + 1) * len(rows) // PARTS]
        path = folder / f"part-{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in part))
        paths.append(str(path))
    return rows, paths


def read_lines(path):
    """Documents of a file. While `kill` holds the number of a part, the worker that reads it dies, once."""
    kill = Path(path).with_suffix(".kill")
    with open(path) as lines:
        for number, line in enumerate(lines):
            if number == 1000 and kill.exists():
                kill.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            yield json.loads(line)


def read_slowly(path):
    time.sleep(1.5)
    return read_lines(path)


def compare(name, expected, index):
    found = answers(index)
    if found != expected:
        wrong = next(number for number, pair in enumerate(zip(expected, found)) if pair[0] != pair[1])
        sys.exit(f"{name}: query {wrong} differs: expected {expected[wrong][:3]}, found {found[wrong][:3]}")
    print(f"{name}: {len(found)} queries, hits and scores bit-equal", flush=True)


def killed_driver(folder, paths):
    """A driver that is killed while it builds, and one that goes on: the work of the first is used."""
    output = folder / "restarted"
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import ray; ray.init(num_cpus=2, log_to_driver=False)\n"
        f"import compare\n"
        f"compare.build({paths!r}, compare.schema(), {str(output)!r}, read=compare.read_slowly)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    journal = Path(f"{output}-parts") / "journal.jsonl"
    while not journal.exists() or len(journal.read_text().split("\n")) < 3:
        if driver.poll() is not None:
            sys.exit("the driver ended before it was killed")
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    done = [json.loads(line) for line in journal.read_text().splitlines() if line]
    folders = {path.name for path in Path(f"{output}-parts").iterdir() if path.is_dir()}
    print(f"driver killed with {len(done)} of {PARTS} parts done, {len(folders)} folders of attempts", flush=True)
    return output, {entry["part"]["name"] for entry in done}


def serving(index_path, expected, results):
    """Hits of shards beside those of one process, with a commit in between; times of both."""
    index = esparsa.Index.open(index_path)
    for shards, waves in ((2, 1), (2, 2), (4, 1), (4, 2)):
        options = {"ray_actor_options": {"num_cpus": 0.4}}
        application = serve(index_path, shards=shards, waves=waves, options=options)
        handle = ray_serve.run(application, name="search", route_prefix="/search")
        name = f"serving, {shards} shards, {waves} {'wave' if waves == 1 else 'waves'}"

        def search(query, options):
            found = handle.search.remote(query, 20, **options).result()
            return [(hit["id"], hit["score"]) for hit in found["hits"]], found["commit"]

        found = [search(query, options)[0] for query, options in queries()]
        assert found == expected, "the shards find other hits than one process"
        bounded_and_counted(index, handle, expected)
        times, alone = [], []
        for query, options in queries():
            started = time.perf_counter()
            search(query, options)
            times.append(time.perf_counter() - started)
            started = time.perf_counter()
            hits(index, query, options)
            alone.append(time.perf_counter() - started)
        with ThreadPoolExecutor(8) as pool:
            started = time.perf_counter()
            at_once = [found for found, _ in pool.map(search, *zip(*queries()))]
            together = len(at_once) / (time.perf_counter() - started)
        assert at_once == expected, "queries at once find other hits"
        served, direct = statistics.median(times) * 1e3, statistics.median(alone) * 1e3
        results[name] = {
            "median ms": round(served, 3),
            "queries a second, 8 at once": round(together, 1),
            "in one process": round(direct, 3),
        }
        print(
            f"{name}: {len(found)} queries equal; median {served:.2f} ms, alone {direct:.3f}; {together:.0f} a second, 8 at once",
            flush=True,
        )
        # A commit while queries run: each answer is that of one commit, and the new one is seen.
        before = index.snapshot()
        with index.writer() as writer:
            writer.add({"_id": f"new-{shards}-{waves}", "text": "w0 w1 novelty", "year": 1950})
            writer.commit()
        after, seen = index.snapshot(), set()
        by_commit = {snapshot.commit: snapshot for snapshot in (before, after)}
        deadline = time.monotonic() + 30
        while after.commit not in seen and time.monotonic() < deadline:
            found, commit = search("w0 w1 novelty", {"fields": "text"})
            seen.add(commit)
            assert found == hits(by_commit[commit], "w0 w1 novelty", {"fields": "text"}), f"commit {commit}"
        assert after.commit in seen, "the new commit was not seen"
        with index.writer() as writer:
            writer.delete(f"new-{shards}-{waves}")
            writer.commit()
            writer.merge(PARTS)
            writer.commit()
        expected = answers(index)
        ray_serve.delete("search")
    return results


def bounded_and_counted(index, handle, expected):
    """Some searches with a min score of their own, and counts, beside those of one process."""
    for (query, options), found in list(zip(queries(), expected))[::5]:
        for score in {found[0][1], found[-1][1], found[len(found) // 2][1], -1.0} if found else {1.0}:
            bounded = {**options, "min_score": score}
            answer = handle.search.remote(query, 5, **bounded).result()
            alone = [(hit.id, hit.score) for hit in index.search(query, 5, **bounded)]
            assert [(hit["id"], hit["score"]) for hit in answer["hits"]] == alone, f"{query} from {score}"
        answer = handle.search.remote(query, 5, count=True, **options).result()
        alone = index.search(query, 5, count=True, **options)
        assert (answer["count"], answer["count_is_exact"]) == (alone.count, True), f"the count of {query}"
        assert [hit["id"] for hit in answer["hits"]] == alone.ids


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="at least 10,000, for workers to be killed in time")
    parser.add_argument("--output")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        folder = Path(name)
        rows, paths = write_parts(folder, arguments.documents)
        started = time.monotonic()
        single = esparsa.Index.create(folder / "single", schema())
        with single.writer() as writer:
            writer.add_many(rows)
            writer.commit()
            writer.merge(1)
        results["one process, rows"] = {"seconds": round(time.monotonic() - started, 2)}
        expected = answers(single)

        output, done = killed_driver(folder, paths)
        for workers in (2, 4):
            ray.init(num_cpus=workers, log_to_driver=False)
            if workers == 2:
                build(paths, schema(), output, read=read_slowly)
                compare("driver restarted", expected, esparsa.Index.open(output))
            for kind, source in (("files", paths), ("dataset", ray.data.from_arrow(tables(rows)))):
                target = folder / f"{kind}-{workers}"
                if kind == "files":
                    for path in paths[1:4:2]:
                        Path(path).with_suffix(".kill").touch()
                report = build(source, schema(), target, read=read_lines if kind == "files" else None, id="_id")
                killed = ", two workers killed" if kind == "files" else ""
                assert not list(folder.glob("*.kill")), "a worker was not killed"
                compare(f"{workers} workers, {kind}{killed}", expected, esparsa.Index.open(target))
                assert report["documents"] == len(rows) and not Path(f"{target}-parts").exists()
                results[f"{workers} workers, {kind}{killed}"] = {
                    key: round(value, 2) if isinstance(value, float) else value for key, value in report.items()
                }
            twice(folder / f"twice-{workers}", paths, expected)
            if workers == 4:
                serving(str(folder / "files-4"), expected, results)
                ray_serve.shutdown()
            ray.shutdown()
    print(json.dumps(results, indent=1))
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(results, indent=1) + "\n")


def tables(rows):
    return [table(rows[number * len(rows) // PARTS : (number + 1) * len(rows) // PARTS]) for number in range(PARTS)]


def twice(target, paths, expected):
    """Every part is attempted twice: attempts do not meet, and one of each is used."""
    from esparsa.ray import _build_part

    index = esparsa.Index.create(target, schema())
    attempts = f"{target}-parts"
    task = ray.remote(_build_part)
    built = [
        [task.remote(number, path, read_lines, str(target), attempts, "_id", "error", None) for _ in range(2)]
        for number, path in enumerate(paths)
    ]
    with index.writer() as writer:
        for number, pair in enumerate(built):
            first, second = ray.get(pair)
            assert first["name"] != second["name"] and first["digest"] == second["digest"]
            writer.attach(f"{attempts}/{(first, second)[number % 2]['name']}")
        writer.commit()
    shutil.rmtree(attempts)
    compare("every attempt ran twice", expected, index)


if __name__ == "__main__":
    main()
