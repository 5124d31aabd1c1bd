"""A folder of work: a model, texts to encode, queries, and how long they are; `prepare.py` makes it.

    model/               the model, in the layout of sentence-transformers
    texts.jsonl          a line each: {"id", "text"}; queries.jsonl the same
    onnx/                the model as ONNX Runtime reads it, and variants.json: for each variant its file, or why there is none
    work.json            the model's shape, the counts of texts and tokens, and `lengths`: the tokens of each text
"""

import json
from pathlib import Path

# A setting is tried on a sample of the batches: one of this many, but at least the min.
SAMPLED_SHARE = 8
FEWEST_BATCHES = 8


class Work:
    """The folder, read."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.about = json.loads((self.folder / "work.json").read_text(encoding="utf-8"))
        self.model = self.folder / "model"
        self.texts = read_texts(self.folder / "texts.jsonl")
        self.queries = read_texts(self.folder / "queries.jsonl")
        self.lengths = self.about["lengths"]

    def variants(self):
        return json.loads((self.folder / "onnx" / "variants.json").read_text(encoding="utf-8"))

    def warming(self):
        """Some of the texts, short and long."""
        return self.texts[:: max(1, len(self.texts) // 64)]

    def sample(self, batch):
        """Texts and their tokens: whole batches as all texts sorted by length make them, evenly taken, so that a large batch has
        no more padding among these than it has among all."""
        order = sorted(range(len(self.texts)), key=lambda place: -self.lengths[place])
        batches = [order[start : start + batch] for start in range(0, len(order), batch)]
        count = min(len(batches), max(FEWEST_BATCHES, len(batches) // SAMPLED_SHARE))
        chosen = [batches[(2 * place + 1) * len(batches) // (2 * count)] for place in range(count)]
        places = [place for batch in chosen for place in batch]
        return [self.texts[place] for place in places], sum(self.lengths[place] for place in places)


def read_texts(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]
