"""Published folders as PyTorch models for each recipe."""

import argparse
import json
from pathlib import Path

import torch
import transformers


def is_masked(folder: Path) -> bool:
    """Whether a folder has the head of a masked language model."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return any("MaskedLM" in name for name in config.get("architectures") or [])


def add_head(model: torch.nn.Module, scale: float, threshold: float) -> None:
    """A head for a BERT that has none: no transform but a norm, and the word embeddings as the decoder.

    `scale` multiplies the logits and decides the size of weights, not which terms are active: with a bias of 0 nearly all are, for each
    has some token with a logit above 0. The bias is below 0 instead: only logits above `threshold`, before scaling, are active. With
    MiniLM, whose logits have a deviation of 1.1, a threshold of 5 makes some 60 terms of a query and 320 of a document active.
    """
    head = model.cls.predictions
    with torch.no_grad():
        head.transform.dense.weight.copy_(torch.eye(len(head.transform.dense.weight)))
        head.transform.dense.bias.zero_()
        head.transform.LayerNorm.weight.fill_(scale)
        head.transform.LayerNorm.bias.zero_()
        head.bias.fill_(-scale * threshold)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--head-scale", type=float, default=0.3, metavar="X", help="SPLADE, a new head: scale of its logits (%(default)s)")
    parser.add_argument("--head-threshold", type=float, default=5.0, metavar="X", help="and the logit before scaling from which a term is active (%(default)s)")


def masked(folder: Path, head_scale: float, head_threshold: float) -> torch.nn.Module:
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    if not is_masked(folder):
        add_head(model, head_scale, head_threshold)
    return model


def classifier(folder: Path) -> torch.nn.Module:
    """One label; a layer that the folder lacks is new."""
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)


def transformer_files(folder: Path, scratch: Path) -> Path:
    """A copy by links of a folder without what says that it is a bi-encoder."""
    scratch.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        kept = path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json", "README.md")
        if kept and not (scratch / path.name).exists():
            (scratch / path.name).symlink_to(path.resolve())
    return scratch
