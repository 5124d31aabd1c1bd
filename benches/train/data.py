#!/usr/bin/env python3
"""The batches that every engine trains on: queries with a relevant document and mined negatives, in a fixed order.

    data.py --collection FOLDER --run FILE --batch 32 --steps 100 > examples.jsonl

prints them, a line for each example: {"query", "positive", "negatives"}. As many lines as a batch has, one after another, are a
batch. No two documents of a batch have the same text.
"""

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Example:
    query: str
    positive: str
    negatives: list[str]

    def documents(self) -> list[str]:
        return [self.positive, *self.negatives]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--collection", type=Path, required=True, metavar="FOLDER", help="a collection in BEIR's layout")
    parser.add_argument("--split", default="train", metavar="NAME", help="which of its qrels (%(default)s)")
    parser.add_argument("--run", type=Path, required=True, metavar="FILE", help="a TREC run of the queries, from which negatives are taken")
    parser.add_argument("--negatives", type=int, default=1, metavar="N", help="negatives of each query (%(default)s)")
    parser.add_argument("--depth", type=int, default=30, metavar="N", help="negatives are among the first N results (%(default)s)")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="queries of a batch (%(default)s)")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="batches (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the order, of negatives and of new weights (%(default)s)")


def read_texts(path: Path) -> dict[str, str]:
    """Title and text of each id."""
    texts = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            texts[record["_id"]] = f"{record.get('title', '')} {record['text']}".strip()
    return texts


def read_qrels(path: Path) -> dict[str, set[str]]:
    relevant = {}
    with open(path, encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            query, document, score = line.rstrip("\n").split("\t")
            if int(score) > 0:
                relevant.setdefault(query, set()).add(document)
    return relevant


def read_run(path: Path, depth: int) -> dict[str, list[str]]:
    """The first documents of each query, in the order of the file."""
    results = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            query, _, document, *_ = line.split()
            found = results.setdefault(query, [])
            if len(found) < depth:
                found.append(document)
    return results


def examples(options: argparse.Namespace):
    """Every query that has a relevant document and enough negatives, shuffled anew in each pass, for ever."""
    corpus = read_texts(options.collection / "corpus.jsonl")
    queries = read_texts(options.collection / "queries.jsonl")
    relevant = read_qrels(options.collection / "qrels" / f"{options.split}.tsv")
    results = read_run(options.run, options.depth)
    numbers = random.Random(options.seed)
    usable = sorted(query for query in relevant if query in results and query in queries)
    while True:
        found = False
        numbers.shuffle(usable)
        for query in usable:
            known = sorted(document for document in relevant[query] if document in corpus)
            texts = {corpus[document] for document in known}
            others = {corpus[document]: None for document in results[query] if document in corpus and corpus[document] not in texts}
            if known and len(others) >= options.negatives:
                found = True
                yield Example(queries[query], corpus[numbers.choice(known)], numbers.sample(list(others), options.negatives))
        if not found:
            sys.exit(f"error: expected a query of {options.split} with {options.negatives} negatives in {options.run}, found none")


def batches(options: argparse.Namespace) -> list[list[Example]]:
    """As many batches as there are steps. An example whose documents are in its batch already waits for the next one."""
    source, waiting, made = examples(options), [], []
    for _ in range(options.steps):
        batch, seen, later = [], set(), []
        while len(batch) < options.batch:
            example = waiting.pop(0) if waiting else next(source)
            if seen.isdisjoint(example.documents()):
                batch.append(example)
                seen.update(example.documents())
            else:
                later.append(example)
            if len(later) > 50 * options.batch:
                sys.exit("error: too few different documents for a batch; take a smaller one")
        waiting = later + waiting
        made.append(batch)
    return made


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(arguments)
    for each in batches(arguments.parse_args()):
        for one in each:
            print(json.dumps(asdict(one), ensure_ascii=False))
