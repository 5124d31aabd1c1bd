"""Compares exported models in sentence-transformers with `esparsa encode` and `esparsa rerank`.

    python -m venv /tmp/check && /tmp/check/bin/pip install sentence-transformers
    ESPARSA_KEEP_EXPORTS=/tmp/exports cargo test --features train --lib -- train::export
    /tmp/check/bin/python tests/train/check_export.py --esparsa target/debug/esparsa /tmp/exports/*

Each argument is the folder of a model. Python loads it by the class that the folder names
(SparseEncoder, SentenceTransformer, MultiVectorEncoder or CrossEncoder), without a message of missing
or unexpected tensors of the model's own head, and vectors of queries and documents must agree in every
value; of late interaction and cross-encoders, scores. sentence-transformers ignores a lexical echo,
which is added to its vectors here.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

TEXTS = [
    "Lava flows from the volcano.",
    "Bees make honey, and the keeper takes some of it.",
    "a",
    "Etna is a volcano in Sicily; its name may come from a word for burning. " * 6,
]
QUERIES = ["what is lava", "who takes the honey from bees"]
TOLERANCE = 2e-5


class Reports(logging.Handler):
    """Keeps what `transformers` says about tensors that it did not find."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def kind(folder):
    about = folder / "config_sentence_transformers.json"
    if about.is_file():
        return json.loads(about.read_text())["model_type"]
    return "CrossEncoder"


def write_lines(path, texts):
    rows = [json.dumps({"_id": f"t{n}", "title": "", "text": text}) for n, text in enumerate(texts)]
    path.write_text("\n".join(rows) + "\n")


def encoded(esparsa, folder, texts, *options):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "texts.jsonl"
        write_lines(path, texts)
        command = [esparsa, "encode", path, "--model", folder, "--output", "-", *options]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line)["vector"] for line in lines.splitlines()]


def sparse_rows(model, vectors):
    ids = model.tokenizer.get_vocab()
    size = len(ids)
    rows = np.zeros((len(vectors), size))
    for row, vector in zip(rows, vectors):
        for term, weight in vector.items():
            row[int(term[1:]) if term not in ids else ids[term]] = weight
    return rows


def reranked(esparsa, folder):
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        write_lines(place / "corpus.jsonl", TEXTS)
        write_lines(place / "queries.jsonl", QUERIES)
        run = [f"t{q} Q0 t{d} {d + 1} {9 - d} x" for q in range(len(QUERIES)) for d in range(len(TEXTS))]
        (place / "run").write_text("\n".join(run) + "\n")
        command = [esparsa, "rerank", "--model", folder, "--run", place / "run", "--queries", place / "queries.jsonl"]
        command += ["--corpus", place / "corpus.jsonl"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    scores = np.zeros((len(QUERIES), len(TEXTS)))
    for line in lines.splitlines():
        query, _, document, _, score, _ = line.split()
        scores[int(query[1:]), int(document[1:])] = float(score)
    return scores


def log_odds(logits, label):
    others = np.delete(logits, label, axis=-1)
    return logits[..., label] - np.log(np.exp(others).sum(axis=-1))


def max_sim(query, document):
    return (np.asarray(query) @ np.asarray(document).T).max(axis=1).sum()


def add_echo(rows, model, folder, texts, role):
    """Adds the learned weight of each token that a text has."""
    path = folder / "echo" / "model.safetensors"
    weights = load_file(path) if path.is_file() else {}
    weights = weights.get(f"{role}.weight")
    if weights is None:
        return rows
    rows = rows.copy()
    for row, text in zip(rows, texts):
        ids = sorted(set(model.tokenizer(text)["input_ids"]))
        row[ids] += np.maximum(weights[ids], 0)
    return rows


def check(esparsa, folder):
    name = kind(folder)
    if name == "CrossEncoder":
        model = CrossEncoder(str(folder), device="cpu")
        pairs = [(query, text) for query in QUERIES for text in TEXTS]
        expected = np.asarray(model.predict(pairs))
        if expected.ndim > 1:
            expected = log_odds(expected, expected.shape[1] - 1)
        return name, [(expected.reshape(len(QUERIES), len(TEXTS)), reranked(esparsa, folder))]
    if name == "MultiVectorEncoder":
        model = MultiVectorEncoder(str(folder), device="cpu")
        queries, documents = model.encode_query(QUERIES), model.encode_document(TEXTS)
        expected = [[max_sim(query, document) for document in documents] for query in queries]
        return name, [(np.asarray(expected), reranked(esparsa, folder))]
    results = []
    model = {"SparseEncoder": SparseEncoder, "SentenceTransformer": SentenceTransformer}[name](str(folder), device="cpu")
    for texts, encode, options in [
        (TEXTS, model.encode_document, ()),
        (QUERIES, model.encode_query, ("--query",)),
    ]:
        if name == "SparseEncoder":
            expected = encode(texts, convert_to_sparse_tensor=False).cpu().numpy()
            expected = add_echo(expected, model, folder, texts, "query" if options else "document")
            found = sparse_rows(model, encoded(esparsa, folder, texts, *options))
        else:
            expected = encode(texts)
            found = np.asarray(encoded(esparsa, folder, texts, *options))
        results.append((np.asarray(expected), found))
    return name, results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--esparsa", required=True, help="the binary")
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    reports = Reports()
    logging.getLogger("transformers").addHandler(reports)
    is_fine = True
    for folder in arguments.folders:
        reports.texts.clear()
        name, results = check(arguments.esparsa, folder)
        differences = [float(np.abs(expected - found).max()) for expected, found in results]
        peak = max(float(np.abs(expected).max()) for expected, _ in results)
        missing = [text for text in reports.texts if "MISSING" in text or "newly initialized" in text]
        fits = max(differences) <= TOLERANCE * max(peak, 1.0) and peak > 0.0 and not missing
        is_fine &= fits
        shown = ", ".join(f"{difference:.1e}" for difference in differences)
        print(f"{'ok   ' if fits else 'WRONG'} {folder.name}: {name}, max {peak:.3f}, differences {shown}")
        for text in missing:
            print(text)
    sys.exit(0 if is_fine else 1)


if __name__ == "__main__":
    main()
