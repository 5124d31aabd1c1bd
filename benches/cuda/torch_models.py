"""Models of sentence-transformers with the settings that are tried: batch, attention, compiled or not, and how sparse vectors leave the GPU.

A setting has

    batch            texts in a batch; sentence-transformers sorts them by length itself
    attention        sdpa, and flash_attention_2 where it is installed (without padding then, as far as the model's kind allows)
    is_compiled      the transformer and its head through torch.compile, with dynamic shapes
    rows             of SPLADE: `sparse` as SparseEncoder.encode does by itself, or `dense` rows on the GPU made sparse at the end, all at once
"""

import json
import time
import warnings

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder

CLASSES = {"splade": SparseEncoder, "dense": SentenceTransformer, "cross": CrossEncoder}
BATCHES = (32, 64, 128, 256, 512)
# Settings with as many batches are tried again compiled.
FINALISTS = 2
# Of the work so much is tried at a setting: whole batches, evenly taken, so that padding is as with all of it.
SAMPLE = 4096
# Lengths that compiled code sees before anything is timed; the first two make shapes dynamic.
COMPILING_TEXTS = (("a b c d e", 8), ("a " * 60, 32), ("a " * 120, 64), ("a " * 250, 16))


def attentions():
    from transformers.utils import is_flash_attn_2_available

    return ["sdpa", "flash_attention_2"] if is_flash_attn_2_available() else ["sdpa"]


def read_items(path, kind):
    """Documents as esparsa reads them, title and text with a space between; or pairs of query and document."""
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    if kind == "cross":
        return [(row["query"], row["document"]) for row in rows]
    return [f"{row['title']} {row['text']}" if row.get("title") else row["text"] for row in rows]


