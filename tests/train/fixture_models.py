"""The models of ../neural/models as PyTorch modules: hidden states and what heads make of them."""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "neural" / "models"

# Norms of vectors below this are taken for it, as in torch.nn.functional.normalize.
SMALLEST_NORM = 1e-12


def load(name: str, head: str = "encoder") -> torch.nn.Module:
    """The model of a folder in f32; `head` is `encoder`, `masked` or `classifier`. No dropout."""
    folder = MODELS / name
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if kind in ("t5", "mt5"):
        classes = {"encoder": transformers.T5EncoderModel if kind == "t5" else transformers.MT5EncoderModel}
    else:
        classes = {
            "encoder": transformers.AutoModel,
            "masked": transformers.AutoModelForMaskedLM,
            "classifier": transformers.AutoModelForSequenceClassification,
        }
    return classes[head].from_pretrained(folder, dtype=torch.float32).eval()


def names_of(model: torch.nn.Module) -> list[tuple[list[str], torch.nn.Parameter]]:
    """Every parameter with all its names, without the prefix of the encoder."""
    prefix = f"{model.base_model_prefix}."
    found = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names, _ = found.setdefault(id(parameter), ([], parameter))
        names.append(name.removeprefix(prefix))
    return list(found.values())


def dense_module(name: str, folder: str) -> torch.nn.Linear:
    """A Dense module of sentence-transformers, without its activation."""
    tensors = load_file(MODELS / name / folder / "model.safetensors")
    outputs, inputs = tensors["linear.weight"].shape
    dense = torch.nn.Linear(inputs, outputs, bias="linear.bias" in tensors)
    with torch.no_grad():
        for parameter, values in dense.named_parameters():
            values.copy_(tensors[f"linear.{parameter}"])
    return dense


def padded(sequences: list[list[int]], types: list[list[int]] | None, pad: int) -> dict[str, torch.Tensor]:
    """The arguments of a model for sequences of different lengths."""
    longest = max(map(len, sequences))

    def fill(rows, value):
        return torch.tensor([row + [value] * (longest - len(row)) for row in rows])

    inputs = {"input_ids": fill(sequences, pad), "attention_mask": fill([[1] * len(row) for row in sequences], 0)}
    if types is not None:
        inputs["token_type_ids"] = fill(types, 0)
    return inputs


def sparse(logits: torch.Tensor, mask: torch.Tensor, is_sum: bool = False, is_twice: bool = False) -> torch.Tensor:
    """SPLADE's vectors: sequences × vocabulary."""
    weights = torch.log1p(torch.relu(logits))
    if is_twice:
        weights = torch.log1p(weights)
    weights = weights * mask.unsqueeze(-1)
    return weights.sum(dim=1) if is_sum else weights.amax(dim=1)


def mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    mask = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1, eps=SMALLEST_NORM)
