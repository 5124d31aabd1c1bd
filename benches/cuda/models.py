#!/usr/bin/env python3
"""Makes model folders of published shapes with random weights, in the layout of sentence-transformers, and the tokenizer of a real model.

    models.py OUT --tokenizer DIR [--shapes base,minilm] [--kinds splade,dense,cross]

    splade-SHAPE    a masked language model with SpladePooling (max)
    dense-SHAPE     a bi-encoder that takes the mean of all tokens
    cross-SHAPE     a cross-encoder with one label

Weights are drawn as BERT's are before training. Of the SPLADE models the norm before the decoder is widened, so that logits are as large as trained ones, and the
decoder's bias is lowered until a vector has some hundred non-zeros.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

SHAPES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    # For trying this out.
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128},
}
KINDS = {
    "splade": (BertForMaskedLM, SparseEncoder),
    "dense": (BertModel, SentenceTransformer),
    "cross": (BertForSequenceClassification, CrossEncoder),
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
MAX_TOKENS = 256
SEED = 1
# Standard deviation of the logits, and non-zeros of a vector, about.
LOGIT_SIZE = 3.0
NON_ZEROS = 250
# What the bias is fitted on: random tokens. The first ids of BERT's vocabulary are special or never used.
TEXTS, LENGTH, FIRST_WORD = 16, 88, 2000


def arguments():
    def names(text):
        return [name for name in text.split(",") if name]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="DIR", help="a folder with tokenizer.json")
    parser.add_argument("--shapes", type=names, default="base,minilm", metavar="NAME,NAME")
    parser.add_argument("--kinds", type=names, default="splade,dense,cross", metavar="NAME,NAME")
    return parser.parse_args()


@torch.no_grad()
def make_sparse(model):
    """Gives the logits the size of trained ones, and vectors some hundred non-zeros."""
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(FIRST_WORD, model.config.vocab_size, (TEXTS, LENGTH), generator=generator)
    head = model.cls.predictions
    head.transform.LayerNorm.weight.mul_(LOGIT_SIZE / model(input_ids=ids).logits.std())
    max_logits = model(input_ids=ids).logits.amax(1)
    bias = torch.full_like(head.bias, -torch.quantile(max_logits.flatten()[: 1 << 24], 1 - NON_ZEROS / max_logits.shape[1]).item())
    head.bias.copy_(bias)
    head.decoder.bias = head.bias


def make(folder, kind, shape, tokenizer):
    """A folder as transformers writes it, which sentence-transformers then gives its own layout."""
    vocabulary = len(json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    plain_class, whole_class = KINDS[kind]
    config = BertConfig(vocab_size=vocabulary, **SHAPES[shape])
    if kind == "cross":
        config.num_labels = 1
    torch.manual_seed(SEED)
    model = plain_class(config).eval()
    if kind == "splade":
        make_sparse(model)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        model.save_pretrained(scratch)
        for name in TOKENIZER_FILES:
            if (tokenizer / name).is_file():
                shutil.copy(tokenizer / name, scratch)
        whole = whole_class(scratch, device="cpu")
        if kind == "cross":
            whole.max_length = MAX_TOKENS
        else:
            whole.max_seq_length = MAX_TOKENS
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        whole.save_pretrained(str(unfinished))
    # Moved last and whole: what was cut short leaves no folder behind.
    unfinished.rename(folder)


def main():
    options = arguments()
    for found, known in ((options.shapes, SHAPES), (options.kinds, KINDS)):
        if unknown := set(found) - set(known):
            sys.exit(f"error: unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options.out.mkdir(parents=True, exist_ok=True)
    # Large ones first, and a line each as it is made: whoever ends this has those that are there.
    for shape in options.shapes:
        for kind in options.kinds:
            folder, start = options.out / f"{kind}-{shape}", time.perf_counter()
            if not folder.is_dir():
                make(folder, kind, shape, options.tokenizer)
            made = {folder.name: {"folder": str(folder), "seconds": time.perf_counter() - start}}
            print(json.dumps({"what": "models", "models": made}), flush=True)


if __name__ == "__main__":
    main()