class Model:
    def __init__(self, kind, folder, device):
        self.kind, self.folder, self.device = kind, folder, device
        self.loaded, self.compiled = {}, False
        self.tokenize_s = 0.0
        self.plain = {"batch": 32, "attention": "sdpa", "is_compiled": False, "rows": "sparse"}
        self.best = self.plain
        self.use(self.plain)

    def use(self, setting):
        """Gets ready to encode so; the model with another attention is another one."""
        attention = setting["attention"]
        if attention not in self.loaded:
            arguments = {"attn_implementation": attention, "dtype": torch.bfloat16}
            model = CLASSES[self.kind](self.folder, device=self.device, local_files_only=True, model_kwargs=arguments).eval()
            self.count_tokenizing(model)
            self.loaded[attention] = model, [(part, part.forward) for part in self.computing_parts(model)]
        self.setting = setting
        self.model, parts = self.loaded[attention]
        for place, (part, eager) in enumerate(parts):
            part.forward = self.compiled[place] if setting["is_compiled"] else eager

    def computing_parts(self, model):
        """What computes: the transformer with its head, and pooling."""
        return [getattr(model[0], "model", None) or model[0].auto_model, *list(model)[1:]]

    def count_tokenizing(self, model):
        name = "preprocess" if hasattr(model, "preprocess") else "tokenize"
        plain = getattr(model, name)

        def counted(*words, **named):
            start = time.perf_counter()
            found = plain(*words, **named)
            self.tokenize_s += time.perf_counter() - start
            return found

        setattr(model, name, counted)

    def compile(self):
        """Compiles what computes and runs it on several lengths; without it, if that fails."""
        start = time.perf_counter()
        _, parts = self.loaded["sdpa"]
        self.compiled = [torch.compile(eager, dynamic=True) for _, eager in parts]
        if self.kind == "splade":
            self.compiled[1] = compiled_pooling()
        try:
            self.use(self.plain | {"is_compiled": True})
            for text, count in COMPILING_TEXTS:
                self.setting["batch"] = count
                self.encode([(text, text) if self.kind == "cross" else text] * count)
        except Exception as error:
            self.compiled = False
            self.use(self.plain)
            return {"compiled": False, "reason": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        return {"compiled": True, "seconds": time.perf_counter() - start}

    def encode(self, items):
        """Vectors in host memory, or scores, as the setting says."""
        batch = self.setting["batch"]
        if self.kind == "cross":
            return self.model.predict(items, batch_size=batch, show_progress_bar=False)
        if self.kind == "dense":
            return self.model.encode(items, batch_size=batch, show_progress_bar=False)
        if self.setting["rows"] == "sparse":
            return self.model.encode(items, batch_size=batch, show_progress_bar=False, save_to_cpu=True)
        rows = self.model.encode(items, batch_size=batch, show_progress_bar=False, convert_to_sparse_tensor=False)
        return rows.to_sparse().cpu()

    def encode_one(self, text):
        found = self.model.encode([text], show_progress_bar=False, convert_to_tensor=True)
        return found.cpu()

    def forward(self, features):
        """Transformer, head and pooling, as the model's modules follow each other."""
        for part in self.model:
            features = part(features)
        return features["sentence_embedding"]

    def features(self, texts):
        found = self.model.preprocess(texts) if hasattr(self.model, "preprocess") else self.model.tokenize(texts)
        return {name: value.to(self.device) if isinstance(value, torch.Tensor) else value for name, value in found.items()}

    def bare_loop(self, texts):
        """SPLADE as one would write it over the same modules: sorted, each batch made sparse as a whole, no row touched."""
        texts = sorted(texts, key=len, reverse=True)
        batch = self.setting["batch"]
        return [self.forward(self.features(texts[first : first + batch])).to_sparse().cpu() for first in range(0, len(texts), batch)]

    def tune(self, items, timed, limit_s):
        """Tries settings until the time is up, and keeps the fastest."""
        start, tried = time.perf_counter(), []

        def attempt(setting):
            if time.perf_counter() - start > limit_s:
                return
            sample = sample_of(items, setting["batch"])
            try:
                self.use(setting)
                self.encode(sample[: 2 * setting["batch"]])
                tried.append({"setting": dict(setting), "per_s": len(sample) / timed(lambda: self.encode(sample))})
            except (RuntimeError, ValueError, ImportError) as error:
                tried.append({"setting": dict(setting), "per_s": 0.0, "error": " ".join(str(error).split())[:200]})
            tried.sort(key=lambda trial: -trial["per_s"])

        for rows in ("dense", "sparse") if self.kind == "splade" else ("sparse",):
            for attention in attentions():
                for batch in BATCHES if not tried or rows == "dense" else [tried[0]["setting"]["batch"]]:
                    attempt({"batch": batch, "attention": attention, "is_compiled": False, "rows": rows})
        if self.compiled:
            plain = [trial["setting"] for trial in tried if trial["setting"]["attention"] == "sdpa"]
            for setting in plain[:FINALISTS]:
                attempt(setting | {"is_compiled": True})
        if tried and tried[0]["per_s"] > 0:
            self.best = tried[0]["setting"]
        return {"best": self.best, "tried": tried}

    def as_graph(self, text):
        """A function that launches the CUDA graph of the model for one text and copies the vector back."""
        features = self.features([text])
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.forward(dict(features))
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            vector = self.forward(dict(features))

        def launch(_):
            graph.replay()
            return vector.cpu()

        return launch

    def head_of(self, random, texts, length):
        """A function that runs SPLADE's head on random hidden states, as the model does behind the transformer."""
        transformer, pooling = self.computing_parts(self.model)[:2]
        hidden = random(texts, length, transformer.config.hidden_size)
        mask = torch.ones(texts, length, dtype=torch.int64, device=hidden.device)
        return lambda: pooling({"token_embeddings": transformer.cls(hidden), "attention_mask": mask})["sentence_embedding"].to_sparse()


def compiled_pooling():
    """SpladePooling (max) as one kernel over the logits. Its own code loops over chunks, for which torch.compile makes other code for each length."""

    @torch.compile(dynamic=True)
    def pooled(logits, mask):
        return torch.log1p(torch.relu(logits * mask.unsqueeze(-1).to(logits.dtype))).amax(1)

    def forward(features, **_):
        features["sentence_embedding"] = pooled(features["token_embeddings"], features["attention_mask"])
        return features

    return forward


def sample_of(items, batch):
    """Whole batches of the items sorted by length, evenly taken."""
    length = (lambda item: len(item[0]) + len(item[1])) if isinstance(items[0], tuple) else len
    ordered = sorted(items, key=length, reverse=True)
    batches = [ordered[first : first + batch] for first in range(0, len(ordered), batch)]
    count = max(1, min(len(batches), SAMPLE // batch))
    chosen = [batches[(2 * place + 1) * len(batches) // (2 * count)] for place in range(count)]
    return [item for one in chosen for item in one]


warnings.filterwarnings("ignore", message=".*[Ss]parse.*")
