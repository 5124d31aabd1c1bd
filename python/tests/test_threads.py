"""Threads, signals and memory."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from esparsa import Index, InvalidInputError, LockedError, Query, Schema, Text


def large(documents=20_000):
    index = Index.in_memory(Schema(text=Text()))
    with index.writer() as writer:
        writer.add_many({"_id": str(n), "text": f"lava word{n % 97} word{n % 89}"} for n in range(documents))
    return index


def test_threads_search_while_others_run():
    snapshot = large().snapshot()
    expected = snapshot.search("word3 word5", 100).ids
    found = []

    def search():
        for _ in range(50):
            found.append(snapshot.search("word3 word5", 100).ids == expected)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def test_long_calls_release_the_interpreter():
    snapshot = large().snapshot()
    queries = [f"word{n} lava" for n in range(97)] * 60
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.perf_counter()
    snapshot.search_many(queries, 1000)
    end = time.perf_counter()
    done.set()
    thread.join()
    within = sum(begin < at < end for at in ticks)
    assert within >= min(5, (end - begin) / 0.05)


PROGRAM = """
import signal
from esparsa import Index, Schema, Text
# Shells start programs in the background with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
index = Index.in_memory(Schema(text=Text()))
with index.writer() as writer:
    writer.add_many({"_id": str(n), "text": f"lava word{n % 97}"} for n in range(50_000))
snapshot = index.snapshot()
print("ready", flush=True)
try:
    while True:
        snapshot.search_many([f"word{n % 97} lava" for n in range(50_000)], 1000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_ends_a_batch():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert process.wait(30) == 0 and time.monotonic() - begin < 5


def test_many_snapshots_and_hits_do_not_pile_up():
    resource = pytest.importorskip("resource")
    index = large(2_000)

    def work(times):
        for _ in range(times):
            hits = index.search("lava", 50)
            assert [hit.id for hit in hits][0] == hits[0].id
            Query.from_json({"text": {"text": "lava"}})

    work(500)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(3_000)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 20_000, "KiB"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_writer_stays_with_its_process(tmp_path):
    index = Index.create(tmp_path / "index", Schema(text=Text()))
    writer = index.writer()
    writer.add({"_id": "a", "text": "lava"})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            writer.add({"_id": "b", "text": "ash"})
        except InvalidInputError:
            # Nothing of the parent's goes with the child's copy.
            del writer
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(LockedError):
        index.writer()
    writer.commit()
    assert index.search("lava").ids == ["a"]
