#!/usr/bin/env python3
"""Trains with the trainers of sentence-transformers on the batches of data.py. Prints JSON Lines.

    train_sentence_transformers.py splade --model FOLDER --collection FOLDER --run FILE [--steps N] [--save FOLDER]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

# Nothing here comes from a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
import transformers
from datasets import Dataset
from sentence_transformers import (
    CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments, SentenceTransformer, SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments, SparseEncoder, SparseEncoderTrainer, SparseEncoderTrainingArguments,
)
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.losses import LambdaLoss, ListNetLoss
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import TrainerCallback

import data
import models
from report import Report

# Softmax of (30, 0, 0, 0): the share of the relevant document is 1 in f32, and ListNet is the cross-entropy of it.
CERTAIN = 30.0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=("splade", "cross", "bi"))
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a published encoder")
    data.add_options(parser)
    parser.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens of a text, or of a pair (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2e-5, metavar="X", help="(%(default)s)")
    parser.add_argument("--warm-up", type=int, default=0, metavar="N", help="steps of linear warm-up (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.01, metavar="X", help="(%(default)s)")
    parser.add_argument("--query-flops", type=float, default=5e-5, metavar="X", help="splade: weight of FLOPS of queries (%(default)s)")
    parser.add_argument("--document-flops", type=float, default=3e-5, metavar="X", help="splade: of documents (%(default)s)")
    models.add_options(parser)
    parser.add_argument("--scale", type=float, help="scores are multiplied by this (splade: 1, bi: 20)")
    parser.add_argument("--loss", choices=("softmax", "listnet", "lambda"), default="softmax", help="cross: listwise loss (%(default)s)")
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="(%(default)s)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="where the trained model goes")
    return parser.parse_args()


class Steps(TrainerCallback):
    """Reports each step when its loss is logged."""

    def __init__(self, report: Report, samples: int):
        self.report, self.samples = report, samples

    def on_train_begin(self, args, state, control, **_):
        self.report.begin()

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in (logs or {}):
            self.report.step(self.samples, logs["loss"])


class OwnTrainer:
    """What all trainers share: the batches stay in the order of data.py."""

    def get_batch_sampler(self, dataset, batch_size, drop_last, **_):
        return BatchSampler(SequentialSampler(dataset), batch_size, drop_last)


def training_arguments(kind, options: argparse.Namespace, scratch: str):
    return kind(
        output_dir=scratch, max_steps=options.steps, per_device_train_batch_size=options.batch, learning_rate=options.learning_rate,
        warmup_steps=options.warm_up, weight_decay=options.weight_decay, lr_scheduler_type="linear", max_grad_norm=1.0, bf16=options.bf16,
        use_cpu=True, seed=options.seed, logging_steps=1, logging_first_step=True, save_strategy="no", report_to="none", disable_tqdm=True,
        dataloader_drop_last=True,
    )


def columns(examples: list[data.Example]) -> Dataset:
    """A query, its document and its negatives, a column for each."""
    found = {"query": [each.query for each in examples], "positive": [each.positive for each in examples]}
    for place in range(len(examples[0].negatives)):
        found[f"negative_{place}"] = [each.negatives[place] for each in examples]
    return Dataset.from_dict(found)


def lists(examples: list[data.Example], relevant: float) -> Dataset:
    """A query with a list of documents, the relevant one first."""
    labels = [relevant] + [0.0] * len(examples[0].negatives)
    return Dataset.from_dict(
        {
            "query": [each.query for each in examples],
            "docs": [each.documents() for each in examples],
            "labels": [labels for _ in examples],
        }
    )


def splade(options, scratch):
    folder = models.transformer_files(options.model, Path(scratch) / "model")
    transformer = Transformer(str(folder), transformer_task="fill-mask", max_seq_length=options.max_length)
    if not models.is_masked(options.model):
        models.add_head(transformer.model, options.head_scale, options.head_threshold)
    model = SparseEncoder(modules=[transformer, SpladePooling("max")], device="cpu")
    loss = SpladeLoss(
        model, SparseMultipleNegativesRankingLoss(model, scale=options.scale or 1.0), query_regularizer_weight=options.query_flops,
        document_regularizer_weight=options.document_flops,
    )
    return model, loss, columns, SparseEncoderTrainer, SparseEncoderTrainingArguments


def bi(options, _):
    model = SentenceTransformer(str(options.model), device="cpu", local_files_only=True)
    model.max_seq_length = options.max_length
    loss = MultipleNegativesRankingLoss(model, scale=options.scale or 20.0)
    return model, loss, columns, SentenceTransformerTrainer, SentenceTransformerTrainingArguments


def cross(options, scratch):
    folder = models.transformer_files(options.model, Path(scratch) / "model")
    model = CrossEncoder(str(folder), num_labels=1, max_length=options.max_length, device="cpu")
    # All pairs of a batch at once, as the other engines do.
    loss = LambdaLoss(model, mini_batch_size=-1) if options.loss == "lambda" else ListNetLoss(model, mini_batch_size=-1)
    relevant = CERTAIN if options.loss == "softmax" else 1.0
    dataset = lambda examples: lists(examples, relevant)
    return model, loss, dataset, CrossEncoderTrainer, CrossEncoderTrainingArguments


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    transformers.set_seed(options.seed)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    report = Report()
    examples = [example for batch in data.batches(options) for example in batch]
    with tempfile.TemporaryDirectory() as scratch:
        model, loss, dataset, trainer, arguments = {"splade": splade, "bi": bi, "cross": cross}[options.recipe](options, scratch)
        model[0].register_forward_pre_hook(lambda _, inputs: report.count(inputs[0]["attention_mask"]))
        kind = type("Trainer", (OwnTrainer, trainer), {})
        run = kind(
            model=model, args=training_arguments(arguments, options, scratch), train_dataset=dataset(examples), loss=loss,
            callbacks=[Steps(report, options.batch)],
        )
        run.train()
        if options.save:
            model.save_pretrained(str(options.save))
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    report.finish(engine="sentence-transformers", options=settings)


if __name__ == "__main__":
    sys.exit(main())
