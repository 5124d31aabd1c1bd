#!/usr/bin/env python3
"""Tokens a second of plain PyTorch on the batches of data.py: training steps and encoding. Prints JSON Lines.

    torch_speed.py dense --model FOLDER --collection FOLDER --run FILE [--steps N]

dense: SPLADE whose head makes the logits of all tokens. sparse: SPLADE whose head makes the logits of one sequence at a time and
keeps the max of each term, with the token that has it; the gradients of all other logits are 0. cross: a cross-encoder with a
listwise softmax. encode: hidden states of the documents.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

# Nothing here comes from a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import transformers
from torch.nn.functional import cross_entropy

import data
import models
from report import Report


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("dense", "sparse", "cross", "encode"))
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a published encoder")
    data.add_options(parser)
    parser.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens of a text, or of a pair (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2e-5, metavar="X", help="(%(default)s)")
    parser.add_argument("--flops", type=float, default=1e-3, metavar="X", help="weight of FLOPS of queries and of documents (%(default)s)")
    models.add_options(parser)
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="(%(default)s)")
    return parser.parse_args()


class MaxLogits(torch.autograd.Function):
    """The max of each term's logits over the tokens of each sequence: sequences × vocabulary.

    Tokens × vocabulary exists for one sequence at a time. Backward, only the token that has the max gets a gradient, and only where
    that of the max is not 0: some hundred terms of a sequence.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, lengths, dtype):
        rows, decoder = hidden.to(dtype), weight.to(dtype).T
        maxima = hidden.new_empty(len(lengths), len(weight))
        tokens = torch.empty(len(lengths), len(weight), dtype=torch.int64)
        start = 0
        for place, length in enumerate(lengths):
            found = (rows[start : start + length] @ decoder).max(dim=0)
            maxima[place] = found.values
            tokens[place] = found.indices + start
            start += length
        ctx.save_for_backward(hidden, weight, tokens)
        return maxima + bias

    @staticmethod
    def backward(ctx, gradient):
        hidden, weight, tokens = ctx.saved_tensors
        sequences, terms = gradient.nonzero(as_tuple=True)
        values, rows = gradient[sequences, terms].unsqueeze(1), tokens[sequences, terms]
        of_hidden = torch.zeros_like(hidden).index_add_(0, rows, values * weight[terms])
        of_weight = torch.zeros_like(weight).index_add_(0, terms, values * hidden[rows])
        return of_hidden, of_weight, gradient.sum(dim=0), None, None


class Dense:
    """SPLADE, the head as everybody writes it."""

    def __init__(self, options):
        self.options, self.model = options, models.masked(options.model, options.head_scale, options.head_threshold)

    def vectors(self, inputs):
        logits = self.model(**inputs).logits
        return (torch.log1p(torch.relu(logits)) * inputs["attention_mask"].unsqueeze(-1)).amax(dim=1).float()

    def loss(self, batch):
        queries, documents = (self.vectors(inputs) for inputs in batch)
        ranking = cross_entropy(queries @ documents.T, torch.arange(len(queries)))
        flops = (queries.mean(dim=0) ** 2).sum() + (documents.mean(dim=0) ** 2).sum()
        return ranking + self.options.flops * flops

    def tokenize(self, tokenizer, batch):
        """Queries; then all relevant documents, then all negatives."""
        documents = [each.positive for each in batch] + [text for each in batch for text in each.negatives]
        return [tokenizer([each.query for each in batch]), tokenizer(documents)]


class Sparse(Dense):
    """SPLADE, whose head makes no tensor of tokens × vocabulary."""

    def vectors(self, inputs):
        mask = inputs["attention_mask"].bool()
        hidden = self.model.base_model(**inputs).last_hidden_state[mask]
        head = self.model.cls.predictions
        rows = head.transform(hidden).float()
        dtype = torch.bfloat16 if self.options.bf16 else torch.float32
        maxima = MaxLogits.apply(rows, head.decoder.weight, head.decoder.bias, mask.sum(dim=1).tolist(), dtype)
        return torch.log1p(torch.relu(maxima))


class Cross:
    def __init__(self, options):
        self.options, self.model = options, models.classifier(options.model)

    def loss(self, batch):
        logits = self.model(**batch[0]).logits.float().reshape(-1, self.options.negatives + 1)
        return cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))

    def tokenize(self, tokenizer, batch):
        pairs = [(each.query, document) for each in batch for document in each.documents()]
        return [tokenizer([query for query, _ in pairs], [document for _, document in pairs])]


class Encode:
    def __init__(self, options):
        self.options, self.model = options, transformers.AutoModel.from_pretrained(options.model, dtype=torch.float32)

    def loss(self, batch):
        with torch.inference_mode():
            return self.model(**batch[0]).last_hidden_state.float().mean()

    def tokenize(self, tokenizer, batch):
        return [tokenizer([document for each in batch for document in each.documents()])]


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    report = Report()
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    cut = lambda *texts: tokenizer(*texts, truncation=True, max_length=options.max_length, padding=True, return_tensors="pt")
    work = {"dense": Dense, "sparse": Sparse, "cross": Cross, "encode": Encode}[options.work](options)
    is_training = options.work != "encode"
    work.model.train(is_training)
    optimizer = torch.optim.AdamW(work.model.parameters(), lr=options.learning_rate)
    precision = torch.autocast("cpu", dtype=torch.bfloat16) if options.bf16 else contextlib.nullcontext()
    batches = data.batches(options)
    report.begin()
    for batch in batches:
        inputs = work.tokenize(cut, batch)
        for each in inputs:
            report.count(each["attention_mask"])
        with precision:
            loss = work.loss(inputs)
        if is_training:
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(work.model.parameters(), 1.0)
            optimizer.step()
        report.step(len(batch), loss.item())
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    report.finish(engine="PyTorch", options=settings)


if __name__ == "__main__":
    sys.exit(main())
