"""An index that esparsa exports must give PISA's and bmp's exact results.

- Words: PISA scores the exported lists by BM25 as it scores the same texts that it inverted itself.
- Impacts: PISA and bmp, each with its own algorithm, give the exact scores of esparsa's search.

Scores are compared place by place, and documents wherever scores tell them apart: engines order ties differently, and of the
documents whose score is the last one bmp leaves some out.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

# The drivers beside other engines know how PISA and bmp are called.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benches" / "peers" / "python"))

import beside_bmp  # noqa: E402
import beside_pisa as pisa  # noqa: E402
import bmp  # noqa: E402

DOCUMENTS, VOCABULARY, QUERIES, K = 5000, 2000, 200, 100
CLOSE = 1e-5


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--esparsa", required=True, help="the program esparsa")
    parser.add_argument("--ciff2pisa", required=True, help="the program ciff2pisa")
    tools = parser.parse_args()
    # PISA and bmp write to standard output what they do.
    report = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        words = check_words(folder, tools)
        print(f"words: {words} queries by 3 algorithms of PISA, as from its own inversion of the texts", file=report)
        impacts = check_impacts(folder, tools)
        print(f"impacts: {impacts} queries by 3 algorithms of PISA and by bmp, scores as in esparsa", file=report)


def run(*command):
    """Runs a program; its messages are shown only when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[0]}: exit status {done.returncode}\n{done.stdout}{done.stderr}")


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def term(random_):
    """A term that is common or rare, as in texts."""
    return f"w{int(random_.paretovariate(0.7)) % VOCABULARY}x"


def check_words(folder, tools):
    random_ = random.Random(1)
    texts = [" ".join(term(random_) for _ in range(random_.randint(1, 60))) for _ in range(DOCUMENTS)]
    documents = write_lines(folder / "texts.jsonl", ({"_id": f"d{n}", "text": text} for n, text in enumerate(texts)))
    run(tools.esparsa, "index", documents, "--index", folder / "words", "--language", "simple")
    exported = exported_to_pisa(folder, tools, "words", "text")

    inverted = folder / "words.inverted"
    inverted.mkdir()
    lines = folder / "texts.txt"
    lines.write_text("".join(f"d{n} {text}\n" for n, text in enumerate(texts)), encoding="ascii")
    pisa.pisa.index(str(lines), str(inverted), "", pisa.BATCH, 1)

    queries = [{term(random_): 1.0 for _ in range(random_.randint(1, 5))} for _ in range(QUERIES)]
    contexts = [pisa.prepare(index, "text", is_quantized=False) for index in (exported, inverted)]
    for algorithm in ("maxscore", "block_max_wand", "ranked_or"):
        found, expected = (pisa_hits(context, algorithm, queries, is_weighted=False) for context in contexts)
        compare(f"PISA, {algorithm}, words", queries, found, expected)
    return len(queries)


def check_impacts(folder, tools):
    random_ = random.Random(2)
    # Small enough that no sum exceeds the 16 bits that bmp has for it.
    vectors = [{term(random_): random_.randint(1, 255) for _ in range(random_.randint(1, 40))} for _ in range(DOCUMENTS)]
    documents = write_lines(folder / "vectors.jsonl", ({"_id": f"d{n}", "vector": vector} for n, vector in enumerate(vectors)))
    run(tools.esparsa, "index", documents, "--index", folder / "impacts", "--max-weight", "255")
    exported = exported_to_pisa(folder, tools, "impacts", "sparse")

    queries = [{term(random_): random_.randint(1, 8) for _ in range(random_.randint(4, 12))} for _ in range(QUERIES)]
    # With one term, bmp leaves out documents of the last two scores, and without any it panics.
    queries = [query for query in queries if len(query) > 1]
    expected = esparsa_hits(folder, tools, queries)
    context = pisa.prepare(exported, "sparse", is_quantized=False)
    for algorithm in ("maxscore", "block_max_wand", "ranked_or"):
        found = pisa_hits(context, algorithm, queries, is_weighted=True)
        compare(f"PISA, {algorithm}, impacts", queries, found, expected)
    for block_size in (8, 16):
        index = folder / f"impacts.bmp{block_size}"
        bmp.ciff2bmp(ciff_file=str(folder / "impacts.ciff"), output=str(index), bsize=block_size, compress_range=False)
        hits = bmp_hits(index, folder, queries)
        compare(f"bmp, blocks of {block_size}", queries, hits, expected, may_lack_last=True)
    return len(queries)


