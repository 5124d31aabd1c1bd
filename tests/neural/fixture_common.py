"""What the scripts that write fixtures share: where things lie, texts of the demo collection, seeded weights, packing."""

import json
import unicodedata
import zlib
from pathlib import Path

import numpy
import torch
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
MODELS = HERE / "models"
TOKENS = HERE / "tokens"
DEMO = HERE.parent.parent / "cli" / "demo"


def demo_texts() -> list[str]:
    """The passages of the demo collection: English, Portuguese and Korean."""
    lines = (DEMO / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def demo_queries() -> list[str]:
    lines = (DEMO / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def model_texts() -> list[str]:
    """Eight texts, from empty to longer than any model here takes, in three languages."""
    passages, queries = demo_texts(), demo_queries()
    english, portuguese, korean = passages[0], passages[45], passages[85]
    return [
        "",
        "Volcano",
        queries[0],
        "Ação, coração e a avó do João: 25% (R$ 3,50)!",
        " ".join(korean.split()[:4]),
        english[:50],
        unicodedata.normalize("NFD", portuguese)[:40] + " [SEP] 한국 \u200b🙂",
        " ".join([english, korean, portuguese, passages[3], passages[50]]),
    ]


# Tables of vectors, decoders that may be tied to them among them: by any of their names.
TABLES = ("embed", "shared", "relative_attention_bias", "lm_head.decoder", "predictions.decoder", "vocab_projector")


def generator(seed: int, name: str) -> torch.Generator:
    """Random values of a tensor, seeded by its name: adding or removing other tensors does not change them."""
    return torch.Generator().manual_seed(seed * 1_000_003 + zlib.crc32(name.encode()))


def randomize(model: torch.nn.Module, seed: int, heads_of_t5: int = 0) -> torch.nn.Module:
    """Gives every parameter values that matter: norms away from 1 and 0, biases away from 0, matrices that keep
    the scale of their input."""
    norms = {
        name
        for name, module in model.named_modules()
        if "norm" in type(module).__name__.lower()
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator(seed, name))
            owner, _, leaf = name.rpartition(".")
            if owner in norms and leaf == "weight":
                values = 1.0 + 0.3 * values
            elif parameter.dim() == 1:
                values = 0.3 * values
            elif any(part in name for part in TABLES):
                values = 0.8 * values
            else:
                values = 1.2 * values / (parameter[0].numel() ** 0.5)
                # T5 divides its scores by no root of the head's size: its query matrices are smaller instead.
                if heads_of_t5 and leaf == "weight" and owner.endswith(".q"):
                    values = values / (parameter.shape[0] / heads_of_t5) ** 0.5
            parameter.copy_(values)
    return model.eval()


def pack(sequences: list[list[int]], types: list[list[int]]) -> dict[str, numpy.ndarray]:
    """Sequences end to end, without padding."""
    starts = [0]
    for sequence in sequences:
        starts.append(starts[-1] + len(sequence))
    return {
        "ids": numpy.array([token for sequence in sequences for token in sequence], dtype=numpy.int32),
        "types": numpy.array([kind for sequence in types for kind in sequence], dtype=numpy.int32),
        "starts": numpy.array(starts, dtype=numpy.int32),
    }


def write_json(path: Path, value, compact: bool = True) -> None:
    separators = (",", ":") if compact else None
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=None if compact else 2)
    path.write_text(text + "\n", encoding="utf-8")


def write_expected(folder: Path, name: str = "expected.safetensors", **tensors) -> None:
    arrays = {}
    for key, value in tensors.items():
        value = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(numpy.float32)
            assert numpy.isfinite(value).all(), f"{folder.name}: {key} has values that are not finite"
        arrays[key] = numpy.ascontiguousarray(value)
    save_file(arrays, folder / name)


def minify(folder: Path) -> None:
    """Writes tokenizer.json without the spaces that `transformers` puts into it: a third of the size."""
    for path in folder.rglob("tokenizer.json"):
        write_json(path, json.loads(path.read_text(encoding="utf-8")))
