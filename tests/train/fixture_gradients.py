"""Gradients of every tensor of each small model, in f64: of the hidden states, and of what each head makes of them."""

import json
from contextlib import contextmanager
from unittest import mock

import torch

from fixture_models import HERE, dense_module, load, mean, names_of, sparse, unit

GRADIENTS = HERE / "gradients"
# Values of each tensor that are written.
PLACES = 8
# A gradient of a smaller norm is 0 but for rounding: that of the biases of keys, which change no softmax.
NOTHING = 1e-12
# Where the sequences of the packed batch begin, and its end.
STARTS = (0, 6, 7, 11)

ENCODERS = (
    "bert", "distilbert", "roberta", "xlm-roberta", "electra", "t5", "mt5", "deberta", "deberta-convolution", "deberta-v3",
    "deberta-plain",
)
# The pooling and the activation of each.
SPARSE = {
    "splade-max": dict(is_sum=False, is_twice=False),
    "splade-sum": dict(is_sum=True, is_twice=False),
    "splade-log1p": dict(is_sum=False, is_twice=True),
    "splade-separate": dict(is_sum=True, is_twice=True),
}
CLASSIFIERS = ("ce-bert", "ce-distilbert", "ce-roberta", "ce-electra", "ce-deberta")


def batch(vocabulary: int) -> list[list[int]]:
    """Three sequences, one of a single token: those of src/train/tests.rs."""
    ids = [3 + (n * n * 5 + n) % (vocabulary - 3) for n in range(STARTS[-1])]
    return [ids[start:end] for start, end in zip(STARTS, STARTS[1:])]


def factors(count: int) -> torch.Tensor:
    """The weights of the sum that is the loss, rounded to f32 as the tests give them."""
    values = torch.tensor([((n * 37 + 11) % 23) / 23 - 0.5 for n in range(count)], dtype=torch.float64)
    return values.float().double()


@contextmanager
def in_f64():
    """`transformers` computes some of T5 in f32 whatever the dtype of the model: not here."""
    with mock.patch.object(torch, "float32", torch.float64), mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield


def packed(model: torch.nn.Module, output: str) -> list[torch.Tensor]:
    """An output of a model for each sequence of the batch, each computed alone."""
    with in_f64():
        outputs = [model(input_ids=torch.tensor([ids])) for ids in batch(model.config.vocab_size)]
    return [getattr(found, output)[0] for found in outputs]


def gradient_of(parameter: torch.nn.Parameter) -> dict:
    """The norm of a gradient, and some values: the largest, and others spread over those that are not 0."""
    gradient = parameter.grad.flatten()
    if gradient.norm() < NOTHING:
        gradient = torch.zeros_like(gradient)
    order = torch.nonzero(gradient).flatten().tolist() or [0]
    spread = [order[place * (len(order) - 1) // max(PLACES - 2, 1)] for place in range(PLACES - 1)]
    places = sorted({int(gradient.abs().argmax()), *spread})
    return {
        "norm": shortened(gradient.norm()),
        "places": places,
        "values": [shortened(gradient[place]) for place in places],
    }


def shortened(value: torch.Tensor) -> float:
    """Ten digits: tests compare five."""
    return float(f"{value.item():.10g}")


def write(name: str, outputs: torch.Tensor, parameters: list) -> None:
    """Takes the gradients of the weighted sum of the outputs and writes them."""
    outputs = outputs.flatten()
    assert outputs.dtype == torch.float64
    loss = (outputs * factors(len(outputs))).sum()
    loss.backward()
    tensors = [
        {"names": names, **gradient_of(parameter)} for names, parameter in parameters if parameter.grad is not None
    ]
    rows = ",\n".join(json.dumps(tensor, separators=(",", ":")) for tensor in tensors)
    text = f'{{"loss":{shortened(loss)},"tensors":[\n{rows}\n]}}\n'
    (GRADIENTS / f"{name}.json").write_text(text, encoding="utf-8")


def encoder(name: str) -> None:
    model = load(name).double()
    write(name, torch.cat(packed(model, "last_hidden_state")), names_of(model))


def splade(name: str, pooling: dict) -> None:
    model = load(name, "masked").double()
    rows = [sparse(logits[None], torch.ones(1, len(logits)), **pooling) for logits in packed(model, "logits")]
    write(name, torch.cat(rows), names_of(model))


def classifier(name: str) -> None:
    model = load(name, "classifier").double()
    write(name, torch.stack(packed(model, "logits")), names_of(model))


def pooled(name: str, pool, dense: str | None = None, activation=None, is_unit: bool = True) -> None:
    """A bi-encoder: pooling, perhaps a linear layer, perhaps normalization."""
    model = load(name).double()
    vectors = torch.stack([pool(hidden) for hidden in packed(model, "last_hidden_state")])
    parameters = names_of(model)
    if dense:
        layer = dense_module(name, dense).double()
        vectors = layer(vectors)
        vectors = activation(vectors) if activation else vectors
        parameters += [([f"linear.{part}"], parameter) for part, parameter in layer.named_parameters()]
    write(name, unit(vectors) if is_unit else vectors, parameters)


def late(name: str) -> None:
    """ColBERT: a unit vector for each token."""
    model = load(name).double()
    layer = dense_module(name, "1_Dense").double()
    vectors = unit(layer(torch.cat(packed(model, "last_hidden_state"))))
    write(name, vectors, names_of(model) + [(["linear.weight"], layer.weight)])


def mean_of(hidden: torch.Tensor) -> torch.Tensor:
    return mean(hidden[None], torch.ones(1, len(hidden)))[0]


def write_gradients() -> None:
    GRADIENTS.mkdir(exist_ok=True)
    for name in ENCODERS:
        encoder(name)
    for name, pooling in SPARSE.items():
        splade(name, pooling)
    for name in CLASSIFIERS:
        classifier(name)
    pooled("st-mean", mean_of)
    pooled("st-cls", lambda hidden: hidden[0])
    pooled("st-max", lambda hidden: hidden.amax(dim=0), is_unit=False)
    pooled("st-dense", mean_of, dense="2_Dense")
    pooled("st-prompts", mean_of, dense="2_Dense", activation=torch.tanh, is_unit=False)
    late("colbert")