def exported_to_pisa(folder, tools, name, field):
    """Exports a field, and converts it by PISA's own program."""
    ciff, index = folder / f"{name}.ciff", folder / f"{name}.pisa"
    run(tools.esparsa, "ciff", "export", "--index", folder / name, "--field", field, "--output", ciff)
    index.mkdir()
    run(tools.ciff2pisa, "--ciff-file", ciff, "--output", index / "inv")
    for kind, names in (("term", "terms"), ("doc", "documents")):
        (index / f"inv.{names}").rename(index / f"fwd.{names}")
        pisa.pisa.build_binlex(str(index / f"fwd.{names}"), str(index / f"fwd.{kind}lex"))
    return index


def pisa_hits(context, algorithm, queries, is_weighted):
    asked = [(n, {term: float(weight) for term, weight in query.items()}) for n, query in enumerate(queries)]
    numbers, names, scores = pisa.retrieve(context, algorithm, asked, K, is_weighted)
    hits = [[] for _ in queries]
    for number, name, score in zip(numbers.tolist(), names, scores.tolist()):
        hits[number].append((name, score))
    return hits


def bmp_hits(index, folder, queries):
    # A term stands as often as it weighs.
    lines = (f"{n}: {' '.join(' '.join([term] * weight) for term, weight in query.items())}\n" for n, query in enumerate(queries))
    file = folder / "bmp.queries"
    file.write_text("".join(lines), encoding="ascii")
    with beside_bmp.CapturedErrors():
        run_ = bmp.search(str(index), str(file), K, 1.0, 1.0)
    return read_run(run_.splitlines(), len(queries))


def esparsa_hits(folder, tools, queries):
    asked = write_lines(folder / "queries.jsonl", ({"_id": str(n), "vector": query} for n, query in enumerate(queries)))
    output = folder / "impacts.run"
    run(tools.esparsa, "search", "--index", folder / "impacts", "--queries", asked, "--k", K, "--output", output)
    return read_run(output.read_text(encoding="utf-8").splitlines(), len(queries))


def read_run(lines, queries):
    hits = [[] for _ in range(queries)]
    for line in lines:
        query, _, document, _, score, _ = line.split()
        hits[int(query)].append((document, float(score)))
    return hits


def compare(what, queries, found, expected, may_lack_last=False):
    """Fails where scores differ, or documents above the last score."""
    if not any(expected):
        sys.exit(f"{what}: expected hits, found none")
    for query, hits, wanted in zip(queries, found, expected):
        hits, wanted = (sorted(each, key=lambda hit: -hit[1]) for each in (hits, wanted))
        # Of the documents with the last score any may be missing.
        last = wanted[-1][1] * (1 + CLOSE) if wanted else 0.0
        if len(hits) != len(wanted) and not (may_lack_last and len(hits) >= sum(score > last for _, score in wanted)):
            sys.exit(f"{what}: expected {len(wanted)} hits for {query}, found {len(hits)}")
        for (_, score), (_, other) in zip(hits, wanted):
            if abs(score - other) > CLOSE * max(1.0, abs(other)):
                sys.exit(f"{what}: expected a score of {other} for {query}, found {score}")
        sets = [{document for document, score in each if score > last} for each in (hits, wanted)]
        if sets[0] != sets[1]:
            sys.exit(f"{what}: expected the documents {sorted(sets[1])[:5]} for {query}, found {sorted(sets[0])[:5]}")


if __name__ == "__main__":
    main()
