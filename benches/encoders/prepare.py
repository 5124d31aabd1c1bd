#!/usr/bin/env python3
"""Makes a folder of work: texts with their lengths, and the model as ONNX Runtime reads it. See work.py."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import export

# BERT-base's shape, for weights drawn at random.
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
SEED = 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, metavar="WORK")
    parser.add_argument("--collection", type=Path, required=True, metavar="FOLDER", help="a collection in BEIR's layout")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--base", action="store_true", help="take the model's tokenizer alone, with BERT-base's shape and random weights")
    parser.add_argument("--documents", type=int, required=True, metavar="N")
    parser.add_argument("--queries", type=int, required=True, metavar="N")
    parser.add_argument("--variants", required=True, metavar="NAME,NAME", help="variants for ONNX Runtime")
    return parser.parse_args()


def take_model(source, target, is_base):
    shutil.rmtree(target, ignore_errors=True)
    if not is_base:
        shutil.copytree(source, target)
        return
    import torch
    from transformers import BertConfig, BertModel

    leave_out = shutil.ignore_patterns("model.safetensors", "README.md", "data_config.json")
    shutil.copytree(source, target, ignore=leave_out)
    config = BertConfig.from_pretrained(source, **BASE)
    torch.manual_seed(SEED)
    BertModel(config).save_pretrained(target)
    pooling = target / "1_Pooling" / "config.json"
    settings = json.loads(pooling.read_text())
    settings["word_embedding_dimension"] = BASE["hidden_size"]
    pooling.write_text(json.dumps(settings, indent=2) + "\n")


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def take_texts(options):
    """The first documents, title and text; and the first queries that are of the test."""
    documents = []
    for document in read_lines(options.collection / "corpus.jsonl"):
        text = f"{document.get('title', '')} {document['text']}".strip()
        documents.append({"id": document["_id"], "text": text})
        if len(documents) == options.documents:
            break
    judged = (options.collection / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    tested = {line.split("\t")[0] for line in judged}
    queries = []
    for query in read_lines(options.collection / "queries.jsonl"):
        if query["_id"] in tested:
            queries.append({"id": query["_id"], "text": query["text"]})
        if len(queries) == options.queries:
            break
    return documents, queries


def write_lines(path, rows):
    with open(path, "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def describe(model, documents, queries):
    """Shapes and lengths."""
    from tokenizers import Tokenizer

    config = json.loads((model / "config.json").read_text())
    limit = json.loads((model / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    tokenizer.no_padding()
    lengths, of_queries = ([len(encoding.ids) for encoding in tokenizer.encode_batch([row["text"] for row in rows])] for rows in (documents, queries))
    return {
        "hidden": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "intermediate": config["intermediate_size"],
        "max_tokens": limit,
        "lengths": lengths,
        "query_lengths": of_queries,
    }


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    model = options.work / "model"
    take_model(options.model, model, options.base)
    documents, queries = take_texts(options)
    if len(documents) < options.documents or len(queries) < options.queries:
        sys.exit(f"error: {options.collection} has {len(documents)} documents and {len(queries)} test queries of those requested")
    write_lines(options.work / "texts.jsonl", documents)
    write_lines(options.work / "queries.jsonl", queries)
    about = describe(model, documents, queries)
    wanted = [variant for variant in options.variants.split(",") if variant]
    if wanted:
        export.export_all(model, about, options.work / "onnx", wanted)
    (options.work / "work.json").write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
