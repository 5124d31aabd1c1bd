"""Losses of 100 steps of training in f32: a SPLADE, a cross-encoder and a bi-encoder from the small models.

The batches are token ids, made here: a query has some tokens of a topic, its document more of them, and a negative some of
them among tokens of other topics. There is no dropout.
"""

import json
import random

import torch

from fixture_models import HERE, load, mean, names_of, padded, sparse, unit

CURVES = HERE / "curves"
STEPS = 100
WARM_UP = 10
# Each batch comes up five times.
BATCHES = 20
WEIGHT_DECAY = 0.01
MAX_NORM = 1.0

# Ids of the tokenizers of `bert_like` models.
PAD, CLS, SEP, FIRST_WORD = 0, 2, 3, 5


# --- Batches --------------------------------------------------------------------------------------------------------------


class Words:
    """Token ids of queries and documents about topics."""

    def __init__(self, seed: int, vocabulary: int):
        self.random = random.Random(seed)
        self.vocabulary = vocabulary

    def some(self, count: int) -> list[int]:
        return [self.random.randrange(FIRST_WORD, self.vocabulary) for _ in range(count)]

    def query(self, topic: list[int]) -> list[int]:
        return self.random.sample(topic, self.random.randint(1, 3))

    def document(self, topic: list[int], about: int) -> list[int]:
        """`about` tokens of the topic among others."""
        words = self.random.sample(topic, about) + self.some(self.random.randint(2, 8))
        self.random.shuffle(words)
        return words


def sequence(words: list[int]) -> list[int]:
    return [CLS, *words, SEP]


def retrieval_batch(words: Words, queries: int) -> dict:
    """Queries, and documents: the relevant one of each query in order, then a negative of each."""
    topics = [words.some(6) for _ in range(queries)]
    return {
        "queries": [sequence(words.query(topic)) for topic in topics],
        "documents": [sequence(words.document(topic, about)) for about in (4, 1) for topic in topics],
    }


def pairs_batch(words: Words, queries: int, candidates: int) -> dict:
    """Pairs of a query and a document: for each query the relevant document first."""
    sequences, types = [], []
    for _ in range(queries):
        topic = words.some(6)
        query = words.query(topic)
        for place in range(candidates):
            document = words.document(topic, 4 if place == 0 else 1)
            sequences.append([CLS, *query, SEP, *document, SEP])
            types.append([0] * (len(query) + 2) + [1] * (len(document) + 1))
    return {"sequences": sequences, "types": types}


# --- Training -------------------------------------------------------------------------------------------------------------


def decays(name: str) -> bool:
    """Biases and norms do not decay, as in src/train/optimizer.rs."""
    return not name.lower().endswith("bias") and "norm" not in name.lower()


def schedule(step: int) -> float:
    """The factor of the learning rate at a step, counted from 1: linear warm-up and decay, as in src/train/schedule.rs."""
    if step < WARM_UP:
        return step / WARM_UP
    return 1.0 - (step - WARM_UP) / (STEPS - WARM_UP + 1)


def ramped(weight: float, step: int, ramp: int) -> float:
    """A weight of FLOPS that rises quadratically."""
    return weight * min(step / ramp, 1.0) ** 2


def train(model: torch.nn.Module, loss_of, batches: list[dict], learning_rate: float) -> list[float]:
    parameters = names_of(model)
    groups = [
        {"params": [parameter for names, parameter in parameters if decays(names[0]) == does], "weight_decay": decay}
        for does, decay in ((True, WEIGHT_DECAY), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for step in range(1, STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * schedule(step)
        optimizer.zero_grad()
        loss = loss_of(model, batches[(step - 1) % len(batches)], step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        losses.append(loss.item())
    return losses


# --- Recipes --------------------------------------------------------------------------------------------------------------


def in_batch(queries: torch.Tensor, documents: torch.Tensor, scale: float) -> torch.Tensor:
    """Cross-entropy of each query's own document among all documents of the batch."""
    scores = scale * queries @ documents.T
    return torch.nn.functional.cross_entropy(scores, torch.arange(len(queries)))


def flops(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors.mean(dim=0) ** 2).sum()


def splade_loss(options: dict):
    def vectors(model, sequences):
        inputs = padded(sequences, None, PAD)
        return sparse(model(**inputs).logits, inputs["attention_mask"])

    def loss(model, batch, step):
        queries, documents = vectors(model, batch["queries"]), vectors(model, batch["documents"])
        ranking = in_batch(queries, documents, options["scale"])
        of_queries = ramped(options["query_flops"], step, options["ramp"]) * flops(queries)
        of_documents = ramped(options["document_flops"], step, options["ramp"]) * flops(documents)
        return ranking + of_queries + of_documents

    return loss


def bi_loss(options: dict):
    def vectors(model, sequences):
        inputs = padded(sequences, None, PAD)
        return unit(mean(model(**inputs).last_hidden_state, inputs["attention_mask"]))

    def loss(model, batch, step):
        return in_batch(vectors(model, batch["queries"]), vectors(model, batch["documents"]), options["scale"])

    return loss


def cross_loss(options: dict):
    def loss(model, batch, step):
        logits = model(**padded(batch["sequences"], batch["types"], PAD)).logits
        lists = logits.reshape(-1, options["candidates"])
        return torch.nn.functional.cross_entropy(lists, torch.zeros(len(lists), dtype=torch.long))

    return loss


def write(name: str, head: str, loss, options: dict, batches: list[dict]) -> None:
    def losses(dtype: torch.dtype) -> list[float]:
        return train(load(options["model"], head).to(dtype), loss(options), batches, options["learning_rate"])

    found = losses(torch.float32)
    exact = losses(torch.float64)
    error = max(abs(a - b) / max(abs(b), 1.0) for a, b in zip(found, exact))
    # Two tokens may have nearly the max of a term: rounding would then decide which of them learns, and the curves part.
    assert error < 1e-5, f"{name}: f32 is off f64 by {error:.1e}; choose another seed"
    passes = [sum(found[start : start + BATCHES]) / BATCHES for start in range(0, STEPS, BATCHES)]
    print(f"{name}: mean loss of each pass {', '.join(f'{mean:.3f}' for mean in passes)}; f32 is off f64 by {error:.1e}")
    curve = {**options, "steps": STEPS, "warm_up": WARM_UP, "batches": batches, "losses": [float(f"{value:.8g}") for value in found]}
    rows = ",\n".join(f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in curve.items())
    (CURVES / f"{name}.json").write_text(f"{{{rows}}}\n", encoding="utf-8")


def write_curves() -> None:
    CURVES.mkdir(exist_ok=True)
    words = Words(4, 400)
    write(
        "splade", "masked", splade_loss,
        dict(model="splade-max", learning_rate=1e-3, scale=0.2, query_flops=0.01, document_flops=0.003, ramp=33),
        [retrieval_batch(words, 4) for _ in range(BATCHES)],
    )
    words = Words(2, 400)
    write(
        "cross", "classifier", cross_loss, dict(model="ce-bert", learning_rate=1e-3, candidates=4),
        [pairs_batch(words, 3, 4) for _ in range(BATCHES)],
    )
    words = Words(3, 400)
    write(
        "bi", "encoder", bi_loss, dict(model="st-mean", learning_rate=1e-3, scale=20.0),
        [retrieval_batch(words, 6) for _ in range(BATCHES)],
    )
